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
# let-go NAME [if-lost]: takes the mapping NAME away, and what LVM has on it. Of a disk that is there, what somebody still
# uses is left; or all, if this is only for one whose disk is gone.
name=$1
is_there() { dmsetup info "$name" > /dev/null 2>&1; }
# What has no disk below it, an earlier try has left.
below=$(dmsetup deps "$name" 2> /dev/null | sed -n 's/.*(\([0-9]*\), \([0-9]*\)).*/\1:\2/p')
force=--force
if [ -n "$below" ] && [ -e "/sys/dev/block/$below" ]; then
    [ "$2" != if-lost ] || exit 0
    force=
fi
# The uppermost go first. By force, none of them waits for a disk that answers no more; who still holds one lets go soon.
round=0
while is_there && [ "$round" -lt 30 ]; do
    for above in $(dmsetup ls | sed -n "s/^\($name-[^[:space:]]*\).*/\1/p"); do
        dmsetup remove $force "$above"
    done
    dmsetup remove $force "$name" || sleep 1
    round=$((round + 1))
done
# By these, LVM would take the group for one that it has activated already.
rm -f "/run/lvm/vgs_online/$name" "/run/lvm/pvs_lookup/$name"
grep -ls "^vg:$name\$" /run/lvm/pvs_online/* | xargs -r rm -f
! is_there
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
    format!("ExecStartPre={let_go} if-lost\nExecStopPost=-{let_go}\n")
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
