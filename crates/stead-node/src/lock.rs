//! One apply at a time on a node.

use std::fs::{File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};

use rustix::fs::{FlockOperation, flock};
use rustix::io::Errno;
use stead_plan::inventory::Timestamp;

use crate::files::{FileError, create_folder, parent};
use crate::place::{Place, now};
use crate::protocol::Lease;

/// In memory: a reboot ends every apply.
const PATH: &str = "/run/stead/lock";

/// Holds this node until it is dropped. No program that is started inherits it.
#[derive(Debug)]
pub struct Lock {
    file: File,
}

impl Lock {
    /// Holds the node for that person, or says who does.
    ///
    /// # Errors
    /// The lock's file could not be made.
    pub fn take(place: &Place, who: &str) -> Result<Result<Self, Lease>, FileError> {
        let path = place.at(PATH);
        create_folder(parent(&path), 0o755)?;
        let open = OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o644).open(&path);
        let file = open.map_err(FileError::of("open", &path))?;
        match flock(&file, FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => {}
            Err(Errno::WOULDBLOCK) => return Ok(Err(holder(&file))),
            Err(errno) => return Err(FileError::of("lock", &path)(errno.into())),
        }
        let lease = Lease { who: who.to_owned(), since: now() };
        write(&file, &lease).map_err(FileError::of("write", &path))?;
        Ok(Ok(Self { file }))
    }
}

impl Drop for Lock {
    fn drop(&mut self) {
        // So that whoever comes next and is asked before it has written doesn't seem to be us.
        let _ = self.file.set_len(0);
        // Said, and not left to the closing: a program that is just being started has it open for a moment too.
        let _ = flock(&self.file, FlockOperation::Unlock);
    }
}

fn write(file: &File, lease: &Lease) -> io::Result<()> {
    let text = serde_json::to_vec(lease)?;
    file.set_len(0)?;
    file.write_all_at(&text, 0)
}

/// Who holds it. For a moment, between taking it and saying so, nobody can tell.
fn holder(mut file: &File) -> Lease {
    let mut text = String::new();
    let read = file.read_to_string(&mut text).ok();
    read.and_then(|_| serde_json::from_str(&text).ok()).unwrap_or_else(|| {
        let seconds = file.metadata().map_or(0, |metadata| metadata.mtime());
        Lease { who: "somebody".to_owned(), since: Timestamp(seconds.saturating_mul(1000)) }
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Node;

    #[test]
    fn one_holds_it_at_a_time() {
        let node = Node::new();
        let held = Lock::take(&node.place, "me@laptop").unwrap().unwrap();
        let lease = Lock::take(&node.place, "you@desk").unwrap().unwrap_err();
        assert_eq!(lease.who, "me@laptop");
        assert!(lease.since <= now() && lease.since > Timestamp(0));
        drop(held);
        let held = Lock::take(&node.place, "you@desk").unwrap().unwrap();
        assert_eq!(Lock::take(&node.place, "me@laptop").unwrap().unwrap_err().who, "you@desk");
        held.file.set_len(0).unwrap();
        assert_eq!(Lock::take(&node.place, "me@laptop").unwrap().unwrap_err().who, "somebody");
    }
}
