//! The layer `host`: what is observed of it.

pub(crate) mod accounts;
pub(crate) mod packages;
pub(crate) mod swaps;
pub(crate) mod sysctl;
pub(crate) mod system;
pub(crate) mod units;
pub(crate) mod updates;
