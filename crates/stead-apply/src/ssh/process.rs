use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::io::{AsyncRead, AsyncReadExt};
use tokio::process::Child;
use tokio::runtime::Handle;
use tokio::task::JoinHandle;
use tokio::time::timeout;

/// A process of ssh, and what it says. When it is dropped, the process has a moment to end by itself, then is killed.
#[derive(Debug)]
pub(super) struct Process {
    /// Taken only when this is dropped.
    child: Option<Child>,
    said: Arc<Mutex<Vec<u8>>>,
    /// Taken when it is known to have ended, or that it won't.
    reader: Option<JoinHandle<()>>,
}

/// What is known of a process of ssh.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct Ending {
    /// How it ended, if it did so by itself.
    pub(super) status: Option<i32>,
    /// The end of what it said.
    pub(super) stderr: String,
}

/// How long a process may take to end once nothing is wanted of it: it sends its goodbye over the network.
const GRACE: Duration = Duration::from_secs(2);

/// How much of what it said is kept, in bytes and in lines: a host key that has changed takes ssh fifteen.
const KEPT: usize = 8 << 10;
const LINES: usize = 20;

impl Process {
    pub(super) fn new(child: Child, stderr: impl AsyncRead + Unpin + Send + 'static) -> Self {
        let said = Arc::default();
        let reader = tokio::spawn(collect(stderr, Arc::clone(&said)));
        Self { child: Some(child), said, reader: Some(reader) }
    }

    /// Waits a moment for its end, for what it says about that.
    pub(super) async fn end(&mut self) -> Ending {
        let status = match &mut self.child {
            Some(child) => timeout(GRACE, child.wait()).await.ok().and_then(Result::ok),
            None => None,
        };
        // A connection that the user shares between commands keeps this stream open, so its end may never come.
        if let Some(mut reader) = self.reader.take() {
            let _ = timeout(GRACE, &mut reader).await;
            reader.abort();
        }
        Ending { status: status.and_then(|status| status.code()), ..self.so_far() }
    }

    /// What it said up to now.
    pub(super) fn so_far(&self) -> Ending {
        let said = self.said.lock().unwrap_or_else(PoisonError::into_inner);
        let said = String::from_utf8_lossy(&said);
        let shown = |line: &str| line.chars().filter(|c| !c.is_control()).collect::<String>();
        let lines: Vec<String> = said.lines().map(shown).filter(|line| !line.trim().is_empty()).collect();
        Ending { status: None, stderr: lines[lines.len().saturating_sub(LINES)..].join("\n") }
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Some(reader) = self.reader.take() {
            reader.abort();
        }
        // Without a runtime, the child is killed at once as it is dropped.
        if let (Some(mut child), Ok(runtime)) = (self.child.take(), Handle::try_current()) {
            runtime.spawn(async move {
                if timeout(GRACE, child.wait()).await.is_err() {
                    let _ = child.kill().await;
                }
            });
        }
    }
}

async fn collect(mut stderr: impl AsyncRead + Unpin, said: Arc<Mutex<Vec<u8>>>) {
    let mut piece = [0; 1024];
    while let Ok(length @ 1..) = stderr.read(&mut piece).await {
        let mut said = said.lock().unwrap_or_else(PoisonError::into_inner);
        said.extend_from_slice(&piece[..length]);
        let surplus = said.len().saturating_sub(KEPT);
        said.drain(..surplus);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[tokio::test]
    async fn a_program_that_says_much_is_read_to_its_end_and_cut() {
        let said = Arc::default();
        let text = format!("first\n{}last", "and \x1b[31mso on\n".repeat(5000));
        collect(text.as_bytes(), Arc::clone(&said)).await;
        let process = Process { child: None, said, reader: None };
        let said = process.so_far().stderr;
        let lines: Vec<&str> = said.lines().collect();
        assert_eq!((lines.len(), lines[0], lines[LINES - 1]), (LINES, "and [31mso on", "last"));
        assert!(process.said.lock().expect("nobody panicked").len() <= KEPT);
    }
}
