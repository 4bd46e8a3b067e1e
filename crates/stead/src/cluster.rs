//! A cluster as a command has it: its file and what that asks, its sealed secrets, and the way to its nodes.

use std::collections::BTreeMap;
use std::fs;
use std::time::SystemTime;

use anyhow::Context;
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use stead_apply::gather::{self, GatherEvent};
use stead_apply::generation;
use stead_apply::reach::Reach as _;
use stead_apply::secrets::{self, Sealed};
use stead_apply::ssh::{AgentBinaries, Ssh, SshConfig, SshLink, Target};
use stead_node::protocol::{Kept, Recording, Role};
use stead_plan::inventory::{Inventory, Questions, Timestamp};
use stead_plan::plan::{Asked, Plan};
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::{DiskId, NodeName, Sha256};

use crate::cluster_file::{self, ClusterFile};
use crate::print::Printer;
use crate::run;

/// Which cluster, and how it is reached.
#[derive(Clone, Debug, Args)]
pub(crate) struct Access {
    #[command(flatten)]
    pub(crate) file: ClusterFile,
    #[command(flatten)]
    pub(crate) reach: ReachOptions,
}

/// How nodes are reached.
#[derive(Clone, Debug, Args)]
pub(crate) struct ReachOptions {
    /// A configuration of ssh's, instead of your own.
    #[arg(long, value_name = "FILE", env = "STEAD_SSH_CONFIG")]
    ssh_config: Option<Utf8PathBuf>,
    /// Keep what the nodes' tools said in this folder, to be sent along with a report of a mistake.
    #[arg(long, value_name = "DIR")]
    record: Option<Utf8PathBuf>,
}

/// A cluster whose file is good.
pub(crate) struct Cluster {
    pub(crate) path: Utf8PathBuf,
    pub(crate) text: String,
    pub(crate) spec: Spec,
    pub(crate) sealed: Option<Sealed>,
    ssh: Ssh,
    questions: BTreeMap<NodeName, Questions>,
    record: Option<Utf8PathBuf>,
}

/// What was seen of a cluster, and the connections over which it was seen.
pub(crate) struct Looked {
    pub(crate) inventory: Inventory,
    pub(crate) links: BTreeMap<NodeName, SshLink>,
}

impl Cluster {
    /// Reads all that is on this computer; `None` when the cluster file is bad, which it has shown then.
    ///
    /// # Errors
    /// Something can't be read.
    pub(crate) fn open(access: &Access, printer: &mut Printer) -> anyhow::Result<Option<Self>> {
        Self::open_changed(access, Ok, printer)
    }

    /// As [`open`](Self::open), with this change made to the cluster file's text: the file is as it was.
    ///
    /// # Errors
    /// Something can't be read, or the change can't be made.
    pub(crate) fn open_changed(
        access: &Access,
        change: impl FnOnce(Vec<u8>) -> anyhow::Result<Vec<u8>>,
        printer: &mut Printer,
    ) -> anyhow::Result<Option<Self>> {
        let path = access.file.path()?.to_owned();
        let bytes = change(access.file.bytes()?)?;
        let (spec, text) = match stead_spec::parse(path.as_str(), &bytes) {
            // What can be parsed is UTF-8.
            Ok((spec, _warnings)) => (spec, String::from_utf8(bytes)?),
            Err(report) => {
                cluster_file::show(&report, printer);
                let count = report.errors();
                printer.progress(format_args!("{}: nothing was done, for it has mistakes ({count})", report.name()));
                return Ok(None);
            }
        };
        let sealed = Sealed::load(&secrets_beside(&path), &spec.cluster().id)?;
        let target = |node: &Node| Target { ssh: node.ssh.clone(), was: node.was.clone() };
        let nodes = spec.trusted_nodes().map(|node| (node.name.clone(), target(node))).collect();
        let ssh = access.reach.ssh(nodes, Some(&spec))?;
        let questions = spec.trusted_nodes().map(|node| &node.name);
        let questions = questions.map(|node| (node.clone(), stead_plan::plan::questions(&spec, node))).collect();
        let record = access.reach.record.clone();
        Ok(Some(Self { path, text, spec, sealed, ssh, questions, record }))
    }

