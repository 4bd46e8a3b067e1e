//! A node's drives: the engines' model on this node's files and units, and the tangs of the others.

use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::rc::Rc;

use stead_plan::disks::TangKey;
use stead_plan::inventory::{Activity, Mode};
use stead_plan::op::{Argument, Op, OutputKind, Program, Vacant};
use stead_plan::step::StepId;
use stead_spec::units::{NodeName, Thumbprint};

use crate::commands::{Cut, Ended, Failure, failed};
use crate::drives::{Around, Drive, Drives, Key, blank};
use crate::model::{Entry, Node};

/// Which tangs answer, by their URLs, and who signs for them.
pub(crate) type Tangs = Rc<RefCell<BTreeMap<String, BTreeSet<Thumbprint>>>>;

const TANG: &str = "tangd.socket";
const ANSWERS: &str = "clevis-luks-askpass.path";
const DROP_IN: &str = "/etc/systemd/system/tangd.socket.d/stead.conf";
const RULES: &str = "/etc/udev/rules.d/90-stead-disks.rules";
const VAULT: &str = "var-lib-stead-vault.mount";

/// The drives of a node whose name ends in its number: a blank one, and one that nobody gave to stead.
pub(crate) fn hardware(name: &NodeName) -> Drives {
    let number = name.as_ref().trim_start_matches(|c: char| !c.is_ascii_digit());
    let mut mine = blank(&format!("ata-EXAMPLE_HDD_4TB_MINE{number}"), "sdc");
    mine.other = Some("ext4".to_owned());
    let all = vec![blank(&format!("ata-EXAMPLE_SSD_1TB_S{number}"), "sdb"), mine];
    Drives { all, node: name.to_string(), ..Drives::default() }
}

fn mapping(unit: &str) -> Option<&str> {
    unit.strip_prefix("systemd-cryptsetup@")?.strip_suffix(".service").filter(|name| name.starts_with("stead_"))
}

impl Node {
    fn is_active(&self, unit: &str) -> bool {
        self.boot.activity.get(unit) == Some(&Activity::Active)
    }

    /// A step begins.
    pub(crate) fn begin(&mut self, step: &StepId) {
        (self.doing, self.told) = (Some(step.clone()), Vec::new());
    }

    /// Has others see whether this node's tang answers.
    pub(crate) fn publish(&mut self) {
        let read = self.boot.read.get(TANG).and_then(|read| read.get(camino::Utf8Path::new(DROP_IN)));
        let text = if let Some(crate::model::Entry::File { text, .. }) = read { text.as_str() } else { "" };
        let address = text.lines().filter_map(|line| line.strip_prefix("ListenStream=10")).next_back();
        let Some(url) = address.map(|address| format!("http://10{address}")) else { return };
        let keys = self.drives.tang.advertised.values();
        let signs = keys.filter_map(|key| if let TangKey::Signs(key) = key { Some(key.clone()) } else { None });
        let signs: BTreeSet<Thumbprint> = signs.collect();
        if self.is_active(TANG) && !signs.is_empty() {
            self.tangs.borrow_mut().insert(url, signs);
        } else {
            self.tangs.borrow_mut().remove(&url);
        }
    }

    /// What systemd last read of crypttab.
    fn crypttab(&self) -> String {
        self.systemd_text("/etc/crypttab")
    }

