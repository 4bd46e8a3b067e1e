//! A cluster of three nodes in a lab, as its cluster file asks it to be.

use std::fs;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};
use serde_json::Value;

use super::Bench;
use crate::exec::Program;

/// The nodes' names: the lab's own.
pub(super) const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// The nodes' time zone.
pub(super) const TIMEZONE: &str = "Europe/Paris";

/// The cluster file, but for the admin's key and the disks' serial numbers.
const FILE: &str = include_str!("../../bench/stead.toml");

/// A cluster to which its file has been applied.
pub(super) struct Cluster {
    stead: PathBuf,
    lab: PathBuf,
    file: PathBuf,
    /// For `ssh -F`: the nodes by their names, over connections that are shared and stay.
    pub(super) ssh_config: PathBuf,
    /// What was planned when the nodes were fresh, as JSON.
    pub(super) first_plan: String,
}

impl Cluster {
    /// Brings the lab up, asks for a cluster in it and applies that.
    pub(super) fn build(bench: &Bench<'_>) -> Result<Self> {
        let lab = bench.run.folder().join("three");
        let up = ["--nodes", "3", "--image", "ready", "--wan", "open"];
        Program::new(&bench.stead).args(["lab", "up", "--dir"]).arg(&lab).args(up).run()?;

        let folder = bench.run.folder().join("cluster");
        fs::create_dir(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        let key = folder.join("admin");
        let keygen = ["-q", "-t", "ed25519", "-N", "", "-C", "bench@example.org", "-f"];
        Program::new("ssh-keygen").args(keygen).arg(&key).run()?;
        let public = read(&key.with_extension("pub"))?;
        let file = folder.join("stead.toml");
        write(&file, &cluster_file(&public, &read(&lab.join("lab.json"))?)?)?;

        let ssh_config = lab.join("ssh_config");
        // Both stead and Ansible would make a connection for each command, and wait for little else.
        ensure!(
            read(&ssh_config)?.contains("ControlPath"),
            "the path of {} is too long for ssh to share connections: name a shorter one by CARGO_TARGET_DIR",
            lab.display()
        );
        let stead = bench.stead.clone();
        let mut cluster = Self { stead, lab, file, ssh_config, first_plan: String::new() };
        for node in NODES {
            // The image masks what its packages start. Nobody masks a part of Open vSwitch or GlusterFS otherwise.
            let parts = ["ovsdb-server", "ovs-vswitchd", "ovs-record-hostname", "glusterd"];
            cluster.on(node, &["systemctl", "unmask"]).args(parts).run()?;
            // Translated, geo-replication's Python takes minutes whenever glusterd starts.
            let gsyncd = "/usr/lib/x86_64-linux-gnu/glusterfs/gsyncd";
            cluster.on(node, &["dpkg-divert", "--local", "--rename", "--add", gsyncd]).run()?;
        }
        cluster.make_sheet(&folder.join("sheet"))?;
        cluster.first_plan = cluster.plan_to(&folder.join("first.plan"))?;
        cluster.stead(&["apply", "--yes"]).run()?;
        Ok(cluster)
    }

    /// A command of stead's about this cluster.
    pub(super) fn stead(&self, words: &[&str]) -> Program {
        let program = Program::new(&self.stead).args(words).arg("-f").arg(&self.file);
        // What stead writes down about its runs goes with the lab.
        let of = |name| self.file.with_file_name(name);
        let program = program.env("XDG_STATE_HOME", of("state")).env("STEAD_IDENTITY", of("admin"));
        program.env("STEAD_SSH_CONFIG", &self.ssh_config)
    }

    /// A command about its lab.
    pub(super) fn lab(&self, words: &[&str]) -> Program {
        Program::new(&self.stead).arg("lab").args(words).arg("--dir").arg(&self.lab)
    }

    /// A command on a node.
    pub(super) fn on(&self, node: &str, words: &[&str]) -> Program {
        Program::new("ssh").arg("-F").arg(&self.ssh_config).arg(node).args(words)
    }

    /// Makes the recovery sheet, and types back what shows that somebody has read it.
    fn make_sheet(&self, sheet: &Path) -> Result<()> {
        let program = self.stead(&["keys", "sheet"]).arg("--out").arg(sheet);
        program.run_answered(|| Ok(end_of_key(&wait_for_key(sheet)?).to_owned() + "\n"))
    }

    /// What stead wrote down about the first of its applies.
    pub(super) fn first_run(&self) -> Result<String> {
        let mut runs = Vec::new();
        for cluster in folder(&self.file.with_file_name("state").join("stead"))? {
            runs.extend(folder(&cluster.join("runs"))?);
        }
        runs.sort();
        read(runs.first().context("stead has written down no run")?)
    }

    /// Plans, where there is something to do, and gives the plan.
    fn plan_to(&self, path: &Path) -> Result<String> {
        // 2 for "differs", as everywhere.
        match self.stead(&["plan"]).arg("--out").arg(path).quiet().status()?.code() {
            Some(2) => read(path),
            code => bail!("fresh nodes have to differ from the cluster file, and `stead plan` ended with {code:?}"),
        }
    }
}

/// The cluster file for this admin and this lab.
fn cluster_file(admin: &str, lab: &str) -> Result<String> {
    let lab: Value = serde_json::from_str(lab).context("the lab's lab.json is not as expected")?;
    let mut file = FILE.replace("ADMIN_KEY", admin.trim());
    for node in NODES {
        for bay in ["disk1", "disk2", "disk3"] {
            let serial = lab["nodes"][node]["bays"][bay]["disk"]["serial"].as_str();
            let serial = serial.ok_or_else(|| anyhow!("the lab's lab.json has no serial number of {node}'s {bay}"))?;
            file = file.replace(&format!("{node}_{bay}"), &format!("scsi-0QEMU_QEMU_HARDDISK_{serial}"));
        }
    }
    Ok(file)
}

/// How an age key begins, and how long one is.
const KEY: &str = "AGE-SECRET-KEY-1";
const KEY_LENGTH: usize = 74;

/// How many of the key's last characters are typed back.
const TYPED: usize = 8;

/// How long stead may take to make a key and to draw it.
const SHEET_PATIENCE: Duration = Duration::from_secs(30);

/// The key on the sheet, once it has been written.
fn wait_for_key(sheet: &Path) -> Result<String> {
    let start = Instant::now();
    while start.elapsed() < SHEET_PATIENCE {
        if let Some(key) = fs::read_to_string(sheet).ok().as_deref().and_then(key_on) {
            return Ok(key.to_owned());
        }
        thread::sleep(Duration::from_millis(50));
    }
    bail!("no key came to stand in {} within {} seconds", sheet.display(), SHEET_PATIENCE.as_secs())
}

/// The whole key, if the sheet has it already.
fn key_on(sheet: &str) -> Option<&str> {
    sheet.split_whitespace().find(|word| word.starts_with(KEY) && word.len() == KEY_LENGTH)
}

fn end_of_key(key: &str) -> &str {
    &key[key.len() - TYPED..]
}

fn read(path: &Path) -> Result<String> {
    fs::read_to_string(path).with_context(|| format!("could not read {}", path.display()))
}

fn folder(path: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(path).with_context(|| format!("could not list {}", path.display()))?;
    entries.map(|entry| Ok(entry?.path())).collect()
}

fn write(path: &Path, text: &str) -> Result<()> {
    fs::write(path, text).with_context(|| format!("could not write {}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_cluster_file_is_a_good_one() {
        let bays = |n: u32| {
            let bay = |disk: u32| serde_json::json!({ "disk": { "serial": format!("DATA{n:02}{disk:02}") } });
            serde_json::json!({ "bays": { "disk1": bay(1), "disk2": bay(2), "disk3": bay(3) } })
        };
        let lab = serde_json::json!({ "nodes": { "node1": bays(1), "node2": bays(2), "node3": bays(3) } });
        let admin =
            "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHMIPjSN8qVDNO1yCJ5iTKWMcpYprJ09ANAGk2WGOrH bench@example.org\n";
        let file = cluster_file(admin, &lab.to_string()).unwrap();
        let parsed = stead_spec::parse("stead.toml", file.as_bytes());
        let (spec, _) = parsed.unwrap_or_else(|report| panic!("{report:?}"));
        assert_eq!(spec.cluster().timezone.to_string(), TIMEZONE);
        assert!(cluster_file(admin, "{}").is_err());
    }

    #[test]
    fn the_end_of_a_whole_key_is_typed_back() {
        let key = format!("{KEY}{}RSTUVWXY", "Q".repeat(KEY_LENGTH - KEY.len() - TYPED));
        assert_eq!(key_on(&format!("RECOVERY SHEET\n\n    {key}\n\n▄▄▄")).map(end_of_key), Some("RSTUVWXY"));
        assert_eq!(key_on(&key[..KEY_LENGTH - 1]), None, "it is being written");
    }
}
