//! An admin's connections to the simulated nodes, any of which may break at any moment.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use stead_apply::reach::{Link, Lost, Reach};
use stead_node::protocol::{Answer, Job, Kept, Lease, Performed, Request, Role};
use stead_plan::inventory::Timestamp;
use stead_plan::op::Op;
use stead_plan::step::{Outcome, StepId};
use stead_spec::units::NodeName;

use super::{Place, Shared, pause};
use crate::commands::{Cut, Failure};

/// One admin's way to the nodes.
#[derive(Clone)]
pub(crate) struct SimReach {
    pub(crate) world: Shared,
    pub(crate) who: String,
    /// What was shown to this admin: nothing else may be done.
    pub(crate) shown: Rc<RefCell<BTreeMap<StepId, Vec<Op>>>>,
}

pub(crate) struct SimLink {
    reach: SimReach,
    node: NodeName,
    id: u64,
    age: u32,
    lost: bool,
}

impl Reach for SimReach {
    type Link = SimLink;

    async fn link(&self, node: &NodeName, _: Role) -> Result<SimLink, Lost> {
        pause(&self.world).await;
        let mut world = self.world.borrow_mut();
        let tick = world.tick;
        world.links += 1;
        let id = world.links;
        let place = world.place(node);
        if place.silent_until > tick {
            return Err(lost());
        }
        Ok(SimLink { reach: self.clone(), node: node.clone(), id, age: place.age, lost: false })
    }
}

impl Link for SimLink {
    async fn ask(&mut self, request: Request, said: &mut dyn FnMut(Answer)) -> Result<Answer, Lost> {
        self.wait().await?;
        match request {
            Request::Look(questions) => {
                let inventory = self.reach.world.borrow_mut().place(&self.node).node.look(&questions);
                self.wait().await?;
                Ok(Answer::Inventory(Box::new(inventory)))
            }
            Request::Lock => {
                let lease = self.lock();
                self.wait().await?;
                Ok(lease.map_or(Answer::Locked, Answer::Held))
            }
            Request::Keep(kept) => {
                let answer = self.keep(*kept);
                self.wait().await?;
                Ok(answer)
            }
            Request::Fetch => {
                let kept = self.reach.world.borrow_mut().place(&self.node).node.disk.kept.clone();
                Ok(Answer::Fetched(kept.map(Box::new)))
            }
            Request::Perform(job) => Ok(Answer::Performed(self.perform(*job, said).await?)),
            // One after the other: their order is nobody's business, and a cut may come at any point of it.
            Request::PerformTogether(jobs) => {
                let mut all = BTreeMap::new();
                for job in jobs {
                    all.insert(job.step.clone(), self.perform(job, said).await?);
                }
                Ok(Answer::PerformedTogether(all))
            }
            Request::Ping(addresses) => {
                Ok(Answer::Pinged(addresses.into_iter().map(|address| (address, true)).collect()))
            }
            Request::Confirm(step) => {
                let answer = self.decide(&step, |place| {
                    place.pending = None;
                    Answer::Confirmed
                });
                self.wait().await?;
                Ok(answer)
            }
            Request::Undo(step) => {
                let answer = self.decide(&step, |place| {
                    place.undo();
                    Answer::Undone(Vec::new())
                });
                self.wait().await?;
                Ok(answer)
            }
            other => panic!("the simulator doesn't know {other:?}"),
        }
    }
}

impl SimLink {
    /// Confirms a step that is pending, or undoes it.
    fn decide(&self, step: &StepId, how: impl FnOnce(&mut Place) -> Answer) -> Answer {
        let mut world = self.reach.world.borrow_mut();
        let place = world.place(&self.node);
        match &place.pending {
            Some(pending) if pending.step == *step => how(place),
            _ => Answer::Refused(format!("{step} is not pending here")),
        }
    }

    fn lock(&self) -> Option<Lease> {
        let mut world = self.reach.world.borrow_mut();
        let since = Timestamp(i64::from(world.tick));
        let shares = world.shares_leases;
        let place = world.place(&self.node);
        match &place.holder {
            Some((id, lease)) if *id != self.id && !shares => Some(lease.clone()),
            _ => {
                place.holder = Some((self.id, Lease { who: self.reach.who.clone(), since }));
                None
            }
        }
    }

    fn keep(&self, kept: Kept) -> Answer {
        let mut world = self.reach.world.borrow_mut();
        let place = world.place(&self.node);
        let held = place.holder.as_ref().is_some_and(|(id, _)| *id == self.id);
        let newest = place.node.disk.kept.as_ref().map_or(0, |kept| kept.generation.number);
        let backwards = newest > kept.generation.number;
        if held && !backwards {
            place.node.disk.kept = Some(kept.clone());
            place.node.flushed.kept = Some(kept);
            return Answer::Kept;
        }
        let why = format!("{} keeps {} over {newest}, holding: {held}", self.reach.who, kept.generation.number);
        world.violations.push(why.clone());
        Answer::Refused(why)
    }

