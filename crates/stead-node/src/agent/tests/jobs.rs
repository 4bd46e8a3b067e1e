//! Steps, and what becomes of them when the connection does not last.

use super::*;

fn run(program: Program) -> Op {
    Op::Run(program.command())
}

/// A node with a tool that says when it is there, and goes on when it is told to.
fn waiting_node() -> Node {
    let node = Node::new();
    node.tool(Program::AptGet, "echo >there; read x <go; echo finished >result");
    for pipe in ["there", "go"] {
        node.pipe(pipe);
    }
    node
}

/// Has an agent run the waiting tool and then write a file.
async fn in_the_middle(node: &Node) -> Asking {
    let mut asking = Asking::hold(node).await;
    asking.send(job(vec![run(Program::AptGet), write_op("/etc/after")])).await;
    node.wait("there").await;
    asking
}

/// What an orphan does.
async fn finishes_and_no_more(node: &Node, asking: Asking, expected: End) {
    // It still holds the node.
    let mut other = Asking::greet(node, hello(Role::Apply)).await;
    assert!(matches!(other.ask(Request::Lock).await, Answer::Held(_)));
    node.go("go").await;
    assert_eq!(asking.end().await, expected);
    assert_eq!((node.read("result"), node.list("/etc")), ("finished\n".into(), vec![]));
    assert_eq!(other.ask(Request::Lock).await, Answer::Locked);
}

