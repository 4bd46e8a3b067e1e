mod cabling;
mod house;
mod properties;

use stead_spec::{Report, Spec, parse};

use super::*;
use crate::disks::Disk;
use crate::inventory::Known;
use house::{KEY, blank, found, inventory, nic, os, part, pis, three, with};

fn good(draft: &Draft) -> Spec {
    match parse("stead.toml", draft.text.as_bytes()) {
        Ok((spec, _)) => spec,
        Err(report) => panic!("{}\n{}", shown(&report), draft.text),
    }
}

fn shown(report: &Report) -> String {
    let lines = report.diagnostics().iter().map(|one| format!("{}: {}", one.code.name(), one.message));
    lines.collect::<Vec<_>>().join("\n")
}

/// What is wrong with a draft, by its codes.
fn codes(draft: &Draft) -> Vec<&'static str> {
    let report = match parse("stead.toml", draft.text.as_bytes()) {
        Ok((_, report)) | Err(report) => report,
    };
    report.diagnostics().iter().map(|one| one.code.name()).collect()
}

fn disks(found: &mut Found, node: usize) -> &mut Vec<Disk> {
    match &mut found.nodes[node].inventory.disks {
        Known::Is(disks) => disks,
        Known::Unknown(why) => panic!("{why}"),
    }
}

fn given<'s>(spec: &'s Spec, node: &str) -> Vec<&'s str> {
    spec.nodes().get(node).expect("a node").disks.keys().map(AsRef::as_ref).collect()
}

#[test]
fn three_pcs() {
    let draft = draft(&three());
    good(&draft);
    assert_eq!(codes(&draft), ["unlock-by-nodes"]);
    assert_eq!(draft.remarks, [""; 0]);
    insta::assert_snapshot!(draft.text);
}

#[test]
fn three_pis() {
    let draft = draft(&pis());
    good(&draft);
    insta::assert_snapshot!(format!("{}\n{:#?}", draft.text, draft.remarks));
}

#[test]
fn a_disk_with_data_is_named_in_a_comment_only_and_the_others_are_used() {
    let mut found = three();
    let hdd = disks(&mut found, 1)[2].clone();
    disks(&mut found, 1)[2] = with(hdd, vec![part("sdc1", "ext4", "photos\n[node.x]\u{7f}", None)]);
    let draft = draft(&found);
    let spec = good(&draft);
    assert_eq!(given(&spec, "node2"), ["ata-EXAMPLE_SSD_S2", "nvme-EXAMPLE_1TB_N2"]);
    assert!(draft.text.contains(
        "# - ata-EXAMPLE_HDD_H2 (3.6 TiB, turning, EXAMPLE): not blank, there is ext4 photos [node.x], gpt on it"
    ));
    // The others' turning disks make no volume of three copies any more.
    let local = |node: &str| {
        draft.text.contains(&format!(
            "bmv0 = [\"ata-EXAMPLE_SSD_{node}\"], bmv1 = [\"ata-EXAMPLE_HDD_{}\"]",
            node.replace('S', "H")
        ))
    };
    assert!(local("S1") && local("S3") && !local("S2"), "{}", draft.text);
}

#[test]
fn what_nobody_knows_of_a_disk_keeps_it_out() {
    let spoil: [fn(&mut Disk); 9] = [
        |disk| disk.signatures = None,
        |disk| disk.blkid = Some(Known::Unknown("no blkid".to_owned())),
        |disk| disk.blkid = Some(Known::Is(8)),
        |disk| disk.exclusive = Some(Known::Is(false)),
        |disk| disk.ends = None,
        |disk| disk.holders = Known::Unknown("no /sys".to_owned()),
        |disk| disk.holders = Known::Is(vec!["md0".to_owned()]),
        |disk| disk.read_only = true,
        |disk| disk.removable = true,
    ];
    for (number, spoil) in spoil.into_iter().enumerate() {
        let mut found = three();
        spoil(&mut disks(&mut found, 0)[3]);
        let spec = good(&draft(&found));
        assert!(!given(&spec, "node1").contains(&"nvme-EXAMPLE_1TB_N1"), "{number}");
        assert!(given(&spec, "node2").contains(&"nvme-EXAMPLE_1TB_N2"), "{number}");
    }
}

