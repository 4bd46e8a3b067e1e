//! The layer `volumes`: places for files on the disks that nodes give them.
//!
//! ```text
//! disk's volume group ── thin pool ── brick (XFS, /srv/bricks/DISK) ── a folder in it ──┐   on each node
//!                             │                                                          ├── volume, mounted at /srv/NAME
//!                             ├── files (XFS, /srv/NAME): a local volume                 │   on each node
//!                             └── (snapshots; disks of machines: the layer `machines`)   ┘
//! ```
//!
//! What is known of the engine, GlusterFS, is in folders of this name alone. Others ask for capabilities: [`path`] is where
//! a volume's files are.
//!
//! On each node: [`files`] (file systems), [`daemon`] (its certificate, and that it runs). Then one node for all, the
//! *leader*: [`daemon::pool`], [`replicated`]. Then each node again: [`mounts`].

mod daemon;
mod empty_bricks;
mod facts;
mod files;
pub(crate) mod layout;
pub(crate) mod mounts;
mod options;
mod replicated;

use std::collections::BTreeSet;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::volumes::Volume;

use crate::held::Held;
use crate::inventory::{Activity, NodeInventory, Questions};
use crate::op::{Command, Program};
use crate::plan::planner::{Hidden, Planned, Planner, look};
use crate::secret::certificate;
use crate::step::{Layer, StepId};
use layout::{Share, bricks_on, members};

pub(crate) use layout::place;

pub use facts::{Brick, Daemon, INTERNAL, Knows, Peer, ROOT, Replicated, Standing, Storage, Written};

/// A restart of a brick makes its copies heal: with a second node's at the same time, nothing would be writable. The
/// libraries are of exactly the daemon's version.
pub(crate) const HELD: Held = Held {
    packages: &[
        "glusterfs-cli",
        "glusterfs-client",
        "glusterfs-common",
        "glusterfs-server",
        "libgfapi0",
        "libgfchangelog0",
        "libgfrpc0",
        "libgfxdr0",
        "libglusterd0",
        "libglusterfs0",
    ],
    units: &["glusterd.service", "glustereventsd.service"],
};

/// Where this layer writes, beside where all do.
pub(crate) const PLACES: [&str; 3] = ["/srv", "/usr/lib/ssl", STATE];

/// What the daemon knows: files that it takes no comment in.
pub(crate) const STATE: &str = "/var/lib/glusterd";

/// The step that has the daemons know each other.
const POOL: &str = "pool";

/// The certificates that nodes want for this layer, by their names among the sealed secrets.
pub(crate) fn secrets(spec: &Spec) -> Vec<String> {
    members(spec).iter().map(|node| certificate(daemon::PURPOSE, &node.name)).collect()
}

/// What a node needs for this layer.
pub(crate) fn packages(spec: &Spec, node: &Node) -> Vec<&'static str> {
    let mut packages = Vec::new();
    if !Share::of(spec, node).is_empty() {
        packages.extend(["dmeventd", "procps", "xfsprogs"]);
    }
    if is_member(spec, node) {
        packages.extend(["glusterfs-client", "glusterfs-server"]);
    }
    packages
}

fn is_member(spec: &Spec, node: &Node) -> bool {
    members(spec).iter().any(|member| member.name == node.name)
}

/// What a node must be asked for this layer.
pub(crate) fn questions(spec: &Spec, node: &Node, out: &mut Questions) {
    let shares = Share::of(spec, node);
    if !shares.is_empty() {
        files::questions(&shares, out);
    }
    let bricks = shares.iter().filter(|share| share.is_brick()).flat_map(|share| bricks_on(spec, share));
    out.bricks.extend(bricks.map(|brick| brick.folder().into()));
    if is_member(spec, node) {
        daemon::questions(out);
        for volume in replicated_of(spec) {
            mounts::questions(volume, &shares, out);
        }
    }
}

/// The units that mount the volumes that all nodes share.
pub(crate) fn shared_mounts(spec: &Spec) -> impl Iterator<Item = String> {
    replicated_of(spec).map(mounts::unit)
}

/// Whether a volume's files can be looked at on a node.
pub(crate) fn is_mounted(seen: &NodeInventory, volume: &Volume) -> bool {
    let unit = if volume.is_shared() { mounts::unit(volume) } else { layout::mount_unit(&place(volume)) };
    look(seen, &unit).is_ok_and(|unit| unit.activity == Activity::Active)
}

/// The steps after which files can be made on a volume, on a node.
pub(crate) fn steps(spec: &Spec, node: &Node, volume: &Volume) -> Vec<StepId> {
    let id = |node: &Node, what: String| StepId { layer: Layer::Volumes, node: node.name.clone(), what };
    let shares = Share::of(spec, node);
    let shares = shares.iter().filter(|share| share.volume.name == volume.name);
    let mut steps: Vec<StepId> = shares.map(|share| id(node, share.step())).collect();
    steps.push(id(node, mounts::step(volume)));
    steps.extend(members(spec).into_iter().map(|member| id(member, mounts::folders_step(volume))));
    steps
}

fn replicated_of(spec: &Spec) -> impl Iterator<Item = &Volume> {
    spec.volumes().values().filter(|volume| volume.is_shared())
}

