//! Clusters as agents would tell of them: Debian as its installer leaves it, and nodes as the planner wants them.

use std::collections::{BTreeMap, BTreeSet};

use camino::Utf8Path;
use ipnet::Ipv4Net;
use stead_plan::generation::{FORMAT, Generation, Stamp};
use stead_plan::host::facts::{Swap, User};
use stead_plan::inventory::{
    Activity, Architecture, Clock, Enablement, File, FileState, Inventory, Known, Mode, NodeInventory, Observation,
    Package, PackageState, Release, System, Timestamp, Unit, Watchdog, sha256,
};
use stead_plan::network::facts::{Errors, Nic, Route};
use stead_plan::op::{Argument, Command, Op, Program};
use stead_plan::plan::{Asked, Plan, plan, questions};
use stead_plan::volumes::Storage;
use stead_spec::units::{Interface, NodeName, Sha256};
use stead_spec::{Bytes, Spec};

pub(crate) mod drives;
mod engines;
mod libvirt;
pub(crate) mod machines;
mod pacemaker;
mod storage;
mod volumes;

use drives::{Around, Drives};
use engines::Networks;
use machines::hypervisor;
use storage::{gluster, os_disk, tell_storage};

/// The cluster file that cases start from.
pub(crate) const TOML: &str = include_str!("stead.toml");

/// 2026-11-22 14:03 UTC.
pub(crate) const NOW: Timestamp = Timestamp(1_795_356_180_000);

/// A cluster file and its digest.
pub(crate) fn spec(toml: &[u8]) -> (Spec, Sha256) {
    let parsed = stead_spec::parse("stead.toml", toml);
    let (spec, _) = parsed.unwrap_or_else(|report| panic!("{:?}", report.diagnostics()));
    (spec, sum(toml))
}

pub(crate) fn sum(bytes: &[u8]) -> Sha256 {
    stead_plan::inventory::sha256(bytes)
}

pub(crate) fn name(name: &str) -> NodeName {
    name.parse().unwrap()
}

/// A file of root's that everybody may read.
pub(crate) fn file(text: &str) -> Known<FileState> {
    file_with(text, 0o644)
}

/// A file of root's. What others may not read has no text.
pub(crate) fn file_with(text: &str, mode: u16) -> Known<FileState> {
    let readable = mode & 0o004 != 0;
    let (owner, sha256) = ("root:root".to_owned(), sum(text.as_bytes()));
    Known::Is(FileState::File(File { mode: Mode(mode), owner, sha256, text: readable.then(|| text.to_owned()) }))
}

fn folder(mode: u16) -> Known<FileState> {
    Known::Is(FileState::Folder { mode: Mode(mode), owner: "root:root".to_owned() })
}

pub(crate) fn unit(enablement: Enablement, activity: Activity) -> Unit {
    Unit { enablement, activity }
}

fn installed(version: &str) -> Package {
    Package { version: version.to_owned(), state: PackageState::Installed }
}

/// Nodes as Debian's installer leaves them, named `debian`.
pub(crate) fn fresh(spec: &Spec, release: &Release) -> Inventory {
    let nodes = spec.nodes().keys().map(|name| {
        let node = fresh_node(spec, name, release);
        (name.clone(), Observation::Seen(Box::new(node)))
    });
    Inventory { observed_at: NOW, nodes: nodes.collect() }
}

