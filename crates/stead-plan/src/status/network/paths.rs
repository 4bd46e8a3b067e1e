//! The paths of the core: who hears whom over which switch, and what it means when somebody doesn't.

use std::collections::{BTreeMap, BTreeSet};

use stead_spec::units::{NodeName, SwitchName};
use stead_spec::words::count;

use super::view::{Cable, NodeView, View, is_full, path};
use super::{Found, Told, by_switch, names};
use crate::network::explain::explain;
use crate::plan::list;
use crate::status::{Path, Severity};

pub(super) fn look<'a>(view: &View<'a>, found: &mut Found, told: &mut Told<'a>) {
    if silent_switches(view, found, told) {
        return;
    }
    misplaced(view, found, told);
    for node in &view.nodes {
        alone(view, node, found, told);
    }
    for switch in switches(view) {
        pairs(view, switch, found, told);
    }
    unreachable(view, found, told);
}

/// The core's switches, by their numbers.
fn switches<'a>(view: &View<'a>) -> Vec<&'a SwitchName> {
    let mut all: Vec<_> = view.spec.core().links.keys().collect();
    all.sort_by_key(|name| view.spec.switches().get(*name).map(|switch| switch.number));
    all
}

/// Whether the core should work on a node's side of a switch: everything there is as it should be.
fn is_ready(node: &NodeView<'_>, switch: &SwitchName, told: &Told<'_>) -> bool {
    let wire = node.wire(switch).filter(|wire| wire.cable == Cable::In && wire.core.is_some());
    wire.is_some() && node.routing.is_some() && !told.links.contains(&(&node.node.name, switch))
}

/// What a switch must let pass.
fn tag(view: &View<'_>) -> String {
    view.spec.core().vlan.map_or("what has no tag".to_owned(), |vlan| format!("VLAN {vlan}"))
}

/// Switches over which nobody hears anybody. True if those are all of them: then nothing else is to be said.
fn silent_switches<'a>(view: &View<'a>, found: &mut Found, told: &mut Told<'a>) -> bool {
    let all = switches(view);
    let mut silent = Vec::new();
    for (switch, ends) in by_switch(view) {
        let (ready, rest): (Vec<_>, Vec<_>) = ends.into_iter().partition(|(node, _)| is_ready(node, switch, told));
        let down = rest.iter().filter(|(_, wire)| wire.is_down()).count();
        // Of two, the one that is deaf can't be told from the switch.
        if ready.len() >= 2
            && ready.len() + down >= 3
            && ready.iter().all(|(node, _)| node.heard(switch).next().is_none())
        {
            silent.push((switch, ready));
        }
    }
    let everywhere = silent.len() == all.len() && silent.len() > 1;
    if everywhere {
        let what = "no node hears another in the core, over any switch, though they have carriers";
        let next = format!("let the switches pass {} between the nodes: `stead network explain`", tag(view));
        found.bad(None, what, next + "; is it as asked on the nodes? `stead plan`");
    }
    for (switch, ready) in silent {
        if !everywhere {
            let what = format!("switch {switch} passes nothing: nodes have carriers there, and none hears another");
            let next =
                format!("is {switch} off or hung? Restart it; it must pass {}: `stead network explain`", tag(view));
            found.bad(None, what, next);
        }
        for (node, _) in ready {
            found.mark(Severity::Bad, &node.node.name, switch);
            told.links.insert((&node.node.name, switch));
        }
    }
    everywhere
}

/// Cables in wrong switches, as their nodes' addresses are heard where they don't belong.
fn misplaced<'a>(view: &View<'a>, found: &mut Found, told: &mut Told<'a>) {
    let core = view.spec.core();
    let mut wrong: BTreeMap<(&'a NodeName, &'a SwitchName), &'a SwitchName> = BTreeMap::new();
    for node in &view.nodes {
        for (switch, subnet) in node.wires.iter().filter_map(|wire| core.links.get_key_value(&wire.switch.name)) {
            let own = node.heard(switch).any(|heard| subnet.contains(heard.address));
            for heard in node.heard(switch) {
                let belongs = core.links.iter().find(|(other, net)| *other != switch && net.contains(heard.address));
                let Some((actual, _)) = belongs else { continue };
                if !own {
                    wrong.insert((&node.node.name, switch), actual);
                } else if let Some(other) = view.nodes.iter().find(|other| other.node.core.get() == heard.router) {
                    // What else is heard here is right, so it is the other one that is here by mistake.
                    wrong.insert((&other.node.name, actual), switch);
                }
            }
        }
    }
    for ((name, switch), actual) in &wrong {
        found.mark(Severity::Bad, name, switch);
        told.links.insert((name, switch));
        let Some(node) = view.nodes.iter().find(|node| node.node.name == **name) else { continue };
        let swapped = wrong.get(&(*name, *actual)) == Some(switch);
        if swapped && switch < actual {
            let what = format!("{name}'s cables for {switch} and {actual} are swapped: each is in the other's switch");
            found.bad(Some(name), what, swap(node, &[switch, actual]));
        } else if !swapped {
            let what = format!("the cable of {} is in {actual} instead of {switch}", node.nic_name(switch));
            found.bad(Some(name), what, format!("put it into {switch}"));
        }
    }
}

