//! The lease: of two applies at once, one waits for its admin.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stead_node::protocol::{self, Answer, Request};
use stead_plan::inventory::Timestamp;
use stead_spec::units::NodeName;

use crate::reach::Link;

/// A majority of a cluster's nodes, held for one apply until this is dropped and what runs on them has ended.
#[derive(Debug)]
pub struct Lease<L> {
    /// The nodes that are held.
    pub links: BTreeMap<NodeName, L>,
    /// The nodes that answered before, but could not be held: why.
    pub unheld: BTreeMap<NodeName, String>,
    /// How many nodes the cluster has, silent ones too.
    pub nodes: usize,
}

/// Why nothing may be applied now.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum NotHeld {
    /// Another apply is going on.
    #[error("{} has been applying since {} (held on {node}); wait, or end that one", .lease.who, shown(.lease.since))]
    Taken {
        /// The node that said so.
        node: NodeName,
        /// Who, and since when.
        lease: protocol::Lease,
    },
    /// Too few nodes can be held to know that nobody else applies.
    #[error("only {held} of {nodes} nodes can be held, and an apply wants a majority{}; bring back the others, then apply again", reasons(.unheld))]
    TooFew {
        /// How many are held.
        held: usize,
        /// How many there are.
        nodes: usize,
        /// Why those that answered before can't be.
        unheld: BTreeMap<NodeName, String>,
    },
}

/// Holds all linked nodes of a cluster that has `nodes` nodes.
///
/// # Errors
/// Somebody else holds one of them, or those that can be held are no majority. Then none is held any more.
pub async fn hold<L: Link>(links: BTreeMap<NodeName, L>, nodes: usize) -> Result<Lease<L>, NotHeld> {
    let mut lease = Lease { links: BTreeMap::new(), unheld: BTreeMap::new(), nodes };
    // One by one and in one order, so that of two who come at once, one meets the other at the first node and goes
    // away: all at once, each might hold what the other wants.
    for (node, mut link) in links {
        match link.ask(Request::Lock, &mut |_| ()).await {
            Ok(Answer::Locked) => drop(lease.links.insert(node, link)),
            Ok(Answer::Held(lease)) => return Err(NotHeld::Taken { node, lease }),
            Ok(answer) => drop(lease.unheld.insert(node, refused(answer))),
            Err(lost) => drop(lease.unheld.insert(node, lost.why)),
        }
    }
    if lease.is_majority(lease.links.len()) {
        Ok(lease)
    } else {
        Err(NotHeld::TooFew { held: lease.links.len(), nodes, unheld: lease.unheld })
    }
}

impl<L> Lease<L> {
    /// Whether `count` nodes are more than half of the cluster.
    pub fn is_majority(&self, count: usize) -> bool {
        count * 2 > self.nodes
    }
}

/// What an answer says that isn't the one that was hoped for.
pub(crate) fn refused(answer: Answer) -> String {
    match answer {
        Answer::Refused(why) => why,
        other => format!("the agent answered something else than it was asked: {other:?}"),
    }
}

fn reasons(unheld: &BTreeMap<NodeName, String>) -> String {
    unheld.iter().fold(String::new(), |mut text, (node, why)| {
        let _ = write!(text, "; {node}: {why}");
        text
    })
}

/// To the minute, in UTC: the admin's own time zone is no matter of this crate's.
fn shown(time: Timestamp) -> String {
    let minutes = time.0.div_euclid(60_000);
    let (days, minute) = (minutes.div_euclid(24 * 60), minutes.rem_euclid(24 * 60));
    // Howard Hinnant's `civil_from_days`: years begin in March, so that the leap day is a year's last.
    let days = days + 719_468;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = era * 400 + year_of_era + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02} {:02}:{:02} UTC", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_time_is_shown_as_people_write_it() {
        for (milliseconds, expected) in [
            (0, "1970-01-01 00:00 UTC"),
            (-60_000, "1969-12-31 23:59 UTC"),
            (951_827_696_000, "2000-02-29 12:34 UTC"),
            (1_795_363_531_000, "2026-11-22 16:05 UTC"),
            (4_107_542_399_999, "2100-02-28 23:59 UTC"),
            (4_107_542_400_000, "2100-03-01 00:00 UTC"),
        ] {
            assert_eq!(shown(Timestamp(milliseconds)), expected);
        }
    }
}