fn fresh_node(spec: &Spec, name: &NodeName, release: &Release) -> NodeInventory {
    let node = &spec.nodes()[name];
    let trixie = *release == Release::Trixie;
    let questions = questions(spec, name);
    let mut files: BTreeMap<_, _> =
        questions.files.iter().map(|path| (path.clone(), Known::Is(FileState::Absent))).collect();
    let hosts = "127.0.0.1\tlocalhost\n127.0.1.1\tdebian.home.arpa\tdebian\n\n# The following lines are desirable for \
                 IPv6 capable hosts\n::1     localhost ip6-localhost ip6-loopback\n";
    let sshd = "# This is the sshd server system-wide configuration file.\n\nInclude /etc/ssh/sshd_config.d/*.conf\n\n\
                #AuthorizedKeysFile\t.ssh/authorized_keys .ssh/authorized_keys2\nKbdInteractiveAuthentication no\n\
                UsePAM yes\n";
    let interfaces = format!(
        "source /etc/network/interfaces.d/*\n\nauto lo\niface lo inet loopback\n\nallow-hotplug enp1s0\niface enp1s0 inet \
         static\n\taddress {}\n\tgateway 192.168.0.1\n",
        node.addresses.values().next().unwrap()
    );
    let fstab = "# <file system> <mount point>   <type>  <options>       <dump>  <pass>\n\
                 UUID=4a0e7f9e-58c4-4b2d-8c3f-3f1d5c1a7b42 /               ext4    errors=remount-ro 0       1\n";
    files.extend(
        [
            ("/etc/hosts", hosts),
            ("/etc/ssh/sshd_config", sshd),
            ("/etc/fstab", fstab),
            ("/etc/network/interfaces", &interfaces),
        ]
        .map(|(path, text)| (path.into(), file(text))),
    );
    let running = unit(Enablement::Enabled, Activity::Active);
    let mut units: BTreeMap<String, Unit> =
        questions.units.iter().map(|name| (name.clone(), unit(Enablement::Absent, Activity::Inactive))).collect();
    units.extend(["ssh.service", "apt-daily-upgrade.timer"].map(|name| (name.to_owned(), running.clone())));
    let versions =
        if trixie { ("257.9-1~deb13u1", "2025b-4+deb13u1") } else { ("252.39-1~deb12u1", "2025b-0+deb12u2") };
    let mut packages: BTreeMap<String, Package> =
        ["systemd", "systemd-timesyncd"].map(|name| (name.to_owned(), installed(versions.0))).into();
    packages.insert("tzdata".to_owned(), installed(versions.1));
    packages.insert("procps".to_owned(), installed(if trixie { "2:4.0.4-9" } else { "2:4.0.2-3" }));
    packages.insert("openssh-server".to_owned(), installed(if trixie { "1:10.0p1-7" } else { "1:9.2p1-2+deb12u7" }));
    packages.insert("sudo".to_owned(), installed(if trixie { "1.9.16p2-3" } else { "1.9.13p3-1+deb12u2" }));
    let nics = node.nics.values().zip(1..).map(|(mac, number)| Nic {
        name: format!("enp{number}s0"),
        index: number + 1,
        mac: Some(*mac),
        driver: Some("igc".to_owned()),
        kind: None,
        speed: Some(1_000),
        up: number == 1,
        carrier: (number == 1).then_some(true),
        mtu: 1_500,
        master: None,
        vlan: None,
        addresses: if number == 1 { node.addresses.values().copied().map(net).collect() } else { Vec::new() },
        errors: Errors::default(),
    });
    NodeInventory {
        system: System {
            release: release.clone(),
            architecture: Architecture::Amd64,
            kernel: if trixie { "6.12.48+deb13-amd64" } else { "6.1.0-40-amd64" }.to_owned(),
            boot_id: format!("5b0c1c5e-7f2e-4d3c-9a77-0000000000{:02x}", node.number.get()),
            cpus: 4,
            memory: Bytes::new(16_594_000_000),
            free: Known::Is(Bytes::gib(180)),
        },
        clock: Clock { ahead: 12, uncertainty: 3, synchronised: Known::Is(true) },
        stamp: Known::Is(None),
        generation: Known::Is(None),
        unfinished: Known::Is(std::collections::BTreeSet::new()),
        hostname: Known::Is("debian".to_owned()),
        timezone: Known::Is("Etc/UTC".to_owned()),
        packages: Known::Is(packages),
        updates: None,
        units: Known::Is(units),
        files,
        users: Known::Is(BTreeMap::new()),
        sysctl: questions
            .sysctl
            .iter()
            .map(|key| (key.clone(), Known::Is(Some(if key.starts_with("net.") { "0" } else { "60" }.to_owned()))))
            .collect(),
        swaps: Known::Is(Vec::new()),
        watchdogs: Known::Is(vec![Watchdog {
            name: "watchdog0".to_owned(),
            identity: "iTCO_wdt".to_owned(),
            timeout: 30,
        }]),
        nics: Known::Is(nics.collect()),
        routes: Known::Is(vec![Route {
            to: "default".to_owned(),
            gateway: Some("192.168.0.1".to_owned()),
            dev: Some("enp1s0".to_owned()),
            protocol: Some("static".to_owned()),
            kind: None,
            source: None,
            metric: 0,
        }]),
        ovs: Known::Is(None),
        routing: Known::Is(None),
        firewall: Known::Is(None),
        tang: Known::Is(None),
        pools: Known::Is(BTreeMap::new()),
        headers: Known::Is(BTreeMap::new()),
        vacated: Known::Is(BTreeMap::new()),
        storage: Storage {
            bricks: questions.bricks.iter().map(|folder| (folder.clone(), Known::Is(None))).collect(),
            ..Storage::default()
        },
        hypervisor: machines::bare(&questions),
        disks: Known::Is(
            std::iter::once(os_disk(node.number.get())).chain(blank_drives(spec, name).tell(false)).collect(),
        ),
    }
}

