//! All cables of a lab, and what is on their far ends.

use std::collections::BTreeMap;
use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use tokio::io::{AsyncReadExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::sync::{Mutex, watch};

use super::{Shared, answer};
use crate::folder::{Folder, remove_if_there};
use crate::outside::host::{Host, HostConfig, TcpStream};
use crate::outside::mirror::MirrorConfig;
use crate::outside::{tang, wan};
use crate::protocol::Reply;
use crate::qemu::NodeFiles;
use crate::state::{LabState, Plugged, SWITCHES};
use crate::switch::{Condition, Counters, Switch, cable, link};

/// The far end of a node's out-of-band cable, while the node is on.
type OutOfBand = Arc<Mutex<Option<Arc<Host>>>>;

/// The cables of a lab.
pub(super) struct Wiring {
    switches: BTreeMap<u8, Switch>,
    out_of_band: BTreeMap<String, OutOfBand>,
    qmp: BTreeMap<String, Arc<UnixListener>>,
    mirror: watch::Sender<bool>,
    _wan: wan::Wan,
    _tang: tang::Tang,
}

/// The switch that the internet's side is on, as in the reference cluster.
const WAN_SWITCH: u8 = 2;
/// The switch that the tang box is on.
const TANG_SWITCH: u8 = 1;
/// The names of their ports.
const WAN_PORT: &str = "wan";
const TANG_PORT: &str = "tang";

/// The node's address on its out-of-band cable: each node is alone on its own, so all have the same.
const NODE: SocketAddrV4 = SocketAddrV4::new(Ipv4Addr::new(169, 254, 77, 2), 22);
/// Ours.
const OURS: HostConfig = HostConfig {
    mac: [0x52, 0x54, 0x00, 0xff, 0xff, 0x01],
    address: Ipv4Addr::new(169, 254, 77, 1),
    prefix: 30,
    mtu: 1500,
};

/// How long a node may take to a connection, which its kernel makes by itself, before it counts as not answering.
const CONNECT_PATIENCE: Duration = Duration::from_secs(2);
/// How long its ssh may take to say who it is: it starts a program for that, among others that start.
const SSH_PATIENCE: Duration = Duration::from_secs(10);

impl Wiring {
    /// Lays all cables of a lab in the current folder, which is the lab's.
    pub(super) fn lay(state: &LabState, folder: &Folder) -> io::Result<Self> {
        let switches: BTreeMap<u8, Switch> = (1..=SWITCHES).map(|number| (number, Switch::default())).collect();
        let mut out_of_band = BTreeMap::new();
        let mut qmp = BTreeMap::new();
        for name in state.nodes.keys() {
            let files = NodeFiles::of(name);
            for (number, switch) in &switches {
                let plug = switch.connect(&files.port(*number));
                tokio::spawn(link::serve(listen(&files.nic(*number))?, plug));
            }
            let host = OutOfBand::default();
            tokio::spawn(serve_out_of_band(listen(&files.oob())?, Arc::clone(&host)));
            out_of_band.insert(name.clone(), host);
            qmp.insert(name.clone(), Arc::new(listen(&files.qmp())?));
        }
        let (mirror, open) = watch::channel(state.config.wan_open);
        let wan = wan::Wan::attach(switches[&WAN_SWITCH].connect(WAN_PORT), MirrorConfig::default(), open)?;
        let tang_config = tang::TangConfig { tree: state.parts.tang.clone(), keys: folder.join("tang") };
        let tang = tang::Tang::attach(switches[&TANG_SWITCH].connect(TANG_PORT), tang_config)?;
        let wiring = Self { switches, out_of_band, qmp, mirror, _wan: wan, _tang: tang };
        wiring.apply(state);
        Ok(wiring)
    }

    /// Makes every switch and port as the state says.
    pub(super) fn apply(&self, state: &LabState) {
        for (number, condition) in &state.switches {
            self.set_switch(*number, *condition);
            self.switches[number].forget();
        }
        for (name, node) in &state.nodes {
            for (switch, to) in &node.cables {
                self.set_cable(name, *switch, *to);
            }
        }
        self.set_wan(state.wan);
        self.set_tang(state.tang);
        self.mirror.send_replace(state.config.wan_open);
    }

    pub(super) fn set_switch(&self, number: u8, condition: Condition) {
        self.switches[&number].set_condition(condition);
    }

    pub(super) fn set_cable(&self, node: &str, switch: u8, to: Plugged) {
        self.switches[&switch].set_port(&NodeFiles::of(node).port(switch), to.is_in());
    }

    pub(super) fn set_wan(&self, to: Plugged) {
        self.switches[&WAN_SWITCH].set_port(WAN_PORT, to.is_in());
    }

    pub(super) fn set_tang(&self, to: Plugged) {
        self.switches[&TANG_SWITCH].set_port(TANG_PORT, to.is_in());
    }

    pub(super) fn set_mirror(&self, open: bool) {
        self.mirror.send_replace(open);
    }

    pub(super) fn capture(&self, switch: u8, file: Option<&Path>) -> io::Result<()> {
        self.switches[&switch].capture(file.map(std::fs::File::create).transpose()?)
    }

    pub(super) fn counters(&self, switch: u8) -> BTreeMap<String, Counters> {
        self.switches[&switch].counters()
    }

    pub(super) fn qmp(&self, node: &str) -> Arc<UnixListener> {
        Arc::clone(&self.qmp[node])
    }

    /// The far ends of all out-of-band cables.
    pub(super) fn out_of_band(&self) -> BTreeMap<String, OutOfBand> {
        self.out_of_band.clone()
    }
}

/// The address of the tang box, as a cluster file names it.
pub(super) fn tang_url() -> String {
    format!("http://{}:{}", tang::ADDRESS, tang::PORT)
}

fn listen(socket: &str) -> io::Result<UnixListener> {
    remove_if_there(Path::new(socket))?;
    UnixListener::bind(socket)
}

/// Gives each start of a node a far end of its own: what was connected to the start before breaks with it.
async fn serve_out_of_band(listener: UnixListener, host: OutOfBand) {
    loop {
        let Ok((stream, _)) = listener.accept().await else {
            tokio::time::sleep(link::RETRY).await;
            continue;
        };
        let (ours, mut theirs) = cable();
        *host.lock().await = Some(Arc::new(Host::attach(ours, OURS)));
        // However it ends, the node is off.
        let _ = link::carry(stream, &mut theirs).await;
        *host.lock().await = None;
    }
}

/// Whether a node's ssh says who it is.
pub(super) async fn ssh_answers(host: &OutOfBand) -> bool {
    let banner = async {
        let mut stream = tokio::time::timeout(CONNECT_PATIENCE, connect(host)).await??;
        let mut said = [0; 4];
        stream.read_exact(&mut said).await?;
        Ok::<_, io::Error>(said == *b"SSH-")
    };
    matches!(tokio::time::timeout(SSH_PATIENCE, banner).await, Ok(Ok(true)))
}

async fn connect(host: &OutOfBand) -> io::Result<TcpStream> {
    let host = host.lock().await.clone();
    host.ok_or(io::ErrorKind::NotConnected)?.connect(NODE).await
}

/// Connects a command with a node's ssh.
pub(super) async fn dial(lab: &Shared, node: &str, mut stream: BufReader<UnixStream>) -> io::Result<()> {
    let host = lab.lock().await.wiring.out_of_band.get(node).cloned();
    let connected = match &host {
        Some(host) => connect(host).await,
        None => Err(io::ErrorKind::NotFound.into()),
    };
    match connected {
        Ok(mut far) => {
            answer(&mut stream, &Reply::Done(Vec::new())).await?;
            tokio::io::copy_bidirectional_with_sizes(&mut stream, &mut far, 64 << 10, 64 << 10).await?;
            Ok(())
        }
        Err(error) => {
            let message = format!("{node} does not answer on its out-of-band NIC: {error}");
            let hint =
                Some(format!("`stead lab status` says whether it is on, `stead lab console {node}` what it does"));
            answer(&mut stream, &Reply::Failed { message, hint }).await
        }
    }
}
