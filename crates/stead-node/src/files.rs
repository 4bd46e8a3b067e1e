//! Files that are there as a whole or not at all, whatever breaks meanwhile.

use std::fs::{self, DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt, symlink};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::io::Errno;

/// Why something with a file could not be done.
#[derive(Debug, thiserror::Error)]
#[error("could not {doing} {path}{}", hint(.source, .path))]
pub struct FileError {
    doing: &'static str,
    path: Utf8PathBuf,
    source: io::Error,
}

impl FileError {
    /// Of doing that with what is at that path: `.map_err(FileError::of("write", path))`.
    pub(crate) fn of(doing: &'static str, path: impl Into<Utf8PathBuf>) -> impl FnOnce(io::Error) -> Self {
        let path = path.into();
        move |source| Self { doing, path, source }
    }

    /// With what it comes from, in one text.
    pub(crate) fn whole(&self) -> String {
        format!("{self}: {}", self.source)
    }
}

/// What to do next, for what is not about the file but about what it lies on.
fn hint(source: &io::Error, path: &Utf8Path) -> String {
    let Some(errno) = Errno::from_io_error(source) else { return String::new() };
    let on = file_system(path);
    match errno {
        Errno::NOSPC | Errno::DQUOT => {
            format!(": the file system at {on} is full; make room there (`df -h {on}`, `df -i {on}`) and try again")
        }
        Errno::ROFS => {
            format!(
                ": the file system at {on} is read-only; `findmnt {on}` and `dmesg` tell whether its disk has failed"
            )
        }
        _ => String::new(),
    }
}

/// Where the file system is mounted that this path lies on or would lie on.
fn file_system(path: &Utf8Path) -> Utf8PathBuf {
    let mut there = path.ancestors().skip(1).filter_map(|above| Some((above, fs::metadata(above).ok()?.dev())));
    let Some((mut top, device)) = there.next() else { return "/".into() };
    for (above, of) in there {
        if of != device {
            break;
        }
        top = above;
    }
    top.to_owned()
}

/// What a new file is like.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Look {
    pub(crate) mode: u32,
    /// User and group.
    pub(crate) owner: (u32, u32),
}

/// Writes a file that isn't there yet and has it on the disk. What can't be written whole is removed.
pub(crate) fn write_new(path: &Utf8Path, content: &[u8], look: Look) -> Result<(), FileError> {
    let write = || {
        // Nobody may read it before it is known who may.
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(path)?;
        file.write_all(content)?;
        let (user, group) = look.owner;
        std::os::unix::fs::fchown(&file, Some(user), Some(group))?;
        file.set_permissions(fs::Permissions::from_mode(look.mode))?;
        file.sync_all()
    };
    write().map_err(|error| {
        if error.kind() != io::ErrorKind::AlreadyExists {
            let _ = fs::remove_file(path);
        }
        FileError::of("write", path)(error)
    })
}

impl Look {
    /// Whether a file is so.
    pub(crate) fn is_of(self, there: &fs::Metadata) -> bool {
        there.mode() & 0o7777 == self.mode && (there.uid(), there.gid()) == self.owner
    }
}

/// Makes a symbolic link in the place of whatever file or link is there, at once, and has that on the disk.
pub(crate) fn make_link(path: &Utf8Path, target: &Utf8Path) -> Result<(), FileError> {
    create_folder(parent(path), 0o755)?;
    let beside = beside(path);
    remove(&beside)?;
    symlink(target, &beside).map_err(FileError::of("make the link", path))?;
    replace(&beside, path).inspect_err(|_| drop(fs::remove_file(&beside)))
}

/// A name that no folder of settings reads: these pass over names with a dot before or an unknown ending.
pub(crate) fn beside(path: &Utf8Path) -> Utf8PathBuf {
    path.with_file_name(format!(".{}.stead-new", path.file_name().unwrap_or_default()))
}

