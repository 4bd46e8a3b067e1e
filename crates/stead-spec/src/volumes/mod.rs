//! Volumes: places for files, on the disks that nodes give them.

mod check;
mod replicated;
pub(crate) mod table;

use std::collections::BTreeMap;

use crate::file::File;
use crate::read::At;
use crate::units::{DiskId, NodeName, Percent, VolumeName};
use table::{NodeDisks, VolumeTable};

pub(crate) use check::check;
pub use replicated::{Brick, Copies, ReplicaSet};
pub use table::{Kind, Layout};

/// A place for files.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Volume {
    /// Its name.
    pub name: VolumeName,
    /// What keeps its files.
    pub content: Content,
    /// How much of its disks stays free for snapshots.
    pub snapshots: Percent,
    /// Whether disks are told what is free.
    pub discard: bool,
    /// The name it had before.
    pub was: Option<VolumeName>,
}

/// What keeps a volume's files.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Content {
    /// Sets of bricks, each with the same files on several nodes.
    Replicated {
        /// Full copies of each file.
        copies: Copies,
        /// How a new volume of these disks is laid out. Never empty; the bricks of a set are on different nodes.
        sets: Vec<ReplicaSet>,
        /// What `sets` follow.
        layout: Layout,
    },
    /// Each of these nodes by itself, on these disks. Neither is ever empty.
    Local(BTreeMap<NodeName, Vec<DiskId>>),
}

impl Volume {
    /// Whether a machine's disk on it can follow the machine to another node.
    pub fn is_shared(&self) -> bool {
        matches!(self.content, Content::Replicated { .. })
    }
}

/// How much is kept free for snapshots unless the file says: a night's changes of busy machines, twice.
const SNAPSHOTS: i64 = 20;

/// The disks that nodes give to a volume: those of ordinary nodes, and of arbiters.
pub(crate) fn given<'f>(file: &'f File, volume: &VolumeName) -> Option<(Vec<NodeDisks<'f>>, Vec<NodeDisks<'f>>)> {
    let mut given = Vec::new();
    for (name, node) in file.node.entries() {
        let arbiter = node.value.arbiter.or(false)?;
        let number = crate::host::node_number(&name.value, &node.value);
        if let Some((_, disks)) = node.value.disks.find(volume) {
            given.push((number, arbiter, NodeDisks { name, disks }));
        }
    }
    given.sort_by_key(|(number, ..)| *number);
    let (arbiters, nodes): (Vec<_>, Vec<_>) = given.into_iter().partition(|(_, arbiter, _)| *arbiter);
    let strip = |given: Vec<(_, bool, NodeDisks<'f>)>| given.into_iter().map(|(.., disks)| disks).collect();
    Some((strip(nodes), strip(arbiters)))
}

/// How many copies a replicated volume has.
pub(crate) fn copies(table: &VolumeTable, arbiters: &[NodeDisks<'_>]) -> Option<Copies> {
    table.replicas.or(Copies::new(if arbiters.is_empty() { 3 } else { 2 }).ok()?)
}

pub(crate) fn build(file: &File) -> Option<BTreeMap<VolumeName, Volume>> {
    file.volume.entries().map(|(name, table)| build_volume(file, &name.value, &table.value)).collect()
}

fn build_volume(file: &File, name: &VolumeName, table: &VolumeTable) -> Option<(VolumeName, Volume)> {
    let (nodes, arbiters) = given(file, name)?;
    let listed = |disks: &[NodeDisks<'_>]| -> Vec<(NodeName, Vec<DiskId>)> {
        let of = |at: &NodeDisks<'_>| at.disks.value.items.iter().map(|disk: &At<DiskId>| disk.value.clone()).collect();
        disks.iter().map(|at| (at.name.value.clone(), of(at))).collect()
    };
    let content = match table.kind.value()? {
        Kind::Local => Content::Local(listed(&nodes).into_iter().collect()),
        Kind::Replicated => {
            let (copies, layout) = (copies(table, &arbiters)?, table.layout.or(Layout::Plain)?);
            let sets = match layout {
                Layout::Plain => replicated::plain(&listed(&nodes), copies.get().into()),
                Layout::Chained => replicated::chained(&listed(&nodes), copies.get().into()),
            };
            Content::Replicated { copies, sets: replicated::arbitrated(sets, &listed(&arbiters)), layout }
        }
    };
    let volume = Volume {
        name: name.clone(),
        content,
        snapshots: table.snapshots.or(format!("{SNAPSHOTS}%").parse().ok()?)?,
        discard: table.discard.or(true)?,
        was: table.was.maybe()?,
    };
    Some((name.clone(), volume))
}
