//! The file on the disk.

use std::fs::{File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{OpenOptionsExt, PermissionsExt};

use camino::{Utf8Path, Utf8PathBuf};
use stead_spec::units::ClusterId;

use super::error::SecretsError;
use super::file::Sealed;
use super::parse::ParseError;

/// A thousand secrets for a few admins have two megabytes.
const LARGEST: u64 = 32 << 20;

/// What the admin alone may read: what is inside is sealed, but who could open it is nobody else's business.
const PRIVATE: u32 = 0o600;

impl Sealed {
    /// Reads the sealed secrets of a cluster; `None` where there is no such file.
    ///
    /// # Errors
    /// The file can't be read, is another cluster's, or is damaged.
    pub fn load(path: &Utf8Path, cluster: &ClusterId) -> Result<Option<Self>, SecretsError> {
        let read = |file: File| {
            let mut bytes = Vec::new();
            file.take(LARGEST + 1).read_to_end(&mut bytes).map(|_| bytes)
        };
        let bytes = match File::open(path).and_then(read) {
            Ok(bytes) => bytes,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
            Err(source) => return Err(SecretsError::Read { path: path.to_owned(), source }),
        };
        let bad = |source| SecretsError::Bad { path: path.to_owned(), source };
        if bytes.len() as u64 > LARGEST {
            return Err(bad(ParseError::new(1, format!("the file has more than {} MiB", LARGEST >> 20))));
        }
        let text = String::from_utf8(bytes).map_err(|error| {
            let good = &error.as_bytes()[..error.utf8_error().valid_up_to()];
            let line = good.split(|byte| *byte == b'\n').count();
            bad(ParseError::new(line, "that is no text"))
        })?;
        Self::parse(&text, cluster).map(Some).map_err(bad)
    }

    /// Writes them, whole or not at all.
    ///
    /// # Errors
    /// The file can't be written; then the old one is there still.
    pub fn save(&self, path: &Utf8Path) -> Result<(), SecretsError> {
        replace(path, self.text().as_bytes(), PRIVATE)
    }
}

/// Puts this in a file's place, whole or not at all. `mode` is for one that is not there yet.
///
/// # Errors
/// It can't be written; then the old one is there still.
pub fn replace(path: &Utf8Path, bytes: &[u8], mode: u32) -> Result<(), SecretsError> {
    write(path, bytes, mode).map_err(|source| SecretsError::Write { path: path.to_owned(), source })
}

fn write(path: &Utf8Path, bytes: &[u8], mode: u32) -> io::Result<()> {
    // Where a link leads, not the link.
    let (path, mode) = match path.canonicalize_utf8() {
        Ok(real) => {
            let mode = std::fs::metadata(&real)?.permissions().mode() & 0o7777;
            (real, mode)
        }
        Err(error) if error.kind() == io::ErrorKind::NotFound => (path.to_owned(), mode),
        Err(error) => return Err(error),
    };
    let folder = match path.parent() {
        Some(folder) if folder != "" => folder,
        _ => Utf8Path::new("."),
    };
    let name = path.file_name().ok_or(io::ErrorKind::InvalidInput)?;
    let temporary = folder.join(format!(".{name}.{}.new", std::process::id()));
    let written = write_new(&temporary, bytes, mode).and_then(|()| std::fs::rename(&temporary, &path));
    if let Err(error) = written {
        // It may not be there.
        let _ = std::fs::remove_file(&temporary);
        return Err(error);
    }
    // The rename itself must outlast a power cut.
    File::open(folder)?.sync_all()
}

fn write_new(path: &Utf8PathBuf, bytes: &[u8], mode: u32) -> io::Result<()> {
    // What a process of the same number left behind when it was killed.
    let _ = std::fs::remove_file(path);
    let mut file = OpenOptions::new().write(true).create_new(true).mode(PRIVATE).open(path)?;
    file.write_all(bytes)?;
    file.set_permissions(std::fs::Permissions::from_mode(mode))?;
    file.sync_all()
}

/// Whether sealed secrets may be made where there are none: never while a node keeps a generation, since that came with
/// secrets which new ones would replace.
///
/// # Errors
/// They may not.
pub fn may_create(nodes_have_generation: bool) -> Result<(), SecretsError> {
    if nodes_have_generation { Err(SecretsError::Lost) } else { Ok(()) }
}
