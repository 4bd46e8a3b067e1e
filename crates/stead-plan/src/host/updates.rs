//! Debian's security updates: when they are installed, and what stead installs itself instead.

use std::fmt::Write as _;

use stead_spec::units::TimeOfDay;

use crate::held;
use crate::inventory::{Activity, Enablement, Questions};
use crate::op::Program;
use crate::plan::planner::{Hidden, Managed, NodePlan, header, look};
use crate::step::About;

const APT: &str = "/etc/apt/apt.conf.d/60stead";
const TIMER: &str = "apt-daily-upgrade.timer";
const DROP_IN_FOLDER: &str = "/etc/systemd/system/apt-daily-upgrade.timer.d";
const DROP_IN: &str = "/etc/systemd/system/apt-daily-upgrade.timer.d/stead.conf";
const NEEDRESTART_FOLDER: &str = "/etc/needrestart/conf.d";
const NEEDRESTART: &str = "/etc/needrestart/conf.d/stead.conf";

/// Minutes from one node to the next: long enough for a kernel, so that two nodes seldom update at the same time.
const APART: usize = 20;

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([APT, DROP_IN, DROP_IN_FOLDER, NEEDRESTART, NEEDRESTART_FOLDER].map(Into::into));
    out.folders.extend(["/etc/apt/apt.conf.d", DROP_IN_FOLDER, NEEDRESTART_FOLDER].map(Into::into));
    out.units.insert(TIMER.to_owned());
}

/// When the node that is number `place` among the nodes updates itself.
fn at(first: TimeOfDay, place: usize) -> String {
    let minutes = usize::from(first.hour()) * 60 + usize::from(first.minute()) + place * APART;
    format!("{:02}:{:02}", minutes / 60 % 24, minutes % 60)
}

/// Unattended upgrades, but for the engines'.
pub(super) fn updates(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let mut step = plan.draft("updates", "install security updates by themselves, but for the engines'");
    step.file(&Managed::new(APT, apt()))?;
    step.after("packages");
    plan.add(step);
    Ok(())
}

/// Each node at its own time.
pub(super) fn time(plan: &mut NodePlan<'_, '_>, place: usize) -> Result<(), Hidden> {
    let at = at(plan.spec.host().updates, place);
    let unit = look(plan.seen, TIMER)?;
    let mut step = plan.draft("update-time", format!("install security updates at {at}"));
    step.folder(DROP_IN_FOLDER)?;
    let timer = format!("{}[Timer]\nOnCalendar=\nOnCalendar=*-*-* {at}\nRandomizedDelaySec=0\n", header("#"));
    let timer = Managed::new(DROP_IN, timer);
    let mut restart = false;
    if unit.enablement == Enablement::Masked {
        plan.note(format!("{TIMER} is masked, so security updates don't install themselves"));
        step.file(&timer)?;
    } else {
        restart = step.unit_file(&timer)?;
        if unit.enablement == Enablement::Disabled {
            step.why(format!("{TIMER} is disabled"));
            step.enable(TIMER);
            restart = true;
        }
        if unit.activity != Activity::Active {
            step.why(format!("{TIMER} doesn't run"));
            restart = true;
        }
    }
    if restart {
        step.rests_on(About::Unit(TIMER.to_owned()))?;
        step.start(Program::Systemctl.command().args(["restart", TIMER]));
    }
    step.after("updates");
    plan.add(step);
    Ok(())
}

fn apt() -> String {
    let mut text = header("//");
    for key in ["Enable", "Update-Package-Lists", "Unattended-Upgrade"] {
        let _ = writeln!(text, "APT::Periodic::{key} \"1\";");
    }
    text.push_str("Unattended-Upgrade::Automatic-Reboot \"false\";\n\n");
    text.push_str("// Configuration that stead wrote stays, and doesn't keep its package from being updated.\n");
    text.push_str("Dpkg::Options { \"--force-confold\"; \"--force-confdef\"; };\n\n");
    text.push_str("// stead updates these itself, one node at a time.\nUnattended-Upgrade::Package-Blacklist {\n");
    for package in held::packages() {
        let _ = writeln!(text, "  \"^{}$\";", regex(package));
    }
    text + "};\n"
}

/// Keeps needrestart, where it is installed now or later, from restarting engines after an update of a library.
pub(super) fn needrestart(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let mut text = header("#");
    for unit in held::units() {
        let _ = writeln!(text, "$nrconf{{override_rc}}->{{qr(^{}$)}} = 0;", regex(unit));
    }
    let mut step = plan.draft("needrestart", "keep needrestart from restarting engines");
    step.folder(NEEDRESTART_FOLDER)?;
    step.file(&Managed::new(NEEDRESTART, text))?;
    plan.add(step);
    Ok(())
}

/// As a regular expression that means just this name.
fn regex(name: &str) -> String {
    name.replace('.', r"\.").replace('+', r"\+")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nodes_update_one_after_the_other() {
        let first = "23:30".parse().unwrap();
        assert_eq!([at(first, 0), at(first, 1), at(first, 2)], ["23:30", "23:50", "00:10"]);
    }
}
