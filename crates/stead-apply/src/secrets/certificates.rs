//! Certificate authorities, one a purpose, and the nodes' certificates that they issue.
//!
//! Whoever may talk to one engine's daemons has no say with another's, and a CA is rolled for one engine at a time.

use std::collections::BTreeMap;
use std::fmt;
use std::net::IpAddr;
use std::str::FromStr;

use age::secrecy::ExposeSecret;
use p256::ecdsa::signature::Signer as _;
use p256::elliptic_curve::rand_core::{OsRng, RngCore as _};
use p256::pkcs8::{DecodePrivateKey as _, EncodePrivateKey as _, LineEnding};
use rcgen::{
    BasicConstraints, CertificateParams, DistinguishedName, DnType, ExtendedKeyUsagePurpose, IsCa, Issuer, KeyIdMethod,
    KeyUsagePurpose, SanType, SerialNumber,
};
use sha2::{Digest as _, Sha256};
use stead_plan::inventory::Timestamp;
use stead_spec::units::{Address, ClusterName, Domain, NodeName};
use x509_parser::pem::parse_x509_pem;

use super::Secret;
use super::dates::{new_year, years_after};
use super::error::SecretsError;
use super::file::{Sealed, Stated};
use super::identities::Identities;
use super::name::{Kind, SecretName};
use super::recipients::Recipients;

/// What certificates are for. Each has a CA of its own.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Purpose {
    /// The daemons of replicated volumes among each other: `storage`.
    Volumes,
    /// libvirt's daemons, which move machines from node to node: `machines`.
    Machines,
    /// QEMU, for the memory of machines that move: `migration`. A machine that breaks out has its key, and no hypervisor.
    Migration,
    /// What is measured, on its way to who collects it: `telemetry`.
    Telemetry,
}

/// A CA with its key, opened.
pub struct Ca {
    purpose: Purpose,
    subject: Subject,
    key: Key,
}

/// A node's certificate, and its key.
#[derive(Debug)]
pub struct Leaf {
    /// In PEM.
    pub certificate: String,
    /// In PEM (PKCS #8).
    pub key: Secret,
}

/// What a certificate says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct CertificateFacts {
    /// Its subject: `O=home, CN=stead machines CA 1f2e3d4c`.
    pub subject: String,
    /// Who has issued it: the subject of a CA.
    pub issuer: String,
    /// Not valid before.
    pub from: Timestamp,
    /// Not valid after.
    pub until: Timestamp,
}

/// Certificates are valid from the start of this year: a PC whose battery is empty starts at its firmware's date, and
/// must still trust the others, for a clock that is right comes later.
const FROM: i32 = 2000;
/// Certificates of nodes are valid to the start of the year so many after this one: twenty whole years.
const LEAF_YEARS: i32 = 21;
/// A CA outlives the certificates that it will ever issue.
const CA_YEARS: i32 = 50;

impl Purpose {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Volumes, Self::Machines, Self::Migration, Self::Telemetry];

    /// The word for it, in names of secrets and for people.
    pub const fn word(self) -> &'static str {
        match self {
            Self::Volumes => "storage",
            Self::Machines => "machines",
            Self::Migration => "migration",
            Self::Telemetry => "telemetry",
        }
    }

    /// What the key of its CA is called: `ca/machines`.
    pub fn secret(self) -> SecretName {
        SecretName::of_ca(self.word())
    }
}

impl fmt::Display for Purpose {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.word())
    }
}

impl FromStr for Purpose {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let found = Self::ALL.into_iter().find(|purpose| purpose.word() == text);
        found.ok_or_else(|| format!("`{text}` is no purpose: {}", Self::ALL.map(Self::word).join(", ")))
    }
}

/// Makes the CAs of a cluster that has none: those that were made. In secrets that were applied already they must be
/// there, for a new one in place of a lost one would cut the nodes off from each other.
///
/// # Errors
/// One is missing that should be there, or can't be sealed.
pub fn ensure_cas(
    sealed: &mut Sealed,
    cluster: &ClusterName,
    recipients: &Recipients,
    now: Timestamp,
) -> Result<Vec<Purpose>, SecretsError> {
    let missing: Vec<_> =
        Purpose::ALL.into_iter().filter(|purpose| sealed.record(&purpose.secret()).is_none()).collect();
    match missing.first() {
        Some(&purpose) if !sealed.ancestors().is_empty() => return Err(SecretsError::NoCa { purpose }),
        _ => {}
    }
    for purpose in &missing {
        put_ca(sealed, *purpose, cluster, recipients, now)?;
    }
    Ok(missing)
}

/// Makes a new CA; the one before stays as `ca/PURPOSE/previous`, and is trusted until it is taken out.
///
/// # Errors
/// The one before that is there still, or the new one can't be sealed.
pub fn renew_ca(
    sealed: &mut Sealed,
    purpose: Purpose,
    cluster: &ClusterName,
    recipients: &Recipients,
    now: Timestamp,
) -> Result<(), SecretsError> {
    let name = purpose.secret();
    if sealed.record(&name.previous()).is_some() {
        return Err(SecretsError::Rolling { purpose });
    }
    let mut changed = sealed.clone();
    changed.rename(&name, name.previous());
    put_ca(&mut changed, purpose, cluster, recipients, now)?;
    *sealed = changed;
    Ok(())
}

