//! A lab from outside: making it, breaking it, looking at it, taking it down. What the commands and the tests use.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io::{self, BufRead, BufReader, Write};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use stead_spec::words::quote;

use crate::daemon::READY;
use crate::exec::{RunError, Tool, last_lines};
use crate::folder::{CONTROL, Folder, FolderError, LOG};
use crate::image::{Cache, Image, ImageError};
use crate::processes;
use crate::protocol::{Reply, Request, Status};
use crate::qemu::{Accelerator, NodeFiles};
use crate::state::{LabConfig, LabState, Parts, Power, SystemFiles};

/// A lab that is there.
#[derive(Debug)]
pub struct Lab {
    folder: Folder,
    program: PathBuf,
}

/// Why something about a lab did not work.
#[derive(Debug, thiserror::Error)]
pub enum LabError {
    /// Its folder is not right.
    #[error(transparent)]
    Folder(#[from] FolderError),
    /// No image could be had.
    #[error(transparent)]
    Image(#[from] ImageError),
    /// A program failed.
    #[error(transparent)]
    Run(#[from] RunError),
    /// The lab refused.
    #[error("{message}")]
    Refused {
        /// Why.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
    /// The process that holds the lab did not start.
    #[error("the lab's process did not start; it said:\n{0}")]
    NotHeld(String),
    /// The process that holds the lab broke the conversation off.
    #[error("the lab's process broke off: {0}")]
    BrokenOff(io::Error),
    /// The lab is up already.
    #[error("there is a lab in {0} already")]
    Exists(PathBuf),
    /// Nodes did not come up.
    #[error("no ssh on {} after {} s; the end of its console:\n{console}", nodes.join(", "), limit.as_secs())]
    NoSsh {
        /// The nodes that are missing.
        nodes: Vec<String>,
        /// How long they had.
        limit: Duration,
        /// What the first of them showed last.
        console: String,
    },
    /// The system said no.
    #[error("{what}: {source}")]
    Io {
        /// What was tried.
        what: String,
        /// What the system said.
        source: io::Error,
    },
}

impl LabError {
    /// What the user can do next.
    pub fn hint(&self) -> Option<String> {
        match self {
            Self::Refused { hint, .. } => hint.clone(),
            Self::Exists(_) => Some("`stead lab status` looks at it, `stead lab down` takes it down".into()),
            Self::NotHeld(_) => Some("`stead lab down` takes away what is left of it".into()),
            Self::NoSsh { nodes, .. } => Some(format!("stead lab console {}", nodes.first()?)),
            Self::Run(RunError::Missing { package, .. }) => Some(format!("sudo apt-get install {package}")),
            Self::Io { source, .. } if source.kind() == io::ErrorKind::StorageFull => {
                Some("`df -h` shows where it is full".into())
            }
            _ => None,
        }
    }

    fn io(what: impl Into<String>) -> impl FnOnce(io::Error) -> Self {
        let what = what.into();
        move |source| Self::Io { what, source }
    }
}

/// How long nodes may take to their ssh: five at once, translated, on two slow cores take about three minutes.
pub const BOOT_PATIENCE: Duration = Duration::from_mins(10);

/// How long another command's process may take until it is ready.
const HOLD_PATIENCE: Duration = Duration::from_secs(10);

/// How often is asked whether something has come about.
const POLL: Duration = Duration::from_millis(500);

impl Lab {
    /// Makes a lab in `dir` and switches all its nodes on.
    ///
    /// `program` is the `stead` that will hold it; `say` hears what takes long. What fails leaves nothing behind.
    pub fn create(
        dir: &Path,
        program: &Path,
        config: LabConfig,
        cache: &Cache,
        say: &mut dyn FnMut(&str),
    ) -> Result<Self, LabError> {
        if Folder::open(dir).is_ok() {
            return Err(LabError::Exists(dir.to_owned()));
        }
        for tool in [Tool::Qemu, Tool::Setpriv, Tool::Ssh, Tool::SshKeygen] {
            tool.check()?;
        }
        check_memory(&config)?;
        check_room(dir)?;
        let mut images = BTreeMap::new();
        for release in (1..=config.nodes).map(|number| config.release_of(number)).collect::<BTreeSet<_>>() {
            images.insert(release, cache.image(release, config.image, say)?);
        }
        let tang = cache.tang(say)?;
        let accelerator = Accelerator::probe(&images[&config.release_of(1)])?;
        let files = |image: &Image| SystemFiles {
            rootfs: image.rootfs.clone(),
            kernel: image.kernel.clone(),
            initrd: image.initrd.clone(),
        };
        let parts = Parts {
            systems: images.iter().map(|(&release, image)| (release, files(image))).collect(),
            tang: tang.tree.clone(),
            accelerator,
        };
        let count = config.nodes;
        let lab = Self { folder: Folder::create(dir)?, program: program.to_owned() };
        let made = lab.furnish(&LabState::new(config, parts)).and_then(|()| {
            lab.hold()?;
            say(&format!("{count} node{} under {accelerator}", if count == 1 { " starts" } else { "s start" }));
            lab.power(&lab.nodes()?, crate::protocol::PowerAction::On)
        });
        match made {
            Ok(_) => Ok(lab),
            Err(error) => {
                // The first error is the one to be read.
                let _ = Self::destroy(dir);
                Err(error)
            }
        }
    }

    /// Opens the lab in `dir`, and has `program` hold it, with everything off, if nobody does.
    pub fn open(dir: &Path, program: &Path) -> Result<Self, LabError> {
        let lab = Self { folder: Folder::open(dir)?, program: program.to_owned() };
        let held = || UnixStream::connect(lab.folder.socket(CONTROL)).is_ok();
        if !held()
            && let Err(error) = lab.hold()
        {
            // Perhaps another command was quicker, and its process is on the way.
            let start = Instant::now();
            while !held() {
                if start.elapsed() > HOLD_PATIENCE || lab.folder.lock().is_ok_and(|lock| lock.is_some()) {
                    return Err(error);
                }
                thread::sleep(POLL);
            }
        }
        Ok(lab)
    }

    /// Takes the lab in `dir` down: all its processes and files, also what a killed one left. Says what it ended.
    pub fn destroy(dir: &Path) -> Result<usize, LabError> {
        let folder = Folder::open(dir)?;
        let path = folder.path().to_owned();
        let end_all = || processes::end_all(&path).map_err(LabError::io("ending the lab's processes"));
        let mut ended = end_all()?;
        // Whoever asks a lab without a process something starts one: not while its files go.
        let _lock = loop {
            match folder.lock().map_err(LabError::io("locking the lab"))? {
                Some(lock) => break lock,
                None => ended += end_all()?,
            }
        };
        folder.remove().map_err(LabError::io(format!("removing {}", path.display())))?;
        Ok(ended)
    }

    /// The lab's folder.
    pub fn path(&self) -> &Path {
        self.folder.path()
    }

    /// The names of its nodes.
    pub fn nodes(&self) -> Result<Vec<String>, LabError> {
        Ok(self.folder.read_state()?.nodes.into_keys().collect())
    }

    /// Refuses a name that is no node's.
    pub fn check_node(&self, name: &str) -> Result<(), LabError> {
        let nodes = self.nodes()?;
        if nodes.iter().any(|node| node == name) {
            return Ok(());
        }
        let hint = Some(format!("the nodes are {}", nodes.join(", ")));
        Err(LabError::Refused { message: format!("there is no node `{name}`"), hint })
    }

    /// Asks the lab to do something; says what was done.
    pub fn request(&self, request: &Request) -> Result<Vec<String>, LabError> {
        match self.exchange(request)?.0 {
            Reply::Done(done) => Ok(done),
            other => Err(unexpected(other)),
        }
    }

    /// Switches nodes off, on, or both.
    pub fn power(&self, nodes: &[String], action: crate::protocol::PowerAction) -> Result<Vec<String>, LabError> {
        self.request(&Request::Power { nodes: nodes.to_vec(), action })
    }

    /// Looks at everything.
    pub fn status(&self) -> Result<Status, LabError> {
        match self.exchange(&Request::Status)?.0 {
            Reply::Status(status) => Ok(*status),
            other => Err(unexpected(other)),
        }
    }

    /// A connection to a node's ssh.
    pub fn dial(&self, node: &str) -> Result<UnixStream, LabError> {
        match self.exchange(&Request::Dial { node: node.to_owned() })? {
            (Reply::Done(_), stream) => Ok(stream),
            (other, _) => Err(unexpected(other)),
        }
    }

    /// Waits until ssh answers on `nodes`, and tells `say` of each.
    pub fn wait_for_ssh(&self, nodes: &[String], limit: Duration, say: &mut dyn FnMut(&str)) -> Result<(), LabError> {
        let start = Instant::now();
        let mut missing: BTreeSet<String> = nodes.iter().cloned().collect();
        loop {
            let status = self.status()?;
            missing.retain(|name| {
                let there = status.nodes.get(name).is_some_and(|node| node.ssh);
                if there {
                    say(&format!("{name}: ssh answers after {} s", start.elapsed().as_secs()));
                }
                !there
            });
            let Some(first) = missing.first() else { return Ok(()) };
            if let Some(off) = missing.iter().find(|name| status.nodes[*name].state.power == Power::Off) {
                let message = format!("{off} is off; the end of its console:\n{}", self.console_tail(off));
                return Err(LabError::Refused { message, hint: Some(format!("stead lab power {off} on")) });
            }
            if start.elapsed() > limit {
                let console = self.console_tail(first);
                return Err(LabError::NoSsh { nodes: missing.into_iter().collect(), limit, console });
            }
            thread::sleep(POLL);
        }
    }

    /// The command `ssh NODE`, to which words of a remote command may be added.
    pub fn ssh(&self, node: &str) -> Command {
        let mut command = Tool::Ssh.command();
        command.arg("-F").arg(self.folder.join("ssh_config")).arg(node);
        // A connection that stays for the next command is a process of this lab.
        command.env(processes::MARK, self.folder.path());
        command
    }

    /// Runs a line of shell on a node, as root, and gives what it printed.
    pub fn run(&self, node: &str, script: &str) -> Result<String, LabError> {
        let mut command = self.ssh(node);
        command.arg("--").arg(script);
        Ok(Tool::Ssh.run(command)?)
    }

    /// A connection to a node's serial console.
    pub fn console(&self, node: &str) -> Result<UnixStream, LabError> {
        let what = format!("{node} has no console: is it on?");
        UnixStream::connect(self.folder.socket(&NodeFiles::of(node).console())).map_err(LabError::io(what))
    }

    /// The last lines that a node's console has shown.
    pub fn console_tail(&self, node: &str) -> String {
        let log = fs::read(self.folder.join(NodeFiles::of(node).console_log())).unwrap_or_default();
        last_lines(&String::from_utf8_lossy(&log), 20)
    }

    /// Puts everything into the folder that a lab starts from.
    fn furnish(&self, state: &LabState) -> Result<(), LabError> {
        let mut keygen = Tool::SshKeygen.command();
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "stead-lab", "-f"]).arg(self.folder.join("id_ed25519"));
        Tool::SshKeygen.run(keygen)?;
        let config = ssh_config(self.folder.path(), &self.program);
        fs::write(self.folder.join("ssh_config"), config).map_err(LabError::io("writing ssh_config"))?;
        self.folder.write_state(state).map_err(LabError::io("writing the lab's state"))
    }

    /// Starts the process that holds the lab, and waits until it is ready.
    fn hold(&self) -> Result<(), LabError> {
        let log = self.folder.join(LOG);
        let file =
            fs::File::options().create(true).append(true).open(&log).map_err(LabError::io("opening the lab's log"))?;
        let mut command = Tool::Stead.command_at(&self.program);
        command.args(["lab", "serve", "--dir"]).arg(self.folder.path());
        command.env(processes::MARK, self.folder.path()).stdout(Stdio::piped()).stderr(file);
        let mut child = command.spawn().map_err(|source| Tool::Stead.start_error(&command, source))?;
        let mut said = String::new();
        if let Some(stdout) = child.stdout.take() {
            BufReader::new(stdout).read_line(&mut said).map_err(LabError::io("waiting for the lab's process"))?;
        }
        if said.trim() == READY {
            return Ok(());
        }
        let _ = child.wait();
        Err(LabError::NotHeld(fs::read_to_string(log).unwrap_or_default()))
    }

    fn exchange(&self, request: &Request) -> Result<(Reply, UnixStream), LabError> {
        let broken = LabError::BrokenOff;
        let mut stream = UnixStream::connect(self.folder.socket(CONTROL)).map_err(broken)?;
        let mut line = serde_json::to_vec(request).map_err(|error| broken(error.into()))?;
        line.push(b'\n');
        stream.write_all(&line).map_err(broken)?;
        // Byte by byte: what follows the answer of a dialled connection is not ours to read.
        let mut answer = Vec::new();
        let mut byte = [0];
        while !answer.ends_with(b"\n") {
            io::Read::read_exact(&mut stream, &mut byte).map_err(broken)?;
            answer.push(byte[0]);
        }
        let reply = serde_json::from_slice(&answer).map_err(|error| broken(error.into()))?;
        Ok((reply, stream))
    }
}

fn unexpected(reply: Reply) -> LabError {
    match reply {
        Reply::Failed { message, hint } => LabError::Refused { message, hint },
        other => LabError::BrokenOff(io::Error::other(format!("an answer to another question: {other:?}"))),
    }
}

/// Refuses nodes that this machine has no memory for: they would start, and be killed later, one after the other.
fn check_memory(config: &LabConfig) -> Result<(), LabError> {
    let info = fs::read_to_string("/proc/meminfo").map_err(LabError::io("reading /proc/meminfo"))?;
    let available = info
        .lines()
        .find_map(|line| line.strip_prefix("MemAvailable:")?.trim().strip_suffix("kB")?.trim().parse::<u64>().ok());
    let wanted = config.memory.get() * u64::from(config.nodes);
    match available {
        Some(kib) if kib << 10 < wanted => Err(LabError::Refused {
            message: format!(
                "{} nodes with {} each want {} MiB of memory, and {} MiB are free",
                config.nodes,
                config.memory,
                wanted >> 20,
                kib >> 10
            ),
            hint: Some("fewer nodes (--nodes) or less for each (--memory)".into()),
        }),
        _ => Ok(()),
    }
}

/// What a lab's folder must have room for before it is made, in bytes: a few minutes of three nodes' logs and one picture.
const ROOM: u64 = 4 << 30;

/// Refuses a folder on a disk that is nearly full: the nodes' disks would fail one after the other.
fn check_room(dir: &Path) -> Result<(), LabError> {
    let existing = dir.ancestors().find(|dir| dir.is_dir()).unwrap_or(Path::new("."));
    let disk =
        rustix::fs::statvfs(existing).map_err(|errno| LabError::io(existing.display().to_string())(errno.into()))?;
    let free = disk.f_bavail * disk.f_frsize;
    if free >= ROOM {
        return Ok(());
    }
    Err(LabError::Refused {
        message: format!("{} has {} MiB free, and a lab wants {} MiB", existing.display(), free >> 20, ROOM >> 20),
        hint: Some("make room there, or name a folder elsewhere with --dir".into()),
    })
}

/// How long the path of a control socket may be: ssh adds 17 characters while it makes one, and 108 is the limit.
const CONTROL_PATH: usize = 90;

/// The configuration for `ssh -F`: the nodes by their names, over their out-of-band NICs.
fn ssh_config(folder: &Path, program: &Path) -> String {
    // ssh replaces what stands behind a %, and hands the command to a shell.
    let literal = |path: PathBuf| path.display().to_string().replace('%', "%%");
    let path = |name: &str| literal(folder.join(name));
    let dial =
        format!("{} lab dial --dir {} %n", quote(&literal(program.to_owned())), quote(&literal(folder.to_owned())));
    let control = path("nodes") + "/%n.ssh";
    // A handshake takes a second on a translated node.
    let shared = if control.len() <= CONTROL_PATH {
        format!("  ControlMaster auto\n  ControlPersist yes\n  ControlPath \"{control}\"\n")
    } else {
        String::new()
    };
    format!(
        "# Made by stead: `ssh -F` this file, then a node's name.\n\
         Host node*\n  User root\n  IdentityFile \"{}\"\n  IdentitiesOnly yes\n  UserKnownHostsFile \"{}\"\n  \
         StrictHostKeyChecking accept-new\n  LogLevel ERROR\n  ConnectTimeout 30\n  ServerAliveInterval 20\n  \
         ProxyCommand {dial}\n{shared}",
        path("id_ed25519"),
        path("known_hosts"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_ssh_configuration_survives_odd_folders() {
        let config = ssh_config(Path::new("/srv/it's 100%/lab"), Path::new("/opt/stead"));
        assert!(config.contains(r"ProxyCommand /opt/stead lab dial --dir '/srv/it'\''s 100%%/lab' %n"), "{config}");
        assert!(config.contains("ControlPath"), "{config}");
        assert!(!ssh_config(Path::new(&"/deep".repeat(30)), Path::new("/opt/stead")).contains("ControlPath"));
    }

    #[test]
    fn more_memory_than_there_is_is_refused_before_anything_is_made() {
        let config = LabConfig { memory: stead_spec::Bytes::gib(1 << 20), ..LabConfig::default() };
        let error = check_memory(&config).expect_err("nobody has that");
        assert!(error.hint().is_some_and(|hint| hint.contains("--memory")), "{error}");
    }
}
