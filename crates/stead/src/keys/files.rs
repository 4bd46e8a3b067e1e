//! The cluster file and the sealed secrets beside it: read together, changed together.

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use stead_apply::secrets::{Recipients, Sealed, SecretName, replace};
use stead_spec::Spec;
use stead_spec::edit::{self, Edit};
use stead_spec::words::count;

use super::Changing;
use crate::cluster_file::{self, ClusterFile};
use crate::identities::IdentityFiles;
use crate::print::Printer;
use crate::{Advised, ask};

/// Both files as they were read.
pub(super) struct Files {
    path: Utf8PathBuf,
    text: String,
    /// The cluster file, parsed.
    pub(super) spec: Spec,
    secrets: Utf8PathBuf,
    /// The sealed secrets, if there are any.
    pub(super) sealed: Option<Sealed>,
}

/// What to make of both files.
pub(super) struct Change {
    /// The cluster file, if it changes.
    text: Option<String>,
    /// What it says then.
    pub(super) spec: Spec,
    /// The sealed secrets, if they change.
    pub(super) sealed: Option<Sealed>,
}

/// Both may be read by whoever may read the user's files; a new secrets file is the user's alone.
const PUBLIC: u32 = 0o644;

impl Files {
    /// Reads both; shows what is wrong with the cluster file.
    ///
    /// # Errors
    /// One can't be read or makes no sense.
    pub(super) fn read(file: &ClusterFile, printer: &mut Printer) -> Result<Self> {
        let path = file.path()?.to_owned();
        let bytes = file.bytes()?;
        let spec = match stead_spec::parse(path.as_str(), &bytes) {
            Ok((spec, _)) => spec,
            Err(report) => {
                cluster_file::show(&report, printer);
                return Err(Advised::new(format!("`{path}` has mistakes"), "mend them first: see above").into());
            }
        };
        let text = String::from_utf8(bytes).with_context(|| format!("`{path}` is no text"))?;
        // `stead.toml` and `stead.secrets`; of two clusters in one folder, each has its own.
        let secrets = path.with_extension("secrets");
        let sealed = Sealed::load(&secrets, &spec.cluster().id)?;
        Ok(Self { path, text, spec, secrets, sealed })
    }

    /// Where the cluster file is.
    pub(super) fn path(&self) -> &Utf8Path {
        &self.path
    }

    /// Where the sealed secrets are, or would be.
    pub(super) fn secrets(&self) -> &Utf8Path {
        &self.secrets
    }

    /// The change that this edit makes in the cluster file.
    ///
    /// # Errors
    /// It can't be made, or the file would be wrong then: shows what.
    pub(super) fn edit(&self, edit: &Edit, printer: &mut Printer) -> Result<Change> {
        let text = edit::apply(&self.text, edit).with_context(|| format!("could not change `{}`", self.path))?.text;
        match stead_spec::parse(self.path.as_str(), text.as_bytes()) {
            Ok((spec, _)) => Ok(Change { text: Some(text), spec, sealed: None }),
            Err(report) => {
                cluster_file::show(&report, printer);
                let what = format!("`{}` would have mistakes then; nothing has changed", self.path);
                Err(Advised::new(what, "see above").into())
            }
        }
    }

    /// The change that leaves the cluster file as it is.
    pub(super) fn unedited(&self) -> Change {
        Change { text: None, spec: self.spec.clone(), sealed: None }
    }

    /// The secrets that would be sealed anew, and for whom.
    ///
    /// # Errors
    /// Nothing can be sealed to somebody whom the changed file names.
    pub(super) fn stale(&self, change: &Change) -> Result<Option<(Vec<SecretName>, Recipients)>> {
        let Some(sealed) = &self.sealed else { return Ok(None) };
        let recipients = Recipients::of(&change.spec)?;
        let stale = sealed.stale(&recipients);
        Ok((!stale.is_empty()).then_some((stale, recipients)))
    }

    /// Says what would be sealed anew.
    pub(super) fn show_stale(&self, stale: Option<&(Vec<SecretName>, Recipients)>, printer: &mut Printer) {
        if let Some((names, recipients)) = stale {
            let mut who: Vec<_> = recipients.fingerprints().iter().map(|key| recipients.describe(key)).collect();
            who.sort();
            let (count, path, who) = (count(names.len(), "secret"), &self.secrets, who.join(", "));
            printer.progress(format_args!("seal {count} of `{path}` anew, for {who}"));
        }
    }

    /// Asks, seals anew what has to be, and writes both files. Whether it was done.
    ///
    /// # Errors
    /// Anything goes wrong; then both files are as they were.
    pub(super) fn carry_out(
        &self,
        mut change: Change,
        stale: Option<(Vec<SecretName>, Recipients)>,
        changing: &Changing,
        printer: &mut Printer,
    ) -> Result<bool> {
        if !changing.yes && !ask::yes("do this?")? {
            printer.progress("nothing has changed");
            return Ok(false);
        }
        self.reseal(&mut change, stale, &changing.identities, printer)?;
        self.write(&change)?;
        Ok(true)
    }

    /// Seals anew, in memory.
    ///
    /// # Errors
    /// A secret can't be opened.
    pub(super) fn reseal(
        &self,
        change: &mut Change,
        stale: Option<(Vec<SecretName>, Recipients)>,
        identities: &IdentityFiles,
        printer: &mut Printer,
    ) -> Result<()> {
        let (Some((_, recipients)), Some(sealed)) = (stale, &self.sealed) else { return Ok(()) };
        let mut identities = identities.load(printer)?;
        identities.know(&recipients);
        let mut sealed = sealed.clone();
        sealed.reseal(&identities, &recipients)?;
        let own = recipients.fingerprints().iter().any(|key| identities.has(key));
        if !own {
            printer.progress("note: none of your keys here will open the secrets from now on");
        }
        change.sealed = Some(sealed);
        Ok(())
    }

    /// Writes what changes: the secrets first, and these as they were if the cluster file can't be written.
    ///
    /// # Errors
    /// One can't be written, or somebody has changed the files meanwhile; then both are as they were.
    pub(super) fn write(&self, change: &Change) -> Result<()> {
        self.unchanged()?;
        if let Some(sealed) = &change.sealed {
            sealed.save(&self.secrets)?;
        }
        let Some(text) = &change.text else { return Ok(()) };
        let written = replace(&self.path, text.as_bytes(), PUBLIC);
        if written.is_err() && change.sealed.is_some() {
            let restored = match &self.sealed {
                Some(before) => before.save(&self.secrets),
                None => std::fs::remove_file(&self.secrets)
                    .map_err(|source| stead_apply::secrets::SecretsError::Write { path: self.secrets.clone(), source }),
            };
            restored.with_context(|| format!("`{}` is sealed for others than `{}` says", self.secrets, self.path))?;
        }
        Ok(written?)
    }

    fn unchanged(&self) -> Result<()> {
        let text = std::fs::read(&self.path).with_context(|| format!("could not read `{}` again", self.path))?;
        let sealed = Sealed::load(&self.secrets, &self.spec.cluster().id)?;
        if text != self.text.as_bytes() || sealed != self.sealed {
            let what = format!("`{}` or `{}` was changed by somebody else meanwhile", self.path, self.secrets);
            return Err(Advised::new(what, "do this again").into());
        }
        Ok(())
    }
}
