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
    /// What pacemaker knows of the cluster; only where its unit was asked for.
    /// `None`: it isn't installed, or doesn't run.
    #[serde(default = "nothing")]
    pub membership: Known<Option<Membership>>,
}

impl Default for Hypervisor {
    fn default() -> Self {
        Self { networks: Known::Is(BTreeMap::new()), membership: nothing() }
    }
}

fn nothing() -> Known<Option<Membership>> {
    Known::Is(None)
}

/// Those who decide together where machines run, as one of them sees it (`cibadmin --query`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Whether those that are there are most.
    pub quorate: bool,
    /// All that it has ever heard of, and whether they are there.
    pub members: BTreeMap<String, bool>,
    /// What is set for all of them: `stonith-enabled`.
    pub properties: BTreeMap<String, String>,
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
