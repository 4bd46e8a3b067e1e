//! One host outside of the nodes, with one NIC: a TCP/IP stack in a task of its own.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::sync::Arc;

use tokio::task::JoinHandle;

use super::nic::Nic;
use super::stack::Shared;
pub use super::stream::{TcpListener, TcpStream, UdpSocket};
use crate::switch::Plug;

/// How many frames are taken in before what they caused is sent.
const BURST: usize = 64;

/// What a host's NIC is set to.
#[derive(Clone, Copy, Debug)]
pub struct HostConfig {
    /// The NIC's hardware address, which must be that of one NIC, not of a group.
    pub mac: [u8; 6],
    /// The host's only address.
    pub address: Ipv4Addr,
    /// How many bits of it name the network.
    pub prefix: u8,
    /// The longest IP packet.
    pub mtu: usize,
}

/// A host. When it is dropped, or its cable goes, all its sockets fail at once and its peers hear nothing more from it.
pub struct Host {
    shared: Arc<Shared>,
    task: JoinHandle<()>,
}

impl Host {
    /// Starts a host on `plug`, in a task on the current runtime.
    ///
    /// It answers ARP and ping, and it has no router: it reaches only its own network.
    pub fn attach(plug: Plug, config: HostConfig) -> Self {
        let mut nic = Nic::new(plug.tx.clone(), config.mtu);
        let shared = Arc::new(Shared::new(config, &mut nic));
        let task = tokio::spawn(run(plug, nic, Cable(Arc::clone(&shared))));
        Self { shared, task }
    }

    /// Opens a TCP connection from a random port; gives up after 20 s.
    pub async fn connect(&self, to: SocketAddrV4) -> io::Result<TcpStream> {
        TcpStream::connect(&self.shared, to).await
    }

    /// Takes TCP connections to `port`.
    pub fn listen(&self, port: u16) -> io::Result<TcpListener> {
        TcpListener::bind(&self.shared, port)
    }

    /// Takes datagrams to `port`, and can send from it.
    pub fn udp(&self, port: u16) -> io::Result<UdpSocket> {
        UdpSocket::bind(&self.shared, port)
    }
}

impl Drop for Host {
    fn drop(&mut self) {
        self.shared.lock().unplug();
        self.task.abort();
    }
}

/// The host task's hold on the stack: however the task ends, the host's sockets fail.
struct Cable(Arc<Shared>);

impl Drop for Cable {
    fn drop(&mut self) {
        self.0.lock().unplug();
    }
}

/// Moves frames between the cable and the stack until the cable is gone.
async fn run(mut plug: Plug, mut nic: Nic, cable: Cable) {
    let mut frames = Vec::with_capacity(BURST);
    loop {
        let due = cable.0.lock().run(&mut nic, &mut frames);
        let timer = async {
            match due {
                Some(due) => tokio::time::sleep(due).await,
                None => std::future::pending().await,
            }
        };
        tokio::select! {
            n = plug.rx.recv_many(&mut frames, BURST) => if n == 0 { return },
            () = cable.0.changed.notified() => {}
            room = plug.tx.reserve(), if nic.blocked => if room.is_err() { return },
            () = plug.tx.closed() => return,
            () = timer => {}
        }
    }
}
