//! The one place in this crate that starts programs.
//!
//! Programs are those of [`Program`], by their absolute paths, with their arguments as a list: no shell is between. A
//! failure shows the command as one could paste it, how it ended, and the end of what it said.
//!
//! Each program leads a process group of its own, so that what ends the connection to stead, or stead, doesn't end it in
//! the middle; what it starts itself belongs to that group, and a time-out ends all of it.
#![allow(clippy::disallowed_methods, reason = "this is that place")]

use std::cell::RefCell;
use std::io;
use std::pin::pin;
use std::process::{ExitStatus, Stdio};
use std::time::Duration;

use camino::Utf8PathBuf;
use rustix::process::{Pid, Signal, kill_process_group};
use stead_plan::op::{Argument, Command, OutputRef, Program};
use stead_plan::secret::without_secrets;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::Child;
use tokio::time::{Instant, sleep, timeout};

use crate::protocol::Recording;

/// How much of a failed program's standard error an error carries: apt's own errors need about a dozen lines.
const STDERR_LINES: usize = 15;

/// How much of what a program says is kept, in bytes: dpkg's list of a full node has 300 KiB.
const LARGEST: usize = 4 << 20;

/// How long to listen on after a program has ended. What it said is in the pipe by then; longer than this talks only what
/// it has started and left running.
const LISTEN_ON: Duration = Duration::from_secs(1);

/// How long a program has for ending in good order after its time is over.
const GRACE: Duration = Duration::from_secs(5);

/// Runs programs.
#[derive(Debug)]
pub struct Runner {
    root: Utf8PathBuf,
    patience: u8,
    recordings: Option<RefCell<Vec<Recording>>>,
}

/// How a program ended that could be run to its end.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Output {
    /// Its exit status; `None` when a signal ended it.
    pub status: Option<i32>,
    /// What it wrote to standard output; of more than 4 MiB the beginning.
    pub stdout: String,
    /// What it wrote to standard error; of more than 4 MiB the end.
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
    #[error("ended after {seconds} s without a result: {command}\n{stderr}")]
    TimedOut {
        /// What was run.
        command: String,
        /// How long it had.
        seconds: u64,
        /// The end of its standard error.
        stderr: String,
    },
    /// It said more than anybody reads, so that what it said is not whole.
    #[error("its output is larger than {} MiB: {command}", LARGEST >> 20)]
    TooMuch {
        /// What was run.
        command: String,
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
        Self { root: "/".into(), patience, recordings: record.then(RefCell::default) }
    }

    /// Runs the programs that lie below this folder instead, `ROOT/usr/bin/…`: what a test takes for a node.
    #[must_use]
    pub fn rooted(self, root: impl Into<Utf8PathBuf>) -> Self {
        Self { root: root.into(), ..self }
    }

    /// What time-outs are multiplied by.
    pub fn patience(&self) -> u8 {
        self.patience
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
    /// As [`run`](Self::run), or it failed, or said more than 4 MiB.
    pub async fn read(&self, command: &Command) -> Result<String, RunError> {
        let output = self.run(command).await?;
        if output.status != Some(0) {
            return Err(Self::failed(command, &output));
        }
        if output.stdout.len() >= LARGEST {
            return Err(RunError::TooMuch { command: command.to_string() });
        }
        Ok(output.stdout)
    }

    /// Runs a command that reads `stdin`. If this is dropped, the command goes on: nothing is ended in the middle but by
    /// its time-out.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_with(&self, command: &Command, stdin: Option<&[u8]>) -> Result<Output, RunError> {
        let shown = command.to_string();
        let mut child = self.start(command, stdin.is_some())?;
        let (mut stdout, mut stderr) = (Vec::new(), Vec::new());
        let seconds = u64::from(command.timeout) * u64::from(self.patience);
        let ended = attend(&mut child, stdin, &mut stdout, &mut stderr, Duration::from_secs(seconds)).await;
        let stdout = String::from_utf8_lossy(&stdout).into_owned();
        // It comes to be in errors. What a program is asked for is whole, and only its record is not.
        let stderr = without_secrets(&String::from_utf8_lossy(&stderr));
        let output = match ended {
            Ok(Some(status)) => Output { status: status.code(), stdout, stderr },
            Ok(None) => return Err(RunError::TimedOut { command: shown, seconds, stderr: last_lines(&stderr) }),
            Err(source) => return Err(RunError::Start { command: shown, source }),
        };
        if let Some(recordings) = &self.recordings {
            let (status, stdout, stderr) = (output.status, without_secrets(&output.stdout), output.stderr.clone());
            recordings.borrow_mut().push(Recording { command: shown, status, stdout, stderr });
        }
        Ok(output)
    }

    /// Runs a command, and again for as long as it may fail at first ([`Command::again`]). What is returned is the last.
    ///
    /// # Errors
    /// As [`run`](Self::run).
    pub async fn run_again(&self, command: &Command, stdin: Option<&[u8]>) -> Result<Output, RunError> {
        let until = Instant::now() + Duration::from_secs(u64::from(command.again) * u64::from(self.patience));
        loop {
            let output = self.run_with(command, stdin).await?;
            let is_well = output.status.is_some_and(|status| status == 0 || command.already.contains(&status));
            if is_well || Instant::now() >= until {
                return Ok(output);
            }
            sleep(PAUSE).await;
        }
    }

    /// What was recorded since the last time.
    pub fn take_recordings(&self) -> Vec<Recording> {
        self.recordings.as_ref().map(RefCell::take).unwrap_or_default()
    }

    /// A command that ended with something else than was hoped for.
    pub fn failed(command: &Command, output: &Output) -> RunError {
        RunError::Failed { command: command.to_string(), status: output.status, stderr: last_lines(&output.stderr) }
    }

    fn start(&self, command: &Command, with_stdin: bool) -> Result<Child, RunError> {
        let error = |source: io::Error| {
            let shown = command.to_string();
            if source.kind() == io::ErrorKind::NotFound {
                RunError::Missing { program: command.program, command: shown }
            } else {
                RunError::Start { command: shown, source }
            }
        };
        let words = command.arguments.iter().map(|argument| match argument {
            Argument::Text(text) => Ok(text.as_str()),
            // Whoever sends a job puts outputs in first.
            Argument::Output(output) => Err(error(unknown(output))),
            Argument::Filled(filled) => match filled.outputs.first() {
                Some(output) => Err(error(unknown(output))),
                None => Ok(filled.text.as_str()),
            },
        });
        let words = words.collect::<Result<Vec<_>, _>>()?;
        let path = command.program.path();
        let mut process = tokio::process::Command::new(self.root.join(path.strip_prefix('/').unwrap_or(path)));
        process.args(words).env_clear().envs(ENVIRONMENT).current_dir("/").process_group(0);
        process.stdin(if with_stdin { Stdio::piped() } else { Stdio::null() });
        process.stdout(Stdio::piped()).stderr(Stdio::piped());
        process.spawn().map_err(error)
    }
}

