//! Which disks make which volume: bricks, sets of bricks that have the same files, and what all of that is called.

use stead_spec::Spec;
use stead_spec::disks::DiskUse;
use stead_spec::host::Node;
use stead_spec::units::NodeName;
use stead_spec::volumes::{Content, Layout, Volume};

use crate::disks::DataDisk;

/// Where volumes are mounted.
const ROOT: &str = "/srv";

/// Where the file systems are that bricks lie on, each by its disk's name.
const BRICKS: &str = "/srv/bricks";

/// A disk of a node for a volume.
#[derive(Clone, Debug)]
pub(crate) struct Share<'a> {
    pub(crate) node: &'a Node,
    pub(crate) volume: &'a Volume,
    pub(crate) data: DataDisk<'a>,
    /// Which brick on that disk: an arbiter's, which keeps names only, has one for each set. From 0.
    pub(crate) part: usize,
}

/// Where a volume's files are, on each node that has it mounted.
pub(crate) fn place(volume: &Volume) -> String {
    format!("{ROOT}/{}", volume.name)
}

/// systemd's name for what is mounted there.
pub(crate) fn mount_unit(path: &str) -> String {
    format!("{}.mount", path.trim_start_matches('/').replace('-', r"\x2d").replace('/', "-"))
}

impl<'a> Share<'a> {
    /// The disks of a node that are for volumes.
    pub(crate) fn of(spec: &'a Spec, node: &'a Node) -> Vec<Self> {
        let share = |data: DataDisk<'a>| match data.usage {
            DiskUse::Volume(name) => Some(Self { node, volume: spec.volumes().get(name)?, data, part: 0 }),
            DiskUse::Vault => None,
        };
        DataDisk::all(spec.cluster().id, node).into_iter().filter_map(share).collect()
    }

    pub(crate) fn is_brick(&self) -> bool {
        self.volume.is_shared()
    }

    /// Whether it keeps names only.
    pub(crate) fn is_arbiter(&self) -> bool {
        matches!(&self.volume.content, Content::Replicated { arbiters, .. } if arbiters.contains_key(&self.node.name))
    }

    /// The logical volume.
    pub(crate) fn name(&self) -> &'static str {
        if self.is_brick() { "brick" } else { "files" }
    }

    /// Where its file system is mounted.
    pub(crate) fn place(&self) -> String {
        if self.is_brick() { format!("{BRICKS}/{}", self.data.name) } else { place(self.volume) }
    }

    /// The brick: a folder *in* what is mounted, so that it isn't there while that isn't. To start a volume by force gives
    /// its sign to any brick's folder that is there, be it one on the OS disk.
    pub(crate) fn folder(&self) -> String {
        match self.part {
            0 => format!("{}/brick", self.place()),
            part => format!("{}/brick{}", self.place(), part + 1),
        }
    }

    /// What it is called in its pool.
    pub(crate) fn address(&self) -> String {
        format!("{}:{}", host(&self.node.name), self.folder())
    }

    /// The step that makes it.
    pub(crate) fn step(&self) -> String {
        format!("{}.{}", self.name(), self.data.name)
    }
}

/// The name by which a node is known in its pool: it is in every node's /etc/hosts.
pub(crate) fn host(node: &NodeName) -> String {
    format!("{node}.core")
}

/// The nodes of the pool: those that have a vault for their key. Empty if no volume needs one.
pub(crate) fn members(spec: &Spec) -> Vec<&Node> {
    if !spec.volumes().values().any(Volume::is_shared) {
        return Vec::new();
    }
    let mut nodes: Vec<&Node> = spec.trusted_nodes().filter(|node| !node.disks.is_empty()).collect();
    nodes.sort_by_key(|node| node.number);
    nodes
}

/// A replicated volume's bricks in the order of its sets: neighbours' disks in a row, so that no two of a set are on one
/// node.
///
/// # Errors
/// Why stead can't lay it out.
pub(crate) fn sets<'a>(spec: &'a Spec, volume: &'a Volume) -> Result<Vec<Vec<Share<'a>>>, &'static str> {
    let Content::Replicated { copies, layout, nodes, arbiters } = &volume.content else { return Ok(Vec::new()) };
    if *layout == Layout::Chained {
        return Err("a chained layout comes with a later stead");
    }
    let rows = |names: Vec<&NodeName>| -> Vec<Vec<Share<'a>>> {
        let mut of: Vec<&Node> = names.into_iter().filter_map(|name| spec.nodes().get(name)).collect();
        of.sort_by_key(|node| node.number);
        let mine = |node: &&'a Node| -> Vec<Share<'a>> {
            Share::of(spec, node).into_iter().filter(|share| share.volume.name == volume.name).collect()
        };
        of.iter().map(mine).collect()
    };
    let across = |rows: Vec<Vec<Share<'a>>>| -> Vec<Share<'a>> {
        let most = rows.iter().map(Vec::len).max().unwrap_or_default();
        (0..most).flat_map(|at| rows.iter().filter_map(move |row| row.get(at).cloned()).collect::<Vec<_>>()).collect()
    };
    let mut bricks = across(rows(nodes.keys().collect())).into_iter();
    let arbiters = across(rows(arbiters.keys().collect()));
    let mut sets = Vec::new();
    while bricks.len() > 0 {
        let mut set: Vec<_> = bricks.by_ref().take(usize::from(copies.get())).collect();
        if !arbiters.is_empty() {
            let arbiter = arbiters[sets.len() % arbiters.len()].clone();
            set.push(Share { part: sets.len() / arbiters.len(), ..arbiter });
        }
        sets.push(set);
    }
    Ok(sets)
}

/// The bricks on this disk.
pub(crate) fn bricks_on<'a>(spec: &'a Spec, share: &Share<'a>) -> Vec<Share<'a>> {
    let sets = sets(spec, share.volume).unwrap_or_default();
    sets.into_iter().flatten().filter(|brick| brick.data.uuid == share.data.uuid).collect()
}
