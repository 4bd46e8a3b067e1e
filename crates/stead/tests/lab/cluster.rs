//! What the cases about clusters share: a lab of plain nodes, an admin's home beside it, and a picture of both after the
//! first apply.

use std::fs;
use std::io::{BufRead, BufReader, Read, Write as _};
use std::ops::Deref;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use stead_lab::image::{Kind, Release};
use stead_lab::protocol::{PowerAction, Request};
use stead_lab::state::LabConfig;
use stead_spec::Bytes;

use crate::support::{STEAD, TestLab, shared, small};
use crate::volumes::PREPARE;

/// The picture of the cluster after its first apply.
pub(crate) const APPLIED: &str = "applied";

/// What the cases about cuts take away, so that the next apply has a package to install: one without scripts of its own,
/// which take a translated node a minute.
pub(crate) const REMOVE: &str = "DEBIAN_FRONTEND=noninteractive apt-get remove -y ethtool";

/// Notes that every node's watchdog was seen to fire, which takes minutes to see: a case of its own does.
const WATCHDOGS_FIRE: &str = "for node in node1 node2 node3; do crm_attribute --node $node --name stead-watchdog \
    --lifetime forever --update \"$(cat /sys/class/watchdog/watchdog0/identity)\"; done";

/// What is said when the installation begins.
pub(crate) const INSTALLS: &str = "apt-get install";

/// That no agent runs on a node, for a shell there.
pub(crate) const AGENT_GONE: &str = r#"! pgrep -f "/agent/stead-[0-9a-f]* agent""#;

/// How many times slower than on PCs three nodes are that share two cores and are translated.
const PATIENCE: u8 = 10;

const BOTH: [Release; 2] = [Release::Trixie, Release::Bookworm];

/// A lab, and an admin who has a cluster file for it.
pub(crate) struct TestCluster {
    lab: TestLab,
    pub(crate) home: Home,
}

impl Deref for TestCluster {
    type Target = TestLab;

    fn deref(&self) -> &TestLab {
        &self.lab
    }
}

impl TestCluster {
    /// A bay's disk by its name in the cluster file.
    pub(crate) fn disk_name(&self, node: &str, bay: &str) -> String {
        self.device(node, bay).rsplit('/').next().expect("a name").to_owned()
    }

    /// Writes into the cluster file that a node's vault has the disks of these bays; the line about its disks.
    pub(crate) fn give_vault(&self, node: &str, bays: &[&str]) -> String {
        let line = format!("disks = {{ gv0 = [\"{}\"] }}", self.disk_name(node, "disk1"));
        let names: Vec<String> = bays.iter().map(|bay| format!("\"{}\"", self.disk_name(node, bay))).collect();
        let with = line.replace(" }", &format!(", vault = [{}] }}", names.join(", ")));
        self.home.edit(&line, &with);
        with
    }
}

/// What an admin has on a computer: the cluster file, the sealed secrets, a key, and past runs.
pub(crate) struct Home {
    pub(crate) dir: PathBuf,
    ssh_config: PathBuf,
}

/// Nodes of both releases with stead's layers on them, as they were after the first apply. Their images have the engines'
/// packages already: to install them takes translated nodes a quarter of an hour.
pub(crate) fn applied() -> TestCluster {
    applied_on("cluster", Kind::Ready, &BOTH, "")
}

/// As [`applied`], on nodes as Debian's installer leaves them.
pub(crate) fn applied_on_plain() -> TestCluster {
    applied_on("plain", Kind::Plain, &BOTH, "")
}

/// As [`applied`], with this in the cluster file too, and nodes of one release: pacemaker of a later one lets none of an
/// earlier one join again.
pub(crate) fn applied_with(more: &str, release: Release) -> TestCluster {
    let name = match release {
        Release::Trixie => "trixie",
        Release::Bookworm => "bookworm",
    };
    applied_on(name, Kind::Ready, &[release], more)
}

