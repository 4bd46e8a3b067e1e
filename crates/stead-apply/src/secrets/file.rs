//! `stead.secrets` as text: what is in it, and changes that leave all else as it was.
//!
//! ```text
//! # stead.secrets 1: the sealed secrets of cluster 035b8a5a-ca4a-4eac-9e81-b8a80f953d02
//! # …
//! # derived from: 7 e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855
//!
//! [ca/machines]
//! kind = ca-key
//! made = 2026-11-22T15:07:50Z
//! for = SHA256:…
//! -----BEGIN CERTIFICATE-----
//! …
//! -----BEGIN AGE ENCRYPTED FILE-----
//! …
//! -----END AGE ENCRYPTED FILE-----
//!
//! # end of stead.secrets
//! ```

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;

use age::secrecy::ExposeSecret as _;
use stead_plan::generation::Ancestor;
use stead_plan::inventory::{Timestamp, sha256};
use stead_spec::units::{ClusterId, Sha256};

use super::dates::rfc3339;
use super::error::SecretsError;
use super::identities::Identities;
use super::name::{Kind, SecretName};
use super::recipients::{Fingerprint, Recipients};
use super::{Secret, recipients};

/// The sealed secrets of a cluster. Opening or changing one of them leaves the text of all others as it was.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sealed {
    pub(super) cluster: ClusterId,
    /// All lines before the first record, but for the ancestors.
    pub(super) header: String,
    pub(super) ancestors: Vec<Ancestor>,
    pub(super) records: Vec<Record>,
    /// The last line.
    pub(super) end: String,
}

/// A secret as the file has it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Record {
    pub(super) stated: Stated,
    pub(super) sealed_for: BTreeSet<Fingerprint>,
    /// The age record, armoured.
    pub(super) armor: String,
    /// The whole text as it was read or made, with the empty lines after it.
    pub(super) raw: String,
}

/// What the file says in clear about a secret.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Stated {
    /// Its name.
    pub name: SecretName,
    /// What it is for.
    pub kind: Kind,
    /// When it was made, to the second.
    pub made: Timestamp,
    /// Of a CA: its certificate in PEM, which is no secret.
    pub certificate: Option<String>,
    /// Of a word that nodes are compared with: its sum.
    pub sum: Option<Sha256>,
}

/// What the first line begins with; the number is the format's.
pub(super) const FIRST: &str = "# stead.secrets 1: the sealed secrets of cluster ";
/// What the last line is: without it, the file was cut off.
pub(super) const END: &str = "# end of stead.secrets";
/// What an ancestor's line begins with.
pub(super) const ANCESTOR: &str = "# derived from: ";
/// So many generations back a cluster file is known to descend from.
const ANCESTORS: usize = 5;

const ABOUT: &str = "\
# Each record is for age: the keys under `for`, the admins' and the recovery sheet's, open it. Keep this file in git,
# beside the cluster file. `stead keys list` tells what is in it.
";

impl Sealed {
    /// None yet.
    pub fn new(cluster: ClusterId) -> Self {
        let header = format!("{FIRST}{cluster}\n{ABOUT}");
        Self { cluster, header, ancestors: Vec::new(), records: Vec::new(), end: format!("{END}\n") }
    }

    /// Whose they are.
    pub fn cluster(&self) -> ClusterId {
        self.cluster
    }

    /// The generations that they descend from, the newest first.
    pub fn ancestors(&self) -> &[Ancestor] {
        &self.ancestors
    }

    /// Remembers a generation that was applied; only the newest five are kept.
    pub fn derive_from(&mut self, ancestor: Ancestor) {
        self.ancestors.retain(|known| known.number != ancestor.number);
        self.ancestors.push(ancestor);
        self.ancestors.sort_by_key(|ancestor| std::cmp::Reverse(ancestor.number));
        self.ancestors.truncate(ANCESTORS);
    }

    /// The whole file.
    pub fn text(&self) -> String {
        let mut text = self.header.clone();
        for Ancestor { number, digest } in &self.ancestors {
            let _ = writeln!(text, "{ANCESTOR}{number} {digest}");
        }
        text.push('\n');
        text.extend(self.records.iter().map(|record| record.raw.as_str()));
        text.push_str(&self.end);
        text
    }

    /// What a digest is made of: the records in order and in their plainest form, without what comes before them.
    pub fn records_text(&self) -> String {
        let mut records: Vec<_> = self.records.iter().collect();
        records.sort_by_key(|record| &record.stated.name);
        records.into_iter().map(Record::print).collect()
    }

    /// Their names, in the file's order.
    pub fn names(&self) -> impl Iterator<Item = &SecretName> {
        self.records.iter().map(Record::name)
    }

