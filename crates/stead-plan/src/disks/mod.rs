//! The layer `disks`: encrypted drives that open by themselves for the cluster and for nobody else.
//!
//! ```text
//! disk ── LUKS2 ── stead_1a2b3c4d5e6f ── volume group of the same name ──┬── (bricks: the layer `volumes`)
//!           │       (mapping)                                            └── vault, on one disk of the node
//!           ├── slot 0: the recovery key, sealed in stead.secrets
//!           ├── slot 1 or 2: bound by clevis to the policy of `[unlock]`
//!           └── token `stead`: whose disk it is, what for, and the policy
//! ```
//!
//! A disk goes through it in this order, and each part is a step that looks at the disk itself:
//! blank → [`format`] → [`binding`] → [`opening`] → [`vault`] (its volume group) → [`headers`] (backups on other nodes);
//! and when it is pulled, [`letting_go`]; when it fails and gets well, [`failing`].

mod binding;
pub mod blank;
pub mod errands;
mod facts;
mod failing;
mod format;
mod headers;
mod letting_go;
mod opening;
mod policy;
mod tang;
pub mod unlock;
mod vault;

use stead_spec::Spec;
use stead_spec::disks::DiskUse;
use stead_spec::host::Node;
use stead_spec::units::{ClusterId, DiskId, Suite};
use uuid::Uuid;

use crate::inventory::{NodeInventory, Questions};
use crate::plan::planner::{Hidden, Planner};
use crate::release;
use crate::step::{Layer, StepId};

pub use facts::{
    BlockDevice, Content, Disk, Ends, HeaderState, LUKS, LogicalVolume, Luks, Pool, Signature, Space, Tang, TangKey,
    Used,
};
pub use headers::FOLDER as HEADERS;
pub(crate) use letting_go::{drop_in as mount_drop_in, drop_in_path as mount_drop_in_path};
pub(crate) use opening::unit as opening_unit;
pub use policy::Bound;
pub use tang::FOLDER as TANG;
pub(crate) use tang::UNIT as TANG_UNIT;
pub(crate) use vault::{
    EXTENT, UNIT as VAULT_UNIT, is_mounted as vault_is_mounted, is_open as vault_is_open, mounted_at,
    size as vault_size,
};

/// A token's `type`, and LVM's tag, by which stead knows its own.
pub const MARK: &str = "stead";

/// What a step about one disk takes of memory, in MiB: a key's derivation, and the programs around it. Disks don't wait
/// for each other.
const MEMORY: u32 = 128;

/// The slot of the recovery key.
const RECOVERY: u8 = 0;

/// A data disk of the file.
#[derive(Clone, Debug)]
pub(crate) struct DataDisk<'a> {
    /// Its name in `/dev/disk/by-id`.
    pub(crate) id: &'a DiskId,
    /// What it is for.
    pub(crate) usage: &'a DiskUse,
    /// Its header's UUID.
    pub(crate) uuid: Uuid,
    /// The header's label, the mapping, and the volume group: one name for all of them.
    pub(crate) name: String,
}

impl<'a> DataDisk<'a> {
    fn new(cluster: ClusterId, id: &'a DiskId, usage: &'a DiskUse) -> Self {
        let uuid = uuid(cluster, id);
        Self { id, usage, uuid, name: name(uuid) }
    }

    /// The names of the disks of all nodes that nobody else has.
    fn every(spec: &Spec) -> impl Iterator<Item = &DiskId> {
        spec.trusted_nodes().flat_map(|node| node.disks.keys())
    }

    /// A node's, by their names.
    pub(crate) fn all(cluster: ClusterId, node: &'a Node) -> Vec<Self> {
        node.disks.iter().map(|(id, usage)| Self::new(cluster, id, usage)).collect()
    }

    /// What it says for a person: `ata-EXAMPLE_1 (gv0)`.
    fn title(&self) -> String {
        format!("{} ({})", self.id, word(self.usage))
    }

    /// What it is for, in the file's word.
    pub(crate) fn word(&self) -> &str {
        word(self.usage)
    }

    /// The device of the open disk.
    fn mapping(&self) -> String {
        format!("/dev/mapper/{}", self.name)
    }

    /// The name of a step about it.
    fn step(&self, what: &str) -> String {
        format!("{what}.{}", self.name)
    }
}

/// The UUID of a disk's header. Derived, so that a plan has it before there is one; without the node, so that the disk
/// may move.
pub fn uuid(cluster: ClusterId, disk: &DiskId) -> Uuid {
    Uuid::new_v5(&cluster.uuid(), format!("disk/{disk}").as_bytes())
}

/// The name of a disk's mapping and volume group: `stead_1a2b3c4d5e6f`. No character of it needs escaping anywhere.
fn name(uuid: Uuid) -> String {
    format!("{MARK}_{:.12}", uuid.simple().to_string())
}

/// Whether a label is such a name, of whatever cluster.
fn is_name(label: &str) -> bool {
    label.strip_prefix(MARK).is_some_and(|rest| rest.starts_with('_'))
}

/// The name of a disk's recovery key among the sealed secrets.
pub fn secret(disk: &DiskId) -> String {
    let plain = |c: char| if c.is_ascii_alphanumeric() || ".:_-".contains(c) { c } else { '_' };
    format!("disk/{}", disk.as_ref().chars().map(plain).collect::<String>())
}

