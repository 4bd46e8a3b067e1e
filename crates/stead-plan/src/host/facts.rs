//! What is observed for the layer `host` alone.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_spec::Bytes;

/// An account.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct User {
    /// Its number.
    pub uid: u32,
    /// Where it is at home.
    pub home: Utf8PathBuf,
    /// Its shell.
    pub shell: String,
    /// The groups that it is in, its own one too.
    pub groups: BTreeSet<String>,
}

/// Swap in use.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Swap {
    /// The device or file, without symbolic links.
    pub path: Utf8PathBuf,
    /// Its size.
    pub size: Bytes,
    /// Whether it lies on dm-crypt.
    pub encrypted: bool,
}