/// A node's data disks, as they come from the shop.
pub(crate) fn blank_drives(spec: &Spec, name: &NodeName) -> Drives {
    let ids = spec.nodes()[name].disks.keys().zip('b'..);
    let drives = ids.map(|(id, letter)| drives::blank(id.as_ref(), &format!("sd{letter}")));
    Drives { all: drives.collect(), node: name.to_string(), ..Drives::default() }
}

/// As the kernel has it.
fn net(address: Interface) -> Ipv4Net {
    address.to_string().parse().unwrap()
}

/// The sums of sealed secrets.
pub(crate) fn sums() -> BTreeMap<String, Sha256> {
    let mut sums: BTreeMap<_, _> = [("core/ospf".to_owned(), sha256("abcdefghijkmnpqr"))].into();
    sums.extend((1..=3).map(|number| (format!("tls/storage/node{number}"), sha256(format!("tls {number}")))));
    for of in ["machines", "migration"] {
        sums.extend((1..=3).map(|number| (format!("tls/{of}/node{number}"), sha256(format!("tls {of} {number}")))));
    }
    sums.extend((1..=3).map(|number| (format!("disk/ata-EXAMPLE_SSD_1TB_S{number}"), sha256(number.to_string()))));
    sums
}

/// The certificates of the CAs, as far as anybody looks at them here.
pub(crate) fn trusted() -> BTreeMap<String, String> {
    let certificate = |of: &str| format!("-----BEGIN CERTIFICATE-----\n{of}\n-----END CERTIFICATE-----\n");
    [("storage", "MIIB"), ("machines", "MIIC"), ("migration", "MIID")]
        .map(|(purpose, of)| (purpose.to_owned(), certificate(of)))
        .into()
}

/// Nodes as the planner wants them, with this generation: every file as the plan for fresh ones writes it, and
/// everything else as the cluster file asks.
pub(crate) fn converged(toml: &str, release: &Release) -> Inventory {
    let (spec, digest) = spec(toml.as_bytes());
    let mut inventory = fresh(&spec, release);
    let plan =
        plan(&Asked { spec: &spec, digest: &digest, ancestors: &[], sums: &sums(), trusted: &trusted() }, &inventory);
    assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
    let all = all_drives(&spec, &plan);
    let gluster = gluster(&plan, release);
    for (name, drives) in &all {
        let node = node(&mut inventory, name.as_ref());
        node.storage = tell_storage(&spec, name, drives, &gluster);
    }
    for (name, drives) in all {
        tell_drives(node(&mut inventory, name.as_ref()), &drives);
    }
    for name in spec.nodes().keys() {
        settle(&spec, &digest, &plan, name, node(&mut inventory, name.as_ref()));
    }
    inventory
}

/// A node that answered.
pub(crate) fn node<'i>(inventory: &'i mut Inventory, name: &str) -> &'i mut NodeInventory {
    match inventory.nodes.get_mut(name) {
        Some(Observation::Seen(node)) => node,
        other => panic!("{other:?}"),
    }
}

