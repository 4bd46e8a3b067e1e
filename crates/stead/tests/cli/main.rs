//! The command line as a user has it, where it needs no lab.
#![allow(clippy::disallowed_methods, reason = "tests start what they test")]

mod check;
mod keys;
mod network;
mod schema;
mod status;

use std::io::Write;
use std::process::{Command, Output, Stdio};

/// `stead` with these arguments and this on standard input, in the checkout's top folder.
fn stead(arguments: &[&str], input: &[u8]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
    command.args(arguments).current_dir(checkout("")).env_remove("NO_COLOR");
    run_with_input(command, input)
}

/// What comes of this command.
fn run_with_input(mut command: Command, input: &[u8]) -> Output {
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("stead starts");
    // What doesn't read its input closes it.
    let _ = child.stdin.take().expect("an input").write_all(input);
    child.wait_with_output().expect("stead ends")
}

fn checkout(path: &str) -> std::path::PathBuf {
    std::path::Path::new(concat!(env!("CARGO_MANIFEST_DIR"), "/../..")).join(path)
}

/// What it said, and its code.
fn said(output: &Output) -> String {
    let [out, err] = [&output.stdout, &output.stderr].map(|bytes| String::from_utf8_lossy(bytes).into_owned());
    let code = output.status.code().expect("a code");
    let err = if err.is_empty() { String::new() } else { format!("stderr:\n{err}") };
    format!("{out}{err}code: {code}\n")
}
