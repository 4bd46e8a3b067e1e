//! Messages to an agent and back, with a heartbeat each way.

use std::time::Duration;

use stead_node::frame::{self, FrameError};
use stead_node::protocol::{Answer, BEAT_EVERY, GONE_AFTER, Request};
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::mpsc;
use tokio::task::JoinHandle;
use tokio::time::{Instant, MissedTickBehavior, interval_at, timeout};

/// A conversation with an agent. It beats as long as it is there, also while nothing is asked; when it is dropped, its
/// streams are closed.
#[derive(Debug)]
pub(super) struct Wire {
    requests: mpsc::UnboundedSender<Request>,
    answers: mpsc::UnboundedReceiver<Result<Answer, End>>,
    /// A question was given up: the next answer could be to that one.
    torn: bool,
    tasks: [JoinHandle<()>; 2],
}

/// Why a conversation ended.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum End {
    /// The stream did.
    Ended,
    /// No beat for this many seconds.
    Silent(u64),
    /// Something came that is no message: what.
    Garbage(String),
    /// An earlier question was not waited for.
    Torn,
}

impl Wire {
    /// Begins to beat and to listen.
    pub(super) fn start(
        from: impl AsyncRead + Unpin + Send + 'static,
        to: impl AsyncWrite + Unpin + Send + 'static,
        patience: u8,
    ) -> Self {
        let (requests, to_send) = mpsc::unbounded_channel();
        // An agent speaks when it is asked, so little can pile up.
        let (heard, answers) = mpsc::unbounded_channel();
        let gone = GONE_AFTER * u64::from(patience);
        let tasks = [tokio::spawn(listen(from, heard, gone)), tokio::spawn(speak(to, to_send))];
        Self { requests, answers, torn: false, tasks }
    }

    /// Asks, and waits for the answer; what comes on the way goes to `said`.
    pub(super) async fn ask(&mut self, request: Request, said: &mut dyn FnMut(Answer)) -> Result<Answer, End> {
        if std::mem::replace(&mut self.torn, true) {
            return Err(End::Torn);
        }
        // If nobody takes it any more, the listener says why.
        let _ = self.requests.send(request);
        let answer = loop {
            match self.answers.recv().await.unwrap_or(Err(End::Ended)) {
                Ok(answer @ (Answer::Progress(_) | Answer::ProgressOf(..) | Answer::Recorded(_))) => said(answer),
                answer => break answer,
            }
        };
        self.torn = false;
        answer
    }
}

impl Drop for Wire {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

async fn listen(mut from: impl AsyncRead + Unpin, heard: mpsc::UnboundedSender<Result<Answer, End>>, gone: u64) {
    loop {
        let answer = match timeout(Duration::from_secs(gone), frame::read(&mut from)).await {
            Ok(Ok(Answer::Beat)) => continue,
            Ok(Ok(answer)) => Ok(answer),
            Ok(Err(FrameError::Ended(_))) => Err(End::Ended),
            Ok(Err(FrameError::Garbage(what))) => Err(End::Garbage(what)),
            Err(_) => Err(End::Silent(gone)),
        };
        let over = answer.is_err();
        if heard.send(answer).is_err() || over {
            return;
        }
    }
}

async fn speak(mut to: impl AsyncWrite + Unpin, mut requests: mpsc::UnboundedReceiver<Request>) {
    let every = Duration::from_secs(BEAT_EVERY);
    let mut beat = interval_at(Instant::now() + every, every);
    // After a laptop's sleep, one beat is enough.
    beat.set_missed_tick_behavior(MissedTickBehavior::Delay);
    loop {
        let request = tokio::select! {
            request = requests.recv() => request,
            _ = beat.tick() => Some(Request::Beat),
        };
        let Some(request) = request else { return };
        if frame::write(&mut to, &request).await.is_err() {
            return;
        }
    }
}

#[cfg(test)]
mod tests {
    use stead_node::protocol::Recording;
    use tokio::io::{AsyncWriteExt, DuplexStream, duplex};

    use super::*;

