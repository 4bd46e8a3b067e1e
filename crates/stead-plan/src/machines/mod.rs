//! The layer `machines`: what virtual machines run in, and what they are plugged into.
//!
//! ```text
//! machine ── card ── libvirt's network ── bridge of Open vSwitch's   (same names on each node)
//!     └───── disk ── a file on a volume
//! ```
//!
//! What is known of the engines, libvirt and Pacemaker, is in folders of this name alone. On each node that may have
//! machines: [`migration`], [`hypervisor`] (its certificate, that it runs, who may use it), then [`networks`]. On each that decides where
//! they run: [`watchdog`], [`members`].

mod agent;
mod cloud_init;
mod disks;
mod domain;
pub mod errands;
mod facts;
mod hypervisor;
mod images;
mod members;
mod migration;
mod networks;
mod once;
mod processor;
mod resources;
pub(crate) mod watchdog;
pub(crate) mod whereabouts;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::machines::{Disk, Firmware, Format, ImageOrigin, Machine};
use stead_spec::units::{NodeName, Suite};

use crate::held::Held;
use crate::inventory::{Architecture, FileState, Known, NodeInventory, Questions};
use crate::plan::planner::{Hidden, Managed, NodePlan, Planned, Planner, header, state};
use crate::release;
use crate::step::Layer;

use domain::Hardware;
pub use members::PACEMAKER;
pub(crate) use members::{COROSYNC, SBD, is_member};

pub use whereabouts::{about, running_on};

pub use facts::{Attributes, DiskFile, Hypervisor, Membership, Processor, Running, VirtualNetwork};

/// Where this layer writes, beside where all do.
pub(crate) const PLACES: [&str; 1] = ["/usr/lib/ocf/resource.d/stead"];

/// What decides which node owns a machine, and what machines run in.
pub(crate) const HELD: Held = Held {
    packages: &[
        "corosync",
        "libvirt-daemon",
        "libvirt-daemon-system",
        "pacemaker",
        "pacemaker-cli-utils",
        "pacemaker-resource-agents",
        "qemu-system-arm",
        "qemu-system-x86",
        "resource-agents",
        "sbd",
    ],
    units: &[
        "corosync.service",
        "libvirtd.service",
        "pacemaker.service",
        "sbd.service",
        "virtlockd.service",
        "virtlogd.service",
    ],
};

/// The nodes that machines may run on: none, where the file has no machines.
fn hosts(spec: &Spec) -> impl Iterator<Item = &Node> {
    spec.trusted_nodes().filter(|node| is_host(spec, node))
}

/// Those of them that machines are started on: that decide, too.
fn runners(spec: &Spec) -> impl Iterator<Item = &Node> {
    hosts(spec).filter(|node| members::is_member(spec, node))
}

/// Whether machines are started on a node.
pub fn runs_machines(spec: &Spec, node: &NodeName) -> bool {
    runners(spec).any(|host| host.name == *node)
}

pub(crate) fn is_host(spec: &Spec, node: &Node) -> bool {
    !spec.machines().is_empty() && !node.arbiter
}

/// What a node needs for this layer.
pub(crate) fn packages(spec: &Spec, node: &Node, suite: Suite, architecture: &Architecture) -> Vec<&'static str> {
    let mut packages = Vec::new();
    if is_host(spec, node) {
        let qemu = match architecture {
            Architecture::Arm64 => "qemu-system-arm",
            _ => "qemu-system-x86",
        };
        packages.extend(["libvirt-clients", "libvirt-daemon-system", "qemu-utils", qemu]);
        packages.extend(release::libvirt_locks(suite));
        if spec.machines().values().any(|machine| machine.firmware == Firmware::Uefi) {
            packages.push("ovmf");
        }
        if spec.images().values().any(|image| matches!(image.origin, ImageOrigin::Fetch { .. })) {
            packages.push("curl");
        }
        if spec.images().values().any(images::is_built) {
            packages.extend(["dosfstools", "e2fsprogs", "fdisk", "mmdebstrap"]);
        }
        if spec.machines().values().any(|machine| machine.image.is_some()) {
            packages.push("xorriso");
        }
    }
    if members::is_member(spec, node) {
        packages.extend(["corosync", "kmod", "pacemaker", "pacemaker-cli-utils", "resource-agents", "sbd"]);
    }
    packages
}

