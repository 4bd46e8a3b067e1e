//! `stead apply`: does what the plan says, and looks whether it is so.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::process::ExitCode;

use anyhow::{Context, bail};
use camino::Utf8PathBuf;
use clap::Args;
use stead_apply::drive::{self, Applied, Ended, Event, Order, Verdict};
use stead_apply::journal::{EventKind, Journal, RunResult};
use stead_apply::lock;
use stead_apply::secrets::{self, Ca, Recipients, Sealed, Secret};
use stead_apply::ssh::SshLink;
use stead_node::protocol::{Kept, Role};
use stead_plan::generation::{Ancestor, FORMAT, Generation};
use stead_plan::inventory::Inventory;
use stead_plan::plan::{Detail, Plan, Secrets};
use stead_plan::secret::SecretRef;
use stead_plan::step::{Layer, Outcome};
use stead_spec::units::NodeName;
use stead_spec::words::count;
use tokio::sync::watch;

use crate::ask;
use crate::cluster::{self, Access, Cluster, Looked, now};
use crate::identities::IdentityFiles;
use crate::plan::{code, show};
use crate::print::Printer;
use crate::progress::Progress;
use crate::run;

/// What is applied.
#[derive(Debug, Args)]
#[command(
    after_help = "Codes: 0 done, and seen to be so; 1 something failed; 2 done, but not as asked; 3 a node didn't \
                        answer.\n\nExample: stead apply --only host"
)]
pub(crate) struct Arguments {
    #[command(flatten)]
    access: Access,
    /// A plan that `stead plan --out` kept; it is refused when it has been overtaken.
    #[arg(long, value_name = "FILE", conflicts_with = "only")]
    plan: Option<Utf8PathBuf>,
    /// Don't ask. What destroys something is asked all the same.
    #[arg(long)]
    yes: bool,
    #[command(flatten)]
    identities: IdentityFiles,
    /// This layer only.
    #[arg(long, value_name = "LAYER")]
    only: Option<Layer>,
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Some(mut cluster) = Cluster::open(&arguments.access, printer)? else { return Ok(ExitCode::FAILURE) };
    let saved = arguments.plan.as_deref().map(saved).transpose()?;
    run::to_its_end(async {
        let looked = cluster.look(Role::Apply, printer).await?;
        make_secrets(&mut cluster, &looked.inventory, &arguments.identities, printer)?;
        apply(&mut cluster, arguments, saved, looked, printer).await
    })
}

async fn apply(
    cluster: &mut Cluster,
    arguments: &Arguments,
    saved: Option<Plan>,
    looked: Looked,
    printer: &mut Printer,
) -> anyhow::Result<ExitCode> {
    let Looked { inventory, links } = looked;
    let fresh = cluster.plan(&inventory);
    let mut plan = match saved {
        Some(saved) => same_order(saved, &fresh)?,
        None => fresh,
    };
    if let Some(layer) = arguments.only {
        plan = plan.only(layer);
    }
    show(&plan, Detail::Steps, printer);
    cluster.explain_refusals(&plan, printer).await?;
    if !plan.refusals.is_empty() || plan.is_empty() {
        return Ok(code(&plan));
    }
    let how = How {
        yes: arguments.yes,
        kept_for_days: arguments.plan.is_some(),
        alone: false,
        identities: &arguments.identities,
    };
    let Some((done, mut journal)) = carry_out(cluster, &plan, links, &how, printer).await? else {
        return Ok(ExitCode::FAILURE);
    };
    verify(cluster, &plan, &done, arguments.only, &mut journal, printer).await
}

/// How a plan is carried out.
pub(crate) struct How<'a> {
    /// Nobody is asked, but about what is destroyed.
    pub(crate) yes: bool,
    /// It comes from a file.
    pub(crate) kept_for_days: bool,
    /// Each of its steps is one node's own affair, for which the others needn't be there.
    pub(crate) alone: bool,
    pub(crate) identities: &'a IdentityFiles,
}

