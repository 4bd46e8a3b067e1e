//! What is asked in one connection, and what is answered.

use futures_util::future::join_all;
use stead_plan::generation::Stamp;
use stead_plan::init::Probed;
use stead_plan::inventory::{NodeInventory, Questions};
use stead_plan::step::Outcome;
use tokio::sync::{Semaphore, mpsc, watch};

use super::{Agent, End};
use crate::exec::Runner;
use crate::files::FileError;
use crate::host::system;
use crate::journal::{Journal, Priority};
use crate::keep::{self, KeepError};
use crate::lock::Lock;
use crate::network::ping::ping;
use crate::perform::perform;
use crate::place::now;
use crate::protocol::{Answer, Hello, Job, Kept, Performed, Probe, Request, Role, VERSION};
use crate::way_back;

/// Why nobody waits for answers any more, once that is so.
#[derive(Clone, Debug)]
pub(super) struct Orphaned(pub(super) watch::Receiver<Option<End>>);

impl Orphaned {
    fn is(&self) -> bool {
        self.0.borrow().is_some()
    }

    async fn wait(&mut self) -> End {
        // It is never dropped unset: whoever sets it lives as long as this.
        self.0.wait_for(Option::is_some).await.ok().and_then(|end| end.clone()).unwrap_or(End::Closed)
    }
}

/// Answers what is asked, in this order.
#[derive(Debug)]
pub(super) struct Answering<'a, L, P> {
    agent: &'a Agent<L, P>,
    say: mpsc::UnboundedSender<Answer>,
    orphaned: Orphaned,
}

/// What is known of who asks, once it has greeted.
struct Session {
    hello: Hello,
    runner: Runner,
    journal: Journal,
    lock: Option<Lock>,
}

