use stead_plan::network::probe::Calls;
use stead_spec::units::Vlan;

use super::*;

fn call() -> Call {
    Call { token: "t1".to_owned(), node: "node1".to_owned(), nic: "eno1".to_owned(), words: String::new() }
}

fn lane() -> Lane {
    Lane { nic: "eno1".to_owned(), vlan: None, size: 0, words: String::new() }
}

#[test]
fn a_call_is_read_back_from_a_frame_that_was_filled_up() {
    let mut frame = frame([2, 0, 0, 0, 0, 1], &lane(), &call());
    assert_eq!(frame[..HEADER], [0xff, 0xff, 0xff, 0xff, 0xff, 0xff, 2, 0, 0, 0, 0, 1, 0x88, 0xb5]);
    assert!(frame.len() >= SHORTEST);
    frame.extend([0; 20]);
    assert_eq!(parse(&frame, "t1"), Some(call()));
}

#[test]
fn a_lane_says_how_a_call_travels() {
    let lane = Lane { vlan: Vlan::new(10).ok(), size: 9000, ..lane() };
    let call = Call { words: "sw1 core 9000".to_owned(), ..call() };
    let frame = frame([2, 0, 0, 0, 0, 1], &lane, &call);
    assert_eq!(frame[12..18], [0x81, 0x00, 0x00, 0x0a, 0x88, 0xb5]);
    assert_eq!(frame.len(), 14 + 4 + 9000);
    assert_eq!(parse(&frame, "t1"), None, "its tag is still on");
    let untagged = [&frame[..12], &frame[16..]].concat();
    assert_eq!(parse(&untagged, "t1"), Some(call.clone()));
    for words in ["\n".to_owned(), "x".repeat(65)] {
        let call = Call { words, ..call.clone() };
        assert_eq!(parse(&super::frame([2, 0, 0, 0, 0, 1], &Lane { vlan: None, ..lane.clone() }, &call), "t1"), None);
    }
}

#[test]
fn whatever_else_comes_is_no_call() {
    let good = frame([2, 0, 0, 0, 0, 1], &lane(), &call());
    assert_eq!(parse(&good, "t2"), None, "of another search");
    for end in 0..good.len() - 1 {
        assert_eq!(parse(&good[..end], "t1"), None, "cut after {end} bytes");
    }
    for at in 12..HEADER + MAGIC.len() {
        let mut frame = good.clone();
        frame[at] ^= 1;
        assert_eq!(parse(&frame, "t1"), None, "not stead's, by byte {at}");
    }
    for (node, nic) in [("Node 1", "eno1"), ("", "eno1"), ("node1", ""), ("node1", "eno1\n"), ("node1", "a/b")] {
        let call = Call { node: node.to_owned(), nic: nic.to_owned(), ..call() };
        assert_eq!(parse(&frame([2, 0, 0, 0, 0, 1], &lane(), &call), "t1"), None, "{node:?} {nic:?}");
    }
    let long = Call { nic: "x".repeat(16), ..call() };
    assert_eq!(parse(&frame([2, 0, 0, 0, 0, 1], &lane(), &long), "t1"), None);
}

#[test]
fn nics_are_hardware_with_a_cable() {
    let net = tempfile::tempdir().expect("a folder");
    let nic = |name: &str, kind: &str, folders: &[&str]| {
        let nic = net.path().join(name);
        for folder in folders {
            fs::create_dir_all(nic.join(folder)).unwrap();
        }
        fs::create_dir_all(&nic).unwrap();
        fs::write(nic.join("type"), kind).unwrap();
    };
    nic("eno2", "1\n", &["device"]);
    nic("eno1", "1\n", &["device"]);
    nic("wlan0", "1\n", &["device", "wireless"]);
    nic("wlan1", "1\n", &["device", "phy80211"]);
    nic("br0", "1\n", &[]);
    nic("ib0", "32\n", &["device"]);
    assert_eq!(ethernet(net.path()).unwrap(), ["eno1", "eno2"]);
}

/// Two nodes on one wire, which is the loopback interface. Only root may open packet sockets.
#[tokio::test(flavor = "current_thread")]
async fn two_nodes_hear_each_other_and_not_themselves() {
    let Ok(first) = open() else { return };
    let second = open().unwrap();
    let lo = *links().unwrap().get("lo").expect("each computer has it");
    let ears = |nic: &str| BTreeMap::from([(lo.ifindex(), Ear { nic: nic.to_owned(), link: lo })]);
    let asked =
        |node: &str| Probe { token: "t1".to_owned(), node: node.to_owned(), calls: Calls::default(), listen: 300 };
    let (ears1, ears2, node1, node2) = (ears("a0"), ears("b0"), asked("node1"), asked("node2"));
    let (heard1, heard2) = tokio::join!(listen(&first, &ears1, &node1), listen(&second, &ears2, &node2));
    let heard = |on: &str, node: &str, nic: &str| {
        vec![Heard { on: on.to_owned(), node: node.to_owned(), nic: nic.to_owned(), words: String::new() }]
    };
    assert_eq!(heard1.unwrap(), heard("a0", "node2", "b0"));
    assert_eq!(heard2.unwrap(), heard("b0", "node1", "a0"));
}
