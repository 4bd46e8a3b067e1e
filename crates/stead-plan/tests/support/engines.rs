//! Engines of networks as a model: what systemd-networkd, Open vSwitch, `ip` and FRR make of commands and files. The cases
//! of plans and the simulator have it in common. It knows nothing of steps.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use camino::Utf8PathBuf;
use ipnet::Ipv4Net;
use stead_plan::network::facts::{Bridge, Errors, Interface, Nic, Ovs, Port, Route, Routing, Tagged};

/// Texts of files, by path.
pub(crate) type Files = BTreeMap<Utf8PathBuf, String>;

/// What a node's networks are.
#[derive(Clone, Debug, Default)]
pub(crate) struct Networks {
    pub(crate) nics: Vec<Nic>,
    pub(crate) routes: Vec<Route>,
    /// On the disk: it outlives a boot.
    pub(crate) ovs: Ovs,
    pub(crate) routing: Option<Routing>,
    /// stead's own table.
    pub(crate) firewall: Option<String>,
    /// What networkd read of each device's file when it configured it.
    pub(crate) read: BTreeMap<String, String>,
    /// The `.netdev` files that networkd knows.
    pub(crate) netdevs: BTreeMap<String, String>,
}

/// A file of networkd's: sections in order, each with its name and settings.
type Ini = Vec<(String, Vec<(String, String)>)>;

fn ini(text: &str) -> Ini {
    let mut sections = Ini::new();
    for line in text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#')) {
        if let Some(name) = line.strip_prefix('[').and_then(|line| line.strip_suffix(']')) {
            sections.push((name.to_owned(), Vec::new()));
        } else if let (Some((key, value)), Some((_, settings))) = (line.split_once('='), sections.last_mut()) {
            settings.push((key.trim().to_owned(), value.trim().to_owned()));
        }
    }
    sections
}

fn get<'i>(ini: &'i Ini, section: &str, key: &str) -> Option<&'i str> {
    all(ini, section, key).next()
}

fn all<'i>(ini: &'i Ini, section: &str, key: &str) -> impl Iterator<Item = &'i str> {
    let settings = ini.iter().filter(move |(name, _)| name == section).flat_map(|(_, settings)| settings);
    settings.filter(move |(name, _)| name == key).map(|(_, value)| value.as_str())
}

/// networkd's files of this kind, in its order.
fn of_kind<'f>(files: &'f Files, kind: &str) -> impl Iterator<Item = &'f String> {
    let here = files.iter().filter(|(path, _)| path.parent().is_some_and(|folder| folder == "/etc/systemd/network"));
    here.filter(move |(path, _)| path.extension() == Some(kind)).map(|(_, text)| text)
}

/// A device that software makes.
pub(crate) fn device(name: &str, kind: &str) -> Nic {
    Nic {
        name: name.to_owned(),
        index: 0,
        mac: None,
        driver: None,
        kind: Some(kind.to_owned()),
        speed: None,
        up: false,
        carrier: None,
        mtu: 1_500,
        master: None,
        vlan: None,
        addresses: Vec::new(),
        errors: Errors::default(),
    }
}

impl Networks {
    pub(crate) fn nic(&mut self, name: &str) -> Option<&mut Nic> {
        self.nics.iter_mut().find(|nic| nic.name == name)
    }

    /// A boot: only hardware is there, and what Open vSwitch's database has. Then networkd starts.
    pub(crate) fn boot(&mut self, files: &Files, networkd: bool) {
        self.nics.retain(|nic| nic.driver.is_some());
        for nic in &mut self.nics {
            (nic.up, nic.mtu, nic.master) = (false, 1_500, None);
            nic.addresses.clear();
        }
        self.routes.clear();
        self.routing = None;
        self.firewall = None;
        self.read.clear();
        self.netdevs.clear();
        self.ovs_devices();
        if networkd {
            self.restart(files);
        }
    }

    /// networkd starts, or starts again: it makes what isn't there, and configures everything.
    pub(crate) fn restart(&mut self, files: &Files) {
        self.read.clear();
        self.netdevs.clear();
        self.reload(files);
    }

