//! Volume groups on open disks, and the vault: a small place on one of them for what must not lie on the OS disk.

use stead_spec::disks::DiskUse;
use stead_spec::host::Node;
use stead_spec::{Bytes, Spec};

use super::facts::{BlockDevice, Pool};
use super::{DataDisk, MARK, disk, letting_go};
use crate::inventory::{FileState, Mode, NodeInventory, Questions};
use crate::op::{Op, Program};
use crate::plan::Block;
use crate::plan::planner::{Hidden, NodePlan, state};
use crate::step::About;

/// Where the vault is mounted. Nothing can be written there while it isn't: the folder below is immutable.
pub(super) const PLACE: &str = "/var/lib/stead/vault";

/// systemd's name for it.
pub(crate) const UNIT: &str = "var-lib-stead-vault.mount";

/// What the device-mapper may call it.
pub(super) const DM_NAMES: &str = "stead_*-vault";

/// The step that makes it.
pub(super) const STEP: &str = "vault";

const NAME: &str = "vault";
const FSTAB: &str = "/etc/fstab";
const BLOCK: Block = Block("vault");

/// A share of the disk, and no less than headers of other nodes' disks take, nor more than telemetry of a year.
const SHARE: u64 = 32;
const LEAST: u64 = 256 << 20;
const MOST: u64 = 8 << 30;

/// LVM's extent.
pub(crate) const EXTENT: u64 = 4 << 20;

const TIMEOUT: u32 = 300;

pub(super) fn questions(spec: &Spec, node: &Node, out: &mut Questions) {
    out.files.extend([FSTAB, PLACE, &letting_go::drop_in_path(UNIT)].map(Into::into));
    out.files.extend(DataDisk::all(spec.cluster().id, node).iter().map(|data| metadata(data).into()));
    out.units.insert(UNIT.to_owned());
}

/// Where LVM keeps a copy of a volume group's metadata, from the moment in which it is made.
pub(super) fn metadata(data: &DataDisk<'_>) -> String {
    format!("/etc/lvm/backup/{}", data.name)
}

/// A volume group of its own on each disk: one that dies takes no other along.
pub(super) fn group(plan: &mut NodePlan<'_, '_>, data: &DataDisk<'_>) -> Result<(), Hidden> {
    let mut step = plan.draft(&data.step("group"), format!("make a volume group on {}", data.title()));
    match pools(plan)?.get(&data.name) {
        Some(pool) if pool.tags.contains(MARK) => return Ok(()),
        Some(_) => {
            step.why(format!("it has lost the tag `{MARK}`"));
            step.run(Program::Vgchange.command().args(["--addtag", MARK, &data.name]));
        }
        None => {
            let seen = disk(plan.seen, data.id)?;
            let was = !matches!(state(plan.seen, &metadata(data))?, FileState::Absent);
            let is_formatted = plan.has(&plan.id(&data.step("format")));
            match seen.opened() {
                Some(opened) if !may_take(opened) => {
                    let kind = opened.content.as_deref().unwrap_or("something");
                    let way = "stead puts volume groups on what is empty: copy what is there, and `stead disk wipe` it";
                    plan.refuse(format!("{}: there is {kind} on the open disk", data.title()), way);
                    return Ok(());
                }
                // Nothing is found there, and there was a group once: its volumes may be whole. Not if its making was cut:
                // LVM's own copy may reach the OS disk before the group reaches this one.
                Some(_) if was && !is_formatted && !plan.is_unfinished(&data.step("group"))? => {
                    let (copy, device) = (metadata(data), data.mapping());
                    let way = format!(
                        "LVM has a copy of what it was: `grep -A 1 pv0 {copy}` shows its UUID, then `pvcreate --uuid UUID \
                         --restorefile {copy} {device}` and `vgcfgrestore {}` bring it back",
                        data.name
                    );
                    plan.refuse(format!("{}: its volume group is gone", data.title()), way);
                    return Ok(());
                }
                Some(_) => {}
                // It comes open in this plan, or waits for those who open it.
                None if is_formatted => {}
                None => return Err(Hidden::new(format!("what is on {}", data.id), "it is closed")),
            }
            step.why("there is none");
            step.run(
                Program::Vgcreate.command().args(["--addtag", MARK, &data.name, &data.mapping()]).timeout(TIMEOUT),
            );
            // LVM leaves it in the disk's cache.
            step.run(Program::Sync.command().args([&data.mapping()]));
        }
    }
    step.rests_on(About::Pool(data.name.clone()))?;
    step.after(&data.step("open"));
    plan.add(step);
    Ok(())
}

/// Whether a volume group may be made there: nothing is on it, or what `vgcreate` left that was cut.
fn may_take(opened: &BlockDevice) -> bool {
    opened.children.is_empty() && opened.content.as_deref().is_none_or(|kind| kind == "LVM2_member")
}

fn pools<'a>(plan: &NodePlan<'_, 'a>) -> Result<&'a std::collections::BTreeMap<String, Pool>, Hidden> {
    plan.seen.pools.as_result().map_err(|why| Hidden::new("its volume groups", why))
}

