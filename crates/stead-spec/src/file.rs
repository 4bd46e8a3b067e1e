//! The whole file, as it is written.

use crate::backup::table::BackupTable;
use crate::diagnostic::{Code, Diagnostic};
use crate::disks::table::UnlockTable;
use crate::host::table::{AdminTable, ClusterTable, HostTable, NodeTable};
use crate::machines::table::{ImageTable, MachineTable};
use crate::network::table::{NetworkTable, SwitchTable};
use crate::read::{FromToml, Map, Reader, Shape, Value, integer, table};
use crate::router::table::RouterTable;
use crate::telemetry::table::TelemetryTable;
use crate::units::{AdminName, BackupName, ImageName, MachineName, NetworkName, NodeName, SwitchName, VolumeName};
use crate::volumes::table::VolumeTable;

/// The shape of the file that this stead reads and writes.
pub const SCHEMA: i64 = 1;

/// `schema = 1`.
#[derive(Clone, Copy, Debug)]
pub(crate) struct SchemaVersion;

impl FromToml for SchemaVersion {
    fn from_toml(value: &Value<'_>, reader: &mut Reader) -> Option<Self> {
        let version = integer(value, "the version of the file's shape", SCHEMA, reader)?;
        if version == SCHEMA {
            return Some(Self);
        }
        let message = format!("the file has shape {version}, and this stead reads shape {SCHEMA}");
        let (reason, remedy) = if version > SCHEMA {
            ("made for a newer stead", "use the stead that wrote it, or a newer one".to_owned())
        } else {
            ("there is no such shape", format!("write `schema = {SCHEMA}`"))
        };
        reader.report(Diagnostic::new(Code::SchemaVersion, &value.span(), message, reason, remedy));
        None
    }

    fn shape() -> Shape {
        Shape::Whole { what: "the version of the file's shape", least: SCHEMA, most: SCHEMA }
    }
}

table! {
    /// The cluster file: what one cluster is asked to be.
    pub(crate) struct File {
        /// The shape of this file. It is 1.
        need schema: SchemaVersion,
        /// The cluster itself.
        need cluster: ClusterTable,
        /// The people who may do everything, by user name.
        need admin: Map<AdminName, AdminTable>,
        /// What all nodes have in common.
        may host: HostTable,
        /// The switches, by name.
        need switch: Map<SwitchName, SwitchTable>,
        /// The nodes, by hostname.
        need node: Map<NodeName, NodeTable>,
        /// Who must answer before a data disk opens. Default: any one of the other nodes.
        may unlock: UnlockTable,
        /// The networks, by name. One is `core`.
        need network: Map<NetworkName, NetworkTable>,
        /// The volumes, by name.
        may volume: Map<VolumeName, VolumeTable>,
        /// What machines start from, by name.
        may image: Map<ImageName, ImageTable>,
        /// The machines, by hostname.
        may machine: Map<MachineName, MachineTable>,
        /// The router between the networks and the internet. Default: none, something else routes.
        may router: RouterTable,
        /// The backups, by name.
        may backup: Map<BackupName, BackupTable>,
        /// What is measured, and who is told. Default: nothing and nobody.
        may telemetry: TelemetryTable,
    }
}
