use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_spec::units::DiskId;

/// What a node is asked to look at, beside what it always tells.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Questions {
    /// Files, folders and links: what is there.
    pub files: BTreeSet<Utf8PathBuf>,
    /// Of these files that others may not read: the words in a line that a secret comes after. All but secrets is told.
    pub secrets: BTreeMap<Utf8PathBuf, String>,
    /// Folders whose files with stead's mark are to be told of, so that what nobody asks for any more is seen.
    pub folders: BTreeSet<Utf8PathBuf>,
    /// Units of systemd's.
    pub units: BTreeSet<String>,
    /// Accounts.
    pub users: BTreeSet<String>,
    /// The kernel's settings, with dots: `vm.swappiness`.
    pub sysctl: BTreeSet<String>,
    /// What apt would update. It takes apt a second or two, so only where somebody wants to know.
    pub updates: bool,
    /// Whether disks are blank. It reads from each disk, so only where all disks are shown.
    pub blank_test: bool,
    /// Of these disks, what their LUKS headers say; of those that have none of stead's, whether they are blank.
    pub data_disks: BTreeSet<DiskId>,
    /// Folders that bricks are.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub bricks: BTreeSet<Utf8PathBuf>,
    /// Machines' disks that are files.
    #[serde(default, skip_serializing_if = "BTreeSet::is_empty")]
    pub disk_files: BTreeSet<Utf8PathBuf>,
    /// Which headers of other nodes' disks it keeps.
    pub headers: bool,
}
