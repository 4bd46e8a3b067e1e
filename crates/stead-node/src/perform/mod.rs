//! Doing a step: its operations, one after the other, as the plan has them.

mod write;

use camino::Utf8PathBuf;
use stead_plan::inventory::Mode;
use stead_plan::op::{Argument, Command, Op, OutputKind, Vacant, Write};
use stead_plan::step::{Outcome, StepId};
use stead_spec::units::Thumbprint;
use stead_spec::words::quote;

use crate::disks::vacant::prove;
use crate::exec::{RunError, Runner};
use crate::files::FileError;
use crate::place::Place;
use crate::protocol::{Job, Performed};
use crate::unfinished;
use crate::way_back::{self, Armed};

/// Does a step at the wish of this person, which is [unfinished] until it has ended well. Each operation is told to `say`
/// before it begins; none begins once `stop` says so.
///
/// One with a guard is done to its end, whatever `stop` says: half of it may be what cuts the node off, and it is undone
/// unless somebody comes back. If it doesn't end well, it is undone at once.
pub async fn perform(
    job: &Job,
    place: &Place,
    runner: &Runner,
    by: &str,
    stop: impl Fn() -> bool,
    say: impl Fn(String),
) -> Performed {
    let Some(guard) = &job.guard else { return perform_marked(job, None, place, runner, stop, say).await };
    let armed = match way_back::arm(place, runner, &job.step, guard, by).await {
        Ok(armed) => armed,
        Err(error) => {
            let why = format!("not begun, since there is no way back: {}", error.told());
            return Performed { outcome: Outcome::Failed(why), outputs: Vec::new() };
        }
    };
    let mut performed = perform_marked(job, Some(&armed), place, runner, || false, say).await;
    let why = match &performed.outcome {
        Outcome::Done | Outcome::Unchanged => match armed.done().await {
            Ok(()) => return performed,
            Err(error) => error.told(),
        },
        Outcome::Waiting(why) | Outcome::Failed(why) => why.clone(),
    };
    let undone = match armed.undo(runner).await {
        Ok(rest) => way_back::told(&rest),
        // It is told above, or it was undone while this was told.
        Err(error) => error.told(),
    };
    performed.outcome = Outcome::Failed(format!("{why}\n{undone}"));
    performed
}

async fn perform_marked(
    job: &Job,
    armed: Option<&Armed>,
    place: &Place,
    runner: &Runner,
    stop: impl Fn() -> bool,
    say: impl Fn(String),
) -> Performed {
    let mark = async |mark: fn(&Place, &StepId) -> Result<(), FileError>| {
        let (place, id) = (place.clone(), job.step.clone());
        blocking(move || Ok(mark(&place, &id)?)).await.map_err(|error| Outcome::Failed(error.told()))
    };
    if let Err(outcome) = mark(unfinished::begin).await {
        return Performed { outcome, outputs: Vec::new() };
    }
    let mut performed = perform_ops(job, armed, place, runner, stop, say).await;
    if matches!(performed.outcome, Outcome::Done | Outcome::Unchanged)
        && let Err(outcome) = mark(unfinished::end).await
    {
        performed.outcome = outcome;
    }
    performed
}

async fn perform_ops(
    job: &Job,
    armed: Option<&Armed>,
    place: &Place,
    runner: &Runner,
    stop: impl Fn() -> bool,
    say: impl Fn(String),
) -> Performed {
    let mut outputs = Vec::new();
    let mut changed = false;
    for op in &job.ops {
        let shown = shown(op);
        if stop() {
            let why =
                format!("stopped before `{shown}`: whoever asked for it has gone; the next apply goes on from here");
            return Performed { outcome: Outcome::Failed(why), outputs };
        }
        say(shown);
        // It isn't undone in the middle of an operation.
        let held = match armed {
            Some(armed) => armed.hold().await.map(Some),
            None => Ok(None),
        };
        let _held = match held {
            Ok(held) => held,
            Err(error) => return Performed { outcome: Outcome::Failed(error.told()), outputs },
        };
        let did = match op {
            Op::Run(command) => run(command, runner, &mut outputs).await,
            Op::Write(file) => write(file, place, runner).await,
            Op::Link { path, target } => {
                let (place, path, target) = (place.clone(), path.clone(), target.clone());
                blocking(move || write::link(&place, &path, &target)).await
            }
            Op::Folder { path, mode } => {
                let (place, path, mode) = (place.clone(), path.clone(), *mode);
                blocking(move || write::folder(&place, &path, mode)).await
            }
            Op::MountPoint { path } => {
                let (place, path) = (place.clone(), path.clone());
                blocking(move || write::mount_point(&place, &path)).await
            }
            Op::Vacant(wanted) => vacant(wanted, &job.step, place, runner).await,
            Op::Take { path, output } => {
                let (place, path) = (place.clone(), path.clone());
                let taken = blocking(move || write::take(&place, &path)).await;
                taken.map(|content| outputs.push((*output, content))).map(|()| false)
            }
            Op::Place { path, content } => match content {
                Argument::Text(content) => {
                    let (place, path, content) = (place.clone(), path.clone(), content.clone());
                    blocking(move || write::place(&place, &path, &content)).await
                }
                Argument::Output(_) | Argument::Filled(_) => Err(OpError::Unknown(path.clone())),
            },
        };
        match did {
            Ok(did) => changed |= did,
            Err(error) => return Performed { outcome: Outcome::Failed(error.told()), outputs },
        }
    }
    Performed { outcome: if changed { Outcome::Done } else { Outcome::Unchanged }, outputs }
}

