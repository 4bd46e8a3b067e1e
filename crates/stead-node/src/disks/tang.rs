//! The keys of the node's tang.

use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use camino::Utf8Path;
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use stead_plan::disks::{TANG, Tang, TangKey};
use stead_spec::units::Thumbprint;

use crate::place::Place;
use crate::read::why;

/// The keys of a node's tang; `None` where there is no folder for them. What is told of a key is public.
pub(crate) fn look(place: &Place) -> Result<Option<Tang>, String> {
    if !place.exists(TANG) {
        return Ok(None);
    }
    let mut tang = Tang::default();
    let names = place.names(TANG).map_err(|error| why(&error))?;
    for name in names.into_iter().filter(|name| Utf8Path::new(name).extension() == Some("jwk")) {
        if name.starts_with('.') {
            tang.hidden.insert(name);
            continue;
        }
        // One that is no key, as after a power cut, tang passes over too.
        let text = place.text(format!("{TANG}/{name}")).unwrap_or_default();
        if let Some(key) = key(&text) {
            tang.advertised.insert(name, key);
        }
    }
    Ok(Some(tang))
}

/// What a file of tang's holds.
fn key(text: &str) -> Option<TangKey> {
    let key: Value = serde_json::from_str(text).ok()?;
    let ops = key.get("key_ops")?.as_array()?;
    let is_for = |wanted: &str| ops.iter().any(|op| op == wanted);
    if is_for("verify") {
        thumbprint(&key).map(TangKey::Signs)
    } else if is_for("deriveKey") {
        Some(TangKey::Exchanges)
    } else {
        None
    }
}

/// A key's thumbprint by SHA-256: of the members that RFC 7638 names for an elliptic curve, in their order.
pub(super) fn thumbprint(key: &Value) -> Option<Thumbprint> {
    let of = |name: &str| key.get(name)?.as_str();
    let (curve, kind, x, y) = (of("crv")?, of("kty")?, of("x")?, of("y")?);
    // None of them has a character that JSON would escape.
    let text = format!(r#"{{"crv":"{curve}","kty":"{kind}","x":"{x}","y":"{y}"}}"#);
    URL_SAFE_NO_PAD.encode(Sha256::digest(text)).parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Node, each};

    #[test]
    fn keys_are_known_by_what_clevis_pins() {
        for ((release, signs), (_, exchanges)) in each("tang-sig.jwk").zip(each("tang-exc.jwk")) {
            let node = Node::new();
            assert_eq!(look(&node.place), Ok(None));
            let files = [("a.jwk", &*signs), ("b.jwk", &*exchanges), (".old.jwk", &*signs), ("cut.jwk", ""), ("x", "")];
            for (name, text) in files {
                node.write(&format!("{TANG}/{name}"), text);
            }
            let tang = look(&node.place).unwrap().unwrap();
            let (_, printed) = each("jose.txt").find(|(of, _)| *of == release).unwrap();
            let signs = TangKey::Signs(printed.trim().parse().unwrap());
            let expected = [("a.jwk".to_owned(), signs), ("b.jwk".to_owned(), TangKey::Exchanges)];
            assert_eq!((tang.advertised, tang.hidden), (expected.into(), [".old.jwk".to_owned()].into()), "{release}");
        }
    }
}
