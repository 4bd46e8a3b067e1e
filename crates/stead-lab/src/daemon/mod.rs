//! The process that holds a lab: its switches, its disks, the world outside, and a QEMU a node.
//!
//! One process, so that the lab is one thing: what it holds dies with it, and a fault is a change in one place. It runs
//! in the lab's folder and all its sockets have short, relative names. Everything but the disks' input and output
//! happens on the main thread.

mod faults;
mod machine;
mod snapshot;
mod wiring;

use std::collections::BTreeMap;
use std::io;
use std::path::Path;
use std::sync::Arc;

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::Mutex;
use tokio::task::JoinSet;

use crate::disk::nbd::{self, Bays};
use crate::disk::{Disk, Layer};
use crate::folder::{CONTROL, DISKS, Folder, FolderError, remove_if_there};
use crate::image::{ImageError, Lease};
use crate::protocol::{NodeStatus, Reply, Request, Status, SwitchStatus, TangStatus, WanStatus};
use crate::qemu::NodeFiles;
use crate::state::{BayCondition, DiskState, LabState, Power};
use crate::switch::link;
use machine::{Machine, MachineError};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use wiring::Wiring;

/// What a lab's process says on its standard output when it is ready for requests.
pub const READY: &str = "ready";

/// The form of `stead lab status --json`.
const STATUS_SCHEMA: u32 = 1;

/// Why a lab could not be held.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// Another process has it.
    #[error("another process holds the lab in {0} already")]
    Held(std::path::PathBuf),
    /// Its folder is not right.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// What its nodes run from is no longer in the cache.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A file of it is missing or damaged.
    #[error("{what}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

/// Why a request was not done.
#[derive(Debug)]
struct Failure {
    message: String,
    hint: Option<String>,
}

impl Failure {
    fn new(message: impl Into<String>) -> Self {
        Self { message: message.into(), hint: None }
    }

    fn hint(self, hint: impl Into<String>) -> Self {
        Self { hint: Some(hint.into()), ..self }
    }
}

impl From<MachineError> for Failure {
    fn from(error: MachineError) -> Self {
        Self::new(error.to_string())
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::new(error.to_string())
    }
}

/// What a request comes to: sentences that say what was done.
type Outcome = Result<Vec<String>, Failure>;

/// A lab that is being held.
struct Lab {
    folder: Arc<Folder>,
    state: LabState,
    bays: Bays,
    wiring: Wiring,
    machines: BTreeMap<String, Machine>,
    key: String,
    _leases: Vec<Lease>,
}

type Shared = Arc<Mutex<Lab>>;

/// Holds the lab in `dir` until it is told to end; everything is off at first.
pub fn serve(dir: &Path) -> Result<(), ServeError> {
    let folder = Folder::open(dir)?;
    let io = |what: &str| {
        let what = what.to_owned();
        move |source| ServeError::Io { what, source }
    };
    let lock = folder.lock().map_err(io("locking the lab"))?;
    let Some(_lock) = lock else { return Err(ServeError::Held(folder.path().to_owned())) };
    std::env::set_current_dir(folder.path()).map_err(io("entering the lab's folder"))?;
    // Without it a lab is only smaller.
    let _ = raise_file_limit();
    // A terminal that is closed must not take the lab with it. It fails only for one that leads its session already.
    let _ = rustix::process::setsid();

    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().map_err(io("starting tokio"))?;
    runtime.block_on(async move {
        let (shared, control) = Lab::assemble(folder)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(io("watching for signals"))?;
        let mut stdout = tokio::io::stdout();
        // Whoever started this process may be gone by now.
        let _ = stdout.write_all(format!("{READY}\n").as_bytes()).await;
        let _ = stdout.flush().await;
        loop {
            tokio::select! {
                accepted = control.accept() => {
                    match accepted {
                        Ok((stream, _)) => drop(tokio::spawn(converse(Arc::clone(&shared), stream))),
                        // Out of file descriptors, for instance: it may pass.
                        Err(_) => tokio::time::sleep(link::RETRY).await,
                    }
                }
                _ = terminate.recv() => {
                    shared.lock().await.cut_all().await;
                    return Ok(());
                }
            }
        }
    })
}

