//! What the switches must be set to: stead sets none, so it tells.

use std::collections::BTreeMap;

use serde::Serialize;
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::network::{CORE, Carrier, Network};
use stead_spec::units::{Mac, Mtu, NodeName, SwitchName, Vlan};

/// What a switch must be set to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct SwitchSetting {
    /// Which.
    pub switch: SwitchName,
    /// The largest packet that must pass, in bytes, without the Ethernet header.
    pub mtu: u16,
    /// The same as most switches count: with the Ethernet header, a tag and the checksum.
    pub frame: u32,
    /// The ports that lead to something of the cluster's.
    pub ports: Vec<Port>,
    /// What a port carries that belongs to one network, whatever is behind it: each network of this switch.
    pub others: Carries,
}

/// A port of a switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Port {
    /// What its cable leads to.
    pub to: End,
    /// What it carries.
    #[serde(flatten)]
    pub carries: Carries,
}

/// The far end of a cable.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum End {
    /// A node.
    Node {
        /// Its name.
        name: NodeName,
        /// Its NIC.
        nic: Mac,
    },
    /// Another switch.
    Switch(SwitchName),
}

/// What a port carries.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Carries {
    /// What has no tag: the port's own VLAN, or PVID.
    pub untagged: Option<String>,
    /// What has one.
    pub tagged: BTreeMap<Vlan, String>,
}

/// Ethernet's header 14, a VLAN tag 4, and the checksum 4 (IEEE 802.3, 802.1Q).
pub(super) const FRAME: u32 = 22;

/// What each switch must be set to, by name.
pub fn explain(spec: &Spec) -> Vec<SwitchSetting> {
    spec.switches().keys().map(|switch| setting(spec, switch)).collect()
}

fn setting(spec: &Spec, switch: &SwitchName) -> SwitchSetting {
    let networks: Vec<_> = spec.networks().values().filter(|network| is_on(network, switch)).collect();
    let core = spec.core();
    let has_core = core.links.contains_key(switch);
    let largest = networks.iter().map(|network| network.mtu).chain(has_core.then_some(core.mtu)).max();
    let mtu = largest.map_or(0, Mtu::get);
    let carries = |wanted: &dyn Fn(&Network) -> bool, core_too: bool| {
        let mut carries = Carries::default();
        if core_too && has_core {
            carries.add(core.vlan, CORE);
        }
        for network in networks.iter().filter(|network| wanted(network)) {
            carries.add(vlan(network), network.name.as_ref());
        }
        carries
    };
    let mut ports = Vec::new();
    for (node, nic) in spec.nodes().values().filter_map(|node| Some((node, *node.nics.get(switch)?))) {
        let carries = carries(&|network| reaches(network, node), true);
        ports.push(Port { to: End::Node { name: node.name.clone(), nic }, carries });
    }
    for other in spec.switches().get(switch).into_iter().flat_map(|switch| &switch.linked_to) {
        // The core is routed over each switch by itself, and its packets needn't come from one to the other.
        let carries = carries(&|network| is_on(network, other), false);
        ports.push(Port { to: End::Switch(other.clone()), carries });
    }
    let others = carries(&|_| true, false);
    SwitchSetting { switch: switch.clone(), mtu, frame: u32::from(mtu) + FRAME, ports, others }
}

/// Whether a network goes over a switch itself.
pub(crate) fn is_on(network: &Network, switch: &SwitchName) -> bool {
    matches!(&network.carrier, Carrier::Switches { switches, .. } if switches.contains(switch))
}

/// A network's tag, on switches or in the core.
pub(crate) fn vlan(network: &Network) -> Option<Vlan> {
    match network.carrier {
        Carrier::Switches { vlan, .. } => vlan,
        Carrier::Core { vlan } => Some(vlan),
    }
}

/// Whether a node needs a network: machines may come to run on it, or it has an address there.
pub(crate) fn reaches(network: &Network, node: &Node) -> bool {
    !node.arbiter || network.addresses.contains_key(&node.name)
}

impl Carries {
    fn add(&mut self, vlan: Option<Vlan>, network: &str) {
        match vlan {
            Some(vlan) => drop(self.tagged.insert(vlan, network.to_owned())),
            None => self.untagged = Some(network.to_owned()),
        }
    }
}
