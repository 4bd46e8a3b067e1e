use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use stead_apply::secrets::{Fingerprint, Kind, Purpose, Recipients, Record, Sealed, SecretsError, renew_ca};
use stead_plan::plan::Wishes;
use stead_spec::edit::{Edit, KeyPath};
use stead_spec::host::{Admin, Node};
use stead_spec::units::PublicKey;

use super::Changing;
use super::files::Files;
use crate::cluster::{Access, ReachOptions, now};
use crate::errand::Errand;
use crate::print::Printer;
use crate::{Advised, ask};

#[derive(Debug, Args)]
pub(super) struct Revoke {
    /// Whose key it is; or a node that was stolen, whose tang is to open nothing any more.
    #[arg(required_unless_present = "ca", value_name = "ADMIN|NODE")]
    name: Option<String>,
    /// Which key: its text, its fingerprint, or what stands behind it, such as me@laptop [default: the whole admin]
    #[arg(conflicts_with = "ca")]
    key: Option<String>,
    /// Replace the CA for this purpose: storage, machines or telemetry.
    #[arg(long, value_name = "PURPOSE", conflicts_with = "name")]
    ca: Option<Purpose>,
    #[command(flatten)]
    changing: Changing,
    #[command(flatten)]
    reach: ReachOptions,
}

pub(super) fn run(arguments: &Revoke, printer: &mut Printer) -> Result<ExitCode> {
    let files = Files::read(&arguments.changing.file, printer)?;
    let (name, nodes) = match (arguments.ca, &arguments.name) {
        (Some(purpose), _) => return replace_ca(&files, purpose, &arguments.changing, printer),
        (None, Some(name)) => (name, files.spec.nodes()),
        (None, None) => {
            return Err(Advised::new("nobody to revoke", "name an admin, a node, or `--ca PURPOSE`").into());
        }
    };
    let node = nodes.values().find(|node| node.name.as_str() == name);
    match (files.spec.admins().get(name.as_str()), node) {
        (Some(admin), None) => take_out(&files, admin, arguments, printer),
        (None, Some(node)) => distrust(&files, node, arguments, printer),
        (Some(_), Some(_)) => {
            let next = format!(
                "an admin can be taken out of the file by hand; a node gets `revoked = true` in `[node.{name}]`, and \
                                then `stead keys rotate`"
            );
            Err(Advised::new(format!("`{name}` is an admin, and a node"), next).into())
        }
        (None, None) => {
            let all = files.spec.admins().keys().map(ToString::to_string);
            let all: Vec<_> = all.chain(nodes.keys().map(ToString::to_string)).collect();
            let what = format!("`{}` has no admin and no node `{name}`", files.path());
            Err(Advised::new(what, format!("name one of {}", all.join(", "))).into())
        }
    }
}

/// Makes a node's tang worthless that is in others' hands, and its disks to them: no other node's disk is bound to it any
/// more, and the keys of the tangs that its own are bound to are changed.
fn distrust(files: &Files, node: &Node, arguments: &Revoke, printer: &mut Printer) -> Result<ExitCode> {
    let name = &node.name;
    if let Some(key) = &arguments.key {
        return Err(Advised::new(format!("`{name}` is a node, and has no key `{key}`"), "name the node alone").into());
    }
    if node.revoked {
        printer.progress(format_args!("`{name}` is revoked in `{}` already", files.path()));
    } else {
        let path = KeyPath::new(["node", name.as_str()]).key("revoked");
        let change = files.edit(&Edit::Set { path, value: true.into() }, printer)?;
        printer.progress(format_args!(
            "write `revoked = true` into `[node.{name}]` of `{}`: the cluster does without it, and all tangs get new keys",
            files.path()
        ));
        if !files.carry_out(change, None, &arguments.changing, printer)? {
            return Ok(ExitCode::SUCCESS);
        }
    }
    let trusted = files.spec.trusted_nodes().map(|node| node.name.clone()).filter(|other| other != name).collect();
    let Changing { file, identities, yes } = &arguments.changing;
    let access = Access { file: file.clone(), reach: arguments.reach.clone() };
    let done = Errand::new(access, identities.clone(), *yes).apply(&Wishes { rotate: trusted }, printer);
    if !matches!(&done, Ok(code) if *code == ExitCode::SUCCESS) {
        printer.progress(format_args!("not all of it is done: `stead keys revoke {name}` again does the rest"));
        return done;
    }
    let known = files.sealed.iter().flat_map(Sealed::records).filter(|record| is_on_os_disks(record));
    let advice: Vec<_> = known.map(|record| format!("  {}: {}", record.name(), anew(record))).collect();
    if !advice.is_empty() {
        printer.progress("\nWho has its OS disk can read this. Make it anew:");
        for line in advice {
            printer.progress(line);
        }
    }
    done
}

/// Whether nodes need it before their disks are open: what has its sum in clear is a word in a file of theirs.
fn is_on_os_disks(record: &Record) -> bool {
    record.stated().kind == Kind::Password && record.stated().sum.is_some()
}