/// What is at a path itself.
pub(crate) fn look_at(path: &Utf8Path) -> Result<Option<fs::Metadata>, FileError> {
    match fs::symlink_metadata(path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        there => there.map(Some).map_err(FileError::of("look at", path)),
    }
}

/// Whether this is all that is in a file.
pub(crate) fn has(path: &Utf8Path, there: &fs::Metadata, content: &[u8]) -> Result<bool, FileError> {
    if there.len() != content.len() as u64 {
        return Ok(false);
    }
    Ok(fs::read(path).map_err(FileError::of("read", path))? == content)
}

/// Puts what is at `from` in the place of what is at `to`, beside it, and has that on the disk.
pub(crate) fn replace(from: &Utf8Path, to: &Utf8Path) -> Result<(), FileError> {
    fs::rename(from, to).map_err(FileError::of("put a new file in the place of", to))?;
    sync_folder(parent(to))
}

/// Has on the disk what is in a folder, by name.
pub(crate) fn sync_folder(path: &Utf8Path) -> Result<(), FileError> {
    File::open(path).and_then(|folder| folder.sync_all()).map_err(FileError::of("write to the disk the folder", path))
}

/// Makes a folder and those above it, which everybody may read; says whether it was missing. `mode` is that of the lowest
/// one, if it is made.
pub(crate) fn create_folder(path: &Utf8Path, mode: u32) -> Result<bool, FileError> {
    if fs::metadata(path).is_ok_and(|there| there.is_dir()) {
        return Ok(false);
    }
    if let Some(above) = path.parent() {
        create_folder(above, 0o755)?;
    }
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => {}
        // Somebody else was quicker; or it is no folder, which whoever uses it is told.
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists && path.is_dir() => return Ok(false),
        Err(error) => return Err(FileError::of("make the folder", path)(error)),
    }
    // Whatever the umask is.
    fs::set_permissions(path, fs::Permissions::from_mode(mode)).map_err(FileError::of("make the folder", path))?;
    sync_folder(parent(path))?;
    Ok(true)
}

/// Removes a file or link, if it is there.
pub(crate) fn remove(path: &Utf8Path) -> Result<(), FileError> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(FileError::of("remove", path)(error)),
        _ => Ok(()),
    }
}

/// The folder that something lies in.
pub(crate) fn parent(path: &Utf8Path) -> &Utf8Path {
    path.parent().unwrap_or(path)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(errno: Errno, path: &str) -> String {
        FileError::of("write", path)(errno.into()).whole()
    }

    #[test]
    fn a_full_disk_is_named() {
        let told = said(Errno::NOSPC, "/proc/no/such/folder/file");
        assert!(
            told.starts_with("could not write /proc/no/such/folder/file: the file system at /proc is full"),
            "{told}"
        );
        assert!(told.contains("df -h /proc"), "{told}");
        assert!(said(Errno::ROFS, "/proc/file").contains("the file system at /proc is read-only; `findmnt /proc`"));
        assert_eq!(said(Errno::ACCESS, "/etc/file"), "could not write /etc/file: Permission denied (os error 13)");
    }

    #[test]
    fn folders_are_made_with_their_modes() {
        let dir = tempfile::tempdir().unwrap();
        let root = Utf8Path::from_path(dir.path()).unwrap();
        let lowest = root.join("a/b/c");
        assert!(create_folder(&lowest, 0o700).unwrap());
        assert!(!create_folder(&lowest, 0o755).unwrap());
        let mode = |path: &str| fs::metadata(root.join(path)).unwrap().mode() & 0o7777;
        assert_eq!(["a", "a/b", "a/b/c"].map(mode), [0o755, 0o755, 0o700]);
        fs::write(root.join("file"), "").unwrap();
        let error = create_folder(&root.join("file/below"), 0o755).unwrap_err().whole();
        assert!(error.contains("could not make the folder") && error.contains("/file"), "{error}");
    }
}
