use std::cell::RefCell;
use std::fs;
use std::os::unix::fs::{MetadataExt, symlink};

use stead_plan::op::Program;

use super::*;
use crate::testing::Node;

/// Does these operations; how it ended, and what was told meanwhile.
async fn doing(node: &Node, ops: Vec<Op>) -> (Performed, Vec<String>) {
    let job = Job { step: "host/node1/test".parse().unwrap(), title: "test".into(), ops, guard: None, beside: None };
    let said = RefCell::new(Vec::new());
    let say = |what| said.borrow_mut().push(what);
    let performed = perform(&job, &node.place, &node.runner(), "me@laptop", || false, say).await;
    (performed, said.into_inner())
}

async fn outcome(node: &Node, op: Op) -> Outcome {
    doing(node, vec![op]).await.0.outcome
}

fn failed(outcome: &Outcome) -> &str {
    let Outcome::Failed(why) = outcome else { panic!("{outcome:?}") };
    why
}

fn file(path: &str, text: &str) -> Write {
    Write::new(path, Mode(0o640), text)
}

fn write_op(path: &str, text: &str) -> Op {
    Op::Write(file(path, text))
}

const OURS: &str = "# Managed by stead\nx = 1\n";
const PATH: &str = "/etc/some/app.conf";

#[tokio::test]
async fn a_file_is_written_once() {
    let node = Node::new();
    assert_eq!(outcome(&node, write_op(PATH, OURS)).await, Outcome::Done);
    assert_eq!(node.read(PATH), OURS);
    let there = fs::metadata(node.at(PATH)).unwrap();
    assert_eq!(there.mode() & 0o7777, 0o640);
    assert_eq!(fs::metadata(node.at("/etc/some")).unwrap().mode() & 0o7777, 0o755);
    assert_eq!(outcome(&node, write_op(PATH, OURS)).await, Outcome::Unchanged);
    assert_eq!(fs::metadata(node.at(PATH)).unwrap().ino(), there.ino());
    let readable = Op::Write(Write { mode: Mode(0o644), ..file(PATH, OURS) });
    assert_eq!(outcome(&node, readable).await, Outcome::Done);
    assert_eq!(fs::metadata(node.at(PATH)).unwrap().mode() & 0o7777, 0o644);
    assert_eq!(outcome(&node, write_op(PATH, "# Managed by stead\nx = 2\n")).await, Outcome::Done);
    assert_eq!((node.list("/etc/some"), node.list("/var/lib/stead/before")), (vec!["app.conf".into()], vec![]));
    assert!(node.list("/var/lib/stead/unfinished").is_empty(), "each ended well");
}

#[tokio::test]
async fn a_line_that_somebody_adds_meanwhile_stays() {
    let node = Node::new();
    let sum = |text: &str| Some(stead_plan::inventory::sha256(text));
    let made_from = |text| Op::Write(Write { made_from: sum(text), ..file(PATH, OURS) });
    // A file that isn't there is an empty one.
    assert_eq!(outcome(&node, made_from("")).await, Outcome::Done);
    assert_eq!(outcome(&node, made_from("")).await, Outcome::Unchanged, "it may be done twice");
    let theirs = format!("{OURS}theirs = 1\n");
    node.write(PATH, &theirs);
    let ended = outcome(&node, made_from(OURS)).await;
    assert!(failed(&ended).contains("/etc/some/app.conf was changed after it was looked at"), "{ended:?}");
    assert_eq!((node.read(PATH), node.list("/etc/some")), (theirs.clone(), vec!["app.conf".into()]));
    assert_eq!(outcome(&node, made_from(&theirs)).await, Outcome::Done);
}

