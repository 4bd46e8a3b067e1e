//! What layers plan with.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::{NodeName, Sha256, Suite};

use super::{
    Asked, Block, Leftover, Note, Plan, Refusal, SCHEMA_VERSION, Unknown, Wishes, diff, lint, order, standing,
};
use crate::MARK;
use crate::host::installs;
use crate::inventory::{
    Activity, Enablement, File, FileState, Inventory, Mode, NodeInventory, Observation, Unit, sha256,
};
use crate::op::{Command, Op, OutputKind, Program, Write};
use crate::secret::SecretRef;
use crate::step::{About, Destruction, Fact, Guard, Layer, Step, StepId};

/// A plan while it is made.
///
/// It is made layer by layer, and in a layer node by node. Each layer is a folder with these functions:
///
/// - `questions(&Spec, &Node, &mut Questions)`: what a node must be asked for it;
/// - `plan(&mut Planner)`: goes through [`nodes`](Self::nodes), and has a [`NodePlan`] for each;
/// - `HELD`, if it has engines that only stead may update.
///
/// Below that, a layer is a row of *concerns*: functions `fn(&mut NodePlan, …) -> Result<(), Hidden>` in files of their
/// own, each about one thing that a node should be. A concern compares what is asked with what is observed, and where
/// they differ adds a step, begun by [`NodePlan::draft`] and given back by [`NodePlan::add`]. It reads the inventory
/// with `?`: what could not be observed ends that one concern, and [`NodePlan::concern`] says so in the plan. A draft
/// without operations isn't added, so a concern may collect differences and need not ask whether there was one.
///
/// A draft remembers what it rests on: [`Draft::file`] and [`Draft::rests_on`] note the fact with what was observed. The
/// steps that it comes after are named whether or not they are in this plan; those that aren't are dropped at the end.
/// So layers speak of the steps of others by name alone (`host/node1/packages`), also on other nodes.
///
/// Steps come out in the order in which they were added, as far as "after" lets them: by layer, node, and concern. That
/// order, and that all collections here are sorted, is what makes plans deterministic.
pub(crate) struct Planner<'a> {
    /// What is asked.
    pub(crate) spec: &'a Spec,
    sums: &'a BTreeMap<String, Sha256>,
    trusted: &'a BTreeMap<String, String>,
    wishes: &'a Wishes,
    /// What there is of the plan.
    pub(crate) plan: Plan,
    nodes: Vec<Planned<'a>>,
}

/// A node that can be planned for: it answered, it is this cluster's or nobody's, and stead knows its release.
#[derive(Clone, Copy)]
pub(crate) struct Planned<'a> {
    /// What is asked.
    pub(crate) node: &'a Node,
    /// What is observed.
    pub(crate) seen: &'a NodeInventory,
    /// Its Debian.
    pub(crate) suite: Suite,
    /// How many nodes of the file come before it by number, which never changes, whether or not they answered.
    pub(crate) place: usize,
}

/// One layer's part of the plan on one node.
pub(crate) struct NodePlan<'p, 'a> {
    /// What is asked of the cluster.
    pub(crate) spec: &'a Spec,
    /// What is asked of the node.
    pub(crate) node: &'a Node,
    /// What is observed of it.
    pub(crate) seen: &'a NodeInventory,
    /// Its Debian.
    pub(crate) suite: Suite,
    /// What is wished for once.
    pub(crate) wishes: &'a Wishes,
    sums: &'a BTreeMap<String, Sha256>,
    trusted: &'a BTreeMap<String, String>,
    layer: Layer,
    plan: &'p mut Plan,
}

/// Something that a concern needed and that could not be observed.
#[derive(Debug)]
pub(crate) struct Hidden {
    what: String,
    why: String,
}

