//! Binding: the keyslot that opens by itself when those answer whom the file names.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use stead_spec::units::DiskId;

use super::facts::Luks;
use super::format::{self, Header};
use super::policy::{self, Pin};
use super::{DataDisk, MARK, MEMORY, RECOVERY, disk, luks, network_steps, secret, tang, word};
use crate::inventory::Known;
use crate::op::{Command, Filled, Program};
use crate::plan::planner::{Draft, Hidden, NodePlan, Planned};
use crate::step::About;

/// The slot of a new disk's binding.
pub(super) const FIRST: u8 = 1;

/// How many slots a LUKS2 header can have.
const SLOTS: u8 = 32;

/// A tang may be silent, and clevis waits for the kernel to give it up.
const TIMEOUT: u32 = 300;

/// What the disks of a node should be bound to.
pub(super) fn pin(plan: &NodePlan<'_, '_>, nodes: &[Planned<'_>]) -> Result<Pin, Hidden> {
    policy::pin(plan.spec, &plan.node.name, &mut |of| tang::print(plan, of, nodes))
}

/// Adds what is missing, and takes away what is wrong: in this order, so that at each moment the disk opens. It ends well
/// only if the disk is bound as asked once the plan is done.
pub(super) fn binding(
    plan: &mut NodePlan<'_, '_>,
    data: &DataDisk<'_>,
    header: Header,
    nodes: &[Planned<'_>],
) -> Result<(), Hidden> {
    let pin = pin(plan, nodes)?;
    let mut step = plan.draft(&data.step("bind"), format!("have {} open by itself", data.title()));
    step.rests_on(About::Disk(data.id.clone()))?;
    if header == Header::Comes {
        step.why("it is new");
        // Its opening shows whether it works: nothing else opens it then.
        step.run(bind(plan, data, &pin, FIRST));
    } else {
        let seen = disk(plan.seen, data.id)?;
        let luks = luks(seen)?.ok_or_else(|| Hidden::new(data.id.as_ref(), "it has no header"))?;
        if !luks.keyslots.contains(&RECOVERY) {
            // Its backups on other nodes still have it, and stay as they are.
            let slot = luks.bindings.keys().next().copied().unwrap_or(FIRST);
            let why = format!(
                "its recovery key is gone from slot 0; `clevis luks pass -d {0} -s {slot}` prints a key by which \
                 `cryptsetup luksAddKey --key-slot 0 {0}` puts it there again",
                data.id.path()
            );
            return Err(Hidden::new(format!("whether {} may be bound anew", data.id), why));
        }
        rebind(plan, data, luks, &pin, &mut step)?;
    }
    step.beside(MEMORY);
    step.after(&data.step("format"));
    for peer in nodes {
        network_steps(peer.node).for_each(|before| step.after_step(before));
        step.after_step(tang::step_of(peer.node));
    }
    step.after_packages();
    plan.add(step);
    Ok(())
}

/// What of a header's slots is stead's.
struct Slots {
    /// It is bound as asked.
    right: Option<u8>,
    /// Bound to something else.
    old: Vec<u8>,
}

impl Slots {
    fn of(luks: &Luks, pin: &Pin) -> Self {
        let known = token_slots(luks);
        let is_right = |slot: &u8| luks.bindings.get(slot).and_then(Known::get).is_some_and(|bound| pin.is(bound));
        let bound = || luks.bindings.keys().copied();
        let right = bound().find(is_right);
        let old = bound().filter(|slot| Some(*slot) != right && (known.contains(slot) || is_right(slot)));
        Self { right, old: old.collect() }
    }
}

/// The lowest slot behind the recovery key's that is empty. One in which a key is that nobody knows may be somebody's own,
/// also where clevis was cut: it stays.
fn free(luks: &Luks) -> Option<u8> {
    (FIRST..SLOTS).find(|slot| !luks.keyslots.contains(slot) && !luks.bindings.contains_key(slot))
}

/// What leads from a header's bindings to the one that is asked.
fn rebind<'a>(
    plan: &mut NodePlan<'_, 'a>,
    data: &DataDisk<'_>,
    luks: &Luks,
    pin: &Pin,
    step: &mut Draft<'a>,
) -> Result<(), Hidden> {
    let cut = plan.is_unfinished(&data.step("bind"))?;
    let slots = Slots::of(luks, pin);
    foreign(plan, data, luks, &slots);
    let path = data.id.path();
    let slot = slots.right.or_else(|| free(luks));
    let slot = slot.ok_or_else(|| Hidden::new(data.id.as_ref(), "all slots of its header are taken"))?;
    let there = luks.token.as_ref().map(|(number, _)| *number);
    let number = there.or_else(|| (0..SLOTS).find(|id| !luks.tokens.contains(id))).unwrap_or_default();
    let write = |step: &mut Draft<'a>, slots: &[u8]| {
        step.run(import(data.id, number, token(plan, data, pin, slots)));
    };
    if slots.right.is_none() {
        step.why(match slots.old.first().and_then(|slot| luks.bindings.get(slot)) {
            None => "nothing opens it by itself".to_owned(),
            Some(Known::Is(bound)) => format!("it opens by {bound}, and the policy or a key is another one"),
            Some(Known::Unknown(why)) => format!("what opens it can't be told ({why})"),
        });
        // Whose the slot is stands there before anything is in it.
        write(step, &slots.old.iter().copied().chain([slot]).collect::<Vec<_>>());
        // clevis would take another key if this one opened nothing any more, and nobody would notice.
        step.run(format::test(plan, data.id));
        step.run(bind(plan, data, pin, slot));
        step.run(test(data.id, slot));
    } else if cut || !slots.old.is_empty() {
        step.why("its binding has to be tested before anything is taken away");
        step.run(test(data.id, slot));
    }
    for old in &slots.old {
        step.why(format!("slot {old} opens by what isn't asked any more"));
        let unbind = ["luks", "unbind", "-f", "-d", &path, "-s", &old.to_string()];
        step.run(Program::Clevis.command().args(unbind).timeout(TIMEOUT));
    }
    let wanted = token(plan, data, pin, &[slot]).text;
    match &luks.token {
        Some((_, token)) if slots.right.is_some() && is_text(token, &wanted) => {}
        // It says just that by now.
        _ if slots.right.is_none() && slots.old.is_empty() => {}
        now => {
            if slots.right.is_some() {
                step.why(if now.is_some() { "its token says something else" } else { "its token is missing" });
            }
            write(step, &[slot]);
        }
    }
    Ok(())
}

