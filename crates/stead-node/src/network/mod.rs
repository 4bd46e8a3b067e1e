//! The layer `network` on one machine.

pub(crate) mod firewall;
pub(crate) mod links;
pub(crate) mod ovs;
pub(crate) mod ping;
pub mod probe;
pub(crate) mod routes;
pub(crate) mod routing;
