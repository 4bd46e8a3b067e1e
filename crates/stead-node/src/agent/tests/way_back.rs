//! Guarded steps, over one connection and the next.

use stead_plan::step::StepId;

use super::*;
use crate::way_back::tests::{guard, node, ops};

fn step() -> StepId {
    "network/node1/devices".parse().unwrap()
}

pub(super) fn confirm() -> Request {
    Request::Confirm(step())
}

pub(super) fn undo() -> Request {
    Request::Undo(step())
}

fn guarded() -> Request {
    let job = Job { step: step(), title: "set up br1".into(), ops: ops(), guard: Some(guard()), beside: None };
    Request::Perform(Box::new(job))
}

#[tokio::test]
async fn a_new_connection_confirms_without_the_lock() {
    local(async {
        let node = node();
        let mut old = Asking::hold(&node).await;
        let performed = Performed { outcome: Outcome::Done, outputs: vec![] };
        assert_eq!(old.ask(guarded()).await, Answer::Performed(performed));
        let mut new = Asking::greet(&node, hello(Role::Apply)).await;
        assert_eq!(new.ask(confirm()).await, Answer::Confirmed);
        assert!(new.refused(confirm()).await.contains("is not pending here"));
        assert!(new.refused(undo()).await.contains("is not pending here"));
        assert!(node.read("/etc/network").contains("stead"));
    })
    .await;
}

#[tokio::test]
async fn a_new_connection_undoes_and_tells_what_it_could_not() {
    local(async {
        let node = node();
        let mut old = Asking::hold(&node).await;
        old.ask(guarded()).await;
        old.close();
        old.end().await;
        let mut new = Asking::hold(&node).await;
        assert_eq!(new.ask(undo()).await, Answer::Undone(vec![]));
        assert_eq!(node.read("/etc/network"), "old\n");
        new.ask(guarded()).await;
        node.write("fails-reload", "");
        let answer = new.ask(undo()).await;
        assert!(matches!(&answer, Answer::Undone(rest) if rest.len() == 1), "{answer:?}");
    })
    .await;
}

#[tokio::test]
async fn an_orphan_finishes_a_guarded_step() {
    local(async {
        let node = node();
        node.tool(Program::Networkctl, "echo >there; read x <go");
        for pipe in ["there", "go"] {
            node.pipe(pipe);
        }
        let journal = node.journal();
        let mut old = Asking::hold(&node).await;
        let Request::Perform(mut job) = guarded() else { panic!() };
        job.ops.push(write_op("/etc/new"));
        job.ops.rotate_right(2);
        old.send(Request::Perform(job)).await;
        node.wait("there").await;
        old.close();
        // It is heard of, and confirmed, only when it is done.
        let mut new = Asking::greet(&node, hello(Role::Apply)).await;
        assert!(matches!(new.ask(Request::Lock).await, Answer::Held(_)));
        new.send(confirm()).await;
        node.go("go").await;
        assert_eq!(old.end().await, End::Closed);
        let (first, _) = new.listen().await;
        let confirmed = match first {
            // It came before the next operation.
            Answer::Refused(why) if why.contains("has not ended well") => new.ask(confirm()).await,
            other => other,
        };
        assert_eq!(confirmed, Answer::Confirmed);
        assert!(node.read("/etc/network").contains("stead"));
        assert!(journal.heard().concat().contains("MESSAGE=done: set up br1"));
    })
    .await;
}

#[tokio::test]
async fn whoever_looks_may_ping() {
    local(async {
        let node = Node::new();
        node.tool(Program::Ping, r#"case "$*" in *192.0.2.1) exit 0;; esac; exit 1"#);
        let mut asking = Asking::greet(&node, hello(Role::Observe)).await;
        let [near, far] = ["192.0.2.1", "192.0.2.2"].map(|address| address.parse().unwrap());
        let answer = asking.ask(Request::Ping([near, far].into())).await;
        assert_eq!(answer, Answer::Pinged([(near, true), (far, false)].into()));
    })
    .await;
}
