//! Whose node it is, what it is called, and what the others are called.

use std::fmt::Write as _;

use stead_spec::Spec;

use super::addresses::Addresses;
use crate::generation::Stamp;
use crate::inventory::{Mode, Questions};
use crate::op::{Op, Program, Write};
use crate::plan::Block;
use crate::plan::planner::{Hidden, NodePlan, STAMP};
use crate::step::About;

const HOSTS: &str = "/etc/hosts";
const OWN: &str = "/var/lib/stead";
const BEFORE: &str = "/var/lib/stead/before";
const STAMP_FILE: &str = "/var/lib/stead/stamp.json";
const NODES: Block = Block("nodes");

/// Where Debian's installer writes a node's own name. Engines that ask for their own address there would serve only
/// themselves.
const LOOPBACK: &str = "127.0.1.1";

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([HOSTS, OWN, BEFORE].map(Into::into));
}

/// Stead's own folders, and in them whose node this is. Who may look into the second folder may read what other files
/// were, whatever their permissions.
pub(super) fn stamp(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let cluster = plan.spec.cluster();
    let stamp = Stamp { cluster: cluster.id, node: plan.node.name.clone() };
    let is = plan.seen.stamp.as_result().map_err(|why| Hidden::new("whose node it is", why))?;
    let title = if is.as_ref() == Some(&stamp) {
        "put stead's own folders right".to_owned()
    } else {
        format!("stamp it as {} of {}", stamp.node, cluster.name)
    };
    let mut step = plan.draft(STAMP, title);
    step.own_folder(OWN, Mode(0o755))?;
    step.own_folder(BEFORE, Mode(0o700))?;
    if is.as_ref() != Some(&stamp) {
        step.rests_on(About::Stamp)?;
        step.why(match is {
            None => "it is nobody's yet".to_owned(),
            Some(before) => format!("it was {}, and was renamed", before.node),
        });
        let text = serde_json::to_string(&stamp).map_err(|error| Hidden::new("its stamp", error.to_string()))?;
        step.op(Op::Write(Write::new(STAMP_FILE, Mode(0o644), text + "\n")));
    }
    plan.add(step);
    Ok(())
}

pub(super) fn hostname(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let is = plan.seen.hostname.as_result().map_err(|why| Hidden::new("its hostname", why))?;
    let name = plan.node.name.as_ref();
    if is != name {
        let mut step = plan.draft("hostname", format!("call it {name}"));
        step.rests_on(About::Hostname)?;
        step.why(format!("its hostname is {is}"));
        step.run(Program::Hostnamectl.command().args(["hostname", name]));
        // sudo and others look their own name up.
        step.after("hosts");
        plan.add(step);
    }
    Ok(())
}

pub(super) fn timezone(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let is = plan.seen.timezone.as_result().map_err(|why| Hidden::new("its time zone", why))?;
    let zone = plan.spec.cluster().timezone.as_str();
    if is != zone {
        let mut step = plan.draft("timezone", format!("set the time zone {zone}"));
        step.rests_on(About::Timezone)?;
        step.why(format!("its time zone is {is}"));
        step.run(Program::Timedatectl.command().args(["set-timezone", zone]));
        step.after("packages");
        plan.add(step);
    }
    Ok(())
}

/// The nodes' names, outside of the core and in it.
pub(super) fn hosts_lines(spec: &Spec, addresses: &Addresses) -> String {
    let domain = &spec.cluster().domain;
    let mut lines = String::new();
    for node in spec.nodes().values() {
        let name = &node.name;
        if let Some(address) = addresses.of(name) {
            let _ = writeln!(lines, "{} {name}.{domain} {name}", address.address());
        }
        let _ = writeln!(lines, "{} {name}.core", node.core);
    }
    lines
}

pub(super) fn hosts(plan: &mut NodePlan<'_, '_>, lines: &str) -> Result<(), Hidden> {
    let file = plan.users_file(HOSTS)?;
    let hostname = plan.seen.hostname.as_result().map_err(|why| Hidden::new("its hostname", why))?;
    let text = without_loopback(&file.text, &[hostname, plan.node.name.as_ref()]);
    let text = NODES.put(&text, lines).map_err(|why| Hidden::new(HOSTS, why))?;
    let mut step = plan.draft("hosts", "name the nodes in /etc/hosts");
    step.file(&file.with(text))?;
    plan.add(step);
    Ok(())
}

/// Without these names, and those that go on from them with a dot, where they lead to the node itself.
fn without_loopback(text: &str, names: &[&str]) -> String {
    let mut kept = String::with_capacity(text.len());
    for line in text.split_inclusive('\n') {
        let (said, comment) = line.find('#').map_or((line, ""), |at| line.split_at(at));
        let mut words = said.split_whitespace();
        let is_own = |word: &&str| {
            names
                .iter()
                .any(|name| word.strip_prefix(name).is_some_and(|rest| rest.is_empty() || rest.starts_with('.')))
        };
        let own = words.next() == Some(LOOPBACK) && words.clone().any(|word| is_own(&word));
        if !own {
            kept.push_str(line);
            continue;
        }
        let others: Vec<&str> = words.filter(|word| !is_own(word)).collect();
        if !others.is_empty() {
            let end = if comment.is_empty() { "\n" } else { comment };
            let _ = write!(kept, "{LOOPBACK} {}{}{end}", others.join(" "), if comment.is_empty() { "" } else { " " });
        }
    }
    kept
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_nodes_own_name_leads_to_no_loopback() {
        for (line, left) in [
            ("127.0.1.1\tnode1\n", ""),
            ("127.0.1.1 debian.example.org debian\n", ""),
            ("  127.0.1.1 node1.home.arpa printer # mine\n", "127.0.1.1 printer # mine\n"),
            ("127.0.1.1 node1 printer", "127.0.1.1 printer\n"),
            ("127.0.1.1 node12\n", "127.0.1.1 node12\n"),
            ("127.0.0.1 localhost node1\n", "127.0.0.1 localhost node1\n"),
            ("# 127.0.1.1 node1\n", "# 127.0.1.1 node1\n"),
            ("192.0.2.1 node1\n", "192.0.2.1 node1\n"),
        ] {
            assert_eq!(without_loopback(line, &["debian", "node1"]), left, "{line}");
        }
    }
}
