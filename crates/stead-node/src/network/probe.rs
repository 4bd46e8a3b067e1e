//! Which NICs of which nodes hear each other: each calls on all of its NICs, and all listen.
//!
//! Where it is told what to call, it calls that: with tags, and as long as the networks' packets. It hears such calls
//! where they belong: a VLAN device or a bridge's own port has taken the tag off by then.
//!
//! A call is a broadcast Ethernet frame of a type of its own, so it works without addresses, on ports of a bridge too,
//! and nobody else takes notice of it. A NIC that is switched off is switched on for as long, without IPv6, so that it
//! gets no address and no route. Nothing of that is written anywhere: should this process be killed in between, such a
//! NIC stays on, without any address, until the next boot.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno;
use nix::ifaddrs::getifaddrs;
use nix::sys::socket::sockopt::RcvBufForce;
use nix::sys::socket::{
    AddressFamily, LinkAddr, MsgFlags, SockFlag, SockProtocol, SockType, recvfrom, sendto, setsockopt, socket,
};
use serde::{Deserialize, Serialize};
use stead_plan::init::{Heard, Link, Probed};
use stead_plan::inventory::Known;
use stead_plan::network::probe::Lane;
use stead_spec::units::NodeName;

use crate::protocol::Probe;

/// IEEE 802's type for local experiments: no protocol has it.
const ETHERTYPE: [u8; 2] = [0x88, 0xb5];
/// What stead's frames of that type begin with.
const MAGIC: &[u8] = b"stead probe\0";
/// Destination, source and type of a frame.
const HEADER: usize = 14;
/// The shortest Ethernet frame, without its check sum.
const SHORTEST: usize = 60;
/// The longest call: a token, a node's name, a NIC's, and words.
const LONGEST: usize = 512;
/// IEEE 802.1Q's type.
const TAGGED: [u8; 2] = [0x81, 0x00];
/// The longest words.
const LONGEST_WORDS: usize = 64;
/// `IFNAMSIZ` of `linux/if.h`, less the zero at the end.
const LONGEST_NIC: usize = 15;
/// How often it is looked whether something came.
const LOOK_EVERY: Duration = Duration::from_millis(50);
/// How often it is called, in looks: two nodes that listen for a second hear five calls, of which some may be lost.
const CALL_EVERY: u32 = 4;
/// What the kernel keeps between two looks: all traffic of the node is in it, if only the beginning of each packet.
const KEPT: usize = 8 << 20;
/// Longer than any switch takes, spanning tree included; a mistyped time shouldn't hold the node.
const LONGEST_LISTEN: Duration = Duration::from_mins(1);
/// More NICs than any search has: whoever else calls can't fill the memory.
const MOST_HEARD: usize = 4096;
/// Frames that are read before others get a turn.
const AT_ONCE: usize = 10_000;

/// Calls and listens on every Ethernet NIC, and says what was heard, each once, sorted.
///
/// # Errors
/// The node's NICs can't be listed, or the kernel gives no packet socket: why. What hinders a single NIC is in the
/// answer.
pub async fn probe(probe: &Probe) -> Result<Probed, String> {
    let names = ethernet(Path::new(NET)).map_err(|error| format!("can't list NICs in {NET}: {error}"))?;
    let links = links().map_err(|error| format!("can't list interfaces: {error}"))?;
    let socket = open().map_err(|error| format!("can't open a packet socket: {error}"))?;
    let (mut probed, mut raised, mut ears) = (Probed::default(), Vec::new(), BTreeMap::new());
    for device in &probe.calls.ears {
        if let Some(link) = links.get(device) {
            ears.insert(link.ifindex(), Ear { nic: device.clone(), link: *link });
        }
    }
    for name in &names {
        let Some(link) = links.get(name) else {
            probed.nics.insert(name.clone(), Known::Unknown("it disappeared".to_owned()));
            continue;
        };
        match Raised::new(name) {
            Ok(guard) => {
                raised.push(guard);
                ears.insert(link.ifindex(), Ear { nic: name.clone(), link: *link });
            }
            Err(error) => {
                let why = format!("it is switched off, and can't be switched on: {error}");
                probed.nics.insert(name.clone(), Known::Unknown(why));
            }
        }
    }
    probed.heard = listen(&socket, &ears, probe).await.map_err(|error| format!("can't listen: {error}"))?;
    for ear in ears.into_values().filter(|ear| names.contains(&ear.nic)) {
        let link = Link { carrier: number(&ear.nic, "carrier") == Some(1), speed: speed(&ear.nic) };
        probed.nics.insert(ear.nic, Known::Is(link));
    }
    drop(raised);
    Ok(probed)
}

