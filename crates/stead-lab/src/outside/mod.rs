//! The world outside of the nodes: hosts whose whole TCP/IP stack runs in the lab's daemon.
//!
//! Nothing here opens a socket of the machine that runs the lab, except the [`mirror`] towards its one upstream.

pub mod dhcp;
pub mod dns;
pub mod host;
pub mod mirror;
pub mod stream;
pub mod tang;
pub mod wan;

mod head;
mod nic;
mod sockets;
mod stack;
mod syn;

#[cfg(test)]
mod tests;