/// One request and its answer.
async fn converse(lab: Shared, stream: UnixStream) -> io::Result<()> {
    let mut stream = BufReader::new(stream);
    let mut line = String::new();
    stream.read_line(&mut line).await?;
    let reply = match serde_json::from_str(&line) {
        Ok(Request::Status) => Reply::Status(Box::new(status(&lab).await)),
        Ok(Request::Dial { node }) => return wiring::dial(&lab, &node, stream).await,
        Ok(request) => match perform(&lab, request).await {
            Ok(done) => Reply::Done(done),
            Err(Failure { message, hint }) => Reply::Failed { message, hint },
        },
        Err(error) => Reply::Failed {
            message: format!("the request was not understood: {error}"),
            hint: Some("this lab is held by another version of stead: `stead lab down` it first".into()),
        },
    };
    answer(&mut stream, &reply).await
}

async fn answer(stream: &mut BufReader<UnixStream>, reply: &Reply) -> io::Result<()> {
    let mut text = serde_json::to_vec(reply)?;
    text.push(b'\n');
    stream.write_all(&text).await?;
    stream.flush().await
}

async fn perform(shared: &Shared, request: Request) -> Outcome {
    let mut lab = shared.lock().await;
    let done = match request {
        Request::Power { nodes, action } => lab.power(shared, &nodes, action).await,
        Request::Freeze { node } => lab.freeze(&node),
        Request::Thaw { node } => lab.thaw(&node).await,
        Request::Cable { node, switch, to } => lab.cable(&node, switch, to).await,
        Request::Switch { switch, condition } => lab.switch(switch, condition),
        Request::Capture { switch, file } => lab.capture(switch, file.as_deref()),
        Request::Disk { node, bay, action } => lab.disk(&node, &bay, action).await,
        Request::Tang(to) => Ok(lab.tang(to)),
        Request::Wan(to) => Ok(lab.wan(to)),
        Request::WanOpen(open) => Ok(lab.wan_open(open)),
        Request::Clock { node, time } => lab.clock(&node, time),
        Request::Save { name } => lab.save(&name).await,
        Request::Load { name } => lab.load(shared, &name).await,
        Request::Delete { name } => lab.delete(&name),
        Request::Status | Request::Dial { .. } => Ok(Vec::new()),
    };
    // Also after a failure: half of something may be done, and the file must say what is.
    lab.folder.write_state(&lab.state)?;
    done
}

/// Looks at everything; asks all nodes at once whether their ssh answers.
async fn status(shared: &Shared) -> Status {
    let (mut status, hosts) = {
        let lab = shared.lock().await;
        (lab.describe(), lab.wiring.out_of_band())
    };
    let on = |name: &String| status.nodes[name].state.power == Power::On;
    let mut probes = JoinSet::new();
    for (name, host) in hosts.into_iter().filter(|(name, _)| on(name)) {
        probes.spawn(async move { (name, wiring::ssh_answers(&host).await) });
    }
    for (name, answers) in probes.join_all().await {
        if let Some(node) = status.nodes.get_mut(&name) {
            node.ssh = answers;
        }
    }
    status
}

impl Lab {
    fn assemble(folder: Folder) -> Result<(Shared, UnixListener), ServeError> {
        let mut state = folder.read_state()?;
        for node in state.nodes.values_mut() {
            node.power = Power::Off;
        }
        let io = |what: &str| {
            let what = what.to_owned();
            move |source| ServeError::Io { what, source }
        };
        // As long as this process lives, what the nodes run from stays in the cache.
        let systems = state.parts.systems.values().map(|system| &system.rootfs);
        let leases = systems.chain([&state.parts.tang]).map(|part| Lease::of(part));
        let leases = leases.collect::<Result<Vec<_>, _>>()?;
        let key = std::fs::read_to_string(folder.join("id_ed25519.pub")).map_err(io("reading the lab's key"))?;
        for socket in [CONTROL, DISKS] {
            remove_if_there(&folder.join(socket)).map_err(io("removing an old socket"))?;
        }
        let bays = Bays::default();
        let disks = std::os::unix::net::UnixListener::bind(DISKS).map_err(io("opening the disks' socket"))?;
        nbd::serve(disks, bays.clone());
        let wiring = Wiring::lay(&state, &folder).map_err(io("laying the cables"))?;
        let control = UnixListener::bind(CONTROL).map_err(io("opening the control socket"))?;
        let lab = Self {
            folder: Arc::new(folder),
            state,
            bays,
            wiring,
            machines: BTreeMap::new(),
            key: key.trim().to_owned(),
            _leases: leases,
        };
        lab.put_disks(lab.open_disks(&lab.state).map_err(io("opening the disks"))?);
        // What a killed lab left half-made; when it can't be told, it stays.
        let _ = lab.collect_layers();
        lab.folder.write_state(&lab.state).map_err(io("writing the lab's state"))?;
        Ok((Arc::new(Mutex::new(lab)), control))
    }

