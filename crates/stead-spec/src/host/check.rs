use std::collections::BTreeMap;

use super::table::NodeTable;
use crate::check::{Claim, Findings, claimed_once, listed_once, refer, renames};
use crate::diagnostic::{Code, Diagnostic};
use crate::file::File;
use crate::network::{CORE, Origin};
use crate::read::{At, Field};
use crate::units::{NodeName, Number, PublicKey};
use crate::words::count;

pub(crate) fn check(file: &File, out: &mut Findings) {
    domain(file, out);
    members(file, out);
    numbers(file, out);
    admins(file, out);
    ssh(file, out);
    host(file, out);
    renames("node", &file.node, |table| &table.was, out);
}

/// A node's number: the one it says, else the one that its name ends in.
pub(crate) fn node_number(name: &NodeName, table: &NodeTable) -> Option<Number> {
    table.number.maybe()?.or_else(|| number_in(name.as_ref()))
}

/// The number that a name ends in: 3 of `node3`.
pub(crate) fn number_in(name: &str) -> Option<Number> {
    let digits = name.len() - name.trim_end_matches(|c: char| c.is_ascii_digit()).len();
    let number = name[name.len() - digits..].parse().ok()?;
    Number::new(number).ok()
}

/// `NODE.core` is a node's name in the core.
fn domain(file: &File, out: &mut Findings) {
    let domain = file.cluster.value().and_then(|cluster| cluster.domain.get());
    if let Some(domain) = domain.filter(|domain| domain.value.as_ref() == CORE) {
        let reason = "a node's name would be its name in the core";
        let remedy = "write another domain, such as \"home.arpa\"";
        out.push(Diagnostic::new(Code::BadValue, &domain.span, format!("the domain `{CORE}`"), reason, remedy));
    }
}

/// Of fewer, no majority is left when one dies.
pub(crate) const LEAST_NODES: usize = 3;

/// An odd number of nodes, and three at least: of two, neither can tell a dead peer from a cut cable, and of four, two
/// and two stop together.
fn members(file: &File, out: &mut Findings) {
    let Some(nodes) = file.node.get().filter(|nodes| nodes.value.whole) else { return };
    let number = nodes.value.entries.len();
    let are = count(number, "node");
    let span = nodes.value.entries.last().map_or(&nodes.span, |(name, _)| &name.span);
    if number < LEAST_NODES {
        let message = format!("a cluster of {are}");
        let reason = "three are needed, so that two can agree that one is dead";
        let remedy = "add nodes; a small computer will do as third, with `arbiter = true`";
        out.push(Diagnostic::new(Code::TooFewNodes, span, message, reason, remedy));
    } else if number.is_multiple_of(2) {
        let message = format!("a cluster of {are} has no majority when it falls in two halves");
        let reason = format!("with {number}, neither half may go on");
        let remedy = "add one more; a small computer will do, with `arbiter = true`: it votes and keeps no copies";
        out.push(Diagnostic::new(Code::EvenNodes, span, message, reason, remedy));
    }
}

fn numbers(file: &File, out: &mut Findings) {
    let mut claims = Vec::new();
    for (name, table) in file.node.entries() {
        let said = table.value.number.get().map_or(&name.span, |number| &number.span);
        let number = node_number(&name.value, &table.value);
        if let Some(changes) = renumbered("node", name, &table.value.number, &table.value.was) {
            out.push(changes);
        } else if let Some(number) = number {
            claims.push(Claim::new(number, said, format!("node `{}`", name.value)));
        } else if table.value.number.is_missing() {
            out.push(no_number("node", name));
        }
    }
    let remedy = "write another one as `number = …`; never one that a node had before";
    claimed_once(claims, Code::NumberTwice, "the number", remedy, out);
}

/// A number is part of addresses: it stays when the name changes.
pub(crate) fn renumbered<N: AsRef<str> + std::fmt::Display>(
    kind: &str,
    name: &At<N>,
    number: &Field<Number>,
    was: &Field<N>,
) -> Option<Diagnostic> {
    let was = was.get().filter(|_| number.is_missing())?;
    let before = number_in(was.value.as_ref())?;
    let now = number_in(name.value.as_ref());
    if now == Some(before) {
        return None;
    }
    let message = format!("renaming {kind} `{}` to `{}` would change its number", was.value, name.value);
    let reason = match now {
        Some(now) => format!("it was {before}, and its name ends in {now} now"),
        None => format!("it was {before}, and its name has none now"),
    };
    let remedy = format!("write `number = {before}`, so that its addresses stay");
    Some(Diagnostic::new(Code::NumberChanges, &name.span, message, reason, remedy).and(&was.span, "its name before"))
}

/// Nothing says the number of this node or switch.
pub(crate) fn no_number(kind: &str, name: &At<impl std::fmt::Display>) -> Diagnostic {
    let message = format!("{kind} `{}` has no number", name.value);
    let remedy = "write `number = 1`, or another from 1 to 254 that no other one has";
    Diagnostic::new(Code::MissingKey, &name.span, message, "its name doesn't end in a number from 1 to 254", remedy)
}

