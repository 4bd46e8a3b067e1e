//! A lab's folder: where everything that belongs to a lab lies.

use std::fs::{self, File};
use std::io;
use std::os::fd::AsRawFd;
use std::path::{Path, PathBuf};

use crate::state::{LabState, STATE_VERSION};

/// The folder of a lab.
///
/// Sockets are reached through the folder's file descriptor: a unix socket's path must fit into 108 bytes, and a folder
/// of the user's choice need not.
#[derive(Debug)]
pub struct Folder {
    path: PathBuf,
    handle: File,
}

/// What a lab puts into its folder, and what [`Folder::remove`] takes away again: nothing else.
const ENTRIES: [&str; 11] = [
    STATE,
    NEW_STATE,
    CONTROL,
    DISKS,
    LOCK,
    LOG,
    "id_ed25519",
    "id_ed25519.pub",
    "known_hosts",
    "known_hosts.old",
    "ssh_config",
];
const FOLDERS: [&str; 4] = ["nodes", "layers", "snapshots", "tang"];

/// Says that the folder is a lab's: made first, removed last.
const MARKER: &str = ".stead-lab";
const MARKER_TEXT: &str = "This folder is a lab of stead: `stead lab down --dir` this folder takes it away.\n";

const STATE: &str = "lab.json";
const NEW_STATE: &str = "lab.json.new";
const LOCK: &str = "lab.lock";
/// Where the process that holds the lab listens.
pub const CONTROL: &str = "lab.sock";
/// Where the disks are served.
pub const DISKS: &str = "disks.sock";
/// What the process that holds the lab says.
pub const LOG: &str = "lab.log";

/// Why a folder is not that of a lab.
#[derive(Debug, thiserror::Error)]
pub enum FolderError {
    /// Something else is there.
    #[error("{path} is neither empty nor the folder of a lab: name another with --dir")]
    Foreign {
        /// The folder.
        path: PathBuf,
    },
    /// Nothing is there.
    #[error("no lab in {path}: `stead lab up` makes one, --dir names another folder")]
    None {
        /// The folder.
        path: PathBuf,
    },
    /// The state was written by another version.
    #[error(
        "the lab in {path} was made by another version of stead (its form is {found}, ours is {STATE_VERSION}): \
             take it down with that version, or with `stead lab down`"
    )]
    Version {
        /// The folder.
        path: PathBuf,
        /// The form found.
        found: u64,
    },
    /// The state can't be read.
    #[error("{path} is damaged; `stead lab down` takes what is left of the lab away")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        source: serde_json::Error,
    },
    /// The system said no.
    #[error("{path}")]
    Io {
        /// What was read or written.
        path: PathBuf,
        /// What the system said.
        source: io::Error,
    },
}

