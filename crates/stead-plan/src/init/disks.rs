use std::cmp::Reverse;
use std::collections::{BTreeMap, BTreeSet};

use stead_spec::Bytes;
use stead_spec::units::DiskId;

use super::text::{plain, size};
use crate::disks::Disk;
use crate::disks::blank::{Taken, blank};
use crate::host::facts::Swap;
use crate::inventory::Known;

/// Copies of each file, unless the file says otherwise.
const COPIES: usize = 3;
/// Volumes of each node's own: a disk each, or one that dies would take the others' files along.
const LOCAL: [&str; 6] = ["bmv0", "bmv1", "bmv2", "bmv3", "bmv4", "bmv5"];
/// How much larger the largest of some disks may be than the smallest, in percent, to be about equal: of disks that are
/// sold as 1 TB, some have 960 GB.
const ABOUT: u64 = 10;

/// A volume that disks make.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Volume {
    pub name: &'static str,
    pub kind: Kind,
    /// Whether its disks have to be cut in parts.
    pub chained: bool,
    /// What is to be thought about.
    pub note: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Kind {
    Replicated,
    Local,
}

/// What is made of one node's disks.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Own {
    /// By volume, in the order of volumes.
    pub given: Vec<(&'static str, Vec<Given>)>,
    /// Those that are not given, and why, one line each.
    pub aside: Vec<String>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Given {
    pub id: DiskId,
    /// What it is, in a few words.
    pub what: String,
    pub size: Bytes,
}

/// The volumes, and each node's part in them.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Proposal {
    pub volumes: Vec<Volume>,
    pub nodes: Vec<Own>,
}

/// What a node's disks are proposed from.
pub(super) struct Facts<'a> {
    pub disks: &'a Known<Vec<Disk>>,
    pub swaps: &'a Known<Vec<Swap>>,
}

/// The fastest kind first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
enum Class {
    Nvme,
    Ssd,
    Hdd,
}

const FAST: [Class; 2] = [Class::Nvme, Class::Ssd];

/// A disk that may be given.
#[derive(Clone, Debug)]
struct Candidate {
    class: Class,
    given: Given,
}

