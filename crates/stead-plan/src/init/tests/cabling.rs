use std::collections::BTreeMap;

use super::house::{found, inventory, nic, three};
use crate::init::{Cabling, Found, Heard, Port, draft, nics, switches};
use crate::inventory::Known;

fn cabling(found: &Found) -> Cabling {
    let probed = found.nodes.iter().map(|node| (node.name.clone(), node.probed.get().cloned().unwrap_or_default()));
    switches(&nics(found).0, &probed.collect())
}

fn shown(cabling: &Cabling) -> Vec<String> {
    let ports = |ports: &BTreeMap<_, Vec<String>>| {
        ports.iter().map(|(node, nics)| format!("{node}:{}", nics.join("+"))).collect::<Vec<_>>().join(" ")
    };
    cabling.switches.iter().map(|switch| format!("{} {}", switch.name, ports(&switch.ports))).collect()
}

fn port(node: &str, nic: &str) -> Port {
    Port { node: node.parse().unwrap(), nic: nic.to_owned() }
}

#[test]
fn switches_are_ordered_by_nodes_then_by_speed_then_by_nics() {
    let cabling = cabling(&three());
    assert_eq!(
        shown(&cabling),
        [
            "sw1 node1:eno3 node2:eno3 node3:eno3",
            "sw2 node1:eno1 node2:eno1 node3:eno1",
            "sw3 node1:eno2 node2:eno2 node3:eno2",
        ]
    );
    assert_eq!(cabling.switches[0].speeds, Some((10_000, 10_000)));
}

fn nodes(number: u8, nics: u8) -> Vec<(&'static str, crate::inventory::NodeInventory)> {
    let node = |node: u8| {
        let mut inventory = inventory(&format!("node{node}"));
        inventory.nics = Known::Is((1..=nics).map(|nth| nic(node, nth, None)).collect());
        inventory
    };
    ["a.example.org", "b.example.org", "c.example.org"].into_iter().zip((1..=number).map(node)).collect()
}

#[test]
fn a_node_cabled_twice_is_told_and_lonely_nics_are_listed() {
    let found = found(nodes(3, 3), &[&[(1, 2)], &[(1, 1), (2, 1), (2, 2), (3, 1)], &[(3, 2), (3, 3)]]);
    let cabling = cabling(&found);
    assert_eq!(shown(&cabling), ["sw1 node1:eno1 node2:eno1+eno2 node3:eno1", "sw2 node3:eno2+eno3"]);
    assert_eq!(cabling.alone, [port("node1", "eno2")]);
    assert_eq!(cabling.unplugged, [port("node1", "eno3"), port("node2", "eno3")]);
    let draft = draft(&found);
    assert!(draft.remarks.iter().any(|remark| remark.starts_with("node2 has more than one NIC on sw1")));
    assert!(draft.text.contains("# They hear each other and no other node: eno2 and eno3 of node3."), "{}", draft.text);
    assert!(!draft.text.contains("[switch.sw2]"));
}

#[test]
fn one_ear_is_enough_and_strangers_are_ignored() {
    let mut found = found(nodes(2, 1), &[]);
    let heard = |node: &str, nic: &str| Heard {
        on: "eno1".to_owned(),
        node: node.to_owned(),
        nic: nic.to_owned(),
        words: String::new(),
    };
    if let Known::Is(probed) = &mut found.nodes[1].probed {
        probed.heard = vec![heard("node1", "eno1"), heard("node9", "eno1"), heard("node1", "eno7"), heard("", "")];
    }
    assert_eq!(shown(&cabling(&found)), ["sw1 node1:eno1 node2:eno1"]);
}

#[test]
fn what_could_not_listen_is_told() {
    let mut found = three();
    if let Known::Is(probed) = &mut found.nodes[0].probed {
        probed.nics.insert("eno2".to_owned(), Known::Unknown("it is on fire".to_owned()));
        probed.heard.retain(|heard| heard.on != "eno2");
    }
    let cabling = cabling(&found);
    assert_eq!(cabling.unprobed, [(port("node1", "eno2"), "it is on fire".to_owned())]);
    assert!(draft(&found).text.contains("# eno2 of node1 could not be probed: it is on fire"));
}
