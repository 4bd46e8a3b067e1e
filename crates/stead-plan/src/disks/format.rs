//! Formatting: from a disk that is provably blank, or may be wiped, to a LUKS2 header with the recovery key in it.

use stead_spec::units::{DiskId, WipeToken};
use uuid::Uuid;

use super::blank::{Taken, blank, found, unused};
use super::facts::{Disk, Ends, LUKS, Luks};
use super::{DataDisk, MEMORY, RECOVERY, binding, disk, is_name, secret, tang, vault, word};
use crate::init::size;
use crate::inventory::{FileState, Known};
use crate::op::{Command, Filled, MayHold, Op, Program, Vacant};
use crate::plan::planner::{Draft, Hidden, NodePlan, Planned, state};
use crate::step::{About, Destruction};

/// Whether a disk has its header, or gets it in this plan.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Header {
    Is,
    Comes,
}

/// What is given to the header in the beginning: each binding takes a few kilobytes there, twice while it is replaced.
const METADATA: &str = "256k";

/// Room for keys: thirteen slots. The default of 16 MiB would be copied to two other nodes at each change.
const KEYSLOTS: &str = "3584k";

/// The recovery key has 160 random bits, so that guessing is hopeless however cheap a guess is. What is asked here is for
/// the smallest computers to unlock with.
const KEY_DERIVATION: [&str; 8] =
    ["--pbkdf", "argon2id", "--pbkdf-memory", "65536", "--pbkdf-parallel", "1", "--pbkdf-force-iterations", "4"];

/// A disk may be slow, and turn up first.
const MINUTES: u32 = 300;

/// How much of each end is overwritten where something else was: all that the blank test looks at.
const END: u64 = 16 << 20;

/// What is on a disk, as far as it decides what may be done.
enum Holds {
    /// The header that it should have.
    Ours,
    /// No more than a formatting of stead's that was cut.
    OwnBeginnings,
    /// What has to go first, or nothing.
    Other(MayHold),
    /// What isn't touched: why, and the way to do it.
    Refused(String, String),
}