/// A file that is all stead's.
#[derive(Clone, Debug)]
pub(crate) struct Managed {
    pub(crate) path: String,
    pub(crate) mode: Mode,
    pub(crate) text: String,
    /// See [`Write::secrets`].
    pub(crate) secrets: Vec<SecretRef>,
    pub(crate) checked_by: Option<Command>,
    /// See [`Write::made_from`].
    pub(crate) made_from: Option<Sha256>,
    /// The step of this plan that writes the file before, and what it then holds.
    pub(crate) written_by: Option<(StepId, String)>,
}

/// A file that is the user's, and in which stead has a block.
pub(crate) struct UsersFile {
    path: String,
    /// What is in it, or will be by what is planned so far; nothing if it isn't there.
    pub(crate) text: String,
    mode: Mode,
    /// Of what it is made from; none if that may be something else by then.
    sum: Option<Sha256>,
    written_by: Option<StepId>,
}

/// A step while it is made.
pub(crate) struct Draft<'a> {
    seen: &'a NodeInventory,
    step: Step,
}

/// The first step on a node that isn't this cluster's yet: all others come after it.
pub(crate) const STAMP: &str = "stamp";

/// The step of the layer `host` that installs the packages of all layers.
pub(crate) const PACKAGES: &str = "packages";

/// What a daemon may take to stop and start, in seconds.
const RESTART: u32 = 120;

/// Users' files that packages make while they are installed, with nothing in them but an explanation.
const MADE: [(&str, &str); 1] = [("/etc/crypttab", "cryptsetup")];

/// How a unit's package comes onto a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comes {
    /// It is there, or its installation starts it.
    Running,
    /// A step before this one masks the unit and installs the package.
    Masked,
}

/// The first line of a file that is all stead's, after the file's own `sign` for a comment.
pub(crate) fn header(sign: &str) -> String {
    format!("{sign} {MARK}: what is changed here, the next apply undoes.\n")
}

impl<'a> Planner<'a> {
    /// With what must be known before any layer is planned: whose the nodes are, and who applied what last.
    pub(crate) fn new(asked: &Asked<'a>, wishes: &'a Wishes, inventory: &'a Inventory) -> Self {
        let cluster = asked.spec.cluster();
        let mut plan = Plan {
            schema_version: SCHEMA_VERSION,
            cluster: cluster.id,
            name: cluster.name.clone(),
            observed_at: inventory.observed_at,
            keep: None,
            steps: Vec::new(),
            leftovers: Vec::new(),
            refusals: Vec::new(),
            notes: Vec::new(),
            unknown: Vec::new(),
        };
        let nodes = standing::look(asked, inventory, &mut plan);
        Self { spec: asked.spec, sums: asked.sums, trusted: asked.trusted, wishes, plan, nodes }
    }

    /// The nodes that can be planned for, by name.
    pub(crate) fn nodes(&self) -> Vec<Planned<'a>> {
        self.nodes.clone()
    }

    /// A layer's part on a node.
    pub(crate) fn on(&mut self, layer: Layer, of: Planned<'a>) -> NodePlan<'_, 'a> {
        let Self { spec, sums, trusted, wishes, .. } = *self;
        NodePlan {
            spec,
            node: of.node,
            seen: of.seen,
            suite: of.suite,
            wishes,
            sums,
            trusted,
            layer,
            plan: &mut self.plan,
        }
    }

    /// Something to know about the cluster.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.plan.notes.push(Note { node: None, what: what.into() });
    }

    /// The plan: its steps in order, and nothing in it that breaks a promise.
    pub(crate) fn finish(self) -> Plan {
        let mut plan = self.plan;
        let ids: BTreeSet<StepId> = plan.steps.iter().map(|step| step.id.clone()).collect();
        for step in &mut plan.steps {
            step.after.retain(|id| ids.contains(id));
        }
        plan.steps = order::order(plan.steps);
        let refuse = |plan: &mut Plan| {
            plan.steps.clear();
            plan.keep = None;
        };
        if !plan.refusals.is_empty() {
            refuse(&mut plan);
        }
        let breaches = lint(&plan);
        if !breaches.is_empty() {
            refuse(&mut plan);
        }
        plan.refusals.extend(breaches.into_iter().map(|breach| Refusal {
            node: breach.step.as_ref().map(|step| step.node.clone()),
            why: format!("this is a mistake of stead's: {breach}"),
            way: "please report it, with the cluster file and `stead plan --json`".to_owned(),
            overtaken_by: None,
        }));
        plan
    }
}

