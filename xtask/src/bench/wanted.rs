//! What stead asks of each node, read from the plan that it made of the fresh ones: the playbook asks for the same.

use std::collections::{BTreeMap, BTreeSet};

use anyhow::{Context, Result};
use serde::{Deserialize, Serialize};

/// What is asked of one node.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Wanted {
    /// Files by their paths.
    pub(super) files: BTreeMap<String, Content>,
    /// Folders, with their modes.
    pub(super) folders: BTreeMap<String, String>,
    /// Symbolic links, with what they lead to.
    pub(super) links: BTreeMap<String, String>,
    /// Debian packages.
    pub(super) packages: BTreeSet<String>,
    /// Units of systemd's, with what should become of them.
    pub(super) units: BTreeMap<String, Unit>,
    /// Accounts.
    pub(super) users: BTreeSet<String>,
    /// Settings of the kernel.
    pub(super) sysctl: BTreeSet<String>,
}

/// All of a file.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Content {
    pub(super) mode: String,
    pub(super) text: String,
}

/// What should become of a unit, where stead says it; in the words of Ansible's module.
#[derive(Debug, Default, PartialEq, Eq, Serialize)]
pub(super) struct Unit {
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) enabled: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) masked: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    pub(super) state: Option<&'static str>,
}

/// What is asked of each node, by its name.
pub(super) fn read(plan: &str) -> Result<BTreeMap<String, Wanted>> {
    let plan: Plan = serde_json::from_str(plan).context("the plan is not as expected")?;
    let mut nodes = BTreeMap::new();
    for step in plan.steps {
        let node = step.id.split('/').nth(1).with_context(|| format!("a step `{}` without a node", step.id))?;
        let wanted: &mut Wanted = nodes.entry(node.to_owned()).or_default();
        step.basis.into_iter().for_each(|fact| wanted.take_fact(&fact.about));
        step.ops.into_iter().for_each(|op| wanted.take_op(op));
    }
    Ok(nodes)
}

/// As much of stead's plan as matters here.
#[derive(Deserialize)]
struct Plan {
    steps: Vec<Step>,
}

#[derive(Deserialize)]
struct Step {
    id: String,
    ops: Vec<Op>,
    basis: Vec<Fact>,
}

#[derive(Deserialize)]
struct Fact {
    about: serde_json::Value,
}

/// One of these.
#[derive(Deserialize)]
struct Op {
    run: Option<Command>,
    write: Option<Write>,
    link: Option<Link>,
    folder: Option<Folder>,
}

#[derive(Deserialize)]
struct Command {
    program: String,
    arguments: Vec<Argument>,
}

/// What an earlier step finds out is not there yet.
#[derive(Deserialize)]
struct Argument {
    text: Option<String>,
}

#[derive(Deserialize)]
struct Write {
    path: String,
    mode: String,
    text: String,
}

#[derive(Deserialize)]
struct Link {
    path: String,
    target: String,
}

#[derive(Deserialize)]
struct Folder {
    path: String,
    mode: String,
}

impl Wanted {
    /// What a step rests on has been looked at, also where nothing has to be done about it.
    fn take_fact(&mut self, about: &serde_json::Value) {
        let name = |kind: &str| about[kind].as_str().map(str::to_owned);
        self.users.extend(name("user"));
        self.sysctl.extend(name("sysctl"));
    }

    fn take_op(&mut self, op: Op) {
        if let Some(Write { path, mode, text }) = op.write {
            self.files.insert(path, Content { mode, text });
        }
        if let Some(Link { path, target }) = op.link {
            self.links.insert(path, target);
        }
        if let Some(Folder { path, mode }) = op.folder {
            self.folders.insert(path, mode);
        }
        let Some(Command { program, arguments }) = op.run else { return };
        let words: Vec<String> = arguments.into_iter().filter_map(|argument| argument.text).collect();
        match program.as_str() {
            "apt_get" => self.take_install(words),
            "systemctl" => self.take_units(&words),
            "useradd" => self.users.extend(words.into_iter().next_back()),
            _ => {}
        }
    }

    /// The words behind `install`, but for options and their values.
    fn take_install(&mut self, words: Vec<String>) {
        let packages = words.into_iter().skip_while(|word| word != "install").skip(1);
        self.packages.extend(packages.filter(|word| is_package(word)));
    }

