//! The daemons that networks need before anything is changed.

use super::layout::Layout;
use crate::inventory::{Activity, Enablement, Questions};
use crate::op::Program;
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, header, look};
use crate::step::About;

/// The steps that have them run.
pub(super) const NETWORKD: &str = "networkd";
pub(super) const OVS: &str = "openvswitch";

const NETWORKD_UNIT: &str = "systemd-networkd.service";
const OVS_UNIT: &str = "openvswitch-switch.service";
const MANAGER: &str = "NetworkManager.service";

/// Enabled with networkd, it would hold up the boot of a node whose cable is out for two minutes.
const WAIT_ONLINE: &str = "systemd-networkd-wait-online.service";

const SETTINGS_FOLDER: &str = "/etc/systemd/networkd.conf.d";
const SETTINGS: &str = "/etc/systemd/networkd.conf.d/stead.conf";

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([SETTINGS_FOLDER, SETTINGS].map(Into::into));
    out.folders.insert(SETTINGS_FOLDER.into());
    out.units.extend([NETWORKD_UNIT, OVS_UNIT, MANAGER, WAIT_ONLINE].map(str::to_owned));
}

/// systemd-networkd, with no device yet that is its own.
pub(super) fn networkd(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    if look(plan.seen, MANAGER)?.activity == Activity::Active {
        let way = format!("have systemd-networkd or ifupdown configure them, then `systemctl disable --now {MANAGER}`");
        plan.refuse("NetworkManager has its NICs, and would undo what stead does to them", way);
        return Ok(());
    }
    let mut step = plan.draft(NETWORKD, "have systemd-networkd run");
    step.folder(SETTINGS_FOLDER)?;
    let text = "\n[Network]\n# What FRR and others put there stays.\nManageForeignRoutes=no\n\
                ManageForeignRoutingPolicyRules=no\n\
                # Debian 13's, without which a restart of it takes away what FRR's routes lead by.\n\
                ManageForeignNextHops=no\n";
    let restart = step.file(&Managed::new(SETTINGS, header("#") + text))?;
    step.service(NETWORKD_UNIT, Comes::Running, restart)?;
    // It comes with the unit that was enabled just now.
    let enabled = look(plan.seen, NETWORKD_UNIT)?.enablement != Enablement::Enabled;
    if enabled || look(plan.seen, WAIT_ONLINE)?.enablement == Enablement::Enabled {
        step.rests_on(About::Unit(WAIT_ONLINE.to_owned()))?;
        step.why("without one of its cables, a node should boot no slower");
        step.run(Program::Systemctl.command().args(["disable", WAIT_ONLINE]));
    }
    step.after_packages();
    plan.add(step);
    Ok(())
}

/// Open vSwitch, where the node has bridges.
pub(super) fn ovs(plan: &mut NodePlan<'_, '_>, layout: &Layout<'_>) -> Result<(), Hidden> {
    if layout.bridges.is_empty() {
        return Ok(());
    }
    // Its installation starts it: an empty database harms nobody.
    let packages = plan.seen.packages.as_result().map_err(|why| Hidden::new("what is installed", why))?;
    if !packages.contains_key("openvswitch-switch") {
        return Ok(());
    }
    let mut step = plan.draft(OVS, "have Open vSwitch run");
    step.service(OVS_UNIT, Comes::Running, false)?;
    step.after_packages();
    plan.add(step);
    Ok(())
}
