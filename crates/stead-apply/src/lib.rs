//! Reaches nodes, gathers the inventory, drives a plan, and verifies what came of it.
#![warn(missing_docs)]

pub mod reach;