/// Proposes volumes: fast disks that every node has make `gv0`, turning ones the next, and what is left is each node's
/// own.
pub(super) fn propose(facts: &[Facts<'_>]) -> Proposal {
    let doubtful = doubtful(facts);
    let mut nodes: Vec<Own> = Vec::new();
    let mut free: Vec<Vec<Candidate>> = Vec::new();
    for (node, doubtful) in facts.iter().zip(&doubtful) {
        let (own, candidates) = sort_out(node, doubtful);
        nodes.push(own);
        free.push(candidates);
    }
    let mut volumes = Vec::new();
    let fast = FAST.into_iter().find(|class| equal(&free, *class) > 0);
    for class in fast.into_iter().chain([Class::Hdd]) {
        let number = equal(&free, class);
        if number > 0 {
            let name = if volumes.is_empty() { "gv0" } else { "gv1" };
            give(name, number, |disk| disk.class == class, &mut free, &mut nodes);
            volumes.push(replicated(name, number * facts.len(), None));
        }
    }
    if volumes.is_empty() && free.iter().any(|own| !own.is_empty()) {
        let same = [Class::Nvme, Class::Ssd, Class::Hdd].into_iter().find(|class| everywhere(&free, *class) > 0);
        give("gv0", 1, |disk| same.is_none_or(|class| disk.class == class), &mut free, &mut nodes);
        let note = match same {
            Some(_) => "its disks are of different sizes: the smallest one decides how much has room",
            None => "its disks are of different kinds: the slowest and the smallest one decide",
        };
        volumes.push(replicated("gv0", facts.len(), Some(note.to_owned())));
    }
    for name in LOCAL {
        if free.iter().any(|own| !own.is_empty()) {
            give(name, 1, |_| true, &mut free, &mut nodes);
            volumes.push(Volume { name, kind: Kind::Local, chained: false, note: None });
        }
    }
    for (own, node) in free.iter().zip(&mut nodes) {
        let aside = |disk: &Candidate| format!("{} ({}): blank, and not given", disk.given.id, disk.given.what);
        node.aside.extend(own.iter().map(aside));
    }
    Proposal { volumes, nodes }
}

fn replicated(name: &'static str, disks: usize, note: Option<String>) -> Volume {
    Volume { name, kind: Kind::Replicated, chained: !disks.is_multiple_of(COPIES), note }
}

/// How many disks of this class every node has.
fn everywhere(free: &[Vec<Candidate>], class: Class) -> usize {
    free.iter().map(|own| own.iter().filter(|disk| disk.class == class).count()).min().unwrap_or_default()
}

/// How many disks of this class every node has that are about equal: the largest of each, the second largest, ….
fn equal(free: &[Vec<Candidate>], class: Class) -> usize {
    let nth = |at: usize| free.iter().filter_map(move |own| own.iter().filter(|disk| disk.class == class).nth(at));
    let about = |at: &usize| {
        let sizes = || nth(*at).map(|disk| disk.given.size.get());
        let (least, most) = (sizes().min().unwrap_or_default(), sizes().max().unwrap_or_default());
        most - least <= least / 100 * ABOUT
    };
    (0..everywhere(free, class)).take_while(about).count()
}

/// Gives a volume so many of each node's first disks that fit.
fn give(
    volume: &'static str,
    most: usize,
    fits: impl Fn(&Candidate) -> bool,
    free: &mut [Vec<Candidate>],
    nodes: &mut [Own],
) {
    for (own, node) in free.iter_mut().zip(nodes) {
        let mut given = Vec::new();
        own.retain(|disk| {
            let take = given.len() < most && fits(disk);
            if take {
                given.push(disk.given.clone());
            }
            !take
        });
        if !given.is_empty() {
            node.given.push((volume, given));
        }
    }
}

/// A node's disks that may be given, the best first; and the others, with why they aren't.
fn sort_out(facts: &Facts<'_>, doubtful: &BTreeSet<String>) -> (Own, Vec<Candidate>) {
    let (mut own, mut fixed, mut plugged) = (Own::default(), Vec::new(), Vec::new());
    let disks = match facts.disks {
        Known::Is(disks) => disks,
        Known::Unknown(why) => {
            own.aside.push(plain(&format!("its disks could not be looked at: {why}")));
            return (own, Vec::new());
        }
    };
    for disk in disks {
        let id = best_id(disk);
        let shown = id.as_ref().map_or_else(|| disk.name.clone(), DiskId::to_string);
        let mut aside = |why: String| own.aside.push(plain(&format!("{shown} ({}): {why}", what(disk))));
        match blank(disk, facts.swaps) {
            Err(Taken::InUse(why)) => aside(why),
            Err(Taken::NotBlank(found)) => aside(format!(
                "not blank, there is {found} on it; if that may go, add it to `disks`, and `stead plan` tells what to \
                 write as `wipe`"
            )),
            Err(Taken::Unsure(why)) => aside(format!("nobody can tell whether it is blank ({why})")),
            Ok(()) => match id {
                None => aside("it has no name that lasts in /dev/disk/by-id".to_owned()),
                Some(id) if doubtful.contains(id.serial()) => {
                    aside("another disk has the same serial number, so they can't be told apart".to_owned());
                }
                Some(_) if disk.removable => aside("blank, but somebody may pull it out".to_owned()),
                Some(id) => {
                    let given = Given { id, what: plain(&what(disk)), size: disk.size };
                    let list = if is_plugged(disk) { &mut plugged } else { &mut fixed };
                    list.push(Candidate { class: class(disk), given });
                }
            },
        }
    }
    // What hangs on a cable that comes off is taken only where there is nothing better.
    if fixed.is_empty() {
        fixed = plugged;
    } else {
        let aside =
            |disk: Candidate| format!("{} ({}): blank, but a cable that comes off", disk.given.id, disk.given.what);
        own.aside.extend(plugged.into_iter().map(aside));
    }
    fixed.sort_by(|a, b| {
        (a.class, Reverse(a.given.size), &a.given.id).cmp(&(b.class, Reverse(b.given.size), &b.given.id))
    });
    (own, fixed)
}

/// For each node, the serial numbers by which more than one disk goes: on that node; or anywhere, but for numbers that
/// are an enclosure's or what somebody wrote.
fn doubtful(facts: &[Facts<'_>]) -> Vec<BTreeSet<String>> {
    let mut everywhere: BTreeMap<String, usize> = BTreeMap::new();
    let mut here: Vec<BTreeMap<String, usize>> = Vec::new();
    for node in facts {
        let mut own: BTreeMap<String, usize> = BTreeMap::new();
        for disk in node.disks.get().into_iter().flatten() {
            let serials: BTreeSet<String> = ids(disk).map(|id| id.serial().to_owned()).collect();
            let lasting = ids(disk).filter(has_own_number).map(|id| id.serial().to_owned());
            for serial in lasting.collect::<BTreeSet<_>>() {
                *everywhere.entry(serial).or_default() += 1;
            }
            for serial in serials {
                *own.entry(serial).or_default() += 1;
            }
        }
        here.push(own);
    }
    let many = |counted: &BTreeMap<String, usize>| -> BTreeSet<String> {
        counted.iter().filter(|(_, disks)| **disks > 1).map(|(serial, _)| serial.clone()).collect()
    };
    here.iter().map(|own| &many(own) | &many(&everywhere)).collect()
}

/// Whether the number in a disk's name is the disk's own, as the cluster file's check has it.
fn has_own_number(disk: &DiskId) -> bool {
    !["usb-", "virtio-", "scsi-0QEMU"].iter().any(|kind| disk.as_str().starts_with(kind))
}

fn ids(disk: &Disk) -> impl Iterator<Item = DiskId> {
    disk.ids.iter().filter_map(|id| id.parse().ok())
}

/// The name that says most to a person: with model and serial number rather than a bare number.
fn best_id(disk: &Disk) -> Option<DiskId> {
    const KINDS: [&str; 6] = ["ata-", "nvme-", "mmc-", "usb-", "virtio-", "scsi-"];
    const BARE: [&str; 5] = ["nvme-eui.", "nvme-nvme.", "nvme-uuid.", "scsi-3", "wwn-"];
    ids(disk).min_by_key(|id| {
        let bare = BARE.iter().any(|bare| id.as_str().starts_with(bare));
        let kind = KINDS.iter().position(|kind| id.as_str().starts_with(kind)).unwrap_or(KINDS.len());
        (bare, kind, id.as_str().len(), id.clone())
    })
}

fn class(disk: &Disk) -> Class {
    match disk.transport.as_deref() {
        Some("nvme") => Class::Nvme,
        _ if disk.rotational => Class::Hdd,
        _ => Class::Ssd,
    }
}

/// Whether it is on a cable or in a slot from which it comes off.
fn is_plugged(disk: &Disk) -> bool {
    matches!(disk.transport.as_deref(), Some("usb" | "mmc"))
        || disk.ids.iter().any(|id| id.starts_with("usb-") || id.starts_with("mmc-"))
}

fn what(disk: &Disk) -> String {
    let kind = match class(disk) {
        _ if disk.transport.as_deref() == Some("mmc") => "card or eMMC",
        Class::Nvme => "NVMe",
        Class::Ssd => "SSD",
        Class::Hdd => "turning",
    };
    let mut words = vec![size(disk.size), kind.to_owned()];
    words.extend(disk.model.clone().filter(|model| !model.trim().is_empty()));
    words.extend(disk.transport.clone().filter(|by| by == "usb").map(|_| "USB".to_owned()));
    words.join(", ")
}
