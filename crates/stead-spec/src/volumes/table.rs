use crate::read::{At, List, table, words};
use crate::units::{DiskId, NodeName, Percent, VolumeName};

use super::Copies;

words! {
    /// What keeps a volume's files.
    pub enum Kind: "a kind of volume" {
        /// Several nodes, each with a copy: machines on it survive a node and can move.
        Replicated = "replicated",
        /// Each node by itself: raw speed, for what replicates by itself.
        Local = "local",
    }
}

words! {
    /// How the copies lie on the nodes' disks.
    pub enum Layout: "a layout" {
        /// A disk is in one set of copies.
        Plain = "plain",
        /// A disk is cut into as many parts as there are copies, and each part is in a set with parts of the
        /// neighbours' disks: for numbers of nodes that the number of copies doesn't divide, such as 4 or 5.
        Chained = "chained",
    }
}

table! {
    /// A place for files, on the disks that nodes give it.
    pub(crate) struct VolumeTable {
        /// `"replicated"` or `"local"`.
        need kind: Kind,
        /// How many full copies there are of each file of a replicated volume. Two need an arbiter among its nodes.
        /// Default: 3.
        may replicas: Copies,
        /// How the copies of a replicated volume lie on the nodes' disks. Default: `"plain"`.
        may layout: Layout,
        /// How much of the disks stays free for snapshots. Default: `20%`.
        may snapshots: Percent,
        /// Whether the disks are told what is free. SSDs stay fast by it and thin pools shrink; a thief can see how much
        /// is used. Default: `true`.
        may discard: bool,
        /// The name it had before, when it is given another one.
        may was: VolumeName,
    }
}

/// The disks that one node gives to a volume.
pub(crate) struct NodeDisks<'f> {
    pub(crate) name: &'f At<NodeName>,
    pub(crate) disks: &'f At<List<DiskId>>,
}
