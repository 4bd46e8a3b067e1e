//! How a cluster does: what is wrong, the worst first, each with its next step.
//!
//! This is about health: what was broken, pulled out or switched off. What differs from the cluster file is the plan's,
//! and only told here where something doesn't work for it. Each layer looks in a file of its own, and adds what it found.

mod disks;
mod healing;
mod host;
mod machines;
mod network;
pub(crate) mod render;
mod volumes;

use std::collections::BTreeMap;

use serde::Serialize;
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::{ClusterId, ClusterName, Interface, Mac, NodeName, SwitchName};

use crate::inventory::{Clock, Inventory, Timestamp};
use crate::network::facts::Errors;
pub use disks::{DiskState, DiskStatus};
pub use healing::{Backlog, Healing};
pub use machines::{MachineState, MachineStatus};
pub use volumes::VolumeStatus;

/// What [`Status::schema_version`] is.
pub const SCHEMA_VERSION: u32 = 1;

/// How a cluster does.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Status {
    /// [`SCHEMA_VERSION`], for those who read it as JSON.
    pub schema_version: u32,
    /// Whose.
    pub cluster: ClusterId,
    /// What people call it.
    pub name: ClusterName,
    /// When the nodes were looked at.
    pub observed_at: Timestamp,
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// All nodes of the file, by their numbers, but those that are revoked.
    pub nodes: Vec<NodeStatus>,
    /// All volumes of the file.
    pub volumes: Vec<VolumeStatus>,
    /// All machines of the file, by their names.
    pub machines: Vec<MachineStatus>,
    /// Who opens the disks, in a sentence.
    pub unlock: String,
}

/// Something that is wrong.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Finding {
    /// How bad it is.
    pub severity: Severity,
    /// Where, if it is one node's.
    pub node: Option<NodeName>,
    /// What, in one line without a full stop.
    pub what: String,
    /// What to do about it: an action, or a command as one could paste it.
    pub next: String,
}

/// How bad something is; the worst first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Severity {
    /// Something is broken, or doesn't work.
    Bad,
    /// Nobody can tell.
    Unknown,
    /// It works, but not as it should.
    Warn,
}

/// A node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NodeStatus {
    /// Which.
    pub name: NodeName,
    /// Whether it answered.
    pub answer: Answer,
    /// What there is between it and each of its switches, by their numbers.
    pub links: Vec<LinkStatus>,
    /// Its data disks, by their names.
    pub disks: Vec<DiskStatus>,
}

/// What came of asking a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// It answered.
    Seen {
        /// Its Debian.
        release: String,
        /// Its clock, beside ours.
        clock: Clock,
    },
    /// It didn't, or something else did: why, for a person.
    Silent(String),
}

/// A node's NIC to one switch.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct LinkStatus {
    /// The switch.
    pub switch: SwitchName,
    /// The NIC that the file names.
    pub mac: Mac,
    /// What it is. `None`: nobody can tell, or it is missing.
    pub nic: Option<NicStatus>,
    /// The core over it, if the core goes there.
    pub core: Option<CoreStatus>,
    /// The worst that was found of it.
    pub worst: Option<Severity>,
}

/// A NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct NicStatus {
    /// The kernel's name.
    pub name: String,
    /// Whether it is switched on.
    pub up: bool,
    /// Whether the other end of its cable answers. `None`: it is switched off, and so can't tell.
    pub carrier: Option<bool>,
    /// Mbit/s, where the driver says.
    pub speed: Option<u32>,
    /// Bytes of the largest packet.
    pub mtu: u32,
    /// Broken frames.
    pub errors: Errors,
}

/// The core over one NIC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct CoreStatus {
    /// The device.
    pub device: String,
    /// The address that is asked for on it.
    pub address: Interface,
    /// Whether each other node of the switch is reached that way.
    pub paths: BTreeMap<NodeName, Path>,
}