impl<'a, L, P> Answering<'a, L, P>
where
    L: AsyncFn(&Questions, &Runner) -> NodeInventory,
    P: AsyncFn(&Probe) -> Result<Probed, String>,
{
    pub(super) fn new(agent: &'a Agent<L, P>, say: mpsc::UnboundedSender<Answer>, orphaned: Orphaned) -> Self {
        Self { agent, say, orphaned }
    }

    /// Until it is an orphan: why it is.
    pub(super) async fn answer_all(mut self, mut requests: mpsc::UnboundedReceiver<Request>) -> End {
        let mut session = None;
        let end = loop {
            let request = tokio::select! {
                biased;
                end = self.orphaned.wait() => break end,
                Some(request) = requests.recv() => request,
            };
            let answer = match (&mut session, request) {
                (None, Request::Hello(hello)) => self.greet(hello).map(|(greeted, answer)| {
                    session = Some(greeted);
                    answer
                }),
                (None, _) => Err("an agent wants to be greeted first".to_owned()),
                (Some(session), request) => self.answer(session, request).await,
            };
            self.say(answer.unwrap_or_else(Answer::Refused));
        };
        if let Some(Session { journal, lock: Some(_), .. }) = &session {
            match &end {
                End::Closed => journal.tell(Priority::Info, "lets the node go", None),
                End::Stopped => journal.tell(Priority::Warning, "lets the node go: told to stop", None),
                End::Lost(why) => journal.tell(Priority::Warning, &format!("lets the node go: {why}"), None),
            }
        }
        end
    }

    fn say(&self, answer: Answer) {
        // Whoever listens is there for as long as this is.
        let _ = self.say.send(answer);
    }

    fn greet(&self, hello: Hello) -> Result<(Session, Answer), String> {
        if hello.version != VERSION {
            return Err(format!(
                "this node's agent speaks version {VERSION} of stead's protocol, and who asks version {}: \
                 both must be the same stead",
                hello.version
            ));
        }
        let session = Session {
            runner: Runner::new(hello.patience.max(1), hello.record).rooted(self.agent.place.at("/")),
            journal: Journal::open(&self.agent.place, &hello.who),
            lock: None,
            hello,
        };
        Ok((session, Answer::Hello { version: VERSION, now: now() }))
    }

    async fn answer(&mut self, session: &mut Session, request: Request) -> Result<Answer, String> {
        let role = wanted(&request);
        if session.hello.role < role {
            return Err(format!(
                "that wants the role `{}`, and this connection has `{}`",
                name(role),
                name(session.hello.role)
            ));
        }
        if role > Role::Observe {
            self.check_stamp(&session.hello)?;
        }
        match request {
            Request::Hello(_) => Err("an agent is greeted once".to_owned()),
            // It isn't passed on.
            Request::Beat => Ok(Answer::Beat),
            Request::Look(questions) => {
                let inventory = self.unless_orphaned((self.agent.look)(&questions, &session.runner)).await?;
                self.say_recordings(session);
                Ok(Answer::Inventory(Box::new(inventory)))
            }
            Request::Probe(probe) => self.unless_orphaned((self.agent.probe)(&probe)).await?.map(Answer::Heard),
            Request::Fetch => self.fetch(),
            Request::Lock => self.lock(session),
            Request::Keep(kept) => self.keep(session, *kept).await,
            Request::Perform(job) => {
                let performed = self.perform(session, &job, |shown| self.say(Answer::Progress(shown))).await?;
                Ok(Answer::Performed(performed))
            }
            Request::PerformTogether(jobs) => self.perform_together(session, &jobs).await,
            Request::Ping(addresses) => {
                let pinged = self.unless_orphaned(ping(&addresses, &session.runner)).await?;
                self.say_recordings(session);
                pinged.map(Answer::Pinged).map_err(|error| error.to_string())
            }
            Request::Confirm(step) => {
                let confirmed = way_back::confirm(&self.agent.place, &session.runner, &step).await;
                confirmed.map(|()| Answer::Confirmed).map_err(|error| error.told())
            }
            Request::Undo(step) => {
                let why = "undone, since it was asked for";
                let undone = way_back::undo(&self.agent.place, &session.runner, &step, why).await;
                self.say_recordings(session);
                undone.map(Answer::Undone).map_err(|error| error.told())
            }
        }
    }

    /// What only looks is not worth being finished.
    async fn unless_orphaned<T>(&self, look: impl Future<Output = T>) -> Result<T, String> {
        let mut orphaned = self.orphaned.clone();
        tokio::select! {
            seen = look => Ok(seen),
            _ = orphaned.wait() => Err("stopped before all was seen".to_owned()),
        }
    }

    /// Whether this is the node that whoever asks takes it for.
    fn check_stamp(&self, hello: &Hello) -> Result<(), String> {
        let Some(asked) = &hello.stamp else {
            return Err("who changes something on a node must say whose it is".to_owned());
        };
        let there = keep::stamp(&self.agent.place).map_err(|error| told(&error))?;
        let right = |there: &Stamp| {
            there.cluster == asked.cluster && (there.node == asked.node || Some(&there.node) == hello.was.as_ref())
        };
        match there.filter(|there| !right(there)) {
            None => Ok(()),
            Some(there) => Err(format!(
                "this is {} of cluster {}, not {} of cluster {}: nothing is changed here. Is the address in the cluster \
                 file right, and is it the right cluster file?",
                there.node, there.cluster, asked.node, asked.cluster
            )),
        }
    }

    fn fetch(&self) -> Result<Answer, String> {
        let newest = keep::newest(&self.agent.place).map_err(|error| told(&error))?;
        for torn in newest.torn {
            self.say(Answer::Progress(torn));
        }
        Ok(Answer::Fetched(newest.kept.map(Box::new)))
    }

    fn lock(&self, session: &mut Session) -> Result<Answer, String> {
        if session.lock.is_none() {
            match Lock::take(&self.agent.place, &session.hello.who).map_err(|error| error.whole())? {
                Ok(lock) => session.lock = Some(lock),
                Err(lease) => return Ok(Answer::Held(lease)),
            }
            session.journal.tell(Priority::Info, &format!("holds the node for {}", session.hello.who), None);
        }
        Ok(Answer::Locked)
    }

    async fn keep(&self, session: &Session, kept: Kept) -> Result<Answer, String> {
        wants_lock(session)?;
        let place = self.agent.place.clone();
        let number = kept.generation.number;
        // A disk may take seconds.
        let keep = tokio::task::spawn_blocking(move || keep::keep(&place, &kept).map_err(|error| told(&error)));
        let result = keep.await.unwrap_or_else(|error| Err(error.to_string()));
        match &result {
            Ok(()) => session.journal.tell(Priority::Info, &format!("keeps generation {number}"), None),
            Err(why) => {
                session.journal.tell(Priority::Error, &format!("does not keep generation {number}: {why}"), None);
            }
        }
        result.map(|()| Answer::Kept)
    }

    /// As many at once as there is memory for now, the others as these end.
    async fn perform_together(&self, session: &Session, jobs: &[Job]) -> Result<Answer, String> {
        if let Some(job) = jobs.iter().find(|job| job.beside.is_none() || job.guard.is_some()) {
            return Err(format!("the step {} is not to be done beside others", job.step));
        }
        let room = system::available(&self.agent.place);
        let memory = Semaphore::new(room as usize);
        let one = async |job: &Job| {
            // What takes more than there is is done alone.
            let _taken = memory.acquire_many(job.beside.unwrap_or(room).min(room)).await.map_err(|e| e.to_string())?;
            let say = |shown| self.say(Answer::ProgressOf(job.step.clone(), shown));
            self.perform(session, job, say).await.map(|performed| (job.step.clone(), performed))
        };
        let performed = join_all(jobs.iter().map(one)).await;
        Ok(Answer::PerformedTogether(performed.into_iter().collect::<Result<_, String>>()?))
    }

    async fn perform(&self, session: &Session, job: &Job, say: impl Fn(String)) -> Result<Performed, String> {
        wants_lock(session)?;
        if let Some(stamp) = session.hello.stamp.as_ref().filter(|stamp| stamp.node != job.step.node) {
            return Err(format!("the step {} is not for this node, which is {}", job.step, stamp.node));
        }
        let step = job.step.to_string();
        let tell = |priority, what: &str| session.journal.tell(priority, what, Some(&step));
        tell(Priority::Info, &format!("begins: {}", job.title));
        let (place, by) = (&self.agent.place, &session.hello.who);
        let performed = perform(job, place, &session.runner, by, || self.orphaned.is(), say).await;
        let Performed { outcome, .. } = &performed;
        match outcome {
            Outcome::Done => tell(Priority::Info, &format!("done: {}", job.title)),
            Outcome::Unchanged => tell(Priority::Info, &format!("unchanged: {}", job.title)),
            Outcome::Waiting(what) => tell(Priority::Warning, &format!("waits for {what}: {}", job.title)),
            Outcome::Failed(why) => tell(Priority::Error, &format!("failed: {}\n{why}", job.title)),
        }
        self.say_recordings(session);
        Ok(performed)
    }

    fn say_recordings(&self, session: &Session) {
        for recording in session.runner.take_recordings() {
            self.say(Answer::Recorded(recording));
        }
    }
}

/// The least role that may ask for it.
fn wanted(request: &Request) -> Role {
    match request {
        Request::Hello(_)
        | Request::Beat
        | Request::Look(_)
        | Request::Probe(_)
        | Request::Fetch
        | Request::Ping(_) => Role::Observe,
        Request::Lock
        | Request::Keep(_)
        | Request::Perform(_)
        | Request::PerformTogether(_)
        | Request::Confirm(_)
        | Request::Undo(_) => Role::Apply,
    }
}

fn name(role: Role) -> &'static str {
    match role {
        Role::Observe => "observe",
        Role::Operate => "operate",
        Role::Apply => "apply",
    }
}

fn wants_lock(session: &Session) -> Result<(), String> {
    session.lock.as_ref().map(drop).ok_or_else(|| "the node must be held before it is changed".to_owned())
}

fn told(error: &KeepError) -> String {
    match error {
        KeepError::File(error) => FileError::whole(error),
        other => other.to_string(),
    }
}
