//! Gathers the inventory: all nodes at once, none of which holds up or hides the others.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::time::Duration;

use futures_util::future::join_all;
use stead_node::protocol::{Answer, Recording, Request, Role};
use stead_plan::inventory::{Inventory, NodeInventory, Observation, Questions, Timestamp};
use stead_spec::units::NodeName;
use tokio::time::timeout;

use crate::reach::{Link, Lost, Reach};

/// What happens to one node while the inventory is gathered.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum GatherEvent {
    /// Its agent is there.
    Linked,
    /// It says what it does now, for a person.
    Progress(String),
    /// What a tool said, where that was asked for.
    Recorded(Recording),
    /// It answered.
    Seen,
    /// It did not.
    Lost(Lost),
}

/// How long a node may take to look at itself, in seconds, times the patience. Its agent bounds each tool that it runs;
/// this is for one that beats but never answers.
const LOOK: u64 = 180;

/// Connects to the nodes and asks them what they are; the connections are for what comes next.
///
/// A node that can't be reached, or doesn't answer, is [`Observation::Silent`], and has no link.
pub async fn gather<R: Reach>(
    reach: &R,
    questions: &BTreeMap<NodeName, Questions>,
    role: Role,
    now: &dyn Fn() -> Timestamp,
    on: &mut dyn FnMut(&NodeName, GatherEvent),
) -> (Inventory, BTreeMap<NodeName, R::Link>) {
    let observed_at = now();
    let on = &RefCell::new(on);
    let within = look_within(reach.patience());
    let visits = questions.iter().map(async |(node, questions)| {
        let mut tell = |event| on.borrow_mut()(node, event);
        let visit = async {
            let mut link = reach.link(node, role).await?;
            tell(GatherEvent::Linked);
            let mut seen = look(&mut link, questions, within, now, &mut tell).await?;
            if let Some(reading) = link.clock() {
                let ours = now().0 - millis(reading.ago);
                seen.clock.ahead = reading.node.0.saturating_sub(ours);
                seen.clock.uncertainty = millis(reading.uncertainty) + 1;
            }
            Ok((seen, link))
        };
        let (observation, link) = match visit.await {
            Ok((seen, link)) => (Ok(seen), Some(link)),
            Err(lost) => (Err(lost), None),
        };
        (node.clone(), observe(observation, &mut tell), link)
    });
    let mut inventory = Inventory { observed_at, nodes: BTreeMap::new() };
    let mut links = BTreeMap::new();
    for (node, observation, link) in join_all(visits).await {
        links.extend(link.map(|link| (node.clone(), link)));
        inventory.nodes.insert(node, observation);
    }
    (inventory, links)
}

/// Asks again over the connections that are there, after an apply. One that is lost goes from `links`.
pub async fn look_again<L: Link>(
    links: &mut BTreeMap<NodeName, L>,
    questions: &BTreeMap<NodeName, Questions>,
    patience: u8,
    now: &dyn Fn() -> Timestamp,
    on: &mut dyn FnMut(&NodeName, GatherEvent),
) -> Inventory {
    let observed_at = now();
    let on = &RefCell::new(on);
    let within = look_within(patience);
    let asked = links.iter_mut().filter_map(|(node, link)| Some((node, link, questions.get(node)?)));
    let looks = asked.map(async |(node, link, questions)| {
        let mut tell = |event| on.borrow_mut()(node, event);
        let seen = look(link, questions, within, now, &mut tell).await;
        (node.clone(), observe(seen, &mut tell))
    });
    let mut nodes: BTreeMap<NodeName, Observation> = join_all(looks).await.into_iter().collect();
    links.retain(|node, _| !matches!(nodes.get(node), Some(Observation::Silent(_))));
    for node in questions.keys() {
        let cut = || Observation::Silent("the connection to it was lost before".to_owned());
        nodes.entry(node.clone()).or_insert_with(cut);
    }
    Inventory { observed_at, nodes }
}

