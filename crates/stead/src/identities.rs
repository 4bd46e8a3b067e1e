//! The private keys of whoever runs stead, which open the sealed secrets.

use anyhow::Result;
use camino::Utf8PathBuf;
use clap::Args;
use stead_apply::secrets::{Identities, SecretsError};

use crate::print::Printer;
use crate::{Advised, ask};

/// Where the keys are that open sealed secrets.
#[derive(Clone, Debug, Args)]
pub(crate) struct IdentityFiles {
    /// A private key that opens the sealed secrets, of OpenSSH or age; may be given several times [default: what is there
    /// of `~/.ssh/id_ed25519`, `~/.ssh/id_rsa` and `~/.config/stead/identity.txt`]
    #[arg(long = "identity", value_name = "FILE", env = "STEAD_IDENTITY")]
    files: Vec<Utf8PathBuf>,
}

/// Where keys usually are, below the home.
const USUAL: [&str; 3] = [".ssh/id_ed25519", ".ssh/id_rsa", ".config/stead/identity.txt"];

impl IdentityFiles {
    /// Reads them. No passphrase is asked for yet.
    ///
    /// # Errors
    /// One that was named can't be used, or there is none.
    pub(crate) fn load(&self, printer: &mut Printer) -> Result<Identities> {
        let mut identities = Identities::new(Box::new(ask::passphrase));
        for path in &self.files {
            identities.add(path)?;
        }
        if !self.files.is_empty() {
            return Ok(identities);
        }
        let home = std::env::home_dir().and_then(|home| Utf8PathBuf::from_path_buf(home).ok());
        for path in USUAL.iter().filter_map(|path| Some(home.as_ref()?.join(path))) {
            match identities.add(&path) {
                Err(SecretsError::Read { source, .. }) if source.kind() == std::io::ErrorKind::NotFound => {}
                Err(error) => printer.progress(format_args!("left out: {error}")),
                Ok(()) => {}
            }
        }
        if identities.is_empty() {
            let next = "name your private key with `--identity FILE`, or the environment's STEAD_IDENTITY";
            return Err(Advised::new("there is no private key at hand that could open the sealed secrets", next).into());
        }
        Ok(identities)
    }
}
