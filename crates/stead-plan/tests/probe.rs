//! Each way in which a switch may be set wrongly, alone: what `stead network probe` says of it.
#![allow(clippy::unwrap_used, reason = "a test ends there")]

use std::collections::BTreeMap;

use stead_plan::init::{Heard, Link, Probed};
use stead_plan::inventory::{Inventory, Known, Release};
use stead_plan::network::probe::{Lane, Outcome, calls, outcome};
use stead_spec::Spec;
use stead_spec::units::NodeName;

use support::{converged, fresh, name, node, spec};

#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it, and ends where that goes wrong")]
mod support;

const TOML: &str = include_str!("../../../examples/reference.toml");

/// A call on its way.
struct Travels<'a> {
    from: &'a str,
    to: &'a str,
    lane: &'a Lane,
}

impl Travels<'_> {
    fn says(&self, words: &str) -> bool {
        self.lane.words.starts_with(words)
    }
}

/// What all hear where `passes` lets calls through; NICs of one number are on one switch.
fn probed(spec: &Spec, seen: &Inventory, passes: impl Fn(&Travels<'_>) -> bool) -> BTreeMap<NodeName, Known<Probed>> {
    let called: BTreeMap<&NodeName, _> =
        seen.seen().map(|(name, inventory)| (name, calls(spec, &spec.nodes()[name], inventory))).collect();
    let mut probed = BTreeMap::new();
    for (to, inventory) in seen.seen() {
        let link = |name: &str| (name.to_owned(), Known::Is(Link { carrier: true, speed: None }));
        let nics = inventory.nics.get().unwrap().iter().filter(|nic| nic.driver.is_some());
        let mut heard = Vec::new();
        for (from, calls) in called.iter().filter(|(from, _)| **from != to) {
            for lane in &calls.lanes {
                if passes(&Travels { from: from.as_ref(), to: to.as_ref(), lane }) {
                    let mut words = lane.words.split(' ');
                    let (switch, network) = (words.next().unwrap(), words.next().unwrap());
                    // What takes a tag off hears it too, if it is there.
                    let device = match network {
                        "core" => switch.replace("sw", "core"),
                        network => network.to_owned(),
                    };
                    for on in [&lane.nic, &device] {
                        let (node, nic) = (from.to_string(), lane.nic.clone());
                        heard.push(Heard { on: on.clone(), node, nic, words: lane.words.clone() });
                    }
                }
            }
        }
        probed.insert(to.clone(), Known::Is(Probed { heard, nics: nics.map(|nic| link(&nic.name)).collect() }));
    }
    probed
}

fn found(passes: impl Fn(&Travels<'_>) -> bool) -> Outcome {
    let (spec, inventory) = (spec(TOML.as_bytes()).0, converged(TOML, &Release::Trixie));
    outcome(&spec, &inventory, &probed(&spec, &inventory, passes))
}

fn told(outcome: &Outcome) -> Vec<&str> {
    outcome.findings.iter().map(|finding| finding.what.as_str()).collect()
}

#[test]
fn all_is_passed() {
    let outcome = found(|_| true);
    assert_eq!(told(&outcome), [""; 0]);
    assert!(outcome.is_well() && !outcome.is_blind());
    let core: Vec<_> = outcome.networks.iter().filter(|passes| passes.network == "core").collect();
    assert_eq!(core.len(), 3);
    assert!(core.iter().all(|passes| passes.nodes.len() == 3 && passes.untried.is_empty()), "{core:?}");
    insta::assert_snapshot!(outcome.render(&spec(TOML.as_bytes()).0.cluster().name, &|_, text| text.to_owned()));
}

#[test]
fn a_tag_that_a_switch_does_not_know() {
    let outcome = found(|call| !call.says("sw1 core "));
    assert_eq!(told(&outcome), ["sw1 drops core (VLAN 10)"]);
    insta::assert_snapshot!(outcome.render(&spec(TOML.as_bytes()).0.cluster().name, &|_, text| text.to_owned()));
}

#[test]
fn a_tag_that_one_port_does_not_know() {
    let outcome = found(|call| !(call.says("sw1 core ") && [call.from, call.to].contains(&"node3")));
    assert_eq!(told(&outcome), ["sw1 drops core (VLAN 10) from and to node3"]);
    assert!(outcome.findings[0].next.starts_with("set node3's port (52:54:"), "{:?}", outcome.findings);
}

#[test]
fn a_port_that_only_sends_or_takes() {
    let outcome = found(|call| !(call.says("sw2 core ") && call.to == "node1"));
    assert_eq!(told(&outcome), ["sw2 drops core (VLAN 10) to node1"]);
    let outcome = found(|call| !(call.says("sw2 core ") && call.from == "node2"));
    assert_eq!(told(&outcome), ["sw2 drops core (VLAN 10) from node2"]);
    let outcome = found(|call| !(call.says("sw2 core ") && call.from == "node2" && call.to == "node3"));
    assert_eq!(told(&outcome), ["sw2 drops core (VLAN 10) from node2 to node3"]);
}

#[test]
fn a_switch_that_passes_no_large_packets() {
    let outcome = found(|call| !(call.says("sw1 ") && call.lane.size > 1500));
    assert_eq!(told(&outcome), ["sw1 drops packets of 9000 bytes of core (VLAN 10)"]);
    assert_eq!(outcome.findings[0].next, "have it pass frames of 9022 bytes or more");
}

#[test]
fn a_cable_in_the_wrong_switch() {
    let (spec, inventory) = (spec(TOML.as_bytes()).0, converged(TOML, &Release::Trixie));
    let mut probed = probed(&spec, &inventory, |call| ![call.from, call.to].contains(&"node1"));
    // node1's cables to sw1 and sw2 are exchanged.
    let exchanged = |nic: &str| match nic {
        "enp1s0" => "enp2s0".to_owned(),
        "enp2s0" => "enp1s0".to_owned(),
        other => other.to_owned(),
    };
    let all = self::probed(&spec, &inventory, |call| [call.from, call.to].contains(&"node1"));
    for (node, of) in all {
        let (Known::Is(of), Some(Known::Is(into))) = (of, probed.get_mut(&node)) else { panic!("{node}") };
        into.heard.extend(of.heard.into_iter().map(|heard| Heard { on: exchanged(&heard.on), ..heard }));
    }
    let outcome = outcome(&spec, &inventory, &probed);
    let told = told(&outcome);
    assert_eq!(told.len(), 2, "{told:?}");
    assert!(
        told[0].starts_with("node1's NIC for sw1 (enp1s0, ") && told[0].ends_with(" is plugged into sw2"),
        "{told:?}"
    );
    assert!(
        told[1].starts_with("node1's NIC for sw2 (enp2s0, ") && told[1].ends_with(" is plugged into sw1"),
        "{told:?}"
    );
}

#[test]
fn no_cable_and_no_answer() {
    let (spec, inventory) = (spec(TOML.as_bytes()).0, converged(TOML, &Release::Trixie));
    let mut heard = probed(&spec, &inventory, |call| !(call.says("sw3 ") && [call.from, call.to].contains(&"node2")));
    let Some(Known::Is(node2)) = heard.get_mut(&name("node2")) else { panic!("node2") };
    node2.nics.insert("enp3s0".to_owned(), Known::Is(Link { carrier: false, speed: None }));
    let found = outcome(&spec, &inventory, &heard);
    assert_eq!(told(&found).len(), 1, "{:?}", told(&found));
    assert!(told(&found)[0].starts_with("nothing answers at the other end of node2's cable to sw3 (enp3s0, "));
    heard.insert(name("node2"), Known::Unknown("the agent is gone".to_owned()));
    let found = outcome(&spec, &inventory, &heard);
    assert_eq!(told(&found), ["node2 could not call: the agent is gone"]);
    assert!(found.is_blind());
}

#[test]
fn before_the_first_apply_large_packets_are_not_tried() {
    let spec = spec(TOML.as_bytes()).0;
    let mut inventory = fresh(&spec, &Release::Trixie);
    for name in ["node1", "node2", "node3"] {
        assert!(node(&mut inventory, name).nics.get().unwrap().iter().all(|nic| nic.mtu == 1_500));
    }
    let outcome = outcome(&spec, &inventory, &probed(&spec, &inventory, |_| true));
    assert_eq!(told(&outcome), [""; 0]);
    assert!(outcome.networks.iter().any(|passes| passes.network == "core" && passes.untried.len() == 3));
}

#[test]
fn a_cable_between_switches() {
    let linked = TOML.replace("[switch.sw3]", "[switch.sw3]\nlinked_to = [\"sw2\"]");
    let both = "switches = [\"sw2\", \"sw3\"]";
    let linked = linked.replace("switches = [\"sw2\"]", both).replace("switches = [\"sw3\"]", both);
    let (spec, inventory) = (spec(linked.as_bytes()).0, converged(&linked, &Release::Trixie));
    let mut probed = probed(&spec, &inventory, |_| true);
    // Nobody hears on one switch what is said on the other.
    let found = outcome(&spec, &inventory, &probed);
    let [things, wan] = told(&found)[..] else { panic!("{:?}", told(&found)) };
    assert_eq!(things, "nothing of things (VLAN 30) passes between sw2 and sw3");
    assert_eq!(wan, "nothing of wan (untagged) passes between sw2 and sw3");
    // With the cable they do.
    let mut over = |from: &str, to: &str| {
        for of in probed.values_mut() {
            let Known::Is(of) = of else { panic!("all called") };
            let mut heard = of.heard.clone();
            heard.retain(|heard| heard.on == from && !heard.words.contains(" core "));
            assert!(!heard.is_empty());
            of.heard.extend(heard.into_iter().map(|heard| Heard { on: to.to_owned(), ..heard }));
        }
        outcome(&spec, &inventory, &probed)
    };
    assert_eq!(told(&over("enp2s0", "enp3s0"))[0], "nothing of things (VLAN 30) passes from sw3 to sw2");
    assert_eq!(told(&over("enp3s0", "enp2s0")), [""; 0]);
}
