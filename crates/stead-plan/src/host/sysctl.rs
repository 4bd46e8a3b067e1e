//! What the file asks of the kernel.

use std::collections::BTreeMap;

use stead_spec::Spec;

use crate::inventory::Questions;
use crate::plan::planner::{Hidden, NodePlan};
use crate::plan::settings;

const FILE: &str = "/etc/sysctl.d/90-stead.conf";

pub(super) fn questions(spec: &Spec, out: &mut Questions) {
    let asked = asked(spec);
    if asked.is_empty() {
        // So that what was asked before is seen to be left over.
        out.folders.insert("/etc/sysctl.d".into());
    } else {
        settings::questions(FILE, asked.keys(), out);
    }
}

pub(super) fn sysctl(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    settings::settings(plan, "sysctl", "set what the file asks of the kernel", FILE, &asked(plan.spec))
}

fn asked(spec: &Spec) -> BTreeMap<String, String> {
    spec.host().sysctl.iter().map(|(key, value)| (key.to_string(), value.clone())).collect()
}
