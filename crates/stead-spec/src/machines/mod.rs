//! Machines, and the images that they start from.

mod check;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet};

use crate::check::Claim;
use crate::file::File;
use crate::network::OnNetwork;
use crate::read::At;
use crate::units::{
    Address, Bytes, DiskName, ImageName, ImageUrl, Mac, MachineName, Mtu, NetworkName, NodeName, PackageName, Period,
    Sha256, Suite, VolumeName, VolumePath, number,
};
use table::{ImageTable, MachineDiskTable, MachineTable};

pub(crate) use check::check;
pub use table::{Firmware, Format, Power};

number! {
    /// How many virtual CPUs.
    Cpus(u16): "a number of CPUs", 1..=256, "a machine has 1 to 256 CPUs"
}

number! {
    /// Who comes first: more does.
    Priority(u16): "a priority", 0..=1000, "priorities go from 0 to 1000"
}

/// What a machine's first disk starts as, or a CD.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Image {
    /// Its name.
    pub name: ImageName,
    /// Where it comes from.
    pub origin: ImageOrigin,
    /// Where it is kept, if the file says it.
    pub volume: Option<VolumeName>,
    /// The name it had before.
    pub was: Option<ImageName>,
}

/// Where an image comes from.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ImageOrigin {
    /// Built from Debian's packages.
    Build {
        /// The release.
        suite: Suite,
        /// Packages besides the usual ones.
        packages: BTreeSet<PackageName>,
    },
    /// Fetched once, and checked.
    Fetch {
        /// From where.
        url: ImageUrl,
        /// What its bytes hash to.
        sha256: Sha256,
    },
    /// A file on a volume.
    File {
        /// Which.
        path: VolumePath,
        /// What its bytes hash to, if it is to be checked.
        sha256: Option<Sha256>,
    },
}

/// A virtual machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Machine {
    /// Its hostname, and its name in libvirt.
    pub name: MachineName,
    /// What its first disk starts as.
    pub image: Option<ImageName>,
    /// The CD in its drive.
    pub cdrom: Option<ImageName>,
    /// Virtual CPUs.
    pub cpus: Cpus,
    /// Memory.
    pub memory: Bytes,
    /// Its disks, in the order in which it sees them. Never empty.
    pub disks: Vec<Disk>,
    /// Its cards, in the order in which it sees them.
    pub cards: Vec<Card>,
    /// What starts its system.
    pub firmware: Firmware,
    /// cloud-init's own words from the user.
    pub user_data: Option<String>,
    /// Packages that cloud-init installs.
    pub packages: BTreeSet<PackageName>,
    /// Whether the guest agent answers.
    pub agent: bool,
    /// Where it runs.
    pub placement: Placement,
    /// Machines that it doesn't share a node with, whichever side says so.
    pub apart_from: BTreeSet<MachineName>,
    /// Machines that are started before it.
    pub after: BTreeSet<MachineName>,
    /// Who comes first.
    pub priority: Priority,
    /// On or off, if the file says it.
    pub power: Option<Power>,
    /// How long a shutdown may take.
    pub stop_timeout: Period,
    /// The name it had before.
    pub was: Option<MachineName>,
}

/// Where a machine runs.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Placement {
    /// On this node, and when that is dead, nowhere.
    On(NodeName),
    /// On any node, rather on these; moves with its disks.
    Anywhere {
        /// Best first.
        prefer: Vec<NodeName>,
        /// Whether it is started elsewhere when its node dies.
        ha: bool,
    },
}

/// A disk of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Disk {
    /// Its own among the machine's.
    pub name: DiskName,
    /// How large.
    pub size: Bytes,
    /// Where it lies.
    pub volume: VolumeName,
    /// How it lies there.
    pub format: Format,
    /// The name it had before.
    pub was: Option<DiskName>,
}

/// A card of a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Card {
    /// What it is on.
    pub on: CardNetworks,
    /// Its MAC address, if the file says it.
    pub mac: Option<Mac>,
    /// Its address, if the file says it. In its network's subnet.
    pub address: Option<Address>,
    /// The largest packet. Fits each of its networks.
    pub mtu: Option<Mtu>,
}

/// What a card is on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum CardNetworks {
    /// One network, whose tag the machine doesn't see.
    One(NetworkName),
    /// Several, each with its tag. Never empty, and all on the same carrier.
    Trunk(Vec<NetworkName>),
}

/// The name of a first disk that has none.
const ROOT: &str = "root";

/// How long a shutdown may take, unless the file says: databases and Windows updates take minutes.
const STOP_TIMEOUT: &str = "5m";

pub(crate) fn build_images(file: &File) -> Option<BTreeMap<ImageName, Image>> {
    let build = |name: &ImageName, table: &ImageTable| {
        let sha256 = table.sha256.maybe()?;
        let origin = match (table.build.maybe()?, table.url.maybe()?, table.path.maybe()?) {
            (Some(suite), None, None) => {
                let packages = table.packages.items().map(|package| package.value.clone()).collect();
                ImageOrigin::Build { suite, packages }
            }
            (None, Some(url), None) => ImageOrigin::Fetch { url, sha256: sha256? },
            (None, None, Some(path)) => ImageOrigin::File { path, sha256 },
            _ => return None,
        };
        Some((
            name.clone(),
            Image { name: name.clone(), origin, volume: table.volume.maybe()?, was: table.was.maybe()? },
        ))
    };
    file.image.entries().map(|(name, table)| build(&name.value, &table.value)).collect()
}

