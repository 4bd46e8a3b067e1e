//! What a node tells of its hypervisor.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_spec::units::Bytes;

use crate::inventory::Known;

/// What libvirt has written down (`/etc/libvirt`) and has running (`/run/libvirt`). It tells the same whether or not its
/// daemon runs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hypervisor {
    /// Its networks, by name.
    pub networks: Known<BTreeMap<String, VirtualNetwork>>,
    /// What of machines it has now, by name.
    #[serde(default = "none")]
    pub running: Known<BTreeMap<String, Running>>,
    /// What pacemaker knows of the cluster; only where its unit was asked for.
    /// `None`: it isn't installed, or doesn't run.
    #[serde(default = "nothing")]
    pub membership: Known<Option<Membership>>,
    /// What runs them; only where machines' disks were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub processor: Option<Known<Processor>>,
    /// The machines' disks that were asked for; `None`: there is none at that path.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub disks: BTreeMap<Utf8PathBuf, Known<Option<DiskFile>>>,
}

impl Default for Hypervisor {
    fn default() -> Self {
        let (networks, disks) = (Known::Is(BTreeMap::new()), BTreeMap::new());
        Self { networks, running: none(), membership: nothing(), processor: None, disks }
    }
}

fn nothing() -> Known<Option<Membership>> {
    Known::Is(None)
}

fn none() -> Known<BTreeMap<String, Running>> {
    Known::Is(BTreeMap::new())
}

/// A machine that a node has in its memory, as libvirt says.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// Its number.
    pub uuid: String,
    /// `running`, `paused`, `shutdown`.
    pub state: String,
    /// Why that: `booted`, `migrated`, `I/O error`.
    pub reason: String,
    /// The port of this node at which its screen is, for programs of this node's.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub screen: Option<u16>,
}

/// A node's processor, as Linux tells it (`/proc/cpuinfo`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Processor {
    /// Whether it runs machines itself: there is a `/dev/kvm`. Else QEMU translates for them.
    pub accelerates: bool,
    /// Its maker's numbers and name: `AuthenticAMD 23 49 0, EXAMPLE 9000`.
    pub model: String,
    /// What it can do: `avx2`.
    pub flags: BTreeSet<String>,
}

/// A machine's disk that is a file, or an image (`qemu-img info`).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskFile {
    /// `qcow2`, `raw`.
    pub format: String,
    /// As large as it is to the machine.
    pub size: Bytes,
    /// Another file that it is nothing without.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub needs: Option<String>,
}

/// Something that pacemaker has, by the names of its attributes: `meta.priority`, `op.stop.timeout`.
pub type Attributes = BTreeMap<String, String>;

/// Those who decide together where machines run, as one of them sees it (`cibadmin --query`).
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Membership {
    /// Whether those that are there are most.
    pub quorate: bool,
    /// All that it has ever heard of, and whether they are there.
    pub members: BTreeMap<String, bool>,
    /// Those of them that run nothing, because somebody wants it so (`standby`).
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub drained: BTreeSet<String>,
    /// Those of them whose watchdogs were seen to fire (`stead-watchdog`), and which these were.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub tested: BTreeMap<String, String>,
    /// What is set for all of them: `stonith-enabled`.
    pub properties: BTreeMap<String, String>,
    /// What it starts, stops and moves, by name.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub resources: BTreeMap<String, Attributes>,
    /// Where, after what and apart from what, by their names in it. `element` is what it is: `rsc_location`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub constraints: BTreeMap<String, Attributes>,
}

impl Membership {
    /// Whether a machine is to be off.
    pub(crate) fn is_off(&self, machine: &str) -> bool {
        let role = self.resources.get(machine).and_then(|resource| resource.get("meta.target-role"));
        role.is_some_and(|role| role == "Stopped")
    }

    /// The nodes that a machine may run on.
    pub(crate) fn places<'a>(&'a self, machine: &str) -> impl Iterator<Item = &'a str> {
        let own = format!("stead.{machine}.on.");
        self.constraints.keys().filter_map(move |name| name.strip_prefix(&own))
    }

    /// What is said of a machine by itself: what it is, and where it may run, by name.
    pub(crate) fn of(&self, machine: &str) -> BTreeMap<&str, &Attributes> {
        let own = format!("stead.{machine}.on.");
        let constraints = self.constraints.iter().filter(|(name, _)| name.starts_with(&own));
        let resource = self.resources.get_key_value(machine);
        constraints.chain(resource).map(|(name, of)| (name.as_str(), of)).collect()
    }

    /// What stead has said of machines among each other, by name.
    pub(crate) fn order(&self) -> BTreeMap<&str, &Attributes> {
        let is_order =
            |name: &str| name.starts_with("stead.") && (name.contains(".after.") || name.contains(".apart."));
        let all = self.constraints.iter().filter(|(name, _)| is_order(name));
        all.map(|(name, of)| (name.as_str(), of)).collect()
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
