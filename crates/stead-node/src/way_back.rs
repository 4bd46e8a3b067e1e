//! The way back of a guarded step: what it changes is kept, a timer is set, and unless the step is confirmed over a new
//! connection, it is undone; by the timer, or at the next boot.
//!
//! `pending.json` is there while a step can be undone, and its removal is what decides. Whoever removes it, or does what
//! depends on it, holds a lock meanwhile: so of the timer, a confirmation and the step's own next operation, one comes
//! first and the others see that.

mod kept;
mod store;

use std::fs::File;

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_plan::op::{Command, Program};
use stead_plan::step::{Guard, StepId};

use crate::exec::{RunError, Runner};
use crate::files::FileError;
use crate::journal::{Journal, Priority};
use crate::place::Place;
use crate::unfinished;
use kept::Kept;

pub use kept::NotKept;

/// The timer, and what it starts.
const TIMER: &str = "stead-way-back.timer";
const SERVICE: &str = "stead-way-back.service";

/// A step that can be undone.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Pending {
    /// [`FORMAT`].
    format: u32,
    /// Which.
    step: StepId,
    /// Who wanted it: `me@laptop`.
    by: String,
    /// Multiplies time-outs.
    patience: u8,
    /// In how many seconds it is undone by itself, patience included.
    within: u64,
    /// Whether it has ended well, so that it may be confirmed.
    done: bool,
    keeps: Vec<Kept>,
    keeps_for_boot: Vec<Kept>,
    undo: Vec<Command>,
}

/// What [`Pending::format`] is.
const FORMAT: u32 = 1;

/// Nobody else confirms, undoes or begins something meanwhile. No program that is started inherits it.
#[derive(Debug)]
pub(crate) struct Held(File);

/// A guarded step that may begin.
#[derive(Debug)]
pub(crate) struct Armed {
    place: Place,
    step: StepId,
    within: u64,
}

/// What came of undoing a step by itself, or of a boot.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Undoing {
    /// Nothing is pending.
    Nothing,
    /// It was undone; what could not be.
    Undone(StepId, Vec<String>),
}

/// Why there is no way back, or none that can be gone now.
#[derive(Debug, thiserror::Error)]
pub enum WayBackError {
    /// A file of its own.
    #[error("{}", .0.whole())]
    File(#[from] FileError),
    /// A file that the step is to change.
    #[error(transparent)]
    NotKept(#[from] NotKept),
    /// The timer.
    #[error("the timer that would undo it could not be set")]
    Timer(#[source] RunError),
    /// Another step waits to be confirmed.
    #[error(
        "{0} was done before it and waits to be confirmed; in at most {1} s it is undone by itself, then apply again"
    )]
    Pending(StepId, u64),
    /// Another step waited to be confirmed, and no timer was there any more.
    #[error("{step} was done before it and never confirmed; {}\nplan again", told(.rest))]
    Stale {
        /// Which.
        step: StepId,
        /// What of it could not be undone.
        rest: Vec<String>,
    },
    /// It can't be confirmed or undone.
    #[error("{0} is not pending here: it has been undone already, or was never begun (`journalctl -t stead` tells)")]
    Gone(StepId),
    /// It has not ended, or not well.
    #[error("{0} has not ended well, and so it can't be confirmed")]
    NotDone(StepId),
    /// It took too long.
    #[error("it was not done within {0} s, and was undone by itself")]
    TooLate(u64),
    /// The file was written by another stead, or by nobody.
    #[error(
        "{path} makes no sense to this stead; the one that wrote it undoes the step: `{} way-back undo`",
        store::PROGRAM
    )]
    Foreign {
        /// Where it lies.
        path: Utf8PathBuf,
    },
    /// A thread broke: a mistake of stead's.
    #[error("the thread that worked on it broke: {0}")]
    Thread(tokio::task::JoinError),
}

