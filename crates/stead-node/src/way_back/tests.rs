use std::fs;
use std::os::unix::fs::MetadataExt;
use std::time::Duration;

use stead_plan::inventory::Mode;
use stead_plan::op::{Op, Write};
use stead_plan::step::Outcome;

use super::*;
use crate::perform::perform;
use crate::protocol::Job;
use crate::testing::Node;

const PENDING: &str = "/var/lib/stead/way-back/pending.json";

/// A node with a timer that is set and stopped, and a network that is reloaded.
pub(crate) fn node() -> Node {
    let node = Node::new();
    node.write("/proc/self/exe", "stead itself");
    node.write("/etc/network", "old\n");
    node.mode("/etc/network", 0o640);
    node.link("/etc/link", "old");
    node.write("/etc/openvswitch/real", "old database");
    node.link("/etc/openvswitch/conf.db", "real");
    node.tool(Program::SystemdRun, r#"[ -e broken ] && exit 1; echo "$*" >timer"#);
    node.tool(
        Program::Systemctl,
        r#"case $1 in
            is-active) [ -e timer ] || exit 3;;
            stop) [ -e timer ] || exit 5; rm timer;;
            *) echo "$*" >>systemctl;;
        esac"#,
    );
    node.tool(Program::Networkctl, r#"echo "$* $(cat etc/network)" >>networkctl; [ ! -e "fails-$1" ]"#);
    node
}

pub(crate) fn guard() -> Guard {
    let undo = ["reload", "reconfigure"].map(|word| Program::Networkctl.command().args([word]));
    Guard {
        keeps: ["/etc/network", "/etc/link", "/etc/new"].map(Into::into).into(),
        keeps_for_boot: ["/etc/openvswitch/conf.db".into()].into(),
        undo: undo.into(),
        within: 120,
        watches: Vec::new(),
    }
}

/// Changes all that the guard keeps.
pub(crate) fn ops() -> Vec<Op> {
    let write = |path: &str| Op::Write(Write::new(path, Mode(0o644), "# Managed by stead\n"));
    let link = Op::Link { path: "/etc/link".into(), target: "new".into() };
    vec![write("/etc/network"), link, write("/etc/new"), Op::Run(Program::Networkctl.command().args(["up"]))]
}

fn step() -> StepId {
    "network/node1/devices".parse().unwrap()
}

async fn done(node: &Node, runner: &Runner) -> Outcome {
    let job = Job { step: step(), title: "set up br1".into(), ops: ops(), guard: Some(guard()), beside: None };
    perform(&job, &node.place, runner, "me@laptop", || panic!("a guarded step is not stopped"), |_| ()).await.outcome
}

async fn done_well(node: &Node) {
    assert_eq!(done(node, &node.runner()).await, Outcome::Done);
    node.write("/etc/openvswitch/real", "new database");
}

fn is_as_before(node: &Node) -> bool {
    let network = fs::metadata(node.at("/etc/network")).unwrap();
    let link = fs::read_link(node.at("/etc/link")).unwrap();
    (node.read("/etc/network"), network.mode() & 0o7777, link.to_str()) == ("old\n".into(), 0o640, Some("old"))
        && !node.at("/etc/new").exists()
}

fn failed(outcome: &Outcome) -> &str {
    let Outcome::Failed(why) = outcome else { panic!("{outcome:?}") };
    why
}

#[tokio::test]
async fn what_is_confirmed_stays() {
    let node = node();
    let journal = node.journal();
    done_well(&node).await;
    assert_eq!(
        node.read("timer"),
        "--collect --unit=stead-way-back --on-active=120 --timer-property=AccuracySec=1s --property=KillMode=process \
         /var/lib/stead/way-back/stead way-back undo\n"
    );
    assert_eq!(node.list("/var/lib/stead/way-back"), ["copies", "lock", "pending.json", "stead"]);
    let mode = |path: &str| fs::metadata(node.at(path)).unwrap().mode() & 0o7777;
    assert_eq!(["", "/stead", "/copies"].map(|below| mode(&format!("/var/lib/stead/way-back{below}"))), [0o700; 3]);
    assert_eq!(mode(PENDING), 0o600);
    let other = "network/node1/other".parse().unwrap();
    assert!(matches!(confirm(&node.place, &node.runner(), &other).await, Err(WayBackError::Gone(_))));
    confirm(&node.place, &node.runner(), &step()).await.unwrap();
    assert_eq!(node.list("/var/lib/stead/way-back"), ["lock", "stead"]);
    assert!(!node.at("timer").exists() && !is_as_before(&node));
    let error = confirm(&node.place, &node.runner(), &step()).await.unwrap_err().told();
    assert!(error.starts_with("network/node1/devices is not pending here"), "{error}");
    assert_eq!(undo_by_itself(&node.place).await.unwrap(), Undoing::Nothing);
    let heard = journal.heard();
    assert!(heard.len() == 1 && heard[0].starts_with("MESSAGE=confirmed: network/node1/devices\nPRIORITY=6\n"));
    // And once more, with the program there.
    assert_eq!(done(&node, &node.runner()).await, Outcome::Done);
}

