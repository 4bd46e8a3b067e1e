//! Machines as pacemaker takes them: what starts, stops and moves each, and on which nodes.
//!
//! ```text
//! NAME                  stead's agent, by the machine's file, which is the same on every node
//! stead.NAME.on.NODE    a node that it may run on, and how much rather than on others
//! stead.NAME.after.X    X is started first, if both are to be
//! stead.NAME.apart.X    never on the same node as X
//! ```
//!
//! Whether a machine is on (`target-role`), and where one is at home that is never started elsewhere, is what people do: it
//! stays as it is found.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::machines::{Disk, Machine, Placement, Power};
use stead_spec::units::{MachineName, NodeName};
use stead_spec::volumes::Volume;

use super::facts::{Attributes, Membership};
use super::{agent, disks, hypervisor, members, migration};
use crate::MARK;
use crate::op::{Command, Filled, Program};
use crate::plan::planner::{Draft, Hidden, NodePlan, Planned};
use crate::step::About;

/// A better node: so much per place in `prefer`.
const PREFERENCE: usize = 100;

/// A machine stays where it is, though a better node comes back: whoever wants it there moves it.
const STAYS: u32 = 100_000;

/// How long a machine may take to start, in seconds; times the patience.
const START: u64 = 120;
/// How long its memory may take to another node.
const MOVE: u64 = 1_800;
/// How often it is looked at, and how long that may take.
const LOOK: (u64, u64) = (10, 60);

/// How long pacemaker may take to agree, in seconds.
const AGREES: u32 = 120;

/// Where a machine's file lies, on each node that may run it.
pub(super) fn file(machine: &Machine) -> String {
    format!("/etc/stead/machines/{}.xml", machine.name)
}

/// The step that writes it.
pub(super) fn definition_step(machine: &Machine) -> String {
    format!("definition.{}", machine.name)
}

fn step(machine: &MachineName) -> String {
    format!("machine.{machine}")
}

/// The nodes that a machine may be started on without anybody's saying so, and how much each is preferred.
pub(super) fn places(spec: &Spec, machine: &Machine, now: Option<&Membership>) -> BTreeMap<NodeName, usize> {
    let all: Vec<&Node> = super::runners(spec).collect();
    match &machine.placement {
        Placement::On(node) => [(node.clone(), 0)].into(),
        Placement::Anywhere { prefer, ha } => {
            let rank = |node: &Node| {
                let place = prefer.iter().position(|better| *better == node.name);
                place.map_or(0, |place| PREFERENCE * (prefer.len() - place))
            };
            let ranked: BTreeMap<_, _> = all.iter().map(|node| (node.name.clone(), rank(node))).collect();
            if *ha {
                return ranked;
            }
            let name = machine.name.as_ref();
            let is_home =
                |node: &&NodeName| now.is_some_and(|now| now.places(name).any(|place| place == node.as_ref()));
            let best = ranked.iter().max_by_key(|(name, rank)| (**rank, std::cmp::Reverse((*name).clone())));
            // Of several, none is its home: it was one that any of them may start.
            let mut homes = ranked.keys().filter(is_home);
            let home = homes.next().filter(|_| homes.next().is_none()).or(best.map(|(name, _)| name));
            home.map(|home| (home.clone(), 0)).into_iter().collect()
        }
    }
}

