use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};

use futures_util::StreamExt;
use futures_util::stream::FuturesUnordered;
use stead_node::protocol::{Answer, Job, Performed, Request};
use stead_plan::op::{Argument, Command, Filled, Op, OutputKind, OutputRef};
use stead_plan::plan::Plan;
use stead_plan::step::{Outcome, Step, StepId};
use stead_spec::units::NodeName;
use tokio::sync::watch;

use super::{Because, Ended, Event, guarded};
use crate::lock::refused;
use crate::reach::{Link, Reach};
use crate::secrets::{ExposeSecret as _, Secret};

/// The steps of one apply, while they are done.
pub(super) struct Run<'a, L> {
    /// Those that have neither begun nor ended, in the plan's order.
    pending: Vec<&'a Step>,
    running: BTreeSet<&'a StepId>,
    ended: BTreeMap<StepId, Ended>,
    outputs: BTreeMap<OutputRef, String>,
    secrets: BTreeMap<String, Secret>,
    /// The nodes that do nothing now.
    free: BTreeMap<NodeName, L>,
    /// Steps that are never begun.
    withheld: BTreeMap<&'a StepId, Because>,
    /// The nodes on which nothing is begun any more.
    blocked: BTreeMap<NodeName, Because>,
}

/// Who is told. Steps that run at the same time share it.
pub(super) type On<'a> = RefCell<&'a mut dyn FnMut(Event)>;

/// Steps that ended, all of one node.
pub(super) struct Ending<'a, L> {
    pub(super) steps: Vec<EndedStep<'a>>,
    /// The connection to their node, or why nothing more is begun there.
    pub(super) link: Result<L, String>,
}

/// A step that ended.
pub(super) struct EndedStep<'a> {
    pub(super) step: &'a StepId,
    pub(super) ended: Ended,
    /// What it found out.
    pub(super) outputs: Vec<(OutputKind, String)>,
}

impl<'a> EndedStep<'a> {
    /// One that tells nothing.
    pub(super) fn new(step: &'a StepId, ended: Ended) -> Self {
        Self { step, ended, outputs: Vec::new() }
    }

    fn performed(step: &'a StepId, Performed { outcome, outputs }: Performed) -> Self {
        Self { step, ended: Ended::Outcome(outcome), outputs }
    }
}

impl<'a, L: Link> Run<'a, L> {
    /// Over these links; steps of other nodes are never begun.
    pub(super) fn new(plan: &'a Plan, secrets: BTreeMap<String, Secret>, links: BTreeMap<NodeName, L>) -> Self {
        let others = plan.steps.iter().map(|step| &step.id.node).filter(|node| !links.contains_key(*node));
        let unlinked = Because::Node("its node is not connected".to_owned());
        Self {
            pending: plan.steps.iter().collect(),
            running: BTreeSet::new(),
            ended: BTreeMap::new(),
            outputs: BTreeMap::new(),
            secrets,
            withheld: BTreeMap::new(),
            blocked: others.map(|node| (node.clone(), unlinked.clone())).collect(),
            free: links,
        }
    }

    /// Begins nothing on this node any more. The first reason counts.
    pub(super) fn block(&mut self, node: &NodeName, because: Because) {
        self.blocked.entry(node.clone()).or_insert(because);
    }

    /// Begins none of these.
    pub(super) fn withhold(&mut self, which: impl Fn(&Step) -> bool, because: &Because) {
        for step in self.pending.iter().filter(|step| which(step)) {
            self.withheld.insert(&step.id, because.clone());
        }
    }

    /// Begins nothing at all any more.
    pub(super) fn block_all(&mut self, because: &Because) {
        for step in &self.pending {
            self.blocked.entry(step.id.node.clone()).or_insert_with(|| because.clone());
        }
    }

    /// Does all that can be done.
    pub(super) async fn all<R: Reach<Link = L>>(
        mut self,
        reach: &R,
        stop: &watch::Receiver<bool>,
        on: &mut dyn FnMut(Event),
    ) -> BTreeMap<StepId, Ended> {
        let on = RefCell::new(on);
        let mut running = FuturesUnordered::new();
        loop {
            self.give_up(*stop.borrow(), &on);
            while let Some((steps, link)) = self.next() {
                let jobs: Vec<Job> = steps.iter().map(|step| self.job(step)).collect();
                for step in &steps {
                    tell(&on, Event::Started(step.id.clone()));
                }
                running.push(perform(reach, steps, link, jobs, &on));
            }
            match running.next().await {
                Some(ending) => self.take(ending, &on),
                None => break,
            }
        }
        for step in std::mem::take(&mut self.pending) {
            self.end(&step.id, Ended::NotReached { because: Because::Circle }, &on);
        }
        self.ended
    }

