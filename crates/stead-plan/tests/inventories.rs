//! The inventories of the cases are what this makes; when what nodes tell has changed,
//! `STEAD_BLESS=1 cargo test -p stead-plan --test inventories` writes them anew.
#![allow(clippy::unwrap_used, reason = "a test ends there")]

use std::collections::{BTreeMap, BTreeSet};
use std::error::Error;
use std::fs;
use std::path::Path;

use stead_plan::disks::{Disk, Ends, LUKS, Luks, Signature};
use stead_plan::generation::{Ancestor, FORMAT, Stamp};
use stead_plan::inventory::{
    Activity, Enablement, Inventory, Known, NodeInventory, Observation, PackageState, Release, Timestamp,
};
use stead_plan::machines::VirtualNetwork;
use stead_plan::step::StepId;
use stead_plan::volumes::{Brick, Daemon, Knows, ROOT, Standing, Written};
use stead_spec::Bytes;

use support::machines::{PACKAGES, with_machines};
use support::{TOML, converged, file, file_with, fresh, node, packages, spec, sum, unit, units, users};

#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it, and ends where that goes wrong")]
mod support;

const TRIXIE: Release = Release::Trixie;

/// How wrong a clock is whose battery is empty: 2015-01-01 instead of 2026-11-22.
const SINCE_2015: i64 = -375_285_780_000;

struct Case {
    name: &'static str,
    toml: String,
    inventory: Inventory,
    ancestors: Vec<Ancestor>,
}

fn case(name: &'static str, toml: &str, inventory: Inventory) -> Case {
    Case { name, toml: toml.to_owned(), inventory, ancestors: Vec::new() }
}

/// A case of nodes that were as the file asks, until this happened.
fn after(name: &'static str, change: impl FnOnce(&mut Inventory)) -> Case {
    let mut inventory = converged(TOML, &TRIXIE);
    change(&mut inventory);
    case(name, TOML, inventory)
}

fn with(key: &str) -> String {
    TOML.replace("[switch.sw1]\n", &format!("{key}\n\n[switch.sw1]\n"))
}

#[test]
fn the_inventories_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/cases");
    let cases = [beginnings(), changes(), clocks(), drives(), machines(), standing(), volumes(), wishes()]
        .into_iter()
        .flatten();
    for case in cases {
        let folder = root.join(case.name);
        for (name, text) in files(&case).unwrap_or_else(|error| panic!("{}: {error}", case.name)) {
            let path = folder.join(name);
            if std::env::var_os("STEAD_BLESS").is_some() {
                fs::create_dir_all(&folder).and_then(|()| fs::write(&path, text)).unwrap();
            } else {
                let committed = fs::read_to_string(&path).unwrap_or_default();
                assert!(committed == text, "{} is not what this test makes: see its first lines", path.display());
            }
        }
    }
}

fn beginnings() -> Vec<Case> {
    let (parsed, _) = spec(TOML.as_bytes());
    let mut cut = fresh(&parsed, &TRIXIE);
    packages(node(&mut cut, "node2")).get_mut("sudo").unwrap().state = PackageState::Broken;
    units(node(&mut cut, "node2"))
        .insert("apt-daily-upgrade.timer".to_owned(), unit(Enablement::Masked, Activity::Inactive));
    let mut differ = fresh(&parsed, &TRIXIE);
    *node(&mut differ, "node2") = node(&mut fresh(&parsed, &Release::Bookworm), "node2").clone();
    vec![
        case("fresh-debian-13", TOML, fresh(&parsed, &TRIXIE)),
        case("fresh-releases-differ", TOML, differ),
        case("fresh-debian-12", TOML, fresh(&parsed, &Release::Bookworm)),
        case("fresh-cut", TOML, cut),
        after("nothing-to-do", |_| {}),
    ]
}

