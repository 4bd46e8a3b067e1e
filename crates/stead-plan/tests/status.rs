//! Each thing that may break, alone: what `stead status` says of it, and that it says it once.
#![allow(clippy::unwrap_used, reason = "a test ends there")]

use stead_plan::inventory::{Activity, Enablement, Inventory, Known, Observation, Release};
use stead_plan::machines::{Membership, Running};
use stead_plan::network::facts::{Bridge, Interface, Neighbour, Nic, Ovs, Port};
use stead_plan::status::{Path, Severity, Status, status};
use stead_spec::Spec;
use stead_spec::units::SwitchName;

use support::{converged, fresh, node, spec};

#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it, and ends where that goes wrong")]
mod support;

/// Three nodes on three switches that take large packets.
const TOML: &str = include_str!("../../../examples/reference.toml");

const ALL: [&str; 3] = ["node1", "node2", "node3"];

fn asked() -> Spec {
    spec(TOML.as_bytes()).0
}

/// Nodes as an apply leaves them, once they hear each other.
fn well() -> Inventory {
    let spec = asked();
    let mut inventory = converged(TOML, &Release::Trixie);
    for asked in spec.nodes().values() {
        nic(&mut inventory, asked.name.as_ref(), "enp1s0").speed = Some(10_000);
        for other in spec.nodes().values().filter(|other| other.name != asked.name) {
            let neighbour = |(switch, address): (&SwitchName, &stead_spec::units::Interface)| Neighbour {
                interface: format!("core{}", spec.switches()[switch].number),
                address: address.address().get(),
                router: other.core.get(),
                state: "Full".to_owned(),
                bfd: Some(true),
            };
            heard(&mut inventory, asked.name.as_ref()).extend(other.links.iter().map(neighbour));
        }
    }
    inventory
}

fn nics<'i>(inventory: &'i mut Inventory, of: &str) -> &'i mut Vec<Nic> {
    match &mut node(inventory, of).nics {
        Known::Is(nics) => nics,
        Known::Unknown(why) => panic!("{why}"),
    }
}

fn nic<'i>(inventory: &'i mut Inventory, of: &str, name: &str) -> &'i mut Nic {
    nics(inventory, of).iter_mut().find(|nic| nic.name == name).unwrap()
}

/// What a node hears; nothing without FRR.
fn heard<'i>(inventory: &'i mut Inventory, of: &str) -> &'i mut Vec<Neighbour> {
    match &mut node(inventory, of).routing {
        Known::Is(Some(routing)) => &mut routing.neighbours,
        other => panic!("{other:?}"),
    }
}

fn router(of: &str) -> std::net::Ipv4Addr {
    asked().nodes()[of].core.get()
}

/// From now on two nodes don't hear each other over a switch.
fn part(inventory: &mut Inventory, switch: u8, one: &str, other: &str) {
    let device = format!("core{switch}");
    for (of, from) in [(one, other), (other, one)] {
        if let Some(Observation::Seen(_)) = inventory.nodes.get(of) {
            let router = router(from);
            heard(inventory, of).retain(|heard| heard.interface != device || heard.router != router);
        }
    }
}

/// From now on a node hears nobody over a switch, and nobody hears it.
fn deafen(inventory: &mut Inventory, switch: u8, of: &str) {
    for other in ALL.into_iter().filter(|other| *other != of) {
        part(inventory, switch, of, other);
    }
}

/// A cable is pulled.
fn pull(inventory: &mut Inventory, switch: u8, of: &str) {
    let nic = nic(inventory, of, &format!("enp{switch}s0"));
    (nic.carrier, nic.speed) = (Some(false), None);
    deafen(inventory, switch, of);
}

fn silence(inventory: &mut Inventory, of: &str) {
    let why = format!("{of} (root@192.0.2.9) can't be reached: `ssh -o BatchMode=yes {of}`\n  No route to host");
    inventory.nodes.insert(of.parse().unwrap(), Observation::Silent(why));
}

fn after(change: impl FnOnce(&mut Inventory)) -> Status {
    let mut inventory = well();
    change(&mut inventory);
    status(&asked(), &inventory)
}

