//! The layer `machines`: every node has a hypervisor that the others may move machines to, and networks for them by the same
//! names.

use stead_lab::protocol::Request;
use stead_lab::switch::Condition;

use crate::cluster::{TestCluster, applied};

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// What the cluster file has more: two networks, and a machine that needs them.
const MORE: &str = r#"
[network.lab]
switches = ["sw1"]
vlan = 20

[network.island]
over = "core"
vlan = 30

[machine.web1]
memory = "128MiB"
disks = [{ size = "1GiB", volume = "gv0" }]
networks = ["lan", "lab", "island"]
"#;

/// A port of a bridge that stands for a machine's card: nodes can ping each other through it.
fn plug(cluster: &TestCluster, bridge: &str, tag: u16) {
    for (node, number) in NODES.iter().zip(1..) {
        let port = format!(
            "ovs-vsctl add-port {bridge} probe tag={tag} -- set interface probe type=internal && \
             ip address add 198.51.100.{number}/24 dev probe && ip link set probe up"
        );
        cluster.on(node, &port);
    }
}

#[test]
fn hypervisors_know_each_other_and_have_the_networks() {
    let cluster = applied();
    cluster.home.edit("[volume.gv0]\n", &format!("{}\n[volume.gv0]\n", MORE.trim_start()));
    cluster.home.applies();
    for node in NODES {
        let listed = cluster.on(node, "virsh --quiet net-list --all | awk '{print $1, $2, $3}' | grep -v ^default");
        assert_eq!(listed, "island active yes\nlab active yes\nlan active yes", "{node}");
        // What the file says of the bridge and the tag is what libvirt has.
        cluster.on(node, "virsh net-dumpxml island | grep brcore && virsh net-dumpxml island | grep 'tag id=.30'");
    }
    // By their certificates, and by nothing else.
    cluster.on("node1", "virsh -c qemu+tls://node2.core/system list");
    cluster.on("node2", "virsh -c qemu+tls://node3.core/system list");
    assert!(cluster.hangs_up("node1", "node2.core:16514"));
    assert!(
        !cluster
            .works("node1", "mkdir /run/nobody && virsh -c 'qemu+tls://node2.core/system?pkipath=/run/nobody' list")
    );
    // An admin uses it without a password: so does virt-manager, over ssh.
    cluster.on("node1", "su - me -c 'virsh -c qemu:///system net-list'");
    // A network over the core outlives any switch.
    plug(&cluster, "brcore", 30);
    for switch in 1..=3 {
        cluster.ask(Request::Switch { switch, condition: Condition::Off });
        cluster.until("node1", &format!("! ping -c 1 -W 1 10.10.{switch}.2"));
        for other in [2, 3] {
            cluster.until("node1", &format!("ping -c 1 -W 1 198.51.100.{other}"));
        }
        cluster.ask(Request::Switch { switch, condition: Condition::On });
        cluster.until("node1", &format!("ping -c 1 -W 1 10.10.{switch}.2"));
    }
    for node in NODES {
        cluster.on(node, "ovs-vsctl del-port brcore probe");
    }
    cluster.home.settled();
    // What people do behind its back.
    cluster.on("node1", "virsh net-destroy lan && virsh net-undefine island 2> /dev/null; virsh net-destroy island");
    cluster.on("node2", "systemctl stop libvirtd && sed -i s/49215/49300/ /etc/libvirt/qemu.conf");
    cluster.on("node3", "virsh net-autostart --disable lab && systemctl unmask libvirtd.socket");
    let (mut steps, code) = cluster.home.planned();
    steps.sort();
    let expected = [
        "machines/node1/network.island",
        "machines/node1/network.lan",
        "machines/node2/hypervisor",
        "machines/node3/hypervisor",
        "machines/node3/network.lab",
    ];
    assert_eq!((steps.iter().map(String::as_str).collect::<Vec<_>>(), code), (expected.to_vec(), 2));
    cluster.home.applies();
    // And after a boot.
    cluster.power_cycle("node2");
    crate::cluster::comes_up(&cluster, &["node2"]);
    cluster.within(400, "node2", "test $(virsh --quiet net-list | grep -c active) = 3");
    cluster.on("node1", "virsh -c qemu+tls://node2.core/system list");
}
