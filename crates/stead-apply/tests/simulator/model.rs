//! A node as files, packages, units and accounts: what a power cut leaves of it, and what a boot makes of that.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use stead_node::protocol::Kept;
use stead_plan::host::facts::{Swap, User};
use stead_plan::inventory::{Activity, Enablement, Mode, PackageState};
use stead_plan::machines::VirtualNetwork;
use stead_plan::op::{Op, OutputKind};
use stead_plan::step::StepId;
use stead_spec::Bytes;
use stead_spec::units::NodeName;

use crate::drives::Drives;
use crate::engines::Networks;
use crate::machines;
use crate::members::{self, Together};
use crate::networks::hardware;
use crate::storage::{self, Tangs};
use crate::volumes::Pool;

/// What is at a path.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Entry {
    File {
        mode: Mode,
        text: String,
    },
    Link(Utf8PathBuf),
    Folder {
        mode: Mode,
    },
    /// Made by fallocate: its size.
    Space(u64),
}

/// What lies on the OS disk.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Disk {
    pub(crate) files: BTreeMap<Utf8PathBuf, Entry>,
    /// The groups of those that aren't root's.
    pub(crate) groups: BTreeMap<Utf8PathBuf, String>,
    pub(crate) packages: BTreeMap<String, PackageState>,
    pub(crate) units: BTreeMap<String, Enablement>,
    pub(crate) users: BTreeMap<String, User>,
    pub(crate) kept: Option<Kept>,
    /// The agent's marks of what it has begun.
    pub(crate) unfinished: BTreeSet<StepId>,
    /// Those of them that have begun to format a disk.
    pub(crate) vacated: BTreeMap<StepId, String>,
    /// libvirt's networks, as it has written them down.
    pub(crate) virtual_networks: BTreeMap<String, VirtualNetwork>,
    /// Whether apt has ever fetched its lists.
    pub(crate) lists: bool,
}

/// What lasts until the next boot.
#[derive(Clone, Debug, Default)]
pub(crate) struct Boot {
    pub(crate) number: u32,
    pub(crate) activity: BTreeMap<String, Activity>,
    /// What each unit read when it started, or was told to read again.
    pub(crate) read: BTreeMap<String, Configuration>,
    pub(crate) sysctl: BTreeMap<String, String>,
    pub(crate) swaps: Vec<Swap>,
    /// The size of what crypttab's entry has opened.
    pub(crate) opened: Option<u64>,
    /// Whether the vault is mounted.
    pub(crate) mounted: bool,
    /// Whether the kernel's own watchdog is there.
    pub(crate) softdog: bool,
    /// Those of libvirt's networks that are active.
    pub(crate) plugged: BTreeSet<String>,
    /// What systemd read when it was last told to.
    pub(crate) systemd: Configuration,
}

pub(crate) type Configuration = BTreeMap<Utf8PathBuf, Entry>;

/// One PC.
#[derive(Clone, Debug)]
pub(crate) struct Node {
    pub(crate) name: NodeName,
    /// As programs see it.
    pub(crate) disk: Disk,
    /// As a power cut may leave it.
    pub(crate) flushed: Disk,
    pub(crate) boot: Boot,
    /// Devices, addresses and routes; of them, Open vSwitch's database outlives a boot.
    pub(crate) networks: Networks,
    /// Disks, headers, volume groups, tang's keys: what is written there is on the disk.
    pub(crate) drives: Drives,
    /// The tangs in the core.
    pub(crate) tangs: Tangs,
    /// The storage daemons of all nodes.
    pub(crate) pool: Pool,
    /// What nodes have together.
    pub(crate) together: Together,
    /// The step that is being done, and what it found out.
    pub(crate) doing: Option<StepId>,
    pub(crate) told: Vec<(OutputKind, String)>,
    /// Milliseconds.
    pub(crate) ahead: i64,
    /// What is done at this very moment.
    pub(crate) running: Option<Op>,
    /// Nothing sets its clock wrong.
    pub(crate) keeps_time: bool,
    /// A broken variant: writes say that they are done, and aren't.
    pub(crate) drops_writes: bool,
}

