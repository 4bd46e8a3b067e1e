//! A planner in small, so that the driver and the simulator are tested by themselves; and ways to get it wrong.

use std::collections::BTreeSet;

use stead_plan::MARK;
use stead_plan::generation::Stamp;
use stead_plan::inventory::{Activity, Enablement, FileState, Inventory, Known, Mode, PackageState, Questions};
use stead_plan::op::{Op, Program, Write};
use stead_plan::plan::{Keep, Plan, Refusal, SCHEMA_VERSION};
use stead_plan::step::{Layer, Step, StepId};
use stead_spec::units::{ClusterId, NodeName};

use crate::scenario::{Planner, Texts};

/// What it gets wrong.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Mistake {
    #[default]
    None,
    /// It writes a configuration that a running daemon doesn't read again, if it is cut there.
    RestartsLast,
    /// It doesn't look after packages that were cut.
    NoConfigure,
    /// It takes a file that people share with it.
    TakesHosts,
}

pub(crate) struct Hand {
    pub(crate) mistake: Mistake,
}

const CONFIGURATION: &str = "/etc/chrony/chrony.conf";
const HOSTS: &str = "/etc/hosts";

impl Planner for Hand {
    fn cluster(&self) -> ClusterId {
        "8b7e5a1c-7a3f-4a6e-9a52-6f1f0c2d3e4b".parse().unwrap()
    }

    fn nodes(&self) -> Vec<NodeName> {
        ["node1", "node2", "node3"].map(|name| name.parse().unwrap()).to_vec()
    }

    fn restarts_always(&self) -> bool {
        true
    }

    fn text(&self, variant: usize) -> String {
        format!("# {MARK}\npool {variant}.example.org\n")
    }

    fn questions(&self, _: &NodeName, _: usize) -> Questions {
        Questions {
            files: [CONFIGURATION, HOSTS].map(Into::into).into(),
            units: ["chrony.service".to_owned()].into(),
            ..Questions::default()
        }
    }

    fn plan(&self, texts: &Texts, inventory: &Inventory) -> Plan {
        let cluster = self.cluster();
        let newest = inventory.seen().filter_map(|(_, node)| node.generation.get().cloned().flatten());
        let newest = newest.max_by_key(|generation| generation.number);
        let mine = newest.as_ref().is_some_and(|newest| newest.digest == texts.digest);
        let number = newest.as_ref().map_or(0, |newest| newest.number) + u64::from(!mine);
        let derived =
            mine || newest.as_ref().is_none_or(|newest| texts.ancestors.iter().any(|old| old.digest == newest.digest));
        let lacks = inventory.seen().filter(|(_, node)| {
            node.generation.get().and_then(Option::as_ref).is_none_or(|kept| kept.number != number)
        });
        let on: Vec<_> = lacks.map(|(name, _)| name.clone()).collect();
        let refusals = if derived { Vec::new() } else { vec![overtaken(newest)] };
        let mut steps = Vec::new();
        for (name, node) in inventory.seen() {
            let mut step = |what: &str, ops: Vec<Op>, after: Option<&str>| {
                let id = |what: &str| StepId { layer: Layer::Host, node: name.clone(), what: what.to_owned() };
                let after: BTreeSet<_> = after.map(id).into_iter().collect();
                let (why, title) = (Vec::new(), what.to_owned());
                steps.push(Step {
                    id: id(what),
                    title,
                    why,
                    ops,
                    after,
                    basis: Vec::new(),
                    destroys: Vec::new(),
                    guard: None,
                    beside: None,
                });
            };
            let run = |program: Program, words: &[&str]| Op::Run(program.command().args(words.iter().copied()));
            let systemctl = |words: &[&str]| run(Program::Systemctl, words);
            if matches!(&node.stamp, Known::Is(None)) {
                let stamp = Stamp { cluster, node: name.clone() };
                let text = serde_json::to_string(&stamp).unwrap();
                step("stamp", vec![write("/var/lib/stead/stamp.json", &text)], None);
            }
            let packages = node.packages.get().unwrap();
            let installed = packages.get("chrony").is_some_and(|package| package.state == PackageState::Installed);
            let broken = packages.values().any(|package| package.state == PackageState::Broken);
            if !installed || broken {
                let mut ops = vec![
                    run(Program::AptGet, &["update", "-o", "Acquire::Check-Date=false"]),
                    run(Program::AptGet, &["install", "-y", "chrony"]),
                ];
                if broken && self.mistake != Mistake::NoConfigure {
                    ops.insert(0, run(Program::Dpkg, &["--configure", "-a"]));
                }
                step("packages", ops, None);
            }
            let unit = &node.units.get().unwrap()["chrony.service"];
            let text = |path: &str| match node.files.get(camino::Utf8Path::new(path)) {
                Some(Known::Is(FileState::File(file))) => file.text.clone().unwrap_or_default(),
                _ => String::new(),
            };
            let runs = unit.enablement == Enablement::Enabled && unit.activity == Activity::Active;
            if text(CONFIGURATION) != texts.text || !runs || !installed {
                let mut ops = vec![
                    systemctl(&["unmask", "chrony.service"]),
                    systemctl(&["stop", "chrony.service"]),
                    write(CONFIGURATION, &texts.text),
                    systemctl(&["enable", "--now", "chrony.service"]),
                ];
                if self.mistake == Mistake::RestartsLast {
                    ops.remove(1);
                    ops.push(systemctl(&["restart", "chrony.service"]));
                }
                step("time", ops, Some("packages"));
            }
            if self.mistake == Mistake::TakesHosts && !text(HOSTS).contains(MARK) {
                let block = format!("# {MARK}\n");
                let ops = vec![write("/etc/hosts", &block), write("/var/lib/stead/before/etc/hosts", &block)];
                step("hosts", ops, None);
            }
        }
        Plan {
            schema_version: SCHEMA_VERSION,
            cluster,
            name: "home".parse().unwrap(),
            observed_at: inventory.observed_at,
            keep: (!on.is_empty()).then(|| Keep { number, digest: texts.digest.clone(), on }),
            steps,
            leftovers: Vec::new(),
            refusals,
            notes: Vec::new(),
            unknown: inventory.silent().map(|(node, why)| unknown(node, why)).collect(),
        }
    }
}

fn overtaken(overtaken_by: Option<stead_plan::generation::Generation>) -> Refusal {
    Refusal { node: None, why: "overtaken".to_owned(), way: "adopt".to_owned(), overtaken_by }
}

fn unknown(node: &NodeName, why: &str) -> stead_plan::plan::Unknown {
    stead_plan::plan::Unknown { node: node.clone(), why: why.to_owned() }
}

fn write(path: &str, text: &str) -> Op {
    Op::Write(Write::new(path, Mode(0o644), text))
}
