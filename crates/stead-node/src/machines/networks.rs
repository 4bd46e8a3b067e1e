//! libvirt's networks, as it keeps them: a file each (`virsh net-dumpxml`'s format), a link to it if it is there after a boot,
//! and a file in `/run` while it is active.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};
use stead_plan::machines::VirtualNetwork;

use crate::place::Place;
use crate::read::why;

const DEFINED: &str = "/etc/libvirt/qemu/networks";
const AUTOSTART: &str = "/etc/libvirt/qemu/networks/autostart";
const ACTIVE: &str = "/run/libvirt/network";

const END: &str = ".xml";

pub(super) fn look(place: &Place) -> Result<BTreeMap<String, VirtualNetwork>, String> {
    let [defined, autostart, active] = [DEFINED, AUTOSTART, ACTIVE].map(|folder| place.names(folder));
    let (defined, autostart, active) =
        (defined.map_err(|error| why(&error))?, autostart.unwrap_or_default(), active.unwrap_or_default());
    let mut networks = BTreeMap::new();
    for file in defined.iter().filter(|file| file.ends_with(END)) {
        let path = format!("{DEFINED}/{file}");
        let text = place.text(&path).map_err(|error| why(&error))?;
        let (name, mut network) = parse(&text).map_err(|reason| format!("{path}: {reason}"))?;
        network.autostart = autostart.contains(file);
        network.active = active.contains(file);
        networks.insert(name, network);
    }
    Ok(networks)
}

/// A network's name, and what its definition says.
fn parse(text: &str) -> Result<(String, VirtualNetwork), String> {
    let document = Document::parse(text).map_err(|error| format!("no XML: {error}"))?;
    let mut network = VirtualNetwork::default();
    let mut name = None;
    for part in document.root_element().children().filter(Node::is_element) {
        let own = || part.text().unwrap_or_default().trim().to_owned();
        let attribute = |key| part.attribute(key).unwrap_or_default();
        match part.tag_name().name() {
            "name" => name = Some(own()),
            "uuid" => network.uuid = own(),
            "bridge" => network.bridge = part.attribute("name").map(str::to_owned),
            "forward" if attribute("mode") == "bridge" => {}
            "virtualport" if attribute("type") == "openvswitch" => network.openvswitch = true,
            "vlan" if attribute("trunk") != "yes" => {
                let tag = part.children().find(|child| child.has_tag_name("tag"));
                network.vlan = tag.and_then(|tag| tag.attribute("id")).and_then(|id| id.parse().ok());
            }
            other => drop(network.others.insert(other.to_owned())),
        }
    }
    Ok((name.ok_or("it has no name")?, network))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends there")]

    use super::*;
    use crate::testing::{Node, each};

    #[test]
    fn both_releases_keep_what_was_defined() {
        for (release, text) in each("libvirt-network.xml") {
            let node = Node::new();
            assert!(look(&node.place).unwrap().is_empty(), "{release}: none yet");
            node.write(&format!("{DEFINED}/lab.xml"), &text);
            node.write(&format!("{AUTOSTART}/default.xml"), "");
            node.write(&format!("{ACTIVE}/lab.xml"), &text);
            let networks = look(&node.place).unwrap();
            let lab = VirtualNetwork {
                uuid: "1e579c82-468a-5198-8a27-1fcfa9b52da7".to_owned(),
                bridge: Some("br1".to_owned()),
                openvswitch: true,
                vlan: Some(20),
                active: true,
                ..VirtualNetwork::default()
            };
            assert_eq!(networks, BTreeMap::from([("lab".to_owned(), lab)]), "{release}");
        }
    }

    #[test]
    fn what_is_more_in_it_is_told() {
        let text =
            "<network><name>x</name><forward mode='nat'/><bridge name='virbr0'/><ip address='192.0.2.1'/></network>";
        let (_, network) = parse(text).unwrap();
        assert_eq!(network.others.iter().collect::<Vec<_>>(), ["forward", "ip"]);
        assert!(parse("<network>").is_err() && parse("<network/>").is_err());
    }
}