fn look_within(patience: u8) -> Duration {
    Duration::from_secs(LOOK * u64::from(patience))
}

/// One round trip.
async fn look(
    link: &mut impl Link,
    questions: &Questions,
    within: Duration,
    now: &dyn Fn() -> Timestamp,
    tell: &mut dyn FnMut(GatherEvent),
) -> Result<NodeInventory, Lost> {
    let mut said = |answer| match answer {
        Answer::Progress(what) => tell(GatherEvent::Progress(what)),
        Answer::Recorded(recording) => tell(GatherEvent::Recorded(recording)),
        _ => {}
    };
    let asked = now();
    let answer = timeout(within, link.ask(Request::Look(Box::new(questions.clone())), &mut said)).await;
    let answered = now();
    let given_up = |_| Lost {
        why: format!("it has been looking at itself for {} s and has not ended", within.as_secs()),
        hint: Some("is one of its disks dying? On the node: `dmesg | tail`".to_owned()),
    };
    match answer.map_err(given_up)?? {
        Answer::Inventory(mut seen) => {
            // Until here it is the node's time itself.
            let half = (answered.0 - asked.0) / 2;
            seen.clock.ahead = seen.clock.ahead.saturating_sub(asked.0 + half);
            seen.clock.uncertainty = half + 1;
            Ok(*seen)
        }
        answer => Err(Lost::unexpected(answer)),
    }
}

fn observe(seen: Result<NodeInventory, Lost>, tell: &mut dyn FnMut(GatherEvent)) -> Observation {
    match seen {
        Ok(seen) => {
            tell(GatherEvent::Seen);
            Observation::Seen(Box::new(seen))
        }
        Err(lost) => {
            let silent = Observation::Silent(lost.why.clone());
            tell(GatherEvent::Lost(lost));
            silent
        }
    }
}

fn millis(duration: Duration) -> i64 {
    i64::try_from(duration.as_millis()).unwrap_or(i64::MAX)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Nodes that are reached and beat, but never answer; `node1` refuses.
    struct Stuck;

    struct StuckLink {
        refuses: bool,
    }

    impl Reach for Stuck {
        type Link = StuckLink;

        async fn link(&self, node: &NodeName, _: Role) -> Result<StuckLink, Lost> {
            Ok(StuckLink { refuses: node.to_string() == "node1" })
        }

        fn patience(&self) -> u8 {
            2
        }
    }

    impl Link for StuckLink {
        async fn ask(&mut self, _: Request, said: &mut dyn FnMut(Answer)) -> Result<Answer, Lost> {
            said(Answer::Progress("lsblk".to_owned()));
            if self.refuses { Ok(Answer::Refused("not for you".to_owned())) } else { std::future::pending().await }
        }
    }

    #[tokio::test(start_paused = true)]
    async fn nodes_that_never_answer_are_given_up_together_and_a_refusal_is_told() {
        let questions: BTreeMap<NodeName, Questions> =
            ["node1", "node2", "node3"].map(|node| (node.parse().expect("a name"), Questions::default())).into();
        let before = tokio::time::Instant::now();
        let mut said = 0;
        let mut on = |_: &NodeName, event| said += usize::from(event == GatherEvent::Progress("lsblk".to_owned()));
        let (inventory, links) = gather(&Stuck, &questions, Role::Observe, &|| Timestamp(0), &mut on).await;
        assert_eq!(before.elapsed().as_secs(), 2 * LOOK);
        assert_eq!((links.len(), said), (0, 3));
        let silent: Vec<&str> = inventory.silent().map(|(_, why)| why).collect();
        assert!(silent[0] == "not for you" && silent[1].contains("360 s") && silent[1] == silent[2], "{silent:?}");

        let again =
            look_again::<StuckLink>(&mut BTreeMap::new(), &questions, 1, &|| Timestamp(0), &mut |_, _| ()).await;
        assert!(again.silent().count() == 3 && again.silent().all(|(_, why)| why.contains("lost before")));
    }
}