fn settle(spec: &Spec, digest: &Sha256, plan: &Plan, name: &NodeName, node: &mut NodeInventory) {
    let asked = questions(spec, name).files;
    for op in plan.steps.iter().filter(|step| step.id.node == *name).flat_map(|step| &step.ops) {
        match op {
            Op::Write(write) if asked.contains(&write.path) => {
                let mut file = file_with(&write.text, write.mode.0);
                if let Known::Is(FileState::File(file)) = &mut file {
                    if let Some(group) = &write.group {
                        file.owner = format!("root:{group}");
                    }
                    if let [secret] = write.secrets.as_slice()
                        && secret.to_string() == write.text
                    {
                        (file.sha256, file.text) = (secret.sha256.clone(), None);
                    }
                }
                node.files.insert(write.path.clone(), file);
            }
            Op::Folder { path, mode } => {
                node.files.insert(path.clone(), folder(mode.0));
            }
            Op::MountPoint { path } => {
                node.files.insert(path.clone(), folder(0o755));
            }
            Op::Link { path, target } => {
                node.files.insert(path.clone(), Known::Is(FileState::Link(target.clone())));
            }
            _ => {}
        }
    }
    network(plan, name, node);
    node.stamp = Known::Is(Some(Stamp { cluster: spec.cluster().id, node: name.clone() }));
    node.generation = Known::Is(Some(generation(1, digest)));
    node.hostname = Known::Is(name.to_string());
    node.timezone = Known::Is(spec.cluster().timezone.to_string());
    let mut packages = packages(node).clone();
    packages.remove("systemd-timesyncd");
    let mut wanted: Vec<&str> =
        vec!["chrony", "ethtool", "nftables", "smartmontools", "unattended-upgrades", "cryptsetup"];
    wanted.extend(["systemd-cryptsetup", "frr", "iputils-ping", "openvswitch-switch"]);
    wanted.extend(["jose", "tang", "clevis", "clevis-luks", "clevis-systemd", "lvm2", "thin-provisioning-tools"]);
    wanted.extend(["dmeventd", "xfsprogs", "glusterfs-client", "glusterfs-server"]);
    wanted.extend(machines::PACKAGES);
    wanted.extend(spec.host().packages.iter().map(AsRef::<str>::as_ref));
    packages.extend(wanted.into_iter().map(|name| (name.to_owned(), installed("1.0-1"))));
    node.packages = Known::Is(packages);
    units(node).insert("chrony.service".to_owned(), unit(Enablement::Enabled, Activity::Active));
    units(node).insert("smartmontools.service".to_owned(), unit(Enablement::Masked, Activity::Inactive));
    for name in
        ["systemd-networkd", "frr", "openvswitch-switch", "stead-way-back-boot", "stead-firewall", "stead-disks"]
    {
        units(node).insert(format!("{name}.service"), unit(Enablement::Enabled, Activity::Active));
    }
    for name in ["tangd.socket", "clevis-luks-askpass.path"] {
        units(node).insert(name.to_owned(), unit(Enablement::Enabled, Activity::Active));
    }
    for name in questions(spec, name).units.iter().filter(|name| name.starts_with("systemd-cryptsetup@stead_")) {
        units(node).insert(name.clone(), unit(Enablement::Other, Activity::Active));
    }
    units(node).insert("var-lib-stead-vault.mount".to_owned(), unit(Enablement::Other, Activity::Active));
    hypervisor(spec, plan, name, node);
    for name in questions(spec, name).units {
        if name.starts_with("srv-") {
            units(node).insert(name.clone(), unit(Enablement::Other, Activity::Active));
        }
        if name.starts_with("stead-volume-") || name.starts_with("stead-brick-") || name == "glusterd.service" {
            units(node).insert(name, unit(Enablement::Enabled, Activity::Active));
        }
    }
    let waits = unit(Enablement::Disabled, Activity::Inactive);
    units(node).insert("systemd-networkd-wait-online.service".to_owned(), waits);
    let groups = if spec.machines().is_empty() { &[][..] } else { &["libvirt"] };
    let users = spec.admins().keys().zip(1_000..).map(|(admin, uid)| {
        let mut user = user(admin.as_ref(), uid);
        user.groups.extend(groups.iter().map(ToString::to_string));
        (admin.to_string(), user)
    });
    node.users = Known::Is(users.collect());
    for (key, value) in plan_settings(plan, name) {
        node.sysctl.insert(key, Known::Is(Some(value)));
    }
    if let Some(size) = spec.host().swap {
        let size = Bytes::new(size.get() - 4_096);
        node.swaps = Known::Is(vec![Swap { path: "/dev/dm-0".into(), size, encrypted: true }]);
        units(node).insert(r"dev-mapper-stead\x2dswap.swap".to_owned(), unit(Enablement::Other, Activity::Active));
    }
}

/// What a node tells of its drives when all of them are open.
pub(crate) fn tell_drives(node: &mut NodeInventory, drives: &Drives) {
    let disks = known(&mut node.disks);
    disks.retain(|disk| disk.ids.iter().any(|id| id.contains("_OS")));
    disks.extend(drives.tell(drives.vault().is_some()));
    node.tang = Known::Is(Some(drives.tang.clone()));
    node.pools = Known::Is(drives.pools.clone());
    node.headers = Known::Is(drives.kept.clone());
}

/// What a plan makes of blank drives, on all nodes.
pub(crate) fn all_drives(spec: &Spec, plan: &Plan) -> BTreeMap<NodeName, Drives> {
    let mut all: BTreeMap<_, _> = spec.nodes().keys().map(|name| (name.clone(), blank_drives(spec, name))).collect();
    run_drives(spec, plan, &mut all);
    all
}

