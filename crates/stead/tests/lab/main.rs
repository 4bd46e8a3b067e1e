//! The lab's own cases: every fault does what it says, seen from inside the nodes, and its opposite undoes it. And what
//! is done to the nodes: each layer, and what breaks it.
#![allow(clippy::disallowed_methods, reason = "tests start what they test")]
#![allow(clippy::print_stderr, reason = "what a failed case shows of its lab")]

mod cluster;
mod core;
mod counter;
mod cuts;
mod disks;
mod host;
mod images;
mod lifecycle;
mod luks;
mod machines;
mod network;
mod outages;
mod outside;
mod power;
mod reach;
mod releases;
mod snapshots;
mod support;
mod thief;
mod volumes;