/// The vault, on one of these disks.
pub(super) fn vault(plan: &mut NodePlan<'_, '_>, disks: &[&DataDisk<'_>]) -> Result<(), Hidden> {
    let pools = pools(plan)?;
    let has_it = |data: &&&DataDisk<'_>| pools.get(&data.name).is_some_and(|pool| pool.volumes.contains_key(NAME));
    let there = disks.iter().find(has_it).copied();
    if there.is_none() && is_mounted(plan.seen) {
        // It is on a disk that the file leaves out: that goes on as it is.
        return Ok(());
    }
    let Some(data) = there.map_or_else(|| choose(plan, disks), |data| Ok(Some(data)))? else { return Ok(()) };
    let mut step = plan.draft(STEP, format!("a place for secrets on {}", data.title()));
    let device = format!("/dev/{}/{NAME}", data.name);
    if there.is_none() {
        let size = size(disk(plan.seen, data.id)?.size);
        step.why("there is none");
        step.rests_on(About::Pool(data.name.clone()))?;
        let create = ["--yes", "--wipesignatures", "y", "--addtag", MARK, "--name", NAME, "--size"];
        let size = format!("{}b", size.get());
        step.run(Program::Lvcreate.command().args(create).args([&size, &data.name]).timeout(TIMEOUT));
    }
    let volume = disk(plan.seen, data.id).ok().and_then(|seen| find(&seen.children, &format!("{}-{NAME}", data.name)));
    if volume.is_none_or(|volume| volume.content.is_none()) {
        step.rests_on(About::Pool(data.name.clone()))?;
        if volume.is_some() {
            if !plan.is_unfinished(STEP)? {
                // It had one once: what is there may be whole, and only not found.
                return Err(Hidden::new("what is in the vault", format!("no file system is found on {device}")));
            }
            step.why("it has no file system");
        } else if there.is_some() {
            return Err(Hidden::new("what is in the vault", "its volume isn't active"));
        }
        step.run(Program::MkfsExt4.command().args(["-q", "-L", "stead-vault", &device]).timeout(TIMEOUT));
    }
    let mounted = volume.is_some_and(|volume| volume.mounts.iter().any(|mount| mount == PLACE));
    if !mounted {
        step.op(Op::MountPoint { path: PLACE.into() });
    }
    // Started by its device, as disks are: the boot neither waits for it nor gives it up.
    let line = format!("{device} {PLACE} ext4 noauto,_netdev,noatime,nodev,nosuid,noexec 0 2\n");
    step.unit_file(&plan.users_file(FSTAB)?.with_block(BLOCK, &line)?)?;
    step.unit_file(&letting_go::drop_in(UNIT, data))?;
    if mounted {
        step.own_folder(PLACE, Mode(0o700))?;
    } else {
        step.why("it isn't mounted");
        step.rests_on(About::Unit(UNIT.to_owned()))?;
        step.start(Program::Systemctl.command().args(["start", UNIT]).timeout(TIMEOUT));
        // The file system's own folder now.
        step.op(Op::Folder { path: PLACE.into(), mode: Mode(0o700) });
    }
    step.after(&data.step("group"));
    step.after(&data.step("open"));
    step.after(super::opening::STEP);
    plan.add(step);
    Ok(())
}

/// Where it comes to lie: on a disk that is for it, else on the fastest. Nowhere, as long as a disk is closed that may
/// have it.
fn choose<'d, 'x>(plan: &NodePlan<'_, '_>, disks: &[&'d DataDisk<'x>]) -> Result<Option<&'d DataDisk<'x>>, Hidden> {
    let mut candidates = Vec::new();
    for data in disks {
        let seen = disk(plan.seen, data.id)?;
        if seen.opened().is_none() && !plan.has(&plan.id(&data.step("format"))) {
            return Err(Hidden::new("where the vault is", format!("{} is closed", data.id)));
        }
        candidates.push(((*data.usage != DiskUse::Vault, seen.rotational, data.id), *data));
    }
    candidates.sort_by_key(|(by, _)| *by);
    if disks.len() < plan.node.disks.len() {
        return Err(Hidden::new("where the vault is", "a disk of the file isn't there"));
    }
    Ok(candidates.first().map(|(_, data)| *data))
}

/// What the vault takes of a disk of that size.
pub(crate) fn size(disk: Bytes) -> Bytes {
    let share = (disk.get() / SHARE).clamp(LEAST, MOST);
    Bytes::new(share / EXTENT * EXTENT)
}

fn find<'s>(devices: &'s [BlockDevice], name: &str) -> Option<&'s BlockDevice> {
    devices.iter().find_map(|device| if device.name == name { Some(device) } else { find(&device.children, name) })
}

/// Whether a node's vault is mounted, or will be.
pub(crate) fn is_open(plan: &NodePlan<'_, '_>) -> bool {
    is_mounted(plan.seen) || plan.has(&super::vault_step(plan.node))
}

/// Whether a node's vault is mounted.
pub(crate) fn is_mounted(seen: &NodeInventory) -> bool {
    seen.disks.get().is_some_and(|disks| disks.iter().any(|disk| mounted_at(&disk.children, PLACE).is_some()))
}

/// Which of these devices, or of what lies on them, is mounted there.
pub(crate) fn mounted_at<'d>(devices: &'d [BlockDevice], place: &str) -> Option<&'d BlockDevice> {
    let is_there = |device: &BlockDevice| device.mounts.iter().any(|mount| mount == place);
    devices.iter().find_map(|device| if is_there(device) { Some(device) } else { mounted_at(&device.children, place) })
}
