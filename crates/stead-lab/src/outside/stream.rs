//! What one holds of an outside host's network: TCP streams and listeners, UDP sockets.

use std::future::poll_fn;
use std::io;
use std::net::{SocketAddr, SocketAddrV4};
use std::pin::Pin;
use std::sync::Arc;
use std::task::{Context, Poll, ready};
use std::time::Duration;

use smoltcp::iface::SocketHandle;
use smoltcp::socket::{tcp, udp};
use smoltcp::time::Instant;
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio::task::JoinSet;

use super::stack::{HANDSHAKE, Shared, unplugged};

/// A TCP connection of an outside host.
///
/// Dropping it closes it as the kernel would: what was written is still delivered. Shutting down writing leaves reading
/// open.
pub struct TcpStream {
    shared: Arc<Shared>,
    handle: SocketHandle,
}

impl TcpStream {
    /// Opens a connection, within a bounded time.
    pub(super) async fn connect(shared: &Arc<Shared>, to: SocketAddrV4) -> io::Result<Self> {
        let handle = shared.lock().connect(to)?;
        let stream = Self { shared: Arc::clone(shared), handle };
        shared.changed.notify_one();
        tokio::time::timeout(HANDSHAKE, poll_fn(|cx| stream.poll_connected(cx))).await??;
        Ok(stream)
    }

    fn poll_connected(&self, cx: &Context<'_>) -> Poll<io::Result<()>> {
        let mut stack = self.shared.lock();
        stack.check()?;
        let socket = stack.tcp(self.handle);
        match socket.state() {
            tcp::State::SynSent | tcp::State::SynReceived => {
                socket.register_send_waker(cx.waker());
                Poll::Pending
            }
            tcp::State::Closed => Poll::Ready(Err(io::ErrorKind::ConnectionRefused.into())),
            _ => Poll::Ready(Ok(())),
        }
    }

    /// The other end; nothing when the connection has ended.
    pub fn peer(&self) -> Option<SocketAddr> {
        self.shared.lock().tcp(self.handle).remote_endpoint().map(SocketAddr::from)
    }

    /// Ends the connection at once in both directions; the other end sees a reset.
    pub fn reset(&self) {
        self.shared.lock().tcp(self.handle).abort();
        self.shared.changed.notify_one();
    }
}

impl Drop for TcpStream {
    fn drop(&mut self) {
        self.shared.lock().release(self.handle);
        self.shared.changed.notify_one();
    }
}

