//! The layer `network` on one machine.

pub(crate) mod links;
pub mod probe;
pub(crate) mod routes;
