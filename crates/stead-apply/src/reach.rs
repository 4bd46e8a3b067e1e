//! How nodes are reached: over ssh, or simulated with faults.

use stead_node::protocol::{Answer, Request, Role};
use stead_spec::units::NodeName;

/// Makes connections to nodes.
#[allow(async_fn_in_trait, reason = "stead drives all nodes from one thread")]
pub trait Reach {
    /// A connection.
    type Link: Link;

    /// Connects to a node and greets its agent.
    ///
    /// # Errors
    /// The node can't be reached, or its agent not be started: why, and what to do.
    async fn link(&self, node: &NodeName, role: Role) -> Result<Self::Link, Lost>;
}

/// A connection to a node's agent. When it is dropped, the agent finishes what it does and ends.
#[allow(async_fn_in_trait, reason = "as above")]
pub trait Link {
    /// Asks, and waits for the answer; what is said on the way goes to `said`.
    ///
    /// # Errors
    /// The connection is lost: whether what was asked is done, nobody knows.
    async fn ask(&mut self, request: Request, said: &mut dyn FnMut(Answer)) -> Result<Answer, Lost>;
}

/// A node that can't be reached, or not any more.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{why}")]
pub struct Lost {
    /// What happened, with the command as one could paste it where there is one.
    pub why: String,
    /// What to do next.
    pub hint: Option<String>,
}
