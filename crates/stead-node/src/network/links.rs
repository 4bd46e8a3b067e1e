//! NICs and other interfaces.

use ipnet::Ipv4Net;
use serde::Deserialize;
use stead_plan::network::facts::{Errors, Nic, Tagged};
use stead_plan::op::{Command, Program};
use stead_spec::units::Mac;

use crate::place::Place;

/// What lists them with their addresses.
pub(crate) fn command() -> Command {
    Program::Ip.command().args(["-s", "-j", "-d", "address", "show"])
}

/// What [`command`] printed, with what the kernel's files say of the hardware. The loopback interface is not in it.
pub(crate) fn look(text: &str, place: &Place) -> Result<Vec<Nic>, String> {
    let mut nics = parse(text)?;
    for nic in &mut nics {
        let class = format!("/sys/class/net/{}", nic.name);
        nic.driver = place.link_name(format!("{class}/device/driver"));
        // Drivers that can't tell say -1, or give an error.
        nic.speed = place.word(format!("{class}/speed")).and_then(|speed| speed.parse().ok());
    }
    Ok(nics)
}

/// What [`command`] printed: everything but driver and speed.
fn parse(text: &str) -> Result<Vec<Nic>, String> {
    let links: Vec<Link> = serde_json::from_str(text).map_err(|error| format!("ip printed something else: {error}"))?;
    Ok(links.into_iter().filter(|link| link.medium != "loopback").map(Link::nic).collect())
}

/// An interface, as ip prints it.
#[derive(Deserialize)]
struct Link {
    ifindex: u32,
    ifname: String,
    flags: Vec<String>,
    mtu: u32,
    #[serde(rename = "link_type")]
    medium: String,
    #[serde(default)]
    address: String,
    /// The burnt-in address, where it is not the one of now.
    permaddr: Option<String>,
    master: Option<String>,
    /// What it lies on.
    #[serde(rename = "link")]
    below: Option<String>,
    stats64: Option<Stats>,
    #[serde(default)]
    linkinfo: LinkInfo,
    #[serde(default)]
    addr_info: Vec<AddressInfo>,
}

#[derive(Default, Deserialize)]
struct LinkInfo {
    info_kind: Option<String>,
    info_data: Option<LinkData>,
}

#[derive(Deserialize)]
struct LinkData {
    /// Of a VLAN.
    id: Option<u16>,
}

#[derive(Deserialize)]
struct Stats {
    rx: Count,
    tx: Count,
}

#[derive(Deserialize)]
struct Count {
    errors: u64,
}

impl Stats {
    fn errors(self) -> Errors {
        Errors { received: self.rx.errors, sent: self.tx.errors }
    }
}

#[derive(Deserialize)]
struct AddressInfo {
    family: String,
    local: Option<String>,
    prefixlen: u8,
}

impl Link {
    fn nic(self) -> Nic {
        let flag = |name: &str| self.flags.iter().any(|flag| flag == name);
        let up = flag("UP");
        let carrier = up.then(|| flag("LOWER_UP"));
        let mac = |text: &str| text.parse::<Mac>().ok();
        Nic {
            mac: self.permaddr.as_deref().and_then(mac).or_else(|| mac(&self.address)),
            name: self.ifname,
            index: self.ifindex,
            driver: None,
            kind: self.linkinfo.info_kind,
            speed: None,
            up,
            carrier,
            mtu: self.mtu,
            master: self.master,
            vlan: self.below.zip(self.linkinfo.info_data.and_then(|data| data.id)).map(|(on, id)| Tagged { on, id }),
            addresses: self.addr_info.into_iter().filter_map(AddressInfo::address).collect(),
            errors: self.stats64.map(Stats::errors).unwrap_or_default(),
        }
    }
}

impl AddressInfo {
    fn address(self) -> Option<Ipv4Net> {
        if self.family != "inet" {
            return None;
        }
        format!("{}/{}", self.local?, self.prefixlen).parse().ok()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Node, each};