fn applied_on(name: &str, image: Kind, releases: &[Release], more: &str) -> TestCluster {
    let of_machines = LabConfig { memory: Bytes::gib(2), disks: vec![Bytes::gib(6); 3], ..small() };
    let size = if more.is_empty() { small() } else { of_machines };
    let config = LabConfig { image, releases: releases.to_vec(), wan_open: true, ..size };
    let lab = shared(name, &config, APPLIED, |lab| {
        if image == Kind::Ready {
            for node in lab.nodes().expect("nodes") {
                // The image has them masked, since nobody has configured them; a Debian with the package doesn't.
                lab.on(&node, "systemctl unmask ovsdb-server ovs-vswitchd ovs-record-hostname virtlockd virtlogd");
                lab.on(&node, PREPARE);
            }
        }
        let home = Home::new(lab, "first");
        home.write(lab);
        home.edit("[volume.gv0]\n", &format!("{more}[volume.gv0]\n"));
        home.applies();
        if !more.is_empty() {
            lab.on("node1", WATCHDOGS_FIRE);
        }
    });
    let first = Home::at(&lab, "first");
    let cluster = TestCluster { home: Home::at(&lab, "home"), lab };
    cluster.load(APPLIED);
    cluster.ask(Request::WanOpen(true));
    cluster.home.copy_of(&first);
    cluster
}

impl Home {
    /// A folder beside the lab, whatever is in it.
    pub(crate) fn at(lab: &TestLab, name: &str) -> Self {
        let dir = lab.path().with_extension(name);
        fs::create_dir_all(&dir).expect("a home");
        Self { dir, ssh_config: lab.path().join("ssh_config") }
    }

    /// An empty one.
    pub(crate) fn new(lab: &TestLab, name: &str) -> Self {
        let home = Self::at(lab, name);
        fs::remove_dir_all(&home.dir).expect("an old home");
        Self::at(lab, name)
    }

    /// What another one has.
    pub(crate) fn copy_of(&self, other: &Self) {
        fs::remove_dir_all(&self.dir).expect("an old home");
        fs::create_dir_all(&self.dir).expect("a home");
        for entry in fs::read_dir(&other.dir).expect("a home") {
            let entry = entry.expect("an entry");
            if entry.file_type().expect("a type").is_file() {
                fs::copy(entry.path(), self.dir.join(entry.file_name())).expect("a copy");
            }
        }
    }

    /// A key, the cluster file, and a recovery sheet.
    fn write(&self, lab: &TestLab) {
        self.make_key();
        fs::write(self.file(), cluster_file(lab, &self.public_key())).expect("a cluster file");
        self.make_sheet();
    }

    pub(crate) fn file(&self) -> PathBuf {
        self.dir.join("stead.toml")
    }

    pub(crate) fn text(&self) -> String {
        fs::read_to_string(self.file()).expect("a cluster file")
    }

    /// Changes the cluster file, as with an editor.
    pub(crate) fn edit(&self, from: &str, to: &str) {
        let text = self.text();
        assert!(text.contains(from), "{from:?} is in the file");
        fs::write(self.file(), text.replace(from, to)).expect("a cluster file");
    }

    pub(crate) fn make_key(&self) {
        let mut keygen = Command::new("ssh-keygen");
        keygen.args(["-q", "-t", "ed25519", "-N", "", "-C", "me@laptop", "-f"]).arg(self.dir.join("id_ed25519"));
        assert!(keygen.status().expect("ssh-keygen").success());
    }

    pub(crate) fn public_key(&self) -> String {
        fs::read_to_string(self.dir.join("id_ed25519.pub")).expect("a key").trim().to_owned()
    }