    /// Opens every disk of `state` that is in a bay, as it is without power.
    fn open_disks(&self, state: &LabState) -> io::Result<Vec<(String, Disk)>> {
        bays_of(state).map(|(bay, disk)| Ok((bay, self.open_disk(disk)?))).collect()
    }

    /// Puts disks into their bays, and makes those fail that the state says so of.
    fn put_disks(&self, disks: Vec<(String, Disk)>) {
        for (bay, disk) in disks {
            self.bays.put(bay, Arc::new(disk));
        }
        for (name, node) in &self.state.nodes {
            for (bay, content) in &node.bays {
                if let Some(disk) = self.bays.get(&NodeFiles::of(name).bay(bay)) {
                    disk.set_failing(content.condition == BayCondition::Failing);
                }
            }
        }
    }

    /// Opens a disk; a top layer that is not there yet is made.
    fn open_disk(&self, disk: &DiskState) -> io::Result<Disk> {
        let dir = self.folder.join("layers");
        let (&top, sealed) = disk.layers.split_first().ok_or(io::ErrorKind::InvalidData)?;
        let top = match Layer::open(&dir, top, true) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Layer::create(&dir, top, disk.size)?,
            other => other?,
        };
        let mut below = Vec::new();
        for &layer in sealed {
            below.push(Arc::new(Layer::open(&dir, layer, false)?));
        }
        if let Some(release) = disk.image {
            below.push(Arc::new(Layer::image(&self.state.parts.systems[&release].rootfs)?));
        }
        Ok(Disk::new(disk.size, top, below))
    }

    fn describe(&self) -> Status {
        let state = &self.state;
        let node = |(name, node): (&String, &crate::state::NodeState)| {
            let pid = self.machines.get(name).map(|machine| machine.pid);
            (name.clone(), NodeStatus { state: node.clone(), ssh: false, pid })
        };
        let switch = |(&number, &condition): (&u8, &crate::switch::Condition)| {
            (number, SwitchStatus { condition, ports: self.wiring.counters(number) })
        };
        Status {
            schema_version: STATUS_SCHEMA,
            folder: self.folder.path().to_owned(),
            config: state.config.clone(),
            accelerator: state.parts.accelerator,
            nodes: state.nodes.iter().map(node).collect(),
            switches: state.switches.iter().map(switch).collect(),
            wan: WanStatus { plugged: state.wan, open: state.config.wan_open },
            tang: TangStatus { plugged: state.tang, url: wiring::tang_url() },
            // For a look, what can't be read is not there.
            snapshots: self.snapshots().unwrap_or_default(),
        }
    }

    /// Takes the power from all nodes at the same instant.
    async fn cut_all(&mut self) {
        let names: Vec<String> = self.machines.keys().cloned().collect();
        self.cut(&names).await;
    }
}

/// The disks in the bays of a lab, with the names under which the bays are served.
fn bays_of(state: &LabState) -> impl Iterator<Item = (String, &DiskState)> {
    state.nodes.iter().flat_map(|(name, node)| {
        let files = NodeFiles::of(name);
        node.bays.iter().map(move |(bay, content)| (files.bay(bay), &content.disk))
    })
}

/// Lets this process have as many open files as it may: each layer of each disk is one.
fn raise_file_limit() -> rustix::io::Result<()> {
    let limit = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: limit.maximum, ..limit })
}
