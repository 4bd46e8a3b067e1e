//! The cache's folder: entries that appear whole or not at all, locks, leases, and room.
//!
//! ```text
//! lock                  held for moments: while a lease is taken and while entries are deleted
//! entries/NAME-STATE/   one thing built; `lease`, `state`, `checked` and `used` beside its own files
//! build/NAME.lock       held by whoever builds NAME and by every program it started
//! build/NAME/           an unfinished build; a leftover when nobody holds the lock
//! trash/                entries on their way out
//! ```

use std::collections::HashMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::MetadataExt as _;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime};

use rustix::fs::{FlockOperation, flock, statvfs};
use stead_spec::Bytes;

use super::build::{Place, remove_tree, scratch_of};
use super::recipe::{Recipe, digest};
use super::{ImageError, Lease};

/// A folder with everything that was built.
#[derive(Clone, Debug)]
pub(super) struct Store {
    root: PathBuf,
    cap: Bytes,
    /// How long an entry is used before its mirror is asked again.
    checked_for: Duration,
}

/// Something built, and the right to use it.
#[derive(Debug)]
pub(super) struct Entry {
    pub(super) path: PathBuf,
    /// The folder's name: that of the inputs and of the mirror's state.
    pub(super) key: String,
    pub(super) lease: Lease,
}

impl Store {
    /// The store in `root`, made when it is missing.
    pub(super) fn open(root: &Path, cap: Bytes, checked_for: Duration) -> Result<Self, ImageError> {
        for folder in ["entries", "build", "trash"] {
            make_folder(&root.join(folder))?;
        }
        // Programs of a build run elsewhere, and messages are read elsewhere too.
        let root = root.canonicalize().map_err(failed("find", root))?;
        Ok(Self { root, cap, checked_for })
    }

    /// What `recipe` makes: from the cache, or built.
    pub(super) fn get(&self, recipe: &dyn Recipe, say: &mut dyn FnMut(&str)) -> Result<Entry, ImageError> {
        let name = recipe.name();
        if let Some(entry) = self.lease_newest(&name)?.filter(|entry| self.is_fresh(entry)) {
            return Ok(entry);
        }
        let place = self.place_to_build(recipe, &name, say)?;
        let old = self.lease_newest(&name)?;
        if let Some(entry) = old {
            // Somebody else may have built or asked while this one waited for the lock.
            if self.is_fresh(&entry) { Ok(entry) } else { self.refresh(recipe, entry, &place, say) }
        } else {
            let state = recipe.state(&place).map_err(|why| ImageError::Mirror {
                label: recipe.label(),
                mirror: recipe.mirror(),
                why,
            })?;
            self.build(recipe, &place, &state, say)
        }
    }

    /// Asks the mirror whether `old` is still what the release is, and builds anew when not.
    ///
    /// A lab that works with an image of last week is better than none: trouble is told, not returned.
    fn refresh(
        &self,
        recipe: &dyn Recipe,
        old: Entry,
        place: &Place,
        say: &mut dyn FnMut(&str),
    ) -> Result<Entry, ImageError> {
        let label = recipe.label();
        let of = fs::read_to_string(old.path.join("state")).unwrap_or_default();
        let new = match recipe.state(place) {
            Ok(new) if new == of => {
                touch(&old.path.join("checked"))?;
                return Ok(old);
            }
            Ok(new) => new,
            Err(why) => {
                let mirror = recipe.mirror();
                say(&format!(
                    "STALE: the {label} may be out of date (release of {of}): {mirror} does not answer: {why}"
                ));
                return Ok(old);
            }
        };
        say(&format!("the release behind the {label} has moved on, from {of} to {new}"));
        match self.build(recipe, place, &new, say) {
            Ok(entry) => {
                let key = old.key.clone();
                drop(old);
                self.delete(|entry| entry == key)?;
                Ok(entry)
            }
            Err(error) => {
                say(&format!("STALE: using the {label} of {of}, because: {error}"));
                Ok(old)
            }
        }
    }