/// What a disk is for, in the file's word.
fn word(usage: &DiskUse) -> &str {
    match usage {
        DiskUse::Volume(volume) => volume.as_ref(),
        DiskUse::Vault => "vault",
    }
}

/// The recovery keys that all disks of the file want, by their names.
pub(crate) fn secrets(spec: &Spec) -> Vec<String> {
    let mut names: Vec<String> = DataDisk::every(spec).map(secret).collect();
    names.sort();
    names.dedup();
    names
}

/// What a node needs for this layer.
pub(crate) fn packages(suite: Suite, node: &Node) -> Vec<&'static str> {
    let mut packages = vec!["jose", "tang"];
    if !node.disks.is_empty() {
        packages.extend(["clevis", "clevis-luks", "clevis-systemd", "lvm2", "thin-provisioning-tools"]);
        packages.extend(release::cryptsetup(suite));
    }
    packages
}

/// What a node must be asked for this layer.
pub(crate) fn questions(spec: &Spec, node: &Node, out: &mut Questions) {
    out.data_disks.extend(node.disks.keys().cloned());
    tang::questions(out);
    if !node.disks.is_empty() {
        opening::questions(spec, node, out);
        vault::questions(spec, node, out);
        headers::questions(out);
    }
}

/// The steps of this layer on all nodes.
pub(crate) fn plan(planner: &mut Planner<'_>) {
    let (spec, nodes) = (planner.spec, planner.nodes());
    for &of in &nodes {
        let mut node = planner.on(Layer::Disks, of);
        node.concern("tang", tang::tang);
    }
    let mut bound = 0;
    for &of in &nodes {
        let disks = DataDisk::all(spec.cluster().id, of.node);
        let mut node = planner.on(Layer::Disks, of);
        let mut formatted = Vec::new();
        for disk in &disks {
            node.concern(&disk.title(), |node| {
                formatted.extend(format::format(node, disk, &nodes)?.map(|header| (disk, header)));
                Ok(())
            });
        }
        for (disk, header) in &formatted {
            node.concern(&format!("what opens {}", disk.title()), |node| {
                binding::binding(node, disk, *header, &nodes)?;
                bound += 1;
                Ok(())
            });
        }
        if !disks.is_empty() {
            node.concern("how disks open", |node| opening::opening(node, &disks));
        }
        for (disk, _) in &formatted {
            node.concern(&format!("opening {}", disk.title()), |node| opening::open(node, disk));
            node.concern(&format!("the volume group on {}", disk.title()), |node| vault::group(node, disk));
        }
        // Nothing of a plan with a refusal is done: what follows from it needn't be told.
        if !planner.plan.refusals.is_empty() {
            continue;
        }
        let mut node = planner.on(Layer::Disks, of);
        let disks: Vec<&DataDisk<'_>> = formatted.iter().map(|(disk, _)| *disk).collect();
        node.concern("the vault", |node| vault::vault(node, &disks));
    }
    if planner.plan.refusals.is_empty() {
        headers::plan(planner);
    }
    if planner.plan.steps.iter().any(|step| step.id.layer == Layer::Disks && step.id.kind() == "bind") {
        planner.note(unlock::explain(spec).sentence);
    }
    let all = DataDisk::every(spec).count();
    // One that the file leaves out may still want the old ones.
    let ours = |disk: &Disk| DataDisk::every(spec).any(|id| disk.is(id));
    let marked = |disk: &Disk| {
        let label = disk.content.as_ref().and_then(|content| content.label.as_deref());
        label.is_some_and(is_name)
    };
    let mut disks = nodes.iter().filter_map(|of| of.seen.disks.get()).flatten();
    let left = disks.any(|disk| marked(disk) && !ours(disk));
    tang::retire(planner, bound == all && !left);
}

/// The step that makes a node's vault.
pub(crate) fn vault_step(node: &Node) -> StepId {
    step_on(node, Layer::Disks, vault::STEP)
}

/// The step that makes the volume group on a disk.
pub(crate) fn group_step(node: &Node, data: &DataDisk<'_>) -> StepId {
    step_on(node, Layer::Disks, &data.step("group"))
}

fn step_on(node: &Node, layer: Layer, what: &str) -> StepId {
    StepId { layer, node: node.name.clone(), what: what.to_owned() }
}

/// A disk that a node tells of.
pub(crate) fn disk<'s>(seen: &'s NodeInventory, id: &DiskId) -> Result<&'s Disk, Hidden> {
    let disks = seen.disks.as_result().map_err(|why| Hidden::new("its disks", why))?;
    let disk = disks.iter().find(|disk| disk.is(id));
    disk.ok_or_else(|| Hidden::new(id.as_ref(), "there is no such disk"))
}

/// What a disk's header says, if it has one.
fn luks(disk: &Disk) -> Result<Option<&Luks>, Hidden> {
    match &disk.luks {
        None => Ok(None),
        Some(known) => known.as_result().map(Some).map_err(|why| Hidden::new("a disk's LUKS header", why)),
    }
}

/// The steps that must be done before anything goes from one node to another in the core.
pub(crate) fn network_steps(node: &Node) -> impl Iterator<Item = StepId> {
    ["devices", "routing", "firewall"].into_iter().map(|what| step_on(node, Layer::Network, what))
}
