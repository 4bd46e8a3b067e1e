//! Who decides where machines run, as pacemaker on this node knows it: its CIB, in XML.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};
use stead_plan::machines::{Attributes, Membership};
use stead_plan::op::{Command, Program};

/// What pacemaker's programs say where it doesn't run.
pub(super) const NOT_RUNNING: &str = "Could not connect to the CIB";

pub(super) fn command() -> Command {
    Program::Cibadmin.command().args(["--query"])
}

/// What `cibadmin --query` printed.
pub(super) fn parse(text: &str) -> Result<Membership, String> {
    let document = Document::parse(text).map_err(|error| format!("pacemaker printed no XML: {error}"))?;
    let cib = document.root_element();
    if !cib.has_tag_name("cib") {
        return Err("pacemaker printed something else than its CIB".to_owned());
    }
    let sets = cib.descendants().filter(|node| node.has_tag_name("cluster_property_set"));
    let constraints = cib.descendants().filter(|node| node.has_tag_name("constraints"));
    let known = cib.descendants().filter(|node| node.has_tag_name("node"));
    let known = known.filter_map(|node| Some((node.attribute("uname")?.to_owned(), false)));
    let mut members: BTreeMap<String, bool> = known.collect();
    for state in cib.descendants().filter(|node| node.has_tag_name("node_state")) {
        if let Some(name) = state.attribute("uname") {
            members.insert(name.to_owned(), is_there(state));
        }
    }
    let attributes = |name: &'static str| {
        let nodes = cib.descendants().filter(|node| node.has_tag_name("node"));
        nodes.filter_map(move |node| noted(node, name))
    };
    Ok(Membership {
        quorate: cib.attribute("have-quorum") == Some("1"),
        members,
        drained: attributes("standby").filter(|(_, value)| is_on(value)).map(|(node, _)| node).collect(),
        tested: attributes("stead-watchdog").collect(),
        properties: sets.flat_map(pairs).collect(),
        resources: cib.descendants().filter(|node| node.has_tag_name("primitive")).filter_map(resource).collect(),
        constraints: constraints.flat_map(|all| all.children()).filter_map(constraint).collect(),
    })
}

/// What is noted of nodes by this name.
fn noted(node: Node<'_, '_>, name: &str) -> Option<(String, String)> {
    let mut sets = node.children().filter(|child| child.has_tag_name("instance_attributes")).flat_map(pairs);
    let (_, value) = sets.find(|(key, _)| key == name)?;
    Some((node.attribute("uname")?.to_owned(), value))
}

fn is_on(value: &str) -> bool {
    ["on", "true", "yes", "1"].contains(&value)
}

/// Something that pacemaker starts and stops.
fn resource(of: Node<'_, '_>) -> Option<(String, Attributes)> {
    let mut all = own(of);
    let name = all.remove("id")?;
    for set in of.children() {
        match set.tag_name().name() {
            "meta_attributes" => all.extend(pairs(set).map(|(key, value)| (format!("meta.{key}"), value))),
            "operations" => {
                for operation in set.children().filter(|node| node.has_tag_name("op")) {
                    let mut own = own(operation);
                    let Some(name) = own.remove("name") else { continue };
                    own.remove("id");
                    all.extend(own.into_iter().map(|(key, value)| (format!("op.{name}.{key}"), value)));
                }
            }
            _ => {}
        }
    }
    Some((name, all))
}

/// Where something runs, after what, or apart from what.
fn constraint(of: Node<'_, '_>) -> Option<(String, Attributes)> {
    let mut all = own(of);
    let name = all.remove("id")?;
    all.insert("element".to_owned(), of.tag_name().name().to_owned());
    Some((name, all))
}

fn own(of: Node<'_, '_>) -> Attributes {
    of.attributes().map(|attribute| (attribute.name().to_owned(), attribute.value().to_owned())).collect()
}

fn pairs<'a>(set: Node<'a, 'a>) -> impl Iterator<Item = (String, String)> + 'a {
    let all = set.children().filter(|node| node.has_tag_name("nvpair"));
    all.filter_map(|pair| Some((pair.attribute("name")?.to_owned(), pair.attribute("value")?.to_owned())))
}

/// Whether a node is in corosync's membership, and its pacemaker takes part. Up to feature set 3.17 that is said in words;
/// since then it is the time since when, or 0 (`crm_feature_set`; Debian 12 has 3.16, Debian 13 has 3.20).
fn is_there(state: Node<'_, '_>) -> bool {
    let says = |key| !matches!(state.attribute(key).unwrap_or("0"), "0" | "false" | "offline");
    says("in_ccm") && says("crmd") && state.attribute("join") == Some("member")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends there")]

    use super::*;

    #[test]
    fn it_is_told_who_is_there() {
        let told = parse(include_str!("../../tests/fixtures/trixie/cib.xml")).unwrap();
        assert!(told.quorate);
        let there: Vec<_> = told.members.iter().map(|(name, there)| (name.as_str(), *there)).collect();
        assert_eq!(there, [("node1", true), ("node2", true), ("node3", false)]);
        assert_eq!(told.properties["stonith-enabled"], "true");
    }

    #[test]
    fn what_is_no_cib_is_said() {
        assert!(parse("<crm_mon/>").is_err() && parse("Connection refused").is_err());
    }
}
