//! `stead plan` with nothing to do, against Ansible's check of the same things on the same nodes.

use std::collections::BTreeMap;
use std::fs;
use std::path::{Path, PathBuf};
use std::time::Instant;

use anyhow::{Context, Result, bail, ensure};
use serde_json::{Value, json};

use super::cluster::{Cluster, NODES, TIMEZONE};
use super::table::Table;
use super::wanted::{self, Wanted};
use super::{Bench, timed};
use crate::exec::{Program, quote};

/// Of ansible-core: the newest that runs on Debian 12's Python 3.11 and on Debian 13's 3.13, there and here.
const VERSION: &str = "2.19.14";

/// How often the plan is measured.
const ROUNDS: usize = 3;

const PLAN: &str = "stead plan, 3 nodes, nothing to do";
const PLAY: &str = "ansible-playbook --check --diff, the same";
const RATIO: &str = "how many times faster";

/// Measures both. Ansible once: on translated nodes it takes a quarter of an hour, beside which its setting up is nothing.
pub(super) fn measure(bench: &Bench<'_>, cluster: &Cluster, table: &mut Table) -> Result<()> {
    let ansible = Ansible::prepare(bench, cluster)?;
    // It ends well only if there is nothing to do.
    cluster.stead(&["plan"]).run()?;
    for _ in 0..ROUNDS {
        table.time(PLAN, timed(cluster.stead(&["plan"]))?);
    }
    let start = Instant::now();
    ansible.check()?;
    table.time(PLAY, start.elapsed());
    if let (Some(plan), Some(play)) = (table.median(PLAN), table.median(PLAY)) {
        table.add(RATIO, "×", play / plan);
        table.aim(RATIO, "≥ 20");
    }
    Ok(())
}

/// Ansible, ready to ask for what stead asks for.
struct Ansible {
    program: PathBuf,
    /// Where it keeps its own.
    home: PathBuf,
    folder: PathBuf,
    inventory: PathBuf,
    ssh_arguments: String,
}

impl Ansible {
    fn prepare(bench: &Bench<'_>, cluster: &Cluster) -> Result<Self> {
        let kept = bench.workspace.target.join("bench");
        let program = install(&kept.join(format!("venv-{VERSION}")))?;
        let wanted = wanted::read(&cluster.first_plan)?;
        for node in NODES {
            ensure!(
                wanted.contains_key(node),
                "the plan has no step for {node}, so Ansible would have nothing to check"
            );
        }
        let folder = bench.run.folder().join("ansible");
        let inventory = folder.join("inventory.json");
        write(&inventory, &inventory_of(&wanted, &folder).to_string())?;
        for (node, wanted) in &wanted {
            for (at, content) in wanted.files.values().enumerate() {
                write(&source(&folder, node, at), &content.text)?;
            }
        }
        let ssh_arguments = format!("-F {}", quote(&cluster.ssh_config.display().to_string()));
        let folder = bench.workspace.root.join("xtask/bench/ansible");
        Ok(Self { program, home: kept.join("ansible-home"), folder, inventory, ssh_arguments })
    }

    /// Lets it look at everything; it must find nothing to change, as stead does.
    fn check(&self) -> Result<()> {
        let program = Program::new(&self.program)
            .env("ANSIBLE_CONFIG", self.folder.join("ansible.cfg"))
            .env("ANSIBLE_HOME", &self.home)
            .env("ANSIBLE_SSH_ARGS", &self.ssh_arguments)
            .env("LC_ALL", "C.UTF-8")
            .args(["--check", "--diff", "--inventory"])
            .arg(&self.inventory)
            .arg(self.folder.join("playbook.yml"));
        let said = program.output()?;
        if let Err(error) = found_nothing(&said) {
            eprint!("{said}");
            return Err(error);
        }
        Ok(())
    }
}

/// Where ansible-playbook is, in a Python environment of its own, which is made if need be.
fn install(venv: &Path) -> Result<PathBuf> {
    let program = venv.join("bin/ansible-playbook");
    let installed = || {
        let version = Program::new(&program).arg("--version").probe();
        version.is_some_and(|text| text.contains(&format!("[core {VERSION}]")))
    };
    if !installed() {
        Program::new("python3").args(["-m", "venv", "--clear"]).arg(venv).run()?;
        let pip = ["install", "--quiet", "--disable-pip-version-check"];
        Program::new(venv.join("bin/pip")).args(pip).arg(format!("ansible-core=={VERSION}")).run()?;
        ensure!(installed(), "{} --version doesn't say {VERSION}", program.display());
    }
    Ok(program)
}

