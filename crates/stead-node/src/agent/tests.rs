use std::cell::Cell;
use std::collections::BTreeMap;
use std::rc::Rc;

use stead_plan::generation::{FORMAT, Generation, Stamp};
use stead_plan::inventory::{Architecture, Clock, Known, Mode, Release, System, Timestamp};
use stead_plan::machines::Hypervisor;
use stead_plan::network::probe::Calls;
use stead_plan::op::{Op, Program, Write};
use stead_plan::step::Outcome;
use stead_plan::volumes::Storage;
use stead_spec::Bytes;
use tokio::io::{AsyncWriteExt, DuplexStream};
use tokio::sync::oneshot;
use tokio::task::{JoinHandle, LocalSet};

use super::*;
use crate::protocol::{Hello, Job, Kept, Performed, Role, VERSION};
use crate::testing::Node;

mod jobs;
mod way_back;

const CLUSTER: &str = "2f1cbd5e-6c0f-4a53-9d0a-4d6c6f0e7b11";

fn hello(role: Role) -> Hello {
    let stamp = Some(Stamp { cluster: CLUSTER.parse().unwrap(), node: "node1".parse().unwrap() });
    Hello { version: VERSION, role, who: "me@laptop".into(), stamp, was: None, patience: 1, record: false }
}

/// What an agent sees that sees nothing.
fn inventory() -> NodeInventory {
    let unknown = || "not looked at".to_owned();
    NodeInventory {
        system: System {
            release: Release::Trixie,
            architecture: Architecture::Amd64,
            kernel: String::new(),
            boot_id: String::new(),
            cpus: 1,
            memory: Bytes::new(0),
            free: Known::Unknown(unknown()),
        },
        clock: Clock { ahead: 0, uncertainty: 0, synchronised: Known::Unknown(unknown()) },
        stamp: Known::Unknown(unknown()),
        generation: Known::Unknown(unknown()),
        unfinished: Known::Unknown(unknown()),
        hostname: Known::Unknown(unknown()),
        timezone: Known::Unknown(unknown()),
        packages: Known::Unknown(unknown()),
        updates: None,
        units: Known::Unknown(unknown()),
        files: BTreeMap::default(),
        users: Known::Unknown(unknown()),
        sysctl: BTreeMap::default(),
        swaps: Known::Unknown(unknown()),
        watchdogs: Known::Unknown(unknown()),
        nics: Known::Unknown(unknown()),
        routes: Known::Unknown(unknown()),
        ovs: Known::Unknown(unknown()),
        routing: Known::Unknown(unknown()),
        firewall: Known::Unknown(unknown()),
        tang: Known::Is(None),
        pools: Known::Is(BTreeMap::new()),
        headers: Known::Is(BTreeMap::new()),
        vacated: Known::Is(BTreeMap::new()),
        disks: Known::Unknown(unknown()),
        storage: Storage::default(),
        hypervisor: Hypervisor::default(),
    }
}

/// Whoever asks.
struct Asking {
    to: Option<DuplexStream>,
    from: DuplexStream,
    stop: Option<oneshot::Sender<()>>,
    agent: JoinHandle<End>,
}

impl Asking {
    /// Starts an agent on that node. It looks by running dpkg, and probes for ever.
    fn start(node: &Node) -> Self {
        let (to, input) = tokio::io::duplex(1 << 20);
        let (output, from) = tokio::io::duplex(1 << 20);
        let (stop, stopped) = oneshot::channel();
        let look = async |_: &Questions, runner: &Runner| {
            let hostname = runner.read(&Program::Dpkg.command()).await.into();
            NodeInventory { hostname, ..inventory() }
        };
        let probe = async |_: &Probe| pending().await;
        let agent = Agent { place: node.place.clone(), look, probe };
        let agent = tokio::task::spawn_local(async move {
            let stopped = async {
                if stopped.await.is_err() {
                    pending::<()>().await;
                }
            };
            agent.serve(input, output, stopped).await
        });
        Self { to: Some(to), from, stop: Some(stop), agent }
    }

