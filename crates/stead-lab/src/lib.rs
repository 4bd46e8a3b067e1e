//! The virtual lab: nodes, switches, disks and every plug to pull.
//!
//! [`Lab`] makes one, breaks it, looks at it and takes it down. A lab is held by one process (see [`daemon`]), which
//! owns its [`switch`]es, its [`disk`]s, the world [`outside`] of the nodes, and a QEMU a node.

pub mod client;
pub mod daemon;
pub mod disk;
pub mod exec;
pub mod folder;
pub mod image;
pub mod outside;
pub mod processes;
pub mod protocol;
pub mod qemu;
pub mod qmp;
pub mod state;
pub mod switch;

pub use client::{BOOT_PATIENCE, Lab, LabError};