fn attributes<const N: usize>(of: [(&str, String); N]) -> Attributes {
    of.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The machine itself.
fn resource(spec: &Spec, machine: &Machine) -> Attributes {
    let patience = u64::from(spec.host().patience.get());
    let seconds = |seconds: u64| format!("{}s", seconds * patience);
    let is_shared = |disk: &Disk| spec.volumes().get(&disk.volume).is_some_and(Volume::is_shared);
    let moves = machine.disks.iter().all(is_shared);
    let (every, look) = LOOK;
    let mut all = attributes([
        ("class", "ocf".to_owned()),
        ("provider", agent::PROVIDER.to_owned()),
        ("type", agent::NAME.to_owned()),
        ("description", MARK.to_owned()),
        ("meta.allow-migrate", moves.to_string()),
        ("meta.failure-timeout", "2min".to_owned()),
        ("meta.priority", machine.priority.get().to_string()),
        ("meta.resource-stickiness", STAYS.to_string()),
        ("op.migrate_from.timeout", seconds(MOVE)),
        ("op.migrate_to.timeout", seconds(MOVE)),
        ("op.monitor.interval", format!("{}s", every * patience)),
        ("op.monitor.timeout", seconds(look)),
        ("op.start.timeout", seconds(START)),
        ("op.stop.timeout", format!("{}s", machine.stop_timeout.seconds() + agent::SPARE * patience)),
    ]);
    if let Some(power) = &machine.power {
        let role = match power {
            Power::On => "Started",
            Power::Off => "Stopped",
        };
        all.insert("meta.target-role".to_owned(), role.to_owned());
    }
    all
}

/// That a machine may run on a node, and how much that is preferred.
fn place(name: &MachineName, node: &NodeName, rank: usize) -> (String, Attributes) {
    let place = attributes([
        ("element", "rsc_location".to_owned()),
        ("rsc", name.to_string()),
        ("node", node.to_string()),
        ("score", rank.to_string()),
        // Nowhere else, and nobody looks elsewhere: an arbiter has no libvirt to ask.
        ("resource-discovery", "exclusive".to_owned()),
    ]);
    (format!("stead.{name}.on.{node}"), place)
}

/// Lets a machine run on one more node.
pub(super) fn may_run(name: &MachineName, node: &NodeName) -> Command {
    let (id, place) = place(name, node, 0);
    let text = format!("<cib><configuration><constraints>{}</constraints></configuration></cib>", element(&id, &place));
    let tells = Program::Cibadmin.command().args(["--modify", "--allow-create", "--xml-pipe"]);
    tells.reads(Filled { text, ..Filled::default() }).again(AGREES)
}

/// Has it never run there again.
pub(super) fn may_not_run(name: &MachineName, node: &str) -> Command {
    without("rsc_location", &format!("stead.{name}.on.{node}"))
}

/// Takes out what has this name.
pub(super) fn without(element: &str, name: &str) -> Command {
    let delete = format!("<{element} id=\"{name}\"/>");
    Program::Cibadmin.command().args(["--delete", "--xml-text", &delete]).again(AGREES)
}

/// What is to be said of a machine by itself, by name.
fn wanted(spec: &Spec, machine: &Machine, now: Option<&Membership>) -> BTreeMap<String, Attributes> {
    let name = &machine.name;
    let mut wanted = BTreeMap::from([(name.to_string(), resource(spec, machine))]);
    for (node, rank) in places(spec, machine, now) {
        let (id, place) = place(name, &node, rank);
        wanted.insert(id, place);
    }
    wanted
}

/// What is to be said among each other of those machines that pacemaker has, by name.
fn wanted_order(spec: &Spec, has: impl Fn(&MachineName) -> bool) -> BTreeMap<String, Attributes> {
    let mut wanted = BTreeMap::new();
    for (name, machine) in spec.machines().iter().filter(|(name, _)| has(name)) {
        for other in machine.after.iter().filter(|other| has(other)) {
            let order = attributes([
                ("element", "rsc_order".to_owned()),
                ("first", other.to_string()),
                ("then", name.to_string()),
                ("kind", "Optional".to_owned()),
                ("symmetrical", "false".to_owned()),
            ]);
            wanted.insert(format!("stead.{name}.after.{other}"), order);
        }
        // Both sides say so; once is enough.
        for other in machine.apart_from.iter().filter(|other| *other > name && has(other)) {
            let apart = attributes([
                ("element", "rsc_colocation".to_owned()),
                ("rsc", name.to_string()),
                ("with-rsc", other.to_string()),
                ("score", "-INFINITY".to_owned()),
            ]);
            wanted.insert(format!("stead.{name}.apart.{other}"), apart);
        }
    }
    wanted
}

/// As pacemaker takes it: an element, its own attributes, and sets of others in it.
fn element(name: &str, of: &Attributes) -> String {
    let Some(element) = of.get("element") else { return primitive(name, of) };
    let own = own(of.iter().filter(|(key, _)| *key != "element").map(|(key, value)| (key.as_str(), value)));
    format!("<{element} id=\"{name}\"{own}/>")
}

/// Attributes in an element's head.
fn own<'a>(attributes: impl Iterator<Item = (&'a str, &'a String)>) -> String {
    attributes.fold(String::new(), |mut text, (key, value)| {
        let _ = write!(text, " {key}=\"{value}\"");
        text
    })
}

fn primitive(name: &str, of: &Attributes) -> String {
    let within = |prefix: &'static str| {
        of.iter().filter_map(move |(key, value)| Some((key.strip_prefix(prefix)?.strip_prefix('.')?, value)))
    };
    let plain = of.iter().filter(|(key, _)| !key.contains('.')).map(|(key, value)| (key.as_str(), value));
    let mut text = format!("<primitive id=\"{name}\"{}>", own(plain));
    let set = format!("{name}-meta_attributes");
    let _ = write!(text, "<meta_attributes id=\"{set}\">");
    for (key, value) in within("meta") {
        let _ = write!(text, "<nvpair id=\"{set}-{key}\" name=\"{key}\" value=\"{value}\"/>");
    }
    text.push_str("</meta_attributes>");
    let mut operations: BTreeMap<&str, Vec<(&str, &String)>> = BTreeMap::new();
    for (operation, key, value) in within("op").filter_map(|(key, value)| {
        let (operation, key) = key.split_once('.')?;
        Some((operation, key, value))
    }) {
        operations.entry(operation).or_default().push((key, value));
    }
    text.push_str("<operations>");
    for (operation, attributes) in operations {
        let interval = if attributes.iter().any(|(key, _)| *key == "interval") { "" } else { " interval=\"0\"" };
        let own = own(attributes.into_iter());
        let _ = write!(text, "<op id=\"{name}.{operation}\" name=\"{operation}\"{interval}{own}/>");
    }
    text.push_str("</operations></primitive>");
    text
}

