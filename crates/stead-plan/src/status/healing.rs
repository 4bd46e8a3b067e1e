//! How fast copies that are behind become equal again: told by what was looked at before.

use std::collections::{BTreeMap, VecDeque};

use serde::Serialize;
use stead_spec::units::VolumeName;

use super::Status;
use crate::inventory::Timestamp;

/// How far back is looked: what went on before says little of now.
const BACK: i64 = 600_000;

/// How fast a volume's copies become equal.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
pub struct Healing {
    /// So many files a minute fewer are behind.
    pub per_minute: u64,
    /// In about so many minutes none is.
    pub minutes_left: u64,
}

/// What was seen of copies that are behind, the oldest first.
#[derive(Debug, Default)]
pub struct Backlog {
    seen: VecDeque<(Timestamp, BTreeMap<VolumeName, usize>)>,
}

impl Backlog {
    /// Remembers a status, and has it say how fast copies become equal, as far as that can be told.
    pub fn tell(&mut self, status: &mut Status) {
        let now = status.observed_at;
        self.seen.retain(|(at, _)| now.0 - at.0 <= BACK);
        self.seen.push_back((now, status.volumes.iter().map(|of| (of.name.clone(), of.pending)).collect()));
        for volume in &mut status.volumes {
            volume.healing = self.of(&volume.name, volume.pending);
        }
    }

    /// By what there was when most were behind.
    fn of(&self, name: &VolumeName, pending: usize) -> Option<Healing> {
        let points = self.seen.iter().filter_map(|(at, of)| Some((*at, *of.get(name)?)));
        let (then, most) = points.max_by_key(|(_, pending)| *pending)?;
        let passed = u64::try_from(self.seen.back()?.0.0 - then.0).ok().filter(|passed| *passed > 0)?;
        let (healed, pending) = (u64::try_from(most - pending).ok()?, u64::try_from(pending).ok()?);
        if healed == 0 || pending == 0 {
            return None;
        }
        let minutes_left = (pending * passed).div_ceil(healed * 60_000);
        Some(Healing { per_minute: healed * 60_000 / passed, minutes_left })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_rate_is_of_what_became_equal_since_most_were_behind() {
        let gv0: VolumeName = "gv0".parse().unwrap();
        let of = |seen: &[(i64, usize)]| {
            let seen = seen.iter().map(|(at, pending)| (Timestamp(*at), [(gv0.clone(), *pending)].into()));
            let backlog = Backlog { seen: seen.collect() };
            backlog.of(&gv0, backlog.seen.back().unwrap().1[&gv0])
        };
        let healing = Healing { per_minute: 30, minutes_left: 3 };
        assert_eq!(of(&[(0, 10), (60_000, 130), (120_000, 100), (180_000, 70)]), Some(healing));
        // There was one look only; more are behind than before; none is any more.
        for seen in [&[(0, 10)][..], &[(0, 10), (10_000, 12)], &[(0, 10), (10_000, 0)]] {
            assert_eq!(of(seen), None, "{seen:?}");
        }
    }
}
