//! Images: what machines' first disks start as, and CDs.
//!
//! One that stead fetches or builds is put in its place once it is known to be what was asked, under a name that tells what that was:
//! what is there by that name is right, and another hash is another file.

use std::collections::BTreeSet;

use camino::{Utf8Path, Utf8PathBuf};
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::machines::{Image, ImageOrigin, Machine};
use stead_spec::units::VolumeName;
use stead_spec::volumes::Volume;

use super::disks;
use super::once::{self, COPY, Once};
use crate::inventory::{Mode, Questions, sha256};
use crate::op::{Command, Filled, Program};
use crate::plan::planner::{Hidden, Managed, NodePlan, Planned, Planner, header};
use crate::step::{Layer, StepId};
use crate::volumes;

/// What builds them, and where it lies. Its number is raised when another image comes of the same words.
const SCRIPT: &str = include_str!("build-image.sh");
const SCRIPT_FILE: &str = "/var/lib/stead/build-image";
const BUILDER: u8 = 1;

/// The volume that an image is kept on, for a machine whose first disk is on `machines`.
fn volume<'a>(spec: &'a Spec, image: &'a Image, machines: &'a VolumeName) -> Option<&'a Volume> {
    let said = match &image.origin {
        ImageOrigin::File { path, .. } => Some(path.volume()),
        ImageOrigin::Build { .. } | ImageOrigin::Fetch { .. } => image.volume.as_ref(),
    };
    spec.volumes().get(said.unwrap_or(machines))
}

/// Where an image lies, for a machine whose first disk is on `machines`; nowhere, if stead can't get it.
pub(super) fn file(spec: &Spec, image: &Image, machines: &VolumeName) -> Option<String> {
    let place = volumes::place(volume(spec, image, machines)?);
    match &image.origin {
        ImageOrigin::File { path, .. } => Some(format!("{place}/{}", path.path())),
        ImageOrigin::Fetch { sha256, .. } => Some(format!("{place}/iso/{}-{}.img", image.name, once::short(sha256))),
        ImageOrigin::Build { suite, packages } => {
            let packages: Vec<String> = packages.iter().map(ToString::to_string).collect();
            let sum = sha256(format!("{BUILDER} {suite} {}", packages.join(" ")));
            Some(format!("{place}/iso/{}-{}.qcow2", image.name, once::short(&sum)))
        }
    }
}

pub(super) fn is_built(image: &Image) -> bool {
    matches!(image.origin, ImageOrigin::Build { .. })
}

/// The images that a machine needs: what it starts as, and its CD.
pub(super) fn of<'a>(spec: &'a Spec, machine: &'a Machine) -> impl Iterator<Item = (&'a Image, &'a VolumeName)> {
    let first = machine.disks.first().map(|disk| &disk.volume);
    let names = machine.image.iter().chain(&machine.cdrom);
    names.filter_map(move |name| Some((spec.images().get(name)?, first?)))
}

pub(super) fn questions(spec: &Spec, node: &Node, machine: &Machine, out: &mut Questions) {
    if machine.disks.first().is_some_and(|disk| disks::is_on(spec, node, machine, disk)) {
        let files = of(spec, machine).filter_map(|(image, volume)| file(spec, image, volume));
        out.disk_files.extend(files.map(Utf8PathBuf::from));
    }
    if of(spec, machine).any(|(image, _)| is_built(image)) {
        out.files.insert(SCRIPT_FILE.into());
    }
}

/// The name of the step that gets an image for a volume.
fn step(image: &Image, volume: &Volume) -> String {
    format!("image.{}.{}", image.name, volume.name)
}

/// The steps by which an image is there, for a machine whose first disk is on `machines`: any of its nodes may take one.
pub(super) fn steps(spec: &Spec, image: &Image, machines: &VolumeName) -> Vec<StepId> {
    let Some(volume) = volume(spec, image, machines) else { return Vec::new() };
    let what = step(image, volume);
    let id = |node: &Node| StepId { layer: Layer::Machines, node: node.name.clone(), what: what.clone() };
    super::runners(spec).map(id).collect()
}