impl<'a> NodePlan<'_, 'a> {
    /// Plans one concern. What it needs and can't see, the plan says, with what is therefore left out.
    pub(crate) fn concern(&mut self, what: &str, plan: impl FnOnce(&mut Self) -> Result<(), Hidden>) {
        let Err(hidden) = plan(self) else { return };
        let why = format!("{} can't be told ({}), so the plan leaves out ", hidden.what, hidden.why);
        let mut told = self.plan.unknown.iter_mut().filter(|unknown| unknown.node == self.node.name);
        match told.find(|unknown| unknown.why.starts_with(&why)) {
            Some(unknown) => unknown.why = format!("{}, {what}", unknown.why),
            None => self.plan.unknown.push(Unknown { node: self.node.name.clone(), why: why + what }),
        }
    }

    /// The name of a step of this layer on this node.
    pub(crate) fn id(&self, what: &str) -> StepId {
        StepId { layer: self.layer, node: self.node.name.clone(), what: what.to_owned() }
    }

    /// Whether this step is part of the plan by now.
    pub(crate) fn has(&self, id: &StepId) -> bool {
        self.plan.steps.iter().any(|step| step.id == *id)
    }

    /// Whether a step of the plan tells this to later ones.
    pub(crate) fn tells(&self, id: &StepId, kind: OutputKind) -> bool {
        let step = self.plan.steps.iter().find(|step| step.id == *id);
        step.is_some_and(|step| step.outputs().any(|tells| tells == kind))
    }

    /// Those steps that there are by now, on all nodes.
    pub(crate) fn steps_of(&self, wanted: impl Fn(&StepId) -> bool) -> Vec<StepId> {
        self.plan.steps.iter().map(|step| &step.id).filter(|id| wanted(id)).cloned().collect()
    }

    /// Whether this node has begun a step of this layer that has not ended well.
    pub(crate) fn is_unfinished(&self, what: &str) -> Result<bool, Hidden> {
        let unfinished = self.seen.unfinished.as_result().map_err(|why| Hidden::new("what it has begun", why))?;
        Ok(unfinished.contains(&self.id(what)))
    }

    /// A sealed secret for a text. One that the first apply will make has no sum yet.
    pub(crate) fn secret(&self, name: &str) -> SecretRef {
        let sha256 = self.sums.get(name).cloned().unwrap_or_else(|| sha256(""));
        SecretRef { name: name.to_owned(), sha256 }
    }

    /// Certificates of those who are trusted for a purpose. The first apply makes them.
    pub(crate) fn trusted(&self, purpose: &str) -> String {
        let made = || format!("‹certificate of the CA for {purpose}›\n");
        self.trusted.get(purpose).cloned().unwrap_or_else(made)
    }

    /// Begins a step.
    pub(crate) fn draft(&self, what: &str, title: impl Into<String>) -> Draft<'a> {
        let step = Step {
            id: self.id(what),
            title: title.into(),
            why: Vec::new(),
            ops: Vec::new(),
            after: BTreeSet::new(),
            basis: Vec::new(),
            destroys: Vec::new(),
            guard: None,
            beside: None,
        };
        Draft { seen: self.seen, step }
    }

    /// Adds a step to the plan, unless it does nothing.
    pub(crate) fn add(&mut self, draft: Draft<'a>) {
        let mut step = draft.step;
        if step.ops.is_empty() {
            return;
        }
        let stamp = StepId { layer: Layer::Host, node: self.node.name.clone(), what: STAMP.to_owned() };
        if step.id != stamp {
            step.after.insert(stamp);
        }
        self.plan.steps.push(step);
    }

    /// Something to know about this node.
    pub(crate) fn note(&mut self, what: impl Into<String>) {
        self.plan.notes.push(Note { node: Some(self.node.name.clone()), what: what.into() });
    }

    /// Something that can't be done, and the way to do it.
    pub(crate) fn refuse(&mut self, why: impl Into<String>, way: impl Into<String>) {
        let (why, way) = (why.into(), way.into());
        self.plan.refusals.push(Refusal { node: Some(self.node.name.clone()), why, way, overtaken_by: None });
    }

    /// Something of stead's that nobody asks for.
    pub(crate) fn leftover(&mut self, what: impl Into<String>, remove: impl Into<String>) {
        let (node, layer) = (self.node.name.clone(), self.layer);
        self.plan.leftovers.push(Leftover { node, layer, what: what.into(), remove: remove.into() });
    }

    /// A file that is the user's.
    pub(crate) fn users_file(&self, path: &str) -> Result<UsersFile, Hidden> {
        let users = |text: &str, mode, sum, written_by| {
            Ok(UsersFile { path: path.to_owned(), text: text.to_owned(), mode, sum, written_by })
        };
        let own = self.plan.steps.iter().rev().filter(|step| step.id.node == self.node.name);
        let mut writes = own.flat_map(|step| step.ops.iter().map(move |op| (step, op)));
        let written = writes.find_map(|(step, op)| match op {
            Op::Write(write) if write.path == path => Some((step, write)),
            _ => None,
        });
        if let Some((step, write)) = written {
            return users(&write.text, write.mode, Some(sha256(&write.text)), Some(step.id.clone()));
        }
        match state(self.seen, path)? {
            FileState::Absent => {
                let comes = MADE.iter().find(|(made, _)| *made == path);
                let comes = comes.map(|(_, package)| installs(self.seen, package)).transpose()?.unwrap_or_default();
                users("", Mode(0o644), (!comes).then(|| sha256("")), None)
            }
            FileState::File(file) => match &file.text {
                Some(text) => users(text, file.mode, Some(file.sha256.clone()), None),
                None => Err(Hidden::new(path, "it is no text, too long, or others may not read it")),
            },
            _ => Err(Hidden::no_file(path)),
        }
    }
}

