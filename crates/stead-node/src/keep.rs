//! What a node keeps of its cluster: whose node it is, and the newest cluster files with the sealed secrets.
//!
//! A generation is a folder that appears whole, by a rename; the link `current` leads to the newest. One that is torn all
//! the same, by a disk, is passed over for the newest whole one.

use std::fs;
use std::io;

use camino::{Utf8Path, Utf8PathBuf};
use serde::de::DeserializeOwned;
use stead_plan::generation::{FORMAT, Generation, Stamp};

use crate::files::{FileError, Look, create_folder, remove, replace, sync_folder, write_new};
use crate::place::{Place, STATE};
use crate::protocol::Kept;

/// How many generations a node keeps: enough to look back, and little beside an OS disk.
const GENERATIONS: usize = 10;

const STAMP: &str = "stamp.json";
const FOLDER: &str = "generations";
const CURRENT: &str = "current";
const CLUSTER_FILE: &str = "stead.toml";
const SECRETS: &str = "stead.secrets";
const DESCRIPTION: &str = "generation.json";

/// Why something can't be kept, or what is kept not be told.
#[derive(Debug, thiserror::Error)]
pub enum KeepError {
    /// The disk won't.
    #[error(transparent)]
    File(#[from] FileError),
    /// A file is there, but isn't what it should be.
    #[error("{path} makes no sense: {why}")]
    Torn {
        /// Which.
        path: Utf8PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// There are generations, and each is torn.
    #[error(
        "none of the generations in {STATE}/{FOLDER} is whole:\n{}\nother nodes keep them too; an apply writes them anew",
        .0.join("\n")
    )]
    NoneWhole(Vec<String>),
    /// What is there is newer, or another one of that number.
    #[error("{0}")]
    Overtaken(String),
}

/// The newest generation that is whole.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Newest {
    /// It; `None` where nothing is kept.
    pub kept: Option<Kept>,
    /// What should have been the newest but isn't whole, and why, for a person.
    pub torn: Vec<String>,
}

/// Whose node this is; `None`: nobody's yet.
///
/// # Errors
/// There is a stamp that can't be read.
pub fn stamp(place: &Place) -> Result<Option<Stamp>, KeepError> {
    parse(&place.state(STAMP))
}

/// What is known of the newest whole generation; `None`: nothing is kept.
///
/// # Errors
/// Something is kept, but nothing that is whole.
pub fn current(place: &Place) -> Result<Option<Generation>, KeepError> {
    Ok(newest(place)?.kept.map(|kept| kept.generation))
}

/// The newest whole generation.
///
/// # Errors
/// Something is kept, but nothing that is whole.
pub fn newest(place: &Place) -> Result<Newest, KeepError> {
    let newest = search(place)?;
    if newest.kept.is_none() && !newest.torn.is_empty() {
        return Err(KeepError::NoneWhole(newest.torn));
    }
    Ok(newest)
}

/// Keeps a generation, and forgets the oldest ones. Keeping the same again changes nothing.
///
/// # Errors
/// A newer one is kept, or the disk won't.
pub fn keep(place: &Place, kept: &Kept) -> Result<(), KeepError> {
    let new = &kept.generation;
    if let Some(old) = search(place)?.kept.map(|kept| kept.generation) {
        if old.number >= new.number && old.digest == new.digest {
            return Ok(());
        }
        if let Some(why) = overtaken(&old, new) {
            return Err(KeepError::Overtaken(why));
        }
    }
    let folder = place.state(FOLDER);
    create_folder(&folder, 0o700)?;
    let path = folder.join(new.number.to_string());
    let beside = folder.join(format!(".{}", new.number));
    for leftover in [&beside, &path] {
        // Of an earlier try, or torn: it isn't whole, or it would have been found.
        remove_folder(leftover)?;
    }
    create_folder(&beside, 0o700)?;
    let look = Look { mode: 0o600, owner: place.owner() };
    let described = serde_json::to_vec_pretty(new).map_err(|error| torn(&path, &error))?;
    write_new(&beside.join(CLUSTER_FILE), kept.file.as_bytes(), look)?;
    write_new(&beside.join(SECRETS), kept.secrets.as_bytes(), look)?;
    write_new(&beside.join(DESCRIPTION), &described, look)?;
    sync_folder(&beside)?;
    replace(&beside, &path)?;
    let link = folder.join(format!(".{CURRENT}"));
    remove(&link)?;
    std::os::unix::fs::symlink(new.number.to_string(), &link).map_err(FileError::of("make the link", &link))?;
    replace(&link, &folder.join(CURRENT))?;
    // What can't be forgotten now is forgotten the next time.
    for number in numbers(&folder)?.into_iter().filter(|number| *number <= new.number).skip(GENERATIONS) {
        let _ = remove_folder(&folder.join(number.to_string()));
    }
    Ok(())
}

