//! The step that may cut a node off: its NICs, bridges and addresses become what the file asks for, in one go and with a
//! way back.

use std::collections::BTreeSet;

use ipnet::Ipv4Net;

use super::facts::{Nic, Ovs, Route};
use super::layout::Layout;
use super::networkd::{self, Device, Made, Way};
use super::{interfaces, ovs, watches};
use crate::op::{Command, Program};
use crate::plan::Block;
use crate::plan::list;
use crate::plan::planner::{Draft, Hidden, NodePlan, Planned};
use crate::step::{About, Guard};

/// The step's name. Nodes do it one after the other.
pub(super) const STEP: &str = "devices";

/// Where Open vSwitch keeps its database on Debian.
const DATABASE: &str = "/var/lib/openvswitch/conf.db";

const BLOCK: Block = Block("interfaces");

/// How long the node waits for the confirmation, in seconds: connecting anew takes one or two, routing some more.
const WITHIN: u32 = 60;

/// How long devices may take to have their addresses, in seconds. The carrier of a NIC that was off takes three.
const COME_UP: u32 = 20;

/// What a bridge takes to be made: vswitchd answers when the devices are there.
const OVS_SECONDS: u32 = 30;

/// What ifdown and ifup take: a DHCP server that doesn't answer is waited for.
const IFUPDOWN_SECONDS: u32 = 90;

/// What the step does, part by part, in the order in which it is done and undone.
#[derive(Default)]
struct Change<'l> {
    /// NICs that ifupdown has.
    taken: Vec<&'l str>,
    /// Devices that are there as something else.
    remade: Vec<&'l str>,
    /// Devices that are not there.
    made: Vec<&'l str>,
    /// Devices that networkd is to look at again.
    again: BTreeSet<&'l str>,
    /// Addresses that nobody asks for.
    stray: Vec<(&'l str, Ipv4Net)>,
    /// Routes that nobody asks for.
    strays: Vec<Route>,
    /// What the step should wait for.
    wait: bool,
}

pub(super) fn devices(plan: &mut NodePlan<'_, '_>, layout: &Layout<'_>, nodes: &[Planned<'_>]) -> Result<(), Hidden> {
    for (switch, mac) in &layout.missing {
        plan.note(format!("it has no NIC {mac}, which the file has for {switch}: what goes over it is left out"));
    }
    let now = plan.seen.ovs.as_result().map_err(|why| Hidden::new("Open vSwitch's database", why))?;
    let now = now.clone().unwrap_or_default();
    let want = ovs::wanted(plan.spec, plan.node, layout);
    if let Some((why, way)) = ovs::in_the_way(&now, &want) {
        plan.refuse(why, way);
        return Ok(());
    }
    let nics = plan.seen.nics.as_result().map_err(|why| Hidden::new("its NICs", why))?;
    let routes = plan.seen.routes.as_result().map_err(|why| Hidden::new("its routes", why))?;
    let (files, devices) = networkd::files(plan.spec, layout);
    let mut step = plan.draft(STEP, title(layout));
    let mut change = Change::default();

    let taken = take_over(plan, layout, &mut step)?;
    change.taken = layout.wires.iter().map(|wire| wire.nic.name.as_str()).filter(|nic| taken.contains(*nic)).collect();
    let mut reload = !change.taken.is_empty();
    for file in &files {
        reload |= step.file(file)?;
    }
    for device in &devices {
        compare(device, nics, routes, &mut change, &mut step)?;
    }
    let (words, why) = ovs::transaction(&now, &want, false);
    for why in why {
        step.why(why);
    }
    for bridge in want.bridges.keys() {
        step.rests_on(About::Bridge(bridge.clone()))?;
    }

    for device in change.remade.iter().copied() {
        step.run(Program::Ip.command().args(["link", "delete", "dev", device]).already(1));
    }
    if !words.is_empty() {
        step.run(vsctl(&words));
    }
    if reload || !change.remade.is_empty() || !change.made.is_empty() {
        step.run(Program::Networkctl.command().args(["reload"]));
        change.wait = true;
    }
    for (device, address) in &change.stray {
        step.run(Program::Ip.command().args(["address", "delete", &address.to_string(), "dev", device]).already(2));
    }
    for route in &change.strays {
        step.run(delete(route));
    }
    let made_on = |name: &&str| devices.iter().find(|device| device.name == **name).and_then(on);
    change.again.extend(change.made.iter().chain(&change.remade).filter_map(made_on));
    if !change.again.is_empty() {
        let command = Program::Networkctl.command().args(["reconfigure"]).args(change.again.iter().copied());
        step.run(command);
        change.wait = true;
    }
    if change.wait {
        step.run(wait_for(&devices));
    }
    let guard = Guard {
        keeps: step.writes(),
        keeps_for_boot: (!words.is_empty()).then(|| DATABASE.into()).into_iter().collect(),
        undo: undo(&change, layout, &now, &want, &devices, nics),
        within: WITHIN,
        watches: watches::watches(plan, layout, nodes),
    };
    step.guard(guard);
    step.after_packages();
    step.after(super::way_back::STEP);
    step.after(super::services::NETWORKD);
    step.after(super::services::OVS);
    for before in nodes.iter().filter(|of| of.node.number < plan.node.number) {
        step.after_on(before.node.name.clone(), STEP);
    }
    plan.add(step);
    Ok(())
}

