//! The folder of the way back: what is pending, copies, stead itself, and the lock.

use std::fs::{self, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{FlockOperation, flock};
use stead_plan::step::Guard;

use super::kept::{Kept, NotKept, keep};
use super::{FORMAT, Held, Pending, WayBackError};
use crate::files::{FileError, Look, beside, create_folder, parent, remove, replace, sync_folder, write_new};
use crate::place::Place;

/// In stead's folder. Only root looks into it: some of what it keeps may be secret.
const FOLDER: &str = "way-back";

/// What the timer and the unit of boots start: the stead that has written what is pending.
pub(super) const PROGRAM: &str = "/var/lib/stead/way-back/stead";

/// What was kept of a guard's files.
pub(super) struct Copies {
    pub(super) keeps: Vec<Kept>,
    pub(super) keeps_for_boot: Vec<Kept>,
}

impl Drop for Held {
    fn drop(&mut self) {
        // Said, and not left to the closing: a program that is just being started has it open for a moment too.
        let _ = flock(&self.0, FlockOperation::Unlock);
    }
}

/// Waits for whoever holds it.
pub(super) fn hold(place: &Place) -> Result<Held, WayBackError> {
    let path = folder(place).join("lock");
    create_folder(parent(&path), 0o700)?;
    let open = OpenOptions::new().write(true).create(true).truncate(false).mode(0o600).open(&path);
    let file = open.map_err(FileError::of("open", &path))?;
    flock(&file, FlockOperation::LockExclusive).map_err(|errno| FileError::of("lock", &path)(errno.into()))?;
    Ok(Held(file))
}

/// What is pending.
pub(super) fn read(place: &Place) -> Result<Option<Pending>, WayBackError> {
    let path = pending(place);
    let text = match fs::read(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        text => text.map_err(FileError::of("read", &path))?,
    };
    let pending: Option<Pending> = serde_json::from_slice(&text).ok();
    pending.filter(|pending| pending.format == FORMAT).map(Some).ok_or(WayBackError::Foreign { path })
}

/// From now on, or still, this is pending.
pub(super) fn write(place: &Place, what: &Pending) -> Result<(), WayBackError> {
    let path = pending(place);
    let text = serde_json::to_vec(what).map_err(|error| FileError::of("write", &path)(error.into()))?;
    let beside = beside(&path);
    remove(&beside)?;
    write_new(&beside, &text, Look { mode: 0o600, owner: place.owner() })?;
    Ok(replace(&beside, &path)?)
}

/// Nothing is pending any more.
pub(super) fn forget(place: &Place) -> Result<(), FileError> {
    remove(&pending(place))?;
    sync_folder(&folder(place))?;
    // Those that stay are removed before the next ones are made.
    let _ = fs::remove_dir_all(copies(place));
    Ok(())
}

/// Keeps what a step is to change, and stead itself.
pub(super) fn copy(place: &Place, guard: &Guard) -> Result<Copies, WayBackError> {
    let copies = copies(place);
    match fs::remove_dir_all(&copies) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => {
            return Err(FileError::of("remove the folder", &copies)(error).into());
        }
        _ => {}
    }
    create_folder(&copies, 0o700)?;
    let mut number = 0;
    let mut all = |paths: &mut dyn Iterator<Item = Utf8PathBuf>| {
        let mut kept = Vec::new();
        for path in paths {
            kept.push(keep(place, &path, &copies, number.to_string())?);
            number += 1;
        }
        Ok::<_, NotKept>(kept)
    };
    let keeps = all(&mut guard.keeps.iter().cloned())?;
    let keeps_for_boot = all(&mut guard.keeps_for_boot.iter().map(|path| resolved(place, path)))?;
    sync_folder(&copies)?;
    program(place)?;
    Ok(Copies { keeps, keeps_for_boot })
}

/// Where copies lie.
pub(super) fn copies(place: &Place) -> Utf8PathBuf {
    folder(place).join("copies")
}

/// Where an engine's file really lies: engines write through links, and so its way back leads there too.
fn resolved(place: &Place, path: &Utf8Path) -> Utf8PathBuf {
    let real = || {
        let root = place.at("/").canonicalize_utf8().ok()?;
        let at = place.at(path).canonicalize_utf8().ok()?;
        Some(Utf8Path::new("/").join(at.strip_prefix(root).ok()?))
    };
    real().unwrap_or_else(|| path.to_owned())
}

/// Puts the program that runs now where the timer finds it.
fn program(place: &Place) -> Result<(), FileError> {
    let running = place.at("/proc/self/exe");
    let to = place.at(PROGRAM);
    let metadata = |path: &Utf8Path| fs::metadata(path).map_err(FileError::of("look at", path));
    let there = metadata(&running)?;
    if metadata(&to).is_ok_and(|to| (to.dev(), to.ino()) == (there.dev(), there.ino())) {
        return Ok(());
    }
    let beside = beside(&to);
    remove(&beside)?;
    // It may lie on another file system, or be there no more.
    let linked = fs::read_link(&running).and_then(|real| fs::hard_link(real, &beside)).is_ok();
    let same = linked && metadata(&beside).is_ok_and(|new| (new.dev(), new.ino()) == (there.dev(), there.ino()));
    if !same {
        remove(&beside)?;
        let content = fs::read(&running).map_err(FileError::of("read", &running))?;
        let is_same = fs::metadata(&to).is_ok_and(|to| to.len() == content.len() as u64)
            && fs::read(&to).is_ok_and(|there| there == content);
        if is_same {
            return Ok(());
        }
        write_new(&beside, &content, Look { mode: 0o700, owner: place.owner() })?;
    }
    replace(&beside, &to)
}

fn pending(place: &Place) -> Utf8PathBuf {
    folder(place).join("pending.json")
}

fn folder(place: &Place) -> Utf8PathBuf {
    place.state(FOLDER)
}
