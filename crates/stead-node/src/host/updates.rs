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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each;

    fn update(from: &str, to: &str, security: bool) -> Update {
        Update { from: from.to_owned(), to: to.to_owned(), security }
    }

    #[test]
    fn both_releases() {
        for (release, text) in each("apt-get.txt") {
            let updates = parse(&text, &Architecture::Amd64).unwrap();
            // `example-new` comes new with an update.
            assert_eq!(updates.keys().collect::<Vec<_>>(), ["example-security", "example-stable"], "{release}");
            assert_eq!(updates["example-stable"], update("1.0-1", "1.1-1", false), "{release}");
            assert_eq!(updates["example-security"], update("1.0-1", "1.1-1", true), "{release}");
        }
    }

    #[test]
    fn several_archives_and_more_behind() {
        let text = "Inst libssl3:amd64 [3.0.1-1] (3.0.2-1 Debian:12.15/oldstable, Debian-Security:12/oldstable-security \
                    [amd64]) [openssl:amd64 ]\nConf libssl3 (3.0.2-1 Debian:12.15/oldstable [amd64])\n";
        let expected = BTreeMap::from([("libssl3".to_owned(), update("3.0.1-1", "3.0.2-1", true))]);
        assert_eq!(parse(text, &Architecture::Amd64).unwrap(), expected);
    }

    #[test]
    fn half_a_line_is_an_error() {
        let error = parse("Inst bash [5.2-1] (5.3-1\n", &Architecture::Amd64).unwrap_err();
        assert_eq!(error, "apt-get printed `Inst bash [5.2-1] (5.3-1`");
    }
}
