//! What apt would update.

use std::collections::BTreeMap;

use stead_plan::inventory::{Architecture, Update};
use stead_plan::op::{Command, Program};

use super::packages::name_here;

/// Seconds for apt to read its lists and think: a second or two on a PC, a minute on a virtual node without KVM.
const TIMEOUT: u32 = 120;

/// What asks apt. It takes no lock, so it may run while another apt works.
pub(crate) fn command() -> Command {
    let words = ["--simulate", "-o", "Debug::NoLocking=true", "--with-new-pkgs", "upgrade"];
    Program::AptGet.command().args(words).timeout(TIMEOUT)
}

/// What [`command`] printed, by name. Packages that come new with an update, such as the next kernel, are not in it.
pub(crate) fn parse(text: &str, native: &Architecture) -> Result<BTreeMap<String, Update>, String> {
    let installed = text.lines().filter_map(|line| line.strip_prefix("Inst "));
    let updates = installed.filter_map(|line| update(line, native).map_err(|()| line).transpose());
    updates.collect::<Result<_, _>>().map_err(|line| format!("apt-get printed `Inst {line}`"))
}

/// `NAME [FROM] (TO ARCHIVE, ARCHIVE… [ARCHITECTURE])`, and more in brackets behind it.
fn update(line: &str, native: &Architecture) -> Result<Option<(String, Update)>, ()> {
    let (name, rest) = line.split_once(' ').ok_or(())?;
    let Some((from, rest)) = rest.strip_prefix('[').and_then(|rest| rest.split_once("] ")) else {
        return Ok(None);
    };
    let (to, archives) = rest.strip_prefix('(').and_then(|rest| rest.split_once(' ')).ok_or(())?;
    let (archives, _) = archives.split_once(')').ok_or(())?;
    let security = archives.contains("Debian-Security");
    let update = Update { from: from.to_owned(), to: to.to_owned(), security };
    Ok(Some((name_here(name, native).to_owned(), update)))
}
