//! What a lab is made of, and the state of every plug: the file `lab.json` in the lab's folder.

use std::collections::BTreeMap;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};
use stead_spec::Bytes;

use crate::disk::LayerId;
use crate::image::{Kind, Release};
use crate::qemu::Accelerator;
use crate::switch::Condition;

/// How many switches a lab has, and NICs a node: NIC *n* has its cable in switch *n*.
pub const SWITCHES: u8 = 3;

/// The bay of a node's OS disk; data disks are in `disk1`, `disk2`, …
pub const OS_BAY: &str = "os";

/// The size of an OS disk: that of the image, most of which is a hole.
pub const OS_SIZE: Bytes = Bytes::gib(10);

/// What a lab is asked to be.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabConfig {
    /// How many nodes, named `node1`, `node2`, …
    pub nodes: u8,
    /// The sizes of each node's data disks.
    pub disks: Vec<Bytes>,
    /// Each node's memory.
    pub memory: Bytes,
    /// Each node's virtual CPUs; `None`: as many as the accelerator is good for.
    pub cpus: Option<u8>,
    /// The Debian releases on the nodes, in turn: with two of them, `node3` has the first again. Never empty.
    pub releases: Vec<Release>,
    /// What is installed on them.
    pub image: Kind,
    /// Whether the WAN side reaches the package mirror.
    pub wan_open: bool,
}

impl Default for LabConfig {
    fn default() -> Self {
        Self {
            nodes: 3,
            disks: vec![Bytes::gib(8); 3],
            memory: Bytes::gib(3),
            cpus: None,
            releases: vec![Release::Trixie],
            image: Kind::Ready,
            wan_open: false,
        }
    }
}

/// The files that a lab uses and doesn't own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Parts {
    /// What nodes boot, for each of the lab's releases.
    pub systems: BTreeMap<Release, SystemFiles>,
    /// The unpacked Debian of the tang box.
    pub tang: PathBuf,
    /// What runs the nodes' instructions.
    pub accelerator: Accelerator,
}

impl LabConfig {
    /// The release on the node of this number, which counts from 1.
    pub fn release_of(&self, number: u8) -> Release {
        let turn = usize::from(number.saturating_sub(1)) % self.releases.len().max(1);
        self.releases.get(turn).copied().unwrap_or(Release::Trixie)
    }
}

/// What a node boots.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct SystemFiles {
    /// The image of its OS disk.
    pub rootfs: PathBuf,
    /// The kernel.
    pub kernel: PathBuf,
    /// Its initial file system.
    pub initrd: PathBuf,
}

/// A whole lab, between two commands.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LabState {
    /// The form of this file: [`STATE_VERSION`].
    pub version: u32,
    /// What was asked for.
    pub config: LabConfig,
    /// What it is made from.
    pub parts: Parts,
    /// The number of the next layer to be made; never goes back, also not by loading a picture.
    pub next_layer: u64,
    /// The number in the serial number of the next disk; never goes back either.
    pub next_serial: u64,
    /// The nodes by name.
    pub nodes: BTreeMap<String, NodeState>,
    /// The switches by number, from 1.
    pub switches: BTreeMap<u8, Condition>,
    /// Whether the internet's side is there at all.
    pub wan: Plugged,
    /// The outside tang box.
    pub tang: Plugged,
    /// Disks that were replaced, with all that is on them.
    pub shelf: Vec<DiskState>,
}

/// The form of `lab.json` that this version reads and writes.
pub const STATE_VERSION: u32 = 2;

/// Whether something is connected.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Plugged {
    /// It is.
    #[default]
    In,
    /// It is not.
    Out,
}

impl Plugged {
    /// Whether it is connected.
    pub fn is_in(self) -> bool {
        self == Self::In
    }
}

/// Whether a node has power, and does something with it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Power {
    /// Switched off.
    Off,
    /// Running.
    On,
    /// Has power and does nothing: no frame, no heartbeat; its clock goes on.
    Frozen,
}

/// A node's plugs and bays.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeState {
    /// 1 for `node1`.
    pub number: u8,
    /// Its power.
    pub power: Power,
    /// Its cables, by switch.
    pub cables: BTreeMap<u8, Plugged>,
    /// Its disks, by bay.
    pub bays: BTreeMap<String, Bay>,
    /// What its real-time clock says at the next start; `None`: the truth.
    pub clock: Option<Clock>,
    /// What it said at the last start.
    pub clock_at_start: Option<Clock>,
}

/// A place for a disk, and the disk that is in it or lies beside it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Bay {
    /// The disk.
    pub disk: DiskState,
    /// How it is.
    pub condition: BayCondition,
}

/// How a disk in a bay is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum BayCondition {
    /// In, and well.
    #[default]
    Well,
    /// Pulled out while the node runs, or before it starts.
    Pulled,
    /// In, and every request ends in an error.
    Failing,
}

/// A disk wherever it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct DiskState {
    /// The serial number, unique in the lab.
    pub serial: String,
    /// Its size.
    pub size: Bytes,
    /// Its layers, the newest first; the first is written to.
    pub layers: Vec<LayerId>,
    /// The release whose image lies below the layers.
    pub image: Option<Release>,
}