impl WayBackError {
    /// With all that it comes from, for a person.
    pub fn told(&self) -> String {
        match self {
            Self::NotKept(NotKept::File(error)) => error.whole(),
            Self::Timer(source) => format!("{self}: {source}"),
            _ => self.to_string(),
        }
    }
}

/// Keeps what a step is to change, and sets the timer.
///
/// # Errors
/// Then the step must not begin; nothing is pending.
pub(crate) async fn arm(
    place: &Place,
    runner: &Runner,
    step: &StepId,
    guard: &Guard,
    by: &str,
) -> Result<Armed, WayBackError> {
    let _held = hold(place).await?;
    if let Some(pending) = read(place).await? {
        if runner.run(&systemctl(&["is-active", TIMER, SERVICE])).await.is_ok_and(|output| output.status == Some(0)) {
            return Err(WayBackError::Pending(pending.step, pending.within));
        }
        // Whoever began it was ended before there was a timer, or there was a boot without a way back.
        let rest = go_back(place, runner, &pending).await;
        settle(place, &pending, &rest).await?;
        let why = "undone, since it was never confirmed and there was no timer";
        tell(place, &pending, Priority::Warning, why, &rest);
        return Err(WayBackError::Stale { step: pending.step, rest });
    }
    // One of a step that was confirmed must not undo this one.
    match runner.read(&systemctl(&["stop", TIMER, SERVICE])).await {
        // 5: there is none.
        Ok(_) | Err(RunError::Failed { status: Some(5), .. }) => {}
        Err(error) => return Err(WayBackError::Timer(error)),
    }
    let within = u64::from(guard.within) * u64::from(runner.patience());
    let keeping = {
        let (place, step, guard) = (place.clone(), step.clone(), guard.clone());
        let (by, patience) = (by.to_owned(), runner.patience());
        move || {
            let copies = store::copy(&place, &guard)?;
            let pending = Pending {
                format: FORMAT,
                step,
                by,
                patience,
                within,
                done: false,
                keeps: copies.keeps,
                keeps_for_boot: copies.keeps_for_boot,
                undo: guard.undo,
            };
            store::write(&place, &pending)
        }
    };
    blocking(keeping).await?;
    if let Err(error) = runner.read(&timer(within)).await {
        forget(place).await?;
        return Err(WayBackError::Timer(error));
    }
    Ok(Armed { place: place.clone(), step: step.clone(), within })
}

impl Armed {
    /// Holds off the timer for one operation of the step, unless the step has been undone.
    pub(crate) async fn hold(&self) -> Result<Held, WayBackError> {
        let held = hold(&self.place).await?;
        self.pending().await?;
        Ok(held)
    }

    /// The step has ended well, and may be confirmed.
    pub(crate) async fn done(&self) -> Result<(), WayBackError> {
        let _held = hold(&self.place).await?;
        let pending = Pending { done: true, ..self.pending().await? };
        let place = self.place.clone();
        blocking(move || store::write(&place, &pending)).await
    }

    /// The step has not ended well: undoes it. What could not be undone.
    pub(crate) async fn undo(&self, runner: &Runner) -> Result<Vec<String>, WayBackError> {
        undo(&self.place, runner, &self.step, "undone, since it failed").await
    }

    async fn pending(&self) -> Result<Pending, WayBackError> {
        of_step(&self.place, &self.step).await.map_err(|error| match error {
            WayBackError::Gone(_) => WayBackError::TooLate(self.within),
            other => other,
        })
    }
}

/// The step stays.
///
/// # Errors
/// It can't be confirmed, or it isn't pending any more.
pub(crate) async fn confirm(place: &Place, runner: &Runner, step: &StepId) -> Result<(), WayBackError> {
    let _held = hold(place).await?;
    let pending = of_step(place, step).await?;
    if !pending.done {
        return Err(WayBackError::NotDone(pending.step));
    }
    forget(place).await?;
    stop_timer(runner).await;
    tell(place, &pending, Priority::Info, "confirmed", &[]);
    Ok(())
}

