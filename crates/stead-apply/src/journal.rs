//! What stead did, run by run, on the admin's computer: for `stead log`, never for a decision. It has no secrets: what a
//! step says, `plan` shows to anybody.
//!
//! A run is a file of JSON, one event a line. Each is written at once, so whatever ends stead leaves all lines but the
//! last whole.

use std::fs::{File, OpenOptions};
use std::io::{self, Write as _};
use std::os::unix::fs::OpenOptionsExt as _;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use stead_plan::inventory::Timestamp;
use stead_plan::step::{Outcome, StepId};
use stead_spec::units::NodeName;

/// A run that is written down as it goes.
#[derive(Debug)]
pub struct Journal {
    file: File,
    run: RunId,
}

/// Names a run: its time in milliseconds and a short random end, `1767225600000-3f9a1c`, so that names sort by time.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct RunId(String);

/// Something that happened in a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Event {
    /// When.
    pub at: Timestamp,
    /// What.
    #[serde(flatten)]
    pub kind: EventKind,
}

/// What happened.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "event", rename_all = "snake_case")]
pub enum EventKind {
    /// The run began.
    Started {
        /// By whom: `me@laptop`.
        who: String,
        /// What is to be done, in a line.
        what: String,
    },
    /// A step began.
    StepStarted {
        /// Which.
        id: StepId,
        /// What it does.
        title: String,
    },
    /// A step ended.
    StepEnded {
        /// Which.
        id: StepId,
        /// How.
        outcome: Outcome,
    },
    /// A node was lost.
    NodeLost {
        /// Which.
        node: NodeName,
        /// Why.
        why: String,
    },
    /// The run ended.
    Ended {
        /// With what.
        result: RunResult,
    },
    /// Something that a newer stead wrote down.
    #[serde(other)]
    Other,
}

/// What came of a run.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum RunResult {
    /// All that was planned is done.
    Done,
    /// Not all of it: why, in a line.
    Incomplete(String),
}

/// A run, in short.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunSummary {
    /// Its name.
    pub id: RunId,
    /// When it began.
    pub at: Timestamp,
    /// By whom.
    pub who: String,
    /// What was to be done.
    pub what: String,
    /// When something was last heard of it.
    pub last: Timestamp,
    /// What came of it. `None`: it was killed, or still runs.
    pub result: Option<RunResult>,
}

/// Why runs can't be written or read.
#[derive(Debug, thiserror::Error)]
pub enum JournalError {
    /// The system says no.
    #[error("could not {what} `{path}`")]
    Io {
        /// What was tried.
        what: &'static str,
        /// On what.
        path: Utf8PathBuf,
        /// What the system said.
        source: io::Error,
    },
    /// There is no such run, or more than one.
    #[error("there are {count} runs whose name has `{name}` in it; `stead log` lists them all")]
    NotOne {
        /// What was asked for.
        name: String,
        /// How many there are.
        count: usize,
    },
    /// A line in the middle is none of stead's.
    #[error("{path}:{line}: this is no event of a run")]
    Garbage {
        /// The file.
        path: Utf8PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it.
        source: serde_json::Error,
    },
}

impl Journal {
    /// Begins a run, in a file of its own in this folder, which is made if need be.
    pub fn start(dir: &Utf8Path, at: Timestamp, who: &str, what: &str) -> Result<Self, JournalError> {
        std::fs::create_dir_all(dir).map_err(failed("make the folder", dir))?;
        let (file, run) = loop {
            let run = RunId(format!("{:013}-{:06x}", at.0, fastrand::u32(..1 << 24)));
            let path = run.path(dir);
            match OpenOptions::new().append(true).create_new(true).mode(0o600).open(&path) {
                Ok(file) => break (file, run),
                Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
                Err(error) => return Err(failed("make", &path)(error)),
            }
        };
        let mut journal = Self { file, run };
        let started = EventKind::Started { who: who.to_owned(), what: what.to_owned() };
        journal.write(at, started).map_err(failed("write to", dir))?;
        Ok(journal)
    }