    /// networkd reads its files. Devices whose files have changed are configured anew.
    pub(crate) fn reload(&mut self, files: &Files) {
        let there: Vec<&String> = of_kind(files, "netdev").collect();
        self.netdevs.retain(|_, text| there.contains(&&*text));
        for text in there {
            let ini = ini(text);
            let name = get(&ini, "NetDev", "Name").unwrap_or_default().to_owned();
            let is_new = self.netdevs.insert(name.clone(), text.clone()).is_none();
            if get(&ini, "NetDev", "Kind") == Some("dummy") && is_new && self.nic(&name).is_none() {
                self.nics.push(device(&name, "dummy"));
            }
        }
        // What is made of one that is configured comes after it.
        let mut next = 0;
        while let Some(nic) = self.nics.get(next) {
            let name = nic.name.clone();
            match file_of(nic, files) {
                Some(text) if self.read.get(&name) != Some(&text) => self.configure(&name, &text),
                Some(_) => {}
                None => drop(self.read.remove(&name)),
            }
            next += 1;
        }
    }

    /// `networkctl reconfigure`.
    pub(crate) fn reconfigure(&mut self, name: &str, files: &Files) -> Result<(), String> {
        let nic = self.nic(name).ok_or_else(|| format!("Failed to find link \"{name}\": No such device"))?.clone();
        let Some(text) = file_of(&nic, files) else { return Ok(()) };
        self.configure(name, &text);
        // What it made is configured by its own file.
        self.reload(files);
        Ok(())
    }

    fn configure(&mut self, name: &str, text: &str) {
        let ini = ini(text);
        self.read.insert(name.to_owned(), text.to_owned());
        let keeps = get(&ini, "Network", "KeepConfiguration") == Some("yes");
        let number = |text: &str| text.parse::<u32>().ok();
        let mtu = get(&ini, "Link", "MTUBytes").and_then(number);
        let Some(nic) = self.nic(name) else { return };
        nic.up = true;
        if nic.carrier.is_none() {
            nic.carrier = Some(true);
        }
        nic.mtu = mtu.unwrap_or(nic.mtu);
        if !keeps {
            nic.addresses.clear();
        }
        if nic.carrier == Some(true) {
            nic.addresses.extend(all(&ini, "Network", "Address").filter_map(|text| text.parse::<Ipv4Net>().ok()));
        }
        if !keeps {
            self.routes.retain(|route| route.dev.as_deref() != Some(name) || route.protocol.as_deref() == Some("ospf"));
        }
        let mut routes: Vec<Route> =
            all(&ini, "Network", "Gateway").map(|gateway| route("default", Some(gateway), name, 0)).collect();
        for (_, settings) in ini.iter().filter(|(section, _)| section == "Route") {
            let own = vec![("Route".to_owned(), settings.clone())];
            let get = |key| get(&own, "Route", key);
            let to = get("Destination").unwrap_or_default();
            let to = to.strip_suffix("/32").unwrap_or(to);
            let metric = get("Metric").and_then(number).unwrap_or_default();
            let mut route = route(to, get("Gateway"), name, metric);
            route.source = get("PreferredSource").and_then(|text| text.parse().ok());
            if let Some(kind) = get("Type") {
                (route.kind, route.dev) = (Some(kind.to_owned()), None);
            }
            routes.push(route);
        }
        routes.retain(|route| !self.routes.contains(route));
        self.routes.extend(routes);
        for vlan in all(&ini, "Network", "VLAN") {
            let Some(netdev) = self.netdevs.get(vlan).map(|text| self::ini(text)) else { continue };
            if self.nic(vlan).is_none() {
                let id = get(&netdev, "VLAN", "Id").and_then(|id| id.parse().ok()).unwrap_or_default();
                let tagged = Some(Tagged { on: name.to_owned(), id });
                self.read.remove(vlan);
                self.nics.push(Nic { vlan: tagged, ..device(vlan, "vlan") });
            }
        }
    }

