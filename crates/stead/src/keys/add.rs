use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use stead_spec::edit::{Edit, KeyPath, Value};
use stead_spec::units::{AdminName, PublicKey};

use super::Changing;
use super::files::Files;
use crate::Advised;
use crate::print::Printer;

#[derive(Debug, Args)]
pub(super) struct Add {
    /// Whose key it is; somebody new becomes an admin.
    admin: String,
    /// The public key, as it stands in a file such as `id_ed25519.pub`, or an age recipient.
    #[arg(required = true, value_name = "PUBLICKEY")]
    key: Vec<String>,
    #[command(flatten)]
    changing: Changing,
}

pub(super) fn run(arguments: &Add, printer: &mut Printer) -> Result<ExitCode> {
    let admin: AdminName = arguments.admin.parse().map_err(|bad: stead_spec::units::Invalid| {
        Advised::new(format!("no admin's name: {}", bad.reason), bad.remedy)
    })?;
    // A key that was pasted without quotes comes in words.
    let key: PublicKey = arguments.key.join(" ").parse().map_err(|bad: stead_spec::units::Invalid| {
        Advised::new(format!("no public key: {}", bad.reason), bad.remedy)
    })?;
    let files = Files::read(&arguments.changing.file, printer)?;
    let path = KeyPath::new(["admin", admin.as_str()]);
    let edit = match files.spec.admins().get(&admin) {
        Some(known) if known.keys.iter().any(|other| other.same_key(&key)) => {
            printer.progress(format_args!("nothing to do: `{admin}` has that key"));
            return Ok(ExitCode::SUCCESS);
        }
        Some(_) => Edit::Push { path: path.key("keys"), value: key.as_str().into() },
        None => {
            let keys = Value::Array([key.as_str()].into_iter().collect());
            Edit::AddTable { path, entries: vec![("keys".to_owned(), keys)] }
        }
    };
    let change = files.edit(&edit, printer)?;
    let stale = files.stale(&change)?;
    let new = if files.spec.admins().contains_key(&admin) { "" } else { "a new admin, " };
    printer.progress(format_args!("write a key of {new}`{admin}` into `{}`: {key}", files.path()));
    files.show_stale(stale.as_ref(), printer);
    if files.carry_out(change, stale, &arguments.changing, printer)? {
        printer.progress("done; `stead apply` brings it to the nodes");
    }
    Ok(ExitCode::SUCCESS)
}