fn title(layout: &Layout<'_>) -> String {
    let core: Vec<&str> = layout.links().map(|(_, link)| link.device.as_str()).collect();
    let bridges: Vec<&str> = layout.bridges.iter().map(|bridge| bridge.name.as_str()).collect();
    let ends: Vec<&str> = layout.ends.iter().map(super::layout::End::device).collect();
    let all: Vec<&str> = core.into_iter().chain(bridges).chain(ends).collect();
    format!("set up {}", list(&all))
}

/// Takes NICs out of ifupdown's files; which.
fn take_over(plan: &NodePlan<'_, '_>, layout: &Layout<'_>, step: &mut Draft<'_>) -> Result<BTreeSet<String>, Hidden> {
    let whole = layout.wires.iter().filter(|wire| wire.is_whole(&layout.ends));
    let names: BTreeSet<&str> = whole.map(|wire| wire.nic.name.as_str()).collect();
    let mut taken = BTreeSet::new();
    let mut changed = Vec::new();
    for path in interfaces::FILES {
        // One that isn't there, or no text, configures nothing.
        let Ok(file) = plan.users_file(path) else { continue };
        let Some((text, found)) = interfaces::without(&file.text, &names) else { continue };
        let lines = "# Lines with `#stead:` are of NICs that systemd-networkd has now, by the cluster file.\n";
        let text = BLOCK.put(&text, lines).map_err(|why| Hidden::new(path, why))?;
        taken.extend(found.iter().map(|name| (*name).to_owned()));
        changed.push(file.with(text));
    }
    for nic in &taken {
        step.why(format!("ifupdown has {nic}, and systemd-networkd takes it over"));
        step.run(Program::Ifdown.command().args(["--force", nic]).timeout(IFUPDOWN_SECONDS));
    }
    for file in &changed {
        step.file(file)?;
    }
    Ok(taken)
}

/// What a device is and should be.
fn compare<'l>(
    want: &'l Device,
    nics: &[Nic],
    routes: &[Route],
    change: &mut Change<'l>,
    step: &mut Draft<'_>,
) -> Result<(), Hidden> {
    step.rests_on(About::Device(want.name.clone()))?;
    let name = want.name.as_str();
    let Some(nic) = nics.iter().find(|nic| nic.name == name) else {
        if want.made.is_some() {
            step.why(format!("there is no {name}"));
            change.made.push(name);
        }
        // Open vSwitch makes it, and networkd addresses it as soon as it is there.
        change.wait = true;
        return Ok(());
    };
    if !is_made_so(nic, want) {
        step.why(format!("{name} is {}", kind(nic)));
        change.remade.push(name);
        return Ok(());
    }
    let mut again = false;
    if let Some(mtu) = want.mtu.filter(|mtu| u32::from(*mtu) != nic.mtu) {
        step.why(format!("{name} has the MTU {} and should have {mtu}", nic.mtu));
        again = true;
    }
    // Without its cable, networkd takes a device's addresses away, and gives them back with it.
    if want.comes_up {
        for address in want.addresses.iter().filter(|address| !nic.addresses.contains(address)) {
            step.why(format!("{name} has no {address}"));
            again = true;
        }
        for way in want.routes.iter().filter(|way| !routes.iter().any(|route| is_way(route, way, name))) {
            let by = way.gateway.as_ref().map_or_else(String::new, |gateway| format!(" by {gateway}"));
            step.why(format!("it has no route to {}{by}", way.to));
            again = true;
        }
    }
    if !nic.up {
        step.why(format!("{name} is switched off"));
        again = true;
    }
    // What ifupdown takes away need not be taken away again.
    if !want.shared && !change.taken.contains(&name) {
        for address in nic.addresses.iter().filter(|own| !want.addresses.contains(own) && !own.addr().is_link_local()) {
            step.why(format!("{name} has {address}, which the file doesn't give it"));
            change.stray.push((name, *address));
        }
        // networkd of Debian 13 forgets what it put there when it is restarted.
        let fixed = |route: &&Route| {
            route.dev.as_deref() == Some(name) && route.protocol.as_deref() == Some("static") && route.kind.is_none()
        };
        let ours = |route: &Route| want.routes.iter().any(|way| is_way(route, way, name));
        for route in routes.iter().filter(fixed).filter(|route| !ours(route)) {
            step.why(format!("it has a route to {} on {name}, which the file doesn't give it", route.to));
            change.strays.push(route.clone());
        }
    }
    if again {
        change.again.insert(name);
    }
    Ok(())
}

