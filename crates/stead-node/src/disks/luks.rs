//! LUKS2 headers: what `cryptsetup luksDump --dump-json-metadata` prints, and the state of a header or of a backup.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::File;
use std::io::Read;

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use camino::Utf8Path;
use serde::Deserialize;
use serde_json::Value;
use stead_plan::disks::{Bound, Disk, HEADERS, HeaderState, LUKS, Luks, MARK};
use stead_plan::inventory::Known;
use stead_plan::op::{Command, Program};
use stead_spec::units::Sha256;

use super::tang::thumbprint;
use crate::exec::Runner;
use crate::place::Place;
use crate::read::why;

/// What prints a header's metadata.
fn command(path: &str) -> Command {
    Program::Cryptsetup.command().args(["luksDump", "--dump-json-metadata", path])
}

/// Has a disk's header looked at, if there is one.
pub(crate) async fn look(disk: &mut Disk, place: &Place, runner: &Runner) {
    if disk.content.as_ref().is_none_or(|content| content.kind != LUKS) {
        return;
    }
    let path = place.at(format!("/dev/{}", disk.name));
    let header = async {
        let text = runner.read(&command(path.as_str())).await.map_err(|error| why(&error))?;
        // A disk may be slow.
        let head = tokio::task::spawn_blocking(move || state(&path));
        let (state, label) = head.await.map_err(|error| error.to_string())??;
        parse(&text, state, label)
    };
    disk.luks = Some(header.await.into());
}

/// The backups that a node keeps, by their files' names.
pub(crate) fn kept(place: &Place) -> Result<BTreeMap<String, HeaderState>, String> {
    if !place.exists(HEADERS) {
        return Ok(BTreeMap::new());
    }
    let names = place.names(HEADERS).map_err(|error| why(&error))?;
    let whole = names.into_iter().filter(|name| Utf8Path::new(name).extension() == Some("luks"));
    // One that makes no sense is as good as none, and is made anew.
    let of = |name: String| Some((name.clone(), state(&place.at(format!("{HEADERS}/{name}"))).ok()?.0));
    Ok(whole.filter_map(of).collect())
}

/// How long the binary header is, as far as it is of interest: to the end of its checksum (LUKS2 On-Disk Format
/// Specification 1.1.3, 2.1: magic 6, version 2, size 8, epoch 8, label 48, algorithm 32, salt 64, UUID 40, subsystem 48,
/// offset 8, padding 184, checksum 64).
const HEAD: usize = 512;

/// The state of a header, and its label.
fn state(path: &Utf8Path) -> Result<(HeaderState, String), String> {
    let mut head = [0; HEAD];
    let read = File::open(path).and_then(|mut file| file.read_exact(&mut head));
    read.map_err(|error| format!("could not read {path}: {error}"))?;
    parse_state(&head).ok_or_else(|| format!("{path} has no LUKS2 header"))
}

fn parse_state(head: &[u8; HEAD]) -> Option<(HeaderState, String)> {
    let text = |from: usize, length: usize| {
        let bytes = head.get(from..from + length)?;
        let end = bytes.iter().position(|byte| *byte == 0).unwrap_or(length);
        String::from_utf8(bytes.get(..end)?.to_vec()).ok()
    };
    if head.get(..8)? != b"LUKS\xba\xbe\x00\x02" {
        return None;
    }
    let epoch = u64::from_be_bytes(head.get(16..24)?.try_into().ok()?);
    let checksum: [u8; 32] = head.get(448..480)?.try_into().ok()?;
    let checksum = Sha256::from(checksum).to_string();
    Some((HeaderState { uuid: text(168, 40)?, epoch, checksum }, text(24, 48)?))
}

#[derive(Deserialize)]
struct Metadata {
    keyslots: BTreeMap<u8, Value>,
    tokens: BTreeMap<u8, Value>,
}

/// What [`command`] printed.
fn parse(text: &str, state: HeaderState, label: String) -> Result<Luks, String> {
    let metadata: Metadata =
        serde_json::from_str(text).map_err(|error| format!("cryptsetup printed something else: {error}"))?;
    let kind = |token: &Value| token.get("type").and_then(Value::as_str).unwrap_or_default().to_owned();
    let slots = |token: &Value| -> BTreeSet<u8> {
        let slots = token.get("keyslots").and_then(Value::as_array);
        slots.into_iter().flatten().filter_map(|slot| slot.as_str()?.parse().ok()).collect()
    };
    let mut bindings = BTreeMap::new();
    for token in metadata.tokens.values().filter(|token| kind(token) == "clevis") {
        let protected = token.get("jwe").and_then(|jwe| jwe.get("protected")).and_then(Value::as_str);
        let bound = protected.and_then(bound).ok_or("its token makes no sense");
        for slot in slots(token) {
            bindings.insert(slot, Known::from(bound.clone()));
        }
    }
    let token = metadata.tokens.iter().find(|(_, token)| kind(token) == MARK);
    Ok(Luks {
        state,
        label,
        keyslots: metadata.keyslots.keys().copied().collect(),
        bindings,
        tokens: metadata.tokens.keys().copied().collect(),
        token: token.map(|(number, token)| (*number, token.clone())),
    })
}