/// Asks, and does what a plan says; `None` if somebody doesn't want it.
pub(crate) async fn carry_out(
    cluster: &mut Cluster,
    plan: &Plan,
    links: BTreeMap<NodeName, SshLink>,
    how: &How<'_>,
    printer: &mut Printer,
) -> anyhow::Result<Option<(Applied, Journal)>> {
    if !agreed(plan.clone(), how.yes).await? {
        printer.progress("nothing was done");
        return Ok(None);
    }
    let secrets = opened(cluster, plan, how.identities, printer)?;
    let nodes = if how.alone { 1 } else { cluster.spec.nodes().len() };
    let mut lease = lock::hold(links, nodes).await?;
    // Somebody thought about the plan for a while, or kept it for days.
    if how.kept_for_days || !how.yes {
        not_overtaken(plan, &cluster.look_again(&mut lease.links).await?)?;
    }
    let kept = kept(cluster, plan)?;
    let digest = cluster.digest();
    let ancestors = cluster.sealed.as_ref().map(Sealed::ancestors).unwrap_or_default().to_vec();
    let mut journal = Journal::start(&cluster::runs(&cluster.spec)?, now(), &run::who(), &summary(plan))?;
    let (stopper, stop) = watch::channel(false);
    let order = Order { plan, digest: &digest, ancestors: &ancestors, kept, secrets, stop };
    let mut progress = Progress::new(plan, printer);
    let on = &mut |event: Event| {
        progress.on(&event);
        // The log is for later; what it misses the nodes' journals have.
        let _ = note(&mut journal, plan, &event);
    };
    let applied = tokio::select! {
        applied = drive::perform(cluster.reach(), lease, order, on) => applied,
        left = stop_on_signal(stopper) => return Err(left),
    };
    drop(progress);
    Ok(Some((applied?, journal)))
}

/// A plan from a file.
fn saved(path: &camino::Utf8Path) -> anyhow::Result<Plan> {
    let text = std::fs::read_to_string(path).with_context(|| format!("could not read the plan {path}"))?;
    serde_json::from_str(&text)
        .with_context(|| format!("{path} is no plan of this stead's: make a new one with `stead plan --out {path}`"))
}

/// The saved plan, if it is about this cluster and this cluster file.
fn same_order(saved: Plan, fresh: &Plan) -> anyhow::Result<Plan> {
    if saved.cluster != fresh.cluster {
        bail!("the plan is of another cluster: {}, and this is {}", saved.cluster, fresh.cluster);
    }
    if saved.keep.as_ref().map(|keep| &keep.digest) != fresh.keep.as_ref().map(|keep| &keep.digest) {
        bail!("the cluster file or the sealed secrets have changed since the plan was made: make a new one");
    }
    Ok(Plan { refusals: fresh.refusals.clone(), ..saved })
}

/// Whether what the plan rests on is as it was.
fn not_overtaken(plan: &Plan, inventory: &Inventory) -> anyhow::Result<()> {
    let overtaken = stead_plan::step::overtaken(plan, inventory);
    if overtaken.is_empty() {
        return Ok(());
    }
    let lines = overtaken.iter().map(|(step, fact, now)| format!("\n  {step}: {}, now {now}", fact.was));
    bail!("the plan has been overtaken, and nothing was done: plan again{}", lines.collect::<String>())
}

