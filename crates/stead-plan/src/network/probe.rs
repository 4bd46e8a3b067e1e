//! What the switches pass: each node calls on each of its NICs, in each network and with packets of each size, and it is
//! compared who hears whom with who should.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::network::{CORE, Switch};
use stead_spec::units::{ClusterName, Mac, Mtu, NodeName, SwitchName, Vlan};
use stead_spec::words::count;

use super::explain::{FRAME, is_on, reaches, vlan};
use super::facts::Nic;
use super::layout::{Layout, On};
use crate::init::Probed;
use crate::inventory::{Inventory, Known, NodeInventory};
use crate::plan::Tone;
use crate::plan::planner::seen;
use crate::status::render::{Page, Paint, icon, summary, tone};
use crate::status::{Finding, Severity};

/// What a node calls and where it listens.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Calls {
    /// What it calls. None: a short call without a tag on each of its NICs.
    pub lanes: Vec<Lane>,
    /// The devices on which it listens, beside its NICs.
    pub ears: BTreeSet<String>,
}

/// One call.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lane {
    /// The NIC.
    pub nic: String,
    /// The tag.
    pub vlan: Option<Vlan>,
    /// How long the packet is, in bytes without the Ethernet header and the tag. 0: as short as can be.
    pub size: u16,
    /// What it says.
    pub words: String,
}

/// What came of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Outcome {
    /// What is wrong, the worst first.
    pub findings: Vec<Finding>,
    /// Each network on each switch, by the switches' numbers.
    pub networks: Vec<Passes>,
}

/// What a switch passes of a network.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Passes {
    /// The switch.
    pub switch: SwitchName,
    /// The network.
    pub network: String,
    /// Its tag.
    pub vlan: Option<Vlan>,
    /// The nodes that have it there and could be asked.
    pub nodes: Vec<NodeName>,
    /// Who doesn't hear whom.
    pub lost: Vec<Pair>,
    /// The longest packets that every node was to hear, in bytes without the Ethernet header.
    pub mtu: Mtu,
    /// Who hears whom, but not packets of that length.
    pub cut: Vec<Pair>,
    /// Whose NIC takes no packets of that length before the cluster file is applied.
    pub untried: Vec<NodeName>,
}

/// A call and an ear.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize)]
pub struct Pair {
    /// Who called.
    pub from: NodeName,
    /// Who should have heard it.
    pub to: NodeName,
}

/// A network as one switch has it.
struct Carried {
    name: String,
    vlan: Option<Vlan>,
    mtu: Mtu,
}

/// A node that was asked, with its part on one switch.
struct Member<'a> {
    node: &'a Node,
    mac: Mac,
    nic: &'a Nic,
    layout: Layout<'a>,
    probed: &'a Probed,
}

/// What a node is to call.
pub fn calls(spec: &Spec, node: &Node, seen: &NodeInventory) -> Calls {
    let Ok(layout) = Layout::of(spec, node, seen) else { return Calls::default() };
    let mut calls = Calls::default();
    for wire in &layout.wires {
        for carried in carried(spec, wire.switch, node) {
            let mut call = |size: u16| {
                let words = words(&wire.switch.name, &carried.name, size);
                calls.lanes.push(Lane { nic: wire.nic.name.clone(), vlan: carried.vlan, size, words });
            };
            call(0);
            if takes(wire.nic, carried.mtu) {
                call(carried.mtu.get());
            }
            calls.ears.insert(ear(&layout, wire.nic, &carried, seen));
        }
    }
    calls
}