/// Packages that bring units which start on their own.
const DAEMONS: [(&str, &[&str]); 15] = [
    (
        "libvirt-daemon-system",
        &[
            "libvirtd.service",
            "libvirtd.socket",
            "libvirtd-ro.socket",
            "libvirtd-admin.socket",
            "libvirt-guests.service",
            "virtlogd.socket",
            "virtlockd.socket",
        ],
    ),
    ("corosync", &[members::COROSYNC]),
    ("pacemaker", &[members::PACEMAKER]),
    ("sbd", &[members::SBD]),
    ("tang", &["tangd.socket"]),
    ("clevis-systemd", &["clevis-luks-askpass.path"]),
    ("frr", &["frr.service"]),
    ("openvswitch-switch", &["openvswitch-switch.service"]),
    ("systemd", &["systemd-networkd.service", "systemd-networkd-wait-online.service"]),
    ("chrony", &["chrony.service"]),
    ("openssh-server", &["ssh.service"]),
    ("systemd-timesyncd", &["systemd-timesyncd.service"]),
    ("apt", &["apt-daily.timer", "apt-daily-upgrade.timer"]),
    ("nginx", &["nginx.service"]),
    ("smartmontools", &["smartmontools.service"]),
];

/// What a unit reads: files by their exact path, folders by a slash at the end. What systemd reads for it lies below
/// [`SYSTEMD`].
const READS: [(&str, &[&str]); 10] = [
    (
        machines::DAEMON,
        &["/etc/libvirt/libvirtd.conf", "/etc/libvirt/qemu.conf", "/etc/systemd/system/libvirtd.service"],
    ),
    (
        members::COROSYNC,
        &[
            "/etc/corosync/corosync.conf",
            "/etc/default/sbd",
            "/etc/systemd/system/corosync.service",
            "/etc/systemd/system/sbd.service.d/",
        ],
    ),
    (members::PACEMAKER, &["/etc/systemd/system/pacemaker.service"]),
    ("tangd.socket", &["/etc/systemd/system/tangd.socket.d/"]),
    ("frr.service", &["/etc/frr/daemons", "/etc/frr/frr.conf", "/etc/systemd/system/frr.service.d/"]),
    ("stead-firewall.service", &["/etc/stead/firewall.nft"]),
    ("systemd-networkd.service", &["/etc/systemd/networkd.conf.d/"]),
    ("apt-daily-upgrade.timer", &["/etc/systemd/system/apt-daily-upgrade.timer.d/"]),
    ("chrony.service", &["/etc/chrony/chrony.conf", "/etc/default/chrony"]),
    ("ssh.service", &["/etc/ssh/sshd_config", "/etc/ssh/sshd_config.d/"]),
];

const SYSTEMD: &str = "/etc/systemd/system";

/// The unit of the swap that crypttab opens, by systemd's rules for names.
pub(crate) const SWAP: &str = r"dev-mapper-stead\x2dswap.swap";
pub(crate) const CRYPT: &str = r"systemd-cryptsetup@stead\x2dswap.service";

/// What a swap's header takes.
const PAGE: u64 = 4096;

/// Settings of the kernel and what they are without anybody's asking.
pub(crate) const SYSCTL: [(&str, &str); 10] = [
    ("net.ipv4.fib_multipath_hash_policy", "0"),
    ("net.ipv4.fib_multipath_use_neigh", "0"),
    ("vm.swappiness", "60"),
    ("vm.dirty_bytes", "0"),
    ("vm.dirty_background_bytes", "0"),
    ("net.ipv4.ip_forward", "0"),
    ("kernel.panic", "0"),
    ("kernel.panic_on_oops", "0"),
    ("net.ipv4.conf.all.rp_filter", "0"),
    ("net.ipv4.conf.default.rp_filter", "0"),
];

