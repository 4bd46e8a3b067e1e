//! Where things are: the checkout and what is built from it.

use std::path::PathBuf;

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

    /// The `stead` that the tests and the demo run: a debug build.
    pub(crate) fn stead(&self) -> PathBuf {
        self.target.join("debug/stead")
    }

    /// cargo, in the checkout.
    pub(crate) fn cargo(&self) -> Program {
        Program::cargo().dir(&self.root)
    }
}
