//! The layer `host`: what every node is before anything else is built on it.

mod addresses;
mod admins;
mod clock;
pub mod facts;
mod identity;
mod leftovers;
mod packages;
mod ssh;
mod swap;
mod sysctl;
mod time;
mod updates;

use stead_spec::Spec;
use stead_spec::host::Node;

use crate::inventory::Questions;
use crate::plan::planner::Planner;
use crate::step::Layer;
use addresses::Addresses;
pub(crate) use admins::account_step;
pub(crate) use clock::{Clocks, span};
pub(crate) use packages::installs;

/// What a node must be asked for this layer.
pub(crate) fn questions(spec: &Spec, _node: &Node, out: &mut Questions) {
    identity::questions(out);
    packages::questions(out);
    updates::questions(out);
    time::questions(out);
    admins::questions(spec, out);
    ssh::questions(out);
    sysctl::questions(spec, out);
    swap::questions(out);
}

/// The steps of this layer on all nodes.
pub(crate) fn plan(planner: &mut Planner<'_>) {
    not_built(planner);
    let spec = planner.spec;
    let addresses = Addresses::new(spec);
    let clocks = Clocks::new(planner.nodes().iter().map(|of| (&of.node.name, &of.seen.clock)));
    clocks.note(planner);
    let hosts = identity::hosts_lines(spec, &addresses);
    let pin = packages::pinned(spec);
    for of in planner.nodes() {
        let mut node = planner.on(Layer::Host, of);
        let (addresses, clocks) = (&addresses, &clocks);
        node.concern("whose node it is", identity::stamp);
        node.concern("/etc/hosts", |node| identity::hosts(node, &hosts));
        node.concern("the hostname", identity::hostname);
        node.concern("where packages come from", |node| packages::sources(node, &pin));
        node.concern("the packages", |node| packages::packages(node, clocks));
        node.concern("what runs only once it is configured", packages::masks);
        node.concern("the time zone", identity::timezone);
        node.concern("updates", updates::updates);
        node.concern("the time of updates", |node| updates::time(node, of.place));
        node.concern("needrestart", updates::needrestart);
        node.concern("chrony", |node| time::time(node, addresses));
        node.concern("the clock", |node| clock::clock(node, clocks, addresses));
        node.concern("the admins' accounts", admins::accounts);
        node.concern("the admins' keys", admins::keys);
        node.concern("sshd", ssh::ssh);
        node.concern("sudo", admins::sudo);
        node.concern("the kernel's settings", sysctl::sysctl);
        node.concern("swap", swap::swap);
        leftovers::leftovers(&mut node);
    }
}

/// One note of the layers that the file asks something of and that aren't built yet.
fn not_built(planner: &mut Planner<'_>) {
    let spec = planner.spec;
    let asked = Layer::ALL.into_iter().filter(|layer| match layer {
        Layer::Host | Layer::Network | Layer::Disks | Layer::Volumes | Layer::Machines => false,
        Layer::Router => spec.router().is_some(),
        Layer::Backup => !spec.backups().is_empty(),
        Layer::Telemetry => spec.telemetry().is_some(),
    });
    let asked: Vec<String> = asked.map(|layer| layer.to_string()).collect();
    let asked: Vec<&str> = asked.iter().map(String::as_str).collect();
    if !asked.is_empty() {
        planner
            .note(format!("not yet built by this version, though the file asks for it: {}", crate::plan::list(&asked)));
    }
}