/// That this is all that is found after a change: a mark for how bad each is, and some of its words in order.
#[track_caller]
fn finds(wanted: &[&str], change: impl FnOnce(&mut Inventory)) -> Status {
    let status = after(change);
    let said = |finding: &stead_plan::status::Finding| {
        let mark = match finding.severity {
            Severity::Bad => '✗',
            Severity::Unknown => '?',
            Severity::Warn => '!',
        };
        assert!(!finding.next.is_empty() && !finding.what.ends_with('.'), "{finding:?}");
        format!("{mark} {} → {}", finding.what, finding.next)
    };
    let found: Vec<String> = status.findings.iter().map(said).collect();
    assert_eq!(found.len(), wanted.len(), "{found:#?}");
    for (found, wanted) in found.iter().zip(wanted) {
        let mut rest = found.as_str();
        for words in wanted.split(" … ") {
            let at = rest.find(words).unwrap_or_else(|| panic!("`{words}` isn't in: {found}"));
            rest = &rest[at + words.len()..];
        }
    }
    status
}

#[test]
fn nothing_is_found_where_all_is_well() {
    let status = finds(&[], |_| {});
    assert!(status.is_well() && !status.is_blind());
    let paths =
        status.nodes.iter().flat_map(|node| &node.links).flat_map(|link| link.core.as_ref().unwrap().paths.values());
    assert_eq!(paths.filter(|path| **path == Path::Works).count(), 18);
    insta::assert_snapshot!(plain(&status));
    let json = serde_json::to_value(&status).unwrap();
    assert_eq!((&json["schema_version"], &json["nodes"][0]["links"][0]["nic"]["speed"]), (&1.into(), &10_000.into()));
}

fn plain(status: &Status) -> String {
    let text = status.render(&|_, text| text.to_owned());
    assert!(text.lines().all(|line| line.chars().count() <= 100), "{text}");
    text
}

#[test]
fn a_core_that_is_not_there_yet_is_one_thing() {
    let spec = asked();
    let mut new = fresh(&spec, &Release::Trixie);
    let first = status(&spec, &new);
    let whats: Vec<&str> = first.findings.iter().map(|finding| finding.what.as_str()).collect();
    assert_eq!(whats, ["the core isn't there yet on any node"]);
    // A node that comes later.
    let third = node(&mut new, "node3").clone();
    finds(&["! the core isn't there yet on node3 → `stead apply`"], |nodes| {
        (1..=3).for_each(|switch| deafen(nodes, switch, "node3"));
        *node(nodes, "node3") = third;
        nic(nodes, "node3", "enp1s0").speed = Some(10_000);
    });
}

#[test]
fn nodes_that_do_not_answer() {
    let status = finds(&["✗ node3 (root@192.0.2.9) can't be reached; no other node hears it … is it on"], |nodes| {
        silence(nodes, "node3");
        (1..=3).for_each(|switch| deafen(nodes, switch, "node3"));
    });
    assert!(status.is_blind());
    insta::assert_snapshot!(plain(&status));
    finds(&["? node3 … in the core, node1 and node2 hear it → it is on"], |nodes| silence(nodes, "node3"));
    let status = finds(&["? no node answers: node1 (root@192.0.2.9) can't be reached"], |nodes| {
        for of in ALL {
            silence(nodes, of);
        }
    });
    assert!(status.is_blind());
}

#[test]
fn nodes_that_are_others() {
    finds(&["✗ node2 isn't where the file says: `root@192.168.0.51` leads to node3 instead"], |nodes| {
        let stamp = node(nodes, "node3").stamp.clone();
        node(nodes, "node2").stamp = stamp;
    });
    finds(&["! node2's clock is 2 hours behind most nodes' → `stead apply`"], |nodes| {
        node(nodes, "node2").clock.ahead = -7_200_000;
    });
}

#[test]
fn a_cable_that_is_out() {
    let status = finds(
        &["✗ node1's enp2s0 has no carrier: it should lead to sw2 → is its cable in at both ends? Is switch sw2"],
        |nodes| {
            pull(nodes, 2, "node1");
        },
    );
    assert_eq!(status.nodes[0].links[1].worst, Some(Severity::Bad));
    assert_eq!(status.findings[0].node.as_ref().unwrap().as_str(), "node1");
}