    /// Ends what can't begin any more, and what comes after that.
    fn give_up(&mut self, stopped: bool, on: &On<'_>) {
        let mut index = 0;
        while let Some(step) = self.pending.get(index).copied() {
            let because = if stopped { Some(Because::Stopped) } else { self.hindrance(step) };
            let Some(because) = because else {
                index += 1;
                continue;
            };
            self.pending.remove(index);
            self.end(&step.id, Ended::NotReached { because }, on);
            // Plans are in an order in which what comes after follows, but nobody has to rely on it.
            index = 0;
        }
    }

    /// Why a step will never begin.
    fn hindrance(&self, step: &Step) -> Option<Because> {
        if let Some(because) = self.withheld.get(&step.id) {
            return Some(because.clone());
        }
        if let Some(because) = self.blocked.get(&step.id.node) {
            return Some(because.clone());
        }
        let badly = |id: &&StepId| self.ended.get(*id).is_some_and(|ended| !ended.is_well());
        if let Some(before) = step.after.iter().find(badly) {
            return Some(Because::After(before.clone()));
        }
        let missing = outputs(step).find(|output| {
            // Until its step has ended, it may come.
            !self.outputs.contains_key(output) && !self.is_coming(&output.step)
        });
        missing.cloned().map(Because::Output)
    }

    fn is_coming(&self, id: &StepId) -> bool {
        self.running.contains(id) || self.pending.iter().any(|step| step.id == *id)
    }

    /// The next steps of a node that can begin: one, or all that are done beside each other.
    fn next(&mut self) -> Option<(Vec<&'a Step>, L)> {
        let ready = |step: &&Step| {
            self.free.contains_key(&step.id.node)
                && !step.after.iter().any(|id| self.is_coming(id))
                && outputs(step).all(|output| self.outputs.contains_key(output))
        };
        let first = self.pending.iter().copied().find(ready)?;
        let beside = |step: &&Step| step.id.node == first.id.node && step.beside.is_some() && ready(step);
        let steps = match first.beside {
            Some(_) => self.pending.iter().copied().filter(beside).collect(),
            None => vec![first],
        };
        let link = self.free.remove(&first.id.node)?;
        self.pending.retain(|step| !steps.iter().any(|begun| begun.id == step.id));
        self.running.extend(steps.iter().map(|step| &step.id));
        Some((steps, link))
    }

    /// A step as its node is told, with all that is known by now.
    fn job(&self, step: &Step) -> Job {
        let ops = step.ops.iter().map(|op| self.substituted(op)).collect();
        let guard = step.guard.clone().map(|mut guard| {
            guard.undo.iter_mut().for_each(|command| self.substitute(command));
            guard
        });
        Job { step: step.id.clone(), title: step.title.clone(), ops, guard, beside: step.beside }
    }

    fn substituted(&self, op: &Op) -> Op {
        let mut op = op.clone();
        match &mut op {
            Op::Run(command) => self.substitute(command),
            Op::Write(write) => {
                write.checked_by.iter_mut().for_each(|command| self.substitute(command));
                // From here on it is in clear: on the way to its node, and nowhere else.
                for wanted in std::mem::take(&mut write.secrets) {
                    if let Some(secret) = self.secrets.get(&wanted.name) {
                        write.text = wanted.put_into(&write.text, secret.expose_secret());
                    }
                }
            }
            Op::Place { content, .. } => self.word(content),
            Op::Link { .. } | Op::Folder { .. } | Op::MountPoint { .. } | Op::Vacant(_) | Op::Take { .. } => {}
        }
        op
    }

    fn substitute(&self, command: &mut Command) {
        for argument in &mut command.arguments {
            self.word(argument);
        }
        if let Some(stdin) = &mut command.stdin {
            self.fill(stdin);
            for wanted in std::mem::take(&mut stdin.secrets) {
                if let Some(secret) = self.secrets.get(&wanted.name) {
                    stdin.text = wanted.put_into(&stdin.text, secret.expose_secret());
                }
            }
        }
    }

    fn word(&self, argument: &mut Argument) {
        match argument {
            Argument::Text(_) => {}
            Argument::Output(output) => {
                if let Some(text) = self.outputs.get(output) {
                    *argument = Argument::Text(text.clone());
                }
            }
            Argument::Filled(filled) => {
                self.fill(filled);
                if filled.outputs.is_empty() {
                    *argument = Argument::Text(std::mem::take(&mut filled.text));
                }
            }
        }
    }

