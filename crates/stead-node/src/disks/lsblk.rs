//! Disks, and what is on them.

use std::collections::BTreeMap;

use camino::Utf8PathBuf;
use serde::Deserialize;
use stead_plan::disks::{BlockDevice, Content, Disk, Space};
use stead_plan::inventory::Known;
use stead_plan::op::{Command, Program};
use stead_spec::Bytes;

use crate::place::Place;
use crate::read::why;

/// What lsblk is to tell: all of it is known to Debian 12 and 13.
const COLUMNS: &str = "NAME,TYPE,SIZE,RO,RM,ROTA,TRAN,MODEL,SERIAL,WWN,FSTYPE,LABEL,UUID,MOUNTPOINTS,FSSIZE,FSAVAIL";

/// Where udev keeps lasting names.
const BY_ID: &str = "/dev/disk/by-id";

/// What lists them.
pub(crate) fn command() -> Command {
    Program::Lsblk.command().args(["-J", "-b", "-o", COLUMNS])
}

/// What [`command`] printed, with what the kernel and udev say: disks that are hardware. What the blank test finds out is
/// not in it.
pub(crate) fn look(text: &str, place: &Place) -> Result<Vec<Disk>, String> {
    let mut disks = parse(text)?;
    // Compressed memory and disks over the network call themselves disks too, but have no device.
    disks.retain(|disk| place.exists(format!("/sys/class/block/{}/device", disk.name)));
    let ids = ids(place)?;
    for disk in &mut disks {
        disk.ids = ids.get(&disk.name).cloned().unwrap_or_default();
        let holders = place.names(format!("/sys/class/block/{}/holders", disk.name));
        disk.holders = holders.map_err(|error| why(&error)).into();
    }
    Ok(disks)
}

/// Lasting names by the kernel's names of now, sorted.
fn ids(place: &Place) -> Result<BTreeMap<String, Vec<String>>, String> {
    let mut ids: BTreeMap<String, Vec<String>> = BTreeMap::new();
    for id in place.names(BY_ID).map_err(|error| why(&error))? {
        if let Some(name) = place.link_name(format!("{BY_ID}/{id}")) {
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
    fssize: Option<u64>,
    fsavail: Option<u64>,
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
            content: self.fstype.map(|kind| Content { kind, label: self.label, uuid: self.uuid }),
            luks: None,
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
            space: self
                .fssize
                .zip(self.fsavail)
                .map(|(size, free)| Space { size: Bytes::new(size), free: Bytes::new(free) }),
            children: self.children.into_iter().map(Self::device).collect(),
        }
    }
}

/// Disks fill their texts up with blanks.
fn trimmed(text: Option<String>) -> Option<String> {
    text.map(|text| text.trim().to_owned()).filter(|text| !text.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Node, each};

    #[test]
    fn both_releases() {
        for (release, text) in each("lsblk.json") {
            let disks = parse(&text).unwrap();
            let names: Vec<&str> = disks.iter().map(|disk| disk.name.as_str()).collect();
            assert_eq!(names, ["sda", "sdb", "sdc", "sdd", "sde", "sdf", "sdg"], "{release}");
            // The kernel's names move: in one capture the OS disk comes first, in the other one last.
            let os = disks.iter().find(|disk| disk.serial.as_deref() == Some("OS0001")).unwrap();
            assert_eq!(os.mounts, ["/"], "{release}");
            let [_, parted, locked, ..] = &disks[..] else { unreachable!("there are seven") };
            assert_eq!(parted.size, Bytes::mib(1024), "{release}");
            let parts: Vec<_> = parted.children.iter().map(|part| (&*part.kind, part.content.as_deref())).collect();
            assert_eq!(parts, [("part", Some("ext4")), ("part", Some("swap"))], "{release}");
            assert_eq!(parted.children[1].mounts, ["[SWAP]"], "{release}");
            let crypt = &locked.children[0];
            assert_eq!((&*crypt.kind, crypt.content.as_deref()), ("crypt", Some("LVM2_member")), "{release}");
            let volumes: Vec<_> = crypt.children.iter().map(|volume| (&*volume.name, &*volume.kind)).collect();
            assert_eq!(volumes, [("vg0-swap", "lvm"), ("vg0-files", "lvm")], "{release}");
        }
    }

    #[test]
    fn what_is_mounted_tells_how_full_it_is() {
        fn find<'d>(devices: &'d [BlockDevice], name: &str) -> Option<&'d BlockDevice> {
            devices.iter().find_map(|device| {
                if device.name.ends_with(name) { Some(device) } else { find(&device.children, name) }
            })
        }
        for (release, text) in each("lsblk-volumes.json") {
            let disks = parse(&text).unwrap();
            let of = |name| disks.iter().find_map(|disk| find(&disk.children, name)).unwrap().space;
            let brick = of("-brick").unwrap();
            assert_eq!(brick.size, Bytes::new(1_325_400_064), "{release}");
            assert!(brick.filled() > 0 && brick.filled() < 20, "{release}: {brick:?}");
            assert_eq!(of("-pool-tpool"), None, "{release}");
        }
    }

    #[test]
    fn only_hardware_with_its_lasting_names() {
        let tree = Node::new();
        tree.write("/sys/class/block/sda/device/vendor", "ATA\n");
        tree.write("/sys/class/block/sda/holders/dm-0/dev", "254:0\n");
        for (id, to) in [("wwn-0x5000000000000001", "sda"), ("ata-A_1", "sda"), ("ata-A_1-part1", "sda1")] {
            tree.link(&format!("/dev/disk/by-id/{id}"), &format!("../../{to}"));
        }
        let line = |name, kind| {
            format!(
                r#"{{"name":"{name}","type":"{kind}","size":4096,"ro":false,"rm":false,"rota":true,"tran":null,
                    "model":"A   ","serial":"  ","wwn":null,"fstype":null,"label":null,"uuid":null,"mountpoints":[null]}}"#
            )
        };
        let lines = [line("sda", "disk"), line("zram0", "disk"), line("sr0", "rom"), line("loop0", "loop")];
        let disks = look(&format!(r#"{{"blockdevices":[{}]}}"#, lines.join(",")), &tree.place).unwrap();
        let [disk] = &disks[..] else { panic!("{disks:?}") };
        assert_eq!(disk.ids, ["ata-A_1", "wwn-0x5000000000000001"]);
        assert_eq!(disk.holders, Known::Is(vec!["dm-0".to_owned()]));
        assert_eq!((disk.model.as_deref(), disk.serial.as_deref(), disk.mounts.len()), (Some("A"), None, 0));
    }

    #[test]
    fn anything_else_is_an_error() {
        assert!(parse("lsblk: failed").unwrap_err().starts_with("lsblk printed something else: "));
    }
}