impl UsersFile {
    /// The file with another text, made from the one that it has.
    pub(crate) fn with(&self, text: String) -> Managed {
        let written_by = self.written_by.clone().map(|step| (step, self.text.clone()));
        Managed { mode: self.mode, made_from: self.sum.clone(), written_by, ..Managed::new(&self.path, text) }
    }

    /// The file with a block of these lines, in place of that block if it has it.
    pub(crate) fn with_block(&self, block: Block<'_>, lines: &str) -> Result<Managed, Hidden> {
        Ok(self.with(block.put(&self.text, lines).map_err(|why| Hidden::new(&self.path, why))?))
    }
}

/// What is at a path.
pub(crate) fn state<'a>(seen: &'a NodeInventory, path: &str) -> Result<&'a FileState, Hidden> {
    let known = seen.files.get(Utf8Path::new(path));
    let known = known.ok_or_else(|| Hidden::new(path, "the node was not asked"))?;
    known.as_result().map_err(|why| Hidden::new(path, why))
}

impl Hidden {
    /// `what` is not known, because of `why`.
    pub(crate) fn new(what: impl Into<String>, why: impl Into<String>) -> Self {
        Self { what: what.into(), why: why.into() }
    }

    fn no_file(path: &str) -> Self {
        Self::new(path, "something else than a file is there; stead puts a file there once it is gone")
    }
}