fn changes() -> Vec<Case> {
    vec![
        after("file-edited", |nodes| {
            let files = &mut node(nodes, "node2").files;
            let config = files.get_mut(camino::Utf8Path::new("/etc/chrony/chrony.conf")).unwrap();
            let text = support::text(config).replace("makestep 1 3", "makestep 1 -1") + "# by hand\n";
            *config = file(&text);
        }),
        after("hosts-edited", |nodes| {
            let files = &mut node(nodes, "node1").files;
            let hosts = files.get_mut(camino::Utf8Path::new("/etc/hosts")).unwrap();
            let text = support::text(hosts).replace("10.10.0.2 node2.core\n", "");
            *hosts = file(&("127.0.1.1 node1 printer\n".to_owned() + &text + "192.0.2.9 nas\n"));
        }),
        after("block-torn", |nodes| {
            let files = &mut node(nodes, "node1").files;
            let hosts = files.get_mut(camino::Utf8Path::new("/etc/hosts")).unwrap();
            *hosts = file(&support::text(hosts).replace("# Managed by stead: nodes, to here\n", ""));
        }),
        after("package-removed", |nodes| {
            packages(node(nodes, "node3")).get_mut("nftables").unwrap().state = PackageState::Removed;
        }),
        after("smartd-unmasked", |nodes| {
            units(node(nodes, "node1"))
                .insert("smartmontools.service".to_owned(), unit(Enablement::Enabled, Activity::Active));
        }),
        after("hidden", |nodes| {
            node(nodes, "node1").packages = Known::Unknown("`dpkg-query` failed: the database is locked".to_owned());
            node(nodes, "node2").stamp = Known::Unknown("stamp.json is no JSON".to_owned());
        }),
        after("swap-in-clear", |nodes| {
            let swap = |size| stead_plan::host::facts::Swap { path: "/dev/sda5".into(), size, encrypted: false };
            node(nodes, "node1").swaps = Known::Is(vec![swap(Bytes::gib(1))]);
            let broken = packages(node(nodes, "node1"));
            broken.get_mut("openssh-server").unwrap().state = PackageState::Broken;
        }),
    ]
}

fn clocks() -> Vec<Case> {
    let (parsed, _) = spec(TOML.as_bytes());
    let mut first = fresh(&parsed, &TRIXIE);
    node(&mut first, "node2").clock.ahead = SINCE_2015;
    vec![
        after("clock-in-2015", |nodes| node(nodes, "node2").clock.ahead = SINCE_2015),
        case("clock-in-2015-fresh", TOML, first),
        after("clock-of-the-laptop", |nodes| {
            for name in ["node1", "node2", "node3"] {
                node(nodes, name).clock.ahead = 7_200_000;
            }
        }),
    ]
}

/// The data disk of a node.
fn data<'i>(nodes: &'i mut Inventory, name: &str) -> &'i mut Disk {
    match &mut node(nodes, name).disks {
        Known::Is(disks) => disks.last_mut().unwrap(),
        Known::Unknown(why) => panic!("{why}"),
    }
}

fn luks<'i>(nodes: &'i mut Inventory, name: &str) -> &'i mut Luks {
    match &mut data(nodes, name).luks {
        Some(Known::Is(luks)) => luks,
        other => panic!("{other:?}"),
    }
}

/// Something else is on a disk than stead's.
fn other(disk: &mut Disk, kind: &str, label: &str) {
    let signature = Signature { offset: 1_080, kind: kind.to_owned(), uuid: None, label: Some(label.to_owned()) };
    disk.signatures = Some(Known::Is(vec![signature]));
    disk.blkid = Some(Known::Is(0));
    disk.exclusive = Some(Known::Is(true));
    disk.ends = Some(Known::Is(Ends::Data(sum(label.as_bytes()))));
    (disk.luks, disk.content) = (None, None);
    disk.children = Vec::new();
    disk.holders = Known::Is(Vec::new());
}

fn with_photos() -> Inventory {
    let (parsed, _) = spec(TOML.as_bytes());
    let mut nodes = fresh(&parsed, &TRIXIE);
    other(data(&mut nodes, "node2"), "ext4", "photos");
    nodes
}

/// LVM's copy of a group that isn't on its disk.
fn without_group(nodes: &mut Inventory) -> StepId {
    let name = luks(nodes, "node2").label.clone();
    let opened = &mut data(nodes, "node2").children[0];
    (opened.content, opened.children) = (None, Vec::new());
    let last = node(nodes, "node2");
    last.pools = Known::Is(BTreeMap::new());
    last.headers = Known::Is(BTreeMap::new());
    last.files.insert(format!("/etc/lvm/backup/{name}").into(), support::file("# Generated by LVM2\n"));
    units(last).insert("var-lib-stead-vault.mount".to_owned(), unit(Enablement::Other, Activity::Inactive));
    format!("disks/node2/group.{name}").parse().unwrap()
}

