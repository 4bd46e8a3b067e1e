//! Who answers names for the node.

use std::fmt::Write as _;

use super::layout::Layout;
use crate::inventory::{FileState, Questions};
use crate::plan::planner::{Hidden, Managed, NodePlan, header, state};

const FILE: &str = "/etc/resolv.conf";

/// So many the C library asks (resolv.conf(5)).
const MOST: usize = 3;

pub(super) fn questions(out: &mut Questions) {
    out.files.insert(FILE.into());
}

/// Those of the networks that it has addresses in. Where a program makes the file and a link leads there, it is that
/// program's: systemd-resolved has them from systemd-networkd.
pub(super) fn resolver(plan: &mut NodePlan<'_, '_>, layout: &Layout<'_>) -> Result<(), Hidden> {
    let servers: Vec<_> = layout.ends.iter().flat_map(|end| &end.network.dns).collect();
    if servers.is_empty() {
        return Ok(());
    }
    if let FileState::Link(target) = state(plan.seen, FILE)? {
        if !target.as_str().contains("systemd/resolve") {
            plan.note(format!("{FILE} is a link to {target}: what is asked there, stead doesn't know"));
        }
        return Ok(());
    }
    let mut text = header("#");
    let _ = writeln!(text, "search {}", plan.spec.cluster().domain);
    for server in servers.into_iter().take(MOST) {
        let _ = writeln!(text, "nameserver {server}");
    }
    let mut step = plan.draft("resolver", "ask the file's servers for names");
    step.file(&Managed::new(FILE, text))?;
    step.after(super::devices::STEP);
    plan.add(step);
    Ok(())
}
