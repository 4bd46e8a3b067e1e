//! `stead lab`: a virtual cluster, and its faults.

mod status;
mod terminal;

use std::io::{self, Read, Write};
use std::os::unix::process::CommandExt;
use std::path::PathBuf;
use std::process::ExitCode;
use std::thread;

use anyhow::{Context, Result};
use clap::{Args, Subcommand, ValueEnum};
use stead_lab::image::{Cache, Kind, Release};
use stead_lab::protocol::{DiskAction, PowerAction, Request};
use stead_lab::state::{Clock, LabConfig, Plugged};
use stead_lab::switch::Condition;
use stead_lab::{BOOT_PATIENCE, Lab};
use stead_spec::Bytes;

use crate::print::Printer;

/// A virtual cluster on this one machine: Debian nodes, switches, and every plug to pull.
#[derive(Debug, Args)]
#[command(after_help = "Example:\n  stead lab up\n  stead lab power node2 off\n  stead lab status\n  stead lab down")]
pub(crate) struct Arguments {
    /// The lab's folder; several labs have several [default: ~/.local/share/stead/lab]
    #[arg(long, global = true, env = "STEAD_LAB_DIR", value_name = "DIR")]
    dir: Option<PathBuf>,
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a lab and wait until its nodes answer.
    #[command(after_help = "Example:\n  stead lab up --nodes 3 --disks 3x8GiB --release trixie")]
    Up(Up),
    /// Take the lab down, with all its files.
    #[command(after_help = "Example:\n  stead lab down --dir /srv/lab2")]
    Down,
    /// Nodes, plugs, switches and pictures, at one look.
    #[command(after_help = "Example:\n  stead lab status --json")]
    Status {
        /// As JSON, with every counter.
        #[arg(long)]
        json: bool,
    },
    /// A shell on a node, or a command.
    #[command(after_help = "Example:\n  stead lab ssh node1 lsblk")]
    Ssh {
        /// The node.
        node: String,
        /// What to run there instead of a shell.
        #[arg(trailing_var_arg = true, allow_hyphen_values = true)]
        command: Vec<String>,
    },
    /// A node's serial console; Ctrl-] leaves.
    #[command(after_help = "Example:\n  stead lab console node1")]
    Console {
        /// The node.
        node: String,
    },
    /// Pull a node's plug, or switch it on.
    #[command(after_help = "Example:\n  stead lab power all off")]
    Power {
        /// The node, or `all`.
        node: String,
        /// What to do; `off` loses what its disks have not flushed.
        action: PowerWord,
    },
    /// Let a node hang: powered, and deaf and dumb.
    #[command(after_help = "Example:\n  stead lab freeze node2")]
    Freeze {
        /// The node.
        node: String,
    },
    /// Let a frozen node go on.
    #[command(after_help = "Example:\n  stead lab thaw node2")]
    Thaw {
        /// The node.
        node: String,
    },
    /// Pull a network cable, or plug it in.
    #[command(after_help = "Example:\n  stead lab cable node1 3 out")]
    Cable {
        /// The node.
        node: String,
        /// The switch at the other end.
        switch: u8,
        /// In or out.
        to: InOut,
    },
    /// Make a switch sick, or well; carriers stay.
    #[command(after_help = "Example:\n  stead lab switch 2 lossy --percent 10\n  stead lab switch 1 capture lan.pcap")]
    Switch {
        /// Its number.
        switch: u8,
        #[command(subcommand)]
        action: SwitchAction,
    },
    /// Pull a disk, put it back, exchange it, or let it fail.
    #[command(after_help = "Example:\n  stead lab disk node1 disk2 replace")]
    Disk {
        /// The node.
        node: String,
        /// The bay: `os`, `disk1`, `disk2`, …
        disk: String,
        #[command(subcommand)]
        action: DiskWord,
    },
    /// Switch the outside tang box off or on.
    #[command(after_help = "Example:\n  stead lab tang off")]
    Tang {
        /// Off or on.
        to: OffOn,
    },
    /// Cut the internet off, or let it reach the package mirror.
    #[command(after_help = "Example:\n  stead lab wan open")]
    Wan {
        /// What to do.
        to: WanWord,
    },
    /// Set a node's real-time clock for its next start.
    #[command(after_help = "Example:\n  stead lab clock node1 2015-01-01T00:00:00\n  stead lab clock node1 now")]
    Clock {
        /// The node.
        node: String,
        /// As 2015-01-01T00:00:00, in UTC, or `now`.
        time: String,
    },
    /// Pictures of the whole lab, to come back to.
    #[command(after_help = "Example:\n  stead lab snapshot save fresh\n  stead lab snapshot load fresh")]
    Snapshot {
        #[command(subcommand)]
        action: SnapshotAction,
    },
    /// Connect standard input and output with a node's ssh.
    #[command(hide = true)]
    Dial {
        /// The node.
        node: String,
    },
    /// Hold a lab: the process that `up` starts.
    #[command(hide = true)]
    Serve,
}

