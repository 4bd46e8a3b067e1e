//! A disk that is pulled takes along what stands on it, so that it can be opened anew when it comes back.
//!
//! The kernel keeps what was mapped on a disk that is gone, for as long as something stands on it: Debian's unit then finds
//! the disk open when it comes back, and all that is read there fails. So what is mounted is bound to the disk's unit, goes
//! with it, and what is left of the mapping is taken away; so it is when the unit is stopped for another reason.

use super::{DataDisk, opening};
use crate::inventory::Questions;
use crate::plan::planner::{Managed, header};

/// What takes a mapping away, and all that stands on it.
const SCRIPT: &str = "/var/lib/stead/let-go";

const TEXT: &str = r#"
# let-go NAME [if-lost]: takes the mapping NAME away, and what LVM has on it: by force if its disk is gone; else if nobody
# uses any of that, or not at all if this is for disks that are gone.
name=$1
is_there() { dmsetup info "$name" > /dev/null 2>&1; }
# What has no disk below it, an earlier try has left.
is_lost() {
    below=$(dmsetup deps "$name" 2> /dev/null | sed -n 's/.*(\([0-9]*\), \([0-9]*\)).*/\1:\2/p')
    [ -z "$below" ] || [ ! -e "/sys/dev/block/$below" ]
}
# Something on it is open, and not because of what stands on that.
is_used() {
    dmsetup info -c --noheadings --separator ' ' -o name,open,major,minor | while read -r of open major minor; do
        case $of in "$name"-*) ;; *) continue ;; esac
        [ "$open" = 0 ] || [ -n "$(ls "/sys/dev/block/$major:$minor/holders")" ] || echo "$of"
    done | grep -q .
}
round=0
while is_there && [ "$round" -lt 30 ]; do
    round=$((round + 1))
    # None waits for a disk that answers no more; who still holds one lets go soon.
    force=--force
    if ! is_lost; then
        [ "$2" != if-lost ] || exit 0
        force=
        # All or nothing: what was taken away, nothing would bring back while the rest is open.
        if is_used; then
            sleep 1
            continue
        fi
    fi
    # The uppermost go first.
    for above in $(dmsetup ls | sed -n "s/^\($name-[^[:space:]]*\).*/\1/p"); do
        dmsetup remove $force "$above"
    done
    dmsetup remove $force "$name" || sleep 1
done
is_there && exit 1
# By these, LVM would take the group for one that it has activated already.
rm -f "/run/lvm/vgs_online/$name" "/run/lvm/pvs_lookup/$name"
grep -ls "^vg:$name\$" /run/lvm/pvs_online/* | xargs -r rm -f
"#;

pub(super) fn questions(out: &mut Questions) {
    out.files.insert(SCRIPT.into());
}

pub(super) fn script() -> Managed {
    Managed::new(SCRIPT, header("#") + TEXT)
}

/// What a disk's unit does beside what it does by itself: before it opens the disk, and after it has gone.
pub(super) fn service(data: &DataDisk<'_>) -> String {
    let let_go = format!("/bin/sh {SCRIPT} {}", data.name);
    // A disk that can't be opened for what is left is tried again. What a closed one leaves open, nothing would wake when it
    // is opened again.
    format!("ExecStartPre={let_go} if-lost\nExecStopPost=-{let_go}\nTimeoutStopSec=120\n")
}

/// Where what makes a mount go with its disk is said.
pub(crate) fn drop_in_path(mount: &str) -> String {
    format!("/etc/systemd/system/{mount}.d/stead.conf")
}

/// What is mounted of a disk goes with it, whoever is in there.
pub(crate) fn drop_in(mount: &str, data: &DataDisk<'_>) -> Managed {
    let unit = opening::unit(data);
    let text = format!("\n[Unit]\nBindsTo={unit}\nAfter={unit}\n\n[Mount]\nLazyUnmount=yes\n");
    Managed::new(drop_in_path(mount), header("#") + &text)
}
