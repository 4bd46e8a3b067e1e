//! Disks, and what is on them.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::Deserialize;
use stead_plan::disks::{BlockDevice, Disk};
use stead_plan::inventory::Known;
use stead_plan::op::{Command, Program};
use stead_spec::Bytes;

use crate::root::{Root, why};

/// What lsblk is to tell: all of it is known to Debian 12 and 13.
const COLUMNS: &str = "NAME,TYPE,SIZE,RO,RM,ROTA,TRAN,MODEL,SERIAL,WWN,FSTYPE,LABEL,UUID,MOUNTPOINTS";

/// Where udev keeps lasting names.
const BY_ID: &str = "/dev/disk/by-id";

/// What lists them.
pub(crate) fn command() -> Command {
    Program::Lsblk.command().args(["-J", "-b", "-o", COLUMNS])
}

/// What [`command`] printed, with what the kernel and udev say: disks that are hardware. What the blank test finds out is
/// not in it.
pub(crate) fn look(text: &str, root: &Root) -> Result<Vec<Disk>, String> {
    let mut disks = parse(text)?;
    // Compressed memory and disks over the network call themselves disks too, but have no device.
    disks.retain(|disk| root.exists(format!("/sys/class/block/{}/device", disk.name)));
    let ids = ids(root)?;
    for disk in &mut disks {
        disk.ids = ids.get(&disk.name).cloned().unwrap_or_default();
        let holders = root.names(format!("/sys/class/block/{}/holders", disk.name));
        disk.holders = holders.map_err(|error| why(&error)).into();
    }
    Ok(disks)
}

/// Lasting names by the kernel's names of now, sorted.
fn ids(root: &Root) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in root.names(BY_ID).map_err(|error| why(&error))? {
        if let Some(name) = root.link_name(format!("{BY_ID}/{id}")) {
            ids.entry(name).or_default().push(id);
        }
    }
    Ok(ids)
}

/// What [`command`] printed: whole disks, without lasting names and holders.
fn parse(text: &str) -> Result<Vec<Disk>, String> {
    let printed: Printed =
        serde_json::from_str(text).map_err(|error| format!("lsblk printed something else: {error}"))?;
    Ok(printed.blockdevices.into_iter().filter(|line| line.kind == "disk").map(Line::disk).collect())
}

#[derive(Deserialize)]
struct Printed {
    blockdevices: Vec<Line>,
}

/// A device, as lsblk prints it.
#[derive(Deserialize)]
struct Line {
    name: String,
    #[serde(rename = "type")]
    kind: String,
    size: u64,
    ro: bool,
    rm: bool,
    rota: bool,
    tran: Option<String>,
    model: Option<String>,
    serial: Option<String>,
    wwn: Option<String>,
    fstype: Option<String>,
    label: Option<String>,
    uuid: Option<String>,
    #[serde(default)]
    mountpoints: Vec<Option<String>>,
    #[serde(default)]
    children: Vec<Line>,
}

impl Line {
    fn disk(self) -> Disk {
        Disk {
            name: self.name,
            ids: Vec::new(),
            serial: trimmed(self.serial),
            wwn: trimmed(self.wwn),
            model: trimmed(self.model),
            size: Bytes::new(self.size),
            rotational: self.rota,
            read_only: self.ro,
            removable: self.rm,
            transport: self.tran,
            mounts: self.mountpoints.into_iter().flatten().map(Utf8PathBuf::from).collect(),
            holders: Known::Is(Vec::new()),
            children: self.children.into_iter().map(Self::device).collect(),
            signatures: None,
            blkid: None,
            exclusive: None,
            ends: None,
        }
    }

    fn device(self) -> BlockDevice {
        BlockDevice {
            name: self.name,
            kind: self.kind,
            size: Bytes::new(self.size),
            content: self.fstype,
            label: self.label,
            uuid: self.uuid,
            mounts: self.mountpoints.into_iter().flatten().collect(),
            children: self.children.into_iter().map(Self::device).collect(),
        }
    }
}

/// Disks fill their texts up with blanks.
fn trimmed(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}
