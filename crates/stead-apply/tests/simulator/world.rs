//! Nodes and faults. Time is a count of ticks: one passes whenever something could be cut.

mod way;

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet, VecDeque};
use std::future::poll_fn;
use std::rc::Rc;
use std::task::Poll;
use std::time::Duration;

use camino::Utf8PathBuf;
use stead_node::protocol::Lease;
use stead_plan::network::facts::Ovs;
use stead_plan::op::Op;
use stead_plan::step::{Guard, StepId};
use stead_spec::units::NodeName;

use crate::commands::{Cut, Failure};
use crate::model::{Disk, Entry, Node};

pub(crate) use way::{SimLink, SimReach};

pub(crate) type Shared = Rc<RefCell<World>>;

/// Everything there is.
pub(crate) struct World {
    pub(crate) places: BTreeMap<NodeName, Place>,
    pub(crate) rng: fastrand::Rng,
    pub(crate) tick: u32,
    /// Sorted by when.
    pub(crate) faults: VecDeque<Fault>,
    /// The admins whose stead was killed.
    pub(crate) killed: BTreeSet<usize>,
    /// What must never be.
    pub(crate) violations: Vec<String>,
    /// For a person who looks for the cause.
    pub(crate) trace: Vec<String>,
    /// A broken variant: whoever wants a node gets it.
    pub(crate) shares_leases: bool,
    links: u64,
}

/// A node where it stands.
pub(crate) struct Place {
    pub(crate) node: Node,
    /// What people put there, as it must still be: stead didn't make it.
    pub(crate) theirs: Disk,
    holder: Option<(u64, Lease)>,
    /// What the agent is yet to do of its job.
    rest: VecDeque<Op>,
    /// Whether the agent has lost its stead and finishes what it does.
    orphaned: bool,
    /// Connections of another age are broken.
    age: u32,
    silent_until: u32,
    lose: bool,
    repeat: bool,
    /// A guarded step that nobody has confirmed.
    pending: Option<Pending>,
}

/// The way back of a guarded step, as its node keeps it on the disk.
struct Pending {
    step: StepId,
    files: BTreeMap<Utf8PathBuf, Option<Entry>>,
    database: Ovs,
    undo: Vec<Op>,
    /// When the timer undoes it.
    until: u32,
}

/// How many ticks a step waits to be confirmed.
const WAITS: u32 = 300;

/// Something goes wrong.
#[derive(Clone, Debug)]
pub(crate) struct Fault {
    pub(crate) at: u32,
    pub(crate) node: usize,
    pub(crate) what: What,
}

/// What goes wrong.
#[derive(Clone, Debug)]
pub(crate) enum What {
    KillStead(usize),
    KillAgent(Done),
    Lose,
    PowerCut,
    Reboot,
    Silence(u32),
    /// The next job is done twice.
    Repeat,
    /// Somebody does something behind stead's back.
    Drift(u64),
    Flush,
}

/// How much of what ran was done.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Done {
    Not,
    Half,
    Whole,
}

