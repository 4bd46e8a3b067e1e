//! What passed already on this very tree, so that a long run that was stopped goes on where it was.

use std::collections::BTreeSet;
use std::fs::{self, File, OpenOptions};
use std::io::Write;
use std::path::Path;

use anyhow::{Context, Result};

use crate::exec::Program;
use crate::workspace::Workspace;

/// The cases that passed: a file with the tree's hash in its first line and a name in each of the others.
pub(crate) struct Passed {
    names: BTreeSet<String>,
    file: File,
}

impl Passed {
    /// Reads what passed on this tree; nothing when the tree is another one or `fresh` says to start over.
    pub(crate) fn open(workspace: &Workspace, fresh: bool) -> Result<Self> {
        let folder = workspace.target.join("lab-all");
        fs::create_dir_all(&folder).with_context(|| format!("could not create {}", folder.display()))?;
        let tree = tree(workspace, &folder.join("index"))?;
        Self::read(&folder.join("passed"), &tree, fresh)
    }

    fn read(path: &Path, tree: &str, fresh: bool) -> Result<Self> {
        let context = || format!("could not keep what passed in {}", path.display());
        let text = if path.exists() { fs::read_to_string(path).with_context(context)? } else { String::new() };
        if let Some(names) = names(&text, tree).filter(|_| !fresh) {
            let file = OpenOptions::new().append(true).open(path).with_context(context)?;
            return Ok(Self { names, file });
        }
        let mut file = File::create(path).with_context(context)?;
        writeln!(file, "{tree}").with_context(context)?;
        Ok(Self { names: BTreeSet::new(), file })
    }

    /// Whether this case passed.
    pub(crate) fn contains(&self, name: &str) -> bool {
        self.names.contains(name)
    }

    /// Notes that this case passed.
    pub(crate) fn add(&mut self, name: &str) -> Result<()> {
        writeln!(self.file, "{name}").context("could not note what passed")
    }
}

/// The names in the file's text, if it speaks of this tree. A line cut short by a kill has no end and doesn't count.
fn names(text: &str, tree: &str) -> Option<BTreeSet<String>> {
    let (first, rest) = text.split_once('\n')?;
    let whole = rest.rsplit_once('\n').map_or("", |(whole, _cut)| whole);
    (first == tree).then(|| whole.lines().map(str::to_owned).collect())
}

/// The hash of the tree as it is now, with what isn't committed and what is new, without what git ignores.
fn tree(workspace: &Workspace, index: &Path) -> Result<String> {
    // In an index of its own: what the developer has staged is left alone.
    let git = || Program::new("git").dir(&workspace.root).env("GIT_INDEX_FILE", index);
    git().args(["add", "--all"]).output().context("--all keeps what passed by git's hash of the tree")?;
    Ok(git().arg("write-tree").output()?.trim().to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_passed_is_there_after_a_stop_and_gone_on_another_tree() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passed");
        let mut passed = Passed::read(&path, "aaaa", false).unwrap();
        passed.add("power::off").unwrap();

        let again = Passed::read(&path, "aaaa", false).unwrap();
        assert!(again.contains("power::off") && !again.contains("disk::pull"));
        assert!(!Passed::read(&path, "bbbb", false).unwrap().contains("power::off"));
        assert!(!Passed::read(&path, "aaaa", false).unwrap().contains("power::off"), "the other tree started over");
    }

    #[test]
    fn fresh_starts_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("passed");
        Passed::read(&path, "aaaa", false).unwrap().add("power::off").unwrap();
        assert!(!Passed::read(&path, "aaaa", true).unwrap().contains("power::off"));
        assert!(!Passed::read(&path, "aaaa", false).unwrap().contains("power::off"));
    }

    #[test]
    fn a_name_cut_short_does_not_count() {
        assert_eq!(names("aaaa\npower::off\ndisk::pu", "aaaa"), Some(BTreeSet::from(["power::off".to_owned()])));
        assert_eq!(names("aaa", "aaaa"), None);
        assert_eq!(names("", "aaaa"), None);
    }
}
