//! `stead node`: one PC.

use std::process::ExitCode;

use anyhow::{Context, bail};
use camino::Utf8PathBuf;
use clap::{Args, Subcommand};
use stead_apply::enroll;
use stead_spec::units::{PublicKey, SshTarget};

use crate::ask;
use crate::cluster::ReachOptions;
use crate::print::Printer;
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
    let Command::Enroll(enroll) = &arguments.command;
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
