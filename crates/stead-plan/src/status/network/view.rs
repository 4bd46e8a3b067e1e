//! What is asked and what is observed, side by side: nodes, their NICs, and whom they hear.

use std::net::Ipv4Addr;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::network::Switch;
use stead_spec::units::{Interface, Mac, SwitchName};

use crate::inventory::NodeInventory;
use crate::network::facts::{Neighbour, Nic, Routing};
use crate::network::{OWN, core_device};
use crate::status::Path;
use crate::status::host::Asked;

/// What a neighbour is once both know the same.
const FULL: &str = "Full";

/// The cluster.
pub(super) struct View<'a> {
    pub(super) spec: &'a Spec,
    /// By their numbers, also those that didn't answer.
    pub(super) nodes: Vec<NodeView<'a>>,
}

/// A node.
pub(super) struct NodeView<'a> {
    pub(super) node: &'a Node,
    /// If it answered.
    pub(super) seen: Option<&'a NodeInventory>,
    /// If it answered and could tell.
    pub(super) nics: Option<&'a [Nic]>,
    /// If FRR runs there.
    pub(super) routing: Option<&'a Routing>,
    /// Whether an apply has been here.
    pub(super) set_up: bool,
    /// Its NICs, by their switches' numbers.
    pub(super) wires: Vec<Wire<'a>>,
}

/// What should be between a node and a switch.
pub(super) struct Wire<'a> {
    pub(super) switch: &'a Switch,
    pub(super) mac: Mac,
    pub(super) nic: Option<&'a Nic>,
    pub(super) cable: Cable,
    pub(super) core: Option<Link<'a>>,
}

/// How far a wire goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Cable {
    /// Nobody can tell.
    Untold,
    /// There is no such NIC.
    Missing,
    /// The NIC is switched off.
    Off,
    /// It has no carrier.
    Out,
    /// It has one.
    In,
}

/// The core on a wire.
pub(super) struct Link<'a> {
    /// `core1`, or the NIC itself where the core has no tag.
    pub(super) device: String,
    pub(super) address: Interface,
    /// The device as it is.
    pub(super) is: Option<&'a Nic>,
}

impl<'a> View<'a> {
    pub(super) fn of(spec: &'a Spec, asked: &[Asked<'a>]) -> Self {
        Self { spec, nodes: asked.iter().map(|asked| NodeView::of(spec, asked)).collect() }
    }

    /// The nodes that could tell of their NICs.
    pub(super) fn told(&self) -> impl Iterator<Item = &NodeView<'a>> {
        self.nodes.iter().filter(|node| node.nics.is_some())
    }
}

impl<'a> NodeView<'a> {
    fn of(spec: &'a Spec, asked: &Asked<'a>) -> Self {
        let node = asked.node;
        let seen = asked.seen.as_ref().ok().copied();
        let nics = seen.and_then(|seen| seen.nics.get()).map(Vec::as_slice);
        let routing = seen.and_then(|seen| seen.routing.get()?.as_ref());
        let mut wires: Vec<Wire<'a>> = node
            .nics
            .iter()
            .filter_map(|(name, mac)| Some(Wire::of(spec, node, spec.switches().get(name)?, *mac, nics)))
            .collect();
        wires.sort_by_key(|wire| wire.switch.number);
        let set_up = routing.is_some() || nics.is_some_and(|nics| nics.iter().any(|nic| nic.name == OWN));
        Self { node, seen, nics, routing, set_up, wires }
    }

    pub(super) fn wire(&self, switch: &SwitchName) -> Option<&Wire<'a>> {
        self.wires.iter().find(|wire| wire.switch.name == *switch)
    }

    /// Whether FRR could tell whom it hears, and what: `None`, if it doesn't run or the node could not be asked.
    fn way(&self, other: &Node, switch: &SwitchName) -> Option<bool> {
        self.seen?.routing.get()?;
        let well = |neighbour: &Neighbour| is_full(neighbour) && neighbour.bfd != Some(false);
        Some(self.hears(other, switch).is_some_and(well))
    }

    /// Another node as it is heard over a switch, by the address that it should have there.
    pub(super) fn hears(&self, other: &Node, switch: &SwitchName) -> Option<&'a Neighbour> {
        let address = other.links.get(switch)?.address().get();
        self.heard(switch).find(|heard| heard.router == other.core.get() && heard.address == address)
    }

    /// Everybody that is heard over a switch's device.
    pub(super) fn heard(&self, switch: &SwitchName) -> impl Iterator<Item = &'a Neighbour> + use<'a> {
        let device = self.wire(switch).and_then(|wire| wire.core.as_ref()).map(|core| core.device.clone());
        let all = self.routing.map(|routing| routing.neighbours.as_slice()).unwrap_or_default();
        all.iter().filter(move |neighbour| Some(&neighbour.interface) == device.as_ref())
    }

    /// `node1's enp1s0`, or `node1's NIC` where that isn't known.
    pub(super) fn nic_name(&self, switch: &SwitchName) -> String {
        let nic = self.wire(switch).and_then(|wire| wire.nic).map_or("NIC", |nic| nic.name.as_str());
        format!("{}'s {nic}", self.node.name)
    }
}

impl<'a> Wire<'a> {
    fn of(spec: &Spec, node: &Node, switch: &'a Switch, mac: Mac, nics: Option<&'a [Nic]>) -> Self {
        let all = nics.unwrap_or_default();
        let nic = all.iter().find(|nic| nic.driver.is_some() && nic.mac == Some(mac));
        let cable = match nic {
            None if nics.is_none() => Cable::Untold,
            None => Cable::Missing,
            Some(nic) if !nic.up => Cable::Off,
            Some(nic) if nic.carrier == Some(false) => Cable::Out,
            Some(_) => Cable::In,
        };
        let core = node.links.get(&switch.name).map(|address| {
            let tagged = || core_device(switch);
            let untagged = || nic.map_or_else(tagged, |nic| nic.name.clone());
            let device = if spec.core().vlan.is_some() { tagged() } else { untagged() };
            let is = all.iter().find(|nic| nic.name == device);
            Link { device, address: *address, is }
        });
        Self { switch, mac, nic, cable, core }
    }

    /// Whether nothing can come over it.
    pub(super) fn is_down(&self) -> bool {
        matches!(self.cable, Cable::Missing | Cable::Off | Cable::Out)
    }
}

impl Link<'_> {
    /// Whether it is on and has its address.
    pub(super) fn is_well(&self) -> bool {
        let address: Ipv4Addr = self.address.address().get();
        self.is.is_some_and(|nic| nic.up && nic.addresses.iter().any(|net| net.addr() == address))
    }
}

pub(super) fn is_full(neighbour: &Neighbour) -> bool {
    neighbour.state == FULL
}

/// The core's path over a switch between two nodes that both have NICs there.
pub(super) fn path(one: &NodeView<'_>, other: &NodeView<'_>, switch: &SwitchName) -> Path {
    let ways = [one.way(other.node, switch), other.way(one.node, switch)];
    if ways.contains(&Some(false)) {
        Path::Broken
    } else if ways.contains(&Some(true)) {
        Path::Works
    } else {
        Path::Unknown
    }
}
