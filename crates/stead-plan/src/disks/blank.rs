//! The blank test: what hinders that a disk is formatted.

use std::collections::BTreeSet;

use camino::Utf8Path;

use super::facts::{BlockDevice, Disk, Ends};
use crate::host::facts::Swap;
use crate::init::plain;
use crate::inventory::Known;

/// What hinders that a disk is given to the cluster as it is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Taken {
    /// The running system lies on it, its swap, or something else that is in use: what.
    InUse(String),
    /// It carries something: what. It may be wiped, if the file permits just that.
    NotBlank(String),
    /// Nobody knows: why.
    Unsure(String),
}

/// Nothing, if a disk is *provably* blank: nothing uses it, nothing is found on it, both its ends are zeros, and each of
/// these was really looked at.
pub fn blank(disk: &Disk, swaps: &Known<Vec<Swap>>) -> Result<(), Taken> {
    in_use(disk, swaps)?;
    let found = found(disk);
    if !found.is_empty() {
        return Err(Taken::NotBlank(found.into_iter().collect::<Vec<_>>().join(", ")));
    }
    writable(disk)?;
    let of = |what: &str, why: &str| Taken::Unsure(format!("{what}: {why}"));
    match known(disk.signatures.as_ref()).map_err(|why| of("signatures", why))? {
        signatures if signatures.is_empty() => {}
        _ => return Err(Taken::NotBlank("something that wipefs knows".to_owned())),
    }
    match known(disk.blkid.as_ref()).map_err(|why| of("blkid", why))? {
        // "Nothing found", of blkid(8).
        2 => {}
        8 => return Err(Taken::NotBlank("something of which blkid finds more than one kind".to_owned())),
        0 => return Err(Taken::NotBlank("something that blkid knows".to_owned())),
        status => return Err(Taken::Unsure(format!("blkid ended with {status}"))),
    }
    if !*known(disk.exclusive.as_ref()).map_err(|why| of("whether it is in use", why))? {
        return Err(Taken::InUse("something has it open for itself".to_owned()));
    }
    match known(disk.ends.as_ref()).map_err(|why| of("its ends", why))? {
        Ends::Zero => Ok(()),
        Ends::Head(_) | Ends::Data(_) => Err(Taken::NotBlank("data of no kind that is known".to_owned())),
    }
}

/// Nothing, if what a disk holds can be destroyed: nothing uses it.
pub fn unused(disk: &Disk, swaps: &Known<Vec<Swap>>) -> Result<(), Taken> {
    in_use(disk, swaps)?;
    // The kernel tells of what is built on the whole disk only.
    if let Some(built) = all(&disk.children).into_iter().find(|device| device.kind != "part") {
        return Err(Taken::InUse(format!("{} is built on it", built.name)));
    }
    writable(disk)?;
    match known(disk.exclusive.as_ref()) {
        Ok(true) => Ok(()),
        Ok(false) => Err(Taken::InUse("something has it open for itself".to_owned())),
        Err(why) => Err(Taken::Unsure(format!("whether it is in use: {why}"))),
    }
}

fn writable(disk: &Disk) -> Result<(), Taken> {
    if disk.read_only {
        return Err(Taken::Unsure("it can't be written".to_owned()));
    }
    if disk.size.get() == 0 {
        return Err(Taken::Unsure("it has no size: there is no medium in it".to_owned()));
    }
    Ok(())
}

fn known<T>(fact: Option<&Known<T>>) -> Result<&T, &str> {
    fact.ok_or("not looked at")?.as_result()
}

fn in_use(disk: &Disk, swaps: &Known<Vec<Swap>>) -> Result<(), Taken> {
    let mut mounts: Vec<&str> = disk.mounts.iter().map(|path| path.as_str()).collect();
    let mut names = vec![disk.name.as_str()];
    for child in all(&disk.children) {
        mounts.extend(child.mounts.iter().map(String::as_str));
        names.push(&child.name);
    }
    let device = |path: &Utf8Path| path.strip_prefix("/dev").is_ok_and(|name| names.contains(&name.as_str()));
    if mounts.contains(&"/") {
        return Err(Taken::InUse("the system is on it".to_owned()));
    }
    if mounts.contains(&"[SWAP]") || swaps.get().is_some_and(|swaps| swaps.iter().any(|swap| device(&swap.path))) {
        return Err(Taken::InUse("it is swapped to".to_owned()));
    }
    if let Some(mount) = mounts.first() {
        return Err(Taken::InUse(format!("it is mounted at {mount}")));
    }
    match &disk.holders {
        Known::Is(holders) if holders.is_empty() => Ok(()),
        Known::Is(holders) => Err(Taken::InUse(format!("{} is built on it", holders.join(", ")))),
        Known::Unknown(why) => Err(Taken::Unsure(format!("what is built on it: {why}"))),
    }
}

/// What is on a disk, in a few words each.
pub(super) fn found(disk: &Disk) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for child in all(&disk.children) {
        let words = [child.content.as_deref().unwrap_or(&child.kind), child.label.as_deref().unwrap_or_default()];
        found.insert(plain(&words.join(" ")));
    }
    for signature in disk.signatures.iter().filter_map(Known::get).flatten() {
        let words = [signature.kind.as_str(), signature.label.as_deref().unwrap_or_default()];
        found.insert(plain(&words.join(" ")));
    }
    found
}

/// These, and whatever lies on them.
fn all(devices: &[BlockDevice]) -> Vec<&BlockDevice> {
    let mut found: Vec<&BlockDevice> = Vec::new();
    let mut next: Vec<&BlockDevice> = devices.iter().rev().collect();
    while let Some(device) = next.pop() {
        found.push(device);
        next.extend(device.children.iter().rev());
    }
    found
}
