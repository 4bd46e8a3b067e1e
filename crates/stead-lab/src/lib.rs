//! The virtual lab: nodes, switches, disks and every plug to pull.

pub mod disk;
pub mod exec;
pub mod image;
pub mod outside;
pub mod switch;
