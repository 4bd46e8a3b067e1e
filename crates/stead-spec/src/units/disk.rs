use std::str::FromStr;

use super::{Invalid, Text, string_type};

/// The name of a whole disk in `/dev/disk/by-id`: `"ata-WDC_WD40EFRX-68N32N0_WD-WCC7K0AAAAAA"`.
///
/// udev (`60-persistent-storage.rules`) makes it from what the disk says of itself, and ends it with the serial number
/// in names that begin with `ata-`, `nvme-` and `scsi-`. Partitions and what is built from disks have names there too:
/// those are refused.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct DiskId(String);

const FOLDER: &str = "/dev/disk/by-id/";
const PREFIXES: [&str; 7] = ["ata-", "nvme-", "scsi-", "wwn-", "usb-", "virtio-", "mmc-"];
const BUILT: [&str; 3] = ["dm-", "md-", "lvm-"];
/// How the kernel's own names begin.
const KERNEL: [&str; 6] = ["sd", "hd", "vd", "xvd", "nvme", "mmcblk"];
const LENGTHS: std::ops::RangeInclusive<usize> = 3..=128;

impl DiskId {
    /// The device: `/dev/disk/by-id/…`.
    pub fn path(&self) -> String {
        format!("{FOLDER}{}", self.0)
    }

    /// The part behind the first dash, without how the disk is connected: model and serial number, to compare.
    pub fn serial(&self) -> &str {
        self.0.split_once('-').map_or(&self.0, |(_, serial)| serial)
    }
}

impl Text for DiskId {
    const WHAT: &'static str = "a disk";
    const SYNTAX: &'static str = "The disk's name in /dev/disk/by-id, which begins with ata-, nvme-, scsi-, wwn-, \
                                  usb-, virtio- or mmc-.";
    const EXAMPLE: &'static str = "ata-WDC_WD40EFRX-68N32N0_WD-WCC7K0AAAAAA";
    const PATTERN: &'static str = "^(ata|nvme|scsi|wwn|usb|virtio|mmc)-[A-Za-z0-9._:+=@-]{1,124}$";
}

impl FromStr for DiskId {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write the disk's name in /dev/disk/by-id: `ls -l /dev/disk/by-id` on the node shows it";
        if let Some(name) = text.strip_prefix(FOLDER) {
            let reason = "that is the disk's path, and its name is enough";
            return Err(name
                .parse::<Self>()
                .map_or_else(|wrong| wrong, |id| Invalid::new(reason, format!("write {id}"))));
        }
        let name = text.strip_prefix("/dev/").unwrap_or(text);
        let alphanumeric = name.bytes().all(|b| b.is_ascii_alphanumeric());
        if alphanumeric && KERNEL.iter().any(|kernel| name.starts_with(kernel)) {
            return Err(Invalid::new("names like sda move from disk to disk", how));
        }
        if text.contains('/') {
            return Err(Invalid::new("that is a path, and none in /dev/disk/by-id", how));
        }
        if BUILT.iter().any(|built| text.starts_with(built)) {
            return Err(Invalid::new("that is something built from disks, not a disk", how));
        }
        let Some(rest) = PREFIXES.iter().find_map(|prefix| text.strip_prefix(prefix)) else {
            return Err(Invalid::new("a disk's name begins with ata-, nvme-, scsi-, wwn-, usb-, virtio- or mmc-", how));
        };
        if rest.is_empty() || !LENGTHS.contains(&text.len()) {
            return Err(Invalid::new("a disk's name has from 3 to 128 characters, some behind the first dash", how));
        }
        if text.contains(|c: char| !c.is_ascii_alphanumeric() && !"._:+=@-".contains(c)) {
            return Err(Invalid::new("a disk's name has ASCII letters, digits and `._:+=@-` only", how));
        }
        if let Some((disk, number)) = text.rsplit_once("-part")
            && !number.is_empty()
            && number.bytes().all(|b| b.is_ascii_digit())
        {
            let reason = "that is a partition, and stead takes whole disks";
            return Err(Invalid::new(reason, format!("write {disk}, if all on that disk may go")));
        }
        Ok(Self(text.to_owned()))
    }
}

string_type!(DiskId);

#[cfg(test)]
mod tests {
    use super::super::tests::{prints, refuses};
    use super::*;

    #[test]
    fn disks() {
        for text in [
            "ata-WDC_WD40EFRX-68N32N0_WD-WCC7K0AAAAAA",
            "nvme-Samsung_SSD_970_EVO_1TB_S0000000000000A",
            "nvme-eui.0025385b71b00001",
            "wwn-0x50014ee2b0000001",
            "scsi-0QEMU_QEMU_HARDDISK_drive-scsi0",
            "usb-SanDisk_Ultra_0000-0:0",
            "virtio-node1-disk1",
            "virtio-part",
        ] {
            prints::<DiskId>(&[(text, text)]);
        }
    }

    #[test]
    fn what_is_no_disk_or_may_be_another_tomorrow() {
        for (text, why) in [
            ("sda", "move from disk to disk"),
            ("nvme0n1", "move from disk to disk"),
            ("/dev/sdb", "`ls -l /dev/disk/by-id`"),
            ("/dev/disk/by-id/virtio-node1-disk1", "write virtio-node1-disk1"),
            ("/dev/disk/by-id/virtio-node1-disk1-part1", "partition"),
            ("/dev/disk/by-path/pci-0000:00:1f.2-ata-1", "none in /dev/disk/by-id"),
            ("ata-DISK-part1", "write ata-DISK, if all"),
            ("dm-name-root", "built from disks"),
            ("lvm-pv-uuid-a", "built from disks"),
            ("md-uuid-a", "built from disks"),
            ("ata-", "behind the first dash"),
            ("ata-../../sda", "a path"),
            ("ata-a b", "ASCII letters"),
            ("ata-é", "ASCII letters"),
            ("", "begins with"),
        ] {
            refuses::<DiskId>(text, why);
        }
        refuses::<DiskId>(&format!("ata-{}", "a".repeat(125)), "128 characters");
    }

    #[test]
    fn a_disk_has_a_path_and_a_serial() {
        let disk: DiskId = "ata-QEMU_HARDDISK_node1-1".parse().expect("a disk");
        assert_eq!(disk.path(), "/dev/disk/by-id/ata-QEMU_HARDDISK_node1-1");
        assert_eq!(disk.serial(), "QEMU_HARDDISK_node1-1");
    }
}
