//! The one place in this crate that starts programs.
//!
//! Programs are those of [`Program`], by their absolute paths, with their arguments as a list: no shell is between. A
//! failure shows the command as one could paste it, how it ended, and the end of what it said.
#![allow(clippy::disallowed_methods, reason = "this is that place")]

use std::cell::RefCell;
use std::io;
use std::process::Stdio;
use std::time::Duration;

use stead_plan::op::{Argument, Command, Program};
use tokio::io::AsyncWriteExt;

use crate::protocol::Recording;

/// How much of a failed program's standard error an error carries: apt's own errors need about a dozen lines.
const STDERR_LINES: usize = 15;

/// Runs programs.
#[derive(Debug)]
pub struct Runner {
    patience: u8,
    recordings: Option<RefCell<Vec<Recording>>>,
}

/// How a program ended that could be run to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to standard output.
    pub stdout: String,
    /// What it wrote to standard error.
    pub stderr: String,
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// It is not installed.
    #[error("`{}` is not there; it is in the Debian package `{}` (wanted for: {command})", .program.path(), .program.package())]
    Missing {
        /// Which.
        program: Program,
        /// What was to be run.
        command: String,
    },
    /// It is there but could not be started, or not be talked to.
    #[error("could not run: {command}")]
    Start {
        /// What was to be run.
        command: String,
        /// What the system said.
        source: io::Error,
    },
    /// It took too long, and was ended.
    #[error("ended after {seconds} s without a result: {command}")]
    TimedOut {
        /// What was run.
        command: String,
        /// How long it had.
        seconds: u64,
    },
    /// It ended with an error.
    #[error("failed ({}): {command}\n{stderr}", status.map_or_else(|| "ended by a signal".to_owned(), |status| format!("exit status {status}")))]
    Failed {
        /// What was run.
        command: String,
        /// How it ended.
        status: Option<i32>,
        /// The end of its standard error.
        stderr: String,
    },
}

impl Runner {
    /// With time-outs times `patience`; what tools say is recorded on wish.
    pub fn new(patience: u8, record: bool) -> Self {
        Self { patience, recordings: record.then(RefCell::default) }
    }

    /// Runs a command to its end, whatever that is.
    ///
    /// # Errors
    /// It is missing, didn't start, or took too long.
    pub async fn run(&self, command: &Command) -> Result<Output, RunError> {
        self.run_with(command, None).await
    }

    /// Runs a command that must end well, and gives its standard output.
    ///
    /// # Errors
    /// As [`run`](Self::run), or it failed.
    pub async fn read(&self, command: &Command) -> Result<String, RunError> {
        let output = self.run(command).await?;
        if output.status == Some(0) { Ok(output.stdout) } else { Err(Self::failed(command, &output)) }
    }

    /// Runs a command that reads `stdin`.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with(&self, command: &Command, stdin: Option<&[u8]>) -> Result<Output, RunError> {
        let shown = command.to_string();
        let start = |source: io::Error| {
            if source.kind() == io::ErrorKind::NotFound {
                RunError::Missing { program: command.program, command: shown.clone() }
            } else {
                RunError::Start { command: shown.clone(), source }
            }
        };
        let words = command.arguments.iter().map(|argument| match argument {
            Argument::Text(text) => Ok(text.as_str()),
            // Whoever sends a job puts outputs in first.
            Argument::Output(output) => {
                Err(start(io::Error::new(io::ErrorKind::InvalidInput, format!("{output} is not known yet"))))
            }
        });
        let words = words.collect::<Result<Vec<_>, _>>()?;
        let seconds = u64::from(command.timeout) * u64::from(self.patience);
        let mut process = tokio::process::Command::new(command.program.path());
        process.args(words).env_clear().envs(ENVIRONMENT).current_dir("/");
        process.stdin(if stdin.is_some() { Stdio::piped() } else { Stdio::null() });
        process.stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        let mut child = process.spawn().map_err(&start)?;
        let pipe = child.stdin.take();
        let work = async {
            let feed = async {
                if let (Some(mut pipe), Some(bytes)) = (pipe, stdin) {
                    // A program that wants no more says by its status what it thinks of that.
                    let _ = pipe.write_all(bytes).await;
                }
            };
            tokio::join!(feed, child.wait_with_output()).1
        };
        let output = match tokio::time::timeout(Duration::from_secs(seconds), work).await {
            Ok(output) => output.map_err(&start)?,
            Err(_) => return Err(RunError::TimedOut { command: shown, seconds }),
        };
        let output = Output {
            status: output.status.code(),
            stdout: String::from_utf8_lossy(&output.stdout).into_owned(),
            stderr: String::from_utf8_lossy(&output.stderr).into_owned(),
        };
        if let Some(recordings) = &self.recordings {
            let Output { status, stdout, stderr } = output.clone();
            recordings.borrow_mut().push(Recording { command: shown, status, stdout, stderr });
        }
        Ok(output)
    }

    /// What was recorded since the last time.
    pub fn take_recordings(&self) -> Vec<Recording> {
        self.recordings.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// A command that ended with something else than was hoped for.
    pub fn failed(command: &Command, output: &Output) -> RunError {
        let lines: Vec<&str> = output.stderr.lines().filter(|line| !line.trim().is_empty()).collect();
        let stderr = lines[lines.len().saturating_sub(STDERR_LINES)..].join("\n");
        RunError::Failed { command: command.to_string(), status: output.status, stderr }
    }
}

/// All that a program inherits: one language, and nobody to ask.
const ENVIRONMENT: [(&str, &str); 5] = [
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ("LC_ALL", "C.UTF-8"),
    ("HOME", "/root"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("SYSTEMD_PAGER", ""),
];