impl Draft<'_> {
    /// Says why, in a sentence.
    pub(crate) fn why(&mut self, why: impl Into<String>) {
        self.step.why.push(why.into());
    }

    /// The files and links that it writes.
    pub(crate) fn writes(&self) -> BTreeSet<Utf8PathBuf> {
        let path = |op: &Op| match op {
            Op::Write(write) => Some(write.path.clone()),
            Op::Link { path, .. } => Some(path.clone()),
            Op::Run(_) | Op::Folder { .. } | Op::Vacant(_) | Op::Take { .. } | Op::Place { .. } => None,
        };
        self.step.ops.iter().filter_map(path).collect()
    }

    /// Is undone unless it is confirmed.
    pub(crate) fn guard(&mut self, guard: Guard) {
        self.step.guard = Some(guard);
    }

    /// May be done beside others of its node, and takes so many MiB of memory then.
    pub(crate) fn beside(&mut self, memory: u32) {
        self.step.beside = Some(memory);
    }

    /// Has a unit start at boot and run now. It is restarted if `restart` says that it has something to read anew, and if
    /// it should run and doesn't. Where its package is still to be installed, it starts masked: see the layer `host`.
    pub(crate) fn service(&mut self, unit: &str, comes: Comes, mut restart: bool) -> Result<(), Hidden> {
        let is = look(self.seen, unit)?;
        let masked = is.enablement == Enablement::Masked || comes == Comes::Masked;
        if masked {
            self.run(Program::Systemctl.command().args(["unmask", unit]));
        }
        if masked || !matches!(is.enablement, Enablement::Enabled) {
            self.why(format!("{unit} doesn't start at boot"));
            self.run(Program::Systemctl.command().args(["enable", unit]));
            restart = true;
        } else if is.activity != Activity::Active {
            self.why(format!("{unit} doesn't run"));
            restart = true;
        }
        if restart {
            self.rests_on(About::Unit(unit.to_owned()))?;
            self.run(Program::Systemctl.command().args(["restart", unit]).timeout(RESTART));
        }
        Ok(())
    }

    /// Runs a command.
    pub(crate) fn run(&mut self, command: Command) {
        self.step.ops.push(Op::Run(command));
    }

    /// Does this.
    pub(crate) fn op(&mut self, op: Op) {
        self.step.ops.push(op);
    }

    /// Destroys this.
    pub(crate) fn destroys(&mut self, what: Destruction) {
        self.step.destroys.push(what);
    }

    /// Comes after what all layers' packages are installed by.
    pub(crate) fn after_packages(&mut self) {
        let node = self.step.id.node.clone();
        self.step.after.insert(StepId { layer: Layer::Host, node, what: PACKAGES.to_owned() });
    }

    /// Comes after a step of the same layer on the same node.
    pub(crate) fn after(&mut self, what: &str) {
        self.after_on(self.step.id.node.clone(), what);
    }

    /// Comes after a step of the same layer on another node.
    pub(crate) fn after_on(&mut self, node: NodeName, what: &str) {
        self.step.after.insert(StepId { layer: self.step.id.layer, node, what: what.to_owned() });
    }

    /// Comes after any step.
    pub(crate) fn after_step(&mut self, id: StepId) {
        if id != self.step.id {
            self.step.after.insert(id);
        }
    }

    /// Is right only as long as this is so.
    pub(crate) fn rests_on(&mut self, about: About) -> Result<(), Hidden> {
        let was = about.of(self.seen);
        let was = was.as_result().map_err(|why| Hidden::new(about.to_string(), why))?.clone();
        if self.step.basis.iter().all(|fact| fact.about != about) {
            self.step.basis.push(Fact { about, was });
        }
        Ok(())
    }

    /// Makes a folder that isn't there.
    pub(crate) fn folder(&mut self, path: &str) -> Result<(), Hidden> {
        if matches!(state(self.seen, path)?, FileState::Absent) {
            self.rests_on(About::File(path.into()))?;
            self.step.ops.push(Op::Folder { path: path.into(), mode: Mode(0o755) });
        }
        Ok(())
    }

    /// Makes a folder of stead's own, with these permissions.
    pub(crate) fn own_folder(&mut self, path: &str, mode: Mode) -> Result<(), Hidden> {
        let state = state(self.seen, path)?;
        if !matches!(state, FileState::Folder { mode: is, .. } if *is == mode) {
            self.rests_on(About::File(path.into()))?;
            self.why(match state {
                FileState::Absent => format!("{path} is not there"),
                FileState::Folder { mode: is, .. } => format!("{path} has the permissions {is} and should have {mode}"),
                _ => return Err(Hidden::no_file(path)),
            });
            self.step.ops.push(Op::Folder { path: path.into(), mode });
        }
        Ok(())
    }

    /// Writes a file, if it isn't so already. Whether it wasn't, or whoever reads it may not have been told: the step was
    /// begun, and cut.
    pub(crate) fn file(&mut self, want: &Managed) -> Result<bool, Hidden> {
        let written = want.written_by.as_ref().map(|(step, text)| {
            self.after_step(step.clone());
            let (owner, sha256) = ("root:root".to_owned(), sha256(text));
            FileState::File(File { mode: want.mode, owner, sha256, text: Some(text.clone()) })
        });
        let before = written.as_ref().map_or_else(|| state(self.seen, &want.path), Ok)?;
        let write = match before {
            FileState::Absent => {
                self.why(format!("{} is not there", want.path));
                true
            }
            FileState::File(file) if file.sha256 != want.sha256() => {
                let foreign = file.text.as_deref().is_some_and(|text| !text.contains(MARK));
                let kept = if foreign { "; what is there now is kept in /var/lib/stead/before" } else { "" };
                self.why(match &file.text {
                    Some(_) => format!("{} differs{kept}", want.path),
                    None => format!("{} differs; what is there now only root may read", want.path),
                });
                true
            }
            FileState::File(file) if file.mode != want.mode || file.owner != "root:root" => {
                let (mode, owner) = (file.mode, &file.owner);
                self.why(format!("{} is {owner}'s with {mode} and should be root's with {}", want.path, want.mode));
                true
            }
            FileState::File(_) => false,
            _ => return Err(Hidden::no_file(&want.path)),
        };
        // A file that is right may be another one's reason: what is run then rests on both.
        self.rests_on(About::File(want.path.clone().into()))?;
        if write {
            match before {
                FileState::File(file) => {
                    if let Some(old) = &file.text {
                        self.step.why.extend(diff::lines(old, &want.text));
                    }
                }
                _ => self.step.why.extend(diff::lines("", &want.text)),
            }
            let Managed { path, mode, text, secrets, checked_by, made_from, written_by: _ } = want.clone();
            self.step.ops.push(Op::Write(Write { path: path.into(), mode, text, secrets, checked_by, made_from }));
        }
        let cut = !write && self.seen.unfinished.get().is_some_and(|steps| steps.contains(&self.step.id));
        if cut {
            self.rests_on(About::File(want.path.clone().into()))?;
            self.why(format!("{} is as it should be, but this step was cut before its end", want.path));
        }
        Ok(write || cut)
    }
}

