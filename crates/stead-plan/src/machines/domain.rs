//! A machine as libvirt takes it: the same text on every node, so that whichever starts it starts the same computer.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::machines::{Card, CardNetworks, Disk, Firmware, Machine};
use stead_spec::network::Network;
use stead_spec::units::{Mac, MachineName, Mtu, Vlan};
use uuid::Uuid;

use super::{cloud_init, disks, images};
use crate::network;

/// The computer that a machine runs on. It stays as it was when the machine was made: the system in it knows it.
pub(super) struct Hardware {
    /// Whether nodes' own processors run it, or QEMU translates for them: `kvm` or `qemu`.
    pub(super) kind: String,
    /// The board, by a version that every node knows: `pc-q35-7.2`.
    pub(super) board: String,
    /// The processor, as libvirt takes it.
    pub(super) processor: String,
}

impl Hardware {
    /// That of a machine that has a file already.
    pub(super) fn of(text: &str) -> Option<Self> {
        let own = |before, after| between(text, before, after).map(str::to_owned);
        let (kind, board) = (own("<domain type=\"", "\"")?, own(" machine=\"", "\"")?);
        let processor = own("  <cpu ", "</cpu>\n")?;
        Some(Self { kind, board, processor: format!("  <cpu {processor}</cpu>\n") })
    }
}

/// What stands between two words in a machine's file, as [`domain`] writes it.
fn between<'a>(text: &'a str, before: &str, after: &str) -> Option<&'a str> {
    text.split_once(before)?.1.split_once(after).map(|(within, _)| within)
}

/// Where a machine's disks lie by its file as nodes have it, by their names.
pub(super) fn disks(text: &str) -> BTreeMap<&str, &str> {
    let disks = text
        .split("<disk ")
        .skip(1)
        .filter_map(|disk| Some((between(disk, "<serial>", "</serial>")?, between(disk, "<source file=\"", "\"")?)));
    disks.collect()
}

/// A machine's number, which is the same on every node, and in every apply.
pub(super) fn uuid(spec: &Spec, machine: &MachineName) -> Uuid {
    Uuid::new_v5(&spec.cluster().id.uuid(), format!("machine/{machine}").as_bytes())
}

/// The address of a machine's card: the file's, or one that is made of the machine's number and of what the card is on, of
/// those that QEMU's machines have (`52:54:00`).
pub(super) fn mac(spec: &Spec, machine: &Machine, place: usize, card: &Card) -> String {
    let made = || {
        let before = machine.cards.iter().take(place).filter(|other| other.on == card.on).count();
        let on = match &card.on {
            CardNetworks::One(name) => name.to_string(),
            CardNetworks::Trunk(names) => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(","),
        };
        let of = Uuid::new_v5(&uuid(spec, &machine.name), format!("card/{on}/{before}").as_bytes());
        let [a, b, c, ..] = of.into_bytes();
        format!("52:54:00:{a:02x}:{b:02x}:{c:02x}")
    };
    card.mac.map_or_else(made, |mac: Mac| mac.to_string())
}

/// All of it; `on` is any node that it may run on. Names of the file need no escaping.
pub(super) fn domain(spec: &Spec, on: &Node, machine: &Machine, hardware: &Hardware) -> Option<String> {
    let Hardware { kind, board, processor } = hardware;
    let firmware = match machine.firmware {
        Firmware::Bios => "",
        Firmware::Uefi => " firmware=\"efi\"",
    };
    let (name, uuid) = (&machine.name, uuid(spec, &machine.name));
    let (memory, cpus) = (machine.memory.get() >> 10, machine.cpus.get());
    let mut text = format!(
        "<domain type=\"{kind}\">
  <name>{name}</name>
  <uuid>{uuid}</uuid>
  <memory unit=\"KiB\">{memory}</memory>
  <vcpu placement=\"static\">{cpus}</vcpu>
  <os{firmware}>
    <type arch=\"x86_64\" machine=\"{board}\">hvm</type>
  </os>
  <features>
    <acpi/>
    <apic/>
  </features>
{processor}  <clock offset=\"utc\">
    <timer name=\"rtc\" tickpolicy=\"catchup\"/>
    <timer name=\"pit\" tickpolicy=\"delay\"/>
    <timer name=\"hpet\" present=\"no\"/>
  </clock>
  <on_poweroff>destroy</on_poweroff>
  <on_reboot>restart</on_reboot>
  <on_crash>destroy</on_crash>
  <pm>
    <suspend-to-mem enabled=\"no\"/>
    <suspend-to-disk enabled=\"no\"/>
  </pm>
  <devices>
    <emulator>/usr/bin/qemu-system-x86_64</emulator>
"
    );
    for (place, disk) in machine.disks.iter().enumerate() {
        text.push_str(&disk_element(spec, machine, place, disk)?);
    }
    text.extend(cd(spec, machine).map(|file| cd_element(&file)));
    text.extend(cloud_init::file(spec, machine).map(|file| told_element(&file)));
    for (place, card) in machine.cards.iter().enumerate() {
        text.push_str(&card_element(spec, on, card, &mac(spec, machine, place, card))?);
    }
    text.push_str(
        "    <serial type=\"pty\"/>
    <console type=\"pty\"/>
    <channel type=\"unix\">
      <target type=\"virtio\" name=\"org.qemu.guest_agent.0\"/>
    </channel>
    <input type=\"tablet\" bus=\"usb\"/>
    <graphics type=\"vnc\" autoport=\"yes\" listen=\"127.0.0.1\"/>
    <video>
      <model type=\"vga\"/>
    </video>
    <rng model=\"virtio\">
      <backend model=\"random\">/dev/urandom</backend>
    </rng>
    <memballoon model=\"virtio\"/>
  </devices>
</domain>
",
    );
    Some(text)
}

