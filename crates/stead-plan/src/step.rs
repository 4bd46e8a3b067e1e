//! A step: one idempotent action of a plan, on one node.

mod facts;

use std::collections::BTreeSet;
use std::fmt;
use std::net::Ipv4Addr;
use std::str::FromStr;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_spec::units::{DiskId, NodeName};

use crate::op::{Command, Op, OutputKind};

pub use facts::overtaken;
pub(crate) use facts::{CLOCK_TOLERANCE, words};

/// One concern, in building order.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
#[allow(missing_docs, reason = "DESIGN's words")]
pub enum Layer {
    Host,
    Network,
    Disks,
    Volumes,
    Machines,
    Router,
    Backup,
    Telemetry,
}

/// Names a step: `host/node1/packages`. The same need gives the same name in each plan.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct StepId {
    /// The layer that wants it.
    pub layer: Layer,
    /// Where it is done.
    pub node: NodeName,
    /// What it is about, in small letters, digits, dots, hyphens and underscores; behind the first dot, which of several.
    pub what: String,
}

/// One idempotent action.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Step {
    /// Its name.
    pub id: StepId,
    /// What it does, in one line without a full stop: `install chrony and ethtool`.
    pub title: String,
    /// Why: what is asked and what is there instead, a sentence each, or what the difference is, line by line.
    pub why: Vec<String>,
    /// What it runs and writes, in this order.
    pub ops: Vec<Op>,
    /// The steps that must be done before.
    pub after: BTreeSet<StepId>,
    /// What was observed that makes it right: if any of it has changed, the plan has been overtaken.
    pub basis: Vec<Fact>,
    /// What it destroys, for a person to type. Empty for nearly all.
    pub destroys: Vec<Destruction>,
    /// For a step that may cut its node off: what undoes it unless it is confirmed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// For a step that may be done at the same time as others of its node that say this too: the memory that it takes
    /// at most, in MiB. Never one with a guard.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<u32>,
}

/// Something that was observed and that a step rests on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fact {
    /// About what.
    pub about: About,
    /// What it was, in a short canonical form that a person can read: see [`About::of`].
    pub was: String,
}

/// What a fact is about.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum About {
    /// Whose node it is.
    Stamp,
    /// The hostname.
    Hostname,
    /// The time zone.
    Timezone,
    /// Whether the clock is right, to seconds.
    Clock,
    /// What is at a path.
    File(Utf8PathBuf),
    /// A package.
    Package(String),
    /// A unit of systemd's.
    Unit(String),
    /// An account.
    User(String),
    /// A setting of the kernel.
    Sysctl(String),
    /// Swap in use at this path.
    Swap(Utf8PathBuf),
    /// A network device.
    Device(String),
    /// A bridge of Open vSwitch's.
    Bridge(String),
    /// FRR's configuration as it runs.
    Routing,
    /// stead's own table of nftables.
    Firewall,
    /// A disk, and what is on it.
    Disk(DiskId),
    /// The keys of the node's tang.
    Tang,
    /// A volume group.
    Pool(String),
    /// A backup of a LUKS header that the node keeps, by its file's name.
    Header(String),
    /// The other nodes that its storage daemon knows.
    Peers,
    /// What its storage daemon has written down for its next start.
    PeersWritten,
    /// A replicated volume.
    Volume(String),
    /// A brick, by its folder.
    Brick(Utf8PathBuf),
    /// A network of libvirt's.
    VirtualNetwork(String),
    /// Its watchdogs.
    Watchdogs,
    /// What pacemaker has set for all nodes.
    Membership,
    /// A machine, as pacemaker has it.
    Machine(String),
    /// Which machines start first and keep apart, as pacemaker has it.
    MachineOrder,
    /// A machine's disk, by its file.
    DiskFile(Utf8PathBuf),
}

