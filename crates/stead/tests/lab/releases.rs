//! The other release: what the lab does to a node doesn't depend on what runs on it.

use stead_lab::image::{Kind, Release};
use stead_lab::protocol::{DiskAction, PowerAction, Request};
use stead_lab::state::Plugged;

use crate::power::{clock_is_right, control};
use crate::support::{fresh, own, single};

#[test]
fn debian_12_is_a_node_too() {
    fresh().power_of(&["node1", "node2", "node3"], PowerAction::Off);
    let lab = own("bookworm", &single(Release::Bookworm, Kind::Ready));
    assert_eq!(lab.on("node1", ". /etc/os-release; echo $VERSION_CODENAME"), "bookworm");
    control(&lab, "node1");

    lab.on("node1", "echo here > /run/marker");
    lab.save("here");
    let disk = lab.device("node1", "disk1");
    lab.disk("node1", "disk1", DiskAction::Pull);
    lab.until("node1", &format!("! test -e {disk}"));
    lab.cable("node1", 1, Plugged::Out);
    lab.until("node1", "test $(cat /sys/class/net/enp0s1/carrier) = 0");
    lab.load("here");
    assert_eq!(lab.on("node1", "cat /run/marker"), "here");
    assert!(lab.works("node1", &format!("test -e {disk}")));
    assert!(clock_is_right(&lab, "node1"));

    lab.until("node1", "ip -4 -o addr show dev enp0s2 | grep -q 203.0.113");
    let url = lab.status().expect("status").tang.url;
    let secret = format!("echo secret | clevis encrypt tang '{{\"url\":\"{url}\"}}' -y | clevis decrypt");
    assert_eq!(lab.on("node1", &secret), "secret");
    lab.ask(Request::Freeze { node: "node1".into() });
    assert!(!lab.status().expect("status").nodes["node1"].ssh);
    lab.ask(Request::Thaw { node: "node1".into() });
    lab.up(&["node1"]);
}
