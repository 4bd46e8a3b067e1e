//! `stead status`: the cluster at one look.

use std::process::ExitCode;
use std::time::Duration;

use clap::Args;
use stead_apply::secrets::{self, Sealed, SecretsError};
use stead_node::protocol::Role;
use stead_plan::status::{Backlog, Finding, Severity, Status, status};
use stead_spec::Spec;

use crate::cluster::{Access, Cluster};
use crate::print::Printer;
use crate::run;

/// What is looked at, and how it is told.
#[derive(Debug, Args)]
#[command(after_help = "Codes: 0 well; 1 it can't be told; 2 something is wrong; 3 a node didn't answer.\n\n\
                  Example: stead status --watch")]
pub(crate) struct Arguments {
    #[command(flatten)]
    access: Access,
    /// Everything as JSON, for programs; with `--watch`, a line each time.
    #[arg(long)]
    json: bool,
    /// Look again every 10 seconds, until Ctrl-C.
    #[arg(long)]
    watch: bool,
}

/// Something is wrong.
const DEGRADED: u8 = 2;

/// Somebody didn't answer.
const UNKNOWN: u8 = 3;

/// How long until the next look: a look takes the nodes a second or two.
const PAUSE: Duration = Duration::from_secs(10);

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Some(cluster) = Cluster::open(&arguments.access, printer)? else { return Ok(ExitCode::FAILURE) };
    let mut code = ExitCode::FAILURE;
    run::to_its_end(async {
        if !arguments.watch {
            return watch(&cluster, arguments, printer, &mut code).await;
        }
        tokio::select! {
            ended = watch(&cluster, arguments, printer, &mut code) => ended,
            stopped = tokio::signal::ctrl_c() => Ok(stopped?),
        }
    })?;
    Ok(code)
}

/// Looks once, or until somebody stops it; `code` is that of the last look.
async fn watch(
    cluster: &Cluster,
    arguments: &Arguments,
    printer: &mut Printer,
    code: &mut ExitCode,
) -> anyhow::Result<()> {
    let mut looked = cluster.look(Role::Observe, printer).await?;
    let mut backlog = Backlog::default();
    loop {
        let mut status = status(&cluster.spec, &looked.inventory);
        backlog.tell(&mut status);
        certificates(&cluster.spec, cluster.sealed.as_ref(), &mut status)?;
        *code = self::code(&status);
        show(&status, arguments, printer)?;
        if !arguments.watch {
            return Ok(());
        }
        tokio::time::sleep(PAUSE).await;
        cluster.keep_looking(&mut looked, Role::Observe).await?;
    }
}

/// Certificates that end soon: nodes stop talking to each other when they do.
fn certificates(spec: &Spec, sealed: Option<&Sealed>, status: &mut Status) -> Result<(), SecretsError> {
    let Some(sealed) = sealed else { return Ok(()) };
    for (name, until) in secrets::ending_leaves(sealed, &stead_plan::plan::certificates(spec), status.observed_at)? {
        let what = format!("the certificate {name} ends on {}", secrets::date(until));
        let next = "`stead apply` makes a new one".to_owned();
        status.add(Finding { severity: Severity::Warn, node: None, what, next });
    }
    Ok(())
}

fn show(status: &Status, arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<()> {
    match (arguments.json, arguments.watch) {
        (true, false) => printer.line(serde_json::to_string_pretty(status)?),
        (true, true) => printer.line(serde_json::to_string(status)?),
        (false, watch) => {
            let text = status.render(&|tone, text| printer.paint(tone, text));
            if watch {
                let seconds = PAUSE.as_secs();
                let text = format!("{text}\n{}, and every {seconds} s again; Ctrl-C ends\n", status.observed_at);
                if printer.is_terminal() { printer.screen(text) } else { printer.line(text) }
            } else {
                printer.line(text.trim_end());
            }
        }
    }
    Ok(())
}

/// What a status means as an exit status.
fn code(status: &Status) -> ExitCode {
    if status.is_blind() {
        ExitCode::from(UNKNOWN)
    } else if status.is_well() {
        ExitCode::SUCCESS
    } else {
        ExitCode::from(DEGRADED)
    }
}
