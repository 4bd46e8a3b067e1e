use std::collections::{BTreeMap, BTreeSet};

use stead_spec::units::{NodeName, SwitchName, TimeZone};

use super::disks::{Kind, Own, Proposal};
use super::names::numbers;
use super::networks::{LAN, Lan, Networks, unknown};
use super::switches::{Cabling, Port, SwitchGroup};
use super::text::{and, list, plain, quoted, size, speed};
use super::{Draft, Found, FoundNode};
use crate::inventory::Known;
use crate::network::facts::Nic;

/// Of fewer, no majority is left when one dies.
const LEAST_NODES: usize = 3;
/// What is found needs fewer; the file takes no more.
const MOST_SWITCHES: usize = 254;

/// All that a draft is written from.
pub(super) struct Writer<'a> {
    pub found: &'a Found,
    pub nics: &'a BTreeMap<NodeName, Vec<Nic>>,
    pub twins: &'a [Port],
    pub cabling: &'a Cabling,
    pub networks: &'a Networks,
    pub disks: &'a Proposal,
}

/// A text that grows by lines.
#[derive(Default)]
struct Out {
    text: String,
    remarks: Vec<String>,
}

impl Out {
    fn line(&mut self, line: impl AsRef<str>) {
        self.text.push_str(line.as_ref());
        self.text.push('\n');
    }

    fn comment(&mut self, words: impl AsRef<str>) {
        let words = plain(words.as_ref());
        self.line(if words.is_empty() { "#".to_owned() } else { format!("# {words}") });
    }

    fn table(&mut self, head: &str) {
        self.line("");
        self.line(head);
    }

    /// A line of the file, and among the remarks.
    fn remark(&mut self, words: impl AsRef<str>) {
        self.comment(words.as_ref());
        self.remarks.push(plain(words.as_ref()));
    }
}