/// What a machine is still to start from, or its CD, that somebody has to put in its place. A disk that is there needs nothing
/// more.
pub(super) fn missing(spec: &Spec, hosts: &[Planned<'_>], machine: &Machine) -> Option<String> {
    let is_there = |path: &str| {
        let mut told = hosts.iter().filter_map(|of| of.seen.hypervisor.disks.get(Utf8Path::new(path))?.get());
        told.any(Option::is_some)
    };
    let disk = machine.disks.first()?;
    let made = disks::file(spec, &machine.name, disk).is_some_and(|path| is_there(&path));
    let wanted = of(spec, machine).filter(|(image, _)| matches!(image.origin, ImageOrigin::File { .. }));
    let mut wanted = wanted.filter(|(image, _)| !made || machine.cdrom.as_ref() == Some(&image.name));
    wanted.find_map(|(image, machines)| {
        let path = file(spec, image, machines).filter(|path| !is_there(path))?;
        Some(format!("its image {} isn't there. Put it on a node at {path}, and apply again", image.name))
    })
}

/// All that are fetched or built, each once for each volume.
pub(super) fn images<'a>(planner: &mut Planner<'a>, hosts: &[Planned<'a>]) {
    let spec = planner.spec;
    let mut seen = BTreeSet::new();
    for machine in spec.machines().values() {
        let Some(disk) = machine.disks.first() else { continue };
        let own = disks::own(spec, hosts, machine, disk);
        for (image, machines) in of(spec, machine) {
            if let ImageOrigin::File { .. } = &image.origin {
                continue;
            }
            let (Some(volume), Some(path)) = (volume(spec, image, machines), file(spec, image, machines)) else {
                continue;
            };
            // A local volume is another one on each node.
            let home = if volume.is_shared() { None } else { own.first().map(|of| &of.node.name) };
            if !seen.insert((&image.name, &volume.name, home)) {
                continue;
            }
            let what = format!("the image {} on {}", image.name, volume.name);
            once::unless_there(planner, &own, (volume, &path), &what, |plan| get(plan, image, volume, &path));
        }
    }
}

fn get(plan: &mut NodePlan<'_, '_>, image: &Image, volume: &Volume, path: &str) -> Result<(), Hidden> {
    let how = if is_built(image) { "build" } else { "fetch" };
    let title = format!("{how} the image {} for {}", image.name, volume.name);
    let once = Once { step: step(image, volume), title, path, volume };
    once::make(plan, once, |step, new| {
        match &image.origin {
            ImageOrigin::Fetch { url, sha256 } => {
                let how = ["--fail", "--silent", "--show-error", "--location", "--proto", "=http,https", "--output"];
                step.run(Program::Curl.command().args(how).args([new, &url.to_string()]).timeout(COPY));
                step.run(has_sum(new, sha256.as_ref()));
                step.run(is_whole(new, None));
            }
            ImageOrigin::Build { suite, packages } => {
                step.file(&Managed { mode: Mode(0o755), ..Managed::new(SCRIPT_FILE, script()) })?;
                // As a unit it goes on though nobody waits for it any more, and there is never a second one.
                let unit = format!("--unit=stead-image-{}", image.name);
                let how = ["--wait", "--pipe", "--collect", "--quiet", &unit, "--property=PrivateMounts=yes"];
                let builds = Program::SystemdRun.command().args(how).args([SCRIPT_FILE, &suite.to_string(), new]);
                step.run(builds.args(packages.iter().map(ToString::to_string)).timeout(COPY));
            }
            ImageOrigin::File { .. } => {}
        }
        Ok(())
    })
}

fn script() -> String {
    SCRIPT.replace("# HEADER\n", &header("#"))
}

/// That a file's bytes are those that were asked for.
pub(super) fn has_sum(path: &str, sha256: &str) -> Command {
    let line = Filled { text: format!("{sha256}  {path}\n"), ..Filled::default() };
    Program::Sha256sum.command().args(["--check", "--strict"]).reads(line).timeout(COPY)
}

/// That a disk's file has all that its header tells of: QEMU reads as zeros what is missing at its end. Space that is lost (3)
/// loses nothing, and a format without a header (63) has nothing to check.
pub(super) fn is_whole(path: &str, format: Option<&str>) -> Command {
    let format = format.map(|format| ["-f", format]);
    let words = ["check", "-q"].into_iter().chain(format.into_iter().flatten()).chain([path]);
    Program::QemuImg.command().args(words).timeout(COPY).already(3).already(63)
}
