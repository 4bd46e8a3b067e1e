//! Who decides where machines run, as pacemaker on this node knows it: its CIB, in XML.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};
use stead_plan::machines::Membership;
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
    let pair = |pair: Node<'_, '_>| Some((pair.attribute("name")?.to_owned(), pair.attribute("value")?.to_owned()));
    let set = cib.descendants().filter(|node| node.has_tag_name("cluster_property_set"));
    let pairs = set.flat_map(|set| set.children()).filter(|node| node.has_tag_name("nvpair"));
    let known = cib.descendants().filter(|node| node.has_tag_name("node"));
    let known = known.filter_map(|node| Some((node.attribute("uname")?.to_owned(), false)));
    let mut members: BTreeMap<String, bool> = known.collect();
    for state in cib.descendants().filter(|node| node.has_tag_name("node_state")) {
        if let Some(name) = state.attribute("uname") {
            members.insert(name.to_owned(), is_there(state));
        }
    }
    Ok(Membership {
        quorate: cib.attribute("have-quorum") == Some("1"),
        members,
        properties: pairs.filter_map(pair).collect(),
    })
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
