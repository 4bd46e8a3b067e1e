//! What `stead keys explain` says of policies, and that it is what the policies do.
#![allow(clippy::unwrap_used, reason = "a test ends there")]

use std::collections::BTreeSet;

use stead_plan::disks::unlock::{explain, ways};
use stead_spec::Spec;
use stead_spec::disks::{OutsideTang, Unlocker};

use support::spec;

#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it, and ends where that goes wrong")]
mod support;

const FIVE: &str = include_str!("../../../examples/five.toml");
const REFERENCE: &str = include_str!("../../../examples/reference.toml");

const A: &str = r#"{ tang = "http://192.168.0.2:7500", thumbprint = "BqYbrtS-LT51Z1noDpx3zMauni1vMB7JPTwBWGF3XcA" }"#;
const B: &str = r#"{ tang = "http://192.168.0.3:7500", thumbprint = "47Fc3-2eSe7DG3AwFvR4COSXESmxzOJTf3Bf6XcHh0o" }"#;

/// The example with five nodes, and this in `[unlock]`.
fn five(unlock: &str) -> Spec {
    let (before, rest) = FIVE.split_once("[unlock]\n").unwrap();
    let (_, after) = rest.split_once("\n\n").unwrap();
    let unlock = unlock.replace('A', "\u{1}").replace('B', "\u{2}").replace('\u{1}', A).replace('\u{2}', B);
    spec(format!("{before}[unlock]\n{unlock}\n\n{after}").as_bytes()).0
}

#[test]
fn ways_are_what_the_policy_does() {
    let nodes_too = r#"all = [{ any = "nodes" }, A]"#;
    let policies = [
        r#"any = "nodes""#,
        r#"all = "nodes""#,
        nodes_too,
        r#"all = [{ any = "nodes" }, { any = [A, B] }]"#,
        r#"any = [{ all = "nodes" }, { all = [A, B] }, { all = [{ any = "nodes" }, B] }]"#,
        r#"all = [A, { any = [A, { any = "nodes" }] }]"#,
    ];
    for policy in policies {
        let spec = five(policy);
        let names: Vec<_> = spec.nodes().keys().collect();
        let ways = ways(spec.unlock(), names.len());
        let tangs: Vec<&OutsideTang> =
            ways.iter().flat_map(|way| &way.tangs).collect::<BTreeSet<_>>().into_iter().collect();
        for node in &names {
            let lock = spec.lock(node);
            let others: Vec<_> = names.iter().filter(|other| other != &node).collect();
            for answer in 0..1_u32 << (others.len() + tangs.len()) {
                let answers = |unlocker: &Unlocker| {
                    let place = match unlocker {
                        Unlocker::Node(name) => others.iter().position(|other| **other == name),
                        Unlocker::Outside(tang) => {
                            tangs.iter().position(|other| *other == tang).map(|at| at + others.len())
                        }
                    };
                    place.is_some_and(|place| answer >> place & 1 == 1)
                };
                let answering = others.iter().filter(|name| answers(&Unlocker::Node((***name).clone()))).count();
                let by_ways = ways.iter().any(|way| {
                    way.others <= answering && way.tangs.iter().all(|tang| answers(&Unlocker::Outside(tang.clone())))
                });
                assert_eq!(by_ways, lock.opens(&answers), "{policy}: {node} with {answer:b}");
            }
        }
        for way in &ways {
            let mut less = ways.iter().filter(|other| *other != way);
            assert!(!less.any(|less| less.others <= way.others && less.tangs.is_subset(&way.tangs)), "{policy}");
        }
    }
}

fn said(spec: &Spec) -> String {
    explain(spec).render(&spec.cluster().name, &|_, text| text.to_owned())
}

#[test]
fn any_node() {
    insta::assert_snapshot!(said(&five(r#"any = "nodes""#)));
}

#[test]
fn a_node_and_a_tang() {
    insta::assert_snapshot!(said(&spec(REFERENCE.as_bytes()).0));
}

#[test]
fn a_node_and_one_of_two_tangs() {
    insta::assert_snapshot!(said(&spec(FIVE.as_bytes()).0));
}
