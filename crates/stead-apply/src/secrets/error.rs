//! What can go wrong with the sealed secrets, and what to do then.

use camino::Utf8PathBuf;

use super::certificates::Purpose;
use super::name::SecretName;
use super::parse::ParseError;

/// What went wrong with the sealed secrets. No text of a secret is in it.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum SecretsError {
    /// The file is there and can't be read.
    #[error("could not read `{path}`")]
    Read {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A file can't be written; what was there before is there still.
    #[error("could not write `{path}`: it is as it was")]
    Write {
        /// The file.
        path: Utf8PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// The file is there and makes no sense.
    #[error("the sealed secrets in `{path}` can't be read")]
    Bad {
        /// The file.
        path: Utf8PathBuf,
        /// Where and why.
        source: ParseError,
    },
    /// The nodes have sealed secrets, and here are none.
    #[error("there are no sealed secrets here, but nodes of this cluster have some")]
    Lost,
    /// Nothing is sealed before there is a recovery sheet.
    #[error("the cluster has no recovery sheet yet, and nothing is sealed without one")]
    NoSheet,
    /// No such secret.
    #[error("there is no secret `{name}`")]
    NotThere {
        /// The one that was looked for.
        name: SecretName,
    },
    /// None of the keys at hand opens it.
    #[error("none of your keys opens `{name}`: it is sealed for {sealed_for}, and you have {at_hand}")]
    NoneOpens {
        /// The secret.
        name: SecretName,
        /// The keys that open it, for a person.
        sealed_for: String,
        /// The keys that were tried, for a person.
        at_hand: String,
    },
    /// It can't be opened with the right key.
    #[error("the sealed secret `{name}` is damaged: {why}")]
    Damaged {
        /// The secret.
        name: SecretName,
        /// What is wrong with it.
        why: String,
    },
    /// A file that should have a private key.
    #[error("`{path}` has no key that opens sealed secrets: {why}")]
    Identity {
        /// The file.
        path: Utf8PathBuf,
        /// What is wrong with it.
        why: String,
    },
    /// A key's passphrase is wanted, and nobody is there to ask.
    #[error("the key `{path}` has a passphrase, and there is no terminal to ask for it")]
    NobodyToAsk {
        /// The file.
        path: Utf8PathBuf,
    },
    /// The passphrase is not this key's.
    #[error("that is not the passphrase of `{path}`")]
    Passphrase {
        /// The file.
        path: Utf8PathBuf,
    },
    /// A key of the cluster file that nothing can be sealed to.
    #[error("nothing can be sealed to the key {key} of {holder}: {why}")]
    Recipient {
        /// The key's fingerprint.
        key: String,
        /// Whose.
        holder: String,
        /// What is wrong with it.
        why: String,
    },
    /// It could not be sealed.
    #[error("could not seal `{name}`: {why}")]
    Seal {
        /// The secret.
        name: SecretName,
        /// Why.
        why: String,
    },
    /// A CA that should be there by now.
    #[error("the sealed secrets have no CA for {purpose}, though they were applied already")]
    NoCa {
        /// What it would be for.
        purpose: Purpose,
    },
    /// A second change of CAs before the first is through.
    #[error("the CA for {purpose} that was replaced before is still trusted")]
    Rolling {
        /// What it is for.
        purpose: Purpose,
    },
    /// A certificate could not be made or read.
    #[error("the certificate for {what}: {why}")]
    Certificate {
        /// Whose.
        what: String,
        /// What is wrong.
        why: String,
    },
}

impl SecretsError {
    /// What to do next.
    pub fn hint(&self) -> Option<String> {
        let adopt = "fetch it back from a node: `stead adopt ADDRESS`";
        Some(match self {
            Self::Read { .. } | Self::Seal { .. } | Self::Certificate { .. } => return None,
            Self::Write { .. } => "make sure that there is room and that you may write there, and try again".to_owned(),
            Self::Bad { source, .. } => source.remedy.clone(),
            Self::Lost => format!("{adopt}, or take it from your git; a new one would not open what the nodes have"),
            Self::NoSheet => "make one: `stead keys sheet`".to_owned(),
            Self::NotThere { .. } => "`stead keys list` tells which there are".to_owned(),
            Self::NoneOpens { .. } => {
                "name the private key with `--identity FILE`; the recovery sheet's text in a file is one too".to_owned()
            }
            Self::Damaged { .. } => format!("take an older one from your git, or {adopt}"),
            Self::Identity { .. } => {
                "name an OpenSSH private key (ed25519 or RSA), or a file that `age-keygen` wrote".to_owned()
            }
            Self::NobodyToAsk { .. } => "run it in a terminal, or name another key with `--identity FILE`".to_owned(),
            Self::Passphrase { .. } => "try again".to_owned(),
            Self::Recipient { .. } => {
                "write another key in its place in the cluster file: `ssh-keygen -t ed25519` makes one".to_owned()
            }
            Self::NoCa { purpose } => {
                format!(
                    "if it was lost in a merge, take it from your git; else make one: `stead keys revoke --ca {purpose}`"
                )
            }
            Self::Rolling { .. } => {
                "`stead apply` brings the new one to every node and ends that; then do this again".to_owned()
            }
        })
    }
}
