//! Packages: where they come from, which are there, and what of them may not run yet.

use std::collections::BTreeSet;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::Suite;

use super::clock::Clocks;
use crate::held;
use crate::inventory::{Activity, Architecture, Enablement, NodeInventory, PackageState, Questions};
use crate::op::Program;
use crate::plan::list;
use crate::plan::planner::{Hidden, Managed, NodePlan, PACKAGES, header, look};
use crate::release;
use crate::step::About;
use crate::{disks, machines, network, volumes};

/// What the nodes need for this layer on each release.
const NEEDED: [&str; 7] = ["chrony", "ethtool", "nftables", "smartmontools", "sudo", "tzdata", "unattended-upgrades"];

/// Units that start when their package is installed, before stead has configured them: the unit, and its package.
const STARTS: [(&str, &str); 6] = [
    (super::time::UNIT, "chrony"),
    (SMARTD, "smartmontools"),
    (disks::TANG_UNIT, "tang"),
    (machines::COROSYNC, "corosync"),
    (machines::PACEMAKER, "pacemaker"),
    (machines::SBD, "sbd"),
];

/// Debian's name for smartd's unit on both releases.
const SMARTD: &str = "smartmontools.service";

const PREFERENCES: &str = "/etc/apt/preferences.d/stead.pref";

/// Above 990, so that apt's default release changes nothing; below 1000, so that nothing is downgraded.
const PRIORITY: u16 = 995;

/// How long apt waits for others to finish, in seconds. Unattended upgrades take some minutes.
const LOCK: &str = "DPkg::Lock::Timeout=300";

const MINUTE: u32 = 60;

pub(super) fn questions(out: &mut Questions) {
    out.files.insert(PREFERENCES.into());
    out.folders.insert("/etc/apt/preferences.d".into());
    out.units.insert(SMARTD.to_owned());
}

/// Everything that should be installed on a node, for all layers.
fn needed<'s>(spec: &'s Spec, node: &Node, suite: Suite, architecture: &Architecture) -> BTreeSet<&'s str> {
    let mut needed: BTreeSet<&str> = NEEDED.into();
    needed.extend(network::packages(spec, node));
    needed.extend(disks::packages(suite, node));
    needed.extend(volumes::packages(spec, node));
    needed.extend(machines::packages(spec, node, suite, architecture));
    needed.extend(spec.host().packages.iter().map(AsRef::<str>::as_ref));
    if spec.host().swap.is_some() {
        needed.extend(release::cryptsetup(suite));
    }
    needed
}

/// The packages that only Debian's own archive may supply, in one line.
pub(super) fn pinned(spec: &Spec) -> String {
    let mut packages: BTreeSet<&str> = held::packages().into_iter().collect();
    for node in spec.nodes().values() {
        for architecture in [Architecture::Amd64, Architecture::Arm64] {
            packages.extend(Suite::ALL.into_iter().flat_map(|suite| needed(spec, node, suite, &architecture)));
        }
    }
    packages.into_iter().collect::<Vec<_>>().join(" ")
}

/// Of Debian's own archive, only the release that the node runs, with its updates: another one in its sources would count
/// as much. Backports are of another origin.
pub(super) fn sources(plan: &mut NodePlan<'_, '_>, packages: &str) -> Result<(), Hidden> {
    let pin = format!("\nPackage: {packages}\nPin: release o=Debian,n={}*\nPin-Priority: {PRIORITY}\n", plan.suite);
    let mut step = plan.draft("sources", "let only Debian's own archive supply what stead needs");
    step.file(&Managed::new(PREFERENCES, header("#") + &pin))?;
    plan.add(step);
    Ok(())
}

/// Whether a package is to be installed, or its installation finished.
pub(crate) fn installs(seen: &NodeInventory, package: &str) -> Result<bool, Hidden> {
    let packages = seen.packages.as_result().map_err(|why| Hidden::new("what is installed", why))?;
    Ok(packages.get(package).is_none_or(|package| package.state != PackageState::Installed))
}

