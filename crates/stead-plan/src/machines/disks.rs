//! Machines' disks: files on volumes.
//!
//! A disk is made [once]: not again where its machine had it before, and it is gone.

use camino::{Utf8Path, Utf8PathBuf};
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::machines::{Disk, Format, ImageOrigin, Machine, Placement};
use stead_spec::units::MachineName;
use stead_spec::volumes::Volume;

use super::facts::DiskFile;
use super::once::{self, COPY, Known, Once, known};
use super::whereabouts::held;
use super::{domain, images, resources};
use crate::inventory::Questions;
use crate::op::Program;
use crate::plan::planner::{Hidden, NodePlan, Planned, Planner};
use crate::step::{About, Layer};
use crate::volumes;

/// Where a machine's own files lie, on the volume of one of its disks.
pub(super) fn folder(spec: &Spec, machine: &MachineName, disk: &Disk) -> Option<String> {
    Some(format!("{}/vm/{machine}", volumes::place(spec.volumes().get(&disk.volume)?)))
}

/// Where a disk lies.
pub(super) fn file(spec: &Spec, machine: &MachineName, disk: &Disk) -> Option<String> {
    Some(format!("{}/{}.{}", folder(spec, machine, disk)?, disk.name, format(disk)))
}

/// What QEMU calls how it lies there.
pub(super) fn format(disk: &Disk) -> &'static str {
    match disk.format {
        Format::Qcow2 => "qcow2",
        Format::Raw => "raw",
    }
}

/// The name of the step that makes a machine's disk.
pub(super) fn step(machine: &Machine, disk: &Disk) -> String {
    format!("disk.{}.{}", machine.name, disk.name)
}

/// Of the nodes that may run a machine, whether this one has its disk.
pub(super) fn is_on(spec: &Spec, node: &Node, machine: &Machine, disk: &Disk) -> bool {
    let shared = spec.volumes().get(&disk.volume).is_some_and(Volume::is_shared);
    shared || matches!(&machine.placement, Placement::On(home) if *home == node.name)
}

/// Those of these nodes that have a machine's disk.
pub(super) fn own<'a>(spec: &Spec, hosts: &[Planned<'a>], machine: &Machine, disk: &Disk) -> Vec<Planned<'a>> {
    hosts.iter().filter(|of| is_on(spec, of.node, machine, disk)).copied().collect()
}

pub(super) fn questions(spec: &Spec, node: &Node, machine: &Machine, out: &mut Questions) {
    let own = machine.disks.iter().filter(|disk| is_on(spec, node, machine, disk));
    out.disk_files.extend(own.filter_map(|disk| file(spec, &machine.name, disk)).map(Utf8PathBuf::from));
}

/// One disk, made by one node; `written` is the machine's file as a node has it.
pub(super) fn disk<'a>(
    planner: &mut Planner<'a>,
    hosts: &[Planned<'a>],
    machine: &Machine,
    disk: &Disk,
    written: Option<&str>,
) {
    let spec = planner.spec;
    let name = &machine.name;
    let Some(volume) = spec.volumes().get(&disk.volume) else { return };
    let Some(path) = file(spec, name, disk) else { return };
    let own = own(spec, hosts, machine, disk);
    // Where none is, the machine's own step says so.
    let Some(first) = own.first().copied() else { return };
    let had = written.map(domain::disks).and_then(|places| places.get(disk.name.as_ref()).copied());
    let known = known(planner, &own, volume, &path, had == Some(path.as_str()));
    // One that runs is changed where it does.
    let runs_on = own.iter().find(|of| held(spec, of.seen, name).is_some()).copied();
    let maker = match &known {
        Ok(Known::Absent(maker)) => *maker,
        _ => runs_on.unwrap_or(first),
    };
    let mut plan = planner.on(Layer::Machines, maker);
    if let Some(had) = had.filter(|had| *had != path) {
        let why = format!("the disk {} of machine {name} is {had}, and should be {path}", disk.name);
        plan.refuse(why, "stead doesn't move disks yet: write where it is, and how");
        return;
    }
    let what = format!("the disk {} of {name}", disk.name);
    plan.concern(&what, |plan| match known? {
        Known::Is(now) if now.size > disk.size => {
            let why = format!("{what} has {}, and {} are asked for", now.size, disk.size);
            plan.refuse(why, format!("what a smaller one loses nobody can tell: write `size = \"{}\"`", now.size));
            Ok(())
        }
        Known::Is(now) if now.size < disk.size => grow(plan, (machine, disk), &path, now, runs_on.is_some()),
        Known::Is(_) => Ok(()),
        Known::Absent(_) if had.is_some() => {
            let way = format!(
                "bring it back from a backup. To give up what was on it: `crm_resource --resource {name} --meta \
                 --set-parameter target-role --parameter-value Stopped --wait`, and then on each node \
                 `rm {}`",
                resources::file(machine)
            );
            plan.refuse(format!("{what} is gone: there is no {path}"), way);
            Ok(())
        }
        Known::Absent(_) => make(plan, machine, disk, volume, &path),
    });
}

