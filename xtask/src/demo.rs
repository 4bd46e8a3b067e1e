//! A whole cluster on this one machine, to look at and to break.

use anyhow::Result;

use crate::exec::Program;
use crate::workspace::Workspace;

/// Brings the demo's lab up, unless it is, and says what can be pulled.
pub(crate) fn run(workspace: &Workspace) -> Result<()> {
    workspace.cargo().args(["build", "--package", "stead"]).run()?;
    let stead = workspace.link(&workspace.stead())?;
    let dir = workspace.target.join("demo");
    let lab = |command| Program::new(&stead).args(["lab", command, "--dir"]).arg(&dir);
    // `status` has 2 for a lab with something pulled: that is a lab that is up.
    let up = dir.join("lab.json").exists() && matches!(lab("status").status()?.code(), Some(0 | 2));
    if !up {
        lab("up").run()?;
    }
    let alias = format!("alias lab='{} lab --dir {}'", stead.display(), dir.display());
    print!("{}", WHAT_NOW.replace("{alias}", &alias));
    Ok(())
}

const WHAT_NOW: &str = "
Three Debian nodes, three switches and an outside tang box are up. For this shell:

  {alias}

  lab status                       what runs, and what is pulled
  lab ssh node1                    a shell on a node
  lab console node1                its serial console
  lab power node2 off              pull a node's power: what wasn't flushed is gone
  lab power node2 on
  lab cable node1 1 out            pull a cable: the carrier goes
  lab cable node1 1 in
  lab switch 2 off                 a switch dies, and the carrier stays
  lab switch 2 on
  lab disk node3 disk1 pull        pull a disk while it is in use
  lab disk node3 disk1 insert
  lab tang off                     nobody outside answers when a node wants to unlock
  lab tang on
  lab snapshot save before         all of it as one picture …
  lab snapshot load before         … and back, whatever was broken since
  lab down                         switch it off and leave nothing
";
