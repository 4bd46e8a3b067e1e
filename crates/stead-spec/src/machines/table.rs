use toml::de::DeValue;

use crate::read::{At, FromToml, List, Reader, Shape, Value, table, words};
use crate::units::{
    Address, Bytes, DiskName, ImageName, ImageUrl, Mac, MachineName, Mtu, NetworkName, NodeName, PackageName, Period,
    Sha256, Suite, VolumeName, VolumePath,
};

use super::{Cpus, Priority};

table! {
    /// What a machine's first disk starts as, or a CD: built from Debian's packages, fetched, or a file on a volume.
    /// One of `build`, `url` and `path`.
    pub(crate) struct ImageTable {
        /// The Debian release that stead builds it from.
        may build: Suite,
        /// More packages in it, beside a minimal Debian with cloud-init and the guest agent.
        may packages: List<PackageName>,
        /// Where it is fetched from, once.
        may url: ImageUrl,
        /// Where it lies: `VOLUME:PATH`.
        may path: VolumePath,
        /// The volume that it is kept on, once it is built or fetched. Default: each on which a machine starts from it.
        may volume: VolumeName,
        /// What its bytes hash to. Has to be there with `url`.
        may sha256: Sha256,
        /// The name it had before, when it is given another one.
        may was: ImageName,
    }
}

words! {
    /// What starts a machine's system.
    pub enum Firmware: "a firmware" {
        /// The firmware of old: everything boots with it.
        Bios = "bios",
        /// UEFI.
        Uefi = "uefi",
    }
}

words! {
    /// How a machine's disk lies on its volume.
    pub enum Format: "a disk format" {
        /// A file that grows as it is filled; snapshots and incremental backups.
        Qcow2 = "qcow2",
        /// On a local volume a logical volume of its own, else a file of full size: the fastest.
        Raw = "raw",
    }
}

words! {
    /// Whether a machine is kept on or off.
    pub enum Power: "a power state" {
        /// `apply` starts it when it is off.
        On = "on",
        /// `apply` shuts it down when it is on.
        Off = "off",
    }
}

table! {
    /// A disk of a machine.
    pub(crate) struct MachineDiskTable {
        /// How large it is.
        need size: Bytes,
        /// The volume it lies on.
        need volume: VolumeName,
        /// What tells it from the machine's other disks, wherever in the list it stands. The first is `root` if it has
        /// no name; each further one needs one.
        may name: DiskName,
        /// How it lies there. Default: `"qcow2"`.
        may format: Format,
        /// The name it had before, when it is given another one.
        may was: DiskName,
    }
}

table! {
    /// A machine's card on one network, or on several with their tags.
    pub(crate) struct CardTable {
        /// The network it is on. This or `trunk`.
        may network: NetworkName,
        /// The networks it is on, each with its VLAN tag; at most one of them has none.
        may trunk: List<NetworkName>,
        /// Its MAC address. Default: one that is made up with the machine, and stays.
        may mac: Mac,
        /// The address that the machine is given there. Default: it asks by DHCP.
        may address: Address,
        /// The largest packet, in bytes. Default: the network's.
        may mtu: Mtu,
    }
}

/// An element of a machine's `networks`: a network's name, or more.
#[derive(Clone, Debug)]
pub(crate) enum Card {
    Of(NetworkName),
    More(CardTable),
}

impl FromToml for Card {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::Table(_) => CardTable::from_toml(value, reader).map(Self::More),
            _ => NetworkName::from_toml(value, reader).map(Self::Of),
        }
    }

    fn shape() -> Shape {
        Shape::Either(vec![NetworkName::shape(), CardTable::shape()])
    }
}

impl At<Card> {
    /// The networks that it is on, with their places.
    pub(crate) fn networks(&self) -> Vec<At<NetworkName>> {
        match &self.value {
            Card::Of(name) => vec![At { value: name.clone(), span: self.span.clone() }],
            Card::More(table) => table.network.get().into_iter().chain(table.trunk.items()).cloned().collect(),
        }
    }

    /// Its keys, if it has any.
    pub(crate) fn table(&self) -> Option<&CardTable> {
        match &self.value {
            Card::Of(_) => None,
            Card::More(table) => Some(table),
        }
    }
}

table! {
    /// What cloud-init is told on a machine's first boot. The hostname, and the admins with their keys, it is told anyway.
    pub(crate) struct CloudInitTable {
        /// cloud-init's own words, merged after stead's: text that begins with `#cloud-config`, or a script.
        may user_data: String,
        /// Packages to install on the first boot.
        may packages: List<PackageName>,
    }
}

table! {
    /// A virtual machine. The name is its hostname, and its name in libvirt.
    pub(crate) struct MachineTable {
        /// What its first disk starts as. Default: empty.
        may image: ImageName,
        /// A CD in its drive, to install from by hand.
        may cdrom: ImageName,
        /// How many virtual CPUs. Default: 1.
        may cpus: Cpus,
        /// How much memory.
        need memory: Bytes,
        /// Its disks; it boots from the first.
        need disks: List<MachineDiskTable>,
        /// Its cards: a network's name each, or a table that says more.
        may networks: List<Card>,
        /// Default: `"bios"`.
        may firmware: Firmware,
        /// What cloud-init is told on the first boot. Default: the hostname, and the admins with their keys.
        may cloud_init: CloudInitTable,
        /// Whether the guest agent runs in it: backups then catch its file systems at rest. Default: `true` for images
        /// that stead builds, else `false`.
        may agent: bool,
        /// Whether it is started elsewhere when its node dies. Default: `true`, where its disks can follow.
        may ha: bool,
        /// The one node it runs on. It has to be there for a machine with a disk on a local volume.
        may node: NodeName,
        /// The nodes it runs on rather than on others, best first.
        may prefer: List<NodeName>,
        /// Machines that it doesn't share a node with. Needs saying on one side only.
        may apart_from: List<MachineName>,
        /// Machines that are started before it, if they are to run at all.
        may after: List<MachineName>,
        /// Who is started first, and who stays if not all can run: more is first, from 0 to 1000. Default: 100.
        may priority: Priority,
        /// Keeps it on or off. Default: as it is found.
        may power: Power,
        /// How long it may take to shut down before it is switched off. Default: `5m`.
        may stop_timeout: Period,
        /// The name it had before, when it is given another one.
        may was: MachineName,
    }
}
