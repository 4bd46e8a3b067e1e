//! The cluster file: what is *asked* of a cluster.
//!
//! Pure: nothing in this crate does I/O, reads a clock or looks at the environment.
#![warn(missing_docs)]

pub mod units;

pub use units::Bytes;