#[test]
fn nics_that_are_off_or_gone() {
    finds(
        &["✗ node1's enp2s0 to sw2 is switched off → `stead apply` switches it on; by hand, on node1: `ip link set"],
        |nodes| {
            pull(nodes, 2, "node1");
            let nic = nic(nodes, "node1", "enp2s0");
            (nic.up, nic.carrier) = (false, None);
        },
    );
    finds(&["✗ node1 has no NIC 52:54:00:00:01:02, which the file has for sw2 → is it still in the PC"], |nodes| {
        pull(nodes, 2, "node1");
        nics(nodes, "node1").retain(|nic| !["enp2s0", "core2"].contains(&nic.name.as_str()));
    });
    finds(
        &["✗ node1 has no NIC 52:54:00:00:01:02 … if enp2s0 is there in its place, write 52:54:00:00:09:09"],
        |nodes| {
            pull(nodes, 2, "node1");
            nic(nodes, "node1", "enp2s0").mac = Some("52:54:00:00:09:09".parse().unwrap());
        },
    );
}

#[test]
fn all_links_of_a_node_are_one_thing() {
    finds(&["✗ none of node3's 3 NICs works, and it reaches nobody: enp1s0 to sw1 has no carrier, enp2s0"], |nodes| {
        (1..=3).for_each(|switch| pull(nodes, switch, "node3"));
    });
}

#[test]
fn a_switch_that_is_off_is_one_thing() {
    let dark =
        "✗ switch sw2 is off, or cut off from all nodes: node1, node2 and node3 have no carrier there → is sw2 on";
    finds(&[dark], |nodes| {
        for of in ALL {
            pull(nodes, 2, of);
        }
    });
    let hung = "✗ switch sw2 passes nothing: nodes have carriers there, and none hears another → is sw2 off or hung?";
    let status = finds(&[hung], |nodes| {
        for of in ALL {
            deafen(nodes, 2, of);
        }
    });
    assert!(status.nodes.iter().all(|node| node.links[1].worst == Some(Severity::Bad)));
    // One node is without a carrier besides.
    finds(&["✗ node1's enp2s0 has no carrier", hung], |nodes| {
        pull(nodes, 2, "node1");
        for of in ["node2", "node3"] {
            deafen(nodes, 2, of);
        }
    });
    finds(&["✗ no node hears another in the core, over any switch … pass VLAN 10"], |nodes| {
        for of in ALL {
            heard(nodes, of).clear();
        }
    });
}

#[test]
fn slow_links_and_broken_frames() {
    finds(
        &["! node2's enp1s0 to sw1 runs at 1 Gbit/s, and others there have 10 Gbit/s → change the cable"],
        |nodes| {
            nic(nodes, "node2", "enp1s0").speed = Some(1_000);
        },
    );
    finds(&["! switch sw3 is slow: all nodes have 100 Mbit/s there"], |nodes| {
        for of in ALL {
            nic(nodes, of, "enp3s0").speed = Some(100);
        }
    });
    // A driver that can't tell is no reason.
    finds(&[], |nodes| nic(nodes, "node2", "enp1s0").speed = None);
    finds(
        &["! node2's enp3s0 to sw3 has counted broken frames since it was started: 12 received, 0 sent → change"],
        |nodes| {
            nic(nodes, "node2", "enp3s0").errors.received = 12;
        },
    );
}

#[test]
fn packets_that_are_too_large() {
    finds(&["! node2's enp3s0 to sw3 takes packets of 1500 bytes, and 9000 are asked → `stead plan`"], |nodes| {
        nic(nodes, "node2", "enp3s0").mtu = 1_500;
        nic(nodes, "node2", "core3").mtu = 1_500;
        heard(nodes, "node1").iter_mut().filter(|heard| heard.interface == "core3").for_each(|heard| {
            if heard.router == router("node2") {
                heard.state = "ExStart".to_owned();
            }
        });
    });
    finds(&["! node2's core3 to sw3 takes packets of 1500 bytes"], |nodes| nic(nodes, "node2", "core3").mtu = 1_500);
    let small =
        "! MTU mismatch on sw3: node1, node2 and node3 hear each other there … smaller switch … frames of 9022 bytes";
    finds(&[small], |nodes| {
        for of in ALL {
            let stuck = heard(nodes, of).iter_mut().filter(|heard| heard.interface == "core3");
            stuck.for_each(|heard| heard.state = "Exchange".to_owned());
        }
    });
}

#[test]
fn parts_of_the_core_that_are_missing() {
    finds(
        &["! node1 lacks a part of the core: core0 with 10.10.0.1 and core2 with 10.10.2.1 → `stead plan`"],
        |nodes| {
            nics(nodes, "node1").retain(|nic| !["core0", "core2"].contains(&nic.name.as_str()));
            deafen(nodes, 2, "node1");
        },
    );
    finds(&["✗ FRR doesn't run on node1 … journalctl -b -u frr"], |nodes| {
        (1..=3).for_each(|switch| deafen(nodes, switch, "node1"));
        node(nodes, "node1").routing = Known::Is(None);
    });
    finds(&["! node1 doesn't have its address in lan, 192.168.0.50/24 → `stead plan`"], |nodes| {
        nic(nodes, "node1", "lan").addresses.clear();
    });
}

