//! What stead made once and the file doesn't ask for any more. It stays, and the plan says how it would go.

use stead_spec::words::quote;

use crate::MARK;
use crate::inventory::{FileState, Questions};
use crate::plan::planner::NodePlan;
use crate::plan::questions;

use super::admins::KEYS;

/// Files with stead's mark in the folders of this layer that nobody asked about.
pub(super) fn leftovers(plan: &mut NodePlan<'_, '_>) {
    let asked = questions(plan.spec, &plan.node.name);
    let mut own = Questions::default();
    super::questions(plan.spec, plan.node, &mut own);
    for (path, state) in &plan.seen.files {
        let here = path.parent().is_some_and(|folder| own.folders.contains(folder));
        if asked.files.contains(path) || !here {
            continue;
        }
        let Ok(FileState::File(file)) = state.as_result() else { continue };
        // What others may not read, the node has found marked itself.
        if file.text.as_deref().is_some_and(|text| !text.lines().next().is_some_and(|line| line.contains(MARK))) {
            continue;
        }
        let what = match path.strip_prefix(KEYS) {
            Ok(name) => format!("{path}: keys of {name}, who is no admin of the file's"),
            Err(_) => path.to_string(),
        };
        plan.leftover(what, format!("rm {}", quote(path.as_str())));
    }
}