/// The certificates that nodes want for this layer, by their names among the sealed secrets.
pub(crate) fn certificates(spec: &Spec) -> Vec<String> {
    [hypervisor::certificates(spec), migration::certificates(spec)].concat()
}

/// The keys that they want.
pub(crate) fn secrets(spec: &Spec) -> Vec<&'static str> {
    if members::members(spec).is_empty() { Vec::new() } else { vec![members::SECRET] }
}

/// What a node must be asked for this layer.
pub(crate) fn questions(spec: &Spec, node: &Node, out: &mut Questions) {
    if is_host(spec, node) {
        hypervisor::questions(out);
        migration::questions(out);
        agent::questions(out);
        for machine in spec.machines().values() {
            out.files.insert(resources::file(machine).into());
            cloud_init::questions(spec, node, machine, out);
            disks::questions(spec, node, machine, out);
            images::questions(spec, node, machine, out);
        }
    }
    if members::is_member(spec, node) {
        members::questions(out);
    }
}

/// The steps of this layer on all nodes.
pub(crate) fn plan(planner: &mut Planner<'_>) {
    let spec = planner.spec;
    let nodes = planner.nodes();
    for of in nodes.iter().filter(|of| is_host(spec, of.node)) {
        let mut node = planner.on(Layer::Machines, *of);
        node.concern("the certificate of its hypervisor", hypervisor::tls);
        node.concern("how machines move", migration::migration);
        node.concern("its hypervisor", hypervisor::hypervisor);
        node.concern("who may use its hypervisor", hypervisor::users);
        node.concern("how machines are started", agent::agent);
        node.concern("its networks for machines", networks::networks);
    }
    let members: Vec<Planned<'_>> = nodes.into_iter().filter(|of| members::is_member(spec, of.node)).collect();
    let Some(leader) = members::leader(&members) else { return };
    let mut before = None;
    for of in &members {
        let mut node = planner.on(Layer::Machines, *of);
        node.concern("its watchdog", watchdog::watchdog);
        node.concern("whom it decides with", |node| members::member(node, before, &leader));
        before = Some(&of.node.name);
    }
    let mut node = planner.on(Layer::Machines, leader);
    node.concern("what becomes of a silent node's machines", |node| members::fencing(node, &members));
    let hosts: Vec<Planned<'_>> = members.iter().filter(|of| is_host(spec, of.node)).copied().collect();
    images::images(planner, &hosts);
    let mut complete = Vec::new();
    for machine in spec.machines().values() {
        match lacks(spec, &hosts, machine) {
            Some(why) => planner.note(format!("machine {} is left out: {why}", machine.name)),
            None => complete.push(machine),
        }
    }
    for machine in &complete {
        let written = written(&hosts, machine);
        machine.disks.iter().for_each(|disk| disks::disk(planner, &hosts, machine, disk, written));
    }
    for machine in &complete {
        cloud_init::disk(planner, &hosts, machine);
    }
    for machine in &complete {
        self::machine(planner, &hosts, leader, machine);
    }
    let mut node = planner.on(Layer::Machines, leader);
    node.concern("the order of machines", resources::order);
    node.concern("machines that the file leaves out", resources::leftovers);
}

/// A machine's file, as the first node has it that has one.
fn written<'a>(hosts: &[Planned<'a>], machine: &Machine) -> Option<&'a str> {
    hosts.iter().find_map(|of| text_of(of.seen, &resources::file(machine)))
}

/// What each node knows of a machine, and that one tells pacemaker.
fn machine<'a>(planner: &mut Planner<'a>, hosts: &[Planned<'a>], leader: Planned<'a>, machine: &Machine) {
    let hardware = written(hosts, machine).and_then(Hardware::of).map_or_else(|| hardware(planner.spec, hosts), Ok);
    for of in hosts {
        let mut node = planner.on(Layer::Machines, *of);
        let what = format!("what {} is", machine.name);
        node.concern(&what, |node| definition(node, hosts, machine, &hardware));
    }
    let ready = hosts.iter().all(|of| is_defined(planner, *of, machine)) && disks::are_made(planner, hosts, machine);
    let mut node = planner.on(Layer::Machines, leader);
    node.concern(&format!("the machine {}", machine.name), |node| resources::machine(node, machine, hosts, ready));
}

