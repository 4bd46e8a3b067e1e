//! Open vSwitch: the bridges that a node should have, as its database would tell of them, and what makes one of another.

use std::collections::{BTreeMap, BTreeSet};

use stead_spec::Spec;
use stead_spec::host::Node;

use super::facts::{Bridge, Interface, Ovs, Port};
use super::layout::{Layout, On, Uplink};

/// The mark of what stead made: the cluster's id under this key.
pub(super) const MARK: &str = "stead";

/// The port of a bridge with several NICs. Each bridge has its own: names of ports are unique in Open vSwitch.
fn bond(bridge: &str) -> String {
    format!("bond-{bridge}")
}

/// The bridges that the file asks for.
pub(super) fn wanted(spec: &Spec, node: &Node, layout: &Layout<'_>) -> Ovs {
    let marks: BTreeMap<String, String> = [(MARK.to_owned(), spec.cluster().id.to_string())].into();
    let mut bridges = BTreeMap::new();
    for asked in &layout.bridges {
        let mac = asked.mac(node);
        let mut bridge = Bridge {
            fail_mode: Some("standalone".to_owned()),
            other_config: [("hwaddr".to_owned(), mac.clone())].into(),
            external_ids: marks.clone(),
            ..Bridge::default()
        };
        let plain = || Port { external_ids: marks.clone(), ..Port::default() };
        match &asked.uplink {
            Uplink::Nics(nics) => {
                let interfaces: BTreeMap<_, _> =
                    nics.iter().map(|(nic, _)| (nic.name.clone(), Interface::default())).collect();
                let [(first, _), others @ ..] = nics.as_slice() else { continue };
                let port = if others.is_empty() {
                    (first.name.clone(), Port { interfaces, ..plain() })
                } else {
                    // The only kind of bond that needs nothing of switches, and may lead to different ones.
                    let other_config = [("bond-primary".to_owned(), first.name.clone())].into();
                    let bond_mode = Some("active-backup".to_owned());
                    (bond(&asked.name), Port { bond_mode, other_config, interfaces, ..plain() })
                };
                bridge.ports.extend([port]);
            }
            Uplink::Tunnels(ends) => {
                for (number, address) in ends {
                    let name = format!("vx{number}");
                    let options = [("remote_ip", address.to_string()), ("local_ip", layout.own.to_string())];
                    let options = options.map(|(key, value)| (key.to_owned(), value)).into();
                    let interface = Interface { kind: "vxlan".to_owned(), options, ..Interface::default() };
                    // Each node has a tunnel to each other one: what comes in by one never leaves by another.
                    let port = Port { protected: true, interfaces: [(name.clone(), interface)].into(), ..plain() };
                    bridge.ports.insert(name, port);
                }
            }
        }
        let here = |on: &On| matches!(on, On::Port { bridge } if *bridge == asked.name);
        for end in layout.ends.iter().filter(|end| here(&end.on)) {
            let name = end.network.name.to_string();
            let interface = Interface {
                kind: "internal".to_owned(),
                mac: Some(mac.clone()),
                // Without it, the smallest of all ports would be everybody's size.
                mtu_request: Some(u32::from(end.network.mtu.get())),
                ..Interface::default()
            };
            let tag = end.vlan().map(stead_spec::units::Vlan::get);
            bridge.ports.insert(name.clone(), Port { tag, interfaces: [(name, interface)].into(), ..plain() });
        }
        bridges.insert(asked.name.clone(), bridge);
    }
    Ovs { bridges }
}

/// What is in the way of it: bridges of these names that are somebody else's, and NICs in others' bridges.
pub(super) fn in_the_way(now: &Ovs, want: &Ovs) -> Option<(String, String)> {
    for (name, bridge) in &now.bridges {
        if want.bridges.contains_key(name) && !bridge.external_ids.contains_key(MARK) {
            let way = format!("give its ports another bridge, and remove it: `ovs-vsctl del-br {name}`");
            return Some((format!("Open vSwitch has a bridge {name} that isn't stead's"), way));
        }
    }
    for (name, bridge) in &want.bridges {
        for interface in bridge.ports.values().flat_map(|port| port.interfaces.keys()) {
            let holds = |other: &Bridge| other.ports.values().any(|port| port.interfaces.contains_key(interface));
            let holder = now.bridges.iter().find(|(other, bridge)| *other != name && holds(bridge));
            if let Some((other, _)) = holder {
                let way = format!("take it out of there: `ovs-vsctl del-port {other} {interface}`");
                return Some((format!("{interface} is a port of the bridge {other}, and {name} needs it"), way));
            }
        }
    }
    None
}

/// One transaction of ovs-vsctl's that makes `from` what `to` has, as the words of its commands; nothing else is touched.
/// What only `from` has goes if `remove` says so, and stays otherwise. With a sentence on each difference.
pub(super) fn transaction(from: &Ovs, to: &Ovs, remove: bool) -> (Vec<String>, Vec<String>) {
    let mut words = Words::default();
    for (name, want) in &to.bridges {
        let now = from.bridges.get(name);
        if now.is_none() {
            words.why(format!("there is no bridge {name}"));
            words.command(["--may-exist", "add-br", name]);
        }
        let empty = Bridge::default();
        bridge(&mut words, name, now.unwrap_or(&empty), want);
        // A bridge's own port comes and goes with it.
        for (port_name, port) in want.ports.iter().filter(|(port, _)| *port != name) {
            let before = now.and_then(|bridge| bridge.ports.get(port_name));
            ports(&mut words, name, port_name, before, port);
        }
        if let Some(now) = now.filter(|_| remove) {
            for extra in now.ports.keys().filter(|port| !want.ports.contains_key(*port) && *port != name) {
                words.command(["--if-exists", "del-port", name, extra]);
            }
        }
    }
    for name in from.bridges.keys().filter(|name| remove && !to.bridges.contains_key(*name)) {
        words.command(["--if-exists", "del-br", name]);
    }
    (words.words, words.why)
}