/// What a plan makes of these drives.
pub(crate) fn run_drives(spec: &Spec, plan: &Plan, all: &mut BTreeMap<NodeName, Drives>) {
    let mut outputs = BTreeMap::new();
    let mut crypttabs: BTreeMap<NodeName, String> = BTreeMap::new();
    let mut fstabs: BTreeMap<NodeName, String> = BTreeMap::new();
    for step in &plan.steps {
        let now = all.clone();
        let answers = |url: &str| {
            if let Some(tang) = outside(spec.unlock()).into_iter().find(|tang| tang.url.to_string() == url) {
                return Some([tang.thumbprint.clone()].into());
            }
            let node = spec.nodes().values().find(|node| url == format!("http://{}:7500", node.core))?;
            let keys = now[&node.name].tang.advertised.values();
            let keys = keys.filter_map(|key| {
                if let stead_plan::disks::TangKey::Signs(key) = key { Some(key.clone()) } else { None }
            });
            Some(keys.collect())
        };
        let name = &step.id.node;
        let drives = all.get_mut(name).unwrap();
        for op in &step.ops {
            match op {
                Op::Write(write) if write.path == "/etc/crypttab" => {
                    drop(crypttabs.insert(name.clone(), write.text.clone()));
                }
                Op::Write(write) if write.path == "/etc/fstab" => {
                    drop(fstabs.insert(name.clone(), write.text.clone()));
                }
                Op::Vacant(wanted) => drives.prove(wanted).unwrap(),
                Op::Take { path, output } => {
                    drop(outputs.insert((step.id.clone(), *output), drives.take(path.as_str()).unwrap()));
                }
                Op::Place { path, content } => drives.place(path.file_name().unwrap(), &word(content, &outputs)),
                Op::Run(command) => {
                    let words: Vec<String> =
                        command.arguments.iter().map(|argument| word(argument, &outputs)).collect();
                    let words: Vec<&str> = words.iter().map(String::as_str).collect();
                    let stdin = command.stdin.as_ref().map(|stdin| filled(stdin, &outputs));
                    let crypttab = crypttabs.get(name).map_or("", String::as_str);
                    let around = Around { crypttab, answers: &answers, half: false };
                    let unit = if let (Program::Systemctl, ["restart", unit]) = (command.program, words.as_slice()) {
                        *unit
                    } else {
                        ""
                    };
                    if let Some(mapping) =
                        unit.strip_prefix("systemd-cryptsetup@").and_then(|unit| unit.strip_suffix(".service"))
                    {
                        drives.attach(mapping, &around).unwrap();
                    }
                    if let (Program::Systemctl, ["start", unit]) = (command.program, words.as_slice())
                        && unit.starts_with("srv-")
                    {
                        let place = format!("/{}", unit.trim_end_matches(".mount").replace('-', "/"));
                        let place = place.replace(r"\x2d", "-");
                        drives.mount(&place, fstabs.get(name).map_or("", String::as_str)).unwrap();
                    }
                    match drives.run(command.program, &words, stdin.as_deref(), &around) {
                        Some(Ok(Some(told))) => {
                            if let Some(kind) = command.output {
                                outputs.insert((step.id.clone(), kind), told);
                            }
                        }
                        Some(Ok(None)) | None => {}
                        Some(Err(why)) => panic!("{}: {command}: {why}", step.id),
                    }
                }
                _ => {}
            }
        }
    }
}

/// The tangs outside.
fn outside(unlock: &stead_spec::disks::Unlock) -> Vec<&stead_spec::disks::OutsideTang> {
    use stead_spec::disks::Unlock;
    match unlock {
        Unlock::All(parts) | Unlock::Any(parts) => parts.iter().flat_map(outside).collect(),
        Unlock::AllNodes | Unlock::AnyNode => Vec::new(),
        Unlock::Tang(tang) => vec![tang],
    }
}

type Outputs = BTreeMap<(stead_plan::step::StepId, stead_plan::op::OutputKind), String>;

fn word(argument: &Argument, outputs: &Outputs) -> String {
    match argument {
        Argument::Text(text) => text.clone(),
        Argument::Output(output) => outputs[&(output.step.clone(), output.kind)].clone(),
        Argument::Filled(of) => filled(of, outputs),
    }
}

