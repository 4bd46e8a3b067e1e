//! What a change must look like, whatever it does.

use anyhow::Result;

use crate::workspace::Workspace;
use crate::{invariants, tools};

/// Checks format, clippy, licences and invariants; stops at the first that isn't well.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    workspace.cargo().args(["fmt", "--all", "--check"]).run()?;
    invariants::run(workspace)?;
    let clippy = ["clippy", "--workspace", "--all-targets", "--quiet", "--", "-D", "warnings"];
    workspace.cargo().args(clippy).run()?;
    tools::DENY.ensure()?;
    workspace.cargo().args(["deny", "--log-level", "error", "check", "licenses", "sources", "bans"]).run()
}
