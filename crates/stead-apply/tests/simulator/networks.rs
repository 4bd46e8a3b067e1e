//! A node's networks: the engines' model on this node's files and units.

use camino::{Utf8Path, Utf8PathBuf};
use ipnet::Ipv4Net;
use stead_plan::inventory::Activity;
use stead_plan::network::facts::{Errors, Nic, Ovs, Routing};
use stead_plan::network::routing::BEFORE_KEY;
use stead_plan::op::Program;
use stead_plan::secret::masked;
use stead_spec::units::NodeName;

use crate::commands::{Cut, Ended, failed};
use crate::engines::{Files, Networks};
use crate::model::{Entry, Node};

const NETWORKD: &str = "systemd-networkd.service";
const OVS: &str = "openvswitch-switch.service";
const FRR: &str = "frr.service";
const FIREWALL: &str = "stead-firewall.service";
const INTERFACES: &str = "/etc/network/interfaces";

/// The NICs of a node whose name ends in its number, as they are before anything is done to them.
pub(crate) fn hardware(name: &NodeName) -> Networks {
    let number = name.as_ref().trim_start_matches(|c: char| !c.is_ascii_digit());
    let nic = |nth: u32| Nic {
        name: format!("enp{nth}s0"),
        index: nth + 1,
        mac: format!("52:54:00:00:0{number}:0{nth}").parse().ok(),
        driver: Some("igc".to_owned()),
        kind: None,
        speed: Some(1_000),
        up: false,
        carrier: Some(true),
        mtu: 1_500,
        master: None,
        vlan: None,
        addresses: Vec::new(),
        errors: Errors::default(),
    };
    Networks { nics: (1..=3).map(nic).collect(), ..Networks::default() }
}

impl Node {
    fn runs(&self, unit: &str) -> bool {
        self.boot.activity.get(unit) == Some(&Activity::Active)
    }

    /// The texts of all files.
    pub(crate) fn files(&self) -> Files {
        let text = |(path, entry): (&Utf8PathBuf, &Entry)| match entry {
            Entry::File { text, .. } => Some((path.clone(), text.clone())),
            _ => None,
        };
        self.disk.files.iter().filter_map(text).collect()
    }

    /// What ovs-vsctl tells.
    pub(crate) fn ovs(&self) -> Option<Ovs> {
        self.runs(OVS).then(|| self.networks.ovs.clone())
    }

    /// What vtysh tells.
    pub(crate) fn routing(&self) -> Option<Routing> {
        self.networks.routing.clone().filter(|_| self.runs(FRR))
    }

    /// At boot, before any unit starts.
    pub(crate) fn boot_networks(&mut self) {
        let files = self.files();
        self.networks.boot(&files, false);
        self.ifupdown("enp1s0", true);
    }

    /// What a unit's start or stop means to networks.
    pub(crate) fn network_unit(&mut self, unit: &str, starts: bool) {
        self.publish();
        let files = self.files();
        match (unit, starts) {
            (NETWORKD, true) => self.networks.restart(&files),
            (OVS, true) if self.runs(NETWORKD) => self.networks.settle(&files),
            (FRR, true) => {
                let config = self.text("/etc/frr/frr.conf").to_owned();
                self.networks.frr(&masked(&config, BEFORE_KEY));
            }
            (FRR, false) => self.networks.routing = None,
            (FIREWALL, true) => {
                let text = self.text("/etc/stead/firewall.nft");
                self.networks.firewall = text.find("table inet stead {").map(|from| text[from..].to_owned());
            }
            (FIREWALL, false) => self.networks.firewall = None,
            _ => {}
        }
    }

    /// `ifup` and `ifdown` of a NIC that has a static address in their file.
    fn ifupdown(&mut self, name: &str, up: bool) {
        let text = self.text(INTERFACES).to_owned();
        let mut stanza = text.lines().skip_while(|line| !line.starts_with(&format!("iface {name} ")));
        let address =
            stanza.find_map(|line| line.trim().strip_prefix("address ")).and_then(|text| text.parse::<Ipv4Net>().ok());
        let Some(nic) = self.networks.nic(name) else { return };
        match address {
            Some(address) if up => {
                nic.up = true;
                nic.addresses.retain(|own| *own != address);
                nic.addresses.push(address);
            }
            Some(address) => {
                nic.addresses.retain(|own| *own != address);
                nic.up = false;
            }
            None => {}
        }
    }

    /// Programs that are about networks.
    pub(crate) fn network_command(&mut self, program: Program, words: &[&str], cut: Cut) -> Option<Ended> {
        let files = self.files();
        // Each is done at once, or isn't.
        let own = [Program::Ifdown, Program::Ifup, Program::Ip, Program::OvsVsctl, Program::Networkctl];
        if cut == Cut::Half && own.contains(&program) {
            return Some(Ok(()));
        }
        let ended = match (program, words) {
            (Program::Ifdown, ["--force", name]) => {
                self.ifupdown(name, false);
                Ok(())
            }
            (Program::Ifup, ["--force", name]) => {
                self.ifupdown(name, true);
                Ok(())
            }
            (Program::Ip, words) => self.networks.ip(words)?.map_err(|status| format!("exit status {status}")),
            (Program::OvsVsctl, _) if !self.runs(OVS) => Err("database connection failed".to_owned()),
            (Program::OvsVsctl, words) => {
                let done = self.networks.vsctl(words);
                if self.runs(NETWORKD) {
                    self.networks.settle(&files);
                }
                done
            }
            (Program::Networkctl, _) if !self.runs(NETWORKD) => Err("Unit systemd-networkd not running".to_owned()),
            (Program::Networkctl, ["reload"]) => {
                self.networks.reload(&files);
                Ok(())
            }
            (Program::Networkctl, ["reconfigure", names @ ..]) => {
                names.iter().try_for_each(|name| self.networks.reconfigure(name, &files))
            }
            (Program::NetworkdWaitOnline, _) | (Program::Nft, ["-c", "-f"]) => Ok(()),
            _ => return None,
        };
        Some(ended.or_else(failed))
    }

    /// Whether a unit's file lies where people put them.
    pub(crate) fn has_unit_file(&self, unit: &str) -> bool {
        self.disk.files.contains_key(Utf8Path::new(&format!("/etc/systemd/system/{unit}")))
    }
}
