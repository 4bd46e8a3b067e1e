//! Private keys that came into the file: whoever shows the file's lines doesn't show them.

/// How private keys begin, in capitals, and how those of several lines end.
const KEYS: [(&str, Option<&str>); 3] =
    [("AGE-SECRET-KEY-", None), ("-----BEGIN", Some("-----END")), ("PUTTY-USER-KEY-FILE-", Some("PRIVATE-MAC"))];

/// The text with stars in place of private keys. Keeps the number of bytes, since spans count them.
pub(super) fn hidden(text: &str) -> String {
    // Changes ASCII only, and so no byte's place.
    let capitals = text.to_ascii_uppercase();
    let mut hidden = text.to_owned();
    for (begin, end) in KEYS {
        let mut from = 0;
        while let Some(at) = capitals[from..].find(begin).map(|at| from + at) {
            from = end_of_key(&capitals, at + begin.len(), end);
            if !capitals[at..from].starts_with("-----BEGIN PUBLIC")
                && !capitals[at..from].starts_with("-----BEGIN SSH2 PUBLIC")
            {
                let stars: String = text[at..from].bytes().map(|byte| if byte == b'\n' { '\n' } else { '*' }).collect();
                hidden.replace_range(at..from, &stars);
            }
        }
    }
    hidden
}

/// Where a key ends: after the line that ends it; without one, with all that follows; else with its characters.
fn end_of_key(capitals: &str, from: usize, end: Option<&str>) -> usize {
    let rest = &capitals[from..];
    let length = match end {
        Some(end) => rest.find(end).map(|at| at + rest[at..].find('\n').unwrap_or(rest.len() - at)),
        None => rest.find(|c: char| !c.is_ascii_alphanumeric()),
    };
    from + length.unwrap_or(rest.len())
}
