use proptest::collection::vec;
use proptest::option;
use proptest::prelude::*;
use stead_spec::parse;

use super::house::{blank, found, inventory, nic, part, with};
use crate::disks::{Disk, Ends};
use crate::init::{Draft, Found, draft};
use crate::inventory::Known;

/// A disk, and whether it is the OS disk, blank, or neither.
fn disk() -> impl Strategy<Value = Disk> {
    let name = prop_oneof![4 => Just(String::new()), 1 => "[a-z0-9]{1}"];
    let id = ("(ata|nvme|scsi|usb|wwn|virtio|mmc|dm)-", "[A-D]{1,2}", name);
    let facts = (
        0..12_u8,
        any::<bool>(),
        prop_oneof![Just("sata"), Just("nvme"), Just("usb")],
        0..5_u64,
        "\\PC{0,12}|[\n\"\\\\#\\[]{3}",
    );
    (id, facts).prop_map(|((kind, serial, rest), (state, rotational, transport, size, label))| {
        let disk = blank("sdx", &format!("{kind}{serial}{rest}"), transport, rotational, size * 500_000_000_000);
        match state {
            0 => with(disk, vec![part("sdx1", "ext4", &label, Some("/"))]),
            1 => with(disk, vec![part("sdx1", &label, &label, None)]),
            2 => Disk { ends: Some(Known::Is(Ends::Data(crate::inventory::sha256("data")))), ..disk },
            3 => Disk { holders: Known::Is(vec![label]), ..disk },
            4 => Disk { blkid: Some(Known::Unknown(label)), ..disk },
            5 => Disk { mounts: vec!["/".into()], ..disk },
            6 => Disk { removable: true, model: Some(label), ..disk },
            _ => Disk { model: Some(label), ..disk },
        }
    })
}

/// A node's disks, its NICs' addresses, a hostname.
fn node() -> impl Strategy<Value = (Vec<Disk>, Vec<Option<u8>>, String)> {
    (vec(disk(), 0..5), vec(option::of(1..40_u8), 1..3), "[a-c]{1}[0-9]{0,2}")
}

fn house(nodes: Vec<(Vec<Disk>, Vec<Option<u8>>, String)>, switches: &[Vec<(usize, usize)>]) -> Found {
    let targets = ["a.example.org", "b.example.org", "192.168.1.5", "d.example.org", "e.example.org"];
    let mut built = Vec::new();
    for ((number, ssh), (disks, addresses, hostname)) in (1_u8..).zip(targets).zip(nodes) {
        let mut inventory = inventory(&hostname);
        inventory.system.boot_id = number.to_string();
        let nics = (1..).zip(addresses).map(|(nth, address)| {
            let address = address.map(|last| format!("192.168.{}.{last}/24", last % 2));
            nic(number, nth, address.as_deref())
        });
        inventory.nics = Known::Is(nics.collect());
        inventory.disks = Known::Is(disks);
        built.push((ssh, inventory));
    }
    let cables: Vec<&[(usize, usize)]> = switches.iter().map(Vec::as_slice).collect();
    found(built, &cables)
}

/// The disks that a file names, outside of its comments.
fn named(draft: &Draft) -> Vec<(usize, String)> {
    let (mut node, mut named) = (0, Vec::new());
    for line in draft.text.lines().filter(|line| !line.starts_with('#')) {
        node += usize::from(line.starts_with("[node."));
        if let Some(disks) = line.strip_prefix("disks = ") {
            named.extend(disks.split('"').skip(1).step_by(2).map(|id| (node - 1, id.to_owned())));
        }
    }
    named
}

fn is_blank(disk: &Disk) -> bool {
    *disk
        == Disk {
            model: disk.model.clone(),
            ..blank(
                "sdx",
                &disk.ids[0],
                disk.transport.as_deref().unwrap_or_default(),
                disk.rotational,
                disk.size.get(),
            )
        }
        && disk.size.get() > 0
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn no_disk_is_named_that_is_not_blank(nodes in vec(node(), 1..=5)) {
        let found = house(nodes, &[(1..=5).map(|node| (node, 1)).collect()]);
        let draft = draft(&found);
        for (node, id) in named(&draft) {
            let disks = found.nodes[node].inventory.disks.get().expect("they are known");
            let of_that_name: Vec<&Disk> = disks.iter().filter(|disk| disk.ids.contains(&id)).collect();
            prop_assert_eq!(of_that_name.len(), 1, "{} in\n{}", id, draft.text);
            prop_assert!(is_blank(of_that_name[0]), "{} in\n{}", id, draft.text);
        }
    }

    #[test]
    fn a_draft_is_good_or_says_what_is_missing(nodes in vec(node(), 1..=5), second in any::<bool>()) {
        let mut switches = vec![(1..=5).map(|node| (node, 1)).collect::<Vec<_>>()];
        if second {
            switches.push((1..=5).map(|node| (node, 2)).collect());
        }
        let number = nodes.len();
        let draft = draft(&house(nodes, &switches));
        let said = |words: &str| draft.remarks.iter().any(|remark| remark.contains(words));
        let mut expected = Vec::new();
        if number < 3 {
            expected.extend(["too-few-nodes", "too-many-replicas", "missing-key"]);
        } else if number.is_multiple_of(2) {
            expected.push("even-nodes");
        }
        if said("has no disk that is provably blank") {
            expected.extend(["no-data-disk", "too-many-replicas"]);
        }
        if said("The network by which the nodes are reached is missing") {
            expected.push("no-way-in");
        }
        let (Ok((_, report)) | Err(report)) = parse("stead.toml", draft.text.as_bytes());
        let wrong: Vec<_> = report
            .diagnostics()
            .iter()
            .filter(|one| one.code.severity() == stead_spec::diagnostic::Severity::Error)
            .filter(|one| !expected.contains(&one.code.name()))
            .map(|one| format!("{}: {}", one.code.name(), one.message))
            .collect();
        prop_assert!(wrong.is_empty(), "{:#?}\n{}", wrong, draft.text);
    }
}
