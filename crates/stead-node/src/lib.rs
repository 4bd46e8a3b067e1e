//! Everything that touches one machine: runs tools, parses what they say, and performs steps.
//!
//! The agent is this crate, run on a node by way of ssh. It decides nothing: it looks at what it is asked to look at, and
//! does what a plan says.
#![warn(missing_docs)]

pub mod agent;
mod disks;
pub mod exec;
mod files;
pub mod frame;
mod host;
pub mod journal;
pub mod keep;
pub mod lock;
mod machines;
pub mod network;
pub mod observe;
pub mod perform;
pub mod place;
pub mod protocol;
mod read;
pub mod unfinished;
mod volumes;
pub mod way_back;

#[cfg(test)]
mod testing;

pub use files::FileError;
