use std::fmt;
use std::str::FromStr;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use sha2::Digest as _;
use stead_spec::units::Sha256;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum FileState {
    /// Nothing.
    Absent,
    /// A file.
    File(File),
    /// A symbolic link to this.
    Link(Utf8PathBuf),
    /// A folder.
    Folder {
        /// Permissions.
        mode: Mode,
        /// `USER:GROUP`.
        owner: String,
    },
    /// A device, a socket or the like.
    Other,
}

/// The sum of a content, as [`File::sha256`] has it.
pub fn sha256(content: impl AsRef<[u8]>) -> Sha256 {
    <[u8; 32]>::from(sha2::Sha256::digest(content)).into()
}

/// A file.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct File {
    /// Permissions.
    pub mode: Mode,
    /// `USER:GROUP`; numbers where they have no name.
    pub owner: String,
    /// Of the whole content; where the question named its secrets, of [`masked`](crate::secret::masked) content.
    pub sha256: Sha256,
    /// The content, where it is text of at most 64 KiB and readable by everybody, or its secrets are masked: what others
    /// may not read travels nowhere.
    pub text: Option<String>,
}

/// Permissions: the lowest twelve bits, written in octal: `0644`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Mode(pub u16);

impl fmt::Display for Mode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:04o}", self.0)
    }
}

impl FromStr for Mode {
    type Err = std::num::ParseIntError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        u16::from_str_radix(text, 8).map(Self)
    }
}

impl Serialize for Mode {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for Mode {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}
