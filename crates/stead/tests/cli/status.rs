use std::os::unix::fs::PermissionsExt as _;
use std::process::{Command, Output};

use serde_json::Value;

use super::run_with_input;

/// `stead status` of three nodes whose ssh says this.
fn status(arguments: &[&str], ssh: &str) -> Output {
    let folder = tempfile::tempdir().expect("a folder");
    let path = folder.path().join("ssh");
    std::fs::write(&path, format!("#!/bin/sh\necho '{ssh}' >&2\nexit 255\n")).expect("a program");
    std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o755)).expect("a program");
    let others = std::env::var("PATH").expect("a PATH");
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    command.args(["status", "-f", "examples/minimal.toml"]).args(arguments).current_dir(super::checkout(""));
    command.env("PATH", format!("{}:{others}", folder.path().display())).env_remove("NO_COLOR");
    run_with_input(command, b"")
}

const REFUSED: &str = "ssh: connect to host 192.168.0.50 port 22: Connection refused";

#[test]
fn nodes_that_do_not_answer_are_told_and_are_code_3() {
    let output = status(&[], REFUSED);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    insta::assert_snapshot!(String::from_utf8(output.stdout).expect("text"));
}

#[test]
fn as_data() {
    let output = status(&["--json"], REFUSED);
    assert_eq!(output.status.code(), Some(3), "{output:?}");
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!((&json["schema_version"], &json["name"]), (&1.into(), &"home".into()));
    assert_eq!(json["findings"][0]["severity"], "unknown");
    let answer = json["nodes"][1]["answer"]["silent"].as_str().expect("why");
    assert!(answer.contains("Connection refused"), "{answer}");
}

#[test]
fn a_bad_file_is_code_1_and_wrong_usage_64() {
    let bad = super::stead(&["status", "-f", "README.md"], b"");
    let wrong = super::stead(&["status", "--look"], b"");
    assert_eq!((bad.status.code(), wrong.status.code()), (Some(1), Some(64)));
}
