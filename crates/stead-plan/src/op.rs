//! What a step does on a node, as data: `plan` prints it, and the node does exactly this.

mod program;

use std::collections::BTreeSet;
use std::fmt;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_spec::units::{DiskId, NodeName, Sha256, WipeToken};
use stead_spec::words::quote;
use uuid::Uuid;

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
    /// A folder to mount something on, and those above it: nothing can be written there while nothing is mounted. Whether
    /// something is, is seen when this is done: it may come whenever its disk does.
    MountPoint {
        /// Where.
        path: Utf8PathBuf,
    },
    /// A proof that a disk may be formatted, right before it is.
    Vacant(Vacant),
    /// A file that an operation before this one wrote: its content is what the step finds out, and the file goes.
    Take {
        /// Where it lies.
        path: Utf8PathBuf,
        /// What it is to a later step.
        output: OutputKind,
    },
    /// A file with what an earlier step took, replaced as a whole. Only root reads it.
    Place {
        /// Where.
        path: Utf8PathBuf,
        /// What it holds.
        content: Argument,
    },
}

/// What must be so before a disk is formatted. It is looked at again while the node is held, right before that; then it is
/// noted that the formatting has begun, so that what a cut leaves behind is known for what it is.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Vacant {
    /// The disk.
    pub disk: DiskId,
    /// Its maker's number, world-wide name and size, as [`Disk::identity`](crate::disks::Disk::identity) tells them.
    pub identity: String,
    /// The UUID of the header that it is to get.
    pub uuid: Uuid,
    /// What may be on it.
    pub may_hold: MayHold,
}

/// What a disk may hold that is to be formatted.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum MayHold {
    /// Nothing.
    Nothing,
    /// What has this token, and nobody uses it.
    This(WipeToken),
    /// What an own formatting left that was cut: no more than a header that opens with no key.
    OwnBeginnings,
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
    /// Whose group it is, by name, which a package makes; root's if nothing is said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub group: Option<String>,
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

impl Write {
    /// A file of root's with this text, without anything secret.
    pub fn new(path: impl Into<Utf8PathBuf>, mode: Mode, text: impl Into<String>) -> Self {
        let (path, text) = (path.into(), text.into());
        Self { path, mode, group: None, text, secrets: Vec::new(), checked_by: None, made_from: None }
    }
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
    /// Seconds for which it is tried again if it fails, on an ordinary PC: others have to agree with it first.
    #[serde(default, skip_serializing_if = "is_zero")]
    pub again: u32,
    /// Exit statuses that mean "it was so already".
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub already: Vec<i32>,
    /// What its output is to a later step.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub output: Option<OutputKind>,
    /// What it reads.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub stdin: Option<Filled>,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn is_zero(seconds: &u32) -> bool {
    *seconds == 0
}

/// A text with marks in the places of what isn't known yet, or is secret.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Filled {
    /// All of it, with marks.
    pub text: String,
    /// What earlier steps find out.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub outputs: BTreeSet<OutputRef>,
    /// Sealed secrets. Never in an argument.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub secrets: Vec<SecretRef>,
}

/// A word for a program.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Argument {
    /// This text.
    Text(String),
    /// What an earlier step found out.
    Output(OutputRef),
    /// A text that has such things in it.
    Filled(Filled),
}

/// What a step finds out that later steps need, by its type. It never selects what is destroyed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum OutputKind {
    /// A tang's thumbprint.
    Thumbprint,
    /// A backup of a LUKS header, in base64.
    Header,
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
        let (arguments, already) = (Vec::new(), Vec::new());
        Command { program: self, arguments, timeout: QUICK, again: 0, already, output: None, stdin: None }
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

    /// Tried again for so many seconds.
    #[must_use]
    pub fn again(mut self, seconds: u32) -> Self {
        self.again = seconds;
        self
    }

    /// With what an earlier step finds out.
    #[must_use]
    pub fn output_of(mut self, step: StepId, kind: OutputKind) -> Self {
        self.arguments.push(Argument::Output(OutputRef { step, kind }));
        self
    }

    /// With a word that has in it what earlier steps find out.
    #[must_use]
    pub fn filled(mut self, word: Filled) -> Self {
        let plain = word.outputs.is_empty() && word.secrets.is_empty();
        self.arguments.push(if plain { Argument::Text(word.text) } else { Argument::Filled(word) });
        self
    }

    /// That reads this.
    #[must_use]
    pub fn reads(mut self, stdin: Filled) -> Self {
        self.stdin = Some(stdin);
        self
    }

    /// That tells what later steps want to know.
    #[must_use]
    pub fn tells(mut self, output: OutputKind) -> Self {
        self.output = Some(output);
        self
    }

    /// Whether it makes a header where something else may be.
    pub(crate) fn formats(&self) -> bool {
        let first = self.arguments.first();
        self.program == Program::Wipefs
            || self.program == Program::Blkdiscard
            || (self.program == Program::Cryptsetup && first == Some(&Argument::Text("luksFormat".to_owned())))
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
            OutputKind::Thumbprint => "thumbprint of",
            // Of a node's disks, each has one.
            OutputKind::Header => return write!(f, "‹header by {}›", self.step),
        };
        let node: &NodeName = &self.step.node;
        write!(f, "‹{what} {node}›")
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
                Argument::Filled(filled) => write!(f, " {}", quote(&filled.text))?,
            }
        }
        match &self.stdin {
            // What it is matters less than that it comes, and it may have become secret.
            Some(_) => f.write_str(" <<< …"),
            None => Ok(()),
        }
    }
}

impl Filled {
    /// A text that is just a sealed secret.
    pub fn secret(secret: SecretRef) -> Self {
        Self { text: secret.to_string(), secrets: vec![secret], ..Self::default() }
    }

    /// With what an earlier step found out in its place.
    pub fn fill(&mut self, output: &OutputRef, with: &str) {
        if self.outputs.remove(output) {
            self.text = self.text.replace(&output.to_string(), with);
        }
    }
}

/// For a person: what is looked at.
impl fmt::Display for Vacant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let path = self.disk.path();
        match self.may_hold {
            MayHold::Nothing => write!(f, "that {path} is blank"),
            MayHold::This(token) => write!(f, "that {path} holds what has the token {token}, and isn't in use"),
            MayHold::OwnBeginnings => write!(f, "that {path} holds no more than a formatting that was cut"),
        }
    }
}