#[tokio::test]
async fn an_orphan_finishes_its_command_and_begins_no_other() {
    local(async {
        let node = waiting_node();
        let journal = node.journal();
        let mut asking = in_the_middle(&node).await;
        asking.send(job(vec![write_op("/etc/next")])).await;
        asking.close();
        finishes_and_no_more(&node, asking, End::Closed).await;
        let heard = journal.heard().concat();
        assert!(heard.contains("failed: install chrony\nstopped before `write /etc/after`"), "{heard}");
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_is_told_to_stop_is_an_orphan() {
    local(async {
        let node = waiting_node();
        let mut asking = in_the_middle(&node).await;
        asking.stop.take().unwrap().send(()).unwrap();
        finishes_and_no_more(&node, asking, End::Stopped).await;
    })
    .await;
}

#[tokio::test]
async fn an_agent_that_nobody_hears_is_an_orphan() {
    local(async {
        let node = waiting_node();
        let mut asking = in_the_middle(&node).await;
        // Nothing reads any more, and what was to be said can't be.
        asking.from = tokio::io::duplex(1).0;
        tokio::time::pause();
        tokio::time::advance(Duration::from_secs(BEAT_EVERY)).await;
        tokio::task::yield_now().await;
        tokio::time::resume();
        node.go("go").await;
        let Asking { agent, to, .. } = asking;
        assert!(matches!(agent.await.unwrap(), End::Lost(why) if why.contains("is not heard")));
        assert_eq!((node.read("result"), node.list("/etc")), ("finished\n".into(), vec![]));
        drop(to);
    })
    .await;
}

#[tokio::test]
async fn requests_are_heard_while_a_step_is_done() {
    local(async {
        let node = waiting_node();
        let mut asking = in_the_middle(&node).await;
        assert_eq!(asking.hear().await, Answer::Progress("apt-get".into()));
        asking.send(Request::Fetch).await;
        node.go("go").await;
        let (performed, said) = asking.listen().await;
        assert_eq!(performed, Answer::Performed(Performed { outcome: Outcome::Done, outputs: vec![] }));
        assert_eq!(said, [Answer::Progress("write /etc/after".into())]);
        assert_eq!(asking.listen().await.0, Answer::Fetched(None));
        assert_eq!(node.list("/etc"), ["after"]);
    })
    .await;
}

/// Two steps that may be done beside each other, on a node with so much memory: the first one's tool waits for `go`.
fn two(node: &Node, available: &str, second: &str) -> Request {
    node.write("/proc/meminfo", &format!("MemTotal: 8000000 kB\nMemAvailable: {available} kB\n"));
    node.tool(Program::Dpkg, second);
    let job = |what: &str, ops| {
        let step = format!("disks/node1/{what}").parse().unwrap();
        Job { step, title: what.to_owned(), ops, guard: None, beside: Some(100) }
    };
    Request::PerformTogether(vec![
        job("a", vec![run(Program::AptGet), write_op("/etc/a")]),
        job("b", vec![run(Program::Dpkg), write_op("/etc/b")]),
    ])
}

#[tokio::test]
async fn steps_are_done_beside_each_other_while_there_is_memory() {
    local(async {
        let node = waiting_node();
        let mut asking = Asking::hold(&node).await;
        // Of 488 MiB, half.
        asking.send(two(&node, "500000", "test ! -e result")).await;
        node.wait("there").await;
        let mut said = Vec::new();
        for _ in 0..3 {
            let Answer::ProgressOf(_, what) = asking.hear().await else { panic!() };
            said.push(what);
        }
        // Which of two steps is heard of first, nobody knows; of each, all comes in its order.
        let (first, second): (Vec<String>, Vec<String>) = said.into_iter().partition(|what| what == "apt-get");
        assert_eq!(first, ["apt-get"]);
        assert_eq!(second, ["dpkg", "write /etc/b"]);
        node.go("go").await;
        let (Answer::PerformedTogether(all), _) = asking.listen().await else { panic!() };
        assert!(all.len() == 2 && all.values().all(|one| one.outcome == Outcome::Done), "{all:?}");
        assert_eq!(node.list("/etc"), ["a", "b"]);
    })
    .await;
}

#[tokio::test]
async fn without_memory_one_step_waits_for_the_other() {
    local(async {
        let node = waiting_node();
        let mut asking = Asking::hold(&node).await;
        asking.send(two(&node, "300000", "test -e result")).await;
        node.wait("there").await;
        node.go("go").await;
        let (Answer::PerformedTogether(all), _) = asking.listen().await else { panic!() };
        assert!(all.values().all(|one| one.outcome == Outcome::Done), "{all:?}");
        // Whoever has a way back is never beside others.
        let Request::PerformTogether(mut jobs) = two(&node, "300000", "true") else { panic!() };
        jobs[1].beside = None;
        let why = asking.refused(Request::PerformTogether(jobs)).await;
        assert_eq!(why, "the step disks/node1/b is not to be done beside others");
    })
    .await;
}

#[tokio::test]
async fn looking_is_not_finished_for_nobody() {
    local(async {
        let node = Node::new();
        let mut asking = Asking::greet(&node, hello(Role::Observe)).await;
        asking.send(probe()).await;
        asking.close();
        assert_eq!(asking.end().await, End::Closed);
    })
    .await;
}

#[tokio::test]
async fn a_step_is_for_one_node() {
    local(async {
        let node = Node::new();
        let mut asking = Asking::hold(&node).await;
        let step = "host/node2/packages".parse().unwrap();
        let ops = vec![write_op("/etc/a")];
        let why = asking
            .refused(Request::Perform(Box::new(Job { step, title: "x".into(), ops, guard: None, beside: None })))
            .await;
        assert_eq!(why, "the step host/node2/packages is not for this node, which is node1");
        assert_eq!(node.list("/etc"), [""; 0]);
    })
    .await;
}

#[tokio::test]
async fn what_tools_say_is_sent_along_before_the_answer() {
    local(async {
        let node = Node::new();
        node.tool(Program::Dpkg, "echo out");
        let mut asking = Asking::greet(&node, Hello { record: true, ..hello(Role::Apply) }).await;
        asking.send(Request::Look(Box::default())).await;
        let (answer, said) = asking.listen().await;
        assert!(matches!(answer, Answer::Inventory(inventory) if inventory.hostname == Known::Is("out\n".into())));
        assert!(matches!(&said[..], [Answer::Recorded(recording)] if recording.stdout == "out\n"), "{said:?}");
        asking.ask(Request::Lock).await;
        asking.send(job(vec![run(Program::Dpkg)])).await;
        let (_, said) = asking.listen().await;
        assert!(matches!(&said[..], [Answer::Progress(_), Answer::Recorded(_)]), "{said:?}");
    })
    .await;
}

#[tokio::test]
async fn the_journal_hears_of_what_is_done() {
    local(async {
        let node = Node::new();
        let journal = node.journal();
        node.tool(Program::Dpkg, "echo 'no such' >&2; exit 2");
        let mut asking = Asking::hold(&node).await;
        asking.ask(kept(1)).await;
        asking.ask(job(vec![write_op("/etc/a")])).await;
        asking.ask(job(vec![write_op("/etc/a")])).await;
        asking.ask(job(vec![run(Program::Dpkg)])).await;
        asking.close();
        asking.end().await;
        let heard = journal.heard();
        let messages: Vec<&str> = heard.iter().map(|entry| entry.lines().next().unwrap()).collect();
        let expected = [
            "MESSAGE=holds the node for me@laptop",
            "MESSAGE=keeps generation 1",
            "MESSAGE=begins: install chrony",
            "MESSAGE=done: install chrony",
            "MESSAGE=begins: install chrony",
            "MESSAGE=unchanged: install chrony",
            "MESSAGE=begins: install chrony",
            "MESSAGE",
            "MESSAGE=lets the node go",
        ];
        assert_eq!(messages, expected);
        assert!(heard[7].contains("failed: install chrony\nfailed (exit status 2): dpkg\nno such\nPRIORITY=3\n"));
        assert!(heard[2..8].iter().all(|entry| entry.contains("STEAD_STEP=host/node1/packages\n")));
        assert!(heard.iter().all(|entry| entry.contains("STEAD_BY=me@laptop\n")));
    })
    .await;
}
