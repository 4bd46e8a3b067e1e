//! What stead updates and restarts itself, one node at a time: engines whose restart on several nodes at once would stop
//! the cluster. Each layer has its own as `HELD`.

use crate::{machines, network, volumes};

/// A layer's engines.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Held {
    /// Packages that unattended upgrades leave alone.
    pub(crate) packages: &'static [&'static str],
    /// Units that needrestart leaves alone.
    pub(crate) units: &'static [&'static str],
}

const ALL: [&Held; 3] = [&network::HELD, &volumes::HELD, &machines::HELD];

/// The packages of all layers, sorted.
pub(crate) fn packages() -> Vec<&'static str> {
    sorted(|held| held.packages)
}

/// The units of all layers, sorted.
pub(crate) fn units() -> Vec<&'static str> {
    sorted(|held| held.units)
}

fn sorted(which: fn(&Held) -> &'static [&'static str]) -> Vec<&'static str> {
    let mut all: Vec<_> = ALL.into_iter().flat_map(which).copied().collect();
    all.sort_unstable();
    all
}
