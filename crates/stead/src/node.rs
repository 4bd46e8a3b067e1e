//! `stead node`: one PC.

use std::process::ExitCode;

use anyhow::{Context, bail};
use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use stead_apply::enroll;
use stead_plan::inventory::Inventory;
use stead_plan::machines::errands;
use stead_plan::plan::Asked;
use stead_plan::status::status;
use stead_spec::units::{NodeName, PublicKey, SshTarget};

use crate::ask;
use crate::cluster::ReachOptions;
use crate::errand::Errand;
use crate::print::Printer;
use crate::reboot::{By, reboot};
use crate::run;

/// What is done with a node.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Make a fresh Debian ready for stead: your key, and sudo without a password.
    Enroll(Enroll),
    /// Have a node run no machines: those on it move to others. For when it is to be switched off.
    Drain(One),
    /// Let a node run machines again.
    Undrain(One),
    /// Boot a node anew: its machines move to others before, and are let back after.
    Reboot(One),
    /// Let a node's watchdog reset it, to see that it does: its machines move to others before.
    TestWatchdog(One),
}

/// Which node.
#[derive(Debug, Args)]
#[command(after_help = "Codes: 0 done; 1 refused, or it failed; 3 the nodes didn't answer.\n\n\
                        Example: stead node drain node2")]
struct One {
    /// Its name in the file.
    node: NodeName,
    #[command(flatten)]
    errand: Errand,
}

/// Who is let in, and where.
#[derive(Debug, Args)]
#[command(after_help = "ssh and sudo ask for passwords themselves; stead never sees one.\n\n\
                        Example: stead node enroll debian@192.168.0.50")]
struct Enroll {
    /// The user that Debian's installer made, and where: USER@ADDRESS.
    address: SshTarget,
    /// Your public key; can be given more than once [default: those in ~/.ssh]
    #[arg(long = "key", value_name = "FILE")]
    keys: Vec<Utf8PathBuf>,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    reach: ReachOptions,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    match &arguments.command {
        Command::Enroll(enroll) => enroll_one(enroll, printer),
        Command::Drain(One { node, errand }) => drain(errand, node, printer),
        Command::Undrain(One { node, errand }) => undrain(errand, node, printer),
        Command::Reboot(One { node, errand }) => reboot(errand, node, By::Order, printer),
        Command::TestWatchdog(One { node, errand }) => reboot(errand, node, By::Watchdog, printer),
    }
}

/// Has a node run no machines.
pub(crate) fn drain(errand: &Errand, node: &NodeName, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let plan = |asked: &Asked<'_>, inventory: &Inventory| errands::drain(asked, inventory, node);
    errand.run_and_look(plan, printer, |cluster, inventory| {
        let status = status(&cluster.spec, inventory);
        let left = status.machines.iter().filter(|machine| machine.on.contains(node));
        let left: Vec<String> = left.map(|machine| machine.name.to_string()).collect();
        if left.is_empty() {
            Ok(format!("{node} runs no machines: `stead node undrain {node}` lets them back"))
        } else {
            Err(format!("{node} still has {}", left.join(", ")))
        }
    })
}

/// Lets a node run machines again.
pub(crate) fn undrain(errand: &Errand, node: &NodeName, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let plan = |asked: &Asked<'_>, inventory: &Inventory| errands::undrain(asked, inventory, node);
    errand.run_and_look(plan, printer, |_, _| Ok(format!("{node} may run machines")))
}

fn enroll_one(enroll: &Enroll, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let keys = public_keys(&enroll.keys)?;
    printer.line(format_args!("On {}, this will", enroll.address));
    for key in &keys {
        printer.line(format_args!("  let in whoever has {key}"));
    }
    printer.line(format_args!("  {}", enroll::SUDO));
    if !enroll.yes && !ask::yes("do this?")? {
        printer.progress("nothing was done");
        return Ok(ExitCode::FAILURE);
    }
    let ssh = enroll.reach.ssh(std::collections::BTreeMap::new(), None)?;
    run::to_its_end(async { Ok(enroll::enroll(&ssh, &enroll.address, &keys).await?) })?;
    printer.line(format_args!("{} is ready: `stead init {} …` comes next", enroll.address, enroll.address));
    Ok(ExitCode::SUCCESS)
}

/// The keys in these files; without any, the user's own.
pub(crate) fn public_keys(paths: &[Utf8PathBuf]) -> anyhow::Result<Vec<PublicKey>> {
    let own = || {
        let home = std::env::var("HOME").ok()?;
        let folder = Utf8PathBuf::from(home).join(".ssh");
        Some(["id_ed25519.pub", "id_rsa.pub"].map(|name| folder.join(name)).into_iter().filter(|key| key.is_file()))
    };
    let paths: Vec<_> = if paths.is_empty() { own().into_iter().flatten().collect() } else { paths.to_vec() };
    if paths.is_empty() {
        bail!("there is no public key in ~/.ssh: make one with `ssh-keygen -t ed25519`, or name one with `--key FILE`");
    }
    let read = |path: &Utf8PathBuf| {
        let text = std::fs::read_to_string(path).with_context(|| format!("could not read the key {path}"))?;
        text.trim().parse().with_context(|| format!("{path} has no key that can be used"))
    };
    paths.iter().map(read).collect()
}
