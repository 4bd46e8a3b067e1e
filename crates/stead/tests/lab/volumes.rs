//! The layer `volumes`: what is written and acknowledged is there afterwards, whatever happened meanwhile; and what people
//! do to volumes behind stead's back is righted.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use stead_lab::protocol::{DiskAction, PowerAction};

use crate::cluster::{TestCluster, applied, assert_code, out};
use crate::support::eventually;

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// What has a node of a lab's image start this layer's daemon as any Debian would; but for geo-replication, whose Python the
/// daemon asks 15 things whenever it starts: 2 seconds on a PC, minutes on a translated node.
pub(crate) const PREPARE: &str = "systemctl unmask glusterd && \
    dpkg-divert --local --rename --divert /usr/lib/x86_64-linux-gnu/glusterfs/gsyncd.unused \
                --add /usr/lib/x86_64-linux-gnu/glusterfs/gsyncd";

/// That a node serves its brick of gv0, and has gv0 mounted; for a shell there.
const SERVES: &str = "pgrep -x glusterfsd && timeout 60 stat /srv/gv0/vm";

/// That no file of gv0 has a copy that is behind, by what a node's brick knows.
const EQUAL: &str = "test $(ls /srv/bricks/stead_*/brick/.glusterfs/indices/xattrop | grep -vc xattrop-) = 0";

/// Where a node's brick of gv0 is.
const IN_BRICK: &str = "/srv/bricks/stead_*/brick";

/// Waits until nodes serve, and their copies are equal.
fn heals(cluster: &TestCluster, nodes: &[&str]) {
    for node in nodes {
        cluster.within(500, node, SERVES);
    }
    for node in nodes {
        cluster.within(500, node, EQUAL);
    }
}

/// Writes lines to a file of gv0 through a node's mount, each synced before it is told of.
struct Writer {
    node: &'static str,
    child: Child,
    lines: BufReader<std::process::ChildStdout>,
    told: String,
}

impl Writer {
    fn start(cluster: &TestCluster, node: &'static str) -> Self {
        let script = format!(
            "f=/srv/gv0/vm/{node}; while l=$(head -c 18 /dev/urandom | base64) && echo $l >> $f && sync $f && echo $l; do :; done"
        );
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(cluster.path().join("ssh_config")).args([node, &script]);
        let mut child =
            ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("ssh starts");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        Self { node, child, lines, told: String::new() }
    }

    /// Waits until some more lines were written.
    fn goes_on(&mut self) {
        for _ in 0..20 {
            let read = self.lines.read_line(&mut self.told).expect("a line");
            assert!(read > 0, "{}'s writer has ended after {} lines", self.node, self.told.lines().count());
        }
    }

    /// Ends it; all that it told of.
    fn ends(mut self) -> (&'static str, String) {
        // It may have ended by itself.
        let _ = self.child.kill();
        while self.lines.read_line(&mut self.told).expect("a line") > 0 {}
        self.child.wait().expect("an end");
        (self.node, self.told)
    }
}

/// What was told of is there, on each of these nodes.
fn holds(cluster: &TestCluster, told: &[(&str, String)], nodes: &[&str]) {
    for (writer, told) in told {
        assert!(!told.is_empty(), "{writer} wrote something");
        for node in nodes {
            let there = cluster.on(node, &format!("cat /srv/gv0/vm/{writer}"));
            assert!(there.starts_with(told.trim()), "{node} has all that {writer} was told is written");
        }
    }
}

fn name_of(cluster: &TestCluster, node: &str, bay: &str) -> String {
    cluster.device(node, bay).rsplit('/').next().expect("a name").to_owned()
}