    /// Prints the recovery sheet to a file and types its end back.
    fn make_sheet(&self) {
        let sheet = self.dir.join("sheet.txt");
        let mut command = self.command(&["keys", "sheet", "--out"]);
        command.arg(&sheet).stdin(Stdio::piped()).stdout(Stdio::null()).stderr(Stdio::piped());
        let mut child = command.spawn().expect("stead starts");
        let mut answer = child.stdin.take().expect("an input");
        let secret = loop {
            let text = fs::read_to_string(&sheet).unwrap_or_default();
            if let Some(secret) = text.split_whitespace().find(|word| word.starts_with("AGE-SECRET-KEY-")) {
                break secret.to_owned();
            }
            if let Some(status) = child.try_wait().expect("a status") {
                let mut said = String::new();
                let _ = child.stderr.take().expect("stderr").read_to_string(&mut said);
                panic!("no sheet ({status}): {said}");
            }
            std::thread::yield_now();
        };
        answer.write_all(format!("{}\n", &secret[secret.len() - 8..]).as_bytes()).expect("typing");
        drop(answer);
        let output = child.wait_with_output().expect("an end");
        assert_code(&output, 0);
    }

    /// `stead` as this admin runs it.
    pub(crate) fn command(&self, arguments: &[&str]) -> Command {
        let mut command = Command::new(STEAD);
        command.args(arguments).current_dir(&self.dir);
        command.env("STEAD_SSH_CONFIG", &self.ssh_config).env("XDG_STATE_HOME", self.dir.join("state"));
        command.env("STEAD_IDENTITY", self.dir.join("id_ed25519")).env("USER", "me");
        command.stdin(Stdio::null());
        command
    }

    pub(crate) fn stead(&self, arguments: &[&str]) -> Output {
        self.command(arguments).output().expect("stead starts")
    }

    /// What a plan would do now, by the names of its steps, and its exit status.
    pub(crate) fn planned(&self) -> (Vec<String>, i32) {
        let output = self.stead(&["plan", "--json"]);
        let plan: serde_json::Value = serde_json::from_slice(&output.stdout)
            .unwrap_or_else(|error| panic!("{error}: {}", String::from_utf8_lossy(&output.stderr)));
        let steps = plan["steps"].as_array().expect("steps");
        let ids = steps.iter().map(|step| step["id"].as_str().expect("an id").to_owned()).collect();
        (ids, output.status.code().expect("a code"))
    }

    /// Applies until all is as asked: an apply looks again at its end, and ends with 0 only if nothing is to be done.
    pub(crate) fn applies(&self) {
        assert_code(&self.stead(&["apply", "--yes"]), 0);
    }

    /// Nothing is to be done.
    pub(crate) fn settled(&self) {
        let output = self.stead(&["plan"]);
        assert_code(&output, 0);
        assert!(out(&output).contains("nothing to do"), "{}", out(&output));
    }

    /// An apply that runs, once it has said a line with this text.
    pub(crate) fn apply_until(&self, text: &str) -> Running {
        self.until(&["apply", "--yes"], text)
    }

    /// A command that runs, once it has said a line with this text.
    #[allow(clippy::zombie_processes, reason = "whoever asks waits for it, or has failed")]
    pub(crate) fn until(&self, arguments: &[&str], text: &str) -> Running {
        let mut command = self.command(arguments);
        let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().expect("stead starts");
        let mut lines = BufReader::new(child.stderr.take().expect("stderr"));
        let mut said = String::new();
        loop {
            let from = said.len();
            let read = lines.read_line(&mut said).expect("a line");
            assert!(read > 0, "it ended without {text:?}: {said}");
            if said[from..].contains(text) {
                return Running { child, lines, said };
            }
        }
    }
}

/// A `stead` in the middle of something.
pub(crate) struct Running {
    child: Child,
    lines: BufReader<std::process::ChildStderr>,
    said: String,
}

impl Running {
    pub(crate) fn kill(mut self) {
        self.child.kill().expect("kill");
        self.child.wait().expect("an end");
    }

    /// The node whose line it said last.
    pub(crate) fn node(&self) -> String {
        let last = self.said.lines().last().and_then(|line| line.split_whitespace().next());
        last.expect("a line of a node's").to_owned()
    }

    /// Ctrl-C.
    pub(crate) fn interrupt(&self) {
        kill_process(self.pid(), Signal::INT).expect("a signal");
    }

