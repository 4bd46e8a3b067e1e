//! Steps that may cut their nodes off.

use std::net::Ipv4Addr;
use std::time::Duration;

use stead_plan::step::{Guard, Watch};
use tokio::time::Instant;

use super::*;

/// What is reached, and from when on.
#[derive(Default)]
pub(super) struct Network {
    /// Addresses that nobody reaches, or only from then on.
    dead: BTreeMap<Ipv4Addr, Option<Instant>>,
    /// The same of nodes.
    away: BTreeMap<NodeName, Option<Instant>>,
    /// Until when the agent of a lost connection holds its node.
    orphan_until: Option<Instant>,
    /// Why the step can't be confirmed.
    not_confirmed: Option<String>,
    /// What can't be undone.
    rest: Vec<String>,
    /// Nodes that have no ping.
    no_ping: BTreeSet<NodeName>,
    /// Connections that end at the first question.
    breaks: u32,
}

fn is_away(until: Option<&Option<Instant>>) -> bool {
    until.is_some_and(|until| until.is_none_or(|until| Instant::now() < until))
}

pub(super) fn link(cluster: &Rc<RefCell<Cluster>>, node: &NodeName, role: Role) -> Result<(), Lost> {
    let mut cluster = cluster.borrow_mut();
    if is_away(cluster.network.away.get(node)) {
        return Err(lost("no route to host"));
    }
    cluster.log.push(format!("link {node} {role:?}"));
    Ok(())
}

pub(super) fn at_lock(cluster: &Rc<RefCell<Cluster>>, node: &NodeName) {
    let mut cluster = cluster.borrow_mut();
    if let Some(until) = cluster.network.orphan_until {
        let lease = protocol::Lease { who: "me@laptop".to_owned(), since: Timestamp(0) };
        if Instant::now() < until {
            cluster.held.insert(node.clone(), lease);
        } else {
            cluster.held.remove(node);
        }
    }
}

pub(super) fn answer(cluster: &Rc<RefCell<Cluster>>, node: &NodeName, request: Request) -> Result<Answer, Lost> {
    let mut cluster = cluster.borrow_mut();
    match request {
        Request::Ping(_) if cluster.network.no_ping.contains(node) => {
            Ok(Answer::Refused("there is no ping".to_owned()))
        }
        Request::Ping(addresses) => {
            if cluster.network.breaks > 0 && !cluster.jobs.is_empty() {
                cluster.network.breaks -= 1;
                return Err(lost("broken pipe"));
            }
            let all: Vec<_> = addresses.iter().map(ToString::to_string).collect();
            cluster.log.push(format!("ping {node} {}", all.join(" ")));
            let reached = |address| !is_away(cluster.network.dead.get(&address));
            Ok(Answer::Pinged(addresses.into_iter().map(|address| (address, reached(address))).collect()))
        }
        Request::Confirm(step) => {
            cluster.log.push(format!("confirm {step}"));
            Ok(cluster.network.not_confirmed.clone().map_or(Answer::Confirmed, Answer::Refused))
        }
        Request::Undo(step) => {
            cluster.log.push(format!("undo {step}"));
            Ok(Answer::Undone(cluster.network.rest.clone()))
        }
        other => panic!("{other:?}"),
    }
}

fn lost(why: &str) -> Lost {
    Lost { why: why.to_owned(), hint: None }
}

const BEFORE: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 1);
const AFTER: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 11);
const OWN: Ipv4Addr = Ipv4Addr::new(192, 0, 2, 254);
const WITHIN: u64 = 120;

/// A guarded step of node1, and one after it.
fn guarded() -> Plan {
    let watch =
        |from: &str, before, after, what: &str| Watch { from: name(from), before, after, what: what.to_owned() };
    let guard = Guard {
        keeps: BTreeSet::new(),
        keeps_for_boot: BTreeSet::new(),
        undo: Vec::new(),
        within: u32::try_from(WITHIN).unwrap(),
        watches: vec![
            watch("node1", OWN, OWN, "the gateway of lan"),
            watch("node2", BEFORE, AFTER, "node1's address in lan"),
        ],
    };
    plan(vec![Step { guard: Some(guard), ..step("node1/net", &[]) }, step("node1/after", &[])])
}

/// How the guarded step ended, what was asked for, and whether the node is used further; after how many seconds.
async fn run_guarded(cluster: &Rc<RefCell<Cluster>>) -> (Ended, Vec<String>, bool, u64) {
    let began = Instant::now();
    let mut applied = run_on(&ALL, cluster, &guarded()).await.unwrap();
    let goes_on = applied.steps[&id("node1/after")].is_well();
    let log = cluster.borrow().log.iter().filter(|entry| !entry.ends_with("/after")).cloned().collect();
    (applied.steps.remove(&id("node1/net")).unwrap(), log, goes_on, began.elapsed().as_secs())
}

fn why(ended: &Ended) -> &str {
    let Ended::Outcome(Outcome::Failed(why)) = ended else { panic!("{ended:?}") };
    why
}

#[tokio::test(start_paused = true)]
async fn what_is_still_there_over_a_new_connection_is_confirmed() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let (ended, log, goes_on, took) = run_guarded(&cluster).await;
    assert_eq!((ended, goes_on, took), (Ended::Outcome(Outcome::Done), true, 0));
    let expected = [
        "link node2 Observe",
        "ping node1 192.0.2.254",
        "ping node2 192.0.2.1",
        "+host/node1/net",
        "-host/node1/net",
        "link node1 Apply",
        "ping node1 192.0.2.254",
        "ping node2 192.0.2.11",
        "confirm host/node1/net",
    ];
    assert_eq!(log, expected);
    assert!(cluster.borrow().jobs[0].guard.is_some());
}

