//! The lease: of two applies at once, one waits for its admin.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stead_node::protocol::{self, Answer, Request};
use stead_spec::units::NodeName;

use crate::reach::Link;

/// A majority of a cluster's nodes, held for one apply until this is dropped and what runs on them has ended.
#[derive(Debug)]
pub struct Lease<L> {
    /// The nodes that are held.
    pub links: BTreeMap<NodeName, L>,
    /// The nodes that answered before, but could not be held: why.
    pub unheld: BTreeMap<NodeName, String>,
    /// How many nodes the cluster has, silent ones too.
    pub nodes: usize,
}

/// Why nothing may be applied now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// Another apply is going on.
    #[error("{} has been applying since {} (held on {node}); wait, or end that one", .lease.who, .lease.since)]
    Taken {
        /// The node that said so.
        node: NodeName,
        /// Who, and since when.
        lease: protocol::Lease,
    },
    /// Too few nodes can be held to know that nobody else applies.
    #[error("only {held} of {nodes} nodes can be held, and an apply wants a majority{}; bring back the others, then apply again", reasons(.unheld))]
    TooFew {
        /// How many are held.
        held: usize,
        /// How many there are.
        nodes: usize,
        /// Why those that answered before can't be.
        unheld: BTreeMap<NodeName, String>,
    },
}

/// Holds all linked nodes of a cluster that has `nodes` nodes.
///
/// # Errors
/// Somebody else holds one of them, or those that can be held are no majority. Then none is held any more.
pub async fn hold<L: Link>(links: BTreeMap<NodeName, L>, nodes: usize) -> Result<Lease<L>, NotHeld> {
    let mut lease = Lease { links: BTreeMap::new(), unheld: BTreeMap::new(), nodes };
    // One by one and in one order, so that of two who come at once, one meets the other at the first node and goes
    // away: all at once, each might hold what the other wants.
    for (node, mut link) in links {
        match link.ask(Request::Lock, &mut |_| ()).await {
            Ok(Answer::Locked) => drop(lease.links.insert(node, link)),
            Ok(Answer::Held(lease)) => return Err(NotHeld::Taken { node, lease }),
            Ok(answer) => drop(lease.unheld.insert(node, refused(answer))),
            Err(lost) => drop(lease.unheld.insert(node, lost.why)),
        }
    }
    if lease.is_majority(lease.links.len()) {
        Ok(lease)
    } else {
        Err(NotHeld::TooFew { held: lease.links.len(), nodes, unheld: lease.unheld })
    }
}

impl<L> Lease<L> {
    /// Whether `count` nodes are more than half of the cluster.
    pub fn is_majority(&self, count: usize) -> bool {
        count * 2 > self.nodes
    }
}

/// What an answer says that isn't the one that was hoped for.
pub(crate) fn refused(answer: Answer) -> String {
    match answer {
        Answer::Refused(why) => why,
        other => format!("the agent answered something else than it was asked: {other:?}"),
    }
}

fn reasons(unheld: &BTreeMap<NodeName, String>) -> String {
    unheld.iter().fold(String::new(), |mut text, (node, why)| {
        let _ = write!(text, "; {node}: {why}");
        text
    })
}
