//! What starts, stops and moves machines for pacemaker: `ocf:stead:machine`, a script (`agent.sh`).

use stead_spec::Spec;

use crate::inventory::{Mode, Questions};
use crate::plan::planner::{Hidden, Managed, NodePlan, header};

pub(super) const PROVIDER: &str = "stead";
pub(super) const NAME: &str = "machine";

const FOLDER: &str = "/usr/lib/ocf/resource.d/stead";
const FILE: &str = "/usr/lib/ocf/resource.d/stead/machine";

pub(super) const STEP: &str = "agent";

/// How much longer than a machine's own time to stop pacemaker waits until it resets the node, in seconds; times the
/// patience.
pub(super) const SPARE: u64 = 60;

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([FOLDER, FILE].map(Into::into));
}

pub(super) fn agent(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let mut step = plan.draft(STEP, "have pacemaker know how machines are started, stopped and moved");
    step.folder(FOLDER)?;
    step.file(&Managed { mode: Mode(0o755), ..Managed::new(FILE, script(plan.spec)) })?;
    step.after_packages();
    plan.add(step);
    Ok(())
}

fn script(spec: &Spec) -> String {
    let spare = SPARE * u64::from(spec.host().patience.get());
    include_str!("agent.sh").replace("# HEADER\n", &header("#")).replace("SPARE=60", &format!("SPARE={spare}"))
}