    /// Starts one and greets it.
    async fn greet(node: &Node, hello: Hello) -> Self {
        let mut asking = Self::start(node);
        let answer = asking.ask(Request::Hello(hello)).await;
        assert!(matches!(answer, Answer::Hello { version: VERSION, now: Timestamp(1..) }), "{answer:?}");
        asking
    }

    /// One that holds the node.
    async fn hold(node: &Node) -> Self {
        let mut asking = Self::greet(node, hello(Role::Apply)).await;
        assert_eq!(asking.ask(Request::Lock).await, Answer::Locked);
        asking
    }

    async fn send(&mut self, request: Request) {
        frame::write(self.to.as_mut().unwrap(), &request).await.unwrap();
    }

    /// What comes next, signs of life too.
    async fn hear(&mut self) -> Answer {
        frame::read(&mut self.from).await.unwrap()
    }

    /// The answer, and what was said on the way.
    async fn listen(&mut self) -> (Answer, Vec<Answer>) {
        let mut said = Vec::new();
        loop {
            match self.hear().await {
                Answer::Beat => {}
                answer @ (Answer::Progress(_) | Answer::ProgressOf(..) | Answer::Recorded(_)) => said.push(answer),
                answer => return (answer, said),
            }
        }
    }

    async fn ask(&mut self, request: Request) -> Answer {
        self.send(request).await;
        self.listen().await.0
    }

    async fn refused(&mut self, request: Request) -> String {
        let answer = self.ask(request).await;
        let Answer::Refused(why) = answer else { panic!("{answer:?}") };
        why
    }

    /// Closes the connection to the agent.
    fn close(&mut self) {
        self.to = None;
    }

    async fn end(self) -> End {
        self.agent.await.unwrap()
    }
}

fn probe() -> Request {
    Request::Probe(Probe { token: "t".into(), node: "node1".into(), calls: Calls::default(), listen: 1 })
}

fn job(ops: Vec<Op>) -> Request {
    Request::Perform(Box::new(Job {
        step: "host/node1/packages".parse().unwrap(),
        title: "install chrony".into(),
        ops,
        guard: None,
        beside: None,
    }))
}

fn write_op(path: &str) -> Op {
    Op::Write(Write::new(path, Mode(0o644), "# Managed by stead\n"))
}

fn kept(number: u64) -> Request {
    let digest = format!("{number:064x}").parse().unwrap();
    let (by, stead) = ("me@laptop".to_owned(), "0.1.0".to_owned());
    let generation = Generation { number, digest, at: Timestamp(1), by, stead, format: FORMAT };
    Request::Keep(Box::new(Kept { generation, file: "# file\n".into(), secrets: "sealed\n".into() }))
}

/// Runs a test on one thread, as the agent does.
async fn local<T>(test: impl Future<Output = T>) -> T {
    LocalSet::new().run_until(test).await
}

#[tokio::test]
async fn an_agent_is_greeted_first_and_once() {
    local(async {
        let node = Node::new();
        let mut asking = Asking::start(&node);
        assert!(asking.refused(Request::Fetch).await.contains("greeted first"));
        let why = asking.refused(Request::Hello(Hello { version: VERSION + 6, ..hello(Role::Apply) })).await;
        assert!(why.contains("version 1 of") && why.contains("version 7:"), "{why}");
        assert!(asking.refused(Request::Fetch).await.contains("greeted first"));
        assert!(matches!(asking.ask(Request::Hello(hello(Role::Apply))).await, Answer::Hello { .. }));
        assert!(asking.refused(Request::Hello(hello(Role::Apply))).await.contains("once"));
        assert_eq!(asking.ask(Request::Fetch).await, Answer::Fetched(None));
        asking.close();
        assert_eq!(asking.end().await, End::Closed);
    })
    .await;
}

