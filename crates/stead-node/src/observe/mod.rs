//! Looks at a node: everything in one go, all programs at once.
//!
//! Each part fails by itself. No program runs twice, and what the kernel and the system have in files is read there.

mod files;

use std::collections::BTreeMap;

use futures_util::future::{OptionFuture, join_all};
use stead_plan::disks::Disk;
use stead_plan::inventory::{Clock, Known, NodeInventory, Questions};
use stead_plan::op::Command;

use crate::disks::{blank, lsblk, luks, pools, tang};
use crate::exec::{RunError, Runner};
use crate::host::accounts::Accounts;
use crate::host::{packages, swaps, sysctl, system, units, updates};
use crate::keep;
use crate::machines;
use crate::network::{firewall, links, ovs, routes, routing};
use crate::place::{Place, now};
use crate::read::why;
use crate::unfinished;
use crate::volumes;

/// What this node is. The clock's `ahead` is the node's own time, in milliseconds since 1970: whoever asked compares it.
///
/// Wants a runtime of tokio's; what reads from disks runs on threads of its own.
pub async fn observe(questions: &Questions, runner: &Runner) -> NodeInventory {
    // It runs many programs at once, each with its own state.
    Box::pin(observe_at(&Place::node(), questions, runner)).await
}

/// What a program that always works never says.
const NEVER: &str = "\0";

/// As [`observe`], with the files of a copied tree; programs look at the system even so.
async fn observe_at(place: &Place, questions: &Questions, runner: &Runner) -> NodeInventory {
    let native = system::architecture();
    let updates = questions.updates.then(|| ask(runner, updates::command(), |text| updates::parse(text, &native)));
    let units = units::command(&questions.units);
    let units = units.map(|command| ask(runner, command, |text| units::parse(text, &questions.units)));
    let (
        packages,
        updates,
        units,
        nics,
        routes,
        ovs,
        routing,
        firewall,
        synchronised,
        pools,
        disks,
        storage,
        hypervisor,
    ) = tokio::join!(
        ask(runner, packages::command(), |text| packages::parse(text, &native)),
        OptionFuture::from(updates),
        OptionFuture::from(units),
        ask(runner, links::command(), |text| links::look(text, place)),
        ask(runner, routes::command(), routes::parse),
        ask_if_there(runner, ovs::command(), ovs::NOT_RUNNING, ovs::parse),
        ask_if_there(runner, routing::command(), routing::NOT_RUNNING, routing::parse),
        ask_if_there(runner, firewall::command(), firewall::NOT_THERE, firewall::parse),
        ask(runner, system::clock_command(), system::clock),
        ask_if_there(runner, pools::command(), NEVER, pools::parse),
        Box::pin(disks(place, questions, runner)),
        volumes::look(place, questions, runner),
        machines::look(place, questions, runner),
    );
    let accounts = accounts(place);
    let files = files::look(place, questions, accounts.as_ref().unwrap_or(&Accounts::default()));
    NodeInventory {
        system: system::look(place),
        stamp: keep::stamp(place).map_err(|error| why(&error)).into(),
        generation: keep::current(place).map_err(|error| why(&error)).into(),
        unfinished: unfinished::unfinished(place).map_err(|error| why(&error)).into(),
        hostname: system::hostname(place).into(),
        timezone: system::timezone(place).into(),
        packages: packages.into(),
        updates: updates.map(Known::from),
        units: units.unwrap_or_else(|| Ok(BTreeMap::new())).into(),
        files,
        users: accounts.map(|accounts| accounts.users(&questions.users)).into(),
        sysctl: questions.sysctl.iter().map(|key| (key.clone(), sysctl::look(place, key))).collect(),
        swaps: swaps::look(place).into(),
        watchdogs: system::watchdogs(place).into(),
        nics: nics.into(),
        routes: routes.into(),
        ovs: ovs.into(),
        routing: routing.into(),
        firewall: firewall.into(),
        tang: tang::look(place).into(),
        pools: pools.map(Option::unwrap_or_default).into(),
        headers: if questions.headers { luks::kept(place) } else { Ok(BTreeMap::new()) }.into(),
        vacated: unfinished::all_vacated(place).map_err(|error| why(&error)).into(),
        storage,
        hypervisor,
        disks: disks.into(),
        // Last, since it ages.
        clock: Clock { ahead: now().0, uncertainty: 0, synchronised: synchronised.into() },
    }
}

/// What a program says, as `parse` understands it.
async fn ask<T>(runner: &Runner, command: Command, parse: impl FnOnce(&str) -> Result<T, String>) -> Result<T, String> {
    let text = runner.read(&command).await.map_err(|error| why(&error))?;
    parse(&text).map_err(|reason| format!("{reason} (by: {command})"))
}

/// As [`ask`], of a program that may not be there, and may say that what it tells of isn't.
pub(crate) async fn ask_if_there<T>(
    runner: &Runner,
    command: Command,
    none: &str,
    parse: impl FnOnce(&str) -> Result<T, String>,
) -> Result<Option<T>, String> {
    match runner.run(&command).await {
        Err(RunError::Missing { .. }) => Ok(None),
        Err(error) => Err(why(&error)),
        Ok(output) if output.stderr.contains(none) => Ok(None),
        // vtysh tells of the daemons that run, and fails for those that don't.
        Ok(output) => match parse(&output.stdout) {
            Ok(told) => Ok(Some(told)),
            Err(reason) if output.status == Some(0) => Err(format!("{reason} (by: {command})")),
            Err(_) => Err(why(&Runner::failed(&command, &output))),
        },
    }
}