/// What a JWE of clevis' is bound to: its protected header says so, in clear. One of the pin `sss` has those of its parts
/// in it.
fn bound(protected: &str) -> Option<Bound> {
    let bytes = URL_SAFE_NO_PAD.decode(protected).ok()?;
    let header: Value = serde_json::from_slice(&bytes).ok()?;
    let clevis = header.get("clevis")?;
    match clevis.get("pin")?.as_str()? {
        "sss" => {
            let sss = clevis.get("sss")?;
            let parts = sss.get("jwe")?.as_array()?.iter();
            // Compact: the protected header is what comes before the first dot.
            let mut pins = parts.map(|jwe| bound(jwe.as_str()?.split('.').next()?)).collect::<Option<Vec<_>>>()?;
            pins.sort();
            Some(Bound::Some { of: sss.get("t")?.as_u64()?, pins })
        }
        "tang" => {
            let tang = clevis.get("tang")?;
            let keys = tang.get("adv")?.get("keys")?.as_array()?.iter();
            let verify = |key: &&Value| {
                let ops = key.get("key_ops").and_then(Value::as_array);
                ops.is_some_and(|ops| ops.iter().any(|op| op == "verify"))
            };
            let signed_by = keys.filter(verify).filter_map(thumbprint).collect();
            Some(Bound::Tang { url: tang.get("url")?.as_str()?.to_owned(), signed_by })
        }
        pin => Some(Bound::Other(pin.to_owned())),
    }
}

#[cfg(test)]
mod tests {
    use base64::engine::general_purpose::STANDARD;

    use super::*;
    use crate::testing::each;

    fn head(text: &str) -> [u8; HEAD] {
        STANDARD.decode(text.trim()).unwrap().try_into().unwrap()
    }

    #[test]
    fn headers_of_both_releases_tell_whom_they_are_bound_to() {
        for ((release, text), (_, binary)) in each("luks.json").zip(each("header.base64")) {
            let (state, label) = parse_state(&head(&binary)).unwrap();
            assert_eq!(label, format!("stead_{}", &state.uuid.replace('-', "")[..12]), "{release}");
            assert!(state.epoch > 3 && state.checksum.len() == 64, "{release}: {state:?}");
            let luks = parse(&text, state, label).unwrap();
            let [(slot, Known::Is(bound))] = &luks.bindings.iter().collect::<Vec<_>>()[..] else {
                panic!("{release}: {:?}", luks.bindings)
            };
            assert_eq!(luks.keyslots, [0, **slot].into(), "{release}");
            let Bound::Some { of: 2, pins } = bound else { panic!("{release}: {bound}") };
            let [Bound::Some { of: 1, pins: nodes }, Bound::Tang { url, signed_by }] = &pins[..] else {
                panic!("{release}: {pins:?}")
            };
            assert_eq!((url.as_str(), signed_by.len(), nodes.len()), ("http://192.168.0.2:7500", 1, 2), "{release}");
            let (_, token) = luks.token.unwrap();
            // What stead says of it, and what clevis made of it.
            assert_eq!(token["slots"], serde_json::json!([slot]), "{release}");
            let thp = &token["policy"]["pins"]["tang"][0]["thp"];
            assert_eq!(signed_by.first().unwrap().to_string(), thp.as_str().unwrap(), "{release}");
            let Bound::Tang { signed_by, .. } = &nodes[0] else { panic!("{release}: {nodes:?}") };
            let inner = &token["policy"]["pins"]["sss"][0]["pins"]["tang"][0]["thp"];
            assert_eq!(signed_by.first().unwrap().to_string(), inner.as_str().unwrap(), "{release}");
        }
    }

    #[test]
    fn what_is_no_header_has_no_state() {
        let (_, text) = each("header.base64").next().unwrap();
        let mut other = head(&text);
        // LUKS1.
        other[7] = 1;
        assert_eq!(parse_state(&other), None);
        assert_eq!(parse_state(&[0; HEAD]), None);
        assert!(parse("cryptsetup: error", parse_state(&head(&text)).unwrap().0, String::new()).is_err());
    }
}
