//! Volumes: whether all bricks are served and hold the same, whether nodes have them mounted, and how full they are.

use std::collections::BTreeSet;

use serde::Serialize;
use stead_spec::units::{NodeName, VolumeName};
use stead_spec::volumes::Volume;
use stead_spec::words::count;
use stead_spec::{Bytes, Spec};

use super::host::Asked;
use super::{Found, Healing, names};
use crate::disks::{Space, mounted_at};
use crate::inventory::{Activity, Enablement, NodeInventory};
use crate::volumes::layout::{Share, host, mount_unit, place, sets};
use crate::volumes::{Brick, Daemon, Replicated, Standing, mounts};

/// A volume.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct VolumeStatus {
    /// Its name.
    pub name: VolumeName,
    /// Whether there is anything of it yet.
    pub exists: bool,
    /// How many bricks it has; of a local volume, on how many nodes it is.
    pub bricks: usize,
    /// How many of these are there and served.
    pub served: usize,
    /// On how many nodes it is mounted.
    pub mounted: usize,
    /// How many files have copies that are behind, by the brick that knows of most.
    pub pending: usize,
    /// How fast they become equal, if that was looked at for long enough.
    pub healing: Option<Healing>,
    /// What fits in, of what could be looked at; of a local volume, on all nodes together.
    pub size: Bytes,
    /// What of that is free.
    pub free: Bytes,
}

impl VolumeStatus {
    /// Has this much more room.
    fn takes(&mut self, space: Space) {
        self.size = Bytes::new(self.size.get() + space.size.get());
        self.free = Bytes::new(self.free.get() + space.free.get());
    }
}

/// From here on it is told that something fills: of what is full, gluster and thin pools make errors that take long to mend.
const FILLS: u64 = 80;
/// From here on it is bad.
const FULL: u64 = 95;

