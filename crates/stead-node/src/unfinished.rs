//! Steps that were begun here and have not ended well: a command that was cut, or a power cut.
//!
//! Most of what a step leaves half done can be seen, and the next plan has it again. That a daemon was not told to read a
//! file that was written can't. So a mark says that a step is on its way, and goes when it has ended well.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;

use camino::Utf8PathBuf;
use stead_plan::step::StepId;

use crate::files::{FileError, Look, beside, create_folder, parent, remove, replace, sync_folder, write_new};
use crate::place::Place;

const FOLDER: &str = "unfinished";

/// Marks a step as begun, on the disk.
pub(crate) fn begin(place: &Place, step: &StepId) -> Result<(), FileError> {
    let path = path(place, step);
    create_folder(parent(&path), 0o700)?;
    if path.exists() {
        return Ok(());
    }
    write_new(&path, b"", Look { mode: 0o600, owner: place.owner() })?;
    sync_folder(parent(&path))
}

/// Notes that a step that was begun is about to format the disk of this identity, after it was proved that it may; with an
/// empty one, that it may not.
pub(crate) fn vacated(place: &Place, step: &StepId, identity: &str) -> Result<(), FileError> {
    let path = path(place, step);
    let beside = beside(&path);
    remove(&beside)?;
    write_new(&beside, identity.as_bytes(), Look { mode: 0o600, owner: place.owner() })?;
    replace(&beside, &path)
}

/// The steps that have begun to format a disk, with its identity.
///
/// # Errors
/// A mark can't be read.
pub(crate) fn all_vacated(place: &Place) -> Result<BTreeMap<StepId, String>, FileError> {
    let mut all = BTreeMap::new();
    for step in unfinished(place)? {
        let path = path(place, &step);
        let identity = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
        if !identity.is_empty() {
            all.insert(step, identity);
        }
    }
    Ok(all)
}

/// It has ended well. Should the power be cut now, it is only done once more.
pub(crate) fn end(place: &Place, step: &StepId) -> Result<(), FileError> {
    remove(&path(place, step))
}

/// Those that were begun and have not ended well.
///
/// # Errors
/// The folder can't be read.
pub fn unfinished(place: &Place) -> Result<BTreeSet<StepId>, FileError> {
    let folder = place.state(FOLDER);
    let entries = match fs::read_dir(&folder) {
        Ok(entries) => entries,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(BTreeSet::new()),
        Err(error) => return Err(FileError::of("read the folder", folder)(error)),
    };
    let names = entries.filter_map(|entry| entry.ok()?.file_name().into_string().ok());
    Ok(names.filter_map(|name| name.replace(SEPARATOR, "/").parse().ok()).collect())
}

/// In place of a step's slashes: no name has it.
const SEPARATOR: char = '+';

fn path(place: &Place, step: &StepId) -> Utf8PathBuf {
    place.state(FOLDER).join(step.to_string().replace('/', &SEPARATOR.to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_step_is_unfinished_from_its_beginning_to_its_end() {
        let folder = tempfile::tempdir().expect("a folder");
        let place = Place::rooted(Utf8PathBuf::from_path_buf(folder.path().to_owned()).expect("UTF-8"));
        let [time, sshd]: [StepId; 2] = ["host/node1/time", "host/node1/sshd"].map(|id| id.parse().expect("a step"));
        assert_eq!(unfinished(&place).expect("read"), BTreeSet::new());
        for step in [&time, &sshd, &time] {
            begin(&place, step).expect("begun");
        }
        vacated(&place, &sshd, "serial S1").expect("noted");
        begin(&place, &sshd).expect("begun again");
        assert_eq!(all_vacated(&place).expect("read"), BTreeMap::from([(sshd.clone(), "serial S1".to_owned())]));
        end(&place, &sshd).expect("ended");
        assert_eq!(all_vacated(&place).expect("read"), BTreeMap::new());
        end(&place, &sshd).expect("twice");
        assert_eq!(unfinished(&place).expect("read"), BTreeSet::from([time]));
    }
}
