//! The TCP/IP stack of one outside host: smoltcp, a queue of connections per listening port, and an end.

use std::collections::HashMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use smoltcp::iface::{Config, Interface, PollResult, SocketHandle, SocketSet};
use smoltcp::socket::{Socket, tcp, udp};
use smoltcp::time::Instant;
use smoltcp::wire::{EthernetAddress, IpCidr, Ipv4Cidr};
use tokio::sync::Notify;

use super::host::HostConfig;
use super::nic::Nic;
use super::sockets::{self, is_at, is_ended, is_ready};
use super::syn::Syn;
use crate::switch::Frame;

/// How many connections may wait for being accepted, per port; beyond it a SYN is dropped and will be repeated.
const BACKLOG: usize = 64;
/// How long a connection may take to get established.
pub(super) const HANDSHAKE: Duration = Duration::from_secs(20);
/// How long a connection that nobody holds any more may take to deliver what was written to it.
const LINGER: Duration = Duration::from_mins(1);
/// How often connections that nobody holds any more are looked at.
const SWEEP: Duration = Duration::from_secs(1);

/// A stack, shared by a host's task and its sockets.
pub(super) struct Shared {
    stack: Mutex<Stack>,
    /// Tells the host's task that a socket has something new for the stack.
    pub(super) changed: Notify,
}

impl Shared {
    /// The stack of a host at the end of `nic`'s cable.
    pub(super) fn new(config: HostConfig, nic: &mut Nic) -> Self {
        Self { stack: Mutex::new(Stack::new(config, nic)), changed: Notify::new() }
    }

    /// The stack, for a moment that must not contain an `await`.
    pub(super) fn lock(&self) -> MutexGuard<'_, Stack> {
        self.stack.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The error of everything that outlives its host's cable.
pub(super) fn unplugged() -> io::Error {
    io::Error::new(io::ErrorKind::ConnectionAborted, "the host's cable is gone")
}

/// The stack itself.
pub(super) struct Stack {
    iface: Interface,
    sockets: SocketSet<'static>,
    config: HostConfig,
    start: tokio::time::Instant,
    listeners: HashMap<u16, Backlog>,
    /// The connections that others opened to this host.
    greeted: Vec<Greeted>,
    /// Connections that nobody holds any more, and until when they are kept.
    orphans: Vec<(SocketHandle, Instant)>,
    /// Connections to close once all that was written has arrived.
    closing: Vec<SocketHandle>,
    gone: bool,
}

/// Connections to one port that wait for being accepted.
#[derive(Default)]
struct Backlog {
    waiting: Vec<SocketHandle>,
    waker: Option<Waker>,
}

/// A connection that was opened to this host.
struct Greeted {
    handle: SocketHandle,
    syn: Syn,
}

impl Stack {
    fn new(config: HostConfig, nic: &mut Nic) -> Self {
        let mut interface = Config::new(EthernetAddress(config.mac).into());
        interface.random_seed = fastrand::u64(..);
        let start = tokio::time::Instant::now();
        let mut iface = Interface::new(interface, nic, Instant::ZERO);
        iface.update_ip_addrs(|addresses| {
            // The list has room for at least one.
            let _ = addresses.push(IpCidr::Ipv4(Ipv4Cidr::new(config.address, config.prefix)));
        });
        let sockets = SocketSet::new(Vec::new());
        let (listeners, greeted, orphans, closing) = (HashMap::new(), Vec::new(), Vec::new(), Vec::new());
        Self { iface, sockets, config, start, listeners, greeted, orphans, closing, gone: false }
    }

    /// The time as smoltcp counts it; tokio's clock, so that tests can pause it.
    pub(super) fn now(&self) -> Instant {
        Instant::from_micros(i64::try_from(self.start.elapsed().as_micros()).unwrap_or(i64::MAX))
    }

    /// Takes in `frames`, sends what is due, and says when to come back if nothing happens before.
    pub(super) fn run(&mut self, nic: &mut Nic, frames: &mut Vec<Frame>) -> Option<Duration> {
        let now = self.now();
        for frame in frames.drain(..) {
            let Ok(fresh) = self.greet(&frame) else { continue };
            nic.incoming = Some(frame);
            self.iface.poll_ingress_single(now, nic, &mut self.sockets);
            if let Some(handle) = fresh.filter(|&handle| self.tcp(handle).is_listening()) {
                self.forget(handle);
            }
        }
        nic.blocked = false;
        while self.iface.poll_egress(now, nic, &mut self.sockets) == PollResult::SocketStateChanged {}
        self.sweep(now);
        let sweep = (!self.orphans.is_empty()).then_some(SWEEP);
        // A full cable wakes the host when it has room again; until then smoltcp would ask to be called at once.
        let due = if nic.blocked { None } else { self.iface.poll_delay(now, &self.sockets).map(Duration::from) };
        due.into_iter().chain(sweep).min()
    }

