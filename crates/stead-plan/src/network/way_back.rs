//! The unit that puts files back if a node boots in the middle of a change that nobody has confirmed.

use crate::inventory::{Enablement, Questions};
use crate::plan::planner::{Hidden, Managed, NodePlan, header, look};
use crate::step::About;

/// The step that installs it.
pub(super) const STEP: &str = "way-back";

const UNIT: &str = "stead-way-back-boot.service";
const PATH: &str = "/etc/systemd/system/stead-way-back-boot.service";

/// What it runs and waits for lies where the agent puts it before the first change; until then the condition fails.
const TEXT: &str = "[Unit]
Description=Undo a change of networks that nobody has confirmed
DefaultDependencies=no
ConditionPathExists=/var/lib/stead/way-back/pending.json
RequiresMountsFor=/var/lib/stead
After=local-fs.target
Before=network-pre.target systemd-networkd.service networking.service ovsdb-server.service frr.service nftables.service
Wants=network-pre.target
Conflicts=shutdown.target

[Service]
Type=oneshot
ExecStart=/var/lib/stead/way-back/stead way-back boot

[Install]
WantedBy=sysinit.target
";

pub(super) fn questions(out: &mut Questions) {
    out.files.insert(PATH.into());
    out.folders.insert("/etc/systemd/system".into());
    out.units.insert(UNIT.to_owned());
}

pub(super) fn unit(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let mut step = plan.draft(STEP, "undo an unconfirmed change of networks at boot");
    let written = step.unit_file(&Managed::new(PATH, header("#") + TEXT))?;
    let is = look(plan.seen, UNIT)?;
    if written || is.enablement != Enablement::Enabled {
        step.rests_on(About::Unit(UNIT.to_owned()))?;
        step.enable(UNIT);
    }
    plan.add(step);
    Ok(())
}