    /// Builds in a folder of its own, then puts the result among the entries in one move.
    fn build(
        &self,
        recipe: &dyn Recipe,
        place: &Place,
        state: &str,
        say: &mut dyn FnMut(&str),
    ) -> Result<Entry, ImageError> {
        self.make_room(recipe.needs(), say)?;
        check_space(recipe, place)?;
        say(&format!("building the {} into {} (once; minutes)", recipe.label(), self.root.display()));
        recipe.build(place)?;
        write(&place.entry.join("state"), state)?;
        for stamp in ["lease", "checked", "used"] {
            write(&place.entry.join(stamp), "")?;
        }
        let name = recipe.name();
        let path = self.root.join("entries").join(format!("{name}-{}", digest([state])));
        {
            // Under the lock, so that nobody deletes the entry between the move and the lease.
            let _guard = self.lock()?;
            if path.exists() {
                remove_tree(&path).map_err(failed("delete", &path))?;
            }
            fs::rename(&place.entry, &path).map_err(failed("put in place", &path))?;
        }
        remove_tree(&place.folder).map_err(failed("delete", &place.folder))?;
        let entry = self.lease_newest(&name)?.ok_or_else(|| failed("find", &path)(io::ErrorKind::NotFound.into()))?;
        self.make_room(Bytes::default(), say)?;
        Ok(entry)
    }

    /// Takes the lock for building `name` and an empty folder, with the leftovers of killed builds gone.
    fn place_to_build(&self, recipe: &dyn Recipe, name: &str, say: &mut dyn FnMut(&str)) -> Result<Place, ImageError> {
        let build = self.root.join("build");
        let lock_path = build.join(format!("{name}.lock"));
        let lock = open_lock(&lock_path)?;
        if !try_lock(&lock, &lock_path)? {
            say(&format!("waiting for another process that builds the {}", recipe.label()));
            flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed("lock", &lock_path)(e.into()))?;
        }
        for (path, _) in list(&build)? {
            let Some(other) = path.file_name().and_then(OsStr::to_str).filter(|_| path.is_dir()) else { continue };
            let other_lock_path = build.join(format!("{other}.lock"));
            if other == name || try_lock(&open_lock(&other_lock_path)?, &other_lock_path)? {
                let scratch = scratch_of(&path);
                if scratch.exists() {
                    remove_tree(&scratch).map_err(failed("delete", &scratch))?;
                }
                remove_tree(&path).map_err(failed("delete", &path))?;
            }
        }
        let folder = build.join(name);
        let entry = folder.join("entry");
        make_folder(&entry)?;
        Ok(Place { folder, entry, lock })
    }

    /// The newest entry of `name`, leased and marked as used now.
    fn lease_newest(&self, name: &str) -> Result<Option<Entry>, ImageError> {
        let _guard = self.lock()?;
        let prefix = format!("{name}-");
        let entries = list(&self.root.join("entries"))?;
        let newest =
            entries.into_iter().filter(|(path, _)| key_of(path).starts_with(&prefix)).max_by_key(|(_, at)| *at);
        let Some((path, _)) = newest else { return Ok(None) };
        let lease_path = path.join("lease");
        let lease = open_lock(&lease_path)?;
        flock(&lease, FlockOperation::LockShared).map_err(|e| failed("lock", &lease_path)(e.into()))?;
        touch(&path.join("used"))?;
        Ok(Some(Entry { key: key_of(&path), path, lease: Lease { _lock: lease } }))
    }

    /// Whether the mirror was asked about `entry` lately.
    fn is_fresh(&self, entry: &Entry) -> bool {
        let checked = fs::metadata(entry.path.join("checked")).and_then(|meta| meta.modified());
        // A stamp from the future is one from a moment ago: the clock was set back.
        checked.is_ok_and(|at| at.elapsed().unwrap_or_default() < self.checked_for)
    }

    /// Deletes the longest unused entries until `wanted` more fits under the cap.
    fn make_room(&self, wanted: Bytes, say: &mut dyn FnMut(&str)) -> Result<(), ImageError> {
        let mut sizes = HashMap::new();
        let mut by_use = Vec::new();
        for (path, _) in list(&self.root.join("entries"))? {
            let used = fs::metadata(path.join("used")).and_then(|meta| meta.modified());
            by_use.push((used.unwrap_or(SystemTime::UNIX_EPOCH), key_of(&path)));
            sizes.insert(key_of(&path), size_of(&path));
        }
        by_use.sort();
        let mut total: u64 = sizes.values().sum::<u64>() + wanted.get();
        for (_, key) in by_use {
            if total <= self.cap.get() {
                return Ok(());
            }
            if self.delete(|entry| entry == key)? > 0 {
                say(&format!("deleted {key} from the cache, the longest unused, to stay under {}", self.cap));
                total -= sizes.get(&key).copied().unwrap_or_default();
            }
        }
        if total > self.cap.get() {
            let (total, cap) = (total >> 20, self.cap);
            say(&format!("the cache takes {total} MiB, more than its cap of {cap}: running labs use all of it"));
        }
        Ok(())
    }

    /// Deletes the entries that `which` names and nobody leases; gives how many.
    fn delete(&self, which: impl Fn(&str) -> bool) -> Result<usize, ImageError> {
        let _guard = self.lock()?;
        let trash = self.root.join("trash");
        let mut deleted = 0;
        for (path, _) in list(&self.root.join("entries"))? {
            let lease_path = path.join("lease");
            if which(&key_of(&path)) && try_lock(&open_lock(&lease_path)?, &lease_path)? {
                fs::rename(&path, trash.join(key_of(&path))).map_err(failed("move away", &path))?;
                deleted += 1;
            }
        }
        // Also what a killed process left there.
        for (path, _) in list(&trash)? {
            remove_tree(&path).map_err(failed("delete", &path))?;
        }
        Ok(deleted)
    }

    /// The lock of the whole store, for moments.
    fn lock(&self) -> Result<File, ImageError> {
        let path = self.root.join("lock");
        let lock = open_lock(&path)?;
        flock(&lock, FlockOperation::LockExclusive).map_err(|e| failed("lock", &path)(e.into()))?;
        Ok(lock)
    }
}

