//! What is measured, and who is told.

mod check;
pub(crate) mod table;

use std::collections::{BTreeMap, BTreeSet};

use crate::file::File;
use crate::host::{Cluster, Host, Node};
use crate::network::Origin;
use crate::units::{AlertName, Bytes, Email, NetworkName, NodeName, Period, SmtpServer, WebUrl};
use table::AlertTable;

pub(crate) use check::check;

/// What is measured, and who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Telemetry {
    /// The nodes that keep the measurements. Never empty.
    pub nodes: BTreeSet<NodeName>,
    /// For how long.
    pub retention: Period,
    /// In how much room.
    pub size: Bytes,
    /// From where dashboards can be opened.
    pub networks: BTreeSet<NetworkName>,
    /// Who is told.
    pub alerts: BTreeMap<AlertName, Alert>,
    /// Who notices silence.
    pub dead_man: Option<DeadMan>,
}

/// Somebody who is told.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Alert {
    /// By mail.
    Email {
        /// To whom.
        to: Email,
        /// From whom.
        from: Email,
        /// The server that takes it.
        server: SmtpServer,
        /// The name to give to that server.
        user: String,
    },
    /// By a call.
    Webhook {
        /// Where to. Nothing: it is a sealed secret.
        url: Option<WebUrl>,
    },
}

/// Somebody outside who notices silence.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct DeadMan {
    /// What is called while all is well.
    pub url: WebUrl,
    /// How often.
    pub every: Period,
}

/// Two keep everything, so that one may die.
const KEEPERS: usize = 2;

/// How much room measurements get unless the file says: a year of three nodes, by Prometheus' own 1–2 bytes a sample.
const SIZE: Bytes = Bytes::gib(10);

/// Telemetry, if the file asks for it. The outer nothing is a mistake.
#[allow(clippy::option_option, reason = "nothing is what the file leaves out; the outer nothing is a mistake")]
pub(crate) fn build(
    file: &File,
    cluster: &Cluster,
    host: &Host,
    nodes: &BTreeMap<NodeName, Node>,
) -> Option<Option<Telemetry>> {
    let Some(table) = file.telemetry.maybe()? else { return Some(None) };
    let keepers = if table.nodes.is_missing() {
        let mut all: Vec<_> = nodes.values().filter(|node| !node.arbiter).collect();
        all.sort_by_key(|node| node.number);
        all.into_iter().take(KEEPERS).map(|node| node.name.clone()).collect()
    } else {
        table.nodes.items().map(|node| node.value.clone()).collect()
    };
    let networks = if table.networks.is_missing() {
        let network = |origin: &Origin| match origin {
            Origin::Network(name) => Some(name.clone()),
            Origin::Source(_) => None,
        };
        host.ssh_from.iter().filter_map(network).collect()
    } else {
        table.networks.items().map(|network| network.value.clone()).collect()
    };
    let alerts =
        table.alert.entries().map(|(name, alert)| Some((name.value.clone(), build_alert(cluster, &alert.value)?)));
    let dead_man = match table.dead_man.maybe()? {
        None => None,
        Some(dead_man) => {
            Some(DeadMan { url: dead_man.url.value()?.clone(), every: dead_man.every.or("5m".parse().ok()?)? })
        }
    };
    Some(Some(Telemetry {
        nodes: keepers,
        retention: table.retention.or("90d".parse().ok()?)?,
        size: table.size.or(SIZE)?,
        networks,
        alerts: alerts.collect::<Option<_>>()?,
        dead_man,
    }))
}

fn build_alert(cluster: &Cluster, table: &AlertTable) -> Option<Alert> {
    let Some(to) = table.email.maybe()? else { return Some(Alert::Webhook { url: table.webhook.maybe()? }) };
    let from = table.from.or(format!("stead@{}", cluster.domain).parse().ok()?)?;
    let user = table.user.or(from.to_string())?;
    Some(Alert::Email { to, from, server: table.server.value()?.clone(), user })
}