/// A date and time of a real-time clock, as `2015-01-01T00:00:00`, in UTC.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
pub struct Clock(String);

/// Why a text is no date and time.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{0}` is not a time: write 2015-01-01T00:00:00 (UTC), or `now` for the right time")]
pub struct ParseClockError(String);

impl TryFrom<String> for Clock {
    type Error = ParseClockError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        let pattern = b"dddd-dd-ddTdd:dd:dd";
        let fits = |(byte, wanted): (u8, &u8)| if *wanted == b'd' { byte.is_ascii_digit() } else { byte == *wanted };
        let shaped = text.len() == pattern.len() && text.bytes().zip(pattern).all(fits);
        let field = |range: std::ops::Range<usize>| text.get(range).and_then(|digits| digits.parse::<u32>().ok());
        let in_range = |range: std::ops::Range<usize>, allowed: std::ops::RangeInclusive<u32>| {
            field(range).is_some_and(|value| allowed.contains(&value))
        };
        // The days of each month are left to QEMU: it takes the 31st of February for the 3rd of March.
        let sound = shaped
            && in_range(0..4, 1970..=2105)
            && in_range(5..7, 1..=12)
            && in_range(8..10, 1..=31)
            && in_range(11..13, 0..=23)
            && in_range(14..16, 0..=59)
            && in_range(17..19, 0..=59);
        if sound { Ok(Self(text)) } else { Err(ParseClockError(text)) }
    }
}

impl From<Clock> for String {
    fn from(clock: Clock) -> Self {
        clock.0
    }
}

impl std::fmt::Display for Clock {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl LabState {
    /// A new lab: everything plugged in, everything off.
    pub fn new(config: LabConfig, parts: Parts) -> Self {
        let mut state = Self {
            version: STATE_VERSION,
            parts,
            next_layer: 1,
            next_serial: 1,
            nodes: BTreeMap::new(),
            switches: (1..=SWITCHES).map(|switch| (switch, Condition::On)).collect(),
            wan: Plugged::In,
            tang: Plugged::In,
            shelf: Vec::new(),
            config,
        };
        for number in 1..=state.config.nodes {
            let data = state.config.disks.clone();
            let release = Some(state.config.release_of(number));
            let mut bays = BTreeMap::from([(OS_BAY.to_owned(), Bay::with(state.new_disk(OS_SIZE, release)))]);
            bays.extend((1..).zip(data).map(|(i, size)| (format!("disk{i}"), Bay::with(state.new_disk(size, None)))));
            let cables = (1..=SWITCHES).map(|switch| (switch, Plugged::In)).collect();
            let node = NodeState { number, power: Power::Off, cables, bays, clock: None, clock_at_start: None };
            state.nodes.insert(format!("node{number}"), node);
        }
        state
    }

    /// A disk that has never been written to, with the number of its layer, which the caller makes.
    pub fn new_disk(&mut self, size: Bytes, image: Option<Release>) -> DiskState {
        let serial = format!("{}{:04}", if image.is_some() { "OS" } else { "DATA" }, self.next_serial);
        self.next_serial += 1;
        DiskState { serial, size, layers: vec![self.new_layer()], image }
    }

    /// A number for a layer that the caller makes.
    pub fn new_layer(&mut self) -> LayerId {
        let id = LayerId(self.next_layer);
        self.next_layer += 1;
        id
    }

    /// Every disk, in a bay or on the shelf.
    pub fn disks(&self) -> impl Iterator<Item = &DiskState> {
        self.nodes.values().flat_map(|node| node.bays.values().map(|bay| &bay.disk)).chain(&self.shelf)
    }

    /// Puts a new layer on every disk in a bay: what is below stays as it is from now on.
    ///
    /// Nobody writes to a disk on the shelf; it gets one when it is put in.
    pub fn cover_disks(&mut self) {
        let mut next = self.next_layer;
        for bay in self.nodes.values_mut().flat_map(|node| node.bays.values_mut()) {
            bay.disk.layers.insert(0, LayerId(next));
            next += 1;
        }
        self.next_layer = next;
    }
}

impl Bay {
    fn with(disk: DiskState) -> Self {
        Self { disk, condition: BayCondition::Well }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_is_a_whole_date_and_time() {
        for text in ["2015-01-01T00:00:00", "2038-01-19T03:14:08"] {
            assert_eq!(Clock::try_from(text.to_owned()).map(String::from), Ok(text.to_owned()));
        }
        for text in ["", "now", "2015-01-01", "2015-13-01T00:00:00", "2015-01-01T24:00:00", "2015-01-01T00:00:0é"] {
            assert!(Clock::try_from(text.to_owned()).is_err(), "{text}");
        }
    }

    #[test]
    fn serial_numbers_and_layers_are_unique() {
        let parts = Parts { systems: BTreeMap::new(), tang: PathBuf::new(), accelerator: Accelerator::Tcg };
        let state = LabState::new(LabConfig { nodes: 5, ..LabConfig::default() }, parts);
        let serials: std::collections::BTreeSet<_> = state.disks().map(|disk| &disk.serial).collect();
        let layers: std::collections::BTreeSet<_> = state.disks().flat_map(|disk| &disk.layers).collect();
        assert_eq!((serials.len(), layers.len()), (20, 20));
    }
}
