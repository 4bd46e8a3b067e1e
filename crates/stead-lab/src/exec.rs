//! The one place in this crate that starts programs.
//!
//! Programs are named by [`Tool`], never by a string from elsewhere, and get their arguments as a list: no shell is
//! between. A failure shows the command as one could paste it and the end of what the program said.
#![allow(clippy::disallowed_methods, reason = "this is that place")]

use std::fmt;
use std::io;
use std::process::{Command, ExitStatus, Stdio};

use stead_spec::words::quote;

/// A program that the lab uses, and the Debian package that has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tool {
    /// Builds the images.
    Mmdebstrap,
    /// Fetches a file from a package mirror as apt does, with the host's proxies.
    AptHelper,
    /// Lets `tar` and `mke2fs` see the owners in an image without being root.
    Fakeroot,
    /// The virtual machine itself.
    Qemu,
    /// Talks to nodes.
    Ssh,
    /// Makes the key that a lab's nodes accept.
    SshKeygen,
    /// Ends a child when its parent dies, however that came about.
    Setpriv,
    /// The dynamic loader of an unpacked Debian: runs a program of a release other than the host's.
    Loader,
    /// `stead` itself, for the process that holds a lab.
    Stead,
}

impl Tool {
    /// The program's name as looked up in `PATH`.
    pub fn program(self) -> &'static str {
        match self {
            Self::Mmdebstrap => "mmdebstrap",
            // Not in anybody's `PATH`.
            Self::AptHelper => "/usr/lib/apt/apt-helper",
            Self::Fakeroot => "fakeroot",
            Self::Qemu => "qemu-system-x86_64",
            Self::Ssh => "ssh",
            Self::SshKeygen => "ssh-keygen",
            Self::Setpriv => "setpriv",
            Self::Loader => "ld.so",
            Self::Stead => "stead",
        }
    }

    /// The Debian package to install when the program is missing.
    pub fn package(self) -> &'static str {
        match self {
            Self::Mmdebstrap => "mmdebstrap",
            Self::AptHelper => "apt",
            Self::Fakeroot => "fakeroot",
            Self::Qemu => "qemu-system-x86",
            Self::Ssh | Self::SshKeygen => "openssh-client",
            Self::Setpriv => "util-linux",
            Self::Loader => "libc6",
            Self::Stead => "stead",
        }
    }

    /// A command of this tool, without arguments yet.
    pub fn command(self) -> Command {
        self.command_at(self.program())
    }

    /// The same for a tool that lies at a path of its own.
    pub fn command_at(self, program: impl AsRef<std::ffi::OsStr>) -> Command {
        let mut command = Command::new(program);
        command.env("LC_ALL", "C.UTF-8").stdin(Stdio::null());
        command
    }

    /// Finds out before anything is made whether the program is installed.
    pub fn check(self) -> Result<(), RunError> {
        let path = std::env::var_os("PATH").unwrap_or_default();
        if std::env::split_paths(&path).any(|dir| dir.join(self.program()).is_file()) {
            return Ok(());
        }
        let command = Pasteable::of(&self.command());
        Err(RunError::Missing { program: self.program(), package: self.package(), command })
    }

    /// Says why `command`, a command of this tool, could not be started.
    pub fn start_error(self, command: &Command, source: io::Error) -> RunError {
        let command = Pasteable::of(command);
        if source.kind() == io::ErrorKind::NotFound {
            RunError::Missing { program: self.program(), package: self.package(), command }
        } else {
            RunError::Start { command, source }
        }
    }

    /// Runs `command`, a command of this tool, to its end and gives its standard output.
    pub fn run(self, mut command: Command) -> Result<String, RunError> {
        let output = command
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .output()
            .map_err(|source| self.start_error(&command, source))?;
        if output.status.success() {
            Ok(String::from_utf8_lossy(&output.stdout).into_owned())
        } else {
            Err(RunError::failed(&command, output.status, &output.stderr))
        }
    }
}

/// A command as one could paste it into a shell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Pasteable(String);

impl Pasteable {
    /// Quotes the program and each argument where a shell would need it.
    pub fn of(command: &Command) -> Self {
        let words = std::iter::once(command.get_program()).chain(command.get_args());
        Self(words.map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" "))
    }
}

impl fmt::Display for Pasteable {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Why a program did not do its work.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// The program is not installed.
    #[error("`{program}` is not installed; it is in the Debian package `{package}` (wanted for: {command})")]
    Missing {
        /// What was looked for in `PATH`.
        program: &'static str,
        /// The package that has it.
        package: &'static str,
        /// What was to be run.
        command: Pasteable,
    },
    /// The program is there but could not be started.
    #[error("could not start: {command}")]
    Start {
        /// What was to be run.
        command: Pasteable,
        /// What the system said.
        source: io::Error,
    },
    /// The program ended with an error.
    #[error("failed ({status}): {command}\n{stderr}")]
    Failed {
        /// What was run.
        command: Pasteable,
        /// How it ended.
        status: ExitStatus,
        /// The end of its standard error.
        stderr: String,
    },
}

impl RunError {
    /// A program that ended badly, with the last lines of what it said.
    pub fn failed(command: &Command, status: ExitStatus, stderr: &[u8]) -> Self {
        let text = String::from_utf8_lossy(stderr);
        let lines: Vec<&str> = text.lines().filter(|line| !line.trim().is_empty()).collect();
        let stderr = last_lines(&lines.join("\n"), STDERR_LINES);
        Self::Failed { command: Pasteable::of(command), status, stderr }
    }
}

/// The end of a text: its last `n` lines.
pub(crate) fn last_lines(text: &str, n: usize) -> String {
    let lines: Vec<&str> = text.lines().collect();
    lines[lines.len().saturating_sub(n)..].join("\n")
}

/// How much of a failed program's standard error an error carries: apt's own errors need about a dozen lines.
const STDERR_LINES: usize = 15;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_failed_command_can_be_pasted() {
        let mut command = Command::new("printf");
        command.args(["%s", "it's", "a b", ""]);
        assert_eq!(Pasteable::of(&command).to_string(), r"printf %s 'it'\''s' 'a b' ''");
    }

    #[test]
    fn a_missing_program_names_its_package() {
        let tool = Tool::Mmdebstrap;
        let error = tool.run(tool.command_at("/nonexistent/mmdebstrap")).expect_err("there is no such file");
        assert!(error.to_string().contains("Debian package `mmdebstrap`"), "{error}");
    }
}
