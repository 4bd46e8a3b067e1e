//! An agent for tests: this very test program, started by the script that was uploaded as `stead-HASH`.
//!
//! What it does is in the file `manner` of its host's folder. It writes its frames to descriptor 3, since the test
//! harness speaks on standard output.

use std::fs;
use std::io::{self, Read, Write};
use std::path::Path;

use serde_json::{Value, json};

/// What is uploaded: a script that starts this test program as an agent.
pub(crate) fn script() -> Vec<u8> {
    let program = std::env::current_exe().expect("this program has a path");
    let program = program.to_str().expect("UTF-8");
    // Longer than a pipe holds, so that an upload that isn't read to its end is noticed.
    let filling = "#\n".repeat(100_000);
    let script = format!(
        "#!/bin/sh\nSTEAD_TEST_AGENT=$1\nexport STEAD_TEST_AGENT\necho the agent says >&2\n\
         exec {program} --exact agent::main --nocapture 3>&1 >/dev/null\n{filling}"
    );
    script.into_bytes()
}

/// What the agent's clock shows when it is greeted, and later when it is asked to look.
pub(crate) const GREETED: i64 = 5_000_000;
pub(crate) const LOOKED: i64 = 5_100_000;

#[test]
fn main() {
    if std::env::var_os("STEAD_TEST_AGENT").is_none_or(|role| role != "agent") {
        return;
    }
    let host = std::env::var("STEAD_TEST_HOST").expect("ssh says which host this is");
    let host = Path::new(&host);
    fs::write(host.join("pid"), std::process::id().to_string()).expect("the host's folder is there");
    let manner = fs::read_to_string(host.join("manner")).unwrap_or_default();
    let mut out = fs::OpenOptions::new().write(true).open("/proc/self/fd/3").expect("descriptor 3");
    while let Some(request) = read() {
        let answer = match (request.as_str().or_else(|| name(&request)), manner.trim()) {
            (Some("beat"), _) => json!("beat"),
            (Some("hello"), "foreign") => json!({ "refused": "this is a node of another cluster" }),
            (Some("hello"), "newer") => json!({ "hello": { "version": 99, "now": GREETED } }),
            (Some("hello"), _) => {
                fs::write(host.join("hello"), request.to_string()).expect("the host's folder is there");
                json!({ "hello": { "version": 1, "now": GREETED } })
            }
            (Some("look"), "dies") => {
                eprintln!("Killed");
                std::process::exit(1);
            }
            (Some("look"), "mute") => loop {
                std::thread::park();
            },
            (Some("look"), _) => {
                write(&mut out, &json!({ "progress": "looks" }));
                json!({ "inventory": inventory() })
            }
            (Some("fetch"), _) => json!({ "fetched": null }),
            _ => json!({ "refused": "the agent of tests doesn't do that" }),
        };
        write(&mut out, &answer);
    }
}

fn name(request: &Value) -> Option<&str> {
    request.as_object()?.keys().next().map(String::as_str)
}

fn read() -> Option<Value> {
    let mut length = [0; 4];
    io::stdin().read_exact(&mut length).ok()?;
    let mut body = vec![0; u32::from_be_bytes(length) as usize];
    io::stdin().read_exact(&mut body).ok()?;
    serde_json::from_slice(&body).ok()
}

fn write(out: &mut impl Write, answer: &Value) {
    let body = answer.to_string();
    let length = u32::try_from(body.len()).expect("it is short");
    out.write_all(&length.to_be_bytes()).and_then(|()| out.write_all(body.as_bytes())).expect("stead listens");
}

fn inventory() -> Value {
    let unknown = json!({ "unknown": "not in tests" });
    let mut inventory = json!({
        "system": { "release": "trixie", "architecture": "amd64", "kernel": "6.12", "boot_id": "b", "cpus": 2,
                    "memory": 2_147_483_648_u64, "free": unknown },
        "clock": { "ahead": LOOKED, "uncertainty": 0, "synchronised": unknown },
        "updates": null, "files": {}, "sysctl": {},
    });
    let known = [
        "stamp",
        "generation",
        "unfinished",
        "hostname",
        "timezone",
        "packages",
        "units",
        "users",
        "swaps",
        "watchdogs",
    ];
    for key in known
        .into_iter()
        .chain(["nics", "routes", "ovs", "routing", "firewall", "disks", "tang", "pools", "headers", "vacated"])
    {
        inventory[key] = unknown.clone();
    }
    inventory
}
