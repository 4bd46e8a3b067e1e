//! What the kernel does with packets of several ways.

use std::collections::BTreeMap;

use stead_spec::Spec;

use crate::inventory::Questions;
use crate::plan::planner::{Hidden, NodePlan};
use crate::plan::settings;

const FILE: &str = "/etc/sysctl.d/91-stead-network.conf";

const SETTINGS: [(&str, &str); 5] = [
    // A node may be the way from one to another.
    ("net.ipv4.ip_forward", "1"),
    // What comes in by one NIC may be answered by another.
    ("net.ipv4.conf.all.rp_filter", "2"),
    ("net.ipv4.conf.default.rp_filter", "2"),
    // Over equal ways, each connection goes by one of those that answer.
    ("net.ipv4.fib_multipath_hash_policy", "1"),
    ("net.ipv4.fib_multipath_use_neigh", "1"),
];

pub(super) fn questions(spec: &Spec, out: &mut Questions) {
    settings::questions(FILE, wanted(spec).keys(), out);
}

pub(super) fn sysctl(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    settings::settings(plan, "sysctl", "let packets of the core take every way", FILE, &wanted(plan.spec))
}

/// But for what the file itself sets.
fn wanted(spec: &Spec) -> BTreeMap<String, String> {
    let own = &spec.host().sysctl;
    let others = SETTINGS.into_iter().filter(|(key, _)| own.keys().all(|own| own.as_str() != *key));
    others.map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}
