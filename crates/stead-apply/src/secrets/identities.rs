//! The private keys that open secrets.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::fmt;
use std::fs::File;
use std::io::Read;

use age::armor::ArmoredReader;
use camino::{Utf8Path, Utf8PathBuf};
use zeroize::Zeroizing;

use super::Secret;
use super::error::SecretsError;
use super::file::Record;
use super::recipients::{Fingerprint, Recipients};
use super::sheet::HEADING;

/// Asks for the passphrase of the key in this file; `None` where nobody is there to ask.
pub type Unlock = Box<dyn Fn(&Utf8Path) -> Option<Secret>>;

/// Private keys at hand. A passphrase is asked for when its key is needed, and once.
pub struct Identities {
    keys: Vec<Key>,
    unlock: Unlock,
    /// What people call keys, for errors.
    known: BTreeMap<Fingerprint, String>,
}

struct Key {
    path: Utf8PathBuf,
    fingerprint: Fingerprint,
    lock: RefCell<Lock>,
}

enum Lock {
    Open(Box<dyn age::Identity>),
    Closed(age::ssh::Identity),
}

/// No private key is longer.
const LARGEST: u64 = 1 << 20;

impl Identities {
    /// None yet; `unlock` asks for passphrases.
    pub fn new(unlock: Unlock) -> Self {
        Self { keys: Vec::new(), unlock, known: BTreeMap::new() }
    }

    /// Adds the keys in a file: an OpenSSH private key, what `age-keygen` writes, or the text of a recovery sheet.
    ///
    /// # Errors
    /// The file can't be read, or has no such key.
    pub fn add(&mut self, path: &Utf8Path) -> Result<(), SecretsError> {
        // Never more than this grows: no copies of the key are left in memory.
        let mut text = Zeroizing::new(String::with_capacity(usize::try_from(LARGEST).unwrap_or_default()));
        let read = File::open(path).and_then(|file| file.take(LARGEST).read_to_string(&mut text));
        match read {
            Ok(_) => self.add_text(path, &text),
            Err(error) if error.kind() == std::io::ErrorKind::InvalidData => Err(unfit(path, "it is no text")),
            Err(source) => Err(SecretsError::Read { path: path.to_owned(), source }),
        }
    }

    /// Adds the keys of such a file's text; `path` is what they are called.
    ///
    /// # Errors
    /// There is no such key in it.
    pub fn add_text(&mut self, path: &Utf8Path, text: &str) -> Result<(), SecretsError> {
        let start = text.trim_start();
        if start.starts_with("ssh-") || start.starts_with("age1") {
            return Err(unfit(path, "that is a public key, and the private one opens"));
        }
        if start.starts_with("age-encryption.org/") || start.starts_with("-----BEGIN AGE ENCRYPTED FILE") {
            return Err(unfit(path, "it is sealed itself: open it with `age -d` first"));
        }
        if start.starts_with("-----BEGIN") {
            return self.add_ssh(path, text);
        }
        let is_sheet = start.starts_with(HEADING);
        let is_key = |line: &&str| {
            if is_sheet { line.starts_with("AGE-SECRET-KEY-") } else { !line.is_empty() && !line.starts_with('#') }
        };
        let lines = text.lines().map(str::trim).filter(is_key);
        let mut found = Vec::new();
        for line in lines {
            // No line of it is repeated: it may be a key with a typing error.
            let line = Zeroizing::new(line.to_ascii_uppercase());
            let identity: age::x25519::Identity =
                line.parse().map_err(|_| unfit(path, "a line of it is no key of age, or mistyped"))?;
            let fingerprint = Fingerprint::of(&identity.to_public().to_string());
            let fingerprint = fingerprint.ok_or_else(|| unfit(path, "its public key makes no sense"))?;
            let lock = RefCell::new(Lock::Open(Box::new(identity)));
            found.push(Key { path: path.to_owned(), fingerprint, lock });
        }
        if found.is_empty() {
            return Err(unfit(path, "no key is in it"));
        }
        self.keys.extend(found);
        Ok(())
    }

    fn add_ssh(&mut self, path: &Utf8Path, text: &str) -> Result<(), SecretsError> {
        let identity = age::ssh::Identity::from_buffer(text.as_bytes(), Some(path.to_string()))
            .map_err(|_| unfit(path, "it is no OpenSSH private key of a kind that age takes, or it is damaged"))?;
        if let age::ssh::Identity::Unsupported(key) = &identity {
            return Err(unfit(path, unsupported(key)));
        }
        let public = age::ssh::Recipient::try_from(identity.clone()).ok();
        let fingerprint = public.and_then(|public| Fingerprint::of(&public.to_string()));
        let fingerprint = fingerprint.ok_or_else(|| unfit(path, "nothing can be sealed to it: see its size"))?;
        let lock = match identity {
            age::ssh::Identity::Encrypted(_) => Lock::Closed(identity),
            open => Lock::Open(Box::new(open)),
        };
        self.keys.push(Key { path: path.to_owned(), fingerprint, lock: RefCell::new(lock) });
        Ok(())
    }