/// What the nodes heard means.
pub fn outcome(spec: &Spec, inventory: &Inventory, probed: &BTreeMap<NodeName, Known<Probed>>) -> Outcome {
    let mut outcome = Outcome { findings: Vec::new(), networks: Vec::new() };
    for node in spec.nodes().keys() {
        let told = seen(inventory, node).err().or_else(|| probed.get(node)?.as_result().err());
        if let Some(why) = told {
            outcome.find(
                Severity::Unknown,
                Some(node),
                format!("{node} could not call: {why}"),
                "look at it, and try again",
            );
        }
    }
    let mut switches: Vec<&Switch> = spec.switches().values().collect();
    switches.sort_by_key(|switch| switch.number);
    let mut connected: Vec<(&Switch, Vec<Member<'_>>)> = Vec::new();
    for switch in switches {
        let mut members = members(spec, switch, inventory, probed);
        members.retain(|member| outcome.is_connected(spec, switch, member, inventory, probed));
        let names: BTreeSet<String> =
            members.iter().flat_map(|member| carried(spec, switch, member.node)).map(|carried| carried.name).collect();
        for name in names {
            let passes = passes(spec, switch, &name, &members, inventory);
            outcome.judge(&passes, &members);
            outcome.networks.push(passes);
        }
        for (other, others) in connected.iter().filter(|(other, _)| switch.linked_to.contains(&other.name)) {
            outcome.judge_link(spec, (other, others), (switch, &members));
        }
        connected.push((switch, members));
    }
    outcome.findings.sort_by_key(|finding| finding.severity);
    outcome
}

fn switches_of(number: usize) -> String {
    if number == 1 { "1 switch".to_owned() } else { format!("{number} switches") }
}

fn words(switch: &SwitchName, network: &str, size: u16) -> String {
    format!("{switch} {network} {size}")
}

/// Whether a NIC sends packets of that size by now.
fn takes(nic: &Nic, mtu: Mtu) -> bool {
    nic.mtu >= u32::from(mtu.get())
}

/// The networks that a node has on a switch.
fn carried(spec: &Spec, switch: &Switch, node: &Node) -> Vec<Carried> {
    let core = spec.core();
    let core = core.links.contains_key(&switch.name).then(|| (CORE.to_owned(), core.vlan, core.mtu));
    let networks = spec.networks().values().filter(|network| is_on(network, &switch.name) && reaches(network, node));
    let networks = networks.map(|network| (network.name.to_string(), vlan(network), network.mtu));
    core.into_iter().chain(networks).map(|(name, vlan, mtu)| Carried { name, vlan, mtu }).collect()
}

/// Where a network is heard: a device that has taken the tag off by the file's number, if there is one by now.
fn ear(layout: &Layout<'_>, nic: &Nic, carried: &Carried, seen: &NodeInventory) -> String {
    let own = |name: &str| layout.wires.iter().find(|wire| wire.nic.name == *name);
    let device = if carried.name == CORE {
        own(&nic.name).and_then(|wire| wire.core.as_ref()).map(|link| link.device.clone())
    } else {
        let end = layout.ends.iter().find(|end| end.network.name.as_ref() == carried.name);
        end.filter(|end| match &end.on {
            // What comes in by a NIC that waits for another one's failure, the bridge doesn't pass on.
            On::Port { bridge } => layout.wires.iter().filter(|wire| wire.bridge.as_ref() == Some(bridge)).count() == 1,
            On::Tagged { nic: on } | On::Nic { nic: on } => *on == nic.name,
        })
        .map(|end| end.device().to_owned())
    };
    let there = |device: &String| seen.nics.get().is_some_and(|nics| nics.iter().any(|nic| nic.name == *device));
    device.filter(there).unwrap_or_else(|| nic.name.clone())
}

/// The nodes that have a NIC on a switch, and called.
fn members<'a>(
    spec: &'a Spec,
    switch: &Switch,
    inventory: &'a Inventory,
    probed: &'a BTreeMap<NodeName, Known<Probed>>,
) -> Vec<Member<'a>> {
    let member = |node: &'a Node| {
        let mac = *node.nics.get(&switch.name)?;
        let layout = Layout::of(spec, node, seen(inventory, &node.name).ok()?).ok()?;
        let nic = layout.wires.iter().find(|wire| wire.mac == mac)?.nic;
        Some(Member { node, mac, nic, layout, probed: probed.get(&node.name)?.get()? })
    };
    spec.nodes().values().filter_map(member).collect()
}