#[test]
fn what_people_do_to_volumes_is_righted() {
    let cluster = applied();
    cluster.home.settled();
    // Owned by those who run machines, with folders for them; nothing comes to lie where nothing is mounted.
    assert_eq!(cluster.on("node2", "stat -c '%u %a' /srv/gv0/vm /srv/gv0/iso"), "64055 711\n64055 711");
    assert!(!cluster.works("node1", "systemctl stop stead-volume-gv0 && touch /srv/gv0/file"));
    cluster.on("node1", "systemctl start stead-volume-gv0");
    cluster.on("node1", "echo precious > /srv/gv0/vm/file && sync /srv/gv0/vm/file");
    assert_eq!(cluster.on("node3", "cat /srv/gv0/vm/file"), "precious");
    // Without a certificate nobody is talked to.
    assert!(!cluster.works("node1", "openssl s_client -connect node2.core:24007 < /dev/null"));
    let brick =
        |node: &str| cluster.on(node, "echo /srv/bricks/stead_*").rsplit('/').next().expect("a name").to_owned();
    // A brick that ends is started again, and the others see it, though its daemon was restarted meanwhile.
    cluster.on("node3", "systemctl restart glusterd && pkill -x glusterfsd");
    cluster.on("node1", "echo more >> /srv/gv0/vm/file && sync /srv/gv0/vm/file");
    heals(&cluster, &NODES);
    assert_eq!(cluster.on("node3", &format!("cat {IN_BRICK}/vm/file | wc -l")), "2");
    // An option, the daemon of a third, a line of fstab, a unit, and an option that nobody asked for.
    cluster.on("node1", "gluster --mode=script volume set gv0 network.ping-timeout 42 user.note mine");
    cluster.on("node3", "systemctl stop glusterd && sed -i 's/noatime,inode64/noatime/' /etc/fstab");
    cluster.on("node2", "sed -i s/RestartSec=10/RestartSec=11/ /etc/systemd/system/stead-volume-gv0.service");
    let (mut steps, code) = cluster.home.planned();
    steps.sort();
    let expected = [
        "volumes/node2/mount.gv0".to_owned(),
        "volumes/node2/volume.gv0".to_owned(),
        format!("volumes/node3/brick.{}", brick("node3")),
        "volumes/node3/daemon".to_owned(),
    ];
    assert_eq!((steps.as_slice(), code), (expected.as_slice(), 2));
    let plan = cluster.home.stead(&["plan"]);
    assert!(out(&plan).contains("user.note = mine"), "{}", out(&plan));
    cluster.home.applies();
    assert_eq!(cluster.on("node1", "gluster volume get gv0 network.ping-timeout | grep -c ' 42'; true"), "0");
    heals(&cluster, &NODES);
    let status = cluster.home.stead(&["status"]);
    assert_code(&status, 0);
    assert!(out(&status).contains("gv0"), "{}", out(&status));
}

#[test]
fn three_volumes_come_of_three_disks_a_node() {
    let cluster = applied();
    for node in NODES {
        let [first, second, third] = ["disk1", "disk2", "disk3"].map(|bay| name_of(&cluster, node, bay));
        let line = format!("disks = {{ gv0 = [\"{first}\"] }}");
        let more = format!("disks = {{ gv0 = [\"{first}\"], gv1 = [\"{second}\"], bmv0 = [\"{third}\"] }}");
        cluster.home.edit(&line, &more);
    }
    let last = "[volume.gv0]\nkind = \"replicated\"\n";
    let more = "\n[volume.gv1]\nkind = \"replicated\"\n\n[volume.bmv0]\nkind = \"local\"\n";
    cluster.home.edit(last, &format!("{last}{more}"));
    cluster.home.applies();
    cluster.home.settled();
    cluster.on("node2", "echo precious > /srv/gv1/vm/file && echo mine > /srv/bmv0/file && sync");
    assert_eq!(cluster.on("node3", "cat /srv/gv1/vm/file; ls /srv/bmv0"), "precious");
    // One out of the file is told of, and goes on.
    cluster.home.edit("[volume.bmv0]", "[volume.other]");
    let refused = cluster.home.stead(&["plan"]);
    assert_ne!(refused.status.code(), Some(0));
    assert_eq!(cluster.on("node2", "cat /srv/bmv0/file"), "mine");
}