fn unknown(output: &OutputRef) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, format!("{output} is not known yet"))
}

/// Between two tries.
const PAUSE: Duration = Duration::from_secs(2);

/// All that a program inherits: one language, and nobody to ask.
const ENVIRONMENT: [(&str, &str); 6] = [
    ("PATH", "/usr/sbin:/usr/bin:/sbin:/bin"),
    ("LC_ALL", "C.UTF-8"),
    ("HOME", "/root"),
    ("DEBIAN_FRONTEND", "noninteractive"),
    ("SYSTEMD_PAGER", ""),
    // In memory: clevis puts a copy of a disk's header there while it binds, and /tmp may be on the OS disk.
    ("TMPDIR", "/run"),
];

/// Talks with a program until it ends; `None` if that took longer than `limit`, and it was ended.
async fn attend(
    child: &mut Child,
    stdin: Option<&[u8]>,
    stdout: &mut Vec<u8>,
    stderr: &mut Vec<u8>,
    limit: Duration,
) -> io::Result<Option<ExitStatus>> {
    let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let feed = async {
        if let (Some(mut pipe), Some(bytes)) = (pipes.0, stdin) {
            // A program that wants no more says by its status what it thinks of that.
            let _ = pipe.write_all(bytes).await;
        }
    };
    let hear = async { tokio::join!(gather(pipes.1, stdout, End::Cut), gather(pipes.2, stderr, End::Kept)) };
    let mut talk = pin!(async { tokio::join!(feed, hear) });
    let mut limit = pin!(sleep(limit));
    let mut talking = true;
    loop {
        tokio::select! {
            // In this order: one that has just made it has made it.
            biased;
            status = child.wait() => {
                if talking {
                    let _ = timeout(LISTEN_ON, talk).await;
                }
                return status.map(Some);
            }
            _ = &mut talk, if talking => talking = false,
            () = &mut limit => break,
        }
    }
    // Until it is waited for, its number is that of its group and of nothing else, dead or not. That nobody talks any
    // more is the sign that the whole group has ended.
    let group = child.id().and_then(|id| Pid::from_raw(i32::try_from(id).ok()?));
    let end = |signal| group.map(|group| kill_process_group(group, signal));
    end(Signal::TERM);
    if talking {
        let _ = timeout(GRACE, &mut talk).await;
    } else {
        let _ = timeout(GRACE, child.wait()).await;
    }
    if child.id().is_some() {
        end(Signal::KILL);
    }
    // One that hangs on a broken disk can't be ended at all.
    let _ = timeout(GRACE, child.wait()).await;
    Ok(None)
}

/// Which end of what is too long is of interest.
#[derive(Clone, Copy)]
enum End {
    Cut,
    Kept,
}

/// Reads a pipe until everybody has closed it. It goes on when it has enough: a program whose pipe is full stands still.
async fn gather(pipe: Option<impl AsyncRead + Unpin>, to: &mut Vec<u8>, end: End) {
    let Some(mut pipe) = pipe else { return };
    let mut bytes = vec![0; 16 << 10];
    while let Ok(length @ 1..) = pipe.read(&mut bytes).await {
        match end {
            End::Cut => to.extend(&bytes[..length.min(LARGEST - to.len())]),
            End::Kept => {
                let over = (to.len() + length).saturating_sub(LARGEST);
                to.drain(..over.min(to.len()));
                to.extend(&bytes[..length]);
            }
        }
    }
}

fn last_lines(text: &str) -> String {
    let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
    lines[lines.len().saturating_sub(STDERR_LINES)..].join("\n")
}

#[cfg(test)]
mod tests;
