//! The kernel's settings: in a file for the next boot, and now.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use super::planner::{Hidden, Managed, NodePlan, header};
use crate::inventory::Questions;
use crate::op::Program;
use crate::step::{About, words};

pub(crate) fn questions<'k>(file: &str, keys: impl Iterator<Item = &'k String>, out: &mut Questions) {
    out.files.insert(file.into());
    out.folders.insert("/etc/sysctl.d".into());
    out.sysctl.extend(keys.cloned());
}

/// A step of that name and title that writes them into this file, and into the kernel.
pub(crate) fn settings(
    plan: &mut NodePlan<'_, '_>,
    name: &str,
    title: &str,
    file: &str,
    asked: &BTreeMap<String, String>,
) -> Result<(), Hidden> {
    if asked.is_empty() {
        return Ok(());
    }
    let mut text = header("#");
    let mut step = plan.draft(name, title);
    let mut load = false;
    for (key, value) in asked {
        let about = About::Sysctl(key.clone());
        let now = plan.seen.sysctl.get(key).ok_or_else(|| Hidden::new(about.to_string(), "it was not asked"))?;
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
    load |= step.file(&Managed::new(file, text))?;
    if load {
        step.run(Program::Sysctl.command().args([format!("--load={file}")]));
    }
    plan.add(step);
    Ok(())
}
