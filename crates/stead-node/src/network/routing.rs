//! What FRR says, while it runs.

use std::collections::BTreeMap;
use std::net::Ipv4Addr;

use serde::Deserialize;
use stead_plan::network::facts::{Neighbour, Routing};
use stead_plan::network::routing::BEFORE_KEY;
use stead_plan::op::{Command, Program};
use stead_plan::secret::masked;

/// What tells of its configuration, of OSPF's neighbours, and of BFD's sessions, in one go.
pub(crate) fn command() -> Command {
    let shows = ["show running-config no-header", "show ip ospf neighbor json", "show bfd peers json"];
    Program::Vtysh.command().args(shows.iter().flat_map(|show| ["-c", show]))
}

/// What it says where none of FRR's daemons runs.
pub(crate) const NOT_RUNNING: &str = "failed to connect to any daemons";

/// What [`command`] printed. A daemon that doesn't run tells nothing, and is missed in the configuration.
pub(crate) fn parse(text: &str) -> Result<Routing, String> {
    let (running, rest) = match text.find("\nend\n") {
        Some(at) => text.split_at(at),
        None => return Err("vtysh printed no configuration".to_owned()),
    };
    let rest = rest.trim_start_matches("\nend\n");
    // The first is an object, the second a list. Where there is nothing to tell, there may be neither.
    let (neighbours, peers) = match rest.find("\n[") {
        Some(at) => (&rest[..at], &rest[at..]),
        None => (rest, "[]"),
    };
    let neighbours = serde_json::from_str::<Neighbours>(neighbours.trim()).unwrap_or_default();
    let peers = serde_json::from_str::<Vec<Peer>>(peers.trim()).unwrap_or_default();
    let mut found = Vec::new();
    for (router, seen) in neighbours.neighbors {
        let Ok(router) = router.parse::<Ipv4Addr>() else { continue };
        for seen in seen {
            let interface = seen.interface.split(':').next().unwrap_or_default().to_owned();
            let peer =
                peers.iter().find(|peer| peer.address == seen.address && peer.interface.as_ref() == Some(&interface));
            let bfd =
                peer.or_else(|| peers.iter().find(|peer| peer.address == seen.address)).map(|peer| peer.status == "up");
            let state = seen.state.split('/').next().unwrap_or_default().to_owned();
            found.push(Neighbour { interface, address: seen.address, router, state, bfd });
        }
    }
    found.sort_by(|a, b| (&a.interface, a.router).cmp(&(&b.interface, b.router)));
    let running = masked(running, BEFORE_KEY);
    let lines = running.lines().filter(|line| !line.trim_start().starts_with('!')).map(str::to_owned);
    Ok(Routing { running: lines.collect(), neighbours: found })
}

#[derive(Default, Deserialize)]
struct Neighbours {
    neighbors: BTreeMap<String, Vec<Seen>>,
}

/// A neighbour on one interface.
#[derive(Deserialize)]
struct Seen {
    #[serde(rename = "nbrState")]
    state: String,
    #[serde(rename = "ifaceAddress")]
    address: Ipv4Addr,
    /// Our interface and address, with a colon between.
    #[serde(rename = "ifaceName")]
    interface: String,
}

#[derive(Deserialize)]
struct Peer {
    #[serde(rename = "peer")]
    address: Ipv4Addr,
    #[serde(default)]
    interface: Option<String>,
    status: String,
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each;

    #[test]
    fn both_releases() {
        for (release, text) in each("vtysh.txt") {
            let routing = parse(&text).unwrap();
            assert!(routing.running.contains(&" ip ospf network point-to-multipoint".to_owned()), "{release}");
            assert!(routing.running.iter().all(|line| !line.starts_with('!')), "{release}");
            let neighbours: Vec<_> = routing.neighbours.iter().map(|of| (of.interface.as_str(), of.bfd)).collect();
            let expected = ["core1", "core1", "core2", "core2", "core3", "core3"].map(|core| (core, Some(true)));
            assert_eq!(neighbours, expected, "{release}");
            assert!(routing.neighbours.iter().all(|of| of.state == "Full"), "{release}: {:?}", routing.neighbours);
        }
    }

    #[test]
    fn daemons_that_say_nothing_and_keys() {
        let text = "frr version 10.3\n!\ninterface core1\n ip ospf message-digest-key 1 md5 secret\nexit\n!\nend\nospfd is \
                    not running\n\n[\n]\n";
        // With a daemon off, vtysh ends there, and says so beside.
        assert_eq!(parse("frr version 10.3\nend\n").unwrap().running, ["frr version 10.3"]);
        let routing = parse(text).unwrap();
        assert_eq!(routing.neighbours, []);
        let lines =
            ["frr version 10.3", "interface core1", " ip ospf message-digest-key 1 md5 ‹secret 2bb80d537b1d›", "exit"];
        assert_eq!(routing.running, lines);
        assert!(parse("% Unknown command").is_err());
    }
}
