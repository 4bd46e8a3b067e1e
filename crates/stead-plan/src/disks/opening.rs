//! Opening: at boot, when a disk is put in, and whenever those can be asked who open it, be it days later.
//!
//! A disk's unit isn't started by a target, which would give it up after a time-out, but by the disk itself: udev has
//! systemd want it as soon as the disk is there. It then asks for a password until somebody answers, which clevis does as
//! soon as the policy is met. What stands on the disk is started in the same way by what it stands on.

use std::fmt::Write as _;

use stead_spec::Spec;
use stead_spec::disks::DiskUse;
use stead_spec::host::Node;

use super::facts::Disk;
use super::{DataDisk, MEMORY, disk};
use super::{failing, letting_go, vault};
use crate::inventory::{Activity, Questions};
use crate::op::Program;
use crate::plan::Block;
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, header, look};
use crate::release;
use crate::step::About;

const CRYPTTAB: &str = "/etc/crypttab";
const BLOCK: Block = Block("disks");
const RULES_FOLDER: &str = "/etc/udev/rules.d";
/// Behind those that tell what is on a disk (60) and what systemd is told of (99-systemd reads what is set before it).
const RULES: &str = "/etc/udev/rules.d/90-stead-disks.rules";

/// What has clevis answer when systemd asks.
const ANSWERS: &str = "clevis-luks-askpass.path";

const HELPER: &str = "clevis-luks-askpass.service";
const HELPER_DROP_IN: &str = "/etc/systemd/system/clevis-luks-askpass.service.d/stead.conf";

/// clevis' own loop never ends while crypttab has a line that is no block device (swap in a file, a disk that is out), and
/// takes a good part of a processor for it. So it goes through the questions once, and systemd begins it anew while there
/// are some.
const ONCE: &str = "
[Unit]
StartLimitIntervalSec=0

[Service]
ExecStart=
ExecStart=/usr/libexec/clevis-luks-askpass
ExecStopPost=/usr/bin/sleep 1
";

/// The step that has disks open by themselves.
pub(super) const STEP: &str = "opening";

/// How long the others may take to answer, in seconds.
const TIMEOUT: u32 = 180;

pub(super) fn questions(spec: &Spec, node: &Node, out: &mut Questions) {
    out.files.extend([CRYPTTAB, RULES, HELPER_DROP_IN].map(Into::into));
    out.folders.insert(RULES_FOLDER.into());
    out.units.insert(ANSWERS.to_owned());
    letting_go::questions(out);
    failing::questions(out);
    for data in DataDisk::all(spec.cluster().id, node) {
        out.units.insert(unit(&data));
        out.files.insert(drop_in(&data).into());
    }
}

fn drop_in(data: &DataDisk<'_>) -> String {
    format!("/etc/systemd/system/{}.d/stead.conf", unit(data))
}

/// What is read of a header when a unit starts is what it goes by until it ends: a slot that comes later it doesn't know,
/// and clevis would offer it for ever what doesn't open it. So one wrong answer ends it, and it begins anew.
const AGAIN: &str = "
[Unit]
StartLimitIntervalSec=0

[Service]
Restart=on-failure
RestartSec=10
";

pub(crate) fn unit(data: &DataDisk<'_>) -> String {
    format!("systemd-cryptsetup@{}.service", data.name)
}