impl AsyncRead for TcpStream {
    fn poll_read(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &mut ReadBuf<'_>) -> Poll<io::Result<()>> {
        let mut stack = self.shared.lock();
        stack.check()?;
        let socket = stack.tcp(self.handle);
        let room = buf.remaining();
        let read = socket.recv(|data| {
            let n = data.len().min(room);
            buf.put_slice(&data[..n]);
            (n, n)
        });
        match read {
            Ok(0) if room > 0 => {
                socket.register_recv_waker(cx.waker());
                return Poll::Pending;
            }
            // The peer may wait for room in the window.
            Ok(_) => self.shared.changed.notify_one(),
            Err(tcp::RecvError::Finished) => {}
            Err(tcp::RecvError::InvalidState) => return Poll::Ready(Err(io::ErrorKind::ConnectionReset.into())),
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for TcpStream {
    fn poll_write(self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        let mut stack = self.shared.lock();
        stack.check()?;
        if stack.is_closing(self.handle) {
            return Poll::Ready(Err(io::ErrorKind::BrokenPipe.into()));
        }
        let socket = stack.tcp(self.handle);
        match socket.send_slice(buf) {
            Ok(0) if !buf.is_empty() => {
                socket.register_send_waker(cx.waker());
                Poll::Pending
            }
            Ok(n) => {
                self.shared.changed.notify_one();
                Poll::Ready(Ok(n))
            }
            Err(tcp::SendError::InvalidState) => Poll::Ready(Err(io::ErrorKind::BrokenPipe.into())),
        }
    }

    /// Does nothing: what was written is on its way.
    fn poll_flush(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.shared.lock().check())
    }

    fn poll_shutdown(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        let mut stack = self.shared.lock();
        stack.check()?;
        stack.close(self.handle);
        self.shared.changed.notify_one();
        Poll::Ready(Ok(()))
    }
}

/// A TCP port of an outside host that takes connections.
pub struct TcpListener {
    shared: Arc<Shared>,
    port: u16,
}

impl TcpListener {
    pub(super) fn bind(shared: &Arc<Shared>, port: u16) -> io::Result<Self> {
        shared.lock().listen(port)?;
        Ok(Self { shared: Arc::clone(shared), port })
    }

    /// Waits for the next connection.
    pub async fn accept(&mut self) -> io::Result<TcpStream> {
        let handle = poll_fn(|cx| self.shared.lock().poll_accept(self.port, cx)).await?;
        Ok(TcpStream { shared: Arc::clone(&self.shared), handle })
    }

    /// Runs `serve` for each connection, for at most `at_once` of them at a time, until the cable is gone.
    pub async fn for_each<F>(mut self, at_once: usize, mut serve: impl FnMut(TcpStream) -> F)
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut running = JoinSet::new();
        loop {
            tokio::select! {
                stream = self.accept(), if running.len() < at_once => match stream {
                    Ok(stream) => { running.spawn(serve(stream)); }
                    Err(_) => return,
                },
                Some(_) = running.join_next() => {}
            }
        }
    }
}

impl Drop for TcpListener {
    fn drop(&mut self) {
        self.shared.lock().unlisten(self.port);
        self.shared.changed.notify_one();
    }
}

/// How long a datagram may wait for its receiver's hardware address.
const STUCK: Duration = Duration::from_secs(3);

/// A UDP port of an outside host.
pub struct UdpSocket {
    shared: Arc<Shared>,
    handle: SocketHandle,
    port: u16,
    /// When the queue of outgoing datagrams was last seen empty.
    flowing: Instant,
}

impl UdpSocket {
    pub(super) fn bind(shared: &Arc<Shared>, port: u16) -> io::Result<Self> {
        let mut stack = shared.lock();
        let (handle, flowing) = (stack.bind_udp(port)?, stack.now());
        drop(stack);
        Ok(Self { shared: Arc::clone(shared), handle, port, flowing })
    }

    /// Waits for the next datagram; also those that were broadcast come in here.
    pub async fn recv_from(&mut self) -> io::Result<(Vec<u8>, SocketAddrV4)> {
        poll_fn(|cx| self.poll_recv_from(cx)).await
    }

    fn poll_recv_from(&self, cx: &Context<'_>) -> Poll<io::Result<(Vec<u8>, SocketAddrV4)>> {
        let mut stack = self.shared.lock();
        stack.check()?;
        let socket = stack.udp(self.handle);
        let received = match socket.recv() {
            Ok((data, from)) => Poll::Ready((data.to_vec(), SocketAddr::from(from.endpoint))),
            Err(udp::RecvError::Exhausted | udp::RecvError::Truncated) => Poll::Pending,
        };
        if received.is_pending() {
            socket.register_recv_waker(cx.waker());
        }
        match ready!(received) {
            (data, SocketAddr::V4(from)) => Poll::Ready(Ok((data, from))),
            (_, SocketAddr::V6(_)) => Poll::Ready(Err(unplugged())),
        }
    }

    /// Sends a datagram, to a neighbour or broadcast; a full queue drops it.
    pub fn send_to(&mut self, data: &[u8], to: SocketAddrV4) -> io::Result<()> {
        let mut stack = self.shared.lock();
        stack.check()?;
        if !stack.reaches(*to.ip()) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let now = stack.now();
        let socket = stack.udp(self.handle);
        // smoltcp sends in order: one receiver that answers no ARP would hold up all others for ever.
        if socket.send_queue() > 0 && now > self.flowing + STUCK.into() {
            socket.close();
            socket.bind(self.port).map_err(io::Error::other)?;
        }
        if socket.send_queue() == 0 {
            self.flowing = now;
        }
        match socket.send_slice(data, to) {
            Ok(()) | Err(udp::SendError::BufferFull) => {}
            Err(error) => return Err(io::Error::other(error)),
        }
        drop(stack);
        self.shared.changed.notify_one();
        Ok(())
    }
}

impl Drop for UdpSocket {
    fn drop(&mut self) {
        self.shared.lock().release_udp(self.handle);
    }
}
