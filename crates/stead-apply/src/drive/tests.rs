use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use stead_node::protocol::{self, Answer, Job, Kept, Performed, Request, Role};
use stead_plan::generation::{Ancestor, Generation};
use stead_plan::inventory::Timestamp;
use stead_plan::op::{Argument, Op, OutputKind, OutputRef, Program};
use stead_plan::plan::{Keep, Plan, SCHEMA_VERSION};
use stead_plan::step::{Outcome, Step, StepId};
use stead_spec::units::{NodeName, Sha256};
use tokio::sync::watch;

use super::{Applied, Because, Ended, Event, NotApplied, Order, Verdict, apply, verify};
use crate::lock::NotHeld;
use crate::reach::{Link, Lost, Reach};

mod guarded;

/// What nodes do when they are asked, and what they were asked.
#[derive(Default)]
struct Cluster {
    /// By node and step. Without an entry: done.
    endings: BTreeMap<StepId, Result<Performed, Lost>>,
    held: BTreeMap<NodeName, protocol::Lease>,
    keeps: BTreeMap<NodeName, Kept>,
    refuses_to_keep: BTreeSet<NodeName>,
    /// `+` begins, `-` ends.
    log: Vec<String>,
    jobs: Vec<Job>,
    network: guarded::Network,
}

struct Node(NodeName, Rc<RefCell<Cluster>>);

/// The way to them.
struct Way(Rc<RefCell<Cluster>>);

impl Reach for Way {
    type Link = Node;

    async fn link(&self, node: &NodeName, role: Role) -> Result<Node, Lost> {
        guarded::link(&self.0, node, role).map(|()| Node(node.clone(), self.0.clone()))
    }
}

impl Link for Node {
    async fn ask(&mut self, request: Request, said: &mut dyn FnMut(Answer)) -> Result<Answer, Lost> {
        let Self(node, cluster) = self;
        match request {
            Request::Lock => {
                guarded::at_lock(cluster, node);
                Ok(cluster.borrow().held.get(node).cloned().map_or(Answer::Locked, Answer::Held))
            }
            Request::Fetch => Ok(Answer::Fetched(cluster.borrow().keeps.get(node).cloned().map(Box::new))),
            Request::Keep(_) if cluster.borrow().refuses_to_keep.contains(node) => {
                Ok(Answer::Refused("the disk is full".to_owned()))
            }
            Request::Keep(kept) => {
                cluster.borrow_mut().log.push(format!("keep {node}"));
                cluster.borrow_mut().keeps.insert(node.clone(), *kept);
                Ok(Answer::Kept)
            }
            Request::Perform(job) => {
                cluster.borrow_mut().log.push(format!("+{}", job.step));
                said(Answer::Progress("at it".to_owned()));
                // Others may begin meanwhile.
                tokio::task::yield_now().await;
                let mut cluster = cluster.borrow_mut();
                cluster.log.push(format!("-{}", job.step));
                let ending = cluster.endings.get(&job.step).cloned();
                cluster.jobs.push(*job);
                ending.unwrap_or(Ok(performed(Outcome::Done))).map(Answer::Performed)
            }
            Request::PerformTogether(jobs) => {
                let steps: Vec<_> = jobs.iter().map(|job| job.step.to_string()).collect();
                cluster.borrow_mut().log.push(format!("+{}", steps.join(" ")));
                let mut all = BTreeMap::new();
                for job in jobs {
                    said(Answer::ProgressOf(job.step.clone(), "at it".to_owned()));
                    let ending = cluster.borrow().endings.get(&job.step).cloned();
                    all.insert(job.step, ending.unwrap_or(Ok(performed(Outcome::Done)))?);
                }
                Ok(Answer::PerformedTogether(all))
            }
            other => guarded::answer(cluster, node, other),
        }
    }
}

fn performed(outcome: Outcome) -> Performed {
    Performed { outcome, outputs: Vec::new() }
}

fn id(text: &str) -> StepId {
    format!("host/{text}").parse().unwrap()
}

fn name(text: &str) -> NodeName {
    text.parse().unwrap()
}

fn step(text: &str, after: &[&str]) -> Step {
    let after = after.iter().map(|text| id(text)).collect();
    let ops = vec![Op::Run(Program::Systemctl.command())];
    Step {
        id: id(text),
        title: text.to_owned(),
        why: Vec::new(),
        ops,
        after,
        basis: Vec::new(),
        destroys: Vec::new(),
        guard: None,
        beside: None,
    }
}

fn digest(digit: char) -> Sha256 {
    digit.to_string().repeat(64).parse().unwrap()
}

