//! What is made from the code and committed. A test of `stead` compares it with what the code makes now.

use anyhow::{Context, Result};

use crate::workspace::Workspace;

/// Each file, and what `stead` is asked for it.
const FILES: [(&str, &[&str]); 2] =
    [("docs/stead.schema.json", &["schema"]), ("docs/reference/cluster-file.md", &["schema", "--reference"])];

/// Writes them anew.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    for (file, arguments) in FILES {
        let cargo = workspace.cargo().args(["run", "--quiet", "--package", "stead", "--"]).args(arguments);
        let path = workspace.root.join(file);
        if let Some(folder) = path.parent() {
            std::fs::create_dir_all(folder).with_context(|| format!("could not make {}", folder.display()))?;
        }
        std::fs::write(&path, cargo.output()?).with_context(|| format!("could not write {file}"))?;
        println!("{file}");
    }
    Ok(())
}