    fn wire(patience: u8) -> (Wire, DuplexStream) {
        let (near, far) = duplex(1 << 16);
        let (from, to) = tokio::io::split(near);
        (Wire::start(from, to, patience), far)
    }

    async fn heard(far: &mut DuplexStream) -> Request {
        frame::read(far).await.expect("a request")
    }

    async fn answer(far: &mut DuplexStream, answer: Answer) {
        frame::write(far, &answer).await.expect("somebody listens");
    }

    #[tokio::test(start_paused = true)]
    async fn it_beats_between_questions_and_while_one_is_open() {
        let (mut wire, mut far) = wire(1);
        let before = Instant::now();
        assert_eq!(heard(&mut far).await, Request::Beat);
        assert_eq!(before.elapsed().as_secs(), BEAT_EVERY);
        let agent = async {
            assert_eq!(heard(&mut far).await, Request::Lock);
            for _ in 0..10 {
                // Longer than any silence may be, if the agent didn't beat as well.
                assert_eq!(heard(&mut far).await, Request::Beat);
                answer(&mut far, Answer::Beat).await;
            }
            answer(&mut far, Answer::Locked).await;
        };
        let mut nothing = |_| panic!("a beat is nobody's business");
        let (answer, ()) = tokio::join!(wire.ask(Request::Lock, &mut nothing), agent);
        assert_eq!(answer, Ok(Answer::Locked));
        assert!(before.elapsed().as_secs() > GONE_AFTER);
    }

    #[tokio::test(start_paused = true)]
    async fn silence_is_an_end_and_patience_makes_it_later() {
        for patience in [1, 4] {
            let (mut wire, _far) = wire(patience);
            let before = Instant::now();
            let silent = End::Silent(GONE_AFTER * u64::from(patience));
            assert_eq!(wire.ask(Request::Lock, &mut |_| ()).await, Err(silent));
            assert_eq!(before.elapsed().as_secs(), GONE_AFTER * u64::from(patience));
            assert_eq!(wire.ask(Request::Lock, &mut |_| ()).await, Err(End::Ended));
        }
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_said_on_the_way_is_handed_on() {
        let (mut wire, mut far) = wire(1);
        let recording =
            Recording { command: "true".into(), status: Some(0), stdout: String::new(), stderr: String::new() };
        let on_the_way = [Answer::Progress("apt".into()), Answer::Recorded(recording)];
        for said in on_the_way.clone() {
            answer(&mut far, said).await;
        }
        answer(&mut far, Answer::Kept).await;
        let mut said = Vec::new();
        assert_eq!(wire.ask(Request::Fetch, &mut |answer| said.push(answer)).await, Ok(Answer::Kept));
        assert_eq!(said, on_the_way);
    }

    #[tokio::test(start_paused = true)]
    async fn a_question_that_was_given_up_leaves_no_answer_to_the_next() {
        let (mut wire, mut far) = wire(1);
        let asked = timeout(Duration::from_secs(1), wire.ask(Request::Lock, &mut |_| ())).await;
        assert!(asked.is_err(), "nobody answered");
        answer(&mut far, Answer::Locked).await;
        assert_eq!(wire.ask(Request::Fetch, &mut |_| ()).await, Err(End::Torn));
    }

    #[tokio::test(start_paused = true)]
    async fn what_is_no_message_and_the_end_are_told_apart() {
        let (mut wire, mut far) = self::wire(1);
        far.write_all(b"Segmentation fault\n").await.expect("somebody listens");
        let end = wire.ask(Request::Lock, &mut |_| ()).await;
        assert!(matches!(&end, Err(End::Garbage(what)) if what.contains("Segm")), "{end:?}");
        let (mut wire, far) = self::wire(1);
        drop(far);
        assert_eq!(wire.ask(Request::Lock, &mut |_| ()).await, Err(End::Ended));
    }

    #[tokio::test(start_paused = true)]
    async fn dropping_it_closes_the_stream() {
        let (wire, mut far) = wire(1);
        drop(wire);
        let end = frame::read::<Request>(&mut far).await;
        assert!(matches!(end, Err(FrameError::Ended(_))), "{end:?}");
    }
}