pub(crate) fn build(file: &File) -> Option<BTreeMap<MachineName, Machine>> {
    file.machine.entries().map(|(name, table)| build_machine(file, &name.value, &table.value)).collect()
}

fn build_machine(file: &File, name: &MachineName, table: &MachineTable) -> Option<(MachineName, Machine)> {
    let image = table.image.maybe()?;
    let of_stead = image
        .as_ref()
        .is_some_and(|image| file.image.find(image).is_some_and(|(_, image)| image.value.build.value().is_some()));
    let disks = table.disks.items().enumerate().map(|(index, disk)| build_disk(index, &disk.value));
    let placement = match table.node.maybe()? {
        Some(node) => Placement::On(node),
        None => Placement::Anywhere {
            prefer: table.prefer.items().map(|node| node.value.clone()).collect(),
            ha: table.ha.or(true)?,
        },
    };
    let cloud_init = table.cloud_init.value();
    let user_data = cloud_init.map_or(Some(None), |table| table.user_data.maybe())?;
    let packages = cloud_init.into_iter().flat_map(|table| table.packages.items());
    let machine = Machine {
        name: name.clone(),
        image,
        cdrom: table.cdrom.maybe()?,
        cpus: table.cpus.or(Cpus::new(1).ok()?)?,
        memory: *table.memory.value()?,
        disks: disks.collect::<Option<_>>()?,
        cards: table.networks.items().map(build_card).collect::<Option<_>>()?,
        firmware: table.firmware.or(Firmware::Bios)?,
        user_data,
        packages: packages.map(|package| package.value.clone()).collect(),
        agent: table.agent.or(of_stead)?,
        placement,
        apart_from: apart(file, name, table),
        after: table.after.items().map(|machine| machine.value.clone()).collect(),
        priority: table.priority.or(Priority::new(100).ok()?)?,
        power: table.power.maybe()?,
        stop_timeout: table.stop_timeout.or(STOP_TIMEOUT.parse().ok()?)?,
        was: table.was.maybe()?,
    };
    Some((name.clone(), machine))
}

/// The machines that one doesn't share a node with.
pub(crate) fn apart(file: &File, name: &MachineName, table: &MachineTable) -> BTreeSet<MachineName> {
    let says = |table: &MachineTable| table.apart_from.items().any(|other| other.value == *name);
    let of_others = file.machine.entries().filter(|(_, other)| says(&other.value)).map(|(other, _)| &other.value);
    table.apart_from.items().map(|other| &other.value).chain(of_others).cloned().collect()
}

/// A disk's name: the one it says, else `root` for the first.
pub(crate) fn disk_name(index: usize, table: &MachineDiskTable) -> Option<DiskName> {
    let said = table.name.maybe()?;
    said.or_else(|| (index == 0).then(|| ROOT.parse().ok()).flatten())
}

fn build_disk(index: usize, table: &MachineDiskTable) -> Option<Disk> {
    Some(Disk {
        name: disk_name(index, table)?,
        size: *table.size.value()?,
        volume: table.volume.value()?.clone(),
        format: table.format.or(Format::Qcow2)?,
        was: table.was.maybe()?,
    })
}

fn build_card(card: &At<table::Card>) -> Option<Card> {
    let table = match &card.value {
        table::Card::Of(name) => {
            return Some(Card { on: CardNetworks::One(name.clone()), mac: None, address: None, mtu: None });
        }
        table::Card::More(table) => table,
    };
    let on = match table.network.maybe()? {
        Some(name) => CardNetworks::One(name),
        None => CardNetworks::Trunk(table.trunk.items().map(|name| name.value.clone()).collect()),
    };
    Some(Card { on, mac: table.mac.maybe()?, address: table.address.maybe()?, mtu: table.mtu.maybe()? })
}

/// The addresses that the file gives machines.
pub(crate) fn claims(file: &File) -> Vec<OnNetwork> {
    let of = |(name, table): (&At<MachineName>, &At<MachineTable>)| {
        let cards = table.value.networks.items().filter_map(|card| {
            let (card, who) = (card.table()?, format!("machine `{}`", name.value));
            let (network, address) = (card.network.value()?, card.address.get()?);
            Some(OnNetwork { network: network.clone(), claim: Claim::new(address.value, &address.span, who) })
        });
        cards.collect::<Vec<_>>()
    };
    file.machine.entries().flat_map(of).collect()
}

/// The MAC addresses that the file gives machines.
pub(crate) fn macs(file: &File) -> Vec<Claim<Mac>> {
    let of = |(name, table): (&At<MachineName>, &At<MachineTable>)| {
        let cards = table.value.networks.items().filter_map(|card| {
            let mac = card.table()?.mac.get()?;
            Some(Claim::new(mac.value, &mac.span, format!("a card of machine `{}`", name.value)))
        });
        cards.collect::<Vec<_>>()
    };
    file.machine.entries().flat_map(of).collect()
}
