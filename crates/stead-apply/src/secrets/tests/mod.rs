mod certificates;
mod files;
mod seals;

use camino::Utf8Path;
use p256::elliptic_curve::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};
use stead_plan::inventory::Timestamp;
use stead_spec::units::{AdminName, ClusterId, PublicKey};

use super::*;

const NOW: Timestamp = Timestamp(1_795_360_070_000);

fn cluster() -> ClusterId {
    "035b8a5a-ca4a-4eac-9e81-b8a80f953d02".parse().expect("an id")
}

fn name(text: &str) -> SecretName {
    text.parse().expect("a name")
}

fn stated(text: &str) -> Stated {
    Stated { name: name(text), kind: Kind::DiskKey, made: NOW, certificate: None, sum: None }
}

/// A key that was made just now.
fn ssh() -> PrivateKey {
    PrivateKey::random(&mut OsRng, Algorithm::Ed25519).expect("a key")
}

fn public(key: &PrivateKey) -> PublicKey {
    key.public_key().to_openssh().expect("text").parse().expect("a key for stead")
}

fn private(key: &PrivateKey) -> String {
    key.to_openssh(LineEnding::LF).expect("text").to_string()
}

fn recipients(keys: &[&PrivateKey], sheet: &Sheet) -> Recipients {
    let me: AdminName = "me".parse().expect("a name");
    let keys: Vec<_> = keys.iter().map(|key| public(key)).collect();
    Recipients::new(keys.iter().map(|key| (&me, key)), sheet.recipient()).expect("recipients")
}

fn identities(text: &str) -> Identities {
    let mut identities = Identities::new(Box::new(|_| None));
    identities.add_text(Utf8Path::new("key"), text).expect("a key");
    identities
}

/// Two secrets and an ancestor.
fn some(recipients: &Recipients) -> Sealed {
    let mut sealed = Sealed::new(cluster());
    for (name, secret) in [("disk/node2/b", "two"), ("disk/node1/a", "one")] {
        sealed.put(stated(name), &Secret::from(secret), recipients).expect("sealed");
    }
    let digest = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855".parse().expect("a digest");
    sealed.derive_from(stead_plan::generation::Ancestor { number: 7, digest });
    sealed
}
