//! The plan: the difference between what is asked and what is observed, as steps in an order.

mod block;
mod diff;
mod draft;
mod lint;
mod order;
pub(crate) mod planner;
mod render;
pub(crate) mod settings;
mod standing;

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stead_spec::Spec;
use stead_spec::units::{ClusterId, ClusterName, NodeName, Sha256};

use crate::disks;
use crate::generation::{Ancestor, Generation};
use crate::host;
use crate::inventory::{Inventory, Questions, Timestamp};
use crate::machines;
use crate::network;
use crate::op::Op;
use crate::secret::SecretRef;
use crate::step::{Layer, Step};
use crate::volumes;
use planner::Planner;

pub(crate) use block::Block;
pub use lint::{Breach, lint};
pub use render::{Detail, Tone};
pub(crate) use render::{list, wrap_at};

/// What is asked: the spec, and what the texts are that it came from.
#[derive(Clone, Copy, Debug)]
pub struct Asked<'a> {
    /// The cluster file, parsed.
    pub spec: &'a Spec,
    /// Of the cluster file and the sealed secrets.
    pub digest: &'a Sha256,
    /// The generations that these texts descend from.
    pub ancestors: &'a [Ancestor],
    /// The sums of sealed secrets that nodes want, by their names.
    pub sums: &'a BTreeMap<String, Sha256>,
    /// Certificates of the CAs that are trusted, in PEM, by what they are for: `storage`.
    pub trusted: &'a BTreeMap<String, String>,
}

/// The names of the secrets that nodes want. An apply makes those that there aren't.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Secrets {
    /// Short words, for engines that take no more.
    pub words: Vec<&'static str>,
    /// Keys of more than a thousand random bits.
    pub keys: Vec<&'static str>,
    /// Recovery keys of disks.
    pub disk_keys: Vec<String>,
}

impl Secrets {
    /// What the spec wants.
    pub fn of(spec: &Spec) -> Self {
        Self { words: network::SECRETS.to_vec(), keys: machines::secrets(spec), disk_keys: disks::secrets(spec) }
    }

    /// All names.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.words.iter().chain(&self.keys).copied().chain(self.disk_keys.iter().map(String::as_str))
    }
}

/// The names of the nodes' certificates that the spec wants, of whichever CAs. An apply makes those that there aren't.
pub fn certificates(spec: &Spec) -> Vec<String> {
    [volumes::secrets(spec), machines::certificates(spec)].concat()
}

/// What somebody wishes for once, beside what the cluster file asks for ever.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Wishes {
    /// Nodes whose tang is to have new keys.
    pub rotate: BTreeSet<NodeName>,
}

/// What a node must be asked, so that there can be a plan.
pub fn questions(spec: &Spec, node: &NodeName) -> Questions {
    let mut questions = Questions::default();
    if let Some(node) = spec.nodes().get(node) {
        host::questions(spec, node, &mut questions);
        network::questions(spec, node, &mut questions);
        disks::questions(spec, node, &mut questions);
        volumes::questions(spec, node, &mut questions);
        machines::questions(spec, node, &mut questions);
    }
    questions
}

/// The steps from what is observed to what is asked. The same of both gives the same plan.
pub fn plan(asked: &Asked<'_>, inventory: &Inventory) -> Plan {
    plan_with(asked, &Wishes::default(), inventory)
}

/// As [`plan`], with what is wished for once.
pub fn plan_with(asked: &Asked<'_>, wishes: &Wishes, inventory: &Inventory) -> Plan {
    let mut planner = Planner::new(asked, wishes, inventory);
    if planner.plan.refusals.is_empty() {
        host::plan(&mut planner);
        network::plan(&mut planner);
        disks::plan(&mut planner);
        volumes::plan(&mut planner);
        machines::plan(&mut planner);
    }
    planner.finish()
}

/// What to do, whole: `apply` chooses nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    /// [`SCHEMA_VERSION`], for those who read it as JSON.
    pub schema_version: u32,
    /// Whose.
    pub cluster: ClusterId,
    /// What people call it.
    pub name: ClusterName,
    /// When the nodes were looked at.
    pub observed_at: Timestamp,
    /// The cluster file, sealed secrets and generation to be kept, and where. Comes before all steps.
    pub keep: Option<Keep>,
    /// In an order in which they can be done one by one.
    pub steps: Vec<Step>,
    /// What is marked as stead's, but nobody asks for. Never touched.
    pub leftovers: Vec<Leftover>,
    /// What can't be done, and the way to do it. A plan that has any is not applied.
    pub refusals: Vec<Refusal>,
    /// What to know or think about.
    pub notes: Vec<Note>,
    /// The nodes that did not answer or hid something, so that the plan is not about them.
    pub unknown: Vec<Unknown>,
}

/// What [`Plan::schema_version`] is.
pub const SCHEMA_VERSION: u32 = 1;

/// A generation that is to be kept on nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Keep {
    /// Its number.
    pub number: u64,
    /// Its digest.
    pub digest: Sha256,
    /// The nodes that don't have it yet.
    pub on: Vec<NodeName>,
}

/// Something of stead's that the cluster file doesn't ask for.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Leftover {
    /// Where.
    pub node: NodeName,
    /// Of which layer.
    pub layer: Layer,
    /// What.
    pub what: String,
    /// What would remove it, as one could paste it on that node.
    pub remove: String,
}

/// Something that can't be done.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Refusal {
    /// Where, if it is one node's.
    pub node: Option<NodeName>,
    /// Why not.
    pub why: String,
    /// The way to do it.
    pub way: String,
    /// For a cluster file that isn't derived from what was applied last: that.
    pub overtaken_by: Option<Generation>,
}

/// Something to know.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Note {
    /// Where, if it is one node's.
    pub node: Option<NodeName>,
    /// What.
    pub what: String,
}

/// What can't be told.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Unknown {
    /// Which node.
    pub node: NodeName,
    /// Why.
    pub why: String,
}

impl Plan {
    /// What of it is this layer's, and what keeps the cluster file, which comes before every layer.
    #[must_use]
    pub fn only(mut self, layer: Layer) -> Self {
        self.steps.retain(|step| step.id.layer == layer);
        for step in &mut self.steps {
            step.after.retain(|before| before.layer == layer);
        }
        self.leftovers.retain(|leftover| leftover.layer == layer);
        self
    }

    /// The sealed secrets that its steps write.
    pub fn secrets(&self) -> BTreeSet<&SecretRef> {
        let ops = self.steps.iter().flat_map(|step| &step.ops);
        let secrets = ops.flat_map(|op| match op {
            Op::Write(write) => write.secrets.as_slice(),
            Op::Run(command) => command.stdin.as_ref().map_or(&[][..], |stdin| &stdin.secrets),
            _ => &[],
        });
        secrets.collect()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.keep.is_none() && self.steps.is_empty() && self.refusals.is_empty()
    }
}
