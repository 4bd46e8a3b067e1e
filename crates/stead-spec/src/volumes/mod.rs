//! Volumes: places for files, on the disks that nodes give them.

mod check;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet};

use crate::file::File;
use crate::units::{DiskId, NodeName, Percent, VolumeName, number};
use table::{NodeDisks, VolumeTable};

pub(crate) use check::check;
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
    /// Several nodes, each with a copy. Which part of which disk belongs together is the planner's to say: it sees what
    /// is there already.
    Replicated {
        /// Full copies of each file. An arbiter goes with two.
        copies: Copies,
        /// How they lie on the disks.
        layout: Layout,
        /// The nodes that keep copies, each with as many disks. Not fewer nodes than copies.
        nodes: Disks,
        /// The nodes that keep names and no contents.
        arbiters: Disks,
    },
    /// Each of these nodes by itself.
    Local(Disks),
}

/// The disks of each of some nodes: never none.
pub type Disks = BTreeMap<NodeName, BTreeSet<DiskId>>;

number! {
    /// How many full copies there are of each file.
    Copies(u8): "a number of copies", 2..=5, "one copy is none, and more than five only cost"
}

impl Volume {
    /// Whether a machine's disk on it can follow the machine to another node.
    pub fn is_shared(&self) -> bool {
        matches!(self.content, Content::Replicated { .. })
    }
}

/// How much is kept free for snapshots unless the file says: a night's changes of busy machines, twice.
const SNAPSHOTS: i64 = 20;

/// How many copies there are unless the file says: of three, two outvote the one that is wrong.
const COPIES: i64 = 3;

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
pub(crate) fn copies(table: &VolumeTable) -> Option<Copies> {
    table.replicas.or(Copies::new(COPIES).ok()?)
}

pub(crate) fn build(file: &File) -> Option<BTreeMap<VolumeName, Volume>> {
    file.volume.entries().map(|(name, table)| build_volume(file, &name.value, &table.value)).collect()
}

fn build_volume(file: &File, name: &VolumeName, table: &VolumeTable) -> Option<(VolumeName, Volume)> {
    let (nodes, arbiters) = given(file, name)?;
    let disks = |given: &[NodeDisks<'_>]| -> Disks {
        let of = |given: &NodeDisks<'_>| given.disks.value.items.iter().map(|disk| disk.value.clone()).collect();
        given.iter().map(|given| (given.name.value.clone(), of(given))).collect()
    };
    let content = match table.kind.value()? {
        Kind::Local => Content::Local(disks(&nodes)),
        Kind::Replicated => Content::Replicated {
            copies: copies(table)?,
            layout: table.layout.or(Layout::Plain)?,
            nodes: disks(&nodes),
            arbiters: disks(&arbiters),
        },
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