#[test]
fn what_was_acknowledged_survives_power_cuts_of_one_node_and_of_all() {
    let cluster = applied();
    let mut writers = NODES.map(|node| Writer::start(&cluster, node));
    writers.iter_mut().for_each(Writer::goes_on);
    // One goes; the others go on without it, and it gets what it missed.
    cluster.power_of(&["node3"], PowerAction::Off);
    let [mut one, mut two, three] = writers;
    let three = three.ends();
    one.goes_on();
    two.goes_on();
    let told = [one.ends(), two.ends(), three];
    holds(&cluster, &told, &["node1", "node2"]);
    cluster.power_of(&["node3"], PowerAction::On);
    cluster.up(&["node3"]);
    heals(&cluster, &NODES);
    holds(&cluster, &told, &NODES);
    // All at once, and one of them stays off.
    cluster.on("node1", "rm /srv/gv0/vm/node*");
    let mut writers = NODES.map(|node| Writer::start(&cluster, node));
    writers.iter_mut().for_each(Writer::goes_on);
    cluster.power_of(&NODES, PowerAction::Off);
    let told = writers.map(Writer::ends);
    cluster.power_of(&["node1", "node2"], PowerAction::On);
    cluster.up(&["node1", "node2"]);
    for node in ["node1", "node2"] {
        cluster.within(500, node, SERVES);
    }
    holds(&cluster, &told, &["node1", "node2"]);
    cluster.power_of(&["node3"], PowerAction::On);
    cluster.up(&["node3"]);
    heals(&cluster, &NODES);
    holds(&cluster, &told, &NODES);
    eventually("nothing is to be done", || cluster.home.planned() == (Vec::new(), 0));
}

#[test]
fn a_pulled_or_failing_disk_is_told_and_comes_back_with_its_brick() {
    let cluster = applied();
    for action in [DiskAction::Pull, DiskAction::Fail] {
        let mut writer = Writer::start(&cluster, "node1");
        writer.goes_on();
        cluster.disk("node2", "disk1", action);
        writer.goes_on();
        cluster.within(200, "node2", "! pgrep -x glusterfsd");
        let status = cluster.home.stead(&["status"]);
        assert_code(&status, 2);
        assert!(out(&status).contains("node2"), "{}", out(&status));
        writer.goes_on();
        cluster.disk("node2", "disk1", DiskAction::Insert);
        heals(&cluster, &NODES);
        holds(&cluster, &[writer.ends()], &NODES);
        cluster.on("node1", "rm /srv/gv0/vm/node1");
        eventually("nothing is to be done", || cluster.home.planned() == (Vec::new(), 0));
    }
}

/// The script of docs/leaving.md.
fn together() -> String {
    let doc = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/leaving.md");
    let text = fs::read_to_string(doc).expect("docs/leaving.md");
    let script = text.split("```sh\n").find(|part| part.starts_with("#!/bin/sh")).expect("a script");
    script.split("```").next().expect("its end").to_owned()
}

#[test]
fn files_are_put_together_from_one_nodes_disks_without_stead_and_gluster() {
    let cluster = applied();
    // Three pieces, a hole among them, and a small one.
    let fill = "cd /srv/gv0/vm && head -c 70M /dev/urandom > big && truncate -s 140M big && \
                head -c 3M /dev/urandom >> big && head -c 1000 /dev/urandom > small && sync big small && sha256sum big small";
    let sums = cluster.on("node1", fill);
    heals(&cluster, &NODES);
    cluster.power_of(&["node1", "node3"], PowerAction::Off);
    // What runs on the node that is left is stopped; its disk is opened by hand.
    cluster.on("node2", "systemctl stop stead-volume-gv0 glusterd; pkill gluster; true");
    let script = together();
    cluster.on("node2", &format!("cat > /run/together <<'END'\n{script}END"));
    cluster.on("node2", "command -v getfattr || apt-get install -y attr");
    cluster.on(
        "node2",
        "mkdir -p /run/out && cd /run/out && for f in big small; do sh /run/together vm/$f $f /srv/bricks/stead_*/brick; done",
    );
    assert_eq!(cluster.on("node2", "cd /run/out && sha256sum big small"), sums);
}
