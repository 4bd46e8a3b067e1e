//! Words that programs know each other by. The file has their sums in clear: a plan compares these with what nodes tell,
//! and opens nothing.

use p256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use stead_plan::inventory::{Timestamp, sha256};

use super::Secret;
use super::error::SecretsError;
use super::file::{Sealed, Stated};
use super::name::{Kind, SecretName};
use super::recipients::Recipients;

/// Letters and digits that nobody takes for each other, 32 of them.
const ALPHABET: &[u8; 32] = b"abcdefghijkmnpqrstuvwxyz23456789";

/// How long a word is: 80 random bits, in what every engine takes.
const LENGTH: usize = 16;

/// How many such words a key has that programs encrypt by: 1280 random bits. corosync takes 1024 at least, and 32768 at most.
const KEY: usize = 16;

/// How many such words a disk's recovery key has: 160 random bits, in groups that a person can type.
const GROUPS: usize = 2;
const GROUP: usize = 4;

/// Makes those of these words that there aren't yet: which.
///
/// # Errors
/// One can't be sealed.
pub fn ensure_passwords(
    sealed: &mut Sealed,
    names: &[&str],
    recipients: &Recipients,
    now: Timestamp,
) -> Result<Vec<SecretName>, SecretsError> {
    ensure(sealed, names, Kind::Password, word, recipients, now)
}

/// Makes those of these keys that there aren't yet: which.
///
/// # Errors
/// One can't be sealed.
pub fn ensure_keys(
    sealed: &mut Sealed,
    names: &[&str],
    recipients: &Recipients,
    now: Timestamp,
) -> Result<Vec<SecretName>, SecretsError> {
    ensure(sealed, names, Kind::Password, key, recipients, now)
}

/// Makes those of these recovery keys that there aren't yet: which.
///
/// # Errors
/// One can't be sealed.
pub fn ensure_disk_keys(
    sealed: &mut Sealed,
    names: &[String],
    recipients: &Recipients,
    now: Timestamp,
) -> Result<Vec<SecretName>, SecretsError> {
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    ensure(sealed, &names, Kind::DiskKey, disk_key, recipients, now)
}

fn ensure(
    sealed: &mut Sealed,
    names: &[&str],
    kind: Kind,
    make: fn() -> String,
    recipients: &Recipients,
    now: Timestamp,
) -> Result<Vec<SecretName>, SecretsError> {
    let names = names.iter().filter_map(|name| name.parse::<SecretName>().ok());
    let missing: Vec<SecretName> = names.filter(|name| sealed.record(name).is_none()).collect();
    for name in &missing {
        let word = make();
        let sum = Some(sha256(&word));
        let stated = Stated { name: name.clone(), kind, made: now, certificate: None, sum };
        sealed.put(stated, &Secret::from(word), recipients)?;
    }
    Ok(missing)
}

fn word() -> String {
    let mut bytes = [0; LENGTH];
    OsRng.fill_bytes(&mut bytes);
    bytes.iter().map(|byte| char::from(ALPHABET[usize::from(byte % 32)])).collect()
}

fn key() -> String {
    (0..KEY).map(|_| word()).collect()
}

/// `abcd-efgh-…`, eight groups.
fn disk_key() -> String {
    let letters: Vec<char> = (0..GROUPS).flat_map(|_| word().chars().collect::<Vec<_>>()).collect();
    letters.chunks(GROUP).map(|group| group.iter().collect::<String>()).collect::<Vec<_>>().join("-")
}
