//! What the storage daemon knows, as `gluster --xml` tells. Both questions it answers by itself, whoever else is there.

use std::collections::BTreeMap;

use roxmltree::{Document, Node};
use stead_plan::op::{Command, Program};
use stead_plan::volumes::{Knows, Peer, Replicated, Standing};
use uuid::Uuid;

use crate::exec::Runner;
use crate::read::why;

/// gluster's number for a peer that both sides have agreed on (`GD_FRIEND_STATE_BEFRIENDED`).
pub(super) const IN_POOL: &str = "3";

/// gluster's number for a peer that knows something else of a volume (`GD_FRIEND_STATE_REJECTED`).
pub(super) const REJECTED: &str = "6";

/// gluster's number for a volume that is started (`GLUSTERD_STATUS_STARTED`).
const STARTED: &str = "1";

/// What the names end in by which stead has nodes know each other.
const CORE: &str = ".core";

/// Of a peer's names, the one by which stead has nodes know each other, or else the first.
pub(super) fn name_of<'t>(mut names: impl Iterator<Item = &'t str>) -> Option<&'t str> {
    let first = names.next()?;
    if first.ends_with(CORE) { Some(first) } else { names.find(|name| name.ends_with(CORE)).or(Some(first)) }
}

fn command(words: [&str; 2]) -> Command {
    Program::Gluster.command().args(["--mode=script", "--xml"]).args(words)
}

/// Asks the node's own daemon.
pub(super) async fn look(runner: &Runner) -> Result<Knows, String> {
    let (peer_command, volume_command) = (command(["peer", "status"]), command(["volume", "info"]));
    let (peer_text, volume_text) = tokio::join!(runner.read(&peer_command), runner.read(&volume_command));
    let told = |text: Result<String, _>| text.map_err(|error| why(&error));
    let by = |command: &Command, reason: String| format!("{reason} (by: {command})");
    Ok(Knows {
        peers: peers(&told(peer_text)?).map_err(|reason| by(&peer_command, reason))?,
        volumes: volumes(&told(volume_text)?).map_err(|reason| by(&volume_command, reason))?,
    })
}

/// The other nodes of the pool.
fn peers(text: &str) -> Result<BTreeMap<String, Peer>, String> {
    let document = parse(text)?;
    let mut peers = BTreeMap::new();
    for peer in all(&document, "peer") {
        let standing = match (word(peer, "state"), word(peer, "connected")) {
            (IN_POOL, "1") => Standing::Connected,
            (IN_POOL, _) => Standing::Away,
            (REJECTED, _) => Standing::Rejected,
            // It isn't known yet who it is.
            _ if Uuid::parse_str(word(peer, "uuid")).is_ok_and(|id| id.is_nil()) => continue,
            _ => Standing::Joining,
        };
        let names = peer.descendants().filter(|node| node.has_tag_name("hostname")).filter_map(|node| node.text());
        let name = name_of(names).unwrap_or_default();
        let found = Peer { id: word(peer, "uuid").to_owned(), standing };
        peers.insert(name.to_owned(), found);
    }
    Ok(peers)
}

/// All volumes.
fn volumes(text: &str) -> Result<BTreeMap<String, Replicated>, String> {
    let document = parse(text)?;
    let number = |text: &str| text.parse().map_err(|_| format!("gluster printed `{text}` for a number"));
    let volume = |volume: Node<'_, '_>| {
        let options = volume.descendants().filter(|node| node.has_tag_name("option"));
        let options = options.map(|option| (word(option, "name").to_owned(), word(option, "value").to_owned()));
        let bricks = volume.descendants().filter(|node| node.has_tag_name("brick"));
        let found = Replicated {
            id: word(volume, "id").to_owned(),
            started: word(volume, "status") == STARTED,
            replicas: number(word(volume, "replicaCount"))?,
            arbiters: number(word(volume, "arbiterCount"))?,
            bricks: bricks.map(|brick| word(brick, "name").to_owned()).collect(),
            options: options.collect(),
        };
        Ok((word(volume, "name").to_owned(), found))
    };
    all(&document, "volume").map(volume).collect()
}

/// What was printed, if it says that it went well.
fn parse(text: &str) -> Result<Document<'_>, String> {
    let document = Document::parse(text).map_err(|error| format!("gluster printed no XML: {error}"))?;
    let root = document.root_element();
    if word(root, "opRet") == "0" {
        return Ok(document);
    }
    let (number, said) = (word(root, "opErrno").to_owned(), word(root, "opErrstr").to_owned());
    Err(format!("gluster could not tell: {said} ({number})"))
}

fn all<'d>(document: &'d Document<'_>, name: &'static str) -> impl Iterator<Item = Node<'d, 'd>> {
    document.descendants().filter(move |node| node.has_tag_name(name))
}

/// The text of a child; empty if there is none.
fn word<'d>(of: Node<'d, '_>, name: &str) -> &'d str {
    of.children().find(|child| child.has_tag_name(name)).and_then(|child| child.text()).unwrap_or_default().trim()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends there")]

    use super::*;
    use crate::testing::each;

    #[test]
    fn both_releases_tell_of_peers_and_volumes() {
        for (release, text) in each("gluster-peers.xml") {
            let peers = peers(&text).unwrap();
            assert!(peers.len() == 2 && peers.contains_key("node3.core"), "{release}: {peers:?}");
            assert!(
                peers.values().all(|peer| peer.standing == Standing::Connected && peer.id.len() == 36),
                "{release}"
            );
        }
        for (release, text) in each("gluster-volumes.xml") {
            let volumes = volumes(&text).unwrap();
            let volume = &volumes["gv0"];
            assert_eq!((volume.started, volume.replicas, volume.arbiters), (true, 3, 0), "{release}");
            assert_eq!(volume.bricks[1], "node2.core:/srv/bricks/stead_88daf6e63c54/brick");
            assert_eq!(volume.options["user.note"], "mine");
        }
    }

    #[test]
    fn a_peer_that_is_away_rejected_or_on_its_way_is_one_and_one_that_never_answered_is_none() {
        let (_, text) = each("gluster-peers.xml").last().unwrap();
        let first = |from: &str, to: &str| peers(&text.replacen(from, to, 1)).unwrap();
        let standing = |peers: &BTreeMap<String, Peer>| peers.values().map(|peer| peer.standing).collect::<Vec<_>>();
        let away = first("<connected>1<", "<connected>0<");
        assert_eq!(standing(&away), [Standing::Away, Standing::Connected]);
        assert_eq!(standing(&first("<state>3<", "<state>6<")), [Standing::Rejected, Standing::Connected]);
        assert_eq!(standing(&first("<state>3<", "<state>5<")), [Standing::Joining, Standing::Connected]);
        let id = text.split("<uuid>").nth(1).and_then(|rest| rest.get(..36)).unwrap();
        let unknown = text.replacen(id, &Uuid::nil().to_string(), 1).replacen("<state>3<", "<state>1<", 1);
        assert_eq!(standing(&peers(&unknown).unwrap()), [Standing::Connected]);
        let failed = peers(&text.replacen("<opRet>0<", "<opRet>-1<", 1)).unwrap_err();
        assert!(failed.starts_with("gluster could not tell"), "{failed}");
    }
}
