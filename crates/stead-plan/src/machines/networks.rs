//! Networks for machines: the node's bridges, as libvirt knows them, by the file's names on every node. A machine that moves
//! finds the same there.

use std::collections::{BTreeMap, BTreeSet};

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::network::Network;
use stead_spec::units::Vlan;
use uuid::Uuid;

use super::facts::VirtualNetwork;
use super::hypervisor;
use crate::network::{self, bridge};
use crate::op::{Filled, Program};
use crate::plan::planner::{Hidden, NodePlan};
use crate::step::About;

/// Its number: derived, so that stead knows its own, and that it is the same on every node.
fn uuid(spec: &Spec, name: &str) -> Uuid {
    Uuid::new_v5(&spec.cluster().id.uuid(), format!("network/{name}").as_bytes())
}

/// As it should be; `None` where the node has no way to it.
fn wanted(spec: &Spec, node: &Node, network: &Network) -> Option<VirtualNetwork> {
    Some(VirtualNetwork {
        uuid: uuid(spec, network.name.as_ref()).to_string(),
        bridge: Some(bridge(spec, node, network)?),
        openvswitch: true,
        vlan: network::vlan(network).map(Vlan::get),
        others: BTreeSet::new(),
        autostart: true,
        active: true,
    })
}

/// As libvirt takes it, in one line. Names of the file need no escaping.
fn definition(name: &str, network: &VirtualNetwork) -> String {
    let tag = network.vlan.map(|vlan| format!("<vlan><tag id=\"{vlan}\"/></vlan>")).unwrap_or_default();
    format!(
        "<network><name>{name}</name><uuid>{}</uuid><forward mode=\"bridge\"/><bridge name=\"{}\"/>\
         <virtualport type=\"openvswitch\"/>{tag}</network>",
        network.uuid,
        network.bridge.as_deref().unwrap_or_default(),
    )
}

/// What about one isn't as it should be, in words; nothing if it is.
fn differences(now: Option<&VirtualNetwork>, want: &VirtualNetwork) -> Vec<String> {
    let Some(now) = now else { return vec!["there is none".to_owned()] };
    let mut why = Vec::new();
    if now.bridge != want.bridge || !now.openvswitch {
        let is = now.bridge.as_deref().unwrap_or("no bridge");
        why.push(format!("it stands for {is} and should for {}", want.bridge.as_deref().unwrap_or_default()));
    }
    if now.vlan != want.vlan {
        let tag = |vlan: Option<u16>| vlan.map_or("no tag".to_owned(), |vlan| format!("the tag {vlan}"));
        why.push(format!("it has {} and should have {}", tag(now.vlan), tag(want.vlan)));
    }
    if !now.others.is_empty() {
        let others: Vec<&str> = now.others.iter().map(String::as_str).collect();
        why.push(format!("it has more in it than it should: {}", others.join(", ")));
    }
    why
}

/// All of them on a node.
pub(super) fn networks(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let now = plan.seen.hypervisor.networks.as_result().map_err(|why| Hidden::new("libvirt's networks", why))?;
    let spec = plan.spec;
    for network in spec.networks().values() {
        let name: &str = network.name.as_ref();
        let Some(want) = wanted(spec, plan.node, network) else { continue };
        let is = now.get(name);
        if is.is_some_and(|is| is.uuid != want.uuid) {
            let way =
                format!("rename it, or if nobody needs it: `virsh net-destroy {name}; virsh net-undefine {name}`");
            plan.refuse(format!("libvirt has a network {name} that isn't stead's"), way);
            continue;
        }
        let mut step = plan.draft(&format!("network.{name}"), format!("have {name} for machines"));
        let differs = differences(is, &want);
        let virsh = |words: [&str; 2]| Program::Virsh.command().args(words);
        let anew = !differs.is_empty();
        if anew {
            let definition = Filled { text: definition(name, &want), ..Filled::default() };
            step.run(virsh(["net-define", "/dev/stdin"]).reads(definition));
            // What is plugged in stays so.
            if is.is_some_and(|is| is.active) {
                step.run(virsh(["net-destroy", name]));
            }
        }
        if is.is_none_or(|is| !is.autostart) {
            step.run(virsh(["net-autostart", name]));
        }
        if anew || is.is_none_or(|is| !is.active) {
            step.run(virsh(["net-start", name]));
        }
        for why in differs {
            step.why(why);
        }
        if is.is_some_and(|is| !is.autostart) {
            step.why("it isn't there after a boot");
        }
        if is.is_some_and(|is| !is.active) {
            step.why("machines can't be plugged in");
        }
        step.rests_on(About::VirtualNetwork(name.to_owned()))?;
        step.after(hypervisor::STEP);
        plan.add(step);
    }
    leftovers(plan, now);
    Ok(())
}

/// Networks of this cluster that the file leaves out.
fn leftovers(plan: &mut NodePlan<'_, '_>, now: &BTreeMap<String, VirtualNetwork>) {
    for (name, network) in now {
        let asked = plan.spec.networks().keys().any(|asked| asked.as_ref() == name.as_str());
        if !asked && network.uuid == uuid(plan.spec, name).to_string() {
            plan.leftover(
                format!("the network {name} of libvirt's"),
                format!("virsh net-destroy {name}; virsh net-undefine {name}"),
            );
        }
    }
}
