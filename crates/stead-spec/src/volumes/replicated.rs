//! How the copies of a replicated volume lie on disks.

use crate::units::{DiskId, NodeName, number};

number! {
    /// How many full copies there are of each file.
    Copies(u8): "a number of copies", 2..=5, "one copy is none, and more than five only cost"
}

/// A part of a volume on one disk.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct Brick {
    /// Where.
    pub node: NodeName,
    /// On which of its disks.
    pub disk: DiskId,
    /// Which of the bricks on that disk, from 0: a disk of a chained layout, or of an arbiter, has several.
    pub part: usize,
    /// Holds names and no contents.
    pub arbiter: bool,
}

/// The bricks that hold the same files: each on another node.
pub type ReplicaSet = Vec<Brick>;

/// The disks that each node gives, in the order of the nodes' numbers; each as many.
pub(crate) type Disks = Vec<(NodeName, Vec<DiskId>)>;

fn brick(node: &NodeName, disk: &DiskId, part: usize, arbiter: bool) -> Brick {
    Brick { node: node.clone(), disk: disk.clone(), part, arbiter }
}

/// One brick a disk: the first disk of each node, then the second of each, cut into sets. Neighbours in that order are
/// on different nodes, and a further disk a node only adds sets at the end.
pub(crate) fn plain(disks: &Disks, copies: usize) -> Vec<ReplicaSet> {
    let most = disks.iter().map(|(_, disks)| disks.len()).max().unwrap_or_default();
    let rounds = (0..most).flat_map(|round| {
        disks.iter().filter_map(move |(node, disks)| disks.get(round).map(|disk| brick(node, disk, 0, false)))
    });
    rounds.collect::<Vec<_>>().chunks(copies).map(<[Brick]>::to_vec).collect()
}

/// As many bricks a disk as copies: a set starts at each node and goes on over its neighbours, round the circle.
pub(crate) fn chained(disks: &Disks, copies: usize) -> Vec<ReplicaSet> {
    let most = disks.iter().map(|(_, disks)| disks.len()).max().unwrap_or_default();
    let set = |round: usize, start: usize| {
        let of = |part: usize| {
            let (node, disks) = disks.iter().cycle().nth(start + part)?;
            disks.get(round).map(|disk| brick(node, disk, part, false))
        };
        (0..copies).filter_map(of).collect()
    };
    (0..most)
        .flat_map(|round| (0..disks.len()).map(move |start| (round, start)))
        .map(|(round, start)| set(round, start))
        .collect()
}

/// Each set gets one more brick on an arbiter, in turn over the arbiters' disks.
pub(crate) fn arbitrated(sets: Vec<ReplicaSet>, arbiters: &Disks) -> Vec<ReplicaSet> {
    let all: Vec<_> = arbiters.iter().flat_map(|(node, disks)| disks.iter().map(move |disk| (node, disk))).collect();
    if all.is_empty() {
        return sets;
    }
    let with = |(index, mut set): (usize, ReplicaSet)| {
        let (node, disk) = all[index % all.len()];
        set.push(brick(node, disk, index / all.len(), true));
        set
    };
    sets.into_iter().enumerate().map(with).collect()
}