    async fn perform(&mut self, job: Job, said: &mut dyn FnMut(Answer)) -> Result<Performed, Lost> {
        let repeat = {
            let mut world = self.reach.world.borrow_mut();
            if !self
                .reach
                .shown
                .borrow()
                .get(&job.step)
                .is_some_and(|shown| crate::storage::is_as_shown(shown, &job.ops))
            {
                world.violations.push(format!("{} is not what was shown: {:?}", job.step, job.ops));
            }
            let tick = world.tick;
            world.trace.push(format!("{tick}: {}: {}", self.reach.who, job.step));
            let place = world.place(&self.node);
            if place.holder.as_ref().is_none_or(|(id, _)| *id != self.id) || place.node.running.is_some() {
                world.violations.push(format!("{} does {} without the lease", self.reach.who, job.step));
            }
            std::mem::take(&mut world.place(&self.node).repeat)
        };
        if let Some(guard) = &job.guard {
            let mut world = self.reach.world.borrow_mut();
            let tick = world.tick;
            world.place(&self.node).arm(&job.step, guard, tick);
        }
        self.mark(|marks| _ = marks.insert(job.step.clone()));
        self.reach.world.borrow_mut().place(&self.node).node.begin(&job.step);
        for _ in 0..=u8::from(repeat) {
            if let Err(why) = self.operate(&job, said).await? {
                self.reach.world.borrow_mut().place(&self.node).undo();
                self.wait().await?;
                return Ok(Performed { outcome: Outcome::Failed(why), outputs: Vec::new() });
            }
        }
        self.mark(|marks| _ = marks.remove(&job.step));
        let outputs = std::mem::take(&mut self.reach.world.borrow_mut().place(&self.node).node.told);
        self.wait().await?;
        Ok(Performed { outcome: Outcome::Done, outputs })
    }

    /// The agent's marks of what it has begun lie on the disk.
    fn mark(&self, change: impl Fn(&mut BTreeSet<StepId>)) {
        let mut world = self.reach.world.borrow_mut();
        let node = &mut world.place(&self.node).node;
        for disk in [&mut node.disk, &mut node.flushed] {
            change(&mut disk.unfinished);
        }
    }

    async fn operate(&mut self, job: &Job, said: &mut dyn FnMut(Answer)) -> Result<Result<(), String>, Lost> {
        self.reach.world.borrow_mut().place(&self.node).rest = job.ops.iter().cloned().collect();
        loop {
            self.wait().await?;
            {
                let mut world = self.reach.world.borrow_mut();
                let place = world.place(&self.node);
                let Some(op) = place.rest.pop_front() else { return Ok(Ok(())) };
                said(Answer::Progress("the next operation".to_owned()));
                place.node.running = Some(op);
            }
            // Whatever happens now happens in the middle of it.
            self.wait().await?;
            let mut world = self.reach.world.borrow_mut();
            let place = world.place(&self.node);
            let Some(op) = place.node.running.take() else { return Err(lost()) };
            match place.node.perform(&op, Cut::None) {
                Ok(()) => {}
                Err(Failure::Failed(why)) => {
                    let tick = world.tick;
                    world.trace.push(format!("{tick}: {}: {why}", self.node));
                    return Ok(Err(why));
                }
                Err(Failure::Unheard(command)) => {
                    world.violations.push(format!("the simulator doesn't know: {command}"));
                    return Ok(Err(command));
                }
            }
        }
    }

    /// Something may happen; then, whether the connection is still there.
    async fn wait(&mut self) -> Result<(), Lost> {
        pause(&self.reach.world).await;
        let mut world = self.reach.world.borrow_mut();
        let tick = world.tick;
        let place = world.place(&self.node);
        let lose = std::mem::take(&mut place.lose);
        if lose || place.silent_until > tick || place.age != self.age || self.lost {
            self.lost = true;
            drop(world);
            self.leave();
            return Err(lost());
        }
        Ok(())
    }

    fn leave(&self) {
        let mut world = self.reach.world.borrow_mut();
        let place = world.place(&self.node);
        if place.holder.as_ref().is_some_and(|(id, _)| *id == self.id) {
            place.orphan();
        }
    }
}

impl Drop for SimLink {
    fn drop(&mut self) {
        self.leave();
    }
}

fn lost() -> Lost {
    Lost { why: "the connection was lost".to_owned(), hint: None }
}