#[test]
fn cables_in_wrong_switches() {
    let alone = "✗ the cable of node1's enp2s0 is probably in another switch than sw2 … put it into sw2";
    finds(&[alone], |nodes| deafen(nodes, 2, "node1"));
    let swapped =
        "✗ node1's cables for sw1 and sw2 are probably swapped … enp1s0 belongs into sw1 and enp2s0 belongs into sw2";
    finds(&[swapped], |nodes| {
        for switch in [1, 2] {
            deafen(nodes, switch, "node1");
        }
    });
    finds(&["✗ node1 hears nobody in the core, though its cables are in"], |nodes| {
        (1..=3).for_each(|switch| deafen(nodes, switch, "node1"));
    });
    // Its own hellos come from another subnet; OSPF may or may not mind.
    let stray = |nodes: &mut Inventory, on: &str, from: &str, address: [u8; 4]| {
        let neighbour = Neighbour {
            interface: on.to_owned(),
            address: address.into(),
            router: router(from),
            state: "Init".to_owned(),
            bfd: None,
        };
        heard(nodes, "node1").push(neighbour);
    };
    finds(&["✗ the cable of node1's enp2s0 is in sw1 instead of sw2 → put it into sw2"], |nodes| {
        deafen(nodes, 2, "node1");
        stray(nodes, "core2", "node2", [10, 10, 1, 2]);
    });
    finds(&["✗ the cable of node2's enp1s0 is in sw2 instead of sw1 → put it into sw1"], |nodes| {
        deafen(nodes, 1, "node2");
        stray(nodes, "core2", "node2", [10, 10, 1, 2]);
    });
    finds(&["✗ node1's cables for sw1 and sw2 are swapped … enp1s0 belongs into sw1"], |nodes| {
        for switch in [1, 2] {
            deafen(nodes, switch, "node1");
        }
        stray(nodes, "core2", "node2", [10, 10, 1, 2]);
        stray(nodes, "core1", "node2", [10, 10, 2, 2]);
    });
}

#[test]
fn two_nodes_that_do_not_hear_each_other() {
    let some =
        "! sw2 doesn't pass VLAN 10 between node1 and node2; they reach each other over 2 of 3 switches → set their";
    finds(&[some], |nodes| part(nodes, 2, "node1", "node2"));
    finds(&["! of node1 and node2, only one hears the other over sw2; they reach each other over 2 of 3"], |nodes| {
        let router = router("node1");
        heard(nodes, "node2").retain(|heard| heard.interface != "core2" || heard.router != router);
    });
    finds(&["! the way between node1 and node2 over sw1 comes and goes"], |nodes| {
        heard(nodes, "node1")[0].bfd = Some(false);
    });
    let status = after(|nodes| (1..=3).for_each(|switch| part(nodes, switch, "node1", "node2")));
    let last = status.findings.last().unwrap();
    assert_eq!(last.what, "node1 and node2 reach each other in the core only through other nodes");
}

#[test]
fn no_way_at_all_is_bad() {
    let nodes = |nodes: &mut Inventory| {
        pull(nodes, 1, "node1");
        pull(nodes, 2, "node1");
        // Over the last one, both others are lost.
        deafen(nodes, 3, "node1");
    };
    finds(
        &[
            "✗ node1's enp1s0 has no",
            "✗ node1's enp2s0 has no",
            "✗ the cable of node1's enp3s0",
            "✗ node1 reaches no other node",
        ],
        nodes,
    );
}

#[test]
fn open_vswitch() {
    finds(&["✗ Open vSwitch doesn't run on node1, and is to carry dmz, lan, sync, things and wan there"], |nodes| {
        node(nodes, "node1").ovs = Known::Is(None);
    });
    let broken = "could not open network device vx2 (Address family not supported)";
    finds(
        &[
            "! on node1, Open vSwitch can't use vx2 of brcore: could not open network device … ovs-vsctl list interface vx2",
        ],
        |nodes| {
            let interface = Interface { error: Some(broken.to_owned()), ..Interface::default() };
            let port = Port { interfaces: [("vx2".to_owned(), interface)].into(), ..Port::default() };
            let bridge = Bridge { ports: [("vx2".to_owned(), port)].into(), ..Bridge::default() };
            node(nodes, "node1").ovs = Known::Is(Some(Ovs { bridges: [("brcore".to_owned(), bridge)].into() }));
        },
    );
}

