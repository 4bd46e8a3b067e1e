//! What a person asks of machines now and then, and of the nodes that they run on: to start one, to stop it, to move it, to have
//! a node without any, to boot one, to switch all off. Each is a plan of its own, with the same promises.

use stead_spec::machines::{Machine, Placement, Power};
use stead_spec::units::{MachineName, NodeName};
use stead_spec::volumes::Volume;

use super::facts::{Attributes, Membership};
use super::whereabouts::running;
use super::{cloud_init, disks, members, resources, watchdog};
use crate::inventory::{Inventory, Observation};
use crate::op::{Command, Program};
use crate::plan::planner::{Draft, Hidden, NodePlan, Planner, errand};
use crate::plan::{Asked, Plan, list};
use crate::status::{VolumeStatus, status};
use crate::step::{About, Destruction, Layer, StepId};

/// The step that shuts all machines down.
const STOP: &str = "off.machines";

/// How long the cluster may take until all is as it wants it, in seconds: an hour is the longest that any command may take.
const SETTLES: u32 = 3_540;

/// Starts a machine.
pub fn start(asked: &Asked<'_>, inventory: &Inventory, name: &MachineName) -> Plan {
    on_one(asked, inventory, name, |plan, machine, _| {
        if machine.power == Some(Power::Off) {
            let way = format!("take `power` out of [machine.{name}], or make it \"on\", and apply");
            plan.refuse(format!("the file keeps {name} off"), way);
            return Ok(());
        }
        if !running(asked.spec, inventory, name).is_empty() {
            plan.note(format!("{name} runs already"));
            return Ok(());
        }
        let mut step =
            wished(plan, &format!("start.{name}"), format!("start {name}"), About::Machine(name.to_string()))?;
        // What failed before may go now.
        step.run(resource(["--cleanup", "--resource", name.as_ref()]));
        step.run(role(name, "Started"));
        step.run(settled());
        plan.add(step);
        Ok(())
    })
}

/// Shuts a machine down; it stays off until somebody starts it.
pub fn stop(asked: &Asked<'_>, inventory: &Inventory, name: &MachineName) -> Plan {
    on_one(asked, inventory, name, |plan, machine, now| {
        if machine.power == Some(Power::On) {
            let way = format!("take `power` out of [machine.{name}], or make it \"off\", and apply");
            plan.refuse(format!("the file keeps {name} on"), way);
            return Ok(());
        }
        if now.is_off(name.as_ref()) {
            plan.note(format!("{name} is off already"));
            return Ok(());
        }
        let time = machine.stop_timeout;
        let title = format!("shut {name} down; after {time} it is switched off");
        let mut step = wished(plan, &format!("stop.{name}"), title, About::Machine(name.to_string()))?;
        step.run(role(name, "Stopped"));
        step.run(settled());
        plan.add(step);
        Ok(())
    })
}

/// Destroys a machine with its disks.
pub fn remove(asked: &Asked<'_>, inventory: &Inventory, name: &MachineName) -> Plan {
    errand(asked, inventory, |planner| {
        one(planner, name, |plan, machine, now| {
            let silent = super::runners(plan.spec)
                .find(|node| !matches!(inventory.nodes.get(&node.name), Some(Observation::Seen(_))));
            if let Some(silent) = silent {
                let way = "bring it back first, so that nothing of the machine stays there";
                plan.refuse(format!("{} doesn't answer", silent.name), way);
                return Ok(());
            }
            destroy(plan, machine, now)
        });
        // Each node's own.
        let Some(first) = planner.plan.steps.first().map(|step| step.id.clone()) else { return };
        for of in planner.nodes().into_iter().filter(|of| super::is_host(asked.spec, of.node)) {
            let mut plan = planner.on(Layer::Machines, of);
            plan.concern("what it knows of the machine", |plan| forget(plan, name, first.clone()));
        }
    })
}