/// Tells pacemaker what isn't so yet, all at once, and takes out what is too much.
fn tell(step: &mut Draft<'_>, is: &BTreeMap<&str, &Attributes>, want: &BTreeMap<String, Attributes>) {
    let mut anew = (String::new(), String::new());
    for (name, want) in want {
        let is = is.get(name.as_str());
        let differs = want.iter().filter(|(key, value)| is.is_none_or(|is| is.get(*key) != Some(value)));
        let why: Vec<String> = match is {
            None => vec![format!("pacemaker has no {name}")],
            Some(is) => differs
                .map(|(key, want)| match is.get(key) {
                    Some(is) => format!("{name} has {key} {is}, and should have {want}"),
                    None => format!("{name} has no {key}, and should have {want}"),
                })
                .collect(),
        };
        if !why.is_empty() {
            for why in why {
                step.why(why);
            }
            let part = if want.contains_key("element") { &mut anew.1 } else { &mut anew.0 };
            part.push_str(&element(name, want));
        }
    }
    let (resources, constraints) = anew;
    if !resources.is_empty() || !constraints.is_empty() {
        let text = format!(
            "<cib><configuration><resources>{resources}</resources><constraints>{constraints}</constraints></configuration></cib>"
        );
        let tells = Program::Cibadmin.command().args(["--modify", "--allow-create", "--xml-pipe"]);
        step.run(tells.reads(Filled { text, ..Filled::default() }).again(AGREES));
    }
    for (name, of) in is.iter().filter(|(name, _)| !want.contains_key(**name)) {
        step.why(format!("{name} shouldn't be there"));
        step.run(without(of.get("element").map_or("primitive", String::as_str), name));
    }
}

/// Whether something in pacemaker is stead's.
pub(super) fn is_own(of: &Attributes) -> bool {
    of.get("description").is_some_and(|of| of == MARK)
}

/// A machine, told to pacemaker by one node, once all is there that it needs.
pub(super) fn machine(
    plan: &mut NodePlan<'_, '_>,
    machine: &Machine,
    seen: &[Planned<'_>],
    ready: bool,
) -> Result<(), Hidden> {
    if !ready {
        return Err(Hidden::new("what it needs", "not all of its disks and nodes are known"));
    }
    let (spec, name) = (plan.spec, machine.name.as_ref());
    let now = members::membership(plan.seen)?;
    let is = now.map(|now| now.of(name)).unwrap_or_default();
    if is.get(name).is_some_and(|is| !is_own(is)) {
        let way = format!(
            "rename it there, or if nobody needs it: `cibadmin --delete --xpath \"//primitive[@id='{name}']\"`"
        );
        plan.refuse(format!("pacemaker has something else that is called {name}"), way);
        return Ok(());
    }
    let mut step = plan.draft(&step(&machine.name), format!("have the machine {name}"));
    tell(&mut step, &is, &wanted(spec, machine, now));
    step.rests_on(About::Machine(name.to_owned()))?;
    for of in seen.iter().filter(|of| super::is_host(spec, of.node)) {
        let own = definition_step(machine);
        for before in [own.as_str(), agent::STEP, members::STEP, hypervisor::STEP, migration::STEP] {
            step.after_on(of.node.name.clone(), before);
        }
        for disk in &machine.disks {
            step.after_on(of.node.name.clone(), &disks::step(machine, disk));
        }
        for network in spec.networks().keys() {
            step.after_on(of.node.name.clone(), &format!("network.{network}"));
        }
    }
    step.after(members::FENCING);
    plan.add(step);
    Ok(())
}

/// Which machines start first, and which keep apart: once pacemaker knows them all.
pub(super) fn order(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let now = members::membership(plan.seen)?;
    let comes = |name: &MachineName| plan.has(&plan.id(&step(name)));
    let has = |name: &MachineName| comes(name) || now.is_some_and(|now| now.resources.contains_key(name.as_ref()));
    let wanted = wanted_order(plan.spec, has);
    let mut step = plan.draft("order", "have machines start in their order, and keep apart");
    tell(&mut step, &now.map(Membership::order).unwrap_or_default(), &wanted);
    step.rests_on(About::MachineOrder)?;
    for name in plan.spec.machines().keys() {
        step.after(&self::step(name));
    }
    plan.add(step);
    Ok(())
}

/// Machines of stead's that the file leaves out: they go on.
pub(super) fn leftovers(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let now = members::membership(plan.seen)?;
    let own = now.into_iter().flat_map(|now| &now.resources).filter(|(_, of)| is_own(of));
    for (name, _) in own {
        if plan.spec.machines().keys().any(|asked| asked.as_ref() == name) {
            continue;
        }
        let remove = format!(
            "crm_resource --resource {name} --meta --set-parameter target-role --parameter-value Stopped --wait && \
             cibadmin --delete --force --xpath \"//*[@rsc='{name}']\"; cibadmin --delete --xml-text '<primitive id=\"{name}\"/>'"
        );
        plan.leftover(format!("the machine {name}"), remove);
    }
    Ok(())
}
