//! Disks: what is observed of them, and what opens them.

mod facts;
pub mod unlock;

pub use facts::{BlockDevice, Disk, Ends, Signature};
