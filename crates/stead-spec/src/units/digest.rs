use std::fmt;
use std::str::FromStr;

use uuid::Uuid;

use super::{Invalid, Text, string_type, text_serde};

/// A SHA-256 sum: 64 hexadecimal digits, printed in lower case.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Sha256(String);

impl Text for Sha256 {
    const WHAT: &'static str = "a SHA-256 sum";
    const SYNTAX: &'static str = "64 hexadecimal digits, as `sha256sum` prints them.";
    const EXAMPLE: &'static str = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855";
    const PATTERN: &'static str = "^[0-9A-Fa-f]{64}$";
}

impl FromStr for Sha256 {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write the 64 hexadecimal digits that `sha256sum` prints for the file";
        if let Some(sum) = text.strip_prefix("sha256:") {
            return Err(Invalid::new(
                "that it is a SHA-256 sum is known here",
                sum.parse::<Self>().map_or_else(|wrong| wrong.remedy, |sum| format!("write {sum}")),
            ));
        }
        if !text.bytes().all(|b| b.is_ascii_hexdigit()) {
            return Err(Invalid::new("it has characters that are no hexadecimal digits", how));
        }
        let other = match text.len() {
            64 => return Ok(Self(text.to_ascii_lowercase())),
            32 => "as an MD5 sum has",
            40 => "as a SHA-1 sum has",
            128 => "as a SHA-512 sum has",
            _ => "and a SHA-256 sum has 64",
        };
        Err(Invalid::new(format!("it has {} digits, {other}", text.len()), how))
    }
}

/// The thumbprint of tang's signing key: `tang-show-keys` prints it.
///
/// A JSON Web Key's thumbprint (RFC 7638) by SHA-256, 43 characters, or by SHA-1, 27, in base64url without padding; the
/// bits that the last character has to spare are zero.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Thumbprint(String);

const BY_SHA256: usize = 43;
const BY_SHA1: usize = 27;
/// The characters of base64url whose two lowest bits are zero.
const LAST: &str = "AEIMQUYcgkosw048";

impl Thumbprint {
    /// Whether it is by SHA-256, and not by SHA-1.
    pub const fn is_sha256(&self) -> bool {
        self.0.len() == BY_SHA256
    }
}

impl Text for Thumbprint {
    const WHAT: &'static str = "a tang key's thumbprint";
    const SYNTAX: &'static str = "43 characters of base64url, as `tang-show-keys` prints them; 27 for SHA-1.";
    const EXAMPLE: &'static str = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    const PATTERN: &'static str = "^([A-Za-z0-9_-]{42}|[A-Za-z0-9_-]{26})[AEIMQUYcgkosw048]$";
}

impl FromStr for Thumbprint {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write what `tang-show-keys` prints on the tang server";
        if text.ends_with('=') {
            return Err(Invalid::new("it is padded", "leave each `=` at the end out"));
        }
        if text.contains(['+', '/']) {
            return Err(Invalid::new("it is plain base64", "write `-` for each `+`, and `_` for each `/`"));
        }
        if !text.bytes().all(|b| b.is_ascii_alphanumeric() || b == b'-' || b == b'_') {
            return Err(Invalid::new("it has characters that base64url doesn't", how));
        }
        if text.len() != BY_SHA256 && text.len() != BY_SHA1 {
            let reason = format!("it has {} characters, and a thumbprint has {BY_SHA256} or {BY_SHA1}", text.len());
            return Err(Invalid::new(reason, how));
        }
        if !text.ends_with(|c| LAST.contains(c)) {
            return Err(Invalid::new("no thumbprint ends like that, so that a character of it is wrong", how));
        }
        Ok(Self(text.to_owned()))
    }
}

string_type!(Sha256, Thumbprint);

/// A sum as it is computed.
impl From<[u8; 32]> for Sha256 {
    fn from(sum: [u8; 32]) -> Self {
        use std::fmt::Write as _;
        Self(sum.iter().fold(String::with_capacity(64), |mut digits, byte| {
            let _ = write!(digits, "{byte:02x}");
            digits
        }))
    }
}

/// What tells this cluster from every other: a UUID with its dashes, printed in lower case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ClusterId(Uuid);

impl ClusterId {
    /// The cluster of that UUID, unless it is the one of zeros.
    pub fn new(uuid: Uuid) -> Result<Self, Invalid> {
        if uuid.is_nil() {
            return Err(Invalid::new("the UUID of zeros tells nothing apart", MAKE));
        }
        Ok(Self(uuid))
    }

    /// The UUID.
    pub const fn uuid(self) -> Uuid {
        self.0
    }
}

const MAKE: &str = "write one that `uuidgen` makes, once and for all";
const HYPHENATED: usize = 36;

impl Text for ClusterId {
    const WHAT: &'static str = "a cluster's UUID";
    const SYNTAX: &'static str = "A UUID: 32 hexadecimal digits in groups of 8, 4, 4, 4 and 12 with dashes between.";
    const EXAMPLE: &'static str = "2f1cbd5e-6c0f-4a53-9d0a-4d6c6f0e7b11";
    const PATTERN: &'static str = "^[0-9A-Fa-f]{8}(-[0-9A-Fa-f]{4}){3}-[0-9A-Fa-f]{12}$";
}