pub(super) fn format(
    plan: &mut NodePlan<'_, '_>,
    data: &DataDisk<'_>,
    nodes: &[Planned<'_>],
) -> Result<Option<Header>, Hidden> {
    let seen = disk(plan.seen, data.id)?;
    let id = data.step("format");
    let begun = plan.is_unfinished(&id)?;
    let holds = holds(plan, data, seen)?;
    let may_hold = match holds {
        Holds::Refused(why, way) => {
            plan.refuse(why, way);
            return Ok(None);
        }
        Holds::Ours => {
            if begun {
                let mut step = plan.draft(&id, format!("make sure that the sealed key opens {}", data.title()));
                step.why("its formatting was cut, or nobody heard that it had ended");
                step.rests_on(About::Disk(data.id.clone()))?;
                step.run(test(plan, data.id));
                plan.add(step);
            }
            return Ok(Some(Header::Is));
        }
        Holds::OwnBeginnings => MayHold::OwnBeginnings,
        Holds::Other(may_hold) => may_hold,
    };
    let pin = binding::pin(plan, nodes)?;
    let title = format!("encrypt {}, {} for {}", data.id, size(seen.size), word(data.usage));
    let mut step = plan.draft(&id, title);
    step.rests_on(About::Disk(data.id.clone()))?;
    step.why(match may_hold {
        MayHold::Nothing => "it is blank".to_owned(),
        MayHold::This(token) => format!("there is {} on it, and the file's `wipe` has its token, {token}", on_it(seen)),
        MayHold::OwnBeginnings => "its formatting was cut, and it holds nothing yet".to_owned(),
    });
    let (disk, identity) = (data.id.clone(), seen.identity());
    step.op(Op::Vacant(Vacant { disk, identity, uuid: data.uuid, may_hold }));
    if let MayHold::This(_) = may_hold {
        erase(&mut step, data.id, seen);
        let serial = data.id.serial().to_owned();
        step.destroys(Destruction {
            what: format!("{} on {} of {}", on_it(seen), data.id, plan.node.name),
            typed: serial,
        });
    }
    if !matches!(state(plan.seen, &vault::metadata(data))?, FileState::Absent) {
        // Of a group that was on it before.
        step.run(Program::Rm.command().args(["-f", "--", &vault::metadata(data)]));
    }
    step.run(luks_format(plan, data));
    step.run(binding::import(data.id, 0, binding::token(plan, data, &pin, &[binding::FIRST])));
    step.run(test(plan, data.id));
    step.beside(MEMORY);
    step.after_packages();
    for peer in nodes.iter().filter(|peer| peer.node.name != plan.node.name) {
        step.after_step(tang::step_of(peer.node));
    }
    plan.add(step);
    Ok(Some(Header::Comes))
}

fn holds(plan: &NodePlan<'_, '_>, data: &DataDisk<'_>, seen: &Disk) -> Result<Holds, Hidden> {
    // A header that makes no sense is none of ours; what it is, the blank test tells.
    if let Some(luks) = seen.luks.as_ref().and_then(Known::get) {
        let refused = |why: String, way: String| Ok(Holds::Refused(format!("{}: {why}", data.title()), way));
        let wipe = format!("if nobody needs it any more: `stead disk wipe {} {}`", plan.node.name, data.id);
        if luks.state.uuid == data.uuid.to_string() {
            return ours(plan, data, seen, luks);
        }
        if let Some((_, token)) = &luks.token {
            let of = |key: &str| token.get(key).and_then(|value| value.as_str()).unwrap_or("?").to_owned();
            return refused(format!("it is {} of cluster {}", of("disk"), of("cluster")), wipe);
        }
        if is_name(&luks.label) {
            return refused(format!("it has the label {} of a stead cluster's disk", luks.label), wipe);
        }
    }
    if is_vacated(plan, data, seen)? && beginnings(seen)? {
        return Ok(Holds::OwnBeginnings);
    }
    let not_blank = |words: String| {
        let token = seen.wipe_token().map_err(|why| Hidden::new(format!("what is on {}", data.id), why))?;
        other(plan, data, seen, &words, token)
    };
    match blank(seen, &plan.seen.swaps) {
        Ok(()) => Ok(Holds::Other(MayHold::Nothing)),
        Err(Taken::NotBlank(found)) => not_blank(found),
        Err(Taken::InUse(how)) => {
            let way = "stead takes disks that nothing uses: free it, or name another one in the file";
            Ok(Holds::Refused(format!("{}: {how}", data.title()), way.to_owned()))
        }
        Err(Taken::Unsure(why)) => Err(Hidden::new(format!("whether {} is blank", data.id), why)),
    }
}

/// A header with the UUID that this disk should have.
fn ours(plan: &NodePlan<'_, '_>, data: &DataDisk<'_>, seen: &Disk, luks: &Luks) -> Result<Holds, Hidden> {
    let refused = |why: String, way: String| Ok(Holds::Refused(format!("{}: {why}", data.title()), way));
    if luks.keyslots.is_empty() {
        if is_vacated(plan, data, seen)? {
            return Ok(Holds::OwnBeginnings);
        }
        let backup = super::headers::path(plan.node.number, &data.name);
        let way = format!(
            "its data may be whole: copy {backup} from another node, and `cryptsetup luksHeaderRestore {} \
             --header-backup-file FILE`",
            data.id.path()
        );
        return refused("somebody has taken all keys out of its header".to_owned(), way);
    }
    let Some((_, token)) = &luks.token else { return Ok(Holds::Ours) };
    let of = |key: &str| token.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned();
    let (usage, asked) = (of("use"), word(data.usage));
    if !usage.is_empty() && usage != asked {
        let way = format!(
            "a disk isn't moved in place: name it under `{usage}` again; or take it out of the file, wipe it with \
             `stead disk wipe`, and name it anew"
        );
        return refused(format!("it is part of {usage}, and the file wants it for {asked}"), way);
    }
    let (key, sealed) = (of("recovery"), binding::recovery(plan, data.id));
    if !key.is_empty() && key != sealed {
        let way = "take stead.secrets from git as it was, or fetch it with `stead adopt ADDRESS`";
        return refused("stead.secrets has another recovery key than the one that opens it".to_owned(), way.to_owned());
    }
    Ok(Holds::Ours)
}

/// What isn't stead's: it stays, unless the file permits to destroy just that.
fn other(
    plan: &NodePlan<'_, '_>,
    data: &DataDisk<'_>,
    seen: &Disk,
    words: &str,
    token: WipeToken,
) -> Result<Holds, Hidden> {
    let refused = |why: String, way: String| Ok(Holds::Refused(format!("{}: {why}", data.title()), way));
    let permit = format!("wipe = {{ \"{}\" = \"{token}\" }}", data.id);
    let way = format!("if all of it may go, add to [node.{}]: `{permit}`", plan.node.name);
    match plan.node.wipe.get(data.id) {
        None => refused(format!("not blank: there is {words} on it"), way),
        Some(given) if *given != token => {
            refused(format!("there is {words} on it, and the token in `wipe` is of something else"), way)
        }
        Some(_) => match unused(seen, &plan.seen.swaps) {
            Ok(()) => Ok(Holds::Other(MayHold::This(token))),
            Err(Taken::InUse(how) | Taken::NotBlank(how)) => {
                let way = "stop what uses it first: `umount`, `vgchange -an VG`, `mdadm --stop` or `zpool export`";
                refused(format!("it may be wiped, but {how}"), way.to_owned())
            }
            Err(Taken::Unsure(why)) => Err(Hidden::new(format!("whether {} is in use", data.id), why)),
        },
    }
}

/// Whether this node has begun to format it, just this disk, after it was proved that it may.
fn is_vacated(plan: &NodePlan<'_, '_>, data: &DataDisk<'_>, seen: &Disk) -> Result<bool, Hidden> {
    let vacated =
        plan.seen.vacated.as_result().map_err(|why| Hidden::new("which disks it has begun to format", why))?;
    Ok(vacated.get(&plan.id(&data.step("format"))) == Some(&seen.identity()))
}

/// Whether there is nothing on it but, at most, the beginnings of a LUKS header.
fn beginnings(seen: &Disk) -> Result<bool, Hidden> {
    let of = |why: &str| Hidden::new("what is on a disk that was begun to be formatted", why);
    let signatures = seen.signatures.as_ref().ok_or_else(|| of("not looked at"))?;
    let signatures = signatures.as_result().map_err(of)?;
    // No formatting writes at the end of a disk.
    let ends = seen.ends.as_ref().ok_or_else(|| of("not looked at"))?.as_result().map_err(of)?;
    let free = !matches!(ends, Ends::Data(_));
    let free = free && matches!(&seen.holders, Known::Is(holders) if holders.is_empty()) && seen.mounts.is_empty();
    Ok(free && seen.children.is_empty() && signatures.iter().all(|found| found.kind == LUKS))
}

fn on_it(seen: &Disk) -> String {
    let found = found(seen);
    if found.is_empty() { "data".to_owned() } else { found.into_iter().collect::<Vec<_>>().join(", ") }
}

/// Has a disk blank that holds what has this token.
pub(super) fn vacate(step: &mut Draft<'_>, id: &DiskId, seen: &Disk, token: WipeToken) {
    let (disk, identity, may_hold) = (id.clone(), seen.identity(), MayHold::This(token));
    step.op(Op::Vacant(Vacant { disk, identity, uuid: Uuid::nil(), may_hold }));
    erase(step, id, seen);
}

/// Takes away what tools would find: signatures, and both ends.
fn erase(step: &mut Draft<'_>, id: &DiskId, seen: &Disk) {
    let (path, size) = (id.path(), seen.size.get());
    step.run(Program::Wipefs.command().args(["--all", &path]).timeout(MINUTES));
    let length = END.min(size).to_string();
    for offset in [0, size.saturating_sub(END)] {
        let (offset, length) = (offset.to_string(), length.clone());
        let zero = [
            "--force".to_owned(),
            "--zeroout".to_owned(),
            "--offset".to_owned(),
            offset,
            "--length".to_owned(),
            length,
        ];
        step.run(Program::Blkdiscard.command().args(zero).args([&path]).timeout(MINUTES));
    }
}

fn luks_format(plan: &NodePlan<'_, '_>, data: &DataDisk<'_>) -> Command {
    let command = Program::Cryptsetup
        .command()
        .args(["luksFormat", "--batch-mode", "--type", "luks2"])
        .args(["--cipher", "aes-xts-plain64", "--key-size", "512", "--hash", "sha256"])
        .args(KEY_DERIVATION)
        .args(["--key-slot", &RECOVERY.to_string()])
        .args(["--luks2-metadata-size", METADATA, "--luks2-keyslots-size", KEYSLOTS])
        .args(["--uuid", &data.uuid.to_string(), "--label", &data.name])
        .args([data.id.path()]);
    command.timeout(MINUTES).reads(Filled::secret(plan.secret(&secret(data.id))))
}

/// Opens the header by the sealed key, and nothing else.
pub(super) fn test(plan: &NodePlan<'_, '_>, id: &DiskId) -> Command {
    let command = Program::Cryptsetup
        .command()
        .args(["open", "--test-passphrase", "--key-slot", &RECOVERY.to_string()])
        .args([id.path()]);
    command.timeout(MINUTES).reads(Filled::secret(plan.secret(&secret(id))))
}
