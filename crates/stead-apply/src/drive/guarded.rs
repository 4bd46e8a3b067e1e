//! A step that may cut its node off: done over the connection that is there, and confirmed over a new one once the node
//! is still there for everybody for whom it was before.

use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;
use std::time::Duration;

use futures_util::future::join_all;
use stead_node::protocol::{Answer, Job, Performed, Request, Role};
use stead_node::way_back;
use stead_plan::op::OutputKind;
use stead_plan::step::{Guard, Outcome, StepId, Watch};
use stead_spec::units::NodeName;
use tokio::time::{Instant, sleep, timeout, timeout_at};

use super::run::{EndedStep, Ending, On, said, tell};
use super::{Because, Ended, Event};
use crate::lock::refused;
use crate::reach::{Link, Lost, Reach};

/// How long to wait before something is tried again.
const PAUSE: Duration = Duration::from_secs(1);

/// How long somebody may take to say what it reaches, in seconds, times the patience: a ping gives up after three.
const LOOK: u64 = 15;

/// Of the time until the node undoes the step by itself, what is left for confirming or undoing it.
const MARGIN: u32 = 10;

/// The step, while it is done and until it is decided.
struct Guarded<'s, 'o, R: Reach> {
    reach: &'s R,
    step: &'s StepId,
    guard: &'s Guard,
    on: &'s On<'o>,
}

/// How it ended, and the connection to its node or why there is none.
type End<L> = (Ended, Result<L, String>);

pub(super) async fn perform<'a, R: Reach>(
    reach: &R,
    step: &'a StepId,
    guard: &Guard,
    mut link: R::Link,
    job: Job,
    on: &On<'_>,
) -> Ending<'a, R::Link> {
    let this = Guarded { reach, step, guard, on };
    let mut others = BTreeMap::new();
    let watches = match this.look_before(&mut link, &mut others).await {
        Ok(watches) => watches,
        Err(ended) => {
            let link = match &ended {
                Ended::NotReached { because } => Err(because.to_string()),
                _ => Ok(link),
            };
            return Ending { steps: vec![EndedStep::new(step, ended)], link };
        }
    };
    let began = Instant::now();
    let (performed, outputs) = match link.ask(Request::Perform(Box::new(job)), &mut said(step, on)).await {
        Ok(Answer::Performed(Performed { outcome: outcome @ (Outcome::Done | Outcome::Unchanged), outputs })) => {
            (Ok(outcome), outputs)
        }
        // The node has undone it, or not begun it.
        Ok(Answer::Performed(Performed { outcome, .. })) => {
            return Ending { steps: vec![EndedStep::new(step, Ended::Outcome(outcome))], link: Ok(link) };
        }
        Ok(answer) => {
            let ended = Ended::Outcome(Outcome::Failed(refused(answer)));
            return Ending { steps: vec![EndedStep::new(step, ended)], link: Ok(link) };
        }
        Err(lost) => (Err(lost), Vec::new()),
    };
    // Before there is a new one, so that the agent at its end lets the node go.
    drop(link);
    let (ended, link) = this.decide(performed, &watches, others, this.deadline(began)).await;
    let outputs: Vec<(OutputKind, String)> = if ended.is_well() { outputs } else { Vec::new() };
    Ending { steps: vec![EndedStep { step, ended, outputs }], link }
}

impl<R: Reach> Guarded<'_, '_, R> {
    /// In how long the node undoes the step by itself.
    fn within(&self) -> Duration {
        Duration::from_secs(u64::from(self.guard.within) * u64::from(self.reach.patience()))
    }

    /// Until when to look whether it is still there. The node's own time began later, as it was asked.
    fn deadline(&self, began: Instant) -> Instant {
        began + self.within() - self.within() / MARGIN
    }

    fn progress(&self, what: String) {
        tell(self.on, Event::Progress(self.step.clone(), what));
    }

