//! The layer `machines`: what the hypervisor has.

mod disks;
mod members;
mod networks;
mod processor;
mod running;

use futures_util::future::join_all;
use stead_plan::inventory::{Known, Questions};
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
    let disks = questions.disk_files.iter().map(async |path| {
        let disk = ask_if_there(runner, disks::command(path), disks::NOT_THERE, disks::parse).await;
        (path.clone(), Known::from(disk))
    });
    let disks = join_all(disks).await.into_iter().collect();
    let processor = (!questions.disk_files.is_empty()).then(|| processor::look(place).into());
    Hypervisor {
        networks: networks::look(place).into(),
        running: running::look(place).into(),
        membership: membership.into(),
        processor,
        disks,
    }
}