impl World {
    pub(crate) fn new(names: &[NodeName], seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed);
        let (tangs, pool) = (crate::storage::Tangs::default(), crate::volumes::Pool::default());
        let together = crate::members::Together::default();
        let places = names.iter().map(|name| {
            let node = Node::fresh(name, (&tangs, &pool, &together), &mut rng);
            (name.clone(), Place::new(node))
        });
        let places = places.collect();
        Self {
            places,
            rng,
            tick: 0,
            faults: VecDeque::new(),
            killed: BTreeSet::new(),
            violations: Vec::new(),
            trace: Vec::new(),
            shares_leases: false,
            links: 0,
        }
    }

    fn place(&mut self, name: &NodeName) -> &mut Place {
        self.places.get_mut(name).expect("a link has a place")
    }

    fn tick(&mut self) {
        self.tick += 1;
        while self.faults.front().is_some_and(|fault| fault.at <= self.tick) {
            if let Some(fault) = self.faults.pop_front() {
                self.strike(&fault);
            }
        }
        let orphans: Vec<_> =
            self.places.iter().filter(|(_, place)| place.orphaned).map(|(name, _)| name.clone()).collect();
        for name in orphans {
            if self.rng.u8(..3) == 0 {
                self.finish(&name);
            }
        }
        let tick = self.tick;
        self.places.values_mut().for_each(|place| place.node.wake());
        for place in self.places.values_mut().filter(|place| place.node.running.is_none()) {
            if place.pending.as_ref().is_some_and(|pending| pending.until <= tick) {
                place.undo();
            }
        }
    }

    fn strike(&mut self, fault: &Fault) {
        let Some(name) = self.places.keys().nth(fault.node % self.places.len()).cloned() else { return };
        self.trace.push(format!("{}: {name}: {:?}", self.tick, fault.what));
        let (tick, mut rng) = (self.tick, self.rng.fork());
        let place = self.place(&name);
        match &fault.what {
            What::KillStead(admin) => drop(self.killed.insert(*admin)),
            What::KillAgent(done) => {
                if let Some(op) = place.node.running.take() {
                    match done {
                        Done::Not => {}
                        Done::Half => drop(place.node.perform(&op, Cut::Half)),
                        Done::Whole => drop(place.node.perform(&op, Cut::None)),
                    }
                }
                place.broken();
            }
            What::Lose => place.lose = true,
            What::PowerCut => {
                if let Some(op) = place.node.running.take() {
                    let _ = place.node.perform(&op, if rng.bool() { Cut::Half } else { Cut::None });
                }
                place.node.power_cut(&mut rng);
                place.boot_back();
                place.forget();
                place.broken();
            }
            What::Reboot => {
                if let Some(op) = place.node.running.take() {
                    let _ = place.node.perform(&op, Cut::Half);
                }
                place.node.reboot();
                place.boot_back();
                place.broken();
            }
            What::Silence(ticks) => place.silent_until = tick + ticks,
            What::Repeat => place.repeat = true,
            What::Drift(seed) => crate::drift::drift(place, *seed),
            What::Flush => place.node.flush(),
        }
    }

    /// An agent without its stead ends what it does: the command, or the whole step.
    fn finish(&mut self, name: &NodeName) {
        let whole = self.rng.bool();
        let place = self.place(name);
        let running = place.node.running.take();
        let rest: Vec<Op> = if whole { place.rest.drain(..).collect() } else { Vec::new() };
        let mut unheard = None;
        for op in running.into_iter().chain(rest) {
            match place.node.perform(&op, Cut::None) {
                Ok(()) => {}
                Err(Failure::Failed(_)) => break,
                Err(Failure::Unheard(command)) => unheard = Some(command),
            }
        }
        place.broken();
        self.violations.extend(unheard.map(|command| format!("the simulator doesn't know: {command}")));
    }

    /// Nothing goes wrong any more, and what was left running ends.
    pub(crate) fn settle(&mut self) {
        self.faults.clear();
        self.killed.clear();
        let names: Vec<_> = self.places.keys().cloned().collect();
        for name in names {
            if self.place(&name).orphaned {
                self.finish(&name);
            }
            let tick = self.tick;
            let place = self.place(&name);
            (place.lose, place.repeat, place.silent_until) = (false, false, tick);
        }
    }
}

impl Place {
    fn new(node: Node) -> Self {
        Self {
            theirs: node.disk.clone(),
            node,
            holder: None,
            rest: VecDeque::new(),
            orphaned: false,
            age: 0,
            silent_until: 0,
            lose: false,
            repeat: false,
            pending: None,
        }
    }

    /// Keeps what a guarded step changes.
    fn arm(&mut self, step: &StepId, guard: &Guard, tick: u32) {
        let files = guard.keeps.iter().map(|path| (path.clone(), self.node.disk.files.get(path).cloned()));
        let undo = guard.undo.iter().cloned().map(Op::Run).collect();
        let (files, database) = (files.collect(), self.node.networks.ovs.clone());
        self.pending = Some(Pending { step: step.clone(), files, database, undo, until: tick + WAITS });
    }

