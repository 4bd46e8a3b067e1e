//! A disk that failed where it is, and got well, is opened anew as if it had been put in again.
//!
//! A file system on a disk that fails shuts itself down and stays mounted: all that is asked of it fails, also when the
//! disk is well again, until it is mounted anew. And of a disk that couldn't be read when something happened to it, udev
//! forgets what is on it, and looks again when something else happens to it: it may be never.

use crate::inventory::Questions;
use crate::plan::planner::{Managed, header};

const SCRIPT: &str = "/var/lib/stead/watch-disks";

/// What watches the file systems on a node's disks.
pub(super) const UNIT: &str = "stead-disks.service";
const UNIT_FILE: &str = "/etc/systemd/system/stead-disks.service";

/// To look at a place where an XFS is mounted asks no disk, and fails once it has shut itself down; ext4, which the vault
/// has, is read-only then.
const TEXT: &str = r#"
# watch-disks: has a disk opened anew that failed and got well.
round=0
while sleep 10; do
    while read -r device place _ options _; do
        case "$device $place $options" in
            /dev/mapper/stead_*-vault\ /var/lib/stead/vault\ ro* | *-vault\ /var/lib/stead/vault\ *emergency_ro*) ;;
            /dev/mapper/stead_*-brick\ /srv/bricks/* | /dev/mapper/stead_*-files\ /srv/*) [ -d "$place/." ] && continue ;;
            *) continue ;;
        esac
        name=${device#/dev/mapper/}
        echo "the file system at $place has shut itself down: its disk is opened anew"
        systemctl restart --no-block "systemd-cryptsetup@${name%%-*}.service"
    done < /proc/self/mounts
    # Once a minute: are disks out of which udev doesn't know any more? It looks at those on which it knows nothing.
    round=$(((round + 1) % 6))
    [ "$round" = 0 ] || continue
    lost=
    while read -r name device _; do
        case $name in
            stead_*) [ -e "/dev/mapper/$name" ] || [ -e "/dev/disk/by-uuid/${device#UUID=}" ] || lost=yes ;;
        esac
    done < /etc/crypttab
    [ -n "$lost" ] || continue
    for disk in /sys/block/*/device; do
        disk=${disk%/device}
        udevadm info --query=property "$disk" | grep -q '^ID_FS_TYPE=\|^ID_PART_TABLE_TYPE=' ||
            udevadm trigger --action=change "$disk"
    done
done
"#;

const UNIT_TEXT: &str = "
[Unit]
Description=Disks that failed are opened anew when they are well

[Service]
Type=exec
ExecStart=/bin/sh /var/lib/stead/watch-disks
Restart=always
RestartSec=10

[Install]
WantedBy=multi-user.target
";

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([SCRIPT, UNIT_FILE].map(Into::into));
    out.units.insert(UNIT.to_owned());
}

/// What it is made of.
pub(super) fn files() -> [Managed; 2] {
    [Managed::new(SCRIPT, header("#") + TEXT), Managed::new(UNIT_FILE, header("#") + UNIT_TEXT)]
}
