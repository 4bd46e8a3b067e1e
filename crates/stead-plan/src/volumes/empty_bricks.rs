//! Bricks of a volume that are empty: those that never ran, and those that have lost all that was in them.

use stead_spec::volumes::Volume;

use super::facts::{Brick, INTERNAL, ROOT, Replicated};
use super::layout::{Share, sets};
use crate::inventory::Mode;
use crate::op::Op;
use crate::plan::planner::{Hidden, Planned, Planner};
use crate::step::{About, Layer, StepId};

/// What is seen of a brick, if it is there and could be looked at.
pub(super) fn there<'m>(brick: &Share<'_>, members: &[Planned<'m>]) -> Option<&'m Brick> {
    let member = members.iter().find(|member| member.node.name == brick.node.name)?;
    member.seen.storage.brick(brick.folder()).ok().flatten()
}

/// Whether nothing was ever written to a volume, as all its bricks tell.
pub(super) fn hold_nothing(bricks: &[Share<'_>], members: &[Planned<'_>]) -> bool {
    bricks.iter().all(|brick| there(brick, members).is_some_and(|there| there.bare))
}

/// A brick of a volume that has lost all that was in it, as one on a disk that was formatted anew. Started by force, it
/// would count as a good copy.
pub(super) fn made_anew<'b, 'a>(
    bricks: &'b [Share<'a>],
    members: &[Planned<'_>],
    volume: &Replicated,
) -> Option<&'b Share<'a>> {
    bricks.iter().find(|brick| {
        let is_empty = there(brick, members).is_some_and(|there| there.empty);
        is_empty && !never_ran(brick, bricks, members, volume)
    })
}

/// Whether a brick is empty since it never ran: a cut right after the volume was made took what was to be in it. Either
/// nothing is in any brick of the volume, or it bears the volume's sign, and another one knows that it lacks all.
fn never_ran(brick: &Share<'_>, bricks: &[Share<'_>], members: &[Planned<'_>], volume: &Replicated) -> bool {
    let Some(own) = there(brick, members).filter(|own| own.empty) else { return false };
    let number = volume.bricks.iter().position(|address| *address == brick.address());
    let accuses = |other: &Brick| {
        number.is_some_and(|number| other.accuses.get(ROOT).is_some_and(|accused| accused.contains(&number)))
    };
    let is_accused = bricks.iter().filter_map(|other| there(other, members)).any(accuses);
    hold_nothing(bricks, members) || (own.volume.as_ref() == Some(&volume.id) && is_accused)
}

/// The step that makes a brick one that starts.
pub(super) fn step_of(brick: &Share<'_>) -> StepId {
    let what = format!("empty-{}", brick.step());
    StepId { layer: Layer::Volumes, node: brick.node.name.clone(), what }
}

/// Bricks that never ran get what was to be in them.
pub(super) fn revive<'a>(planner: &mut Planner<'a>, volume: &Volume, members: &[Planned<'a>], now: &Replicated) {
    let Ok(sets) = sets(planner.spec, volume) else { return };
    let bricks: Vec<Share<'_>> = sets.into_iter().flatten().collect();
    for brick in bricks.iter().filter(|brick| never_ran(brick, &bricks, members, now)) {
        let Some(member) = members.iter().find(|member| member.node.name == brick.node.name) else { continue };
        let mut node = planner.on(Layer::Volumes, *member);
        node.concern(&format!("the empty brick of {}", volume.name), |node| {
            let mut step = node.draft(&step_of(brick).what, format!("let the brick of {} start", volume.name));
            step.why(format!("{} is empty: it never ran", brick.folder()));
            // It is made when the volume is; without it, a brick doesn't start ("Failed to find parent dir").
            step.op(Op::Folder { path: format!("{}/{INTERNAL}", brick.folder()).into(), mode: Mode(0o600) });
            step.rests_on(About::Brick(brick.folder().into()))?;
            node.add(step);
            Ok::<_, Hidden>(())
        });
    }
}
