//! What resets a node that has lost the others, or itself: a watchdog.

use crate::inventory::{NodeInventory, Questions, Watchdog};
use crate::op::Program;
use crate::plan::planner::{Hidden, Managed, NodePlan, header};
use crate::step::About;

/// What Linux calls the watchdog that is a timer of its own (`drivers/watchdog/softdog.c`).
const OF_THE_KERNEL: &str = "Software Watchdog";

/// The module that has it, and the file that has it loaded at boot.
const MODULE: &str = "softdog";
const LOADED: &str = "/etc/modules-load.d/stead-watchdog.conf";

pub(super) const STEP: &str = "watchdog";

pub(super) fn questions(out: &mut Questions) {
    out.files.insert(LOADED.into());
}

/// A node that has no watchdog of hardware gets the kernel's own.
pub(super) fn watchdog(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let seen = seen(plan)?;
    if hardware(seen).is_some() {
        return Ok(());
    }
    let mut step =
        plan.draft(STEP, "have the kernel's own watchdog: it has none of hardware, which a dead kernel can't stop");
    step.file(&Managed::new(LOADED, header("#") + MODULE + "\n"))?;
    if seen.is_empty() {
        step.rests_on(About::Watchdogs)?;
        step.why("there is no watchdog");
        step.run(Program::Modprobe.command().args([MODULE]));
    }
    plan.add(step);
    Ok(())
}

/// The device of the one that is used, which this layer's steps may still have to make.
pub(super) fn device(plan: &NodePlan<'_, '_>) -> Result<String, Hidden> {
    let name = hardware(seen(plan)?).map_or("watchdog0", |watchdog| &watchdog.name);
    Ok(format!("/dev/{name}"))
}

/// What Linux calls the one that is used.
pub(crate) fn identity(seen: &NodeInventory) -> Result<&str, Hidden> {
    let known = seen.watchdogs.as_result().map_err(|why| Hidden::new("which watchdogs there are", why))?;
    Ok(hardware(known).map_or(OF_THE_KERNEL, |watchdog| &watchdog.identity))
}

fn seen<'a>(plan: &NodePlan<'_, 'a>) -> Result<&'a [Watchdog], Hidden> {
    plan.seen.watchdogs.as_result().map(Vec::as_slice).map_err(|why| Hidden::new("which watchdogs there are", why))
}

fn hardware(all: &[Watchdog]) -> Option<&Watchdog> {
    all.iter().find(|watchdog| watchdog.identity != OF_THE_KERNEL)
}
