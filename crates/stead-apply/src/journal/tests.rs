use tempfile::TempDir;

use super::*;

const AT: Timestamp = Timestamp(1_767_225_600_000);

fn folder() -> (TempDir, Utf8PathBuf) {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8Path::from_path(folder.path()).expect("UTF-8").join("runs");
    (folder, path)
}

fn later(by: i64) -> Timestamp {
    Timestamp(AT.0 + by)
}

fn step() -> StepId {
    "host/node1/packages".parse().expect("a step")
}

/// Each kind of event but the first and the last.
fn middle() -> Vec<EventKind> {
    vec![
        EventKind::StepStarted { id: step(), title: "install chrony".to_owned() },
        EventKind::StepEnded { id: step(), outcome: Outcome::Failed("two\nlines, ‹ü›".to_owned()) },
        EventKind::NodeLost { node: "node2".parse().expect("a name"), why: "silence".to_owned() },
    ]
}

#[test]
fn what_was_written_is_read_newest_first() {
    let (_folder, dir) = folder();
    assert_eq!(runs(&dir).expect("no folder is no runs"), []);
    for (minute, result) in [(0, None), (1, Some(RunResult::Incomplete("1 of 3 steps failed".to_owned())))] {
        let begun = later(minute * 60_000);
        let mut journal = Journal::start(&dir, begun, "me@laptop", "3 steps on node1").expect("a run");
        let ended = result.clone().map(|result| EventKind::Ended { result });
        let kinds: Vec<EventKind> = middle().into_iter().chain(ended).collect();
        for kind in kinds.clone() {
            journal.write(Timestamp(begun.0 + 5), kind).expect("a line");
        }
        let newest = runs(&dir).expect("runs").remove(0);
        assert_eq!((newest.at, newest.last, &newest.result), (begun, Timestamp(begun.0 + 5), &result));
        assert_eq!((newest.who.as_str(), newest.what.as_str()), ("me@laptop", "3 steps on node1"));
        assert_eq!(&newest.id, journal.run());
        let events = events(&dir, &newest.id).expect("events");
        assert_eq!(events.into_iter().skip(1).map(|event| event.kind).collect::<Vec<_>>(), kinds);
    }
    let found = runs(&dir).expect("runs");
    assert!(found[0].at > found[1].at && found.len() == 2, "{found:?}");
}

#[test]
fn wherever_a_run_is_cut_what_came_before_is_read() {
    let (_folder, dir) = folder();
    let mut journal = Journal::start(&dir, AT, "me@laptop", "3 steps").expect("a run");
    for kind in middle() {
        journal.write(later(1), kind).expect("a line");
    }
    let path = journal.run().path(&dir);
    let whole = std::fs::read(&path).expect("a file");
    let all = events(&dir, journal.run()).expect("events");
    for length in 0..=whole.len() {
        std::fs::write(&path, &whole[..length]).expect("a file");
        let lines = whole[..length].split(|&byte| byte == b'\n').count() - 1;
        assert_eq!(events(&dir, journal.run()).expect("events"), all[..lines], "cut at {length}");
        assert_eq!(runs(&dir).expect("runs").len(), usize::from(lines > 0), "cut at {length}");
    }
}

#[test]
fn a_newer_stead_s_events_are_passed_over_and_garbage_is_told() {
    let (_folder, dir) = folder();
    let journal = Journal::start(&dir, AT, "me@laptop", "3 steps").expect("a run");
    let path = journal.run().path(&dir);
    let mut text = std::fs::read_to_string(&path).expect("a file");
    text.push_str("{\"at\":1767225600001,\"event\":\"tea_made\",\"cups\":3}\n");
    std::fs::write(&path, &text).expect("a file");
    assert_eq!(events(&dir, journal.run()).expect("events")[1].kind, EventKind::Other);
    std::fs::write(&path, format!("{text}oops\n{text}")).expect("a file");
    let error = events(&dir, journal.run()).expect_err("that is no event").to_string();
    assert!(error.contains(".jsonl:3: "), "{error}");
}

#[test]
fn a_run_is_found_by_part_of_its_name_if_there_is_but_one() {
    let (_folder, dir) = folder();
    let one = Journal::start(&dir, AT, "me@laptop", "1 step").expect("a run");
    let two = Journal::start(&dir, later(60_000), "me@laptop", "1 step").expect("a run");
    assert_eq!(&find(&dir, &two.run().to_string()).expect("one"), two.run());
    assert_eq!(&find(&dir, "1767225600000").expect("one"), one.run());
    for (name, count) in [("nothing", 0), ("-", 2)] {
        let error = find(&dir, name).expect_err("not one");
        assert!(matches!(error, JournalError::NotOne { count: found, .. } if found == count), "{error}");
    }
}
