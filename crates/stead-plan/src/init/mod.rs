//! What `init` makes of nodes that it has looked at: a commented cluster file to begin with.
//!
//! What a person should decide, the file says beside the line; what is missing in it stands in
//! [`remarks`](Draft::remarks), too. It never names a disk that isn't provably blank, but in comments.

mod disks;
mod heard;
mod names;
mod networks;
mod switches;
mod text;
mod write;

#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use stead_spec::units::{AdminName, ClusterId, NodeName, PublicKey, SshTarget};

use crate::inventory::{Known, NodeInventory};
use crate::network::facts::Nic;
use switches::is_hardware;

pub use heard::{Heard, Link, Probed};
pub use names::names;
pub use switches::{Cabling, Port, SwitchGroup, switches};
pub(crate) use text::{plain, size};

/// What was found, and what only the person who asks can know.
#[derive(Clone, Debug)]
pub struct Found {
    /// Who the cluster is going to be: a UUID that was made up for it.
    pub cluster: ClusterId,
    /// The user's name on the nodes.
    pub admin: AdminName,
    /// That person's public keys.
    pub keys: Vec<PublicKey>,
    /// The nodes, in the order in which they were named.
    pub nodes: Vec<FoundNode>,
}

/// A node that was looked at.
#[derive(Clone, Debug)]
pub struct FoundNode {
    /// What it is to be called: see [`names()`].
    pub name: NodeName,
    /// Where ssh reaches it, as it was given.
    pub ssh: SshTarget,
    /// What it said, with the disks' blank test.
    pub inventory: NodeInventory,
    /// What its NICs heard, where nodes are called by these names, or why that isn't known.
    pub probed: Known<Probed>,
}

/// A cluster file to begin with.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Draft {
    /// The text.
    pub text: String,
    /// What is missing in it or should be looked at, each one sentence for a person.
    pub remarks: Vec<String>,
}

/// Writes a cluster file that fits what was found.
///
/// It is a good cluster file if an odd number of nodes was found, three at least, with a switch that they share, a blank
/// disk and an address each, and if a key lets the admin in. What is missing of that, it says.
pub fn draft(found: &Found) -> Draft {
    let (nics, twins) = nics(found);
    let probed = found.nodes.iter().filter_map(|node| Some((node.name.clone(), node.probed.get()?.clone()))).collect();
    let cabling = switches(&nics, &probed);
    let networks = networks::propose(found, &cabling);
    let facts = found.nodes.iter().map(|node| &node.inventory);
    let facts: Vec<_> = facts.map(|node| disks::Facts { disks: &node.disks, swaps: &node.swaps }).collect();
    let disks = disks::propose(&facts);
    write::Writer { found, nics: &nics, twins: &twins, cabling: &cabling, networks: &networks, disks: &disks }.write()
}

/// The hardware NICs by which the file can name them; and those that can't be told apart, since others have the same
/// address or they have none.
fn nics(found: &Found) -> (BTreeMap<NodeName, Vec<Nic>>, Vec<Port>) {
    let of = |node: &FoundNode| node.inventory.nics.get().cloned().unwrap_or_default();
    let mut owners = BTreeMap::new();
    for nic in found.nodes.iter().flat_map(of).filter(is_hardware) {
        *owners.entry(nic.mac).or_insert(0) += 1;
    }
    let (mut good, mut twins) = (BTreeMap::new(), Vec::new());
    for node in &found.nodes {
        let all = of(node).into_iter().filter(is_hardware);
        let (own, twin): (Vec<Nic>, Vec<Nic>) =
            all.partition(|nic| nic.mac.is_some() && owners.get(&nic.mac) == Some(&1));
        twins.extend(twin.into_iter().map(|nic| Port { node: node.name.clone(), nic: nic.name }));
        good.insert(node.name.clone(), own);
    }
    (good, twins)
}
