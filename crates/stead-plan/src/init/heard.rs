use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::inventory::Known;

/// What came of a node's calling and listening on all of its NICs.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Probed {
    /// What was heard, each once, sorted.
    pub heard: Vec<Heard>,
    /// The Ethernet NICs that listened, by name, or why one couldn't.
    pub nics: BTreeMap<String, Known<Link>>,
}

/// One NIC heard another.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct Heard {
    /// The NIC of this node that heard.
    pub on: String,
    /// The node that called.
    pub node: String,
    /// Its NIC that called.
    pub nic: String,
    /// What it said; nothing in a short call.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub words: String,
}

/// The state of a NIC's cable while it was switched on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Link {
    /// Whether the other end answers.
    pub carrier: bool,
    /// Mbit/s, where the driver says.
    pub speed: Option<u32>,
}
