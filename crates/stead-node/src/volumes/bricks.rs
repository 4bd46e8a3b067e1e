//! What lies in a brick.

use std::collections::BTreeSet;
use std::io::ErrorKind;

use camino::Utf8Path;
use stead_plan::volumes::{Brick, INTERNAL, ROOT};
use stead_spec::Bytes;
use uuid::Uuid;

use crate::place::Place;
use crate::read::why;

/// Where a brick counts the files that changed while another copy of them wasn't there: an entry each, beside one that
/// all of them are links to.
const PENDING: &str = ".glusterfs/indices/xattrop";
const LINKED: &str = "xattrop-";

/// By which a brick says which volume it is of: 16 bytes.
const VOLUME: &str = "trusted.glusterfs.volume-id";

/// What the engine makes in a brick by itself, beside its own folder: a folder of this name and its number.
const ANONYMOUS: &str = ".glusterfs-anonymous-inode-";

/// Of so many of them it is looked whom they accuse.
const LOOKED_AT: usize = 64;

/// By which a copy says of another that it is behind: three counters of four bytes, of contents, attributes and names. The
/// name ends in `VOLUME-client-NUMBER`.
const ACCUSES: &str = "trusted.afr.";

/// A brick; `None` if its folder isn't there, as while its disk isn't.
pub(super) fn look(place: &Place, folder: &Utf8Path, served: bool) -> Result<Option<Brick>, String> {
    let at = place.at(folder);
    let failed = |error: &dyn std::fmt::Display| format!("could not read {folder}: {error}");
    match std::fs::symlink_metadata(&at) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failed(&error)),
        Ok(_) => {}
    }
    let names = place.names(folder).map_err(|error| why(&error))?;
    let pending = place.names(folder.join(PENDING)).map_err(|error| why(&error))?;
    let pending: Vec<&String> = pending.iter().filter(|name| !name.starts_with(LINKED)).collect();
    let accuses = pending.iter().take(LOOKED_AT).map(|id| ((*id).clone(), accused(&at, id))).collect();
    let space = rustix::fs::statvfs(at.as_std_path()).map_err(|error| failed(&error))?;
    let is_folder = |name: &String| at.join(name).is_dir();
    Ok(Some(Brick {
        // What a creation leaves that was cut.
        empty: match names.as_slice() {
            [] => true,
            [one] if one == INTERNAL => place.names(folder.join(INTERNAL)).is_ok_and(|names| names.is_empty()),
            _ => false,
        },
        volume: volume(&at),
        bare: names.iter().all(|name| name == INTERNAL || name.starts_with(ANONYMOUS)),
        folders: names.iter().filter(|name| !name.starts_with('.')).filter(|name| is_folder(name)).cloned().collect(),
        served,
        pending: pending.len(),
        accuses,
        size: Bytes::new(space.f_blocks.saturating_mul(space.f_frsize)),
        free: Bytes::new(space.f_bavail.saturating_mul(space.f_frsize)),
    }))
}

/// The UUID of the volume that a brick is of.
fn volume(brick: &Utf8Path) -> Option<String> {
    let mut id = [0; 16];
    let length = rustix::fs::lgetxattr(brick.as_std_path(), VOLUME, &mut id).ok()?;
    (length == id.len()).then(|| Uuid::from_bytes(id).to_string())
}

/// Which copies are behind, according to this one. What can't be read accuses nobody.
fn accused(brick: &Utf8Path, id: &str) -> BTreeSet<usize> {
    let (Some(first), Some(second)) = (id.get(..2), id.get(2..4)) else { return BTreeSet::new() };
    // Of folders there are links, which may not be followed: files of users' that are links look the same. The brick's own
    // folder is where it is known to be.
    let path = if id == ROOT { brick.to_owned() } else { brick.join(INTERNAL).join(first).join(second).join(id) };
    let mut names = vec![0; 65_536];
    let Ok(length) = rustix::fs::llistxattr(path.as_std_path(), &mut names) else { return BTreeSet::new() };
    let names = names[..length].split(|byte| *byte == 0).filter_map(|name| std::str::from_utf8(name).ok());
    let behind = |name: &&str| {
        let mut counters = [0; 12];
        rustix::fs::lgetxattr(path.as_std_path(), *name, &mut counters).is_ok() && counters != [0; 12]
    };
    let accusing = names.filter(|name| name.starts_with(ACCUSES)).filter(behind);
    accusing.filter_map(|name| name.rsplit_once("-client-")?.1.parse().ok()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Node;

    #[test]
    fn a_brick_is_what_is_in_its_folder() {
        let node = Node::new();
        let folder = Utf8Path::new("/srv/bricks/stead_1a/brick");
        assert_eq!(look(&node.place, folder, false), Ok(None));
        std::fs::create_dir_all(node.at(folder.as_str())).unwrap();
        let empty = look(&node.place, folder, false).unwrap().unwrap();
        assert!(empty.empty && empty.folders.is_empty() && empty.pending == 0 && empty.size > empty.free);
        node.write(&format!("{folder}/.glusterfs/indices/xattrop/xattrop-1b"), "");
        std::fs::create_dir_all(node.at(&format!("{folder}/{ANONYMOUS}5e2f"))).unwrap();
        let new = look(&node.place, folder, true).unwrap().unwrap();
        assert!(new.bare && !new.empty, "{new:?}");
        for name in ["vm/a.qcow2", ".glusterfs/indices/xattrop/xattrop-1b", ".glusterfs/indices/xattrop/5e2f"] {
            node.write(&format!("{folder}/{name}"), "");
        }
        node.write(&format!("{folder}/file"), "");
        let used = look(&node.place, folder, true).unwrap().unwrap();
        assert!(!used.empty && !used.bare && used.served && used.pending == 1, "{used:?}");
        assert_eq!(used.folders, ["vm".to_owned()].into());
    }
}