impl Writer<'_> {
    pub(super) fn write(&self) -> Draft {
        let mut out = Out::default();
        self.head(&mut out);
        self.cluster(&mut out);
        self.switches(&mut out);
        let numbers = numbers(&self.found.nodes.iter().map(|node| &node.name).collect::<Vec<_>>());
        for ((node, own), number) in self.found.nodes.iter().zip(&self.disks.nodes).zip(numbers) {
            out.table(&format!("[node.{}]", node.name));
            match number {
                Some((number, true)) => {
                    out.line(format!("number = {number} # part of its addresses in the core: it never changes"));
                }
                Some((_, false)) => {}
                None => {
                    out.remark(format!("number = … is missing: no number from 1 to 254 is left for {}.", node.name));
                }
            }
            self.node(&mut out, node, own);
        }
        out.line("");
        unlock(&mut out);
        self.core(&mut out);
        self.lan(&mut out);
        self.others(&mut out);
        self.volumes(&mut out);
        machines(&mut out);
        Draft { text: out.text, remarks: out.remarks }
    }

    fn head(&self, out: &mut Out) {
        out.comment("A cluster file to begin with, of what `stead init` found. Nothing was changed on the nodes.");
        out.comment("Read each line, and change what you want otherwise. `stead check` then tells mistakes, and `stead plan` shows what");
        out.comment("would be done, and what it would destroy, before anything is.");
        let number = self.found.nodes.len();
        if number < LEAST_NODES {
            out.remark(format!(
                "A cluster has three nodes at least, and there are {number} here: name more to `stead init`."
            ));
        } else if number.is_multiple_of(2) {
            out.remark(format!("A cluster has an odd number of nodes, and there are {number} here: add one (a small computer will do, with `arbiter = true`), or leave one out."));
        }
        let boots: BTreeSet<&str> =
            self.found.nodes.iter().map(|node| node.inventory.system.boot_id.as_str()).collect();
        if boots.len() < number {
            out.remark("Two of these nodes are one computer: their boot IDs are the same.");
        }
        out.line("");
        out.line("schema = 1");
    }

    fn cluster(&self, out: &mut Out) {
        out.table("[cluster]");
        out.line(format!("id = {} # who this cluster is: it never changes", quoted(&self.found.cluster.to_string())));
        out.line("name = \"home\" # what people call it");
        out.line("domain = \"home.arpa\" # the DNS domain of its nodes and machines; this one is meant for homes");
        let mut zones: BTreeMap<TimeZone, usize> = BTreeMap::new();
        for zone in self.found.nodes.iter().filter_map(|node| node.inventory.timezone.get()?.parse().ok()) {
            *zones.entry(zone).or_default() += 1;
        }
        match zones.iter().max_by_key(|(_, nodes)| **nodes) {
            Some((zone, _)) => {
                let differ =
                    if zones.len() > 1 { "the nodes differ: this is what most have" } else { "as it is on the nodes" };
                out.line(format!("timezone = {} # {differ}", quoted(zone.as_str())));
            }
            None => out.comment("timezone = \"Europe/Paris\" # not known of the nodes; without it: Etc/UTC"),
        }
        out.table(&format!("[admin.{}]", self.found.admin));
        let mut keys = Vec::new();
        for key in &self.found.keys {
            if !keys.iter().any(|other: &&stead_spec::units::PublicKey| other.same_key(key)) {
                keys.push(key);
            }
        }
        if keys.iter().any(|key| key.logs_in()) {
            out.comment("These let in, and open the sealed secrets.");
        } else {
            out.remark(
                "No ssh key was found: add the line that `cat ~/.ssh/id_ed25519.pub` shows to `keys` of the admin.",
            );
        }
        out.line(format!("keys = {}", list(keys.iter().map(|key| key.as_str()))));
    }

    /// Switches that are worth a table: with NICs of two nodes at least.
    fn named(&self) -> impl Iterator<Item = &SwitchGroup> {
        self.cabling.switches.iter().filter(|switch| switch.ports.len() > 1).take(MOST_SWITCHES)
    }

    fn switches(&self, out: &mut Out) {
        out.line("");
        if self.named().next().is_none() {
            out.remark("No switch was found: no NIC of one node hears one of another. Are the nodes cabled to a common switch?");
            out.line("[switch]");
        } else {
            out.comment("Switches, found by which NICs hear each other. One that passes larger packets may say so: `mtu = 9000`.");
        }
        for (at, switch) in self.named().enumerate() {
            if at > 0 {
                out.line("");
            }
            let speeds = switch.speeds.map(|(least, most)| {
                if least == most {
                    format!("{}; ", speed(most))
                } else {
                    format!("{} to {}; ", speed(least), speed(most))
                }
            });
            let ports = switch.ports.iter().map(|(node, nics)| format!("{node} {}", nics.join(" ")));
            let ports = plain(&ports.collect::<Vec<_>>().join(", "));
            out.line(format!("[switch.{}] # {}{ports}", switch.name, speeds.unwrap_or_default()));
            let twice: Vec<String> =
                switch.ports.iter().filter(|(_, nics)| nics.len() > 1).map(|(node, _)| node.to_string()).collect();
            if !twice.is_empty() {
                out.remark(format!("{} {} more than one NIC on {}: either two cables lead to one switch, or a cable links two switches. One NIC is used.", and(&twice), if twice.len() == 1 { "has" } else { "have" }, switch.name));
            }
        }
        let ports = |ports: &[Port]| {
            and(&ports.iter().map(|port| format!("{} of {}", port.nic, port.node)).collect::<Vec<_>>())
        };
        if !self.cabling.alone.is_empty() {
            out.comment(format!("With a cable, but they hear no other node: {}. (Some switches keep a port silent for 30 s after it was switched on.)", ports(&self.cabling.alone)));
        }
        for switch in self.cabling.switches.iter().filter(|switch| switch.ports.len() == 1) {
            let ports: Vec<String> =
                switch.ports.iter().map(|(node, nics)| format!("{} of {node}", and(nics))).collect();
            out.comment(format!("They hear each other and no other node: {}.", ports.join(", ")));
        }
        if !self.cabling.unplugged.is_empty() {
            out.comment(format!("Without a cable, or nothing at its other end: {}.", ports(&self.cabling.unplugged)));
        }
        for (port, why) in &self.cabling.unprobed {
            out.comment(format!("{} of {} could not be probed: {why}", port.nic, port.node));
        }
        if !self.twins.is_empty() {
            out.remark(format!(
                "These have no MAC address of their own, and so can't be named: {}.",
                ports(self.twins)
            ));
        }
    }

    fn node(&self, out: &mut Out, node: &FoundNode, own: &Own) {
        out.line(format!("ssh = {}", quoted(&node.ssh.to_string())));
        if let Some(stamp) = node.inventory.stamp.get().and_then(Option::as_ref) {
            out.remark(format!(
                "{} is node {} of cluster {} already: nothing will be done with it here.",
                node.name, stamp.node, stamp.cluster
            ));
        }
        if let Known::Unknown(why) = &node.probed {
            out.remark(format!("The NICs of {} could not be probed: {why}", node.name));
        }
        if let Some(why) = unknown(node) {
            out.remark(format!("The network of {} is not wholly known: {why}", node.name));
        }
        let nics: Vec<String> = self
            .named()
            .filter_map(|switch| {
                let mac = self.nic(node, switch)?.mac?;
                Some(format!("{} = \"{mac}\"", switch.name))
            })
            .collect();
        out.line(if nics.is_empty() { "nics = {}".to_owned() } else { format!("nics = {{ {} }}", nics.join(", ")) });
        if own.given.is_empty() {
            out.remark(format!(
                "{} has no disk that is provably blank and may be given. It needs one besides the OS disk:",
                node.name
            ));
            out.comment("disks = { gv0 = [\"ata-…\"] }");
        } else {
            for (volume, disks) in &own.given {
                for disk in disks {
                    out.comment(format!("{volume}: {}, blank", disk.what));
                }
            }
            let given = own
                .given
                .iter()
                .map(|(volume, disks)| format!("{volume} = {}", list(disks.iter().map(|disk| disk.id.as_str()))));
            out.line(format!("disks = {{ {} }}", given.collect::<Vec<_>>().join(", ")));
        }
        if !own.aside.is_empty() {
            out.comment("Not proposed:");
            for line in &own.aside {
                out.comment(format!("- {line}"));
            }
        }
    }

    /// The node's NIC on a switch: the one with its address, else the fastest.
    fn nic(&self, node: &FoundNode, switch: &SwitchGroup) -> Option<&Nic> {
        let names = switch.ports.get(&node.name)?;
        let nics = self.nics.get(&node.name)?.iter().filter(|nic| names.contains(&nic.name));
        let link = |nic: &Nic| match node.probed.get()?.nics.get(&nic.name)? {
            Known::Is(link) => link.speed,
            Known::Unknown(_) => None,
        };
        let worth = |nic: &&Nic| (!nic.addresses.is_empty(), nic.master.is_some(), link(nic).or(nic.speed));
        // Of several that are worth the same, the first.
        nics.rev().max_by_key(worth)
    }

    fn core(&self, out: &mut Out) {
        let networks = self.networks;
        out.comment("The nodes' own network: storage, heartbeats, migration. Routed over all of its switches, so any but the last may die.");
        out.comment("Switches that are managed have to pass its tag.");
        if networks.shared.is_empty() {
            out.remark("The core is missing: there is no switch on which each node has a NIC.");
            out.comment("[network.core]");
            out.comment("switches = [\"sw1\"]");
            out.comment(format!("vlan = {}", networks.core_vlan));
            out.comment(format!("pool = \"{}\"", networks.core_pool));
            return;
        }
        if networks.shared.len() == 1 && self.found.nodes.len() >= LEAST_NODES {
            out.remark("The nodes share one switch only: when it dies, the cluster stops until it is replaced.");
        }
        if networks.pool_collides {
            out.remark("The pool of the core may collide: no private addresses are left that no node has a route to.");
        }
        out.line("[network.core]");
        out.line(format!("switches = {}", list(&networks.shared)));
        out.line(format!("vlan = {}", networks.core_vlan));
        out.line(format!(
            "pool = \"{}\" # addresses that no node has or has a route to; where it begins never changes",
            networks.core_pool
        ));
    }

    fn lan(&self, out: &mut Out) {
        out.line("");
        let Some(lan) = &self.networks.lan else {
            out.remark("The network by which the nodes are reached is missing: no IPv4 address of theirs was found on a switch that they share.");
            for line in [
                "[network.lan]",
                "switches = [\"sw1\"]",
                "subnet = \"192.168.0.0/24\"",
                "gateway = \"192.168.0.1\"",
                "dns = [\"192.168.0.1\"]",
            ] {
                out.comment(line);
            }
            out.comment("addresses = { node1 = \"192.168.0.50\" }");
            return;
        };
        out.comment("The network that the nodes are in now. They get these addresses as fixed ones.");
        if lan.dhcp {
            out.remark(format!(
                "The nodes' addresses may come from a DHCP server: see that it gives these, of {}, to nobody else.",
                lan.subnet
            ));
        }
        if !lan.switch_seen {
            out.remark(format!("On which switch {} is, was not seen: {} is a guess.", lan.subnet, lan.switch));
        }
        out.line(format!("[network.{LAN}]"));
        out.line(format!("switches = [\"{}\"]", lan.switch));
        if let Some(vlan) = lan.vlan {
            out.line(format!("vlan = {vlan}"));
        }
        out.line(format!("subnet = \"{}\"", lan.subnet));
        lan_gateway(out, lan);
        for node in &lan.proposed {
            let address = lan.addresses.get(node).map(ToString::to_string).unwrap_or_default();
            out.remark(format!(
                "{node} has no address in {} yet: {address} is a proposal. See that nobody else has it.",
                lan.subnet
            ));
        }
        let addresses: Vec<String> =
            lan.addresses.iter().map(|(node, address)| format!("{node} = \"{address}\"")).collect();
        out.line(format!("addresses = {{ {} }}", addresses.join(", ")));
        for node in self.found.nodes.iter().filter(|node| !lan.addresses.contains_key(&node.name)) {
            out.remark(format!("{} has no address in {}, and none is left there.", node.name, lan.subnet));
        }
    }

    fn others(&self, out: &mut Out) {
        for ((subnet, own), number) in self.networks.others.iter().zip(2_u32..) {
            out.line("");
            out.comment(format!("Some nodes have addresses in {subnet}, too. To keep them:"));
            out.comment(format!("[network.{LAN}{number}]"));
            out.comment(format!(
                "switches = {} # the one that it is on",
                list(self.networks.shared.last().map(SwitchName::as_str))
            ));
            out.comment(format!("subnet = \"{subnet}\""));
            let addresses: Vec<String> = own.iter().map(|(node, address)| format!("{node} = \"{address}\"")).collect();
            out.comment(format!("addresses = {{ {} }}", addresses.join(", ")));
        }
    }

    fn volumes(&self, out: &mut Out) {
        if self.disks.volumes.is_empty() {
            out.line("");
            out.remark("No node has a disk to give, so there is no volume yet.");
            out.comment("[volume.gv0]");
            out.comment("kind = \"replicated\"");
        }
        for volume in &self.disks.volumes {
            out.line("");
            match volume.kind {
                Kind::Replicated => out.comment("Three copies on three nodes: machines on it survive a node."),
                Kind::Local => out.comment(
                    "Each node's own: as fast as its disks, and as mortal. For machines that replicate by themselves.",
                ),
            }
            if let Some(note) = &volume.note {
                out.remark(format!("Volume {}: {note}.", volume.name));
            }
            out.line(format!("[volume.{}]", volume.name));
            out.line(match volume.kind {
                Kind::Replicated => "kind = \"replicated\"",
                Kind::Local => "kind = \"local\"",
            });
            if volume.chained {
                out.line("layout = \"chained\" # each disk in three parts, since their number is no multiple of three");
            }
            let least = self
                .disks
                .nodes
                .iter()
                .flat_map(|own| &own.given)
                .filter(|(name, _)| *name == volume.name)
                .flat_map(|(_, disks)| disks)
                .map(|disk| disk.size)
                .min();
            if let (Some(least), Kind::Replicated) = (least, volume.kind) {
                out.comment(format!("Its smallest disk has {}.", size(least)));
            }
        }
    }
}

