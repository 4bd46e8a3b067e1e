//! Plans that a command makes beside the cluster file's own: shown, agreed to, carried out, told of.

use std::process::ExitCode;

use anyhow::Context as _;
use clap::Args;
use stead_apply::drive::Applied;
use stead_apply::journal::{EventKind, Journal, RunResult};
use stead_node::protocol::Role;
use stead_plan::inventory::Inventory;
use stead_plan::plan::{Asked, Detail, Plan};
use stead_spec::edit::{self, Edit};
use stead_spec::units::{DiskId, NodeName};

use crate::apply::{How, carry_out};
use crate::cluster::{Access, Cluster, now};
use crate::difference::show_difference;
use crate::identities::IdentityFiles;
use crate::plan::{code, show};
use crate::print::Printer;
use crate::run;

/// What such commands have in common.
#[derive(Clone, Debug, Args)]
pub(crate) struct Errand {
    #[command(flatten)]
    access: Access,
    #[command(flatten)]
    identities: IdentityFiles,
    /// Don't ask. What destroys something is asked all the same.
    #[arg(long)]
    yes: bool,
}

impl Errand {
    /// As the command line would have it.
    pub(crate) fn new(access: Access, identities: IdentityFiles, yes: bool) -> Self {
        Self { access, identities, yes }
    }

    /// As somebody who has agreed already.
    pub(crate) fn sure(&self) -> Self {
        Self { yes: true, ..self.clone() }
    }

    /// How nodes are reached.
    pub(crate) fn access(&self) -> &Access {
        &self.access
    }

    /// Which cluster file.
    pub(crate) fn file(&self) -> &crate::cluster_file::ClusterFile {
        &self.access.file
    }

