//! The processes of a lab, found by a mark in their environment that each inherits: also those nobody remembers.

use std::fs;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// The variable that marks a process as one of the lab in the folder that it names.
pub const MARK: &str = "STEAD_LAB_OF";

/// How long a killed process may take to go, in seconds; only a disk that hangs takes that long.
const PATIENCE: i64 = 30;

/// Ends all processes of the lab in `folder` and waits until they are gone; says how many there were.
pub fn end_all(folder: &Path) -> io::Result<usize> {
    let mut ended = 0;
    // A process may start another while we look; a lab has nothing that starts processes for ever.
    loop {
        let processes = find(folder)?;
        if processes.is_empty() {
            return Ok(ended);
        }
        for pid in processes {
            end(pid, folder)?;
            ended += 1;
        }
    }
}

/// The processes of the lab in `folder`, but for this one.
pub fn find(folder: &Path) -> io::Result<Vec<Pid>> {
    let own = rustix::process::getpid();
    let names = fs::read_dir("/proc")?.flatten().filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    let pids = names.filter_map(Pid::from_raw).filter(|pid| *pid != own);
    Ok(pids.filter(|pid| is_marked(*pid, folder)).collect())
}

/// Whether a process is of the lab; one that is gone or another user's is not.
fn is_marked(pid: Pid, folder: &Path) -> bool {
    let mark = [MARK.as_bytes(), b"=", folder.as_os_str().as_bytes()].concat();
    let environment = fs::read(format!("/proc/{}/environ", pid.as_raw_nonzero())).unwrap_or_default();
    if environment.split(|byte| *byte == 0).any(|entry| entry == mark) {
        return true;
    }
    // The ssh that holds a connection open for others writes its title over its environment.
    let title = [b"ssh: ", folder.as_os_str().as_bytes(), b"/nodes/"].concat();
    fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).is_ok_and(|line| line.starts_with(&title))
}

fn end(pid: Pid, folder: &Path) -> io::Result<()> {
    let handle = match pidfd_open(pid, PidfdFlags::empty()) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        other => other?,
    };
    // Looked at again with the handle in hand: from here on the number can't be another process's.
    if !is_marked(pid, folder) {
        return Ok(());
    }
    match pidfd_send_signal(&handle, Signal::KILL) {
        Err(rustix::io::Errno::SRCH) => return Ok(()),
        other => other?,
    }
    let mut fds = [PollFd::new(&handle, PollFlags::IN)];
    if poll(&mut fds, Some(&Timespec { tv_sec: PATIENCE, tv_nsec: 0 }))? == 0 {
        let message = format!("process {} was killed and does not end", pid.as_raw_nonzero());
        return Err(io::Error::new(io::ErrorKind::TimedOut, message));
    }
    Ok(())
}
