//! A node as QEMU's command line, and whether KVM can run it.

use std::io::{BufRead, BufReader};
use std::process::Stdio;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

use serde::{Deserialize, Serialize};

use crate::exec::{RunError, Tool};
use crate::folder::DISKS;
use crate::image::Image;
use crate::state::{BayCondition, LabConfig, NodeState, OS_BAY, Parts, SWITCHES};

/// What runs a node's instructions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Accelerator {
    /// The processor itself.
    Kvm,
    /// QEMU's translator: 10 to 20 times slower, and runs everywhere.
    Tcg,
}

/// What a node's kernel says when it has come through its own part of the boot.
const BOOTED: &str = "Run /init as init process";

/// How long a kernel may take for that under KVM, which takes about a second.
const TRIAL: Duration = Duration::from_secs(20);

impl Accelerator {
    /// Finds by a trial boot whether KVM works here.
    ///
    /// That `/dev/kvm` is there and opens says little: within some virtual machines it does, and no kernel gets through
    /// its boot.
    pub fn probe(image: &Image) -> Result<Self, RunError> {
        // Under a leash, like a node: no trial outlives whoever asked for it.
        let mut command = Tool::Setpriv.command();
        command.args(["--pdeathsig", "KILL", Tool::Qemu.program()]);
        command
            .args(["-nodefaults", "-no-user-config", "-display", "none", "-no-reboot", "-m", "512"])
            .args(["-machine", "q35", "-serial", "stdio", "-append", "console=ttyS0 panic=-1"])
            .args(Self::Kvm.args())
            .arg("-kernel")
            .arg(&image.kernel)
            .arg("-initrd")
            .arg(&image.initrd)
            .stdout(Stdio::piped())
            .stderr(Stdio::null());
        let mut child = command.spawn().map_err(|source| Tool::Qemu.start_error(&command, source))?;
        let stdout = child.stdout.take();
        let (found, result) = mpsc::channel();
        thread::spawn(move || {
            // The kernel's console is not always UTF-8.
            let lines = stdout.into_iter().flat_map(|stdout| BufReader::new(stdout).split(b'\n'));
            let booted = lines.map_while(Result::ok).any(|line| String::from_utf8_lossy(&line).contains(BOOTED));
            // Nobody listens any more after the time-out.
            let _ = found.send(booted);
        });
        let booted = result.recv_timeout(TRIAL).unwrap_or(false);
        let _ = child.kill();
        let _ = child.wait();
        Ok(if booted { Self::Kvm } else { Self::Tcg })
    }

    /// How many virtual CPUs a node has unless the user says otherwise.
    fn cpus(self) -> u8 {
        match self {
            Self::Kvm => 2,
            // Debian 13's kernel has panicked with two, about once in eight boots under QEMU 7.2: it patches its own code
            // while the translator of the other CPU runs it.
            Self::Tcg => 1,
        }
    }

    fn args(self) -> [&'static str; 4] {
        match self {
            Self::Kvm => ["-accel", "kvm", "-cpu", "host"],
            // Without cx16, since Debian 13's kernel has panicked in it under the translator of QEMU 7.2. The buffer
            // for translated code is what a booted Debian needs; QEMU's default, a quarter of the memory, adds up.
            Self::Tcg => ["-accel", "tcg,thread=multi,tb-size=512", "-cpu", "max,-cx16"],
        }
    }
}

impl std::fmt::Display for Accelerator {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(match self {
            Self::Kvm => "KVM",
            Self::Tcg => "TCG",
        })
    }
}

/// The names of a node's sockets and logs, relative to the lab's folder.
#[derive(Clone, Debug)]
pub struct NodeFiles {
    name: String,
}

impl NodeFiles {
    /// Those of the node `name`.
    pub fn of(name: &str) -> Self {
        Self { name: name.to_owned() }
    }

    /// Where QEMU comes to be told what to do.
    pub fn qmp(&self) -> String {
        self.file("qmp")
    }

    /// The serial console.
    pub fn console(&self) -> String {
        self.file("console")
    }

    /// What the console has shown so far.
    pub fn console_log(&self) -> String {
        self.file("console.log")
    }

    /// What QEMU itself has said.
    pub fn qemu_log(&self) -> String {
        self.file("qemu.log")
    }

    /// The line on which the node is told the time.
    pub fn clock(&self) -> String {
        self.file("clock")
    }

    /// The cable of the out-of-band NIC.
    pub fn oob(&self) -> String {
        self.file("oob")
    }