#[tokio::test]
async fn a_role_is_kept() {
    local(async {
        let node = Node::new();
        for (role, name) in [(Role::Observe, "observe"), (Role::Operate, "operate")] {
            let mut asking = Asking::greet(&node, hello(role)).await;
            for request in
                [Request::Lock, kept(1), job(vec![write_op("/etc/a")]), way_back::confirm(), way_back::undo()]
            {
                let why = asking.refused(request).await;
                assert_eq!(why, format!("that wants the role `apply`, and this connection has `{name}`"));
            }
            assert_eq!(asking.ask(Request::Fetch).await, Answer::Fetched(None));
            assert!(matches!(asking.ask(Request::Look(Box::default())).await, Answer::Inventory(_)));
        }
        let mut asking = Asking::greet(&node, hello(Role::Apply)).await;
        for request in [kept(1), job(vec![write_op("/etc/a")])] {
            assert!(asking.refused(request).await.contains("must be held"));
        }
        assert_eq!((node.list("/etc"), node.list("/run"), node.list("/var")), (vec![], vec![], vec![]));
    })
    .await;
}

#[tokio::test]
async fn a_node_that_is_renamed_may_still_say_its_old_name() {
    local(async {
        let node = Node::new();
        node.write("/var/lib/stead/stamp.json", &format!(r#"{{"cluster": "{CLUSTER}", "node": "node7"}}"#));
        for (was, is_taken) in [(None, false), (Some("node8"), false), (Some("node7"), true)] {
            let was = was.map(|name| name.parse().unwrap());
            let answer = Asking::greet(&node, Hello { was, ..hello(Role::Apply) }).await.ask(Request::Lock).await;
            assert_eq!(answer == Answer::Locked, is_taken, "{answer:?}");
        }
    })
    .await;
}

#[tokio::test]
async fn a_foreign_stamp_refuses_everything_but_looking() {
    local(async {
        let node = Node::new();
        let other = "11111111-2222-3333-4444-555555555555";
        for (cluster, name) in [(CLUSTER, "node2"), (other, "node1")] {
            let stamp = format!(r#"{{"cluster": "{cluster}", "node": "{name}"}}"#);
            node.write("/var/lib/stead/stamp.json", &stamp);
            let mut asking = Asking::greet(&node, hello(Role::Apply)).await;
            for request in [Request::Lock, kept(1), job(vec![])] {
                let why = asking.refused(request).await;
                let expected = format!("this is {name} of cluster {cluster}, not node1 of cluster {CLUSTER}: ");
                assert!(why.starts_with(&expected), "{why}");
            }
            assert_eq!(asking.ask(Request::Fetch).await, Answer::Fetched(None));
            assert!(matches!(asking.ask(Request::Look(Box::default())).await, Answer::Inventory(_)));
        }
        node.write("/var/lib/stead/stamp.json", "");
        let mut asking = Asking::greet(&node, hello(Role::Apply)).await;
        assert!(asking.refused(Request::Lock).await.contains("stamp.json makes no sense"));
        node.write("/var/lib/stead/stamp.json", &format!(r#"{{"cluster": "{CLUSTER}", "node": "node1"}}"#));
        assert_eq!(asking.ask(Request::Lock).await, Answer::Locked);
        let mut anonymous = Asking::greet(&node, Hello { stamp: None, ..hello(Role::Apply) }).await;
        assert!(anonymous.refused(Request::Lock).await.contains("must say whose"));
    })
    .await;
}

#[tokio::test]
async fn one_apply_holds_a_node_until_its_agent_ends() {
    local(async {
        let node = Node::new();
        let mut first = Asking::hold(&node).await;
        assert_eq!(first.ask(Request::Lock).await, Answer::Locked);
        let mut second = Asking::greet(&node, Hello { who: "you@desk".into(), ..hello(Role::Apply) }).await;
        let Answer::Held(lease) = second.ask(Request::Lock).await else { panic!("two hold it") };
        assert_eq!(lease.who, "me@laptop");
        first.close();
        assert_eq!(first.end().await, End::Closed);
        assert_eq!(second.ask(Request::Lock).await, Answer::Locked);
    })
    .await;
}

#[tokio::test]
async fn a_daemon_that_a_step_starts_does_not_hold_the_node() {
    local(async {
        let node = Node::new();
        node.pipe("stop");
        node.tool(Program::Systemctl, "(read x <stop) >/dev/null 2>&1 & ");
        let mut first = Asking::hold(&node).await;
        first.ask(job(vec![Op::Run(Program::Systemctl.command())])).await;
        first.close();
        first.end().await;
        assert!(matches!(Asking::hold(&node).await.end_quietly().await, End::Closed));
        node.go("stop").await;
    })
    .await;
}

impl Asking {
    async fn end_quietly(mut self) -> End {
        self.close();
        self.end().await
    }
}

#[tokio::test]
async fn what_is_kept_is_fetched_by_anybody() {
    local(async {
        let node = Node::new();
        let mut asking = Asking::hold(&node).await;
        assert_eq!(asking.ask(kept(1)).await, Answer::Kept);
        assert_eq!(asking.ask(kept(2)).await, Answer::Kept);
        assert!(asking.refused(kept(1)).await.contains("plan again"));
        let mut looking = Asking::greet(&node, Hello { stamp: None, ..hello(Role::Observe) }).await;
        let Answer::Fetched(Some(fetched)) = looking.ask(Request::Fetch).await else { panic!("nothing is kept") };
        assert_eq!(Request::Keep(fetched), kept(2));
        node.write("/var/lib/stead/generations/2/generation.json", "{");
        looking.send(Request::Fetch).await;
        let (answer, said) = looking.listen().await;
        assert!(matches!(answer, Answer::Fetched(Some(kept)) if kept.generation.number == 1));
        assert!(matches!(&said[..], [Answer::Progress(torn)] if torn.starts_with("generation 2 is torn")), "{said:?}");
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn both_sides_give_signs_of_life() {
    local(async {
        let node = Node::new();
        let mut asking = Asking::greet(&node, Hello { patience: 2, ..hello(Role::Observe) }).await;
        let began = Instant::now();
        // Something takes long.
        asking.send(probe()).await;
        for beat in 1..=20 {
            assert_eq!(asking.hear().await, Answer::Beat);
            assert_eq!(began.elapsed().as_secs(), beat * BEAT_EVERY);
            asking.send(Request::Beat).await;
        }
        let heard_last = Instant::now();
        assert_eq!(asking.end().await, End::Lost("no sign of life for 60 s".into()));
        assert_eq!(heard_last.elapsed().as_secs(), 2 * GONE_AFTER);
    })
    .await;
}

#[tokio::test(start_paused = true)]
async fn silence_before_the_greeting_is_an_end_too() {
    local(async {
        let asking = Asking::start(&Node::new());
        let began = Instant::now();
        assert!(matches!(asking.end().await, End::Lost(_)));
        assert_eq!(began.elapsed().as_secs(), GONE_AFTER);
    })
    .await;
}

#[tokio::test]
async fn nonsense_is_an_end_with_a_word() {
    local(async {
        let mut asking = Asking::start(&Node::new());
        asking.to.as_mut().unwrap().write_all(b"hello, is anybody there?").await.unwrap();
        assert!(matches!(asking.hear().await, Answer::Refused(why) if why.contains(r#"begins with "hell""#)));
        assert!(matches!(asking.end().await, End::Lost(_)));
    })
    .await;
}

#[tokio::test]
async fn a_signal_ends_an_agent_in_good_order() {
    local(async {
        let stopped = Rc::new(Cell::new(false));
        let mut stop = pin!(async {
            told_to_stop().await;
            stopped.set(true);
        });
        assert!(timeout(Duration::ZERO, &mut stop).await.is_err());
        rustix::process::kill_process(rustix::process::getpid(), rustix::process::Signal::HUP).unwrap();
        stop.await;
        assert!(stopped.get());
    })
    .await;
}
