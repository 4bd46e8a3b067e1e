//! One run of the lab: alone on this machine, in a folder of its own, with nothing left behind.

use std::fs::{self, File, OpenOptions, TryLockError};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use anyhow::{Context, Result};

use crate::exec::Program;
use crate::workspace::Workspace;

/// Tells the tests the folder in which they make their labs.
pub(crate) const RUN_DIR: &str = "STEAD_LAB_RUN_DIR";

/// The file by which a folder is known to hold a lab.
const LAB_FILE: &str = "lab.json";

/// A run of the lab that has begun. What ends it is [`LabRun::finish`], not a drop: it can fail.
pub(crate) struct LabRun {
    folder: PathBuf,
    failed: PathBuf,
    stead: PathBuf,
    interrupted: Arc<AtomicBool>,
    _lock: File,
}

impl LabRun {
    /// Waits for the lab runs before it, takes down what killed ones left, and makes a folder.
    ///
    /// From here on Ctrl-C ends what xtask has started, and not xtask, which has labs to take down.
    pub(crate) fn start(workspace: &Workspace, stead: &Path) -> Result<Self> {
        let lock = lock()?;
        let interrupted = Arc::new(AtomicBool::new(false));
        signal_hook::flag::register(signal_hook::consts::SIGINT, Arc::clone(&interrupted))
            .context("could not listen for Ctrl-C")?;

        let runs = workspace.target.join("lab-run");
        fs::create_dir_all(&runs).with_context(|| format!("could not create {}", runs.display()))?;
        for folder in folders_in(&runs)? {
            eprintln!("taking down what an earlier run left in {}", folder.display());
            take_down(&folder, stead)?;
        }
        let new = tempfile::Builder::new().prefix("").rand_bytes(6).tempdir_in(&runs);
        let folder = new.with_context(|| format!("could not create a folder in {}", runs.display()))?.keep();
        let failed = workspace.target.join("lab-failed");
        Ok(Self { folder, failed, stead: stead.to_owned(), interrupted, _lock: lock })
    }

    /// Where this run's labs are.
    pub(crate) fn folder(&self) -> &Path {
        &self.folder
    }

    /// Whether Ctrl-C was pressed.
    pub(crate) fn interrupted(&self) -> bool {
        self.interrupted.load(Ordering::Relaxed)
    }

    /// Takes every lab of this run down. Of a run that failed, it keeps what the labs wrote down.
    pub(crate) fn finish(self, failed: bool) -> Result<()> {
        let kept = if failed { keep_logs(&self.folder, &self.failed) } else { Ok(()) };
        take_down(&self.folder, &self.stead)?;
        kept
    }
}

/// Holds a lock that all checkouts of one user share: two labs at once are slower than one after the other, and their
/// time limits are for one.
fn lock() -> Result<File> {
    let path = match std::env::var_os("XDG_RUNTIME_DIR") {
        Some(folder) if !folder.is_empty() => PathBuf::from(folder).join("stead-lab-test.lock"),
        _ => {
            let uid = fs::metadata("/proc/self").context("could not ask /proc who runs this")?.uid();
            PathBuf::from(format!("/tmp/stead-lab-test-{uid}.lock"))
        }
    };
    let context = || format!("could not lock {}", path.display());
    let file = OpenOptions::new().create(true).truncate(false).write(true).open(&path).with_context(context)?;
    match file.try_lock() {
        Ok(()) => {}
        Err(TryLockError::WouldBlock) => {
            eprintln!("another run of the lab holds {}; waiting for it to end", path.display());
            file.lock().with_context(context)?;
        }
        Err(TryLockError::Error(error)) => return Err(error).with_context(context),
    }
    Ok(file)
}

/// Takes down every lab in `folder`, then removes it.
fn take_down(folder: &Path, stead: &Path) -> Result<()> {
    let mut labs = files_below(folder)?;
    labs.retain(|file| file.file_name().is_some_and(|name| name == LAB_FILE));
    for lab in labs.iter().filter_map(|file| file.parent()) {
        // The lab's folder is left where it is when it can't be taken down: the next run finds and tries it again.
        Program::new(stead)
            .args(["lab", "down", "--dir"])
            .arg(lab)
            .run()
            .with_context(|| format!("a lab is left in {}", lab.display()))?;
    }
    if folder.exists() {
        fs::remove_dir_all(folder).with_context(|| format!("could not remove {}", folder.display()))?;
    }
    Ok(())
}

/// Copies what the labs in `from` wrote down, not their disks, to `to`, in place of what an earlier run left there.
fn keep_logs(from: &Path, to: &Path) -> Result<()> {
    let context = || format!("could not keep the lab's logs in {}", to.display());
    if to.exists() {
        fs::remove_dir_all(to).with_context(context)?;
    }
    let is_log = |file: &PathBuf| file.extension().is_some_and(|end| end == "log") || file.ends_with(LAB_FILE);
    for file in files_below(from)?.into_iter().filter(is_log) {
        let copy = to.join(file.strip_prefix(from).context("a file that is not where it was found")?);
        fs::create_dir_all(copy.parent().unwrap_or(to)).with_context(context)?;
        fs::copy(&file, &copy).with_context(context)?;
    }
    if to.exists() {
        eprintln!("the labs' logs are kept in {}", to.display());
    }
    Ok(())
}

fn folders_in(folder: &Path) -> Result<Vec<PathBuf>> {
    Ok(entries(folder)?.into_iter().filter(|path| path.is_dir() && !path.is_symlink()).collect())
}

/// Every file below `folder`; links are not followed.
fn files_below(folder: &Path) -> Result<Vec<PathBuf>> {
    let mut files = Vec::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(next) = folders.pop() {
        for path in entries(&next)? {
            if path.is_dir() && !path.is_symlink() {
                folders.push(path);
            } else if path.is_file() {
                files.push(path);
            }
        }
    }
    Ok(files)
}

fn entries(folder: &Path) -> Result<Vec<PathBuf>> {
    let context = || format!("could not read {}", folder.display());
    let entries = fs::read_dir(folder).with_context(context)?;
    entries.map(|entry| Ok(entry.with_context(context)?.path())).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn run_with_a_lab() -> tempfile::TempDir {
        let folder = tempfile::tempdir().unwrap();
        let lab = folder.path().join("run/power/node1");
        fs::create_dir_all(&lab).unwrap();
        fs::write(folder.path().join("run/power/lab.json"), "{}").unwrap();
        fs::write(lab.join("console.log"), "booting").unwrap();
        fs::write(lab.join("os.qcow2"), "big").unwrap();
        folder
    }

    #[test]
    fn logs_are_kept_and_disks_are_not() {
        let folder = run_with_a_lab();
        let kept = folder.path().join("kept");
        fs::create_dir_all(&kept).unwrap();
        fs::write(kept.join("earlier.log"), "").unwrap();
        keep_logs(&folder.path().join("run"), &kept).unwrap();
        let mut files = files_below(&kept).unwrap();
        files.sort();
        assert_eq!(files, [kept.join("power/lab.json"), kept.join("power/node1/console.log")]);
    }

    #[test]
    fn a_lab_that_cannot_be_taken_down_stays_where_it_is_found() {
        let folder = run_with_a_lab();
        let run = folder.path().join("run");
        assert!(take_down(&run, Path::new("false")).is_err());
        assert!(run.join("power/lab.json").exists());
        take_down(&run, Path::new("true")).unwrap();
        assert!(!run.exists());
    }
}