#[tokio::test]
async fn what_nobody_confirms_is_undone_files_first() {
    let node = node();
    let journal = node.journal();
    done_well(&node).await;
    node.write("fails-up", "");
    assert_eq!(undo_by_itself(&node.place).await.unwrap(), Undoing::Undone(step(), vec![]));
    assert!(is_as_before(&node));
    assert_eq!(node.read("networkctl"), "up # Managed by stead\nreload old\nreconfigure old\n");
    // An engine that runs has its file open.
    assert_eq!(node.read("/etc/openvswitch/real"), "new database");
    assert_eq!(node.list("/var/lib/stead/way-back"), ["lock", "stead"]);
    assert!(!node.at("systemctl").exists());
    assert!(matches!(confirm(&node.place, &node.runner(), &step()).await, Err(WayBackError::Gone(_))));
    let heard = journal.heard().concat();
    assert!(heard.contains("MESSAGE=undone by itself, since nobody confirmed it: network/node1/devices\nPRIORITY=4\n"));
}

#[tokio::test]
async fn what_cannot_be_undone_alive_is_undone_by_a_boot() {
    let node = node();
    done_well(&node).await;
    node.write("fails-reload", "");
    let Undoing::Undone(_, rest) = undo_by_itself(&node.place).await.unwrap() else { panic!("nothing was pending") };
    assert!(rest.len() == 1 && rest[0].contains("networkctl reload"), "{rest:?}");
    assert!(node.read("networkctl").ends_with("reload old\nreconfigure old\n") && is_as_before(&node));
    assert_eq!(node.read("systemctl"), "reboot\n");
    assert_eq!(boot(&node.place).await.unwrap(), Undoing::Undone(step(), vec![]));
    assert_eq!(node.read("/etc/openvswitch/real"), "old database");
    assert_eq!(fs::read_link(node.at("/etc/openvswitch/conf.db")).unwrap().to_str(), Some("real"));
    assert!(!node.at(PENDING).exists());
}

#[tokio::test]
async fn a_boot_puts_back_everything_and_runs_no_commands() {
    let node = node();
    done_well(&node).await;
    assert_eq!(boot(&node.place).await.unwrap(), Undoing::Undone(step(), vec![]));
    assert!(is_as_before(&node) && node.read("/etc/openvswitch/real") == "old database");
    assert_eq!(node.read("networkctl"), "up # Managed by stead\n");
    assert_eq!(node.read("systemctl"), "daemon-reload\n");
    assert_eq!(boot(&node.place).await.unwrap(), Undoing::Nothing);
    assert_eq!(node.read("systemctl"), "daemon-reload\n");
}

#[tokio::test]
async fn a_boot_by_wrong_units_is_followed_by_one_other() {
    let unit = "/etc/systemd/system/some.service";
    let node = node();
    let guard = Guard { keeps: [unit.into()].into(), ..guard() };
    let armed = arm(&node.place, &node.runner(), &step(), &guard, "me@laptop").await.unwrap();
    armed.done().await.unwrap();
    node.write(unit, "new");
    boot(&node.place).await.unwrap();
    boot(&node.place).await.unwrap();
    assert_eq!(node.read("systemctl"), "reboot\n");
    assert!(!node.at(unit).exists());
}

#[tokio::test]
async fn a_boot_that_cannot_put_a_file_back_is_not_the_last_try() {
    let node = node();
    done_well(&node).await;
    fs::remove_file(node.at("/etc/new")).unwrap();
    fs::create_dir_all(node.at("/etc/new/folder")).unwrap();
    let Undoing::Undone(_, rest) = boot(&node.place).await.unwrap() else { panic!("nothing was pending") };
    assert!(rest.len() == 1 && rest[0].contains("/etc/new"), "{rest:?}");
    assert!(node.at(PENDING).exists() && !node.at("systemctl").exists());
}

