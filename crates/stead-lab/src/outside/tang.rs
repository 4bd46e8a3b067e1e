//! A tang server outside of the nodes: a real `tangd` behind a TCP port of ours.

use std::io;
use std::net::Ipv4Addr;
use std::path::PathBuf;
use std::process::Stdio;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::AsyncWriteExt;
use tokio::process::Command;
use tokio::task::JoinHandle;

use super::host::{Host, HostConfig};
use super::stream::TcpStream;
use crate::exec::Tool;
use crate::switch::Plug;

/// The box's address.
pub const ADDRESS: Ipv4Addr = Ipv4Addr::new(192, 168, 0, 2);
/// How many bits of it name the network.
pub const PREFIX: u8 = 24;
/// The port of tang.
pub const PORT: u16 = 7500;
/// The box's hardware address.
pub const MAC: [u8; 6] = [0x02, 0x6c, 0x61, 0x62, 0x00, 0x02];
/// The longest IP packet of its network.
pub const MTU: usize = 1500;

/// How many connections are served at a time.
const AT_ONCE: usize = 16;
/// How long one may take.
const LONGEST: Duration = Duration::from_mins(1);

/// Where a tang server's program and keys are.
#[derive(Clone, Debug)]
pub struct TangConfig {
    /// An unpacked Debian with the package `tang` in it.
    pub tree: PathBuf,
    /// The directory of the keys; `tangd` makes them when there are none.
    pub keys: PathBuf,
}

impl TangConfig {
    /// What serves one connection on its standard input and output, as from inetd.
    ///
    /// The tree's own loader starts it, with the tree's own libraries: the machine may run another Debian, or none.
    fn command(&self) -> Command {
        let mut command = Tool::Loader.command_at(self.tree.join("usr/lib64/ld-linux-x86-64.so.2"));
        command.arg("--library-path").arg(self.tree.join("usr/lib/x86_64-linux-gnu"));
        command.arg(self.tree.join("usr/libexec/tangd")).arg(&self.keys);
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::null());
        let mut command = Command::from(command);
        command.kill_on_drop(true);
        command
    }
}

/// The running box, which stops when this is dropped.
pub struct Tang {
    _host: Host,
    service: JoinHandle<()>,
}

impl Tang {
    /// Starts the box on `plug`.
    pub fn attach(plug: Plug, config: TangConfig) -> io::Result<Self> {
        let host = Host::attach(plug, HostConfig { mac: MAC, address: ADDRESS, prefix: PREFIX, mtu: MTU });
        let config = Arc::new(config);
        let service = host.listen(PORT)?.for_each(AT_ONCE, move |stream| {
            let config = Arc::clone(&config);
            async move {
                // The client sees the end of its connection, and tries again or asks another server.
                let _ = tokio::time::timeout(LONGEST, converse(stream, &config)).await;
            }
        });
        Ok(Self { _host: host, service: tokio::spawn(service) })
    }
}

impl Drop for Tang {
    fn drop(&mut self) {
        self.service.abort();
    }
}

/// Gives a connection to a `tangd` of its own, until that ends.
async fn converse(stream: TcpStream, config: &TangConfig) -> io::Result<()> {
    let mut tangd = config.command().spawn()?;
    let (Some(mut stdin), Some(mut stdout)) = (tangd.stdin.take(), tangd.stdout.take()) else { return Ok(()) };
    let (mut read, mut write) = tokio::io::split(stream);
    let requests = async {
        let _ = tokio::io::copy(&mut read, &mut stdin).await;
        // The end of its input is what ends it.
        drop(stdin);
        std::future::pending::<()>().await;
    };
    tokio::select! {
        answers = tokio::io::copy(&mut stdout, &mut write) => answers?,
        () = requests => 0,
    };
    write.shutdown().await?;
    tangd.wait().await.map(drop)
}