/// The certificates of all CAs that are trusted for a purpose, in PEM: its CA's, and the previous one's while the new
/// one is on its way to the nodes. Needs no key.
pub fn trusted(sealed: &Sealed, purpose: Purpose) -> String {
    let name = purpose.secret();
    let records = [name.clone(), name.previous()];
    records.iter().filter_map(|name| sealed.record(name)?.stated().certificate.as_deref()).collect()
}

/// As [`trusted`], of each purpose that has a CA, by its word.
pub fn all_trusted(sealed: &Sealed) -> BTreeMap<String, String> {
    let all = Purpose::ALL.into_iter().map(|purpose| (purpose.word().to_owned(), trusted(sealed, purpose)));
    all.filter(|(_, certificates)| !certificates.is_empty()).collect()
}

/// What a certificate in PEM says of itself.
///
/// # Errors
/// It is none.
pub fn facts(what: &SecretName, pem: &str) -> Result<CertificateFacts, SecretsError> {
    let bad = |why: &dyn fmt::Display| certificate_error(what.as_str(), why);
    let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|error| bad(&error))?;
    let certificate = pem.parse_x509().map_err(|error| bad(&error))?;
    let at = |time: x509_parser::time::ASN1Time| Timestamp(time.timestamp().saturating_mul(1000));
    let validity = certificate.validity();
    let (from, until) = (at(validity.not_before), at(validity.not_after));
    let (subject, issuer) = (certificate.subject().to_string(), certificate.issuer().to_string());
    Ok(CertificateFacts { subject, issuer, from, until })
}

impl Ca {
    /// Opens the CA for a purpose.
    ///
    /// # Errors
    /// There is none, no key opens it, or key and certificate don't fit.
    pub fn open(sealed: &Sealed, purpose: Purpose, identities: &Identities) -> Result<Self, SecretsError> {
        let name = purpose.secret();
        let record = sealed.record(&name).ok_or(SecretsError::NoCa { purpose })?;
        let key = Key::from_pem(name.as_str(), &sealed.open(&name, identities)?)?;
        let pem = record.stated().certificate.as_deref();
        let pem = pem.ok_or_else(|| certificate_error(name.as_str(), &"it is missing"))?;
        let subject = Subject::of(name.as_str(), pem, &key)?;
        Ok(Self { purpose, subject, key })
    }

    /// Issues a certificate to a node, for both sides of a connection: under its name, `NAME.core`, `NAME.DOMAIN` and its
    /// address in the core.
    ///
    /// # Errors
    /// A name is none that a certificate takes.
    pub fn issue(&self, node: &NodeName, domain: &Domain, core: Address, now: Timestamp) -> Result<Leaf, SecretsError> {
        let what = format!("{node}, {}", self.purpose);
        let failed = |error: rcgen::Error| certificate_error(&what, &error);
        let key = Key::make();
        let names = [node.to_string(), format!("{node}.core"), format!("{node}.{domain}")];
        let mut sans = Vec::new();
        for name in names {
            sans.push(SanType::DnsName(name.try_into().map_err(failed)?));
        }
        sans.push(SanType::IpAddress(IpAddr::V4(core.get())));
        let mut params = params(&key);
        params.not_after = years_after(now, LEAF_YEARS);
        params.distinguished_name.push(DnType::CommonName, node.to_string());
        params.subject_alt_names = sans;
        params.is_ca = IsCa::ExplicitNoCa;
        params.use_authority_key_identifier_extension = true;
        // And no key usage: libvirt of Debian 12 wants key encipherment where there is any (virnettlscert.c), which keys
        // of elliptic curves must not claim (RFC 8813).
        params.extended_key_usages = vec![ExtendedKeyUsagePurpose::ServerAuth, ExtendedKeyUsagePurpose::ClientAuth];
        let issuer = Issuer::new(self.subject.params(), &self.key);
        let certificate = params.signed_by(&key, &issuer).map_err(failed)?;
        Ok(Leaf { certificate: certificate.pem(), key: key.pem(&what)? })
    }
}

impl fmt::Debug for Ca {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Ca").field("purpose", &self.purpose).field("subject", &self.subject).finish_non_exhaustive()
    }
}

fn put_ca(
    sealed: &mut Sealed,
    purpose: Purpose,
    cluster: &ClusterName,
    recipients: &Recipients,
    now: Timestamp,
) -> Result<(), SecretsError> {
    let name = purpose.secret();
    let key = Key::make();
    let id = key.id();
    let short = format!("{:02x}{:02x}{:02x}{:02x}", id[0], id[1], id[2], id[3]);
    // Two CAs of one purpose have different names, so that nobody looks for the one's signature by the other's key.
    let subject = Subject { organization: cluster.to_string(), name: format!("stead {purpose} CA {short}"), id };
    let mut params = subject.params();
    params.serial_number = Some(serial());
    params.not_before = new_year(FROM);
    params.not_after = years_after(now, CA_YEARS);
    let certificate = params.self_signed(&key).map_err(|error| certificate_error(name.as_str(), &error))?;
    let secret = key.pem(name.as_str())?;
    sealed.put(
        Stated { name, kind: Kind::CaKey, made: now, certificate: Some(certificate.pem()), sum: None },
        &secret,
        recipients,
    )
}