#[derive(Debug, Args)]
struct Up {
    /// How many nodes.
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u8).range(1..=9))]
    nodes: u8,
    /// Each node's data disks.
    #[arg(long, default_value = "3x8GiB", value_name = "NxSIZE", value_parser = parse_disks)]
    disks: Disks,
    /// Each node's memory.
    #[arg(long, default_value = "3GiB", value_name = "SIZE", value_parser = parse_memory)]
    memory: Bytes,
    /// Each node's virtual CPUs [default: 2 with KVM, else 1]
    #[arg(long, value_parser = clap::value_parser!(u8).range(1..=16))]
    cpus: Option<u8>,
    /// The Debian release: trixie (13) or bookworm (12); or several, which the nodes have in turn.
    #[arg(long, default_value = "trixie", value_delimiter = ',', value_name = "RELEASE[,…]")]
    release: Vec<Release>,
    /// `plain`: what a fresh Debian has; `ready`: also the engines' packages.
    #[arg(long, default_value = "ready")]
    image: Kind,
    /// Let the WAN side reach the package mirror; nothing in a lab reaches anything else.
    #[arg(long, value_name = "HOW")]
    wan: Option<WanOpen>,
    /// Don't wait until the nodes answer.
    #[arg(long)]
    no_wait: bool,
}

