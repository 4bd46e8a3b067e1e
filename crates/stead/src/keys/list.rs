use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::{Value, json};
use stead_apply::secrets::{
    CertificateFacts, Fingerprint, Purpose, Recipients, Record, SecretName, date, facts, rfc3339,
};
use stead_spec::words::count;

use super::files::Files;
use crate::cluster_file::ClusterFile;
use crate::print::{Printer, Tone};

#[derive(Debug, Args)]
pub(super) struct List {
    #[command(flatten)]
    file: ClusterFile,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Not all is as the file says.
const DIFFERS: u8 = 2;

pub(super) fn run(arguments: &List, printer: &mut Printer) -> Result<ExitCode> {
    let files = Files::read(&arguments.file, printer)?;
    // Without a sheet nothing is sealed; should there be something all the same, it isn't sealed as it should be.
    let recipients = files.spec.cluster().recovery.as_ref().map(|_| Recipients::of(&files.spec)).transpose()?;
    let records = files.sealed.as_ref().map(stead_apply::secrets::Sealed::records).unwrap_or_default();
    let stale = match (&files.sealed, &recipients) {
        (Some(sealed), Some(recipients)) => sealed.stale(recipients),
        _ => records.iter().map(|record| record.name().clone()).collect(),
    };
    if arguments.json {
        let each: Result<Vec<_>> = records.iter().map(|record| as_json(record, recipients.as_ref(), &stale)).collect();
        let all = json!({
            "schema_version": 1,
            "cluster": files.spec.cluster().id,
            "recovery": files.spec.cluster().recovery,
            "secrets": each?,
        });
        printer.line(serde_json::to_string_pretty(&all)?);
    } else {
        let sheet = if recipients.is_some() {
            "the recovery sheet is made"
        } else {
            "no recovery sheet yet: `stead keys sheet`"
        };
        printer.line(format_args!("{}: {}; {sheet}", files.secrets(), count(records.len(), "secret")));
        for record in records {
            show(record, recipients.as_ref(), stale.contains(record.name()), printer)?;
        }
        if !stale.is_empty() {
            let warning = printer.tone(Tone::Bad, "not sealed to exactly those whom the cluster file names");
            printer.line(format_args!("\n{} {warning}: `stead keys reseal`", count(stale.len(), "secret")));
        }
    }
    Ok(if stale.is_empty() { ExitCode::SUCCESS } else { ExitCode::from(DIFFERS) })
}

fn show(record: &Record, recipients: Option<&Recipients>, stale: bool, printer: &mut Printer) -> Result<()> {
    let stated = record.stated();
    let mark = if stale { printer.tone(Tone::Bad, " (reseal)") } else { String::new() };
    printer.line(format_args!("\n{}{mark}\n  {}, made {}", stated.name, stated.kind, date(stated.made)));
    if let Some((CertificateFacts { subject, until, .. }, purpose)) = certificate(record)? {
        let purpose = purpose.map(|purpose| format!(" for {purpose}")).unwrap_or_default();
        printer.line(format_args!("  certificate{purpose} valid until {}: {subject}", date(until)));
    }
    let mut who: Vec<_> = record.sealed_for().iter().map(|key| called(key, recipients)).collect();
    who.sort();
    printer.line(format_args!("  opened by {}", who.join(", ")));
    Ok(())
}

/// What a CA's certificate says, and what it is for.
fn certificate(record: &Record) -> Result<Option<(CertificateFacts, Option<Purpose>)>> {
    let Some(pem) = &record.stated().certificate else { return Ok(None) };
    let is = |purpose: &Purpose| [purpose.secret(), purpose.secret().previous()].contains(record.name());
    Ok(Some((facts(record.name(), pem)?, Purpose::ALL.into_iter().find(is))))
}

fn called(key: &Fingerprint, recipients: Option<&Recipients>) -> String {
    match recipients {
        Some(recipients) if recipients.holder(key).is_some() => recipients.describe(key),
        _ => format!("{key} (nobody's in the cluster file)"),
    }
}

fn as_json(record: &Record, recipients: Option<&Recipients>, stale: &[SecretName]) -> Result<Value> {
    let who = |key: &Fingerprint| recipients.and_then(|recipients| recipients.holder(key)).map(ToString::to_string);
    let keys = record.sealed_for().iter().map(|key| json!({ "fingerprint": key.as_str(), "who": who(key) }));
    let certificate = certificate(record)?.map(|(facts, purpose)| {
        let CertificateFacts { subject, from, until, .. } = facts;
        json!({
            "purpose": purpose.map(Purpose::word),
            "subject": subject,
            "from": rfc3339(from),
            "until": rfc3339(until),
        })
    });
    Ok(json!({
        "name": record.name().as_str(),
        "kind": record.stated().kind.word(),
        "made": rfc3339(record.stated().made),
        "opened_by": keys.collect::<Vec<_>>(),
        "as_asked": !stale.contains(record.name()),
        "certificate": certificate,
    }))
}
