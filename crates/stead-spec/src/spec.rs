//! The cluster file, parsed: what planners read.

use std::collections::BTreeMap;

use toml::de::DeTable;

use crate::backup::{self, Backup};
use crate::check::Findings;
use crate::diagnostic::{Code, Diagnostic, Report};
use crate::disks::{self, Lock, Unlock};
use crate::file::File;
use crate::host::{self, Admin, Cluster, Host, Node};
use crate::machines::{self, Image, Machine};
use crate::network::{self, Core, Network, Switch};
use crate::read::{FromToml, Reader, Value};
use crate::router::{self, Router};
use crate::source;
use crate::telemetry::{self, Telemetry};
use crate::units::{AdminName, BackupName, ImageName, MachineName, NetworkName, NodeName, SwitchName, VolumeName};
use crate::volumes::{self, Volume};

/// What a cluster is asked to be. It fits together: every name leads to something, every address is one thing's and in
/// its network, and what is said to be never empty isn't. Only [`parse`] makes one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Spec {
    cluster: Cluster,
    admins: BTreeMap<AdminName, Admin>,
    host: Host,
    switches: BTreeMap<SwitchName, Switch>,
    nodes: BTreeMap<NodeName, Node>,
    core: Core,
    networks: BTreeMap<NetworkName, Network>,
    unlock: Unlock,
    volumes: BTreeMap<VolumeName, Volume>,
    images: BTreeMap<ImageName, Image>,
    machines: BTreeMap<MachineName, Machine>,
    router: Option<Router>,
    backups: BTreeMap<BackupName, Backup>,
    telemetry: Option<Telemetry>,
}

/// Reads a cluster file; `name` is what reports call it. The report of a good file has warnings at most.
///
/// # Errors
/// Everything that is wrong with it.
pub fn parse(name: &str, bytes: &[u8]) -> Result<(Spec, Report), Report> {
    let text = match source::text(bytes) {
        Ok(text) => text,
        Err(none) => return Err(Report::new(name, &none.shown, vec![*none.diagnostic])),
    };
    let (document, mut findings) = source::document(text);
    if !findings.is_empty() {
        return Err(Report::new(name, text, findings));
    }
    let mut reader = Reader::default();
    let spec = read(document, &mut reader, &mut findings);
    let mut diagnostics = reader.into_diagnostics();
    diagnostics.append(&mut findings);
    // The rest of a file of another shape means something else than it says here.
    if diagnostics.iter().any(|diagnostic| diagnostic.code == Code::SchemaVersion) {
        diagnostics.retain(|diagnostic| diagnostic.code == Code::SchemaVersion);
    }
    let report = Report::new(name, text, diagnostics);
    match spec {
        Some(spec) if report.errors() == 0 => Ok((spec, report)),
        None if report.errors() == 0 => Err(Report::new(name, text, vec![no_reason()])),
        _ => Err(report),
    }
}

fn read(document: toml::Spanned<DeTable<'_>>, reader: &mut Reader, findings: &mut Findings) -> Option<Spec> {
    let value = Value::new(0..0, toml::de::DeValue::Table(document.into_inner()));
    let file = File::from_toml(&value, reader)?;
    host::check(&file, findings);
    host::names(&file, findings);
    network::check(&file, findings);
    network::addresses(&file, findings);
    disks::check(&file, findings);
    volumes::check(&file, findings);
    machines::check(&file, findings);
    router::check(&file, findings);
    backup::check(&file, findings);
    telemetry::check(&file, findings);
    build(&file)
}

fn build(file: &File) -> Option<Spec> {
    let cluster = host::build_cluster(file)?;
    let switches = network::build_switches(file)?;
    let core = network::build_core(file, &switches)?;
    let nodes = host::build_nodes(file, &core)?;
    let host = host::build_host(file, &nodes)?;
    Some(Spec {
        admins: host::build_admins(file)?,
        networks: network::build_networks(file)?,
        unlock: disks::build(file)?,
        volumes: volumes::build(file)?,
        images: machines::build_images(file)?,
        machines: machines::build(file)?,
        router: router::build(file)?,
        backups: backup::build(file)?,
        telemetry: telemetry::build(file, &cluster, &host, &nodes)?,
        cluster,
        host,
        switches,
        nodes,
        core,
    })
}

/// A file that can't be made a spec, and no mistake to tell of: that is stead's own.
fn no_reason() -> Diagnostic {
    let remedy = "this is a mistake of stead's: please report it, with this file";
    Diagnostic::new(Code::Internal, &(0..0), "this file can't be read, and stead can't say why", "somewhere", remedy)
}

impl Spec {
    /// The cluster itself.
    pub fn cluster(&self) -> &Cluster {
        &self.cluster
    }

    /// The people who may do everything. Never empty.
    pub fn admins(&self) -> &BTreeMap<AdminName, Admin> {
        &self.admins
    }

    /// What all nodes have in common.
    pub fn host(&self) -> &Host {
        &self.host
    }

    /// The switches.
    pub fn switches(&self) -> &BTreeMap<SwitchName, Switch> {
        &self.switches
    }

    /// The nodes: an odd number, three at least.
    pub fn nodes(&self) -> &BTreeMap<NodeName, Node> {
        &self.nodes
    }

    /// The nodes' own network.
    pub fn core(&self) -> &Core {
        &self.core
    }

    /// The networks but the core.
    pub fn networks(&self) -> &BTreeMap<NetworkName, Network> {
        &self.networks
    }

    /// Who must answer before a data disk opens. No node answers for its own disks alone.
    pub fn unlock(&self) -> &Unlock {
        &self.unlock
    }

    /// The nodes that are in nobody else's hands.
    pub fn trusted_nodes(&self) -> impl Iterator<Item = &Node> {
        self.nodes.values().filter(|node| !node.revoked)
    }

    /// What opens the disks of one node.
    pub fn lock(&self, node: &NodeName) -> Lock {
        self.unlock.for_node(node, &self.trusted_nodes().map(|node| &node.name).collect::<Vec<_>>())
    }

    /// The volumes.
    pub fn volumes(&self) -> &BTreeMap<VolumeName, Volume> {
        &self.volumes
    }

    /// What machines start from.
    pub fn images(&self) -> &BTreeMap<ImageName, Image> {
        &self.images
    }

    /// The machines.
    pub fn machines(&self) -> &BTreeMap<MachineName, Machine> {
        &self.machines
    }

    /// The router, if it is the cluster's.
    pub fn router(&self) -> Option<&Router> {
        self.router.as_ref()
    }

    /// The backups.
    pub fn backups(&self) -> &BTreeMap<BackupName, Backup> {
        &self.backups
    }

    /// What is measured, if anything is.
    pub fn telemetry(&self) -> Option<&Telemetry> {
        self.telemetry.as_ref()
    }
}
