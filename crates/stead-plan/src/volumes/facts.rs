//! What a node's storage daemon tells (`gluster --xml pool list`, `gluster --xml volume info`), and what lies in bricks.

use std::collections::{BTreeMap, BTreeSet};

use camino::{Utf8Path, Utf8PathBuf};
use serde::{Deserialize, Serialize};
use stead_spec::Bytes;

use crate::inventory::{Known, sha256};

/// What a node tells of volumes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Storage {
    /// What its daemon knows.
    pub daemon: Known<Daemon>,
    /// What its daemon has written down for its next start.
    #[serde(default)]
    pub written: Written,
    /// The bricks that were asked for, by their folders. `None`: it isn't there.
    pub bricks: BTreeMap<Utf8PathBuf, Known<Option<Brick>>>,
}

/// What a daemon has written down (`/var/lib/glusterd/glusterd.info`, `…/peers`). One that knows volumes and not all nodes of
/// their bricks doesn't start ("Failed to resolve brick").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Written {
    /// Its own UUID in the pool.
    pub id: Option<String>,
    /// The number of the newest protocol that the pool speaks.
    #[serde(default)]
    pub version: Option<String>,
    /// Those of the other nodes, by the names that it knows them by, as far as files are whole.
    pub peers: BTreeMap<String, String>,
}

/// A node's storage daemon.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Daemon {
    /// It knows of no other node and of no volume, and doesn't run or isn't there.
    New,
    /// It doesn't run, and would know of some.
    Stopped,
    /// It runs.
    Runs(Knows),
}

/// What a daemon knows that runs. All daemons of a pool know the same.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Knows {
    /// The other nodes of its pool, by the names that it knows them by.
    pub peers: BTreeMap<String, Peer>,
    /// Volumes, by name.
    pub volumes: BTreeMap<String, Replicated>,
}

/// Another node of a pool.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Peer {
    /// Its UUID in the pool.
    pub id: String,
    /// How the daemon stands with it.
    pub standing: Standing,
}

/// How a daemon stands with another one of its pool.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub enum Standing {
    /// They are connected.
    Connected,
    /// The other one isn't there.
    Away,
    /// What they know of volumes differs, so one of them takes nothing from the other.
    Rejected,
    /// They have begun to know each other, and haven't agreed yet; after a cut they never do.
    Joining,
}

/// A volume whose files lie on several nodes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Replicated {
    /// Its UUID.
    pub id: String,
    /// Whether it is started.
    pub started: bool,
    /// How many bricks a set has, arbiters among them.
    pub replicas: u32,
    /// How many of a set's bricks keep names only.
    pub arbiters: u32,
    /// Its bricks, `node1.core:/srv/bricks/stead_1a2b3c4d5e6f/brick`, set by set.
    pub bricks: Vec<String>,
    /// The options that were set.
    pub options: BTreeMap<String, String>,
}

/// gluster's number for a volume's own folder.
pub const ROOT: &str = "00000000-0000-0000-0000-000000000001";

/// The engine's own folder in a brick.
pub const INTERNAL: &str = ".glusterfs";

/// A brick's folder.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Brick {
    /// The folders in it whose names don't begin with a dot.
    pub folders: BTreeSet<String>,
    /// Whether there is nothing at all in it.
    pub empty: bool,
    /// The UUID of the volume that it bears the sign of.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub volume: Option<String>,
    /// Whether there is nothing in it but what the engine makes by itself; so is an empty one.
    #[serde(default)]
    pub bare: bool,
    /// Whether a process serves it.
    pub served: bool,
    /// How many files changed while another copy of them wasn't there.
    pub pending: usize,
    /// Of some of these, by their IDs: which copies are behind according to this one, as numbers of bricks of the volume,
    /// from 0.
    pub accuses: BTreeMap<String, BTreeSet<usize>>,
    /// What its file system takes.
    pub size: Bytes,
    /// What of that is free.
    pub free: Bytes,
}

impl Default for Storage {
    fn default() -> Self {
        Self { daemon: Known::Is(Daemon::New), written: Written::default(), bricks: BTreeMap::new() }
    }
}

impl Storage {
    /// What a daemon knows that runs.
    pub fn knows(&self) -> Option<&Knows> {
        match self.daemon.get() {
            Some(Daemon::Runs(knows)) => Some(knows),
            _ => None,
        }
    }

    /// What the node's own daemon has set of a volume. It differs from others' where releases differ.
    pub(crate) fn option(&self, volume: &str, name: &str) -> Option<&str> {
        self.knows()?.volumes.get(volume)?.options.get(name).map(String::as_str)
    }

    /// A brick, by its folder; `None` if it isn't there.
    pub(crate) fn brick(&self, folder: impl AsRef<Utf8Path>) -> Result<Option<&Brick>, &str> {
        let known = self.bricks.get(folder.as_ref()).ok_or("the node was not asked")?;
        known.as_result().map(Option::as_ref)
    }

    /// Whom its daemon knows, in one line.
    pub(crate) fn peers(&self) -> Known<String> {
        self.of_daemon(|knows| knows.peers.keys().map(String::as_str).collect::<Vec<_>>().join(" "))
    }

    /// What its daemon knows of a volume, in one line.
    pub(crate) fn volume(&self, name: &str) -> Known<String> {
        self.of_daemon(|knows| match knows.volumes.get(name) {
            Some(volume) => sha256(format!("{volume:?}")).to_string(),
            None => "absent".to_owned(),
        })
    }

    fn of_daemon(&self, of: impl FnOnce(&Knows) -> String) -> Known<String> {
        match &self.daemon {
            Known::Is(Daemon::New) => Known::Is(of(&Knows::default())),
            Known::Is(Daemon::Stopped) => Known::Unknown("its storage daemon doesn't run".to_owned()),
            Known::Is(Daemon::Runs(knows)) => Known::Is(of(knows)),
            Known::Unknown(why) => Known::Unknown(why.clone()),
        }
    }
}

impl Brick {
    /// In one line, without what changes by itself.
    pub(crate) fn told(&self) -> String {
        let folders = self.folders.iter().map(String::as_str).collect::<Vec<_>>().join(" ");
        let empty = if self.empty { "empty" } else { "in use" };
        format!("{empty}, {}, folders {folders}", if self.served { "served" } else { "not served" })
    }
}
