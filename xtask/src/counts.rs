//! How tests went: read from the JUnit files that nextest writes.

use std::fmt;
use std::ops::AddAssign;
use std::time::Duration;

use anyhow::{Context, Result};
use serde::Deserialize;
use serde::de::IgnoredAny;

/// How many tests passed, failed, and were not run.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Counts {
    /// Ran, and well.
    pub(crate) passed: usize,
    /// Ran, and not well.
    pub(crate) failed: usize,
    /// Were not run: marked as ignored, or known to have passed on this very tree.
    pub(crate) skipped: usize,
}

impl AddAssign for Counts {
    fn add_assign(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
    }
}

/// The line that others read: nothing else may be on it.
impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} passed, {} failed, {} skipped", self.passed, self.failed, self.skipped)
    }
}

/// What one test came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Ran, and well.
    Passed,
    /// Ran, and not well.
    Failed,
    /// Was not run.
    Skipped,
}

/// The tests of one run of nextest, by name, in the order of the file.
#[derive(Debug, Default)]
pub(crate) struct Results(Vec<Test>);

#[derive(Debug)]
struct Test {
    name: String,
    verdict: Verdict,
    took: Duration,
}

impl Results {
    /// Reads a JUnit file's text.
    pub(crate) fn parse(xml: &str) -> Result<Self> {
        let file: File = quick_xml::de::from_str(xml).context("not a JUnit file as nextest writes it")?;
        let cases = file.suites.into_iter().flat_map(|suite| suite.cases);
        Ok(Self(cases.map(Case::test).collect()))
    }

    /// How many came to what.
    pub(crate) fn counts(&self) -> Counts {
        let count = |wanted| self.0.iter().filter(|test| test.verdict == wanted).count();
        Counts { passed: count(Verdict::Passed), failed: count(Verdict::Failed), skipped: count(Verdict::Skipped) }
    }

    /// How long each took.
    pub(crate) fn times(&self) -> impl Iterator<Item = (&str, Duration)> {
        self.0.iter().map(|test| (test.name.as_str(), test.took))
    }

    /// Whether the test of this name ran well: a test that isn't there did not.
    pub(crate) fn passed(&self, name: &str) -> bool {
        self.0.iter().any(|test| test.name == name && test.verdict == Verdict::Passed)
    }
}

#[derive(Deserialize)]
struct File {
    #[serde(rename = "testsuite", default)]
    suites: Vec<Suite>,
}

#[derive(Deserialize)]
struct Suite {
    #[serde(rename = "testcase", default)]
    cases: Vec<Case>,
}

#[derive(Deserialize)]
struct Case {
    #[serde(rename = "@name")]
    name: String,
    /// Seconds.
    #[serde(rename = "@time", default)]
    time: f64,
    #[serde(default)]
    failure: Vec<IgnoredAny>,
    #[serde(default)]
    error: Vec<IgnoredAny>,
    #[serde(default)]
    skipped: Vec<IgnoredAny>,
}

impl Case {
    fn test(self) -> Test {
        let (verdict, took) = (self.verdict(), Duration::try_from_secs_f64(self.time).unwrap_or_default());
        Test { name: self.name, verdict, took }
    }

    fn verdict(&self) -> Verdict {
        if !self.failure.is_empty() || !self.error.is_empty() {
            Verdict::Failed
        } else if !self.skipped.is_empty() {
            Verdict::Skipped
        } else {
            Verdict::Passed
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// As nextest 0.9.143 writes it, shortened.
    const FILE: &str = r#"<?xml version="1.0" encoding="UTF-8"?>
<testsuites name="nextest-run" tests="3" skipped="1" failures="1" errors="0" uuid="d3dd" time="0.109">
    <testsuite name="stead" tests="3" skipped="1" errors="0" failures="1">
        <testcase name="power::slow" classname="stead" time="0.000">
            <skipped message="Skipped: test does not match the run-ignored option"/>
        </testcase>
        <testcase name="power::off" classname="stead" timestamp="2026-11-22T08:13:01.141+00:00" time="0.008"/>
        <testcase name="power::on" classname="stead" timestamp="2026-11-22T08:13:01.141+00:00" time="0.108">
            <failure message="at &apos;x&apos;" type="test failure with exit code 101">x &amp; &lt;y&gt;</failure>
            <system-out>running 1 test
test result: FAILED. 0 passed; 1 failed</system-out>
            <system-err>x</system-err>
        </testcase>
    </testsuite>
    <testsuite name="stead::lab" tests="1" skipped="0" errors="1" failures="0">
        <testcase name="disk::pull" classname="stead::lab" time="1"><error type="could not start"/></testcase>
    </testsuite>
</testsuites>"#;

    #[test]
    fn each_verdict_is_read() {
        let results = Results::parse(FILE).unwrap();
        assert_eq!(results.counts(), Counts { passed: 1, failed: 2, skipped: 1 });
        assert!(results.passed("power::off"));
        assert_eq!(results.times().nth(2), Some(("power::on", Duration::from_millis(108))));
        for name in ["power::on", "power::slow", "disk::pull", "no::such"] {
            assert!(!results.passed(name), "{name}");
        }
    }

    #[test]
    fn a_run_without_tests_counts_none() {
        let results = Results::parse(r#"<testsuites name="nextest-run" tests="0"></testsuites>"#).unwrap();
        assert_eq!(results.counts(), Counts::default());
    }

    #[test]
    fn a_file_cut_short_is_an_error() {
        assert!(Results::parse(&FILE[..FILE.len() / 2]).is_err());
    }

    #[test]
    fn the_last_line_is_as_others_read_it() {
        assert_eq!(Counts { passed: 12, failed: 0, skipped: 3 }.to_string(), "12 passed, 0 failed, 3 skipped");
    }
}
