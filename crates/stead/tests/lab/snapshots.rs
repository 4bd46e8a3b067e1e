//! Pictures of the whole lab.

use stead_lab::Lab;
use stead_lab::processes;
use stead_lab::protocol::{DiskAction, PowerAction, Request};
use stead_lab::state::{Clock, LabState, Plugged, Power};
use stead_lab::switch::Condition;

use crate::power::clock_is_right;
use crate::support::{STEAD, TestLab, fresh};

const ALL: [&str; 3] = ["node1", "node2", "node3"];

/// The part of `lab.json` that a load brings back.
fn plugs(lab: &TestLab) -> String {
    let text = std::fs::read_to_string(lab.path().join("lab.json")).expect("state");
    let mut state: LabState = serde_json::from_str(&text).expect("state");
    for bay in state.nodes.values_mut().flat_map(|node| node.bays.values_mut()) {
        bay.disk.layers.clear();
    }
    format!("{:#?}", (state.nodes, state.switches, state.wan, state.tang, state.shelf))
}

#[test]
fn a_load_undoes_every_kind_of_fault() {
    let lab = fresh();
    let disk = lab.device("node1", "disk1");
    lab.on("node1", &format!("echo before > /run/marker; echo before | dd of={disk} conv=fsync status=none"));
    lab.save("base");
    let before = plugs(&lab);
    let boots: Vec<String> = ALL.iter().map(|node| lab.boot_id(node)).collect();

    let node = || "node1".to_owned();
    let bay = |action| Request::Disk { node: node(), bay: "disk1".into(), action };
    let wrong = Clock::try_from("2015-01-01T00:00:00".to_owned()).expect("time");
    let faults = [
        Request::Power { nodes: ALL.map(String::from).to_vec(), action: PowerAction::Off },
        Request::Power { nodes: vec![node()], action: PowerAction::Cycle },
        Request::Freeze { node: node() },
        Request::Cable { node: node(), switch: 1, to: Plugged::Out },
        Request::Switch { switch: 1, condition: Condition::Off },
        Request::Switch { switch: 1, condition: Condition::Lossy(90) },
        Request::Switch { switch: 1, condition: Condition::Slow(5000) },
        bay(DiskAction::Pull),
        bay(DiskAction::Fail),
        bay(DiskAction::Replace(None)),
        Request::Tang(Plugged::Out),
        Request::Wan(Plugged::Out),
        Request::Clock { node: node(), time: Some(wrong) },
    ];
    for fault in faults {
        lab.on("node1", &format!("echo after > /run/marker; echo after! | dd of={disk} conv=fsync status=none"));
        lab.ask(fault.clone());
        lab.load("base");
        assert_eq!(plugs(&lab), before, "after {fault:?}");
        assert_eq!(lab.on("node1", "cat /run/marker"), "before", "memory, after {fault:?}");
        assert_eq!(
            lab.on("node1", &format!("dd if={disk} bs=4096 count=1 iflag=direct status=none | head -c 6")),
            "before",
            "disk, after {fault:?}"
        );
        for (node, boot) in ALL.iter().zip(&boots) {
            assert_eq!(lab.boot_id(node), *boot, "{node} went on, after {fault:?}");
            assert!(clock_is_right(&lab, node), "{node}'s clock, after {fault:?}");
        }
        lab.until("node2", "ping -q -c 1 -W 2 192.168.0.50");
    }
}

#[test]
fn a_picture_has_the_pulled_plugs_in_it() {
    let lab = fresh();
    let disk = lab.device("node1", "disk2");
    lab.cable("node1", 3, Plugged::Out);
    lab.disk("node1", "disk2", DiskAction::Pull);
    lab.disk("node1", "disk1", DiskAction::Replace(None));
    let new = lab.device("node1", "disk1");
    lab.until("node1", &format!("test -e {new} && ! test -e {disk}"));
    lab.power_of(&["node2"], PowerAction::Off);
    lab.ask(Request::Freeze { node: "node3".into() });
    lab.ask(Request::Switch { switch: 2, condition: Condition::Lossy(7) });
    lab.save("broken");
    let broken = plugs(&lab);
    assert!(!lab.status().expect("status").nodes["node3"].ssh, "still frozen after the picture");

    lab.load("fresh");
    assert_ne!(plugs(&lab), broken);
    lab.load("broken");
    assert_eq!(plugs(&lab), broken);
    let status = lab.status().expect("status");
    assert_eq!(status.nodes["node2"].state.power, Power::Off);
    assert!(!status.nodes["node3"].ssh, "frozen");
    lab.on("node1", "ip link set enp0s3 up");
    assert_eq!(lab.on("node1", "cat /sys/class/net/enp0s3/carrier"), "0");
    assert!(lab.works("node1", &format!("test -e {new} && ! test -e {disk}")));

    lab.disk("node1", "disk2", DiskAction::Insert);
    lab.until("node1", &format!("test -e {disk}"));
    lab.ask(Request::Thaw { node: "node3".into() });
    lab.up(&["node3"]);
    assert!(clock_is_right(&lab, "node3"), "also of a node that was frozen in the picture");
    lab.power_of(&["node2"], PowerAction::On);
    lab.up(&["node2"]);
}