impl Node {
    /// A fresh Debian, with what somebody has done to it before stead came.
    pub(crate) fn fresh(
        name: &NodeName,
        (tangs, pool, together): (&Tangs, &Pool, &Together),
        rng: &mut fastrand::Rng,
    ) -> Self {
        let mut disk = Disk::default();
        let mut file = |path: &str, text: &str| {
            disk.files.insert(path.into(), Entry::File { mode: Mode(0o644), text: text.to_owned() });
        };
        let noise = |rng: &mut fastrand::Rng| format!("# {:x}\n", rng.u64(..));
        file("/etc/hostname", "debian\n");
        file("/etc/hosts", &format!("127.0.0.1\tlocalhost\n127.0.1.1\tdebian\n192.0.2.7\tprinter\n{}", noise(rng)));
        file("/etc/fstab", &format!("UUID=11 / ext4 errors=remount-ro 0 1\n{}", noise(rng)));
        file("/etc/ssh/sshd_config", &format!("Include /etc/ssh/sshd_config.d/*.conf\n{}", noise(rng)));
        file("/etc/sysctl.d/50-mine.conf", &format!("kernel.panic = 7\n{}", noise(rng)));
        file("/etc/sudoers", &format!("@includedir /etc/sudoers.d\n{}", noise(rng)));
        file("/root/.ssh/authorized_keys", &noise(rng));
        file("/srv/someone/letter.txt", &noise(rng));
        if rng.bool() {
            file("/etc/crypttab", &noise(rng));
        }
        for folder in ["/etc", "/etc/ssh", "/etc/sudoers.d", "/etc/apt", "/etc/sysctl.d", "/srv/someone", "/var/lib"] {
            disk.files.insert(folder.into(), Entry::Folder { mode: Mode(0o755) });
        }
        if rng.bool() {
            let number = name.as_ref().trim_start_matches(|c: char| !c.is_ascii_digit());
            let stanza = format!("iface enp1s0 inet static\n\taddress 192.168.0.5{number}/24\n");
            let text = format!("auto lo enp1s0\niface lo inet loopback\n{stanza}\n{}", noise(rng));
            disk.files.insert("/etc/network/interfaces".into(), Entry::File { mode: Mode(0o644), text });
        }
        disk.files.insert("/etc/localtime".into(), Entry::Link("/usr/share/zoneinfo/Etc/UTC".into()));
        disk.users.insert("someone".into(), user("someone", 1000, &["sudo", "audio"]));
        disk.lists = rng.bool();
        for package in ["apt", "dpkg", "systemd", "util-linux", "procps", "passwd", "openssh-server", "nginx"] {
            disk.packages.insert(package.into(), PackageState::Installed);
        }
        for package in ["systemd-timesyncd", "sudo", "needrestart"] {
            if rng.bool() {
                disk.packages.insert(package.into(), PackageState::Installed);
            }
        }
        for unit in disk.packages.keys().flat_map(|package| units_of(package)) {
            disk.units.insert((*unit).to_owned(), Enablement::Enabled);
        }
        for unit in ["systemd-networkd.service", "systemd-networkd-wait-online.service"] {
            disk.units.insert(unit.to_owned(), Enablement::Disabled);
        }
        let mut node = Self {
            name: name.clone(),
            flushed: disk.clone(),
            disk,
            boot: Boot::default(),
            networks: hardware(name),
            drives: storage::hardware(name),
            tangs: tangs.clone(),
            pool: pool.clone(),
            together: together.clone(),
            doing: None,
            told: Vec::new(),
            ahead: rng.i64(-90_000..90_000) * i64::from(rng.bool()),
            running: None,
            keeps_time: false,
            drops_writes: false,
        };
        node.boot();
        node
    }

    /// All that was written reaches the disk.
    pub(crate) fn flush(&mut self) {
        self.flushed = self.disk.clone();
        self.drives.unflushed.clear();
    }

    /// The power goes and comes: of what was not flushed, each thing is there or isn't.
    pub(crate) fn power_cut(&mut self, rng: &mut fastrand::Rng) {
        let (old, new) = (self.flushed.clone(), &mut self.disk);
        mix(&old.files, &mut new.files, rng);
        mix(&old.units, &mut new.units, rng);
        mix(&old.users, &mut new.users, rng);
        mix(&old.virtual_networks, &mut new.virtual_networks, rng);
        for (package, state) in &mut new.packages {
            // dpkg flushes its files, but a package may be cut between unpacking and configuring.
            if old.packages.get(package) != Some(state) && *state == PackageState::Installed && rng.bool() {
                *state = PackageState::Broken;
            }
        }
        // Units are files of their packages'; what happens to them at boot is links beside.
        for unit in DAEMONS.iter().flat_map(|(_, units)| *units) {
            let there = owner_of(unit).and_then(|package| new.packages.get(package));
            match there {
                None | Some(PackageState::Removed) => drop(new.units.remove(*unit)),
                Some(_) => drop(new.units.entry((*unit).to_owned()).or_insert(Enablement::Disabled)),
            }
        }
        new.lists = old.lists;
        self.running = None;
        self.drives.lose(|| rng.bool());
        self.boot();
    }