fn make(
    plan: &mut NodePlan<'_, '_>,
    machine: &Machine,
    disk: &Disk,
    volume: &Volume,
    path: &str,
) -> Result<(), Hidden> {
    let (spec, name) = (plan.spec, &machine.name);
    let first = machine.disks.first().is_some_and(|first| first.name == disk.name);
    let image = machine.image.as_ref().filter(|_| first).and_then(|image| spec.images().get(image));
    let from = image.and_then(|image| Some((image, images::file(spec, image, &disk.volume)?)));
    let known =
        from.as_ref().and_then(|(_, from)| plan.seen.hypervisor.disks.get(Utf8Path::new(from))?.get()?.as_ref());
    if let (Some((image, from)), Some(other)) = (&from, known.and_then(|known| known.needs.as_ref())) {
        let way = format!("make it whole: `qemu-img convert -O qcow2 {from} {from}.whole`, and name that");
        plan.refuse(format!("the image {} is no whole disk: it needs {other}", image.name), way);
        return Ok(());
    }
    let title = format!("make the disk {} of {name}", disk.name);
    let once = Once { step: step(machine, disk), title, path, volume };
    let size = disk.size.get().to_string();
    let img = |words: &[&str]| Program::QemuImg.command().args(words.iter().copied());
    once::make(plan, once, |step, new| {
        let Some((image, from)) = &from else {
            step.run(img(&["create", "-f", format(disk), new, &size]));
            return Ok(());
        };
        for before in images::steps(spec, image, &disk.volume) {
            step.after_step(before);
        }
        let format_of = known.map(|known| known.format.as_str());
        // Others were looked at when they were fetched or built.
        if let ImageOrigin::File { sha256, .. } = &image.origin {
            if let Some(sha256) = sha256 {
                step.run(images::has_sum(from, sha256.as_ref()));
            }
            step.run(images::is_whole(from, format_of));
        }
        let of = format_of.map(|format| ["-f", format]).into_iter().flatten();
        let words = ["convert"].into_iter().chain(of).chain(["-O", format(disk), from, new]);
        step.run(Program::QemuImg.command().args(words).timeout(COPY));
        step.run(img(&["resize", "-f", format(disk), new, &size]));
        Ok(())
    })
}

/// Makes a disk larger: by the node that has the machine in its memory, if one has.
fn grow(
    plan: &mut NodePlan<'_, '_>,
    (machine, disk): (&Machine, &Disk),
    path: &str,
    now: &DiskFile,
    runs: bool,
) -> Result<(), Hidden> {
    let name = &machine.name;
    let mut step = plan.draft(&step(machine, disk), format!("make the disk {} of {name} larger", disk.name));
    step.why(format!("{path} has {}, and {} are asked for", now.size, disk.size));
    step.rests_on(About::DiskFile(path.into()))?;
    let size = disk.size.get().to_string();
    if runs {
        let words = ["blockresize", name.as_ref(), path, &format!("{size}B")];
        step.run(Program::Virsh.command().args(words));
    } else {
        // Where it runs all the same, QEMU's lock is in the way.
        step.run(Program::QemuImg.command().args(["resize", "-f", format(disk), path, &size]));
    }
    plan.add(step);
    Ok(())
}

/// Whether a machine's disks are there, or made by this plan.
pub(super) fn are_made(planner: &Planner<'_>, hosts: &[Planned<'_>], machine: &Machine) -> bool {
    machine.disks.iter().all(|disk| {
        let Some(path) = file(planner.spec, &machine.name, disk) else { return false };
        let known = hosts.iter().filter_map(|of| of.seen.hypervisor.disks.get(Utf8Path::new(&path))?.get());
        let is_there = known.into_iter().any(Option::is_some);
        let step = step(machine, disk);
        is_there || planner.plan.steps.iter().any(|of| of.id.layer == Layer::Machines && of.id.what == step)
    })
}
