//! A story: who applies what, and what goes wrong when. It is drawn from a number, can be told again, and shrinks.

use std::cell::RefCell;
use std::collections::{BTreeMap, VecDeque};
use std::fmt;
use std::pin::Pin;
use std::rc::Rc;

use stead_apply::drive::{self, Applied, NotApplied, Order, Verdict};
use stead_apply::generation;
use stead_apply::reach::{Link, Reach};
use stead_apply::secrets::{Sealed, Secret};
use stead_node::protocol::{Answer, Kept, Request, Role};
use stead_plan::generation::{Ancestor, Generation};
use stead_plan::inventory::{Inventory, Observation, PackageState, Questions, Timestamp};
use stead_plan::op::{Command, Op};
use stead_plan::plan::Plan;
use stead_plan::step::StepId;
use stead_spec::units::{ClusterId, NodeName, Sha256};
use tokio::sync::watch;

use crate::model::{Disk, Entry};
use crate::world::{Done, Fault, Shared, SimLink, SimReach, What, World, is_steads_own, run_all};

/// How many applies without faults may be needed: one that does it, and one for what the first could not yet do.
const CLEAN: usize = 3;

/// What is sealed.
pub(crate) const SECRETS: [(&str, &str); 14] = [
    ("core/ospf", "abcdefghijkmnpqr"),
    ("disk/ata-EXAMPLE_SSD_1TB_S1", "the key of the first disk"),
    ("disk/ata-EXAMPLE_SSD_1TB_S2", "the key of the second disk"),
    ("disk/ata-EXAMPLE_SSD_1TB_S3", "the key of the third disk"),
    ("machines/members", "a key of more than a thousand bits"),
    ("tls/machines/node1", "# Managed by stead: the first, for machines\n"),
    ("tls/machines/node2", "# Managed by stead: the second, for machines\n"),
    ("tls/machines/node3", "# Managed by stead: the third, for machines\n"),
    ("tls/migration/node1", "# Managed by stead: the first, for QEMU\n"),
    ("tls/migration/node2", "# Managed by stead: the second, for QEMU\n"),
    ("tls/migration/node3", "# Managed by stead: the third, for QEMU\n"),
    ("tls/storage/node1", "# Managed by stead: the first\n"),
    ("tls/storage/node2", "# Managed by stead: the second\n"),
    ("tls/storage/node3", "# Managed by stead: the third\n"),
];

/// Who plans.
pub(crate) trait Planner {
    fn cluster(&self) -> ClusterId;
    /// Whether the disks of the file are encrypted in the end.
    fn encrypts(&self) -> bool {
        false
    }
    fn nodes(&self) -> Vec<NodeName>;
    /// Whether daemons must have read what their files say, however the run was cut.
    fn restarts_always(&self) -> bool;
    /// A cluster file; variants ask for different things.
    fn text(&self, variant: usize) -> String;
    fn questions(&self, node: &NodeName, variant: usize) -> Questions;
    fn plan(&self, texts: &Texts, inventory: &Inventory) -> Plan;
}

/// One admin's cluster file.
#[derive(Clone, Debug)]
pub(crate) struct Texts {
    pub(crate) variant: usize,
    pub(crate) text: String,
    pub(crate) digest: Sha256,
    pub(crate) ancestors: Vec<Ancestor>,
}

/// The story.
#[allow(clippy::struct_excessive_bools, reason = "each is a condition of its own")]
#[derive(Clone, Debug)]
pub(crate) struct Scenario {
    pub(crate) seed: u64,
    /// Which variant of the file each admin has.
    pub(crate) admins: Vec<usize>,
    /// Whether all was applied once before.
    pub(crate) settled: bool,
    /// Whether more than one clock may be wrong.
    pub(crate) clocks: bool,
    pub(crate) drops_writes: bool,
    pub(crate) shares_leases: bool,
    pub(crate) faults: Vec<Fault>,
}

/// What came of it that must not.
#[derive(Debug)]
pub(crate) struct Broken {
    pub(crate) why: String,
    pub(crate) trace: Vec<String>,
}

/// How one admin's apply went.
enum Round {
    Nothing,
    Refused(NotApplied),
    /// Another file came first; it is taken over.
    Adopted,
    Applied(Verdict),
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let list = |steps: &[StepId]| steps.iter().map(StepId::to_string).collect::<Vec<_>>().join(", ");
        match self {
            Self::Nothing => f.write_str("nothing to do"),
            Self::Refused(error) => write!(f, "not applied: {error}"),
            Self::Adopted => f.write_str("adopted what others applied"),
            Self::Applied(Verdict::NotAsAsked(remains)) => {
                f.write_str("not as asked:")?;
                for (step, ended) in &remains.unfinished {
                    write!(f, "\n  {step}: {ended:?}")?;
                }
                let (untrue, new) = (list(&remains.untrue), list(&remains.new));
                write!(f, "\n  untrue: {untrue}; new: {new}; keep: {:?}; {:?}", remains.keep, remains.refusals)
            }
            Self::Applied(verdict) => write!(f, "{verdict:?}"),
        }
    }
}

