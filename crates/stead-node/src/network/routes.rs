//! Routes.

use std::net::Ipv4Addr;

use serde::Deserialize;
use stead_plan::network::facts::Route;
use stead_plan::op::{Command, Program};

/// What lists the IPv4 routes of the main table.
pub(crate) fn command() -> Command {
    Program::Ip.command().args(["-j", "route", "show", "table", "main"])
}

/// What [`command`] printed. A route with several ways is several.
pub(crate) fn parse(text: &str) -> Result<Vec<Route>, String> {
    let text = text.trim();
    // Without any route, ip prints nothing.
    let lines: &str = if text.is_empty() { "[]" } else { text };
    let lines: Vec<Line> =
        serde_json::from_str(lines).map_err(|error| format!("ip printed something else: {error}"))?;
    Ok(lines.into_iter().flat_map(Line::routes).collect())
}

/// A route, as ip prints it.
#[derive(Deserialize)]
struct Line {
    dst: String,
    /// Of those that aren't plain.
    #[serde(rename = "type")]
    kind: Option<String>,
    #[serde(rename = "prefsrc")]
    source: Option<Ipv4Addr>,
    #[serde(default)]
    metric: u32,
    protocol: Option<String>,
    #[serde(flatten)]
    hop: Hop,
    #[serde(default)]
    nexthops: Vec<Hop>,
}

#[derive(Deserialize)]
struct Hop {
    gateway: Option<String>,
    /// A gateway of another address family than the destination.
    via: Option<Via>,
    dev: Option<String>,
}

#[derive(Deserialize)]
struct Via {
    host: String,
}

impl Line {
    fn routes(self) -> Vec<Route> {
        let Self { dst, kind, source, metric, protocol, hop, nexthops } = self;
        let hops = if nexthops.is_empty() { vec![hop] } else { nexthops };
        let route = |hop: Hop| Route {
            to: dst.clone(),
            gateway: hop.gateway.or(hop.via.map(|via| via.host)),
            dev: hop.dev,
            protocol: protocol.clone(),
            kind: kind.clone(),
            source,
            metric,
        };
        hops.into_iter().map(route).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each;

    fn route(to: &str, gateway: Option<&str>, dev: Option<&str>, protocol: Option<&str>) -> Route {
        let [gateway, dev, protocol] = [gateway, dev, protocol].map(|text| text.map(ToOwned::to_owned));
        Route { to: to.to_owned(), gateway, dev, protocol, kind: None, source: None, metric: 0 }
    }

    #[test]
    fn both_releases() {
        for (release, text) in each("route.json") {
            let routes = parse(&text).unwrap();
            for expected in [
                route("default", Some("203.0.113.1"), Some("enp0s2"), routes[0].protocol.as_deref()),
                route("192.168.0.0/24", None, Some("enp0s1"), Some("kernel")),
                // Two ways to one place.
                route("198.51.100.0/24", Some("192.0.2.2"), Some("enp0s1.10"), None),
                route("198.51.100.0/24", Some("192.168.0.2"), Some("enp0s1"), None),
                // One that leads nowhere.
                route("192.0.2.128/25", None, None, None),
            ] {
                let bare = |route: &Route| Route { kind: None, source: None, metric: 0, ..route.clone() };
                assert!(
                    routes.iter().any(|route| bare(route) == expected),
                    "{release}: {expected:?} is not in {routes:?}"
                );
            }
            let nowhere = routes.iter().find(|route| route.to == "192.0.2.128/25").unwrap();
            assert_eq!((nowhere.kind.as_deref(), nowhere.metric), (Some("unreachable"), 4_000), "{release}");
            let own = routes.iter().find(|route| route.to == "192.168.0.0/24").unwrap();
            assert_eq!(own.source, Some([192, 168, 0, 50].into()), "{release}");
        }
    }

    #[test]
    fn a_gateway_of_the_other_family() {
        let text = r#"[{"dst":"default","via":{"family":"inet6","host":"fe80::1"},"dev":"eth0","flags":[]}]"#;
        assert_eq!(parse(text).unwrap(), [route("default", Some("fe80::1"), Some("eth0"), None)]);
    }

    #[test]
    fn no_routes() {
        assert_eq!(parse("[]"), Ok(Vec::new()));
        assert_eq!(parse("\n"), Ok(Vec::new()));
        assert!(parse("Cannot find device").is_err());
    }
}