    /// Shut down in order, and started again.
    pub(crate) fn reboot(&mut self) {
        self.running = None;
        self.boot();
    }

    fn boot(&mut self) {
        self.flush();
        self.boot = Boot { number: self.boot.number + 1, ..Boot::default() };
        self.boot.sysctl = SYSCTL.iter().map(|(key, value)| ((*key).to_owned(), (*value).to_owned())).collect();
        let files = self.disk.files.clone();
        for (_, entry) in files.iter().filter(|(path, _)| path.parent() == Some(Utf8Path::new("/etc/sysctl.d"))) {
            if let Entry::File { text, .. } = entry {
                self.load_sysctl(text);
            }
        }
        self.reload_systemd();
        self.load_modules();
        self.boot_drives();
        self.boot_networks();
        for (unit, enablement) in self.disk.units.clone() {
            if enablement == Enablement::Enabled {
                self.start(&unit);
            }
        }
        self.swap_on();
        self.wake();
    }

    /// What systemd last read of a file.
    pub(crate) fn systemd_text(&self, path: &str) -> String {
        match self.boot.systemd.get(Utf8Path::new(path)) {
            Some(Entry::File { text, .. }) => text.clone(),
            _ => String::new(),
        }
    }

    /// systemd reads units, drop-ins, fstab and crypttab.
    pub(crate) fn reload_systemd(&mut self) {
        let read = |path: &Utf8Path| path.starts_with(SYSTEMD) || path == "/etc/fstab" || path == "/etc/crypttab";
        let read = self.disk.files.iter().filter(|(path, _)| read(path));
        self.boot.systemd = read.map(|(path, entry)| (path.clone(), entry.clone())).collect();
    }

    /// Starts a unit; whether it runs then.
    pub(crate) fn start(&mut self, unit: &str) -> bool {
        if self.boot.activity.get(unit) == Some(&Activity::Active) {
            return true;
        }
        let there = match self.disk.units.get(unit) {
            Some(Enablement::Absent | Enablement::Masked) => false,
            Some(_) => true,
            None => self.boot.systemd.contains_key(Utf8Path::new(&format!("{SYSTEMD}/{unit}"))),
        };
        // The package's files are there, but unusable until it is configured.
        let whole =
            owner_of(unit).is_none_or(|package| self.disk.packages.get(package) == Some(&PackageState::Installed));
        let starts = there && whole && self.has_what_it_needs(unit);
        if starts {
            self.read_configuration(unit);
            self.boot.activity.insert(unit.to_owned(), Activity::Active);
            self.network_unit(unit, true);
            self.hypervisor_unit(unit);
            if unit == "chrony.service" {
                // It steps the clock when it starts.
                self.ahead = 0;
            }
        }
        starts
    }

    /// Stops a unit.
    pub(crate) fn stop(&mut self, unit: &str) {
        self.boot.activity.insert(unit.to_owned(), Activity::Inactive);
        self.boot.read.remove(unit);
        self.network_unit(unit, false);
    }

    /// A unit reads its configuration.
    pub(crate) fn read_configuration(&mut self, unit: &str) {
        let mut now = Self::configuration(unit, &self.disk.files);
        now.retain(|path, _| !path.starts_with(SYSTEMD));
        now.extend(Self::configuration(unit, &self.boot.systemd));
        self.boot.read.insert(unit.to_owned(), now);
    }

