//! The sockets of an outside host, as smoltcp has them.

use smoltcp::socket::{tcp, udp};

/// The first port of those that connections start from.
pub(super) const FIRST_PORT: u16 = 49152;

/// What one TCP socket buffers in each direction.
const TCP_BUFFER: usize = 256 * 1024;
/// How many datagrams, and bytes, a UDP socket buffers in each direction.
const UDP_PACKETS: usize = 64;
const UDP_BUFFER: usize = 64 * 1024;

/// A TCP socket that is not connected yet.
pub(super) fn new_tcp() -> tcp::Socket<'static> {
    let buffer = || tcp::SocketBuffer::new(vec![0; TCP_BUFFER]);
    let mut socket = tcp::Socket::new(buffer(), buffer());
    socket.set_nagle_enabled(false);
    socket
}

/// A UDP socket that is not bound yet.
pub(super) fn new_udp() -> udp::Socket<'static> {
    let buffer = || udp::PacketBuffer::new(vec![udp::PacketMetadata::EMPTY; UDP_PACKETS], vec![0; UDP_BUFFER]);
    udp::Socket::new(buffer(), buffer())
}

/// Whether `port` is this end of the connection.
pub(super) fn is_at(socket: &tcp::Socket<'_>, port: u16) -> bool {
    socket.local_endpoint().is_some_and(|local| local.port == port)
}

/// Whether a connection in `state` can be given to who accepts: also when its peer has already sent all it has.
pub(super) fn is_ready(state: tcp::State) -> bool {
    matches!(state, tcp::State::Established | tcp::State::CloseWait)
}

/// Whether a connection that nobody accepted yet will never be.
pub(super) fn is_ended(state: tcp::State) -> bool {
    !is_ready(state) && state != tcp::State::SynReceived
}
