//! Files on volumes that are made once: beside their place, and put there as a whole. What is there is never made anew.

use camino::Utf8Path;
use stead_spec::units::Sha256;
use stead_spec::volumes::Volume;

use super::facts::DiskFile;
use crate::inventory::{self, Mode};
use crate::op::{Op, Program};
use crate::plan::planner::{Draft, Hidden, NodePlan, Planned, Planner};
use crate::step::{About, Layer};
use crate::volumes;

/// How long it may take to write one, in seconds: a large one to a slow disk.
pub(super) const COPY: u32 = 3_600;

/// Of the folders that they lie in: QEMU, who is nobody in particular, gets through to those that it may open.
const FOLDER: Mode = Mode(0o711);

/// What the nodes that could look know of one.
pub(super) enum Known<'a> {
    Is(&'a DiskFile),
    /// None of them has it; this one can make it.
    Absent(Planned<'a>),
}

/// What is known of one, by nodes on which its volume is mounted: elsewhere its file isn't seen though it is there. On a
/// volume that is made by this plan there is nothing yet, unless it `had` it.
pub(super) fn known<'a>(
    planner: &Planner<'_>,
    hosts: &[Planned<'a>],
    volume: &Volume,
    path: &str,
    had: bool,
) -> Result<Known<'a>, Hidden> {
    let mut unknown = None;
    let mut absent = None;
    for of in hosts.iter().filter(|of| volumes::is_mounted(of.seen, volume)) {
        match of.seen.hypervisor.disks.get(Utf8Path::new(path)).map(inventory::Known::as_result) {
            Some(Ok(Some(file))) => return Ok(Known::Is(file)),
            Some(Ok(None)) => absent = absent.or(Some(*of)),
            Some(Err(why)) => unknown = Some(why),
            None => unknown = Some("the node was not asked"),
        }
    }
    let made = |of: &&Planned<'_>| {
        let steps = volumes::steps(planner.spec, of.node, volume);
        !had && planner.plan.steps.iter().any(|step| steps.contains(&step.id))
    };
    match (unknown, absent.or_else(|| hosts.iter().find(made).copied())) {
        (Some(why), _) => Err(Hidden::new(path, why)),
        (None, Some(maker)) => Ok(Known::Absent(maker)),
        (None, None) => Err(Hidden::new(path, format!("{} is mounted on no node that answered", volume.name))),
    }
}

/// How much of a hash tells one from another that is named by what it is.
const SHORT: usize = 12;

/// A hash as part of a name.
pub(super) fn short(sum: &Sha256) -> String {
    let sum = sum.to_string();
    sum.get(..SHORT).unwrap_or(&sum).to_owned()
}

/// Has one be made where none of its nodes has it. `what` is told of it where that can't be seen.
pub(super) fn unless_there<'a>(
    planner: &mut Planner<'a>,
    own: &[Planned<'a>],
    (volume, path): (&Volume, &str),
    what: &str,
    make: impl FnOnce(&mut NodePlan<'_, 'a>) -> Result<(), Hidden>,
) {
    let Some(first) = own.first() else { return };
    let known = known(planner, own, volume, path, false);
    let maker = if let Ok(Known::Absent(maker)) = known { maker } else { *first };
    planner.on(Layer::Machines, maker).concern(what, |plan| match known? {
        Known::Is(_) => Ok(()),
        Known::Absent(_) => make(plan),
    });
}

/// One that is to be made.
pub(super) struct Once<'a> {
    /// The name of the step that makes it.
    pub(super) step: String,
    pub(super) title: String,
    pub(super) path: &'a str,
    pub(super) volume: &'a Volume,
}

/// Makes one. `make` is told where it makes it.
pub(super) fn make(
    plan: &mut NodePlan<'_, '_>,
    once: Once<'_>,
    make: impl FnOnce(&mut Draft<'_>, &str) -> Result<(), Hidden>,
) -> Result<(), Hidden> {
    let Once { step, title, path, volume } = once;
    let mut step = plan.draft(&step, title);
    step.why(format!("there is no {path}"));
    step.rests_on(About::DiskFile(path.into()))?;
    if let Some(folder) = Utf8Path::new(path).parent() {
        step.op(Op::Folder { path: folder.to_owned(), mode: FOLDER });
    }
    let new = format!("{path}.new");
    make(&mut step, &new)?;
    step.run(Program::Sync.command().args([&new]).timeout(COPY));
    // Whoever was quicker has made it: that one stays.
    step.run(Program::Mv.command().args(["--no-clobber", "--no-target-directory", &new, path]));
    step.after_packages();
    for before in volumes::steps(plan.spec, plan.node, volume) {
        step.after_step(before);
    }
    plan.add(step);
    Ok(())
}
