//! A node's QEMU: starting it, talking to it, stopping it.

use std::fs::{File, OpenOptions};
use std::io;
use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::Arc;

use rustix::process::{Pid, Signal, kill_process};
use serde_json::json;
use tokio::net::UnixListener;
use tokio::sync::{Notify, watch};
use tokio::task::JoinHandle;

use crate::exec::{RunError, Tool, last_lines};
use crate::folder::remove_if_there;
use crate::qemu::{NodeFiles, device_id, disk_device};
use crate::qmp::{Qmp, QmpError};

/// A running QEMU.
#[derive(Debug)]
pub(super) struct Machine {
    pub(super) pid: u32,
    files: NodeFiles,
    qmp: Qmp,
    leash: Leash,
    exited: watch::Receiver<bool>,
}

/// Ends QEMU when it is dropped: however a start or a picture fails, no QEMU is left that nobody knows.
#[derive(Debug)]
struct Leash(Arc<Notify>);

impl Drop for Leash {
    fn drop(&mut self) {
        self.0.notify_one();
    }
}

/// All that is needed to start a node.
#[derive(Debug)]
pub(super) struct Launch {
    pub(super) files: NodeFiles,
    pub(super) args: Vec<String>,
    pub(super) folder: PathBuf,
    pub(super) qmp: Arc<UnixListener>,
    /// Switches whose cable is out.
    pub(super) cables_out: Vec<u8>,
    /// The picture of the memory to go on from.
    pub(super) memory: Option<PathBuf>,
}

