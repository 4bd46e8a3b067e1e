use std::fs::OpenOptions;
use std::io::{IsTerminal, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::process::ExitCode;

use anyhow::{Context, Result};
use camino::{Utf8Path, Utf8PathBuf};
use clap::Args;
use stead_apply::secrets::{self, ExposeSecret};
use stead_spec::edit::{Edit, KeyPath};

use super::files::Files;
use crate::cluster::now;
use crate::cluster_file::ClusterFile;
use crate::identities::IdentityFiles;
use crate::print::Printer;
use crate::{Advised, ask};

#[derive(Debug, Args)]
pub(super) struct Sheet {
    /// Write the sheet to this new file, to be printed, instead of showing it.
    #[arg(long, value_name = "FILE")]
    out: Option<Utf8PathBuf>,
    /// Make another one in place of the one that the cluster has.
    #[arg(long)]
    replace: bool,
    #[command(flatten)]
    file: ClusterFile,
    #[command(flatten)]
    identities: IdentityFiles,
}

/// So often a person may mistype.
const TRIES: usize = 3;

pub(super) fn run(arguments: &Sheet, printer: &mut Printer) -> Result<ExitCode> {
    let files = Files::read(&arguments.file, printer)?;
    let cluster = files.spec.cluster();
    if let Some(recipient) = cluster.recovery.as_ref().filter(|_| !arguments.replace) {
        let what = format!("the cluster has a recovery sheet already, with {recipient} on it");
        return Err(
            Advised::new(what, "if it is lost or was seen, make another one: `stead keys sheet --replace`").into()
        );
    }
    let sheet = secrets::Sheet::make();
    let path = KeyPath::new(["cluster", "recovery"]);
    let mut change = files.edit(&Edit::Set { path, value: sheet.recipient().as_str().into() }, printer)?;
    let stale = files.stale(&change)?;
    // Before somebody prints it: a sheet that opens nothing is worse than none.
    files.reseal(&mut change, stale, &arguments.identities, printer)?;
    let shown = show(&sheet, &files, arguments.out.as_deref(), printer)?;
    if !typed_back(&sheet, printer)? {
        drop(shown);
        let next = "begin again: `stead keys sheet`; throw away what you printed";
        return Err(Advised::new("that is not how the key ends; nothing has changed", next).into());
    }
    files.write(&change)?;
    shown.keep();
    printer.progress(format_args!("done: `{}` has it as `cluster.recovery`", files.path()));
    match &arguments.out {
        Some(out) => printer.progress(format_args!("once it is printed twice, remove the file: `shred -u {out}`")),
        None => printer.progress("once it is printed twice, clear this terminal: `clear`"),
    }
    Ok(ExitCode::SUCCESS)
}

/// A file that goes away unless it is kept.
struct Shown(Option<Utf8PathBuf>);

impl Shown {
    fn keep(mut self) {
        self.0 = None;
    }
}

impl Drop for Shown {
    fn drop(&mut self) {
        if let Some(path) = &self.0 {
            // Then it is a sheet that opens nothing.
            let _ = std::fs::remove_file(path);
        }
    }
}

fn show(sheet: &secrets::Sheet, files: &Files, out: Option<&Utf8Path>, printer: &mut Printer) -> Result<Shown> {
    let cluster = files.spec.cluster();
    if let Some(out) = out {
        let mut file = OpenOptions::new()
            .write(true)
            .create_new(true)
            .mode(0o600)
            .open(out)
            .with_context(|| format!("could not make the file `{out}`"))?;
        let shown = Shown(Some(out.to_owned()));
        let text = sheet.text(cluster, now(), false);
        file.write_all(text.expose_secret().as_bytes()).with_context(|| format!("could not write `{out}`"))?;
        printer.progress(format_args!("the recovery sheet is in `{out}`: print it twice"));
        return Ok(shown);
    }
    if !std::io::stdout().is_terminal() {
        return Err(ask::Nobody::new(
            "here is no terminal to show the sheet in",
            "run it in a terminal, or write the sheet to a file: `--out FILE`",
        )
        .into());
    }
    let text = sheet.text(cluster, now(), true);
    for line in text.expose_secret().lines() {
        if printer.colored() && line.contains(['█', '▀', '▄']) {
            // Light on dark, whatever the terminal's own colours are.
            printer.line(format_args!("\x1b[97;40m{line}\x1b[0m"));
        } else {
            printer.line(line);
        }
    }
    Ok(Shown(None))
}

fn typed_back(sheet: &secrets::Sheet, printer: &mut Printer) -> Result<bool> {
    let question = format!(
        "type the last {} characters of the key that begins with AGE-SECRET-KEY-1, from the paper",
        secrets::Sheet::typed()
    );
    for left in (0..TRIES).rev() {
        if sheet.confirmed_by(&ask::text(&question)?) {
            return Ok(true);
        }
        if left > 0 {
            printer.progress("that is not how it ends");
        }
    }
    Ok(false)
}