fn drives() -> Vec<Case> {
    let permitted = TOML.replace(
        "disks = { gv0 = [\"ata-EXAMPLE_SSD_1TB_S2\"] }",
        &format!(
            "disks = {{ gv0 = [\"ata-EXAMPLE_SSD_1TB_S2\"] }}\nwipe = {{ ata-EXAMPLE_SSD_1TB_S2 = \"{}\" }}",
            data(&mut with_photos(), "node2").wipe_token().unwrap()
        ),
    );
    let mut changed = with_photos();
    other(data(&mut changed, "node2"), "ext4", "newer photos");
    let mut cut = converged(TOML, &TRIXIE);
    let (whole, name) = (data(&mut cut, "node3").clone(), luks(&mut cut, "node3").label.clone());
    let disk = data(&mut cut, "node3");
    other(disk, LUKS, &name);
    disk.content.clone_from(&whole.content);
    disk.luks = whole.luks;
    disk.ends = Some(Known::Is(Ends::Head(sum(b"half a header"))));
    let identity = disk.identity();
    let header = luks(&mut cut, "node3");
    header.keyslots.clear();
    header.bindings.clear();
    header.token = None;
    let step: StepId = format!("disks/node3/format.{name}").parse().unwrap();
    let last = node(&mut cut, "node3");
    last.unfinished = Known::Is([step.clone()].into());
    last.vacated = Known::Is([(step, identity)].into());
    last.pools = Known::Is(BTreeMap::new());
    let mut erased = cut.clone();
    let last = node(&mut erased, "node3");
    (last.unfinished, last.vacated) = (Known::Is(BTreeSet::new()), Known::Is(BTreeMap::new()));
    let tang = "[unlock]\nall = [{ any = \"nodes\" }, { tang = \"http://192.168.0.2:7500\", thumbprint = \
                \"NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs\" }]";
    let mut unlock = case("unlock-changed", &with(tang), converged(TOML, &TRIXIE));
    unlock.ancestors = vec![Ancestor { number: 1, digest: sum(TOML.as_bytes()) }];
    // Nobody speaks to it.
    let mut two = converged(TOML, &TRIXIE);
    two.nodes.remove(&support::name("node3"));
    let revoked = TOML.replace("[node.node3]\n", "[node.node3]\nrevoked = true\n");
    let mut stolen = case("node-revoked", &revoked, two);
    stolen.ancestors.clone_from(&unlock.ancestors);
    vec![
        stolen,
        case("disk-not-blank", TOML, with_photos()),
        case("disk-may-be-wiped", &permitted, with_photos()),
        case("disk-wipe-overtaken", &permitted, changed),
        case("disk-format-cut", TOML, cut),
        case("disk-erased", TOML, erased),
        after("disk-of-another-cluster", |nodes| {
            let luks = luks(nodes, "node1");
            "5f1c6b57-1c26-4a5e-9d1f-6a4f25a40e11".clone_into(&mut luks.state.uuid);
            luks.token.as_mut().unwrap().1["cluster"] = "5b0e7d4c-2f43-4d57-8e11-9a3c2a6f1f10".into();
        }),
        after("disk-of-another-volume", |nodes| luks(nodes, "node1").token.as_mut().unwrap().1["use"] = "gv9".into()),
        after("disk-unbound", |nodes| {
            let luks = luks(nodes, "node1");
            luks.bindings.clear();
            luks.keyslots.remove(&1);
            luks.state.epoch += 1;
            luks.keyslots.insert(7);
        }),
        after("disk-missing", |nodes| match &mut node(nodes, "node2").disks {
            Known::Is(disks) => drop(disks.pop()),
            Known::Unknown(why) => panic!("{why}"),
        }),
        after("disk-waits", |nodes| {
            let disk = data(nodes, "node2");
            disk.children.clear();
            disk.holders = Known::Is(Vec::new());
            let name = luks(nodes, "node2").label.clone();
            let last = node(nodes, "node2");
            (last.pools, last.headers) = (Known::Is(BTreeMap::new()), Known::Is(BTreeMap::new()));
            units(last)
                .insert(format!("systemd-cryptsetup@{name}.service"), unit(Enablement::Other, Activity::Changing));
        }),
        after("disk-group-gone", |nodes| drop(without_group(nodes))),
        after("disk-group-cut", |nodes| {
            let step = without_group(nodes);
            node(nodes, "node2").unfinished = Known::Is([step].into());
        }),
        unlock,
    ]
}

