use stead_plan::plan::{Keep, Plan, Refusal, Unknown};
use stead_plan::step::{Outcome, StepId};

use super::{Applied, Ended};

/// Whether an apply came to what was asked, by what was observed afterwards.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// All is as asked.
    Verified,
    /// As far as one can see; these nodes can't be seen.
    CantTell(Vec<Unknown>),
    /// Applied, but not as asked.
    NotAsAsked(Remains),
}

/// What is still to be done after an apply.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Remains {
    /// The steps that are still needed and had not ended well: why.
    pub unfinished: Vec<(StepId, Ended)>,
    /// The steps that their nodes called done, or unchanged, and that are needed all the same: something undoes them, or
    /// they don't do what they say.
    pub untrue: Vec<StepId>,
    /// The steps that were not in the plan: what they are about changed meanwhile, or could be seen only now.
    pub new: Vec<StepId>,
    /// The generation that is not kept everywhere.
    pub keep: Option<Keep>,
    /// What can't be done, as it turned out.
    pub refusals: Vec<Refusal>,
    /// The nodes that can't be seen.
    pub unknown: Vec<Unknown>,
}

/// Compares what an apply came to with `after`, the plan that was made when the nodes had been looked at again.
pub fn verify(applied: &Applied, after: &Plan) -> Verdict {
    if after.is_empty() {
        return match after.unknown.as_slice() {
            [] => Verdict::Verified,
            unknown => Verdict::CantTell(unknown.to_vec()),
        };
    }
    let mut remains = Remains {
        keep: after.keep.clone(),
        refusals: after.refusals.clone(),
        unknown: after.unknown.clone(),
        ..Remains::default()
    };
    for step in &after.steps {
        match applied.steps.get(&step.id) {
            Some(Ended::Outcome(Outcome::Done | Outcome::Unchanged)) => remains.untrue.push(step.id.clone()),
            Some(ended) => remains.unfinished.push((step.id.clone(), ended.clone())),
            None => remains.new.push(step.id.clone()),
        }
    }
    Verdict::NotAsAsked(remains)
}
