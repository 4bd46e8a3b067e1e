//! `stead keys`: who can open the sealed secrets, and the recovery sheet.

mod add;
mod disks;
mod explain;
mod files;
mod list;
mod reseal;
mod revoke;
mod sheet;

use std::process::ExitCode;

use anyhow::Result;
use clap::{Args, Subcommand};

use crate::cluster_file::ClusterFile;
use crate::identities::IdentityFiles;
use crate::print::Printer;

/// Who can open the cluster's sealed secrets (`stead.secrets`, beside the cluster file), and the recovery sheet.
#[derive(Debug, Args)]
#[command(
    after_help = "Example:\n  stead keys sheet\n  stead keys list\n  stead keys add bob \"ssh-ed25519 AAAA… bob@desk\""
)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Each secret, when it was made and who can open it; opens none.
    #[command(after_help = "Codes: 0 all are sealed to exactly those whom the cluster file names; 2 not all are.\n\n\
                            Example: stead keys list --json")]
    List(list::List),
    /// Make the recovery sheet: a key on paper, for the day when no admin's key is left.
    #[command(after_help = "Nothing changes until the end of its key is typed back.\n\nExample: stead keys sheet")]
    Sheet(sheet::Sheet),
    /// Let an admin's key open the secrets, and log in.
    #[command(after_help = "Example: stead keys add bob ssh-ed25519 AAAA… bob@desk")]
    Add(add::Add),
    /// Seal all secrets to exactly those whom the cluster file names now.
    #[command(after_help = "Example: stead keys reseal --identity ~/.ssh/id_ed25519")]
    Reseal(reseal::Reseal),
    /// Who can open the nodes' disks: which thefts do, and which starts need nobody. Asks no node.
    #[command(after_help = "Example: stead keys explain -f clusters/home.toml")]
    Explain(explain::Explain),
    /// Open every data disk by each of its keys, and leave it as it is: whether all that should open them does.
    #[command(after_help = "Codes: 0 all open; 1 one doesn't; 3 a node didn't answer.\n\nExample: stead keys test")]
    Test(disks::Test),
    /// Open a node's disks by their recovery keys, when nobody else can.
    #[command(after_help = "Example: stead keys recover node2 --identity sheet.txt")]
    Recover(disks::Recover),
    /// Change the keys of the nodes' tangs: new ones, all disks bound to them, the old ones away.
    #[command(after_help = "If it is cut, `stead apply` finishes it.\n\nExample: stead keys rotate")]
    Rotate(disks::Rotate),
    /// Take a key or an admin out; make a stolen node's tang worthless; or replace a CA.
    #[command(
        after_help = "Example:\n  stead keys revoke bob\n  stead keys revoke node3\n  stead keys revoke bob bob@old-laptop\n  \
                            stead keys revoke --ca machines"
    )]
    Revoke(revoke::Revoke),
}

/// What commands that change something have in common.
#[derive(Debug, Args)]
struct Changing {
    #[command(flatten)]
    file: ClusterFile,
    #[command(flatten)]
    identities: IdentityFiles,
    /// Don't ask.
    #[arg(long)]
    yes: bool,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> Result<ExitCode> {
    match &arguments.command {
        Command::List(arguments) => list::run(arguments, printer),
        Command::Sheet(arguments) => sheet::run(arguments, printer),
        Command::Add(arguments) => add::run(arguments, printer),
        Command::Reseal(arguments) => reseal::run(arguments, printer),
        Command::Explain(arguments) => explain::run(arguments, printer),
        Command::Test(arguments) => disks::test(arguments, printer),
        Command::Recover(arguments) => disks::recover(arguments, printer),
        Command::Rotate(arguments) => disks::rotate(arguments, printer),
        Command::Revoke(arguments) => revoke::run(arguments, printer),
    }
}
