use super::build_keep;
use super::table::{BackupTable, Machines, TargetTable};
use crate::check::{Findings, key, listed_once, one_of, refer, renames, useless};
use crate::diagnostic::{Code, Diagnostic};
use crate::file::File;
use crate::read::At;
use crate::units::{BackupName, VolumeName};

pub(crate) fn check(file: &File, out: &mut Findings) {
    for (name, at) in file.backup.entries() {
        let table = &at.value;
        what(file, table, out);
        nothing(file, name, table, out);
        let mut seen: Vec<&VolumeName> = Vec::new();
        for target in table.to.items() {
            if let Some(volume) = target.value.volume.get() {
                if seen.contains(&&volume.value) {
                    let message = format!("backup `{}` goes to `{}` twice", name.value, volume.value);
                    let remedy = "take one of them out";
                    out.push(Diagnostic::new(Code::ListedTwice, &volume.span, message, "a second time", remedy));
                }
                seen.push(&volume.value);
            }
            self::target(file, target, out);
            on_itself(file, name, table, target, out);
        }
        if let Some(none) = table.to.get().filter(|to| to.value.items.is_empty() && to.value.whole) {
            let message = format!("backup `{}` goes nowhere", name.value);
            let remedy = "name a place: `to = [{ volume = \"gv1\" }]`";
            out.push(Diagnostic::new(Code::MissingKey, &none.span, message, "an empty list", remedy));
        }
        if let Some(keep) = table.keep.get() {
            let numbers =
                build_keep(Some(&keep.value)).map(|keep| [keep.daily, keep.weekly, keep.monthly, keep.yearly]);
            if numbers.is_some_and(|numbers| numbers.iter().all(|number| number.get() == 0)) {
                let message = format!("backup `{}` keeps nothing", name.value);
                let remedy = "keep some: `keep = { daily = 7 }`";
                out.push(Diagnostic::new(Code::BadValue, &keep.span, message, "each would be deleted at once", remedy));
            }
        }
    }
    renames("backup", &file.backup, |table| &table.was, out);
}

/// A backup of nothing is no backup.
fn nothing(file: &File, name: &At<BackupName>, table: &BackupTable, out: &mut Findings) {
    let Some(Machines::Of(list)) = table.machines.value() else { return };
    if list.items.is_empty() && list.whole && table.volumes.items().next().is_none() && file.machine.is_whole() {
        let message = format!("backup `{}` is of nothing", name.value);
        let span = table.machines.get().map_or(&name.span, |machines| &machines.span);
        let remedy = "leave `machines` out for all of them, or name some, or some `volumes`";
        out.push(Diagnostic::new(Code::MissingKey, span, message, "an empty list", remedy));
    }
}

fn what(file: &File, table: &BackupTable, out: &mut Findings) {
    if let Some(Machines::Of(list)) = table.machines.value() {
        for machine in &list.items {
            refer(machine, "machine", &file.machine, out);
        }
        useless(&table.except, "except", "`machines` is a list already", "leave them out of `machines`", out);
    }
    for machine in table.except.items() {
        refer(machine, "machine", &file.machine, out);
    }
    for volume in table.volumes.items() {
        refer(volume, "volume", &file.volume, out);
    }
    listed_once(&table.except, out);
    listed_once(&table.volumes, out);
}

fn target(file: &File, at: &At<TargetTable>, out: &mut Findings) {
    let table = &at.value;
    one_of(&at.span, "a place for backups", &[key("volume", &table.volume), key("ssh", &table.ssh)], out);
    if let Some(volume) = table.volume.get() {
        refer(volume, "volume", &file.volume, out);
        let why = "a volume is in this cluster";
        useless(&table.path, "path", why, "take it out", out);
        useless(&table.host_key, "host_key", why, "take it out", out);
        useless(&table.append_only, "append_only", why, "take it out", out);
    }
    if table.ssh.get().is_some() && table.volume.is_missing() {
        let missing = |key: &str, reason: &str, remedy: &str| {
            let message = format!("a place for backups has no `{key}`");
            Diagnostic::new(Code::MissingKey, &at.span, message, reason, remedy)
        };
        if table.path.is_missing() {
            out.push(missing("path", "the folder there", "add `path = \"./home\"`"));
        }
        if table.host_key.is_missing() {
            let remedy =
                "add `host_key = \"ssh-ed25519 …\"`, as `ssh-keyscan -t ed25519 ADDRESS` prints it behind the address";
            out.push(missing("host_key", "whoever answers there would be taken for it", remedy));
        }
    }
    if let Some(key) = table.host_key.get().filter(|key| !key.value.logs_in()) {
        let remedy = "write what `ssh-keyscan -t ed25519 ADDRESS` prints, without the address";
        out.push(Diagnostic::new(Code::BadValue, &key.span, "a host key that is none of ssh's", "no ssh key", remedy));
    }
    let empty = |path: &&At<String>| path.value.is_empty() || path.value.chars().any(char::is_control);
    if let Some(path) = table.path.get().filter(empty) {
        out.push(Diagnostic::new(
            Code::BadValue,
            &path.span,
            "no folder",
            "empty, or not one line",
            "write `\"./home\"`",
        ));
    }
}

/// What dies with what it is a copy of is no backup.
fn on_itself(file: &File, name: &At<BackupName>, table: &BackupTable, target: &At<TargetTable>, out: &mut Findings) {
    let Some(volume) = target.value.volume.get() else { return };
    let others = table.to.items().any(|other| other.value.volume.value() != Some(&volume.value));
    let saved = |name: &VolumeName| table.volumes.items().any(|volume| volume.value == *name);
    let is_of = |machine: &str| match table.machines.value() {
        Some(Machines::Of(list)) => list.items.iter().any(|item| item.value.as_ref() == machine),
        Some(Machines::All) => true,
        None => table.machines.is_missing(),
    };
    let on_it = file.machine.entries().find(|(machine, entry)| {
        let excepted = table.except.items().any(|item| item.value == machine.value);
        let disk =
            |disk: &At<crate::machines::table::MachineDiskTable>| disk.value.volume.value() == Some(&volume.value);
        is_of(machine.value.as_ref()) && !excepted && entry.value.disks.items().any(disk)
    });
    let what = if saved(&volume.value) {
        Some(format!("volume `{}`", volume.value))
    } else {
        on_it.map(|(machine, _)| format!("machine `{}`", machine.value))
    };
    if let (Some(what), false) = (what, others) {
        let message = format!("backup `{}` of {what} is on the same volume, `{}`", name.value, volume.value);
        let remedy = "add another place to `to`: another volume, or a computer elsewhere";
        out.push(Diagnostic::new(Code::BackupOnItself, &volume.span, message, "both would be lost together", remedy));
    }
}