fn take_out(files: &Files, admin: &Admin, arguments: &Revoke, printer: &mut Printer) -> Result<ExitCode> {
    if arguments.key.is_none() && files.spec.admins().len() == 1 {
        let what = format!("`{}` is the only admin", admin.name);
        return Err(Advised::new(what, "add another one first: `stead keys add ADMIN PUBLICKEY`").into());
    }
    let path = KeyPath::new(["admin", admin.name.as_str()]);
    let (path, keys, what) = match &arguments.key {
        None => (path, admin.keys.iter().collect(), format!("the admin `{}`", admin.name)),
        Some(wanted) => {
            let at = which(admin, wanted)?;
            let key = &admin.keys[at];
            (path.key("keys").index(at), vec![key], format!("a key of `{}`: {key}", admin.name))
        }
    };
    let change = files.edit(&Edit::Remove { path }, printer)?;
    let stale = files.stale(&change)?;
    printer.progress(format_args!("take out of `{}` {what}", files.path()));
    files.show_stale(stale.as_ref(), printer);
    let known = opened_by(files.sealed.as_ref(), &keys);
    let advice: Vec<_> = known.iter().map(|record| format!("  {}: {}", record.name(), anew(record))).collect();
    if files.carry_out(change, stale, &arguments.changing, printer)? {
        printer.progress("done; `stead apply` takes it from the nodes");
        if !advice.is_empty() {
            printer.progress(format_args!(
                "\nWhoever had that may have copied what it opened, and git keeps the old file. Make anew what they must \
                 not know:"
            ));
            for line in advice {
                printer.progress(line);
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

/// The key that is meant.
fn which(admin: &Admin, wanted: &str) -> Result<usize> {
    let wanted_key = wanted.parse::<PublicKey>().ok();
    let fits = |key: &PublicKey| {
        wanted_key.as_ref().is_some_and(|wanted| wanted.same_key(key))
            || key.comment() == wanted
            || Fingerprint::of(key.as_str()).is_some_and(|fingerprint| fingerprint.as_str() == wanted)
    };
    let fitting: Vec<_> = (0..admin.keys.len()).filter(|at| fits(&admin.keys[*at])).collect();
    let name = &admin.name;
    match fitting[..] {
        [_] if admin.keys.len() == 1 => {
            let next =
                format!("take the whole admin: `stead keys revoke {name}`, or `stead keys add` another key first");
            Err(Advised::new(format!("`{name}` has no other key"), next).into())
        }
        [at] => Ok(at),
        [] => {
            let next = "`stead keys list` tells fingerprints; in quotes, the key's whole text will do too";
            Err(Advised::new(format!("`{name}` has no key `{wanted}`"), next).into())
        }
        _ => {
            let next = "name it by its fingerprint or its whole text";
            Err(Advised::new(format!("`{name}` has several keys `{wanted}`"), next).into())
        }
    }
}

/// What these keys open.
fn opened_by<'a>(sealed: Option<&'a Sealed>, keys: &[&PublicKey]) -> Vec<&'a Record> {
    let prints: Vec<_> = keys.iter().filter_map(|key| Fingerprint::of(key.as_str())).collect();
    let records = sealed.into_iter().flat_map(Sealed::records);
    records.filter(|record| prints.iter().any(|print| record.sealed_for().contains(print))).collect()
}

/// How a secret is made anew, or when that matters.
fn anew(record: &Record) -> String {
    let purpose = Purpose::ALL.into_iter().find(|purpose| purpose.secret() == *record.name());
    match (record.stated().kind, purpose) {
        (Kind::CaKey, Some(purpose)) => format!("`stead keys revoke --ca {purpose}`"),
        (Kind::CaKey, None) => "goes by itself when the CA that replaced it is on every node".to_owned(),
        (Kind::DiskKey, _) => "opens a disk for who also has the disk".to_owned(),
        (Kind::Certificate, _) => "as its CA: `stead keys revoke --ca storage`".to_owned(),
        (Kind::BackupKey, _) => "opens a backup for who can also reach it".to_owned(),
        _ if is_on_os_disks(record) => {
            "take its lines out of stead.secrets: the next `stead apply` makes another one".to_owned()
        }
        (Kind::Password, _) => "change it where it lets in".to_owned(),
    }
}

fn replace_ca(files: &Files, purpose: Purpose, changing: &Changing, printer: &mut Printer) -> Result<ExitCode> {
    let name = purpose.secret();
    let Some(mut sealed) = files.sealed.clone() else {
        return Err(SecretsError::NotThere { name }.into());
    };
    let recipients = Recipients::of(&files.spec)?;
    let cluster = &files.spec.cluster().name;
    renew_ca(&mut sealed, purpose, cluster, &recipients, now())?;
    printer.progress(format_args!("make a new CA for {purpose} in `{}`", files.secrets()));
    if files.sealed.as_ref().is_some_and(|sealed| sealed.record(&name).is_some()) {
        printer.progress(format_args!(
            "keep the one before as `{}`, trusted until all nodes have the new one",
            name.previous()
        ));
    }
    if !changing.yes && !ask::yes("do this?")? {
        printer.progress("nothing has changed");
        return Ok(ExitCode::SUCCESS);
    }
    let mut change = files.unedited();
    change.sealed = Some(sealed);
    files.write(&change)?;
    printer.progress("done; `stead apply` brings it to the nodes");
    Ok(ExitCode::SUCCESS)
}
