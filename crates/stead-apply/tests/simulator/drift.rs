//! What people and accidents do behind stead's back.

use stead_plan::MARK;
use stead_plan::inventory::{Enablement, PackageState};

use crate::drives::Key;
use crate::model::{Entry, SYSCTL};
use crate::world::{Place, is_steads_own};

/// One thing.
pub(crate) fn drift(place: &mut Place, seed: u64) {
    let mut rng = fastrand::Rng::with_seed(seed);
    let node = &mut place.node;
    match rng.u8(..11) {
        0..=2 => {
            // A file that stead manages.
            let managed = node.disk.files.iter().filter(|(path, entry)| match entry {
                Entry::File { text, .. } => text.starts_with(&format!("# {MARK}")) && !is_steads_own(path),
                _ => false,
            });
            let managed: Vec<_> = managed.map(|(path, _)| path.clone()).collect();
            let Some(path) = rng.choice(managed) else { return };
            match (rng.u8(..3), node.disk.files.get_mut(&path)) {
                (0, _) => drop(node.disk.files.remove(&path)),
                (1, Some(Entry::File { text, .. })) => text.push_str("# and a line of mine\n"),
                (_, Some(Entry::File { text, .. })) => {
                    *text = format!("# all mine {seed:x}\n");
                    let entry = node.disk.files[&path].clone();
                    place.theirs.files.insert(path, entry);
                }
                _ => {}
            }
        }
        3 => {
            // A file of their own, or one that they share with stead.
            let path = rng.choice(["/etc/hosts", "/etc/fstab", "/srv/someone/letter.txt"]).unwrap_or_default();
            let line = format!("# mine {seed:x}\n");
            for disk in [&mut node.disk, &mut place.theirs] {
                if let Some(Entry::File { text, .. }) = disk.files.get_mut(camino::Utf8Path::new(path)) {
                    text.push_str(&line);
                }
            }
        }
        4 => {
            let package = rng.choice(["chrony", "sudo", "needrestart"]).unwrap_or_default();
            if let Some(state) = node.disk.packages.get_mut(package) {
                *state = if rng.bool() { PackageState::Removed } else { PackageState::Broken };
                place.theirs.packages.remove(package);
                if package == "chrony" && node.disk.packages[package] == PackageState::Removed {
                    node.disk.units.remove("chrony.service");
                    node.stop("chrony.service");
                }
            }
        }
        5 => {
            let unit = rng.choice(["chrony.service", "apt-daily-upgrade.timer"]).unwrap_or_default();
            let states = [Enablement::Enabled, Enablement::Disabled, Enablement::Masked];
            if node.disk.units.contains_key(unit) {
                node.disk.units.insert(unit.to_owned(), rng.choice(states).unwrap_or(Enablement::Masked));
                place.theirs.units.remove(unit);
                if rng.bool() {
                    node.stop(unit);
                }
            }
        }
        6 => {
            let names: Vec<_> = node.disk.users.keys().filter(|name| *name != "someone").cloned().collect();
            let Some(name) = rng.choice(names) else { return };
            if rng.bool() {
                node.disk.users.remove(&name);
            } else if let Some(user) = node.disk.users.get_mut(&name) {
                user.groups.clear();
            }
        }
        8 | 9 => header(node, &mut rng),
        7 => {
            let (key, _) = rng.choice(SYSCTL).unwrap_or(SYSCTL[0]);
            node.boot.sysctl.insert(key.to_owned(), "42".to_owned());
        }
        _ => match rng.u8(..3) {
            0 => node.boot.swaps.clear(),
            1 if node.keeps_time => {}
            1 => node.ahead = rng.i64(-90_000..90_000),
            _ => drop(node.disk.files.insert(
                "/etc/hostname".into(),
                Entry::File { mode: stead_plan::inventory::Mode(0o644), text: "theirs\n".to_owned() },
            )),
        },
    }
}

/// Somebody unbinds a disk, changes stead's token, or gives it a key of their own.
fn header(node: &mut crate::model::Node, rng: &mut fastrand::Rng) {
    let mut headers = node.drives.all.iter_mut().filter_map(|drive| drive.header.as_mut());
    let Some(header) = headers.next().filter(|header| !header.slots.is_empty()) else { return };
    match rng.u8(..3) {
        0 => header.slots.retain(|_, key| !matches!(key, Key::Bound(_, true))),
        1 => {
            for token in header.tokens.values_mut() {
                token["disk"] = "ata-ANOTHER".into();
            }
        }
        _ => drop(header.slots.entry(9).or_insert_with(|| Key::Passphrase("my own".to_owned()))),
    }
    header.epoch += 1;
}
