//! What secrets are called, and what kinds there are.

use std::fmt;
use std::str::FromStr;

/// A secret's name: words with `/` between, such as `ca/machines` or `disk/node1/ata-EXAMPLE_SSD_1TB_S1`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct SecretName(String);

/// What a secret is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Kind {
    /// The private key of a certificate authority, in PEM.
    CaKey,
    /// What opens a disk when nothing else does.
    DiskKey,
    /// What opens a backup's repository.
    BackupKey,
    /// What a program or a person logs in with.
    Password,
    /// A node's certificate with its key, as its file is.
    Certificate,
}

/// A text that is no secret's name.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is no secret's name: it wants letters, digits, `.`, `_`, `:` and `-`, in words with `/` between")]
pub struct BadName(String);

/// Longer than any that stead makes: a kind, two names of 63 and a disk's id.
const LONGEST: usize = 300;

impl SecretName {
    /// The key of a CA.
    pub(super) fn of_ca(purpose: &'static str) -> Self {
        Self(format!("ca/{purpose}"))
    }

    /// The name of this one once another has taken its place.
    #[must_use]
    pub fn previous(&self) -> Self {
        Self(format!("{}/previous", self.0))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for SecretName {
    type Err = BadName;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let plain = |c: char| c.is_ascii_alphanumeric() || ".:_-".contains(c);
        let word = |word: &str| word.starts_with(|c: char| c.is_ascii_alphanumeric()) && word.chars().all(plain);
        if text.len() <= LONGEST && text.split('/').all(word) {
            Ok(Self(text.to_owned()))
        } else {
            Err(BadName(text.chars().take(LONGEST).collect()))
        }
    }
}

impl fmt::Display for SecretName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl Kind {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::CaKey, Self::DiskKey, Self::BackupKey, Self::Password, Self::Certificate];

    /// As it stands in the file and in JSON.
    pub const fn word(self) -> &'static str {
        match self {
            Self::CaKey => "ca-key",
            Self::DiskKey => "disk-key",
            Self::BackupKey => "backup-key",
            Self::Password => "password",
            Self::Certificate => "certificate",
        }
    }
}

impl fmt::Display for Kind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Kind {
    type Err = ();

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::ALL.into_iter().find(|kind| kind.word() == text).ok_or(())
    }
}