/// What a node's storage daemon knows.
fn knows<'n>(inventory: &'n mut Inventory, name: &str) -> &'n mut Knows {
    match &mut node(inventory, name).storage.daemon {
        Known::Is(Daemon::Runs(knows)) => knows,
        other => panic!("{name}'s daemon: {other:?}"),
    }
}

/// A node's brick.
fn brick<'n>(inventory: &'n mut Inventory, name: &str) -> &'n mut Brick {
    let mut bricks = node(inventory, name).storage.bricks.values_mut();
    match bricks.next() {
        Some(Known::Is(Some(brick))) => brick,
        other => panic!("{name}'s brick: {other:?}"),
    }
}

/// A node's storage daemon doesn't run, and the others miss it.
fn stopped(inventory: &mut Inventory, name: &str, daemon: Daemon, activity: Activity) {
    let of = node(inventory, name);
    of.storage.daemon = Known::Is(daemon);
    units(of).insert("glusterd.service".into(), unit(Enablement::Enabled, activity));
    for other in ["node1", "node2", "node3"].into_iter().filter(|other| *other != name) {
        knows(inventory, other).peers.get_mut(&format!("{name}.core")).unwrap().standing = Standing::Away;
    }
}

fn volumes() -> Vec<Case> {
    // Sets of three, of two disks a node; and sets of two and an arbiter, which has a brick for each on one disk.
    let disks = |number: u8, letters: &[&str]| {
        let names = letters.iter().map(|letter| format!("\"ata-EXAMPLE_SSD_1TB_S{number}{letter}\""));
        names.collect::<Vec<_>>().join(", ")
    };
    let mut several = TOML.to_owned();
    let mut arbiter = TOML.replace("kind = \"replicated\"", "kind = \"replicated\"\nreplicas = 2");
    for number in 1..=3 {
        let (one, two) = (disks(number, &[""]), disks(number, &["", "b"]));
        several = several.replace(&one, &two);
        let (two, sign) = if number == 3 { (one.clone(), "\narbiter = true") } else { (two, "") };
        arbiter = arbiter.replace(&format!("gv0 = [{one}] }}"), &format!("gv0 = [{two}] }}{sign}"));
    }
    let of = |name, toml: &str| case(name, toml, fresh(&spec(toml.as_bytes()).0, &TRIXIE));
    vec![
        of("fresh-several-disks", &several),
        of("fresh-arbiter", &arbiter),
        after("volume-drifted", |nodes| {
            for name in ["node1", "node2", "node3"] {
                let options = &mut knows(nodes, name).volumes.get_mut("gv0").unwrap().options;
                options.insert("network.ping-timeout".to_owned(), "42".to_owned());
                options.insert("user.note".to_owned(), "mine".to_owned());
            }
            brick(nodes, "node2").served = false;
            node(nodes, "node3").storage.daemon = Known::Is(Daemon::Stopped);
            units(node(nodes, "node3"))
                .insert("glusterd.service".into(), unit(Enablement::Enabled, Activity::Inactive));
        }),
        after("volume-peers-forgotten", |nodes| {
            node(nodes, "node2").storage.written.peers.clear();
            stopped(nodes, "node2", Daemon::Stopped, Activity::Changing);
        }),
        // A node's power went while it was made one of the pool.
        after("volume-probe-cut", |nodes| {
            knows(nodes, "node2").peers.get_mut("node3.core").unwrap().standing = Standing::Joining;
            node(nodes, "node2").storage.written.peers.remove("node3.core");
            knows(nodes, "node3").peers.remove("node1.core");
            knows(nodes, "node3").peers.get_mut("node2.core").unwrap().standing = Standing::Joining;
            node(nodes, "node3").storage.written.peers.clear();
        }),
        after("volume-daemon-lost", |nodes| {
            node(nodes, "node2").storage.written = Written::default();
            stopped(nodes, "node2", Daemon::New, Activity::Inactive);
        }),
        after("volume-files-lost", |nodes| node(nodes, "node2").storage.written = Written::default()),
        after("volume-brick-made-anew", |nodes| {
            let brick = brick(nodes, "node2");
            (brick.empty, brick.served, brick.volume) = (true, false, None);
            brick.folders.clear();
        }),
        // A node's power went right after the volume was made: its brick lost the sign that it is one.
        after("volume-new-brick-cut", |nodes| {
            for name in ["node1", "node2", "node3"] {
                let brick = brick(nodes, name);
                brick.folders.clear();
                (brick.empty, brick.bare, brick.served) = (name == "node2", true, name != "node2");
            }
            brick(nodes, "node2").volume = None;
        }),
        // Or it has kept that, and the others have been written to, and know it.
        after("volume-brick-never-ran", |nodes| {
            brick(nodes, "node1").accuses.insert(ROOT.to_owned(), [1].into());
            let brick = brick(nodes, "node2");
            (brick.empty, brick.served) = (true, false);
            brick.folders.clear();
        }),
        // The agent was killed, and udev mounted what it had made.
        after("volume-format-cut", |nodes| {
            let Known::Is(pools) = &mut node(nodes, "node2").pools else { panic!("pools") };
            let volume = pools.values_mut().find_map(|pool| pool.volumes.get_mut("brick")).unwrap();
            volume.tags.insert("stead-unformatted".to_owned());
        }),
        after("volume-of-another-cluster", |nodes| {
            for name in ["node1", "node2", "node3"] {
                let options = &mut knows(nodes, name).volumes.get_mut("gv0").unwrap().options;
                options.insert("user.stead".to_owned(), "5b0e7d4c-2f43-4d57-8e11-9a3c2a6f1f10".to_owned());
            }
        }),
    ]
}

