//! Everything that touches one machine: runs tools, parses what they say, and performs steps.
//!
//! The agent is this crate, run on a node by way of ssh. It decides nothing: it looks at what it is asked to look at, and
//! does what a plan says.
#![warn(missing_docs)]

pub mod exec;
pub mod frame;
pub mod protocol;