    fn nic<'a>(nics: &'a [Nic], name: &str) -> &'a Nic {
        nics.iter().find(|nic| nic.name == name).unwrap()
    }

    #[test]
    fn both_releases() {
        for (release, text) in each("address.json") {
            let nics = parse(&text).unwrap();
            assert!(nics.iter().all(|nic| nic.name != "lo"), "{release}");
            let first = nic(&nics, "enp0s1");
            assert_eq!(first.mac, Some("52:54:00:00:01:01".parse().unwrap()), "{release}");
            assert_eq!((first.kind.as_deref(), first.up, first.carrier), (None, true, Some(true)), "{release}");
            assert_eq!(first.addresses, ["192.168.0.50/24".parse().unwrap()], "{release}");
            let vlan = nic(&nics, "enp0s1.10");
            assert_eq!((vlan.kind.as_deref(), vlan.addresses[0].prefix_len()), (Some("vlan"), 26), "{release}");
            assert_eq!(nic(&nics, "enp0s3").master.as_deref(), Some("ovs-system"), "{release}");
            assert_eq!(nic(&nics, "lan").kind.as_deref(), Some("openvswitch"), "{release}");
            let off = nic(&nics, "br0");
            assert_eq!((off.up, off.carrier), (false, None), "{release}");
        }
    }

    #[test]
    fn a_core() {
        for (release, text) in each("core-address.json") {
            let nics = parse(&text).unwrap();
            let core = nic(&nics, "core2");
            assert_eq!(core.vlan, Some(Tagged { on: "enp0s2".to_owned(), id: 10 }), "{release}");
            assert_eq!(nic(&nics, "core0").addresses[0].prefix_len(), 32, "{release}");
            assert_eq!((nic(&nics, "enp0s1").mtu, nic(&nics, "enp0s1").vlan.as_ref()), (9000, None), "{release}");
            assert_eq!(core.errors, Errors::default(), "{release}");
        }
    }

    #[test]
    fn the_burnt_in_address_counts() {
        let text = r#"[{"ifindex":2,"ifname":"eth0","flags":["BROADCAST","NO-CARRIER","UP"],"mtu":1500,"link_type":"ether",
            "address":"52:54:00:00:00:09","permaddr":"52:54:00:00:00:02"},
            {"ifindex":3,"ifname":"wg0","flags":["POINTOPOINT","NOARP","UP","LOWER_UP"],"mtu":1420,"link_type":"none",
            "linkinfo":{"info_kind":"wireguard"}}]"#;
        let nics = parse(text).unwrap();
        assert_eq!(nics[0].mac, Some("52:54:00:00:00:02".parse().unwrap()));
        assert_eq!(nics[0].carrier, Some(false));
        assert_eq!((nics[1].mac, nics[1].kind.as_deref()), (None, Some("wireguard")));
    }

    #[test]
    fn hardware_has_a_driver_and_may_know_its_speed() {
        let tree = Node::new();
        for (name, speed) in [("eth0", "2500\n"), ("eth1", "-1\n")] {
            tree.link(&format!("/sys/class/net/{name}/device/driver"), "../../../bus/pci/drivers/igc");
            tree.write(&format!("/sys/class/net/{name}/speed"), speed);
        }
        let line = |index, name| {
            format!(r#"{{"ifindex":{index},"ifname":"{name}","flags":[],"mtu":1500,"link_type":"ether"}}"#)
        };
        let text = format!("[{},{},{}]", line(2, "eth0"), line(3, "eth1"), line(4, "br0"));
        let nics = look(&text, &tree.place).unwrap();
        let found: Vec<_> = nics.iter().map(|nic| (nic.driver.as_deref(), nic.speed)).collect();
        assert_eq!(found, [(Some("igc"), Some(2500)), (Some("igc"), None), (None, None)]);
    }

    #[test]
    fn anything_else_is_an_error() {
        assert!(parse("Device not found").unwrap_err().starts_with("ip printed something else: "));
    }
}