fn lan_gateway(out: &mut Out, lan: &Lan) {
    if let Some(gateway) = lan.gateway {
        out.line(format!("gateway = \"{gateway}\""));
        out.comment(format!("dns = [\"{gateway}\"] # who answers names; not found out: often the gateway does"));
    } else {
        out.remark(format!(
            "No gateway was found in {}: without one, nodes and machines don't reach the internet.",
            lan.subnet
        ));
        let example = lan.subnet.host(1).map(|address| address.to_string()).unwrap_or_default();
        out.comment(format!("gateway = \"{example}\""));
        out.comment(format!("dns = [\"{example}\"]"));
    }
}

fn unlock(out: &mut Out) {
    out.comment("Data disks open when another node answers. Whoever takes two nodes then has all: a small computer with tang, elsewhere");
    out.comment("in the house, ends that. `tang-show-keys` prints its thumbprint there.");
    out.comment("[unlock]");
    out.comment("all = [{ any = \"nodes\" }, { tang = \"http://192.168.0.2:7500\", thumbprint = \"…\" }]");
    out.line("");
}

fn machines(out: &mut Out) {
    out.line("");
    out.comment("A first machine:");
    for line in [
        "[image.debian-13]",
        "build = \"trixie\"",
        "",
        "[machine.web1]",
        "image = \"debian-13\"",
        "memory = \"2GiB\"",
        "disks = [{ size = \"20GiB\", volume = \"gv0\" }]",
        "networks = [\"lan\"]",
    ] {
        out.comment(line);
    }
}