/// What belongs where.
fn swap(node: &NodeView<'_>, switches: &[&SwitchName]) -> String {
    let nic = |switch| node.wire(switch).and_then(|wire| wire.nic).map_or("its NIC", |nic| nic.name.as_str());
    let each: Vec<String> = switches.iter().map(|switch| format!("{} belongs into {switch}", nic(switch))).collect();
    format!("swap them: {}", list(&each.iter().map(String::as_str).collect::<Vec<_>>()))
}

/// A node that hears nobody where others hear each other.
fn alone<'a>(view: &View<'a>, node: &NodeView<'a>, found: &mut Found, told: &mut Told<'a>) {
    let name = &node.node.name;
    let core = node.wires.iter().filter(|wire| wire.core.is_some()).count();
    let lonely: Vec<&SwitchName> = node.wires.iter().map(|wire| &wire.switch.name).collect();
    let lonely = lonely.into_iter().filter(|switch| is_ready(node, switch, told));
    let lonely: Vec<_> = lonely.filter(|switch| is_alone(view, node, switch)).collect();
    for switch in &lonely {
        found.mark(Severity::Bad, name, switch);
        told.links.insert((name, switch));
    }
    match lonely.as_slice() {
        [] => {}
        [switch] if core > 1 => {
            let what = format!(
                "the cable of {} is probably in another switch than {switch}: it hears nobody, and others hear each \
                 other there",
                node.nic_name(switch)
            );
            let next = format!("put it into {switch}; if it is there, let its port pass {}", tag(view));
            found.bad(Some(name), what, next + ": `stead network explain`");
        }
        some if some.len() < core => {
            let switches = names_of(some);
            let what = format!(
                "{name}'s cables for {switches} are probably swapped: it hears nobody there, and others hear each other"
            );
            found.bad(Some(name), what, swap(node, some));
        }
        _ => {
            told.nodes.insert(name);
            let what =
                format!("{name} hears nobody in the core, though its cables are in, and the others hear each other");
            let next = format!(
                "are its cables in the right switches, and do their ports pass {}? `stead network explain`; is it as \
                 asked? `stead plan`",
                tag(view)
            );
            found.bad(Some(name), what, next);
        }
    }
}

fn is_alone(view: &View<'_>, node: &NodeView<'_>, switch: &SwitchName) -> bool {
    let others = || view.nodes.iter().filter(|other| other.node.name != node.node.name);
    node.heard(switch).next().is_none()
        && others().all(|other| other.hears(node.node, switch).is_none())
        && others().any(|one| others().any(|other| one.hears(other.node, switch).is_some()))
}

fn names_of(switches: &[&SwitchName]) -> String {
    list(&switches.iter().map(|name| name.as_str()).collect::<Vec<_>>())
}

/// What is between two nodes that don't reach each other over a switch.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Between {
    /// They hear each other, and large packets don't arrive.
    Stuck,
    /// Only one hears the other.
    OneWay,
    /// They know each other, and BFD says that packets are lost.
    Flaky,
    /// Neither hears the other.
    Nothing,
}

/// What isn't explained yet, pair by pair.
fn pairs<'a>(view: &View<'a>, switch: &'a SwitchName, found: &mut Found, told: &Told<'a>) {
    let mut broken: BTreeMap<Between, Vec<(&NodeView<'a>, &NodeView<'a>)>> = BTreeMap::new();
    for (one, other) in each_pair(view) {
        let ready = [one, other].iter().all(|node| is_ready(node, switch, told));
        if ready && path(one, other, switch) == Path::Broken {
            broken.entry(between(one, other, switch)).or_default().push((one, other));
        }
    }
    for (what, pairs) in broken {
        for node in pairs.iter().flat_map(|(one, other)| [one, other]) {
            found.mark(Severity::Warn, &node.node.name, switch);
        }
        if what == Between::Stuck {
            let small = |node: &NodeView<'a>| told.small.contains(&(&node.node.name, switch));
            // A NIC that takes smaller packets than asked was told.
            let pairs: Vec<_> = pairs.into_iter().filter(|(one, other)| !small(one) && !small(other)).collect();
            stuck(view, switch, &pairs, found);
            continue;
        }
        for (one, other) in pairs {
            let rest = over(one, other);
            let (one, other) = (&one.node.name, &other.node.name);
            let (what, next) = match what {
                Between::OneWay => (
                    format!("of {one} and {other}, only one hears the other over {switch}"),
                    format!("change the cables of both to {switch}, one after the other, or their ports there"),
                ),
                Between::Flaky => (
                    format!("the way between {one} and {other} over {switch} comes and goes"),
                    format!("change their cables to {switch}, one after the other, or their ports there"),
                ),
                _ => (
                    format!("{switch} doesn't pass {} between {one} and {other}", tag(view)),
                    format!(
                        "set their ports at {switch} as `stead network explain` says; is a cable in another switch?"
                    ),
                ),
            };
            found.warn(None, format!("{what}; {rest}"), next);
        }
    }
}