    /// What is reached before the step, and so must be after it. Others that look are in `others` afterwards.
    async fn look_before(
        &self,
        own: &mut R::Link,
        others: &mut BTreeMap<NodeName, Option<R::Link>>,
    ) -> Result<Vec<&Watch>, Ended> {
        let from = self.guard.watches.iter().map(|watch| &watch.from);
        let names: BTreeSet<&NodeName> = from.filter(|from| **from != self.step.node).collect();
        // One that can't be reached sees nothing, and so has nothing to lose.
        let links = names.into_iter().map(async |node| (node.clone(), self.reach.link(node, Role::Observe).await.ok()));
        others.extend(join_all(links).await.into_iter().filter(|(_, link)| link.is_some()));
        let all: Vec<&Watch> = self.guard.watches.iter().collect();
        match self.seen(own, others, &all, |watch| watch.before).await {
            Ok(reached) => Ok(reached),
            Err(Blind::Lost(lost)) => {
                let because = Because::Node(format!("the connection was lost before it: {}", lost.why));
                Err(Ended::NotReached { because })
            }
            Err(Blind::Refused(node, why)) => {
                let why = format!("not begun, since {node} can't tell what it reaches: {why}");
                Err(Ended::Outcome(Outcome::Failed(why)))
            }
        }
    }

