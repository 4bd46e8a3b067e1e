//! Swap in use, and whether it lies on dm-crypt.

use std::os::unix::fs::MetadataExt;

use camino::Utf8Path;
use stead_plan::host::facts::Swap;
use stead_spec::Bytes;

use crate::place::Place;
use crate::read::why;

/// How deep devices are stacked at most: partition, RAID, LUKS, LVM and as many again.
const DEEPEST: u32 = 8;

/// Swap in use.
pub(crate) fn look(place: &Place) -> Result<Vec<Swap>, String> {
    let lines = parse(&place.text("/proc/swaps").map_err(|error| why(&error))?)?;
    let swap = |line: Line| {
        let encrypted = device(place, &line).is_some_and(|name| on_crypt(place, &name, DEEPEST));
        Swap { path: line.path.into(), size: line.size, encrypted }
    };
    Ok(lines.into_iter().map(swap).collect())
}

/// A line of `/proc/swaps`.
#[derive(Debug, PartialEq, Eq)]
struct Line {
    path: String,
    /// Whether it is a file of a file system's, and no device.
    file: bool,
    size: Bytes,
}

/// `/proc/swaps`: a heading, then `PATH TYPE SIZE USED PRIORITY` a line, sizes in KiB.
fn parse(text: &str) -> Result<Vec<Line>, String> {
    let line = |line: &str| {
        let mut words = line.split_whitespace();
        let (path, kind, size) = (words.next()?, words.next()?, words.next()?);
        let size = size.parse::<u64>().ok()?.checked_mul(1024)?;
        Some(Line { path: unescape(path), file: kind == "file", size: Bytes::new(size) })
    };
    text.lines().skip(1).map(|text| line(text).ok_or_else(|| format!("/proc/swaps has the line `{text}`"))).collect()
}

/// The kernel writes blanks and backslashes of a path as `\040`.
fn unescape(text: &str) -> String {
    let mut plain = String::new();
    let mut rest = text;
    while let Some((before, after)) = rest.split_once('\\') {
        plain.push_str(before);
        if let Some(code) = after.get(..3).and_then(|digits| u8::from_str_radix(digits, 8).ok()) {
            plain.push(code.into());
            rest = &after[3..];
        } else {
            plain.push('\\');
            rest = after;
        }
    }
    plain + rest
}

/// The kernel's name of the device that a swap is, or that its file lies on.
fn device(place: &Place, line: &Line) -> Option<String> {
    if !line.file {
        return Utf8Path::new(&line.path).file_name().map(ToOwned::to_owned);
    }
    let number = place.at(&line.path).metadata().ok()?.dev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    place.link_name(format!("/sys/dev/block/{major}:{minor}"))
}

/// Whether a device is dm-crypt's, or all that it lies on is.
fn on_crypt(place: &Place, name: &str, deepest: u32) -> bool {
    let device = format!("/sys/class/block/{name}");
    if place.word(format!("{device}/dm/uuid")).is_some_and(|uuid| uuid.starts_with("CRYPT-")) {
        return true;
    }
    let beneath = place.names(format!("{device}/slaves")).unwrap_or_default();
    deepest > 0 && !beneath.is_empty() && beneath.iter().all(|name| on_crypt(place, name, deepest - 1))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Node, each};

    #[test]
    fn both_releases() {
        for (release, text) in each("swaps") {
            let lines = parse(&text).unwrap();
            let paths: Vec<(&str, bool)> = lines.iter().map(|line| (line.path.as_str(), line.file)).collect();
            let expected = [("/dev/sdb2", false), ("/dev/dm-1", false), ("/srv/with blank/swap file", true)];
            assert_eq!(paths, expected, "{release}");
            assert_eq!(lines[0].size, Bytes::new(209_711_104), "{release}");
        }
    }

    #[test]
    fn through_lvm_down_to_luks() {
        let tree = Node::new();
        tree.write(
            "/proc/swaps",
            "Filename Type Size Used Priority\n/dev/dm-1 partition 4 0 -2\n/dev/dm-2 partition 4 0 -3\n",
        );
        tree.write("/sys/class/block/dm-0/dm/uuid", "CRYPT-LUKS2-0123-example\n");
        tree.write("/sys/class/block/dm-1/dm/uuid", "LVM-0123\n");
        tree.write("/sys/class/block/dm-1/slaves/dm-0/dev", "254:0\n");
        // Half of it lies in clear on a partition.
        tree.write("/sys/class/block/dm-2/dm/uuid", "LVM-4567\n");
        tree.write("/sys/class/block/dm-2/slaves/dm-0/dev", "254:0\n");
        tree.write("/sys/class/block/dm-2/slaves/sda3/dev", "8:3\n");
        let encrypted: Vec<bool> = look(&tree.place).unwrap().iter().map(|swap| swap.encrypted).collect();
        assert_eq!(encrypted, [true, false]);
    }

    #[test]
    fn a_device_that_lies_on_itself_is_not_followed_for_ever() {
        let tree = Node::new();
        tree.write("/sys/class/block/dm-0/slaves/dm-0/dev", "254:0\n");
        assert!(!on_crypt(&tree.place, "dm-0", DEEPEST));
    }

    #[test]
    fn escapes() {
        for (text, plain) in [(r"/a\040b", "/a b"), (r"/a\134\040", r"/a\ "), (r"/a\9", r"/a\9"), (r"/ü\011", "/ü\t")]
        {
            assert_eq!(unescape(text), plain);
        }
    }

    #[test]
    fn a_line_without_fields_is_an_error() {
        assert_eq!(parse("Filename\n/dev/sda2\n").unwrap_err(), "/proc/swaps has the line `/dev/sda2`");
    }
}