/// Takes a machine out of pacemaker, and its disks off their volumes.
fn destroy(plan: &mut NodePlan<'_, '_>, machine: &Machine, now: &Membership) -> Result<(), Hidden> {
    let (spec, name) = (plan.spec, &machine.name);
    let title = format!("destroy {name} with its disks");
    let mut step = wished(plan, &format!("remove.{name}"), title, About::Machine(name.to_string()))?;
    step.run(role(name, "Stopped"));
    step.run(settled());
    let about_it = |of: &&Attributes| {
        let names = ["rsc", "with-rsc", "first", "then"];
        names.iter().any(|key| of.get(*key).is_some_and(|value| value == name.as_ref()))
    };
    for (constraint, of) in now.constraints.iter().filter(|(_, of)| about_it(of)) {
        let element = of.get("element").map_or("rsc_location", String::as_str);
        step.run(resources::without(element, constraint));
    }
    step.run(resources::without("primitive", name.as_ref()));
    let files = machine.disks.iter().filter_map(|disk| disks::file(spec, name, disk));
    let files: Vec<String> = files.chain(cloud_init::file(spec, machine)).collect();
    let on = list(&files.iter().map(String::as_str).collect::<Vec<_>>());
    let what = format!("the machine {name}, and all that is on {on}");
    step.run(Program::Rm.command().args(["-f", "--"]).args(files));
    step.destroys(Destruction { what, typed: name.to_string() });
    plan.add(step);
    Ok(())
}

/// Takes a machine's file off a node, once it was destroyed.
fn forget(plan: &mut NodePlan<'_, '_>, name: &MachineName, destroyed: StepId) -> Result<(), Hidden> {
    let Some(machine) = plan.spec.machines().get(name) else { return Ok(()) };
    let file = resources::file(machine);
    let mut step = plan.draft(&format!("forget.{name}"), format!("forget what {name} was"));
    step.why("it is gone then");
    step.rests_on(About::File(file.clone().into()))?;
    step.run(Program::Rm.command().args(["-f", "--", &file]));
    step.after_step(destroyed);
    plan.add(step);
    Ok(())
}

/// Moves a machine to another node while it runs. There it stays.
pub fn migrate(asked: &Asked<'_>, inventory: &Inventory, name: &MachineName, to: &NodeName) -> Plan {
    on_one(asked, inventory, name, |plan, machine, now| {
        let hosts: Vec<&str> = super::runners(asked.spec).map(|node| node.name.as_ref()).collect();
        let on = running(asked.spec, inventory, name);
        let refusal = if !hosts.contains(&to.as_ref()) {
            Some((format!("{to} is no node that runs machines"), format!("they run on {}", list(&hosts))))
        } else if let Placement::On(home) = &machine.placement {
            Some((
                format!("{name} stays on {home}: the file says so"),
                "take `node` out of the file, and apply".to_owned(),
            ))
        } else if now.members.get(to.as_ref()) != Some(&true) {
            Some((format!("{to} isn't there"), "`stead status` tells what is wrong with it".to_owned()))
        } else if now.drained.contains(to.as_ref()) {
            Some((format!("{to} is drained"), format!("`stead node undrain {to}` lets machines run there again")))
        } else if on.is_empty() {
            Some((format!("{name} doesn't run"), format!("`stead machine start {name}` starts it")))
        } else {
            None
        };
        if let Some((why, way)) = refusal {
            plan.refuse(why, way);
            return Ok(());
        }
        if on == [to.clone()] {
            plan.note(format!("{name} runs on {to} already"));
            return Ok(());
        }
        let title = format!("move {name} to {to} while it runs");
        let mut step = wished(plan, &format!("migrate.{name}"), title, About::Machine(name.to_string()))?;
        // One that never starts elsewhere by itself may be there, too, until it is; then only there.
        let leaves = if let Placement::Anywhere { ha: false, .. } = &machine.placement {
            now.places(name.as_ref()).collect()
        } else {
            Vec::new()
        };
        if !leaves.is_empty() {
            step.run(resources::may_run(name, to));
        }
        step.run(resource(["--move", "--resource", name.as_ref(), "--node", to.as_ref()]));
        step.run(settled());
        leaves
            .iter()
            .filter(|home| **home != to.as_ref())
            .for_each(|home| step.run(resources::may_not_run(name, home)));
        step.run(resource(["--clear", "--resource", name.as_ref()]));
        plan.add(step);
        Ok(())
    })
}

