//! The engine's processes. `gluster volume status` tells of them too, but asks all nodes, and waits for one that is gone.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;

use crate::place::Place;

/// Which of them run.
#[derive(Debug, Default, PartialEq, Eq)]
pub(super) struct Processes {
    /// The daemon.
    pub(super) daemon: bool,
    /// Bricks that are served, by their folders.
    pub(super) bricks: BTreeSet<Utf8PathBuf>,
}

impl Processes {
    /// By their command lines, `glusterfsd … --brick-name FOLDER …` (10.3 and 11.1).
    pub(super) fn look(place: &Place) -> Self {
        let mut found = Self::default();
        let pids = place.names("/proc").unwrap_or_default();
        for pid in pids.iter().filter(|name| name.bytes().all(|byte| byte.is_ascii_digit())) {
            // It may have ended meanwhile.
            let Ok(line) = place.text(format!("/proc/{pid}/cmdline")) else { continue };
            let mut words = line.split('\0');
            match words.next().and_then(|program| program.rsplit('/').next()) {
                Some("glusterd") => found.daemon = true,
                Some("glusterfsd") => {
                    found.bricks.extend(words.skip_while(|word| *word != "--brick-name").nth(1).map(Utf8PathBuf::from));
                }
                _ => {}
            }
        }
        found
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Node;

    #[test]
    fn processes_are_known_by_their_command_lines() {
        let node = Node::new();
        node.write("/proc/12/cmdline", "/usr/sbin/glusterd\0-p\0/run/glusterd.pid\0");
        let brick = "/usr/sbin/glusterfsd\0-s\0node1.core\0--brick-name\0/srv/bricks/stead_1a/brick\0-l\0/var/log/x\0";
        node.write("/proc/345/cmdline", brick);
        node.write("/proc/400/cmdline", "/usr/bin/vim\0/usr/sbin/glusterfsd\0--brick-name\0/x\0");
        node.write("/proc/self/cmdline", "/usr/sbin/glusterfsd\0--brick-name\0/y\0");
        let found = Processes::look(&node.place);
        assert_eq!(found, Processes { daemon: true, bricks: ["/srv/bricks/stead_1a/brick".into()].into() });
        assert_eq!(Processes::look(&Node::new().place), Processes::default());
    }
}
