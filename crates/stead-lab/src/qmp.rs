//! QEMU's machine protocol: one command at a time, and the events that come between.

use std::collections::VecDeque;
use std::time::Duration;

use serde_json::{Value, json};
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;

/// A conversation with one QEMU.
#[derive(Debug)]
pub struct Qmp {
    stream: BufReader<UnixStream>,
    events: VecDeque<Value>,
    /// The number of the last command: an answer that comes after its time-out must not be taken for another's.
    last: u64,
}

/// Why QEMU did not do what it was told.
#[derive(Debug, thiserror::Error)]
pub enum QmpError {
    /// It refused.
    #[error("QEMU refused {command}: {reason}")]
    Refused {
        /// The command, as JSON.
        command: String,
        /// QEMU's words.
        reason: String,
    },
    /// It is gone.
    #[error("QEMU is gone")]
    Gone(#[source] std::io::Error),
    /// It did not answer.
    #[error("QEMU did not answer within {} s: {command}", limit.as_secs())]
    Silent {
        /// The command, as JSON.
        command: String,
        /// How long it had.
        limit: Duration,
    },
}

/// How long a command or an event may take: a picture of a node's memory, the longest, is seconds, on a slow disk minutes.
const LIMIT: Duration = Duration::from_mins(10);

impl Qmp {
    /// Starts a conversation on a connection that QEMU has just made.
    pub async fn start(stream: UnixStream) -> Result<Self, QmpError> {
        let mut qmp = Self { stream: BufReader::new(stream), events: VecDeque::new(), last: 0 };
        let silent = || QmpError::Silent { command: "its greeting".into(), limit: LIMIT };
        tokio::time::timeout(LIMIT, qmp.message()).await.map_err(|_| silent())??;
        qmp.execute("qmp_capabilities", json!({})).await?;
        Ok(qmp)
    }

    /// Tells QEMU to do something and gives its answer.
    pub async fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, QmpError> {
        let text = json!({ "execute": command, "arguments": arguments, "id": self.last + 1 }).to_string();
        self.last += 1;
        let exchange = async {
            self.stream.get_mut().write_all(text.as_bytes()).await.map_err(QmpError::Gone)?;
            loop {
                let mut message = self.message().await?;
                if message.get("event").is_some() {
                    self.events.push_back(message);
                    continue;
                }
                if message["id"] != self.last {
                    continue;
                }
                if let Some(error) = message.get("error") {
                    let reason = error["desc"].as_str().unwrap_or("without a reason").to_owned();
                    return Err(QmpError::Refused { command: text.clone(), reason });
                }
                return Ok(message["return"].take());
            }
        };
        let silent = || QmpError::Silent { command: text.clone(), limit: LIMIT };
        tokio::time::timeout(LIMIT, exchange).await.map_err(|_| silent())?
    }

    /// Forgets the events so far.
    pub fn forget_events(&mut self) {
        self.events.clear();
    }

    /// Waits for an event for which `wanted` says so; those before it are forgotten.
    pub async fn event(&mut self, wanted: impl Fn(&Value) -> bool) -> Result<Value, QmpError> {
        let wait = async {
            loop {
                let message = match self.events.pop_front() {
                    Some(event) => event,
                    None => self.message().await?,
                };
                if wanted(&message) {
                    return Ok(message);
                }
            }
        };
        let silent = || QmpError::Silent { command: "waiting for an event".into(), limit: LIMIT };
        tokio::time::timeout(LIMIT, wait).await.map_err(|_| silent())?
    }

    async fn message(&mut self) -> Result<Value, QmpError> {
        let mut line = String::new();
        let gone = std::io::ErrorKind::UnexpectedEof;
        match self.stream.read_line(&mut line).await.map_err(QmpError::Gone)? {
            0 => Err(QmpError::Gone(gone.into())),
            _ => serde_json::from_str(&line).map_err(|error| QmpError::Gone(error.into())),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A QEMU that greets, then answers each line with the next of `answers`.
    fn qemu(answers: &'static [&'static str]) -> UnixStream {
        let (ours, theirs) = UnixStream::pair().expect("pair");
        tokio::spawn(async move {
            let mut theirs = BufReader::new(theirs);
            theirs.get_mut().write_all(b"{\"QMP\": {}}\n").await.expect("greeting");
            for (id, answer) in (1..).zip(["{\"return\": {}, \"id\": ID}\n"].iter().chain(answers)) {
                let mut bytes = [0; 4096];
                let n = tokio::io::AsyncReadExt::read(&mut theirs, &mut bytes).await.expect("command");
                serde_json::from_slice::<Value>(&bytes[..n]).expect("a whole command");
                let answer = answer.replace("ID", &id.to_string());
                theirs.get_mut().write_all(answer.as_bytes()).await.expect("answer");
            }
        });
        ours
    }

    #[tokio::test]
    async fn events_between_are_kept_and_late_answers_are_not() {
        let stream = qemu(&[
            "{\"event\": \"STOP\"}\n{\"event\": \"RESET\"}\n{\"return\": \"late\", \"id\": 1}\n{\"return\": {\"status\": \"paused\"}, \"id\": ID}\n",
        ]);
        let mut qmp = Qmp::start(stream).await.expect("start");
        let status = qmp.execute("query-status", json!({})).await.expect("status");
        assert_eq!(status["status"], "paused");
        let event = qmp.event(|event| event["event"] == "RESET").await.expect("event");
        assert_eq!(event["event"], "RESET");
    }

    #[tokio::test]
    async fn a_refusal_names_the_command() {
        let mut qmp =
            Qmp::start(qemu(&["{\"error\": {\"desc\": \"no such thing\"}, \"id\": ID}\n"])).await.expect("start");
        let error = qmp.execute("device_del", json!({ "id": "disk9" })).await.expect_err("refused");
        assert!(error.to_string().contains("disk9") && error.to_string().contains("no such thing"), "{error}");
        assert!(matches!(qmp.execute("cont", json!({})).await, Err(QmpError::Gone(_))));
    }
}