/// A node tells of files that it wasn't asked for before.
fn tells_of_files(to: &mut NodeInventory, from: &NodeInventory) {
    for (path, state) in &from.files {
        to.files.entry(path.clone()).or_insert_with(|| state.clone());
    }
}

/// libvirt's networks on a node.
fn networks<'i>(nodes: &'i mut Inventory, name: &str) -> &'i mut BTreeMap<String, VirtualNetwork> {
    match &mut node(nodes, name).hypervisor.networks {
        Known::Is(networks) => networks,
        Known::Unknown(why) => panic!("{why}"),
    }
}

/// That a file has machines now, and what people do to what they need.
fn machines() -> Vec<Case> {
    let toml = with_machines();
    let (parsed, _) = spec(toml.as_bytes());
    let (_, digest) = spec(TOML.as_bytes());
    let mut first = converged(TOML, &TRIXIE);
    let asked = fresh(&parsed, &TRIXIE);
    for name in ["node1", "node2", "node3"] {
        let from = asked.seen().find(|(other, _)| other.as_ref() == name).unwrap().1;
        let to = node(&mut first, name);
        tells_of_files(to, from);
        to.hypervisor.processor.clone_from(&from.hypervisor.processor);
        to.hypervisor.disks.clone_from(&from.hypervisor.disks);
        for (name, unit) in from.units.as_result().unwrap() {
            units(to).entry(name.clone()).or_insert_with(|| unit.clone());
        }
        for package in PACKAGES {
            packages(to).remove(package);
        }
    }
    // It has none of hardware.
    node(&mut first, "node2").watchdogs = Known::Is(Vec::new());
    let first = Case { ancestors: vec![Ancestor { number: 1, digest }], ..case("machines-first", &toml, first) };
    let mut drift = converged(&toml, &TRIXIE);
    networks(&mut drift, "node1").get_mut("lab").unwrap().vlan = Some(30);
    networks(&mut drift, "node1").remove("island");
    networks(&mut drift, "node2").get_mut("lan").unwrap().active = false;
    let is = unit(Enablement::Enabled, Activity::Active);
    units(node(&mut drift, "node2")).insert("libvirtd.socket".to_owned(), is);
    units(node(&mut drift, "node3")).insert("libvirtd.service".to_owned(), unit(Enablement::Enabled, Activity::Failed));
    let mut foreign = converged(&toml, &TRIXIE);
    let uuid = &mut networks(&mut foreign, "node3").get_mut("lan").unwrap().uuid;
    "0d3c9c5e-6f6b-4b1e-9d5a-2b1c3d4e5f60".clone_into(uuid);
    let mut members = converged(&toml, &TRIXIE);
    for name in ["node1", "node2", "node3"] {
        let Known::Is(Some(membership)) = &mut node(&mut members, name).hypervisor.membership else { panic!("{name}") };
        membership.properties.insert("stonith-enabled".to_owned(), "false".to_owned());
    }
    let config =
        node(&mut members, "node1").files.get_mut(camino::Utf8Path::new("/etc/corosync/corosync.conf")).unwrap();
    *config = file(&support::text(config).replace("token: 3000", "token: 900"));
    let stopped = unit(Enablement::Enabled, Activity::Inactive);
    units(node(&mut members, "node2")).insert("pacemaker.service".to_owned(), stopped.clone());
    units(node(&mut members, "node3")).insert("sbd.service".to_owned(), stopped);
    vec![
        first,
        case("machines-members", &toml, members),
        case("machines-settled", &toml, converged(&toml, &TRIXIE)),
        case("machines-drift", &toml, drift),
        case("machines-foreign-network", &toml, foreign),
    ]
}

