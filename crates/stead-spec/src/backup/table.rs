use toml::de::DeValue;

use crate::read::{FromToml, List, Reader, Shape, Value, table};
use crate::units::{BackupName, Invalid, MachineName, Period, PublicKey, SshTarget, TimeOfDay, VolumeName};

use super::Count;

table! {
    /// A backup that is made again and again: of machines, each at one instant, and of whole volumes; encrypted and
    /// without storing anything twice.
    pub(crate) struct BackupTable {
        /// Which machines: a list, or `"all"`. Default: `"all"`.
        may machines: Machines,
        /// Which machines not.
        may except: List<MachineName>,
        /// Volumes whose files are saved as files.
        may volumes: List<VolumeName>,
        /// When each day, in the cluster's time zone. A node that was off then does it when it can.
        need at: TimeOfDay,
        /// Where to: each gets all of it.
        need to: List<TargetTable>,
        /// How many are kept.
        may keep: KeepTable,
        /// How often a machine is restored from it, beside the real one, and compared. Default: `7d`.
        may prove: Period,
        /// How often all of its bytes are read and checked. Default: `30d`.
        may verify: Period,
        /// The name it had before, when it is given another one.
        may was: BackupName,
    }
}

/// Which machines a backup is of.
#[derive(Clone, Debug)]
pub(crate) enum Machines {
    All,
    Of(List<MachineName>),
}

impl FromToml for Machines {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        match value.get_ref() {
            DeValue::String(word) if word == "all" => Some(Self::All),
            DeValue::String(_) => {
                let invalid =
                    Invalid::new("the only word for machines is \"all\"", "write \"all\", or a list of names");
                reader.bad_value(value, "a choice of machines", invalid);
                None
            }
            _ => List::from_toml(value, reader).map(Self::Of),
        }
    }

    fn shape() -> Shape {
        let all = Shape::Words(&[("all", "Each machine of the file.")]);
        Shape::Either(vec![all, Shape::List(Box::new(MachineName::shape()))])
    }
}

table! {
    /// A place for backups: a volume of this cluster, or Borg on another computer.
    pub(crate) struct TargetTable {
        /// A volume. This or `ssh`.
        may volume: VolumeName,
        /// Where ssh reaches a computer with Borg on it: `USER@ADDRESS`. The key for it is the nodes' own, and sealed.
        may ssh: SshTarget,
        /// The folder there.
        may path: String,
        /// The key by which that computer is known, as `ssh-keyscan -t ed25519 ADDRESS` prints it,
        /// without the address in front.
        may host_key: PublicKey,
        /// Whether that computer lets nodes add but not delete, so that a node that was broken into can't delete its
        /// own backups. What is old is then deleted from the admin's side. Default: `false`.
        may append_only: bool,
    }
}

table! {
    /// How many backups are kept: the newest of each day, week, month and year.
    pub(crate) struct KeepTable {
        /// Default: 7.
        may daily: Count,
        /// Default: 4.
        may weekly: Count,
        /// Default: 12.
        may monthly: Count,
        /// Default: 0.
        may yearly: Count,
    }
}
