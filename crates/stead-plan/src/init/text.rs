use stead_spec::Bytes;

/// Longer than what a maker calls a disk; what is longer, somebody made up.
const LONGEST: usize = 400;

/// Words that were found somewhere, for one line of a comment: without control characters, and not endless.
pub(crate) fn plain(words: &str) -> String {
    let shown = |c: char| {
        if c.is_control() || matches!(c, '\u{2028}' | '\u{2029}' | '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}') {
            ' '
        } else {
            c
        }
    };
    let short: String = words.chars().map(shown).take(LONGEST).collect();
    short.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// A TOML text.
pub(super) fn quoted(text: &str) -> String {
    let mut quoted = String::from('"');
    for c in text.chars() {
        match c {
            '"' | '\\' => quoted.extend(['\\', c]),
            c if c.is_control() => quoted.push(' '),
            c => quoted.push(c),
        }
    }
    quoted.push('"');
    quoted
}

/// A TOML list of texts.
pub(super) fn list<T: AsRef<str>>(items: impl IntoIterator<Item = T>) -> String {
    let items: Vec<String> = items.into_iter().map(|item| quoted(item.as_ref())).collect();
    format!("[{}]", items.join(", "))
}

/// A size for people: `931.5 GiB`.
pub(crate) fn size(bytes: Bytes) -> String {
    const UNITS: [(&str, u32); 3] = [("TiB", 40), ("GiB", 30), ("MiB", 20)];
    let (unit, shift) = UNITS.into_iter().find(|(_, shift)| bytes.get() >> shift > 0).unwrap_or(("MiB", 20));
    let tenths = (u128::from(bytes.get()) * 10) >> shift;
    if tenths.is_multiple_of(10) {
        format!("{} {unit}", tenths / 10)
    } else {
        format!("{}.{} {unit}", tenths / 10, tenths % 10)
    }
}

/// A NIC's speed for people, of Mbit/s.
pub(super) fn speed(mbits: u32) -> String {
    match (mbits / 1000, mbits % 1000) {
        (0, _) => format!("{mbits} Mbit/s"),
        (gbits, 0) => format!("{gbits} Gbit/s"),
        (gbits, rest) => format!("{gbits}.{} Gbit/s", rest / 100),
    }
}

/// `a`, `a and b`, `a, b and c`.
pub(super) fn and(items: &[String]) -> String {
    match items {
        [] => String::new(),
        [only] => only.clone(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
