//! What systemd-networkd is told: a file for each device, which say all of its addresses and routes.

use std::fmt::Write as _;
use std::net::Ipv4Addr;

use camino::Utf8PathBuf;
use ipnet::Ipv4Net;
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::network::Carrier;
use stead_spec::units::{Address, Interface, Mtu};

use super::layout::{End, Layout, Link, OWN, On, Wire, core_device};
use crate::plan::planner::{Managed, header};

/// Where they lie. The first file that matches a device counts, so stead's come early.
pub(super) const FOLDER: &str = "/etc/systemd/network";

/// Routes of the core to nowhere count last: without them, what OSPF has no way for at the moment would go out by the
/// default route.
const NOWHERE: u32 = 65_000;

/// From here on count the ways that are there without OSPF, so that a restart of FRR cuts nothing. OSPF's have 20. The
/// highest byte is what zebra takes for a route's administrative distance: above OSPF's 110, or OSPF's would never be
/// used; 255 would mean never.
const WITHOUT_OSPF: u32 = 254 << 24;

/// A device as networkd's files ask for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Device {
    pub(super) name: String,
    /// What it is made as, if networkd makes it.
    pub(super) made: Option<Made>,
    /// The largest packet, where networkd sets that.
    pub(super) mtu: Option<u16>,
    pub(super) addresses: Vec<Ipv4Net>,
    pub(super) routes: Vec<Way>,
    /// Whether it may have other addresses.
    pub(super) shared: bool,
    /// Whether it should come up by itself within seconds: its cable is in.
    pub(super) comes_up: bool,
}

/// A route as networkd's files ask for it.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Way {
    /// Where to, as `ip` has it.
    pub(super) to: String,
    /// By whom; nobody: nowhere.
    pub(super) gateway: Option<String>,
    pub(super) metric: u32,
}

/// What networkd makes a device as.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Made {
    Dummy,
    Vlan { on: String, id: u16 },
}

/// The paths of all files that a node may have by the file, whatever NICs are there.
pub(super) fn paths(spec: &Spec, node: &Node) -> Vec<Utf8PathBuf> {
    let mut names = vec![format!("{OWN}.netdev"), format!("{OWN}.network")];
    for switch in node.nics.keys().filter_map(|name| spec.switches().get(name)) {
        names.push(format!("nic{}.network", switch.number.get()));
        if node.links.contains_key(&switch.name) {
            names.extend(["netdev", "network"].map(|kind| format!("{}.{kind}", core_device(switch))));
        }
    }
    for network in node.addresses.keys() {
        names.extend(["netdev", "network"].map(|kind| format!("{network}.{kind}")));
    }
    names.into_iter().map(|name| path(&name).into()).collect()
}

fn path(name: &str) -> String {
    format!("{FOLDER}/05-stead-{name}")
}

/// All files of a node, and the devices that come of them.
pub(super) fn files(spec: &Spec, layout: &Layout<'_>) -> (Vec<Managed>, Vec<Device>) {
    let (mut files, mut devices) = (Vec::new(), Vec::new());
    let mut file = |name: &str, text: String| files.push(Managed::new(path(name), header("#") + &text));
    let pool = spec.core().pool;

    file(&format!("{OWN}.netdev"), format!("\n[NetDev]\nName={OWN}\nKind=dummy\n"));
    let own = format!(
        "\n[Match]\nName={OWN}\n\n[Network]\nAddress={}/32\nLinkLocalAddressing=no\nIPv6AcceptRA=no\n\n\
         # What has no way in the core goes nowhere, and not out by the default route.\n\
         [Route]\nDestination={pool}\nType=unreachable\nMetric={NOWHERE}\n",
        layout.own
    );
    file(&format!("{OWN}.network"), own);
    devices.push(Device {
        name: OWN.to_owned(),
        made: Some(Made::Dummy),
        mtu: None,
        addresses: vec![Ipv4Net::from(layout.own)],
        routes: vec![Way { to: pool.to_string(), gateway: None, metric: NOWHERE }],
        shared: false,
        comes_up: true,
    });

    for wire in &layout.wires {
        file(&format!("nic{}.network", wire.switch.number.get()), nic(wire, layout));
        let mut addresses: Vec<Ipv4Net> = ends_here(layout, wire).map(|end| net(end.address)).collect();
        addresses.extend(untagged(wire).map(|link| net(link.address)));
        devices.push(Device {
            name: wire.nic.name.clone(),
            made: None,
            mtu: Some(wire.mtu.get()),
            comes_up: !addresses.is_empty() && wire.nic.carrier != Some(false),
            addresses,
            routes: ends_here(layout, wire)
                .filter_map(default_route)
                .chain(untagged(wire).into_iter().flat_map(|link| ways(layout, &link.device).1))
                .collect(),
            shared: !wire.is_whole(&layout.ends),
        });
    }
    for (wire, link) in layout.links() {
        let Some(vlan) = link.vlan else { continue };
        let mtu = spec.core().mtu;
        let (text, routes) = ways(layout, &link.device);
        file(&format!("{}.netdev", link.device), netdev(&link.device, mtu, vlan.get()));
        let network = format!(
            "\n[Match]\nName={}\n\n[Link]\nMTUBytes={mtu}\nRequiredForOnline=no\n\n[Network]\nAddress={}\n\
             LinkLocalAddressing=no\nIPv6AcceptRA=no\n{}",
            link.device, link.address, text
        );
        file(&format!("{}.network", link.device), network);
        devices.push(Device {
            name: link.device.clone(),
            made: Some(Made::Vlan { on: wire.nic.name.clone(), id: vlan.get() }),
            mtu: Some(mtu.get()),
            addresses: vec![net(link.address)],
            routes,
            shared: false,
            comes_up: wire.nic.carrier != Some(false),
        });
    }
    for end in &layout.ends {
        let made = match (&end.on, end.vlan()) {
            // Its addresses are in the NIC's file.
            (On::Nic { .. }, _) => continue,
            (On::Tagged { nic }, Some(vlan)) => Some(Made::Vlan { on: nic.clone(), id: vlan.get() }),
            _ => None,
        };
        let name = end.device();
        if let Some(Made::Vlan { id, .. }) = &made {
            file(&format!("{name}.netdev"), netdev(name, end.network.mtu, *id));
        }
        let text = format!(
            "\n[Match]\nName={name}\n\n[Link]\nRequiredForOnline=no\n\n[Network]\n{}ConfigureWithoutCarrier=yes\n",
            addresses(end)
        );
        file(&format!("{name}.network"), text);
        devices.push(Device {
            name: name.to_owned(),
            // Open vSwitch sets the size on its own ports.
            mtu: made.as_ref().map(|_| end.network.mtu.get()),
            made,
            addresses: vec![net(end.address)],
            routes: default_route(end).into_iter().collect(),
            shared: false,
            comes_up: true,
        });
    }
    (files, devices)
}

