//! The world outside of the nodes: the WAN side, the tang box, and that nothing else is reached.

use std::collections::BTreeSet;
use std::fs;
use std::net::UdpSocket;
use std::os::fd::AsRawFd;

use stead_lab::processes;
use stead_lab::protocol::Request;
use stead_lab::state::Plugged;

use crate::support::fresh;

/// A request to the mirror whose head alone is enough, by names and addresses as a node finds them.
const FETCH: &str = "curl -sS --fail --max-time 20 -o /dev/null http://deb.debian.org/debian/dists/trixie/Release";

#[test]
fn the_wan_gives_addresses_and_reaches_the_mirror_only_when_asked() {
    let lab = fresh();
    lab.until("node1", "ip -4 -o addr show dev enp0s2 | grep -q 203.0.113");
    assert!(!lab.works("node1", FETCH), "closed unless asked");
    lab.ask(Request::WanOpen(true));
    lab.until("node1", FETCH);
    lab.on("node1", "apt-get update");
    let elsewhere = "curl -sS --fail --max-time 20 -o /dev/null -H 'Host: example.org' http://203.0.113.1/";
    assert!(!lab.works("node1", elsewhere), "the mirror only");
    assert!(!lab.works("node1", "getent ahostsv4 example.org"), "and no other name");
    lab.ask(Request::WanOpen(false));
    assert!(!lab.works("node1", FETCH));
}

#[test]
fn the_wan_can_go_and_come_back() {
    let lab = fresh();
    lab.until("node1", "ping -q -c 1 -W 2 203.0.113.1");
    lab.ask(Request::Wan(Plugged::Out));
    assert!(!lab.works("node1", "ping -q -c 3 -W 2 203.0.113.1"));
    lab.ask(Request::Wan(Plugged::In));
    lab.until("node1", "ping -q -c 1 -W 2 203.0.113.1");
}

/// The inodes of all sockets of this machine that speak to a network, also a local one.
fn network_sockets() -> BTreeSet<u64> {
    let tables = ["tcp", "tcp6", "udp", "udp6", "udplite", "udplite6", "raw", "raw6", "icmp", "icmp6"];
    let mut inodes = BTreeSet::new();
    for table in tables {
        // A table is missing where the kernel doesn't know the protocol.
        let text = fs::read_to_string(format!("/proc/self/net/{table}")).unwrap_or_default();
        inodes.extend(text.lines().skip(1).filter_map(|line| line.split_whitespace().nth(9)?.parse::<u64>().ok()));
    }
    let packet = fs::read_to_string("/proc/self/net/packet").unwrap_or_default();
    inodes.extend(packet.lines().skip(1).filter_map(|line| line.split_whitespace().nth(8)?.parse::<u64>().ok()));
    inodes
}

fn sockets_of(pid: i32) -> BTreeSet<u64> {
    let files = fs::read_dir(format!("/proc/{pid}/fd")).expect("the process is there").flatten();
    let links = files.filter_map(|file| fs::read_link(file.path()).ok()?.to_str().map(str::to_owned));
    links.filter_map(|link| link.strip_prefix("socket:[")?.strip_suffix(']')?.parse().ok()).collect()
}

#[test]
fn no_process_of_a_lab_has_a_socket_of_any_network() {
    let lab = fresh();
    // The control: the same look finds a socket that is there.
    let socket = UdpSocket::bind("127.0.0.1:0").expect("socket");
    assert!(socket.as_raw_fd() > 0);
    let own = i32::try_from(std::process::id()).expect("pid");
    assert_eq!(sockets_of(own).intersection(&network_sockets()).count(), 1);

    let pids = processes::find(lab.path()).expect("processes");
    assert!(pids.len() >= 4, "three nodes and the process that holds the lab: {pids:?}");
    // While a node tries what it can.
    lab.until("node1", "ip -4 -o addr show dev enp0s2 | grep -q 203.0.113");
    let tries = "for to in 192.168.0.2:7500 203.0.113.1:22 203.0.113.1:443 192.0.2.1:80 169.254.77.1:80; do \
                 timeout 3 bash -c \"exec 3<>/dev/tcp/${to%:*}/${to#*:}\" && echo reached $to; done; true";
    let reached = lab.on("node1", tries);
    // The first one is the control: the same attempt reaches what is in the lab.
    assert_eq!(reached, "reached 192.168.0.2:7500", "no other port, and nothing beyond the WAN box");
    for pid in pids {
        let pid = pid.as_raw_nonzero().get();
        let found: Vec<u64> = sockets_of(pid).intersection(&network_sockets()).copied().collect();
        assert!(found.is_empty(), "process {pid} has sockets of a network: {found:?}");
    }
}

#[test]
fn the_tang_box_answers_and_can_be_switched_off() {
    let lab = fresh();
    let url = lab.status().expect("status").tang.url;
    let advertised = format!("curl -sS --fail --max-time 10 {url}/adv");
    for node in ["node1", "node2", "node3"] {
        lab.until(node, &advertised);
    }
    // Clevis itself is the judge of whether this is a tang.
    let secret = format!(
        "echo secret | clevis encrypt tang '{{\"url\":\"{url}\"}}' -y > /tmp/sealed && clevis decrypt < /tmp/sealed"
    );
    assert_eq!(lab.on("node1", &secret), "secret");

    lab.ask(Request::Tang(Plugged::Out));
    assert!(!lab.works("node1", &advertised));
    assert!(!lab.works("node1", "timeout 10 clevis decrypt < /tmp/sealed"));
    lab.ask(Request::Tang(Plugged::In));
    lab.until("node1", "clevis decrypt < /tmp/sealed | grep -q secret");
}
