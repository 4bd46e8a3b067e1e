//! Cables and switches.

use stead_lab::protocol::Request;
use stead_lab::state::Plugged;
use stead_lab::switch::Condition;

use crate::support::{TestLab, fresh, run_dir};

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// Frames of 9000 bytes with the largest payload that a ping of IPv4 has in them, and no fragments.
const JUMBO: &str = "-M do -s 8972";

/// How many of a hundred pings were lost.
fn loss(lab: &TestLab, from: &str, to: &str, count: u32) -> u8 {
    let said = lab.on(from, &format!("ping -q -i 0.2 -W 2 -c {count} {to} || true"));
    let percent = said.split("% packet loss").next().and_then(|head| head.rsplit([' ', ',']).next());
    percent.and_then(|text| text.split('.').next()?.parse().ok()).unwrap_or_else(|| panic!("no loss in: {said}"))
}

fn carrier(lab: &TestLab, node: &str, nic: u8) -> bool {
    lab.on(node, &format!("cat /sys/class/net/enp0s{nic}/carrier")) == "1"
}

#[test]
fn nodes_talk_on_each_switch_with_tags_and_jumbo_frames() {
    let lab = fresh();
    let pcap = run_dir().join("tagged.pcap");
    lab.ask(Request::Capture { switch: 2, file: Some(pcap.clone()) });
    for (number, node) in (1..).zip(NODES) {
        let nic = |switch: u8| {
            let dev = format!("enp0s{switch}");
            format!(
                "ip link set {dev} mtu 9000 up; ip addr add 10.77.{switch}.{number}/24 dev {dev}; \
                 ip link add link {dev} name {dev}.42 type vlan id 42; ip link set {dev}.42 mtu 9000 up; \
                 ip addr add 10.78.{switch}.{number}/24 dev {dev}.42"
            )
        };
        lab.on(node, &format!("set -e; {}; {}; {}", nic(1), nic(2), nic(3)));
    }
    for switch in 1..=3 {
        for (from, to) in [("node1", 2), ("node2", 3), ("node3", 1)] {
            for net in [77, 78] {
                lab.until(from, &format!("ping -q -c 2 -W 2 {JUMBO} 10.{net}.{switch}.{to}"));
            }
        }
    }
    lab.ask(Request::Capture { switch: 2, file: None });
    let capture = std::fs::read(&pcap).expect("pcap");
    let tagged_ipv4 = [0x81, 0x00, 0x00, 42, 0x08, 0x00];
    assert!(capture.windows(6).any(|bytes| bytes == tagged_ipv4), "the tag 42 is on the wire");
    let status = lab.status().expect("status");
    let port = status.switches[&1].ports["node1-nic1"];
    assert!(port.frames_in > 0 && port.bytes_out > 9000, "{port:?}");
}

#[test]
fn nothing_passes_between_switches() {
    let lab = fresh();
    lab.on("node1", "ip addr add 10.88.0.1/24 dev enp0s1");
    lab.on("node2", "ip link set enp0s3 up; ip addr add 10.88.0.2/24 dev enp0s3");
    assert_eq!(loss(&lab, "node1", "10.88.0.2", 5), 100, "NIC 1 and NIC 3");
    // The control: the same address on the same switch answers.
    lab.on("node2", "ip addr del 10.88.0.2/24 dev enp0s3; ip addr add 10.88.0.2/24 dev enp0s1");
    lab.until("node1", "ping -q -c 1 -W 2 10.88.0.2");
}

#[test]
fn a_cable_out_takes_the_carrier_and_in_gives_it_back() {
    let lab = fresh();
    lab.until("node1", "ping -q -c 1 -W 2 192.168.0.51");
    lab.on("node2", "ip link set enp0s3 up");
    assert!(carrier(&lab, "node2", 1) && carrier(&lab, "node2", 3));
    lab.cable("node2", 1, Plugged::Out);
    lab.until("node2", "test $(cat /sys/class/net/enp0s1/carrier) = 0");
    assert!(carrier(&lab, "node2", 3), "the other NICs are as they were");
    assert_eq!(loss(&lab, "node1", "192.168.0.51", 5), 100);
    assert!(carrier(&lab, "node1", 1), "nobody else's cable is out");
    lab.cable("node2", 1, Plugged::In);
    lab.until("node2", "test $(cat /sys/class/net/enp0s1/carrier) = 1");
    lab.until("node1", "ping -q -c 1 -W 2 192.168.0.51");
}

#[test]
fn a_cable_stays_out_over_a_power_cycle() {
    let lab = fresh();
    lab.cable("node1", 1, Plugged::Out);
    lab.power_cycle("node1");
    lab.on("node1", "ip link set enp0s1 up");
    assert!(!carrier(&lab, "node1", 1));
}

#[test]
fn a_sick_switch_keeps_carriers_and_loses_or_holds_frames() {
    let lab = fresh();
    let switch = |condition| lab.ask(Request::Switch { switch: 1, condition });
    lab.until("node1", "ping -q -c 1 -W 2 192.168.0.51");

    switch(Condition::Off);
    assert_eq!(loss(&lab, "node1", "192.168.0.51", 5), 100);
    assert!(carrier(&lab, "node1", 1) && carrier(&lab, "node2", 1), "that is the treacherous thing");

    switch(Condition::Lossy(50));
    // Both ways, so three quarters; 60 pings are off by 20 points once in some ten thousand runs.
    let lost = loss(&lab, "node1", "192.168.0.51", 60);
    assert!((50..=95).contains(&lost), "{lost} % lost");

    switch(Condition::Slow(400));
    lab.until("node1", "ping -q -c 1 -W 5 192.168.0.51");
    let said = lab.on("node1", "ping -q -c 3 -W 5 192.168.0.51");
    let fastest: f64 = said.split("= ").nth(1).and_then(|times| times.split('/').next()?.parse().ok()).expect(&said);
    assert!(fastest >= 800.0, "400 ms each way: {said}");

    switch(Condition::On);
    lab.until("node1", "ping -q -c 1 -W 2 192.168.0.51");
    assert_eq!(loss(&lab, "node1", "192.168.0.51", 10), 0);
}