/// The first apply makes the secrets that the cluster lives by; later ones must have them.
fn make_secrets(
    cluster: &mut Cluster,
    inventory: &Inventory,
    identities: &IdentityFiles,
    printer: &mut Printer,
) -> anyhow::Result<()> {
    let keeps =
        |generation: &stead_plan::inventory::Known<Option<Generation>>| generation.get().is_some_and(Option::is_some);
    let mut sealed = if let Some(sealed) = cluster.sealed.take() {
        sealed
    } else {
        secrets::may_create(inventory.seen().any(|(_, node)| keeps(&node.generation)))?;
        Sealed::new(cluster.spec.cluster().id)
    };
    let path = cluster.secrets_path();
    let wanted = Secrets::of(&cluster.spec);
    let sums = sealed.sums();
    if sealed.ancestors().is_empty() || wanted.names().any(|name| !sums.contains_key(name)) {
        let recipients = Recipients::of(&cluster.spec)?;
        let cas = secrets::ensure_cas(&mut sealed, &cluster.spec.cluster().name, &recipients, now())?;
        let mut made = secrets::ensure_passwords(&mut sealed, &wanted.words, &recipients, now())?;
        made.extend(secrets::ensure_keys(&mut sealed, &wanted.keys, &recipients, now())?);
        made.extend(secrets::ensure_disk_keys(&mut sealed, &wanted.disk_keys, &recipients, now())?);
        if !cas.is_empty() || !made.is_empty() {
            sealed.save(&path)?;
        }
        if !cas.is_empty() {
            printer.progress(format_args!("made {path}: keep it in git, beside the cluster file"));
        } else if !made.is_empty() {
            let made: Vec<_> = made.iter().map(ToString::to_string).collect();
            printer.progress(format_args!("made {} in {path}", made.join(", ")));
        }
    }
    let wanted = stead_plan::plan::certificates(&cluster.spec);
    let leaves = secrets::missing_leaves(&sealed, &wanted, now())?;
    if !leaves.is_empty() {
        let (recipients, identities) = (Recipients::of(&cluster.spec)?, identities.load(printer)?);
        for (purpose, names) in &leaves {
            let ca = Ca::open(&sealed, *purpose, &identities)?;
            for name in names {
                secrets::put_leaf(&mut sealed, &ca, name, &cluster.spec, &recipients, now())?;
            }
        }
        sealed.save(&path)?;
        let names: Vec<_> = leaves.values().flatten().map(ToString::to_string).collect();
        printer.progress(format_args!("made {} in {path}", names.join(", ")));
    }
    cluster.sealed = Some(sealed);
    Ok(())
}

/// The secrets that the plan's steps write. A key's passphrase is asked for only if there are some.
fn opened(
    cluster: &Cluster,
    plan: &Plan,
    identities: &IdentityFiles,
    printer: &mut Printer,
) -> anyhow::Result<BTreeMap<String, Secret>> {
    let (wanted, Some(sealed)) = (plan.secrets(), &cluster.sealed) else { return Ok(BTreeMap::new()) };
    if wanted.is_empty() {
        return Ok(BTreeMap::new());
    }
    let identities = identities.load(printer)?;
    let open = |wanted: &SecretRef| Ok((wanted.name.clone(), sealed.open(&wanted.name.parse()?, &identities)?));
    wanted.into_iter().map(open).collect()
}

/// Whether the person wants it, each thing that is destroyed by its name.
///
/// On a thread of its own: the nodes hear meanwhile that somebody is there.
async fn agreed(plan: Plan, yes: bool) -> anyhow::Result<bool> {
    let asking = move || {
        for destruction in plan.steps.iter().flat_map(|step| &step.destroys) {
            let question = format!("this destroys {}; to have it done, type `{}`", destruction.what, destruction.typed);
            if ask::text(&question)? != destruction.typed {
                return Ok(false);
            }
        }
        if yes { Ok(true) } else { ask::yes("apply this?") }
    };
    tokio::task::spawn_blocking(asking).await?
}

/// What the nodes are to keep, remembered here first: should this computer die between, the next one finds it there.
fn kept(cluster: &mut Cluster, plan: &Plan) -> anyhow::Result<Option<Kept>> {
    let Some(keep) = &plan.keep else { return Ok(None) };
    let path = cluster.secrets_path();
    let Some(sealed) = &mut cluster.sealed else { return Ok(None) };
    sealed.derive_from(Ancestor { number: keep.number, digest: keep.digest.clone() });
    sealed.save(&path)?;
    let generation = Generation {
        number: keep.number,
        digest: keep.digest.clone(),
        at: now(),
        by: run::who(),
        stead: env!("CARGO_PKG_VERSION").to_owned(),
        format: FORMAT,
    };
    Ok(Some(Kept { generation, file: cluster.text.clone(), secrets: sealed.text() }))
}

