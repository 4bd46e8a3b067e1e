//! The agent: stead on a node, at the other end of a connection.
//!
//! It answers one request at a time, and goes on hearing and giving signs of life meanwhile. When the connection ends, or
//! nobody gives a sign of life any more, or a signal says so, it is an orphan: it finishes the command that runs, begins
//! no other, and ends. A guarded step it finishes whole: that may be what ended the connection, and it is undone unless
//! somebody comes back.

mod session;

use std::convert::Infallible;
use std::future::pending;
use std::io;
use std::pin::pin;
use std::time::Duration;

use stead_plan::init::Probed;
use stead_plan::inventory::{NodeInventory, Questions};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::signal::unix::{SignalKind, signal};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

use crate::exec::Runner;
use crate::frame::{self, FrameError};
use crate::place::Place;
use crate::protocol::{Answer, BEAT_EVERY, GONE_AFTER, Probe, Request};
use session::{Answering, Orphaned};

/// An agent, before anybody talks to it.
#[derive(Debug)]
pub struct Agent<L, P> {
    /// The node.
    pub place: Place,
    /// Looks at the node.
    pub look: L,
    /// Finds out which NICs hear which.
    pub probe: P,
}

/// Why an agent ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum End {
    /// The other side closed the connection.
    Closed,
    /// The other side is gone, or talks nonsense: what happened, for a person.
    Lost(String),
    /// It was told to.
    Stopped,
}

/// How long what was said last may take to be heard.
const LAST_WORDS: Duration = Duration::from_secs(5);

impl<L, P> Agent<L, P>
where
    L: AsyncFn(&Questions, &Runner) -> NodeInventory,
    P: AsyncFn(&Probe) -> Result<Probed, String>,
{
    /// Serves one connection to its end; `stop` ends it too, see [`told_to_stop`]. The node is held, if it is, until this
    /// is done.
    pub async fn serve(&self, input: impl AsyncRead, output: impl AsyncWrite, stop: impl Future<Output = ()>) -> End {
        // What tools write without saying for whom is for everybody to read, whatever the login had set.
        rustix::process::umask(rustix::fs::Mode::from_raw_mode(0o022));
        let (say, answers) = mpsc::unbounded_channel();
        let (ask, requests) = mpsc::unbounded_channel();
        let (orphaning, orphaned) = watch::channel(None);
        // The first reason counts.
        let orphan = |why: End| orphaning.send_if_modified(|end| end.is_none() && end.replace(why).is_none());

        let also_say = say.downgrade();
        let hear = async {
            let (end, reply) = hear(input, ask).await;
            if let (Some(reply), Some(say)) = (reply, also_say.upgrade()) {
                let _ = say.send(reply);
            }
            orphan(end);
        };
        let stop = async {
            stop.await;
            orphan(End::Stopped);
        };
        let mut speak = pin!(async {
            let mut answers = answers;
            if let Err(error) = speak(output, &mut answers).await {
                orphan(End::Lost(format!("what this node says is not heard: {error}")));
                while answers.recv().await.is_some() {}
            }
        });
        let answer = Answering::new(self, say, Orphaned(orphaned)).answer_all(requests);
        let meanwhile = async {
            tokio::join!(hear, stop, &mut speak, pending::<Infallible>());
        };
        let end = tokio::select! {
            end = answer => end,
            () = meanwhile => End::Closed,
        };
        let _ = timeout(LAST_WORDS, speak).await;
        end
    }
}

/// Waits for a signal that asks the agent to end. From the first time this is polled, none of them kills it.
pub async fn told_to_stop() {
    let wait = async |kind| match signal(kind) {
        Ok(mut signal) => drop(signal.recv().await),
        Err(_) => pending().await,
    };
    tokio::select! {
        () = wait(SignalKind::hangup()) => {}
        () = wait(SignalKind::interrupt()) => {}
        () = wait(SignalKind::terminate()) => {}
    }
}

/// Hears requests until there will be none; why, and what to say to that.
async fn hear(input: impl AsyncRead, ask: mpsc::UnboundedSender<Request>) -> (End, Option<Answer>) {
    let mut input = pin!(input);
    let mut patience = 1;
    loop {
        let seconds = GONE_AFTER * patience;
        let request = match timeout(Duration::from_secs(seconds), frame::read(&mut input)).await {
            Err(_) => return (End::Lost(format!("no sign of life for {seconds} s")), None),
            Ok(Err(FrameError::Ended(error))) if error.kind() == io::ErrorKind::UnexpectedEof => {
                return (End::Closed, None);
            }
            Ok(Err(FrameError::Ended(error))) => return (End::Lost(format!("the connection broke: {error}")), None),
            Ok(Err(FrameError::Garbage(why))) => {
                let reply = Answer::Refused(format!("the agent does not understand what it is asked: {why}"));
                return (End::Lost(why), Some(reply));
            }
            Ok(Ok(request)) => request,
        };
        match &request {
            Request::Beat => continue,
            Request::Hello(hello) => patience = u64::from(hello.patience.max(1)),
            _ => {}
        }
        if ask.send(request).is_err() {
            return (End::Closed, None);
        }
    }
}

/// Says answers, and gives a sign of life from time to time, until there will be no more.
async fn speak(output: impl AsyncWrite, answers: &mut mpsc::UnboundedReceiver<Answer>) -> Result<(), FrameError> {
    let mut output = pin!(output);
    let every = Duration::from_secs(BEAT_EVERY);
    let mut beats = interval_at(Instant::now() + every, every);
    beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let answer = tokio::select! {
            answer = answers.recv() => answer,
            _ = beats.tick() => Some(Answer::Beat),
        };
        let Some(answer) = answer else { return Ok(()) };
        match frame::write(&mut output, &answer).await {
            // It is too long. A recording is not worth a word.
            Err(FrameError::Garbage(_)) if matches!(answer, Answer::Recorded(_)) => {}
            Err(FrameError::Garbage(why)) => {
                let refused = Answer::Refused(format!("the answer can't be sent: {why}"));
                frame::write(&mut output, &refused).await?;
            }
            other => other?,
        }
    }
}

#[cfg(test)]
mod tests;
