//! Drives a plan: its steps in parallel across nodes, as their order allows. On each node one at a time, but for those that
//! say they may be done beside others.
//!
//! A step that fails, waits or is lost stops only what comes after it; all else goes on, so that one apply does as much
//! as can be done, and the next one finishes the job.

mod guarded;
mod run;
#[cfg(test)]
mod tests;
mod verify;

use std::collections::BTreeMap;
use std::fmt;

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use stead_node::protocol::{Answer, Kept, Recording, Request};
use stead_plan::generation::{Ancestor, Generation};
use stead_plan::inventory::sha256;
use stead_plan::op::Op;
use stead_plan::op::OutputRef;
use stead_plan::plan::Plan;
use stead_plan::secret::SecretRef;
use stead_plan::step::{Outcome, Step, StepId};
use stead_spec::units::{NodeName, Sha256};
use tokio::sync::watch;

use crate::generation;
use crate::lock::{self, Lease, NotHeld, refused};
use crate::reach::{Link, Reach};
use crate::secrets::{ExposeSecret as _, Secret};
use run::Run;

pub use verify::{Remains, Verdict, verify};

/// What is to be applied.
#[derive(Debug)]
pub struct Order<'a> {
    /// The steps, and what is to be kept.
    pub plan: &'a Plan,
    /// Of the cluster file and the sealed secrets that the plan was made from.
    pub digest: &'a Sha256,
    /// The generations that these descend from.
    pub ancestors: &'a [Ancestor],
    /// The generation that [`Plan::keep`] names, with its texts. `None` where the plan keeps nothing.
    pub kept: Option<Kept>,
    /// The sealed secrets that the plan wants, opened, by their names.
    pub secrets: BTreeMap<String, Secret>,
    /// Once it holds `true` no further step is started; what runs is waited for.
    pub stop: watch::Receiver<bool>,
}

/// What happens meanwhile, for a terminal and for the journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// This many nodes are held.
    Held(usize),
    /// A node keeps the generation now, or why it doesn't.
    Kept(NodeName, Result<(), String>),
    /// A step begins.
    Started(StepId),
    /// What it does now, for a person.
    Progress(StepId, String),
    /// What a tool said.
    Recorded(StepId, Recording),
    /// A step ended, or will never begin.
    Ended(StepId, Ended),
}

/// What came of an apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Applied {
    /// The nodes that were to keep the generation: whether they do.
    pub kept: BTreeMap<NodeName, Result<(), String>>,
    /// Each step of the plan.
    pub steps: BTreeMap<StepId, Ended>,
}

/// How a step of an apply ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Ended {
    /// The node did it, and told how it ended.
    Outcome(Outcome),
    /// It was never begun.
    NotReached {
        /// Why not.
        because: Because,
    },
    /// It was begun, and then the connection was lost: whether it is done, nobody knows. The next apply looks.
    Lost(String),
}

/// Why a step was never begun.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Because {
    /// This step before it didn't end well.
    After(StepId),
    /// This was to be found out by a step before it, and wasn't.
    Output(OutputRef),
    /// Its node can't be reached, or not any more: why.
    Node(String),
    /// The generation is not kept, on its node or on a majority: why.
    NotKept(String),
    /// Somebody ended the apply.
    Stopped,
    /// The plan lets it wait for itself: a mistake of stead's.
    Circle,
}

/// Why nothing was applied at all.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotApplied {
    /// The nodes can't be held.
    #[error(transparent)]
    NotHeld(#[from] NotHeld),
    /// The plan has refusals.
    #[error(
        "this plan can't be applied: it asks for what can't be done; `stead plan` shows what, and the way to do it"
    )]
    Refused,
    /// Somebody applied another cluster file since the plan was made.
    #[error("{} has applied generation {} since this plan was made; fetch it with `stead adopt {node}`, or plan again", .newer.by, .newer.number)]
    Overtaken {
        /// A node that keeps it.
        node: NodeName,
        /// What was applied.
        newer: Box<Generation>,
    },
    /// The plan is to keep a generation, but another one was given, or none.
    #[error("the generation that the plan names is not the one that was given to be kept: a mistake of stead's")]
    OtherGeneration,
    /// A secret that a step writes was not given.
    #[error("the plan wants the secret `{0}`, which there is not: make a new plan")]
    NoSecret(String),
}

