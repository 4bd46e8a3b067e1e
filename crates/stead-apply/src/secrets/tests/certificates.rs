use p256::ecdsa::signature::Verifier as _;
use rustls_pki_types::{
    AlgorithmIdentifier, CertificateDer, InvalidSignature, ServerName, SignatureVerificationAlgorithm, UnixTime, alg_id,
};
use stead_spec::units::{Address, ClusterName};
use webpki::{EndEntityCert, KeyUsage, anchor_from_trusted_cert};

use super::*;

/// The verifier brings no arithmetic of its own.
#[derive(Debug)]
struct P256;

impl SignatureVerificationAlgorithm for P256 {
    fn public_key_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_P256
    }

    fn signature_alg_id(&self) -> AlgorithmIdentifier {
        alg_id::ECDSA_SHA256
    }

    fn verify_signature(&self, key: &[u8], message: &[u8], signature: &[u8]) -> Result<(), InvalidSignature> {
        let key = p256::ecdsa::VerifyingKey::from_sec1_bytes(key).map_err(|_| InvalidSignature)?;
        let signature = p256::ecdsa::Signature::from_der(signature).map_err(|_| InvalidSignature)?;
        key.verify(message, &signature).map_err(|_| InvalidSignature)
    }
}

fn der(pem: &str) -> CertificateDer<'static> {
    x509_parser::pem::parse_x509_pem(pem.as_bytes()).expect("PEM").1.contents.into()
}

/// Whether a certificate is good under this name, at this year, for both sides.
fn good(leaf: &str, trusted: &str, name: &str, year: i64) -> bool {
    let (leaf, ca) = (der(leaf), der(trusted));
    let anchors = [anchor_from_trusted_cert(&ca).expect("a CA")];
    let leaf = EndEntityCert::try_from(&leaf).expect("a certificate");
    let at = u64::try_from((year - 1970) * 31_557_600 + 86_400).expect("after 1970");
    let at = UnixTime::since_unix_epoch(std::time::Duration::from_secs(at));
    let named = ServerName::try_from(name).expect("a name");
    [KeyUsage::server_auth(), KeyUsage::client_auth()].into_iter().all(|usage| {
        leaf.verify_for_usage(&[&P256], &anchors, &[], at, usage, None, None).is_ok()
            && leaf.verify_is_valid_for_subject_name(&named).is_ok()
    })
}

fn home() -> ClusterName {
    "home".parse().expect("a name")
}

fn issue(ca: &Ca) -> Leaf {
    let core = Address::new([10, 10, 0, 1].into()).expect("an address");
    ca.issue(&"node1".parse().expect("a name"), &"home.arpa".parse().expect("a domain"), core, NOW).expect("issued")
}

#[test]
fn nodes_trust_each_other_within_one_purpose() {
    let (mine, sheet) = (ssh(), Sheet::make());
    let (recipients, identities) = (recipients(&[&mine], &sheet), identities(&private(&mine)));
    let mut sealed = Sealed::new(cluster());
    assert_eq!(ensure_cas(&mut sealed, &home(), &recipients, NOW).expect("made"), Purpose::ALL);
    assert!(ensure_cas(&mut sealed, &home(), &recipients, NOW).expect("there").is_empty());
    let sealed = Sealed::parse(&sealed.text(), &cluster()).expect("read again");
    let ca = Ca::open(&sealed, Purpose::Machines, &identities).expect("opens");
    let leaf = issue(&ca);
    let trust = trusted(&sealed, Purpose::Machines);
    for name in ["node1", "node1.core", "node1.home.arpa", "10.10.0.1"] {
        assert!(good(&leaf.certificate, &trust, name, 2027), "{name}");
    }
    assert!(good(&leaf.certificate, &trust, "node1", 2000) && good(&leaf.certificate, &trust, "node1", 2046));
    assert!(!good(&leaf.certificate, &trust, "node1", 2048) && !good(&leaf.certificate, &trust, "node2", 2027));
    assert!(!good(&leaf.certificate, &trusted(&sealed, Purpose::Volumes), "node1", 2027));
    let facts = facts(&name("x"), &leaf.certificate).expect("facts");
    assert_eq!((facts.subject.as_str(), rfc3339(facts.from).as_str()), ("CN=node1", "2000-01-01T00:00:00Z"));
    assert!(leaf.key.expose_secret().starts_with("-----BEGIN PRIVATE KEY-----"));
    assert!(!format!("{leaf:?} {ca:?}").contains("PRIVATE"));
}