fn each_pair<'v, 'a>(view: &'v View<'a>) -> impl Iterator<Item = (&'v NodeView<'a>, &'v NodeView<'a>)> {
    let after = |place: usize| view.nodes.iter().skip(place + 1);
    view.nodes.iter().enumerate().flat_map(move |(place, one)| after(place).map(move |other| (one, other)))
}

fn between(one: &NodeView<'_>, other: &NodeView<'_>, switch: &SwitchName) -> Between {
    let heard = [one.hears(other.node, switch), other.hears(one.node, switch)];
    let is_stuck = |state: &str| ["ExStart", "Exchange", "Loading"].contains(&state);
    if heard.iter().flatten().any(|neighbour| is_stuck(&neighbour.state)) {
        Between::Stuck
    } else if heard.iter().all(|neighbour| neighbour.is_some_and(is_full)) {
        Between::Flaky
    } else if heard.iter().any(Option::is_some) {
        Between::OneWay
    } else {
        Between::Nothing
    }
}

fn stuck(view: &View<'_>, switch: &SwitchName, pairs: &[(&NodeView<'_>, &NodeView<'_>)], found: &mut Found) {
    let nodes: BTreeSet<_> = pairs.iter().flat_map(|(one, other)| [&one.node.name, &other.node.name]).collect();
    if nodes.is_empty() {
        return;
    }
    let settings = explain(view.spec);
    let frame = settings.iter().find(|setting| setting.switch == *switch).map_or(0, |setting| setting.frame);
    let what = format!(
        "MTU mismatch on {switch}: {} hear each other there, and can't exchange what they know of the core",
        names(nodes)
    );
    let next = format!(
        "probably a smaller switch: let {switch} pass frames of {frame} bytes, or write its `mtu` in the file and apply"
    );
    found.warn(None, what, next);
}

/// Over how many of their switches two nodes reach each other.
fn over(one: &NodeView<'_>, other: &NodeView<'_>) -> String {
    let shared: Vec<_> = one.node.links.keys().filter(|switch| other.node.links.contains_key(*switch)).collect();
    let works = shared.iter().filter(|switch| path(one, other, switch) == Path::Works).count();
    format!("they reach each other over {works} of {}", count(shared.len(), "switch").replace("switchs", "switches"))
}

/// Nodes that have no way to each other, or only through others.
fn unreachable(view: &View<'_>, found: &mut Found, told: &Told<'_>) {
    let ask = |node: &&NodeView<'_>| node.set_up && node.routing.is_some();
    let routed: Vec<_> = view.nodes.iter().filter(ask).collect();
    let reached: BTreeMap<&NodeName, BTreeSet<&NodeName>> =
        routed.iter().map(|node| (&node.node.name, reached(view, node))).collect();
    let cut = |one: &NodeView<'_>, other: &NodeView<'_>| !reached[&one.node.name].contains(&other.node.name);
    let lonely = |node: &NodeView<'_>| {
        routed.len() > 2 && routed.iter().all(|other| other.node.name == node.node.name || cut(node, other))
    };
    let next = "mend the switches and cables that are named here, then look again: `stead status`";
    if !routed.is_empty() && routed.iter().all(|node| lonely(node)) {
        found.bad(None, "no node reaches another in the core", next);
        return;
    }
    for node in routed.iter().filter(|node| lonely(node) && !told.nodes.contains(&node.node.name)) {
        let name = &node.node.name;
        found.bad(Some(name), format!("{name} reaches no other node in the core"), next);
    }
    for (one, other) in each_pair(view) {
        let (a, b) = (&one.node.name, &other.node.name);
        if !ask(&one) || !ask(&other) || works(one, other) || lonely(one) || lonely(other) {
            continue;
        }
        if cut(one, other) {
            found.bad(None, format!("{a} and {b} have no way to each other in the core"), next);
        } else if one.node.links.keys().any(|switch| other.node.links.contains_key(switch)) {
            found.warn(None, format!("{a} and {b} reach each other in the core only through other nodes"), next);
        }
    }
}

/// Whether two nodes reach each other without others in between.
fn works(one: &NodeView<'_>, other: &NodeView<'_>) -> bool {
    one.node.links.keys().any(|switch| path(one, other, switch) == Path::Works)
}

/// The nodes that a node reaches, itself and through others too.
fn reached<'a>(view: &View<'a>, start: &NodeView<'a>) -> BTreeSet<&'a NodeName> {
    let mut reached = BTreeSet::from([&start.node.name]);
    let mut next = vec![start];
    while let Some(node) = next.pop() {
        for other in &view.nodes {
            if works(node, other) && reached.insert(&other.node.name) {
                next.push(other);
            }
        }
    }
    reached
}