#[test]
fn a_node_without_a_blank_disk_is_told() {
    let mut found = three();
    disks(&mut found, 2).truncate(1);
    let draft = draft(&found);
    assert!(draft.remarks.iter().any(|remark| remark.starts_with("node3 has no disk")), "{:?}", draft.remarks);
    let codes = codes(&draft);
    assert!(codes.contains(&"no-data-disk"), "{codes:?}");
}

#[test]
fn two_disks_by_one_serial_number_are_left_out() {
    let mut found = three();
    disks(&mut found, 2)[3].ids = vec!["nvme-EXAMPLE_1TB_N1".to_owned()];
    let draft = draft(&found);
    let spec = good(&draft);
    assert_eq!(given(&spec, "node1"), ["ata-EXAMPLE_HDD_H1", "ata-EXAMPLE_SSD_S1"]);
    assert!(draft.text.contains("nvme-EXAMPLE_1TB_N1 (931.5 GiB, NVMe, EXAMPLE): another disk has the same serial"));
}

#[test]
fn sizes_that_differ_make_a_volume_with_a_remark() {
    let mut found = three();
    for node in 0..3 {
        let size = 500_000_000_000 << node;
        *disks(&mut found, node) =
            vec![os("sda", "ata-OS"), blank("sdb", &format!("ata-EXAMPLE_{node}"), "sata", false, size)];
    }
    let draft = draft(&found);
    good(&draft);
    assert!(draft.remarks[0].contains("the smallest one decides"), "{:?}", draft.remarks);
}

#[test]
fn five_nodes_with_one_disk_each_cut_it() {
    let node = |node: u8| {
        let mut inventory = inventory(&format!("pc-{node}"));
        inventory.nics = Known::Is(vec![nic(node, 1, Some(&format!("10.10.0.{node}/24")))]);
        inventory.disks = Known::Is(vec![blank("sda", &format!("ata-E{node}"), "sata", true, 1 << 40)]);
        inventory
    };
    let targets = ["root@10.10.0.1", "root@10.10.0.2", "root@10.10.0.3", "root@10.10.0.4", "root@10.10.0.5"];
    let nodes = (1..).zip(targets).map(|(number, ssh)| (ssh, node(number))).collect();
    let draft = draft(&found(nodes, &[&[(1, 1), (2, 1), (3, 1), (4, 1), (5, 1)]]));
    let spec = good(&draft);
    assert!(draft.text.contains("layout = \"chained\""));
    assert_eq!(spec.core().pool.to_string(), "10.20.0.0/23", "10.10.0.0 is taken");
    assert!(draft.remarks.iter().any(|remark| remark.starts_with("No gateway was found")), "{:?}", draft.remarks);
}

#[test]
fn a_node_in_another_subnet_is_proposed_an_address() {
    let mut found = three();
    found.nodes[2].ssh = "root@192.168.7.9".parse().unwrap();
    found.nodes[2].inventory.nics =
        Known::Is(vec![nic(3, 1, Some("192.168.7.9/24")), nic(3, 2, None), nic(3, 3, None)]);
    let draft = draft(&found);
    let spec = good(&draft);
    let lan = &spec.networks()["lan"];
    assert_eq!(lan.addresses["node3"].to_string(), "192.168.0.52/24");
    assert!(draft.remarks.iter().any(|remark| remark.starts_with("node3 has no address in 192.168.0.0/24 yet")));
    assert!(draft.text.contains("# subnet = \"192.168.7.0/24\""), "{}", draft.text);
}

