//! What an agent would tell of a node.

use camino::{Utf8Path, Utf8PathBuf};
use stead_plan::MARK;
use stead_plan::generation::Stamp;
use stead_plan::inventory::{
    Activity, Architecture, Clock, Enablement, File, FileState, Known, NodeInventory, Package, Questions, Release,
    System, Unit,
};
use stead_plan::secret::masked;
use stead_plan::step::StepId;
use stead_spec::Bytes;

use crate::model::{Entry, Node, SWAP};

/// Larger texts travel nowhere.
const LARGEST_TEXT: usize = 64 << 10;

impl Node {
    /// Looks.
    pub(crate) fn look(&self, questions: &Questions) -> NodeInventory {
        let marked = |path: &Utf8PathBuf, entry: &Entry| match entry {
            Entry::File { text, .. } => {
                text.contains(MARK) && questions.folders.iter().any(|folder| path.parent() == Some(folder))
            }
            _ => false,
        };
        let asked = questions.files.iter().map(|path| (path.clone(), Known::Is(self.file(path, questions))));
        let found = self.disk.files.iter().filter(|(path, entry)| marked(path, entry));
        let found = found.map(|(path, _)| (path.clone(), Known::Is(self.file(path, questions))));
        let synchronised = self.boot.activity.get("chrony.service") == Some(&Activity::Active) && self.ahead == 0;
        let users = self.disk.users.iter();
        let users = users.filter(|(name, user)| questions.users.contains(*name) || user.groups.contains("sudo"));
        NodeInventory {
            system: System {
                release: Release::Trixie,
                architecture: Architecture::Amd64,
                kernel: "6.12.0-amd64".to_owned(),
                boot_id: format!("{}-{}", self.name, self.boot.number),
                cpus: 4,
                memory: Bytes::gib(8),
                free: Known::Is(Bytes::gib(50)),
            },
            clock: Clock { ahead: self.ahead, uncertainty: 2, synchronised: Known::Is(synchronised) },
            stamp: Known::Is(self.stamp()),
            generation: Known::Is(self.disk.kept.as_ref().map(|kept| kept.generation.clone())),
            unfinished: Known::Is(self.disk.unfinished.clone()),
            hostname: Known::Is(self.text("/etc/hostname").trim().to_owned()),
            timezone: Known::Is(self.timezone()),
            packages: Known::Is(self.disk.packages.iter().map(package).collect()),
            updates: None,
            units: Known::Is(questions.units.iter().map(|unit| (unit.clone(), self.unit_state(unit))).collect()),
            files: found.chain(asked).collect(),
            users: Known::Is(users.map(|(name, user)| (name.clone(), user.clone())).collect()),
            sysctl: questions
                .sysctl
                .iter()
                .map(|key| (key.clone(), Known::Is(self.boot.sysctl.get(key).cloned())))
                .collect(),
            swaps: Known::Is(self.boot.swaps.clone()),
            watchdogs: Known::Is(self.watchdogs()),
            nics: Known::Is(self.networks.nics.clone()),
            routes: Known::Is(self.networks.routes.clone()),
            ovs: Known::Is(self.ovs()),
            routing: Known::Is(self.routing()),
            firewall: Known::Is(self.networks.firewall.clone()),
            tang: Known::Is(Some(self.drives.tang.clone())),
            pools: Known::Is(self.drives.pools.clone()),
            headers: Known::Is(if self.boot.mounted {
                self.drives.kept.clone()
            } else {
                std::collections::BTreeMap::new()
            }),
            vacated: Known::Is(self.vacated()),
            storage: self.storage(questions),
            hypervisor: self.hypervisor(questions),
            disks: Known::Is(self.drives.tell(self.boot.mounted)),
        }
    }

    /// What is begun to be formatted, and has not ended.
    fn vacated(&self) -> std::collections::BTreeMap<StepId, String> {
        let mut vacated = self.disk.vacated.clone();
        vacated.retain(|step, _| self.disk.unfinished.contains(step));
        vacated
    }

    fn file(&self, path: &Utf8Path, questions: &Questions) -> FileState {
        let owner = || format!("root:{}", self.disk.groups.get(path).map_or("root", String::as_str));
        match self.disk.files.get(path) {
            None => FileState::Absent,
            Some(Entry::Link(target)) => FileState::Link(target.clone()),
            Some(Entry::Folder { mode }) => FileState::Folder { mode: *mode, owner: owner() },
            Some(Entry::Space(size)) => {
                let mode = stead_plan::inventory::Mode(0o600);
                FileState::File(File { mode, owner: owner(), sha256: digest(&size.to_string()), text: None })
            }
            Some(Entry::File { mode, text }) => {
                let after = questions.secrets.get(path).filter(|_| text.contains(MARK));
                if let Some(text) = after.map(|after| masked(text, after)) {
                    let (sha256, text) = (digest(&text), Some(text));
                    return FileState::File(File { mode: *mode, owner: owner(), sha256, text });
                }
                let shown = mode.0 & 0o004 != 0 && text.len() <= LARGEST_TEXT;
                let sha256 = digest(text);
                FileState::File(File { mode: *mode, owner: owner(), sha256, text: shown.then(|| text.clone()) })
            }
        }
    }

    pub(crate) fn text(&self, path: &str) -> &str {
        match self.disk.files.get(Utf8Path::new(path)) {
            Some(Entry::File { text, .. }) => text,
            _ => "",
        }
    }

    /// Whose node it is.
    pub(crate) fn stamp(&self) -> Option<Stamp> {
        serde_json::from_str(self.text("/var/lib/stead/stamp.json")).ok()
    }

    fn timezone(&self) -> String {
        match self.disk.files.get(Utf8Path::new("/etc/localtime")) {
            Some(Entry::Link(target)) => target.as_str().trim_start_matches("/usr/share/zoneinfo/").to_owned(),
            _ => "UTC".to_owned(),
        }
    }

    fn unit_state(&self, unit: &str) -> Unit {
        if unit == SWAP {
            // A generator makes it of fstab.
            let there = !self.boot.swaps.is_empty();
            let enablement = if there { Enablement::Other } else { Enablement::Absent };
            return Unit { enablement, activity: if there { Activity::Active } else { Activity::Inactive } };
        }
        if let Some(activity) = self.drive_unit(unit) {
            return Unit { enablement: Enablement::Other, activity };
        }
        if let Some(activity) = self.volume_unit(unit) {
            return Unit { enablement: Enablement::Other, activity };
        }
        Unit {
            enablement: self.disk.units.get(unit).copied().unwrap_or(if self.has_unit_file(unit) {
                Enablement::Disabled
            } else {
                Enablement::Absent
            }),
            activity: self.boot.activity.get(unit).copied().unwrap_or(Activity::Inactive),
        }
    }
}

fn package((name, state): (&String, &stead_plan::inventory::PackageState)) -> (String, Package) {
    (name.clone(), Package { version: "1.0-1".to_owned(), state: *state })
}

/// Of a text.
pub(crate) fn digest(text: &str) -> stead_spec::units::Sha256 {
    stead_plan::inventory::sha256(text)
}
