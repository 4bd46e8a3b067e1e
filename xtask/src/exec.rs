//! The one place in xtask that starts programs.
#![allow(clippy::disallowed_methods, reason = "this is that place")]

use std::ffi::OsStr;
use std::fs::File;
use std::io::Write;
use std::path::Path;
use std::process::{Command, ExitStatus, Stdio};

use anyhow::{Context, Result, bail};

/// A program with its arguments, not started yet.
pub(crate) struct Program(Command);

impl Program {
    /// The program of this name or at this path.
    pub(crate) fn new(program: impl AsRef<OsStr>) -> Self {
        let mut command = Command::new(program);
        command.stdin(Stdio::null());
        // What `cargo run` tells xtask about itself isn't true for what xtask starts, and makes build scripts that
        // look at it run again.
        for (name, _) in std::env::vars_os() {
            let bytes = name.as_encoded_bytes();
            if bytes.starts_with(b"CARGO_PKG_") || bytes.starts_with(b"CARGO_MANIFEST_") {
                command.env_remove(&name);
            }
        }
        Self(command)
    }

    /// The cargo that runs xtask.
    pub(crate) fn cargo() -> Self {
        Self::new(std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
    }

    /// Adds one argument.
    pub(crate) fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.0.arg(argument);
        self
    }

    /// Adds arguments.
    pub(crate) fn args(mut self, arguments: impl IntoIterator<Item = impl AsRef<OsStr>>) -> Self {
        self.0.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    pub(crate) fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.0.env(name, value);
        self
    }

    /// Starts it in `folder`.
    pub(crate) fn dir(mut self, folder: &Path) -> Self {
        self.0.current_dir(folder);
        self
    }

    /// Leaves what it prints on stdout out of xtask's.
    pub(crate) fn quiet(mut self) -> Self {
        self.0.stdout(Stdio::null());
        self
    }

    /// Gives it this file as its standard input.
    pub(crate) fn stdin_from(mut self, file: &Path) -> Result<Self> {
        self.0.stdin(File::open(file).with_context(|| format!("could not read {}", file.display()))?);
        Ok(self)
    }

    /// Shows the command and runs it to its end; an error only when it could not be started.
    pub(crate) fn status(mut self) -> Result<ExitStatus> {
        eprintln!("$ {}", self.shown());
        self.0.status().with_context(|| format!("could not start: {}", self.shown()))
    }

    /// Shows the command and runs it to its end, which must be good.
    pub(crate) fn run(self) -> Result<()> {
        let shown = self.shown();
        let status = self.status()?;
        if !status.success() {
            bail!("failed ({status}): {shown}");
        }
        Ok(())
    }

    /// Shows the command and runs it to its end, which must be good. Once it has been started, `answer` finds out what
    /// to type.
    pub(crate) fn run_answered(mut self, answer: impl FnOnce() -> Result<String>) -> Result<()> {
        let shown = self.shown();
        eprintln!("$ {shown}");
        let child = self.0.stdin(Stdio::piped()).spawn();
        let mut child = child.with_context(|| format!("could not start: {shown}"))?;
        let stdin = child.stdin.take();
        let typed = answer().and_then(|answer| {
            let mut stdin = stdin.context("no standard input")?;
            stdin.write_all(answer.as_bytes()).with_context(|| format!("did not read what was typed: {shown}"))
        });
        // Without an answer its standard input has ended by now, and so does it.
        let status = child.wait().with_context(|| format!("could not wait for: {shown}"))?;
        typed?;
        if !status.success() {
            bail!("failed ({status}): {shown}");
        }
        Ok(())
    }

    /// Runs it to its end, which must be good, and gives its standard output.
    pub(crate) fn output(mut self) -> Result<String> {
        let shown = self.shown();
        let output = self.0.stderr(Stdio::inherit()).output().with_context(|| format!("could not start: {shown}"))?;
        if !output.status.success() {
            // Some programs say there why.
            eprint!("{}", String::from_utf8_lossy(&output.stdout));
            bail!("failed ({}): {shown}", output.status);
        }
        String::from_utf8(output.stdout).with_context(|| format!("not text: the output of {shown}"))
    }

    /// What it prints when all is well; nothing when it isn't installed or fails.
    pub(crate) fn probe(mut self) -> Option<String> {
        let output = self.0.stderr(Stdio::null()).output().ok()?;
        output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The command as one could paste it: names of programs without their folder, for reading.
    fn shown(&self) -> String {
        let program = Path::new(self.0.get_program());
        let name = program.file_name().unwrap_or(program.as_os_str());
        let words = std::iter::once(name).chain(self.0.get_args());
        words.map(|word| quote(&word.to_string_lossy())).collect::<Vec<_>>().join(" ")
    }
}

/// One word for a POSIX shell.
pub(crate) fn quote(word: &str) -> String {
    let plain = |c: char| c.is_ascii_alphanumeric() || "-_=+,./:@%^".contains(c);
    if !word.is_empty() && word.chars().all(plain) {
        word.to_owned()
    } else {
        format!("'{}'", word.replace('\'', r"'\''"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_is_typed_and_without_one_it_ends() {
        let waits = || Program::new("grep").args(["--quiet", "--line-regexp", "yes"]);
        waits().run_answered(|| Ok("yes\n".to_owned())).unwrap();
        assert!(waits().run_answered(|| Ok("no\n".to_owned())).is_err());
        assert!(waits().run_answered(|| bail!("nobody is there")).is_err());
    }
}