async fn disks(place: &Place, questions: &Questions, runner: &Runner) -> Result<Vec<Disk>, String> {
    let mut disks = ask(runner, lsblk::command(), |text| lsblk::look(text, place)).await?;
    join_all(disks.iter_mut().map(|disk| content(disk, place, questions, runner))).await;
    Ok(disks)
}

/// What is on a disk, as far as it was asked for.
async fn content(disk: &mut Disk, place: &Place, questions: &Questions, runner: &Runner) {
    let is_data = questions.data_disks.iter().any(|id| disk.is(id));
    if is_data {
        luks::look(disk, place, runner).await;
    }
    let is_ours = matches!(&disk.luks, Some(Known::Is(luks)) if luks.token.is_some() && !luks.keyslots.is_empty());
    if questions.blank_test || (is_data && !is_ours) {
        blank::test(disk, place, runner).await;
    }
}

fn accounts(place: &Place) -> Result<Accounts, String> {
    let read = |path: &str| place.text(path).map_err(|error| why(&error));
    Ok(Accounts::parse(&read("/etc/passwd")?, &read("/etc/group")?))
}

#[cfg(test)]
mod tests {
    use stead_plan::disks::Ends;
    use stead_plan::inventory::FileState;
    use stead_plan::op::Program;

    use super::*;
    use crate::testing::{Node, each};

    #[tokio::test]
    async fn each_part_fails_by_itself() {
        let node = Node::new();
        node.write("/etc/hostname", "node1\n");
        node.write("/var/lib/stead/stamp.json", "not JSON");
        node.tool(Program::Ip, "cat address.json");
        node.write("/address.json", "[]");
        node.tool(Program::Timedatectl, "echo perhaps");
        let questions = Questions {
            files: ["/etc/nothing".into()].into(),
            users: ["root".to_owned()].into(),
            ..Questions::default()
        };
        let seen = Box::pin(observe_at(&node.place, &questions, &node.runner())).await;
        assert_eq!(seen.hostname, Known::Is("node1".to_owned()));
        assert_eq!(seen.nics, Known::Is(Vec::new()));
        assert_eq!(seen.units, Known::Is(BTreeMap::new()));
        assert_eq!(seen.updates, None);
        assert_eq!(seen.files[camino::Utf8Path::new("/etc/nothing")], Known::Is(FileState::Absent));
        for (unknown, words) in [
            (seen.stamp.as_result().err(), "stamp.json makes no sense"),
            (seen.users.as_result().err(), "could not read /etc/passwd: "),
            (seen.swaps.as_result().err(), "could not read /proc/swaps: "),
            (seen.packages.as_result().err(), "`/usr/bin/dpkg-query` is not there"),
            (seen.disks.as_result().err(), "`/usr/bin/lsblk` is not there"),
            (seen.clock.synchronised.as_result().err(), "printed `perhaps` (by: timedatectl show "),
        ] {
            assert!(unknown.is_some_and(|reason| reason.contains(words)), "{unknown:?} has no {words}");
        }
        let year_2020 = 1_577_836_800_000;
        assert!(seen.clock.ahead > year_2020 && seen.clock.uncertainty == 0);
    }

    #[tokio::test]
    async fn no_program_runs_twice() {
        let node = Node::new();
        for (release, lsblk) in each("lsblk.json") {
            node.write("/lsblk.json", &lsblk);
            node.write("/sys/class/block/sdb/device/vendor", "QEMU\n");
            let tools = [Program::AptGet, Program::Blkid, Program::DpkgQuery, Program::Ip, Program::Systemctl];
            let networks = [Program::Nft, Program::OvsVsctl, Program::Vtysh];
            for program in tools.into_iter().chain(networks).chain([Program::Timedatectl, Program::Wipefs]) {
                node.tool(program, &format!("printf '%s\\n' \"{} $*\" >>ran; exit 1", program.name()));
            }
            node.tool(Program::Lsblk, "echo \"lsblk $*\" >>ran; cat lsblk.json");
            node.write("/ran", "");
            let units = ["ssh.service".to_owned()].into();
            let questions = Questions { units, updates: true, blank_test: true, ..Questions::default() };
            let seen = Box::pin(observe_at(&node.place, &questions, &node.runner())).await;
            let [disk] = &seen.disks.get().unwrap()[..] else { panic!("{release}: {:?}", seen.disks) };
            // There is no such device, so nothing is known of its content.
            assert!(matches!(disk.ends, Some(Known::Unknown(_))) && matches!(disk.blkid, Some(Known::Unknown(_))));
            let ran = node.read("/ran");
            let mut lines: Vec<&str> = ran.lines().collect();
            lines.sort_unstable();
            assert_eq!(lines.len(), 12, "{release}: {ran}");
            lines.dedup();
            assert_eq!(lines.len(), 12, "{release}: {ran}");
        }
    }

    #[test]
    fn inventories_of_both_releases_are_read_again() {
        for (release, text) in each("inventory.json") {
            let node: NodeInventory = serde_json::from_str(&text).unwrap();
            let unknown = text.contains("\"unknown\"");
            assert!(!unknown, "{release}: everything was seen");
            let disks = node.disks.get().unwrap();
            let blank: Vec<&str> = disks
                .iter()
                .filter(|disk| disk.ends == Some(Known::Is(Ends::Zero)))
                .filter(|disk| disk.exclusive == Some(Known::Is(true)) && disk.blkid == Some(Known::Is(2)))
                .map(|disk| disk.name.as_str())
                .collect();
            assert_eq!(blank, ["sde"], "{release}");
        }
    }
}