/// Undoes the step at once; what could not be undone. `why` is for the journal.
///
/// # Errors
/// It isn't pending any more.
pub(crate) async fn undo(
    place: &Place,
    runner: &Runner,
    step: &StepId,
    why: &str,
) -> Result<Vec<String>, WayBackError> {
    let _held = hold(place).await?;
    let pending = of_step(place, step).await?;
    let rest = go_back(place, runner, &pending).await;
    settle(place, &pending, &rest).await?;
    stop_timer(runner).await;
    tell(place, &pending, Priority::Warning, why, &rest);
    Ok(rest)
}

/// Undoes what nobody has confirmed: what the timer starts. What can't be undone alive, a boot undoes.
///
/// # Errors
/// Whether something is pending can't be told, or what is left of it can't be cleared away.
pub async fn undo_by_itself(place: &Place) -> Result<Undoing, WayBackError> {
    let _held = hold(place).await?;
    let Some(pending) = read(place).await? else { return Ok(Undoing::Nothing) };
    let runner = Runner::new(pending.patience, false).rooted(place.at("/"));
    let rest = go_back(place, &runner, &pending).await;
    if rest.is_empty() {
        settle(place, &pending, &rest).await?;
        tell(place, &pending, Priority::Warning, "undone by itself, since nobody confirmed it", &rest);
    } else {
        // Still pending, so that the boot puts back what is for boots too.
        tell(
            place,
            &pending,
            Priority::Warning,
            "not undone by itself; the node is started anew, which does it",
            &rest,
        );
        if let Err(error) = runner.read(&systemctl(&["reboot"])).await {
            tell(place, &pending, Priority::Error, &format!("the node can't be started anew: {error}"), &[]);
        }
    }
    Ok(Undoing::Undone(pending.step, rest))
}

/// Puts files back before anything has read them: what a boot in the middle of a guarded step begins with. Engines then
/// start from these.
///
/// # Errors
/// As [`undo_by_itself`]. The step stays pending if a file could not be put back.
pub async fn boot(place: &Place) -> Result<Undoing, WayBackError> {
    let _held = hold(place).await?;
    let Some(pending) = read(place).await? else { return Ok(Undoing::Nothing) };
    let runner = Runner::new(pending.patience, false).rooted(place.at("/"));
    let (mut changed, mut rest) = put_back(place, pending.keeps.clone()).await;
    let (for_boot, not_for_boot) = put_back(place, pending.keeps_for_boot.clone()).await;
    changed.extend(for_boot);
    rest.extend(not_for_boot);
    if !rest.is_empty() {
        tell(place, &pending, Priority::Warning, "not wholly undone by this boot", &rest);
        return Ok(Undoing::Undone(pending.step, rest));
    }
    forget(place).await?;
    tell(place, &pending, Priority::Warning, "undone by this boot, since nobody had confirmed it", &rest);
    // systemd has read its units already. What it has begun to start by wrong ones, only another boot starts by right
    // ones; and there is none after that, since nothing is pending any more.
    let is_unit = |path: &Utf8PathBuf| path.starts_with("/etc/systemd/system");
    let next = if changed.iter().any(is_unit) { "reboot" } else { "daemon-reload" };
    if !changed.is_empty()
        && let Err(error) = runner.read(&systemctl(&[next])).await
    {
        tell(place, &pending, Priority::Error, &format!("systemd may still go by the units of before: {error}"), &[]);
    }
    Ok(Undoing::Undone(pending.step, rest))
}

/// Undoes on a running node: files, then commands, whatever comes of each. What could not be undone.
async fn go_back(place: &Place, runner: &Runner, pending: &Pending) -> Vec<String> {
    let (_, mut rest) = put_back(place, pending.keeps.clone()).await;
    for command in &pending.undo {
        match runner.run(command).await {
            Ok(output) if output.status.is_some_and(|status| status == 0 || command.already.contains(&status)) => {}
            Ok(output) => rest.push(Runner::failed(command, &output).to_string()),
            Err(error) => rest.push(error.to_string()),
        }
    }
    rest
}

