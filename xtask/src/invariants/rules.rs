//! The rules about one file by itself.

use super::tokens::{Token, tokens};
use super::{Source, Violation};

/// Crates that compute and do nothing else.
const PURE: [&str; 2] = ["crates/stead-spec/", "crates/stead-plan/"];

/// What a pure crate doesn't name: modules of `std`, then names from wherever.
const IMPURE_STD: [&str; 3] = ["process", "fs", "env"];
const IMPURE: [&str; 3] = ["tokio", "SystemTime", "Instant"];

/// Where a folder's code starts programs; elsewhere it doesn't.
const SPAWNS: [(&str, &str); 4] = [
    ("crates/stead-lab/", "crates/stead-lab/src/exec.rs"),
    ("crates/stead-node/", "crates/stead-node/src/exec.rs"),
    ("crates/stead-apply/", "crates/stead-apply/src/ssh.rs"),
    ("xtask/", "xtask/src/exec.rs"),
];

/// Where the tests of the command line run it as a user does.
const CLI_TESTS: &str = "crates/stead/tests/";

/// The engine that only its own layer names, so that another can join one day.
const ENGINE: &str = "gluster";

/// Where it is named all the same, and why.
const ENGINE_ELSEWHERE: [(&str, &str); 3] = [
    ("crates/stead-lab/src/image", "the lab's images carry every engine's packages"),
    ("crates/stead-lab/guest/", "and what the nodes do with them before stead comes"),
    ("crates/stead-plan/src/op/program.rs", "it lists all programs that are run"),
];

/// Longer files are two files.
const LINES: usize = 600;

/// Folders at the top that belong to one machine or one person.
const PERSONAL: [&str; 3] = ["work", "home", "root"];

/// Paths below them that are the same on every node.
const ON_EVERY_NODE: [&str; 1] = ["root/.ssh"];

/// Everything wrong with this file.
pub(super) fn check(source: &Source) -> Vec<Violation> {
    let mut violations = Vec::new();
    if source.kind() == Some("rs") {
        let tokens = tokens(&source.text);
        violations.extend(purity(source, &tokens));
        violations.extend(spawning(source, &tokens));
        violations.extend(length(source));
    }
    violations.extend(pure_manifest(source));
    violations.extend(engine(source));
    violations.extend(personal_paths(source));
    violations
}

fn violation(source: &Source, line: usize, what: String) -> Violation {
    Violation { path: source.path.clone(), line, what }
}

fn in_pure(path: &str, below: &str) -> bool {
    PURE.iter().any(|folder| path.strip_prefix(folder).is_some_and(|rest| rest.starts_with(below)))
}

/// A pure crate's code doesn't reach for the world. Its tests may: they read their cases.
fn purity(source: &Source, tokens: &[Token<'_>]) -> Vec<Violation> {
    if !in_pure(&source.path, "src/") {
        return Vec::new();
    }
    let named = tokens.iter().filter(|token| IMPURE.contains(&token.text));
    let of_std = names_in(tokens, "std").into_iter().filter(|token| IMPURE_STD.contains(&token.text));
    let told = |token: &Token<'_>| violation(source, token.line, format!("`{}` in a crate that is pure", token.text));
    named.map(told).chain(of_std.map(told)).collect()
}

/// The first names behind `root::`, one or a group of them in braces.
fn names_in<'t, 's>(tokens: &'t [Token<'s>], root: &str) -> Vec<&'t Token<'s>> {
    let mut names = Vec::new();
    for (at, pair) in tokens.windows(2).enumerate() {
        if pair[0].text != root || pair[1].text != "::" {
            continue;
        }
        let after = &tokens[at + 2..];
        if after.first().is_none_or(|token| token.text != "{") {
            names.extend(after.first());
            continue;
        }
        let mut depth = 0;
        for pair in after.windows(2) {
            match pair[0].text {
                "{" => depth += 1,
                "}" => depth -= 1,
                _ => {}
            }
            if depth == 0 {
                break;
            }
            if depth == 1 && matches!(pair[0].text, "{" | ",") {
                names.push(&pair[1]);
            }
        }
    }
    names
}

