//! The cluster, its admins, and its nodes.

mod check;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet};

use crate::disks::{DiskUse, VAULT};
use crate::file::File;
use crate::network::{Core, Origin};
use crate::units::{
    Address, AdminName, AgeRecipient, Bytes, ClusterId, ClusterName, DiskId, Domain, Interface, Mac, NetworkName,
    NodeName, Number, PackageName, PublicKey, Server, SshTarget, SwitchName, SysctlKey, TimeOfDay, TimeZone,
    VolumeName, WipeToken, number,
};

pub(crate) use check::{LEAST_NODES, check, names, no_number, node_number, number_in, renumbered};

/// The cluster itself.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Cluster {
    /// Stamped on everything that is its own.
    pub id: ClusterId,
    /// What people call it.
    pub name: ClusterName,
    /// The domain of nodes and machines.
    pub domain: Domain,
    /// Of the nodes, and of each [`TimeOfDay`].
    pub timezone: TimeZone,
    /// The recovery sheet, once it is made.
    pub recovery: Option<AgeRecipient>,
}

/// A person who may do everything.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Admin {
    /// The user's name on the nodes.
    pub name: AdminName,
    /// At least one of them logs in; all open the sealed secrets.
    pub keys: Vec<PublicKey>,
}

/// What all nodes have in common.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Host {
    /// From where ssh is accepted. Never empty.
    pub ssh_from: BTreeSet<Origin>,
    /// Where the time comes from besides the other nodes. Empty: Debian's own servers.
    pub ntp: Vec<Server>,
    /// When security updates are installed.
    pub updates: TimeOfDay,
    /// How many times longer than usual nodes wait for each other.
    pub patience: Patience,
    /// Swap of each node.
    pub swap: Option<Bytes>,
    /// Packages besides those that the layers need.
    pub packages: BTreeSet<PackageName>,
    /// Settings of the kernel besides those of the layers.
    pub sysctl: BTreeMap<SysctlKey, String>,
}

/// A PC of the cluster.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Node {
    /// Its hostname.
    pub name: NodeName,
    /// Its own part of the core's addresses, and its id in corosync.
    pub number: Number,
    /// Where ssh reaches it.
    pub ssh: SshTarget,
    /// Votes, keeps no copies, runs no machines.
    pub arbiter: bool,
    /// It is in others' hands: nothing rests on it, and nobody speaks to it.
    pub revoked: bool,
    /// Its NIC on each switch.
    pub nics: BTreeMap<SwitchName, Mac>,
    /// Its data disks and what each is for. Never empty.
    pub disks: BTreeMap<DiskId, DiskUse>,
    /// Disks that may be wiped, if exactly that is on them.
    pub wipe: BTreeMap<DiskId, WipeToken>,
    /// Its address in each network that gives it one, but the core. Never empty.
    pub addresses: BTreeMap<NetworkName, Interface>,
    /// Its own address in the core, which moves with no NIC.
    pub core: Address,
    /// Its address on each of the core's switches. Never empty.
    pub links: BTreeMap<SwitchName, Interface>,
    /// The name it had before.
    pub was: Option<NodeName>,
}

number! {
    /// How many times longer than on ordinary PCs nodes wait for each other.
    Patience(u8): "a patience", 1..=20, "beyond 20 times, nobody would notice a dead node"
}

/// When nodes update themselves, unless the file says when: the hour at which the fewest people wait for anything.
const UPDATES: &str = "04:00";

pub(crate) fn build_cluster(file: &File) -> Option<Cluster> {
    let table = file.cluster.value()?;
    Some(Cluster {
        id: *table.id.value()?,
        name: table.name.value()?.clone(),
        domain: table.domain.or("home.arpa".parse().ok()?)?,
        timezone: table.timezone.or("Etc/UTC".parse().ok()?)?,
        recovery: table.recovery.maybe()?,
    })
}

pub(crate) fn build_admins(file: &File) -> Option<BTreeMap<AdminName, Admin>> {
    let build = |name: &AdminName, table: &table::AdminTable| {
        let keys = table.keys.items().map(|key| key.value.clone()).collect();
        Some((name.clone(), Admin { name: name.clone(), keys }))
    };
    file.admin.entries().map(|(name, table)| build(&name.value, &table.value)).collect()
}

pub(crate) fn build_host(file: &File, nodes: &BTreeMap<NodeName, Node>) -> Option<Host> {
    let everywhere = || nodes.values().flat_map(|node| node.addresses.keys().cloned().map(Origin::Network)).collect();
    let Some(table) = file.host.maybe()? else {
        let updates = UPDATES.parse().ok()?;
        let (packages, sysctl) = (BTreeSet::new(), BTreeMap::new());
        let (ntp, patience) = (Vec::new(), Patience::new(1).ok()?);
        return Some(Host { ssh_from: everywhere(), ntp, updates, patience, swap: None, packages, sysctl });
    };
    let ssh_from = if table.ssh_from.is_missing() {
        everywhere()
    } else {
        table.ssh_from.items().map(|origin| origin.value.clone()).collect()
    };
    Some(Host {
        ssh_from,
        ntp: table.ntp.items().map(|server| server.value.clone()).collect(),
        updates: table.updates.or(UPDATES.parse().ok()?)?,
        patience: table.patience.or(Patience::new(1).ok()?)?,
        swap: table.swap.maybe()?,
        packages: table.packages.items().map(|package| package.value.clone()).collect(),
        sysctl: table.sysctl.entries().map(|(key, value)| (key.value.clone(), value.value.clone())).collect(),
    })
}

pub(crate) fn build_nodes(file: &File, core: &Core) -> Option<BTreeMap<NodeName, Node>> {
    file.node.entries().map(|(name, table)| build_node(file, core, &name.value, &table.value)).collect()
}

fn build_node(file: &File, core: &Core, name: &NodeName, table: &table::NodeTable) -> Option<(NodeName, Node)> {
    let number = node_number(name, table)?;
    let nics: BTreeMap<_, _> = table.nics.entries().map(|(switch, mac)| (switch.value.clone(), mac.value)).collect();
    let disk_of = |(volume, list): (&crate::read::At<VolumeName>, &crate::read::At<crate::read::List<DiskId>>)| {
        let of = if volume.value.as_ref() == VAULT { DiskUse::Vault } else { DiskUse::Volume(volume.value.clone()) };
        list.value.items.iter().map(move |disk| (disk.value.clone(), of.clone())).collect::<Vec<_>>()
    };
    let mut addresses = BTreeMap::new();
    for (network, entry) in file.network.entries() {
        if let Some((_, address)) = entry.value.addresses.find(name) {
            addresses.insert(network.value.clone(), entry.value.subnet.value()?.interface(address.value)?);
        }
    }
    let links = core.links.keys().filter(|switch| nics.contains_key(*switch));
    let links = links.map(|switch| Some((switch.clone(), core.link_address(switch, number)?)));
    let node = Node {
        name: name.clone(),
        number,
        ssh: table.ssh.value()?.clone(),
        arbiter: table.arbiter.or(false)?,
        revoked: table.revoked.or(false)?,
        disks: table.disks.entries().flat_map(disk_of).collect(),
        wipe: table.wipe.entries().map(|(disk, token)| (disk.value.clone(), token.value)).collect(),
        addresses,
        core: core.address(number)?,
        links: links.collect::<Option<_>>()?,
        was: table.was.maybe()?,
        nics,
    };
    Some((name.clone(), node))
}
