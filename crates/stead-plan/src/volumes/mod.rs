//! Volumes.

use crate::held::Held;

/// A restart of a brick makes its copies heal: with a second node's at the same time, nothing would be writable. The
/// libraries are of exactly the daemon's version.
pub(crate) const HELD: Held = Held {
    packages: &[
        "glusterfs-client",
        "glusterfs-common",
        "glusterfs-server",
        "libgfapi0",
        "libgfchangelog0",
        "libgfrpc0",
        "libgfxdr0",
        "libglusterd0",
        "libglusterfs0",
    ],
    units: &["glusterd.service", "glustereventsd.service"],
};