    /// Looks at the nodes, at this disk too, and does what is planned then. `done` is said when all of it went well.
    pub(crate) fn run(
        &self,
        disk: Option<(&NodeName, &DiskId)>,
        plan: impl FnOnce(&Asked<'_>, &Inventory) -> Plan,
        done: &str,
        printer: &mut Printer,
    ) -> anyhow::Result<ExitCode> {
        let Some(mut cluster) = Cluster::open(&self.access, printer)? else { return Ok(ExitCode::FAILURE) };
        if let Some((node, disk)) = disk {
            cluster.ask_about(node, disk);
        }
        run::to_its_end(async {
            let (applied, mut journal) = match self.carried_out(&mut cluster, plan, true, printer).await? {
                Ok((_, applied, journal)) => (applied, journal),
                Err(code) => return Ok(code),
            };
            ended(&applied, || Ok(done.to_owned()), &mut journal, printer)
        })
    }

    /// Looks at the nodes, does what is planned then, and looks again: `look` says whether it is so now, or what is wrong.
    pub(crate) fn run_and_look(
        &self,
        plan: impl FnOnce(&Asked<'_>, &Inventory) -> Plan,
        printer: &mut Printer,
        look: impl FnOnce(&Cluster, &Inventory) -> Result<String, String>,
    ) -> anyhow::Result<ExitCode> {
        let Some(mut cluster) = Cluster::open(&self.access, printer)? else { return Ok(ExitCode::FAILURE) };
        run::to_its_end(async {
            let (applied, mut journal) = match self.carried_out(&mut cluster, plan, false, printer).await? {
                Ok((_, applied, journal)) => (applied, journal),
                Err(code) => return Ok(code),
            };
            let looked = cluster.look(Role::Observe, printer).await?;
            ended(&applied, || look(&cluster, &looked.inventory), &mut journal, printer)
        })
    }

    /// Plans with a wish, applies, and looks whether all is as asked.
    pub(crate) fn apply(&self, wishes: &stead_plan::plan::Wishes, printer: &mut Printer) -> anyhow::Result<ExitCode> {
        let Some(mut cluster) = Cluster::open(&self.access, printer)? else { return Ok(ExitCode::FAILURE) };
        let plan = |asked: &Asked<'_>, inventory: &Inventory| stead_plan::plan::plan_with(asked, wishes, inventory);
        run::to_its_end(async {
            let (plan, applied, mut journal) = match self.carried_out(&mut cluster, plan, false, printer).await? {
                Ok(done) => done,
                Err(code) => return Ok(code),
            };
            crate::apply::verify(&cluster, &plan, &applied, None, &mut journal, printer).await
        })
    }

    /// Changes the cluster file, and applies it. Without an agreement, or with something that can't be done, the file is as it
    /// was.
    pub(crate) fn apply_edited(&self, edits: &[Edit], printer: &mut Printer) -> anyhow::Result<ExitCode> {
        let mut before = String::new();
        let change = |bytes: Vec<u8>| {
            before = String::from_utf8(bytes).context("the cluster file is no text")?;
            let text =
                edits.iter().try_fold(before.clone(), |text, edit| edit::apply(&text, edit).map(|done| done.text));
            Ok(text.context("could not change the cluster file")?.into_bytes())
        };
        let Some(mut cluster) = Cluster::open_changed(&self.access, change, printer)? else {
            return Ok(ExitCode::FAILURE);
        };
        let path = cluster.path.to_string();
        show_difference(&before, &cluster.text, &path, &format!("{path}, changed"), printer);
        run::to_its_end(async {
            let looked = cluster.look(Role::Apply, printer).await?;
            let plan = cluster.plan(&looked.inventory);
            show(&plan, Detail::Steps, printer);
            if !plan.refusals.is_empty() {
                printer.progress(format_args!("{} is as it was", cluster.path));
                return Ok(code(&plan));
            }
            // What nodes keep must be in the file, whatever happens then.
            cluster.write_file()?;
            let how = How { yes: self.yes, kept_for_days: false, alone: false, identities: &self.identities };
            let done = carry_out(&mut cluster, &plan, looked.links, &how, printer).await;
            if let Some((applied, mut journal)) = done? {
                crate::apply::verify(&cluster, &plan, &applied, None, &mut journal, printer).await
            } else {
                cluster.text = before;
                cluster.write_file()?;
                Ok(ExitCode::FAILURE)
            }
        })
    }

    /// Looks, plans, shows and does it; the exit status if nothing was done.
    async fn carried_out(
        &self,
        cluster: &mut Cluster,
        plan: impl FnOnce(&Asked<'_>, &Inventory) -> Plan,
        alone: bool,
        printer: &mut Printer,
    ) -> anyhow::Result<Result<(Plan, Applied, Journal), ExitCode>> {
        let looked = cluster.look(Role::Apply, printer).await?;
        let plan = cluster.with_asked(|asked| plan(asked, &looked.inventory));
        show(&plan, Detail::Steps, printer);
        if !plan.refusals.is_empty() || plan.is_empty() {
            return Ok(Err(code(&plan)));
        }
        let how = How { yes: self.yes, kept_for_days: false, alone, identities: &self.identities };
        let done = carry_out(cluster, &plan, looked.links, &how, printer).await?;
        Ok(done.map(|(applied, journal)| (plan, applied, journal)).ok_or(ExitCode::FAILURE))
    }
}

/// Notes how it ended, and says so. Of what went well, `so` says whether it is so now, or what is wrong.
fn ended(
    applied: &Applied,
    so: impl FnOnce() -> Result<String, String>,
    journal: &mut Journal,
    printer: &mut Printer,
) -> anyhow::Result<ExitCode> {
    let so = if applied.is_whole() { so() } else { Err("not all of it went well: see above".to_owned()) };
    let (result, line, code) = match so {
        Ok(line) => (RunResult::Done, line, ExitCode::SUCCESS),
        Err(line) => (RunResult::Incomplete(line.clone()), line, ExitCode::FAILURE),
    };
    journal.write(now(), EventKind::Ended { result })?;
    printer.progress(line);
    Ok(code)
}
