//! Private keys that came into the file: whoever shows the file's lines doesn't show them.

/// How private keys begin, in capitals, and how those of several lines end.
const KEYS: [(&str, Option<&str>); 6] = [
    ("AGE-SECRET-KEY-", None),
    ("AGE-PLUGIN-", None),
    ("-----BEGIN", Some("-----END")),
    ("---- BEGIN", Some("---- END")),
    ("PUTTY-USER-KEY-FILE-", Some("PRIVATE-MAC")),
    // "openssh-key-v1" in base64: OpenSSH's private keys without the lines around them.
    ("B3BLBNNZAC1RZXKTDJE", None),
];

/// Keys that begin like private ones and are public.
const PUBLIC: [&str; 2] = [" PUBLIC", " SSH2 PUBLIC"];

/// Whether there is a private key in a text.
pub(crate) fn is_in(text: &str) -> bool {
    !private_keys(text).is_empty()
}

/// The text with stars in place of private keys. Keeps the number of bytes, since spans count them.
pub(crate) fn hidden(text: &str) -> String {
    let mut hidden = text.to_owned();
    for key in private_keys(text) {
        let stars: String = text[key.clone()].bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
        hidden.replace_range(key, &stars);
    }
    hidden
}

/// Where private keys are.
fn private_keys(text: &str) -> Vec<std::ops::Range<usize>> {
    // Changes ASCII only, and so no byte's place.
    let capitals = text.to_ascii_uppercase();
    let mut keys = Vec::new();
    for (begin, end) in KEYS {
        let mut from = 0;
        while let Some(at) = capitals[from..].find(begin).map(|at| from + at) {
            let behind = at + begin.len();
            if PUBLIC.iter().any(|public| capitals[behind..].starts_with(public)) {
                from = behind;
                continue;
            }
            from = end_of_key(&capitals, behind, end);
            keys.push(at..from);
        }
    }
    keys
}

/// Where a key ends: after the line that ends it; without one, with all that follows; else with its characters.
fn end_of_key(capitals: &str, from: usize, end: Option<&str>) -> usize {
    let rest = &capitals[from..];
    let length = match end {
        Some(end) => rest.find(end).map(|at| at + rest[at..].find('\n').unwrap_or(rest.len() - at)),
        None => rest.find(|c: char| !c.is_ascii_alphanumeric() && !"-+/=".contains(c)),
    };
    from + length.unwrap_or(rest.len())
}
