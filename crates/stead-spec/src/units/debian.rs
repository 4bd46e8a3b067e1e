use std::fmt;
use std::str::FromStr;

use super::{Invalid, Text, string_type, text_serde};

/// A Debian release that nodes can run, by its name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Suite {
    /// Debian 12.
    Bookworm,
    /// Debian 13.
    Trixie,
}

impl Suite {
    /// All there are, the older first.
    pub const ALL: [Self; 2] = [Self::Bookworm, Self::Trixie];

    /// The name, as package sources have it.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Bookworm => "bookworm",
            Self::Trixie => "trixie",
        }
    }

    /// The number of the release.
    pub const fn version(self) -> u8 {
        match self {
            Self::Bookworm => 12,
            Self::Trixie => 13,
        }
    }
}

impl Text for Suite {
    const WHAT: &'static str = "a Debian release";
    const SYNTAX: &'static str = "One of trixie (Debian 13) and bookworm (Debian 12).";
    const EXAMPLE: &'static str = "trixie";
    const PATTERN: &'static str = "^(trixie|bookworm)$";
}

impl FromStr for Suite {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        if let Some(suite) = Self::ALL.into_iter().find(|suite| suite.as_str() == text) {
            return Ok(suite);
        }
        let lower = text.to_ascii_lowercase();
        let number = lower.strip_prefix("debian").unwrap_or(&lower).trim_start_matches(['-', ' ', '_']);
        let meant = Self::ALL.into_iter().find(|suite| {
            suite.as_str() == number || number.split('.').next() == Some(suite.version().to_string().as_str())
        });
        Err(match meant {
            Some(suite) => Invalid::new("releases go by their names here, in lower case", format!("write {suite}")),
            None if matches!(lower.as_str(), "stable" | "oldstable") => {
                Invalid::new("that is another release every two years", "write trixie or bookworm")
            }
            None => Invalid::new("stead doesn't know that release", "write trixie or bookworm"),
        })
    }
}

impl fmt::Display for Suite {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

text_serde!(Suite);

/// A setting of the kernel: `"vm.swappiness"`.
///
/// Its path below `/proc/sys` with dots for slashes, as `sysctl -a` prints it: letters, digits, `_`, `-`,
/// at least one dot.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SysctlKey(String);

impl Text for SysctlKey {
    const WHAT: &'static str = "a kernel setting";
    const SYNTAX: &'static str = "The setting's name as `sysctl -a` prints it, with dots.";
    const EXAMPLE: &'static str = "vm.swappiness";
    const PATTERN: &'static str = "^[A-Za-z0-9_][A-Za-z0-9_-]*([.][A-Za-z0-9_-]+)+$";
}

impl FromStr for SysctlKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write the name that `sysctl -a` prints, such as vm.swappiness";
        if text.contains('/') {
            let dotted = text.trim_start_matches("/proc/sys/").trim_matches('/').replace('/', ".");
            let remedy = if dotted.parse::<Self>().is_ok() { format!("write {dotted}") } else { how.to_owned() };
            return Err(Invalid::new("it is written with dots here", remedy));
        }
        if text.contains(|c: char| !c.is_ascii_alphanumeric() && !"_.-".contains(c)) {
            return Err(Invalid::new("it has characters other than letters, digits and `_.-`", how));
        }
        if text.starts_with('-') {
            return Err(Invalid::new("a dash in front means something else in sysctl's files", how));
        }
        if !text.contains('.') {
            return Err(Invalid::new("it has no dot", how));
        }
        if text.split('.').any(str::is_empty) {
            return Err(Invalid::new("there is nothing before, between or behind its dots", how));
        }
        Ok(Self(text.to_owned()))
    }
}

/// A Debian package: `"tcpdump"`.
///
/// By policy 5.6.7, two characters at least of lower-case letters, digits and `+-.`, a letter or a digit first; without
/// an architecture or a version. Not a dash last, which apt takes for the wish to remove it.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PackageName(String);

impl Text for PackageName {
    const WHAT: &'static str = "a Debian package";
    const SYNTAX: &'static str = "A package's name, without an architecture or a version.";
    const EXAMPLE: &'static str = "tcpdump";
    const PATTERN: &'static str = "^[a-z0-9][a-z0-9+.-]+$";
}

impl FromStr for PackageName {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write the name that `apt search` prints, such as tcpdump";
        let reason = if text.contains(['=', ':', '/']) {
            "an architecture, a version or a release can't be chosen here"
        } else if text.len() < 2 {
            "a package's name has two characters at least"
        } else if text.contains(|c: char| !c.is_ascii_lowercase() && !c.is_ascii_digit() && !"+.-".contains(c)) {
            "a package's name has lower-case letters, digits and `+.-` only"
        } else if !text.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            "a package's name begins with a letter or a digit"
        } else if text.ends_with('-') {
            "apt takes a dash at the end for the wish to remove the package"
        } else {
            return Ok(Self(text.to_owned()));
        };
        Err(Invalid::new(reason, how))
    }
}

string_type!(SysctlKey, PackageName);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn releases() {
        prints::<Suite>(&[("trixie", "trixie"), ("bookworm", "bookworm")]);
        for (text, why) in [
            ("debian-13", "write trixie"),
            ("13", "write trixie"),
            ("debian13", "write trixie"),
            ("Debian 12", "write bookworm"),
            ("12.11", "write bookworm"),
            ("Trixie", "write trixie"),
            ("stable", "another release"),
            ("forky", "doesn't know"),
            ("", "doesn't know"),
        ] {
            refuses::<Suite>(text, why);
        }
    }

    #[test]
    fn settings() {
        for text in ["vm.swappiness", "net.ipv4.conf.br-lan.rp_filter"] {
            prints::<SysctlKey>(&[(text, text)]);
        }
        for (text, why) in [
            ("vm/swappiness", "write vm.swappiness"),
            ("/proc/sys/vm/swappiness", "write vm.swappiness"),
            ("../../etc/passwd", "with dots here"),
            ("swappiness", "no dot"),
            ("vm..swappiness", "nothing before"),
            (".vm", "nothing before"),
            ("-vm.swappiness", "dash in front"),
            ("vm.swappiness=1", "other than"),
            ("vm.\nswappiness", "other than"),
            ("", "no dot"),
        ] {
            refuses::<SysctlKey>(text, why);
        }
    }

    #[test]
    fn packages() {
        for text in ["tcpdump", "g++", "libc6", "0ad", "python3.13"] {
            prints::<PackageName>(&[(text, text)]);
        }
        for (text, why) in [
            ("vim-", "remove"),
            ("--purge", "begins with"),
            ("libc6:amd64", "architecture"),
            ("vim=1", "version"),
            ("vim/sid", "release"),
            ("Vim", "lower-case"),
            ("a", "two characters"),
            ("", "two characters"),
            ("vim emacs", "only"),
            ("./a.deb", "can't be chosen"),
        ] {
            refuses::<PackageName>(text, why);
        }
    }
}