    /// Files are back; whose step it was is as if it had never begun.
    fn put_back(&mut self) -> Option<Pending> {
        let pending = self.pending.take()?;
        for disk in [&mut self.node.disk, &mut self.node.flushed] {
            for (path, entry) in &pending.files {
                match entry {
                    Some(entry) => drop(disk.files.insert(path.clone(), entry.clone())),
                    None => drop(disk.files.remove(path)),
                }
            }
            disk.unfinished.remove(&pending.step);
        }
        Some(pending)
    }

    /// Undoes it alive. A command that fails leaves something for the next apply, as on a node.
    fn undo(&mut self) {
        let Some(pending) = self.put_back() else { return };
        let mut failed = false;
        for op in &pending.undo {
            failed |= self.node.perform(op, Cut::None).is_err();
        }
        if failed {
            self.node.networks.ovs = pending.database;
            self.node.reboot();
            self.broken();
        }
    }

    /// A boot in the middle of it: files are put back before anything reads them.
    fn boot_back(&mut self) {
        if let Some(pending) = self.put_back() {
            self.node.networks.ovs = pending.database;
            self.node.reboot();
        }
    }

    /// The agent is gone, and all connections with it.
    fn broken(&mut self) {
        self.age += 1;
        self.holder = None;
        self.orphaned = false;
        self.rest.clear();
    }

    /// The connection of whoever holds it is gone.
    fn orphan(&mut self) {
        if self.node.running.is_some() {
            self.orphaned = true;
        } else {
            self.broken();
        }
    }

    /// What people put there and a power cut took, nobody can leave alone.
    fn forget(&mut self) {
        let now = &self.node.disk;
        self.theirs.files.retain(|path, entry| now.files.get(path) == Some(entry));
        self.theirs.users.retain(|name, user| now.users.get(name) == Some(user));
        self.theirs.units.retain(|name, state| now.units.get(name) == Some(state));
    }
}

/// Lets others go on, and time pass.
async fn pause(world: &Shared) {
    let ticks = world.borrow_mut().rng.u8(1..4);
    for _ in 0..ticks {
        world.borrow_mut().tick();
        let mut yielded = false;
        poll_fn(|context| {
            if std::mem::replace(&mut yielded, true) {
                return Poll::Ready(());
            }
            context.waker().wake_by_ref();
            Poll::Pending
        })
        .await;
    }
}

/// How long a round takes.
const ROUND: Duration = Duration::from_millis(200);

/// Runs all of them, mixed as chance has it, until each has ended or its stead was killed. The numbers are those of
/// [`What::KillStead`].
pub(crate) fn run_all(world: &Shared, sessions: Vec<std::pin::Pin<Box<dyn Future<Output = ()> + '_>>>) {
    let mut sessions: Vec<_> = sessions.into_iter().enumerate().collect();
    // Whoever waits for a time to pass waits for this clock, which a round of everybody's moves on.
    let runtime = tokio::runtime::Builder::new_current_thread().enable_time().start_paused(true).build();
    let runtime = runtime.expect("a clock");
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    while !sessions.is_empty() {
        runtime.block_on(tokio::time::advance(ROUND));
        let _clock = runtime.enter();
        let chosen = world.borrow_mut().rng.usize(..sessions.len());
        let (admin, session) = &mut sessions[chosen];
        let killed = world.borrow_mut().killed.remove(admin);
        if killed || session.as_mut().poll(&mut context).is_ready() {
            // Dropped with all its connections, wherever they were.
            drop(sessions.swap_remove(chosen));
        }
    }
}

/// The paths under which nothing is anybody's but stead's.
pub(crate) fn is_steads_own(path: &Utf8PathBuf) -> bool {
    path.starts_with("/var/lib/stead")
}
