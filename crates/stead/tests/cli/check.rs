use serde_json::Value;

use super::{said, stead};

/// Two mistakes and a warning.
const BAD: &str = "crates/stead-spec/tests/cases/syntax-twice/stead.toml";

#[test]
fn a_good_file() {
    insta::assert_snapshot!(said(&stead(&["check", "-f", "examples/reference.toml"], b"")), @r"
    examples/reference.toml: good (3 nodes, 6 networks, 3 volumes, 4 machines)
    code: 0
    ");
}

#[test]
fn a_warning_is_shown_and_is_no_error() {
    insta::assert_snapshot!(said(&stead(&["check", "--file", "examples/minimal.toml"], b"")));
}

#[test]
fn every_mistake_at_once() {
    let text = std::fs::read_to_string(super::checkout("examples/minimal.toml")).expect("an example");
    let text = text.replace("memory = \"2GiB\"", "memory = 2").replace("web1", "Web1").replace("sw1\"]", "sw2\"]");
    insta::assert_snapshot!(said(&stead(&["check", "-f", "-"], text.as_bytes())));
}

#[test]
fn a_file_that_is_not_there() {
    insta::assert_snapshot!(said(&stead(&["check", "-f", "none.toml"], b"")), @r"
    stderr:
    error: could not read the cluster file `none.toml`
      because: No such file or directory (os error 2)
      next: name it with `-f FILE`, or go to the folder that it is in
    code: 1
    ");
}

#[test]
fn as_data() {
    let output = stead(&["check", "--json", "-f", BAD], b"");
    assert_eq!(output.status.code(), Some(1));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!((&json["schema_version"], &json["errors"], &json["warnings"]), (&1.into(), &2.into(), &0.into()));
    let first = &json["diagnostics"][0];
    assert_eq!((&first["code"], &first["severity"]), (&"syntax".into(), &"error".into()));
    assert_eq!((&first["place"]["from"]["line"], &first["place"]["from"]["column"]), (&5.into(), &8.into()));
    let good = stead(&["check", "--json", "-f", "examples/pi.toml"], b"");
    let json: Value = serde_json::from_slice(&good.stdout).expect("JSON");
    assert_eq!((good.status.code(), &json["errors"]), (Some(0), &0.into()));
}

#[test]
fn more_than_a_file_can_have() {
    let output = stead(&["check", "-f", "-"], &vec![b' '; 3 << 20]);
    insta::assert_snapshot!(said(&output), @r"
    error[too-large]: the file has more than 1048576 bytes, which no cluster file has
     --> standard input:1:1
      |
    1 |
      | ^ too large
      |
      = help: is it the right file? `-f FILE` names another one

    standard input: 1 mistake
    code: 1
    ");
}

#[test]
fn wrong_usage() {
    assert_eq!(stead(&["check", "--colour"], b"").status.code(), Some(64));
}
