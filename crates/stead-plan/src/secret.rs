//! Secrets in texts: a plan has their names and sums, and they themselves are put in on the way to a node. What a node
//! tells of such a text has sums in their place again, so that both can be compared.
//!
//! A sum gives nothing away: what stead makes has 80 random bits.

use std::fmt;

use serde::{Deserialize, Serialize};
use stead_spec::units::{NodeName, Sha256};

use crate::inventory::sha256;
use crate::network::routing::BEFORE_KEY;

/// A secret that a text wants.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct SecretRef {
    /// Its name in the sealed secrets: `core/ospf`.
    pub name: String,
    /// Its sum.
    pub sha256: Sha256,
}

/// A secret's place in a text: `‹secret 9f86d081884c›`.
struct Mark<'a>(&'a Sha256);

/// How many of a sum's digits a mark has.
const DIGITS: usize = 12;

impl fmt::Display for Mark<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "‹secret {:.DIGITS$}›", self.0.to_string())
    }
}

impl fmt::Display for SecretRef {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        Mark(&self.sha256).fmt(f)
    }
}

impl SecretRef {
    /// A text with the secret in its place.
    pub fn put_into(&self, text: &str, secret: &str) -> String {
        text.replace(&self.to_string(), secret)
    }
}

/// The name of a node's certificate with its key, among the sealed secrets, by what it is for: `tls/storage/node1`.
pub fn certificate(purpose: &str, node: &NodeName) -> String {
    format!("{}{node}", certificates_for(purpose))
}

/// What the names of all nodes' certificates for this begin with.
pub fn certificates_for(purpose: &str) -> String {
    format!("tls/{purpose}/")
}

/// A text with a mark in place of each word that comes after these words in a line.
pub fn masked(text: &str, after: &str) -> String {
    text.split_inclusive('\n').map(|line| masked_line(line, after)).collect()
}

/// What a tool said, without the secrets that tools print.
pub fn without_secrets(text: &str) -> String {
    masked(text, BEFORE_KEY)
}

fn masked_line(line: &str, after: &str) -> String {
    let Some((before, rest)) = line.split_once(after) else { return line.to_owned() };
    let end = rest.find(char::is_whitespace).unwrap_or(rest.len());
    let (secret, rest) = rest.split_at(end);
    // What is marked already has no secret.
    let marked = secret.starts_with('‹');
    if marked { line.to_owned() } else { format!("{before}{after}{}{rest}", Mark(&sha256(secret))) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_put_in_is_masked_again() {
        let secret = SecretRef { name: "core/ospf".to_owned(), sha256: sha256("abc") };
        let text = format!("interface core1\n key md5 {secret}\n end\n key md5 {secret}");
        assert!(text.contains(" key md5 ‹secret ba7816bf8f01›\n"), "{text}");
        let clear = secret.put_into(&text, "abc");
        assert_eq!(clear, "interface core1\n key md5 abc\n end\n key md5 abc");
        assert_eq!(masked(&clear, "key md5 "), text);
        assert_eq!(masked(&text, "key md5 "), text);
    }

    #[test]
    fn another_secret_has_another_mark() {
        assert_ne!(masked("key md5 abd\n", "md5 "), masked("key md5 abc\n", "md5 "));
        assert_eq!(masked("nothing here\n", "md5 "), "nothing here\n");
    }
}
