//! The core and the nodes' own networks: what dies, what people undo behind stead's back, and changes that would cut a
//! node off.

use stead_lab::protocol::{PowerAction, Request};
use stead_lab::state::Plugged;
use stead_lab::switch::Condition;

use crate::cluster::{TestCluster, applied, assert_code, cut_power, err, out};
use crate::support::eventually;

/// The file's addresses of the others in the core, seen from node1.
const OTHERS: [(&str, u8); 2] = [("node2", 2), ("node3", 3)];

/// What a node's networks are, for people: addresses, the bridge, and networkd's files.
const NETWORKS: &str =
    "ip -br -4 address | sort; ovs-vsctl get port lan tag; sha256sum /etc/systemd/network/05-stead-*";

/// Two minutes until a change that nobody confirms is undone, and not ten.
const HASTY: (&str, &str) = ("patience = 10", "patience = 2");

/// Nobody else has the nodes' network under this tag.
const WRONG_VLAN: (&str, &str) = ("[network.lan]\n", "[network.lan]\nvlan = 30\n");

fn reaches(cluster: &TestCluster, node: u8) {
    cluster.until("node1", &format!("ping -c 3 -i 0.3 -W 2 10.10.0.{node}"));
}

#[test]
fn any_switch_may_die_and_the_core_goes_on() {
    let cluster = applied();
    for (_, node) in OTHERS {
        reaches(&cluster, node);
        // Its own address is the source, whatever NIC it goes out by.
        cluster.until("node1", &format!("ip route get 10.10.0.{node} | grep -q 'src 10.10.0.1'"));
    }
    probes(&cluster, 0, "lab: 3 switches, well");
    cluster.on("node1", "vtysh -c 'show ip ospf interface core1' | grep -qi -e cryptographic -e md5");
    for switch in 1..=3 {
        // Two others on three switches: routers hear each other anew after a picture, and after a switch was away.
        cluster.until("node1", "test $(vtysh -c 'show ip ospf neighbor' | grep -c Full) = 6");
        cluster.ask(Request::Switch { switch, condition: Condition::Off });
        cluster.until("node1", &format!("! ping -c 1 -W 1 10.10.{switch}.2"));
        for (_, node) in OTHERS {
            reaches(&cluster, node);
        }
        if switch == 2 {
            // Its lights are on, and it passes nothing.
            probes(&cluster, 2, "✗ sw2 drops core (VLAN 10)");
        }
        cluster.ask(Request::Switch { switch, condition: Condition::On });
        cluster.until("node1", &format!("ping -c 1 -W 1 10.10.{switch}.2"));
    }
    cluster.home.settled();
}

#[test]
fn a_restart_of_frr_or_of_open_vswitch_cuts_nothing() {
    let cluster = applied();
    cluster.until("node1", "test $(vtysh -c 'show ip ospf neighbor' | grep -c Full) = 6");
    let restart = "systemctl restart UNIT & ping -c 40 -i 0.25 -W 2 10.10.0.2 | tail -3; wait";
    for unit in ["frr", "openvswitch-switch"] {
        let said = cluster.on("node1", &restart.replace("UNIT", unit));
        let received = said.split(", ").nth(1).and_then(|words| words.split(' ').next()?.parse::<u32>().ok());
        assert!(received.is_some_and(|received| received >= 30), "{unit}: {said}");
    }
    cluster.home.settled();
}

fn probes(cluster: &TestCluster, code: i32, says: &str) {
    let probe = cluster.home.stead(&["network", "probe"]);
    assert_code(&probe, code);
    assert!(out(&probe).contains(says), "{}{}", out(&probe), err(&probe));
}