/// The core's path from one node to another over one switch.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum Path {
    /// Each end that could be asked has the other as a neighbour, and knows what it knows.
    Works,
    /// One of them doesn't.
    Broken,
    /// Neither end could be asked.
    Unknown,
}

/// How the cluster does that was observed. The same of both gives the same status.
pub fn status(spec: &Spec, inventory: &Inventory) -> Status {
    let mut found = Found::default();
    let mut nodes: Vec<&Node> = spec.trusted_nodes().collect();
    nodes.sort_by_key(|node| node.number);
    let answers = host::look(spec, &nodes, inventory, &mut found);
    let links = network::look(spec, &answers, &mut found);
    let disks = disks::look(spec, &answers, &mut found);
    let volumes = volumes::look(spec, &answers, &mut found);
    let machines = machines::look(spec, &answers, &mut found);
    let nodes = answers.into_iter().zip(links).zip(disks).map(|((asked, links), disks)| NodeStatus {
        name: asked.node.name.clone(),
        answer: match asked.seen {
            Ok(seen) => Answer::Seen { release: seen.system.release.to_string(), clock: seen.clock.clone() },
            Err(why) => Answer::Silent(why),
        },
        links,
        disks,
    });
    let nodes = nodes.collect();
    // Stable: what was found first explains what comes after.
    found.list.sort_by_key(|finding| finding.severity);
    Status {
        schema_version: SCHEMA_VERSION,
        cluster: spec.cluster().id,
        name: spec.cluster().name.clone(),
        observed_at: inventory.observed_at,
        findings: found.list,
        nodes,
        volumes,
        machines,
        unlock: crate::disks::unlock::explain(spec).sentence,
    }
}

impl Status {
    /// Whether there is something that nobody can tell.
    pub fn is_blind(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Unknown)
            || self.nodes.iter().any(|node| matches!(node.answer, Answer::Silent(_)))
    }

    /// Adds what was found elsewhere than on nodes.
    pub fn add(&mut self, finding: Finding) {
        self.findings.push(finding);
        // Stable: what was found first explains what comes after.
        self.findings.sort_by_key(|finding| finding.severity);
    }

    /// Whether nothing was found.
    pub fn is_well(&self) -> bool {
        self.findings.is_empty()
    }
}

/// What was found so far.
#[derive(Default)]
struct Found {
    list: Vec<Finding>,
    links: BTreeMap<(NodeName, SwitchName), Severity>,
}

impl Found {
    fn bad(&mut self, node: Option<&NodeName>, what: impl AsRef<str>, next: impl Into<String>) {
        self.add(Severity::Bad, node, what.as_ref(), next.into());
    }

    fn warn(&mut self, node: Option<&NodeName>, what: impl AsRef<str>, next: impl Into<String>) {
        self.add(Severity::Warn, node, what.as_ref(), next.into());
    }

    fn unknown(&mut self, node: Option<&NodeName>, what: impl AsRef<str>, next: impl Into<String>) {
        self.add(Severity::Unknown, node, what.as_ref(), next.into());
    }

    fn add(&mut self, severity: Severity, node: Option<&NodeName>, what: &str, next: String) {
        // What others said may have several lines.
        let what = what.split_whitespace().collect::<Vec<_>>().join(" ");
        self.list.push(Finding { severity, node: node.cloned(), what, next });
    }

    /// A link that something was found of.
    fn mark(&mut self, severity: Severity, node: &NodeName, switch: &SwitchName) {
        let worst = self.links.entry((node.clone(), switch.clone())).or_insert(severity);
        *worst = severity.min(*worst);
    }

    fn worst(&self, node: &NodeName, switch: &SwitchName) -> Option<Severity> {
        self.links.get(&(node.clone(), switch.clone())).copied()
    }
}

/// `node1`, `node1 and node2`.
fn names<'n>(nodes: impl IntoIterator<Item = &'n NodeName>) -> String {
    crate::plan::list(&nodes.into_iter().map(AsRef::<str>::as_ref).collect::<Vec<_>>())
}