/// Has a node run no machines: those on it move to others, or stop if they can't.
pub fn drain(asked: &Asked<'_>, inventory: &Inventory, node: &NodeName) -> Plan {
    on_node(asked, inventory, node, |plan, now| {
        if now.drained.contains(node.as_ref()) {
            plan.note(format!("{node} is drained already"));
            return Ok(());
        }
        let mut step =
            wished(plan, &format!("drain.{node}"), format!("have {node} run no machines"), About::Membership)?;
        let stay = plan.spec.machines().values().filter(|machine| machine.placement == Placement::On(node.clone()));
        for machine in stay.filter(|machine| running(asked.spec, inventory, &machine.name).contains(node)) {
            step.why(format!("{} can't move, and stops", machine.name));
        }
        step.run(standby(node, "forever", &["--update", "on"]));
        step.run(settled());
        plan.add(step);
        Ok(())
    })
}

/// Lets a node run machines again. Those that left it stay where they are.
pub fn undrain(asked: &Asked<'_>, inventory: &Inventory, node: &NodeName) -> Plan {
    on_node(asked, inventory, node, |plan, now| {
        if !now.drained.contains(node.as_ref()) {
            plan.note(format!("{node} isn't drained"));
            return Ok(());
        }
        let mut step =
            wished(plan, &format!("undrain.{node}"), format!("let {node} run machines again"), About::Membership)?;
        step.run(standby(node, "forever", &["--delete"]));
        step.run(settled());
        plan.add(step);
        Ok(())
    })
}

/// Boots a node anew that has no machines.
pub fn reboot(asked: &Asked<'_>, inventory: &Inventory, node: &NodeName) -> Plan {
    goes(asked, inventory, node, &format!("reboot.{node}"), format!("boot {node} anew"), soon("reboot"))
}

/// Stops feeding the watchdog of a node that has no machines: it resets the node, or it is good for nothing.
pub fn test_watchdog(asked: &Asked<'_>, inventory: &Inventory, node: &NodeName) -> Plan {
    // It is what happens to a node that has lost the others.
    let starves = Program::Systemctl.command().args(["kill", "--signal=STOP", members::SBD]);
    let title = format!("stop feeding {node}'s watchdog, which is to reset it");
    goes(asked, inventory, node, &format!("watchdog.{node}"), title, starves)
}

/// Notes that a node's watchdog was seen to reset it.
pub fn trust_watchdog(asked: &Asked<'_>, inventory: &Inventory, node: &NodeName) -> Plan {
    let of = inventory.seen().find(|(name, _)| *name == node);
    on_node(asked, inventory, node, |plan, _| {
        let (_, seen) = of.ok_or_else(|| Hidden::new("its watchdog", "it doesn't answer"))?;
        let identity = watchdog::identity(seen)?;
        let mut step = plan.draft(&format!("trust.{node}"), format!("note that {node}'s watchdog fires"));
        step.why("it was seen to");
        step.rests_on(About::Membership)?;
        step.run(attribute(node, members::TESTED, "forever", &["--update", identity]));
        plan.add(step);
        Ok(())
    })
}

