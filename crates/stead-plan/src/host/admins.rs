//! The admins: their accounts, their keys, and that they may do everything.

use std::fmt::Write as _;

use stead_spec::Spec;
use stead_spec::host::{Admin, Node};

use crate::inventory::{Mode, Questions};
use crate::op::Program;
use crate::plan::list;
use crate::plan::planner::{Hidden, Managed, NodePlan, header};
use crate::step::{About, Layer, StepId};

/// Where the admins' keys are, a file each. Not in their homes: what they put there themselves stays theirs.
pub(super) const KEYS: &str = "/etc/ssh/authorized_keys.d";
const SUDOERS: &str = "/etc/sudoers.d/stead";
const GROUP: &str = "sudo";

/// What useradd ends with where there is such an account.
const EXISTS: i32 = 9;

pub(super) fn questions(spec: &Spec, out: &mut Questions) {
    out.users.extend(spec.admins().keys().map(ToString::to_string));
    out.files.extend(spec.admins().values().map(|admin| keys_file(admin).into()));
    out.files.extend([KEYS, SUDOERS].map(Into::into));
    out.folders.extend([KEYS, "/etc/sudoers.d"].map(Into::into));
}

fn keys_file(admin: &Admin) -> String {
    format!("{KEYS}/{}", admin.name)
}

/// The step that makes an admin's account.
pub(crate) fn account_step(node: &Node, name: &str) -> StepId {
    StepId { layer: Layer::Host, node: node.name.clone(), what: account(name) }
}

fn account(name: &str) -> String {
    format!("account-{name}")
}

/// An account for each, without a password.
pub(super) fn accounts(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let users = plan.seen.users.as_result().map_err(|why| Hidden::new("which accounts there are", why))?;
    for admin in plan.spec.admins().values() {
        let name = admin.name.as_ref();
        let mut step = match users.get(name) {
            None => {
                let mut step = plan.draft(&account(name), format!("make an account for {name}"));
                let options = ["--create-home", "--shell", "/bin/bash", "--groups", GROUP, name];
                step.why(format!("there is no account {name}"));
                step.run(Program::Useradd.command().args(options).already(EXISTS));
                step
            }
            Some(user) if !user.groups.contains(GROUP) => {
                let mut step = plan.draft(&account(name), format!("put {name} into the group {GROUP}"));
                step.why(format!("the account {name} is not in it"));
                step.run(Program::Usermod.command().args(["--append", "--groups", GROUP, name]));
                step
            }
            Some(_) => continue,
        };
        step.rests_on(About::User(name.to_owned()))?;
        plan.add(step);
    }
    let others = users
        .iter()
        .filter(|(name, user)| user.groups.contains(GROUP) && !plan.spec.admins().contains_key(name.as_str()));
    let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
    if !others.is_empty() {
        let are = if others.len() == 1 { "is" } else { "are" };
        let out = others.first().map_or("", |name| name);
        plan.note(format!(
            "{} {are} in the group {GROUP} and no admin of the file's; `gpasswd --delete {out} {GROUP}` takes one out",
            list(&others)
        ));
    }
    Ok(())
}

/// A file of keys for each.
pub(super) fn keys(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    for admin in plan.spec.admins().values() {
        let mut text = header("#");
        for key in admin.keys.iter().filter(|key| key.logs_in()) {
            let _ = writeln!(text, "{}", key.as_str());
        }
        let name = &admin.name;
        let mut step = plan.draft(&format!("keys-{name}"), format!("let {name} in with the keys of the file"));
        step.folder(KEYS)?;
        step.file(&Managed::new(keys_file(admin), text))?;
        step.after(&account(name.as_ref()));
        plan.add(step);
    }
    Ok(())
}

/// Without a password: the accounts have none.
pub(super) fn sudo(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let mut text = header("#");
    for name in plan.spec.admins().keys() {
        let _ = writeln!(text, "{name} ALL=(ALL:ALL) NOPASSWD: ALL");
    }
    let names: Vec<&str> = plan.spec.admins().keys().map(AsRef::as_ref).collect();
    let mut step =
        plan.draft("sudoers", format!("let {} do everything by sudo, and nobody else by this", list(&names)));
    let checked_by = Some(Program::Visudo.command().args(["-cf"]));
    step.file(&Managed { mode: Mode(0o440), checked_by, ..Managed::new(SUDOERS, text) })?;
    step.after("packages");
    for name in plan.spec.admins().keys() {
        step.after(&account(name.as_ref()));
    }
    plan.add(step);
    Ok(())
}