    fn configuration(unit: &str, files: &Configuration) -> Configuration {
        let paths = READS.iter().find(|(name, _)| *name == unit).map_or(&[] as &[&str], |(_, paths)| paths);
        let of = |path: &&str| {
            let wanted = |file: &Utf8Path| match path.strip_suffix('/') {
                Some(folder) => file.parent() == Some(Utf8Path::new(folder)) && file.extension() == Some("conf"),
                None => file == Utf8Path::new(path),
            };
            let found = files.iter().filter(|(file, _)| wanted(file));
            found.map(|(file, entry)| (file.clone(), entry.clone())).collect::<Vec<_>>()
        };
        paths.iter().flat_map(of).collect()
    }

    /// The units that run with another configuration than the one that lies there.
    pub(crate) fn stale(&self) -> Vec<String> {
        // What people have masked is theirs.
        let runs = |unit: &String| {
            self.boot.activity.get(unit) == Some(&Activity::Active)
                && self.disk.units.get(unit) == Some(&Enablement::Enabled)
        };
        let stale = |unit: &String, read: &Configuration| Self::configuration(unit, &self.disk.files) != *read;
        let read = self.boot.read.iter();
        read.filter(|(unit, read)| runs(unit) && stale(unit, read)).map(|(unit, _)| unit.clone()).collect()
    }

    /// Puts `KEY = VALUE` lines into the kernel.
    pub(crate) fn load_sysctl(&mut self, text: &str) {
        let lines = text.lines().filter(|line| !line.starts_with(['#', ';']));
        for (key, value) in lines.filter_map(|line| line.split_once('=')) {
            let key = key.trim().trim_start_matches('-').replace('/', ".");
            if let Some(setting) = self.boot.sysctl.get_mut(&key) {
                value.trim().clone_into(setting);
            }
        }
    }

    /// Takes the swap of fstab into use, by way of crypttab, as systemd knows the two. Whether there is one.
    pub(crate) fn swap_on(&mut self) -> bool {
        let (fstab, crypttab) = (self.systemd_text("/etc/fstab"), self.systemd_text("/etc/crypttab"));
        let word = |line: &'_ str, index| line.split_whitespace().nth(index).map(str::to_owned);
        let asked = fstab.lines().any(|line| line.starts_with("/dev/mapper/stead-swap none swap"));
        let entry = crypttab.lines().find(|line| line.starts_with("stead-swap "));
        let image = entry.and_then(|line| word(line, 1)).and_then(|path| self.disk.files.get(Utf8Path::new(&path)));
        // What is open stays so, whatever became of the file.
        let size = self.boot.opened.or(match image {
            Some(Entry::Space(size)) => Some(*size),
            _ => None,
        });
        let Some(size) = size.filter(|size| asked && *size > PAGE) else { return false };
        self.boot.opened = Some(size);
        if self.boot.swaps.is_empty() {
            let swap = Swap { path: "/dev/dm-0".into(), size: Bytes::new(size - PAGE), encrypted: true };
            self.boot.swaps.push(swap);
        }
        true
    }
}

/// An account.
pub(crate) fn user(name: &str, uid: u32, groups: &[&str]) -> User {
    let groups: BTreeSet<String> = groups.iter().copied().chain([name]).map(str::to_owned).collect();
    User { uid, home: format!("/srv/{name}").into(), shell: "/bin/bash".to_owned(), groups }
}

/// The units that a package brings.
pub(crate) fn units_of(package: &str) -> &'static [&'static str] {
    DAEMONS.iter().find(|(name, _)| *name == package).map_or(&[], |(_, units)| units)
}

fn owner_of(unit: &str) -> Option<&'static str> {
    DAEMONS.iter().find(|(_, units)| units.contains(&unit)).map(|(package, _)| *package)
}

/// Of what differs, each as it was or as it is.
fn mix<K: Ord + Clone, V: Clone + PartialEq>(old: &BTreeMap<K, V>, new: &mut BTreeMap<K, V>, rng: &mut fastrand::Rng) {
    let keys: BTreeSet<K> = old.keys().chain(new.keys()).cloned().collect();
    for key in keys {
        if old.get(&key) != new.get(&key) && rng.bool() {
            match old.get(&key) {
                Some(value) => drop(new.insert(key, value.clone())),
                None => drop(new.remove(&key)),
            }
        }
    }
}