pub(super) fn look(spec: &Spec, asked: &[Asked<'_>], found: &mut Found) -> Vec<VolumeStatus> {
    pools(spec, asked, found);
    daemons(asked, found);
    spec.volumes().values().map(|volume| one(spec, volume, asked, found)).collect()
}

/// Thin pools, which hold the snapshots too.
fn pools(spec: &Spec, asked: &[Asked<'_>], found: &mut Found) {
    for of in asked {
        let Some(pools) = of.seen().and_then(|seen| seen.pools.get()) else { continue };
        for share in Share::of(spec, of.node) {
            let used = pools.get(&share.data.name).and_then(|pool| pool.volumes.get("pool")?.used);
            let Some(used) = used else { continue };
            let what = format!("{}'s disk {} ({})", of.node.name, share.data.id, share.volume.name);
            let next = "take snapshots away, or files: what is full there stops all that is on it";
            fills(found, Some(&of.node.name), &format!("the thin pool on {what}"), u64::from(used.data), next);
            let next = format!(
                "`lvextend --poolmetadatasize +64M {}/pool` there, as long as its group has room",
                share.data.name
            );
            fills(
                found,
                Some(&of.node.name),
                &format!("the metadata of the thin pool on {what}"),
                u64::from(used.metadata),
                &next,
            );
        }
    }
}

fn fills(found: &mut Found, node: Option<&NodeName>, what: &str, percent: u64, next: &str) {
    let said = format!("{what} is filled to {percent} %");
    if percent >= FULL {
        found.bad(node, said, next);
    } else if percent >= FILLS {
        found.warn(node, said, next);
    }
}

fn daemons(asked: &[Asked<'_>], found: &mut Found) {
    for of in asked {
        let (name, Some(seen)) = (&of.node.name, of.seen()) else { continue };
        match seen.storage.daemon.as_result() {
            Err(why) => {
                found.unknown(
                    Some(name),
                    format!("{name}'s storage daemon doesn't tell: {why}"),
                    "`stead plan` says more",
                );
            }
            Ok(Daemon::Stopped) => {
                let what = format!("{name}'s storage daemon doesn't run");
                found.bad(Some(name), what, "`stead apply` starts it; bricks go on meanwhile");
            }
            Ok(Daemon::New) => {}
            Ok(Daemon::Runs(knows)) => {
                // One that didn't answer us either is told of already.
                let others = asked.iter().filter(|other| other.seen.is_ok()).map(|other| &other.node.name);
                let of = |standing: Standing| -> Vec<_> {
                    let is =
                        |other: &&NodeName| knows.peers.get(&host(other)).is_some_and(|it| it.standing == standing);
                    others.clone().filter(is).collect()
                };
                let rejected = of(Standing::Rejected);
                if !rejected.is_empty() {
                    let what = format!(
                        "{name}'s storage daemon takes nothing from {}'s: they know different things of a volume",
                        names(rejected)
                    );
                    let next = "`grep Cksums /var/log/glusterfs/glusterd.log` there names the volume; where fewer nodes agree, \
                                `systemctl stop glusterd`, `mv /var/lib/glusterd/vols /var/lib/glusterd/vols.old` and `systemctl start glusterd` \
                                have its daemon learn it from the others, while its bricks go on";
                    found.bad(Some(name), what, next);
                }
                let joining = of(Standing::Joining);
                if !joining.is_empty() {
                    let what = format!(
                        "{name}'s storage daemon hasn't agreed with {}'s on knowing each other",
                        names(joining)
                    );
                    found.bad(Some(name), what, "`stead apply` ends what was cut there");
                }
                let lost = of(Standing::Away);
                if !lost.is_empty() {
                    let what = format!("{name}'s storage daemon has no connection to {}'s", names(lost));
                    found.bad(
                        Some(name),
                        what,
                        format!("`journalctl -u glusterd` on {name} says why; is the core there?"),
                    );
                }
            }
        }
    }
}

fn one(spec: &Spec, volume: &Volume, asked: &[Asked<'_>], found: &mut Found) -> VolumeStatus {
    let mut status = VolumeStatus {
        name: volume.name.clone(),
        exists: false,
        bricks: 0,
        served: 0,
        mounted: 0,
        pending: 0,
        healing: None,
        size: Bytes::new(0),
        free: Bytes::new(0),
    };
    if volume.is_shared() {
        replicated(spec, volume, asked, &mut status, found);
    } else {
        local(spec, volume, asked, &mut status, found);
    }
    status
}

fn seen<'a>(asked: &'a [Asked<'_>], share: &Share<'_>) -> Option<&'a NodeInventory> {
    asked.iter().find(|of| of.node.name == share.node.name)?.seen()
}

/// Whether the disk of a share is open: if it isn't, that was told of.
fn is_open(seen: &NodeInventory, share: &Share<'_>) -> bool {
    let disks = seen.disks.get().into_iter().flatten();
    disks.filter(|disk| disk.is(share.data.id)).any(|disk| disk.opened().is_some())
}

fn replicated(spec: &Spec, volume: &Volume, asked: &[Asked<'_>], status: &mut VolumeStatus, found: &mut Found) {
    let name = &volume.name;
    let known = asked.iter().find_map(|of| of.seen()?.storage.knows()?.volumes.get(name.as_ref()));
    status.exists = known.is_some();
    let sets = sets(spec, volume).unwrap_or_default();
    status.bricks = sets.iter().map(Vec::len).sum();
    if known.is_some_and(|known| !known.started) {
        found.bad(None, format!("volume {name} is stopped"), "`stead apply` starts it");
    }
    let mut fullest = 0;
    for set in &sets {
        let mut fullest_of: Option<&Brick> = None;
        for share in set {
            let Some(seen) = seen(asked, share) else { continue };
            let brick = match seen.storage.brick(share.folder()) {
                Err(why) => {
                    let what = format!("{}'s brick of {name} can't be looked at: {why}", share.node.name);
                    found.bad(Some(&share.node.name), what, "its disk may be dying: `dmesg` there says more");
                    continue;
                }
                Ok(None) => {
                    if status.exists && is_open(seen, share) {
                        let what = format!("{}'s brick of {name} isn't mounted", share.node.name);
                        found.bad(Some(&share.node.name), what, "`stead apply` mounts it, and says why it can't");
                    }
                    continue;
                }
                Ok(Some(brick)) => brick,
            };
            if brick.served {
                status.served += 1;
            } else if known.is_some_and(|known| known.started) {
                let what = format!("nobody serves {}'s brick of {name}", share.node.name);
                found.bad(Some(&share.node.name), what, "`stead apply` has it served");
            }
            status.pending = status.pending.max(brick.pending);
            // An arbiter's has names only.
            if !share.is_arbiter() && fullest_of.is_none_or(|other| brick.free < other.free) {
                fullest_of = Some(brick);
            }
        }
        if let Some(brick) = fullest_of {
            let space = Space { size: brick.size, free: brick.free };
            // A file goes to one set, whatever room the others have.
            fullest = fullest.max(space.filled());
            status.takes(space);
        }
    }
    fills(found, None, &format!("volume {name}"), fullest, "make room, or give it more disks");
    torn(asked, volume, known, &sets, found);
    if status.pending > 0 {
        let have = if status.pending == 1 { "has" } else { "have" };
        let what = format!("{} of volume {name} {have} a copy that is behind", count(status.pending, "file"));
        found.warn(
            None,
            what,
            "they are made equal by themselves once all bricks are there (`stead status --watch` tells how fast); stop no other node until then",
        );
    }
    if status.exists {
        mounted(asked, volume, &mounts::unit(volume), status, found);
    }
}

/// Files of which two copies say of each other that they are behind: nobody can tell which of them is right.
fn torn(asked: &[Asked<'_>], volume: &Volume, known: Option<&Replicated>, sets: &[Vec<Share<'_>>], found: &mut Found) {
    let Some(known) = known else { return };
    let number = |share: &Share<'_>| known.bricks.iter().position(|brick| *brick == share.address());
    let mut torn = BTreeSet::new();
    for set in sets {
        let copies: Vec<(usize, &Brick)> = set
            .iter()
            .filter_map(|share| Some((number(share)?, seen(asked, share)?.storage.brick(share.folder()).ok()??)))
            .collect();
        for (one, brick) in &copies {
            for (id, accused) in &brick.accuses {
                let back = |other: &Brick| other.accuses.get(id).is_some_and(|accused| accused.contains(one));
                if copies.iter().any(|(other, brick)| other != one && accused.contains(other) && back(brick)) {
                    torn.insert(id.as_str());
                }
            }
        }
    }
    if !torn.is_empty() {
        let name = &volume.name;
        let what = format!(
            "{} of volume {name} were written apart, and can't be read (split-brain)",
            count(torn.len(), "file")
        );
        let next = format!(
            "`gluster volume heal {name} info split-brain` names them; look at each copy, then `gluster volume heal {name} \
             split-brain source-brick BRICK FILE` keeps the one of BRICK"
        );
        found.bad(None, what, next);
    }
}

fn local(spec: &Spec, volume: &Volume, asked: &[Asked<'_>], status: &mut VolumeStatus, found: &mut Found) {
    let place = place(volume);
    for of in asked {
        let shares = Share::of(spec, of.node);
        let Some(share) = shares.iter().find(|share| share.volume.name == volume.name) else { continue };
        status.bricks += 1;
        let Some(seen) = of.seen() else { continue };
        let there = seen.pools.get().is_some_and(|pools| {
            pools.get(&share.data.name).is_some_and(|pool| pool.volumes.contains_key(share.name()))
        });
        status.exists |= there;
        let mut disks = seen.disks.get().into_iter().flatten();
        if let Some(files) = disks.find_map(|disk| mounted_at(&disk.children, &place)) {
            status.served += 1;
            status.mounted += 1;
            let space = files.space.unwrap_or_default();
            status.takes(space);
            let what = format!("{}'s files of {}", of.node.name, volume.name);
            fills(
                found,
                Some(&of.node.name),
                &what,
                space.filled(),
                "make room there: what is full on one node doesn't go to another",
            );
        } else if there && is_open(seen, share) {
            let what = format!("{} isn't mounted on {}", volume.name, of.node.name);
            let next = format!("`systemctl status {}` there says why; `stead apply` mounts it", mount_unit(&place));
            found.bad(Some(&of.node.name), what, next);
        }
    }
}

/// Where a replicated volume is mounted.
fn mounted(asked: &[Asked<'_>], volume: &Volume, unit: &str, status: &mut VolumeStatus, found: &mut Found) {
    for of in asked {
        let Some(units) = of.seen().and_then(|seen| seen.units.get()) else { continue };
        let Some(is) = units.get(unit) else { continue };
        if is.activity == Activity::Active {
            status.mounted += 1;
        // A node that has nothing of it yet has to be set up as a whole, which others tell.
        } else if is.enablement != Enablement::Absent {
            let what = format!("{} isn't mounted on {}", volume.name, of.node.name);
            let next = format!("it tries by itself; `systemctl status {unit}` there says why it can't");
            found.bad(Some(&of.node.name), what, next);
        }
    }
}