fn certificate_error(what: &str, why: &dyn fmt::Display) -> SecretsError {
    SecretsError::Certificate { what: what.to_owned(), why: why.to_string() }
}

/// What a CA is called.
#[derive(Clone, Debug)]
struct Subject {
    organization: String,
    name: String,
    /// The key's.
    id: Vec<u8>,
}

impl Subject {
    /// Of a CA's certificate, if it is for this key.
    fn of(what: &str, pem: &str, key: &Key) -> Result<Self, SecretsError> {
        let bad = |why: &dyn fmt::Display| certificate_error(what, why);
        let (_, pem) = parse_x509_pem(pem.as_bytes()).map_err(|error| bad(&error))?;
        let certificate = pem.parse_x509().map_err(|error| bad(&error))?;
        if certificate.public_key().subject_public_key.data != key.public.as_slice() {
            return Err(bad(&"it is for another key than the one that is sealed beside it"));
        }
        let subject = certificate.subject();
        let organization = subject.iter_organization().next().and_then(|value| value.as_str().ok());
        let name = subject.iter_common_name().next().and_then(|value| value.as_str().ok());
        match (organization, name) {
            (Some(organization), Some(name)) => {
                Ok(Self { organization: organization.to_owned(), name: name.to_owned(), id: key.id() })
            }
            _ => Err(bad(&"its subject is none of stead's")),
        }
    }

    fn params(&self) -> CertificateParams {
        let mut params = CertificateParams::default();
        params.distinguished_name = DistinguishedName::new();
        params.distinguished_name.push(DnType::OrganizationName, self.organization.as_str());
        params.distinguished_name.push(DnType::CommonName, self.name.as_str());
        params.key_identifier_method = KeyIdMethod::PreSpecified(self.id.clone());
        params.is_ca = IsCa::Ca(BasicConstraints::Constrained(0));
        params.key_usages = vec![KeyUsagePurpose::KeyCertSign, KeyUsagePurpose::CrlSign];
        params
    }
}

/// What all certificates have in common.
fn params(key: &Key) -> CertificateParams {
    let mut params = CertificateParams::default();
    params.distinguished_name = DistinguishedName::new();
    params.serial_number = Some(serial());
    params.not_before = new_year(FROM);
    params.key_identifier_method = KeyIdMethod::PreSpecified(key.id());
    params
}

/// Random, positive, and of at most 20 bytes (RFC 5280, 4.1.2.2).
fn serial() -> SerialNumber {
    let mut bytes = [0; 16];
    OsRng.fill_bytes(&mut bytes);
    bytes[0] = bytes[0] & 0x7f | 0x40;
    SerialNumber::from_slice(&bytes)
}

/// A key by the curve P-256, which every TLS library of Debian's takes.
struct Key {
    private: p256::ecdsa::SigningKey,
    /// The point, uncompressed.
    public: Vec<u8>,
}

impl Key {
    fn make() -> Self {
        Self::new(p256::ecdsa::SigningKey::random(&mut OsRng))
    }

    fn new(private: p256::ecdsa::SigningKey) -> Self {
        let public = private.verifying_key().to_encoded_point(false).as_bytes().to_vec();
        Self { private, public }
    }

    fn from_pem(what: &str, pem: &Secret) -> Result<Self, SecretsError> {
        let private = p256::ecdsa::SigningKey::from_pkcs8_pem(pem.expose_secret());
        private.map(Self::new).map_err(|_| certificate_error(what, &"its key is none of the curve P-256 in PEM"))
    }

    fn pem(&self, what: &str) -> Result<Secret, SecretsError> {
        let pem = self.private.to_pkcs8_pem(LineEnding::LF).map_err(|error| certificate_error(what, &error))?;
        Ok(Secret::from(pem.as_str()))
    }

    /// As RFC 7093 makes them: of SHA-256, the first 160 bits.
    fn id(&self) -> Vec<u8> {
        Sha256::digest(&self.public)[..20].to_vec()
    }
}

impl rcgen::PublicKeyData for Key {
    fn der_bytes(&self) -> &[u8] {
        &self.public
    }

    fn algorithm(&self) -> &'static rcgen::SignatureAlgorithm {
        &rcgen::PKCS_ECDSA_P256_SHA256
    }
}

impl rcgen::SigningKey for Key {
    fn sign(&self, message: &[u8]) -> Result<Vec<u8>, rcgen::Error> {
        let signature: p256::ecdsa::Signature =
            self.private.try_sign(message).map_err(|_| rcgen::Error::RemoteKeyError)?;
        Ok(signature.to_der().as_bytes().to_vec())
    }
}