#[derive(Clone, Debug)]
struct Disks(Vec<Bytes>);

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WanOpen {
    Open,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum PowerWord {
    Off,
    On,
    Cycle,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum InOut {
    In,
    Out,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum OffOn {
    Off,
    On,
}

#[derive(Clone, Copy, Debug, ValueEnum)]
enum WanWord {
    /// Gone: nothing answers there.
    Off,
    /// There, as it was.
    On,
    /// Reaches the package mirror, and nothing else.
    Open,
    /// Reaches nothing.
    Closed,
}

#[derive(Debug, Subcommand)]
enum SwitchAction {
    /// Forward nothing.
    Off,
    /// Forward.
    On,
    /// Lose frames.
    Lossy {
        /// How many of a hundred.
        #[arg(long, default_value_t = 30, value_parser = clap::value_parser!(u8).range(1..=100))]
        percent: u8,
    },
    /// Hold each frame for a while.
    Slow {
        /// For how many milliseconds.
        #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..=60_000))]
        ms: u32,
    },
    /// Lose long packets.
    Small {
        /// The longest that pass, in bytes without Ethernet's header and tag.
        #[arg(long, default_value_t = 1400, value_parser = clap::value_parser!(u16).range(68..))]
        mtu: u16,
    },
    /// Write what it forwards to a file, as pcap; without a file, stop that.
    Capture {
        /// The file.
        file: Option<PathBuf>,
    },
}

#[derive(Debug, Subcommand)]
enum DiskWord {
    /// Pull it out.
    Pull,
    /// Put it back in; a failing one comes back well.
    Insert,
    /// Put a blank one in; the old one goes to the shelf.
    Replace {
        /// Instead of a blank one: one from the shelf.
        #[arg(long, value_name = "SERIAL")]
        with: Option<String>,
    },
    /// Let every request end in an error.
    Fail,
}

#[derive(Debug, Subcommand)]
enum SnapshotAction {
    /// Take a picture of everything.
    Save {
        /// Its name.
        name: String,
    },
    /// Go back to a picture; what was done since is gone.
    Load {
        /// Its name.
        name: String,
    },
    /// The pictures that there are.
    List,
    /// Throw a picture away.
    Delete {
        /// Its name.
        name: String,
    },
}

/// Carries a command out.
pub(crate) fn run(arguments: Arguments, printer: &mut Printer) -> Result<ExitCode> {
    let dir = match arguments.dir {
        Some(dir) => dir,
        None => default_dir()?,
    };
    // Under the path at which it still lies when a running lab calls for it.
    let program = std::env::current_exe().context("finding the path of stead itself")?;
    let open = || Lab::open(&dir, &program);
    let request = match arguments.command {
        Command::Up(up) => return self::up(up, &dir, &program, printer),
        Command::Down => {
            let ended = Lab::destroy(&dir)?;
            printer.progress(format!("the lab in {} is gone ({ended} processes ended)", dir.display()));
            return Ok(ExitCode::SUCCESS);
        }
        Command::Status { json } => {
            let status = open()?.status()?;
            if json {
                printer.line(serde_json::to_string_pretty(&status)?);
            } else {
                status::print(&status, printer);
            }
            return Ok(ExitCode::SUCCESS);
        }
        Command::Ssh { node, command } => {
            let lab = open()?;
            lab.check_node(&node)?;
            let mut ssh = lab.ssh(&node);
            ssh.stdin(std::process::Stdio::inherit());
            if !command.is_empty() {
                ssh.arg("--").args(command);
            }
            return Err(ssh.exec()).context("starting ssh");
        }
        Command::Console { node } => {
            let lab = open()?;
            lab.check_node(&node)?;
            terminal::attach(lab.console(&node)?, printer)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Dial { node } => {
            dial(&open()?, &node)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Serve => {
            stead_lab::daemon::serve(&dir)?;
            return Ok(ExitCode::SUCCESS);
        }
        Command::Snapshot { action: SnapshotAction::List } => {
            for name in open()?.status()?.snapshots {
                printer.line(name);
            }
            return Ok(ExitCode::SUCCESS);
        }
        Command::Snapshot { action: SnapshotAction::Save { name } } => Request::Save { name },
        Command::Snapshot { action: SnapshotAction::Load { name } } => Request::Load { name },
        Command::Snapshot { action: SnapshotAction::Delete { name } } => Request::Delete { name },
        Command::Power { node, action } => {
            let nodes = if node == "all" { open()?.nodes()? } else { vec![node] };
            Request::Power { nodes, action: action.into() }
        }
        Command::Freeze { node } => Request::Freeze { node },
        Command::Thaw { node } => Request::Thaw { node },
        Command::Cable { node, switch, to } => Request::Cable { node, switch, to: to.into() },
        Command::Switch { switch, action } => action.request(switch)?,
        Command::Disk { node, disk, action } => Request::Disk { node, bay: disk, action: action.into() },
        Command::Tang { to } => Request::Tang(to.into()),
        Command::Wan { to } => match to {
            WanWord::Off => Request::Wan(Plugged::Out),
            WanWord::On => Request::Wan(Plugged::In),
            WanWord::Open => Request::WanOpen(true),
            WanWord::Closed => Request::WanOpen(false),
        },
        Command::Clock { node, time } => {
            let time = if time == "now" { None } else { Some(Clock::try_from(time)?) };
            Request::Clock { node, time }
        }
    };
    for sentence in open()?.request(&request)? {
        printer.progress(sentence);
    }
    Ok(ExitCode::SUCCESS)
}

fn up(up: Up, dir: &std::path::Path, program: &std::path::Path, printer: &mut Printer) -> Result<ExitCode> {
    let config = LabConfig {
        nodes: up.nodes,
        disks: up.disks.0,
        memory: up.memory,
        cpus: up.cpus,
        releases: up.release,
        image: up.image,
        wan_open: up.wan.is_some(),
    };
    let cache = Cache::open_default()?;
    let mut say = |line: &str| printer.progress(line);
    let lab = Lab::create(dir, program, config, &cache, &mut say)?;
    if !up.no_wait {
        lab.wait_for_ssh(&lab.nodes()?, BOOT_PATIENCE, &mut say)?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Both ways at once, each until its end.
fn dial(lab: &Lab, node: &str) -> Result<()> {
    let far = lab.dial(node)?;
    let mut to_node = far.try_clone()?;
    thread::spawn(move || {
        // Errors mean that one side is gone; the other side sees its end.
        let _ = pump(io::stdin().lock(), &mut to_node);
        let _ = to_node.shutdown(std::net::Shutdown::Write);
    });
    Ok(pump(far, &mut io::stdout().lock())?)
}

fn pump(mut from: impl Read, to: &mut impl Write) -> io::Result<()> {
    let mut bytes = vec![0; 64 << 10];
    loop {
        match from.read(&mut bytes)? {
            0 => return Ok(()),
            n => {
                to.write_all(&bytes[..n])?;
                to.flush()?;
            }
        }
    }
}

fn default_dir() -> Result<PathBuf> {
    let data = std::env::var_os("XDG_DATA_HOME").map(PathBuf::from).filter(|path| path.is_absolute());
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".local/share"));
    let data = data.or_else(home).context("neither XDG_DATA_HOME nor HOME is set: name the lab's folder with --dir")?;
    Ok(data.join("stead/lab"))
}

fn parse_memory(text: &str) -> Result<Bytes, String> {
    let memory: Bytes = text.parse().map_err(|error: stead_spec::units::Invalid| error.to_string())?;
    if memory < Bytes::mib(256) { Err(format!("Debian doesn't boot in {memory}: 256MiB or more")) } else { Ok(memory) }
}

fn parse_disks(text: &str) -> Result<Disks, String> {
    let (count, size) = text.split_once('x').ok_or("write how many and how large, such as 3x8GiB")?;
    let count: usize = count.parse().map_err(|_| format!("`{count}` is not a number of disks"))?;
    let size: Bytes = size.parse().map_err(|error: stead_spec::units::Invalid| error.to_string())?;
    if count > 20 {
        return Err("more than 20 disks a node: a lab has room for 20".into());
    }
    if size < Bytes::mib(1) || size > Bytes::gib(1 << 10) {
        return Err(format!("disks of {size}: from 1MiB to 1TiB"));
    }
    Ok(Disks(vec![size; count]))
}

impl SwitchAction {
    fn request(self, switch: u8) -> Result<Request> {
        let condition = match self {
            Self::Off => Condition::Off,
            Self::On => Condition::On,
            Self::Lossy { percent } => Condition::Lossy(percent),
            Self::Slow { ms } => Condition::Slow(ms),
            Self::Small { mtu } => Condition::Small(mtu),
            Self::Capture { file } => {
                // The process that writes it runs in another folder.
                let file = file.map(std::path::absolute).transpose().context("finding the capture's folder")?;
                return Ok(Request::Capture { switch, file });
            }
        };
        Ok(Request::Switch { switch, condition })
    }
}

impl From<PowerWord> for PowerAction {
    fn from(word: PowerWord) -> Self {
        match word {
            PowerWord::Off => Self::Off,
            PowerWord::On => Self::On,
            PowerWord::Cycle => Self::Cycle,
        }
    }
}

impl From<DiskWord> for DiskAction {
    fn from(word: DiskWord) -> Self {
        match word {
            DiskWord::Pull => Self::Pull,
            DiskWord::Insert => Self::Insert,
            DiskWord::Replace { with } => Self::Replace(with),
            DiskWord::Fail => Self::Fail,
        }
    }
}

impl From<InOut> for Plugged {
    fn from(word: InOut) -> Self {
        match word {
            InOut::In => Self::In,
            InOut::Out => Self::Out,
        }
    }
}

impl From<OffOn> for Plugged {
    fn from(word: OffOn) -> Self {
        match word {
            OffOn::On => Self::In,
            OffOn::Off => Self::Out,
        }
    }
}
