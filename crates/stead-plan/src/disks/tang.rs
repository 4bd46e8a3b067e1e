//! tang on every node: it answers in the core, and opens the disks of the others.

use std::collections::BTreeSet;

use stead_spec::host::Node;

use super::MARK;
use super::facts::{Tang, TangKey};
use super::policy::{PORT, Print};
use crate::host::installs;
use crate::inventory::Questions;
use crate::op::{OutputKind, Program};
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, Planned, Planner, header};
use crate::step::{About, Layer, StepId};

/// Where tang's keys lie, on Debian 12 and 13. They must: a node that starts opens the disks of others before its own.
pub const FOLDER: &str = "/var/lib/tang";

const STEP: &str = "tang";
/// Its package starts it, at all addresses, so it is masked until it is configured: see the layer `host`.
pub(crate) const UNIT: &str = "tangd.socket";
const DROP_IN_FOLDER: &str = "/etc/systemd/system/tangd.socket.d";
const DROP_IN: &str = "/etc/systemd/system/tangd.socket.d/stead.conf";

pub(super) fn questions(out: &mut Questions) {
    out.files.insert(DROP_IN.into());
    out.folders.insert(DROP_IN_FOLDER.into());
    out.units.insert(UNIT.to_owned());
}

pub(super) fn tang(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let keys = keys(plan.seen)?;
    let mut step = plan.draft(STEP, "have tang open the other nodes' disks, in the core only");
    let text = format!(
        "\n[Socket]\n# Instead of Debian's port 80 at all addresses: whoever reaches a tang and holds a disk can open it.\n\
         ListenStream=\nListenStream={}:{PORT}\n# It may start before the address is there.\nFreeBind=yes\n",
        plan.node.core
    );
    let changed = step.unit_file(&Managed::new(DROP_IN, header("#") + &text))?;
    let comes = if installs(plan.seen, "tang")? { Comes::Masked } else { Comes::Running };
    let rotates = plan.wishes.rotate.contains(&plan.node.name);
    let is = |wanted: fn(&TangKey) -> bool| keys.advertised.values().any(wanted);
    let whole = is(|key| matches!(key, TangKey::Signs(_))) && is(|key| *key == TangKey::Exchanges);
    if rotates {
        step.why("its keys are to be changed; it answers for the old ones until no disk needs them");
        for name in keys.advertised.keys() {
            step.run(Program::Mv.command().args([format!("{FOLDER}/{name}"), retired(name)]));
        }
    } else if !whole {
        step.why("it has no keys");
    }
    if rotates || !whole {
        step.rests_on(About::Tang)?;
        let number = 1 + numbers(&keys).max().unwrap_or(0);
        let (signs, exchanges) = (format!("{MARK}{number}-sig"), format!("{MARK}{number}-exc"));
        step.run(Program::TangdKeygen.command().args([FOLDER, &signs, &exchanges]));
        let key = format!("{FOLDER}/{signs}.jwk");
        // What disks are bound to from now on must outlast a power cut.
        let other = format!("{FOLDER}/{exchanges}.jwk");
        step.run(Program::Sync.command().args([&key, &other, FOLDER]));
        let thumbprint = Program::Jose.command().args(["jwk", "thp", "-a", "S256", "-i", &key]);
        step.run(thumbprint.tells(OutputKind::Thumbprint));
    }
    step.service(UNIT, comes, changed)?;
    step.after_packages();
    plan.add(step);
    Ok(())
}

/// The path of a key that is advertised no more.
fn retired(name: &str) -> String {
    format!("{FOLDER}/.{MARK}.{name}")
}

/// The numbers of the keys that stead has made.
fn numbers(keys: &Tang) -> impl Iterator<Item = u32> {
    keys.advertised.keys().chain(&keys.hidden).filter_map(|name| number(name))
}

/// The number of a key that stead has made, by its file's name.
fn number(name: &str) -> Option<u32> {
    let name = name.strip_prefix(&format!(".{MARK}.")).unwrap_or(name);
    name.strip_prefix(MARK)?.split('-').next()?.parse().ok()
}

fn keys(seen: &crate::inventory::NodeInventory) -> Result<Tang, Hidden> {
    let tang = seen.tang.as_result().map_err(|why| Hidden::new("its tang's keys", why))?;
    Ok(tang.clone().unwrap_or_default())
}

/// The step that makes a node's tang.
pub(super) fn step_of(node: &Node) -> StepId {
    StepId { layer: Layer::Disks, node: node.name.clone(), what: STEP.to_owned() }
}

/// What clevis is told to know a node's tang by.
pub(super) fn print(plan: &NodePlan<'_, '_>, of: &Node, nodes: &[Planned<'_>]) -> Result<Print, Hidden> {
    let step = step_of(of);
    if plan.tells(&step, OutputKind::Thumbprint) {
        return Ok(Print::of(step));
    }
    let what = || format!("the thumbprint of {}'s tang", of.name);
    let peer = nodes.iter().find(|other| other.node.name == of.name);
    let peer = peer.ok_or_else(|| Hidden::new(what(), "the node didn't answer"))?;
    let signs = keys(peer.seen)?.advertised.into_iter().filter_map(|(name, key)| match key {
        TangKey::Signs(thumbprint) => Some((number(&name), thumbprint)),
        TangKey::Exchanges => None,
    });
    // The newest: an older one may have lost the key that goes with it.
    let signs = signs.max_by_key(|(number, _)| *number).map(|(_, thumbprint)| thumbprint);
    signs.map(Print::Is).ok_or_else(|| Hidden::new(what(), "it has none"))
}

/// Takes the keys away that no disk needs any more: whoever has a copy of one opens nothing with it from then on. Wants
/// to have seen every disk of the file bound to the new ones.
pub(super) fn retire(planner: &mut Planner<'_>, all_bound: bool) {
    let nodes = planner.nodes();
    for &of in &nodes {
        let mut node = planner.on(Layer::Disks, of);
        node.concern("old keys of its tang", |plan| {
            let keys = keys(plan.seen)?;
            let old = keys.hidden.iter().filter(|name| name.starts_with(&format!(".{MARK}.")));
            let mut old: BTreeSet<String> = old.map(|name| format!("{FOLDER}/{name}")).collect();
            if plan.wishes.rotate.contains(&plan.node.name) {
                old.extend(keys.advertised.keys().map(|name| retired(name)));
            }
            if old.is_empty() {
                return Ok(());
            }
            if !all_bound {
                plan.note("tang answers for keys that it had before, until every disk of the file is seen to need none of them");
                return Ok(());
            }
            let mut step = plan.draft("tang-old", "take the keys away that tang had before");
            step.why("every disk is bound to the new ones");
            step.rests_on(About::Tang)?;
            step.run(Program::Rm.command().args(["-f", "--"]).args(old));
            for before in plan.steps_of(|id| id.layer == Layer::Disks && (id.kind() == "bind" || id.what == STEP)) {
                step.after_step(before);
            }
            plan.add(step);
            Ok(())
        });
    }
}