#[tokio::test]
async fn a_step_that_fails_is_undone_at_once() {
    let node = node();
    node.write("fails-up", "");
    let outcome = done(&node, &node.runner()).await;
    let why = failed(&outcome);
    assert!(why.starts_with("failed (exit status 1): networkctl up\n"), "{why}");
    assert!(why.ends_with("\nit was undone: the node is as it was before"), "{why}");
    assert!(is_as_before(&node) && !node.at(PENDING).exists() && !node.at("timer").exists());
    node.write("fails-reload", "");
    let outcome = done(&node, &node.runner()).await;
    assert!(failed(&outcome).contains("undone, but for this:\nfailed (exit status 1): networkctl reload"));
    assert!(!node.at("systemctl").exists());
    // Files alone don't show it.
    assert_eq!(unfinished::unfinished(&node.place).unwrap(), [step()].into());
}

#[tokio::test]
async fn a_step_that_takes_too_long_ends_where_it_was_undone() {
    let node = node();
    let armed = arm(&node.place, &node.runner(), &step(), &guard(), "me@laptop").await.unwrap();
    let operation = armed.hold().await.unwrap();
    assert!(matches!(confirm_later(&node, operation).await, Err(WayBackError::NotDone(_))));
    undo_by_itself(&node.place).await.unwrap();
    assert_eq!(armed.hold().await.unwrap_err().told(), "it was not done within 120 s, and was undone by itself");
    assert!(armed.done().await.is_err() && !node.at(PENDING).exists());
}

/// A confirmation waits for the operation that holds it off.
async fn confirm_later(node: &Node, operation: Held) -> Result<(), WayBackError> {
    let (runner, step) = (node.runner(), step());
    let mut confirming = std::pin::pin!(confirm(&node.place, &runner, &step));
    assert!(tokio::time::timeout(Duration::ZERO, &mut confirming).await.is_err());
    drop(operation);
    confirming.await
}

#[tokio::test]
async fn without_a_way_back_nothing_is_begun() {
    let node = node();
    let runner = Runner::new(3, false).rooted(node.at("/"));
    node.write("broken", "");
    let outcome = done(&node, &runner).await;
    assert!(failed(&outcome).starts_with("not begun, since there is no way back: the timer that would undo it"));
    assert!(is_as_before(&node) && !node.at(PENDING).exists());
    assert!(unfinished::unfinished(&node.place).unwrap().is_empty());
    fs::remove_file(node.at("broken")).unwrap();
    fs::create_dir(node.at("/etc/new")).unwrap();
    let outcome = done(&node, &runner).await;
    assert!(failed(&outcome).contains("/etc/new is neither a file nor a link"), "{outcome:?}");
    fs::remove_dir(node.at("/etc/new")).unwrap();
    assert_eq!(done(&node, &runner).await, Outcome::Done);
    assert!(node.read("timer").contains("--on-active=360 "));
    let outcome = done(&node, &runner).await;
    let expected = "network/node1/devices was done before it and waits to be confirmed; in at most 360 s";
    assert!(failed(&outcome).contains(expected), "{outcome:?}");
    // The timer is gone, and nobody has undone it.
    fs::remove_file(node.at("timer")).unwrap();
    let outcome = done(&node, &runner).await;
    assert!(failed(&outcome).contains("never confirmed; it was undone: the node is as it was"), "{outcome:?}");
    assert!(is_as_before(&node));
    assert_eq!(done(&node, &runner).await, Outcome::Done);
}

#[tokio::test]
async fn what_another_stead_has_written_is_left_to_it() {
    let node = node();
    done_well(&node).await;
    let text = node.read(PENDING).replace("\"format\":1", "\"format\":2");
    node.write(PENDING, &text);
    for error in [
        confirm(&node.place, &node.runner(), &step()).await.unwrap_err(),
        undo_by_itself(&node.place).await.unwrap_err(),
    ] {
        assert!(error.told().ends_with("`/var/lib/stead/way-back/stead way-back undo`"), "{}", error.told());
    }
    assert_eq!(node.read(PENDING), text);
}

#[tokio::test]
async fn the_program_is_linked_where_it_can_be() {
    let node = node();
    node.write("/var/lib/stead/agent/stead-0", "stead itself");
    fs::remove_file(node.at("/proc/self/exe")).unwrap();
    std::os::unix::fs::symlink(node.at("/var/lib/stead/agent/stead-0"), node.at("/proc/self/exe")).unwrap();
    done_well(&node).await;
    let inode = |path: &str| fs::metadata(node.at(path)).unwrap().ino();
    assert_eq!(inode("/var/lib/stead/way-back/stead"), inode("/var/lib/stead/agent/stead-0"));
}