/// Why the new one must not take the place of the old.
fn overtaken(old: &Generation, new: &Generation) -> Option<String> {
    let Generation { number, by, stead, format, .. } = old;
    if *format > FORMAT {
        Some(format!("generation {number} was kept by a newer stead ({stead}); apply with that one or a newer one"))
    } else if old.number > new.number {
        Some(format!(
            "this node keeps generation {number} by {by} already, which is newer than {}; plan again",
            new.number
        ))
    } else if old.number == new.number {
        Some(format!("this node keeps another generation {number}, by {by}; plan again"))
    } else {
        None
    }
}

/// Looks where `current` leads to, then at all others from the newest on.
fn search(place: &Place) -> Result<Newest, KeepError> {
    let folder = place.state(FOLDER);
    let current = fs::read_link(folder.join(CURRENT)).ok();
    let current = current.and_then(|path| path.to_str()?.parse().ok());
    let mut numbers = numbers(&folder)?;
    if let Some(number) = current {
        numbers.retain(|other| *other != number);
        numbers.insert(0, number);
    }
    let mut torn = Vec::new();
    for number in numbers {
        match read(&folder.join(number.to_string()), number) {
            Ok(kept) => return Ok(Newest { kept: Some(kept), torn }),
            Err(KeepError::File(error)) => torn.push(format!("generation {number} is torn: {}", error.whole())),
            Err(error) => torn.push(format!("generation {number} is torn: {error}")),
        }
    }
    Ok(Newest { kept: None, torn })
}

/// The numbers of the generations, the newest first.
fn numbers(folder: &Utf8Path) -> Result<Vec<u64>, KeepError> {
    let entries = match folder.read_dir_utf8() {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(FileError::of("read the folder", folder))?,
    };
    let mut numbers: Vec<u64> = entries.filter_map(|entry| entry.ok()?.file_name().parse().ok()).collect();
    numbers.sort_unstable_by(|a, b| b.cmp(a));
    Ok(numbers)
}

fn read(path: &Utf8Path, number: u64) -> Result<Kept, KeepError> {
    let described = path.join(DESCRIPTION);
    let generation: Option<Generation> = parse(&described)?;
    let generation = generation.ok_or_else(|| torn(&described, &"it is missing"))?;
    if generation.number != number {
        return Err(torn(&described, &format!("it is of generation {}", generation.number)));
    }
    let text = |name: &str| {
        let path = path.join(name);
        fs::read_to_string(&path).map_err(FileError::of("read", &path))
    };
    let (file, secrets) = (text(CLUSTER_FILE)?, text(SECRETS)?);
    Ok(Kept { generation, file, secrets })
}

fn parse<T: DeserializeOwned>(path: &Utf8Path) -> Result<Option<T>, KeepError> {
    match fs::read(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        text => {
            let text = text.map_err(FileError::of("read", path))?;
            serde_json::from_slice(&text).map(Some).map_err(|error| torn(path, &error))
        }
    }
}

fn torn(path: &Utf8Path, why: &dyn std::fmt::Display) -> KeepError {
    KeepError::Torn { path: path.to_owned(), why: why.to_string() }
}

fn remove_folder(path: &Utf8Path) -> Result<(), FileError> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::of("remove the folder", path)(error)),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests;
