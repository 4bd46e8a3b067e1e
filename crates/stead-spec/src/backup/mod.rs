//! Backups that are made again and again.

mod check;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet};

use crate::file::File;
use crate::units::{BackupName, MachineName, Period, PublicKey, SshTarget, TimeOfDay, VolumeName, number};
use table::{BackupTable, KeepTable, Machines, TargetTable};

pub(crate) use check::check;

number! {
    /// How many of something are kept.
    Count(u16): "a number of backups", 0..=1000, "at most 1000 of each are kept"
}

/// A backup that is made again and again.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Backup {
    /// Its name.
    pub name: BackupName,
    /// The machines that it is of.
    pub machines: BTreeSet<MachineName>,
    /// Volumes whose files it is of.
    pub volumes: BTreeSet<VolumeName>,
    /// When each day.
    pub at: TimeOfDay,
    /// Where to. Never empty.
    pub to: Vec<Target>,
    /// How many are kept.
    pub keep: Keep,
    /// How often a machine is restored from it and compared.
    pub prove: Period,
    /// How often all of it is read.
    pub verify: Period,
    /// The name it had before.
    pub was: Option<BackupName>,
}

/// A place for backups.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A volume of this cluster.
    Volume(VolumeName),
    /// Another computer.
    Ssh {
        /// Where ssh reaches it.
        to: SshTarget,
        /// The folder there.
        path: String,
        /// The key it is known by.
        host_key: PublicKey,
        /// Whether nodes may add there and not delete.
        append_only: bool,
    },
}

/// How many backups are kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Keep {
    /// The newest of each of so many days.
    pub daily: Count,
    /// Of so many weeks.
    pub weekly: Count,
    /// Of so many months.
    pub monthly: Count,
    /// Of so many years.
    pub yearly: Count,
}

/// How often a restore is tried, unless the file says.
const PROVE: &str = "7d";

/// How often everything is read, unless the file says.
const VERIFY: &str = "30d";

pub(crate) fn build(file: &File) -> Option<BTreeMap<BackupName, Backup>> {
    file.backup.entries().map(|(name, table)| build_backup(file, &name.value, &table.value)).collect()
}

fn build_backup(file: &File, name: &BackupName, table: &BackupTable) -> Option<(BackupName, Backup)> {
    let except: BTreeSet<_> = table.except.items().map(|machine| &machine.value).collect();
    let machines: BTreeSet<MachineName> = match table.machines.or(Machines::All)? {
        Machines::All => file.machine.entries().map(|(name, _)| name.value.clone()).collect(),
        Machines::Of(list) => list.items.into_iter().map(|machine| machine.value).collect(),
    };
    let backup = Backup {
        name: name.clone(),
        machines: machines.into_iter().filter(|machine| !except.contains(machine)).collect(),
        volumes: table.volumes.items().map(|volume| volume.value.clone()).collect(),
        at: *table.at.value()?,
        to: table.to.items().map(|target| build_target(&target.value)).collect::<Option<_>>()?,
        keep: build_keep(table.keep.maybe()?.as_ref())?,
        prove: table.prove.or(PROVE.parse().ok()?)?,
        verify: table.verify.or(VERIFY.parse().ok()?)?,
        was: table.was.maybe()?,
    };
    Some((name.clone(), backup))
}

fn build_target(table: &TargetTable) -> Option<Target> {
    match table.volume.maybe()? {
        Some(volume) => Some(Target::Volume(volume)),
        None => Some(Target::Ssh {
            to: table.ssh.value()?.clone(),
            path: table.path.value()?.clone(),
            host_key: table.host_key.value()?.clone(),
            append_only: table.append_only.or(false)?,
        }),
    }
}

fn build_keep(table: Option<&KeepTable>) -> Option<Keep> {
    let of = |field: fn(&KeepTable) -> &crate::read::Field<Count>, default: i64| {
        let default = Count::new(default).ok()?;
        table.map_or(Some(default), |table| field(table).or(default))
    };
    Some(Keep {
        daily: of(|keep| &keep.daily, 7)?,
        weekly: of(|keep| &keep.weekly, 4)?,
        monthly: of(|keep| &keep.monthly, 12)?,
        yearly: of(|keep| &keep.yearly, 0)?,
    })
}