impl Folder {
    /// Makes the folder, or takes one that is empty.
    pub fn create(path: &Path) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io { path: path.to_owned(), source };
        fs::create_dir_all(path).map_err(io)?;
        if fs::read_dir(path).map_err(io)?.next().is_some() {
            return Err(FolderError::Foreign { path: path.to_owned() });
        }
        let folder = Self::at(path)?;
        fs::write(folder.join(MARKER), MARKER_TEXT).map_err(io)?;
        // Keys and what nodes say are nobody else's.
        let private = std::os::unix::fs::PermissionsExt::from_mode(0o700);
        fs::set_permissions(&folder.path, private).map_err(io)?;
        for name in FOLDERS {
            fs::create_dir(folder.join(name)).map_err(io)?;
        }
        Ok(folder)
    }

    /// Opens the folder of a lab.
    pub fn open(path: &Path) -> Result<Self, FolderError> {
        // Its content too: other folders have files of whatever name.
        let is_lab = fs::read(path.join(MARKER)).is_ok_and(|text| text == MARKER_TEXT.as_bytes());
        if is_lab { Self::at(path) } else { Err(FolderError::None { path: path.to_owned() }) }
    }

    fn at(path: &Path) -> Result<Self, FolderError> {
        let io = |source| FolderError::Io { path: path.to_owned(), source };
        let path = path.canonicalize().map_err(io)?;
        Ok(Self { handle: File::open(&path).map_err(io)?, path })
    }

    /// The folder's absolute path.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// The path of something in the folder.
    pub fn join(&self, name: impl AsRef<Path>) -> PathBuf {
        self.path.join(name)
    }

    /// The path of a socket in the folder, short enough for a socket's address; good within this process only.
    pub fn socket(&self, name: &str) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.handle.as_raw_fd())).join(name)
    }

    /// Reads the lab's state.
    pub fn read_state(&self) -> Result<LabState, FolderError> {
        let path = self.join(STATE);
        let text = fs::read(&path).map_err(|source| FolderError::Io { path: path.clone(), source })?;
        let damaged = |source| FolderError::Damaged { path: path.clone(), source };
        let value: serde_json::Value = serde_json::from_slice(&text).map_err(damaged)?;
        match value["version"].as_u64() {
            Some(found) if found != u64::from(STATE_VERSION) => {
                Err(FolderError::Version { path: self.path.clone(), found })
            }
            _ => serde_json::from_value(value).map_err(damaged),
        }
    }

    /// Writes the lab's state, all of it or nothing.
    pub fn write_state(&self, state: &LabState) -> io::Result<()> {
        let new = self.join(NEW_STATE);
        fs::write(&new, serde_json::to_vec_pretty(state)?)?;
        fs::rename(new, self.join(STATE))
    }

    /// Takes the lock that the process holding the lab has; `None` when another one has it.
    pub fn lock(&self) -> io::Result<Option<File>> {
        let file = File::options().create(true).append(true).open(self.join(LOCK))?;
        match rustix::fs::flock(&file, rustix::fs::FlockOperation::NonBlockingLockExclusive) {
            Ok(()) => Ok(Some(file)),
            Err(rustix::io::Errno::WOULDBLOCK) => Ok(None),
            Err(errno) => Err(errno.into()),
        }
    }

    /// Removes what a lab has made here, then the folder if nothing else is in it.
    pub fn remove(self) -> io::Result<()> {
        for name in FOLDERS {
            remove_dir_if_there(&self.join(name))?;
        }
        for name in ENTRIES {
            remove_if_there(&self.join(name))?;
        }
        remove_if_there(&self.join(MARKER))?;
        match fs::remove_dir(&self.path) {
            Err(error) if error.kind() == io::ErrorKind::DirectoryNotEmpty => Ok(()),
            other => missing_is_well(other),
        }
    }
}

/// Removes a file that may not be there.
pub(crate) fn remove_if_there(path: &Path) -> io::Result<()> {
    missing_is_well(fs::remove_file(path))
}

/// Removes a folder that may not be there, with all that is in it.
pub(crate) fn remove_dir_if_there(path: &Path) -> io::Result<()> {
    missing_is_well(fs::remove_dir_all(path))
}

fn missing_is_well(removed: io::Result<()>) -> io::Result<()> {
    match removed {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_folder_with_other_things_is_left_alone() {
        let dir = tempfile::tempdir().expect("dir");
        fs::write(dir.path().join("thesis.tex"), "years of work").expect("file");
        assert!(matches!(Folder::create(dir.path()), Err(FolderError::Foreign { .. })));
        for name in FOLDERS {
            fs::create_dir(dir.path().join(name)).expect("folder");
        }
        fs::write(dir.path().join(STATE), "{}").expect("file");
        assert!(matches!(Folder::open(dir.path()), Err(FolderError::None { .. })), "names say nothing");
    }

    #[test]
    fn remove_takes_what_is_ours_only() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("lab");
        let folder = Folder::create(&path).expect("folder");
        fs::write(path.join("nodes/node1.log"), "log").expect("file");
        fs::write(path.join("notes.txt"), "mine").expect("file");
        folder.remove().expect("remove");
        assert_eq!(fs::read_to_string(path.join("notes.txt")).expect("kept"), "mine");
        assert!(!path.join("nodes").exists());

        fs::remove_file(path.join("notes.txt")).expect("remove");
        Folder::create(&path).expect("an empty folder will do").remove().expect("remove");
        assert!(!path.exists());
    }

    #[test]
    fn only_one_holds_a_lab() {
        let dir = tempfile::tempdir().expect("dir");
        let path = dir.path().join("lab");
        let folder = Folder::create(&path).expect("folder");
        let held = folder.lock().expect("lock");
        assert!(held.is_some());
        assert!(folder.lock().expect("lock").is_none());
        drop(held);
        assert!(folder.lock().expect("lock").is_some());
    }

    #[test]
    fn a_socket_path_fits_however_deep_the_folder() {
        let dir = tempfile::tempdir().expect("dir");
        let deep = dir.path().join("a".repeat(120)).join("b".repeat(120));
        let folder = Folder::create(&deep).expect("folder");
        let _listener = std::os::unix::net::UnixListener::bind(folder.socket(CONTROL)).expect("bind");
        std::os::unix::net::UnixStream::connect(folder.socket(CONTROL)).expect("connect");
        assert!(folder.join(CONTROL).exists());
    }
}