/// What makes a VLAN device.
fn netdev(name: &str, mtu: Mtu, id: u16) -> String {
    format!("\n[NetDev]\nName={name}\nKind=vlan\nMTUBytes={mtu}\n\n[VLAN]\nId={id}\n")
}

/// A NIC's own file.
fn nic(wire: &Wire<'_>, layout: &Layout<'_>) -> String {
    let mut text = format!(
        "\n[Match]\nPermanentMACAddress={}\n\n[Link]\nMTUBytes={}\nRequiredForOnline=no\n\n[Network]\n",
        wire.mac, wire.mtu
    );
    let mut bare = true;
    for end in ends_here(layout, wire) {
        text.push_str(&addresses(end));
        bare = false;
    }
    if let Some(link) = untagged(wire) {
        let _ = writeln!(text, "Address={}", link.address);
    }
    if !wire.is_whole(&layout.ends) {
        text.push_str("# Nothing of the file's is on it without a tag: what else it is used for goes on.\n");
        text.push_str("KeepConfiguration=yes\n");
    } else if bare {
        text.push_str("LinkLocalAddressing=no\nIPv6AcceptRA=no\n");
    }
    for (_, link) in layout.links().filter(|(own, link)| own.mac == wire.mac && link.vlan.is_some()) {
        let _ = writeln!(text, "VLAN={}", link.device);
    }
    for end in layout.ends.iter().filter(|end| matches!(&end.on, On::Tagged { nic } if *nic == wire.nic.name)) {
        let _ = writeln!(text, "VLAN={}", end.device());
    }
    if let Some(link) = untagged(wire) {
        text.push_str(&ways(layout, &link.device).0);
    }
    text
}

/// The addresses that a NIC has itself.
fn ends_here<'l, 'a>(layout: &'l Layout<'a>, wire: &'l Wire<'_>) -> impl Iterator<Item = &'l End<'a>> {
    layout.ends.iter().filter(|end| matches!(&end.on, On::Nic { nic } if *nic == wire.nic.name))
}

/// The core, where it is on the NIC itself.
fn untagged<'w>(wire: &'w Wire<'_>) -> Option<&'w Link> {
    wire.core.as_ref().filter(|link| link.vlan.is_none())
}

/// The way out of a network. Over the core there is none.
fn gateway(end: &End<'_>) -> Option<Address> {
    match end.network.carrier {
        Carrier::Switches { .. } => end.network.gateway,
        Carrier::Core { .. } => None,
    }
}

fn default_route(end: &End<'_>) -> Option<Way> {
    let gateway = Some(gateway(end)?.to_string());
    Some(Way { to: "default".to_owned(), gateway, metric: 0 })
}

/// An address with what belongs to its network.
fn addresses(end: &End<'_>) -> String {
    let mut text = format!("Address={}\n", end.address);
    if let Some(gateway) = gateway(end) {
        let _ = writeln!(text, "Gateway={gateway}");
    }
    for server in &end.network.dns {
        let _ = writeln!(text, "DNS={server}");
    }
    text
}

/// The ways to the other nodes' own addresses over a device that are there without OSPF: as networkd reads them, and as
/// `ip` shows them.
fn ways(layout: &Layout<'_>, device: &str) -> (String, Vec<Way>) {
    let (mut text, mut routes) = (String::new(), Vec::new());
    let place = layout.links().position(|(_, link)| link.device == device).unwrap_or_default();
    let metric = WITHOUT_OSPF + u32::try_from(place).unwrap_or_default();
    for other in &layout.others {
        let Some((_, address)) = other.links.iter().find(|(own, _)| own == device) else { continue };
        let _ = write!(
            text,
            "\n[Route]\nDestination={}/32\nGateway={address}\nPreferredSource={}\nMetric={metric}\n",
            other.own, layout.own
        );
        routes.push(Way { to: other.own.to_string(), gateway: Some(address.to_string()), metric });
    }
    (text, routes)
}

fn net(address: Interface) -> Ipv4Net {
    let host: Ipv4Addr = address.address().get();
    // A prefix of an interface's is one of a network's.
    Ipv4Net::new(host, address.prefix_len()).unwrap_or_else(|_| Ipv4Net::from(host))
}
