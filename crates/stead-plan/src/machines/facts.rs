//! What a node tells of its hypervisor.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use crate::inventory::Known;

/// What libvirt has written down (`/etc/libvirt`) and has running (`/run/libvirt`). It tells the same whether or not its
/// daemon runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hypervisor {
    /// Its networks, by name.
    pub networks: Known<BTreeMap<String, VirtualNetwork>>,
}

impl Default for Hypervisor {
    fn default() -> Self {
        Self { networks: Known::Is(BTreeMap::new()) }
    }
}

/// A network of libvirt's: what a machine's card is plugged into, by a name that is the same on every node.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct VirtualNetwork {
    /// Its number in libvirt.
    pub uuid: String,
    /// The bridge of the node's that it stands for.
    pub bridge: Option<String>,
    /// Whether that is one of Open vSwitch's.
    pub openvswitch: bool,
    /// Its tag on the bridge.
    pub vlan: Option<u16>,
    /// The names of what else is in its definition: `ip`, `dns`, `bandwidth`.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub others: BTreeSet<String>,
    /// Whether it is there after a boot.
    pub autostart: bool,
    /// Whether machines can be plugged in now.
    pub active: bool,
}
