//! The differences between Debian's releases, all in one place.

use stead_spec::units::Suite;

use crate::inventory::Release;

/// The release that a node runs, if it is one that stead knows.
pub(crate) fn suite(release: &Release) -> Option<Suite> {
    match release {
        Release::Bookworm => Some(Suite::Bookworm),
        Release::Trixie => Some(Suite::Trixie),
        Release::Other(_) => None,
    }
}

/// The packages that open encrypted disks at boot. On Debian 13, what systemd does of it is a package of its own, which
/// cryptsetup only recommends.
pub(crate) fn cryptsetup(suite: Suite) -> &'static [&'static str] {
    match suite {
        Suite::Bookworm => &["cryptsetup"],
        Suite::Trixie => &["cryptsetup", "systemd-cryptsetup"],
    }
}

/// Options of crypttab for one answer that counts. For some minutes, systemd keeps what has opened a disk, and tries it on
/// the next one before it asks: on Debian 13 that is switched off, on Debian 12 it has a try of its own.
pub(crate) fn crypttab_tries(suite: Suite) -> &'static str {
    match suite {
        Suite::Bookworm => "tries=2",
        Suite::Trixie => "tries=1,password-cache=no",
    }
}

/// The line of chrony's configuration that says where leap seconds are told, as Debian's own has it. On Debian 13 the
/// zone `right/UTC` is in a package that isn't installed.
pub(crate) fn chrony_leap_seconds(suite: Suite) -> &'static str {
    match suite {
        Suite::Bookworm => "leapsectz right/UTC",
        Suite::Trixie => "leapseclist /usr/share/zoneinfo/leap-seconds.list",
    }
}

/// The board of machines by a version that QEMU of this release knows, and of later ones too (`qemu-system-x86_64 -machine help`:
/// 7.2 is Debian 12's own, 10.0 Debian 13's, which knows 7.2 as well).
pub(crate) fn board(suite: Suite) -> &'static str {
    match suite {
        Suite::Bookworm => "pc-q35-7.2",
        Suite::Trixie => "pc-q35-10.0",
    }
}

/// The packages that have libvirt's locks on disks, where they aren't part of its daemon's: who keeps them, and who asks.
pub(crate) fn libvirt_locks(suite: Suite) -> &'static [&'static str] {
    match suite {
        Suite::Bookworm => &[],
        Suite::Trixie => &["libvirt-daemon-lock", "libvirt-daemon-plugin-lockd"],
    }
}

/// OpenSSL's folder, where the storage engine looks for its certificates (`openssl version -d` tells it on either release;
/// that engine's packages were built with these).
pub(crate) fn openssl_folder(suite: Suite) -> &'static str {
    match suite {
        Suite::Bookworm => "/usr/lib/ssl",
        Suite::Trixie => "/etc/ssl",
    }
}
