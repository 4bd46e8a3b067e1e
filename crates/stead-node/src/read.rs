//! Reading the node's own files.

use std::error::Error;
use std::fs;
use std::io::{self, ErrorKind};

use camino::{Utf8Path, Utf8PathBuf};

use crate::place::Place;

/// A file of the node's that could not be read.
#[derive(Debug, thiserror::Error)]
#[error("could not read {path}")]
pub(crate) struct ReadError {
    /// Which, as the node calls it.
    path: Utf8PathBuf,
    /// What the system said.
    source: io::Error,
}

impl Place {
    /// The text of a file.
    ///
    /// # Errors
    /// It isn't there, can't be read, or is no text.
    pub(crate) fn text(&self, path: impl AsRef<Utf8Path>) -> Result<String, ReadError> {
        fs::read_to_string(self.at(&path)).map_err(|source| ReadError { path: path.as_ref().to_owned(), source })
    }

    /// The text of a file that need not be there.
    ///
    /// # Errors
    /// It can't be read, or is no text.
    pub(crate) fn text_if_there(&self, path: impl AsRef<Utf8Path>) -> Result<Option<String>, ReadError> {
        if_there(self.text(path))
    }

    /// What one of the kernel's files says, without blanks around it; `None` where it says nothing or isn't there.
    pub(crate) fn word(&self, path: impl AsRef<Utf8Path>) -> Option<String> {
        let text = self.text(path).ok()?;
        let word = text.trim();
        (!word.is_empty()).then(|| word.to_owned())
    }

    /// The names in a folder, sorted; none where it isn't there. Names that are no text are left out.
    ///
    /// # Errors
    /// It can't be read.
    pub(crate) fn names(&self, path: impl AsRef<Utf8Path>) -> Result<Vec<String>, ReadError> {
        let read = || -> io::Result<Vec<String>> {
            let entries = fs::read_dir(self.at(&path))?.collect::<io::Result<Vec<_>>>()?;
            Ok(entries.into_iter().filter_map(|entry| entry.file_name().into_string().ok()).collect())
        };
        let read = read().map_err(|source| ReadError { path: path.as_ref().to_owned(), source });
        let mut names = if_there(read)?.unwrap_or_default();
        names.sort_unstable();
        Ok(names)
    }

    /// What a symbolic link leads to; `None` where nothing is.
    ///
    /// # Errors
    /// It is no link, or can't be read.
    pub(crate) fn link(&self, path: impl AsRef<Utf8Path>) -> Result<Option<Utf8PathBuf>, ReadError> {
        let target = self.at(&path).read_link_utf8();
        if_there(target.map_err(|source| ReadError { path: path.as_ref().to_owned(), source }))
    }

    /// The last name of what a symbolic link leads to.
    pub(crate) fn link_name(&self, path: impl AsRef<Utf8Path>) -> Option<String> {
        self.link(path).ok()??.file_name().map(ToOwned::to_owned)
    }

    /// Whether there is something.
    pub(crate) fn exists(&self, path: impl AsRef<Utf8Path>) -> bool {
        self.at(path).exists()
    }
}

fn if_there<T>(read: Result<T, ReadError>) -> Result<Option<T>, ReadError> {
    match read {
        Ok(value) => Ok(Some(value)),
        Err(error) if error.source.kind() == ErrorKind::NotFound => Ok(None),
        Err(error) => Err(error),
    }
}

/// An error with its sources, in one line or as many as it has: for a person who sees nothing else.
pub(crate) fn why(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut source = error.source();
    while let Some(error) = source {
        text.push_str(": ");
        text.push_str(&error.to_string());
        source = error.source();
    }
    text
}
