//! Disks: whether they are there and open, and whether the tangs that open them run.

use serde::Serialize;
use stead_spec::Spec;
use stead_spec::units::DiskId;

use super::Found;
use super::host::Asked;
use crate::disks::{DataDisk, MARK, TANG_UNIT, opening_unit, vault_is_mounted};
use crate::inventory::{Activity, Known, NodeInventory};

/// A data disk of a node.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct DiskStatus {
    /// Its name in `/dev/disk/by-id`.
    pub id: DiskId,
    /// What it is for, in the file's word.
    pub usage: String,
    /// How it is.
    pub state: DiskState,
}

/// How a data disk is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize)]
#[serde(rename_all = "snake_case")]
pub enum DiskState {
    /// Encrypted, and open.
    Open,
    /// Encrypted, and closed.
    Closed,
    /// Not stead's yet.
    New,
    /// Not there.
    Missing,
    /// Nobody can tell.
    Unknown,
}

pub(super) fn look(spec: &Spec, asked: &[Asked<'_>], found: &mut Found) -> Vec<Vec<DiskStatus>> {
    asked.iter().map(|of| node(spec, of, found)).collect()
}

fn node(spec: &Spec, asked: &Asked<'_>, found: &mut Found) -> Vec<DiskStatus> {
    let disks = DataDisk::all(spec.cluster().id, asked.node);
    let of = |data: &DataDisk<'_>, state| DiskStatus { id: data.id.clone(), usage: data.word().to_owned(), state };
    let Ok(seen) = asked.seen else { return disks.iter().map(|data| of(data, DiskState::Unknown)).collect() };
    let states: Vec<DiskState> = disks.iter().map(|data| one(asked, seen, data, found)).collect();
    let name = &asked.node.name;
    let is_ours = states.iter().any(|state| matches!(state, DiskState::Open | DiskState::Closed));
    // What was never set up is the plan's business.
    let has_keys =
        matches!(&seen.tang, Known::Is(Some(tang)) if tang.advertised.keys().any(|key| key.starts_with(MARK)));
    if has_keys && activity(seen, TANG_UNIT).is_some_and(|activity| activity != Activity::Active) {
        let what = format!("{name}'s tang doesn't run: it opens no disk of the other nodes");
        found.bad(Some(name), what, "`stead apply` starts it");
    }
    let open = states.iter().all(|state| *state == DiskState::Open);
    if is_ours && open && !vault_is_mounted(seen) {
        found.bad(
            Some(name),
            format!("{name}'s vault isn't mounted"),
            "`stead apply` mounts it, and says why it can't",
        );
    }
    disks.iter().zip(states).map(|(data, state)| of(data, state)).collect()
}

fn one(asked: &Asked<'_>, seen: &NodeInventory, data: &DataDisk<'_>, found: &mut Found) -> DiskState {
    let name = &asked.node.name;
    let disks = match &seen.disks {
        Known::Is(disks) => disks,
        Known::Unknown(why) => {
            found.unknown(Some(name), format!("{name}'s disks can't be told: {why}"), "`stead plan` says more");
            return DiskState::Unknown;
        }
    };
    let Some(disk) = disks.iter().find(|disk| disk.is(data.id)) else {
        let what = format!("{name} has no disk {} ({})", data.id, data.word());
        found.bad(Some(name), what, "is it plugged in? `ls -l /dev/disk/by-id` there shows what is");
        return DiskState::Missing;
    };
    let uuid = data.uuid.to_string();
    if disk.content.as_ref().is_none_or(|content| content.uuid.as_deref() != Some(uuid.as_str())) {
        return DiskState::New;
    }
    if disk.opened().is_some() {
        return DiskState::Open;
    }
    let what = format!("{name}'s disk {} ({}) is closed", data.id, data.word());
    if activity(seen, &opening_unit(data)) == Some(Activity::Changing) {
        let next = "it opens by itself once those answer who open it: `stead keys explain` names them";
        found.bad(Some(name), what, next);
    } else {
        found.bad(Some(name), what, "`stead apply` opens it");
    }
    DiskState::Closed
}

fn activity(seen: &NodeInventory, unit: &str) -> Option<Activity> {
    Some(seen.units.get()?.get(unit)?.activity)
}
