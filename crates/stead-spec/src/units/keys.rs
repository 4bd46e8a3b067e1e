use std::fmt;
use std::str::FromStr;

use bech32::primitives::decode::CheckedHrpstring;
use bech32::{Bech32, Hrp};

use crate::diagnostic::secret;

use super::{Invalid, Text, string_type, text_serde};

/// An admin's public key: an OpenSSH key, to log in with and to encrypt to, or an age recipient, to encrypt to.
///
/// `"ssh-ed25519 AAAA… me@laptop"` or `"ssh-rsa AAAA…"` of 2048 to 4096 bits, the kinds of SSH keys that age encrypts
/// to; or `"age1…"`. Printed with single spaces.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PublicKey {
    kind: KeyKind,
    /// In its canonical form.
    text: String,
}

/// What kind a [`PublicKey`] is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum KeyKind {
    /// An OpenSSH key by the curve Ed25519.
    SshEd25519,
    /// An OpenSSH key by RSA.
    SshRsa,
    /// A recipient of age.
    Age,
}

const ED25519: &str = "ssh-ed25519";
const RSA: &str = "ssh-rsa";
/// age encrypts to no shorter RSA keys.
const RSA_LEAST: usize = 2048;
/// Nor to longer ones: the Rust age seals with the crate rsa (`RsaPublicKey::MAX_SIZE`).
const RSA_MOST: usize = 4096;

impl PublicKey {
    /// What kind of key it is.
    pub const fn kind(&self) -> KeyKind {
        self.kind
    }

    /// Whether one can log in with it, and not just read what is encrypted.
    pub fn logs_in(&self) -> bool {
        self.kind != KeyKind::Age
    }

    /// The whole text: kind, key and comment, or `age1…`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// What follows the key, empty if nothing does.
    pub fn comment(&self) -> &str {
        self.text.splitn(3, ' ').nth(2).unwrap_or_default()
    }

    /// Whether it is the same key, whatever the comments say.
    pub fn same_key(&self, other: &Self) -> bool {
        self.text.splitn(3, ' ').take(2).eq(other.text.splitn(3, ' ').take(2))
    }
}

impl Text for PublicKey {
    const WHAT: &'static str = "a public key";
    const SYNTAX: &'static str = "An OpenSSH public key, ssh-ed25519 or ssh-rsa, in one line; or an age recipient.";
    const EXAMPLE: &'static str =
        "ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAIHw9biqsQEUN3YsyNyYiLAUxngTiPdEwk+sriffTFIzF me@laptop";
    const PATTERN: &'static str =
        "^[ \\t\\r\\n]*(age1[a-z0-9]+|(ssh-ed25519|ssh-rsa)[ \\t]+[A-Za-z0-9+/]+={0,3}([ \\t].*)?)[ \\t\\r\\n]*$";
}

impl FromStr for PublicKey {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write the whole line of a file such as id_ed25519.pub, or an age recipient";
        no_secret(text)?;
        // What an editor or a text of several lines puts around a line that was pasted.
        let text = text.trim_matches([' ', '\t', '\r', '\n']);
        if text.is_empty() {
            return Err(Invalid::new("it is empty", how));
        }
        if text.starts_with("-----BEGIN") || text.starts_with("---- BEGIN") {
            let remedy = "write what `ssh-keygen -i -f FILE` makes of it (`-m PKCS8` for a key in PEM)";
            return Err(Invalid::new("that is a public key in another format than OpenSSH's", remedy));
        }
        if text.contains(['\r', '\n']) {
            return Err(Invalid::new("that is more than one line", "write each key as a text of its own"));
        }
        if text.contains(|c: char| c.is_control() && c != '\t') {
            return Err(Invalid::new("it has control characters in it", how));
        }
        if text.get(..4).is_some_and(|start| start.eq_ignore_ascii_case("age1")) {
            let AgeRecipient(text) = text.parse()?;
            return Ok(Self { kind: KeyKind::Age, text });
        }
        let mut fields = text.splitn(2, [' ', '\t']);
        let (kind, rest) = (fields.next().unwrap_or_default(), fields.next().unwrap_or_default());
        let kind = known_kind(kind, text)?;
        let rest = rest.trim_start_matches([' ', '\t']);
        let (data, comment) = rest.split_once([' ', '\t']).unwrap_or((rest, ""));
        let comment = comment.trim_start_matches([' ', '\t']);
        let key = ssh_key(kind, data)?;
        Ok(Self { kind, text: if comment.is_empty() { key } else { format!("{key} {comment}") } })
    }
}

/// A private key is told before all else, and never repeated.
fn no_secret(text: &str) -> Result<(), Invalid> {
    if !secret::is_in(text) {
        return Ok(());
    }
    Err(Invalid::new(
        "that is a PRIVATE key",
        "take it out of the file and write the public key; if the file was ever shared, treat the key as stolen",
    ))
}

