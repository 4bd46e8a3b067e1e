use std::fmt;
use std::str::FromStr;

use url::{Host, Url};

use super::{Invalid, Text, VolumeName, text_serde};

/// Where an image is to be fetched from: `"https://cloud.debian.org/images/cloud/trixie/latest/disk.qcow2"`.
///
/// An http or https URL with a host and a path that ends in a file's name. http is as good as https: whoever fetches
/// it compares the image's SHA-256. Without a user, a password or a fragment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ImageUrl(Url);

impl ImageUrl {
    /// The whole URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }

    /// The last part of the path, as the URL has it: `%20` stays `%20`. Never empty, `.` or `..`, and without `/`.
    pub fn file_name(&self) -> &str {
        last_part(&self.0)
    }
}

fn last_part(url: &Url) -> &str {
    url.path().rsplit('/').next().unwrap_or_default()
}

impl Text for ImageUrl {
    const WHAT: &'static str = "the URL of an image";
    const SYNTAX: &'static str = "An http or https URL whose path ends in a file's name.";
    const EXAMPLE: &'static str = "https://cloud.debian.org/images/cloud/trixie/latest/debian-13-generic-amd64.qcow2";
    const PATTERN: &'static str = "^https?://[^/]+/.*[^/].*$";
}

impl FromStr for ImageUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write the http or https URL of a file, such as https://example.net/disk.qcow2";
        let url = web_url(text, how)?;
        if last_part(&url).is_empty() {
            return Err(Invalid::new("its path doesn't end in a file's name", how));
        }
        Ok(Self(url))
    }
}

impl fmt::Display for ImageUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// A web address that is called: `"https://chat.example.net/hook"`. http or https, without a user, a password or a
/// fragment.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WebUrl(Url);

impl WebUrl {
    /// The whole URL.
    pub fn as_str(&self) -> &str {
        self.0.as_str()
    }
}

impl Text for WebUrl {
    const WHAT: &'static str = "a web address";
    const SYNTAX: &'static str = "An http or https URL.";
    const EXAMPLE: &'static str = "https://chat.example.net/hook";
    const PATTERN: &'static str = "^https?://[^/].*$";
}

impl FromStr for WebUrl {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        web_url(text, "write an http or https URL, such as https://chat.example.net/hook").map(Self)
    }
}

impl fmt::Display for WebUrl {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.0.as_str())
    }
}

/// An http or https URL with a host and without secrets; `how` says how one is written.
fn web_url(text: &str, how: &str) -> Result<Url, Invalid> {
    let rest = ["http://", "https://"].iter().find_map(|scheme| text.strip_prefix(scheme));
    let Some(rest) = rest else {
        let reason = if text.contains("://") {
            "its scheme is neither http nor https"
        } else {
            "it doesn't begin with http:// or https://"
        };
        return Err(Invalid::new(reason, how));
    };
    // The parser of URLs takes white space away and makes `/` of `\`: what is written here is meant.
    if text.contains(|c: char| c.is_whitespace() || c.is_control() || c == '\\') {
        let remedy = "write %20 for a space, and leave other white space and `\\` out";
        return Err(Invalid::new("a URL has no white space and no `\\`", remedy));
    }
    if rest.is_empty() || rest.starts_with('/') {
        return Err(Invalid::new("the host is missing", how));
    }
    let url = Url::parse(text).map_err(|wrong| Invalid::new(format!("that is no URL ({wrong})"), how))?;
    if !url.username().is_empty() || url.password().is_some() {
        let remedy = "leave them out: the cluster file is no place for secrets";
        return Err(Invalid::new("there is a user or a password in it", remedy));
    }
    if url.fragment().is_some() {
        return Err(Invalid::new("what follows `#` is never sent", "leave `#` and what follows out"));
    }
    if let Some(Host::Ipv4(address)) = url.host()
        && rest.split([':', '/', '?']).next() != Some(address.to_string().as_str())
    {
        return Err(Invalid::new(
            "an IPv4 address has four decimal numbers",
            format!("write {address}, if you mean that"),
        ));
    }
    if url.host_str().is_none_or(str::is_empty) || url.port() == Some(0) {
        return Err(Invalid::new("the host is missing or its port is 0", how));
    }
    Ok(url)
}

/// A file or a folder in a volume: `"gv1:iso/debian.iso"`.
///
/// The volume's name, a colon and a path that begins in the volume: at most 255 bytes, its parts neither empty nor `.`
/// or `..`, so that it can't lead out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct VolumePath {
    volume: VolumeName,
    path: String,
}

const LONGEST_PATH: usize = 255;

impl VolumePath {
    /// The volume.
    pub const fn volume(&self) -> &VolumeName {
        &self.volume
    }