    /// The sums of those that have one, by their names.
    pub fn sums(&self) -> BTreeMap<String, Sha256> {
        let sum = |record: &Record| Some((record.name().to_string(), record.stated.sum.clone()?));
        self.records.iter().filter_map(sum).collect()
    }

    /// All of them, in the file's order.
    pub fn records(&self) -> &[Record] {
        &self.records
    }

    /// One of them.
    pub fn record(&self, name: &SecretName) -> Option<&Record> {
        self.records.iter().find(|record| record.name() == name)
    }

    /// Opens one.
    ///
    /// # Errors
    /// It isn't there, none of the keys opens it, or it is damaged.
    pub fn open(&self, name: &SecretName, identities: &Identities) -> Result<Secret, SecretsError> {
        let record = self.record(name).ok_or_else(|| SecretsError::NotThere { name: name.clone() })?;
        let secret = identities.open(record)?;
        match &record.stated.sum {
            Some(sum) if sha256(secret.expose_secret()) != *sum => {
                Err(SecretsError::Damaged { name: name.clone(), why: "its sum is another one".to_owned() })
            }
            _ => Ok(secret),
        }
    }

    /// Seals a secret, in place of the one of that name if there is one.
    ///
    /// # Errors
    /// It can't be sealed to one of the recipients.
    pub fn put(&mut self, stated: Stated, secret: &Secret, recipients: &Recipients) -> Result<(), SecretsError> {
        let armor = recipients::seal(&stated.name, secret, recipients)?;
        self.insert(Record::new(stated, recipients.fingerprints(), armor));
        Ok(())
    }

    /// Takes one out; whether it was there.
    pub fn remove(&mut self, name: &SecretName) -> bool {
        let before = self.records.len();
        self.records.retain(|record| record.name() != name);
        self.records.len() < before
    }

    /// Gives one another name, in place of what has that; it stays sealed. Whether it was there.
    pub fn rename(&mut self, name: &SecretName, to: SecretName) -> bool {
        let Some(at) = self.records.iter().position(|record| record.name() == name) else { return false };
        let Record { stated, sealed_for, armor, .. } = self.records.remove(at);
        self.insert(Record::new(Stated { name: to, ..stated }, sealed_for, armor));
        true
    }

    /// The secrets that aren't sealed to exactly these.
    pub fn stale(&self, recipients: &Recipients) -> Vec<SecretName> {
        let wanted = recipients.fingerprints();
        let stale = self.records.iter().filter(|record| record.sealed_for != wanted);
        stale.map(|record| record.name().clone()).collect()
    }

    /// Seals to exactly these what isn't yet; the names of those secrets. On an error nothing has changed.
    ///
    /// # Errors
    /// One can't be opened, or not be sealed again.
    pub fn reseal(
        &mut self,
        identities: &Identities,
        recipients: &Recipients,
    ) -> Result<Vec<SecretName>, SecretsError> {
        let stale = self.stale(recipients);
        let mut changed = self.clone();
        for name in &stale {
            let record = self.record(name).ok_or_else(|| SecretsError::NotThere { name: name.clone() })?;
            changed.put(record.stated.clone(), &identities.open(record)?, recipients)?;
        }
        *self = changed;
        Ok(stale)
    }

    /// Puts a record where its name belongs.
    fn insert(&mut self, record: Record) {
        if let Some(old) = self.records.iter_mut().find(|old| old.name() == record.name()) {
            *old = record;
            return;
        }
        let at = self.records.iter().position(|other| other.name() > record.name()).unwrap_or(self.records.len());
        self.records.insert(at, record);
    }
}

impl Record {
    fn new(stated: Stated, sealed_for: BTreeSet<Fingerprint>, armor: String) -> Self {
        let mut record = Self { stated, sealed_for, armor, raw: String::new() };
        record.raw = record.print();
        record
    }

    /// Its name.
    pub fn name(&self) -> &SecretName {
        &self.stated.name
    }

    /// What the file says about it in clear.
    pub fn stated(&self) -> &Stated {
        &self.stated
    }

    /// The keys that open it.
    pub fn sealed_for(&self) -> &BTreeSet<Fingerprint> {
        &self.sealed_for
    }

    /// In its plainest form.
    pub(super) fn print(&self) -> String {
        let Stated { name, kind, made, certificate, sum } = &self.stated;
        let mut text = format!("[{name}]\nkind = {kind}\nmade = {}\n", rfc3339(*made));
        if let Some(sum) = sum {
            let _ = writeln!(text, "sum = {sum}");
        }
        for fingerprint in &self.sealed_for {
            let _ = writeln!(text, "for = {fingerprint}");
        }
        for block in certificate.iter().chain([&self.armor]) {
            text.push_str(block.trim_end());
            text.push('\n');
        }
        text.push('\n');
        text
    }
}