/// Sends numbered datagrams, as fast as a node can, for a minute.
const SENDER: &str = r#"perl -MIO::Socket::INET -e '$s=IO::Socket::INET->new(Proto=>"udp",PeerAddr=>"192.168.0.51:9999");
$end=time+60; while(time<$end){$s->send(++$i); select(undef,undef,undef,0.002)}' >/dev/null 2>&1 </dev/null &"#;

/// Keeps the numbers that come, in memory.
const RECEIVER: &str = r#"perl -MIO::Socket::INET -e '$|=1; $s=IO::Socket::INET->new(Proto=>"udp",LocalPort=>9999);
while(defined $s->recv($m,64)){print "$m\n"}' >/run/got 2>&1 </dev/null &"#;

#[test]
fn a_picture_is_of_one_instant() {
    let lab = fresh();
    for (number, node) in [(1, "node1"), (2, "node2")] {
        let tagged =
            "ip link set enp0s3 up; ip link add link enp0s3 name tagged type vlan id 42; ip link set tagged up";
        lab.on(node, &format!("{tagged}; ip address add 10.78.3.{number}/24 dev tagged"));
    }
    lab.until("node1", "ping -q -c 1 -W 2 10.78.3.2");
    lab.on("node2", RECEIVER);
    lab.on("node1", SENDER);
    lab.until("node2", "test $(wc -l < /run/got) -gt 100");
    lab.save("running");
    lab.load("running");
    let before: u32 = lab.on("node2", "wc -l < /run/got").parse().expect("a number");
    lab.until("node2", &format!("test $(wc -l < /run/got) -gt {}", before + 100));
    // A NIC knows still which tags it is to take.
    lab.until("node1", "ping -q -c 1 -W 2 10.78.3.2");
    // Were the receiver's picture younger than the sender's, numbers would come twice.
    assert_eq!(lab.on("node2", "sort /run/got | uniq -d | head -3"), "");
}

#[test]
fn a_load_starts_from_a_stopped_or_killed_lab() {
    let lab = fresh();
    lab.on("node1", "echo here > /run/marker");
    lab.save("here");
    lab.power_of(&ALL, PowerAction::Off);
    lab.load("here");
    assert_eq!(lab.on("node1", "cat /run/marker"), "here");

    processes::end_all(lab.path()).expect("killed");
    let again = Lab::open(lab.path(), std::path::Path::new(STEAD)).expect("held again");
    let status = again.status().expect("status");
    assert!(status.nodes.values().all(|node| node.state.power == Power::Off), "a killed lab has lost its power");
    lab.load("here");
    assert_eq!(lab.on("node1", "cat /run/marker"), "here");
    assert!(clock_is_right(&lab, "node1"));
}

#[test]
fn a_deleted_picture_is_gone_with_its_room() {
    let lab = fresh();
    let layers = || std::fs::read_dir(lab.path().join("layers")).expect("layers").count();
    let before = layers();
    lab.save("passing");
    assert!(lab.request(&Request::Save { name: "passing".into() }).is_err(), "never overwritten");
    assert!(lab.request(&Request::Save { name: "../escape".into() }).is_err());
    // What can't be loaded costs nothing: everything is looked at first.
    let boot = lab.boot_id("node1");
    let memory = lab.path().join("snapshots/passing/node2.memory");
    std::fs::rename(&memory, memory.with_extension("away")).expect("away");
    let error = lab.request(&Request::Load { name: "passing".into() }).expect_err("half of a picture");
    assert!(error.to_string().contains("no memory of node2"), "{error}");
    assert!(lab.request(&Request::Load { name: "../snapshots/passing".into() }).is_err());
    assert_eq!(lab.boot_id("node1"), boot);

    lab.load("fresh");
    lab.ask(Request::Delete { name: "passing".into() });
    assert_eq!(layers(), before);
    let error = lab.request(&Request::Load { name: "passing".into() }).expect_err("gone");
    assert_eq!(error.to_string(), "there is no picture `passing`");
    assert!(lab.request(&Request::Delete { name: "passing".into() }).is_err());
}