/// Where the kernel lists interfaces.
const NET: &str = "/sys/class/net";
/// Ethernet, of `linux/if_arp.h`.
const ARPHRD_ETHER: &str = "1";
/// Of `linux/if.h`.
const IFF_UP: u32 = 1;

/// A NIC that calls and listens.
struct Ear {
    nic: String,
    link: LinkAddr,
}

/// The Ethernet NICs that are hardware and have a cable.
fn ethernet(net: &Path) -> io::Result<Vec<String>> {
    let mut names = Vec::new();
    for entry in fs::read_dir(net)? {
        let entry = entry?;
        let (path, Ok(name)) = (entry.path(), entry.file_name().into_string()) else { continue };
        let ethernet = fs::read_to_string(path.join("type")).is_ok_and(|kind| kind.trim() == ARPHRD_ETHER);
        let wireless = path.join("wireless").exists() || path.join("phy80211").exists();
        if path.join("device").exists() && ethernet && !wireless {
            names.push(name);
        }
    }
    names.sort();
    Ok(names)
}

/// Each interface's number and address, as packets are sent to it.
fn links() -> nix::Result<BTreeMap<String, LinkAddr>> {
    let of = |interface: nix::ifaddrs::InterfaceAddress| {
        let link = *interface.address?.as_link_addr()?;
        Some((interface.interface_name, link))
    };
    Ok(getifaddrs()?.filter_map(of).collect())
}

fn attribute(nic: &str, name: &str) -> PathBuf {
    Path::new(NET).join(nic).join(name)
}

fn number(nic: &str, name: &str) -> Option<u32> {
    // `speed` is -1 where the driver doesn't know.
    fs::read_to_string(attribute(nic, name)).ok()?.trim().parse().ok()
}

/// In Mbit/s.
fn speed(nic: &str) -> Option<u32> {
    number(nic, "speed").filter(|speed| *speed > 0)
}

/// A NIC that was switched off, and is again when this is dropped, also when the probe is cancelled.
struct Raised {
    nic: String,
    was_down: bool,
    had_ipv6: bool,
}

impl Raised {
    /// Switches a NIC on, if it isn't.
    fn new(nic: &str) -> io::Result<Self> {
        let mut raised = Self { nic: nic.to_owned(), was_down: false, had_ipv6: false };
        if flags(nic)? & IFF_UP != 0 {
            return Ok(raised);
        }
        let ipv6 = disable_ipv6(nic);
        if fs::read_to_string(&ipv6).is_ok_and(|value| value.trim() == "0") {
            fs::write(&ipv6, "1")?;
            raised.had_ipv6 = true;
        }
        raised.was_down = true;
        set_flags(nic, flags(nic)? | IFF_UP)?;
        Ok(raised)
    }
}

impl Drop for Raised {
    fn drop(&mut self) {
        // What fails here, fails because the NIC is gone.
        if self.was_down
            && let Ok(now) = flags(&self.nic)
        {
            let _ = set_flags(&self.nic, now & !IFF_UP);
        }
        if self.had_ipv6 {
            let _ = fs::write(disable_ipv6(&self.nic), "0");
        }
    }
}

fn disable_ipv6(nic: &str) -> PathBuf {
    Path::new("/proc/sys/net/ipv6/conf").join(nic).join("disable_ipv6")
}

/// The interface's flags, of which the kernel lets the same be changed here as by `ip link set`.
fn flags(nic: &str) -> io::Result<u32> {
    let text = fs::read_to_string(attribute(nic, "flags"))?;
    let hex = text.trim().trim_start_matches("0x");
    u32::from_str_radix(hex, 16).map_err(|error| io::Error::new(io::ErrorKind::InvalidData, error))
}

fn set_flags(nic: &str, flags: u32) -> io::Result<()> {
    fs::write(attribute(nic, "flags"), format!("{flags:#x}"))
}

/// A socket that gets every frame of every interface: ports of bridges show theirs to no other kind.
fn open() -> io::Result<OwnedFd> {
    let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
    let socket = socket(AddressFamily::Packet, SockType::Raw, flags, SockProtocol::EthAll)?;
    setsockopt(&socket, RcvBufForce, &KEPT)?;
    Ok(socket)
}

