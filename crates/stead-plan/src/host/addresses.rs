//! The nodes' addresses outside of the core: what their names lead to, and where they ask each other for the time.

use std::collections::BTreeMap;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::{Interface, NetworkName, NodeName};

/// One address a node.
#[derive(Debug)]
pub(super) struct Addresses(BTreeMap<NodeName, Interface>);

impl Addresses {
    /// Of the network in which all nodes have addresses: one with a gateway before one without, then the first by name.
    /// Where there is none, each node's own best.
    pub(super) fn new(spec: &Spec) -> Self {
        let everywhere = |name: &&NetworkName| spec.nodes().values().all(|node| node.addresses.contains_key(*name));
        let shared = spec.networks().keys().filter(everywhere).min_by_key(|name| rank(spec, name));
        let of = |node: &Node| {
            let own = || node.addresses.keys().min_by_key(|name| rank(spec, name));
            let address = node.addresses.get(shared.or_else(own)?)?;
            Some((node.name.clone(), *address))
        };
        Self(spec.nodes().values().filter_map(of).collect())
    }

    /// A node's.
    pub(super) fn of(&self, node: &NodeName) -> Option<Interface> {
        self.0.get(node).copied()
    }

    /// All of them, by node.
    pub(super) fn all(&self) -> impl Iterator<Item = Interface> {
        self.0.values().copied()
    }
}

fn rank<'s>(spec: &Spec, name: &'s NetworkName) -> (bool, &'s NetworkName) {
    let gateway = spec.networks().get(name).is_some_and(|network| network.gateway.is_some());
    (!gateway, name)
}
