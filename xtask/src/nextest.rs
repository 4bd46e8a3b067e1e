//! Runs of nextest: building and listing all tests, and running one profile's.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::counts::Results;
use crate::workspace::Workspace;

/// The test binary of the lab's cases: `crates/stead/tests/lab/main.rs`. `.config/nextest.toml` names it too.
const LAB: &str = "stead::lab";

/// A set of tests as `.config/nextest.toml` describes it.
#[derive(Clone, Copy)]
pub(crate) enum Profile {
    /// All tests but the lab's.
    Fast,
    /// The lab's cases.
    Lab,
}

impl Profile {
    fn name(self) -> &'static str {
        match self {
            Self::Fast => "default",
            Self::Lab => "lab",
        }
    }
}

/// A test that is there, whether or not it is run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Listed {
    /// Its name in its binary.
    pub(crate) name: String,
    /// Whether it is marked `#[ignore]`.
    pub(crate) ignored: bool,
}

/// How a run went.
pub(crate) struct Outcome {
    /// What each test came to.
    pub(crate) results: Results,
    /// Whether nextest itself ended well.
    pub(crate) well: bool,
}

/// Builds all tests, and what they start, and lists the lab's cases.
///
/// This and [`run`] always name the whole workspace: with a part of it, cargo would choose other features for the
/// crates beneath and build them again.
pub(crate) fn build_and_list(workspace: &Workspace) -> Result<Vec<Listed>> {
    let list = ["nextest", "list", "--workspace", "--ignore-default-filter", "--message-format", "json"];
    lab_cases(&workspace.cargo().args(list).output()?)
}

/// Runs the tests of a profile that are in `cases`, or all of them.
pub(crate) fn run(
    workspace: &Workspace,
    profile: Profile,
    cases: Option<&[String]>,
    env: Option<(&str, &Path)>,
) -> Result<Outcome> {
    // nextest writes below the checkout's `target`, wherever cargo builds.
    let junit = workspace.root.join("target/nextest").join(profile.name()).join("junit.xml");
    // A file of an earlier run must not speak for this one.
    if junit.exists() {
        fs::remove_file(&junit).with_context(|| format!("could not remove {}", junit.display()))?;
    }
    let mut program = workspace.cargo().args(["nextest", "run", "--workspace", "--profile", profile.name()]);
    if let Some(cases) = cases {
        program = program.arg("--filterset").arg(filterset(cases));
    }
    if let Some((name, value)) = env {
        program = program.env(name, value);
    }
    let status = program.status()?;
    let xml = fs::read_to_string(&junit)
        .with_context(|| format!("nextest ended ({status}) without writing {}", junit.display()))?;
    Ok(Outcome { results: Results::parse(&xml)?, well: status.success() })
}

/// These tests and no others, in nextest's language.
fn filterset(cases: &[String]) -> String {
    cases.iter().map(|case| format!("test(={case})")).collect::<Vec<_>>().join(" | ")
}

fn lab_cases(json: &str) -> Result<Vec<Listed>> {
    let list: List = serde_json::from_str(json).context("nextest's list is not as expected")?;
    let lab = list.suites.get(LAB).with_context(|| format!("there is no test binary `{LAB}`"))?;
    Ok(lab.testcases.iter().map(|(name, case)| Listed { name: name.clone(), ignored: case.ignored }).collect())
}

#[derive(Deserialize)]
struct List {
    #[serde(rename = "rust-suites")]
    suites: BTreeMap<String, Suite>,
}

#[derive(Deserialize)]
struct Suite {
    testcases: BTreeMap<String, Case>,
}

#[derive(Deserialize)]
struct Case {
    ignored: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lab_s_cases_are_listed_with_the_ignored_ones() {
        let json = r#"{"rust-build-meta": {}, "test-count": 3, "rust-suites": {
            "stead": {"kind": "lib", "testcases": {"unit": {"kind": "test", "ignored": false}}},
            "stead::lab": {"kind": "test", "status": "listed", "testcases": {
                "power::off": {"kind": "test", "ignored": false, "filter-match": {"status": "matches"}},
                "power::slow": {"ignored": true, "filter-match": {"status": "mismatch", "reason": "ignored"}}
            }}}}"#;
        let expected = [("power::off", false), ("power::slow", true)];
        let expected = expected.map(|(name, ignored)| Listed { name: name.to_owned(), ignored });
        assert_eq!(lab_cases(json).unwrap(), expected);
    }

    #[test]
    fn without_the_lab_there_is_no_list() {
        assert!(lab_cases(r#"{"rust-suites": {}}"#).is_err());
    }

    #[test]
    fn a_filterset_names_each_case_whole() {
        let cases = ["power::off".to_owned(), "disk::pull".to_owned()];
        assert_eq!(filterset(&cases), "test(=power::off) | test(=disk::pull)");
    }
}
