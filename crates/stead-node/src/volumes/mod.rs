//! The layer `volumes`: what the storage daemon knows, and what lies in bricks.

mod bricks;
mod gluster;
mod processes;
mod written;

use stead_plan::inventory::{Known, Questions};
use stead_plan::volumes::{Daemon, Storage};

use crate::exec::Runner;
use crate::place::Place;
use processes::Processes;

/// What the daemon keeps; it has something there as soon as it knows of another node or of a volume.
const STATE: &str = "/var/lib/glusterd";

/// What a node tells of volumes. No more than this node's own daemon is asked: it answers even if others don't.
pub(crate) async fn look(place: &Place, questions: &Questions, runner: &Runner) -> Storage {
    let processes = Processes::look(place);
    let daemon = if processes.daemon {
        gluster::look(runner).await.map(Daemon::Runs).into()
    } else {
        let knew = ["peers", "vols"].map(|of| place.names(format!("{STATE}/{of}")));
        let is_new = knew.iter().all(|names| names.as_ref().is_ok_and(Vec::is_empty));
        Known::Is(if is_new { Daemon::New } else { Daemon::Stopped })
    };
    let brick = |folder: &camino::Utf8PathBuf| {
        (folder.clone(), bricks::look(place, folder, processes.bricks.contains(folder)).into())
    };
    Storage { daemon, written: written::look(place), bricks: questions.bricks.iter().map(brick).collect() }
}