fn kept(number: u64, digest: Sha256) -> Kept {
    let (by, stead) = ("me@laptop".to_owned(), "0.1.0".to_owned());
    let generation = Generation { number, digest, at: Timestamp(0), by, stead, format: 1 };
    Kept { generation, file: String::new(), secrets: String::new() }
}

fn plan(steps: Vec<Step>) -> Plan {
    Plan {
        schema_version: SCHEMA_VERSION,
        cluster: "8b7e5a1c-7a3f-4a6e-9a52-6f1f0c2d3e4b".parse().unwrap(),
        name: "home".parse().unwrap(),
        observed_at: Timestamp(0),
        keep: None,
        steps,
        leftovers: Vec::new(),
        refusals: Vec::new(),
        notes: Vec::new(),
        unknown: Vec::new(),
    }
}

fn keeping(mut plan: Plan, number: u64) -> Plan {
    plan.keep = Some(Keep { number, digest: digest('a'), on: ["node1", "node2", "node3"].map(name).to_vec() });
    plan
}

/// Applies on these nodes of three.
async fn run_on(nodes: &[&str], cluster: &Rc<RefCell<Cluster>>, plan: &Plan) -> Result<Applied, NotApplied> {
    let (sender, stop) = watch::channel(false);
    run_until(nodes, cluster, plan, stop, &mut |_| ()).await.inspect(|_| drop(sender))
}

async fn run_until(
    nodes: &[&str],
    cluster: &Rc<RefCell<Cluster>>,
    plan: &Plan,
    stop: watch::Receiver<bool>,
    on: &mut dyn FnMut(Event),
) -> Result<Applied, NotApplied> {
    let links = nodes.iter().map(|node| (name(node), Node(name(node), cluster.clone()))).collect();
    let kept = plan.keep.as_ref().map(|keep| kept(keep.number, keep.digest.clone()));
    apply(
        &Way(cluster.clone()),
        links,
        3,
        Order { plan, digest: &digest('a'), ancestors: &[], kept, secrets: BTreeMap::new(), stop },
        on,
    )
    .await
}

const ALL: [&str; 3] = ["node1", "node2", "node3"];

#[tokio::test]
async fn nodes_work_at_the_same_time_and_each_does_one_thing_at_a_time() {
    let cluster = Rc::default();
    let steps = vec![step("node1/a", &[]), step("node1/b", &[]), step("node2/a", &[]), step("node2/b", &["node1/b"])];
    let applied = run_on(&ALL, &cluster, &plan(steps)).await.unwrap();
    assert!(applied.is_whole());
    let log = &cluster.borrow().log;
    let at = |entry: &str| log.iter().position(|logged| *logged == format!("{}host/{}", &entry[..1], &entry[1..]));
    assert!(at("+node2/a") < at("-node1/a"), "{log:?}");
    assert!(at("-node1/a") < at("+node1/b") && at("-node1/b") < at("+node2/b"), "{log:?}");
}

#[tokio::test]
async fn what_may_be_done_beside_others_is_asked_for_together() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let failed = Outcome::Failed("bad sectors".to_owned());
    cluster.borrow_mut().endings.insert(id("node1/b"), Ok(performed(failed.clone())));
    let beside = |text| Step { beside: Some(64), ..step(text, &[]) };
    let steps = vec![
        beside("node1/a"),
        step("node1/alone", &[]),
        beside("node1/b"),
        beside("node2/c"),
        Step { beside: Some(64), ..step("node1/d", &["node1/b"]) },
        Step { beside: Some(64), ..step("node1/e", &["node1/a"]) },
    ];
    let applied = run_on(&ALL, &cluster, &plan(steps)).await.unwrap();
    let log = &cluster.borrow().log;
    let begun: Vec<_> = log.iter().filter(|line| line.starts_with("+host/node1")).collect();
    assert_eq!(begun, ["+host/node1/a host/node1/b", "+host/node1/alone", "+host/node1/e"]);
    assert_eq!(applied.steps[&id("node1/b")], Ended::Outcome(failed));
    assert_eq!(applied.steps[&id("node1/d")], Ended::NotReached { because: Because::After(id("node1/b")) });
    assert!(["node1/a", "node1/e", "node1/alone", "node2/c"].iter().all(|step| applied.steps[&id(step)].is_well()));
}