    /// The path in the volume, without `/` at its beginning and end.
    pub fn path(&self) -> &str {
        &self.path
    }
}

impl Text for VolumePath {
    const WHAT: &'static str = "a path in a volume";
    const SYNTAX: &'static str = "A volume's name, a colon, and a path in that volume.";
    const EXAMPLE: &'static str = "gv1:iso/debian.iso";
    const PATTERN: &'static str = "^[a-z0-9-]+:[^/]+(/[^/]+)*$";
}

impl FromStr for VolumePath {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write VOLUME:PATH, such as gv1:iso/debian.iso";
        let (volume, path) = text.split_once(':').ok_or_else(|| Invalid::new("the volume is missing", how))?;
        let volume = volume.parse().map_err(|wrong: Invalid| {
            Invalid::new(format!("what is before the colon is no volume's name: {}", wrong.reason), how)
        })?;
        let reason = if path.is_empty() {
            "the path is missing".to_owned()
        } else if path.starts_with('/') {
            let remedy = format!("leave the first `/` out: write {volume}:{}", path.trim_start_matches('/'));
            return Err(Invalid::new("the path begins in the volume, not with `/`", remedy));
        } else if path.len() > LONGEST_PATH {
            format!("the path has {} bytes, and {LONGEST_PATH} is the most", path.len())
        } else if path.contains(char::is_control) {
            "the path has control characters in it".to_owned()
        } else if path.split('/').any(str::is_empty) {
            "the path ends with `/` or has two in a row".to_owned()
        } else if path.split('/').any(|part| part == "." || part == "..") {
            "the path has a part `.` or `..`".to_owned()
        } else {
            return Ok(Self { volume, path: path.to_owned() });
        };
        Err(Invalid::new(reason, how))
    }
}

impl fmt::Display for VolumePath {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}:{}", self.volume, self.path)
    }
}

text_serde!(WebUrl, ImageUrl, VolumePath);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn images() {
        prints::<ImageUrl>(&[
            ("https://example.net/a/disk.qcow2", "https://example.net/a/disk.qcow2"),
            ("http://192.168.0.9:8080/disk.img", "http://192.168.0.9:8080/disk.img"),
            ("https://example.net/disk.img?x=1", "https://example.net/disk.img?x=1"),
            ("https://Example.NET:443/Disk.img", "https://example.net/Disk.img"),
        ]);
        let url: ImageUrl = "https://example.net/a/../b/my%20disk.img?x=/y".parse().expect("a URL");
        assert_eq!(url.file_name(), "my%20disk.img");
        for (text, why) in [
            ("https://me:secret@example.net/a", "no place for secrets"),
            ("https://me@example.net/a", "no place for secrets"),
            ("https://example.net/", "file's name"),
            ("https://example.net", "file's name"),
            ("https://example.net/a/", "file's name"),
            ("https://example.net/a/..", "file's name"),
            ("https://example.net/a/%2e%2E", "file's name"),
            ("https://example.net/a#b", "`#`"),
            ("https:///disk.img", "host is missing"),
            ("https://\\example.net/a", "white space"),
            ("https://example.net/a b", "%20"),
            ("https://exam\tple.net/a", "white space"),
            ("file:///disk.img", "neither http nor https"),
            ("example.net/disk.img", "doesn't begin"),
            ("https://192.168.0.300/a", "no URL"),
            ("https://[::1/a", "no URL"),
            ("", "doesn't begin"),
        ] {
            refuses::<ImageUrl>(text, why);
        }
    }

    #[test]
    fn paths_in_volumes() {
        for text in ["gv1:iso/debian.iso", "gv1:a", "gv1:a:b", "gv1:my file", "gv1:..."] {
            prints::<VolumePath>(&[(text, text)]);
        }
        for (text, why) in [
            ("gv1", "volume is missing"),
            ("gv1:", "path is missing"),
            ("gv1:/iso", "write gv1:iso"),
            ("gv1:a/../../b", "`..`"),
            ("gv1:..", "`..`"),
            ("gv1:./a", "`.`"),
            ("gv1:a//b", "two in a row"),
            ("gv1:a/", "ends with"),
            ("gv1:a\nb", "control"),
            ("GV1:a", "no volume's name"),
            (":a", "no volume's name"),
        ] {
            refuses::<VolumePath>(text, why);
        }
        refuses::<VolumePath>(&format!("gv1:{}", "a".repeat(256)), "256 bytes");
        let path: VolumePath = "gv1:iso/debian.iso".parse().expect("a path");
        assert_eq!((path.volume().as_str(), path.path()), ("gv1", "iso/debian.iso"));
    }
}
