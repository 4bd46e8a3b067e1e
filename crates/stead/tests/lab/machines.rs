//! The layer `machines`: every node has a hypervisor that the others may move machines to, and networks for them by the same
//! names.

use stead_lab::image::Release;
use stead_lab::protocol::{PowerAction, Request};
use stead_lab::state::Plugged;
use stead_lab::switch::Condition;

use crate::cluster::{TestCluster, applied_with, comes_up, out};
use crate::support::eventually;

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// What the cluster file has more: two networks, and a machine that needs them.
const MORE: &str = r#"[network.lab]
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

fn with_machines(release: Release) -> TestCluster {
    applied_with(MORE, release)
}

/// All is as asked, and well.
fn is_well(cluster: &TestCluster) {
    cluster.home.settled();
    let mut said = String::new();
    eventually("all is well", || {
        let status = cluster.home.stead(&["status"]);
        said = out(&status);
        status.status.code() == Some(0)
    });
}

/// A machine without anything moves from node to node while it runs, and never in clear.
fn moves(cluster: &TestCluster) {
    let machine = "<domain type='qemu'><name>bare</name><memory unit='MiB'>32</memory><os><type machine='q35'>hvm</type></os>\
                   <devices><interface type='network'><source network='lab'/><model type='virtio'/></interface></devices>\
                   </domain>";
    cluster.on("node1", &format!("echo \"{machine}\" > /run/bare.xml && virsh create /run/bare.xml"));
    let to = |from: &str, to: &str, how: &str| {
        let move_it = format!("virsh migrate --live --p2p {how} bare qemu+tls://{to}.core/system tcp://{to}.core");
        cluster.works(from, &move_it)
    };
    assert!(!to("node1", "node2", ""), "in clear");
    for (from, next) in [("node1", "node2"), ("node2", "node3"), ("node3", "node1")] {
        assert!(to(from, next, "--tls"), "from {from} to {next}");
        let runs = |node: &str| cluster.works(node, "virsh --quiet list --name | grep -x bare");
        assert_eq!((runs(from), runs(next)), (false, true), "from {from} to {next}");
        cluster.on(next, "ovs-vsctl list-ports br1 | grep -q vnet");
    }
    cluster.on("node1", "virsh destroy bare");
}

#[test]
fn hypervisors_know_each_other_and_have_the_networks() {
    let cluster = with_machines(Release::Trixie);
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
    // QEMU reads its key, and nobody else: it opens no hypervisor.
    cluster.on("node1", "runuser -u libvirt-qemu -- grep -q PRIVATE /etc/pki/qemu/server-key.pem");
    assert!(!cluster.works("node1", "runuser -u nobody -- cat /etc/pki/qemu/server-key.pem"));
    let with_its_key = "cd /run/nobody && ln -s /etc/pki/qemu/node.pem clientcert.pem && \
                        ln -s /etc/pki/qemu/node.pem clientkey.pem && ln -s /etc/pki/CA/cacert.pem . && \
                        virsh -c 'qemu+tls://node2.core/system?pkipath=/run/nobody' list";
    assert!(!cluster.works("node1", with_its_key));
    moves(&cluster);
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
    comes_up(&cluster, &["node2"]);
    cluster.within(400, "node2", "test $(virsh --quiet net-list | grep -c active) = 3");
    cluster.on("node1", "virsh -c qemu+tls://node2.core/system list");
}

/// How many of its links to each other node a node's corosync says work, for a shell.
const LINKS: &str = "corosync-cfgtool -n | grep LINK: | grep -c connected";

/// Whether a node's pacemaker counts this many nodes as there, and itself among most.
fn are(many: u8) -> String {
    format!(
        "crm_mon --output-as=xml --one-shot > /run/crm.xml && grep -q with_quorum=.true /run/crm.xml && \
         test $(grep online=.true /run/crm.xml | grep -c standby=) = {many}"
    )
}

fn nodes_decide_together(release: Release) {
    let cluster = with_machines(release);
    is_well(&cluster);
    for node in NODES {
        cluster.within(400, node, &are(3));
        assert_eq!(cluster.on(node, LINKS), "6", "{node}: two others, over three switches");
        cluster.on(node, "ls -l /proc/$(pgrep -o -x sbd)/fd | grep watchdog");
    }
    // Nobody hears what they tell each other.
    assert!(cluster.works("node1", "grep -q 'crypto_cipher: aes256' /etc/corosync/corosync.conf"));
    assert!(!cluster.works("node1", "test -e /etc/corosync/authkey"));
    // A switch is no reason to part.
    cluster.ask(Request::Switch { switch: 2, condition: Condition::Off });
    cluster.within(400, "node1", &format!("test $({LINKS}) = 4"));
    cluster.on("node1", &are(3));
    cluster.ask(Request::Switch { switch: 2, condition: Condition::On });
    cluster.within(400, "node1", &format!("test $({LINKS}) = 6"));

    // What people do behind its back.
    cluster.on("node1", "crm_attribute --type crm_config --name stonith-enabled --update false");
    cluster.on("node2", "systemctl stop pacemaker");
    cluster.on("node3", "sed -i 's/token: .*/token: 9000/' /etc/corosync/corosync.conf && corosync-cfgtool -R");
    cluster.within(400, "node1", &are(2));
    let status = cluster.home.stead(&["status"]);
    assert!(out(&status).contains("node2's pacemaker doesn't run"), "{}", out(&status));
    let (mut steps, code) = cluster.home.planned();
    steps.sort();
    assert_eq!(
        (steps, code),
        (["machines/node1/fencing", "machines/node2/members", "machines/node3/members"].map(str::to_owned).to_vec(), 2)
    );
    cluster.home.applies();
    for node in NODES {
        cluster.within(400, node, &are(3));
        cluster.on(node, "test $(corosync-cmapctl -g totem.token | cut -d ' ' -f 4) = 30000");
    }
    is_well(&cluster);

    // One that has lost the others is reset by its watchdog, and comes back.
    let before = cluster.boot_id("node3");
    for switch in 1..=3 {
        cluster.cable("node3", switch, Plugged::Out);
    }
    cluster.within(400, "node1", &are(2));
    assert!(cluster.run("node3", "sleep 600").is_err(), "it was reset in the middle of that");
    for switch in 1..=3 {
        cluster.cable("node3", switch, Plugged::In);
    }
    cluster.up(&["node3"]);
    assert_ne!(cluster.boot_id("node3"), before);
    // As long as there are no machines, pacemaker fences nobody: what resets it is its own watchdog.
    cluster.within(600, "node1", &are(3));
    comes_up(&cluster, &["node3"]);

    // After a blackout they find each other by themselves; two are enough.
    cluster.power_of(&NODES, PowerAction::Off);
    cluster.power_of(&["node1", "node2"], PowerAction::On);
    comes_up(&cluster, &["node1", "node2"]);
    cluster.within(600, "node1", &are(2));
    cluster.power_of(&["node3"], PowerAction::On);
    comes_up(&cluster, &["node3"]);
    cluster.within(600, "node3", &are(3));
    is_well(&cluster);
}

#[test]
fn nodes_decide_together_on_debian_13() {
    nodes_decide_together(Release::Trixie);
}

#[test]
fn nodes_decide_together_on_debian_12() {
    nodes_decide_together(Release::Bookworm);
}