    /// Lets errors call keys what people call them.
    pub fn know(&mut self, recipients: &Recipients) {
        self.known.extend(recipients.fingerprints().into_iter().map(|key| (key.clone(), recipients.describe(&key))));
    }

    /// Whether there is no key at all.
    pub fn is_empty(&self) -> bool {
        self.keys.is_empty()
    }

    /// Whether one of these is the key of that fingerprint.
    pub fn has(&self, fingerprint: &Fingerprint) -> bool {
        self.keys.iter().any(|key| key.fingerprint == *fingerprint)
    }

    /// The secret of a record.
    pub(super) fn open(&self, record: &Record) -> Result<Secret, SecretsError> {
        let damaged =
            |why: &dyn fmt::Display| SecretsError::Damaged { name: record.name().clone(), why: why.to_string() };
        let named = |key: &&Key| record.sealed_for().contains(&key.fingerprint);
        // What the file says in clear may be wrong, so that keys are tried which it doesn't name; but no passphrases are
        // asked for on that account.
        let open = |key: &&Key| !named(key) && matches!(&*key.lock.borrow(), Lock::Open(_));
        let fitting = self.keys.iter().filter(named).chain(self.keys.iter().filter(open));
        let mut locked = None;
        for key in fitting {
            // A key that can't be unlocked may have an open one beside it.
            if let Err(error) = self.unlock(key) {
                locked.get_or_insert(error);
                continue;
            }
            let lock = key.lock.borrow();
            let Lock::Open(identity) = &*lock else { continue };
            let decryptor = age::Decryptor::new_buffered(ArmoredReader::new(record.armor.as_bytes()));
            let decryptor = decryptor.map_err(|error| damaged(&error))?;
            let mut reader = match decryptor.decrypt(std::iter::once(&**identity)) {
                Ok(reader) => reader,
                // The file's own words about it were wrong.
                Err(age::DecryptError::NoMatchingKeys) => continue,
                Err(error) => return Err(damaged(&error)),
            };
            // Armour is longer than what is in it: the text never moves, so no copies are left in memory.
            let mut text = Zeroizing::new(String::with_capacity(record.armor.len()));
            reader.read_to_string(&mut text).map_err(|error| damaged(&error))?;
            return Ok(Secret::from(text.as_str()));
        }
        Err(locked.unwrap_or_else(|| SecretsError::NoneOpens {
            name: record.name().clone(),
            sealed_for: self.sealed_for(record),
            at_hand: self.at_hand(),
        }))
    }

    fn unlock(&self, key: &Key) -> Result<(), SecretsError> {
        let opened = match &*key.lock.borrow() {
            Lock::Closed(age::ssh::Identity::Encrypted(closed)) => {
                let path = || key.path.clone();
                let passphrase = (self.unlock)(&key.path).ok_or_else(|| SecretsError::NobodyToAsk { path: path() })?;
                closed.decrypt(passphrase).map_err(|_| SecretsError::Passphrase { path: path() })?
            }
            _ => return Ok(()),
        };
        *key.lock.borrow_mut() = Lock::Open(Box::new(age::ssh::Identity::from(opened)));
        Ok(())
    }

    fn sealed_for(&self, record: &Record) -> String {
        let mut who: Vec<_> = record.sealed_for().iter().map(|key| self.call(key)).collect();
        who.sort();
        who.join(", ")
    }

    fn at_hand(&self) -> String {
        if self.keys.is_empty() {
            return "none".to_owned();
        }
        let each = self.keys.iter().map(|key| format!("{} in `{}`", self.call(&key.fingerprint), key.path));
        each.collect::<Vec<_>>().join(", ")
    }

    fn call(&self, key: &Fingerprint) -> String {
        self.known.get(key).cloned().unwrap_or_else(|| key.to_string())
    }
}

impl fmt::Debug for Identities {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_list().entries(self.keys.iter().map(|key| &key.path)).finish()
    }
}

fn unfit(path: &Utf8Path, why: impl Into<String>) -> SecretsError {
    SecretsError::Identity { path: path.to_owned(), why: why.into() }
}

fn unsupported(key: &age::ssh::UnsupportedKey) -> String {
    use age::ssh::UnsupportedKey as Key;
    match key {
        Key::EncryptedPem => "it has a passphrase in an old format: `ssh-keygen -p -f FILE` rewrites it".to_owned(),
        Key::EncryptedSsh(cipher) => {
            format!("it is encrypted by {cipher}, which age doesn't know: `ssh-keygen -p -f FILE` rewrites it")
        }
        Key::Hardware(kind) | Key::Type(kind) => format!("it is of the kind {kind}, which age can't open with"),
    }
}
