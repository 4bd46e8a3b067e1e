//! Machines.

use crate::held::Held;

/// What decides which node owns a machine, and what machines run in.
pub(crate) const HELD: Held = Held {
    packages: &[
        "corosync",
        "libvirt-daemon",
        "libvirt-daemon-system",
        "pacemaker",
        "qemu-system-arm",
        "qemu-system-x86",
        "sbd",
    ],
    units: &[
        "corosync.service",
        "libvirtd.service",
        "pacemaker.service",
        "sbd.service",
        "virtlockd.service",
        "virtlogd.service",
    ],
};
