//! What is *observed*: of each node, when, and what could not be observed.

mod files;
mod known;
mod packages;
mod questions;
mod system;
mod units;

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_spec::units::NodeName;

use crate::disks::{Disk, HeaderState, Pool, Tang};
use crate::generation::{Generation, Stamp};
use crate::host::facts::{Swap, User};
use crate::machines::Hypervisor;
use crate::network::facts::{Nic, Ovs, Route, Routing};
use crate::step::StepId;
use crate::volumes::Storage;

pub use files::{File, FileState, Mode, sha256};
pub use known::Known;
pub use packages::{Package, PackageState, Update};
pub use questions::Questions;
pub use system::{Architecture, Clock, Release, System, Timestamp, Watchdog};
pub use units::{Activity, Enablement, Unit};

/// What was observed of a cluster, all nodes at once.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Inventory {
    /// When, by the clock of whoever asked. It is the only clock that planners know.
    pub observed_at: Timestamp,
    /// Each node that the cluster file names.
    pub nodes: BTreeMap<NodeName, Observation>,
}

/// What came of asking one node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Observation {
    /// It answered.
    Seen(Box<NodeInventory>),
    /// It did not: why, for a person.
    Silent(String),
}

/// What a node said of itself in one round trip.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeInventory {
    /// Which Debian, on what.
    pub system: System,
    /// Its clock, beside ours.
    pub clock: Clock,
    /// Whose node it is. `None`: nobody's yet.
    pub stamp: Known<Option<Stamp>>,
    /// The newest cluster file that it keeps. `None`: it keeps none.
    pub generation: Known<Option<Generation>>,
    /// Steps that were begun on it and have not ended well.
    pub unfinished: Known<BTreeSet<StepId>>,
    /// Its hostname, as it is set for the next boot.
    pub hostname: Known<String>,
    /// The time zone's name, `Europe/Paris`.
    pub timezone: Known<String>,
    /// All packages that dpkg knows of, by name.
    pub packages: Known<BTreeMap<String, Package>>,
    /// Packages that apt would update; only where [`Questions::updates`] asked.
    pub updates: Option<Known<BTreeMap<String, Update>>>,
    /// The units that were asked for.
    pub units: Known<BTreeMap<String, Unit>>,
    /// The files that were asked for, and those with stead's mark in the folders that were asked for.
    pub files: BTreeMap<Utf8PathBuf, Known<FileState>>,
    /// The accounts that were asked for, and those of the group `sudo`; absent ones are not in it.
    pub users: Known<BTreeMap<String, User>>,
    /// The kernel's settings that were asked for. `None`: this kernel has no such setting.
    pub sysctl: BTreeMap<String, Known<Option<String>>>,
    /// Swap that is in use.
    pub swaps: Known<Vec<Swap>>,
    /// Watchdogs, in the order of their devices.
    pub watchdogs: Known<Vec<Watchdog>>,
    /// NICs and other interfaces.
    pub nics: Known<Vec<Nic>>,
    /// IPv4 routes of the main table.
    pub routes: Known<Vec<Route>>,
    /// What Open vSwitch's database has. `None`: it isn't installed, or doesn't run.
    pub ovs: Known<Option<Ovs>>,
    /// What FRR says. `None`: it isn't installed, or doesn't run.
    pub routing: Known<Option<Routing>>,
    /// stead's own table of nftables, as `nft -s list table inet stead` prints it. `None`: there is none.
    pub firewall: Known<Option<String>>,
    /// The keys of its tang. `None`: there is no folder for them.
    pub tang: Known<Option<Tang>>,
    /// LVM's volume groups, by name. Empty where LVM isn't installed.
    pub pools: Known<BTreeMap<String, Pool>>,
    /// The backups of other nodes' headers that it keeps, by their files' names.
    pub headers: Known<BTreeMap<String, HeaderState>>,
    /// Steps that have begun to format a disk, after it was proved that they may, and have not ended well; with the disk's
    /// [identity](Disk::identity).
    pub vacated: Known<BTreeMap<StepId, String>>,
    /// What it tells of volumes.
    #[serde(default)]
    pub storage: Storage,
    /// What it tells of its hypervisor.
    #[serde(default)]
    pub hypervisor: Hypervisor,
    /// Disks, with everything the blank test needs where [`Questions::blank_test`] asked.
    pub disks: Known<Vec<Disk>>,
}

impl Inventory {
    /// The nodes that answered.
    pub fn seen(&self) -> impl Iterator<Item = (&NodeName, &NodeInventory)> {
        self.nodes.iter().filter_map(|(name, observation)| match observation {
            Observation::Seen(node) => Some((name, &**node)),
            Observation::Silent(_) => None,
        })
    }

    /// The nodes that did not, and why.
    pub fn silent(&self) -> impl Iterator<Item = (&NodeName, &str)> {
        self.nodes.iter().filter_map(|(name, observation)| match observation {
            Observation::Seen(_) => None,
            Observation::Silent(why) => Some((name, why.as_str())),
        })
    }
}