impl FromStr for ClusterId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let uuid = Uuid::try_parse(text).map_err(|_| Invalid::new("that is no UUID", MAKE))?;
        if text.len() != HYPHENATED {
            return Err(Invalid::new("a UUID is written in five groups here", format!("write {uuid}")));
        }
        Self::new(uuid)
    }
}

impl fmt::Display for ClusterId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.as_hyphenated().fmt(f)
    }
}

/// The token by which one agrees to what `stead plan` says it wipes: `"3f9a-0c51-77de-b204"`.
///
/// 16 hexadecimal digits; read with dashes or without, in either case.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WipeToken(u64);

impl WipeToken {
    /// The token that has these bits.
    pub const fn new(bits: u64) -> Self {
        Self(bits)
    }

    /// Its 64 bits.
    pub const fn get(self) -> u64 {
        self.0
    }
}

impl Text for WipeToken {
    const WHAT: &'static str = "a token to wipe disks";
    const SYNTAX: &'static str = "16 hexadecimal digits in four groups with dashes between.";
    const EXAMPLE: &'static str = "3f9a-0c51-77de-b204";
    const PATTERN: &'static str = "^[0-9A-Fa-f]{16}$|^[0-9A-Fa-f]{4}(-[0-9A-Fa-f]{4}){3}$";
}

impl FromStr for WipeToken {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let groups = text.split('-').count() == 4 && text.split('-').all(|group| group.len() == 4);
        let bare = text.replace('-', "");
        let hex = bare.len() == 16 && bare.bytes().all(|b| b.is_ascii_hexdigit());
        let token = if hex && (groups || bare == text) { u64::from_str_radix(&bare, 16).ok() } else { None };
        token.map(Self).ok_or_else(|| {
            Invalid::new("that isn't 16 hexadecimal digits in four groups", "write the token that `stead plan` prints")
        })
    }
}

impl fmt::Display for WipeToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for shift in [48, 32, 16, 0] {
            write!(f, "{:04x}{}", (self.0 >> shift) & 0xffff, if shift == 0 { "" } else { "-" })?;
        }
        Ok(())
    }
}

text_serde!(ClusterId, WipeToken);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn sums() {
        let sum = Sha256::EXAMPLE;
        prints::<Sha256>(&[(sum, sum), (&sum.to_uppercase(), sum)]);
        refuses::<Sha256>(&format!("sha256:{sum}"), &format!("write {sum}"));
        refuses::<Sha256>(&format!("{sum}  disk.img"), "no hexadecimal digits");
        refuses::<Sha256>(&sum[..40], "SHA-1");
        refuses::<Sha256>(&sum.repeat(2), "SHA-512");
        refuses::<Sha256>("", "0 digits");
    }

    #[test]
    fn thumbprints() {
        let print = Thumbprint::EXAMPLE;
        prints::<Thumbprint>(&[(print, print), ("kWwirxc5PhkFIH0yE28nc-EvjDY", "kWwirxc5PhkFIH0yE28nc-EvjDY")]);
        refuses::<Thumbprint>(&format!("{print}="), "leave each `=`");
        refuses::<Thumbprint>(&print.replace('-', "+"), "plain base64");
        refuses::<Thumbprint>(&print[1..], "42 characters");
        refuses::<Thumbprint>(&print.replace("9Xs", "9Xt"), "ends like that");
        refuses::<Thumbprint>(&print.replace('N', "é"), "characters that base64url doesn't");
        refuses::<Thumbprint>("", "0 characters");
    }

    #[test]
    fn ids() {
        let id = ClusterId::EXAMPLE;
        prints::<ClusterId>(&[(id, id), (&id.to_uppercase(), id)]);
        for (text, why) in [
            ("2f1cbd5e6c0f4a539d0a4d6c6f0e7b11", id),
            ("{2f1cbd5e-6c0f-4a53-9d0a-4d6c6f0e7b11}", id),
            ("urn:uuid:2f1cbd5e-6c0f-4a53-9d0a-4d6c6f0e7b11", id),
            ("00000000-0000-0000-0000-000000000000", "UUID of zeros"),
            ("home", "no UUID"),
            ("", "no UUID"),
        ] {
            refuses::<ClusterId>(text, why);
        }
    }

    #[test]
    fn tokens() {
        let token = WipeToken::EXAMPLE;
        prints::<WipeToken>(&[
            (token, token),
            ("3F9A0C5177DEB204", token),
            ("0000-0000-0000-0001", "0000-0000-0000-0001"),
        ]);
        for text in ["", "3f9a-0c51-77de", "3f9-a0c51-77de-b204", "3f9a-0c51-77de-b20g", "3f9a-0c51-77de-b2040", "----"]
        {
            refuses::<WipeToken>(text, "`stead plan`");
        }
    }
}