#[tokio::test]
async fn what_was_there_before_stead_is_kept_once() {
    let node = Node::new();
    let before = "/var/lib/stead/before/etc/some/app.conf";
    node.write(PATH, "by hand\n");
    outcome(&node, write_op(PATH, OURS)).await;
    assert_eq!(node.read(before), "by hand\n");
    assert_eq!(fs::metadata(node.at("/var/lib/stead/before")).unwrap().mode() & 0o7777, 0o700);
    node.write(PATH, "by hand once more\n");
    assert_eq!(outcome(&node, write_op(PATH, OURS)).await, Outcome::Done);
    assert_eq!((node.read(before), node.read(PATH)), ("by hand\n".into(), OURS.into()));
    // Nor is what is stead's own, with the mark further below or in a file that knows no comments.
    let block = "127.0.0.1 localhost\n\n\n\n# Managed by stead: the nodes\n";
    for (path, text) in [("/etc/hosts", block), ("/etc/a.json", "{\n\"_\": \"Managed by stead\"}")] {
        node.write(path, text);
        assert_eq!(outcome(&node, write_op(path, OURS)).await, Outcome::Done);
    }
    node.write("/etc/talk", "a\nb\nc\nit was Managed by stead\n");
    outcome(&node, write_op("/etc/talk", OURS)).await;
    node.write("/var/lib/stead/stamp.json", "{}");
    outcome(&node, write_op("/var/lib/stead/stamp.json", "{ }")).await;
    assert_eq!(node.list("/var/lib/stead/before/etc"), ["some", "talk"]);
    assert_eq!(node.list("/var/lib/stead/before"), ["etc"]);
}

#[tokio::test]
async fn a_link_in_a_files_place_is_replaced_and_not_followed() {
    let node = Node::new();
    node.write("/run/other", "other\n");
    fs::create_dir(node.at("/etc")).unwrap();
    symlink("../run/other", node.at("/etc/resolv.conf")).unwrap();
    assert_eq!(outcome(&node, write_op("/etc/resolv.conf", OURS)).await, Outcome::Done);
    assert_eq!((node.read("/run/other"), node.read("/etc/resolv.conf")), ("other\n".into(), OURS.into()));
    assert!(fs::symlink_metadata(node.at("/etc/resolv.conf")).unwrap().is_file());
    let kept = fs::read_link(node.at("/var/lib/stead/before/etc/resolv.conf")).unwrap();
    assert_eq!(kept.to_str(), Some("../run/other"));
}

