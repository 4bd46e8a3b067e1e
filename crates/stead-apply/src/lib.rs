//! Reaches nodes, gathers the inventory, drives a plan, and verifies what came of it.
#![warn(missing_docs)]

pub mod drive;
pub mod enroll;
pub mod gather;
pub mod generation;
pub mod journal;
pub mod lock;
pub mod reach;
pub mod secrets;
pub mod ssh;