    /// Which of these watches see now what they look for.
    async fn seen<'w>(
        &self,
        own: &mut R::Link,
        others: &mut BTreeMap<NodeName, Option<R::Link>>,
        watches: &[&'w Watch],
        which: impl Fn(&Watch) -> Ipv4Addr,
    ) -> Result<Vec<&'w Watch>, Blind> {
        let addresses = |from: &NodeName| -> BTreeSet<Ipv4Addr> {
            watches.iter().filter(|watch| watch.from == *from).map(|watch| which(watch)).collect()
        };
        let within = Duration::from_secs(LOOK * u64::from(self.reach.patience()));
        let ping = async |link: &mut R::Link, addresses| {
            let asked = timeout(within, link.ask(Request::Ping(addresses), &mut |_| ())).await;
            asked.unwrap_or_else(|_| {
                Err(Lost { why: format!("it has not answered for {} s", within.as_secs()), hint: None })
            })
        };
        let mut seen: BTreeMap<NodeName, BTreeMap<Ipv4Addr, bool>> = BTreeMap::new();
        let mine = addresses(&self.step.node);
        let looks = others.iter_mut().map(async |(node, link)| {
            let wanted = addresses(node);
            if wanted.is_empty() {
                return (node, None);
            }
            if link.is_none() {
                *link = timeout(within, self.reach.link(node, Role::Observe)).await.ok().and_then(Result::ok);
            }
            let answer = match link {
                Some(open) => Some(ping(open, wanted).await),
                None => None,
            };
            if matches!(answer, Some(Err(_))) {
                *link = None;
            }
            (node, answer.and_then(Result::ok))
        });
        let own = async { if mine.is_empty() { Ok(None) } else { ping(own, mine).await.map(Some) } };
        let (own, answers) = tokio::join!(own, join_all(looks));
        let own = own.map_err(Blind::Lost)?;
        for (node, answer) in answers.into_iter().chain([(&self.step.node, own)]) {
            match answer {
                None => {}
                Some(Answer::Pinged(pinged)) => drop(seen.insert(node.clone(), pinged)),
                Some(answer) => return Err(Blind::Refused(node.clone(), refused(answer))),
            }
        }
        let reaches = |watch: &&&Watch| {
            seen.get(&watch.from).and_then(|pinged| pinged.get(&which(watch))).is_some_and(|reached| *reached)
        };
        Ok(watches.iter().filter(reaches).copied().collect())
    }

    /// Confirms the step over a new connection, or undoes it.
    async fn decide(
        &self,
        performed: Result<Outcome, Lost>,
        watches: &[&Watch],
        mut others: BTreeMap<NodeName, Option<R::Link>>,
        deadline: Instant,
    ) -> End<R::Link> {
        let node = &self.step.node;
        self.progress(format!("looking whether {node} is still there"));
        let mut link = match self.come_back(deadline).await {
            Ok(link) => link,
            Err(NotBack::Lost(lost)) => {
                return self.gone(&format!("{node} can't be reached over a new connection: {}", lost.why));
            }
            Err(NotBack::Held(link, why)) => {
                let why = format!("{node} can't be held again: {why}");
                let (ended, _) = self.undo(link, why.clone()).await;
                return (ended, Err(why));
            }
        };
        let mut left = watches.to_vec();
        loop {
            match self.seen(&mut link, &mut others, &left, |watch| watch.after).await {
                Ok(seen) => left.retain(|watch| !seen.contains(watch)),
                Err(Blind::Lost(lost)) => {
                    // What comes and goes isn't there yet.
                    drop(link);
                    sleep(PAUSE).await;
                    link = match self.come_back(deadline).await {
                        Ok(link) => link,
                        Err(_) => return self.gone(&format!("the new connection to {node} was lost: {}", lost.why)),
                    };
                    continue;
                }
                Err(Blind::Refused(from, why)) => {
                    return self.undo(link, format!("{from} can't tell what it reaches: {why}")).await;
                }
            }
            let Some(watch) = left.first() else { break };
            if Instant::now() + PAUSE >= deadline {
                let lost = left
                    .iter()
                    .map(|watch| format!("{} no longer reaches {} ({})", watch.from, watch.what, watch.after));
                return self.undo(link, lost.collect::<Vec<_>>().join("\n")).await;
            }
            self.progress(format!("looking whether {} reaches {}", watch.from, watch.what));
            sleep(PAUSE).await;
        }
        match link.ask(Request::Confirm(self.step.clone()), &mut said(self.step, self.on)).await {
            Ok(Answer::Confirmed) => (Ended::Outcome(performed.unwrap_or(Outcome::Done)), Ok(link)),
            Ok(answer) => {
                let why = match performed {
                    Ok(_) => format!("it could not be confirmed: {}", refused(answer)),
                    Err(lost) => format!("the connection was lost in the middle of it: {}", lost.why),
                };
                self.undo(link, why).await
            }
            // It may have been confirmed.
            Err(lost) => (Ended::Lost(lost.why.clone()), Err(format!("the connection was lost: {}", lost.why))),
        }
    }

    /// A new connection that holds the node, once the agent at the end of the old one lets it go.
    async fn come_back(&self, deadline: Instant) -> Result<R::Link, NotBack<R::Link>> {
        let mut why = NotBack::Lost(Lost { why: "nobody answers".to_owned(), hint: None });
        let mut open = None;
        while Instant::now() < deadline {
            let again = timeout_at(deadline, self.hold_again(open.take())).await;
            why = match again {
                Ok(Ok(link)) => return Ok(link),
                Ok(Err(why)) => why,
                Err(_) => break,
            };
            if Instant::now() + PAUSE >= deadline {
                return Err(why);
            }
            sleep(PAUSE).await;
            if let NotBack::Held(link, who) = why {
                open = Some(link);
                why = NotBack::Lost(Lost { why: who, hint: None });
            }
        }
        Err(why)
    }

    /// Holds the node over this connection, or a new one.
    async fn hold_again(&self, open: Option<R::Link>) -> Result<R::Link, NotBack<R::Link>> {
        let mut link = match open {
            Some(link) => link,
            None => self.reach.link(&self.step.node, Role::Apply).await.map_err(NotBack::Lost)?,
        };
        match link.ask(Request::Lock, &mut |_| ()).await {
            Ok(Answer::Locked) => Ok(link),
            Ok(Answer::Held(lease)) => Err(NotBack::Held(link, format!("{} holds it", lease.who))),
            Ok(answer) => Err(NotBack::Held(link, refused(answer))),
            Err(lost) => Err(NotBack::Lost(lost)),
        }
    }

    /// The node is away, and is left alone.
    fn gone(&self, why: &str) -> End<R::Link> {
        let undoes = format!("{} undoes it by itself within {} s", self.step.node, self.within().as_secs());
        (Ended::Outcome(Outcome::Failed(format!("{why}\n{undoes}"))), Err(why.to_owned()))
    }

    /// Has the node undo it at once, for that reason.
    async fn undo(&self, mut link: R::Link, why: String) -> End<R::Link> {
        let node = &self.step.node;
        let failed = |what: String| Ended::Outcome(Outcome::Failed(format!("{why}\n{what}")));
        self.progress(format!("undoing it on {node}"));
        match link.ask(Request::Undo(self.step.clone()), &mut said(self.step, self.on)).await {
            Ok(Answer::Undone(rest)) => (failed(way_back::told(&rest)), Ok(link)),
            // It was undone by itself, or never begun.
            Ok(answer) => (failed(refused(answer)), Ok(link)),
            Err(lost) => {
                let what = format!("{node} undoes it now, or by itself within {} s", self.within().as_secs());
                (failed(what), Err(format!("the connection was lost while it was undone: {}", lost.why)))
            }
        }
    }
}

/// Why nobody can tell what is reached.
enum Blind {
    /// The connection to the step's own node.
    Lost(Lost),
    /// This one won't say it: why.
    Refused(NodeName, String),
}

/// Why a node can't be had again.
enum NotBack<L> {
    /// It can't be reached.
    Lost(Lost),
    /// It can be reached, and is held by somebody, or not to be held: why.
    Held(L, String),
}
