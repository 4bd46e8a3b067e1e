//! What the storage daemon has written down for its next start.

use stead_plan::volumes::Written;

use super::STATE;
use super::gluster::{IN_POOL, REJECTED, name_of};
use crate::place::Place;

/// A file that can't be read or is torn tells nothing; nor does one of another name than its UUID, for the daemon reads none
/// of these; nor one of a peer that is on its way.
pub(super) fn look(place: &Place) -> Written {
    let text = |path: String| place.text(path).unwrap_or_default();
    let info = text(format!("{STATE}/glusterd.info"));
    let (id, version) = (value(&info, "UUID"), value(&info, "operating-version"));
    let names = place.names(format!("{STATE}/peers")).unwrap_or_default();
    let peer = |name: &String| peer(&text(format!("{STATE}/peers/{name}"))).filter(|(_, id)| id == name);
    Written {
        id: id.map(str::to_owned),
        version: version.map(str::to_owned),
        peers: names.iter().filter_map(peer).collect(),
    }
}

/// Its name and its UUID.
fn peer(text: &str) -> Option<(String, String)> {
    // At any other, they are still to agree.
    value(text, "state").filter(|state| [IN_POOL, REJECTED].contains(state))?;
    let names =
        text.lines().filter(|line| line.starts_with("hostname")).filter_map(|line| Some(line.split_once('=')?.1));
    Some((name_of(names)?.to_owned(), value(text, "uuid")?.to_owned()))
}

fn value<'t>(text: &'t str, key: &str) -> Option<&'t str> {
    let of = |line: &'t str| line.split_once('=').filter(|(name, _)| *name == key).map(|(_, value)| value);
    text.lines().find_map(of).filter(|value| !value.is_empty())
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends there")]

    use super::*;
    use crate::testing::{Node, each};

    #[test]
    fn both_releases_write_down_who_they_are_and_whom_they_know() {
        for (release, text) in each("gluster-info.txt") {
            let tree = Node::new();
            assert_eq!(look(&tree.place), Written::default(), "{release}: a new one");
            tree.write(&format!("{STATE}/glusterd.info"), &text);
            let (_, peer) = each("gluster-peer.txt").find(|(of, _)| *of == release).unwrap();
            tree.write(&format!("{STATE}/peers/1e0969c9-75b2-4677-9503-4f1c1f2d1a45"), &peer);
            // What a power cut may leave.
            tree.write(&format!("{STATE}/peers/7e0969c9-75b2-4677-9503-4f1c1f2d1a45"), "");
            tree.write(
                &format!("{STATE}/peers/8e0969c9-75b2-4677-9503-4f1c1f2d1a45.tmp"),
                &peer.replace("1e09", "8e09"),
            );
            // What the cut of a probe leaves.
            let (id, other) = ("1e0969c9", "9e0969c9");
            let halfway = peer.replace("state=3", "state=5").replace(id, other).replace("node3", "node2");
            tree.write(&format!("{STATE}/peers/9e0969c9-75b2-4677-9503-4f1c1f2d1a45"), &halfway);
            let written = look(&tree.place);
            assert_eq!(written.id.map(|id| id.len()), Some(36), "{release}");
            assert_eq!(written.version.as_deref(), Some("100000"), "{release}");
            let node3 = ("node3.core".to_owned(), "1e0969c9-75b2-4677-9503-4f1c1f2d1a45".to_owned());
            assert_eq!(written.peers, [node3].into(), "{release}");
        }
    }
}