#[tokio::test]
async fn a_file_that_is_found_bad_does_not_take_its_place() {
    let node = Node::new();
    node.write("/etc/sudoers.d/stead", "good\n");
    node.tool(Program::Visudo, r#"echo "$@" >asked; echo "${2##*/}: syntax error" >&2; grep -q good "$2""#);
    let checked = |text| {
        let checked_by = Some(Program::Visudo.command().args(["-cf"]));
        Op::Write(Write { checked_by, ..file("/etc/sudoers.d/stead", text) })
    };
    let ended = outcome(&node, checked("bad\n")).await;
    let why = failed(&ended);
    assert!(why.starts_with("what was to be written to /etc/sudoers.d/stead is not good, so"), "{why}");
    assert!(why.contains("exit status 1") && why.contains("visudo -cf "), "{why}");
    assert!(why.ends_with("\n.stead.stead-new: syntax error"), "{why}");
    assert_eq!(
        (node.read("/etc/sudoers.d/stead"), node.list("/etc/sudoers.d")),
        ("good\n".into(), vec!["stead".into()])
    );
    assert_eq!(node.list("/var/lib/stead"), ["unfinished"], "nothing was replaced, so nothing is kept");
    assert_eq!(node.list("/var/lib/stead/unfinished").len(), 1);
    assert_eq!(outcome(&node, checked("good too\n")).await, Outcome::Done);
    assert_eq!(node.read("asked").trim(), format!("-cf {}", node.at("/etc/sudoers.d/.stead.stead-new")));
    assert_eq!(node.list("/etc/sudoers.d"), ["stead"]);
}

#[tokio::test]
async fn what_can_not_be_written_leaves_nothing_behind() {
    let node = Node::new();
    fs::create_dir_all(node.at("/etc/folder")).unwrap();
    node.write("/etc/file", "x");
    let ended = outcome(&node, write_op("/etc/folder", OURS)).await;
    assert_eq!(failed(&ended), "could not write /etc/folder: there is a folder");
    let ended = outcome(&node, write_op("/etc/file/below", OURS)).await;
    assert!(failed(&ended).contains("/etc/file/below: Not a directory"), "{ended:?}");
    // A leftover of an agent that lost its power is no obstacle.
    node.write("/etc/.new.stead-new", "half a fi");
    assert_eq!(outcome(&node, write_op("/etc/new", OURS)).await, Outcome::Done);
    assert_eq!(node.list("/etc"), ["file", "folder", "new"]);
}

#[tokio::test]
async fn links_and_folders_are_made_once() {
    let node = Node::new();
    let link = |target: &str| Op::Link { path: "/etc/localtime".into(), target: target.into() };
    node.write("/etc/localtime", "zone\n");
    for (target, expected) in [("../a", Outcome::Done), ("../a", Outcome::Unchanged), ("../b", Outcome::Done)] {
        assert_eq!(outcome(&node, link(target)).await, expected, "{target}");
        assert_eq!(fs::read_link(node.at("/etc/localtime")).unwrap().to_str(), Some(target));
    }
    assert_eq!(node.read("/var/lib/stead/before/etc/localtime"), "zone\n");
    let folder = |path: &str, mode| Op::Folder { path: path.into(), mode: Mode(mode) };
    for (mode, expected) in [(0o750, Outcome::Done), (0o750, Outcome::Unchanged), (0o700, Outcome::Done)] {
        assert_eq!(outcome(&node, folder("/srv/a/b", mode)).await, expected, "{mode:o}");
        assert_eq!(fs::metadata(node.at("/srv/a/b")).unwrap().mode() & 0o7777, u32::from(mode));
    }
    assert!(failed(&outcome(&node, folder("/etc/localtime/x", 0o755)).await).contains("could not make the folder"));
    node.write("/etc/file", "x");
    assert!(failed(&outcome(&node, folder("/etc/file", 0o755)).await).contains("there is something that is no folder"));
    let in_the_way = Op::Link { path: "/srv/a".into(), target: "b".into() };
    assert_eq!(failed(&outcome(&node, in_the_way).await), "could not write /srv/a: there is a folder");
}

#[test]
fn what_is_mounted_stays_as_it_is() {
    // The kernel's own files can't be made immutable: to try would fail.
    assert!(!write::mount_point(&Place::node(), "/proc".into()).unwrap());
}

#[tokio::test]
async fn a_programs_status_is_what_came_of_it() {
    let node = Node::new();
    node.tool(Program::Useradd, r#"echo "useradd: no" >&2; exit $1"#);
    let run = |status: &str| Op::Run(Program::Useradd.command().args([status]).already(9));
    assert_eq!(outcome(&node, run("0")).await, Outcome::Done);
    assert_eq!(outcome(&node, run("9")).await, Outcome::Unchanged);
    assert_eq!(failed(&outcome(&node, run("3")).await), "failed (exit status 3): useradd 3\nuseradd: no");
    let missing = outcome(&node, Op::Run(Program::AptGet.command().args(["update"]))).await;
    assert!(failed(&missing).contains("it is in the Debian package `apt`"), "{missing:?}");
}

#[tokio::test]
async fn a_step_stops_where_it_fails_and_tells_of_each_operation() {
    let node = Node::new();
    node.tool(Program::Dpkg, "exit 1");
    let link = Op::Link { path: "/etc/l".into(), target: "a b".into() };
    let ops = vec![write_op("/etc/a", OURS), link, Op::Run(Program::Dpkg.command()), write_op("/etc/b", OURS)];
    let (performed, said) = doing(&node, ops).await;
    assert!(failed(&performed.outcome).starts_with("failed (exit status 1): dpkg"));
    assert_eq!(said, ["write /etc/a", "ln -sfn 'a b' /etc/l", "dpkg"]);
    assert_eq!(node.list("/etc"), ["a", "l"]);
}

#[tokio::test]
async fn an_output_is_what_it_should_be() {
    let node = Node::new();
    node.tool(Program::Systemctl, r#"echo " $1 ""#);
    let print = "NzbLsXh8uDCcd-6MNwXF4W_7noWXFZAfHkxZsRGC9Xs";
    let tells = |word: &str| {
        let output = Some(OutputKind::Thumbprint);
        vec![Op::Run(Command { output, ..Program::Systemctl.command().args([word]) })]
    };
    assert_eq!(doing(&node, tells(print)).await.0.outputs, [(OutputKind::Thumbprint, print.to_owned())]);
    let (performed, _) = doing(&node, tells("nonsense")).await;
    assert!(failed(&performed.outcome).starts_with("`systemctl nonsense` should tell a thumbprint: "), "{performed:?}");
    assert_eq!(performed.outputs, []);
}