fn standing() -> Vec<Case> {
    let other = sum(b"another file");
    let mut overtaken = after("two-admins", |nodes| {
        for name in ["node1", "node2"] {
            let generation = support::generation(5, &other);
            let by = "you@desk".to_owned();
            let at = Timestamp(1_795_341_780_000);
            let generation = stead_plan::generation::Generation { by, at, ..generation };
            node(nodes, name).generation = Known::Is(Some(generation));
        }
        node(nodes, "node3").generation = Known::Is(Some(support::generation(4, &sum(b"older"))));
    });
    overtaken.ancestors = vec![Ancestor { number: 4, digest: sum(b"older") }];
    let mut behind = after("generation-behind", |nodes| {
        node(nodes, "node1").generation = Known::Is(Some(support::generation(6, &other)));
        node(nodes, "node2").generation = Known::Is(Some(support::generation(5, &sum(b"older"))));
        node(nodes, "node3").generation = Known::Is(None);
    });
    behind.ancestors = vec![Ancestor { number: 6, digest: other.clone() }];
    vec![
        after("node-silent", |nodes| {
            let silent = "ssh: connect to host 192.168.0.52 port 22: No route to host".to_owned();
            nodes.nodes.insert(support::name("node3"), Observation::Silent(silent));
        }),
        after("foreign-stamp", |nodes| {
            let cluster = "5b0e7d4c-2f43-4d57-8e11-9a3c2a6f1f10".parse().unwrap();
            node(nodes, "node2").stamp = Known::Is(Some(Stamp { cluster, node: support::name("node1") }));
        }),
        after("wrong-node", |nodes| {
            let stamp = node(nodes, "node3").stamp.clone();
            node(nodes, "node2").stamp = stamp;
        }),
        after("other-systems", |nodes| {
            node(nodes, "node1").system.release = Release::Other("Ubuntu 24.04.3 LTS".to_owned());
            node(nodes, "node2").system.architecture = stead_plan::inventory::Architecture::Other("riscv64".to_owned());
        }),
        after("newer-stead", |nodes| {
            let newer = stead_plan::generation::Generation {
                stead: "0.9.0".to_owned(),
                format: FORMAT + 1,
                ..support::generation(7, &other)
            };
            node(nodes, "node3").generation = Known::Is(Some(newer));
        }),
        overtaken,
        behind,
    ]
}

