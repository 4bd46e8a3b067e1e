//! `stead init`: looks at PCs, and writes a cluster file to begin with. It changes nothing.

use std::collections::BTreeMap;
use std::process::ExitCode;

use anyhow::{Context, bail};
use camino::Utf8PathBuf;
use clap::Args;
use stead_apply::gather::{self, GatherEvent};
use stead_apply::secrets;
use stead_apply::ssh::Target;
use stead_node::protocol::Role;
use stead_plan::init::{self, Found, FoundNode};
use stead_plan::inventory::{Known, NodeInventory, Questions};
use stead_plan::network::probe::Calls;
use stead_spec::units::{AdminName, ClusterId, NodeName, SshTarget};
use uuid::Uuid;

use crate::cluster::{ReachOptions, now};
use crate::node::public_keys;
use crate::print::Printer;
use crate::probe::probe;
use crate::run;

/// Which PCs, and whose.
#[derive(Debug, Args)]
#[command(after_help = "A PC with a fresh Debian is made ready by `stead node enroll` first.\n\n\
                        Example: stead init root@192.168.0.50 root@192.168.0.51 root@192.168.0.52")]
pub(crate) struct Arguments {
    /// The PCs, three or another odd number: USER@ADDRESS each.
    #[arg(required = true, value_name = "ADDRESS")]
    addresses: Vec<SshTarget>,
    /// Where the file goes.
    #[arg(short = 'f', long = "file", value_name = "FILE", default_value = "stead.toml")]
    path: Utf8PathBuf,
    /// What you are called on the nodes [default: as here]
    #[arg(long, value_name = "NAME")]
    admin: Option<AdminName>,
    /// Your public key; can be given more than once [default: those in ~/.ssh]
    #[arg(long = "admin-key", value_name = "FILE")]
    keys: Vec<Utf8PathBuf>,
    #[command(flatten)]
    reach: ReachOptions,
}

/// The user's own file, which no secret is in.
const FILE_MODE: u32 = 0o644;

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    if arguments.path.try_exists().with_context(|| format!("could not look at {}", arguments.path))? {
        bail!("there is a file {} already: move it away, or name another place with `-f FILE`", arguments.path);
    }
    let keys = public_keys(&arguments.keys)?;
    let admin = match &arguments.admin {
        Some(admin) => admin.clone(),
        None => own_name().context("name the admin with `--admin NAME`")?,
    };
    let nodes = run::to_its_end(look(arguments, printer))?;
    let cluster: ClusterId = Uuid::new_v4().to_string().parse()?;
    let draft = init::draft(&Found { cluster, admin, keys, nodes });
    secrets::replace(&arguments.path, draft.text.as_bytes(), FILE_MODE)?;
    for remark in &draft.remarks {
        printer.progress(format_args!("note: {remark}"));
    }
    printer
        .line(format_args!("wrote {}: read it, change what is not as you want it, then `stead check`", arguments.path));
    Ok(ExitCode::SUCCESS)
}

/// All at once; the nodes go by numbers until they have names.
async fn look(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<Vec<FoundNode>> {
    // In the order of the addresses, also when sorted.
    let name = |at: usize| -> anyhow::Result<NodeName> { Ok(format!("pc{:02}", at + 1).parse()?) };
    let targets = arguments.addresses.iter().enumerate().map(|(at, target)| Ok((name(at)?, target.clone())));
    let targets: BTreeMap<_, _> = targets.collect::<anyhow::Result<_>>()?;
    let all = Questions { blank_test: true, ..Questions::default() };
    let questions = targets.keys().map(|name| (name.clone(), all.clone())).collect();
    let nodes = targets.iter().map(|(name, ssh)| (name.clone(), Target { ssh: ssh.clone(), was: None }));
    let ssh = arguments.reach.ssh(nodes.collect(), None)?;
    let mut on = |node: &NodeName, event: GatherEvent| {
        if let GatherEvent::Progress(what) = event {
            printer.progress(format_args!("{node}  {what}"));
        }
    };
    let (inventory, mut links) = gather::gather(&ssh, &questions, Role::Observe, &now, &mut on).await;
    let silent: Vec<String> = inventory.silent().map(|(node, why)| format!("{}: {why}", targets[node])).collect();
    if !silent.is_empty() {
        bail!("every PC must be looked at, and these could not be:\n{}", silent.join("\n"));
    }
    let seen: Vec<_> = inventory.seen().map(|(_, seen)| seen).collect();
    let names = init::names(&seen);
    printer.progress("looking for the switches: each NIC calls the others");
    let token = Uuid::new_v4().to_string();
    let calls = names.iter().zip(links.values_mut()).map(|(name, link)| probe(name, link, &token, Calls::default()));
    let probed = futures_util::future::join_all(calls).await;
    let nodes = names.into_iter().zip(&arguments.addresses).zip(seen.into_iter().zip(probed));
    let found =
        |((name, ssh), (inventory, probed)): ((NodeName, &SshTarget), (&NodeInventory, Known<init::Probed>))| {
            FoundNode { name, ssh: ssh.clone(), inventory: NodeInventory::clone(inventory), probed }
        };
    Ok(nodes.map(found).collect())
}

fn own_name() -> anyhow::Result<AdminName> {
    let user = std::env::var("USER").context("it can't be told who you are")?;
    user.parse().with_context(|| format!("`{user}` can't be a user's name on the nodes"))
}
