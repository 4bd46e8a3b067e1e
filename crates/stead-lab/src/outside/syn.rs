//! The frame that asks a host for a TCP connection.

use std::net::SocketAddrV4;

use smoltcp::wire::{EthernetFrame, EthernetProtocol, IpProtocol, Ipv4Packet, TcpPacket, TcpSeqNumber};

use super::host::HostConfig;

/// What matters of a TCP segment that asks for a connection.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) struct Syn {
    /// Who asks.
    pub(super) from: SocketAddrV4,
    /// The port it asks for.
    pub(super) port: u16,
    /// The first sequence number: a repeated segment has the same.
    pub(super) sequence: TcpSeqNumber,
}

impl Syn {
    /// Reads `frame` if it asks the host of `config` for a TCP connection.
    pub(super) fn peek(frame: &[u8], config: &HostConfig) -> Option<Self> {
        let frame = EthernetFrame::new_checked(frame).ok()?;
        if frame.dst_addr().0 != config.mac || frame.ethertype() != EthernetProtocol::Ipv4 {
            return None;
        }
        let ip = Ipv4Packet::new_checked(frame.payload()).ok()?;
        let fragment = ip.more_frags() || ip.frag_offset() != 0;
        if ip.dst_addr() != config.address || ip.next_header() != IpProtocol::Tcp || fragment {
            return None;
        }
        let tcp = TcpPacket::new_checked(ip.payload()).ok()?;
        let from = SocketAddrV4::new(ip.src_addr(), tcp.src_port());
        let asks = tcp.syn() && !tcp.ack() && !tcp.rst();
        asks.then(|| Self { from, port: tcp.dst_port(), sequence: tcp.seq_number() })
    }
}
