//! What a person asks of disks now and then: whether all keys really open them, opening them by hand, wiping one. Each is
//! a plan of its own, with the same promises.

use stead_spec::units::{DiskId, NodeName};

use super::facts::{Content, LUKS};
use super::{DataDisk, MEMORY, binding, disk, format, is_name, luks, opening, secret};
use crate::inventory::{Inventory, Known};
use crate::op::{Filled, Program};
use crate::plan::planner::{Hidden, NodePlan, errand};
use crate::plan::{Asked, Plan};
use crate::step::{About, Destruction, Layer};

/// How long a disk's header may take.
const TIMEOUT: u32 = 300;

/// Opens every slot of stead's, and changes nothing: the recovery key's, and each binding.
pub fn test(asked: &Asked<'_>, inventory: &Inventory) -> Plan {
    each(asked, inventory, None, |plan, data| {
        let seen = disk(plan.seen, data.id)?;
        let luks = luks(seen)?.ok_or_else(|| Hidden::new(data.id.as_ref(), "it isn't encrypted yet"))?;
        let mut step =
            plan.draft(&data.step("test"), format!("open {} by each of its keys, and leave it as it is", data.title()));
        step.rests_on(About::Disk(data.id.clone()))?;
        step.beside(MEMORY);
        step.run(format::test(plan, data.id));
        luks.bindings.keys().for_each(|slot| step.run(binding::test(data.id, *slot)));
        if luks.bindings.is_empty() {
            plan.note(format!("{} opens by its recovery key alone", data.id));
        }
        plan.add(step);
        Ok(())
    })
}

/// Opens the closed disks of a node by their recovery keys.
pub fn recover(asked: &Asked<'_>, inventory: &Inventory, node: &NodeName) -> Plan {
    each(asked, inventory, Some(node), |plan, data| {
        let seen = disk(plan.seen, data.id)?;
        if seen.opened().is_some() {
            return Ok(());
        }
        luks(seen)?.ok_or_else(|| Hidden::new(data.id.as_ref(), "it isn't encrypted yet"))?;
        let unit = opening::unit(data);
        let mut step = plan.draft(&data.step("recover"), format!("open {} by its recovery key", data.title()));
        step.why("it is closed");
        step.rests_on(About::Disk(data.id.clone()))?;
        step.beside(MEMORY);
        // Nothing is stopped for a key that opens nothing.
        step.run(format::test(plan, data.id));
        // It waits for others to answer; then it finds the disk open.
        step.run(Program::Systemctl.command().args(["stop", &unit]));
        let open = ["open", "--key-slot", "0", &data.id.path(), &data.name];
        let key = Filled::secret(plan.secret(&secret(data.id)));
        step.run(Program::Cryptsetup.command().args(open).timeout(TIMEOUT).reads(key));
        step.run(Program::Systemctl.command().args(["start", &unit]));
        plan.add(step);
        Ok(())
    })
}

/// Takes everything off a disk that was a cluster's. `id` is its name in `/dev/disk/by-id`.
pub fn wipe(asked: &Asked<'_>, inventory: &Inventory, node: &NodeName, id: &DiskId) -> Plan {
    errand(asked, inventory, |planner| {
        let of = planner.nodes().into_iter().find(|of| of.node.name == *node);
        if let Some(of) = of {
            let mut plan = planner.on(Layer::Disks, of);
            plan.concern(id.as_ref(), |plan| wipe_one(plan, id));
        }
    })
}

fn wipe_one(plan: &mut NodePlan<'_, '_>, id: &DiskId) -> Result<(), Hidden> {
    let seen = disk(plan.seen, id)?;
    let marked = match &seen.luks {
        Some(Known::Is(luks)) => luks.token.is_some() || is_name(&luks.label),
        _ => seen
            .content
            .as_ref()
            .is_some_and(|content| content.kind == LUKS && content.label.as_ref().is_some_and(|label| is_name(label))),
    };
    if !marked {
        let way = format!(
            "name it in the file, and `stead plan` prints the token that permits to wipe it: see `wipe` of [node.{}]",
            plan.node.name
        );
        plan.refuse(format!("{id} has no mark of a stead cluster"), way);
        return Ok(());
    }
    // By whatever name, at whatever node. One that the file names and that another cluster formatted may go.
    let cluster = plan.spec.cluster().id;
    let says = |part: fn(&Content) -> &Option<String>| seen.content.as_ref().and_then(|content| part(content).clone());
    let (uuid, label) = (says(|content| &content.uuid), says(|content| &content.label));
    let ours = |other: &DiskId| {
        let wanted = super::uuid(cluster, other);
        uuid == Some(wanted.to_string()) || label == Some(super::name(wanted))
    };
    if DataDisk::every(plan.spec).any(ours) {
        let way = "take it out of `disks` in the file first";
        plan.refuse(format!("{id} is one of the file's data disks"), way);
        return Ok(());
    }
    if let Some(opened) = seen.opened() {
        let way = format!(
            "stop what uses it, then `vgchange -an {0}` and `systemctl stop systemd-cryptsetup@{0}.service` on {1}",
            opened.name, plan.node.name
        );
        plan.refuse(format!("{id} is open as {}", opened.name), way);
        return Ok(());
    }
    let token = seen.wipe_token().map_err(|why| Hidden::new(format!("what is on {id}"), why))?;
    let mut step =
        plan.draft(&format!("wipe.{:.12}", super::uuid(plan.spec.cluster().id, id).simple()), format!("wipe {id}"));
    step.why("somebody asked for it");
    step.rests_on(About::Disk(id.clone()))?;
    format::vacate(&mut step, id, seen, token);
    let what = format!("everything on {id} of {}", plan.node.name);
    step.destroys(Destruction { what, typed: id.serial().to_owned() });
    plan.add(step);
    Ok(())
}

/// A plan of one concern for each data disk, of one node or of all.
fn each(
    asked: &Asked<'_>,
    inventory: &Inventory,
    only: Option<&NodeName>,
    concern: impl Fn(&mut NodePlan<'_, '_>, &DataDisk<'_>) -> Result<(), Hidden>,
) -> Plan {
    errand(asked, inventory, |planner| {
        let cluster = planner.spec.cluster().id;
        for of in planner.nodes().into_iter().filter(|of| only.is_none_or(|only| of.node.name == *only)) {
            for data in DataDisk::all(cluster, of.node) {
                let mut plan = planner.on(Layer::Disks, of);
                plan.concern(&data.title(), |plan| concern(plan, &data));
            }
        }
    })
}