fn filled(of: &stead_plan::op::Filled, outputs: &Outputs) -> String {
    let mut of = of.clone();
    for output in of.outputs.clone() {
        of.fill(&output, &outputs[&(output.step.clone(), output.kind)]);
    }
    of.text
}

/// What the files for the kernel set.
fn plan_settings(plan: &Plan, name: &NodeName) -> Vec<(String, String)> {
    let steps = plan.steps.iter().filter(|step| step.id.node == *name);
    let text = |op: &Op| match op {
        Op::Write(write) if write.path.starts_with("/etc/sysctl.d") => Some(write.text.clone()),
        _ => None,
    };
    let texts: Vec<String> = steps.flat_map(|step| &step.ops).filter_map(text).collect();
    let lines = texts.iter().flat_map(|text| text.lines()).filter(|line| !line.starts_with('#'));
    lines.filter_map(|line| line.split_once(" = ")).map(|(key, value)| (key.to_owned(), value.to_owned())).collect()
}

/// What the engines of networks make of the plan.
fn network(plan: &Plan, name: &NodeName, node: &mut NodeInventory) {
    let mut networks = Networks { nics: known(&mut node.nics).clone(), routes: Vec::new(), ..Networks::default() };
    for nic in &mut networks.nics {
        nic.carrier = Some(true);
    }
    let mut files = engines::Files::new();
    for op in plan.steps.iter().filter(|step| step.id.node == *name).flat_map(|step| &step.ops) {
        match op {
            Op::Write(write) => drop(files.insert(write.path.clone(), write.text.clone())),
            Op::Run(command) => run(command, &mut networks, &files),
            _ => {}
        }
    }
    networks.settle(&files);
    node.nics = Known::Is(networks.nics);
    node.routes = Known::Is(networks.routes);
    node.ovs = Known::Is(Some(networks.ovs));
    node.routing = Known::Is(networks.routing);
    node.firewall = Known::Is(networks.firewall);
}

fn run(command: &Command, networks: &mut Networks, files: &engines::Files) {
    let word = |argument: &Argument| match argument {
        Argument::Text(text) => text.clone(),
        Argument::Output(_) | Argument::Filled(_) => String::new(),
    };
    let words: Vec<String> = command.arguments.iter().map(word).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match (command.program, words.as_slice()) {
        (Program::OvsVsctl, words) => networks.vsctl(words).unwrap(),
        (Program::Networkctl, ["reload"]) => networks.reload(files),
        (Program::Networkctl, ["reconfigure", names @ ..]) => {
            for name in names {
                networks.reconfigure(name, files).unwrap();
            }
        }
        (Program::Systemctl, ["restart", "stead-firewall.service"]) => {
            let text = &files[Utf8Path::new("/etc/stead/firewall.nft")];
            networks.firewall = text.find("table inet stead {").map(|from| text[from..].to_owned());
        }
        (Program::Systemctl, ["restart", "frr.service"]) => networks.frr(&files[Utf8Path::new("/etc/frr/frr.conf")]),
        _ => {}
    }
}

/// An account of the group sudo.
pub(crate) fn user(name: &str, uid: u32) -> User {
    let groups = BTreeSet::from([name.to_owned(), "sudo".to_owned()]);
    User { uid, home: Utf8Path::new("/home").join(name), shell: "/bin/bash".to_owned(), groups }
}

/// What was applied, on 2026-11-20.
pub(crate) fn generation(number: u64, digest: &Sha256) -> Generation {
    Generation {
        number,
        digest: digest.clone(),
        at: Timestamp(1_795_212_240_000),
        by: "me@laptop".to_owned(),
        stead: "0.1.0".to_owned(),
        format: FORMAT,
    }
}

pub(crate) fn packages(node: &mut NodeInventory) -> &mut BTreeMap<String, Package> {
    known(&mut node.packages)
}

pub(crate) fn units(node: &mut NodeInventory) -> &mut BTreeMap<String, Unit> {
    known(&mut node.units)
}

pub(crate) fn users(node: &mut NodeInventory) -> &mut BTreeMap<String, User> {
    known(&mut node.users)
}

fn known<T>(known: &mut Known<T>) -> &mut T {
    match known {
        Known::Is(value) => value,
        Known::Unknown(why) => panic!("{why}"),
    }
}

/// The text of a file.
pub(crate) fn text(state: &Known<FileState>) -> String {
    match state {
        Known::Is(FileState::File(File { text: Some(text), .. })) => text.clone(),
        other => panic!("{other:?}"),
    }
}
