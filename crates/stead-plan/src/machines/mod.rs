//! The layer `machines`: what virtual machines run in, and what they are plugged into.
//!
//! ```text
//! machine ── card ── libvirt's network ── bridge of Open vSwitch's   (same names on each node)
//!     └───── disk ── a file on a volume
//! ```
//!
//! What is known of the engines, libvirt and Pacemaker, is in folders of this name alone. On each node that may have
//! machines: [`hypervisor`] (its certificate, that it runs, who may use it), [`migration`], then [`networks`]. On each that decides where
//! they run: [`watchdog`], [`members`].

mod facts;
mod hypervisor;
mod members;
mod migration;
mod networks;
mod watchdog;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::Suite;

use crate::held::Held;
use crate::inventory::{Architecture, Questions};
use crate::plan::planner::{Planned, Planner};
use crate::release;
use crate::step::Layer;

pub use members::PACEMAKER;
pub(crate) use members::{COROSYNC, SBD, is_member};

pub use facts::{Hypervisor, Membership, VirtualNetwork};

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

fn is_host(spec: &Spec, node: &Node) -> bool {
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
        node.concern("its hypervisor", hypervisor::hypervisor);
        node.concern("who may use its hypervisor", hypervisor::users);
        node.concern("how machines move", migration::migration);
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
}
