//! The layer `host`: what every node is before anything else is built on it.

pub mod facts;