    fn take_units(&mut self, words: &[String]) {
        let now = words.iter().any(|word| word == "--now");
        let mut words = words.iter().filter(|word| !word.starts_with('-'));
        let Some(verb) = words.next() else { return };
        for name in words {
            let unit = self.units.entry(name.clone()).or_default();
            match verb.as_str() {
                "enable" => unit.enabled = Some(true),
                "disable" => unit.enabled = Some(false),
                "mask" => unit.masked = Some(true),
                "unmask" => unit.masked = Some(false),
                _ => {}
            }
            match verb.as_str() {
                "enable" if now => unit.state = Some("started"),
                "disable" | "mask" if now => unit.state = Some("stopped"),
                "start" | "restart" | "reload" | "reload-or-restart" => unit.state = Some("started"),
                "stop" => unit.state = Some("stopped"),
                _ => {}
            }
        }
    }
}

/// Whether it is made as names of Debian's packages are (Debian Policy, 5.6.1); options of apt's have capitals.
fn is_package(word: &str) -> bool {
    let letter = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit();
    word.starts_with(letter) && word.chars().all(|c| letter(c) || "+-.".contains(c))
}

#[cfg(test)]
mod tests {
    use stead_plan::inventory::Mode;
    use stead_plan::op::{self, Program};
    use stead_plan::step::{About, Fact, Layer, Step, StepId};

    use super::*;

    fn step(node: &str, ops: Vec<op::Op>, basis: Vec<About>) -> Step {
        Step {
            beside: None,
            id: StepId { layer: Layer::Host, node: node.parse().unwrap(), what: "all".to_owned() },
            title: "do it".to_owned(),
            why: Vec::new(),
            ops,
            after: BTreeSet::new(),
            basis: basis.into_iter().map(|about| Fact { about, was: "absent".to_owned() }).collect(),
            destroys: Vec::new(),
            guard: None,
        }
    }

    fn run(program: Program, words: &str) -> op::Op {
        let arguments = words.split(' ').map(|word| op::Argument::Text(word.to_owned())).collect();
        op::Op::Run(op::Command { arguments, ..program.command() })
    }

    fn wanted(steps: &[Step]) -> BTreeMap<String, Wanted> {
        read(&serde_json::json!({ "schema_version": 1, "steps": steps }).to_string()).unwrap()
    }

    #[test]
    fn files_folders_and_links_are_the_plans_own() {
        let write = |path: &str| op::Write::new(path, Mode(0o644), "a\n");
        let ops = vec![
            op::Op::Write(write("/etc/hosts")),
            op::Op::Folder { path: "/etc/stead".into(), mode: Mode(0o700) },
            op::Op::Link { path: "/etc/localtime".into(), target: "../usr/share/zoneinfo/Europe/Paris".into() },
        ];
        let nodes = wanted(&[step("node1", ops, vec![About::Stamp]), step("node2", vec![], vec![])]);
        let node = &nodes["node1"];
        assert_eq!(node.files["/etc/hosts"], Content { mode: "0644".to_owned(), text: "a\n".to_owned() });
        assert_eq!(node.folders["/etc/stead"], "0700");
        assert_eq!(node.links["/etc/localtime"], "../usr/share/zoneinfo/Europe/Paris");
        assert_eq!(nodes["node2"], Wanted::default());
    }

    #[test]
    fn commands_and_what_they_rest_on_say_the_rest() {
        let ops = vec![
            run(
                Program::AptGet,
                "-o APT::Get::Upgrade=no install --yes -o Dpkg::Options::=--force-confold chrony libstdc++6",
            ),
            run(Program::Systemctl, "mask chrony.service"),
            run(Program::Systemctl, "unmask chrony.service"),
            run(Program::AptGet, "update"),
            run(Program::Systemctl, "enable --now chrony.service"),
            run(Program::Systemctl, "mask ssh.socket"),
            run(Program::Systemctl, "daemon-reload"),
            run(Program::Systemctl, "restart ssh.service"),
            run(Program::Useradd, "--create-home --shell /bin/bash me"),
        ];
        let nodes = wanted(&[step("node1", ops, vec![About::Sysctl("vm.swappiness".to_owned())])]);
        let node = &nodes["node1"];
        assert_eq!(node.packages.iter().collect::<Vec<_>>(), ["chrony", "libstdc++6"]);
        assert_eq!(node.users.iter().collect::<Vec<_>>(), ["me"]);
        assert_eq!(node.sysctl.iter().collect::<Vec<_>>(), ["vm.swappiness"]);
        let units = serde_json::to_value(&node.units).unwrap();
        let expected = serde_json::json!({
            "chrony.service": { "enabled": true, "masked": false, "state": "started" },
            "ssh.socket": { "masked": true },
            "ssh.service": { "state": "started" },
        });
        assert_eq!(units, expected);
    }
}