/// Calls on each NIC again and again, and gathers what is heard, until the time is over.
async fn listen(socket: &OwnedFd, ears: &BTreeMap<usize, Ear>, probe: &Probe) -> io::Result<Vec<Heard>> {
    let mut heard = BTreeSet::new();
    let mut looks = tokio::time::interval(LOOK_EVERY);
    let time = Duration::from_millis(probe.listen.into()).min(LONGEST_LISTEN);
    let last = time.as_millis() / LOOK_EVERY.as_millis();
    for look in 0..=u32::try_from(last).unwrap_or_default() {
        looks.tick().await;
        if look % CALL_EVERY == 0 {
            call(socket, ears, probe);
        }
        hear(socket, ears, probe, &mut heard)?;
    }
    Ok(heard.into_iter().collect())
}

fn call(socket: &OwnedFd, ears: &BTreeMap<usize, Ear>, probe: &Probe) {
    let say = |ear: &Ear, lane: &Lane| {
        let (nic, words) = (lane.nic.clone(), lane.words.clone());
        let call = Call { token: probe.token.clone(), node: probe.node.clone(), nic, words };
        let frame = frame(ear.link.addr().unwrap_or_default(), lane, &call);
        // Without a carrier yet, there is nobody to send to; the next call may be heard.
        let _ = sendto(socket.as_raw_fd(), &frame, &ear.link, MsgFlags::empty());
    };
    if probe.calls.lanes.is_empty() {
        for ear in ears.values() {
            say(ear, &Lane { nic: ear.nic.clone(), vlan: None, size: 0, words: String::new() });
        }
    }
    for lane in &probe.calls.lanes {
        if let Some(ear) = ears.values().find(|ear| ear.nic == lane.nic) {
            say(ear, lane);
        }
    }
}

/// Reads what has come by now.
fn hear(socket: &OwnedFd, ears: &BTreeMap<usize, Ear>, probe: &Probe, heard: &mut BTreeSet<Heard>) -> io::Result<()> {
    let mut buffer = [0; HEADER + MAGIC.len() + LONGEST];
    for _ in 0..AT_ONCE {
        let (length, from) = match recvfrom::<LinkAddr>(socket.as_raw_fd(), &mut buffer) {
            Ok(frame) => frame,
            // An interface went down: the others go on.
            Err(Errno::ENETDOWN | Errno::EINTR) => continue,
            Err(Errno::EAGAIN) => break,
            Err(error) => return Err(error.into()),
        };
        let Some(ear) = from.and_then(|from| ears.get(&from.ifindex())) else { continue };
        let Some(call) = buffer.get(..length).and_then(|frame| parse(frame, &probe.token)) else { continue };
        let own = call.node == probe.node && call.nic == ear.nic;
        if !own && heard.len() < MOST_HEARD {
            heard.insert(Heard { on: ear.nic.clone(), node: call.node, nic: call.nic, words: call.words });
        }
    }
    Ok(())
}

/// What a NIC calls.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
struct Call {
    token: String,
    node: String,
    nic: String,
    #[serde(default, skip_serializing_if = "String::is_empty")]
    words: String,
}

/// A call as a frame to everybody, as long as the lane says: its own length goes before it, since frames are filled up.
fn frame(from: [u8; 6], lane: &Lane, call: &Call) -> Vec<u8> {
    let body = serde_json::to_vec(call).unwrap_or_default();
    let length = u16::try_from(body.len()).unwrap_or_default().to_be_bytes();
    let tag = lane.vlan.map(|vlan| [TAGGED, vlan.get().to_be_bytes()].concat()).unwrap_or_default();
    let header = [&[0xff; 6][..], &from, &tag, &ETHERTYPE].concat();
    let longest = header.len() + usize::from(lane.size);
    let mut frame = [&header[..], MAGIC, &length, &body].concat();
    frame.resize(frame.len().max(SHORTEST).max(longest), 0);
    frame
}

/// The call of this search that a frame is, if it is one. Anybody may send anything.
fn parse(frame: &[u8], token: &str) -> Option<Call> {
    let rest = frame.get(HEADER - ETHERTYPE.len()..)?.strip_prefix(&ETHERTYPE)?.strip_prefix(MAGIC)?;
    let (length, rest) = rest.split_first_chunk()?;
    let body = rest.get(..usize::from(u16::from_be_bytes(*length)))?;
    let call: Call = serde_json::from_slice(body).ok()?;
    let nic = call.nic.bytes().all(|b| b.is_ascii_graphic() && b != b'/');
    let nic = nic && (1..=LONGEST_NIC).contains(&call.nic.len());
    let words = call.words.len() <= LONGEST_WORDS && call.words.bytes().all(|b| b == b' ' || b.is_ascii_graphic());
    (call.token == token && words && call.node.parse::<NodeName>().is_ok() && nic).then_some(call)
}

#[cfg(test)]
mod tests;
