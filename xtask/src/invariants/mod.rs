//! What must stay true of the sources and what the compiler can't see: which crate may do what, sizes, links.

mod links;
mod rules;
mod tokens;

use std::fmt;
use std::fs;
use std::path::Path;

use anyhow::{Context, Result, bail};

use crate::workspace::Workspace;

/// Something that is not as it must be.
#[derive(Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Violation {
    path: String,
    /// 0 where the whole file is meant.
    line: usize,
    what: String,
}

impl fmt::Display for Violation {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.line {
            0 => write!(f, "{}: {}", self.path, self.what),
            line => write!(f, "{}:{line}: {}", self.path, self.what),
        }
    }
}

/// A text file of the checkout.
struct Source {
    /// From the checkout's top, with `/`.
    path: String,
    text: String,
}

impl Source {
    /// What its name ends in, as `rs`.
    fn kind(&self) -> Option<&str> {
        Path::new(&self.path).extension()?.to_str()
    }
}

/// Checks the whole checkout.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    let sources = read(&workspace.root)?;
    let exists = |path: &str| workspace.root.join(path).exists();
    let mut violations: Vec<Violation> = sources.iter().flat_map(rules::check).collect();
    violations.extend(sources.iter().flat_map(|source| links::check(source, exists)));
    violations.sort();
    for violation in &violations {
        eprintln!("{violation}");
    }
    if !violations.is_empty() {
        bail!("{} invariants broken", violations.len());
    }
    Ok(())
}

/// Reads what people have written: the crates, xtask, and the files beside them.
fn read(root: &Path) -> Result<Vec<Source>> {
    let mut sources = Vec::new();
    let mut folders = ["crates", "xtask", ".ci", ".config", ".cargo"].map(|folder| root.join(folder)).to_vec();
    for path in entries(root)? {
        if path.is_file() && path.file_name().is_some_and(|name| name != "Cargo.lock") {
            sources.extend(read_file(root, &path)?);
        }
    }
    while let Some(folder) = folders.pop() {
        for path in entries(&folder)? {
            if path.is_symlink() || path.file_name().is_some_and(|name| name == "target") {
                continue;
            }
            if path.is_dir() {
                folders.push(path);
            } else {
                sources.extend(read_file(root, &path)?);
            }
        }
    }
    Ok(sources)
}

fn entries(folder: &Path) -> Result<Vec<std::path::PathBuf>> {
    let context = || format!("could not read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(context)?;
    entries.map(|entry| Ok(entry.with_context(context)?.path())).collect()
}

/// A file's text; nothing when it isn't text.
fn read_file(root: &Path, path: &Path) -> Result<Option<Source>> {
    let bytes = match fs::read(path) {
        // An editor's file may be gone by now.
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Ok(None),
        result => result.with_context(|| format!("could not read {}", path.display()))?,
    };
    let path = path.strip_prefix(root).context("a file that is not where it was found")?;
    Ok(String::from_utf8(bytes).ok().map(|text| Source { path: path.to_string_lossy().into_owned(), text }))
}