/// A node without machines goes, and is to come back.
fn goes(
    asked: &Asked<'_>,
    inventory: &Inventory,
    node: &NodeName,
    step: &str,
    title: String,
    command: Command,
) -> Plan {
    errand(asked, inventory, |planner| {
        let Some(of) = planner.nodes().into_iter().find(|of| of.node.name == *node) else {
            planner.refuse(format!("{node} doesn't answer, or isn't in the file"), "`stead status` tells more");
            return;
        };
        if let Some(volume) = behind(asked, inventory) {
            let way = "wait until `stead status` says that all its bricks are served, and nothing is behind";
            planner.refuse(format!("{volume} can't spare a node now: copies are missing or behind"), way);
            return;
        }
        let mut plan = planner.on(Layer::Machines, of);
        plan.concern(&title.clone(), |plan| {
            let on = plan.seen.hypervisor.running.as_result().map_err(|why| Hidden::new("its machines", why))?;
            if let Some(machine) = on.keys().next() {
                plan.refuse(format!("{node} has the machine {machine}"), format!("`stead node drain {node}` moves it"));
                return Ok(());
            }
            let mut step = wished(plan, step, title, About::Hostname)?;
            step.run(command);
            plan.add(step);
            Ok(())
        });
    })
}

/// Shuts all machines down, in their order, and then all nodes. When they are on again, machines start.
pub fn off(asked: &Asked<'_>, inventory: &Inventory) -> Plan {
    errand(asked, inventory, |planner| {
        let spec = planner.spec;
        let answer: Vec<_> = planner.nodes();
        let members: Vec<_> = answer.iter().filter(|of| members::is_member(spec, of.node)).copied().collect();
        let leader = members::leader(&members).filter(|of| matches!(members::membership(of.seen), Ok(Some(_))));
        if let Some(leader) = leader {
            let mut plan = planner.on(Layer::Machines, leader);
            plan.concern("all machines", |plan| {
                let mut step = wished(
                    plan,
                    STOP,
                    "shut all machines down, those first that others were started before",
                    About::Membership,
                )?;
                step.run(stop_all("true"));
                step.run(settled());
                for host in super::runners(spec) {
                    // Until they boot: then machines start again.
                    step.run(standby(&host.name, "reboot", &["--update", "on"]));
                }
                step.run(stop_all("false"));
                plan.add(step);
                Ok(())
            });
        }
        for of in answer {
            let mut plan = planner.on(Layer::Machines, of);
            let node = &of.node.name;
            plan.concern(&format!("switching {node} off"), |plan| {
                let mut step = wished(plan, &format!("off.{node}"), format!("switch {node} off"), About::Hostname)?;
                step.run(soon("poweroff"));
                if let Some(leader) = leader {
                    step.after_on(leader.node.name.clone(), STOP);
                }
                plan.add(step);
                Ok(())
            });
        }
    })
}

/// A volume that hasn't all its copies, or of which some are behind: with a node less, it might stop.
fn behind(asked: &Asked<'_>, inventory: &Inventory) -> Option<String> {
    let volumes = status(asked.spec, inventory).volumes;
    let lacks = |volume: &VolumeStatus| volume.exists && (volume.served < volume.bricks || volume.pending > 0);
    let shared = |volume: &VolumeStatus| asked.spec.volumes().get(&volume.name).is_some_and(Volume::is_shared);
    volumes.iter().find(|volume| shared(volume) && lacks(volume)).map(|volume| volume.name.to_string())
}

/// A step that somebody asked for, right only as long as this is so.
fn wished<'a>(
    plan: &NodePlan<'_, 'a>,
    what: &str,
    title: impl Into<String>,
    about: About,
) -> Result<Draft<'a>, Hidden> {
    let mut step = plan.draft(what, title);
    step.why("somebody asked for it");
    step.rests_on(about)?;
    Ok(step)
}

/// A little later, so that who asked for it is told first.
fn soon(what: &str) -> Command {
    Program::SystemdRun.command().args(["--collect", "--on-active=3", "systemctl", what])
}

fn resource<const N: usize>(words: [&str; N]) -> Command {
    Program::CrmResource.command().args(words)
}

fn role(name: &MachineName, role: &str) -> Command {
    let words = ["--meta", "--set-parameter", "target-role", "--parameter-value", role];
    resource(["--resource", name.as_ref()]).args(words)
}

