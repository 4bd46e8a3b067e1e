//! Copies of files and links, and putting them back.

use std::fs;
use std::io;
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};

use crate::files::{
    FileError, Look, beside, create_folder, has, look_at, make_link, parent, remove, replace, sync_folder, write_new,
};
use crate::place::Place;

/// What was at a path.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub(super) struct Kept {
    /// Where, on the node.
    pub(super) path: Utf8PathBuf,
    was: Was,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Was {
    Absent,
    /// A symbolic link to there.
    Link(Utf8PathBuf),
    File {
        /// What its copy is called.
        copy: String,
        mode: u32,
        /// User and group.
        owner: (u32, u32),
    },
}

/// Why something could not be kept.
#[derive(Debug, thiserror::Error)]
pub enum NotKept {
    /// It could not be read, or its copy not be written.
    #[error(transparent)]
    File(#[from] FileError),
    /// It is a folder, a device or the like.
    #[error("{0} is neither a file nor a link, so no way back can be kept of it")]
    Other(Utf8PathBuf),
}

/// Copies what is at a path, as `copy` into the folder, and has that on the disk but for the folder itself.
pub(super) fn keep(place: &Place, path: &Utf8Path, folder: &Utf8Path, copy: String) -> Result<Kept, NotKept> {
    let at = place.at(path);
    let was = match look_at(&at)? {
        None => Was::Absent,
        Some(there) if there.is_symlink() => {
            let target = fs::read_link(&at).and_then(|target| {
                Utf8PathBuf::from_path_buf(target).map_err(|_| io::Error::new(io::ErrorKind::InvalidData, "not UTF-8"))
            });
            Was::Link(target.map_err(FileError::of("read the link", &at))?)
        }
        Some(there) if there.is_file() => {
            let content = fs::read(&at).map_err(FileError::of("read", &at))?;
            write_new(&folder.join(&copy), &content, Look { mode: 0o600, owner: place.owner() })?;
            Was::File { copy, mode: there.mode() & 0o7777, owner: (there.uid(), there.gid()) }
        }
        Some(_) => return Err(NotKept::Other(path.to_owned())),
    };
    Ok(Kept { path: path.to_owned(), was })
}

impl Kept {
    /// Makes it as it was; whether it was something else.
    pub(super) fn put_back(&self, place: &Place, folder: &Utf8Path) -> Result<bool, FileError> {
        let at = place.at(&self.path);
        let there = look_at(&at)?;
        match &self.was {
            Was::Absent => {
                if there.is_none() {
                    return Ok(false);
                }
                remove(&at)?;
                sync_folder(parent(&at))?;
            }
            Was::Link(target) => {
                if there.is_some_and(|there| there.is_symlink()) && fs::read_link(&at).is_ok_and(|to| to == *target) {
                    return Ok(false);
                }
                make_link(&at, target)?;
            }
            Was::File { copy, mode, owner } => {
                let copy = folder.join(copy);
                let content = fs::read(&copy).map_err(FileError::of("read", &copy))?;
                let look = Look { mode: *mode, owner: *owner };
                if let Some(there) = there.filter(|there| there.is_file() && look.is_of(there))
                    && has(&at, &there, &content)?
                {
                    return Ok(false);
                }
                create_folder(parent(&at), 0o755)?;
                let beside = beside(&at);
                remove(&beside)?;
                write_new(&beside, &content, look)?;
                replace(&beside, &at).inspect_err(|_| drop(fs::remove_file(&beside)))?;
            }
        }
        Ok(true)
    }
}
