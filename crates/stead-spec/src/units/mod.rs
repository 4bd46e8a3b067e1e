//! Values that the cluster file writes as one text or one number, each a type of its own: what such a type holds is
//! well-formed, and reading what it prints gives it back.

mod bytes;

use std::fmt::Display;
use std::str::FromStr;

pub use bytes::Bytes;

/// Why a text is not what it should be, and what to write instead.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{reason}: {remedy}")]
pub struct Invalid {
    /// What is wrong with it, in half a sentence that doesn't repeat the text: "`GB` is a decimal unit".
    pub reason: String,
    /// What to do, in half a sentence: "write a whole number and KiB, MiB, GiB or TiB, such as 8GiB".
    pub remedy: String,
}

impl Invalid {
    /// Wrong for `reason`; `remedy` says what to do.
    pub fn new(reason: impl Into<String>, remedy: impl Into<String>) -> Self {
        Self { reason: reason.into(), remedy: remedy.into() }
    }
}

/// A type that the cluster file writes as one text.
pub trait Text: FromStr<Err = Invalid> + Display + Clone {
    /// What it is, with its article: `a size`.
    const WHAT: &'static str;
    /// How it is written, in one sentence for the reference.
    const SYNTAX: &'static str;
    /// A text that reads well.
    const EXAMPLE: &'static str;
    /// A regular expression (ECMA 262, as JSON Schema has them, anchored) that every good text matches, so that an
    /// editor can tell the obviously wrong ones.
    const PATTERN: &'static str;
}

/// Implements what a [`Text`] gets for free: serde as that text.
macro_rules! text_serde {
    ($($name:ty),+ $(,)?) => {$(
        impl serde::Serialize for $name {
            fn serialize<S: serde::Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                serializer.collect_str(self)
            }
        }

        impl<'de> serde::Deserialize<'de> for $name {
            fn deserialize<D: serde::Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                let text = std::borrow::Cow::<'de, str>::deserialize(deserializer)?;
                text.parse().map_err(serde::de::Error::custom)
            }
        }
    )+};
}
pub(crate) use text_serde;
