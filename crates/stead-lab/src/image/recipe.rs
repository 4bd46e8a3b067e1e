//! What images are made of: packages, guest files and the mirror; and a name that changes when any of it does.

use std::env;
use std::fmt::Write as _;

use sha2::{Digest, Sha256};
use stead_spec::Bytes;

use super::build::{self, Place};
use super::{ImageError, Kind, Release};

/// To be raised when [`build`] makes something else out of the same inputs.
const BUILDER: &str = "1";

/// Something that the cache can hold and knows how to make.
pub(super) trait Recipe {
    /// The name of what the inputs make: changes when an input does.
    fn name(&self) -> String;
    /// What it is, for messages.
    fn label(&self) -> String;
    /// The disk space that building takes, with the result.
    fn needs(&self) -> Bytes;
    /// The mirror's name, for messages.
    fn mirror(&self) -> String;
    /// The state of the release at the mirror, or why it can't be told.
    fn state(&self, place: &Place) -> Result<String, String>;
    /// Makes it in `place.entry`, an empty folder.
    fn build(&self, place: &Place) -> Result<(), ImageError>;
}

/// Where packages come from.
#[derive(Clone, Debug)]
pub(super) struct Mirror(String);

impl Mirror {
    /// Debian's own, or `STEAD_LAB_MIRROR`; the security archive is beside it with `-security` added, as on Debian's own.
    pub(super) fn from_environment() -> Self {
        let set = env::var("STEAD_LAB_MIRROR").ok().filter(|uri| !uri.is_empty());
        Self(set.map_or_else(|| "http://deb.debian.org/debian".to_owned(), |uri| uri.trim_end_matches('/').to_owned()))
    }

    /// The mirror's address.
    pub(super) fn uri(&self) -> &str {
        &self.0
    }

    /// The lines for apt: the release and what a fresh install has beside it.
    ///
    /// The keyring is named, so that a host that is not Debian trusts nothing else.
    pub(super) fn sources(&self, release: Release) -> [String; 3] {
        let line = |suffix: &str, suite: &str| {
            format!("deb [signed-by={KEYRING}] {}{suffix} {release}{suite} main", self.uri())
        };
        [line("", ""), line("", "-updates"), line("-security", "-security")]
    }
}

/// Where Debian's package `debian-archive-keyring` keeps its keys.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// A node's image.
#[derive(Clone, Debug)]
pub(super) struct ImageRecipe {
    pub(super) release: Release,
    pub(super) kind: Kind,
    pub(super) mirror: Mirror,
}

impl Recipe for ImageRecipe {
    fn name(&self) -> String {
        let standard = standard(self.kind);
        let packages = packages(self.release, self.kind);
        let guest = GUEST.iter().flat_map(|(name, text)| [*name, *text]);
        let inputs = [BUILDER, build::FSTAB_HOOK, standard].into_iter().chain(packages).chain(guest);
        format!("{}-{}-{}", self.release, self.kind, digest(inputs))
    }

    fn label(&self) -> String {
        format!("{} {} image", self.release, self.kind)
    }

    fn needs(&self) -> Bytes {
        match self.kind {
            Kind::Plain => Bytes::gib(2),
            // The packages, unpacked twice and packed once.
            Kind::Ready => Bytes::gib(4),
        }
    }

    fn mirror(&self) -> String {
        self.mirror.uri().to_owned()
    }

    fn state(&self, place: &Place) -> Result<String, String> {
        build::release_date(&self.mirror, self.release, place)
    }

    fn build(&self, place: &Place) -> Result<(), ImageError> {
        build::image(self, place)
    }
}

/// The tree that the lab's outside tang runs from.
#[derive(Clone, Debug)]
pub(super) struct TangRecipe {
    pub(super) mirror: Mirror,
}

impl TangRecipe {
    /// The newest that stead supports; nodes of either release talk to it.
    pub(super) const RELEASE: Release = Release::Trixie;
}

impl Recipe for TangRecipe {
    fn name(&self) -> String {
        format!("tang-{}-{}", Self::RELEASE, digest([BUILDER]))
    }

    fn label(&self) -> String {
        "tang server for the lab".to_owned()
    }

    fn needs(&self) -> Bytes {
        Bytes::mib(400)
    }

    fn mirror(&self) -> String {
        self.mirror.uri().to_owned()
    }

    fn state(&self, place: &Place) -> Result<String, String> {
        build::release_date(&self.mirror, Self::RELEASE, place)
    }

    fn build(&self, place: &Place) -> Result<(), ImageError> {
        build::tang(self, place)
    }
}

/// A name for a list of texts; no two different lists run together into the same bytes.
pub(super) fn digest<'a>(inputs: impl IntoIterator<Item = &'a str>) -> String {
    let mut hash = Sha256::new();
    for input in inputs {
        hash.update((input.len() as u64).to_be_bytes());
        hash.update(input);
    }
    hash.finalize().iter().take(8).fold(String::new(), |mut text, byte| {
        // Writing to a string can't fail.
        let _ = write!(text, "{byte:02x}");
        text
    })
}

/// Debian's "standard system utilities", as a pattern for apt.
///
/// With the engines comes chrony, which does not go with the standard systemd-timesyncd.
pub(super) fn standard(kind: Kind) -> &'static str {
    match kind {
        Kind::Plain => "?priority(standard)",
        Kind::Ready => "?and(?priority(standard),?not(?exact-name(systemd-timesyncd)))",
    }
}