#[tokio::test]
async fn a_failed_step_stops_only_what_comes_after_it() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let failed = Outcome::Failed("no space".to_owned());
    cluster.borrow_mut().endings.insert(id("node1/a"), Ok(performed(failed.clone())));
    let steps = vec![
        step("node1/a", &[]),
        step("node2/b", &["node1/a"]),
        step("node3/c", &["node2/b"]),
        step("node1/d", &[]),
        step("node2/e", &[]),
    ];
    let applied = run_on(&ALL, &cluster, &plan(steps)).await.unwrap();
    let after = |text| Ended::NotReached { because: Because::After(id(text)) };
    assert_eq!(applied.steps[&id("node1/a")], Ended::Outcome(failed));
    assert_eq!(applied.steps[&id("node2/b")], after("node1/a"));
    assert_eq!(applied.steps[&id("node3/c")], after("node2/b"));
    assert!(applied.steps[&id("node1/d")].is_well() && applied.steps[&id("node2/e")].is_well());
}

#[tokio::test]
async fn a_lost_node_is_left_alone_and_the_others_go_on() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let lost = Lost { why: "no beat for 30 s".to_owned(), hint: None };
    cluster.borrow_mut().endings.insert(id("node1/a"), Err(lost));
    let steps = vec![step("node1/a", &[]), step("node1/b", &[]), step("node2/c", &[]), step("node2/d", &["node1/b"])];
    let applied = run_on(&ALL, &cluster, &plan(steps)).await.unwrap();
    assert_eq!(applied.steps[&id("node1/a")], Ended::Lost("no beat for 30 s".to_owned()));
    let Ended::NotReached { because: Because::Node(why) } = &applied.steps[&id("node1/b")] else { panic!() };
    assert!(why.contains("no beat for 30 s"));
    assert!(applied.steps[&id("node2/c")].is_well());
    assert_eq!(applied.steps[&id("node2/d")], Ended::NotReached { because: Because::After(id("node1/b")) });
    assert!(!cluster.borrow().log.contains(&"+host/node1/b".to_owned()));
}

#[tokio::test]
async fn what_a_step_finds_out_goes_to_the_next_and_nothing_is_done_without_it() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let found = vec![(OutputKind::Thumbprint, "BqYb".to_owned())];
    let finds = Performed { outcome: Outcome::Done, outputs: found };
    cluster.borrow_mut().endings.insert(id("node1/a"), Ok(finds));
    let wants = |what: &str, of: &str| {
        let ops = vec![Op::Run(Program::Systemctl.command().output_of(id(of), OutputKind::Thumbprint))];
        Step { ops, ..step(what, &[of]) }
    };
    let steps = vec![
        step("node1/a", &[]),
        step("node1/b", &[]),
        wants("node2/knows", "node1/a"),
        wants("node2/not", "node1/b"),
    ];
    let applied = run_on(&ALL, &cluster, &plan(steps)).await.unwrap();
    let output = OutputRef { step: id("node1/b"), kind: OutputKind::Thumbprint };
    assert_eq!(applied.steps[&id("node2/not")], Ended::NotReached { because: Because::Output(output) });
    let cluster = cluster.borrow();
    let job = cluster.jobs.iter().find(|job| job.step == id("node2/knows")).unwrap();
    let Op::Run(command) = &job.ops[0] else { panic!() };
    assert_eq!(command.arguments, [Argument::Text("BqYb".to_owned())]);
}

#[tokio::test]
async fn what_keeps_nothing_may_come_from_a_file_that_was_edited_since() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    cluster.borrow_mut().keeps.insert(name("node1"), kept(4, digest('b')));
    let plan = plan(vec![step("node1/a", &[])]);
    let on_one = async |ancestors: &[Ancestor]| {
        let links = [(name("node1"), Node(name("node1"), cluster.clone()))].into();
        let (_sender, stop) = watch::channel(false);
        let digest = digest('a');
        let order = Order { plan: &plan, digest: &digest, ancestors, kept: None, secrets: BTreeMap::new(), stop };
        apply(&Way(cluster.clone()), links, 1, order, &mut |_| ()).await
    };
    assert!(matches!(on_one(&[]).await, Err(NotApplied::Overtaken { .. })));
    let applied = on_one(&[Ancestor { number: 4, digest: digest('b') }]).await.unwrap();
    assert!(applied.is_whole());
}

#[tokio::test]
async fn of_two_applies_one_is_told_who_is_at_it() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let lease = protocol::Lease { who: "me@laptop".to_owned(), since: Timestamp(951_827_696_000) };
    cluster.borrow_mut().held.insert(name("node3"), lease);
    let error = run_on(&ALL, &cluster, &plan(vec![step("node1/a", &[])])).await.unwrap_err();
    let expected = "me@laptop has been applying since 2000-02-29 12:34 UTC (held on node3); wait, or end that one";
    assert_eq!(error.to_string(), expected);
    assert_eq!(cluster.borrow().log, [""; 0]);
}

