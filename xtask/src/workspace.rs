//! Where things are: the checkout and what is built from it.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use serde::Deserialize;

use crate::exec::Program;

/// The checkout and its build folder.
#[derive(Deserialize)]
pub(crate) struct Workspace {
    /// The checkout's top folder.
    #[serde(rename = "workspace_root")]
    pub(crate) root: PathBuf,
    /// Where cargo builds: `target`, or what `CARGO_TARGET_DIR` says.
    #[serde(rename = "target_directory")]
    pub(crate) target: PathBuf,
}

impl Workspace {
    /// Asks cargo.
    pub(crate) fn find() -> Result<Self> {
        let json = Program::cargo().args(["metadata", "--no-deps", "--format-version", "1"]).output()?;
        serde_json::from_str(&json).context("cargo metadata is not as expected")
    }

    /// The `stead` that the tests run, and the demo: a debug build.
    pub(crate) fn stead(&self) -> PathBuf {
        self.built("debug")
    }

    /// The `stead` that a user has.
    pub(crate) fn release(&self) -> PathBuf {
        self.built("release")
    }

    /// `.cargo/config.toml` names a target, so cargo puts what it builds into a folder of that name.
    fn built(&self, profile: &str) -> PathBuf {
        let target = format!("{}-unknown-linux-gnu", std::env::consts::ARCH);
        self.target.join(target).join(profile).join("stead")
    }

    /// Puts a build where the README says that `stead` is: `target/stead`.
    pub(crate) fn link(&self, built: &Path) -> Result<PathBuf> {
        let path = self.target.join("stead");
        let context = || format!("could not link {} to {}", path.display(), built.display());
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error).with_context(context),
            _ => fs::hard_link(built, &path).with_context(context)?,
        }
        Ok(path)
    }

    /// cargo, in the checkout.
    pub(crate) fn cargo(&self) -> Program {
        Program::cargo().dir(&self.root)
    }
}