/// Words of one ovs-vsctl, with `--` between its commands.
#[derive(Default)]
struct Words {
    words: Vec<String>,
    why: Vec<String>,
}

impl Words {
    fn why(&mut self, why: String) {
        self.why.push(why);
    }

    fn command<T: AsRef<str>>(&mut self, words: impl IntoIterator<Item = T>) {
        if !self.words.is_empty() {
            self.words.push("--".to_owned());
        }
        self.words.extend(words.into_iter().map(|word| word.as_ref().to_owned()));
    }

    fn set(&mut self, table: &str, record: &str, settings: Vec<String>) {
        if !settings.is_empty() {
            self.command(["set", table, record].into_iter().map(str::to_owned).chain(settings));
        }
    }
}

fn bridge(words: &mut Words, name: &str, now: &Bridge, want: &Bridge) {
    let mut settings = Vec::new();
    if now.fail_mode != want.fail_mode {
        settings.extend(want.fail_mode.as_ref().map(|mode| format!("fail_mode={mode}")));
    }
    if now.rstp != want.rstp {
        settings.push(format!("rstp_enable={}", want.rstp));
    }
    settings.extend(missing("other_config", &now.other_config, &want.other_config));
    settings.extend(missing("external_ids", &now.external_ids, &want.external_ids));
    if !settings.is_empty() && *now != Bridge::default() {
        words.why(format!("the bridge {name} differs: {}", settings.join(" ")));
    }
    words.set("bridge", name, settings);
}

fn ports(words: &mut Words, bridge: &str, name: &str, now: Option<&Port>, want: &Port) {
    let interfaces: Vec<&str> = want.interfaces.keys().map(String::as_str).collect();
    let same = |now: &&Port| now.interfaces.keys().eq(want.interfaces.keys());
    if now.is_some_and(|now| !same(&now)) {
        words.why(format!("the port {name} of {bridge} should have {}", interfaces.join(", ")));
        words.command(["--if-exists", "del-port", bridge, name]);
    }
    let now = now.filter(same);
    if now.is_none() {
        words.why(format!("{bridge} has no port {name}"));
        if interfaces.len() > 1 {
            words.command(["--may-exist", "add-bond", bridge, name].into_iter().chain(interfaces));
        } else {
            words.command(["--may-exist", "add-port", bridge, name]);
        }
    }
    let empty = Port::default();
    let is_new = now.is_none();
    let now = now.unwrap_or(&empty);
    let mut settings = Vec::new();
    if now.tag != want.tag {
        match want.tag {
            Some(tag) => settings.push(format!("tag={tag}")),
            None => settings.push("tag=[]".to_owned()),
        }
    }
    if now.trunks != want.trunks {
        let tags: BTreeSet<String> = want.trunks.iter().map(ToString::to_string).collect();
        settings.push(format!("trunks=[{}]", tags.into_iter().collect::<Vec<_>>().join(",")));
    }
    if now.bond_mode != want.bond_mode {
        settings.extend(want.bond_mode.as_ref().map(|mode| format!("bond_mode={mode}")));
    }
    if now.protected != want.protected {
        settings.push(format!("protected={}", want.protected));
    }
    settings.extend(missing("other_config", &now.other_config, &want.other_config));
    settings.extend(missing("external_ids", &now.external_ids, &want.external_ids));
    if !is_new && !settings.is_empty() {
        words.why(format!("the port {name} of {bridge} differs: {}", settings.join(" ")));
    }
    words.set("port", name, settings);
    for (interface, want) in &want.interfaces {
        let empty = Interface::default();
        let now = now.interfaces.get(interface).unwrap_or(&empty);
        let mut settings = Vec::new();
        if now.kind != want.kind {
            settings.push(format!("type={}", want.kind));
        }
        if now.mac != want.mac {
            settings.extend(want.mac.as_ref().map(|mac| format!("mac=\"{mac}\"")));
        }
        if now.mtu_request != want.mtu_request {
            settings.extend(want.mtu_request.map(|mtu| format!("mtu_request={mtu}")));
        }
        settings.extend(missing("options", &now.options, &want.options));
        if !is_new && !settings.is_empty() {
            words.why(format!("{interface} differs: {}", settings.join(" ")));
        }
        words.set("interface", interface, settings);
    }
}

/// The settings of a column that are not there, or not so. Those that others made stay.
fn missing(column: &str, now: &BTreeMap<String, String>, want: &BTreeMap<String, String>) -> Vec<String> {
    let differs = want.iter().filter(|(key, value)| now.get(*key) != Some(*value));
    differs.map(|(key, value)| format!("{column}:{key}=\"{value}\"")).collect()
}
