//! Plans that a command makes beside the cluster file's own: shown, agreed to, carried out, told of.

use std::process::ExitCode;

use clap::Args;
use stead_apply::drive::Applied;
use stead_apply::journal::{EventKind, Journal, RunResult};
use stead_node::protocol::Role;
use stead_plan::inventory::Inventory;
use stead_plan::plan::{Asked, Detail, Plan};
use stead_spec::units::{DiskId, NodeName};

use crate::apply::{How, carry_out};
use crate::cluster::{Access, Cluster, now};
use crate::identities::IdentityFiles;
use crate::plan::{code, show};
use crate::print::Printer;
use crate::run;

/// What such commands have in common.
#[derive(Debug, Args)]
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
            let (result, line, code) = if applied.is_whole() {
                (RunResult::Done, done.to_owned(), ExitCode::SUCCESS)
            } else {
                let line = "not all of it went well: see above".to_owned();
                (RunResult::Incomplete(line.clone()), line, ExitCode::FAILURE)
            };
            journal.write(now(), EventKind::Ended { result })?;
            printer.progress(line);
            Ok(code)
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