#[test]
fn any_cable_may_come_out_and_switches_may_be_sick() {
    let cluster = applied();
    let whole = "test $(vtysh -c 'show ip ospf neighbor' | grep -c Full) = 6";
    cluster.until("node1", whole);
    for switch in 1..=3 {
        cluster.cable("node2", switch, Plugged::Out);
        cluster.until("node2", &format!("test $(cat /sys/class/net/enp0s{switch}/carrier) = 0"));
        reaches(&cluster, 2);
        cluster.cable("node2", switch, Plugged::In);
        cluster.until("node1", whole);
    }
    let whole_ping = |seconds| format!("ping -c 10 -i 0.2 -W {seconds} 10.10.0.2 | grep -q ' 0% packet loss'");
    // BFD gives it up: what goes between nodes comes whole, and at once.
    cluster.ask(Request::Switch { switch: 1, condition: Condition::Lossy(60) });
    cluster.until("node1", "! ping -c 10 -i 0.2 -W 1 10.10.1.2 | grep -q ' 0% packet loss'");
    cluster.until("node1", &whole_ping(1));
    cluster.ask(Request::Switch { switch: 1, condition: Condition::On });
    cluster.until("node1", whole);
    // What comes late comes: a way is not given up for it.
    cluster.ask(Request::Switch { switch: 1, condition: Condition::Slow(2_000) });
    cluster.until("node1", "! ping -c 1 -W 3 10.10.1.2");
    cluster.until("node1", &whole_ping(10));
    cluster.ask(Request::Switch { switch: 1, condition: Condition::On });
    cluster.until("node1", whole);
    // What passes short packets and no long ones is found by the probe.
    cluster.ask(Request::Switch { switch: 3, condition: Condition::Small(1400) });
    probes(&cluster, 2, "✗ sw3 drops packets of 1500 bytes of core (VLAN 10)");
    cluster.ask(Request::Switch { switch: 3, condition: Condition::On });
    probes(&cluster, 0, "lab: 3 switches, well");
    // Nothing goes round: nodes that have nothing to say say little.
    let passed = || {
        let status = cluster.status().expect("the lab's status");
        let ports = status.switches.values().flat_map(|switch| switch.ports.values());
        ports.map(|port| port.frames_in).sum::<u64>()
    };
    let before = passed();
    cluster.on("node1", "ping -c 20 -i 0.5 -W 2 10.10.0.2 >/dev/null");
    assert!(passed() - before < 10_000, "{} frames in ten seconds", passed() - before);
}

#[test]
fn nodes_find_each_other_after_a_blackout_without_the_internet() {
    let cluster = applied();
    cluster.ask(Request::Wan(Plugged::Out));
    let nodes = ["node1", "node2", "node3"];
    cluster.power_of(&nodes, PowerAction::Off);
    cluster.power_of(&nodes, PowerAction::On);
    cluster.up(&nodes);
    for (_, node) in OTHERS {
        reaches(&cluster, node);
    }
    eventually("nothing is to be done", || cluster.home.planned() == (Vec::new(), 0));
}

/// What docs/reference/ports.md says, seen from another node: what the firewall lets through and nothing listens at is
/// refused, and what it drops is silent.
const SCAN: &str = r#"python3 - <<'END'
import asyncio
async def look(address, port):
    try:
        _, writer = await asyncio.wait_for(asyncio.open_connection(address, port), 10)
        writer.close()
        return "open"
    except ConnectionRefusedError:
        return "refused"
    except (TimeoutError, asyncio.TimeoutError, OSError):
        return "silent"
async def all():
    for address in ["192.168.0.50", "10.10.0.1", "10.10.1.1"]:
        ports = [22, 53, 80, 111, 179, 443, 2601, 2604, 3784, 6640, 6653, 9090, 16509, 24007, 49152]
        for port, came in zip(ports, await asyncio.gather(*(look(address, port) for port in ports))):
            print(address, port, came)
asyncio.run(all())
END"#;

#[test]
fn what_reaches_a_node_is_what_the_reference_says() {
    let cluster = applied();
    // Over a network with an address: sshd, and nothing else, whatever listens.
    cluster.on("node1", "systemd-run --unit listens python3 -m http.server 9090 >/dev/null 2>&1");
    cluster.until("node1", "ss -ltn | grep -q :9090");
    let seen = cluster.on("node2", SCAN);
    let of = |address: &str, came: &str| {
        let lines = seen.lines().filter(|line| line.starts_with(address) && line.ends_with(came));
        lines.filter_map(|line| line.split(' ').nth(1)).collect::<Vec<_>>().join(" ")
    };
    assert_eq!(of("192.168.0.50 ", "open"), "22", "{seen}");
    assert_eq!(of("192.168.0.50 ", "refused"), "", "{seen}");
    // In the core, nodes trust each other; what FRR and Open vSwitch are told by listens to nobody else.
    for own in ["10.10.0.1 ", "10.10.1.1 "] {
        assert_eq!(of(own, "open"), "22 9090", "{seen}");
        assert_eq!(of(own, "silent"), "", "{seen}");
    }
    // Nobody pretends to be a node from another network.
    let pretends =
        "ip route add 10.10.0.1/32 via 192.168.0.50 dev lan metric 1; ! ping -c 3 -W 1 -I 192.168.0.51 10.10.0.1";
    cluster.on("node2", pretends);
}