/// What a machine wants that isn't built yet, or isn't there.
fn lacks(spec: &Spec, hosts: &[Planned<'_>], machine: &Machine) -> Option<String> {
    let is_raw = |disk: &Disk| disk.format == Format::Raw;
    let is_local = |disk: &Disk| spec.volumes().get(&disk.volume).is_some_and(|volume| !volume.is_shared());
    let not_built = if machine.disks.iter().any(|disk| is_raw(disk) && is_local(disk)) {
        "stead makes no logical volumes for machines yet"
    } else if machine.was.is_some() || machine.disks.iter().any(|disk| disk.was.is_some()) {
        "stead renames no machines and disks yet"
    } else if machine.name.as_ref().starts_with(|first: char| first.is_ascii_digit()) {
        "pacemaker wants names that begin with a letter"
    } else if hosts.iter().any(|of| of.seen.system.architecture != Architecture::Amd64) {
        "stead makes machines for amd64 only yet"
    } else {
        return images::missing(spec, hosts, machine);
    };
    Some(not_built.to_owned())
}

/// The computer that a new machine gets: one that all nodes have.
fn hardware(spec: &Spec, seen: &[Planned<'_>]) -> Result<Hardware, Hidden> {
    let silent = runners(spec).find(|node| seen.iter().all(|of| of.node.name != node.name));
    if let Some(silent) = silent {
        return Err(Hidden::new(format!("{}'s processor", silent.name), "the node didn't answer"));
    }
    let mut processors = Vec::new();
    for of in seen {
        let known = of.seen.hypervisor.processor.as_ref().map_or(Err("the node was not asked"), Known::as_result);
        processors.push(known.map_err(|why| Hidden::new(format!("{}'s processor", of.node.name), why))?);
    }
    let oldest = seen.iter().map(|of| of.suite).min().unwrap_or(Suite::Trixie);
    let alike = seen.iter().all(|of| of.suite == oldest);
    let accelerate = processors.iter().all(|processor| processor.accelerates);
    Ok(Hardware {
        kind: if accelerate { "kvm" } else { "qemu" }.to_owned(),
        board: release::board(oldest).to_owned(),
        processor: processor::common(&processors, alike),
    })
}

/// What a machine is, for libvirt on one node. What is changed, a machine that runs has once it was off. It comes after the
/// disks that it names: one that is named and isn't there was lost.
fn definition(
    plan: &mut NodePlan<'_, '_>,
    hosts: &[Planned<'_>],
    machine: &Machine,
    hardware: &Result<Hardware, Hidden>,
) -> Result<(), Hidden> {
    let hardware = hardware.as_ref().map_err(Clone::clone)?;
    let Some(text) = domain::domain(plan.spec, plan.node, machine, hardware) else { return Ok(()) };
    let name = &machine.name;
    let mut step = plan.draft(&resources::definition_step(machine), format!("know what {name} is"));
    let head = header("<!--").trim_end().to_owned() + " -->\n";
    step.file(&Managed::new(resources::file(machine), head + &text))?;
    let files = machine.disks.iter().map(|disk| disks::step(machine, disk)).chain([cloud_init::step(machine)]);
    for file in files {
        for of in hosts {
            step.after_on(of.node.name.clone(), &file);
        }
    }
    plan.add(step);
    Ok(())
}

/// Whether a node knows what a machine is, or will by this plan.
fn is_defined(planner: &Planner<'_>, of: Planned<'_>, machine: &Machine) -> bool {
    let step = resources::definition_step(machine);
    let mut steps = planner.plan.steps.iter();
    text_of(of.seen, &resources::file(machine)).is_some()
        || steps.any(|other| other.id.node == of.node.name && other.id.what == step)
}

/// What is in a file of a node's, if that is known.
fn text_of<'a>(seen: &'a NodeInventory, path: &str) -> Option<&'a str> {
    match state(seen, path) {
        Ok(FileState::File(file)) => file.text.as_deref(),
        _ => None,
    }
}
