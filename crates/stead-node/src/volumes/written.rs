//! What the storage daemon has written down for its next start.

use std::collections::BTreeMap;

use stead_plan::volumes::Written;

use super::STATE;
use super::gluster::CORE;
use crate::place::Place;

/// A file that can't be read or is torn tells nothing.
pub(super) fn look(place: &Place) -> Written {
    let text = |path: String| place.text(path).unwrap_or_default();
    let id = value(&text(format!("{STATE}/glusterd.info")), "UUID").map(str::to_owned);
    let names = place.names(format!("{STATE}/peers")).unwrap_or_default();
    let peers =
        names.iter().filter_map(|name| peer(&text(format!("{STATE}/peers/{name}")))).collect::<BTreeMap<_, _>>();
    Written { id, peers }
}

/// The name by which stead has nodes know each other, or else the first, and the UUID.
fn peer(text: &str) -> Option<(String, String)> {
    let names =
        || text.lines().filter(|line| line.starts_with("hostname")).filter_map(|line| Some(line.split_once('=')?.1));
    let name = names().find(|name| name.ends_with(CORE)).or_else(|| names().next())?;
    Some((name.to_owned(), value(text, "uuid")?.to_owned()))
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
            let written = look(&tree.place);
            assert_eq!(written.id.map(|id| id.len()), Some(36), "{release}");
            let node3 = ("node3.core".to_owned(), "1e0969c9-75b2-4677-9503-4f1c1f2d1a45".to_owned());
            assert_eq!(written.peers, [node3].into(), "{release}");
        }
    }
}
