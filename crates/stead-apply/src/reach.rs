//! How nodes are reached: over ssh, or simulated with faults.

use std::time::Duration;

use stead_node::protocol::{Answer, Request, Role};
use stead_plan::inventory::Timestamp;
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

    /// The spec's patience: multiplies time-outs.
    fn patience(&self) -> u8 {
        1
    }
}

/// A connection to a node's agent. When it is dropped, the agent finishes what it does and ends.
#[allow(async_fn_in_trait, reason = "as above")]
pub trait Link {
    /// Asks, and waits for the answer; what is said on the way goes to `said`.
    ///
    /// # Errors
    /// The connection is lost: whether what was asked is done, nobody knows.
    async fn ask(&mut self, request: Request, said: &mut dyn FnMut(Answer)) -> Result<Answer, Lost>;

    /// What the greeting told of the node's clock, if that was measured: it is answered at once, and looking takes
    /// seconds, so it tells the difference of two clocks much better.
    fn clock(&self) -> Option<ClockReading> {
        None
    }
}

/// What a node's clock showed at some moment in the past.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockReading {
    /// What it showed.
    pub node: Timestamp,
    /// How long ago that was, as far as is known: since the middle of the round trip.
    pub ago: Duration,
    /// How far that may be off, either way: half of the round trip.
    pub uncertainty: Duration,
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

impl Lost {
    /// A node that answered something else than what was asked: its refusal, or something that makes no sense.
    pub(crate) fn unexpected(answer: Answer) -> Self {
        let why = match answer {
            Answer::Refused(why) => why,
            answer => {
                let answer = format!("{answer:?}");
                let name: String = answer.chars().take_while(char::is_ascii_alphanumeric).collect();
                format!("the agent answered something else than what was asked: {name}")
            }
        };
        Self { why, hint: None }
    }
}