    /// `ip link …` and `ip address …`; `Err` is the exit status.
    pub(crate) fn ip(&mut self, words: &[&str]) -> Option<Result<(), i32>> {
        let words: Vec<&str> = words.iter().copied().filter(|word| *word != "-4").collect();
        let answer = match words.as_slice() {
            ["link", "delete", "dev", name] => {
                let there = self.nics.iter().any(|nic| nic.name == *name);
                // What lies on it goes with it, and networkd forgets what it made.
                let gone = |nic: &Nic| nic.name == *name || nic.vlan.as_ref().is_some_and(|vlan| vlan.on == *name);
                for nic in self.nics.iter().filter(|nic| gone(nic)) {
                    self.read.remove(&nic.name);
                    self.netdevs.remove(&nic.name);
                }
                self.nics.retain(|nic| !gone(nic));
                self.routes.retain(|route| route.dev.as_deref() != Some(*name));
                there.then_some(()).ok_or(1)
            }
            ["link", "set", "dev", name, "mtu", mtu] => {
                let mtu = mtu.parse().ok()?;
                self.nic(name).map(|nic| nic.mtu = mtu).ok_or(1)
            }
            ["address", "flush", "dev", name] => self.nic(name).map(|nic| nic.addresses.clear()).ok_or(1),
            ["address", verb @ ("delete" | "replace"), address, "dev", name] => {
                let address: Ipv4Net = address.parse().ok()?;
                let add = *verb == "replace";
                let change = |nic: &mut Nic| {
                    let had = nic.addresses.contains(&address);
                    nic.addresses.retain(|own| *own != address);
                    nic.addresses.extend(add.then_some(address));
                    if had || add { Ok(()) } else { Err(2) }
                };
                self.nic(name).map_or(Err(1), change)
            }
            ["route", "delete", to, "via", gateway, "dev", dev, "metric", metric] => {
                let metric: u32 = metric.parse().ok()?;
                let before = self.routes.len();
                let is = |route: &Route| {
                    route.to == *to
                        && route.gateway.as_deref() == Some(gateway)
                        && route.dev.as_deref() == Some(dev)
                        && route.metric == metric
                };
                self.routes.retain(|route| !is(route));
                (self.routes.len() < before).then_some(()).ok_or(2)
            }
            _ => return None,
        };
        Some(answer)
    }

    /// `ovs-vsctl`: commands with `--` between. Nothing is done unless all can be.
    pub(crate) fn vsctl(&mut self, words: &[&str]) -> Result<(), String> {
        let before = self.ovs.clone();
        let commands = words.iter().copied().filter(|word| !word.starts_with("--timeout"));
        let commands: Vec<&str> = commands.collect();
        // `--` stands between commands, and options before them.
        for command in commands.split(|word| *word == "--").filter(|command| !command.is_empty()) {
            if let Err(why) = self.one(command) {
                self.ovs = before;
                return Err(why);
            }
        }
        self.ovs_devices();
        Ok(())
    }

    fn one(&mut self, words: &[&str]) -> Result<(), String> {
        let bridges = &mut self.ovs.bridges;
        match words {
            ["--may-exist", "add-br", name] => {
                let local = Interface { kind: "internal".to_owned(), ..Interface::default() };
                let port = Port { interfaces: [((*name).to_owned(), local)].into(), ..Port::default() };
                let bridge = || Bridge { ports: [((*name).to_owned(), port)].into(), ..Bridge::default() };
                bridges.entry((*name).to_owned()).or_insert_with(bridge);
            }
            ["--if-exists", "del-br", name] => drop(bridges.remove(*name)),
            ["--if-exists", "del-port", bridge, name] => {
                bridges.get_mut(*bridge).map(|bridge| bridge.ports.remove(*name));
            }
            ["--may-exist", "add-port", bridge, name] => add(bridges, bridge, name, &[name])?,
            ["--may-exist", "add-bond", bridge, name, interfaces @ ..] => add(bridges, bridge, name, interfaces)?,
            ["set", table, record, settings @ ..] => {
                for setting in settings {
                    let (column, value) = setting.split_once('=').ok_or("no value")?;
                    self.set(table, record, column, &value.replace('"', ""))?;
                }
            }
            _ => return Err(format!("the model doesn't know: ovs-vsctl {}", words.join(" "))),
        }
        Ok(())
    }

    fn set(&mut self, table: &str, record: &str, column: &str, value: &str) -> Result<(), String> {
        let (column, key) = column.split_once(':').map_or((column, None), |(column, key)| (column, Some(key)));
        let text = || Some(value.to_owned()).filter(|value| value != "[]");
        let put = |map: &mut BTreeMap<String, String>| {
            key.map(|key| map.insert(key.to_owned(), value.to_owned()));
        };
        let none = || format!("no row \"{record}\" in table {table}");
        let bridges = &mut self.ovs.bridges;
        if table == "bridge" {
            let bridge = bridges.get_mut(record).ok_or_else(none)?;
            match column {
                "fail_mode" => bridge.fail_mode = text(),
                "rstp_enable" => bridge.rstp = value == "true",
                "other_config" => put(&mut bridge.other_config),
                "external_ids" => put(&mut bridge.external_ids),
                _ => return Err(format!("no column {column}")),
            }
            return Ok(());
        }
        let mut ports = bridges.values_mut().flat_map(|bridge| &mut bridge.ports);
        if table == "port" {
            let (_, port) = ports.find(|(name, _)| *name == record).ok_or_else(none)?;
            match column {
                "tag" => port.tag = value.parse().ok(),
                "bond_mode" => port.bond_mode = text(),
                "protected" => port.protected = value == "true",
                "other_config" => put(&mut port.other_config),
                "external_ids" => put(&mut port.external_ids),
                _ => return Err(format!("no column {column}")),
            }
            return Ok(());
        }
        let mut interfaces = ports.flat_map(|(_, port)| &mut port.interfaces);
        let (_, interface) = interfaces.find(|(name, _)| *name == record).ok_or_else(none)?;
        match column {
            "type" => value.clone_into(&mut interface.kind),
            "mac" => interface.mac = text(),
            "mtu_request" => interface.mtu_request = value.parse().ok(),
            "options" => put(&mut interface.options),
            _ => return Err(format!("no column {column}")),
        }
        Ok(())
    }