    /// Writes the cluster file as it is here.
    ///
    /// # Errors
    /// It can't be written; then it is as it was.
    pub(crate) fn write_file(&self) -> anyhow::Result<()> {
        Ok(secrets::replace(&self.path, self.text.as_bytes(), 0o644)?)
    }

    /// Where the sealed secrets are.
    pub(crate) fn secrets_path(&self) -> Utf8PathBuf {
        secrets_beside(&self.path)
    }

    /// Of the cluster file and the sealed secrets.
    pub(crate) fn digest(&self) -> Sha256 {
        generation::digest(&self.text, &self.sealed.as_ref().map(Sealed::records_text).unwrap_or_default())
    }

    /// Looks at all nodes at once.
    pub(crate) async fn look(&self, role: Role, printer: &mut Printer) -> anyhow::Result<Looked> {
        let mut recorder = Recorder::new(self.record.as_deref());
        let mut on = |node: &NodeName, event: GatherEvent| match event {
            GatherEvent::Progress(what) => printer.progress(format_args!("{node}  {what}")),
            GatherEvent::Recorded(recording) => recorder.keep(node, &recording),
            GatherEvent::Linked | GatherEvent::Seen | GatherEvent::Lost(_) => {}
        };
        let (inventory, links) = gather::gather(&self.ssh, &self.questions, role, &now, &mut on).await;
        recorder.result()?;
        Ok(Looked { inventory, links })
    }

    /// Looks again at the nodes that are connected.
    pub(crate) async fn look_again(&self, links: &mut BTreeMap<NodeName, SshLink>) -> anyhow::Result<Inventory> {
        let mut recorder = Recorder::new(self.record.as_deref());
        let mut on = |node: &NodeName, event: GatherEvent| {
            if let GatherEvent::Recorded(recording) = event {
                recorder.keep(node, &recording);
            }
        };
        let patience = self.spec.host().patience.get();
        let inventory = gather::look_again(links, &self.questions, patience, &now, &mut on).await;
        recorder.result()?;
        Ok(inventory)
    }

    /// The way to its nodes.
    pub(crate) fn reach(&self) -> &Ssh {
        &self.ssh
    }

    /// Looks again, also at nodes that had no connection: they may be back.
    pub(crate) async fn keep_looking(&self, looked: &mut Looked, role: Role) -> anyhow::Result<()> {
        let missing = self.questions.iter().filter(|(node, _)| !looked.links.contains_key(*node));
        let missing: BTreeMap<_, _> = missing.map(|(node, questions)| (node.clone(), questions.clone())).collect();
        let mut recorder = Recorder::new(self.record.as_deref());
        let mut on = |node: &NodeName, event: GatherEvent| {
            if let GatherEvent::Recorded(recording) = event {
                recorder.keep(node, &recording);
            }
        };
        let again = self.look_again(&mut looked.links);
        let anew = gather::gather(&self.ssh, &missing, role, &now, &mut on);
        let (inventory, (found, links)) = tokio::join!(again, anew);
        recorder.result()?;
        looked.inventory = inventory?;
        looked.inventory.nodes.extend(found.nodes);
        looked.links.extend(links);
        Ok(())
    }

    /// What a node keeps, if it can be asked.
    pub(crate) async fn fetch(&self, node: &NodeName) -> Option<Kept> {
        let mut link = self.ssh.link(node, Role::Observe).await.ok()?;
        generation::fetch(&mut link).await.ok()?
    }

    /// What is to be done about what was seen.
    pub(crate) fn plan(&self, inventory: &Inventory) -> Plan {
        self.with_asked(|asked| stead_plan::plan::plan(asked, inventory))
    }