/// Why a node's QEMU does not do what it should.
#[derive(Debug, thiserror::Error)]
pub(super) enum MachineError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error("QEMU ended at its start; it said:\n{0}")]
    Ended(String),
    #[error(transparent)]
    Qmp(#[from] QmpError),
    #[error("{0}")]
    Memory(String),
    #[error(transparent)]
    Io(#[from] io::Error),
}

impl From<rustix::io::Errno> for MachineError {
    fn from(errno: rustix::io::Errno) -> Self {
        Self::Io(errno.into())
    }
}

impl Machine {
    /// Starts QEMU; the node is there, and paused.
    ///
    /// Must run on the process's main thread: the kernel ends QEMU when the *thread* that started it ends.
    pub(super) async fn launch(launch: Launch) -> Result<Self, MachineError> {
        let log_path = launch.folder.join(launch.files.qemu_log());
        let log = OpenOptions::new().create(true).append(true).open(&log_path)?;
        let mut command = Tool::Setpriv.command();
        // However this process ends, even by `kill -9`, no node outlives it.
        command.args(["--pdeathsig", "KILL", Tool::Qemu.program()]).args(&launch.args);
        command.current_dir(&launch.folder).stdout(log.try_clone()?).stderr(log).stdin(Stdio::null());
        for socket in [launch.files.console(), launch.files.clock(), launch.files.memory()] {
            remove_if_there(&launch.folder.join(socket))?;
        }
        let mut child = tokio::process::Command::from(command)
            .kill_on_drop(true)
            .spawn()
            .map_err(|source| MachineError::Io(io::Error::other(format!("could not start QEMU: {source}"))))?;
        let pid = child.id().unwrap_or_default();

        let leash = Leash(Arc::new(Notify::new()));
        let (exit, mut exited) = watch::channel(false);
        let kill_wanted = Arc::clone(&leash.0);
        tokio::spawn(async move {
            tokio::select! {
                _ = child.wait() => {}
                () = kill_wanted.notified() => drop(child.kill().await),
            }
            exit.send_replace(true);
        });

        let stream = tokio::select! {
            // A QEMU that came and died at once must not leave its connection to the next one.
            biased;
            accepted = launch.qmp.accept() => accepted?.0,
            _ = exited.wait_for(|ended| *ended) => return Err(MachineError::Ended(tail(&log_path))),
        };
        let qmp = Qmp::start(stream).await?;
        let mut machine = Self { pid, files: launch.files, qmp, leash, exited };
        let events = json!({ "capabilities": [{ "capability": "events", "state": true }] });
        machine.qmp.execute("migrate-set-capabilities", events).await?;
        if let Some(memory) = &launch.memory {
            machine.load_memory(&launch.folder, memory).await?;
        }
        for switch in launch.cables_out {
            machine.set_link(switch, false).await?;
        }
        Ok(machine)
    }

    /// Tells when QEMU has ended.
    pub(super) fn exited(&self) -> watch::Receiver<bool> {
        self.exited.clone()
    }

    /// Ends QEMU as a power cut does, and waits until it is gone.
    pub(super) async fn kill(mut self) {
        self.leash.0.notify_one();
        // An error means that the other end is gone, and QEMU with it.
        let _ = self.exited.wait_for(|ended| *ended).await;
    }

    /// Lets the node go on.
    pub(super) async fn resume(&mut self) -> Result<(), MachineError> {
        self.qmp.execute("cont", json!({})).await?;
        Ok(())
    }

    /// Pauses the node for a picture; QEMU flushes its disks with that.
    ///
    /// A frozen one is told before its process goes on, so that it does nothing in between.
    pub(super) async fn pause(&mut self, frozen: bool) -> Result<(), MachineError> {
        if frozen {
            let pid = self.pid;
            let (stopped, continued) =
                tokio::join!(self.qmp.execute("stop", json!({})), async { signal(pid, Signal::CONT) });
            continued?;
            stopped?;
        } else {
            self.qmp.execute("stop", json!({})).await?;
        }
        Ok(())
    }

    /// Stops the whole process where it is: unlike a pause this flushes nothing, and the node's clock goes on.
    pub(super) fn freeze(&self) -> Result<(), MachineError> {
        self.signal(Signal::STOP)
    }

    /// Lets the process go on.
    pub(super) fn thaw(&self) -> Result<(), MachineError> {
        self.signal(Signal::CONT)
    }

    fn signal(&self, signal: Signal) -> Result<(), MachineError> {
        if self.has_ended() { Err(gone()) } else { self::signal(self.pid, signal) }
    }

    /// Whether QEMU has ended.
    pub(super) fn has_ended(&self) -> bool {
        *self.exited.borrow()
    }

    /// Gives a NIC its carrier, or takes it.
    pub(super) async fn set_link(&mut self, switch: u8, up: bool) -> Result<(), MachineError> {
        self.qmp.execute("set_link", json!({ "name": format!("nic{switch}"), "up": up })).await?;
        Ok(())
    }

    /// Takes a disk out.
    pub(super) async fn unplug(&mut self, bay: &str) -> Result<(), MachineError> {
        let id = device_id(bay);
        self.qmp.execute("device_del", json!({ "id": id })).await?;
        self.qmp.event(|event| event["event"] == "DEVICE_DELETED" && event["data"]["device"] == id).await?;
        Ok(())
    }

    /// Puts a disk in.
    pub(super) async fn plug(&mut self, bay: &str, serial: &str) -> Result<(), MachineError> {
        self.qmp.execute("device_add", disk_device(bay, serial)).await?;
        Ok(())
    }

    /// Writes a paused node's memory and devices to a file.
    pub(super) async fn save_memory(&mut self, folder: &Path, to: &Path) -> Result<(), MachineError> {
        let socket = self.files.memory();
        remove_if_there(&folder.join(&socket))?;
        // Relative, as all paths of sockets here: the process runs in the lab's folder.
        let listener = UnixListener::bind(&socket)?;
        let file = File::create(to)?;
        self.qmp.forget_events();
        // The node is paused, so the only limit is how fast the file takes it.
        self.qmp.execute("migrate-set-parameters", json!({ "max-bandwidth": 1_u64 << 40 })).await?;
        self.qmp.execute("migrate", json!({ "uri": format!("unix:{socket}") })).await?;
        let stream = tokio::select! {
            accepted = listener.accept() => accepted?.0.into_std()?,
            _ = self.exited.wait_for(|ended| *ended) => return Err(gone()),
        };
        stream.set_nonblocking(false)?;
        let copy = pour(stream, file);
        // QEMU's reason first: a broken pipe is only what it looks like from here.
        self.migrated().await?;
        copy.await.map_err(io::Error::other)??;
        remove_if_there(&folder.join(&socket))?;
        Ok(())
    }

    async fn load_memory(&mut self, folder: &Path, from: &Path) -> Result<(), MachineError> {
        let socket = self.files.memory();
        self.qmp.execute("migrate-incoming", json!({ "uri": format!("unix:{socket}") })).await?;
        let stream = tokio::net::UnixStream::connect(&socket).await?.into_std()?;
        stream.set_nonblocking(false)?;
        let file = File::open(from)?;
        let copy = pour(file, stream);
        self.migrated().await?;
        copy.await.map_err(io::Error::other)??;
        remove_if_there(&folder.join(&socket))?;
        Ok(())
    }

    async fn migrated(&mut self) -> Result<(), MachineError> {
        let ended = |status: &serde_json::Value| status == "completed" || status == "failed";
        let wanted = |event: &serde_json::Value| event["event"] == "MIGRATION" && ended(&event["data"]["status"]);
        if self.qmp.event(wanted).await?["data"]["status"] == "completed" {
            return Ok(());
        }
        let info = self.qmp.execute("query-migrate", json!({})).await?;
        let reason = info["error-desc"].as_str().unwrap_or("without a reason").to_owned();
        Err(MachineError::Memory(format!("QEMU could not move the memory: {reason}")))
    }
}

/// Copies a picture of a memory, aside: files have no asynchronous form.
fn pour(
    mut from: impl io::Read + Send + 'static,
    mut to: impl io::Write + Send + 'static,
) -> JoinHandle<io::Result<u64>> {
    tokio::task::spawn_blocking(move || io::copy(&mut from, &mut to))
}

fn signal(pid: u32, signal: Signal) -> Result<(), MachineError> {
    let pid = i32::try_from(pid).ok().and_then(Pid::from_raw).ok_or_else(gone)?;
    Ok(kill_process(pid, signal)?)
}

fn gone() -> MachineError {
    MachineError::Qmp(QmpError::Gone(io::ErrorKind::NotFound.into()))
}

/// The last lines of a log.
fn tail(path: &Path) -> String {
    last_lines(&std::fs::read_to_string(path).unwrap_or_default(), 5)
}
