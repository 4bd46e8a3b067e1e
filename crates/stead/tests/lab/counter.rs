//! A machine that counts, whatever happens to the nodes that it runs on.
//!
//! It is a boot sector (`counter.S`), which starts in a second where Debian's kernel takes minutes: lab nodes are translated,
//! and translate for their machines once more.

use std::fs;
use std::process::Command;

use stead_lab::image::Release;
use stead_lab::protocol::PowerAction;
use stead_lab::state::Plugged;

use crate::cluster::{TestCluster, applied_with, assert_code, comes_up};
use crate::machines::{MORE, NODES, are, is_well};
use crate::support::within;

/// The machine, from an image on a volume.
const COUNTER: &str = r#"[image.counter]
path = "gv0:iso/counter.raw"

[machine.counter]
image = "counter"
memory = "32MiB"
disks = [{ size = "1MiB", volume = "gv0", format = "raw" }]
networks = ["lan"]
stop_timeout = "10s"

"#;

const SOURCE: &str = include_str!("counter.S");

/// How long QEMU may take to start on a translated node, and pacemaker to see that it must, in seconds: two minutes and more.
const STARTS: u64 = 900;

/// That it is in a node's memory, for a shell there.
const IS_HERE: &str = "pgrep -f 'guest=counter,'";

const DEFINED: &str = "/etc/stead/machines/counter.xml";

/// How far it has counted, and how often it was started.
#[derive(Clone, Copy, Debug, PartialEq)]
struct Counted {
    numbers: u64,
    starts: u64,
}

struct Counter {
    cluster: TestCluster,
}

impl Counter {
    /// It counts on a cluster.
    fn new(release: Release) -> Self {
        let cluster = applied_with(MORE, release);
        let image = assembled(&cluster);
        cluster.on(
            "node1",
            &format!("echo {image} | base64 -d > /srv/gv0/iso/counter.raw && truncate -s 1M /srv/gv0/iso/counter.raw"),
        );
        cluster.home.edit("[machine.web1]\n", &format!("{COUNTER}[machine.web1]\n"));
        cluster.home.applies();
        let counter = Self { cluster };
        counter.counts("node1");
        assert_eq!(counter.on("node1").starts, 1);
        counter
    }

    /// As it is on its disk, by a node.
    fn on(&self, node: &str) -> Counted {
        let read = |sector: u8| {
            let script = format!(
                "dd if=/srv/gv0/vm/counter/root.raw iflag=direct bs=512 skip={sector} count=1 status=none | od -A n -t u4 -N 8"
            );
            let words = self.cluster.on(node, &script);
            let numbers: Vec<u64> = words.split_whitespace().map(|word| word.parse().expect("a number")).collect();
            Counted { numbers: numbers[0], starts: numbers[1] }
        };
        assert_eq!(read(2), Counted { numbers: 0, starts: 0 }, "somebody else wrote its disk");
        read(1)
    }

    /// Waits until it has counted on, and has lost nothing of what it had; by a node.
    fn counts(&self, node: &str) {
        let before = self.on(node);
        within(STARTS, "it counts on", || self.on(node).numbers > before.numbers + 2);
    }