#[test]
fn those_who_decide_where_machines_run() {
    fn of<'i>(nodes: &'i mut Inventory, name: &str) -> &'i mut Membership {
        match &mut node(nodes, name).hypervisor.membership {
            Known::Is(Some(membership)) => membership,
            other => panic!("{other:?}"),
        }
    }
    finds(&["✗ node2's pacemaker doesn't run: no machine is started or kept there"], |nodes| {
        node(nodes, "node2").hypervisor.membership = Known::Is(None);
    });
    // Two that part from the third, which is told once by each.
    finds(&["✗ node3 is not among most nodes", "✗ node3's pacemaker doesn't see node1 and node2's"], |nodes| {
        let alone = of(nodes, "node3");
        alone.quorate = false;
        alone.members.insert("node1".to_owned(), false);
        alone.members.insert("node2".to_owned(), false);
    });
    finds(&["✗ node1's watchdog isn't fed"], |nodes| {
        let ended = support::unit(Enablement::Enabled, Activity::Failed);
        support::units(node(nodes, "node1")).insert("sbd.service".to_owned(), ended);
    });
}

#[test]
fn machines_that_do_not_do_what_they_should() {
    type Machines = std::collections::BTreeMap<String, Running>;
    fn on<'i>(nodes: &'i mut Inventory, name: &str) -> &'i mut Machines {
        match &mut node(nodes, name).hypervisor.running {
            Known::Is(running) => running,
            other @ Known::Unknown(_) => panic!("{other:?}"),
        }
    }
    finds(&["✗ web1 doesn't run, and should → `stead machine start web1`"], |nodes| {
        on(nodes, "node1").remove("web1");
    });
    finds(&["✗ web1 runs on node1 and node2 at once: both write to its disks"], |nodes| {
        let web1 = on(nodes, "node1")["web1"].clone();
        on(nodes, "node2").insert("web1".to_owned(), web1);
    });
    finds(&["✗ web1 stands still on node1: I/O error"], |nodes| {
        let web1 = on(nodes, "node1").get_mut("web1").unwrap();
        (web1.state, web1.reason) = ("paused".to_owned(), "I/O error".to_owned());
    });
    // One that moves is on both, and one that is off is off.
    finds(&[], |nodes| {
        let mut comes = on(nodes, "node1")["web1"].clone();
        (comes.state, comes.reason) = ("paused".to_owned(), "migration".to_owned());
        on(nodes, "node2").insert("web1".to_owned(), comes);
    });
    finds(&[], |nodes| {
        on(nodes, "node1").remove("web1");
        for name in ["node1", "node2", "node3"] {
            let Known::Is(Some(now)) = &mut node(nodes, name).hypervisor.membership else { panic!("{name}") };
            let web1 = now.resources.get_mut("web1").unwrap();
            web1.insert("meta.target-role".to_owned(), "Stopped".to_owned());
        }
    });
    // Somebody else's machine of the same name.
    finds(&[], |nodes| {
        let mut other = on(nodes, "node1")["web1"].clone();
        "0d3c9c5e-6f6b-4b1e-9d5a-2b1c3d4e5f60".clone_into(&mut other.uuid);
        on(nodes, "node2").insert("web1".to_owned(), other);
    });
}

#[test]
fn what_nodes_can_not_tell() {
    let status = finds(
        &["? node1 could not tell of its NICs and its routing: `ip` isn't there → look on node1 itself"],
        |nodes| {
            let seen = node(nodes, "node1");
            seen.nics = Known::Unknown("`ip` isn't there".to_owned());
            seen.routing = Known::Unknown("`vtysh` neither".to_owned());
        },
    );
    assert!(status.is_blind());
}

#[test]
fn several_things_at_once() {
    let status = after(|nodes| {
        for of in ALL {
            deafen(nodes, 2, of);
        }
        deafen(nodes, 3, "node1");
        let nic = nic(nodes, "node3", "enp1s0");
        (nic.errors.received, nic.speed) = (1_204, Some(1_000));
    });
    assert!(!status.is_blind() && !status.is_well());
    insta::assert_snapshot!(plain(&status));
}
