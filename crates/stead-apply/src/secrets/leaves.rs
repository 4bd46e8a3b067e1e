//! Nodes' certificates, sealed like all that is secret: so a plan compares them by their sums, and they can be laid anew
//! without opening a CA.

use std::collections::BTreeMap;

use age::secrecy::ExposeSecret as _;
use stead_plan::MARK;
use stead_plan::inventory::{Timestamp, sha256};
use stead_plan::secret::certificates_for;
use stead_spec::Spec;
use stead_spec::units::NodeName;

use super::Secret;
use super::certificates::{Ca, CertificateFacts, Purpose, facts};
use super::error::SecretsError;
use super::file::{Sealed, Stated};
use super::name::{Kind, SecretName};
use super::recipients::Recipients;

/// So long before its end, in milliseconds, a certificate is made anew: a year, in which somebody will look.
const RENEWED: i64 = 365 * 24 * 3600 * 1000;

/// Of these certificates, `tls/storage/node1`, those that have to be issued, by what they are for: there are none, another CA
/// than today's has issued them, or they end soon.
///
/// # Errors
/// What there is can't be read.
pub fn missing_leaves(
    sealed: &Sealed,
    names: &[String],
    now: Timestamp,
) -> Result<BTreeMap<Purpose, Vec<SecretName>>, SecretsError> {
    let mut missing: BTreeMap<Purpose, Vec<SecretName>> = BTreeMap::new();
    for purpose in Purpose::ALL {
        let prefix = certificates_for(&purpose.to_string());
        let names: Vec<_> = names.iter().filter(|name| name.starts_with(&prefix)).collect();
        if names.is_empty() {
            continue;
        }
        let ca = certificate(sealed, &purpose.secret())?.ok_or(SecretsError::NoCa { purpose })?;
        for name in names.into_iter().filter_map(|name| name.parse::<SecretName>().ok()) {
            if certificate(sealed, &name)?.is_none_or(|leaf| leaf.issuer != ca.subject || ends_soon(&leaf, now)) {
                missing.entry(purpose).or_default().push(name);
            }
        }
    }
    Ok(missing)
}

/// Of these certificates, those that end within a year or have ended, and when. They need no key to be read.
///
/// # Errors
/// What there is can't be read.
pub fn ending_leaves(
    sealed: &Sealed,
    names: &[String],
    now: Timestamp,
) -> Result<Vec<(SecretName, Timestamp)>, SecretsError> {
    let names = names.iter().filter_map(|name| name.parse::<SecretName>().ok());
    let ending = names.map(|name| {
        let leaf = certificate(sealed, &name)?.filter(|leaf| ends_soon(leaf, now));
        Ok(leaf.map(|leaf| (name, leaf.until)))
    });
    ending.filter_map(Result::transpose).collect()
}

fn ends_soon(leaf: &CertificateFacts, now: Timestamp) -> bool {
    leaf.until.0 - now.0 < RENEWED
}

/// What the certificate of this name says of itself; `None` if there is none.
fn certificate(sealed: &Sealed, name: &SecretName) -> Result<Option<CertificateFacts>, SecretsError> {
    let pem = sealed.record(name).and_then(|record| record.stated().certificate.as_deref());
    pem.map(|pem| facts(name, pem)).transpose()
}

/// Issues a certificate to the node that the name ends in, and seals it with its key in place of the one before.
///
/// # Errors
/// It can't be issued or sealed, or the spec has no such node.
pub fn put_leaf(
    sealed: &mut Sealed,
    ca: &Ca,
    name: &SecretName,
    spec: &Spec,
    recipients: &Recipients,
    now: Timestamp,
) -> Result<(), SecretsError> {
    let node = name.as_str().rsplit('/').next().and_then(|name| name.parse::<NodeName>().ok());
    let node = node.and_then(|node| spec.nodes().get(&node));
    let node = node.ok_or_else(|| SecretsError::Certificate {
        what: name.to_string(),
        why: "the cluster file has no such node".to_owned(),
    })?;
    let leaf = ca.issue(&node.name, &spec.cluster().domain, node.core, now)?;
    let head = format!("# {MARK}: what is changed here, the next apply undoes.\n");
    let text = format!("{head}{}{}", leaf.key.expose_secret(), leaf.certificate);
    let sum = Some(sha256(&text));
    let certificate = Some(leaf.certificate);
    let stated = Stated { name: name.clone(), kind: Kind::Certificate, made: now, certificate, sum };
    sealed.put(stated, &Secret::from(text), recipients)
}