fn wishes() -> Vec<Case> {
    let host = "[host]\nswap = \"4GiB\"\npackages = [\"htop\"]\nsysctl = { \"vm.swappiness\" = \"10\" }\n\
                ntp = [\"192.168.0.1\", \"ntp.example.org\"]";
    let more = with(host);
    let (parsed, _) = spec(more.as_bytes());
    let mut wanted = converged(TOML, &TRIXIE);
    let asked = fresh(&parsed, &TRIXIE);
    let (_, digest) = spec(TOML.as_bytes());
    for name in ["node1", "node2", "node3"] {
        let from = asked.seen().find(|(other, _)| other.as_ref() == name).unwrap().1;
        let to = node(&mut wanted, name);
        tells_of_files(to, from);
        to.sysctl.clone_from(&from.sysctl);
        packages(to).remove("cryptsetup");
        packages(to).remove("systemd-cryptsetup");
    }
    let from_before = |mut case: Case| {
        case.ancestors = vec![Ancestor { number: 1, digest: digest.clone() }];
        case
    };
    let mut smaller = converged(&more, &TRIXIE);
    for name in ["node1", "node2", "node3"] {
        node(&mut smaller, name).generation = Known::Is(Some(support::generation(1, &digest)));
    }
    let one_gib = more.replace("swap = \"4GiB\"", "swap = \"1GiB\"");
    let mut without = converged(&more, &TRIXIE);
    for name in ["node1", "node2", "node3"] {
        node(&mut without, name).generation = Known::Is(Some(support::generation(1, &digest)));
    }
    let renamed =
        TOML.replace("node3 = ", "attic = ").replace("[node.node3]\n", "[node.attic]\nwas = \"node3\"\nnumber = 3\n");
    let mut as_attic = converged(TOML, &TRIXIE);
    let seen = as_attic.nodes.remove(&support::name("node3")).unwrap();
    as_attic.nodes.insert(support::name("attic"), seen);
    let zone = TOML.replace("Europe/Paris", "America/Bogota");
    vec![
        from_before(case("swap-and-sysctl", &more, wanted)),
        from_before(case("swap-of-another-size", &one_gib, smaller)),
        from_before(case("swap-no-more", TOML, without)),
        from_before(case("time-zone", &zone, converged(TOML, &TRIXIE))),
        from_before(case("node-renamed", &renamed, as_attic)),
        from_before(Case { ..admin_removed() }),
    ]
}

fn admin_removed() -> Case {
    let you = "[admin.you]\nkeys = [\"ssh-ed25519 \
               AAAAC3NzaC1lZDI1NTE5AAAAIFZJAAmWCn50/SAG8AeDOO/8YDIoJP6IQiMcYJLvNieT you@desk\"]";
    let mut inventory = converged(&with(you), &TRIXIE);
    let (_, digest) = spec(TOML.as_bytes());
    for name in ["node1", "node2", "node3"] {
        let node = node(&mut inventory, name);
        node.generation = Known::Is(Some(support::generation(1, &digest)));
        node.files.insert("/etc/apt/apt.conf.d/70mine".into(), file("// mine\n"));
        node.files.insert("/etc/sudoers.d/stead-old".into(), file_with("# Managed by stead\n", 0o440));
        users(node).insert("debian".to_owned(), support::user("debian", 1_002));
    }
    case("admin-removed", TOML, inventory)
}

/// A case's files: a line for each thing that a node tells, so that a difference can be read.
fn files(case: &Case) -> Result<Vec<(&'static str, String)>, Box<dyn Error>> {
    let mut text = format!("{{\n\"observed_at\": {},\n\"nodes\": {{\n", case.inventory.observed_at.0);
    let nodes = case.inventory.nodes.iter().map(|(name, observation)| match observation {
        Observation::Silent(why) => Ok(format!("\"{name}\": {{\"silent\": {}}}", serde_json::to_string(why)?)),
        Observation::Seen(node) => {
            let serde_json::Value::Object(fields) = serde_json::to_value(node)? else { return Err("no object".into()) };
            let lines = fields.iter().map(|(key, value)| format!("  \"{key}\": {value}"));
            let lines = lines.collect::<Vec<_>>().join(",\n");
            Ok(format!("\"{name}\": {{\"seen\": {{\n{lines}\n}}}}"))
        }
    });
    text += &nodes.collect::<Result<Vec<_>, Box<dyn Error>>>()?.join(",\n");
    let mut files = vec![("stead.toml", case.toml.clone()), ("inventory.json", text + "\n}\n}\n")];
    if !case.ancestors.is_empty() {
        files.push(("ancestors.json", serde_json::to_string_pretty(&case.ancestors)? + "\n"));
    }
    Ok(files)
}
