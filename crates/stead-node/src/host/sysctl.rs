//! The kernel's settings.

use camino::Utf8PathBuf;
use stead_plan::inventory::Known;

use crate::place::Place;
use crate::read::why;

/// What a setting is, with single blanks between its words; `None`: this kernel has none of that name.
pub(crate) fn look(place: &Place, key: &str) -> Known<Option<String>> {
    let Some(path) = path(key) else {
        return Known::Unknown(format!("`{key}` is no setting's name"));
    };
    match place.text_if_there(&path) {
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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::Node;

    #[test]
    fn values_and_none() {
        let tree = Node::new();
        tree.write("/proc/sys/net/ipv4/tcp_rmem", "4096\t131072\t6291456\n");
        let look = |key| look(&tree.place, key);
        assert_eq!(look("net.ipv4.tcp_rmem"), Known::Is(Some("4096 131072 6291456".to_owned())));
        assert_eq!(look("net/ipv4/tcp_rmem"), Known::Is(Some("4096 131072 6291456".to_owned())));
        assert_eq!(look("net.ipv4.nothing"), Known::Is(None));
        let reason = match look("net.ipv4") {
            Known::Unknown(reason) => reason,
            Known::Is(value) => panic!("a folder has no value {value:?}"),
        };
        assert!(reason.starts_with("could not read /proc/sys/net/ipv4: "), "{reason}");
    }

    #[test]
    fn the_other_separator_is_a_dot() {
        let in_conf = |key| path(key).map(Utf8PathBuf::into_string);
        let expected = Some("/proc/sys/net/ipv4/conf/eth0.10/rp_filter".to_owned());
        assert_eq!(in_conf("net.ipv4.conf.eth0/10.rp_filter"), expected);
        assert_eq!(in_conf("net/ipv4/conf/eth0.10/rp_filter"), expected);
    }

    #[test]
    fn no_way_out() {
        for key in ["a/../../etc/passwd", "", ".", "..", "a..b", "/etc/passwd"] {
            assert_eq!(path(key), None, "{key}");
        }
    }
}