impl Scenario {
    pub(crate) fn random(seed: u64) -> Self {
        let mut rng = fastrand::Rng::with_seed(seed ^ 0x5eed);
        let within = rng.choice([60, 250, 800]).unwrap_or(250);
        let count = rng.usize(..6);
        let fault = |rng: &mut fastrand::Rng| Fault { at: rng.u32(..within), node: rng.usize(..3), what: what(rng) };
        let mut faults: Vec<_> = (0..count).map(|_| fault(&mut rng)).collect();
        faults.sort_by_key(|fault| fault.at);
        let admins = if rng.u8(..3) == 0 { vec![rng.usize(..2), rng.usize(..2)] } else { vec![0] };
        Self { seed, admins, settled: rng.bool(), clocks: true, drops_writes: false, shares_leases: false, faults }
    }

    /// Tells the story with this planner.
    pub(crate) fn run(&self, planner: &dyn Planner) -> Result<(), Broken> {
        let world = Rc::new(RefCell::new(World::new(&planner.nodes(), self.seed)));
        let result = self.play(&world, planner);
        let world = world.borrow();
        let why = world.violations.first().cloned().map_or(result, Err);
        why.map_err(|why| Broken { why, trace: world.trace.clone() })
    }

    fn play(&self, world: &Shared, planner: &dyn Planner) -> Result<(), String> {
        let mut admins: Vec<_> = self.admins.iter().map(|variant| RefCell::new(texts(planner, *variant))).collect();
        if !self.clocks {
            for place in world.borrow_mut().places.values_mut().skip(1) {
                (place.node.ahead, place.node.keeps_time) = (0, true);
            }
        }
        if self.settled {
            converge(world, planner, &admins[0], CLEAN)?;
        }
        for place in world.borrow_mut().places.values_mut() {
            place.node.drops_writes = self.drops_writes;
        }
        world.borrow_mut().shares_leases = self.shares_leases;
        let tick = world.borrow().tick;
        let faults = self.faults.iter().cloned().map(|fault| Fault { at: fault.at + tick, ..fault });
        world.borrow_mut().faults = faults.collect::<VecDeque<_>>();
        for _ in 0..2 {
            let session = |(index, admin)| -> Pin<Box<dyn Future<Output = ()> + '_>> {
                Box::pin(async move { drop(session(world, planner, admin, index).await) })
            };
            run_all(world, admins.iter().enumerate().map(session).collect());
            untouched(world)?;
        }
        world.borrow_mut().settle();
        admins.truncate(1);
        converge(world, planner, &admins[0], CLEAN)
    }

    /// Tells the story of nodes that are new and well, and of one admin: one apply does it.
    pub(crate) fn run_well(&self, planner: &dyn Planner) -> Result<(), Broken> {
        let world = Rc::new(RefCell::new(World::new(&planner.nodes(), self.seed)));
        for place in world.borrow_mut().places.values_mut() {
            (place.node.ahead, place.node.keeps_time) = (0, true);
        }
        let result = converge(&world, planner, &RefCell::new(texts(planner, 0)), 1);
        result.map_err(|why| Broken { why, trace: world.borrow().trace.clone() })
    }

    /// The smallest story that still breaks.
    pub(crate) fn shrunk(mut self, planner: &dyn Planner) -> Self {
        let breaks = |story: &Self| story.run(planner).is_err();
        loop {
            let mut smaller: Vec<Self> = (0..self.faults.len())
                .map(|index| {
                    let mut story = self.clone();
                    story.faults.remove(index);
                    story
                })
                .collect();
            if self.admins.len() > 1 {
                smaller.push(Self { admins: self.admins[..1].to_vec(), ..self.clone() });
            }
            if self.settled {
                smaller.push(Self { settled: false, ..self.clone() });
            }
            match smaller.into_iter().find(breaks) {
                Some(story) => self = story,
                None => return self,
            }
        }
    }
}

fn what(rng: &mut fastrand::Rng) -> What {
    match rng.u8(..14) {
        0 | 1 => What::KillStead(rng.usize(..2)),
        2 => What::KillAgent(Done::Not),
        3 => What::KillAgent(Done::Half),
        4 => What::KillAgent(Done::Whole),
        5 => What::Lose,
        6 => What::PowerCut,
        7 => What::Reboot,
        8 => What::Silence(rng.u32(1..200)),
        9 => What::Repeat,
        10 => What::Flush,
        _ => What::Drift(rng.u64(..)),
    }
}