#[test]
fn what_people_undo_behind_stead_s_back_is_righted() {
    let cluster = applied();
    let drifts = [
        ("ip link delete core2", "network/node1/devices"),
        ("ip address delete 192.168.0.50/24 dev lan", "network/node1/devices"),
        ("ovs-vsctl del-port lan", "network/node1/devices"),
        ("rm /etc/systemd/network/05-stead-core3.network", "network/node1/devices"),
        ("vtysh -c 'configure terminal' -c 'no router ospf'", "network/node1/routing"),
        ("systemctl stop frr", "network/node1/routing"),
        ("nft flush ruleset", "network/node1/firewall"),
        ("sysctl -w net.ipv4.ip_forward=0", "network/node1/sysctl"),
    ];
    let mut expected = std::collections::BTreeSet::new();
    for (drift, step) in drifts {
        cluster.on("node1", drift);
        expected.insert(step.to_owned());
    }
    let (steps, code) = cluster.home.planned();
    assert_eq!(steps.into_iter().collect::<std::collections::BTreeSet<_>>(), expected);
    assert_eq!(code, 2);
    cluster.home.applies();
    for (_, node) in OTHERS {
        reaches(&cluster, node);
    }
    let status = cluster.home.stead(&["status"]);
    assert!(out(&status).contains("node1"), "{}{}", out(&status), err(&status));
}

#[test]
fn a_change_that_cuts_a_node_off_is_undone_and_told() {
    let cluster = applied();
    let before = cluster.on("node1", NETWORKS);
    cluster.home.edit(HASTY.0, HASTY.1);
    cluster.home.edit(WRONG_VLAN.0, WRONG_VLAN.1);
    let applied = cluster.home.stead(&["apply", "--yes"]);
    assert_code(&applied, 1);
    let said = err(&applied);
    assert!(said.contains("no longer reaches node1's address in lan (192.168.0.50)"), "{said}");
    assert!(said.contains("it was undone"), "{said}");
    assert_eq!(cluster.on("node1", NETWORKS), before);
    // Its turn never came.
    assert_eq!(cluster.on("node2", "ovs-vsctl get port lan tag"), "[]");
    undo_the_edits(&cluster);
}

/// The cable of the LAN's NIC leads elsewhere, says the file.
const WRONG_NIC: (&str, &str) = (
    r#"sw1 = "52:54:00:00:01:01", sw2 = "52:54:00:00:01:02", sw3 = "52:54:00:00:01:03""#,
    r#"sw1 = "52:54:00:00:01:03", sw2 = "52:54:00:00:01:02", sw3 = "52:54:00:00:01:01""#,
);
const WRONG_ADDRESS: (&str, &str) = (r#"node1 = "192.168.0.50""#, r#"node1 = "192.168.0.250""#);
/// Nobody there knows a way out.
const WRONG_GATEWAY: (&str, &str) = ("[network.lan]\n", "[network.lan]\ngateway = \"192.168.0.99\"\n");

#[test]
fn a_change_whose_stead_is_killed_is_undone_by_its_node() {
    let cluster = applied();
    let before = cluster.on("node1", NETWORKS);
    cluster.home.edit(HASTY.0, HASTY.1);
    begin_and_kill(&cluster, WRONG_VLAN);
    // The timer is longer than other things are waited for.
    cluster.within(300, "node1", "! test -e /var/lib/stead/way-back/pending.json");
    assert_eq!(cluster.on("node1", NETWORKS), before);
    cluster.home.edit(HASTY.1, HASTY.0);
    cluster.home.applies();
}

#[test]
fn whatever_was_typed_wrong_a_power_cut_in_the_middle_undoes_it() {
    let cluster = applied();
    let before = cluster.on("node1", NETWORKS);
    for wrong in [WRONG_VLAN, WRONG_NIC, WRONG_ADDRESS, WRONG_GATEWAY] {
        begin_and_kill(&cluster, wrong);
        cut_power(&cluster, "node1");
        cluster
            .until("node1", "test ! -e /var/lib/stead/way-back/pending.json && ip -br address show lan | grep -q 192");
        cluster.until("node1", "ip -br address show core3 | grep -q 10.10.3.1");
        eventually(&format!("as before {wrong:?}"), || cluster.on("node1", NETWORKS) == before);
    }
    cluster.home.applies();
}

/// The change is on its way on node1, and who wanted it is gone. The file is as it was then.
fn begin_and_kill(cluster: &TestCluster, wrong: (&str, &str)) {
    let before = cluster.on("node1", NETWORKS);
    cluster.home.edit(wrong.0, wrong.1);
    cluster.home.apply_until("looking whether node1 is still there").kill();
    cluster.home.edit(wrong.1, wrong.0);
    assert_ne!(cluster.on("node1", NETWORKS), before, "it was done: {wrong:?}");
}

fn undo_the_edits(cluster: &TestCluster) {
    cluster.home.edit(HASTY.1, HASTY.0);
    cluster.home.edit(WRONG_VLAN.1, WRONG_VLAN.0);
    cluster.home.applies();
}