    /// The cable to a switch.
    pub fn nic(&self, switch: u8) -> String {
        self.file(&format!("nic{switch}"))
    }

    /// The name of the port that this cable has on its switch.
    pub fn port(&self, switch: u8) -> String {
        format!("{}-nic{switch}", self.name)
    }

    /// The way of a memory picture, out of or into QEMU.
    pub fn memory(&self) -> String {
        self.file("memory")
    }

    /// The name under which a bay is served.
    pub fn bay(&self, bay: &str) -> String {
        format!("{}-{bay}", self.name)
    }

    fn file(&self, kind: &str) -> String {
        format!("nodes/{}.{kind}", self.name)
    }
}

/// Whether a node starts from its disks or goes on from a picture of its memory.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Start {
    /// From its disks.
    Cold,
    /// From a picture, which comes over [`NodeFiles::memory`].
    FromPicture,
}

/// The name of the clock's port within a node.
const CLOCK_PORT: &str = "org.stead.lab.clock";

/// QEMU's arguments for a node; it is started in the lab's folder and comes up paused.
///
/// `key` is the public key for ssh, as `ssh-ed25519 AAAA…`.
pub fn arguments(
    config: &LabConfig,
    parts: &Parts,
    name: &str,
    node: &NodeState,
    key: &str,
    start: Start,
) -> Vec<String> {
    let files = NodeFiles::of(name);
    let system = &parts.systems[&config.release_of(node.number)];
    let mut args = Args::default();
    args.words("-nodefaults -no-user-config -display none -S").pair("-name", name);
    args.0.extend(parts.accelerator.args().map(str::to_owned));
    args.pair("-machine", "q35")
        .pair("-smp", config.cpus.unwrap_or(parts.accelerator.cpus()).to_string())
        .pair("-m", format!("{}M", config.memory.get() >> 20))
        .pair("-qmp", format!("unix:{},server=off", files.qmp()))
        .pair("-kernel", system.kernel.display().to_string())
        .pair("-initrd", system.initrd.display().to_string())
        .pair("-append", kernel_command_line(name, node, key));
    let base = node.clock.as_ref().map_or("utc".to_owned(), ToString::to_string);
    args.pair("-rtc", format!("base={base},clock=host"));
    args.device("virtio-rng-pci,addr=0x6");

    // A reset by the watchdog is a reset, not a power cut: disks keep their caches.
    args.device("i6300esb,id=watchdog,addr=0x7").pair("-action", "watchdog=reset");

    args.pair(
        "-chardev",
        format!(
            "socket,id=console,path={},server=on,wait=off,logfile={},logappend=on",
            files.console(),
            files.console_log()
        ),
    )
    .pair("-serial", "chardev:console")
    .pair("-chardev", format!("socket,id=clock,path={},server=on,wait=off", files.clock()))
    .device("virtio-serial-pci,id=ports,addr=0x8")
    .device(format!("virtserialport,bus=ports.0,chardev=clock,name={CLOCK_PORT}"));

    // SCSI, since a SCSI disk can be pulled without asking the node.
    args.device("virtio-scsi-pci,id=scsi,addr=0x9");
    for (bay, content) in &node.bays {
        let export = files.bay(bay);
        args.pair("-blockdev", format!("nbd,node-name={bay},server.type=unix,server.path={DISKS},export={export}"));
        if content.condition != BayCondition::Pulled {
            let device = disk_device(bay, &content.disk.serial);
            args.device(device.to_string());
        }
    }

    // NIC n is enp0sn within the node; the out-of-band NIC is enp0s10.
    for switch in 1..=SWITCHES {
        let mac = format!("52:54:00:00:{:02x}:{switch:02x}", node.number);
        args.nic(&format!("nic{switch}"), &files.nic(switch), &mac, switch);
    }
    args.nic("oob", &files.oob(), &format!("52:54:00:ff:00:{:02x}", node.number), 0xa);

    if start == Start::FromPicture {
        args.pair("-incoming", "defer");
    }
    args.0
}

/// The device of a disk, in the form that both the command line and a later `device_add` take.
pub fn disk_device(bay: &str, serial: &str) -> serde_json::Value {
    serde_json::json!({
        "driver": "scsi-hd",
        "id": device_id(bay),
        "bus": "scsi.0",
        "scsi-id": scsi_id(bay),
        "drive": bay,
        "serial": serial,
        "write-cache": "on",
        // An error is the node's to see, as on hardware; by default QEMU stops a node when the lab's own disk is full.
        "werror": "report",
        "rerror": "report",
        // 1 stands for an SSD, else it is rounds per minute.
        "rotation_rate": 1,
    })
}

