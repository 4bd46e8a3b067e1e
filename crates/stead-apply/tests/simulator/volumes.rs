//! A node's volumes: what its units mount, and the storage daemons of all nodes, which know the same.

use std::cell::RefCell;
use std::collections::BTreeSet;
use std::rc::Rc;

use camino::Utf8Path;
use stead_plan::inventory::{Activity, Known, Questions};
use stead_plan::op::Program;
use stead_plan::volumes::{Daemon, Storage};
use stead_spec::Bytes;

use crate::commands::{Cut, Ended, failed};
use crate::gluster::Gluster;
use crate::model::Node;

/// The daemons, and those of them that run.
pub(crate) type Pool = Rc<RefCell<(Gluster, BTreeSet<String>)>>;

const DAEMON: &str = "glusterd.service";
const RULES: &str = "/etc/udev/rules.d/91-stead-volumes.rules";

/// Where a unit mounts something.
fn place(unit: &str) -> Option<String> {
    let path = unit.strip_suffix(".mount").filter(|unit| unit.starts_with("srv-"))?;
    Some(format!("/{}", path.replace('-', "/").replace(r"\x2d", "-")))
}

impl Node {
    fn host(&self) -> String {
        format!("{}.core", self.name)
    }

    /// Has others see whether this node's daemon runs.
    fn publish_daemon(&mut self) {
        let (host, runs) = (self.host(), self.boot.activity.get(DAEMON) == Some(&Activity::Active));
        let running = &mut self.pool.borrow_mut().1;
        if runs {
            running.insert(host);
        } else {
            running.remove(&host);
        }
    }

    /// What stands on disks that are open, as udev has it.
    pub(crate) fn wake_volumes(&mut self) {
        if self.disk.files.contains_key(Utf8Path::new(RULES)) {
            let fstab = self.systemd_text("/etc/fstab");
            let places: Vec<&str> = fstab
                .lines()
                .filter(|line| line.split_whitespace().nth(2) == Some("xfs"))
                .filter_map(|line| line.split_whitespace().nth(1))
                .collect();
            for place in places {
                // One whose disk is closed waits.
                let _ = self.drives.mount(place, &fstab);
            }
        }
        self.publish_daemon();
    }

    /// What is known of a unit that mounts a volume of one node's.
    pub(crate) fn volume_unit(&self, unit: &str) -> Option<Activity> {
        let mounted = self.drives.has_mounted(&place(unit)?);
        Some(if mounted { Activity::Active } else { Activity::Inactive })
    }

    /// `systemctl start` of such a unit.
    pub(crate) fn start_volume_unit(&mut self, unit: &str) -> Option<Ended> {
        let (place, fstab) = (place(unit)?, self.systemd_text("/etc/fstab"));
        Some(self.drives.mount(&place, &fstab).or_else(failed))
    }

    /// Programs that are about volumes.
    pub(crate) fn volume_command(&mut self, program: Program, words: &[&str], cut: Cut) -> Option<Ended> {
        self.publish_daemon();
        let host = self.host();
        let (gluster, running) = &mut *self.pool.borrow_mut();
        match program {
            Program::Gluster => {
                let ran = gluster.run(&host, words, &|host| running.contains(host), cut == Cut::Half)?;
                Some(ran.or_else(failed))
            }
            Program::Install => {
                if cut == Cut::None {
                    gluster.install(words);
                }
                Some(Ok(()))
            }
            Program::Mkdir => Some(Ok(())),
            _ => None,
        }
    }

    /// What an agent tells of volumes.
    pub(crate) fn storage(&self, questions: &Questions) -> Storage {
        let (gluster, host) = (&self.pool.borrow().0, self.host());
        let daemon = if self.boot.activity.get(DAEMON) == Some(&Activity::Active) {
            gluster.tell(&host)
        } else if gluster.members.contains(&host) {
            Daemon::Stopped
        } else {
            Daemon::New
        };
        let brick = |folder: &camino::Utf8PathBuf| {
            let place = folder.parent().map_or("", Utf8Path::as_str);
            let there = self.drives.has_mounted(place) && self.disk.files.contains_key(folder);
            let there = there.then(|| gluster.brick(&host, folder.as_str(), Bytes::gib(700)));
            (folder.clone(), Known::Is(there))
        };
        let bricks = questions.bricks.iter().map(brick).collect();
        Storage { daemon: Known::Is(daemon), written: gluster.written(&host), bricks }
    }
}