fn admins(file: &File, out: &mut Findings) {
    let mut owners: Vec<(&PublicKey, String, &At<PublicKey>)> = Vec::new();
    for (name, table) in file.admin.entries() {
        for key in table.value.keys.items() {
            let who = format!("admin `{}`", name.value);
            if let Some((_, owner, first)) = owners.iter().find(|(other, ..)| other.same_key(&key.value)) {
                let message = format!("{owner} and {who} have the same key");
                let remedy = "give each their own: a shared key can't be taken from one of them";
                let twice = Diagnostic::new(Code::ListedTwice, &key.span, message, "the same key", remedy);
                out.push(twice.and(&first.span, "first here"));
            } else {
                owners.push((&key.value, who, key));
            }
        }
        let Some(keys) = table.value.keys.get().filter(|keys| keys.value.whole) else { continue };
        if !keys.value.items.iter().any(|key| key.value.logs_in()) {
            let message = format!("no key lets admin `{}` in", name.value);
            let remedy = "add an ssh-ed25519 key: `cat ~/.ssh/id_ed25519.pub` shows yours, `ssh-keygen` makes one";
            out.push(Diagnostic::new(Code::AdminWithoutLogin, &keys.span, message, "no ssh key among these", remedy));
        }
    }
    if let Some(none) = file.admin.get().filter(|admins| admins.value.entries.is_empty() && admins.value.whole) {
        let remedy = "add `[admin.NAME]` with `keys = [\"ssh-ed25519 …\"]`";
        out.push(Diagnostic::new(Code::MissingKey, &none.span, "the file has no admin", "nobody is let in", remedy));
    }
}

/// Each node at a place of its own, and at the address that the file gives it.
fn ssh(file: &File, out: &mut Findings) {
    let targets = file.node.entries().filter_map(|(name, table)| {
        let target = table.value.ssh.get()?;
        let place = format!("{}:{}", target.value.host(), target.value.port().unwrap_or(22));
        Some(Claim::new(place, &target.span, format!("node `{}`", name.value)))
    });
    let remedy = "write where ssh reaches each of them";
    claimed_once(targets, Code::SshTwice, "the place for ssh", remedy, out);
    for (name, table) in file.node.entries() {
        let Some(target) = table.value.ssh.get() else { continue };
        let Ok(asked) = target.value.host().parse::<std::net::Ipv4Addr>() else { continue };
        for (network, entry) in file.network.entries() {
            let Some(given) = entry.value.addresses.find(&name.value).map(|(_, address)| address) else { continue };
            let of_network = |address| entry.value.subnet.value().is_some_and(|subnet| subnet.is_host(address));
            if of_network(asked) && of_network(given.value.get()) && given.value.get() != asked {
                let message =
                    format!("ssh goes to {asked}, and `{}` gives `{}` {}", network.value, name.value, given.value);
                let remedy = "write the same address in both places, once the node has it";
                let elsewhere = Diagnostic::new(Code::SshElsewhere, &target.span, message, "another address", remedy);
                out.push(elsewhere.and(&given.span, "the address it is given"));
            }
        }
    }
}

fn host(file: &File, out: &mut Findings) {
    let Some(table) = file.host.value() else { return };
    listed_once(&table.ssh_from, out);
    listed_once(&table.ntp, out);
    listed_once(&table.packages, out);
    for origin in table.ssh_from.items() {
        if let Origin::Network(name) = &origin.value {
            refer(&At { value: name.clone(), span: origin.span.clone() }, "network", &file.network, out);
        }
    }
    if let Some(list) = table.ssh_from.get().filter(|list| list.value.items.is_empty() && list.value.whole) {
        let message = "no ssh from anywhere";
        let remedy = "name a network, such as `ssh_from = [\"lan\"]`, or leave `ssh_from` out";
        out.push(Diagnostic::new(Code::NoWayIn, &list.span, message, "nobody would get in, nor stead", remedy));
    }
    for (key, value) in table.sysctl.entries() {
        if value.value.is_empty() || value.value.chars().any(char::is_control) {
            let message = format!("`{}` has no value that fits on a line", key.value);
            out.push(Diagnostic::new(
                Code::BadValue,
                &value.span,
                message,
                "empty, or more than a line",
                "write one line",
            ));
        }
    }
}

/// The names that the cluster's domain gives out, each once.
pub(crate) fn names(file: &File, out: &mut Findings) {
    let nodes = file.node.entries().map(|(name, _)| Claim::new(name.value.to_string(), &name.span, "a node"));
    let machines = file.machine.entries().map(|(name, _)| Claim::new(name.value.to_string(), &name.span, "a machine"));
    let router = file.router.value();
    let hosts = router.into_iter().flat_map(|router| router.host.entries());
    let hosts = hosts.map(|(name, _)| Claim::new(name.value.to_string(), &name.span, "a host of the router"));
    // A rule of the router's names networks and computers alike.
    let networks = file.network.entries().map(|(name, _)| Claim::new(name.value.to_string(), &name.span, "a network"));
    let mut owners = BTreeMap::new();
    for claim in networks.chain(nodes).chain(machines).chain(hosts) {
        if let Some(first) = owners.get(&claim.value) {
            let Claim { span, who, .. }: &Claim<String> = first;
            let message = format!("`{}` is {who} and {}", claim.value, claim.who);
            let twice = Diagnostic::new(
                Code::NameTwice,
                &claim.span,
                message,
                "a name leads to one thing",
                "give one of them another name",
            );
            out.push(twice.and(span, format!("{who} has it")));
        } else {
            owners.insert(claim.value.clone(), claim);
        }
    }
}