    /// Kills its ssh to a node.
    pub(crate) fn cut_ssh(&self, node: &str) {
        let tasks = fs::read_dir(format!("/proc/{}/task", self.child.id())).expect("its threads");
        let children = tasks.map(|task| fs::read_to_string(task.expect("a thread").path().join("children")));
        let children: String = children.map(|pids| pids.expect("its children")).collect();
        let to_node = |pid: &&str| {
            let words = fs::read_to_string(format!("/proc/{pid}/cmdline")).unwrap_or_default();
            words.split('\0').any(|word| word == node)
        };
        let pids: Vec<_> = children.split_whitespace().filter(to_node).collect();
        let [pid] = pids.as_slice() else { panic!("one ssh to {node}: {pids:?} of {children:?}") };
        let pid = pid.parse().ok().and_then(Pid::from_raw).expect("a process's id");
        kill_process(pid, Signal::KILL).expect("a signal");
    }

    fn pid(&self) -> Pid {
        i32::try_from(self.child.id()).ok().and_then(Pid::from_raw).expect("a process's id")
    }

    /// Its code, and all that it said.
    pub(crate) fn ends(mut self) -> (Option<i32>, String) {
        self.lines.read_to_string(&mut self.said).expect("the rest");
        (self.child.wait().expect("an end").code(), self.said)
    }
}

pub(crate) fn out(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

pub(crate) fn err(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

pub(crate) fn assert_code(output: &Output, code: i32) {
    assert_eq!(output.status.code(), Some(code), "\n{}\n{}", out(output), err(output));
}

/// A cluster file for the lab's three nodes.
fn cluster_file(lab: &TestLab, key: &str) -> String {
    let status = lab.status().expect("status");
    let nodes = (1..=3).map(|n| {
        let bays = &status.nodes[&format!("node{n}")].state.bays;
        let disk = |bay: &str| format!("scsi-0QEMU_QEMU_HARDDISK_{}", bays[bay].disk.serial);
        format!(
            r#"
[node.node{n}]
ssh = "node{n}"
nics = {{ sw1 = "52:54:00:00:0{n}:01", sw2 = "52:54:00:00:0{n}:02", sw3 = "52:54:00:00:0{n}:03" }}
disks = {{ gv0 = ["{}"] }}
"#,
            disk("disk1")
        )
    });
    let nodes: String = nodes.collect();
    format!(
        r#"# The lab's.
schema = 1

[cluster]
id = "7a2f0c86-29a5-44cb-9a43-5a4b6f1f8f11"
name = "lab"
timezone = "Europe/Paris"

[admin.me]
keys = ["{key}"]

[host]
patience = {PATIENCE}
updates = "04:30"
swap = "64MiB"
sysctl = {{ "vm.swappiness" = "10" }}

[switch.sw1]
[switch.sw2]
[switch.sw3]
{nodes}
[network.core]
switches = ["sw1", "sw2", "sw3"]
vlan = 10
pool = "10.10.0.0/22"

[network.lan]
switches = ["sw1"]
subnet = "192.168.0.0/24"
addresses = {{ node1 = "192.168.0.50", node2 = "192.168.0.51", node3 = "192.168.0.52" }}

[volume.gv0]
kind = "replicated"
"#
    )
}

/// Kills a node's agent, and waits until it is gone.
pub(crate) fn kill_agent(cluster: &TestCluster, node: &str) {
    cluster.on(node, "pkill -KILL -f '/agent/stead-[0-9a-f]* agent'");
}

/// Pulls a node's plug, and lets it come up again, until its disks have opened by themselves.
pub(crate) fn cut_power(cluster: &TestCluster, node: &str) {
    cluster.power_of(&[node], PowerAction::Cycle);
    comes_up(cluster, &[node]);
}

/// These nodes are there again, with their disks.
pub(crate) fn comes_up(cluster: &TestCluster, nodes: &[&str]) {
    cluster.up(nodes);
    for node in nodes {
        cluster.within(400, node, "findmnt -n /var/lib/stead/vault");
    }
}
