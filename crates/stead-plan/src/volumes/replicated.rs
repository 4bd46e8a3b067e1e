//! A replicated volume: made, set, and started, by one node for all.

use std::collections::BTreeSet;

use stead_spec::Spec;
use stead_spec::units::{NodeName, Suite};
use stead_spec::volumes::{Content, Volume};

use super::empty_bricks::{hold_nothing, made_anew, step_of, there};
use super::facts::{Knows, Replicated};
use super::layout::{Share, members, sets};
use super::{daemon, gluster, options};
use crate::op::Program;
use crate::plan::planner::{Hidden, NodePlan, Planned, Planner};
use crate::step::{About, Layer, StepId};

/// To create it, all nodes have to agree, one after the other.
const TIMEOUT: u32 = 300;

/// The step that makes a volume, or rights it.
pub(super) fn step(volume: &Volume) -> String {
    format!("volume.{}", volume.name)
}

pub(super) fn volume(
    plan: &mut NodePlan<'_, '_>,
    volume: &Volume,
    members: &[Planned<'_>],
    knows: &Knows,
) -> Result<(), Hidden> {
    let sets = match sets(plan.spec, volume) {
        Ok(sets) => sets,
        Err(why) => {
            let way = "give its disks to volumes with `layout = \"plain\"`";
            plan.refuse(format!("volume {}: {why}", volume.name), way);
            return Ok(());
        }
    };
    let bricks: Vec<Share<'_>> = sets.iter().flatten().cloned().collect();
    let mut step = plan.draft(&step(volume), format!("volume {}", volume.name));
    let name = volume.name.as_ref();
    let now = knows.volumes.get(name);
    match now {
        None => {
            for brick in &bricks {
                if !is_vacant(plan, brick, members)? {
                    return Ok(());
                }
                step.after_step(brick_made(brick));
            }
            step.why("there is none");
            step.run(create(volume, &sets));
        }
        Some(now) if !is_same(plan, volume, now, &sets) => return Ok(()),
        Some(_) => {}
    }
    let set = now.map(|now| now.options.clone()).unwrap_or_default();
    let asked = options::asked(plan.spec);
    let mut words = vec!["volume".to_owned(), "set".to_owned(), name.to_owned()];
    for (option, value) in asked.iter().filter(|(option, value)| set.get(*option) != Some(value)) {
        if now.is_some() {
            let is = set.get(option).map_or("not set", String::as_str);
            step.why(format!("{option} is {is}, and should be {value}"));
        }
        words.extend([option.clone(), value.clone()]);
    }
    if words.len() > 3 {
        step.run(gluster(words).timeout(TIMEOUT));
    }
    // A later release doesn't know it, and drops it from its own record of the volume when it starts.
    if all_old(plan.spec, members) && (now.is_none() || set.contains_key(OLD_OPTION)) {
        if now.is_some() {
            step.why(format!("{OLD_OPTION} is set, which nodes of a later Debian couldn't agree on"));
        }
        step.run(gluster(["volume", "reset", name, OLD_OPTION]).timeout(TIMEOUT));
    }
    let is_other = |option: &str| !asked.contains_key(option) && !options::ITS_OWN.contains(&option);
    let other = set.iter().filter(|(option, _)| is_other(option));
    let other: Vec<String> = other.map(|(option, value)| format!("{option} = {value}")).collect();
    if !other.is_empty() {
        plan.note(format!(
            "volume {name} has options that stead doesn't know: {}; `gluster volume reset {name} OPTION` takes one away",
            other.join(", ")
        ));
    }
    if !now.is_some_and(|now| now.started) {
        if now.is_some() {
            step.why("it is stopped");
        }
        // A cut may have taken from a new brick the sign that it is one, and nothing else is in any.
        let force = hold_nothing(&bricks, members).then_some("force");
        step.run(gluster(["volume", "start", name].into_iter().chain(force)).timeout(TIMEOUT));
    } else if let Some(brick) = now.and_then(|now| made_anew(&bricks, members, now)) {
        let new = format!("{}'s {}", brick.node.name, brick.folder());
        let (volume, brick) = (name, brick.address());
        plan.note(format!(
            "{new} is empty, and was a brick of volume {name}: to fill it from the others, `gluster volume reset-brick \
             {volume} {brick} start`, then `gluster volume reset-brick {volume} {brick} {brick} commit force`"
        ));
    } else if let Some(why) = not_served(&bricks, members) {
        step.why(why);
        step.run(gluster(["volume", "start", name, "force"]).timeout(TIMEOUT));
    }
    for brick in &bricks {
        step.after_step(step_of(brick));
    }
    step.rests_on(About::Volume(name.to_owned()))?;
    step.after(super::POOL);
    for member in members {
        step.after_step(daemon::step_of(&member.node.name));
    }
    plan.add(step);
    Ok(())
}

/// An option that gluster 10 sets on a volume by itself, in its own record alone, and gluster 11 doesn't know. Daemons whose
/// records differ reject each other once one of them restarts ("Version of Cksums gv0 differ"), and no command of gluster's
/// takes it away where both releases are in the pool ("Staging failed … does not exist").
const OLD_OPTION: &str = "nfs.disable";

/// Whether a node's gluster is of release 10.
fn is_old(member: &Planned<'_>) -> bool {
    member.suite == Suite::Bookworm
}

/// Whether the whole pool's is; a node that didn't answer may be of any.
fn all_old(spec: &Spec, planned: &[Planned<'_>]) -> bool {
    planned.len() == members(spec).len() && planned.iter().all(is_old)
}

/// Has all daemons of a pool of both releases write down the same of a volume, node by node.
pub(super) fn records<'a>(planner: &mut Planner<'a>, volume: &Volume, members: &[Planned<'a>], leader: &Planned<'a>) {
    if all_old(planner.spec, members) {
        return;
    }
    let mut before = None;
    for member in members.iter().filter(|member| is_old(member)) {
        let mut node = planner.on(Layer::Volumes, *member);
        let concern = format!("its record of {}", volume.name);
        node.concern(&concern, |node| record(node, volume, members, leader, before.take()));
        before = Some(record_of(&member.node.name, volume));
    }
}

/// The step of the leader that makes a volume, or rights it.
fn made_by(leader: &NodeName, volume: &Volume) -> StepId {
    StepId { layer: Layer::Volumes, node: leader.clone(), what: step(volume) }
}

fn record_of(node: &NodeName, volume: &Volume) -> StepId {
    StepId { layer: Layer::Volumes, node: node.clone(), what: format!("record.{}", volume.name) }
}

fn record(
    plan: &mut NodePlan<'_, '_>,
    volume: &Volume,
    members: &[Planned<'_>],
    leader: &Planned<'_>,
    before: Option<StepId>,
) -> Result<(), Hidden> {
    let name = volume.name.as_ref();
    let made = made_by(&leader.node.name, volume);
    let is_made = leader.seen.storage.knows().is_none_or(|knows| !knows.volumes.contains_key(name)) && plan.has(&made);
    if !is_made && plan.seen.storage.option(name, OLD_OPTION).is_none() {
        return Ok(());
    }
    let id = record_of(&plan.node.name, volume);
    let mut step = plan.draft(&id.what, format!("have {name} written down as on a later Debian"));
    step.why(format!("{OLD_OPTION} is set here alone, and daemons that know different things reject each other"));
    let file = format!("/var/lib/glusterd/vols/{name}/info");
    step.run(Program::Sed.command().args(["--in-place", &format!("/^{OLD_OPTION}=/d"), &file]));
    // Bricks go on meanwhile.
    step.run(Program::Systemctl.command().args(["restart", daemon::UNIT]).timeout(TIMEOUT));
    step.rests_on(About::Volume(name.to_owned()))?;
    step.after_step(made);
    // No two daemons are restarted at once.
    for member in members {
        step.after_step(daemon::step_of(&member.node.name));
    }
    if let Some(before) = before {
        step.after_step(before);
    }
    plan.add(step);
    Ok(())
}

/// The steps of all nodes after which a volume is what it should be.
pub(super) fn made(volume: &Volume, leader: &NodeName, spec: &Spec) -> Vec<StepId> {
    let records = members(spec).into_iter().map(|node| record_of(&node.name, volume));
    std::iter::once(made_by(leader, volume)).chain(records).collect()
}

/// Whether a brick can become one of a new volume: there is nothing in it, or it is made in this plan.
fn is_vacant(plan: &mut NodePlan<'_, '_>, brick: &Share<'_>, members: &[Planned<'_>]) -> Result<bool, Hidden> {
    let (node, folder) = (&brick.node.name, brick.folder());
    let member = members.iter().find(|member| member.node.name == *node);
    let member = member.ok_or_else(|| Hidden::new(format!("{node}'s bricks"), "the node didn't answer"))?;
    match super::brick(member.seen, brick)? {
        Some(there) if there.empty => Ok(true),
        Some(_) => {
            let why =
                format!("{node} has something in {folder}, and there is no volume {} it belongs to", brick.volume.name);
            let way = "look what it is, and move it out of that folder, with `.glusterfs` in it";
            plan.refuse(why, way);
            Ok(false)
        }
        None => {
            let what = || Hidden::new(format!("the brick on {}", brick.data.id), "it isn't mounted");
            if plan.has(&brick_made(brick)) { Ok(true) } else { Err(what()) }
        }
    }
}

/// The step that makes a brick.
fn brick_made(brick: &Share<'_>) -> StepId {
    StepId { layer: Layer::Volumes, node: brick.node.name.clone(), what: brick.step() }
}

fn create(volume: &Volume, sets: &[Vec<Share<'_>>]) -> crate::op::Command {
    let replicas = sets.first().map(Vec::len).unwrap_or_default().to_string();
    let mut words = vec!["volume", "create", volume.name.as_ref(), "replica", &replicas];
    if has_arbiters(volume) {
        words.extend(["arbiter", "1"]);
    }
    words.extend(["transport", "tcp"]);
    let bricks: Vec<String> = sets.iter().flatten().map(Share::address).collect();
    // A creation that was cut leaves its sign on bricks; that there is nothing else in them was looked at.
    gluster(words.into_iter().map(str::to_owned).chain(bricks).chain(["force".to_owned()])).timeout(TIMEOUT)
}

fn has_arbiters(volume: &Volume) -> bool {
    matches!(&volume.content, Content::Replicated { arbiters, .. } if !arbiters.is_empty())
}

/// Whether what there is is what the file asks for; if not, it is refused.
fn is_same(plan: &mut NodePlan<'_, '_>, volume: &Volume, now: &Replicated, sets: &[Vec<Share<'_>>]) -> bool {
    let asked: Vec<String> = sets.iter().flatten().map(Share::address).collect();
    let (is, should): (BTreeSet<&String>, BTreeSet<&String>) = (now.bricks.iter().collect(), asked.iter().collect());
    let cluster = plan.spec.cluster().id.to_string();
    let whose = now.options.get(options::MARK);
    let name = &volume.name;
    if whose.is_some_and(|whose| *whose != cluster) || (whose.is_none() && is.is_disjoint(&should)) {
        let whose = whose.map_or("somebody else".to_owned(), |whose| format!("the cluster {whose}"));
        let way = format!("give the volume another name, or `gluster volume delete {name}` once nobody needs it");
        plan.refuse(format!("there is a volume {name} of {whose}"), way);
        return false;
    }
    if is != should {
        let more: Vec<&str> = should.difference(&is).map(|brick| brick.as_str()).collect();
        let less: Vec<&str> = is.difference(&should).map(|brick| brick.as_str()).collect();
        let mut why = format!("volume {name} lies on other disks than the file says");
        for (what, bricks) in [("not in it yet", more), ("not in the file", less)] {
            if !bricks.is_empty() {
                why = format!("{why}; {what}: {}", bricks.join(", "));
            }
        }
        plan.refuse(why, "write the disks that it has: a volume can't change its disks yet");
        return false;
    }
    let replicas = sets.first().map(Vec::len).unwrap_or_default();
    if usize::try_from(now.replicas) != Ok(replicas) || (now.arbiters > 0) != has_arbiters(volume) {
        let why = format!("volume {name} has sets of {} bricks, {} of them arbiters", now.replicas, now.arbiters);
        plan.refuse(why, "write `replicas` as it is: the number of copies can't be changed in place");
        return false;
    }
    true
}

/// Which bricks should run and don't.
fn not_served(bricks: &[Share<'_>], members: &[Planned<'_>]) -> Option<String> {
    let is_off = |brick: &&Share<'_>| there(brick, members).is_some_and(|there| !there.served);
    let off: Vec<String> = bricks.iter().filter(is_off).map(Share::address).collect();
    if off.is_empty() { None } else { Some(format!("nobody serves {}", off.join(", "))) }
}
