//! What a step does on a node, as data: `plan` prints it, and the node does exactly this.

mod program;

use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_spec::units::{NodeName, Sha256};
use stead_spec::words::quote;

use crate::inventory::Mode;
use crate::secret::SecretRef;
use crate::step::StepId;

pub use program::Program;

/// One action on a node. Each may be done twice: the second time it changes nothing.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Op {
    /// A program.
    Run(Command),
    /// A file with this content, replaced as a whole.
    Write(Write),
    /// A symbolic link.
    Link {
        /// Where it lies.
        path: Utf8PathBuf,
        /// What it leads to.
        target: Utf8PathBuf,
    },
    /// A folder, and those above it.
    Folder {
        /// Where.
        path: Utf8PathBuf,
        /// Permissions of the lowest one.
        mode: Mode,
    },
}

/// A file that stead manages. It is written beside its place, flushed and renamed there, so it is never half there; what
/// was there without stead's mark is kept in `/var/lib/stead/before`.
///
/// A symbolic link in its place is replaced and not followed: what it leads to is somebody else's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Write {
    /// Where.
    pub path: Utf8PathBuf,
    /// Permissions. The owner is root.
    pub mode: Mode,
    /// All of it, but for the [secrets](Self::secrets): marks stand in their places.
    pub text: String,
    /// What is put into the text on its way to the node.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretRef>,
    /// A program that must find it good before it takes its place; the file's temporary path is its last argument.
    pub checked_by: Option<Command>,
    /// Of what the text was made from, where it keeps the user's lines; a file that isn't there is empty. If something
    /// else is there by now, it stays.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub made_from: Option<Sha256>,
}

/// A program with its arguments; no shell is between.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Command {
    /// Which.
    pub program: Program,
    /// Its arguments.
    pub arguments: Vec<Argument>,
    /// Seconds that it may take on an ordinary PC; slow computers get this times the spec's patience.
    pub timeout: u32,
    /// Exit statuses that mean "it was so already".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub already: Vec<i32>,
    /// What its output is to a later step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputKind>,
}

/// A word for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Argument {
    /// This text.
    Text(String),
    /// What an earlier step found out.
    Output(OutputRef),
}

/// What a step finds out that later steps need, by its type. It never selects what is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// A tang's thumbprint.
    Thumbprint,
}

/// What one step finds out.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct OutputRef {
    /// Which step.
    pub step: StepId,
    /// What of it.
    pub kind: OutputKind,
}

/// How long a command may take that only reads or sets something: under a second anywhere, but for a busy disk.
const QUICK: u32 = 30;

impl Program {
    /// A quick command of this program, without arguments yet.
    pub fn command(self) -> Command {
        Command { program: self, arguments: Vec::new(), timeout: QUICK, already: Vec::new(), output: None }
    }
}

impl Command {
    /// A quick command of this program, without arguments yet.
    pub fn new(program: Program) -> Self {
        program.command()
    }

    /// With these words.
    #[must_use]
    pub fn args<T: Into<String>>(mut self, words: impl IntoIterator<Item = T>) -> Self {
        self.arguments.extend(words.into_iter().map(|word| Argument::Text(word.into())));
        self
    }

    /// With what an earlier step finds out.
    #[must_use]
    pub fn output_of(mut self, step: StepId, kind: OutputKind) -> Self {
        self.arguments.push(Argument::Output(OutputRef { step, kind }));
        self
    }

    /// With another time-out than a quick command's, in seconds.
    #[must_use]
    pub fn timeout(mut self, seconds: u32) -> Self {
        self.timeout = seconds;
        self
    }

    /// With an exit status that means "it was so already".
    #[must_use]
    pub fn already(mut self, status: i32) -> Self {
        self.already.push(status);
        self
    }
}

impl fmt::Display for OutputRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let what = match self.kind {
            OutputKind::Thumbprint => "thumbprint",
        };
        let node: &NodeName = &self.step.node;
        write!(f, "‹{what} of {node}›")
    }
}

/// As one could paste it.
impl fmt::Display for Command {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program.name())?;
        for argument in &self.arguments {
            match argument {
                Argument::Text(text) => write!(f, " {}", quote(text))?,
                Argument::Output(output) => write!(f, " {output}")?,
            }
        }
        Ok(())
    }
}