    /// Makes something of what is asked.
    pub(crate) fn with_asked<T>(&self, make: impl FnOnce(&Asked<'_>) -> T) -> T {
        let ancestors = self.sealed.as_ref().map(Sealed::ancestors).unwrap_or_default();
        let sums = self.sealed.as_ref().map(Sealed::sums).unwrap_or_default();
        let trusted = self.sealed.as_ref().map(secrets::all_trusted).unwrap_or_default();
        make(&Asked { spec: &self.spec, digest: &self.digest(), ancestors, sums: &sums, trusted: &trusted })
    }

    /// Looks at a disk of a node too that the file doesn't name.
    pub(crate) fn ask_about(&mut self, node: &NodeName, disk: &DiskId) {
        if let Some(questions) = self.questions.get_mut(node) {
            questions.data_disks.insert(disk.clone());
            questions.blank_test = true;
        }
    }
}

impl ReachOptions {
    /// The way to these nodes; `None`: they are nobody's yet.
    pub(crate) fn ssh(&self, nodes: BTreeMap<NodeName, Target>, spec: Option<&Spec>) -> anyhow::Result<Ssh> {
        let folder = std::env::var_os("STEAD_AGENTS").map(|folder| folder.to_string_lossy().into_owned());
        let agents = AgentBinaries::find(folder.as_deref().map(Utf8Path::new));
        Ok(Ssh::new(SshConfig {
            nodes,
            cluster: spec.map(|spec| spec.cluster().id),
            who: run::who(),
            patience: spec.map_or(1, |spec| spec.host().patience.get()),
            record: self.record.is_some(),
            config_file: self.ssh_config.clone(),
            agents: agents.context("could not read the program that is to be copied to the nodes")?,
            program: None,
        }))
    }
}

/// `stead.toml` has its secrets in `stead.secrets`.
fn secrets_beside(path: &Utf8Path) -> Utf8PathBuf {
    path.with_extension("secrets")
}

/// Where the runs of a cluster are written down on this computer.
pub(crate) fn runs(spec: &Spec) -> anyhow::Result<Utf8PathBuf> {
    Ok(state_folder()?.join(spec.cluster().id.to_string()).join("runs"))
}

/// This computer's clock.
pub(crate) fn now() -> Timestamp {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}

fn state_folder() -> anyhow::Result<Utf8PathBuf> {
    let of = |name| std::env::var(name).ok().filter(|folder| !folder.is_empty()).map(Utf8PathBuf::from);
    let folder = of("XDG_STATE_HOME").or_else(|| Some(of("HOME")?.join(".local/state")));
    Ok(folder.context("there is no HOME, so there is no place for the log of runs")?.join("stead"))
}

/// Keeps what tools said, a file each, in the order in which it came.
struct Recorder<'a> {
    folder: Option<&'a Utf8Path>,
    counts: BTreeMap<NodeName, usize>,
    result: anyhow::Result<()>,
}

impl<'a> Recorder<'a> {
    fn new(folder: Option<&'a Utf8Path>) -> Self {
        Self { folder, counts: BTreeMap::new(), result: Ok(()) }
    }

    fn keep(&mut self, node: &NodeName, recording: &Recording) {
        let Some(folder) = self.folder else { return };
        let count = self.counts.entry(node.clone()).or_default();
        *count += 1;
        let words: Vec<&str> = recording.command.split_whitespace().take(2).collect();
        let plain: String = words.join("-").chars().filter(|c| c.is_ascii_alphanumeric() || *c == '-').collect();
        let path = folder.join(node.as_str()).join(format!("{count:03}-{plain}.json"));
        let written = serde_json::to_vec_pretty(recording).map_err(anyhow::Error::from).and_then(|text| {
            fs::create_dir_all(folder.join(node.as_str()))?;
            Ok(fs::write(&path, text)?)
        });
        if let Err(error) = written {
            self.result = Err(error.context(format!("could not write what was recorded to {path}")));
        }
    }

    fn result(self) -> anyhow::Result<()> {
        self.result
    }
}