/// Holds the nodes of a cluster that has `nodes` of them, and drives a plan. After steps that may cut their nodes off,
/// these are reached anew.
///
/// # Errors
/// Nothing was done.
pub async fn apply<R: Reach>(
    reach: &R,
    links: BTreeMap<NodeName, R::Link>,
    nodes: usize,
    order: Order<'_>,
    on: &mut dyn FnMut(Event),
) -> Result<Applied, NotApplied> {
    perform(reach, lock::hold(links, nodes).await?, order, on).await
}

/// Drives a plan on nodes that are held already, so that one may have looked at them again before.
///
/// # Errors
/// Nothing was done.
pub async fn perform<R: Reach>(
    reach: &R,
    mut lease: Lease<R::Link>,
    order: Order<'_>,
    on: &mut dyn FnMut(Event),
) -> Result<Applied, NotApplied> {
    let Order { plan, digest, ancestors, kept, secrets, stop } = order;
    if !plan.refusals.is_empty() {
        return Err(NotApplied::Refused);
    }
    let named = plan.keep.as_ref().map(|keep| (keep.number, &keep.digest));
    if named != kept.as_ref().map(|kept| (kept.generation.number, &kept.generation.digest)) {
        return Err(NotApplied::OtherGeneration);
    }
    let fits = |wanted: &SecretRef| {
        secrets.get(&wanted.name).is_some_and(|secret| sha256(secret.expose_secret()) == wanted.sha256)
    };
    if let Some(missing) = plan.secrets().into_iter().find(|wanted| !fits(wanted)) {
        return Err(NotApplied::NoSecret(missing.name.clone()));
    }
    on(Event::Held(lease.links.len()));
    not_overtaken(&mut lease, named, digest, ancestors).await?;
    let stopped = *stop.borrow();
    let kept = match kept {
        Some(kept) if !stopped => keep(&mut lease, plan, &kept, on).await,
        // A plan that keeps nothing names no nodes here.
        _ => not_kept(plan, &Because::Stopped.to_string()),
    };
    // Those that were not to keep it have it already.
    let have = lease.links.keys().filter(|node| !matches!(kept.get(*node), Some(Err(_)))).count();
    // Without a key that somebody can find again, a disk is as good as lost from the moment of its formatting.
    let formats = |step: &Step| step.ops.iter().any(|op| matches!(op, Op::Vacant(proof) if !proof.uuid.is_nil()));
    let withheld = if plan.steps.iter().any(formats) {
        let copies = read_back(&mut lease, digest).await;
        let why = format!(
            "its recovery key was found again on {copies} of the nodes, and a disk is formatted once it is on two"
        );
        (copies < COPIES).then_some(Because::NotKept(why))
    } else {
        None
    };
    let mut run = Run::new(plan, secrets, lease.links);
    if let Some(because) = withheld {
        run.withhold(formats, &because);
    }
    for (node, why) in &lease.unheld {
        run.block(node, Because::Node(format!("it can't be held for this apply: {why}")));
    }
    for (node, kept) in &kept {
        if let Err(why) = kept {
            run.block(node, Because::NotKept(why.clone()));
        }
    }
    if have * 2 <= lease.nodes {
        let why = format!("only {have} of {} nodes keep it, and a step wants a majority", lease.nodes);
        run.block_all(&Because::NotKept(why));
    }
    let steps = run.all(reach, &stop, on).await;
    Ok(Applied { kept, steps })
}