/// What there is to do, in a few words.
fn summary(plan: &Plan) -> String {
    let nodes: std::collections::BTreeSet<_> = plan.steps.iter().map(|step| &step.id.node).collect();
    let keep = plan.keep.as_ref().map(|keep| format!("generation {} and ", keep.number)).unwrap_or_default();
    format!("{keep}{} on {}", count(plan.steps.len(), "step"), count(nodes.len(), "node"))
}

/// Writes an event down.
fn note(journal: &mut Journal, plan: &Plan, event: &Event) -> std::io::Result<()> {
    let kind = match event {
        Event::Held(_) | Event::Kept(_, Ok(())) | Event::Progress(..) | Event::Recorded(..) => return Ok(()),
        Event::Kept(node, Err(why)) => EventKind::NodeLost { node: node.clone(), why: why.clone() },
        Event::Started(id) => {
            let title = plan.steps.iter().find(|step| step.id == *id).map(|step| step.title.clone());
            EventKind::StepStarted { id: id.clone(), title: title.unwrap_or_default() }
        }
        Event::Ended(id, Ended::Outcome(outcome)) => EventKind::StepEnded { id: id.clone(), outcome: outcome.clone() },
        Event::Ended(id, Ended::NotReached { because }) => {
            EventKind::StepEnded { id: id.clone(), outcome: Outcome::Waiting(because.to_string()) }
        }
        Event::Ended(id, Ended::Lost(why)) => EventKind::NodeLost { node: id.node.clone(), why: why.clone() },
    };
    journal.write(now(), kind)
}

/// Ctrl-C ends the apply after the steps that run; a second one leaves those to their nodes, which end them.
async fn stop_on_signal(stopper: watch::Sender<bool>) -> anyhow::Error {
    let twice = async {
        tokio::signal::ctrl_c().await?;
        // Nobody listens once all steps have ended.
        let _ = stopper.send(true);
        tokio::signal::ctrl_c().await
    };
    match twice.await {
        Ok(()) => anyhow::anyhow!("left: the nodes end what they are doing, and the next apply finishes the job"),
        Err(error) => anyhow::Error::from(error).context("could not listen for Ctrl-C"),
    }
}

/// Looks again, and says whether all is as asked.
pub(crate) async fn verify(
    cluster: &Cluster,
    plan: &Plan,
    applied: &Applied,
    only: Option<Layer>,
    journal: &mut Journal,
    printer: &mut Printer,
) -> anyhow::Result<ExitCode> {
    let looked = cluster.look(Role::Observe, printer).await?;
    let mut after = cluster.plan(&looked.inventory);
    if let Some(layer) = only {
        after = after.only(layer);
    }
    let (result, line, code) = match drive::verify(applied, &after) {
        Verdict::Verified => (RunResult::Done, "applied, and all is as asked".to_owned(), 0),
        Verdict::CantTell(unknown) => {
            let nodes: Vec<_> = unknown.iter().map(|unknown| unknown.node.as_str()).collect();
            let nodes = nodes.join(", ");
            let line = if applied.is_whole() {
                format!("applied; whether all is as asked, {nodes} can't tell")
            } else {
                format!("not all of the {} could be done, and {nodes} can't tell: apply again", summary(plan))
            };
            (RunResult::Incomplete(line.clone()), line, 3)
        }
        Verdict::NotAsAsked(remains) => {
            show(&after, Detail::Steps, printer);
            let mut line = if applied.is_whole() {
                "applied, but not as asked: what is above differs still".to_owned()
            } else {
                format!("not all of the {} could be done: apply again", summary(plan))
            };
            for step in &remains.untrue {
                let _ = write!(line, "\n  {step} was done, and is needed all the same");
            }
            let code = if applied.is_whole() { 2 } else { 1 };
            (RunResult::Incomplete(line.lines().next().unwrap_or_default().to_owned()), line, code)
        }
    };
    journal.write(now(), EventKind::Ended { result })?;
    printer.progress(line);
    Ok(ExitCode::from(code))
}
