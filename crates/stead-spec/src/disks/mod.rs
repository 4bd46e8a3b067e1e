//! The nodes' data disks, and who must answer before they open.

mod check;
pub(crate) mod table;

use crate::check::Claim;
use crate::file::File;
use crate::read::{At, Field};
use crate::units::{Address, NodeName, TangHost, TangUrl, Thumbprint, VolumeName};
use table::{Group, UnlockTable};

pub(crate) use check::check;

/// The word in a node's `disks` for disks that are for no volume.
pub(crate) const VAULT: &str = "vault";

/// What a data disk is for.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiskUse {
    /// A part of a volume.
    Volume(VolumeName),
    /// For the node's own: its secrets, swap and measurements.
    Vault,
}

/// A policy for opening data disks, as the file says it: the same for all nodes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unlock {
    /// Each of these. Never empty.
    All(Vec<Self>),
    /// At least one of these. Never empty.
    Any(Vec<Self>),
    /// The tang of each other node.
    AllNodes,
    /// The tang of at least one other node.
    AnyNode,
    /// A tang outside.
    Tang(OutsideTang),
}

/// A tang that is no node's.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[non_exhaustive]
pub struct OutsideTang {
    /// Where it answers.
    pub url: TangUrl,
    /// Whose word is taken for its.
    pub thumbprint: Thumbprint,
}

/// Who can answer.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Unlocker {
    /// The tang of this node.
    Node(NodeName),
    /// A tang outside.
    Outside(OutsideTang),
}

/// What opens the disks of one node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Lock {
    /// Each of these.
    All(Vec<Self>),
    /// At least one of these.
    Any(Vec<Self>),
    /// This one.
    By(Unlocker),
}

impl Unlock {
    /// What it means for the disks of `node`, of all these nodes.
    pub fn for_node(&self, node: &NodeName, nodes: &[&NodeName]) -> Lock {
        let others = || {
            let others = nodes.iter().filter(|other| **other != node);
            others.map(|other| Lock::By(Unlocker::Node((*other).clone()))).collect()
        };
        let of = |policies: &[Self]| policies.iter().map(|policy| policy.for_node(node, nodes)).collect();
        match self {
            Self::All(policies) => Lock::All(of(policies)),
            Self::Any(policies) => Lock::Any(of(policies)),
            Self::AllNodes => Lock::All(others()),
            Self::AnyNode => Lock::Any(others()),
            Self::Tang(tang) => Lock::By(Unlocker::Outside(tang.clone())),
        }
    }
}

impl Unlock {
    /// Whether each part of it names somebody.
    pub(crate) fn names_somebody(&self) -> bool {
        match self {
            Self::All(policies) | Self::Any(policies) => {
                !policies.is_empty() && policies.iter().all(Self::names_somebody)
            }
            Self::AllNodes | Self::AnyNode | Self::Tang(_) => true,
        }
    }
}

impl Lock {
    /// Whether it opens when exactly those answer that `answers` says.
    pub fn opens(&self, answers: &impl Fn(&Unlocker) -> bool) -> bool {
        match self {
            Self::All(locks) => locks.iter().all(|lock| lock.opens(answers)),
            Self::Any(locks) => locks.iter().any(|lock| lock.opens(answers)),
            Self::By(unlocker) => answers(unlocker),
        }
    }
}

/// The addresses of the tangs outside.
pub(crate) fn tang_claims(file: &File) -> Vec<Claim<Address>> {
    let tangs = file.unlock.value().map(UnlockTable::tangs).unwrap_or_default();
    let claim = |tang: &At<TangUrl>| match tang.value.host() {
        TangHost::Address(address) => Some(Claim::new(Address::new(*address).ok()?, &tang.span, "a tang")),
        TangHost::Name(_) => None,
    };
    tangs.into_iter().filter_map(Field::get).filter_map(claim).collect()
}

/// The policy, if the file has one that can be read; any one of the other nodes, if it has none.
pub(crate) fn build(file: &File) -> Option<Unlock> {
    match &file.unlock {
        Field::Missing => Some(Unlock::AnyNode),
        Field::Broken => None,
        Field::Is(at) => policy(&at.value),
    }
}

fn policy(table: &UnlockTable) -> Option<Unlock> {
    let of = |list: &crate::read::List<UnlockTable>| -> Option<Vec<Unlock>> {
        if list.whole { list.items.iter().map(|item| policy(&item.value)).collect() } else { None }
    };
    match (table.all.value(), table.any.value(), table.tang.value()) {
        (Some(Group::Nodes), None, None) => Some(Unlock::AllNodes),
        (Some(Group::Of(list)), None, None) => of(list).map(Unlock::All),
        (None, Some(Group::Nodes), None) => Some(Unlock::AnyNode),
        (None, Some(Group::Of(list)), None) => of(list).map(Unlock::Any),
        (None, None, Some(url)) => {
            Some(Unlock::Tang(OutsideTang { url: url.clone(), thumbprint: table.thumbprint.value()?.clone() }))
        }
        _ => None,
    }
}