/// What a unit is.
pub(crate) fn look<'a>(seen: &'a NodeInventory, unit: &str) -> Result<&'a Unit, Hidden> {
    let units = seen.units.as_result().map_err(|why| Hidden::new(format!("the unit {unit}"), why))?;
    units.get(unit).ok_or_else(|| Hidden::new(format!("the unit {unit}"), "the node was not asked"))
}

/// What a node said, if it answered.
pub(crate) fn seen<'a>(inventory: &'a Inventory, node: &NodeName) -> Result<&'a NodeInventory, &'a str> {
    match inventory.nodes.get(node) {
        Some(Observation::Seen(seen)) => Ok(seen),
        Some(Observation::Silent(why)) => Err(why),
        None => Err("it was not asked"),
    }
}

impl Managed {
    /// Its sum, also of one that is secret as a whole: then it is the secret's.
    fn sha256(&self) -> Sha256 {
        match self.secrets.as_slice() {
            [secret] if self.text == secret.to_string() => secret.sha256.clone(),
            _ => sha256(&self.text),
        }
    }

    /// A file that everybody may read.
    pub(crate) fn new(path: impl Into<String>, text: String) -> Self {
        Self {
            path: path.into(),
            mode: Mode(0o644),
            text,
            secrets: Vec::new(),
            checked_by: None,
            made_from: None,
            written_by: None,
        }
    }
}