/// The name of a bay's device, which must not be that of its block node.
pub fn device_id(bay: &str) -> String {
    format!("{bay}-device")
}

/// 0 for the OS disk, then the number of the data disk's bay.
fn scsi_id(bay: &str) -> u8 {
    if bay == OS_BAY { 0 } else { bay.trim_start_matches("disk").parse().unwrap_or(u8::MAX) }
}

fn kernel_command_line(name: &str, node: &NodeState, key: &str) -> String {
    let key = key.split_whitespace().take(2).collect::<Vec<_>>().join(":");
    let number = node.number;
    format!(
        "root=LABEL=stead-os rw console=ttyS0 mitigations=off \
         stead.lab.name={name} stead.lab.number={number} stead.lab.key={key}"
    )
}

#[derive(Default)]
struct Args(Vec<String>);

impl Args {
    fn words(&mut self, words: &str) -> &mut Self {
        self.0.extend(words.split(' ').map(str::to_owned));
        self
    }

    fn pair(&mut self, option: &str, value: impl Into<String>) -> &mut Self {
        self.0.extend([option.to_owned(), value.into()]);
        self
    }

    fn device(&mut self, device: impl Into<String>) -> &mut Self {
        self.pair("-device", device)
    }

    fn nic(&mut self, id: &str, socket: &str, mac: &str, slot: u8) {
        self.pair("-netdev", format!("stream,id={id}-cable,server=off,addr.type=unix,addr.path={socket}"));
        // QEMU forgets which tags a NIC is to take when a picture is loaded, so it takes all of them.
        self.device(format!("virtio-net-pci,id={id},netdev={id}-cable,mac={mac},ctrl_vlan=off,addr={slot:#x}"));
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;
    use crate::image::Release;
    use crate::state::{Clock, LabState, SystemFiles};

    fn lab() -> LabState {
        let system = |release: &str| SystemFiles {
            rootfs: PathBuf::from(format!("/c/{release}/rootfs")),
            kernel: PathBuf::from(format!("/c/{release}/vmlinuz")),
            initrd: PathBuf::from(format!("/c/{release}/initrd")),
        };
        let systems = [(Release::Trixie, system("trixie")), (Release::Bookworm, system("bookworm"))];
        let parts = Parts { systems: systems.into(), tang: PathBuf::from("/c/tang"), accelerator: Accelerator::Tcg };
        LabState::new(LabConfig::default(), parts)
    }

    #[test]
    fn a_node_has_no_way_to_the_hosts_network() {
        let state = lab();
        let args =
            arguments(&state.config, &state.parts, "node2", &state.nodes["node2"], "ssh-ed25519 AAAA x", Start::Cold);
        let backends: Vec<_> =
            args.iter().zip(&args[1..]).filter(|(flag, _)| *flag == "-netdev").map(|(_, v)| v).collect();
        assert_eq!(backends.len(), 4);
        assert!(backends.iter().all(|backend| backend.starts_with("stream,") && backend.contains("addr.type=unix")));
        assert!(args.contains(&"-nodefaults".to_owned()), "QEMU adds a user-mode NIC by itself otherwise");
    }

    #[test]
    fn releases_take_turns() {
        let mut state = lab();
        state.config.releases = vec![Release::Trixie, Release::Bookworm];
        let kernel = |name: &str| {
            let line = arguments(&state.config, &state.parts, name, &state.nodes[name], "k e", Start::Cold).join(" ");
            ["trixie", "bookworm"].into_iter().find(|release| line.contains(&format!("/c/{release}/vmlinuz")))
        };
        assert_eq!(["node1", "node2", "node3"].map(kernel), [Some("trixie"), Some("bookworm"), Some("trixie")]);
    }

    #[test]
    fn a_pulled_disk_is_no_device_and_a_wrong_clock_is_the_base() {
        let mut state = lab();
        let node = state.nodes.get_mut("node1").expect("node1");
        node.clock = Some(Clock::try_from("2015-01-01T00:00:00".to_owned()).expect("clock"));
        node.bays.get_mut("disk2").expect("disk2").condition = BayCondition::Pulled;
        let line = arguments(&state.config, &state.parts, "node1", &state.nodes["node1"], "k e", Start::Cold).join(" ");
        assert!(line.contains("base=2015-01-01T00:00:00"), "{line}");
        assert!(line.contains("node-name=disk2") && !line.contains("disk2-device"), "{line}");
        assert!(line.contains("disk1-device") && line.contains("stead.lab.key=k:e"), "{line}");
    }
}
