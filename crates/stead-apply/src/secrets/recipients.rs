//! For whom secrets are sealed.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Write;
use std::str::FromStr;

use age::armor::{ArmoredWriter, Format};
use age::secrecy::ExposeSecret;
use stead_spec::Spec;
use stead_spec::units::{AdminName, AgeRecipient, KeyKind, PublicKey};

use super::Secret;
use super::error::SecretsError;
use super::name::SecretName;

/// What tells a key from others: `SHA256:…` of an ssh key, as `ssh-keygen -l` prints it, or a whole age recipient.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Fingerprint(String);

/// Who has a key.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Holder {
    /// An admin.
    Admin(AdminName),
    /// Whoever has the recovery sheet in their hands.
    Sheet,
}

/// All keys that secrets are sealed to.
pub struct Recipients(Vec<Recipient>);

struct Recipient {
    holder: Holder,
    fingerprint: Fingerprint,
    /// What the admin wrote behind the key, to tell it from others.
    comment: String,
    key: Box<dyn age::Recipient>,
}

impl Recipients {
    /// Everybody who the cluster file says may open the secrets: the admins, and the recovery sheet.
    ///
    /// # Errors
    /// There is no sheet yet, or nothing can be sealed to one of the keys.
    pub fn of(spec: &Spec) -> Result<Self, SecretsError> {
        let sheet = spec.cluster().recovery.as_ref().ok_or(SecretsError::NoSheet)?;
        Self::new(spec.admins().values().flat_map(|admin| admin.keys.iter().map(|key| (&admin.name, key))), sheet)
    }

    /// These admins' keys, and this recovery sheet.
    ///
    /// # Errors
    /// Nothing can be sealed to one of the keys.
    pub fn new<'a>(
        admins: impl IntoIterator<Item = (&'a AdminName, &'a PublicKey)>,
        sheet: &AgeRecipient,
    ) -> Result<Self, SecretsError> {
        let mut all = Vec::new();
        for (name, key) in admins {
            all.push(Recipient::new(Holder::Admin(name.clone()), key.as_str(), key.kind(), key.comment())?);
        }
        all.push(Recipient::new(Holder::Sheet, sheet.as_str(), KeyKind::Age, "")?);
        Ok(Self(all))
    }

    /// Their fingerprints.
    pub fn fingerprints(&self) -> BTreeSet<Fingerprint> {
        self.0.iter().map(|recipient| recipient.fingerprint.clone()).collect()
    }

    /// Whose a key is, if it is one of these.
    pub fn holder(&self, fingerprint: &Fingerprint) -> Option<&Holder> {
        self.find(fingerprint).map(|recipient| &recipient.holder)
    }

    /// A key as a person knows it: `me (me@laptop)`, `the recovery sheet`, or its fingerprint if nobody has it.
    pub fn describe(&self, fingerprint: &Fingerprint) -> String {
        match self.find(fingerprint) {
            Some(Recipient { holder, comment, .. }) if comment.is_empty() => holder.to_string(),
            Some(Recipient { holder, comment, .. }) => format!("{holder} ({comment})"),
            None => fingerprint.to_string(),
        }
    }

    fn find(&self, fingerprint: &Fingerprint) -> Option<&Recipient> {
        self.0.iter().find(|recipient| recipient.fingerprint == *fingerprint)
    }
}

impl fmt::Debug for Recipients {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.0.iter().map(|recipient| &recipient.fingerprint)).finish()
    }
}

impl Recipient {
    fn new(holder: Holder, text: &str, kind: KeyKind, comment: &str) -> Result<Self, SecretsError> {
        let unfit = |key: &str, why: &str| SecretsError::Recipient {
            key: key.to_owned(),
            holder: holder.to_string(),
            why: why.to_owned(),
        };
        let fingerprint = Fingerprint::of(text).ok_or_else(|| unfit(text, "it is damaged"))?;
        let key: Box<dyn age::Recipient> = if kind == KeyKind::Age {
            Box::new(text.parse::<age::x25519::Recipient>().map_err(|why| unfit(&fingerprint.0, why))?)
        } else {
            Box::new(text.parse::<age::ssh::Recipient>().map_err(|why| unfit(&fingerprint.0, reason(&why)))?)
        };
        Ok(Self { holder, fingerprint, comment: comment.to_owned(), key })
    }
}

fn reason(error: &age::ssh::ParseRecipientKeyError) -> &str {
    use age::ssh::ParseRecipientKeyError as Error;
    match error {
        Error::RsaModulusTooLarge => "it is an RSA key of more than 4096 bits, which is more than age takes",
        Error::RsaModulusTooSmall => "it is an RSA key of less than 2048 bits",
        _ => "age doesn't know its kind",
    }
}

impl Fingerprint {
    /// Of a public key as OpenSSH or age prints it.
    pub fn of(public: &str) -> Option<Self> {
        if public.starts_with("age1") {
            return public.parse::<AgeRecipient>().ok().map(|recipient| Self(recipient.as_str().to_owned()));
        }
        let key = ssh_key::PublicKey::from_openssh(public).ok()?;
        Some(Self(key.fingerprint(ssh_key::HashAlg::Sha256).to_string()))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for Fingerprint {
    type Err = &'static str;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let ssh = text.strip_prefix("SHA256:").is_some_and(|hash| {
            hash.len() == 43 && hash.chars().all(|c| c.is_ascii_alphanumeric() || c == '+' || c == '/')
        });
        if ssh || text.parse::<AgeRecipient>().is_ok() {
            Ok(Self(text.to_owned()))
        } else {
            Err("that is neither a fingerprint such as SHA256:… nor an age recipient")
        }
    }
}

impl fmt::Display for Fingerprint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Display for Holder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Admin(name) => name.fmt(f),
            Self::Sheet => f.write_str("the recovery sheet"),
        }
    }
}

/// An armoured age record that these open.
pub(super) fn seal(name: &SecretName, secret: &Secret, recipients: &Recipients) -> Result<String, SecretsError> {
    let failed = |why: &dyn fmt::Display| SecretsError::Seal { name: name.clone(), why: why.to_string() };
    let keys = recipients.0.iter().map(|recipient| &*recipient.key);
    let encryptor = age::Encryptor::with_recipients(keys).map_err(|error| failed(&error))?;
    let write = || {
        let armor = ArmoredWriter::wrap_output(Vec::new(), Format::AsciiArmor)?;
        let mut writer = encryptor.wrap_output(armor)?;
        writer.write_all(secret.expose_secret().as_bytes())?;
        writer.finish()?.finish()
    };
    let armored = write().map_err(|error: std::io::Error| failed(&error))?;
    String::from_utf8(armored).map_err(|error| failed(&error))
}