fn passes(spec: &Spec, switch: &Switch, name: &str, members: &[Member<'_>], inventory: &Inventory) -> Passes {
    let of = |member: &Member<'_>| carried(spec, switch, member.node).into_iter().find(|carried| carried.name == name);
    let members: Vec<(&Member<'_>, Carried)> =
        members.iter().filter_map(|member| Some((member, of(member)?))).collect();
    let (vlan, mtu) = members.first().map_or((None, switch.mtu), |(_, carried)| (carried.vlan, carried.mtu));
    let nodes = members.iter().map(|(member, _)| member.node.name.clone()).collect();
    let untried = members.iter().filter(|(member, _)| !takes(member.nic, mtu));
    let untried: Vec<NodeName> = untried.map(|(member, _)| member.node.name.clone()).collect();
    let (mut lost, mut cut) = (Vec::new(), Vec::new());
    for (to, carried) in &members {
        let Ok(seen) = seen(inventory, &to.node.name) else { continue };
        let ear = ear(&to.layout, to.nic, carried, seen);
        for (from, _) in members.iter().filter(|(from, _)| from.node.name != to.node.name) {
            let hears = |size| {
                let words = words(&switch.name, name, size);
                let mut heard = to.probed.heard.iter();
                heard.any(|heard| heard.on == ear && heard.node == from.node.name.as_ref() && heard.words == words)
            };
            let pair = || Pair { from: from.node.name.clone(), to: to.node.name.clone() };
            if !hears(0) {
                lost.push(pair());
            } else if !untried.contains(&from.node.name) && !untried.contains(&to.node.name) && !hears(mtu.get()) {
                cut.push(pair());
            }
        }
    }
    Passes { switch: switch.name.clone(), network: name.to_owned(), vlan, nodes, lost, mtu, cut, untried }
}

impl Outcome {
    /// Whether all is as the file says.
    pub fn is_well(&self) -> bool {
        self.findings.is_empty()
    }

    /// Whether somebody could not be asked.
    pub fn is_blind(&self) -> bool {
        self.findings.iter().any(|finding| finding.severity == Severity::Unknown)
    }

    /// As `stead network probe` prints it: what is wrong, and what each switch passes. `paint` may add colours.
    pub fn render(&self, cluster: &ClusterName, paint: Paint<'_>) -> String {
        let mut page = Page::new(paint);
        let switches: BTreeSet<&SwitchName> = self.networks.iter().map(|passes| &passes.switch).collect();
        page.findings(&summary(&format!("{cluster}: {}", switches_of(switches.len())), &self.findings), &self.findings);
        let mut last = None;
        let rows = self.networks.iter().map(Passes::row);
        let rows: Vec<[String; 3]> = rows.collect();
        let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
        let (first, second) = (width(0), width(1));
        for (passes, [network, size, came]) in self.networks.iter().zip(&rows) {
            if last.replace(&passes.switch) != Some(&passes.switch) {
                page.text.push('\n');
                page.line("", Tone::Heading, passes.switch.as_ref());
            }
            let worst = (!passes.is_well()).then_some(Severity::Bad);
            let sign = format!("  {} ", icon(worst));
            let text = format!("{network:first$}  {size:second$}  {came}");
            page.line(&sign, worst.map_or(Tone::Reason, tone), &text);
        }
        page.text
    }

    fn find(&mut self, severity: Severity, node: Option<&NodeName>, what: String, next: impl Into<String>) {
        self.findings.push(Finding { severity, node: node.cloned(), what, next: next.into() });
    }

    /// Whether a node's cable leads to this switch, as far as that can be told.
    fn is_connected(
        &mut self,
        spec: &Spec,
        switch: &Switch,
        member: &Member<'_>,
        inventory: &Inventory,
        probed: &BTreeMap<NodeName, Known<Probed>>,
    ) -> bool {
        let (node, nic) = (&member.node.name, &member.nic.name);
        let mac = member.mac;
        match member.probed.nics.get(nic) {
            Some(Known::Unknown(why)) => {
                let what = format!("{node}'s NIC for {} ({nic}, {mac}) could not call: {why}", switch.name);
                self.find(Severity::Unknown, Some(node), what, "look at it, and try again");
                return false;
            }
            Some(Known::Is(link)) if !link.carrier => {
                let what =
                    format!("nothing answers at the other end of {node}'s cable to {} ({nic}, {mac})", switch.name);
                self.find(
                    Severity::Bad,
                    Some(node),
                    what,
                    "plug it in at both ends, and look whether the switch has power",
                );
                return false;
            }
            _ => {}
        }
        let calls = format!("{} ", switch.name);
        let heard_on: BTreeSet<&SwitchName> = spec
            .switches()
            .values()
            .filter(|other| {
                let others = members(spec, other, inventory, probed);
                others.iter().filter(|other| other.node.name != *node).any(|other| {
                    let mut heard = other.probed.heard.iter();
                    heard.any(|heard| {
                        heard.on == other.nic.name && heard.node == node.as_ref() && heard.words.starts_with(&calls)
                    })
                })
            })
            .map(|other| &other.name)
            .collect();
        let Some(elsewhere) = heard_on.first().filter(|_| !heard_on.contains(&switch.name)) else { return true };
        let what = format!("{node}'s NIC for {} ({nic}, {mac}) is plugged into {elsewhere}", switch.name);
        self.find(Severity::Bad, Some(node), what, format!("plug its cable into {}", switch.name));
        false
    }

    /// What is lost, in as few words as it can be told.
    fn judge(&mut self, passes: &Passes, members: &[Member<'_>]) {
        let Passes { switch, network, vlan, nodes, lost, mtu, cut, .. } = passes;
        let tag = vlan.map_or_else(|| "untagged".to_owned(), |vlan| format!("VLAN {vlan}"));
        for (from, to) in told(nodes, lost) {
            let port = port(&from, &to, members);
            let what = format!("{switch} drops {network} ({tag}){}", between(&from, &to));
            self.find(Severity::Bad, None, what, format!("set {port} as `stead network explain` tells"));
        }
        for (from, to) in told(nodes, cut) {
            let port = port(&from, &to, members);
            let what = format!("{switch} drops packets of {mtu} bytes of {network} ({tag}){}", between(&from, &to));
            let frame = u32::from(mtu.get()) + FRAME;
            self.find(Severity::Bad, None, what, format!("have {port} pass frames of {frame} bytes or more"));
        }
    }

    /// What doesn't come over the cable between two switches.
    fn judge_link(&mut self, spec: &Spec, one: (&Switch, &[Member<'_>]), other: (&Switch, &[Member<'_>])) {
        let (a, b) = (&one.0.name, &other.0.name);
        for network in spec.networks().values().filter(|network| is_on(network, a) && is_on(network, b)) {
            let name = network.name.as_ref();
            let way = match (crosses(name, one, other), crosses(name, other, one)) {
                (Some(false), Some(false)) => format!("between {a} and {b}"),
                (Some(false), _) => format!("from {a} to {b}"),
                (_, Some(false)) => format!("from {b} to {a}"),
                _ => continue,
            };
            let tag = vlan(network).map_or_else(|| "untagged".to_owned(), |vlan| format!("VLAN {vlan}"));
            let next = "look at the cable, and set both its ports as `stead network explain` tells";
            self.find(Severity::Bad, None, format!("nothing of {name} ({tag}) passes {way}"), next);
        }
    }
}

/// Whether a call in a network on one switch is heard on the NICs of another; nothing where nobody calls or listens.
fn crosses(network: &str, from: (&Switch, &[Member<'_>]), to: (&Switch, &[Member<'_>])) -> Option<bool> {
    let words = words(&from.0.name, network, 0);
    let mut heard = to.1.iter().flat_map(|ear| {
        let callers = from.1.iter().filter(|caller| caller.node.name != ear.node.name);
        let words = &words;
        callers.map(move |caller| {
            let mut heard = ear.probed.heard.iter();
            heard.any(|heard| {
                heard.on == ear.nic.name && heard.node == caller.node.name.as_ref() && heard.words == *words
            })
        })
    });
    let first = heard.next()?;
    Some(first || heard.any(|heard| heard))
}

impl Passes {
    fn is_well(&self) -> bool {
        self.lost.is_empty() && self.cut.is_empty()
    }

    /// For the table: the network, its size, and what came of it.
    fn row(&self) -> [String; 3] {
        let tag = self.vlan.map_or_else(|| "untagged".to_owned(), |vlan| format!("VLAN {vlan}"));
        let ways = self.nodes.len() * self.nodes.len().saturating_sub(1);
        let came = match (ways, self.lost.len(), self.cut.len()) {
            (0, ..) => "one node alone: there is nobody to hear it".to_owned(),
            (_, 0, 0) => format!("{} hear each other", count(self.nodes.len(), "node")),
            (_, 0, cut) => format!("{cut} of {ways} ways are too narrow"),
            (_, lost, _) => format!("{lost} of {ways} ways lost"),
        };
        let came = match self.untried.len() {
            0 => came,
            _ => format!("{came}; large packets after `stead apply`"),
        };
        [format!("{} ({tag})", self.network), format!("{} bytes", self.mtu), came]
    }
}

/// Whom it is about: nobody for all of them.
type Who = Option<NodeName>;

/// Pairs as (from, to): a node that neither hears nor is heard is told once, as both.
fn told(nodes: &[NodeName], pairs: &[Pair]) -> Vec<(Who, Who)> {
    let others = nodes.len().saturating_sub(1);
    if pairs.is_empty() {
        return Vec::new();
    }
    if pairs.len() == nodes.len() * others {
        return vec![(None, None)];
    }
    let whole =
        |of: fn(&Pair) -> &NodeName, node: &NodeName| pairs.iter().filter(|pair| of(pair) == node).count() == others;
    let mute: BTreeSet<&NodeName> = nodes.iter().filter(|node| whole(|pair| &pair.from, node)).collect();
    let deaf: BTreeSet<&NodeName> = nodes.iter().filter(|node| whole(|pair| &pair.to, node)).collect();
    let mut told = BTreeSet::new();
    for pair in pairs {
        let (from, to) = (&pair.from, &pair.to);
        let both = |node: &NodeName| mute.contains(node) && deaf.contains(node);
        told.insert(match [from, to].into_iter().find(|node| both(node)) {
            Some(node) => (Some(node.clone()), Some(node.clone())),
            None if mute.contains(from) => (Some(from.clone()), None),
            None if deaf.contains(to) => (None, Some(to.clone())),
            None => (Some(from.clone()), Some(to.clone())),
        });
    }
    told.into_iter().collect()
}

fn between(from: &Who, to: &Who) -> String {
    match (from, to) {
        (None, None) => String::new(),
        (Some(from), Some(to)) if from == to => format!(" from and to {from}"),
        (Some(from), Some(to)) => format!(" from {from} to {to}"),
        (Some(from), None) => format!(" from {from}"),
        (None, Some(to)) => format!(" to {to}"),
    }
}

/// Which ports are to be looked at.
fn port(from: &Who, to: &Who, members: &[Member<'_>]) -> String {
    let mut of: Vec<&NodeName> = [from, to].into_iter().flatten().collect();
    of.dedup();
    let end = |node: &NodeName| members.iter().find(|member| member.node.name == *node).map(|member| member.mac);
    let ports = of.into_iter().map(|node| match end(node) {
        Some(mac) => format!("{node}'s port ({mac})"),
        None => format!("{node}'s port"),
    });
    let ports: Vec<_> = ports.collect();
    if ports.is_empty() { "it".to_owned() } else { ports.join(" and ") }
}
