//! The kernel's settings: in a file for the next boot, and now.

use std::fmt::Write as _;

use stead_spec::Spec;

use crate::inventory::Questions;
use crate::op::Program;
use crate::plan::planner::{Hidden, Managed, NodePlan, header};
use crate::step::{About, words};

const FILE: &str = "/etc/sysctl.d/90-stead.conf";

pub(super) fn questions(spec: &Spec, out: &mut Questions) {
    if !spec.host().sysctl.is_empty() {
        out.files.insert(FILE.into());
    }
    out.folders.insert("/etc/sysctl.d".into());
    out.sysctl.extend(spec.host().sysctl.keys().map(ToString::to_string));
}

pub(super) fn sysctl(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let asked = &plan.spec.host().sysctl;
    if asked.is_empty() {
        return Ok(());
    }
    let mut text = header("#");
    let mut step = plan.draft("sysctl", "set what the file asks of the kernel");
    let mut load = false;
    for (key, value) in asked {
        let about = About::Sysctl(key.to_string());
        let now =
            plan.seen.sysctl.get(key.as_str()).ok_or_else(|| Hidden::new(about.to_string(), "it was not asked"))?;
        let now = now.as_result().map_err(|why| Hidden::new(about.to_string(), why))?;
        // A dash: where there is no such setting, the others are set all the same.
        let dash = if now.is_none() { "-" } else { "" };
        let _ = writeln!(text, "{dash}{key} = {value}");
        match now {
            None => plan.note(format!("its kernel has no setting {key} now")),
            Some(now) if words(now) != words(value) => {
                step.why(format!("{key} is {} and should be {}", words(now), words(value)));
                step.rests_on(about)?;
                load = true;
            }
            Some(_) => {}
        }
    }
    load |= step.file(&Managed::new(FILE, text))?;
    if load {
        step.run(Program::Sysctl.command().args([format!("--load={FILE}")]));
    }
    plan.add(step);
    Ok(())
}
