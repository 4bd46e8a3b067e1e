//! `stead network`: switches and what goes over them.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use serde_json::json;
use stead_plan::network::explain::{Carries, End, SwitchSetting, explain};

use crate::cluster_file::{self, ClusterFile};
use crate::print::{Printer, Tone};

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
    let Command::Explain(arguments) = &arguments.command;
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
