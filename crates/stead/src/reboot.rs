//! `stead node reboot` and `test-watchdog`: a node without machines, booted, and with machines again.

use std::process::ExitCode;
use std::time::{Duration, Instant};

use stead_node::protocol::Role;
use stead_plan::inventory::{Inventory, Observation};
use stead_plan::machines::errands;
use stead_plan::plan::Asked;
use stead_spec::units::NodeName;

use crate::cluster::Cluster;
use crate::errand::Errand;
use crate::print::Printer;
use crate::run;

/// How long a node may take to boot and open its disks, times the patience.
const BOOT: Duration = Duration::from_mins(10);

/// How long until the next look.
const PAUSE: Duration = Duration::from_secs(5);

/// How a node comes to boot.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum By {
    /// It is told to.
    Order,
    /// Its watchdog resets it, which isn't fed any more.
    Watchdog,
}

/// Moves a node's machines away, boots it, and lets machines back.
pub(crate) fn reboot(errand: &Errand, node: &NodeName, by: By, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Some(cluster) = Cluster::open(errand.access(), printer)? else { return Ok(ExitCode::FAILURE) };
    let looked = run::to_its_end(async { cluster.look(Role::Observe, printer).await })?;
    let before = boot_id(&looked.inventory, node).map(str::to_owned);
    let runs_machines = stead_plan::machines::runs_machines(&cluster.spec, node);
    drop(looked);
    let sure = errand.sure();
    if runs_machines {
        let code = crate::node::drain(errand, node, printer)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    let boots = |asked: &Asked<'_>, inventory: &Inventory| match by {
        By::Order => errands::reboot(asked, inventory, node),
        By::Watchdog => errands::test_watchdog(asked, inventory, node),
    };
    let code = if runs_machines { &sure } else { errand }.run(None, boots, "it goes, and is waited for", printer)?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    let patience = u32::from(cluster.spec.host().patience.get());
    let until = Instant::now() + BOOT * patience;
    run::to_its_end(async {
        let mut looked = cluster.look(Role::Observe, printer).await?;
        loop {
            let now = boot_id(&looked.inventory, node);
            if now.is_some() && now != before.as_deref() {
                return Ok(());
            }
            anyhow::ensure!(Instant::now() < until, "{}", late(node, by, now.is_some()));
            tokio::time::sleep(PAUSE).await;
            cluster.keep_looking(&mut looked, Role::Observe).await?;
        }
    })?;
    printer.progress(format_args!("{node} is back"));
    if by == By::Watchdog {
        let trust = |asked: &Asked<'_>, inventory: &Inventory| errands::trust_watchdog(asked, inventory, node);
        let code = sure.run(None, trust, "its watchdog fires", printer)?;
        if code != ExitCode::SUCCESS {
            return Ok(code);
        }
    }
    if runs_machines { crate::node::undrain(&sure, node, printer) } else { Ok(ExitCode::SUCCESS) }
}

fn late(node: &NodeName, by: By, answers: bool) -> String {
    match by {
        By::Watchdog if answers => format!(
            "{node}'s watchdog did not fire: nothing resets it if it falls silent. Take it out of use until it does: \
             another driver, a setting of its firmware, or the kernel's own (softdog); then `systemctl restart corosync` there"
        ),
        _ => format!("{node} didn't come back: look at its screen"),
    }
}

fn boot_id<'a>(inventory: &'a Inventory, node: &NodeName) -> Option<&'a str> {
    match inventory.nodes.get(node) {
        Some(Observation::Seen(seen)) => Some(&seen.system.boot_id),
        _ => None,
    }
}