fn texts(planner: &dyn Planner, variant: usize) -> Texts {
    let text = planner.text(variant);
    Texts { variant, digest: generation::digest(&text, ""), text, ancestors: Vec::new() }
}

/// Without faults, a few applies do it, and after them nothing is left to do.
fn converge(world: &Shared, planner: &dyn Planner, admin: &RefCell<Texts>, applies: usize) -> Result<(), String> {
    let mut rounds = Vec::new();
    while rounds.iter().filter(|round| !matches!(round, Round::Adopted)).count() <= applies {
        let round = Rc::new(RefCell::new(None));
        let result = round.clone();
        let alone = Box::pin(async move { *result.borrow_mut() = Some(session(world, planner, admin, 0).await) });
        run_all(world, vec![alone]);
        untouched(world)?;
        match round.take() {
            Some(Round::Nothing) => {
                if planner.encrypts() {
                    encrypted(world)?;
                }
                return if planner.restarts_always() { settled(world) } else { Ok(()) };
            }
            Some(round) => rounds.push(round),
            None => return Err("an apply without faults didn't end".to_owned()),
        }
    }
    let rounds: Vec<_> = rounds.iter().map(Round::to_string).collect();
    Err(format!("no end after {applies} applies without faults:\n{}", rounds.join("\n")))
}

async fn session(world: &Shared, planner: &dyn Planner, admin: &RefCell<Texts>, index: usize) -> Round {
    let reach = SimReach { world: world.clone(), who: format!("admin{index}@laptop"), shown: Rc::default() };
    let (links, plan) = look(&reach, planner, admin).await;
    if let Some(newer) = plan.refusals.iter().find_map(|refusal| refusal.overtaken_by.clone()) {
        let ancestor = Ancestor { number: newer.number, digest: newer.digest };
        admin.borrow_mut().ancestors.push(ancestor);
        return Round::Adopted;
    }
    if plan.is_empty() && plan.unknown.is_empty() {
        return Round::Nothing;
    }
    let texts = admin.borrow().clone();
    let mut plan = plan;
    shuffle(&mut plan, world);
    *reach.shown.borrow_mut() =
        plan.steps.iter().map(|step| (step.id.clone(), step.ops.iter().map(in_clear).collect())).collect();
    let kept = plan.keep.as_ref().map(|keep| {
        let at = Timestamp(i64::from(world.borrow().tick));
        let (by, stead) = (reach.who.clone(), "0.1.0".to_owned());
        let generation = Generation { number: keep.number, digest: keep.digest.clone(), at, by, stead, format: 1 };
        Kept { generation, file: texts.text.clone(), secrets: Sealed::new(planner.cluster()).text() }
    });
    let (_sender, stop) = watch::channel(false);
    let secrets = SECRETS.map(|(name, secret)| (name.to_owned(), Secret::from(secret.to_owned()))).into();
    let order = Order { plan: &plan, digest: &texts.digest, ancestors: &[], kept, secrets, stop };
    let nodes = planner.nodes().len();
    let mut events = Vec::new();
    let applied = match drive::apply(&reach, links, nodes, order, &mut |event| events.push(event)).await {
        Ok(applied) => applied,
        Err(error) => return Round::Refused(error),
    };
    complete(world, &plan, &applied);
    if let (Some(keep), true) = (&plan.keep, applied.kept.values().any(Result::is_ok)) {
        let ancestor = Ancestor { number: keep.number, digest: keep.digest.clone() };
        admin.borrow_mut().ancestors.push(ancestor);
    }
    let (_links, after) = look(&reach, planner, admin).await;
    for step in &after.steps {
        world.borrow_mut().trace.push(format!("still {}: {}", step.id, step.why.join("; ")));
    }
    Round::Applied(drive::verify(&applied, &after))
}

/// What is to be done, as the node is told it.
fn in_clear(op: &Op) -> Op {
    let mut op = op.clone();
    let (text, secrets) = match &mut op {
        Op::Write(write) => (&mut write.text, &mut write.secrets),
        Op::Run(Command { stdin: Some(stdin), .. }) => (&mut stdin.text, &mut stdin.secrets),
        _ => return op,
    };
    for wanted in std::mem::take(secrets) {
        let (_, secret) = SECRETS.into_iter().find(|(name, _)| *name == wanted.name).unwrap_or_default();
        *text = wanted.put_into(text, secret);
    }
    op
}

/// Each step has an ending.
fn complete(world: &Shared, plan: &Plan, applied: &Applied) {
    let steps: Vec<_> = plan.steps.iter().map(|step| &step.id).filter(|id| !applied.steps.contains_key(*id)).collect();
    if !steps.is_empty() {
        world.borrow_mut().violations.push(format!("{steps:?} never ended"));
    }
}

