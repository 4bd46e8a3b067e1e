//! The layer `machines`: what the hypervisor has.

mod members;
mod networks;

use stead_plan::inventory::Questions;
use stead_plan::machines::{Hypervisor, PACEMAKER};

use crate::exec::Runner;
use crate::observe::ask_if_there;
use crate::place::Place;

/// What a node tells of its hypervisor, by its files, for to ask its daemon starts it; and of those that it decides with.
pub(crate) async fn look(place: &Place, questions: &Questions, runner: &Runner) -> Hypervisor {
    let membership = if questions.units.contains(PACEMAKER) {
        ask_if_there(runner, members::command(), members::NOT_RUNNING, members::parse).await
    } else {
        Ok(None)
    };
    Hypervisor { networks: networks::look(place).into(), membership: membership.into() }
}