#[test]
fn rolling_a_ca() {
    let (mine, sheet) = (ssh(), Sheet::make());
    let (recipients, identities) = (recipients(&[&mine], &sheet), identities(&private(&mine)));
    let mut sealed = Sealed::new(cluster());
    ensure_cas(&mut sealed, &home(), &recipients, NOW).expect("made");
    let before = issue(&Ca::open(&sealed, Purpose::Volumes, &identities).expect("opens"));
    let old = trusted(&sealed, Purpose::Volumes);
    renew_ca(&mut sealed, Purpose::Volumes, &home(), &recipients, NOW).expect("made");
    let both = trusted(&sealed, Purpose::Volumes);
    let new = both.strip_suffix(&old).expect("the old one is trusted still");
    let after = issue(&Ca::open(&sealed, Purpose::Volumes, &identities).expect("opens"));
    assert!(good(&before.certificate, &old, "node1", 2027) && !good(&before.certificate, new, "node1", 2027));
    assert!(good(&after.certificate, new, "node1", 2027) && !good(&after.certificate, &old, "node1", 2027));
    let again = renew_ca(&mut sealed, Purpose::Volumes, &home(), &recipients, NOW);
    assert!(matches!(again, Err(SecretsError::Rolling { purpose: Purpose::Volumes })));
    sealed.remove(&Purpose::Volumes.secret().previous());
    assert_eq!(trusted(&sealed, Purpose::Volumes), new);
}

#[test]
fn what_was_lost_is_not_made_anew() {
    let (mine, sheet) = (ssh(), Sheet::make());
    let recipients = recipients(&[&mine], &sheet);
    let mut sealed = some(&recipients);
    let before = sealed.clone();
    let refused = ensure_cas(&mut sealed, &home(), &recipients, NOW);
    assert!(matches!(refused, Err(SecretsError::NoCa { purpose: Purpose::Volumes })) && sealed == before);
    // A merge that took the one side's certificate and the other's key.
    let mut one = Sealed::new(cluster());
    ensure_cas(&mut one, &home(), &recipients, NOW).expect("made");
    let certificate = |sealed: &Sealed| trusted(sealed, Purpose::Volumes);
    let old = certificate(&one);
    renew_ca(&mut one, Purpose::Volumes, &home(), &recipients, NOW).expect("made");
    one.remove(&Purpose::Volumes.secret().previous());
    let mixed = one.text().replace(certificate(&one).trim_end(), old.trim_end());
    let mixed = Sealed::parse(&mixed, &cluster()).expect("reads well");
    let error = Ca::open(&mixed, Purpose::Volumes, &identities(&private(&mine))).expect_err("they don't fit");
    assert!(error.to_string().contains("another key"), "{error}");
}

#[test]
fn a_nodes_certificate_is_issued_anew_for_another_ca_and_a_year_before_it_ends() {
    let (mine, sheet) = (ssh(), Sheet::make());
    let (recipients, identities) = (recipients(&[&mine], &sheet), identities(&private(&mine)));
    let (spec, _) =
        stead_spec::parse("minimal.toml", include_bytes!("../../../../../examples/minimal.toml")).expect("good");
    let mut sealed = Sealed::new(cluster());
    ensure_cas(&mut sealed, &home(), &recipients, NOW).expect("made");
    let (leaf, all) = (name("tls/storage/node1"), ["tls/storage/node1".to_owned()]);
    let after = |years: i64| Timestamp(NOW.0 + years * 31_557_600_000);
    let both = [all.clone(), ["tls/machines/node1".to_owned()]].concat();
    let both = missing_leaves(&sealed, &both, NOW).expect("read");
    assert_eq!(
        both,
        [(Purpose::Volumes, vec![leaf.clone()]), (Purpose::Machines, vec![name("tls/machines/node1")])].into()
    );
    let missing = |sealed: &Sealed, now| {
        missing_leaves(sealed, &all, now).expect("read").remove(&Purpose::Volumes).unwrap_or_default()
    };
    assert_eq!(missing(&sealed, NOW), std::slice::from_ref(&leaf));
    let ca = Ca::open(&sealed, Purpose::Volumes, &identities).expect("opens");
    put_leaf(&mut sealed, &ca, &leaf, &spec, &recipients, NOW).expect("sealed");
    assert!(missing(&sealed, NOW).is_empty() && missing(&sealed, after(19)).is_empty());
    assert!(ending_leaves(&sealed, &all, after(19)).expect("read").is_empty());
    let ending = ending_leaves(&sealed, &all, after(20)).expect("read");
    assert_eq!(
        ending.iter().map(|(name, until)| (name, date(*until))).collect::<Vec<_>>(),
        [(&leaf, "2047-01-01".into())]
    );
    assert_eq!(missing(&sealed, after(20)), std::slice::from_ref(&leaf));
    renew_ca(&mut sealed, Purpose::Volumes, &home(), &recipients, NOW).expect("made");
    assert_eq!(missing(&sealed, NOW), [leaf]);
}
