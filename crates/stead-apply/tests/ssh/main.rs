//! Nodes over ssh, with a program in the place of ssh that runs what sshd would run.

mod agent;

use std::collections::BTreeMap;
use std::fs;
use std::path::PathBuf;

use camino::{Utf8Path, Utf8PathBuf};
use stead_apply::gather::{GatherEvent, gather, look_again};
use stead_apply::generation::fetch;
use stead_apply::reach::{Link as _, Lost, Reach as _};
use stead_apply::ssh::{AgentBinaries, Machine, Ssh, SshConfig, SshLink, Target};
use stead_node::protocol::{Answer, Request, Role};
use stead_plan::inventory::{Inventory, Observation, Questions, Timestamp};
use stead_spec::units::NodeName;
use tempfile::TempDir;

/// Hosts in a folder, reached by `fake-ssh`.
struct World {
    folder: TempDir,
    ssh: Ssh,
}

impl World {
    fn new(hosts: &[&str]) -> Self {
        let own = Machine::own().expect("tests run where stead does");
        Self::with(hosts, own)
    }

    fn with(hosts: &[&str], machine: Machine) -> Self {
        let folder = tempfile::tempdir().expect("a folder");
        let mut agents = AgentBinaries::default();
        agents.add(machine, agent::script());
        let ssh = Ssh::new(SshConfig {
            nodes: hosts
                .iter()
                .map(|host| {
                    (name(host), Target { ssh: format!("root@{host}:2222").parse().expect("a host"), was: None })
                })
                .collect(),
            cluster: Some("8b7e1c9e-5a3f-4c1d-9e2b-7f6a5d4c3b2a".parse().expect("a UUID")),
            who: "me@laptop".to_owned(),
            patience: 3,
            record: false,
            config_file: Some(utf8(folder.path().join("config"))),
            agents,
            program: Some(utf8(PathBuf::from(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/ssh/fake-ssh")))),
        });
        let world = Self { folder, ssh };
        for host in hosts {
            fs::create_dir_all(world.path(host, "fakes")).expect("a folder");
            world.fake(host, "id", "echo 0");
        }
        world
    }

    fn path(&self, host: &str, below: &str) -> Utf8PathBuf {
        utf8(self.folder.path().join(host).join(below))
    }

    fn write(&self, host: &str, below: &str, text: &str) {
        fs::write(self.path(host, below), text).expect("a file");
    }

    fn read(&self, host: &str, below: &str) -> String {
        fs::read_to_string(self.path(host, below)).expect("a file")
    }

    /// A program that this host has instead of the system's.
    fn fake(&self, host: &str, program: &str, script: &str) {
        self.write(host, &format!("fakes/{program}"), &format!("#!/bin/sh\n{script}\n"));
    }

    async fn link(&self, host: &str) -> Result<SshLink, Lost> {
        self.ssh.link(&name(host), Role::Apply).await
    }

    async fn lost(&self, host: &str) -> Lost {
        self.link(host).await.expect_err("nobody should be there")
    }

    /// What lies in the folder of agents.
    fn agents(&self, host: &str) -> Vec<String> {
        let entries = self.path(host, "lib/agent").read_dir_utf8().expect("a folder");
        let mut names: Vec<String> = entries.map(|entry| entry.expect("a name").file_name().to_owned()).collect();
        names.sort();
        names
    }
}

fn utf8(path: PathBuf) -> Utf8PathBuf {
    Utf8PathBuf::from_path_buf(path).expect("UTF-8")
}

fn name(node: &str) -> NodeName {
    node.parse().expect("a name")
}

fn look() -> Request {
    Request::Look(Box::default())
}

#[track_caller]
fn says(lost: &Lost, why: &[&str], hint: &str) {
    assert!(why.iter().all(|words| lost.why.contains(words)), "{}", lost.why);
    assert!(lost.hint.as_ref().is_some_and(|text| text.contains(hint)), "{:?}", lost.hint);
}

#[tokio::test]
async fn the_agent_is_copied_once_and_older_ones_go() {
    let world = World::new(&["node1"]);
    let mut link = world.link("node1").await.expect("a link");
    assert!(matches!(link.ask(look(), &mut |_| ()).await, Ok(Answer::Inventory(_))));
    let agents = world.agents("node1");
    assert_eq!(agents.len(), 1, "{agents:?}");
    assert_eq!(fs::read(world.path("node1", "lib/agent").join(&agents[0])).expect("a file"), agent::script());
    let hello = world.read("node1", "hello");
    assert!(hello.contains(r#""who":"me@laptop""#) && hello.contains(r#""node":"node1""#), "{hello}");

    // From now on, nothing may be read from the connection but messages.
    world.fake("node1", "head", "exit 1");
    let mut link = world.link("node1").await.expect("the agent is there");
    assert!(matches!(link.ask(look(), &mut |_| ()).await, Ok(Answer::Inventory(_))));
    assert_eq!(world.read("node1", "runs"), "run\nrun\n");

    // One that isn't whole, of the same or another version, is nobody's agent.
    fs::remove_file(world.path("node1", "bin/head")).expect("a file");
    fs::remove_file(world.path("node1", "fakes/head")).expect("a file");
    world.write("node1", &format!("lib/agent/{}", agents[0]), "#!/bin/sh");
    world.write("node1", "lib/agent/stead-0123", "an older one");
    world.write("node1", "lib/agent/upload-1", "somebody else's, right now");
    world.link("node1").await.expect("a link");
    assert_eq!(world.agents("node1"), [agents[0].as_str(), "upload-1"]);
}

#[tokio::test]
async fn whatever_the_login_shell_says_first_is_passed_over() {
    let world = World::new(&["node1"]);
    world.write("node1", "banner", "Welcome to node1!\n\nYou have mail.\nno newline at the end");
    let mut link = world.link("node1").await.expect("a link");
    let mut said = Vec::new();
    let answer = link.ask(look(), &mut |answer| said.push(answer)).await;
    assert!(matches!(answer, Ok(Answer::Inventory(_))), "{answer:?}");
    assert_eq!(said, [Answer::Progress("looks".to_owned())]);
}

#[tokio::test]
async fn what_ssh_says_is_told_with_what_to_do() {
    let world = World::new(&["node1"]);
    world.write("node1", "refuse", "root@node1: Permission denied (publickey).\n");
    let lost = world.lost("node1").await;
    says(&lost, &["node1 (root@node1:2222) doesn't let", "-p 2222 -l root -- node1 true", "(publickey)."], "ssh-add");

    let unknown = world.ssh.link(&name("node9"), Role::Apply).await.expect_err("there is none");
    says(&unknown, &["no address for node9"], "[node.node9]");
}

#[tokio::test]
async fn a_user_becomes_root_by_sudo_or_hears_how() {
    let world = World::new(&["node1"]);
    world.fake("node1", "id", "echo 1000");
    world.fake("node1", "sudo", "echo sudo: a password is required >&2; exit 1");
    says(&world.lost("node1").await, &["wants a password", "sudo: a password"], "stead node enroll root@node1:2222");

    world.fake("node1", "sudo", "[ \"$1\" = -n ] || exit 1; shift; exec \"$@\"");
    world.link("node1").await.expect("sudo lets it");
}

#[tokio::test]
async fn what_is_in_the_way_of_the_agent_is_told() {
    let (own, other) = match Machine::own().expect("tests run where stead does") {
        Machine::X86_64 => ("x86_64", "aarch64"),
        Machine::Aarch64 => ("aarch64", "x86_64"),
    };
    let no_space = "echo head: error writing: No space left on device >&2; exit 1";
    for (program, script, why, hint) in [
        ("uname", format!("echo {other}"), vec![other, "no agent"], "STEAD_AGENTS"),
        ("df", "echo Avail; echo 12000".to_owned(), vec!["too little space", "0 MiB"], "apt-get clean"),
        ("head", no_space.to_owned(), vec!["could not write", "No space left"], "df -h"),
        ("head", "head=/usr/bin/head; $head \"$@\" | tr a b".to_owned(), vec!["damaged"], "again"),
        ("chmod", "/bin/chmod 644 \"$2\"".to_owned(), vec!["doesn't start programs"], "noexec"),
        ("mkdir", "echo mkdir: Read-only file system >&2; exit 1".to_owned(), vec!["Read-only"], "findmnt"),
    ] {
        let world = World::new(&["node1"]);
        world.fake("node1", program, &script);
        says(&world.lost("node1").await, &why, hint);
        let left = world.path("node1", "lib/agent").read_dir_utf8().map_or(0, Iterator::count);
        assert_eq!(left, usize::from(program == "chmod"), "{own}: {program} leaves something behind");
    }
}

#[tokio::test]
async fn an_agent_that_will_not_talk_is_told_apart_from_a_node_that_is_away() {
    let world = World::new(&["node1"]);
    world.write("node1", "manner", "foreign");
    assert!(world.lost("node1").await.why.contains("node1 (root@node1:2222): this is a node of another cluster"));
    world.write("node1", "manner", "newer");
    says(&world.lost("node1").await, &["it speaks 99"], "STEAD_AGENTS");
}

#[tokio::test]
async fn a_connection_that_ends_in_the_middle_leaves_doubt_and_says_so() {
    let world = World::new(&["node1"]);
    world.write("node1", "manner", "dies");
    let mut link = world.link("node1").await.expect("a link");
    let lost = link.ask(look(), &mut |_| ()).await.expect_err("it died");
    says(&lost, &["cut off in the middle", "nobody knows", "\n  Killed"], "run the same command again");
    assert!(link.ask(look(), &mut |_| ()).await.is_err());
}

#[tokio::test]
async fn a_node_that_stops_answering_is_given_up() {
    let world = World::new(&["node1"]);
    world.write("node1", "manner", "mute");
    let mut link = world.link("node1").await.expect("a link");
    // Nothing will come of its own from now on, so only the clock moves.
    tokio::time::pause();
    let lost = link.ask(look(), &mut |_| ()).await.expect_err("it is silent");
    says(&lost, &["said nothing for 90 s", "nobody knows"], "run the same command again");
}

#[tokio::test]
async fn nothing_is_left_running_when_a_link_is_dropped() {
    let world = World::new(&["node1", "node2"]);
    world.write("node2", "manner", "mute");
    for host in ["node1", "node2"] {
        let mut link = world.link(host).await.expect("a link");
        if host == "node2" {
            // It doesn't see that its input ended, so it wants to be killed.
            let mut never = |_| ();
            let ask = link.ask(look(), &mut never);
            let given_up = tokio::time::timeout(std::time::Duration::from_millis(1), ask).await;
            assert!(given_up.is_err());
        }
        drop(link);
        if host == "node2" {
            tokio::time::pause();
            tokio::task::yield_now().await;
            tokio::time::advance(std::time::Duration::from_secs(5)).await;
        }
        let process = Utf8Path::new("/proc").join(world.read(host, "pid"));
        while process.exists() {
            // Also one that has ended is there until the runtime has seen it.
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test]
async fn one_dead_node_of_three_hides_none_of_the_others() {
    let world = World::new(&["node1", "node2", "node3"]);
    world.write("node2", "refuse", "ssh: connect to host node2 port 2222: No route to host\n");
    let questions: BTreeMap<NodeName, Questions> =
        ["node1", "node2", "node3"].map(|node| (name(node), Questions::default())).into();
    let now = || Timestamp(4_000_000);
    let mut events = Vec::new();
    let mut on = |node: &NodeName, event| events.push((node.to_string(), event));
    let (inventory, mut links) = gather(&world.ssh, &questions, Role::Apply, &now, &mut on).await;
    assert_eq!(seen(&inventory), ["node1", "node3"]);
    assert_eq!(links.keys().map(ToString::to_string).collect::<Vec<_>>(), ["node1", "node3"]);
    assert_eq!(inventory.observed_at, Timestamp(4_000_000));
    let Some(Observation::Silent(why)) = inventory.nodes.get(&name("node2")) else { panic!("{inventory:?}") };
    assert!(why.contains("node2 (root@node2:2222) doesn't answer"), "{why}");
    for (node, last) in [("node1", "Seen"), ("node2", "Lost"), ("node3", "Seen")] {
        let of_node: Vec<&GatherEvent> = events.iter().filter(|(of, _)| of == node).map(|(_, event)| event).collect();
        assert!(of_node.last().is_some_and(|event| format!("{event:?}").starts_with(last)), "{of_node:?}");
    }

    // By the greeting, whose round trip is short, not by the looking. The fake `now` stands still, so what the greeting
    // is ago and what it took are the tolerance.
    let (_, node1) = inventory.seen().next().expect("node1");
    let ahead = agent::GREETED - 4_000_000;
    assert!((ahead..ahead + 60_000).contains(&node1.clock.ahead), "{:?}", node1.clock);

    let again = look_again(&mut links, &questions, 3, &now, &mut |_, _| ()).await;
    assert_eq!(seen(&again), ["node1", "node3"]);
    let (_, node1) = again.seen().next().expect("node1");
    assert_eq!((node1.clock.ahead, node1.clock.uncertainty), (agent::LOOKED - 4_000_000, 1));

    // One that is lost meanwhile is told, and its link goes.
    let pid = world.read("node3", "pid").trim().parse().expect("a number");
    let pid = rustix::process::Pid::from_raw(pid).expect("not zero");
    rustix::process::kill_process(pid, rustix::process::Signal::KILL).expect("it runs");
    let again = look_again(&mut links, &questions, 3, &now, &mut |_, _| ()).await;
    assert_eq!(seen(&again), ["node1"]);
    assert_eq!(links.keys().map(ToString::to_string).collect::<Vec<_>>(), ["node1"]);
}

fn seen(inventory: &Inventory) -> Vec<String> {
    inventory.seen().map(|(node, _)| node.to_string()).collect()
}

#[tokio::test]
async fn a_generation_is_fetched_from_an_address_without_a_cluster() {
    let world = World::new(&["node1"]);
    let target = "root@node1".parse().expect("a target");
    let mut link = world.ssh.link_to(&target, Role::Observe).await.expect("a link");
    assert_eq!(fetch(&mut link).await, Ok(None));
    let hello = world.read("node1", "hello");
    assert!(hello.contains(r#""stamp":null"#) && hello.contains(r#""role":"observe""#), "{hello}");
}
