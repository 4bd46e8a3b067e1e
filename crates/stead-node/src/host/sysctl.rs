//! The kernel's settings.

use camino::Utf8PathBuf;
use stead_plan::inventory::Known;

use crate::root::{Root, why};

/// What a setting is, with single blanks between its words; `None`: this kernel has none of that name.
pub(crate) fn look(root: &Root, key: &str) -> Known<Option<String>> {
    let Some(path) = path(key) else {
        return Known::Unknown(format!("`{key}` is no setting's name"));
    };
    match root.text_if_there(&path) {
        Ok(text) => Known::Is(text.map(|text| text.split_whitespace().collect::<Vec<_>>().join(" "))),
        Err(error) => Known::Unknown(why(&error)),
    }
}

/// Where a setting lies. As in sysctl(8), whichever of `.` and `/` comes first parts the names, and the other one is a
/// dot in a name: `net.ipv4.conf.eth0/10.rp_filter` is about the interface `eth0.10`.
fn path(key: &str) -> Option<Utf8PathBuf> {
    let swapped: String = match key.find(['.', '/']) {
        Some(at) if key[at..].starts_with('.') => {
            let swap = |c| match c {
                '.' => '/',
                '/' => '.',
                c => c,
            };
            key.chars().map(swap).collect()
        }
        _ => key.to_owned(),
    };
    let good = |part: &str| !part.is_empty() && part != "." && part != "..";
    swapped.split('/').all(good).then(|| Utf8PathBuf::from("/proc/sys").join(swapped))
}
