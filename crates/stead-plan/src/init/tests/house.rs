//! Nodes as they are found in houses.

use std::collections::BTreeMap;

use stead_spec::Bytes;

use crate::disks::{BlockDevice, Disk, Ends, Signature};
use crate::init::{Found, FoundNode, Heard, Link, Probed, names};
use crate::inventory::{Architecture, Clock, Known, NodeInventory, Release, System};
use crate::network::facts::{Errors, Nic, Route};

pub(super) const KEY: &str =
    "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHMIPjSN8qVDNO1yCJ5iTKWMcpYprJ09ANAGk2WGOrH me@laptop";

/// A node without disks and NICs.
pub(super) fn inventory(hostname: &str) -> NodeInventory {
    NodeInventory {
        system: System {
            release: Release::Trixie,
            architecture: Architecture::Amd64,
            kernel: "6.12.0".to_owned(),
            boot_id: format!("boot of {hostname}"),
            cpus: 4,
            memory: Bytes::gib(16),
            free: Known::Is(Bytes::gib(20)),
        },
        clock: Clock { ahead: 0, uncertainty: 1, synchronised: Known::Is(true) },
        stamp: Known::Is(None),
        generation: Known::Is(None),
        unfinished: Known::Is(std::collections::BTreeSet::new()),
        hostname: Known::Is(hostname.to_owned()),
        timezone: Known::Is("Europe/Paris".to_owned()),
        packages: Known::Is(BTreeMap::new()),
        updates: None,
        units: Known::Is(BTreeMap::new()),
        files: BTreeMap::new(),
        users: Known::Is(BTreeMap::new()),
        sysctl: BTreeMap::new(),
        swaps: Known::Is(Vec::new()),
        watchdogs: Known::Is(Vec::new()),
        nics: Known::Is(Vec::new()),
        routes: Known::Is(Vec::new()),
        ovs: Known::Is(None),
        routing: Known::Is(None),
        firewall: Known::Is(None),
        tang: Known::Is(None),
        pools: Known::Is(BTreeMap::new()),
        headers: Known::Is(BTreeMap::new()),
        vacated: Known::Is(BTreeMap::new()),
        storage: crate::volumes::Storage::default(),
        hypervisor: crate::machines::Hypervisor::default(),
        disks: Known::Is(Vec::new()),
    }
}

/// A blank disk.
pub(super) fn blank(name: &str, id: &str, transport: &str, rotational: bool, size: u64) -> Disk {
    Disk {
        name: name.to_owned(),
        ids: vec![id.to_owned(), format!("wwn-0x{}", id.len() * 1000 + name.len())],
        serial: None,
        wwn: None,
        model: Some("EXAMPLE".to_owned()),
        size: Bytes::new(size),
        rotational,
        read_only: false,
        removable: false,
        transport: Some(transport.to_owned()),
        mounts: Vec::new(),
        content: None,
        luks: None,
        holders: Known::Is(Vec::new()),
        children: Vec::new(),
        signatures: Some(Known::Is(Vec::new())),
        blkid: Some(Known::Is(2)),
        exclusive: Some(Known::Is(true)),
        ends: Some(Known::Is(Ends::Zero)),
    }
}

/// Something on a disk.
pub(super) fn part(name: &str, content: &str, label: &str, mount: Option<&str>) -> BlockDevice {
    BlockDevice {
        name: name.to_owned(),
        kind: "part".to_owned(),
        size: Bytes::gib(1),
        content: Some(content.to_owned()),
        label: Some(label.to_owned()),
        uuid: None,
        mounts: mount.map(str::to_owned).into_iter().collect(),
        space: None,
        children: Vec::new(),
    }
}

/// The disk with these partitions.
pub(super) fn with(mut disk: Disk, parts: Vec<BlockDevice>) -> Disk {
    disk.children = parts;
    disk.signatures = Some(Known::Is(vec![Signature { offset: 512, kind: "gpt".to_owned(), uuid: None, label: None }]));
    (disk.blkid, disk.ends) = (Some(Known::Is(0)), Some(Known::Is(Ends::Data(crate::inventory::sha256("data")))));
    disk
}

/// A disk that the system is on.
pub(super) fn os(name: &str, id: &str) -> Disk {
    let disk = blank(name, id, "sata", false, 120_000_000_000);
    with(disk, vec![part("p1", "vfat", "", Some("/boot/efi")), part("p2", "ext4", "", Some("/"))])
}

/// A NIC, the nth of a node, which has this address.
pub(super) fn nic(node: u8, nth: u8, address: Option<&str>) -> Nic {
    Nic {
        name: format!("eno{nth}"),
        index: u32::from(nth) + 1,
        mac: Some(format!("52:54:00:00:{node:02x}:{nth:02x}").parse().unwrap()),
        driver: Some("igb".to_owned()),
        kind: None,
        speed: Some(1000),
        up: address.is_some(),
        carrier: address.map(|_| true),
        mtu: 1500,
        master: None,
        vlan: None,
        addresses: address.into_iter().map(|address| address.parse().unwrap()).collect(),
        errors: Errors::default(),
    }
}

