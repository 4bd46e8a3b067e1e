//! What a disk gives to a volume: a thin pool in its volume group, and in that a file system, mounted whenever its disk is
//! there. Snapshots are taken in the pool.

use std::fmt::Write as _;

use stead_spec::Bytes;

use super::layout::{Share, bricks_on, mount_unit};
use crate::disks::{self, EXTENT, MARK};
use crate::inventory::{Mode, Questions};
use crate::op::{Op, Program};
use crate::plan::Block;
use crate::plan::planner::{Hidden, Managed, NodePlan, header};
use crate::step::About;

const POOL: &str = "pool";
const FSTAB: &str = "/etc/fstab";
const PROFILE: &str = "/etc/lvm/profile/stead.profile";
const RULES: &str = "/etc/udev/rules.d/91-stead-volumes.rules";

/// The step that has file systems come and grow with their disks.
pub(super) const STEP: &str = "mounting";

/// A logical volume on which no file system was finished yet: what is on it may be made anew.
const UNFORMATTED: &str = "stead-unformatted";

/// What of a disk stays out of its pool, for the pool to grow by itself: one part in so many.
const RESERVE: u64 = 16;

const TIMEOUT: u32 = 300;

pub(super) fn questions(shares: &[Share<'_>], out: &mut Questions) {
    out.files.extend([FSTAB, PROFILE, RULES].map(Into::into));
    for share in shares {
        let unit = mount_unit(&share.place());
        out.files.insert(disks::mount_drop_in_path(&unit).into());
        out.units.insert(unit);
    }
}

/// A pool that fills takes of the reserve before it is full, and dmeventd says so; udev has what is mounted start.
pub(super) fn mounting(plan: &mut NodePlan<'_, '_>, shares: &[Share<'_>]) -> Result<(), Hidden> {
    let mut step = plan.draft(STEP, "have volumes be there whenever their disks are");
    let profile = "\nactivation {\n\tthin_pool_autoextend_threshold = 80\n\tthin_pool_autoextend_percent = 2\n}\n";
    step.file(&Managed::new(PROFILE, header("#") + profile))?;
    let mut rules = "\nSUBSYSTEM!=\"block\", GOTO=\"stead_end\"\nACTION==\"remove\", GOTO=\"stead_end\"\n".to_owned();
    for share in shares {
        let unit = mount_unit(&share.place()).replace('\\', r"\\");
        let _ = writeln!(
            rules,
            "ENV{{DM_NAME}}==\"{}-{}\", TAG+=\"systemd\", ENV{{SYSTEMD_WANTS}}+=\"{unit}\"",
            share.data.name,
            share.name()
        );
    }
    rules.push_str("LABEL=\"stead_end\"\n");
    if step.file(&Managed::new(RULES, header("#") + &rules))? {
        step.run(Program::Udevadm.command().args(["control", "--reload"]));
    }
    step.after_packages();
    plan.add(step);
    Ok(())
}

/// The file system that a disk gives to its volume.
pub(super) fn files(plan: &mut NodePlan<'_, '_>, share: &Share<'_>) -> Result<(), Hidden> {
    let (group, name, place) = (&share.data.name, share.name(), share.place());
    let seen = disks::disk(plan.seen, share.data.id)?;
    let pools = plan.seen.pools.as_result().map_err(|why| Hidden::new("its volume groups", why))?;
    let pool = pools.get(group);
    if pool.is_none() && !plan.has(&disks::group_step(plan.node, &share.data)) {
        return Err(Hidden::new(format!("what {} has for {}", share.data.id, share.volume.name), "it is closed"));
    }
    let volume = |name: &str| pool.and_then(|pool| pool.volumes.get(name));
    let device = format!("/dev/{group}/{name}");
    let what = if share.is_brick() { "a brick" } else { "a file system" };
    let mut step = plan.draft(&share.step(), format!("{what} of {} on {}", share.volume.name, share.data.id));
    let in_pool = thin_pool(seen.size);
    if volume(POOL).is_none() {
        step.why("it has no thin pool");
        let discards = if share.volume.discard { "passdown" } else { "nopassdown" };
        let create = ["--yes", "--addtag", MARK, "--type", "thin-pool", "--name", POOL];
        let create = Program::Lvcreate.command().args(create).args(["--metadataprofile", MARK]);
        let create = create.args(["--discards", discards, "--size", &format!("{}b", in_pool.get()), group]);
        step.run(create.timeout(TIMEOUT));
    }
    let there = volume(name);
    if there.is_none() {
        step.why(format!("there is no {device}"));
        let size = format!("{}b", usable(in_pool, share).get());
        let create = ["--yes", "--wipesignatures", "y", "--addtag", MARK, "--addtag", UNFORMATTED, "--type", "thin"];
        let create = Program::Lvcreate.command().args(create).args(["--name", name, "--virtualsize", &size]);
        step.run(create.args(["--thinpool", POOL, group]).timeout(TIMEOUT));
    }
    let mounted = disks::mounted_at(&seen.children, &place).is_some();
    if there.is_none_or(|there| there.tags.contains(UNFORMATTED)) {
        if mounted {
            // It was made, and udev had it mounted, before the rest was cut.
            step.why("nothing says yet that its file system is whole, and it is mounted");
        } else {
            step.why("it has no file system");
            // By force: what a cut left is no file system, and nothing else was ever there.
            step.run(Program::MkfsXfs.command().args(["-f", "-q", "-K", "-i", "size=512", &device]).timeout(TIMEOUT));
        }
        step.run(Program::Sync.command().args([&device]));
        step.run(Program::Lvchange.command().args(["--deltag", UNFORMATTED, &format!("{group}/{name}")]));
        // LVM leaves it in the disk's cache, and files that come now must not be taken for what a cut left.
        step.run(Program::Sync.command().args([&device]));
    }
    if !mounted {
        step.op(Op::MountPoint { path: place.clone().into() });
    }
    let discard = if share.volume.discard { ",discard" } else { "" };
    let line = format!("{device} {place} xfs noauto,_netdev,noatime,inode64{discard} 0 0\n");
    let title = format!("{name} {group}");
    let unit = mount_unit(&place);
    step.unit_file(&plan.users_file(FSTAB)?.with_block(Block(&title), &line)?)?;
    step.unit_file(&disks::mount_drop_in(&unit, &share.data))?;
    if !mounted {
        step.why("it isn't mounted");
        step.rests_on(About::Unit(unit.clone()))?;
        step.start(Program::Systemctl.command().args(["start", &unit]).timeout(TIMEOUT));
    }
    for brick in if share.is_brick() { bricks_on(plan.spec, share) } else { Vec::new() } {
        if !mounted || super::brick(plan.seen, &brick)?.is_none() {
            step.why(format!("{} isn't there", brick.folder()));
            step.op(Op::Folder { path: brick.folder().into(), mode: Mode(0o755) });
        }
    }
    step.rests_on(About::Pool(group.clone()))?;
    step.after(STEP);
    step.after_step(disks::group_step(plan.node, &share.data));
    // It takes its part of the disk first.
    step.after_step(disks::vault_step(plan.node));
    plan.add(step);
    Ok(())
}

/// What a disk's pool gets: all but the reserve, and what a vault would take.
fn thin_pool(disk: Bytes) -> Bytes {
    let left = disk.get() - disk.get() / RESERVE - disks::vault_size(disk).get();
    Bytes::new(left / EXTENT * EXTENT)
}

/// What of a pool is for files; snapshots have the rest.
fn usable(pool: Bytes, share: &Share<'_>) -> Bytes {
    let part = pool.get() / 100 * u64::from(100 - share.volume.snapshots.get());
    Bytes::new(part / EXTENT * EXTENT)
}