/// Why an operation failed.
#[derive(Debug, thiserror::Error)]
enum OpError {
    #[error(transparent)]
    Run(#[from] RunError),
    #[error(transparent)]
    File(#[from] FileError),
    #[error("what was to be written to {path} is not good, so {path} stays as it was")]
    Bad { path: String, source: RunError },
    #[error("could not write {path}: there is {what}")]
    InTheWay { path: String, what: &'static str },
    #[error("the node has no group {0}, which the package that it is for makes")]
    NoGroup(String),
    #[error("{0} was changed after it was looked at, so it stays as it is; the next apply goes by what is there now")]
    Overtaken(Utf8PathBuf),
    #[error("`{command}` should tell a {kind}: {why}")]
    Output { command: String, kind: &'static str, why: String },
    #[error("not formatted: {0}")]
    NotVacant(String),
    #[error("what is to be placed at {0} is not known: a mistake of stead's")]
    Unknown(Utf8PathBuf),
    #[error("what is to be placed at {0} is no base64: a mistake of stead's")]
    NoBase64(Utf8PathBuf),
    #[error("the thread that wrote it broke: {0}")]
    Thread(tokio::task::JoinError),
}

impl OpError {
    /// With all that it comes from, for a person.
    fn told(&self) -> String {
        let mut told = self.to_string();
        let mut error: &dyn std::error::Error = self;
        while let Some(source) = error.source() {
            told = format!("{told}: {source}");
            error = source;
        }
        told
    }
}

/// For a person: as one could paste it, but for a file's content.
fn shown(op: &Op) -> String {
    match op {
        Op::Run(command) => command.to_string(),
        Op::Write(Write { path, .. }) | Op::Place { path, .. } => format!("write {path}"),
        Op::Link { path, target } => format!("ln -sfn {} {}", quote(target.as_str()), quote(path.as_str())),
        Op::Folder { path, mode: Mode(mode) } => format!("mkdir -p -m {mode:04o} {}", quote(path.as_str())),
        Op::MountPoint { path } => {
            let path = quote(path.as_str());
            format!("mkdir -p {path}; mountpoint -q {path} || chattr +i {path}")
        }
        Op::Vacant(wanted) => format!("look once more {wanted}"),
        Op::Take { path, .. } => format!("take {path}"),
    }
}

/// Proves that a disk may be formatted, and notes that this begins.
async fn vacant(wanted: &Vacant, step: &StepId, place: &Place, runner: &Runner) -> Result<bool, OpError> {
    let proved = prove(wanted, place, runner).await;
    let (place, step) = (place.clone(), step.clone());
    // What an earlier beginning noted holds no longer than it is true.
    let identity = if proved.is_ok() { wanted.identity.clone() } else { String::new() };
    blocking(move || Ok(unfinished::vacated(&place, &step, &identity)?)).await?;
    proved.map(|()| false).map_err(OpError::NotVacant)
}

/// Runs a program; whether it changed something.
async fn run(command: &Command, runner: &Runner, outputs: &mut Vec<(OutputKind, String)>) -> Result<bool, OpError> {
    let stdin = command.stdin.as_ref().map(|stdin| stdin.text.as_bytes());
    let output = runner.run_again(command, stdin).await?;
    let already = output.status.is_some_and(|status| command.already.contains(&status));
    if output.status != Some(0) && !already {
        return Err(Runner::failed(command, &output).into());
    }
    if let Some(kind) = command.output {
        outputs.push((kind, valid(kind, command, output.stdout.trim())?));
    }
    Ok(!already)
}

/// What a program found out, if it is of that kind.
fn valid(kind: OutputKind, command: &Command, text: &str) -> Result<String, OpError> {
    let bad = |kind, why: String| OpError::Output { command: command.to_string(), kind, why };
    match kind {
        OutputKind::Thumbprint => {
            let thumbprint = text.parse::<Thumbprint>().map_err(|error| bad("thumbprint", error.to_string()))?;
            Ok(thumbprint.to_string())
        }
        OutputKind::Header => Err(bad("header", "it is taken from a file".to_owned())),
    }
}

/// Writes a file; whether it was another one before.
async fn write(file: &Write, place: &Place, runner: &Runner) -> Result<bool, OpError> {
    let draft = {
        let (file, place) = (file.clone(), place.clone());
        blocking(move || write::draft(&place, &file)).await?
    };
    let Some(draft) = draft else { return Ok(false) };
    if let Some(check) = &file.checked_by {
        let check = check.clone().args([draft.path.as_str()]);
        let verdict = match runner.run(&check).await {
            Ok(output) if output.status == Some(0) => Ok(()),
            Ok(output) => {
                let (path, source) = (file.path.to_string(), Runner::failed(&check, &output));
                Err(OpError::Bad { path, source })
            }
            Err(error) => Err(error.into()),
        };
        verdict?;
    }
    blocking(move || draft.take_its_place()).await?;
    Ok(true)
}

/// A disk may take seconds; heartbeats go on meanwhile.
async fn blocking<T: Send + 'static>(work: impl FnOnce() -> Result<T, OpError> + Send + 'static) -> Result<T, OpError> {
    tokio::task::spawn_blocking(work).await.map_err(OpError::Thread)?
}

#[cfg(test)]
mod tests;