/// Leases the entry that `file` is part of.
pub(super) fn lease_of(file: &Path) -> Result<Lease, ImageError> {
    let gone = || ImageError::Gone { path: file.to_owned() };
    let path =
        file.ancestors().skip(1).map(|folder| folder.join("lease")).find(|path| path.exists()).ok_or_else(gone)?;
    let lease = open_lock(&path)?;
    flock(&lease, FlockOperation::LockShared).map_err(|e| failed("lock", &path)(e.into()))?;
    // It may have been deleted while this one waited for the lock.
    if path.exists() { Ok(Lease { _lock: lease }) } else { Err(gone()) }
}

/// Refuses to start a build that would fill the disk.
fn check_space(recipe: &dyn Recipe, place: &Place) -> Result<(), ImageError> {
    let need = recipe.needs();
    for at in place.filled() {
        let stat = statvfs(&at).map_err(|e| failed("look at the free space of", &at)(e.into()))?;
        let free = Bytes::new(stat.f_bavail.saturating_mul(stat.f_frsize));
        if free < need {
            return Err(ImageError::Space { label: recipe.label(), need, free, at });
        }
    }
    Ok(())
}

/// An entry's key: its folder's name.
fn key_of(path: &Path) -> String {
    path.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// What is in a folder, with when each was last changed.
fn list(folder: &Path) -> Result<Vec<(PathBuf, SystemTime)>, ImageError> {
    let entries = fs::read_dir(folder).map_err(failed("list", folder))?;
    // What vanished meanwhile is not there.
    Ok(entries.flatten().filter_map(|e| Some((e.path(), e.metadata().ok()?.modified().ok()?))).collect())
}

/// The disk space that a file or folder takes; holes take none.
fn size_of(path: &Path) -> u64 {
    let Ok(meta) = path.symlink_metadata() else { return 0 };
    let below = if meta.is_dir() { fs::read_dir(path).ok() } else { None };
    meta.blocks() * 512 + below.into_iter().flatten().flatten().map(|entry| size_of(&entry.path())).sum::<u64>()
}

fn open_lock(path: &Path) -> Result<File, ImageError> {
    File::options().create(true).truncate(false).write(true).open(path).map_err(failed("open", path))
}

/// Whether the exclusive lock was free and is now held by `file`.
fn try_lock(file: &File, path: &Path) -> Result<bool, ImageError> {
    match flock(file, FlockOperation::NonBlockingLockExclusive) {
        Ok(()) => Ok(true),
        Err(rustix::io::Errno::WOULDBLOCK) => Ok(false),
        Err(error) => Err(failed("lock", path)(error.into())),
    }
}

fn touch(path: &Path) -> Result<(), ImageError> {
    let file = open_lock(path)?;
    file.set_modified(SystemTime::now()).map_err(failed("write", path))
}

fn write(path: &Path, text: &str) -> Result<(), ImageError> {
    fs::write(path, text).map_err(failed("write", path))
}

fn make_folder(path: &Path) -> Result<(), ImageError> {
    fs::create_dir_all(path).map_err(failed("make the folder", path))
}

/// Wraps what the system said about a file.
pub(super) fn failed(what: &'static str, path: &Path) -> impl FnOnce(io::Error) -> ImageError {
    let path = path.to_owned();
    move |source| ImageError::Io { what, path, source }
}

#[cfg(test)]
mod tests;