#[tokio::test(start_paused = true)]
async fn routes_take_a_while_and_an_old_agent_too() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let from_now = |seconds| Some(Instant::now() + Duration::from_secs(seconds));
    cluster.borrow_mut().network.dead.insert(AFTER, from_now(40));
    cluster.borrow_mut().network.away.insert(name("node1"), from_now(10));
    cluster.borrow_mut().network.orphan_until = from_now(20);
    // It holds the node only once the connection is lost.
    cluster.borrow_mut().network.breaks = 2;
    let began = Instant::now();
    let nodes = BTreeMap::from(ALL.map(|node| (name(node), Node(name(node), cluster.clone()))));
    let lease = crate::lock::Lease { links: nodes, unheld: BTreeMap::new(), nodes: 3 };
    let (_sender, stop) = watch::channel(false);
    let order =
        Order { plan: &guarded(), digest: &digest('a'), ancestors: &[], kept: None, secrets: BTreeMap::new(), stop };
    let applied = super::super::perform(&Way(cluster.clone()), lease, order, &mut |_| ()).await.unwrap();
    assert!(applied.is_whole(), "{applied:?}");
    assert!((40..50).contains(&began.elapsed().as_secs()), "{:?}", began.elapsed());
}

#[tokio::test(start_paused = true)]
async fn what_nobody_reaches_any_more_is_undone() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    cluster.borrow_mut().network.dead.insert(AFTER, None);
    let (ended, log, goes_on, took) = run_guarded(&cluster).await;
    let expected = "node2 no longer reaches node1's address in lan (192.0.2.11)\n\
                    it was undone: the node is as it was before";
    assert_eq!((why(&ended), goes_on), (expected, true));
    assert_eq!(log.last().unwrap(), "undo host/node1/net");
    assert!((60..WITHIN).contains(&took), "{took}");
    cluster.borrow_mut().network.rest = vec!["failed: ifup".to_owned()];
    let (ended, ..) = run_guarded(&cluster).await;
    assert!(why(&ended).ends_with("\nit was undone, but for this:\nfailed: ifup"), "{ended:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_not_reached_before_is_not_asked_for() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    cluster.borrow_mut().network.dead = [(BEFORE, None), (AFTER, None), (OWN, None)].into();
    let (ended, log, _, took) = run_guarded(&cluster).await;
    assert_eq!((ended, took), (Ended::Outcome(Outcome::Done), 0));
    assert_eq!(log.iter().filter(|entry| entry.starts_with("ping")).count(), 2, "{log:?}");
    // Neither is what a node would see that can't be reached itself.
    cluster.borrow_mut().network.dead = [(AFTER, None)].into();
    cluster.borrow_mut().network.away.insert(name("node2"), None);
    assert_eq!(run_guarded(&cluster).await.0, Ended::Outcome(Outcome::Done));
}

#[tokio::test(start_paused = true)]
async fn who_cannot_look_is_told_before_anything_is_done() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    cluster.borrow_mut().network.no_ping.insert(name("node2"));
    let (ended, log, goes_on, _) = run_guarded(&cluster).await;
    let expected = "not begun, since node2 can't tell what it reaches: there is no ping";
    assert_eq!((why(&ended), goes_on), (expected, true));
    assert!(!log.contains(&"+host/node1/net".to_owned()), "{log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_is_lost_is_not_the_end() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    cluster.borrow_mut().endings.insert(id("node1/net"), Err(lost("no beat for 30 s")));
    // The agent has finished it.
    let (ended, log, goes_on, _) = run_guarded(&cluster).await;
    assert_eq!((ended, goes_on), (Ended::Outcome(Outcome::Done), true));
    assert_eq!(log.last().unwrap(), "confirm host/node1/net");
    // It has not.
    cluster.borrow_mut().network.not_confirmed = Some("it has not ended well".to_owned());
    let (ended, log, goes_on, _) = run_guarded(&cluster).await;
    let expected = "the connection was lost in the middle of it: no beat for 30 s\n\
                    it was undone: the node is as it was before";
    assert_eq!((why(&ended), goes_on), (expected, true));
    assert_eq!(log.last().unwrap(), "undo host/node1/net");
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_come_back_undoes_it_by_itself_and_is_left_alone() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    cluster.borrow_mut().network.away.insert(name("node1"), None);
    let (ended, log, goes_on, took) = run_guarded(&cluster).await;
    let expected = "node1 can't be reached over a new connection: no route to host\n\
                    node1 undoes it by itself within 120 s";
    assert_eq!((why(&ended), goes_on), (expected, false));
    assert!((100..WITHIN).contains(&took) && !log.iter().any(|entry| entry.starts_with("undo")), "{took} {log:?}");
}

#[tokio::test(start_paused = true)]
async fn a_new_connection_that_always_breaks_ends_too() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    cluster.borrow_mut().network.breaks = u32::MAX;
    let (ended, _, goes_on, took) = run_guarded(&cluster).await;
    assert!(why(&ended).contains("undoes it by itself within 120 s") && !goes_on, "{ended:?}");
    assert!((100..WITHIN).contains(&took), "{took}");
}

#[tokio::test(start_paused = true)]
async fn a_step_that_its_node_has_undone_is_not_looked_at() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let failed = Outcome::Failed("failed: ifup\nit was undone: the node is as it was before".to_owned());
    cluster.borrow_mut().endings.insert(id("node1/net"), Ok(performed(failed.clone())));
    let (ended, log, goes_on, _) = run_guarded(&cluster).await;
    assert_eq!((ended, goes_on), (Ended::Outcome(failed), true));
    assert_eq!(log.last().unwrap(), "-host/node1/net");
}
