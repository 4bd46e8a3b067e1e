//! The cluster file: what is *asked* of a cluster.
//!
//! [`parse`] makes a [`Spec`] of the file's bytes, or a [`Report`] of everything that is wrong with it.
//!
//! Pure: nothing in this crate does I/O, reads a clock or looks at the environment.
#![warn(missing_docs)]

pub mod backup;
mod check;
pub mod diagnostic;
pub mod disks;
pub mod edit;
mod file;
pub mod host;
pub mod machines;
pub mod network;
mod read;
pub mod router;
pub mod schema;
mod source;
mod spec;
pub mod telemetry;
pub mod units;
pub mod volumes;
pub mod words;

pub use diagnostic::{Diagnostic, Report};
pub use file::SCHEMA;
pub use source::LARGEST;
pub use spec::{Spec, parse};
pub use units::Bytes;