/// The nodes, and what is asked of each. Files' contents are not in it, since Ansible would read them as templates.
fn inventory_of(wanted: &BTreeMap<String, Wanted>, folder: &Path) -> Value {
    let hosts: serde_json::Map<_, _> =
        wanted.iter().map(|(node, wanted)| (node.clone(), host(node, wanted, folder))).collect();
    let vars = json!({ "ansible_python_interpreter": "/usr/bin/python3", "timezone": TIMEZONE });
    json!({ "nodes": { "hosts": hosts, "vars": vars } })
}

fn host(node: &str, wanted: &Wanted, folder: &Path) -> Value {
    let Wanted { files, folders, links, packages, units, users, sysctl } = wanted;
    let file = |(at, (path, content)): (usize, (&String, &wanted::Content))| json!({ "path": path, "mode": content.mode, "src": source(folder, node, at) });
    let files: Vec<_> = files.iter().enumerate().map(file).collect();
    let folders: Vec<_> = folders.iter().map(|(path, mode)| json!({ "path": path, "mode": mode })).collect();
    let links: Vec<_> = links.iter().map(|(path, target)| json!({ "path": path, "target": target })).collect();
    let unit = |(name, unit): (&String, &wanted::Unit)| {
        let mut unit = json!(unit);
        unit["name"] = json!(name);
        unit
    };
    let units: Vec<_> = units.iter().map(unit).collect();
    json!({
        "files": files, "folders": folders, "links": links, "packages": packages, "units": units, "users": users,
        "sysctl": sysctl,
    })
}

/// Where the content of a node's file lies, by its place among them.
fn source(folder: &Path, node: &str, at: usize) -> PathBuf {
    folder.join(node).join(at.to_string())
}

/// Whether all nodes were reached and nothing would have been changed, by what it says at its end.
fn found_nothing(said: &str) -> Result<()> {
    let recap = said.split_once("PLAY RECAP").map_or("", |(_, recap)| recap);
    for node in NODES {
        let counts =
            recap.lines().find_map(|line| line.trim_start().strip_prefix(node)?.trim_start().strip_prefix(':'));
        let Some(counts) = counts else { bail!("ansible-playbook says nothing of {node}") };
        for bad in ["changed", "unreachable", "failed"] {
            if !counts.split_whitespace().any(|count| count == format!("{bad}=0")) {
                bail!("stead finds nothing to do on {node}, and Ansible does:{counts}");
            }
        }
    }
    Ok(())
}

fn write(path: &Path, text: &str) -> Result<()> {
    let context = || format!("could not write {}", path.display());
    fs::create_dir_all(path.parent().unwrap_or(path)).with_context(context)?;
    fs::write(path, text).with_context(context)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn recap(second: &str) -> String {
        let well = "ok=9    changed=0    unreachable=0    failed=0    skipped=1    rescued=0    ignored=0";
        format!(
            "TASK [Units] ***\nok: [node1]\n\nPLAY RECAP ****\n\
             node1                      : {well}   \nnode2                      : {second}\nnode3  : {well}\n\n"
        )
    }

    #[test]
    fn only_a_check_that_finds_nothing_counts() {
        found_nothing(&recap("ok=10   changed=0    unreachable=0    failed=0")).unwrap();
        for bad in ["changed=10 unreachable=0 failed=0", "changed=0 unreachable=1 failed=0", "changed=0 unreachable=0"]
        {
            assert!(found_nothing(&recap(bad)).is_err(), "{bad}");
        }
        assert!(found_nothing("node1 : changed=0").is_err());
    }

    #[test]
    fn the_inventory_has_what_is_asked_and_no_contents() {
        let content = wanted::Content { mode: "0644".to_owned(), text: "{{ secret }}".to_owned() };
        let unit = wanted::Unit { enabled: Some(true), ..Default::default() };
        let wanted = Wanted {
            files: [("/etc/hosts".to_owned(), content)].into(),
            units: [("chrony.service".to_owned(), unit)].into(),
            packages: ["chrony".to_owned()].into(),
            ..Default::default()
        };
        let inventory = inventory_of(&[("node1".to_owned(), wanted)].into(), Path::new("/run"));
        let node = &inventory["nodes"]["hosts"]["node1"];
        assert_eq!(node["files"], json!([{ "path": "/etc/hosts", "mode": "0644", "src": "/run/node1/0" }]));
        assert_eq!(node["units"], json!([{ "name": "chrony.service", "enabled": true }]));
        assert_eq!((&node["packages"], &node["links"]), (&json!(["chrony"]), &json!([])));
        assert!(!inventory.to_string().contains("secret"));
    }
}
