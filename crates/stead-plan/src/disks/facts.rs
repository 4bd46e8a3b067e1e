//! Disks, as `lsblk -J -b`, `wipefs -J -n`, `blkid -p` and the kernel's own files tell.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8PathBuf;
use serde::{Deserialize, Serialize};
use stead_spec::Bytes;
use stead_spec::units::{DiskId, Sha256, Thumbprint, WipeToken};

use super::policy::Bound;
use crate::inventory::{Known, sha256};

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
    /// What lies on the whole of it, without partitions between.
    pub content: Option<Content>,
    /// Its LUKS2 header, if it has one and was asked for.
    pub luks: Option<Known<Luks>>,
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
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
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
    /// How much fits into the file system that is mounted, if one is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub space: Option<Space>,
    /// What lies on it.
    pub children: Vec<BlockDevice>,
}

/// How much fits into a file system.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Space {
    /// All of it.
    pub size: Bytes,
    /// What of that is free for files.
    pub free: Bytes,
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
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Ends {
    /// Zeros only.
    Zero,
    /// Something in the first 16 MiB, and nothing in the last: both have this sum.
    Head(Sha256),
    /// Something in the last 16 MiB: both have this sum.
    Data(Sha256),
}

/// What blkid finds on a whole device.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Content {
    /// Its kind: `crypto_LUKS`, `LVM2_member`, `ext4`.
    pub kind: String,
    /// Its label.
    pub label: Option<String>,
    /// Its UUID.
    pub uuid: Option<String>,
}

/// blkid's word for a LUKS header.
pub const LUKS: &str = "crypto_LUKS";

/// What a LUKS2 header says, as far as it is no secret.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Luks {
    /// Which state of the header this is.
    pub state: HeaderState,
    /// Its label; empty where it has none.
    pub label: String,
    /// The numbers of the slots that have a key.
    pub keyslots: BTreeSet<u8>,
    /// What clevis has bound them to, by slot.
    pub bindings: BTreeMap<u8, Known<Bound>>,
    /// The numbers of all tokens.
    pub tokens: BTreeSet<u8>,
    /// stead's own token, with its number.
    pub token: Option<(u8, serde_json::Value)>,
}

/// What tells one state of a LUKS2 header from all others, and a backup of it too: each change counts up, and gets a sum.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct HeaderState {
    /// Whose header.
    pub uuid: String,
    /// The number of changes.
    pub epoch: u64,
    /// The header's own checksum, in hexadecimal digits.
    pub checksum: String,
}

/// The tang of a node: the keys in its folder.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Tang {
    /// Keys that it advertises, by their files' names.
    pub advertised: BTreeMap<String, TangKey>,
    /// Files of keys that it still answers for and advertises no more: their names begin with a dot.
    pub hidden: BTreeSet<String>,
}

/// A key of tang's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum TangKey {
    /// It signs what tang advertises: its thumbprint by SHA-256, which is what clevis pins.
    Signs(Thumbprint),
    /// Secrets are derived with it.
    Exchanges,
}

/// A volume group of LVM's.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pool {
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Its size.
    pub size: Bytes,
    /// What of it isn't given to any volume.
    pub free: Bytes,
    /// Devices that it lies on.
    pub devices: BTreeSet<String>,
    /// Its logical volumes.
    pub volumes: BTreeMap<String, LogicalVolume>,
}

/// A logical volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LogicalVolume {
    /// Its tags.
    pub tags: BTreeSet<String>,
    /// Its size.
    pub size: Bytes,
    /// Of a thin pool, how full it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub used: Option<Used>,
}

/// How full a thin pool is, in percent.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Used {
    /// With data.
    pub data: u8,
    /// With what tells where data is.
    pub metadata: u8,
}

impl Space {
    /// How full it is, in percent.
    pub fn filled(self) -> u64 {
        (100 - self.free.get().saturating_mul(100).checked_div(self.size.get()).unwrap_or(100)).min(100)
    }
}

impl Disk {
    /// Whether it is the one of that name.
    pub fn is(&self, id: &DiskId) -> bool {
        self.ids.iter().any(|own| own == id.as_ref())
    }

    /// What doesn't change as long as it is this disk: `serial S1, WWN 0x5000c500a1b2c3d4, 4000787030016 bytes`.
    pub fn identity(&self) -> String {
        let or = |text: &Option<String>| text.clone().unwrap_or_else(|| "none".to_owned());
        format!("serial {}, WWN {}, {} bytes", or(&self.serial), or(&self.wwn), self.size.get())
    }

    /// The device that its LUKS header has opened as, if it is open.
    pub fn opened(&self) -> Option<&BlockDevice> {
        self.children.iter().find(|child| child.kind == "crypt")
    }

    /// The token of exactly what is on it: which disk it is, signatures, UUIDs and labels, its first and last 16 MiB.
    ///
    /// # Errors
    /// Some of it is not known: why.
    pub fn wipe_token(&self) -> Result<WipeToken, String> {
        let unknown = |what: &str, why: &str| format!("{what}: {why}");
        let known = |what: &str| unknown(what, "not looked at");
        let signatures = self.signatures.as_ref().ok_or_else(|| known("signatures"))?;
        let signatures = signatures.as_result().map_err(|why| unknown("signatures", why))?;
        let ends = self.ends.as_ref().ok_or_else(|| known("its ends"))?;
        let ends = ends.as_result().map_err(|why| unknown("its ends", why))?;
        // What lies on partitions, and not how or where it is used just now: nor the kernel's name.
        let parts = self.children.iter().filter(|device| device.kind == "part");
        let parts: Vec<_> = parts.map(|at| (at.size.get(), &at.content, &at.label, &at.uuid)).collect();
        let text = format!("{}\n{signatures:?}\n{ends:?}\n{parts:?}", self.identity());
        let sum = sha256(text).to_string();
        let bits = sum.get(..16).and_then(|digits| u64::from_str_radix(digits, 16).ok());
        bits.map(WipeToken::new).ok_or_else(|| "a sum without digits".to_owned())
    }
}
