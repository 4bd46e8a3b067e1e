//! A node's serial console in this terminal.

use std::io::{self, IsTerminal, Read, Write};
use std::os::unix::net::UnixStream;

use anyhow::Result;
use rustix::event::{PollFd, PollFlags, poll};
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use crate::print::Printer;

/// Ctrl-], as in telnet and virsh.
const LEAVE: u8 = 0x1d;

/// Connects this terminal with a console until the user leaves or the node's power goes.
pub(super) fn attach(mut console: UnixStream, printer: &mut Printer) -> Result<()> {
    printer.progress("Ctrl-] leaves; Return shows where it is");
    let _raw = RawMode::enter()?;
    let mut stdout = io::stdout().lock();
    let mut bytes = [0; 4096];
    loop {
        let (from_user, from_node) = {
            let (user, node) = (io::stdin(), &console);
            let mut fds = [PollFd::new(&user, PollFlags::IN), PollFd::new(node, PollFlags::IN)];
            poll(&mut fds, None)?;
            (!fds[0].revents().is_empty(), !fds[1].revents().is_empty())
        };
        if from_user {
            // Past the standard library's buffer, which poll does not know of.
            let n = rustix::io::read(io::stdin(), &mut bytes[..])?;
            if n == 0 || bytes[..n].contains(&LEAVE) {
                return Ok(());
            }
            console.write_all(&bytes[..n])?;
        }
        if from_node {
            let n = console.read(&mut bytes)?;
            if n == 0 {
                return Ok(());
            }
            stdout.write_all(&bytes[..n])?;
            stdout.flush()?;
        }
    }
}

/// A terminal that passes every key on, until it is dropped.
struct RawMode(Option<Termios>);

impl RawMode {
    fn enter() -> Result<Self> {
        if !io::stdin().is_terminal() {
            return Ok(Self(None));
        }
        let before = tcgetattr(io::stdin())?;
        let mut raw = before.clone();
        raw.make_raw();
        tcsetattr(io::stdin(), OptionalActions::Now, &raw)?;
        Ok(Self(Some(before)))
    }
}

impl Drop for RawMode {
    fn drop(&mut self) {
        if let Some(before) = &self.0 {
            // The terminal may be gone, and then it doesn't matter.
            let _ = tcsetattr(io::stdin(), OptionalActions::Now, before);
        }
    }
}
