//! Whose node it is, and which cluster file was applied last.

use serde::{Deserialize, Serialize};
use stead_spec::units::{ClusterId, NodeName, Sha256};

use crate::inventory::Timestamp;

/// What says on a node whose it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Stamp {
    /// The cluster.
    pub cluster: ClusterId,
    /// Which of its nodes this is.
    pub node: NodeName,
}

/// A cluster file that was applied, as nodes keep it together with the sealed secrets.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Generation {
    /// Counts up by one.
    pub number: u64,
    /// Of the cluster file and the sealed secrets.
    pub digest: Sha256,
    /// When it was applied.
    pub at: Timestamp,
    /// By whom: `me@laptop`.
    pub by: String,
    /// The stead that applied it.
    pub stead: String,
    /// What an older stead would not understand: it refuses a larger one than [`FORMAT`].
    pub format: u32,
}

/// What this stead writes on nodes.
pub const FORMAT: u32 = 1;

/// A generation that a cluster file descends from, as the admin's copy remembers it in `stead.secrets`.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ancestor {
    /// Its number.
    pub number: u64,
    /// Its digest.
    pub digest: Sha256,
}

impl Ancestor {
    /// Whether it is this generation.
    pub fn is(&self, generation: &Generation) -> bool {
        self.number == generation.number && self.digest == generation.digest
    }
}