fn pure_manifest(source: &Source) -> Option<Violation> {
    if !in_pure(&source.path, "Cargo.toml") {
        return None;
    }
    let code = |line: &str| line.split('#').next().unwrap_or_default().contains("tokio");
    let at = source.text.lines().position(code)?;
    Some(violation(source, at + 1, "tokio in a crate that is pure".to_owned()))
}

/// A crate starts programs in one place. clippy's `disallowed_methods` sees other names for the same function; this
/// sees the place.
fn spawning(source: &Source, tokens: &[Token<'_>]) -> Vec<Violation> {
    let place = SPAWNS.iter().find(|(folder, _)| source.path.starts_with(folder)).map(|(_, place)| *place);
    if place == Some(source.path.as_str()) || source.path.starts_with(CLI_TESTS) {
        return Vec::new();
    }
    let where_to = place.map_or_else(|| "elsewhere: this crate starts none".to_owned(), |place| format!("in {place}"));
    let starts = tokens.windows(3).filter(|window| {
        let [a, b, c] = [0, 1, 2].map(|at| window[at].text);
        (a, b, c) == ("Command", "::", "new")
    });
    starts.map(|window| violation(source, window[0].line, format!("programs are started {where_to}"))).collect()
}

fn length(source: &Source) -> Option<Violation> {
    let lines = source.text.lines().count();
    (lines > LINES).then(|| violation(source, 0, format!("{lines} lines: a file has at most {LINES}")))
}

/// In the crates, the engine's name lies in `volumes` only. Tests say what they want of it.
fn engine(source: &Source) -> Vec<Violation> {
    let excepted = ENGINE_ELSEWHERE.iter().any(|(place, _why)| source.path.starts_with(place));
    let free = ["/volumes/", "/volumes.rs", "/tests/"].iter().any(|folder| source.path.contains(folder));
    if excepted || free || !source.path.starts_with("crates/") {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate();
    let named = lines.filter(|(_, line)| line.to_ascii_lowercase().contains(ENGINE));
    let what = format!("`{ENGINE}` is named in what is called `volumes` only");
    named.map(|(at, _)| violation(source, at + 1, what.clone())).collect()
}

/// No path of the machine on which something was written.
fn personal_paths(source: &Source) -> Vec<Violation> {
    // Scripts have no ending; what has another one was captured somewhere, not written.
    if source.kind().is_some_and(|kind| !["rs", "md", "toml", "sh", "txt"].contains(&kind)) {
        return Vec::new();
    }
    let lines = source.text.lines().enumerate();
    let found = lines.flat_map(|(at, line)| personal_in(line).into_iter().map(move |path| (at + 1, path)));
    found.map(|(line, path)| violation(source, line, format!("a path of one machine: /{path}"))).collect()
}

fn personal_in(line: &str) -> Vec<&str> {
    let starts = line.match_indices('/').filter(|&(at, _)| {
        // A path that goes on from something is not from the top.
        !line[..at].ends_with(|c: char| c.is_alphanumeric() || "_-.~/}>)*".contains(c))
    });
    let paths = starts.map(|(at, _)| {
        let rest = &line[at + 1..];
        &rest[..rest.find(|c: char| !c.is_alphanumeric() && !"_-./".contains(c)).unwrap_or(rest.len())]
    });
    let below = |path: &str, top: &str| path.strip_prefix(top).is_some_and(|rest| rest.starts_with('/'));
    paths
        .filter(|path| PERSONAL.iter().any(|top| below(path, top)))
        .filter(|path| !ON_EVERY_NODE.iter().any(|known| path.starts_with(known)))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn wrong(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        check(&source).iter().map(ToString::to_string).collect()
    }

    #[track_caller]
    fn assert_well(path: &str, text: &str) {
        assert_eq!(wrong(path, text), Vec::<String>::new(), "{path}: {text}");
    }

    #[test]
    fn a_pure_crate_does_not_reach_for_the_world() {
        let path = "crates/stead-spec/src/disks/mod.rs";
        let impure = [
            "use std::fs;",
            "let x = std::env::var(name);",
            "use std::{fmt, process::{self, Command}};",
            "use std::{\n    collections::{BTreeMap, BTreeSet},\n    env,\n};",
            "use tokio::time;",
            "use std::time::{Duration, SystemTime};",
            "Instant::now()",
        ];
        for text in impure {
            assert_eq!(wrong(path, text).len(), 1, "{text}");
        }
        assert_eq!(wrong(path, "// 1\nuse std::fs;"), [format!("{path}:2: `fs` in a crate that is pure")]);
    }

    #[test]
    fn a_pure_crate_may_speak_of_the_world() {
        let path = "crates/stead-plan/src/lib.rs";
        assert_well(path, "//! Neither `std::fs` nor tokio.\nuse std::{fmt, time::Duration, net::IpAddr};");
        assert_well(path, "let fs = Filesystem { env: \"std::env\" }; use crate::fs; mod process {}");
        assert_well("crates/stead-plan/tests/cases.rs", "use std::fs;");
        assert_well("crates/stead-lab/src/lib.rs", "use std::{fs, env};");
    }

    #[test]
    fn a_pure_crate_has_no_tokio_beneath() {
        assert_eq!(wrong("crates/stead-plan/Cargo.toml", "[dependencies]\ntokio.workspace = true").len(), 1);
        assert_well("crates/stead-plan/Cargo.toml", "# no tokio\n[dependencies]");
        assert_well("crates/stead-lab/Cargo.toml", "tokio.workspace = true");
    }

    #[test]
    fn programs_are_started_in_one_place_a_crate() {
        let text = "let x = std::process::Command::new(\"true\");";
        for path in ["crates/stead-lab/src/exec.rs", "crates/stead-apply/src/ssh.rs", "crates/stead/tests/lab/main.rs"]
        {
            assert_well(path, text);
        }
        let elsewhere = [
            "crates/stead-lab/src/switch/mod.rs",
            "crates/stead-lab/tests/it.rs",
            "crates/stead-apply/src/exec.rs",
            "crates/stead/src/main.rs",
            "xtask/src/main.rs",
        ];
        for path in elsewhere {
            assert_eq!(wrong(path, text).len(), 1, "{path}");
        }
        assert_well("crates/stead/src/main.rs", "// Command::new\nfn f(c: Command) { Command :: other() }");
    }

    #[test]
    fn the_engine_is_named_in_its_layer_only() {
        assert_eq!(wrong("crates/stead-node/src/disks/mod.rs", "\n// asks GlusterFS").len(), 1);
        assert_eq!(wrong("crates/stead-node/Cargo.toml", "gluster = 1").len(), 1);
        assert_eq!(wrong("crates/stead-lab/src/switch/mod.rs", "GLUSTER").len(), 1);
        assert_well("crates/stead-node/src/volumes/heal.rs", "gluster");
        assert_well("crates/stead-lab/src/image/packages.rs", "glusterfs-server");
        assert_well("crates/stead-lab/guest/prepare.sh", "systemctl mask glusterd");
        assert_well("crates/stead/tests/lab/volumes.rs", "gluster");
    }

    #[test]
    fn a_long_file_is_two_files() {
        assert_well("crates/stead/src/main.rs", &"\n".repeat(LINES));
        assert_eq!(wrong("xtask/src/main.rs", &"\n".repeat(LINES + 1)).len(), 1);
        assert_well("CHANGELOG.md", &"\n".repeat(LINES + 1));
    }

    #[test]
    fn no_path_of_one_machine_is_written_down() {
        for top in PERSONAL {
            for path in ["README.md", "x", ".ci/run", "crates/stead/src/main.rs", "crates/stead/tests/lab/gate.txt"] {
                assert_eq!(wrong(path, &format!("cd /{top}/me")).len(), 1, "{path} {top}");
            }
            assert_well("README.md", &format!("see docs/{top}/me, ./{top}/x, https://example.org/{top}/x, {top}/"));
            assert_well("crates/stead/tests/captured.json", &format!("\"/{top}/me\""));
        }
        assert_well("crates/stead-lab/src/image/mod.rs", "\"/root/.ssh/authorized_keys\"");
        assert_well("README.md", "the root file system is `/`, its home /homestead/x and /workbench/x");
    }
}