    /// vswitchd makes the devices of its database, and takes NICs.
    fn ovs_devices(&mut self) {
        let all = self.ovs.bridges.values().flat_map(|bridge| bridge.ports.values().flat_map(|port| &port.interfaces));
        let all: BTreeMap<String, Interface> = all.map(|(name, interface)| (name.clone(), interface.clone())).collect();
        let internal = |nic: &Nic| nic.kind.as_deref() == Some("openvswitch");
        self.nics.retain(|nic| !internal(nic) || all.contains_key(&nic.name));
        for nic in &mut self.nics {
            let master = all.contains_key(&nic.name) && !internal(nic);
            nic.master = master.then(|| "ovs-system".to_owned());
        }
        for (name, interface) in all.iter().filter(|(_, interface)| interface.kind == "internal") {
            if self.nic(name).is_none() {
                self.read.remove(name);
                self.nics.push(device(name, "openvswitch"));
            }
            if let (Some(nic), Some(mtu)) = (self.nic(name), interface.mtu_request) {
                nic.mtu = mtu;
            }
        }
    }

    /// networkd addresses what Open vSwitch has made as soon as it is there.
    pub(crate) fn settle(&mut self, files: &Files) {
        let names = self.nics.iter().map(|nic| nic.name.clone());
        let new: Vec<String> = names.filter(|name| !self.read.contains_key(name)).collect();
        for name in new {
            let text = self.nics.iter().find(|nic| nic.name == name).and_then(|nic| file_of(nic, files));
            if let Some(text) = text {
                self.configure(&name, &text);
            }
        }
    }

    /// FRR starts, and runs with this.
    pub(crate) fn frr(&mut self, config: &str) {
        let running = config.lines().filter(|line| !line.starts_with('!')).map(str::to_owned).collect();
        self.routing = Some(Routing { running, neighbours: Vec::new() });
    }
}

fn add(bridges: &mut BTreeMap<String, Bridge>, bridge: &str, name: &str, interfaces: &[&str]) -> Result<(), String> {
    if bridges.iter().any(|(other, of)| other != bridge && of.ports.contains_key(name)) {
        return Err(format!("cannot create a port named {name} because it already exists on another bridge"));
    }
    let bridge = bridges.get_mut(bridge).ok_or_else(|| format!("no bridge named {bridge}"))?;
    let interfaces = interfaces.iter().map(|name| ((*name).to_owned(), Interface::default()));
    let port = || Port { interfaces: interfaces.collect(), ..Port::default() };
    bridge.ports.entry(name.to_owned()).or_insert_with(port);
    Ok(())
}

/// The first of networkd's files that matches.
fn file_of(nic: &Nic, files: &Files) -> Option<String> {
    let mac = nic.mac.filter(|_| nic.driver.is_some()).map(|mac| mac.to_string());
    let matches = |text: &&String| {
        let ini = ini(text);
        let by_name = get(&ini, "Match", "Name").map(|name| name == nic.name);
        let by_mac = get(&ini, "Match", "PermanentMACAddress").map(|own| Some(own) == mac.as_deref());
        by_name.or(by_mac).unwrap_or(false)
    };
    of_kind(files, "network").find(matches).cloned()
}

fn route(to: &str, gateway: Option<&str>, dev: &str, metric: u32) -> Route {
    Route {
        to: to.to_owned(),
        kind: None,
        gateway: gateway.map(str::to_owned),
        dev: Some(dev.to_owned()),
        protocol: Some("static".to_owned()),
        source: None::<Ipv4Addr>,
        metric,
    }
}
