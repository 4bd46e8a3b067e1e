//! Disks, as `lsblk -J -b`, `wipefs -J -n`, `blkid -p` and the kernel's own files tell.

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_spec::Bytes;

use crate::inventory::Known;

/// A whole disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Disk {
    /// The kernel's name of now, `sda`. Changes with the next boot: never act on it.
    pub name: String,
    /// Its lasting names, those of `/dev/disk/by-id`, sorted.
    pub ids: Vec<String>,
    /// The maker's serial number.
    pub serial: Option<String>,
    /// World-wide name.
    pub wwn: Option<String>,
    /// The maker's name for it.
    pub model: Option<String>,
    /// Its size.
    pub size: Bytes,
    /// Whether it turns.
    pub rotational: bool,
    /// Whether it can't be written.
    pub read_only: bool,
    /// Whether it can be taken out while the node runs: a stick.
    pub removable: bool,
    /// How it is connected: `sata`, `nvme`, `usb`, ….
    pub transport: Option<String>,
    /// Where it is mounted itself, without partitions.
    pub mounts: Vec<Utf8PathBuf>,
    /// What the kernel says uses it (`holders`).
    pub holders: Known<Vec<String>>,
    /// What is on it: partitions, and what lies on them.
    pub children: Vec<BlockDevice>,
    /// Signatures that `wipefs` finds; only where the blank test was asked for, as are the following.
    pub signatures: Option<Known<Vec<Signature>>>,
    /// How `blkid -p` ended: 2 is "nothing found", 0 "found", 8 "ambivalent".
    pub blkid: Option<Known<i32>>,
    /// Whether nobody else has it open for itself.
    pub exclusive: Option<Known<bool>>,
    /// What its first and last 16 MiB hold.
    pub ends: Option<Known<Ends>>,
}

/// Something on a disk.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BlockDevice {
    /// The kernel's name.
    pub name: String,
    /// `part`, `crypt`, `lvm`, `raid1`, ….
    pub kind: String,
    /// Its size.
    pub size: Bytes,
    /// The file system or other content that was found on it.
    pub content: Option<String>,
    /// That content's label.
    pub label: Option<String>,
    /// That content's UUID.
    pub uuid: Option<String>,
    /// Where it is mounted; `[SWAP]` for swap.
    pub mounts: Vec<String>,
    /// What lies on it.
    pub children: Vec<BlockDevice>,
}

/// A signature of a file system, a partition table or the like.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Signature {
    /// Bytes from the beginning.
    pub offset: u64,
    /// Its kind: `ext4`, `gpt`, `crypto_LUKS`.
    pub kind: String,
    /// Its UUID.
    pub uuid: Option<String>,
    /// Its label.
    pub label: Option<String>,
}

/// What a disk's two ends hold.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// Zeros only.
    Zero,
    /// Something.
    Data,
}