/// What has all disks of a node open by themselves.
pub(super) fn opening(plan: &mut NodePlan<'_, '_>, disks: &[DataDisk<'_>]) -> Result<(), Hidden> {
    let mut step = plan.draft(STEP, "have disks open whenever they are there and those answer who open them");
    let crypttab = plan.users_file(CRYPTTAB)?;
    let mut lines: String = disks.iter().map(|data| line(plan, data, &crypttab.text)).collect();
    let left = left_out(plan, disks, &crypttab.text);
    lines.extend(left.iter().map(|(line, _)| format!("{line}\n")));
    step.unit_file(&crypttab.with_block(BLOCK, &lines)?)?;
    step.file(&letting_go::script())?;
    for data in disks {
        step.unit_file(&Managed::new(drop_in(data), header("#") + AGAIN + &letting_go::service(data)))?;
    }
    let helper = step.unit_file(&Managed::new(HELPER_DROP_IN, header("#") + ONCE))?;
    let mut watch = false;
    for file in failing::files() {
        watch |= step.unit_file(&file)?;
    }
    if helper {
        step.start(Program::Systemctl.command().args(["try-restart", HELPER]));
    }
    step.service(ANSWERS, Comes::Running, false)?;
    step.service(failing::UNIT, Comes::Running, watch)?;
    if step.file(&Managed::new(RULES, header("#") + &rules(disks, &left)))? {
        step.run(Program::Udevadm.command().args(["control", "--reload"]));
    }
    step.after_packages();
    plan.add(step);
    Ok(())
}

/// A disk's line of crypttab: without `noauto`, the boot would wait for it and give it up.
fn line(plan: &NodePlan<'_, '_>, data: &DataDisk<'_>, now: &str) -> String {
    let begin = format!("{} UUID={} none ", data.name, data.uuid);
    let Ok(seen) = disk(plan.seen, data.id) else {
        // It may come back; what kind it is, the line that is there knows.
        let line = now.lines().find(|line| line.starts_with(&begin));
        return line.map_or_else(|| format!("{begin}{}\n", options(plan, data, None)), |line| format!("{line}\n"));
    };
    format!("{begin}{}\n", options(plan, data, Some(seen)))
}

fn options(plan: &NodePlan<'_, '_>, data: &DataDisk<'_>, seen: Option<&Disk>) -> String {
    let mut options = format!("luks,noauto,_netdev,{}", release::crypttab_tries(plan.suite));
    let volume = match data.usage {
        DiskUse::Volume(name) => plan.spec.volumes().get(name),
        DiskUse::Vault => None,
    };
    if volume.is_none_or(|volume| volume.discard) {
        options.push_str(",discard");
    }
    // An SSD is slower if its work waits in queues for other processors; a disk that turns is faster.
    if seen.is_some_and(|seen| !seen.rotational) {
        options.push_str(",no-read-workqueue,no-write-workqueue");
    }
    options
}

/// The lines of disks of the cluster that are there and that the file leaves out, with their UUIDs: they go on opening.
fn left_out(plan: &mut NodePlan<'_, '_>, disks: &[DataDisk<'_>], crypttab: &str) -> Vec<(String, String)> {
    let lines = crypttab.lines().filter(|line| line.starts_with("stead_"));
    let lines =
        lines.filter_map(|line| Some((line.to_owned(), line.split(" UUID=").nth(1)?.split(' ').next()?.to_owned())));
    let others = lines.filter(|(_, uuid)| !disks.iter().any(|data| data.uuid.to_string() == *uuid));
    let seen: Vec<&Disk> = plan.seen.disks.get().into_iter().flatten().collect();
    let disk = |uuid: &str| {
        seen.iter()
            .copied()
            .find(|disk| disk.content.as_ref().is_some_and(|content| content.uuid.as_deref() == Some(uuid)))
    };
    let left: Vec<_> = others.filter_map(|(line, uuid)| disk(&uuid).map(|disk| (line, uuid, disk))).collect();
    for (_, _, disk) in &left {
        if let Some(id) = disk.ids.first() {
            plan.leftover(format!("the disk {id} of this cluster"), format!("stead disk wipe {} {id}", plan.node.name));
        }
    }
    left.into_iter().map(|(line, uuid, _)| (line, uuid)).collect()
}

fn rules(disks: &[DataDisk<'_>], left: &[(String, String)]) -> String {
    let mut text = "\nSUBSYSTEM!=\"block\", GOTO=\"stead_end\"\nACTION==\"remove\", GOTO=\"stead_end\"\n".to_owned();
    let wants = |unit: &str| format!("TAG+=\"systemd\", ENV{{SYSTEMD_WANTS}}+=\"{unit}\"");
    for data in disks {
        let _ = writeln!(text, "ENV{{ID_FS_UUID}}==\"{}\", {}", data.uuid, wants(&unit(data)));
    }
    for (line, uuid) in left {
        let name = line.split(' ').next().unwrap_or_default();
        let _ =
            writeln!(text, "ENV{{ID_FS_UUID}}==\"{uuid}\", {}", wants(&format!("systemd-cryptsetup@{name}.service")));
    }
    let _ = writeln!(text, "ENV{{DM_NAME}}==\"{}\", {}", vault::DM_NAMES, wants(vault::UNIT));
    text.push_str("LABEL=\"stead_end\"\n");
    text
}

/// Opens a disk that is closed, as a boot would.
pub(super) fn open(plan: &mut NodePlan<'_, '_>, data: &DataDisk<'_>) -> Result<(), Hidden> {
    let seen = disk(plan.seen, data.id)?;
    match seen.opened() {
        Some(opened) if opened.name == data.name => return Ok(()),
        Some(opened) => {
            let what = format!("whether {} is open as it should", data.id);
            return Err(Hidden::new(what, format!("somebody has opened it as {}: close that first", opened.name)));
        }
        None => {}
    }
    let unit = unit(data);
    let is_planned = |what: &str| plan.has(&plan.id(&data.step(what)));
    if look(plan.seen, &unit)?.activity == Activity::Changing && !is_planned("bind") && !is_planned("format") {
        plan.note(format!(
            "{} is closed, and waits for those who open it: `stead keys explain` names them",
            data.title()
        ));
        return Ok(());
    }
    let mut step = plan.draft(&data.step("open"), format!("open {}", data.title()));
    step.why("it is closed");
    step.rests_on(About::Disk(data.id.clone()))?;
    // It may have been waiting since before the header was as it is.
    step.run(Program::Systemctl.command().args(["restart", &unit]).timeout(TIMEOUT));
    step.beside(MEMORY);
    for before in [&data.step("format"), &data.step("bind"), STEP] {
        step.after(before);
    }
    plan.add(step);
    Ok(())
}
