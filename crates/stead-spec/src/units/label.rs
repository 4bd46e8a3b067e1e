//! The rules of one label of a host name, which most names of the cluster file keep to.

use super::Invalid;

/// Checks one label by RFC 1123, in lower case: `[a-z0-9]([a-z0-9-]*[a-z0-9])?`, at most `longest` characters.
///
/// Not digits only, which programs take for a part of an address or for a number; and not `xn--…`, which stands for
/// other characters than it shows (RFC 5890).
pub(super) fn check(text: &str, longest: usize) -> Result<(), Invalid> {
    let remedy = || write_instead(text, longest);
    if text.contains('.') {
        return Err(Invalid::new("a name here has no dot", remedy()));
    }
    check_in_domain(text, longest)?;
    if text.bytes().all(|b| b.is_ascii_digit()) {
        return Err(Invalid::new("a name of digits only is taken for a number", "write a name with a letter in it"));
    }
    if text.starts_with("xn--") {
        return Err(Invalid::new("names that begin with `xn--` stand for other characters", "write another name"));
    }
    Ok(())
}

/// Checks one label of a longer name, where `xn--` and digits only are as good as any.
pub(super) fn check_in_domain(text: &str, longest: usize) -> Result<(), Invalid> {
    let reason = if text.is_empty() {
        "it is empty".to_owned()
    } else if !text.is_ascii() {
        "it has characters that aren't ASCII".to_owned()
    } else if text.contains(|c: char| c.is_ascii_uppercase()) {
        "it has upper case letters".to_owned()
    } else if text.contains('_') {
        "`_` can't be in a host's name".to_owned()
    } else if text.contains(|c: char| !c.is_ascii_alphanumeric() && c != '-') {
        "it has characters other than letters, digits and `-`".to_owned()
    } else if text.starts_with('-') || text.ends_with('-') {
        "it begins or ends with `-`".to_owned()
    } else if text.len() > longest {
        format!("it has {} characters, and {longest} is the most", text.len())
    } else {
        return Ok(());
    };
    Err(Invalid::new(reason, write_instead(text, longest)))
}

/// The remedy: the text with its mistakes put right, if that is a name.
fn write_instead(text: &str, longest: usize) -> String {
    let right: String = text
        .chars()
        .map(|c| if matches!(c, '_' | ' ' | '.') { '-' } else { c.to_ascii_lowercase() })
        .skip_while(|c| *c == '-')
        .collect();
    let right = right.trim_end_matches('-');
    let plain = right.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-');
    if plain && (1..=longest).contains(&right.len()) {
        format!("write {right}")
    } else {
        format!("write letters a to z, digits and `-`, at most {longest} characters")
    }
}
