//! Backups of headers: without its header, a disk opens with no key. The newest is kept on two other nodes, in their
//! vaults; an older one would bring taken keys back to life.

use std::collections::BTreeSet;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::{NodeName, Number};

use super::facts::{HeaderState, Luks};
use super::{DataDisk, RECOVERY, disk, luks, vault};
use crate::inventory::Questions;
use crate::op::{Argument, Op, OutputKind, OutputRef, Program};
use crate::plan::planner::{Hidden, NodePlan, Planned, Planner};
use crate::step::{About, Layer, StepId};

/// Where they lie: `NUMBER-NAME.luks`, the node's number and the disk's name.
pub const FOLDER: &str = "/var/lib/stead/vault/headers";

/// In memory: where a header is on its way to other nodes.
const ON_ITS_WAY: &str = "/run";

/// How many other nodes keep one.
const COPIES: usize = 2;

const TIMEOUT: u32 = 60;

pub(super) fn questions(out: &mut Questions) {
    out.headers = true;
}

/// Where the backup of a disk's header lies on other nodes.
pub(super) fn path(node: Number, name: &str) -> String {
    format!("{FOLDER}/{}", file(node, name))
}

fn file(node: Number, name: &str) -> String {
    format!("{}-{name}.luks", node.get())
}

/// The nodes that keep the headers of this one's disks: those that follow it by number, round and round.
fn keepers<'s>(spec: &'s Spec, node: &Node) -> Vec<&'s NodeName> {
    let mut others: Vec<&Node> =
        spec.trusted_nodes().filter(|other| other.name != node.name && !other.disks.is_empty()).collect();
    others.sort_by_key(|other| (other.number <= node.number, other.number));
    others.into_iter().take(COPIES).map(|other| &other.name).collect()
}

pub(super) fn plan(planner: &mut Planner<'_>) {
    let (spec, nodes) = (planner.spec, planner.nodes());
    for &of in &nodes {
        for data in DataDisk::all(spec.cluster().id, of.node) {
            let mut wanting = Vec::new();
            for keeper in keepers(spec, of.node) {
                let Some(&keeper) = nodes.iter().find(|other| other.node.name == *keeper) else { continue };
                let mut node = planner.on(Layer::Disks, keeper);
                node.concern(&format!("the backup of {}'s header", data.id), |plan| {
                    if wants(plan, of, &data)? {
                        wanting.push(keeper);
                    }
                    Ok(())
                });
            }
            if !wanting.is_empty() {
                back_up(planner, of, &data, &wanting);
            }
        }
    }
    for &of in &nodes {
        let mut node = planner.on(Layer::Disks, of);
        node.concern("backups of headers that nobody wants", |plan| left(plan));
    }
}

/// Backups that it isn't to keep any more: of disks that the file leaves out, or that others keep now.
fn left(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    if !vault::is_mounted(plan.seen) {
        return Ok(());
    }
    let kept = plan.seen.headers.as_result().map_err(|why| Hidden::new("the headers that it keeps", why))?;
    let (spec, own) = (plan.spec, &plan.node.name);
    let keeps = spec.trusted_nodes().filter(|other| keepers(spec, other).contains(&own));
    let wanted: BTreeSet<String> = keeps
        .flat_map(|other| {
            DataDisk::all(spec.cluster().id, other).into_iter().map(|data| file(other.number, &data.name))
        })
        .collect();
    for name in kept.keys().filter(|name| !wanted.contains(*name)) {
        plan.leftover(format!("an old backup of a header: {name}"), format!("rm {FOLDER}/{name}"));
    }
    Ok(())
}

/// Whether a keeper has another state of a header than the one there is, or will be.
fn wants(plan: &NodePlan<'_, '_>, of: Planned<'_>, data: &DataDisk<'_>) -> Result<bool, Hidden> {
    let step = |what: &str| StepId { layer: Layer::Disks, node: of.node.name.clone(), what: data.step(what) };
    let formats = plan.has(&step("format"));
    let changes = formats || plan.has(&step("bind"));
    // What isn't there, or refused, has no header to be kept.
    let Ok(seen) = disk(of.seen, data.id) else { return Ok(false) };
    let state = match luks(seen)? {
        Some(luks) if is_whole(luks, data) => Some(&luks.state),
        Some(luks) if changes && luks.keyslots.contains(&RECOVERY) => None,
        _ if formats => None,
        _ => return Ok(false),
    };
    if !vault::is_open(plan) {
        return Err(Hidden::new("its vault", "it is closed"));
    }
    let kept = plan.seen.headers.as_result().map_err(|why| Hidden::new("the headers that it keeps", why))?;
    let kept: Option<&HeaderState> = kept.get(&file(of.node.number, &data.name));
    Ok(changes || kept != state)
}

/// Whether a header is worth keeping: a backup of one that has lost its keys would take the place of a good one.
fn is_whole(luks: &Luks, data: &DataDisk<'_>) -> bool {
    luks.state.uuid == data.uuid.to_string() && luks.keyslots.contains(&RECOVERY) && !luks.bindings.is_empty()
}

fn back_up<'a>(planner: &mut Planner<'a>, of: Planned<'a>, data: &DataDisk<'_>, keepers: &[Planned<'a>]) {
    let take = data.step("header");
    let mut taken = false;
    let mut node = planner.on(Layer::Disks, of);
    node.concern(&format!("a backup of {}'s header", data.id), |plan| {
        let mut step = plan.draft(&take, format!("copy the header of {}", data.title()));
        step.why("without it, no key opens the disk");
        step.rests_on(About::Disk(data.id.clone()))?;
        let path = format!("{ON_ITS_WAY}/{}.luks", data.name);
        // What an earlier one left that was cut: cryptsetup overwrites nothing.
        step.run(Program::Rm.command().args(["-f", "--", &path]));
        let backup = ["luksHeaderBackup", &data.id.path(), "--header-backup-file", &path];
        step.run(Program::Cryptsetup.command().args(backup).timeout(TIMEOUT));
        step.op(Op::Take { path: path.into(), output: OutputKind::Header });
        for before in ["format", "bind"] {
            step.after(&data.step(before));
        }
        for keeper in keepers {
            step.after_on(keeper.node.name.clone(), vault::STEP);
        }
        plan.add(step);
        taken = true;
        Ok(())
    });
    if !taken {
        return;
    }
    let source = StepId { layer: Layer::Disks, node: of.node.name.clone(), what: take };
    for &keeper in keepers {
        let mut node = planner.on(Layer::Disks, keeper);
        node.concern(&format!("the backup of {}'s header", data.id), |plan| {
            let what = format!("header-of.{}.{}", of.node.number.get(), data.name);
            let mut step = plan.draft(&what, format!("keep the header of {}'s {}", of.node.name, data.id));
            step.why("it has none of it, or an older one");
            step.rests_on(About::Header(file(of.node.number, &data.name)))?;
            let content = Argument::Output(OutputRef { step: source.clone(), kind: OutputKind::Header });
            step.op(Op::Place { path: path(of.node.number, &data.name).into(), content });
            step.after_step(source.clone());
            step.after(vault::STEP);
            plan.add(step);
            Ok(())
        });
    }
}