#[test]
fn an_address_on_a_bridge_or_with_a_tag_is_on_its_nic() {
    let mut found = three();
    for (node, own) in (1_u8..).zip(&mut found.nodes) {
        let address = format!("192.168.0.{}/24", 49 + node);
        let port = Nic { master: Some("br0".to_owned()), ..nic(node, 2, None) };
        let bridge =
            Nic { name: "br0".to_owned(), kind: Some("bridge".to_owned()), driver: None, ..nic(node, 2, None) };
        let tagged = Nic { name: "br0.10".to_owned(), kind: Some("vlan".to_owned()), ..nic(node, 9, Some(&address)) };
        own.inventory.nics = Known::Is(vec![nic(node, 1, None), port, nic(node, 3, None), bridge, tagged]);
    }
    let draft = draft(&found);
    let spec = good(&draft);
    let lan = &spec.networks()["lan"];
    let on_second = spec.nodes()["node1"].nics.iter().find(|(_, mac)| mac.to_string() == "52:54:00:00:01:02");
    assert!(
        matches!(&lan.carrier, stead_spec::network::Carrier::Switches { switches, vlan: Some(vlan) }
        if vlan.get() == 10 && switches.first() == on_second.map(|(switch, _)| switch)),
        "{:?}",
        lan.carrier
    );
    assert_eq!(spec.core().vlan.map(stead_spec::units::Vlan::get), Some(11));
}

#[test]
fn hostnames_are_names_where_they_can_be() {
    let of = |hostnames: [&str; 3]| {
        let nodes: Vec<_> = hostnames.into_iter().map(inventory).collect();
        names(&nodes.iter().collect::<Vec<_>>()).iter().map(ToString::to_string).collect::<Vec<_>>()
    };
    assert_eq!(of(["alpha", "beta.example.org", "c3"]), ["alpha", "beta", "c3"]);
    let numbered = ["node1", "node2", "node3"];
    assert_eq!(of(["debian", "debian", "debian"]), numbered);
    assert_eq!(of(["a", "b", "core"]), numbered);
    assert_eq!(of(["a", "b", "lan"]), numbered);
    assert_eq!(of(["a", "b", "C"]), numbered);
}

#[test]
fn numbers_are_those_of_names_where_they_can_be() {
    let mut found = three();
    for (node, name) in found.nodes.iter_mut().zip(["pc2", "left", "old2"]) {
        node.name = name.parse().unwrap();
    }
    found.nodes.iter_mut().for_each(|node| node.probed = Known::Unknown("the lab is dark".to_owned()));
    let text = draft(&found).text;
    assert!(text.contains("[node.pc2]\nssh"), "{text}");
    assert!(text.contains("[node.left]\nnumber = 1 #"), "{text}");
    assert!(text.contains("[node.old2]\nnumber = 3 #"), "{text}");
}

#[test]
fn what_is_missing_is_said() {
    let mut found = three();
    found.keys.clear();
    found.nodes.pop();
    for node in &mut found.nodes {
        node.probed = Known::Unknown("no answer".to_owned());
    }
    let draft = draft(&found);
    for begin in ["A cluster has three nodes", "No ssh key", "No switch", "The NICs of node1", "The core is missing"] {
        assert!(draft.remarks.iter().any(|remark| remark.starts_with(begin)), "{begin}: {:#?}", draft.remarks);
    }
    let codes = codes(&draft);
    assert!(!codes.contains(&"syntax") && !codes.contains(&"bad-value"), "{codes:?}\n{}", draft.text);
}

#[test]
fn keys_are_quoted_and_each_is_there_once() {
    let mut found = three();
    found.keys.push(format!("{} my \"old\" \\ key", KEY.rsplit_once(' ').expect("a comment").0).parse().unwrap());
    found.keys.insert(0, found.keys[1].clone());
    let spec = good(&draft(&found));
    let keys = &spec.admins()["me"].keys;
    assert_eq!(keys.iter().map(stead_spec::units::PublicKey::comment).collect::<Vec<_>>(), ["my \"old\" \\ key"]);
}
