//! What stead keeps on a node, as far as it is observed: whose it is, and its newest generation.

use serde::de::DeserializeOwned;

use crate::root::{Root, why};

/// Whose node it is.
pub(super) const STAMP: &str = "/var/lib/stead/stamp.json";

/// The newest generation.
pub(super) const GENERATION: &str = "/var/lib/stead/generations/current/generation.json";

/// What a file says; `None` where it isn't there.
pub(super) fn read<T: DeserializeOwned>(root: &Root, path: &str) -> Result<Option<T>, String> {
    let text = root.text_if_there(path).map_err(|error| why(&error))?;
    text.map(|text| serde_json::from_str(&text).map_err(|error| format!("{path} is broken: {error}"))).transpose()
}
