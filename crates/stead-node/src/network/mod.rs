//! The layer `network` on one machine.

pub mod probe;
