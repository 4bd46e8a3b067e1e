//! The lab's lists of cases: what is in the gate is written down, so that no case leaves it unseen.

use std::collections::BTreeSet;
use std::fs;

use anyhow::{Context, Result, bail};

use crate::nextest::Listed;
use crate::workspace::Workspace;

/// The cases of every gate, and the file that lists those of `--all` only.
const GATE: &str = "crates/stead/tests/lab/gate.txt";
const ALL: &str = "crates/stead/tests/lab/all.txt";

/// The lab's cases, checked against the test binary: each is there, runs, and is in one list.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Lists {
    /// Run by every gate.
    pub(crate) gate: Vec<String>,
    /// Run by `--all` besides.
    pub(crate) all_only: Vec<String>,
}

impl Lists {
    /// Reads both files and checks them against the test binary's own list.
    pub(crate) fn read(workspace: &Workspace, listed: &[Listed]) -> Result<Self> {
        let read =
            |file| fs::read_to_string(workspace.root.join(file)).with_context(|| format!("could not read {file}"));
        Self::check(&read(GATE)?, &read(ALL)?, listed)
    }

    fn check(gate: &str, all: &str, listed: &[Listed]) -> Result<Self> {
        let lists = Self { gate: names(gate), all_only: names(all) };
        let mut wrong = Vec::new();
        if lists.gate.is_empty() {
            wrong.push(format!("{GATE} lists no case"));
        }
        let mut seen = BTreeSet::new();
        for name in lists.gate.iter().chain(&lists.all_only) {
            if !seen.insert(name.as_str()) {
                wrong.push(format!("{name}: listed twice"));
            }
            match listed.iter().find(|case| case.name == *name) {
                None => wrong.push(format!("{name}: listed, but there is no such test")),
                Some(case) if case.ignored => wrong.push(format!("{name}: listed, but marked #[ignore]")),
                Some(_) => {}
            }
        }
        for case in listed.iter().filter(|case| !seen.contains(case.name.as_str())) {
            wrong.push(format!("{}: a test that neither {GATE} nor {ALL} lists", case.name));
        }
        if !wrong.is_empty() {
            bail!("the lab's lists and its tests differ:\n  {}", wrong.join("\n  "));
        }
        Ok(lists)
    }
}

/// The names in a list: one a line; `#` starts a comment.
fn names(text: &str) -> Vec<String> {
    let lines = text.lines().map(|line| line.split('#').next().unwrap_or_default().trim());
    lines.filter(|name| !name.is_empty()).map(str::to_owned).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn runs(name: &str) -> Listed {
        Listed { name: name.to_owned(), ignored: false }
    }

    fn error(gate: &str, all: &str, listed: &[Listed]) -> String {
        Lists::check(gate, all, listed).expect_err("the lists differ").to_string()
    }

    #[test]
    fn lists_that_match_are_taken_in_their_order() {
        let gate = "# power first\npower::off  # the plug\n\ndisk::pull\n";
        let lists = Lists::check(gate, "nodes::five\n", &[runs("disk::pull"), runs("nodes::five"), runs("power::off")]);
        let expected = Lists {
            gate: vec!["power::off".to_owned(), "disk::pull".to_owned()],
            all_only: vec!["nodes::five".to_owned()],
        };
        assert_eq!(lists.unwrap(), expected);
    }

    #[test]
    fn a_case_that_went_away_is_missed() {
        let message = error("power::off\ndisk::pull\n", "", &[runs("power::off")]);
        assert!(message.contains("disk::pull: listed, but there is no such test"), "{message}");
    }

    #[test]
    fn a_case_that_is_ignored_does_not_count_as_there() {
        let ignored = Listed { ignored: true, ..runs("power::off") };
        let message = error("power::off\n", "", &[ignored]);
        assert!(message.contains("power::off: listed, but marked #[ignore]"), "{message}");
    }

    #[test]
    fn a_case_in_no_list_is_named_even_when_ignored() {
        let ignored = Listed { ignored: true, ..runs("wan::off") };
        let message = error("power::off\n", "", &[runs("power::off"), runs("disk::pull"), ignored]);
        assert!(message.contains("disk::pull: a test that neither"), "{message}");
        assert!(message.contains("wan::off: a test that neither"), "{message}");
    }

    #[test]
    fn a_case_is_in_one_list_only() {
        let message = error("power::off\n", "power::off\n", &[runs("power::off")]);
        assert!(message.contains("power::off: listed twice"), "{message}");
    }

    #[test]
    fn an_empty_gate_is_no_gate() {
        assert!(error("# later\n", "", &[]).contains("lists no case"));
    }
}
