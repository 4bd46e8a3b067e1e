//! What a node tells of its networks: NICs and routes, as `ip -j` and the kernel's own files have them, Open vSwitch, FRR
//! and nftables.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use ipnet::Ipv4Net;
use serde::{Deserialize, Serialize};
use stead_spec::units::Mac;

/// An interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Nic {
    /// The kernel's name, `enp0s1`.
    pub name: String,
    /// Its number in the kernel.
    pub index: u32,
    /// The burnt-in address; that of now where there is none.
    pub mac: Option<Mac>,
    /// The driver of the hardware; `None` for interfaces that are none.
    pub driver: Option<String>,
    /// What it is made as (`vlan`, `bridge`, `openvswitch`, …); `None` for hardware.
    pub kind: Option<String>,
    /// Mbit/s; `None` without a carrier, or where the driver doesn't say.
    pub speed: Option<u32>,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether the other end of its cable answers. `None`: it is switched off, and so can't tell.
    pub carrier: Option<bool>,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// What it is a part of: a bridge, or Open vSwitch.
    pub master: Option<String>,
    /// Of a VLAN device: what it lies on, and its tag.
    #[serde(default)]
    pub vlan: Option<Tagged>,
    /// Its IPv4 addresses, each with its prefix.
    pub addresses: Vec<Ipv4Net>,
    /// What went wrong on it since it was made.
    #[serde(default)]
    pub errors: Errors,
}

/// What a VLAN device lies on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tagged {
    /// The interface below.
    pub on: String,
    /// The tag, 1 to 4094.
    pub id: u16,
}

/// Frames that an interface counts as broken. Dropped ones aren't: a full queue is no fault.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Errors {
    /// Coming in: checksums, lengths.
    pub received: u64,
    /// Going out.
    pub sent: u64,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// `default`, or a prefix.
    pub to: String,
    /// `unreachable`, `blackhole` and the like; `None` for those that lead somewhere.
    #[serde(default)]
    pub kind: Option<String>,
    /// Through whom.
    pub gateway: Option<String>,
    /// Out of which interface.
    pub dev: Option<String>,
    /// Who made it: `kernel`, `static`, `dhcp`, `ospf`, ….
    pub protocol: Option<String>,
    /// The address that packets are sent from, where the route says so.
    #[serde(default)]
    pub source: Option<Ipv4Addr>,
    /// The lower, the better; the kernel's default is 0.
    #[serde(default)]
    pub metric: u32,
}

/// What Open vSwitch's database has, as `ovs-vsctl` lists it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Ovs {
    /// By name.
    pub bridges: BTreeMap<String, Bridge>,
}

/// A bridge of Open vSwitch's.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bridge {
    /// `standalone`, `secure`, or nothing said.
    pub fail_mode: Option<String>,
    /// Whether it is asked to speak (R)STP.
    pub rstp: bool,
    /// Settings such as `hwaddr`.
    pub other_config: BTreeMap<String, String>,
    /// Marks; stead's have the key `stead`.
    pub external_ids: BTreeMap<String, String>,
    /// By name.
    pub ports: BTreeMap<String, Port>,
}

/// A port of a bridge.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Port {
    /// Its VLAN, if it has one of its own.
    pub tag: Option<u16>,
    /// The VLANs that it passes; none: all.
    pub trunks: BTreeSet<u16>,
    /// `active-backup` and the like.
    pub bond_mode: Option<String>,
    /// Whether it never sends to other protected ports.
    pub protected: bool,
    /// Settings such as `bond-primary`.
    pub other_config: BTreeMap<String, String>,
    /// Marks.
    pub external_ids: BTreeMap<String, String>,
    /// One, or several in a bond; by name.
    pub interfaces: BTreeMap<String, Interface>,
}

/// An interface of a port.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Interface {
    /// `internal`, `vxlan`; empty for what the system has.
    pub kind: String,
    /// The MAC that it was asked to have.
    pub mac: Option<String>,
    /// The MTU that it was asked to have.
    pub mtu_request: Option<u32>,
    /// Settings such as `remote_ip`.
    pub options: BTreeMap<String, String>,
    /// Why it doesn't work.
    pub error: Option<String>,
    /// `up` or `down`.
    pub link_state: Option<String>,
}

/// What FRR says, while it runs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Routing {
    /// Its configuration as it runs, line by line, as `show running-config no-header` prints it. Keys are left out.
    pub running: Vec<String>,
    /// The routers that OSPF hears.
    pub neighbours: Vec<Neighbour>,
}

/// A router that OSPF hears on one interface.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Neighbour {
    /// Our interface.
    pub interface: String,
    /// Its address there.
    pub address: Ipv4Addr,
    /// Its router id: a node's own address in the core.
    pub router: Ipv4Addr,
    /// `Full` once both know the same.
    pub state: String,
    /// Whether BFD finds the way there good; `None` where there is no session.
    pub bfd: Option<bool>,
}
