//! The layer `machines`: every node has a hypervisor that the others may move machines to, and networks for them by the same
//! names.

use stead_lab::image::Release;
use stead_lab::protocol::{PowerAction, Request};
use stead_lab::state::Plugged;
use stead_lab::switch::Condition;

use crate::cluster::{TestCluster, applied_with, assert_code, comes_up, out};
use crate::support::eventually;

pub(crate) const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// What the cluster file has more: two networks, and a machine that needs them.
pub(crate) const MORE: &str = r#"[network.lab]
switches = ["sw1"]
vlan = 20

[network.island]
over = "core"
vlan = 30

[machine.web1]
memory = "128MiB"
disks = [{ size = "1GiB", volume = "gv0" }]
networks = ["lan", "lab", "island"]
stop_timeout = "10s"

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
pub(crate) fn is_well(cluster: &TestCluster) {
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
pub(crate) fn are(many: u8) -> String {
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

    // Its watchdog is seen to fire by a command too.
    let before = cluster.boot_id("node2");
    cluster.on("node2", "crm_attribute --node node2 --name stead-watchdog --lifetime forever --delete");
    let status = cluster.home.stead(&["status"]);
    assert!(out(&status).contains("node2's watchdog was never seen to fire"), "{}", out(&status));
    assert_code(&cluster.home.stead(&["node", "test-watchdog", "node2", "--yes"]), 0);
    assert_ne!(cluster.boot_id("node2"), before);
    is_well(&cluster);

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

/// A machine from the file to a shell in it, from nothing but Debian's packages.
pub(crate) const DEBIAN: &str = r##"[image.debian]
build = "trixie"

[machine.debian]
image = "debian"
memory = "512MiB"
disks = [{ size = "4GiB", volume = "gv0" }]
networks = [{ network = "lan", address = "192.168.0.70" }]
cloud_init = { user_data = "#cloud-config\nwrite_files: [{ path: /etc/motd, content: told }]\n" }

"##;

#[test]
fn a_debian_that_a_node_built_lets_its_admins_in() {
    let cluster = with_machines(Release::Trixie);
    cluster.home.edit("[machine.web1]\n", &format!("{DEBIAN}[machine.web1]\n"));
    cluster.home.applies();
    let key = std::fs::read_to_string(cluster.home.dir.join("id_ed25519")).expect("a key");
    cluster.on("node2", &format!("umask 077; cat > /run/key << 'END'\n{key}END\n"));
    let ssh = "ssh -i /run/key -o StrictHostKeyChecking=accept-new -o UserKnownHostsFile=/run/hosts me@192.168.0.70";
    cluster.within(1_800, "node2", &format!("{ssh} true"));
    assert_eq!(cluster.on("node2", &format!("{ssh} 'hostname; cat /etc/motd; sudo id -u'")), "debian\ntold\n0");
    // It has all of its disk, and answers by its agent.
    cluster.on("node2", &format!("{ssh} 'test $(lsblk -b -n -d -o SIZE /dev/vda) = 4294967296'"));
    cluster.within(400, "node2", &format!("{ssh} 'test $(df --output=size / | tail -n 1) -gt 3500000'"));
    is_well(&cluster);
    // While it runs, it moves, and gets more room.
    let on = || NODES.into_iter().find(|node| cluster.works(node, "pgrep -f guest=debian,")).expect("a node");
    let to = NODES.into_iter().find(|node| *node != on()).expect("another node");
    assert_code(&cluster.home.stead(&["machine", "migrate", "debian", to, "--yes"]), 0);
    let grow = ["machine", "resize", "debian", "--disk", "root=5GiB", "--yes"];
    assert_code(&cluster.home.stead(&grow), 0);
    cluster.within(400, "node2", &format!("{ssh} 'test $(lsblk -b -n -d -o SIZE /dev/vda) = 5368709120'"));
    // Its name has to be typed.
    assert_ne!(cluster.home.stead(&["machine", "remove", "debian", "--yes"]).status.code(), Some(0));
    cluster.on("node2", &format!("{ssh} true"));
    is_well(&cluster);
}
