//! What a `stead lab` command says to the process that holds the lab: one request a connection, as a line of JSON.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use crate::qemu::Accelerator;
use crate::state::{Clock, LabConfig, NodeState, Plugged};
use crate::switch::{Condition, Counters};

/// What is asked of a lab.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Request {
    /// How is everything?
    Status,
    /// Switch nodes on or off.
    Power {
        /// Their names.
        nodes: Vec<String>,
        /// What to do.
        action: PowerAction,
    },
    /// Stop a node as it is.
    Freeze {
        /// Its name.
        node: String,
    },
    /// Let it go on.
    Thaw {
        /// Its name.
        node: String,
    },
    /// Pull a cable, or plug it in.
    Cable {
        /// The node.
        node: String,
        /// The switch on the other end.
        switch: u8,
        /// In or out.
        to: Plugged,
    },
    /// Make a switch sick, or well.
    Switch {
        /// Its number.
        switch: u8,
        /// What it does from now on.
        condition: Condition,
    },
    /// Write what a switch forwards to a file.
    Capture {
        /// The switch.
        switch: u8,
        /// The file, absolute; `None` ends it.
        file: Option<PathBuf>,
    },
    /// Do something to a disk.
    Disk {
        /// The node.
        node: String,
        /// The bay.
        bay: String,
        /// What to do.
        action: DiskAction,
    },
    /// Plug the tang box in, or out.
    Tang(Plugged),
    /// Plug the internet's side in, or out.
    Wan(Plugged),
    /// Let the WAN side reach the package mirror, or not.
    WanOpen(bool),
    /// Set a node's real-time clock for its next start.
    Clock {
        /// The node.
        node: String,
        /// `None`: the right time.
        time: Option<Clock>,
    },
    /// Take a picture.
    Save {
        /// Its name.
        name: String,
    },
    /// Go back to a picture.
    Load {
        /// Its name.
        name: String,
    },
    /// Throw a picture away.
    Delete {
        /// Its name.
        name: String,
    },
    /// Connect to a node's ssh; after the answer the connection is that one.
    Dial {
        /// The node.
        node: String,
    },
}

/// What to do with a node's power.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum PowerAction {
    /// Pull the plug.
    Off,
    /// Switch on.
    On,
    /// One after the other.
    Cycle,
}

/// What to do with a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum DiskAction {
    /// Pull it out.
    Pull,
    /// Put it back in; a failing one comes back well.
    Insert,
    /// Put another in: a blank one, or one from the shelf by its serial number. The old one goes to the shelf.
    Replace(Option<String>),
    /// Let every request to it fail.
    Fail,
}

/// A lab's answer.
#[derive(Clone, Debug, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Reply {
    /// It is done; the sentences say what.
    Done(Vec<String>),
    /// This is how everything is.
    Status(Box<Status>),
    /// It could not be done.
    Failed {
        /// What happened.
        message: String,
        /// What to do next.
        hint: Option<String>,
    },
}

/// A lab as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Status {
    /// The form of this text in `--json`.
    pub schema_version: u32,
    /// The lab's folder.
    pub folder: PathBuf,
    /// What was asked for.
    pub config: LabConfig,
    /// What runs the nodes.
    pub accelerator: Accelerator,
    /// The nodes.
    pub nodes: BTreeMap<String, NodeStatus>,
    /// The switches.
    pub switches: BTreeMap<u8, SwitchStatus>,
    /// The internet's side.
    pub wan: WanStatus,
    /// The tang box.
    pub tang: TangStatus,
    /// The pictures, by name.
    pub snapshots: Vec<String>,
}

/// A node as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct NodeStatus {
    /// Its plugs and bays.
    pub state: NodeState,
    /// Whether its ssh answers.
    pub ssh: bool,
    /// QEMU's process, while there is one.
    pub pid: Option<u32>,
}

/// A switch as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct SwitchStatus {
    /// What it does with frames.
    pub condition: Condition,
    /// What passed its ports.
    pub ports: BTreeMap<String, Counters>,
}

/// The internet's side as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct WanStatus {
    /// Whether it is there.
    pub plugged: Plugged,
    /// Whether it reaches the package mirror.
    pub open: bool,
}

/// The tang box as it is.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct TangStatus {
    /// Whether it is there.
    pub plugged: Plugged,
    /// Where nodes find it.
    pub url: String,
}
