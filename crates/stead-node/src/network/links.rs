//! NICs and other interfaces.

use serde::Deserialize;
use stead_plan::network::facts::Nic;
use stead_plan::op::{Command, Program};
use stead_spec::units::{Interface, Mac};

use crate::root::Root;

/// What lists them with their addresses.
pub(crate) fn command() -> Command {
    Program::Ip.command().args(["-j", "-d", "address", "show"])
}

/// What [`command`] printed, with what the kernel's files say of the hardware. The loopback interface is not in it.
pub(crate) fn look(text: &str, root: &Root) -> Result<Vec<Nic>, String> {
    let mut nics = parse(text)?;
    for nic in &mut nics {
        let class = format!("/sys/class/net/{}", nic.name);
        nic.driver = root.link_name(format!("{class}/device/driver"));
        // Drivers that can't tell say -1, or give an error.
        nic.speed = root.word(format!("{class}/speed")).and_then(|speed| speed.parse().ok());
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
    #[serde(default)]
    linkinfo: LinkInfo,
    #[serde(default)]
    addr_info: Vec<AddressInfo>,
}

#[derive(Default, Deserialize)]
struct LinkInfo {
    info_kind: Option<String>,
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
            addresses: self.addr_info.into_iter().filter_map(AddressInfo::interface).collect(),
        }
    }
}

impl AddressInfo {
    fn interface(self) -> Option<Interface> {
        if self.family != "inet" {
            return None;
        }
        format!("{}/{}", self.local?, self.prefixlen).parse().ok()
    }
}
