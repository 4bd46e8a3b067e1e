//! The layer `disks`: what is observed of it, and the last look before one is formatted.

pub(crate) mod blank;
pub(crate) mod lsblk;
pub(crate) mod luks;
pub(crate) mod pools;
pub(crate) mod tang;
pub(crate) mod vacant;