/// The steps of this layer on all nodes.
pub(crate) fn plan(planner: &mut Planner<'_>) {
    let (spec, nodes) = (planner.spec, planner.nodes());
    // Nothing of a plan with a refusal is done: what follows from it needn't be told.
    if !planner.plan.refusals.is_empty() {
        return;
    }
    let mut before = None;
    for &of in &nodes {
        let shares = Share::of(spec, of.node);
        let mut node = planner.on(Layer::Volumes, of);
        if !shares.is_empty() {
            node.concern("what mounts its volumes", |node| files::mounting(node, &shares));
        }
        for share in &shares {
            node.concern(&format!("{} on {}", share.volume.name, share.data.id), |node| files::files(node, share));
        }
        if is_member(spec, of.node) {
            node.concern("the certificate of its storage", daemon::tls);
            node.concern("its storage daemon", |node| daemon::daemon(node, &nodes, before));
            before = Some(&of.node.name);
        }
    }
    let members: Vec<Planned<'_>> = nodes.iter().filter(|of| is_member(spec, of.node)).copied().collect();
    let Some(leader) = leader(&members) else { return };
    let mut node = planner.on(Layer::Volumes, leader);
    node.concern("the pool of its storage daemons", |node| daemon::pool(node, &members));
    for volume in replicated_of(spec) {
        let now = leader.seen.storage.knows().and_then(|knows| knows.volumes.get(volume.name.as_ref()));
        if let Some(now) = now {
            empty_bricks::revive(planner, volume, &members, now);
        }
        let mut node = planner.on(Layer::Volumes, leader);
        node.concern(&format!("volume {}", volume.name), |node| {
            let knows = knows(node.seen)?.unwrap_or_default();
            replicated::volume(node, volume, &members, &knows)
        });
        replicated::records(planner, volume, &members, &leader);
        for member in &members {
            let shares = Share::of(spec, member.node);
            let mut node = planner.on(Layer::Volumes, *member);
            let concern = format!("where {} is mounted", volume.name);
            node.concern(&concern, |node| mounts::mount(node, volume, &shares, &leader));
        }
        let first = members
            .iter()
            .find(|member| Share::of(spec, member.node).iter().any(|share| share.volume.name == volume.name));
        if let Some(first) = first {
            let shares = Share::of(spec, first.node);
            let mut node = planner.on(Layer::Volumes, *first);
            node.concern(&format!("the folders of {}", volume.name), |node| mounts::folders(node, volume, &shares));
        }
    }
    leftovers(planner, leader);
}

/// Volumes of this cluster that the file leaves out.
fn leftovers<'a>(planner: &mut Planner<'a>, of: Planned<'a>) {
    let asked: BTreeSet<&str> = planner.spec.volumes().keys().map(AsRef::as_ref).collect();
    let cluster = planner.spec.cluster().id.to_string();
    let Some(knows) = of.seen.storage.knows() else { return };
    let mut node = planner.on(Layer::Volumes, of);
    for (name, volume) in &knows.volumes {
        if !asked.contains(name.as_str()) && volume.options.get(options::MARK) == Some(&cluster) {
            let remove = format!("gluster volume stop {name} && gluster volume delete {name}");
            node.leftover(format!("the volume {name}"), remove);
        }
    }
}

/// The node that speaks for all: the one whose daemon knows most others. Where there is no pool yet, one of the oldest
/// release: a pool speaks the newest protocol (`op-version`) of the node that makes it, so one made by a newer daemon can't
/// take an older one in ("does not support required op-version"; gluster 11.1 probing 10.3), while a newer daemon without
/// volumes goes down to an older pool's.
fn leader<'a>(members: &[Planned<'a>]) -> Option<Planned<'a>> {
    let rank = |member: &&Planned<'_>| {
        let peers = member.seen.storage.knows().into_iter().flat_map(|knows| knows.peers.values());
        let peers = peers.filter(|peer| matches!(peer.standing, Standing::Connected | Standing::Away)).count();
        (std::cmp::Reverse(peers), member.suite, member.place)
    };
    members.iter().min_by_key(rank).copied()
}

/// What a node's daemon knows; `None` if it is new, and knows nothing.
fn knows(seen: &NodeInventory) -> Result<Option<Knows>, Hidden> {
    let hidden = |why: &str| Hidden::new("what its storage daemon knows", why);
    match seen.storage.daemon.as_result().map_err(hidden)? {
        Daemon::New => Ok(None),
        Daemon::Stopped => Err(hidden("it doesn't run")),
        Daemon::Runs(knows) => Ok(Some(knows.clone())),
    }
}

/// What a node tells of a brick of its own; `None` if it isn't there.
fn brick<'s>(seen: &'s NodeInventory, brick: &Share<'_>) -> Result<Option<&'s Brick>, Hidden> {
    let folder = brick.folder();
    seen.storage.brick(&folder).map_err(|why| Hidden::new(folder, why))
}

/// A command of gluster's.
fn gluster<T: Into<String>>(words: impl IntoIterator<Item = T>) -> Command {
    Program::Gluster.command().args(["--mode=script"]).args(words).timeout(PATIENCE).again(AGREES)
}

/// How long daemons may take to agree on something, in seconds.
const PATIENCE: u32 = 120;

/// How long it may be until they can, in seconds: they have to know each other, and do one thing at a time.
const AGREES: u32 = 30;
