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
/// has, is read-only then, and has counted errors.
const TEXT: &str = r#"
# watch-disks: has disks opened anew that failed and got well.
state=/run/stead-disks

uptime() { cut -d . -f 1 /proc/uptime; }

# again NAME: whether it is time to try NAME once more: at once, 30 seconds later, and then each time after twice as long, up
# to an hour. An hour without a try, and it is as the first time.
again() {
    now=$(uptime) last=0 wait=0
    [ ! -e "$state/$1" ] || read -r last wait < "$state/$1"
    [ $((now - last)) -ge "$wait" ] || return 1
    [ $((now - last)) -lt $((wait + 3600)) ] || wait=0
    echo "$now $((wait == 0 ? 30 : wait < 1800 ? wait * 2 : 3600))" > "$state/$1"
}

# late WHAT: whether this has been asked for 90 seconds.
late() {
    [ -e "$state/$1.late" ] || uptime > "$state/$1.late"
    [ $(($(uptime) - $(cat "$state/$1.late"))) -ge 90 ]
}

# is_bad NAME DEVICE PLACE: what is mounted there has shut itself down; or it isn't mounted, and that had failed.
is_bad() {
    options=
    while read -r _ at _ with _; do
        [ "$at" != "$3" ] || options=$with
    done < /proc/self/mounts
    if [ -z "$options" ]; then
        # It may be on its way.
        if [ ! -e "$2" ]; then
            rm -f "$state/$1.${2##*/}.late"
            return 1
        fi
        [ -e "$state/$1" ] || systemctl --quiet is-failed "$(systemd-escape --path --suffix=mount "$3")" || return 1
        late "$1.${2##*/}"
        return
    fi
    rm -f "$state/$1.${2##*/}.late"
    case "$2 $options" in
        */vault\ ro* | */vault\ *emergency_ro*)
            [ "$(cat "/sys/fs/ext4/$(basename "$(readlink -f "$2")")/errors_count")" != 0 ]
            ;;
        *) ! [ -d "$3/." ] ;;
    esac
}

# look NAME UUID=…
look() {
    if [ ! -e "/dev/mapper/$1" ]; then
        rm -f "$state/$1".*.late
        # udev doesn't know it any more, or it is out.
        [ -e "/dev/disk/by-uuid/${2#UUID=}" ] || ! again "$1.lost" || look_for_disks
        return
    fi
    why=
    while read -r device place _; do
        case $device in
            "/dev/$1/"*) ! is_bad "$1" "$device" "$place" || why="what is at $place has failed" ;;
        esac
    done < /etc/fstab
    # Who used what was on it while it failed may have kept it from being closed.
    if [ "$round" = 0 ]; then
        case $(systemctl is-active "systemd-cryptsetup@$1.service") in
            inactive | failed) why="its unit doesn't run" ;;
        esac
    fi
    if [ -n "$why" ] && again "$1"; then
        echo "$1 is opened anew: $why"
        systemctl restart --no-block "systemd-cryptsetup@$1.service"
    fi
}

# Has udev look again at disks on which it knows nothing.
look_for_disks() {
    for disk in /sys/block/sd* /sys/block/nvme* /sys/block/vd* /sys/block/mmcblk?; do
        [ "$(cat "$disk/removable" 2> /dev/null)" = 0 ] || continue
        udevadm info --query=property "$disk" | grep -q '^ID_FS_TYPE=\|^ID_PART_TABLE_TYPE=' ||
            udevadm trigger --action=change "$disk"
    done
}

round=0
while sleep 10; do
    round=$(((round + 1) % 6))
    while read -r name device _; do
        case $name in
            stead_*) look "$name" "$device" < /dev/null ;;
        esac
    done < /etc/crypttab
done
"#;

const UNIT_TEXT: &str = "
[Unit]
Description=Disks that failed are opened anew when they are well

[Service]
Type=exec
RuntimeDirectory=stead-disks
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