async fn look(reach: &SimReach, planner: &dyn Planner, admin: &RefCell<Texts>) -> (BTreeMap<NodeName, SimLink>, Plan) {
    let (mut links, mut nodes) = (BTreeMap::new(), BTreeMap::new());
    let texts = admin.borrow().clone();
    for name in planner.nodes() {
        let questions = Box::new(planner.questions(&name, texts.variant));
        let answer = match reach.link(&name, Role::Apply).await {
            Ok(mut link) => link.ask(Request::Look(questions), &mut |_| ()).await.map(|answer| (answer, link)),
            Err(lost) => Err(lost),
        };
        let observation = match answer {
            Ok((Answer::Inventory(inventory), link)) => {
                links.insert(name.clone(), link);
                Observation::Seen(inventory)
            }
            Ok((other, _)) => panic!("{other:?} is no inventory"),
            Err(lost) => Observation::Silent(lost.why),
        };
        nodes.insert(name, observation);
    }
    let observed_at = Timestamp(i64::from(reach.world.borrow().tick));
    (links, planner.plan(&texts, &Inventory { observed_at, nodes }))
}

/// Another order that what comes after what allows just as well.
fn shuffle(plan: &mut Plan, world: &Shared) {
    let mut world = world.borrow_mut();
    if world.rng.bool() {
        return;
    }
    let mut left = std::mem::take(&mut plan.steps);
    while !left.is_empty() {
        let free = |index: &usize| !left.iter().any(|other| left[*index].after.contains(&other.id));
        let free: Vec<usize> = (0..left.len()).filter(free).collect();
        let chosen = world.rng.choice(free).expect("a plan has no circles");
        plan.steps.push(left.remove(chosen));
    }
}

/// Each disk of the file opens by its sealed key, and is open.
fn encrypted(world: &Shared) -> Result<(), String> {
    let world = world.borrow();
    let mut places = world.places.iter();
    places.try_for_each(|(name, place)| place.node.drives_are_whole(&SECRETS).map_err(|why| format!("{name}: {why}")))
}

/// What is whole, and not only looks so.
fn settled(world: &Shared) -> Result<(), String> {
    for (name, place) in &world.borrow().places {
        let stale = place.node.stale();
        if !stale.is_empty() {
            return Err(format!("{name}: {stale:?} still run with what their files said before"));
        }
    }
    Ok(())
}

/// What people put on the nodes is as they put it, or lies where replaced files are kept.
fn untouched(world: &Shared) -> Result<(), String> {
    for (name, place) in &world.borrow().places {
        if !place.node.drives.all.iter().any(|drive| drive.other.as_deref() == Some("ext4") && drive.header.is_none()) {
            return Err(format!("{name}: somebody's drive is not as they had it"));
        }
        compare(&place.theirs, &place.node.disk).map_err(|what| format!("{name}: {what} is not as people put it"))?;
    }
    Ok(())
}

fn compare(theirs: &Disk, now: &Disk) -> Result<(), String> {
    // What the file asks of every node, whatever was there.
    let asked = ["/etc/hostname", "/etc/localtime"];
    for (path, entry) in theirs.files.iter().filter(|(path, _)| !asked.contains(&path.as_str())) {
        let current = now.files.get(path);
        let shared = match (entry, current) {
            (Entry::File { text, .. }, Some(Entry::File { text: current, .. })) => has_lines(current, text),
            _ => false,
        };
        let before = now.files.get(camino::Utf8Path::new(&format!("/var/lib/stead/before{path}"))) == Some(entry);
        if current != Some(entry) && !shared && !before && !is_steads_own(path) {
            return Err(format!("{path} ({entry:?}, now {current:?})"));
        }
    }
    for (package, state) in theirs.packages.iter().filter(|(package, _)| *package != "systemd-timesyncd") {
        if *state == PackageState::Installed && now.packages.get(package) != Some(state) {
            return Err(format!("the package {package}"));
        }
    }
    let theirs_only = |unit: &&String| *unit == "nginx.service" || *unit == "ssh.service";
    if let Some(unit) =
        theirs.units.keys().filter(theirs_only).find(|unit| theirs.units.get(*unit) != now.units.get(*unit))
    {
        return Err(unit.clone());
    }
    match theirs.users.iter().find(|(name, user)| now.users.get(*name) != Some(*user)) {
        Some((name, _)) => Err(format!("the account {name}")),
        None => Ok(()),
    }
}

/// Whether `text` has the lines of `old` in their order, but for the one of Debian's that says the hostname.
fn has_lines(text: &str, old: &str) -> bool {
    let mut lines = text.lines();
    old.lines().filter(|line| !line.starts_with("127.0.1.1\t")).all(|wanted| lines.any(|line| line == wanted))
}