/// Which of them were something else, and what could not be put back.
async fn put_back(place: &Place, keeps: Vec<Kept>) -> (Vec<Utf8PathBuf>, Vec<String>) {
    let (mut changed, mut rest) = (Vec::new(), Vec::new());
    for kept in keeps {
        let path = kept.path.clone();
        let work = {
            let (place, folder) = (place.clone(), store::copies(place));
            move || Ok(kept.put_back(&place, &folder)?)
        };
        match blocking(work).await {
            Ok(true) => changed.push(path),
            Ok(false) => {}
            Err(error) => rest.push(error.told()),
        }
    }
    (changed, rest)
}

/// Nothing is pending any more. What was undone by half must be done again or undone by hand, and may look whole.
async fn settle(place: &Place, pending: &Pending, rest: &[String]) -> Result<(), WayBackError> {
    if !rest.is_empty() {
        let (place, step) = (place.clone(), pending.step.clone());
        blocking(move || Ok(unfinished::begin(&place, &step)?)).await?;
    }
    forget(place).await
}

async fn hold(place: &Place) -> Result<Held, WayBackError> {
    let place = place.clone();
    blocking(move || store::hold(&place)).await
}

async fn read(place: &Place) -> Result<Option<Pending>, WayBackError> {
    let place = place.clone();
    blocking(move || store::read(&place)).await
}

async fn forget(place: &Place) -> Result<(), WayBackError> {
    let place = place.clone();
    blocking(move || Ok(store::forget(&place)?)).await
}

async fn of_step(place: &Place, step: &StepId) -> Result<Pending, WayBackError> {
    let pending = read(place).await?.filter(|pending| pending.step == *step);
    pending.ok_or_else(|| WayBackError::Gone(step.clone()))
}

/// One that can't be stopped finds nothing pending.
async fn stop_timer(runner: &Runner) {
    let _ = runner.run(&systemctl(&["stop", TIMER])).await;
}

fn systemctl(words: &[&str]) -> Command {
    Program::Systemctl.command().args(words.iter().copied())
}

/// Starts the undoing in so many seconds.
fn timer(seconds: u64) -> Command {
    let unit = SERVICE.trim_end_matches(".service");
    Program::SystemdRun.command().args([
        "--collect",
        &format!("--unit={unit}"),
        &format!("--on-active={seconds}"),
        "--timer-property=AccuracySec=1s",
        // What the undoing leaves running, such as ifup's DHCP client, is to go on.
        "--property=KillMode=process",
        store::PROGRAM,
        "way-back",
        "undo",
    ])
}

/// Tells the journal; what could not be done, as an error.
fn tell(place: &Place, pending: &Pending, priority: Priority, what: &str, rest: &[String]) {
    let journal = Journal::open(place, &pending.by);
    let step = pending.step.to_string();
    let priority = if rest.is_empty() { priority } else { Priority::Error };
    let lines = std::iter::once(format!("{what}: {step}")).chain(rest.iter().cloned());
    journal.tell(priority, &lines.collect::<Vec<_>>().join("\n"), Some(&step));
}

/// What came of undoing a step, for a person, by what could not be undone.
pub fn told(rest: &[String]) -> String {
    match rest {
        [] => "it was undone: the node is as it was before".to_owned(),
        rest => format!("it was undone, but for this:\n{}", rest.join("\n")),
    }
}

/// A disk may take seconds; heartbeats go on meanwhile.
async fn blocking<T: Send + 'static>(
    work: impl FnOnce() -> Result<T, WayBackError> + Send + 'static,
) -> Result<T, WayBackError> {
    tokio::task::spawn_blocking(work).await.map_err(WayBackError::Thread)?
}

#[cfg(test)]
pub(crate) mod tests;
