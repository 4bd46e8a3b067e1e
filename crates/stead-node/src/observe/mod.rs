//! Looks at a node: everything in one go, all programs at once.
//!
//! Each part fails by itself. No program runs twice, and what the kernel and the system have in files is read there.

mod files;
mod kept;

use std::collections::BTreeMap;
use std::time::{SystemTime, UNIX_EPOCH};

use futures_util::future::{OptionFuture, join_all};
use stead_plan::disks::Disk;
use stead_plan::inventory::{Clock, Known, NodeInventory, Questions};
use stead_plan::op::Command;

use crate::disks::{blank, lsblk};
use crate::exec::Runner;
use crate::host::accounts::Accounts;
use crate::host::{packages, swaps, sysctl, system, units, updates};
use crate::network::{links, routes};
use crate::place::Place;
use crate::root::{Root, why};
use crate::unfinished;

/// What this node is. The clock's `ahead` is the node's own time, in milliseconds since 1970: whoever asked compares it.
///
/// Wants a runtime of tokio's; what reads from disks runs on threads of its own.
pub async fn observe(questions: &Questions, runner: &Runner) -> NodeInventory {
    observe_at(&Root::system(), questions, runner).await
}

/// As [`observe`], with the files of a copied tree; programs look at the system even so.
async fn observe_at(root: &Root, questions: &Questions, runner: &Runner) -> NodeInventory {
    let native = system::architecture();
    let updates = questions.updates.then(|| ask(runner, updates::command(), |text| updates::parse(text, &native)));
    let units = units::command(&questions.units);
    let units = units.map(|command| ask(runner, command, |text| units::parse(text, &questions.units)));
    let (packages, updates, units, nics, routes, synchronised, disks) = tokio::join!(
        ask(runner, packages::command(), |text| packages::parse(text, &native)),
        OptionFuture::from(updates),
        OptionFuture::from(units),
        ask(runner, links::command(), |text| links::look(text, root)),
        ask(runner, routes::command(), routes::parse),
        ask(runner, system::clock_command(), system::clock),
        disks(root, questions, runner),
    );
    let accounts = accounts(root);
    let files = files::look(root, questions, accounts.as_ref().unwrap_or(&Accounts::default()));
    NodeInventory {
        system: system::look(root),
        stamp: kept::read(root, kept::STAMP).into(),
        generation: kept::read(root, kept::GENERATION).into(),
        unfinished: unfinished::unfinished(&Place::node()).map_err(|error| why(&error)).into(),
        hostname: system::hostname(root).into(),
        timezone: system::timezone(root).into(),
        packages: packages.into(),
        updates: updates.map(Known::from),
        units: units.unwrap_or_else(|| Ok(BTreeMap::new())).into(),
        files,
        users: accounts.map(|accounts| accounts.users(&questions.users)).into(),
        sysctl: questions.sysctl.iter().map(|key| (key.clone(), sysctl::look(root, key))).collect(),
        swaps: swaps::look(root).into(),
        watchdogs: system::watchdogs(root).into(),
        nics: nics.into(),
        routes: routes.into(),
        disks: disks.into(),
        // Last, since it ages.
        clock: Clock { ahead: now(), uncertainty: 0, synchronised: synchronised.into() },
    }
}

/// What a program says, as `parse` understands it.
async fn ask<T>(runner: &Runner, command: Command, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
    let text = runner.read(&command).await.map_err(|error| why(&error))?;
    parse(&text).map_err(|reason| format!("{reason} (by: {command})"))
}

async fn disks(root: &Root, questions: &Questions, runner: &Runner) -> Result<Vec<Disk>, String> {
    let mut disks = ask(runner, lsblk::command(), |text| lsblk::look(text, root)).await?;
    if questions.blank_test {
        join_all(disks.iter_mut().map(|disk| blank::test(disk, root, runner))).await;
    }
    Ok(disks)
}

fn accounts(root: &Root) -> Result<Accounts, String> {
    let read = |path: &str| root.text(path).map_err(|error| why(&error));
    Ok(Accounts::parse(&read("/etc/passwd")?, &read("/etc/group")?))
}

/// Milliseconds since 1970 by the node's clock.
fn now() -> i64 {
    let milliseconds = |time: std::time::Duration| i64::try_from(time.as_millis()).unwrap_or(i64::MAX);
    match SystemTime::now().duration_since(UNIX_EPOCH) {
        Ok(since) => milliseconds(since),
        Err(before) => -milliseconds(before.duration()),
    }
}
