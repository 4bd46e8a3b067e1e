//! Disks: what is observed of them.

mod facts;

pub use facts::{BlockDevice, Disk, Ends, Signature};
