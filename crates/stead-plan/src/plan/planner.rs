//! What layers plan with.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::{NodeName, Sha256, Suite};

pub(crate) use super::draft::{Comes, Draft, Managed};
use super::{Asked, Block, Leftover, Note, Plan, Refusal, SCHEMA_VERSION, Unknown, Wishes, lint, order, standing};
use crate::MARK;
use crate::host::installs;
use crate::inventory::{FileState, Inventory, Mode, NodeInventory, Observation, Unit, sha256};
use crate::op::{Op, OutputKind};
use crate::secret::SecretRef;
use crate::step::{Layer, StepId};

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
#[derive(Clone, Debug)]
pub(crate) struct Hidden {
    what: String,
    why: String,
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

/// The first step on a node that isn't this cluster's yet: all others come after it.
pub(crate) const STAMP: &str = "stamp";

/// The step of the layer `host` that installs the packages of all layers.
pub(crate) const PACKAGES: &str = "packages";

/// Users' files that packages make while they are installed, with nothing in them but an explanation.
const MADE: [(&str, &str); 1] = [("/etc/crypttab", "cryptsetup")];

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

    /// Something that can't be done, and the way to do it.
    pub(crate) fn refuse(&mut self, why: impl Into<String>, way: impl Into<String>) {
        self.plan.refusals.push(Refusal { node: None, why: why.into(), way: way.into(), overtaken_by: None });
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
        Draft::new(self.seen, self.id(what), title.into())
    }

    /// Adds a step to the plan, unless it does nothing.
    pub(crate) fn add(&mut self, draft: Draft<'a>) {
        let mut step = draft.done();
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

static NO_WISHES: Wishes = Wishes { rotate: BTreeSet::new() };

/// A plan beside the cluster file's own: nodes keep nothing of it.
pub(crate) fn errand<'a>(asked: &Asked<'a>, inventory: &'a Inventory, make: impl FnOnce(&mut Planner<'a>)) -> Plan {
    let mut planner = Planner::new(asked, &NO_WISHES, inventory);
    make(&mut planner);
    let mut plan = planner.finish();
    plan.keep = None;
    plan
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

    pub(super) fn no_file(path: &str) -> Self {
        Self::new(path, "something else than a file is there; stead puts a file there once it is gone")
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
