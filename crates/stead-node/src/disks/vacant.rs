//! The last look at a disk before it is formatted.

use stead_plan::disks::blank::{Taken, blank, unused};
use stead_plan::disks::{Disk, Ends, LUKS};
use stead_plan::inventory::Known;
use stead_plan::op::{MayHold, Vacant};

use super::{blank as test, lsblk, luks};
use crate::exec::Runner;
use crate::host::swaps;
use crate::place::Place;
use crate::read::why;

/// Whether a disk may be formatted now.
///
/// # Errors
/// It may not: why, for a person.
pub(crate) async fn prove(wanted: &Vacant, place: &Place, runner: &Runner) -> Result<(), String> {
    let path = wanted.disk.path();
    let text = runner.read(&lsblk::command()).await.map_err(|error| why(&error))?;
    let disks = lsblk::look(&text, place)?;
    let disk = disks.into_iter().find(|disk| disk.is(&wanted.disk));
    let mut disk = disk.ok_or_else(|| format!("{path} isn't there any more"))?;
    if disk.identity() != wanted.identity {
        return Err(format!("{path} is another disk now: {}, and it was {}", disk.identity(), wanted.identity));
    }
    luks::look(&mut disk, place, runner).await;
    test::test(&mut disk, place, runner).await;
    let swaps = Known::from(swaps::look(place));
    match wanted.may_hold {
        MayHold::Nothing => {
            blank(&disk, &swaps).map_err(|taken| format!("{path} is not blank any more: {}", told(taken)))
        }
        MayHold::This(token) => {
            unused(&disk, &swaps).map_err(|taken| format!("{path} can't be wiped: {}", told(taken)))?;
            match disk.wipe_token()? {
                now if now == token => Ok(()),
                now => Err(format!("what is on {path} has changed: its token is {now}, and {token} was permitted")),
            }
        }
        MayHold::OwnBeginnings => beginnings(&disk, wanted).map_err(|what| format!("{path} has {what} on it by now")),
    }
}

fn told(taken: Taken) -> String {
    match taken {
        Taken::InUse(how) => how,
        Taken::NotBlank(what) => format!("there is {what} on it"),
        Taken::Unsure(why) => format!("nobody can tell ({why})"),
    }
}

/// Nothing but a header of just this UUID that opens with no key.
fn beginnings(disk: &Disk, wanted: &Vacant) -> Result<(), String> {
    if !disk.children.is_empty() || !disk.mounts.is_empty() {
        return Err("something that uses it".to_owned());
    }
    match &disk.holders {
        Known::Is(holders) if holders.is_empty() => {}
        Known::Is(holders) => return Err(holders.join(", ")),
        Known::Unknown(why) => return Err(format!("who knows what ({why})")),
    }
    let signatures = disk.signatures.as_ref().map_or(Err("not looked at"), |known| known.as_result());
    let signatures = signatures.map_err(|why| format!("who knows what ({why})"))?;
    if let Some(other) = signatures.iter().find(|found| found.kind != LUKS) {
        return Err(other.kind.clone());
    }
    // No formatting writes at the end of a disk.
    match &disk.ends {
        Some(Known::Is(Ends::Zero | Ends::Head(_))) => {}
        Some(Known::Is(Ends::Data(_))) => return Err("data".to_owned()),
        Some(Known::Unknown(why)) => return Err(format!("who knows what ({why})")),
        None => return Err("who knows what".to_owned()),
    }
    match &disk.luks {
        Some(Known::Is(luks)) if luks.state.uuid == wanted.uuid.to_string() && luks.keyslots.is_empty() => Ok(()),
        Some(Known::Is(_)) => Err("a header that opens".to_owned()),
        // Half a header.
        Some(Known::Unknown(_)) | None => Ok(()),
    }
}
