//! Networks: what is observed of them, and what switches must be set to.

pub mod explain;
pub mod facts;

use crate::held::Held;

/// A restart of these takes the nodes' networks away for seconds.
pub(crate) const HELD: Held = Held {
    packages: &["frr", "openvswitch-common", "openvswitch-switch"],
    units: &["frr.service", "openvswitch-switch.service", "ovs-vswitchd.service", "ovsdb-server.service"],
};
