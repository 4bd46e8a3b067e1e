//! The layer `disks`: what is observed of it.

pub(crate) mod blank;
pub(crate) mod lsblk;