    /// What this run is called.
    pub fn run(&self) -> &RunId {
        &self.run
    }

    /// Writes an event down.
    ///
    /// # Errors
    /// Those of the file. A run may go on without its journal.
    pub fn write(&mut self, at: Timestamp, kind: EventKind) -> io::Result<()> {
        let mut line = serde_json::to_vec(&Event { at, kind })?;
        line.push(b'\n');
        // One call for all of it: no buffer that a killed process would take along.
        self.file.write_all(&line)
    }
}

impl RunId {
    fn path(&self, dir: &Utf8Path) -> Utf8PathBuf {
        dir.join(format!("{}.{ENDING}", self.0))
    }
}

impl std::fmt::Display for RunId {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

/// How the files of runs end.
const ENDING: &str = "jsonl";

/// All runs in this folder, the newest first. What is no run is left out.
///
/// # Errors
/// The folder is there and can't be read.
pub fn runs(dir: &Utf8Path) -> Result<Vec<RunSummary>, JournalError> {
    let mut ids = ids(dir)?;
    ids.reverse();
    Ok(ids.into_iter().filter_map(|id| summary(dir, id)).collect())
}

/// The one run whose name has this in it.
///
/// # Errors
/// There is none, or more than one.
pub fn find(dir: &Utf8Path, name: &str) -> Result<RunId, JournalError> {
    let mut found: Vec<RunId> = ids(dir)?.into_iter().filter(|id| id.0.contains(name)).collect();
    match (found.pop(), found.len()) {
        (Some(id), 0) => Ok(id),
        (last, others) => {
            Err(JournalError::NotOne { name: name.to_owned(), count: others + usize::from(last.is_some()) })
        }
    }
}

/// All that happened in a run, in order. A last line that was cut is left out.
///
/// # Errors
/// It can't be read, or isn't a run.
pub fn events(dir: &Utf8Path, run: &RunId) -> Result<Vec<Event>, JournalError> {
    let path = run.path(dir);
    let bytes = std::fs::read(&path).map_err(failed("read", &path))?;
    // A cut may go through a character.
    let whole = bytes.iter().rposition(|&byte| byte == b'\n').map_or(0, |end| end + 1);
    let lines = bytes[..whole].split_inclusive(|&byte| byte == b'\n').enumerate();
    let events = lines.map(|(at, line)| {
        serde_json::from_slice(line).map_err(|source| JournalError::Garbage {
            path: path.clone(),
            line: at + 1,
            source,
        })
    });
    events.collect()
}

/// In order.
fn ids(dir: &Utf8Path) -> Result<Vec<RunId>, JournalError> {
    let entries = match dir.read_dir_utf8() {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        Err(error) => return Err(failed("read", dir)(error)),
    };
    let mut ids = Vec::new();
    for entry in entries {
        let entry = entry.map_err(failed("read", dir))?;
        if entry.path().extension() == Some(ENDING) {
            ids.extend(entry.path().file_stem().map(|stem| RunId(stem.to_owned())));
        }
    }
    ids.sort();
    Ok(ids)
}

fn summary(dir: &Utf8Path, id: RunId) -> Option<RunSummary> {
    let events = events(dir, &id).ok()?;
    let [Event { at, kind: EventKind::Started { who, what } }, ..] = events.as_slice() else {
        return None;
    };
    let last = events.last()?;
    let result = match &last.kind {
        EventKind::Ended { result } => Some(result.clone()),
        _ => None,
    };
    Some(RunSummary { id, at: *at, who: who.clone(), what: what.clone(), last: last.at, result })
}

fn failed(what: &'static str, path: &Utf8Path) -> impl FnOnce(io::Error) -> JournalError {
    let path = path.to_owned();
    move |source| JournalError::Io { what, path, source }
}

#[cfg(test)]
mod tests;