    /// Makes a socket for a connection that `frame` asks for; an error drops the frame.
    ///
    /// A smoltcp socket that listens becomes the connection, so it needs one per connection. Making it when a SYN
    /// arrives, instead of keeping a number of them listening, loses no connection of a burst, and a repeated SYN can't
    /// be taken for a second connection.
    fn greet(&mut self, frame: &[u8]) -> Result<Option<SocketHandle>, ()> {
        let Some(syn) = Syn::peek(frame, &self.config) else { return Ok(None) };
        let Some(waiting) = self.listeners.get(&syn.port).map(|backlog| backlog.waiting.len()) else { return Ok(None) };
        if let Some(at) = self.greeted.iter().position(|it| it.syn.from == syn.from && it.syn.port == syn.port) {
            if self.greeted[at].syn.sequence == syn.sequence {
                return Ok(None);
            }
            // A node that was set back to a picture, or lost power, asks from the same port again: it no longer knows
            // of the connection we have.
            let stale = self.greeted.swap_remove(at);
            self.tcp(stale.handle).abort();
        }
        if waiting >= BACKLOG {
            return Err(());
        }
        let mut socket = sockets::new_tcp();
        socket.set_timeout(Some(HANDSHAKE.into()));
        socket.listen(syn.port).map_err(drop)?;
        let handle = self.sockets.add(socket);
        self.greeted.push(Greeted { handle, syn });
        if let Some(backlog) = self.listeners.get_mut(&syn.port) {
            backlog.waiting.push(handle);
        }
        Ok(Some(handle))
    }

    /// Wakes who waits for connections, closes those that can be, and ends those that nobody holds any more.
    fn sweep(&mut self, now: Instant) {
        let sockets = &self.sockets;
        let state = |handle: SocketHandle| sockets.get::<tcp::Socket>(handle).state();
        let mut ended = Vec::new();
        for backlog in self.listeners.values_mut() {
            ended.extend(backlog.waiting.extract_if(.., |&mut it| is_ended(state(it))));
            if backlog.waiting.iter().any(|&it| is_ready(state(it))) {
                backlog.waker.take().inspect(Waker::wake_by_ref);
            }
        }
        for handle in ended {
            self.orphan(handle, now);
        }
        for handle in std::mem::take(&mut self.closing) {
            self.close(handle);
        }
        for (handle, until) in std::mem::take(&mut self.orphans) {
            let socket = self.tcp(handle);
            // Nobody will read what came in, and the other end should know, after it got what was for it.
            if socket.can_recv() && socket.send_queue() == 0 {
                socket.abort();
            }
            // A closed socket keeps its peer's address until the reset that it owes is sent.
            if now >= until || socket.is_listening() || (!socket.is_open() && socket.remote_endpoint().is_none()) {
                self.forget(handle);
            } else {
                self.orphans.push((handle, until));
            }
        }
    }

    fn orphan(&mut self, handle: SocketHandle, now: Instant) {
        self.orphans.push((handle, now + LINGER.into()));
    }

    fn forget(&mut self, handle: SocketHandle) {
        self.greeted.retain(|it| it.handle != handle);
        self.closing.retain(|&it| it != handle);
        for backlog in self.listeners.values_mut() {
            backlog.waiting.retain(|&it| it != handle);
        }
        self.sockets.remove(handle);
    }

    /// The TCP socket behind `handle`.
    pub(super) fn tcp(&mut self, handle: SocketHandle) -> &mut tcp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// The UDP socket behind `handle`.
    pub(super) fn udp(&mut self, handle: SocketHandle) -> &mut udp::Socket<'static> {
        self.sockets.get_mut(handle)
    }

    /// Fails once the cable is gone.
    pub(super) fn check(&self) -> io::Result<()> {
        if self.gone { Err(unplugged()) } else { Ok(()) }
    }

    /// Whether `address` can be sent to without a router, which these hosts don't have.
    pub(super) fn reaches(&self, address: Ipv4Addr) -> bool {
        address.is_broadcast() || Ipv4Cidr::new(self.config.address, self.config.prefix).contains_addr(&address)
    }

