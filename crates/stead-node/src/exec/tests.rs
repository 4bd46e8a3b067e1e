use super::*;
use crate::testing::Node;

const TOOL: Program = Program::Dpkg;

fn tool() -> Command {
    TOOL.command()
}

async fn output_of(script: &str) -> Output {
    let node = Node::new();
    node.tool(TOOL, script);
    node.runner().run(&tool()).await.unwrap()
}

#[tokio::test]
async fn arguments_and_what_is_said_come_through_as_they_are() {
    let node = Node::new();
    node.tool(TOOL, r#"printf '<%s>' "$@"; cat; echo bad >&2; exit 7"#);
    let command = tool().args(["a b", "", "$HOME", "'"]);
    let output = node.runner().run_with(&command, Some(b"fed")).await.unwrap();
    let expected = Output { status: Some(7), stdout: "<a b><><$HOME><'>fed".into(), stderr: "bad\n".into() };
    assert_eq!(output, expected);
    let error = Runner::failed(&command, &output).to_string();
    assert_eq!(error, "failed (exit status 7): dpkg 'a b' '' '$HOME' ''\\'''\nbad");
}

#[tokio::test]
async fn a_program_inherits_a_language_and_nothing_else() {
    let node = Node::new();
    let _lock = crate::lock::Lock::take(&node.place, "me@laptop").unwrap().unwrap();
    node.tool(TOOL, "ls -l /proc/self/fd; env; pwd -P");
    let said = node.runner().run(&tool()).await.unwrap().stdout;
    assert!(said.contains(" 0 -> /dev/null\n") && said.contains(" 2 -> pipe:") && !said.contains("lock"), "{said}");
    assert!(said.contains("LC_ALL=C.UTF-8\n") && said.contains("DEBIAN_FRONTEND=noninteractive\n"), "{said}");
    assert!(!said.contains("CARGO"), "{said}");
}

#[tokio::test]
async fn a_program_leads_its_own_group() {
    let said = output_of("cut -d' ' -f5 /proc/$$/stat; echo $$").await.stdout;
    let (group, process) = said.trim().split_once('\n').unwrap();
    assert_eq!(group, process);
}

#[tokio::test]
async fn a_missing_program_names_its_package() {
    let error = Node::new().runner().run(&tool().args(["-l"])).await.unwrap_err();
    assert!(matches!(error, RunError::Missing { program: TOOL, .. }));
    assert_eq!(
        error.to_string(),
        "`/usr/bin/dpkg` is not there; it is in the Debian package `dpkg` (wanted for: dpkg -l)"
    );
}

#[tokio::test]
async fn a_signal_is_no_status() {
    let output = output_of("kill -9 $$").await;
    assert_eq!(output.status, None);
    assert!(Runner::failed(&tool(), &output).to_string().contains("ended by a signal"));
}

#[tokio::test]
async fn much_is_said_on_both_pipes_and_read_on_a_third() {
    let node = Node::new();
    node.tool(TOOL, "cat >&2; yes o | head -c 10000000; yes e | head -c 10000000 >&2; echo last >&2");
    let fed = vec![b'x'; 1 << 20];
    let output = node.runner().run_with(&tool(), Some(&fed)).await.unwrap();
    assert_eq!((output.status, output.stdout.len(), output.stderr.len()), (Some(0), LARGEST, LARGEST));
    assert!(output.stderr.ends_with("e\nlast\n"));
    let error = node.runner().read(&tool()).await.unwrap_err();
    assert_eq!(error.to_string(), "its output is larger than 4 MiB: dpkg");
}

#[tokio::test]
async fn a_program_that_does_not_read_is_no_error() {
    let node = Node::new();
    node.tool(TOOL, "exec 0<&-; echo done");
    let output = node.runner().run_with(&tool(), Some(&vec![0; 1 << 20])).await.unwrap();
    assert_eq!((output.status, output.stdout.as_str()), (Some(0), "done\n"));
}

#[tokio::test]
async fn a_daemon_that_keeps_the_pipe_holds_nothing_up() {
    let node = Node::new();
    node.pipe("stop");
    node.tool(TOOL, "(read x <stop) & echo started; echo well >&2");
    let output = node.runner().run(&tool()).await.unwrap();
    assert_eq!((output.stdout.as_str(), output.stderr.as_str()), ("started\n", "well\n"));
    // It is still there, and reads.
    node.go("stop").await;
}

/// Runs the tool until it says so through the pipe `there`, then has its time pass.
async fn time_out(node: &Node) -> RunError {
    node.pipe("there");
    let runner = Runner { patience: 3, ..node.runner() };
    let command = tool().timeout(100);
    let mut run = pin!(runner.run(&command));
    tokio::select! {
        _ = &mut run => panic!("it must not end by itself"),
        _ = node.wait("there") => {}
    }
    tokio::time::pause();
    // What it has said comes before the time is over.
    tokio::time::advance(Duration::from_secs(299)).await;
    assert!(timeout(Duration::ZERO, &mut run).await.is_err(), "patience multiplies");
    tokio::time::advance(Duration::from_secs(2)).await;
    tokio::time::resume();
    run.await.unwrap_err()
}

#[tokio::test]
async fn what_may_fail_at_first_is_tried_again() {
    let node = Node::new();
    node.tool(TOOL, "echo x >> tried; test $(wc -l < tried) = 2");
    let once = node.runner().run_again(&tool(), None).await.unwrap();
    assert_eq!((once.status, node.read("tried").as_str()), (Some(1), "x\n"));
    node.tool(TOOL, "echo x >> tried; test $(wc -l < tried) = 4");
    let well = node.runner().run_again(&tool().again(100), None).await.unwrap();
    assert_eq!((well.status, node.read("tried").as_str()), (Some(0), "x\nx\nx\nx\n"));
}

#[tokio::test]
async fn a_time_out_ends_the_whole_group_in_good_order() {
    let node = Node::new();
    node.pipe("never");
    let child = "trap 'echo child >>ended; exit' TERM; echo >there; read x <>never";
    node.tool(TOOL, &format!("trap 'wait; echo parent >>ended; exit' TERM; echo busy >&2; ({child}) & wait"));
    let error = time_out(&node).await;
    assert_eq!(error.to_string(), "ended after 300 s without a result: dpkg\nbusy");
    assert_eq!(node.read("ended"), "child\nparent\n");
}

#[tokio::test]
async fn a_program_that_does_not_listen_is_killed() {
    let node = Node::new();
    node.pipe("never");
    node.tool(TOOL, "trap '' TERM; echo $$ >there; read x <>never");
    node.pipe("there");
    let runner = node.runner();
    let command = tool().timeout(100);
    let mut run = pin!(runner.run(&command));
    let id = tokio::select! {
        _ = &mut run => panic!("it must not end by itself"),
        id = node.wait("there") => id,
    };
    tokio::time::pause();
    tokio::time::advance(Duration::from_secs(101)).await;
    assert!(timeout(Duration::ZERO, &mut run).await.is_err(), "it is asked first");
    tokio::time::advance(Duration::from_secs(6)).await;
    tokio::time::resume();
    assert!(matches!(run.await, Err(RunError::TimedOut { seconds: 100, .. })));
    let stat = std::fs::read_to_string(format!("/proc/{}/stat", id.trim())).unwrap_or_default();
    assert!(stat.is_empty() || stat.contains(") Z "), "{stat}");
}

#[tokio::test]
async fn what_tools_say_is_recorded_on_wish() {
    let node = Node::new();
    node.tool(TOOL, "echo out; echo err >&2; exit 1");
    let runner = Runner::new(1, true).rooted(node.at("/"));
    runner.run(&tool()).await.unwrap();
    let (stdout, stderr) = ("out\n".to_owned(), "err\n".to_owned());
    assert_eq!(runner.take_recordings(), [Recording { command: "dpkg".into(), status: Some(1), stdout, stderr }]);
    assert_eq!(runner.take_recordings(), []);
}

#[tokio::test]
async fn secrets_that_tools_print_are_in_no_record_and_in_no_error() {
    let node = Node::new();
    node.tool(
        TOOL,
        "echo ' ip ospf message-digest-key 1 md5 hush'; echo 'bad: ip ospf message-digest-key 1 md5 hush' >&2",
    );
    let runner = Runner::new(1, true).rooted(node.at("/"));
    let output = runner.run(&tool()).await.unwrap();
    assert!(output.stdout.contains("hush") && !output.stderr.contains("hush"), "{output:?}");
    let recordings = runner.take_recordings();
    assert!(recordings.len() == 1 && !format!("{recordings:?}").contains("hush"), "{recordings:?}");
}