    /// Puts in what earlier steps found out.
    fn fill(&self, filled: &mut Filled) {
        for output in filled.outputs.clone() {
            if let Some(text) = self.outputs.get(&output) {
                filled.fill(&output, text);
            }
        }
    }

    fn take(&mut self, Ending { steps, link }: Ending<'a, L>, on: &On<'_>) {
        let Some(node) = steps.first().map(|ended| &ended.step.node) else { return };
        match link {
            Ok(link) => drop(self.free.insert(node.clone(), link)),
            Err(why) => self.block(node, Because::Node(why)),
        }
        for EndedStep { step, ended, outputs } in steps {
            self.running.remove(step);
            let of = |(kind, text)| (OutputRef { step: step.clone(), kind }, text);
            self.outputs.extend(outputs.into_iter().map(of));
            self.end(step, ended, on);
        }
    }

    fn end(&mut self, step: &StepId, ended: Ended, on: &On<'_>) {
        tell(on, Event::Ended(step.clone(), ended.clone()));
        self.ended.insert(step.clone(), ended);
    }
}

async fn perform<'a, R: Reach>(
    reach: &R,
    steps: Vec<&'a Step>,
    mut link: R::Link,
    jobs: Vec<Job>,
    on: &On<'_>,
) -> Ending<'a, R::Link> {
    let Some(first) = steps.first() else { return Ending { steps: Vec::new(), link: Ok(link) } };
    let request = match <[Job; 1]>::try_from(jobs) {
        Ok([job]) => {
            if let Some(guard) = &first.guard {
                // It is large, and few steps have one.
                return Box::pin(guarded::perform(reach, &first.id, guard, link, job, on)).await;
            }
            Request::Perform(Box::new(job))
        }
        Err(jobs) => Request::PerformTogether(jobs),
    };
    let answer = link.ask(request, &mut said(&first.id, on)).await;
    let ended = |step: &'a StepId| match &answer {
        Ok(Answer::Performed(one)) => EndedStep::performed(step, one.clone()),
        Ok(Answer::PerformedTogether(all)) if all.contains_key(step) => EndedStep::performed(step, all[step].clone()),
        Ok(other) => EndedStep::new(step, Ended::Outcome(Outcome::Failed(refused(other.clone())))),
        Err(lost) => EndedStep::new(step, Ended::Lost(lost.why.clone())),
    };
    let steps = steps.iter().map(|step| ended(&step.id)).collect();
    let link = answer.map(|_| link).map_err(|lost| format!("the connection was lost: {}", lost.why));
    Ending { steps, link }
}

/// What an agent says on the way to an answer, told of that step, unless it names another one.
pub(super) fn said<'s, 'o>(step: &'s StepId, on: &'s On<'o>) -> impl FnMut(Answer) + use<'s, 'o> {
    move |answer| match answer {
        Answer::Progress(text) => tell(on, Event::Progress(step.clone(), text)),
        Answer::ProgressOf(step, text) => tell(on, Event::Progress(step, text)),
        Answer::Recorded(recording) => tell(on, Event::Recorded(step.clone(), recording)),
        _ => {}
    }
}

pub(super) fn tell(on: &On<'_>, event: Event) {
    (*on.borrow_mut())(event);
}

/// What a step wants to know, for itself and for its way back.
fn outputs(step: &Step) -> impl Iterator<Item = &OutputRef> {
    let undo = step.guard.iter().flat_map(|guard| &guard.undo).flat_map(wanted);
    step.ops.iter().flat_map(of_op).chain(undo)
}

fn of_op(op: &Op) -> Vec<&OutputRef> {
    match op {
        Op::Run(command) => wanted(command),
        Op::Write(write) => write.checked_by.as_ref().map(wanted).unwrap_or_default(),
        Op::Place { content, .. } => of_word(content),
        Op::Link { .. } | Op::Folder { .. } | Op::MountPoint { .. } | Op::Vacant(_) | Op::Take { .. } => Vec::new(),
    }
}

fn wanted(command: &Command) -> Vec<&OutputRef> {
    let stdin = command.stdin.iter().flat_map(|stdin| &stdin.outputs);
    command.arguments.iter().flat_map(of_word).chain(stdin).collect()
}

fn of_word(argument: &Argument) -> Vec<&OutputRef> {
    match argument {
        Argument::Text(_) => Vec::new(),
        Argument::Output(output) => vec![output],
        Argument::Filled(filled) => filled.outputs.iter().collect(),
    }
}
