//! Where on a node things lie.

use std::time::SystemTime;

use camino::{Utf8Path, Utf8PathBuf};
use stead_plan::inventory::Timestamp;

/// The node's files: all of them, or those below a folder that a test takes for a node.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Place {
    root: Utf8PathBuf,
    owner: (u32, u32),
}

/// All that stead keeps on a node, and nobody else writes into.
pub const STATE: &str = "/var/lib/stead";

impl Place {
    /// This node itself.
    pub fn node() -> Self {
        Self { root: "/".into(), owner: (0, 0) }
    }

    /// A folder that is taken for a node; what is written there belongs to who runs this.
    pub fn rooted(root: impl Into<Utf8PathBuf>) -> Self {
        let owner = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
        Self { root: root.into(), owner }
    }

    /// Where an absolute path of the node's really lies.
    pub fn at(&self, path: impl AsRef<Utf8Path>) -> Utf8PathBuf {
        let path = path.as_ref();
        self.root.join(path.strip_prefix("/").unwrap_or(path))
    }

    /// Where something of stead's own lies.
    pub(crate) fn state(&self, below: &str) -> Utf8PathBuf {
        self.at(STATE).join(below)
    }

    /// User and group that files of the node's own belong to: root.
    pub(crate) fn owner(&self) -> (u32, u32) {
        self.owner
    }
}

/// The node's clock.
pub(crate) fn now() -> Timestamp {
    // A clock before 1970 is 1970: what is told of it is that it is wrong, and by how much hardly matters.
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Timestamp(i64::try_from(since.as_millis()).unwrap_or(i64::MAX))
}
