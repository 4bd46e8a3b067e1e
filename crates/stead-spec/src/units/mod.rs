//! Values that the cluster file writes as one text or one number, each a type of its own: what such a type holds is
//! well-formed, and reading what it prints gives it back.

mod bytes;
mod debian;
mod digest;
mod disk;
mod domain;
mod keys;
mod label;
mod names;
mod net;
mod number;
mod places;
mod ports;
mod ssh;
mod subnet;
mod tang;
mod time;
mod zone;

#[cfg(test)]
mod tests;

use std::fmt::Display;
use std::str::FromStr;

pub use bytes::Bytes;
pub use debian::{PackageName, Suite, SysctlKey};
pub use digest::{ClusterId, Sha256, Thumbprint, WipeToken};
pub use disk::DiskId;
pub use domain::{DnsName, Domain, Email, Server, SmtpServer};
pub use keys::{AgeRecipient, KeyKind, PublicKey};
pub use names::{
    AdminName, AlertName, BackupName, ClusterName, DiskName, HostName, ImageName, MachineName, NetworkName, NodeName,
    RuleName, SwitchName, VolumeName,
};
pub use net::{Address, Mac};
pub(crate) use number::number;
pub use number::{Mtu, Number, Percent, Port, Vlan};
pub use places::{ImageUrl, VolumePath, WebUrl};
pub use ports::Ports;
pub use ssh::SshTarget;
pub use subnet::{Interface, Source, Subnet};
pub use tang::{TangHost, TangUrl};
pub use time::{Period, TimeOfDay};
pub use zone::TimeZone;

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

/// Implements what a newtype of a `String` gets for free: to be looked at as that text, and serde.
macro_rules! string_type {
    ($($name:ident),+ $(,)?) => {$(
        impl $name {
            /// The text, in its canonical form.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl std::fmt::Display for $name {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.write_str(&self.0)
            }
        }

        impl AsRef<str> for $name {
            fn as_ref(&self) -> &str {
                &self.0
            }
        }

        impl std::borrow::Borrow<str> for $name {
            fn borrow(&self) -> &str {
                &self.0
            }
        }

        $crate::units::text_serde!($name);
    )+};
}
use string_type;

/// A number that is digits only: `from_str` of the standard library takes a sign too.
fn digits<N: FromStr>(text: &str) -> Option<N> {
    let plain = !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    if plain { text.parse().ok() } else { None }
}