    /// The nodes that have it in their memory.
    fn whereabouts(&self, among: &[&'static str]) -> Vec<&'static str> {
        among.iter().filter(|node| self.cluster.works(node, IS_HERE)).copied().collect()
    }

    /// The one node that it is on.
    fn place(&self) -> &'static str {
        let on = self.whereabouts(&NODES);
        assert_eq!(on.len(), 1, "{on:?}");
        on[0]
    }

    fn does(&self, words: &[&str]) {
        let words = [words, &["--yes"]].concat();
        assert_code(&self.cluster.home.stead(&words), 0);
    }

    /// It comes up on one of these nodes, where it counts on from where it was.
    fn comes_back(&self, before: Counted, among: &[&'static str]) -> &'static str {
        within(STARTS, "it runs on another node", || self.whereabouts(among).len() == 1);
        let on = self.whereabouts(among)[0];
        within(STARTS, "it has started", || self.on(on).starts == before.starts + 1);
        let now = self.on(on);
        assert!(now.numbers >= before.numbers, "{now:?} after {before:?}");
        self.counts(on);
        on
    }
}

/// The boot sector and its two sectors, in base64.
fn assembled(cluster: &TestCluster) -> String {
    let at = |name: &str| cluster.home.dir.join(name);
    fs::write(at("counter.S"), SOURCE).expect("a source");
    let run = |program: &str, words: &[&str]| {
        let status = Command::new(program).args(words).current_dir(&cluster.home.dir).status();
        assert!(status.expect("it starts").success(), "{program}");
    };
    run("gcc", &["-m32", "-c", "-o", "counter.o", "counter.S"]);
    run(
        "ld",
        &[
            "-m",
            "elf_i386",
            "-Ttext",
            "0x7c00",
            "--oformat",
            "binary",
            "-e",
            "_start",
            "-o",
            "counter.raw",
            "counter.o",
        ],
    );
    let output = Command::new("base64").args(["-w", "0"]).arg(at("counter.raw")).output().expect("base64");
    String::from_utf8(output.stdout).expect("base64")
}

fn others(than: &str) -> Vec<&'static str> {
    NODES.into_iter().filter(|node| *node != than).collect()
}

fn runs_once_whatever_dies(release: Release) {
    let counter = Counter::new(release);
    let cluster = &counter.cluster;
    is_well(cluster);
    // What people do. It is off until somebody starts it, and the file says nothing of it.
    counter.does(&["machine", "stop", "counter"]);
    assert!(counter.whereabouts(&NODES).is_empty());
    is_well(cluster);
    counter.does(&["machine", "start", "counter"]);
    assert_eq!(counter.on("node1").starts, 2);
    // It goes round all nodes while it counts.
    for _ in NODES {
        let (before, from) = (counter.on("node1"), counter.place());
        let next = NODES.iter().cycle().skip_while(|node| **node != from).nth(1);
        let to = *next.expect("a ring has no end");
        counter.does(&["machine", "migrate", "counter", to]);
        assert_eq!(counter.place(), to);
        counter.counts(to);
        assert_eq!(counter.on(to).starts, before.starts, "it was moved, not started anew");
    }
    // What people do behind stead's back. Nothing of it restarts it.
    let (before, on) = (counter.on("node1"), counter.place());
    cluster.on(others(on)[0], &format!("rm {DEFINED}"));
    cluster.on(on, "crm_resource --resource counter --meta --set-parameter priority --parameter-value 5");
    let (steps, code) = cluster.home.planned();
    let kinds: Vec<&str> = steps.iter().map(|step| step.rsplit('/').next().unwrap_or_default()).collect();
    assert_eq!((kinds, code), (vec!["definition.counter", "machine.counter"], 2), "{steps:?}");
    cluster.home.applies();
    assert_eq!((counter.place(), counter.on(on).starts), (on, before.starts));
    // By hand it doesn't start a second time: its disk is locked. Not even after the storage was restarted everywhere.
    let second = format!("virsh create {DEFINED}");
    assert!(!cluster.works(others(on)[0], &second));
    // Its node dies.
    let before = counter.on(on);
    cluster.power_of(&[on], PowerAction::Off);
    let now_on = counter.comes_back(before, &others(on));
    cluster.power_of(&[on], PowerAction::On);
    comes_up(cluster, &[on]);
    cluster.within(600, on, &are(3));
    assert_eq!(counter.place(), now_on, "it stays where it was started");
    is_well(cluster);
    // Its node loses the others, and runs on: its watchdog resets it.
    let (before, boot) = (counter.on(now_on), cluster.boot_id(now_on));
    (1..=3).for_each(|switch| cluster.cable(now_on, switch, Plugged::Out));
    let then_on = counter.comes_back(before, &others(now_on));
    (1..=3).for_each(|switch| cluster.cable(now_on, switch, Plugged::In));
    comes_up(cluster, &[now_on]);
    assert_ne!(cluster.boot_id(now_on), boot);
    cluster.within(600, now_on, &are(3));
    assert_eq!(counter.place(), then_on);
    is_well(cluster);
}

#[test]
fn it_runs_once_whatever_dies_on_debian_13() {
    runs_once_whatever_dies(Release::Trixie);
}

#[test]
fn it_runs_once_whatever_dies_on_debian_12() {
    runs_once_whatever_dies(Release::Bookworm);
}

/// Nodes go one after the other, and the machine goes on.
#[test]
fn it_leaves_nodes_that_are_drained() {
    let counter = Counter::new(Release::Trixie);
    let cluster = &counter.cluster;
    let before = counter.on("node1");
    for node in NODES {
        counter.does(&["node", "drain", node]);
        assert!(counter.whereabouts(&[node]).is_empty(), "{node} is drained");
        let refused = cluster.home.stead(&["machine", "migrate", "counter", node, "--yes"]);
        assert_code(&refused, 2);
        let status = crate::cluster::out(&cluster.home.stead(&["status"]));
        assert!(status.contains(&format!("{node} is drained")), "{status}");
        counter.does(&["node", "undrain", node]);
        counter.counts(node);
    }
    assert_eq!(counter.on("node1").starts, before.starts, "it was moved, not started anew");
    is_well(cluster);
    // All of them at once lose their power.
    let before = counter.on("node1");
    cluster.power_of(&NODES, PowerAction::Off);
    cluster.power_of(&NODES, PowerAction::On);
    comes_up(cluster, &NODES);
    cluster.within(600, "node1", "mountpoint -q /srv/gv0");
    counter.comes_back(before, &NODES);
    is_well(cluster);
}
