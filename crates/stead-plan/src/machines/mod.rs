//! The layer `machines`: what virtual machines run in, and what they are plugged into.
//!
//! ```text
//! machine ── card ── libvirt's network ── bridge of Open vSwitch's   (same names on each node)
//!     └───── disk ── a file on a volume
//! ```
//!
//! What is known of the engine, libvirt, is in folders of this name alone. On each node that may have machines:
//! [`hypervisor`] (its certificate, that it runs, who may use it), then [`networks`].

mod facts;
mod hypervisor;
mod networks;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::Suite;

use crate::held::Held;
use crate::inventory::{Architecture, Questions};
use crate::plan::planner::Planner;
use crate::release;
use crate::step::Layer;

pub use facts::{Hypervisor, VirtualNetwork};

/// What decides which node owns a machine, and what machines run in.
pub(crate) const HELD: Held = Held {
    packages: &[
        "corosync",
        "libvirt-daemon",
        "libvirt-daemon-system",
        "pacemaker",
        "qemu-system-arm",
        "qemu-system-x86",
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
    if !is_host(spec, node) {
        return Vec::new();
    }
    let qemu = match architecture {
        Architecture::Arm64 => "qemu-system-arm",
        _ => "qemu-system-x86",
    };
    let mut packages = vec!["libvirt-clients", "libvirt-daemon-system", "qemu-utils", qemu];
    packages.extend(release::libvirt_locks(suite));
    packages
}

/// The certificates that nodes want for this layer, by their names among the sealed secrets.
pub(crate) fn secrets(spec: &Spec) -> Vec<String> {
    hypervisor::secrets(spec)
}

/// What a node must be asked for this layer.
pub(crate) fn questions(spec: &Spec, node: &Node, out: &mut Questions) {
    if is_host(spec, node) {
        hypervisor::questions(out);
    }
}

/// The steps of this layer on all nodes.
pub(crate) fn plan(planner: &mut Planner<'_>) {
    let spec = planner.spec;
    for of in planner.nodes() {
        if !is_host(spec, of.node) {
            continue;
        }
        let mut node = planner.on(Layer::Machines, of);
        node.concern("the certificate of its hypervisor", hypervisor::tls);
        node.concern("its hypervisor", hypervisor::hypervisor);
        node.concern("who may use its hypervisor", hypervisor::users);
        node.concern("its networks for machines", networks::networks);
    }
}