    fn around<T>(&mut self, half: bool, with: impl FnOnce(&mut Drives, &Around<'_>) -> T) -> T {
        let (crypttab, tangs) = (self.crypttab(), self.tangs.clone());
        let answers = |url: &str| tangs.borrow().get(url).cloned();
        with(&mut self.drives, &Around { crypttab: &crypttab, answers: &answers, half })
    }

    /// Disks that wait open as soon as those answer who open them; what stands on them follows.
    pub(crate) fn wake(&mut self) {
        let closed = |drive: &Drive| drive.header.is_some() && !drive.open;
        if self.boot.mounted && !self.drives.all.iter().any(closed) {
            return self.wake_volumes();
        }
        if self.is_active(ANSWERS) && self.disk.files.contains_key(camino::Utf8Path::new(RULES)) {
            self.around(false, Drives::open_all);
            if self.drives.vault().is_some() && self.systemd_text("/etc/fstab").contains("/var/lib/stead/vault") {
                self.boot.mounted = true;
            }
        }
        self.wake_volumes();
    }

    /// All disks are closed again.
    pub(crate) fn boot_drives(&mut self) {
        self.drives.boot();
    }

    /// What is known of a unit that is about drives.
    pub(crate) fn drive_unit(&self, unit: &str) -> Option<Activity> {
        if unit == VAULT {
            return Some(if self.boot.mounted { Activity::Active } else { Activity::Inactive });
        }
        let name = mapping(unit)?;
        let open = self
            .drives
            .all
            .iter()
            .any(|drive| drive.open && drive.header.as_ref().is_some_and(|header| header.label == name));
        Some(if open { Activity::Active } else { Activity::Inactive })
    }

    /// `systemctl start` of such a unit.
    pub(crate) fn start_drive_unit(&mut self, unit: &str) -> Option<Ended> {
        if unit == VAULT {
            let there =
                self.drives.vault().is_some() && self.systemd_text("/etc/fstab").contains("/var/lib/stead/vault");
            self.boot.mounted |= there;
            return Some(if there { Ok(()) } else { failed("Unit var-lib-stead-vault.mount not found.") });
        }
        let name = mapping(unit)?.to_owned();
        if !self.is_active(ANSWERS) {
            return Some(failed("timed out: nobody answers"));
        }
        Some(self.around(false, |drives, around| drives.attach(&name, around)).or_else(failed))
    }

    /// Programs that are about drives.
    pub(crate) fn drive_command(
        &mut self,
        program: Program,
        words: &[&str],
        stdin: Option<&str>,
        cut: Cut,
    ) -> Option<Ended> {
        let ran = self.around(cut == Cut::Half, |drives, around| drives.run(program, words, stdin, around))?;
        self.publish();
        Some(match ran {
            Ok(told) => {
                self.archive(program, words);
                if let Some(told) = told {
                    self.told.push((OutputKind::Thumbprint, told));
                }
                Ok(())
            }
            Err(why) => failed(why),
        })
    }

    /// LVM keeps a copy of a group's metadata from the moment in which it is made.
    fn archive(&mut self, program: Program, words: &[&str]) {
        let copy = |name: &str| camino::Utf8PathBuf::from(format!("/etc/lvm/backup/{name}"));
        match (program, words) {
            (Program::Vgcreate, ["--addtag", _, name, _]) => {
                let file = Entry::File { mode: Mode(0o600), text: "# Generated by LVM2\n".to_owned() };
                self.disk.files.insert(copy(name), file);
            }
            (Program::Rm, ["-f", "--", paths @ ..]) => {
                for path in paths {
                    self.disk.files.remove(camino::Utf8Path::new(path));
                }
            }
            _ => {}
        }
    }

    /// Operations that are about drives.
    pub(crate) fn drive_op(&mut self, op: &Op, cut: Cut) -> Option<Ended> {
        Some(match op {
            Op::Vacant(wanted) => self.vacant(wanted),
            Op::Take { path, output } => match self.drives.take(path.as_str()) {
                Ok(content) => {
                    self.told.push((*output, content));
                    Ok(())
                }
                Err(why) => failed(why),
            },
            Op::Place { path, content } => {
                let Argument::Text(content) = content else { return None };
                if !self.boot.mounted {
                    return Some(failed(
                        "could not make the folder /var/lib/stead/vault/headers: Operation not permitted",
                    ));
                }
                if cut == Cut::None {
                    self.drives.place(path.file_name().unwrap_or_default(), content);
                }
                Ok(())
            }
            _ => return None,
        })
    }

    /// Each disk that is encrypted opens by its sealed key.
    pub(crate) fn drives_are_whole(&self, secrets: &[(&str, &str)]) -> Result<(), String> {
        for drive in &self.drives.all {
            let id = drive.facts.ids.first().map_or("", String::as_str);
            let Some(header) = &drive.header else {
                if drive.other.is_none() {
                    return Err(format!("{id} is not encrypted"));
                }
                continue;
            };
            let sealed =
                secrets.iter().find(|(name, _)| *name == format!("disk/{id}")).map(|(_, key)| (*key).to_owned());
            match (header.slots.get(&0), sealed) {
                (Some(Key::Passphrase(key)), Some(sealed)) if *key == sealed => {}
                (there, _) => return Err(format!("the sealed key doesn't open {id}: {there:?}")),
            }
            if !drive.open {
                return Err(format!("{id} is closed"));
            }
        }
        Ok(())
    }

    fn vacant(&mut self, wanted: &Vacant) -> Ended {
        if let Err(why) = self.drives.prove(wanted) {
            return failed(why);
        }
        let Some(step) = self.doing.clone() else {
            return Err(Failure::Unheard("a proof outside of a step".to_owned()));
        };
        for disk in [&mut self.disk, &mut self.flushed] {
            disk.vacated.insert(step.clone(), wanted.identity.clone());
        }
        Ok(())
    }
}

/// Whether this is what was shown, with what earlier steps found out in the places of its marks.
pub(crate) fn is_as_shown(shown: &[Op], told: &[Op]) -> bool {
    let open = |op: &Op| match op {
        Op::Place { .. } => true,
        Op::Run(command) => {
            let stdin = command.stdin.iter().any(|stdin| !stdin.outputs.is_empty());
            stdin || command.arguments.iter().any(|word| !matches!(word, Argument::Text(_)))
        }
        _ => false,
    };
    let alike = |shown: &Op, told: &Op| match (shown, told) {
        (Op::Place { path, .. }, Op::Place { path: at, .. }) => path == at,
        (Op::Run(shown), Op::Run(told)) => {
            shown.program == told.program && shown.arguments.len() == told.arguments.len()
        }
        _ => false,
    };
    shown.len() == told.len()
        && shown.iter().zip(told).all(|(shown, told)| shown == told || (open(shown) && alike(shown, told)))
}