/// Whether a token is what this text says. Tokens keep no order.
fn is_text(token: &Value, text: &str) -> bool {
    serde_json::from_str::<Value>(text).is_ok_and(|wanted| *token == wanted)
}

/// Binds a slot.
fn bind(plan: &NodePlan<'_, '_>, data: &DataDisk<'_>, pin: &Pin, slot: u8) -> Command {
    // Without `-y`, which would have clevis trust whoever answers.
    let bind = Program::Clevis.command().args(["luks", "bind", "-d", &data.id.path(), "-s", &slot.to_string()]);
    let bind = bind.args(["-k", "-", "sss"]).filled(pin.configuration()).timeout(TIMEOUT);
    bind.reads(Filled::secret(plan.secret(&secret(data.id))))
}

/// Opens a slot as at a boot, and nothing else.
pub(super) fn test(id: &DiskId, slot: u8) -> Command {
    Program::Clevis.command().args(["luks", "unlock", "-d", &id.path(), "-t", &slot.to_string()]).timeout(TIMEOUT)
}

/// The slots that stead's token says are its own.
fn token_slots(luks: &Luks) -> BTreeSet<u8> {
    let slots = luks.token.as_ref().and_then(|(_, token)| token.get("slots")).and_then(Value::as_array);
    slots.into_iter().flatten().filter_map(|slot| u8::try_from(slot.as_u64()?).ok()).collect()
}

/// What opens the disk too, and isn't stead's.
fn foreign(plan: &mut NodePlan<'_, '_>, data: &DataDisk<'_>, luks: &Luks, slots: &Slots) {
    let Slots { right, old } = slots;
    let own = |slot: &u8| *slot == RECOVERY || Some(*slot) == *right || old.contains(slot);
    for slot in luks.keyslots.iter().filter(|slot| !own(slot)) {
        let bound = match luks.bindings.get(slot) {
            Some(Known::Is(bound)) => format!("a binding to {bound}"),
            Some(Known::Unknown(_)) => "a binding of clevis'".to_owned(),
            None => "a key".to_owned(),
        };
        plan.note(format!(
            "{} also opens by {bound} in slot {slot}, which isn't stead's: `cryptsetup luksKillSlot {} {slot}` takes it away",
            data.id,
            data.id.path()
        ));
    }
}

/// What tells the recovery key that a disk was formatted with from others, and gives nothing of it away.
pub(super) fn recovery(plan: &NodePlan<'_, '_>, id: &DiskId) -> String {
    format!("{:.12}", plan.secret(&secret(id)).sha256.to_string())
}

/// stead's own token: whose disk it is, what for, and what opens it.
pub(super) fn token(plan: &NodePlan<'_, '_>, data: &DataDisk<'_>, pin: &Pin, slots: &[u8]) -> Filled {
    let mut outputs = BTreeSet::new();
    let token = json!({
        "type": MARK,
        "keyslots": [],
        "cluster": plan.spec.cluster().id.to_string(),
        "disk": data.id.to_string(),
        "use": word(data.usage),
        "recovery": recovery(plan, data.id),
        "policy": pin.value(&mut outputs),
        "slots": slots,
    });
    Filled { text: token.to_string(), outputs, ..Filled::default() }
}

/// Puts a token into a header, in one piece with taking away the one of that number: without a token, nobody would know
/// which slots are stead's.
pub(super) fn import(id: &DiskId, number: u8, token: Filled) -> Command {
    let import = ["token", "import", "--token-replace", "--token-id", &number.to_string(), &id.path()];
    Program::Cryptsetup.command().args(import).reads(token)
}