/// The way back from a step that may cut its node off.
///
/// The node keeps a copy of what the step changes, sets a timer, and only then begins. Whoever drives the plan looks
/// over a *new* connection, and through the other nodes, whether the node is still there, and confirms. Without that, the
/// node undoes the step: the files are put back, then [`undo`](Self::undo) runs. If it boots in between, the files are put
/// back before anything reads them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Guard {
    /// The files and links that the step changes, whether or not they are there.
    pub keeps: BTreeSet<Utf8PathBuf>,
    /// Files of engines that read them at boot only: these are put back at boot, and not while the engine runs.
    pub keeps_for_boot: BTreeSet<Utf8PathBuf>,
    /// What makes the engines as they were, once the files are back. Each may fail, and the rest is run.
    pub undo: Vec<Command>,
    /// Seconds to the undoing, on ordinary PCs.
    pub within: u32,
    /// What must be reached afterwards.
    pub watches: Vec<Watch>,
}

/// Something that a node reaches, and must still reach after a guarded step.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Watch {
    /// Who looks: another node, or the one that is changed.
    pub from: NodeName,
    /// The address to be reached before the step. If it isn't reached then, this watch asks for nothing.
    pub before: Ipv4Addr,
    /// The address to be reached after it.
    pub after: Ipv4Addr,
    /// What that is, for a person: `node1's address in lan`.
    pub what: String,
}

/// Something that a step destroys.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Destruction {
    /// What, for a person.
    pub what: String,
    /// What must be typed: its name or serial.
    pub typed: String,
}

impl Step {
    /// What it finds out for later ones.
    pub fn outputs(&self) -> impl Iterator<Item = OutputKind> {
        self.ops.iter().filter_map(|op| match op {
            Op::Run(command) => command.output,
            Op::Take { output, .. } => Some(*output),
            _ => None,
        })
    }
}

impl fmt::Display for Layer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Host => "host",
            Self::Network => "network",
            Self::Disks => "disks",
            Self::Volumes => "volumes",
            Self::Machines => "machines",
            Self::Router => "router",
            Self::Backup => "backup",
            Self::Telemetry => "telemetry",
        })
    }
}

impl Layer {
    /// All of them, in building order.
    pub const ALL: [Self; 8] = [
        Self::Host,
        Self::Network,
        Self::Disks,
        Self::Volumes,
        Self::Machines,
        Self::Router,
        Self::Backup,
        Self::Telemetry,
    ];
}

impl FromStr for Layer {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|layer| layer.to_string() == text);
        found.ok_or_else(|| format!("`{text}` is no layer: {}", Self::ALL.map(|layer| layer.to_string()).join(", ")))
    }
}

impl fmt::Display for StepId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}/{}/{}", self.layer, self.node, self.what)
    }
}

impl StepId {
    /// What kind of step it is: what stands before the name of the thing that it is about, `format` of `format.stead_1a`.
    pub fn kind(&self) -> &str {
        self.what.split('.').next().unwrap_or(&self.what)
    }
}

impl FromStr for StepId {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let bad = || format!("`{text}` is no step: it wants LAYER/NODE/WHAT");
        let mut parts = text.splitn(3, '/');
        let (layer, node, what) = (parts.next(), parts.next(), parts.next());
        Ok(Self {
            layer: layer.ok_or_else(bad)?.parse()?,
            node: node.and_then(|node| node.parse().ok()).ok_or_else(bad)?,
            what: what.filter(|what| !what.is_empty()).ok_or_else(bad)?.to_owned(),
        })
    }
}

impl Serialize for StepId {
    fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_str(self)
    }
}

impl<'de> Deserialize<'de> for StepId {
    fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let text = String::deserialize(deserializer)?;
        text.parse().map_err(serde::de::Error::custom)
    }
}

/// How a step ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Outcome {
    /// It changed something.
    Done,
    /// All was so already.
    Unchanged,
    /// It can't be done yet: what it waits for. The next apply looks again.
    Waiting(String),
    /// It could not be done: a whole message for a person, with the command as one could paste it.
    Failed(String),
}