/// No cache of the node's: what the machine was told is on the disk is there, and it may move. When its volume can't be
/// written, the machine is stopped rather than told of it.
fn disk_element(spec: &Spec, machine: &Machine, place: usize, disk: &Disk) -> Option<String> {
    let file = disks::file(spec, &machine.name, disk)?;
    let (format, letter) = (disks::format(disk), char::from(b'a' + u8::try_from(place).ok()?));
    let boot = if place == 0 { "      <boot order=\"1\"/>\n" } else { "" };
    let name = &disk.name;
    Some(format!(
        "    <disk type=\"file\" device=\"disk\">
      <driver name=\"qemu\" type=\"{format}\" cache=\"none\" io=\"threads\" discard=\"unmap\" error_policy=\"stop\"/>
      <source file=\"{file}\"/>
      <target dev=\"vd{letter}\" bus=\"virtio\"/>
      <serial>{name}</serial>
{boot}    </disk>
"
    ))
}

/// Where the CD lies that the file puts into its drive.
fn cd(spec: &Spec, machine: &Machine) -> Option<String> {
    let image = spec.images().get(machine.cdrom.as_ref()?)?;
    images::file(spec, image, &machine.disks.first()?.volume)
}

/// On a bus that every installer knows. The machine boots from it while its first disk is empty.
fn cd_element(file: &str) -> String {
    format!(
        "    <disk type=\"file\" device=\"cdrom\">
      <driver name=\"qemu\" type=\"raw\"/>
      <source file=\"{file}\"/>
      <target dev=\"sda\" bus=\"sata\"/>
      <readonly/>
      <boot order=\"2\"/>
    </disk>
"
    )
}

/// What cloud-init is told, as a disk: kernels for clouds (Debian's among them) know no CD drives.
fn told_element(file: &str) -> String {
    format!(
        "    <disk type=\"file\" device=\"disk\">
      <driver name=\"qemu\" type=\"raw\" cache=\"none\" io=\"threads\"/>
      <source file=\"{file}\"/>
      <target dev=\"vdz\" bus=\"virtio\"/>
      <readonly/>
      <serial>stead.cloud-init</serial>
    </disk>
"
    )
}

fn card_element(spec: &Spec, on: &Node, card: &Card, mac: &str) -> Option<String> {
    let source = match &card.on {
        CardNetworks::One(name) => format!("    <interface type=\"network\">\n      <source network=\"{name}\"/>\n"),
        CardNetworks::Trunk(names) => {
            let networks: Vec<&Network> = names.iter().map(|name| spec.networks().get(name)).collect::<Option<_>>()?;
            trunk(spec, on, &networks)?
        }
    };
    let mtu = card.mtu.map(Mtu::get).map(|mtu| format!("      <mtu size=\"{mtu}\"/>\n")).unwrap_or_default();
    Some(format!("{source}      <mac address=\"{mac}\"/>\n      <model type=\"virtio\"/>\n{mtu}    </interface>\n"))
}

/// One card on several networks of one bridge; frames of the one that has no tag are those of the tag 0.
fn trunk(spec: &Spec, on: &Node, networks: &[&Network]) -> Option<String> {
    let bridge = network::bridge(spec, on, networks.first()?)?;
    let mut text = format!(
        "    <interface type=\"bridge\">\n      <source bridge=\"{bridge}\"/>\n      <virtualport type=\"openvswitch\"/>\n"
    );
    text.push_str("      <vlan trunk=\"yes\">\n");
    for network in networks {
        let _ = writeln!(text, "        <tag id=\"{}\"/>", network::vlan(network).map_or(0, Vlan::get));
    }
    text.push_str("      </vlan>\n");
    Some(text)
}