/// The packages named one by one; differences between the releases are here and nowhere else.
pub(super) fn packages(release: Release, kind: Kind) -> Vec<&'static str> {
    let mut packages = INSTALLER.to_vec();
    if kind == Kind::Ready {
        packages.extend(ENGINES);
        packages.extend(match release {
            Release::Trixie => ENGINES_TRIXIE,
            Release::Bookworm => ENGINES_BOOKWORM,
        });
    }
    packages
}

/// What Debian's installer adds to the base system when asked for an SSH server.
///
/// But for console-setup and keyboard-configuration: a node has neither screen nor keyboard, and setting up their fonts
/// takes a minute of its boot.
const INSTALLER: &[&str] = &[
    "apparmor",
    "eject",
    "initramfs-tools",
    "linux-image-cloud-amd64",
    "openssh-server",
    "sudo",
    "task-ssh-server",
    "tasksel",
    "zstd",
];

/// The engines and their tools, by the layer that wants them.
const ENGINES: &[&str] = &[
    // host
    "chrony",
    "ethtool",
    "iperf3",
    "jq",
    "nftables",
    "smartmontools",
    "tcpdump",
    "unattended-upgrades",
    // network
    "conntrackd",
    "dnsmasq",
    "frr",
    "keepalived",
    "openvswitch-switch",
    // disks
    "age",
    "clevis",
    "clevis-luks",
    "clevis-systemd",
    "cryptsetup",
    "lvm2",
    "tang",
    "thin-provisioning-tools",
    "xfsprogs",
    // volumes
    "glusterfs-client",
    "glusterfs-server",
    // machines
    "corosync",
    "curl",
    "crmsh",
    "libvirt-clients",
    "libvirt-daemon-system",
    "ovmf",
    "pacemaker",
    "pacemaker-cli-utils",
    "qemu-system-x86",
    "qemu-utils",
    "resource-agents",
    "sbd",
    "xorriso",
    // backup
    "borgbackup",
    // telemetry
    "prometheus",
    "prometheus-alertmanager",
    "prometheus-blackbox-exporter",
    "prometheus-libvirt-exporter",
    "prometheus-node-exporter",
    "prometheus-node-exporter-collectors",
];

/// Fence agents are packages of their own here: `fence-agents` would bring every cloud's libraries.
const ENGINES_TRIXIE: &[&str] = &[
    "fence-agents-amt",
    "fence-agents-ipmilan",
    "fence-agents-redfish",
    "fence-agents-sbd",
    "libvirt-daemon-lock",
    "systemd-cryptsetup",
];

/// systemd-cryptsetup and virtlockd are parts of systemd and libvirt-daemon here.
const ENGINES_BOOKWORM: &[&str] = &["amtterm", "fence-agents", "ipmitool"];

/// The files that are baked in, and the script that does it, by the name that the script knows them by.
pub(super) const GUEST: &[(&str, &str)] = &[
    ("00-stead-lab.network", include_str!("../../guest/00-stead-lab.network")),
    ("70-stead-lab.rules", include_str!("../../guest/70-stead-lab.rules")),
    ("autologin.conf", include_str!("../../guest/autologin.conf")),
    ("boot", include_str!("../../guest/boot")),
    ("clock", include_str!("../../guest/clock")),
    (FINISH, include_str!("../../guest/finish.sh")),
    ("mask-always", include_str!("../../guest/mask-always")),
    ("mask-ready", include_str!("../../guest/mask-ready")),
    ("outofband", include_str!("../../guest/outofband")),
    ("sshd.conf", include_str!("../../guest/sshd.conf")),
    ("stead-lab-boot.service", include_str!("../../guest/stead-lab-boot.service")),
    ("stead-lab-clock.service", include_str!("../../guest/stead-lab-clock.service")),
];

/// The script that makes a file system out of a bootstrapped Debian and the guest files.
pub(super) const FINISH: &str = "finish.sh";

#[cfg(test)]
mod tests {
    use super::*;

    fn name(release: Release, kind: Kind) -> String {
        ImageRecipe { release, kind, mirror: Mirror("http://mirror.invalid/debian".to_owned()) }.name()
    }

    #[test]
    fn every_guest_file_is_listed() {
        // One that is not would be left out without a word.
        for file in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/guest")).unwrap() {
            let name = file.unwrap().file_name().into_string().unwrap();
            assert!(GUEST.iter().any(|(known, _)| *known == name), "{name} is not in GUEST");
        }
    }

    #[test]
    fn the_name_depends_on_the_inputs_and_not_on_the_mirror() {
        let trixie = name(Release::Trixie, Kind::Plain);
        assert_ne!(trixie, name(Release::Trixie, Kind::Ready));
        assert_ne!(trixie, name(Release::Bookworm, Kind::Plain));
        let elsewhere = Mirror("http://elsewhere.invalid/debian".to_owned());
        assert_eq!(trixie, ImageRecipe { release: Release::Trixie, kind: Kind::Plain, mirror: elsewhere }.name());
    }

    #[test]
    fn the_digest_changes_with_each_input() {
        let digests = [digest(["1", "a", "b"]), digest(["2", "a", "b"]), digest(["1", "ab"]), digest(["1", "b", "a"])];
        for (i, one) in digests.iter().enumerate() {
            assert!(!digests[i + 1..].contains(one), "{digests:?}");
        }
    }

    #[test]
    fn security_updates_come_from_beside_the_mirror() {
        let [main, updates, security] = Mirror("http://m/debian".to_owned()).sources(Release::Bookworm);
        assert!(main.ends_with("http://m/debian bookworm main"), "{main}");
        assert!(updates.ends_with("http://m/debian bookworm-updates main"), "{updates}");
        assert!(security.ends_with("http://m/debian-security bookworm-security main"), "{security}");
    }
}
