//! What stead and its agents say to each other: [`Request`]s there, [`Answer`]s back, each a [frame](crate::frame).

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use serde::{Deserialize, Serialize};
use stead_plan::generation::{Generation, Stamp};
use stead_plan::init::Probed;
use stead_plan::inventory::{NodeInventory, Questions, Timestamp};
use stead_plan::network::probe::Calls;
use stead_plan::op::{Op, OutputKind};
use stead_plan::step::{Guard, Outcome, StepId};
use stead_spec::units::NodeName;

/// Of the messages. Both sides are one program, so it differs only when something went wrong.
pub const VERSION: u32 = 1;

/// How often each side says that it is there, in seconds.
pub const BEAT_EVERY: u64 = 5;

/// After how many seconds of silence the other side is taken for gone, times the patience: five missed beats, and a
/// sixth on its way.
pub const GONE_AFTER: u64 = 30;

/// How much an agent may do. Each may do what the ones before it may.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Role {
    /// Look.
    Observe,
    /// Start, migrate, back up: what needs no secrets and makes no step.
    Operate,
    /// Everything.
    Apply,
}

/// The first message there.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Hello {
    /// [`VERSION`].
    pub version: u32,
    /// What is going to be asked.
    pub role: Role,
    /// Who asks: `me@laptop`.
    pub who: String,
    /// Whose node this should be. `None` for whoever only looks at a node that may be nobody's.
    pub stamp: Option<Stamp>,
    /// What the node was called before it was renamed: one that still says so is the right one.
    pub was: Option<NodeName>,
    /// The spec's patience: multiplies time-outs.
    pub patience: u8,
    /// Whether what tools said is to be sent along.
    pub record: bool,
}

/// What stead asks of an agent. One at a time, but for [`Beat`](Self::Beat).
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Request {
    /// Must be the first.
    Hello(Hello),
    /// Still here. Not answered.
    Beat,
    /// Look. Answered by [`Answer::Inventory`].
    Look(Box<Questions>),
    /// Which NICs of which nodes hear each other. Answered by [`Answer::Heard`].
    Probe(Probe),
    /// Hold this node for one apply, until the connection ends and what runs has ended. Answered by
    /// [`Answer::Locked`].
    Lock,
    /// Keep this generation. Wants the lock. Answered by [`Answer::Kept`].
    Keep(Box<Kept>),
    /// The newest whole generation that is kept. Answered by [`Answer::Fetched`], after an [`Answer::Progress`] for each
    /// newer one that is torn.
    Fetch,
    /// Do a step. Wants the lock. Answered by [`Answer::Progress`] any number of times, then [`Answer::Performed`].
    /// A step with a [guard](Job::guard) that ended well is pending then, until it is confirmed or undone.
    Perform(Box<Job>),
    /// Do these steps at the same time, as many at once as the node has memory for: each says what it
    /// [takes](Job::beside). Wants the lock. Answered by [`Answer::ProgressOf`] any number of times, then
    /// [`Answer::PerformedTogether`].
    PerformTogether(Vec<Job>),
    /// Which of these addresses can be reached. Answered by [`Answer::Pinged`].
    Ping(BTreeSet<Ipv4Addr>),
    /// A guarded step stays. Comes over a new connection, which shows that there can be one, and wants no lock. Answered
    /// by [`Answer::Confirmed`]; refused if the step has not ended well, or is not pending any more.
    Confirm(StepId),
    /// A guarded step is to be undone now. Wants no lock. Answered by [`Answer::Undone`]; refused if the step is not
    /// pending any more.
    Undo(StepId),
}

/// What an agent answers.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Answer {
    /// To [`Request::Hello`]: the agent's own version, and its clock.
    Hello {
        /// [`VERSION`].
        version: u32,
        /// The node's time as it answers.
        now: Timestamp,
    },
    /// Still here.
    Beat,
    /// To [`Request::Look`]. The clock in it is not yet compared: `ahead` is the node's time itself.
    Inventory(Box<NodeInventory>),
    /// To [`Request::Probe`].
    Heard(Probed),
    /// To [`Request::Lock`].
    Locked,
    /// To [`Request::Lock`]: somebody else holds it.
    Held(Lease),
    /// To [`Request::Keep`].
    Kept,
    /// To [`Request::Fetch`]; `None` where nothing is kept.
    Fetched(Option<Box<Kept>>),
    /// On the way to an answer: what runs now, or what is amiss, for a person.
    Progress(String),
    /// On the way to an answer to [`Request::PerformTogether`]: what one of the steps does now.
    ProgressOf(StepId, String),
    /// To [`Request::Perform`].
    Performed(Performed),
    /// To [`Request::PerformTogether`]: what came of each step.
    PerformedTogether(BTreeMap<StepId, Performed>),
    /// To [`Request::Ping`]: whether each answered.
    Pinged(BTreeMap<Ipv4Addr, bool>),
    /// To [`Request::Confirm`].
    Confirmed,
    /// To [`Request::Undo`]: what of it could not be undone, for a person. Empty: the node is as it was.
    Undone(Vec<String>),
    /// What a tool said, where [`Hello::record`] asked for it. Comes before the answer to what it was run for.
    Recorded(Recording),
    /// It won't, or can't: a whole message for a person.
    Refused(String),
}

/// A step to be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Job {
    /// Its name, for the journal.
    pub step: StepId,
    /// Its title, for the journal.
    pub title: String,
    /// What to do; outputs of earlier steps are put in already.
    pub ops: Vec<Op>,
    /// The way back, if it has one. What it watches is not the node's business.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub guard: Option<Guard>,
    /// What memory it takes beside others, in MiB, if it may be done beside others.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub beside: Option<u32>,
}

/// What came of a step.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Performed {
    /// How it ended.
    pub outcome: Outcome,
    /// What it found out for later steps.
    pub outputs: Vec<(OutputKind, String)>,
}

/// A generation with its texts, as nodes keep it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Kept {
    /// Which.
    pub generation: Generation,
    /// The cluster file.
    pub file: String,
    /// The sealed secrets.
    pub secrets: String,
}

/// Who holds a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lease {
    /// `me@laptop`.
    pub who: String,
    /// Since when, by the node's clock.
    pub since: Timestamp,
}

/// How to find out what a NIC's cable leads to.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probe {
    /// Of this one search: words of another are not heard.
    pub token: String,
    /// What this node is called in it.
    pub node: String,
    /// What to call, and where to listen.
    pub calls: Calls,
    /// How long to call and listen, in milliseconds. NICs that are switched off need some seconds to find their cable's
    /// other end.
    pub listen: u32,
}

/// What a tool said.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Recording {
    /// The command as one could paste it.
    pub command: String,
    /// How it ended.
    pub status: Option<i32>,
    /// Its standard output.
    pub stdout: String,
    /// Its standard error.
    pub stderr: String,
}