fn is_made_so(nic: &Nic, want: &Device) -> bool {
    match &want.made {
        None => true,
        Some(Made::Dummy) => nic.kind.as_deref() == Some("dummy"),
        Some(Made::Vlan { on, id }) => nic.vlan.as_ref().is_some_and(|vlan| vlan.id == *id && vlan.on == *on),
    }
}

fn is_way(route: &Route, way: &Way, device: &str) -> bool {
    let leads = match &way.gateway {
        Some(_) => route.gateway == way.gateway && route.dev.as_deref() == Some(device),
        None => route.kind.as_deref() == Some("unreachable"),
    };
    leads && route.to == way.to && route.metric == way.metric
}

fn delete(route: &Route) -> Command {
    let mut command = Program::Ip.command().args(["route", "delete", &route.to]).already(2);
    for (word, value) in [("via", &route.gateway), ("dev", &route.dev)] {
        command = command.args(value.iter().flat_map(|value| [word, value]));
    }
    command.args(["metric", &route.metric.to_string()])
}

fn kind(nic: &Nic) -> String {
    match (&nic.vlan, &nic.kind) {
        (Some(vlan), _) => format!("VLAN {} on {}", vlan.id, vlan.on),
        (None, Some(kind)) => format!("made as `{kind}`"),
        (None, None) => "a NIC".to_owned(),
    }
}

/// What a device that networkd makes lies on.
fn on(device: &Device) -> Option<&str> {
    match &device.made {
        Some(Made::Vlan { on, .. }) => Some(on),
        _ => None,
    }
}

fn vsctl(words: &[String]) -> Command {
    Program::OvsVsctl.command().args(words).timeout(OVS_SECONDS)
}

/// Waits until those devices are addressed whose cables are in. One that isn't is seen afterwards, and is no failure of
/// the step: the confirmation decides.
fn wait_for(devices: &[Device]) -> Command {
    let wanted = devices.iter().filter(|device| device.comes_up && !device.addresses.is_empty());
    let names = wanted.map(|device| format!("--interface={}", device.name));
    let command = Program::NetworkdWaitOnline.command().args(["--ipv4", &format!("--timeout={COME_UP}")]);
    command.args(names).timeout(COME_UP + 10).already(1)
}

/// What makes all as it was, once the files are.
fn undo(
    change: &Change<'_>,
    layout: &Layout<'_>,
    now: &Ovs,
    want: &Ovs,
    devices: &[Device],
    nics: &[Nic],
) -> Vec<Command> {
    let mut undo = Vec::new();
    let ours = |bridges: &Ovs| Ovs {
        bridges: bridges.bridges.iter().filter(|(name, _)| want.bridges.contains_key(*name)).map(clone).collect(),
    };
    let (words, _) = ovs::transaction(want, &ours(now), true);
    if !words.is_empty() {
        undo.push(vsctl(&words));
    }
    for device in change.made.iter().chain(&change.remade) {
        undo.push(Program::Ip.command().args(["link", "delete", "dev", device]).already(1));
    }
    undo.push(Program::Networkctl.command().args(["reload"]));
    for wire in &layout.wires {
        let (name, mtu) = (&wire.nic.name, wire.nic.mtu);
        if u32::from(wire.mtu.get()) != mtu {
            undo.push(Program::Ip.command().args(["link", "set", "dev", name, "mtu", &mtu.to_string()]));
        }
    }
    for nic in &change.taken {
        undo.push(Program::Ip.command().args(["-4", "address", "flush", "dev", nic]));
        undo.push(Program::Ifup.command().args(["--force", nic]).timeout(IFUPDOWN_SECONDS));
    }
    let there = |device: &&Device| nics.iter().any(|nic| nic.name == device.name);
    let again: Vec<&str> = devices.iter().filter(there).map(|device| device.name.as_str()).collect();
    // What ifupdown has again, networkd leaves alone.
    if change.taken.is_empty() && !again.is_empty() {
        undo.push(Program::Networkctl.command().args(["reconfigure"]).args(again));
    }
    for (device, address) in &change.stray {
        let address = address.to_string();
        if !change.taken.contains(device) {
            undo.push(Program::Ip.command().args(["address", "replace", &address, "dev", device]));
        }
    }
    undo
}

fn clone<K: Clone, V: Clone>((key, value): (&K, &V)) -> (K, V) {
    (key.clone(), value.clone())
}