#[tokio::test]
async fn a_minority_does_nothing_and_a_majority_does_what_is_its_own() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let plan = keeping(plan(vec![step("node1/a", &[]), step("node2/b", &[])]), 1);
    let error = run_on(&["node1"], &cluster, &plan).await.unwrap_err();
    assert!(matches!(error, NotApplied::NotHeld(NotHeld::TooFew { held: 1, nodes: 3, .. })), "{error}");
    assert_eq!(cluster.borrow().log, [""; 0]);
    let applied = run_on(&["node1", "node3"], &cluster, &plan).await.unwrap();
    assert!(applied.steps[&id("node1/a")].is_well());
    assert!(matches!(&applied.steps[&id("node2/b")], Ended::NotReached { because: Because::Node(_) }));
    assert!(applied.kept[&name("node2")].is_err() && applied.kept[&name("node3")].is_ok());
}

#[tokio::test]
async fn nothing_is_done_before_a_majority_keeps_the_file() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let plan = keeping(plan(vec![step("node1/a", &[]), step("node2/b", &[])]), 1);
    cluster.borrow_mut().refuses_to_keep = ["node1", "node2"].map(name).into();
    let applied = run_on(&ALL, &cluster, &plan).await.unwrap();
    assert!(applied.steps.values().all(|ended| matches!(ended, Ended::NotReached { because: Because::NotKept(_) })));
    assert_eq!(cluster.borrow().log, ["keep node3"]);
    // One that can't keep it is left out.
    cluster.borrow_mut().refuses_to_keep = [name("node1")].into();
    let applied = run_on(&ALL, &cluster, &plan).await.unwrap();
    assert!(!applied.steps[&id("node1/a")].is_well() && applied.steps[&id("node2/b")].is_well());
}

#[tokio::test]
async fn a_plan_of_before_is_not_applied() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let plan = plan(vec![step("node1/a", &[])]);
    cluster.borrow_mut().keeps = [(name("node1"), kept(3, digest('a'))), (name("node2"), kept(4, digest('b')))].into();
    let error = run_on(&ALL, &cluster, &plan).await.unwrap_err();
    assert!(error.to_string().starts_with("me@laptop has applied generation 4 since"), "{error}");
    let error = run_on(&ALL, &cluster, &keeping(plan.clone(), 4)).await.unwrap_err();
    assert!(matches!(error, NotApplied::Overtaken { .. }), "{error}");
    assert_eq!(cluster.borrow().log, [""; 0]);
    assert!(run_on(&ALL, &cluster, &keeping(plan, 5)).await.unwrap().is_whole());
}

#[tokio::test]
async fn whoever_ends_an_apply_has_what_runs_waited_for() {
    let cluster: Rc<RefCell<Cluster>> = Rc::default();
    let plan = plan(vec![step("node1/a", &[]), step("node1/b", &[]), step("node2/c", &["node1/a"])]);
    let (sender, stop) = watch::channel(false);
    let mut on = |event| {
        if let Event::Progress(..) = event {
            sender.send_replace(true);
        }
    };
    let applied = run_until(&ALL, &cluster, &plan, stop, &mut on).await.unwrap();
    assert!(applied.steps[&id("node1/a")].is_well());
    for step in ["node1/b", "node2/c"] {
        assert_eq!(applied.steps[&id(step)], Ended::NotReached { because: Because::Stopped });
    }
}

#[tokio::test]
async fn a_circle_ends() {
    let plan = plan(vec![step("node1/a", &["node2/b"]), step("node2/b", &["node1/a"])]);
    let applied = run_on(&ALL, &Rc::default(), &plan).await.unwrap();
    assert!(applied.steps.values().all(|ended| *ended == Ended::NotReached { because: Because::Circle }));
}

#[test]
fn what_remains_is_told_by_how_it_ended() {
    let failed = Ended::Outcome(Outcome::Failed("no space".to_owned()));
    let steps = [(id("node1/a"), failed.clone()), (id("node1/b"), Ended::Outcome(Outcome::Done))];
    let applied = Applied { steps: steps.into(), ..Applied::default() };
    assert_eq!(verify(&applied, &plan(Vec::new())), Verdict::Verified);
    let after = plan(vec![step("node1/a", &[]), step("node1/b", &[]), step("node1/c", &[])]);
    let Verdict::NotAsAsked(remains) = verify(&applied, &after) else { panic!() };
    assert_eq!(remains.unfinished, [(id("node1/a"), failed)]);
    assert_eq!((remains.untrue, remains.new), (vec![id("node1/b")], vec![id("node1/c")]));
}