/// Nobody has applied another file since the plan was made: what the nodes keep says so, now that they are held.
async fn not_overtaken<L: Link>(
    lease: &mut Lease<L>,
    named: Option<(u64, &Sha256)>,
    digest: &Sha256,
    ancestors: &[Ancestor],
) -> Result<(), NotApplied> {
    let asked = lease.links.iter_mut().map(|(node, link)| async move {
        // A node that breaks now is none that the plan is done on: its first step finds out.
        match link.ask(Request::Fetch, &mut |_| ()).await {
            Ok(Answer::Fetched(Some(kept))) => Some((node.clone(), kept.generation)),
            _ => None,
        }
    });
    let answers: Vec<_> = asked.collect::<FuturesUnordered<_>>().collect().await;
    let fetched: Vec<_> = answers.into_iter().flatten().collect();
    // A plan that keeps nothing may be made from a file that was edited since.
    let descends =
        |generation: &Generation| named.is_none() && ancestors.iter().any(|ancestor| ancestor.is(generation));
    let own = |generation: &Generation| generation.digest == *digest || descends(generation);
    let ours = named.map_or_else(
        || fetched.iter().map(|(_, kept)| kept).filter(|kept| own(kept)).map(|kept| kept.number).max().unwrap_or(0),
        |(number, _)| number,
    );
    let newer = fetched.into_iter().find(|(_, kept)| kept.number > ours || (kept.number == ours && !own(kept)));
    match newer {
        Some((node, newer)) => Err(NotApplied::Overtaken { node, newer: Box::new(newer) }),
        None => Ok(()),
    }
}

/// On how many nodes a recovery key must be before a disk is formatted with it.
const COPIES: usize = 2;

/// On how many nodes the cluster file and the sealed secrets are, whole, as they are read back now.
async fn read_back<L: Link>(lease: &mut Lease<L>, digest: &Sha256) -> usize {
    let asked = lease.links.values_mut().map(|link| async move {
        let Ok(Some(kept)) = generation::fetch(link).await else { return false };
        generation::is_whole(&kept, digest)
    });
    let found: Vec<bool> = asked.collect::<FuturesUnordered<_>>().collect().await;
    found.into_iter().filter(|whole| *whole).count()
}

/// Has the generation kept wherever the plan says, all at once.
async fn keep<L: Link>(
    lease: &mut Lease<L>,
    plan: &Plan,
    kept: &Kept,
    on: &mut dyn FnMut(Event),
) -> BTreeMap<NodeName, Result<(), String>> {
    let mut results = not_kept(plan, "it is not connected");
    let wanted = lease.links.iter_mut().filter(|(node, _)| results.contains_key(*node));
    let mut asked: FuturesUnordered<_> = wanted
        .map(|(node, link)| async move {
            match link.ask(Request::Keep(Box::new(kept.clone())), &mut |_| ()).await {
                Ok(Answer::Kept) => (node.clone(), Ok(())),
                Ok(answer) => (node.clone(), Err(refused(answer))),
                Err(lost) => (node.clone(), Err(lost.why)),
            }
        })
        .collect();
    while let Some((node, result)) = asked.next().await {
        on(Event::Kept(node.clone(), result.clone()));
        results.insert(node, result);
    }
    results
}

fn not_kept(plan: &Plan, why: &str) -> BTreeMap<NodeName, Result<(), String>> {
    plan.keep.iter().flat_map(|keep| &keep.on).map(|node| (node.clone(), Err(why.to_owned()))).collect()
}

impl Applied {
    /// Whether everything that the plan wanted was done, as far as the nodes say.
    pub fn is_whole(&self) -> bool {
        self.kept.values().all(Result::is_ok) && self.steps.values().all(Ended::is_well)
    }
}

impl Ended {
    /// Whether what comes after it may begin.
    pub fn is_well(&self) -> bool {
        matches!(self, Self::Outcome(Outcome::Done | Outcome::Unchanged))
    }
}

impl fmt::Display for Because {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::After(step) => write!(f, "{step} comes before it, and is not done"),
            Self::Output(output) => write!(f, "it wants {output}, which is not known"),
            Self::Node(why) => f.write_str(why),
            Self::NotKept(why) => write!(f, "the cluster file could not be kept: {why}"),
            Self::Stopped => f.write_str("the apply was ended before it"),
            Self::Circle => f.write_str("the plan lets it wait for itself: a mistake of stead's"),
        }
    }
}
