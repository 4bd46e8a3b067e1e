//! The time: from outside where there is an outside, and from each other always.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use stead_spec::units::Interface;

use super::addresses::Addresses;
use super::packages::installs;
use crate::inventory::Questions;
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, PACKAGES, header};
use crate::release;

/// chrony's unit.
pub(super) const UNIT: &str = "chrony.service";
const CONFIG: &str = "/etc/chrony/chrony.conf";
const OPTIONS: &str = "/etc/default/chrony";

/// Where the time comes from unless the file says so.
const DEBIAN: &str = "2.debian.pool.ntp.org";

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([CONFIG, OPTIONS].map(Into::into));
    out.folders.insert("/etc/chrony".into());
    out.units.insert(UNIT.to_owned());
}

pub(super) fn time(plan: &mut NodePlan<'_, '_>, addresses: &Addresses) -> Result<(), Hidden> {
    let mut step = plan.draft("time", "take the time from servers outside, and from the other nodes");
    let mut restart = step.file(&Managed::new(CONFIG, config(plan, addresses)))?;
    restart |= step.file(&Managed::new(OPTIONS, options()))?;
    let comes = if installs(plan.seen, "chrony")? { Comes::Masked } else { Comes::Running };
    step.service(UNIT, comes, restart)?;
    step.after(PACKAGES);
    plan.add(step);
    Ok(())
}

fn config(plan: &NodePlan<'_, '_>, addresses: &Addresses) -> String {
    let mut text = header("#");
    let ntp = &plan.spec.host().ntp;
    if ntp.is_empty() {
        let _ = writeln!(text, "pool {DEBIAN} iburst");
    }
    for server in ntp {
        let _ = writeln!(text, "server {server} iburst");
    }
    text.push_str("\n# The other nodes.\n");
    let mut others: Vec<_> = plan.spec.nodes().values().filter(|node| node.name != plan.node.name).collect();
    // A rename changes nothing here.
    others.sort_by_key(|node| node.number);
    for node in others {
        let _ = writeln!(text, "server {} iburst", node.core);
        if let Some(address) = addresses.of(&node.name) {
            let _ = writeln!(text, "server {} iburst", address.address());
        }
    }
    let _ = writeln!(text, "allow {}", plan.spec.core().pool);
    let subnets: BTreeSet<_> = addresses.all().map(Interface::subnet).collect();
    for subnet in subnets {
        let _ = writeln!(text, "allow {subnet}");
    }
    text.push_str("# Without anything outside, the nodes agree on one of their clocks.\nlocal stratum 10 orphan\n\n");
    text.push_str(
        "# A wrong clock is put right at once when chrony starts. Later on, whatever says that the time is\n",
    );
    text.push_str("# more than 100 s off has gone mad, and nobody follows it.\nmakestep 1 3\nmaxchange 100 3 -1\n\n");
    text.push_str("# The battery's clock tells UTC, unless hwclock's file says that it doesn't.\n");
    text.push_str("rtconutc\nhwclockfile /etc/adjtime\n\n# As Debian has it.\n");
    let leap = release::chrony_leap_seconds(plan.suite);
    let rest = [
        "confdir /etc/chrony/conf.d",
        "keyfile /etc/chrony/chrony.keys",
        "driftfile /var/lib/chrony/chrony.drift",
        "ntsdumpdir /var/lib/chrony",
        "logdir /var/log/chrony",
        "maxupdateskew 100.0",
        "rtcsync",
        leap,
    ];
    for line in rest {
        text.push_str(line);
        text.push('\n');
    }
    text
}

fn options() -> String {
    let why =
        "# -s: at its start, the clock is set from the battery's, or from when chrony ran last, if that is later.\n";
    header("#") + why + "DAEMON_OPTS=\"-F 1 -s\"\n"
}
