//! The layer `network`: what nodes reach each other by, before anything is built on it.
//!
//! [`layout`] makes devices of the file's words. Each concern compares one part of them with what is there.

mod devices;
pub mod explain;
pub mod facts;
mod firewall;
mod interfaces;
mod layout;
mod leftovers;
mod networkd;
mod ovs;
pub mod probe;
mod resolver;
pub mod routing;
mod services;
mod sysctl;
mod watches;
mod way_back;

use stead_spec::Spec;
use stead_spec::host::Node;

use crate::held::Held;
use crate::inventory::Questions;
use crate::plan::planner::{Hidden, Planner};
use crate::step::Layer;
pub(crate) use explain::vlan;
use layout::Layout;
pub(crate) use layout::{OWN, bridge, core_device};

/// What routers know each other by.
pub(crate) const SECRETS: &[&str] = &[routing::KEY];

/// A restart of these takes the nodes' networks away for seconds.
pub(crate) const HELD: Held = Held {
    packages: &["frr", "openvswitch-common", "openvswitch-switch"],
    units: &["frr.service", "openvswitch-switch.service", "ovs-vswitchd.service", "ovsdb-server.service"],
};

/// What a node needs for this layer.
pub(crate) fn packages(_spec: &Spec, node: &Node) -> Vec<&'static str> {
    let mut packages = vec!["frr", "iputils-ping"];
    if !node.arbiter {
        packages.push("openvswitch-switch");
    }
    packages
}

/// What a node must be asked for this layer.
pub(crate) fn questions(spec: &Spec, node: &Node, out: &mut Questions) {
    way_back::questions(out);
    services::questions(out);
    out.files.extend(networkd::paths(spec, node));
    out.files.extend(interfaces::FILES.map(Into::into));
    out.folders.insert(networkd::FOLDER.into());
    firewall::questions(out);
    resolver::questions(out);
    routing::questions(out);
    sysctl::questions(spec, out);
}

/// The steps of this layer on all nodes.
pub(crate) fn plan(planner: &mut Planner<'_>) {
    let nodes = planner.nodes();
    for &of in &nodes {
        let mut node = planner.on(Layer::Network, of);
        node.concern("the way back from changes of networks", way_back::unit);
        node.concern("systemd-networkd", services::networkd);
        let layout = match Layout::of(node.spec, of.node, of.seen) {
            Ok(layout) => layout,
            Err(hidden) => {
                node.concern("its networks", |_| Err::<(), Hidden>(hidden));
                continue;
            }
        };
        node.concern("Open vSwitch", |node| services::ovs(node, &layout));
        node.concern("its networks", |node| devices::devices(node, &layout, &nodes));
        node.concern("its firewall", |node| firewall::firewall(node, &layout));
        node.concern("who answers names", |node| resolver::resolver(node, &layout));
        node.concern("what the kernel does with packets", sysctl::sysctl);
        node.concern("routing", |node| routing::routing(node, &layout));
        leftovers::leftovers(&mut node, &layout);
    }
}