    /// Starts a connection from a random port.
    pub(super) fn connect(&mut self, to: SocketAddrV4) -> io::Result<SocketHandle> {
        self.check()?;
        if !self.reaches(*to.ip()) {
            return Err(io::ErrorKind::NetworkUnreachable.into());
        }
        let mut port = fastrand::u16(sockets::FIRST_PORT..);
        while self.sockets.iter().any(|(_, socket)| matches!(socket, Socket::Tcp(tcp) if is_at(tcp, port))) {
            port = fastrand::u16(sockets::FIRST_PORT..);
        }
        let mut socket = sockets::new_tcp();
        socket.connect(self.iface.context(), to, (self.config.address, port)).map_err(io::Error::other)?;
        Ok(self.sockets.add(socket))
    }

    /// Starts to queue connections to `port`.
    pub(super) fn listen(&mut self, port: u16) -> io::Result<()> {
        self.check()?;
        if port == 0 || self.listeners.contains_key(&port) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        self.listeners.insert(port, Backlog::default());
        Ok(())
    }

    /// Gives the oldest established connection to `port`.
    pub(super) fn poll_accept(&mut self, port: u16, cx: &Context<'_>) -> Poll<io::Result<SocketHandle>> {
        self.check()?;
        let Some(backlog) = self.listeners.get_mut(&port) else { return Poll::Ready(Err(unplugged())) };
        let sockets = &self.sockets;
        let ready = |&it: &SocketHandle| is_ready(sockets.get::<tcp::Socket>(it).state());
        let Some(at) = backlog.waiting.iter().position(ready) else {
            backlog.waker = Some(cx.waker().clone());
            return Poll::Pending;
        };
        let handle = backlog.waiting.remove(at);
        self.tcp(handle).set_timeout(None);
        Poll::Ready(Ok(handle))
    }

    /// Stops listening on `port` and resets the connections that were not accepted.
    pub(super) fn unlisten(&mut self, port: u16) {
        let now = self.now();
        for handle in self.listeners.remove(&port).into_iter().flat_map(|backlog| backlog.waiting) {
            self.tcp(handle).abort();
            self.orphan(handle, now);
        }
    }

    /// Lets go of a connection: what was written is still delivered, then the stack forgets it.
    pub(super) fn release(&mut self, handle: SocketHandle) {
        if self.gone {
            return self.forget(handle);
        }
        self.close(handle);
        self.orphan(handle, self.now());
    }

    /// Closes our direction of a connection, after what was written.
    ///
    /// smoltcp 0.14 takes no window updates in LAST-ACK (its pull request 1126): data that waits for one would stay for
    /// a second or more. So a connection whose other direction is closed already is closed when nothing waits.
    pub(super) fn close(&mut self, handle: SocketHandle) {
        let socket = self.tcp(handle);
        if socket.state() == tcp::State::CloseWait && socket.send_queue() > 0 {
            if !self.closing.contains(&handle) {
                self.closing.push(handle);
            }
        } else {
            socket.close();
        }
    }

    /// Whether our direction of a connection is to be closed.
    pub(super) fn is_closing(&self, handle: SocketHandle) -> bool {
        self.closing.contains(&handle)
    }

    /// Binds a UDP socket to `port`.
    pub(super) fn bind_udp(&mut self, port: u16) -> io::Result<SocketHandle> {
        self.check()?;
        let used = |socket: &Socket<'_>| matches!(socket, Socket::Udp(udp) if udp.endpoint().port == port);
        if port == 0 || self.sockets.iter().any(|(_, socket)| used(socket)) {
            return Err(io::ErrorKind::AddrInUse.into());
        }
        let mut socket = sockets::new_udp();
        socket.bind(port).map_err(io::Error::other)?;
        Ok(self.sockets.add(socket))
    }

    /// Unbinds a UDP socket.
    pub(super) fn release_udp(&mut self, handle: SocketHandle) {
        self.sockets.remove(handle);
    }

    /// Fails everything that uses this stack, without a word to the peers: the cable is gone.
    pub(super) fn unplug(&mut self) {
        self.gone = true;
        for (_, socket) in self.sockets.iter_mut() {
            if let Socket::Tcp(tcp) = socket {
                tcp.abort();
            } else if let Socket::Udp(udp) = socket {
                udp.close();
            }
        }
        for backlog in self.listeners.values_mut() {
            backlog.waker.take().inspect(Waker::wake_by_ref);
        }
    }
}
