//! `stead network`: switches and what goes over them.

use std::collections::BTreeMap;
use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use stead_node::protocol::Role;
use stead_plan::network::explain::{Carries, End, SwitchSetting, explain};
use stead_plan::network::probe;
use uuid::Uuid;

use crate::cluster::{Access, Cluster, Looked};
use crate::cluster_file::{self, ClusterFile};
use crate::print::{Printer, Tone};
use crate::probe::probe as call;
use crate::run;

/// What is asked about the network.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// What each switch and each of its ports must be set to. Asks no node.
    Explain(Explain),
    /// Whether the switches pass what they must: all nodes call each other, with each network's tag and size.
    Probe(Probe),
}

/// What is probed, and how it is told.
#[derive(Debug, Args)]
#[command(
    after_help = "Codes: 0 all is passed; 1 it can't be told; 2 something is not passed; 3 a node could not call.\n\n\
                  Nothing is changed, but for NICs that are off: they are on meanwhile.\n\nExample: stead network probe"
)]
struct Probe {
    #[command(flatten)]
    access: Access,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// How it is told.
#[derive(Debug, Args)]
#[command(after_help = "Example: stead network explain -f clusters/home.toml")]
struct Explain {
    #[command(flatten)]
    file: ClusterFile,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Explain(arguments) => explain_all(arguments, printer),
        Command::Probe(arguments) => probe_all(arguments, printer),
    }
}

fn explain_all(arguments: &Explain, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let spec = match arguments.file.read()? {
        Ok((spec, _)) => spec,
        Err(report) => {
            cluster_file::show(&report, printer);
            return Ok(ExitCode::FAILURE);
        }
    };
    let settings = explain(&spec);
    if arguments.json {
        printer.line(serde_json::to_string_pretty(&json!({ "schema_version": 1, "switches": settings }))?);
        return Ok(ExitCode::SUCCESS);
    }
    for (index, setting) in settings.iter().enumerate() {
        if index > 0 {
            printer.line("");
        }
        show(setting, printer);
    }
    Ok(ExitCode::SUCCESS)
}

/// Something is not passed.
const DROPS: u8 = 2;

/// A node could not call.
const UNKNOWN: u8 = 3;

fn probe_all(arguments: &Probe, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Some(cluster) = Cluster::open(&arguments.access, printer)? else { return Ok(ExitCode::FAILURE) };
    let spec = &cluster.spec;
    let outcome = run::to_its_end(async {
        let Looked { inventory, mut links } = cluster.look(Role::Observe, printer).await?;
        printer.progress("the nodes call each other over all switches");
        let token = Uuid::new_v4().to_string();
        let seen: BTreeMap<_, _> = inventory.seen().collect();
        let called = links.iter_mut().filter_map(|(name, link)| {
            let calls = probe::calls(spec, spec.nodes().get(name)?, seen.get(name)?);
            Some(async { (name.clone(), call(name, link, &token, calls).await) })
        });
        let probed = futures_util::future::join_all(called).await.into_iter().collect();
        Ok(probe::outcome(spec, &inventory, &probed))
    })?;
    if arguments.json {
        printer.line(serde_json::to_string_pretty(&json!({ "schema_version": 1, "probe": outcome }))?);
    } else {
        let text = outcome.render(&spec.cluster().name, &|tone, text| printer.paint(tone, text));
        printer.line(text.trim_end());
    }
    Ok(if outcome.is_blind() {
        ExitCode::from(UNKNOWN)
    } else if outcome.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DROPS)
    })
}

/// What every switch passes.
const ETHERNET: u16 = 1500;

fn show(setting: &SwitchSetting, printer: &mut Printer) {
    let SwitchSetting { switch, mtu, frame, ports, others } = setting;
    let size = match *mtu {
        0 => "nothing of the cluster's goes over it".to_owned(),
        1..=ETHERNET => format!("packets of {mtu} bytes, as every switch passes"),
        _ => format!("packets of {mtu} bytes: let it pass frames of {frame} or more"),
    };
    let heading = printer.tone(Tone::Good, switch.as_ref());
    printer.line(format_args!("{heading}  {size}"));
    let rows: Vec<[String; 3]> = [["port to".to_owned(), "untagged".to_owned(), "tagged".to_owned()]]
        .into_iter()
        .chain(ports.iter().map(|port| [end(&port.to), untagged(&port.carries), tagged(&port.carries)]))
        .collect();
    let width = |column: usize| rows.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let (first, second) = (width(0), width(1));
    for (index, [to, untagged, tagged]) in rows.iter().enumerate() {
        let line = format!("  {to:first$}  {untagged:second$}  {tagged}");
        printer.line(if index == 0 { printer.tone(Tone::Quiet, &line) } else { line });
    }
    let tags = others.tagged.iter().map(|(vlan, network)| format!("{network} ({vlan})"));
    let networks: Vec<_> = others.untagged.iter().cloned().chain(tags).collect();
    if !networks.is_empty() {
        printer.line(format_args!(
            "  Each other port belongs to one network, untagged: {}; the core is on none of them.",
            networks.join(" or ")
        ));
    }
}

fn end(end: &End) -> String {
    match end {
        End::Node { name, nic } => format!("{name} ({nic})"),
        End::Switch(name) => format!("switch {name}"),
    }
}

fn untagged(carries: &Carries) -> String {
    carries.untagged.clone().unwrap_or_else(|| "–".to_owned())
}

fn tagged(carries: &Carries) -> String {
    let tags: Vec<_> = carries.tagged.iter().map(|(vlan, network)| format!("{vlan} {network}")).collect();
    if tags.is_empty() { "–".to_owned() } else { tags.join(", ") }
}