/// The way to everywhere.
pub(super) fn default_route(gateway: &str) -> Route {
    Route {
        to: "default".to_owned(),
        gateway: Some(gateway.to_owned()),
        dev: Some("eno1".to_owned()),
        protocol: Some("static".to_owned()),
        kind: None,
        source: None,
        metric: 0,
    }
}

/// Nodes whose NICs hear each other where `cables` says that they are on one switch: (node, NIC), from 1.
pub(super) fn found(nodes: Vec<(&str, NodeInventory)>, cables: &[&[(usize, usize)]]) -> Found {
    let inventories: Vec<&NodeInventory> = nodes.iter().map(|(_, inventory)| inventory).collect();
    let names = names(&inventories);
    let name = |(node, nic): &(usize, usize)| (names[node - 1].to_string(), format!("eno{nic}"));
    let mut found = Vec::new();
    for (at, (ssh, inventory)) in nodes.into_iter().enumerate() {
        let mut probed = Probed::default();
        for nic in inventory.nics.get().into_iter().flatten().filter(|nic| nic.driver.is_some()) {
            let nth = nic.name.trim_start_matches("eno").parse().unwrap_or(0);
            let switch = cables.iter().find(|switch| switch.contains(&(at + 1, nth)));
            let link = Link { carrier: switch.is_some(), speed: nic.speed };
            probed.nics.insert(nic.name.clone(), Known::Is(link));
            for other in switch
                .into_iter()
                .flat_map(|switch| *switch)
                .filter(|other| **other != (at + 1, nth) && other.0 <= names.len())
            {
                let (node, there) = name(other);
                probed.heard.push(Heard { on: nic.name.clone(), node, nic: there, words: String::new() });
            }
        }
        found.push(FoundNode {
            name: names[at].clone(),
            ssh: ssh.parse().unwrap(),
            inventory,
            probed: Known::Is(probed),
        });
    }
    Found {
        cluster: "2f1cbd5e-6c0f-4a53-9d0a-4d6c6f0e7b11".parse().unwrap(),
        admin: "me".parse().unwrap(),
        keys: vec![KEY.parse().unwrap()],
        nodes: found,
    }
}

/// Three PCs with four drives and three NICs on three switches.
pub(super) fn three() -> Found {
    let node = |node: u8| {
        let mut inventory = inventory(&format!("node{node}"));
        let address = format!("192.168.0.{}/24", 49 + node);
        inventory.nics = Known::Is(vec![nic(node, 1, Some(&address)), nic(node, 2, None), nic(node, 3, None)]);
        if let Known::Is(nics) = &mut inventory.nics {
            nics[2].speed = Some(10_000);
        }
        inventory.routes = Known::Is(vec![default_route("192.168.0.1")]);
        inventory.disks = Known::Is(vec![
            os("sda", &format!("ata-EXAMPLE_OS_{node}")),
            blank("sdb", &format!("ata-EXAMPLE_SSD_S{node}"), "sata", false, 960_197_124_096),
            blank("sdc", &format!("ata-EXAMPLE_HDD_H{node}"), "sata", true, 4_000_787_030_016),
            blank("nvme0n1", &format!("nvme-EXAMPLE_1TB_N{node}"), "nvme", false, 1_000_204_886_016),
        ]);
        inventory
    };
    let nodes = vec![("root@192.168.0.50", node(1)), ("root@192.168.0.51", node(2)), ("root@192.168.0.52", node(3))];
    found(nodes, &[&[(1, 1), (2, 1), (3, 1)], &[(1, 2), (2, 2), (3, 2)], &[(1, 3), (2, 3), (3, 3)]])
}

/// Three Raspberry Pis with one NIC and a disk on USB each.
pub(super) fn pis() -> Found {
    let node = |node: u8| {
        let mut inventory = inventory("raspberrypi");
        inventory.system.boot_id = format!("pi {node}");
        inventory.timezone = Known::Is("Europe/London".to_owned());
        let address = format!("192.168.1.{}/24", 20 + node);
        inventory.nics = Known::Is(vec![nic(node, 1, Some(&address))]);
        inventory.routes =
            Known::Is(vec![Route { protocol: Some("dhcp".to_owned()), ..default_route("192.168.1.254") }]);
        let card = with(
            blank("mmcblk0", "mmc-SD32G_0x1", "mmc", false, 32_000_000_000),
            vec![part("mmcblk0p2", "ext4", "rootfs", Some("/"))],
        );
        // Enclosures of one make, all with one number.
        inventory.disks =
            Known::Is(vec![card, blank("sda", "usb-EXAMPLE_SSD_0123-0:0", "usb", false, 500_107_862_016)]);
        inventory
    };
    found(
        vec![("pi-a.example.org", node(1)), ("pi-b.example.org", node(2)), ("pi-c.example.org", node(3))],
        &[&[(1, 1), (2, 1), (3, 1)]],
    )
}
