//! Routes.

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
        let Self { dst, protocol, hop, nexthops } = self;
        let hops = if nexthops.is_empty() { vec![hop] } else { nexthops };
        let route = |hop: Hop| Route {
            to: dst.clone(),
            gateway: hop.gateway.or(hop.via.map(|via| via.host)),
            dev: hop.dev,
            protocol: protocol.clone(),
        };
        hops.into_iter().map(route).collect()
    }
}
