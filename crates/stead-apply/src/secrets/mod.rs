//! The sealed secrets: `stead.secrets` beside the cluster file, the keys that open it, the recovery sheet, and the
//! certificates that are made of its CA keys.
//!
//! Each secret is an age record of its own, so that git merges the file and one can be added without opening any. Nothing
//! here reads a clock: whoever calls says what time it is.

mod certificates;
mod dates;
mod error;
mod file;
mod identities;
mod leaves;
mod name;
mod parse;
mod passwords;
mod recipients;
mod sheet;
mod store;

#[cfg(test)]
mod tests;

pub use age::secrecy::ExposeSecret;
/// A secret text: overwritten when it is dropped, and masked where it is printed by mistake.
pub use age::secrecy::SecretString as Secret;

pub use certificates::{Ca, CertificateFacts, Leaf, Purpose, all_trusted, ensure_cas, facts, renew_ca, trusted};
pub use dates::{date, rfc3339};
pub use error::SecretsError;
pub use file::{Record, Sealed, Stated};
pub use identities::{Identities, Unlock};
pub use leaves::{ending_leaves, missing_leaves, put_leaf};
pub use name::{BadName, Kind, SecretName};
pub use parse::ParseError;
pub use passwords::{ensure_disk_keys, ensure_keys, ensure_passwords};
pub use recipients::{Fingerprint, Holder, Recipients};
pub use sheet::Sheet;
pub use store::{may_create, replace};
