//! Inventory (what is *observed*), and the plan: the steps from there to what the cluster file asks.
//!
//! Pure: nothing in this crate does I/O, reads a clock or looks at the environment; time is
//! [`Inventory::observed_at`](inventory::Inventory::observed_at).
#![warn(missing_docs)]

pub mod disks;
pub mod generation;
mod held;
pub mod host;
pub mod init;
pub mod inventory;
pub mod machines;
pub mod network;
pub mod op;
pub mod plan;
mod release;
pub mod secret;
pub mod status;
pub mod step;
pub mod volumes;

/// The first words of each file that stead manages, after the file's own sign for a comment.
pub const MARK: &str = "Managed by stead";