/// Waits until pacemaker has nothing more to do.
fn settled() -> Command {
    resource(["--wait", "--timeout"]).args([SETTLES.to_string()]).timeout(SETTLES + 60)
}

/// Has all machines stop at once, or not: of nodes that stop one after the other, each would hand its own to the next.
fn stop_all(all: &str) -> Command {
    let words = ["--type", "crm_config", "--name", members::STOPS_ALL, "--update", all];
    Program::CrmAttribute.command().args(words)
}

/// `lifetime` is `forever`, or until its next `reboot`.
fn standby(node: &NodeName, lifetime: &str, words: &[&str]) -> Command {
    attribute(node, "standby", lifetime, words)
}

fn attribute(node: &NodeName, name: &str, lifetime: &str, words: &[&str]) -> Command {
    let which = ["--node", node.as_ref(), "--name", name, "--lifetime", lifetime];
    Program::CrmAttribute.command().args(which).args(words.iter().copied())
}

/// A plan about one machine, by a node that knows of it.
fn on_one(
    asked: &Asked<'_>,
    inventory: &Inventory,
    name: &MachineName,
    concern: impl FnOnce(&mut NodePlan<'_, '_>, &Machine, &Membership) -> Result<(), Hidden>,
) -> Plan {
    errand(asked, inventory, |planner| one(planner, name, concern))
}

/// As [`on_one`], as a part of a plan.
fn one(
    planner: &mut Planner<'_>,
    name: &MachineName,
    concern: impl FnOnce(&mut NodePlan<'_, '_>, &Machine, &Membership) -> Result<(), Hidden>,
) {
    let machines = planner.spec.machines();
    let Some(machine) = machines.get(name) else {
        let all: Vec<&str> = machines.keys().map(AsRef::as_ref).collect();
        let way = if all.is_empty() { "it has none".to_owned() } else { format!("it has {}", list(&all)) };
        planner.refuse(format!("the file has no machine {name}"), way);
        return;
    };
    by_leader(planner, &format!("the machine {name}"), |plan, now| {
        let is = now.resources.get(name.as_ref());
        if !is.is_some_and(resources::is_own) {
            plan.refuse(format!("there is no machine {name} yet"), "`stead apply` makes it");
            return Ok(());
        }
        concern(plan, machine, now)
    });
}

/// A plan about one node's machines.
fn on_node(
    asked: &Asked<'_>,
    inventory: &Inventory,
    node: &NodeName,
    concern: impl FnOnce(&mut NodePlan<'_, '_>, &Membership) -> Result<(), Hidden>,
) -> Plan {
    errand(asked, inventory, |planner| {
        let hosts: Vec<&str> = super::runners(asked.spec).map(|node| node.name.as_ref()).collect();
        if hosts.contains(&node.as_ref()) {
            by_leader(planner, &format!("{node}'s machines"), concern);
        } else {
            let way = if hosts.is_empty() { "none does".to_owned() } else { format!("these do: {}", list(&hosts)) };
            planner.refuse(format!("{node} is no node that runs machines"), way);
        }
    })
}

fn by_leader(
    planner: &mut Planner<'_>,
    what: &str,
    concern: impl FnOnce(&mut NodePlan<'_, '_>, &Membership) -> Result<(), Hidden>,
) {
    let spec = planner.spec;
    let all: Vec<_> = planner.nodes().into_iter().filter(|of| members::is_member(spec, of.node)).collect();
    let Some(leader) = members::leader(&all) else {
        planner.refuse("no node that decides where machines run answers", "`stead status` tells what is wrong");
        return;
    };
    let mut plan = planner.on(Layer::Machines, leader);
    plan.concern(what, |plan| match members::membership(plan.seen)? {
        Some(now) if now.quorate => concern(plan, now),
        Some(_) => {
            plan.refuse("most nodes are missing", "bring them back: `stead status` tells which");
            Ok(())
        }
        None => {
            plan.refuse("pacemaker runs nowhere yet", "`stead apply` starts it");
            Ok(())
        }
    });
}
