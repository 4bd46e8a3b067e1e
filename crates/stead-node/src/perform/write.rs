//! Files, links and folders, so that doing it twice changes nothing the second time.

use std::fs;
use std::os::unix::fs::{MetadataExt, PermissionsExt, symlink};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{IFlags, Mode as FileMode, OFlags, fstat, ioctl_getflags, ioctl_setflags, open, stat};
use rustix::io::Errno;
use stead_plan::MARK;
use stead_plan::inventory::{Mode, sha256};
use stead_plan::op::Write;
use stead_spec::units::Sha256;

use super::OpError;
use crate::files::{
    FileError, Look, beside, create_folder, has, look_at, make_link, parent, remove, replace, sync_folder, write_new,
};
use crate::host::accounts::Accounts;
use crate::place::{Place, STATE};

/// A file with its content, beside the place that it is to take. It is gone if it doesn't take it.
#[derive(Debug)]
pub(super) struct Draft {
    /// Where it lies now.
    pub(super) path: Utf8PathBuf,
    place: Place,
    /// The node's path that it is for.
    to: Utf8PathBuf,
    made_from: Option<Sha256>,
    placed: bool,
}

/// Writes what is to be at a path beside it; `None` if it is there already.
///
/// A symbolic link at the path is replaced, not followed: what it leads to is somebody else's.
pub(super) fn draft(place: &Place, file: &Write) -> Result<Option<Draft>, OpError> {
    let at = place.at(&file.path);
    let (user, group) = place.owner();
    let group = file.group.as_deref().map(|name| group_number(place, name)).transpose()?.unwrap_or(group);
    let look = Look { mode: file.mode.0.into(), owner: (user, group) };
    match look_at(&at)? {
        Some(there) if there.is_dir() => {
            return Err(OpError::InTheWay { path: file.path.to_string(), what: "a folder" });
        }
        Some(there) if there.is_file() && look.is_of(&there) && has(&at, &there, file.text.as_bytes())? => {
            return Ok(None);
        }
        _ => {}
    }
    create_folder(parent(&at), 0o755)?;
    let path = beside(&at);
    remove(&path)?;
    write_new(&path, file.text.as_bytes(), look)?;
    Ok(Some(Draft {
        path,
        place: place.clone(),
        to: file.path.clone(),
        made_from: file.made_from.clone(),
        placed: false,
    }))
}

/// What a group is to the kernel.
fn group_number(place: &Place, name: &str) -> Result<u32, OpError> {
    let path = place.at("/etc/group");
    let text = fs::read_to_string(&path).map_err(FileError::of("read", &path))?;
    Accounts::parse("", &text).group_number(name).ok_or_else(|| OpError::NoGroup(name.to_owned()))
}

impl Draft {
    /// Keeps what was at its place, if that isn't stead's, and takes it; unless what it was made from is no longer there.
    pub(super) fn take_its_place(mut self) -> Result<(), OpError> {
        if let Some(sum) = &self.made_from
            && content(&self.place.at(&self.to))?.is_none_or(|now| sha256(now) != *sum)
        {
            return Err(OpError::Overtaken(self.to.clone()));
        }
        keep_before(&self.place, &self.to)?;
        replace(&self.path, &self.place.at(&self.to))?;
        self.placed = true;
        Ok(())
    }
}

impl Drop for Draft {
    fn drop(&mut self) {
        if !self.placed {
            let _ = fs::remove_file(&self.path);
        }
    }
}

/// Makes a symbolic link; whether there was another one, or something else than a folder.
pub(super) fn link(place: &Place, path: &Utf8Path, target: &Utf8Path) -> Result<bool, OpError> {
    let at = place.at(path);
    match look_at(&at)? {
        Some(there) if there.is_dir() => {
            return Err(OpError::InTheWay { path: path.to_string(), what: "a folder" });
        }
        Some(there) if there.is_symlink() && fs::read_link(&at).is_ok_and(|to| to == target.as_std_path()) => {
            return Ok(false);
        }
        _ => {}
    }
    keep_before(place, path)?;
    make_link(&at, target)?;
    Ok(true)
}

/// Makes a folder; whether it was missing or had other permissions. A link to a folder is one: it may have been moved to
/// where there is room. Whose it is, is left as it is: daemons make it theirs.
pub(super) fn folder(place: &Place, path: &Utf8Path, mode: Mode) -> Result<bool, OpError> {
    let at = place.at(path);
    if let Ok(there) = fs::metadata(&at)
        && !there.is_dir()
    {
        return Err(OpError::InTheWay { path: path.to_string(), what: "something that is no folder" });
    }
    if create_folder(&at, mode.0.into())? {
        return Ok(true);
    }
    let there = fs::metadata(&at).map_err(FileError::of("look at", &at))?;
    if there.mode() & 0o7777 == u32::from(mode.0) {
        return Ok(false);
    }
    let permissions = fs::Permissions::from_mode(mode.0.into());
    fs::set_permissions(&at, permissions).map_err(FileError::of("set the permissions of", &at))?;
    sync_folder(&at)?;
    Ok(true)
}

