//! `stead adopt`: the cluster file and the sealed secrets, back from a node.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, bail};
use camino::Utf8PathBuf;
use clap::Args;
use stead_apply::{generation, secrets};
use stead_node::protocol::Role;
use stead_spec::units::SshTarget;

use crate::cluster::ReachOptions;
use crate::print::Printer;
use crate::run;

/// From where, and where to.
#[derive(Debug, Args)]
#[command(after_help = "Any node will do. What is there already is never overwritten.\n\n\
                        Example: stead adopt root@192.168.0.51")]
pub(crate) struct Arguments {
    /// A node: USER@ADDRESS, or what your ssh configuration calls it.
    address: SshTarget,
    /// Where the cluster file goes; the sealed secrets go beside it.
    #[arg(short = 'f', long = "file", value_name = "FILE", default_value = "stead.toml")]
    path: Utf8PathBuf,
    #[command(flatten)]
    reach: ReachOptions,
}

/// As a file of one's own is made.
const FILE_MODE: u32 = 0o644;

/// The secrets are sealed; who could open them is nobody's business all the same.
const SECRETS_MODE: u32 = 0o600;

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let sealed = arguments.path.with_extension("secrets");
    for path in [&arguments.path, &sealed] {
        if path.try_exists().with_context(|| format!("could not look at {path}"))? {
            bail!("there is a file {path} already: move it away, or name another place with `-f FILE`");
        }
    }
    let ssh = arguments.reach.ssh(BTreeMap::new(), None)?;
    let kept = run::to_its_end(async {
        let mut link = ssh.link_to(&arguments.address, Role::Observe).await?;
        Ok(generation::fetch(&mut link).await?)
    })?;
    let Some(kept) = kept else {
        bail!("{} keeps no cluster file: nothing was applied to it yet", arguments.address);
    };
    secrets::replace(&sealed, kept.secrets.as_bytes(), SECRETS_MODE)?;
    secrets::replace(&arguments.path, kept.file.as_bytes(), FILE_MODE)?;
    let generation = &kept.generation;
    printer.line(format_args!(
        "{} and {sealed}: generation {}, applied by {} on {}",
        arguments.path, generation.number, generation.by, generation.at
    ));
    Ok(ExitCode::SUCCESS)
}
