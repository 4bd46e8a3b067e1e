//! NICs and routes, as `ip -j -d` and the kernel's own files tell.

use serde::{Deserialize, Serialize};
use stead_spec::units::{Interface, Mac};

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
    /// Its IPv4 addresses.
    pub addresses: Vec<Interface>,
}

/// A route of the main table.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// `default`, or a prefix.
    pub to: String,
    /// Through whom.
    pub gateway: Option<String>,
    /// Out of which interface.
    pub dev: Option<String>,
    /// Who made it: `kernel`, `static`, `dhcp`, `ospf`, ….
    pub protocol: Option<String>,
}