/// Makes a folder that nothing can be written into while nothing is mounted there; whether it was missing or wasn't so.
///
/// What is looked at is what is changed: a file system that is mounted meanwhile isn't touched.
pub(super) fn mount_point(place: &Place, path: &Utf8Path) -> Result<bool, OpError> {
    let at = place.at(path);
    let made = create_folder(&at, 0o755)?;
    let failed = |error: Errno| OpError::from(FileError::of("make immutable", &at)(error.into()));
    let folder = open(at.as_std_path(), OFlags::RDONLY | OFlags::DIRECTORY | OFlags::CLOEXEC, FileMode::empty());
    let folder = folder.map_err(failed)?;
    let above = stat(at.parent().unwrap_or(&at).as_std_path()).map_err(failed)?;
    if fstat(&folder).map_err(failed)?.st_dev != above.st_dev {
        return Ok(made);
    }
    let flags = ioctl_getflags(&folder).map_err(failed)?;
    if flags.contains(IFlags::IMMUTABLE) {
        return Ok(made);
    }
    ioctl_setflags(&folder, flags | IFlags::IMMUTABLE).map_err(failed)?;
    Ok(true)
}

/// The largest file that is taken: a LUKS2 header can have four megabytes of metadata, twice, and as much of keys.
const LARGEST: u64 = 12 << 20;

/// A file's content in base64; the file goes.
pub(super) fn take(place: &Place, path: &Utf8Path) -> Result<String, OpError> {
    let at = place.at(path);
    let there = fs::metadata(&at).map_err(FileError::of("look at", &at))?;
    if there.len() > LARGEST {
        return Err(OpError::InTheWay { path: path.to_string(), what: "a file that is too large" });
    }
    let content = fs::read(&at).map_err(FileError::of("read", &at))?;
    remove(&at)?;
    Ok(STANDARD.encode(content))
}

/// Writes a file that only root reads, from base64; whether it was another one before.
pub(super) fn place(place: &Place, path: &Utf8Path, content: &str) -> Result<bool, OpError> {
    let at = place.at(path);
    let content = STANDARD.decode(content).map_err(|_| OpError::NoBase64(path.to_owned()))?;
    if let Some(there) = look_at(&at)?
        && there.is_file()
        && has(&at, &there, &content)?
    {
        return Ok(false);
    }
    create_folder(parent(&at), 0o700)?;
    let beside = beside(&at);
    remove(&beside)?;
    write_new(&beside, &content, Look { mode: 0o600, owner: place.owner() })?;
    replace(&beside, &at)?;
    Ok(true)
}

/// Keeps a copy of what is at a path, unless it is stead's own or a copy is there from before: the oldest is what was
/// there before stead came.
fn keep_before(place: &Place, path: &Utf8Path) -> Result<(), OpError> {
    let at = place.at(path);
    let Some(there) = look_at(&at)? else { return Ok(()) };
    let folder = place.state("before");
    let copy = folder.join(path.strip_prefix("/").unwrap_or(path));
    if path.starts_with(STATE) || look_at(&copy)?.is_some() {
        return Ok(());
    }
    if there.is_file() {
        let content = fs::read(&at).map_err(FileError::of("read", &at))?;
        if is_marked(&String::from_utf8_lossy(&content)) {
            return Ok(());
        }
        prepare(&folder, &copy)?;
        let beside = beside(&copy);
        remove(&beside)?;
        write_new(&beside, &content, Look { mode: there.mode() & 0o7777, owner: (there.uid(), there.gid()) })?;
        replace(&beside, &copy)?;
    } else if there.is_symlink() {
        let target = fs::read_link(&at).map_err(FileError::of("read the link", &at))?;
        prepare(&folder, &copy)?;
        symlink(target, &copy).map_err(FileError::of("make the link", &copy))?;
        sync_folder(parent(&copy))?;
    }
    Ok(())
}

/// Only root looks into what was there before: some of it may be secret.
fn prepare(folder: &Utf8Path, copy: &Utf8Path) -> Result<(), FileError> {
    create_folder(folder, 0o700)?;
    create_folder(parent(copy), 0o755)?;
    Ok(())
}

/// Whether a file is stead's: its mark is in the first three lines, in whatever form; or further below, as a comment that
/// begins a block.
fn is_marked(text: &str) -> bool {
    let comment = |c: char| c.is_whitespace() || "#;/\"!".contains(c);
    let mut lines = text.lines();
    lines.by_ref().take(3).any(|line| line.contains(MARK))
        || lines.any(|line| line.starts_with(comment) && line.trim_start_matches(comment).starts_with(MARK))
}

/// What is in a file, which is nothing if it isn't there; `None` if something else is.
fn content(path: &Utf8Path) -> Result<Option<Vec<u8>>, FileError> {
    match look_at(path)? {
        None => Ok(Some(Vec::new())),
        Some(there) if there.is_file() => Ok(Some(fs::read(path).map_err(FileError::of("read", path))?)),
        Some(_) => Ok(None),
    }
}