/// The kind that the first word of `text` names, or why it isn't one.
fn known_kind(word: &str, text: &str) -> Result<KeyKind, Invalid> {
    let another = "write another key of yours, or make one: `ssh-keygen -t ed25519`";
    let invalid = |reason: &str| Err(Invalid::new(reason, another));
    match word {
        ED25519 => return Ok(KeyKind::SshEd25519),
        RSA => return Ok(KeyKind::SshRsa),
        "ssh-dss" | "ssh-dsa" => return invalid("DSA keys are broken, and OpenSSH refuses them"),
        _ if word.contains("-cert-v0") => {
            return Err(Invalid::new("that is a certificate, not a key", "write the public key that it was made of"));
        }
        _ if word.starts_with("ecdsa-") => return invalid("age can't encrypt to ECDSA keys"),
        _ if word.starts_with("sk-") => return invalid("age can't encrypt to keys that live in a security token"),
        _ => {}
    }
    let one_word = !text.contains([' ', '\t']);
    if text.starts_with(['~', '/', '.', '$']) || (one_word && text.rsplit('.').next() == Some("pub")) {
        return Err(Invalid::new("that is a file, not a key", "paste what is in the file"));
    }
    if word.starts_with("AAAA") {
        return Err(Invalid::new("the kind of key is missing", "write ssh-ed25519 or ssh-rsa and a space in front"));
    }
    let is_kind =
        |word: &str| ["ssh-", "ecdsa-sha2-", "sk-ssh-", "sk-ecdsa-"].iter().any(|kind| word.starts_with(kind));
    match text.split([' ', '\t']).skip(1).find(|word| is_kind(word)) {
        Some(kind) => {
            let reason = "there are options before the key, which stead doesn't take over";
            let shown = [ED25519, RSA].into_iter().find(|known| *known == kind).unwrap_or("ssh-ed25519 or ssh-rsa");
            Err(Invalid::new(reason, format!("leave out what is before {shown}")))
        }
        None if is_kind(word) => invalid("stead doesn't know that kind of SSH key"),
        None => Err(Invalid::new(
            "that is no public key",
            "write the line of a file such as id_ed25519.pub, which begins with ssh-ed25519 or ssh-rsa, or age1…",
        )),
    }
}

/// Kind and base64 of an SSH key, as OpenSSH prints them.
fn ssh_key(kind: KeyKind, data: &str) -> Result<String, Invalid> {
    let whole = "paste the whole line again";
    let name = if kind == KeyKind::SshRsa { RSA } else { ED25519 };
    if data.is_empty() {
        return Err(Invalid::new("the key itself is missing", whole));
    }
    let damaged = || Invalid::new("the key is cut off or damaged", whole);
    let key = ssh_key::PublicKey::from_openssh(&format!("{name} {data}")).map_err(|_| damaged())?;
    let canonical = key.to_openssh().map_err(|_| damaged())?;
    if let Some(rsa) = key.key_data().rsa() {
        let modulus = rsa.n.as_positive_bytes().ok_or_else(damaged)?;
        let unused = modulus.first().map_or(0, |first| first.leading_zeros() as usize);
        let bits = modulus.len() * 8 - unused;
        let another = "write another key of yours, or make one: `ssh-keygen -t ed25519`";
        if bits < RSA_LEAST {
            return Err(Invalid::new(format!("the key has {bits} bits, less than {RSA_LEAST}"), another));
        }
        if bits > RSA_MOST {
            return Err(Invalid::new(format!("the key has {bits} bits, more than {RSA_MOST}"), another));
        }
    }
    Ok(canonical.trim_end().to_owned())
}

impl fmt::Display for PublicKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

/// A recipient of age: `"age1…"`, what `age-keygen -y` prints.
///
/// An X25519 key in Bech32 (age's specification: age-encryption.org/v1), in lower case. Recipients of plugins, and of
/// hardware behind them, are none that every node can encrypt to.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct AgeRecipient(String);

const AGE: &str = "age";
const X25519: usize = 32;

impl Text for AgeRecipient {
    const WHAT: &'static str = "an age recipient";
    const SYNTAX: &'static str = "age1 and 58 characters, as `age-keygen` prints them.";
    const EXAMPLE: &'static str = "age1z9u2flptrfzr6fy44aqa8rsgd7hjc252qdgsze96djqxrkzfq9uq28lqgy";
    const PATTERN: &'static str = "^age1[a-z0-9]{58}$";
}

impl FromStr for AgeRecipient {
    type Err = Invalid;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let how = "write the line that `age-keygen -y` prints, which begins with age1";
        no_secret(text)?;
        if text.contains(char::is_whitespace) {
            return Err(Invalid::new("something stands around it", "write what begins with age1 by itself"));
        }
        if text.contains(|c: char| c.is_ascii_uppercase()) {
            let lower = text.to_ascii_lowercase();
            let remedy = if lower.parse::<Self>().is_ok() { format!("write {lower}") } else { how.to_owned() };
            return Err(Invalid::new("age recipients have lower-case letters", remedy));
        }
        let Some(rest) = text.strip_prefix("age1") else {
            return Err(Invalid::new("that is no age recipient", how));
        };
        if rest.starts_with("pq1") {
            let reason = "that is a post-quantum key, which the age of Debian 12 and 13 doesn't know yet";
            return Err(Invalid::new(reason, "write a recipient that `age-keygen` makes without options"));
        }
        if rest.contains('1') {
            let reason = "that is a plugin's recipient, and nodes have no plugins of age";
            return Err(Invalid::new(reason, "write a recipient that `age-keygen` makes"));
        }
        let damaged = || Invalid::new("it is cut off or mistyped: its checksum is wrong", how);
        let checked = CheckedHrpstring::new::<Bech32>(text).map_err(|_| damaged())?;
        let (hrp, key): (Hrp, Vec<u8>) = (checked.hrp(), checked.byte_iter().collect());
        // The bits that the last character has to spare are zero: encoding again tells.
        let again = bech32::encode::<Bech32>(hrp, &key).map_err(|_| damaged())?;
        if hrp.as_str() != AGE || key.len() != X25519 || again != text {
            return Err(damaged());
        }
        Ok(Self(text.to_owned()))
    }
}

string_type!(AgeRecipient);
text_serde!(PublicKey);

#[cfg(test)]
mod tests;
