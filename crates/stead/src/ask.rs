//! Questions to the person at the terminal: on standard error, answered on standard input.

use std::fmt;
use std::io::{self, IsTerminal, Write};

use anyhow::{Context, Result};
use camino::Utf8Path;
use stead_apply::secrets::Secret;

/// There is a question, and nobody to answer it.
#[derive(Debug)]
pub(crate) struct Nobody {
    what: String,
    /// What to do instead.
    pub(crate) next: &'static str,
}

impl Nobody {
    /// Nobody sees or answers this.
    pub(crate) fn new(what: impl Into<String>, next: &'static str) -> Self {
        Self { what: what.into(), next }
    }
}

impl fmt::Display for Nobody {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.what)
    }
}

impl std::error::Error for Nobody {}

/// Asks for a yes. Everything else is a no, also an empty line.
///
/// # Errors
/// Nobody answers: standard input is no terminal, and has no line left.
pub(crate) fn yes(question: &str) -> Result<bool> {
    let answer =
        line(&format!("{question} [y/N] "), question, "run it in a terminal, or agree beforehand with `--yes`")?;
    Ok(matches!(answer.trim().to_ascii_lowercase().as_str(), "y" | "yes"))
}

/// Asks for a text, given back without the spaces around it; empty where somebody gives none.
///
/// # Errors
/// Nobody answers: standard input is no terminal, and has no line left.
pub(crate) fn text(question: &str) -> Result<String> {
    let answer = line(&format!("{question}: "), question, "run it in a terminal")?;
    Ok(answer.trim().to_owned())
}

/// Asks for a key's passphrase, which is not shown. `None` where there is no terminal.
pub(crate) fn passphrase(key: &Utf8Path) -> Option<Secret> {
    if !io::stdin().is_terminal() {
        return None;
    }
    rpassword::prompt_password(format!("passphrase of `{key}`: ")).ok().map(Secret::from)
}

fn line(prompt: &str, question: &str, next: &'static str) -> Result<String> {
    let mut err = io::stderr();
    // A question that can't be shown is answered by nobody.
    let _ = err.write_all(prompt.as_bytes()).and_then(|()| err.flush());
    let mut answer = String::new();
    let read = io::stdin().read_line(&mut answer).context("could not read the answer")?;
    if !io::stdin().is_terminal() || read == 0 {
        // The answer's own end of line isn't on the screen.
        let _ = err.write_all(b"\n");
    }
    if read == 0 && !io::stdin().is_terminal() {
        return Err(Nobody::new(format!("there is nobody to ask: {question}"), next).into());
    }
    Ok(answer)
}