/// One transaction of apt's for all that is missing.
pub(super) fn packages(plan: &mut NodePlan<'_, '_>, clocks: &Clocks) -> Result<(), Hidden> {
    let packages = plan.seen.packages.as_result().map_err(|why| Hidden::new("what is installed", why))?;
    let needed = needed(plan.spec, plan.node, plan.suite, &plan.seen.system.architecture);
    let state = |name: &str| packages.get(name).map_or(PackageState::Removed, |package| package.state);
    let (mut missing, mut broken) = (Vec::new(), Vec::new());
    for &name in &needed {
        match state(name) {
            PackageState::Installed => {}
            PackageState::Removed => missing.push(name),
            PackageState::Broken => broken.push(name),
        }
    }
    let others = packages
        .iter()
        .filter(|(name, package)| package.state == PackageState::Broken && !needed.contains(name.as_str()));
    let others: Vec<&str> = others.map(|(name, _)| name.as_str()).collect();
    let wanted: Vec<&str> = needed.iter().copied().filter(|name| state(name) != PackageState::Installed).collect();
    if wanted.is_empty() {
        if !others.is_empty() {
            plan.note(format!("half installed: {}; `dpkg --configure -a` finishes or says why not", list(&others)));
        }
        return Ok(());
    }
    let mut step = plan.draft(PACKAGES, format!("install {}", list(&wanted)));
    for name in &wanted {
        step.rests_on(About::Package((*name).to_owned()))?;
    }
    if !missing.is_empty() {
        step.why(format!("not installed: {}", missing.join(", ")));
    }
    if !broken.is_empty() || !others.is_empty() {
        let half = [broken.as_slice(), &others].concat();
        step.why(format!("half installed: {}", half.join(", ")));
    }
    if wanted.contains(&"chrony") && state("systemd-timesyncd") == PackageState::Installed {
        step.why("chrony takes the place of systemd-timesyncd, which apt removes");
    }
    // First: apt does nothing at all while an installation that was cut isn't finished.
    step.run(Program::Dpkg.command().args(["--configure", "-a"]).timeout(10 * MINUTE));
    let mut masks = Vec::new();
    for (unit, package) in STARTS.into_iter().filter(|(_, package)| wanted.contains(package)) {
        if look(plan.seen, unit)?.enablement != Enablement::Masked {
            step.why(format!("{unit} would start with Debian's configuration when {package} is installed"));
            masks.push(unit);
        }
    }
    if !masks.is_empty() {
        step.run(Program::Systemctl.command().args(["mask"]).args(masks));
    }
    let mut update = Program::AptGet.command().args(["update"]).timeout(10 * MINUTE);
    if clocks.doubtful(&plan.node.name) {
        step.why(
            "its clock may be wrong, so apt may not judge by it how old Debian's lists are; their signatures it checks",
        );
        update = update.args(["-o", "Acquire::Check-Date=false"]);
    }
    step.run(update);
    let options = ["--force-confold", "--force-confdef"].map(|option| format!("Dpkg::Options::={option}"));
    let install = Program::AptGet
        .command()
        .args(["install", "--yes", "--no-install-recommends"])
        .args(options.iter().flat_map(|option| ["-o", option]))
        .args(["-o", LOCK])
        .args(wanted)
        .timeout(30 * MINUTE);
    step.run(install);
    step.after("sources");
    plan.add(step);
    Ok(())
}

/// Keeps smartd from running until the layer that watches disks has configured it.
pub(super) fn masks(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    if installs(plan.seen, "smartmontools")? {
        return Ok(());
    }
    let unit = look(plan.seen, SMARTD)?;
    let rests = matches!(unit.activity, Activity::Inactive | Activity::Failed);
    if unit.enablement == Enablement::Masked && rests {
        return Ok(());
    }
    let mut step = plan.draft("smartd", "keep smartd from running until it is configured");
    step.rests_on(About::Unit(SMARTD.to_owned()))?;
    if unit.enablement != Enablement::Masked {
        step.why(format!("{SMARTD} is not masked"));
    }
    if !rests {
        step.why(format!("{SMARTD} runs"));
    }
    step.run(Program::Systemctl.command().args(["mask", SMARTD]));
    step.run(Program::Systemctl.command().args(["stop", SMARTD]));
    step.after(PACKAGES);
    plan.add(step);
    Ok(())
}
