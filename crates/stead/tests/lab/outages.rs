//! What volumes endure: what is written and acknowledged is there afterwards, whatever went meanwhile.

use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};

use stead_lab::protocol::{DiskAction, PowerAction, Request};
use stead_lab::state::Plugged;
use stead_lab::switch::Condition;

use crate::cluster::{TestCluster, applied, assert_code, comes_up, out};
use crate::support::eventually;
use crate::thief::tried;

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// That a node serves its brick of gv0, and has gv0 mounted; for a shell there.
const SERVES: &str = "pgrep -x glusterfsd && timeout 60 stat /srv/gv0/vm";

/// That no file of gv0 has a copy that is behind, by what a node's brick knows.
const EQUAL: &str = "test -d /srv/bricks/stead_*/brick/.glusterfs/indices/xattrop && test $(ls /srv/bricks/stead_*/brick/.glusterfs/indices/xattrop | grep -vc xattrop-) = 0";

/// Waits until nodes serve, and their copies are equal.
pub(crate) fn heals(cluster: &TestCluster, nodes: &[&str]) {
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
        // Written and synced through one descriptor: what couldn't be written is told to whom it was written by, and to
        // nobody else.
        let script = format!(
            "f=/srv/gv0/vm/{node}; while l=$(head -c 18 /dev/urandom | base64) && \
             echo $l | dd of=$f oflag=append conv=notrunc,fsync status=none && echo $l; do :; done"
        );
        let mut ssh = Command::new("ssh");
        ssh.arg("-F").arg(cluster.path().join("ssh_config")).args([node, &script]);
        let mut child =
            ssh.stdin(Stdio::null()).stdout(Stdio::piped()).stderr(Stdio::null()).spawn().expect("ssh starts");
        let lines = BufReader::new(child.stdout.take().expect("its output"));
        let mut writer = Self { node, child, lines, told: String::new() };
        writer.goes_on();
        writer
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

/// All nodes serve, their copies are equal, and each has what was told of.
fn is_whole(cluster: &TestCluster, told: &[(&str, String)]) {
    heals(cluster, &NODES);
    holds(cluster, told, &NODES);
}

fn has_nothing_to_do(cluster: &TestCluster) {
    eventually("nothing is to be done", || cluster.home.planned() == (Vec::new(), 0));
}

#[test]
fn what_was_acknowledged_survives_power_cuts_of_one_node_and_of_all() {
    let cluster = applied();
    let writers = NODES.map(|node| Writer::start(&cluster, node));
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
    is_whole(&cluster, &told);
    // All at once, and one of them stays off.
    cluster.on("node1", "rm /srv/gv0/vm/node*");
    let writers = NODES.map(|node| Writer::start(&cluster, node));
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
    is_whole(&cluster, &told);
    has_nothing_to_do(&cluster);
}

#[test]
fn a_pulled_or_failing_disk_is_told_and_comes_back_with_its_brick() {
    let cluster = applied();
    for action in [DiskAction::Pull, DiskAction::Fail] {
        let mut writer = Writer::start(&cluster, "node1");
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
        has_nothing_to_do(&cluster);
    }
}

#[test]
fn switches_and_cables_may_go_while_files_are_written() {
    let cluster = applied();
    let mut writers = NODES.map(|node| Writer::start(&cluster, node));
    for switch in 1..=3 {
        cluster.ask(Request::Switch { switch, condition: Condition::Off });
        cluster.until("node1", &format!("! ping -c 1 -W 1 10.10.{switch}.2"));
        writers.iter_mut().for_each(Writer::goes_on);
        cluster.ask(Request::Switch { switch, condition: Condition::On });
        cluster.until("node1", &format!("ping -c 1 -W 1 10.10.{switch}.2"));
        cluster.cable("node2", switch, Plugged::Out);
        cluster.until("node2", &format!("test $(cat /sys/class/net/enp0s{switch}/carrier) = 0"));
        writers.iter_mut().for_each(Writer::goes_on);
        cluster.cable("node2", switch, Plugged::In);
        cluster.until("node1", &format!("ping -c 1 -W 1 10.10.{switch}.2"));
    }
    let told = writers.map(Writer::ends);
    is_whole(&cluster, &told);
}

#[test]
fn a_node_whose_disks_open_late_gets_what_it_missed() {
    let cluster = applied();
    for node in ["node1", "node2"] {
        cluster.on(node, "systemctl stop tangd.socket");
    }
    cluster.power_cycle("node3");
    tried(&cluster, "node3");
    assert!(!cluster.works("node3", "lsblk -rno NAME | grep -q -- -brick"), "nobody opens it");
    let mut writer = Writer::start(&cluster, "node1");
    for node in ["node1", "node2"] {
        cluster.on(node, "systemctl start tangd.socket");
    }
    comes_up(&cluster, &["node3"]);
    writer.goes_on();
    let told = [writer.ends()];
    is_whole(&cluster, &told);
    assert!(cluster.on("node3", "cat /srv/bricks/stead_*/brick/vm/node1").contains(told[0].1.trim()), "its own copy");
}

#[test]
fn a_full_volume_is_told_and_goes_on_once_there_is_room() {
    let cluster = applied();
    let writer = Writer::start(&cluster, "node1");
    // A file that takes all that is left of it, down to a few KiB.
    let fill = "cd /srv/gv0/vm; size=1073741824; while [ $size -ge 4096 ]; do \
                fallocate -l $(($(stat -c %s big 2> /dev/null || echo 0) + size)) big || size=$((size / 2)); done";
    cluster.on("node1", fill);
    // gluster keeps a hundredth free, and looks every few seconds whether that is still so.
    cluster.within(200, "node1", "! head -c 10M /dev/zero >> /srv/gv0/vm/more");
    let status = cluster.home.stead(&["status"]);
    assert!(out(&status).contains("volume gv0 is filled to"), "{}", out(&status));
    assert_ne!(status.status.code(), Some(0));
    cluster.on("node1", "rm -f /srv/gv0/vm/big /srv/gv0/vm/more");
    // It may have ended where nothing fitted in any more: what it was told is written is there.
    let told = [writer.ends()];
    holds(&cluster, &told, &NODES);
    cluster.on("node1", "rm /srv/gv0/vm/node1");
    let writer = Writer::start(&cluster, "node1");
    let told = [writer.ends()];
    is_whole(&cluster, &told);
}

#[test]
fn daemons_and_packages_are_restarted_node_by_node_while_files_are_written() {
    let cluster = applied();
    let mut writers = NODES.map(|node| Writer::start(&cluster, node));
    for node in NODES {
        cluster.on(node, "systemctl restart glusterd");
        heals(&cluster, &NODES);
        writers.iter_mut().for_each(Writer::goes_on);
    }
    // As an upgrade does it, of which only this node has heard.
    for node in NODES {
        cluster.on(node, "DEBIAN_FRONTEND=noninteractive apt-get install --reinstall -y --allow-change-held-packages glusterfs-server glusterfs-common");
        heals(&cluster, &NODES);
        writers.iter_mut().for_each(Writer::goes_on);
    }
    let told = writers.map(Writer::ends);
    is_whole(&cluster, &told);
    has_nothing_to_do(&cluster);
}

#[test]
fn a_full_thin_pool_is_told_and_goes_on_once_there_is_room() {
    let cluster = applied();
    let mut writer = Writer::start(&cluster, "node1");
    // Something else takes all of the pool, as snapshots would that nobody takes away.
    let fill = "vg=$(lvs --noheadings -o vg_name -S lv_name=pool | tr -d \" \"); \
                lvcreate -qq -y -V 4g -T $vg/pool -n filler && ! dd if=/dev/zero of=/dev/$vg/filler bs=1M count=4000 oflag=direct 2> /dev/null";
    cluster.on("node2", fill);
    writer.goes_on();
    let status = cluster.home.stead(&["status"]);
    assert_code(&status, 2);
    assert!(out(&status).contains("✗ the thin pool on node2's disk"), "{}", out(&status));
    cluster.on("node2", "lvremove -qqy $(lvs --noheadings -o vg_name,lv_name --separator / -S lv_name=filler)");
    writer.goes_on();
    let told = [writer.ends()];
    is_whole(&cluster, &told);
    has_nothing_to_do(&cluster);
}

#[test]
fn a_node_that_has_lost_all_its_daemon_knew_gets_it_from_the_others() {
    let cluster = applied();
    let mut writer = Writer::start(&cluster, "node1");
    let id = cluster.on("node3", "grep UUID /var/lib/glusterd/glusterd.info");
    // As after a new OS disk: the brick is whole, and nobody knows what it is of.
    let stop = "systemctl stop stead-volume-gv0 'stead-brick-*' glusterd && ! pgrep -x glusterd; pkill gluster; \
                rm -rf /var/lib/glusterd/*; sync; ! pgrep -x glusterd";
    cluster.on("node3", stop);
    writer.goes_on();
    cluster.home.applies();
    assert_eq!(cluster.on("node3", "grep UUID /var/lib/glusterd/glusterd.info"), id, "it is who it was");
    let told = [writer.ends()];
    is_whole(&cluster, &told);
    has_nothing_to_do(&cluster);
}
