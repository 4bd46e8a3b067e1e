//! Swap in use, and whether it lies on dm-crypt.

use std::os::unix::fs::MetadataExt;

use camino::Utf8Path;
use stead_plan::host::facts::Swap;
use stead_spec::Bytes;

use crate::root::{Root, why};

/// How deep devices are stacked at most: partition, RAID, LUKS, LVM and as many again.
const DEEPEST: u32 = 8;

/// Swap in use.
pub(crate) fn look(root: &Root) -> Result<Vec<Swap>, String> {
    let lines = parse(&root.text("/proc/swaps").map_err(|error| why(&error))?)?;
    let swap = |line: Line| {
        let encrypted = device(root, &line).is_some_and(|name| on_crypt(root, &name, DEEPEST));
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
fn device(root: &Root, line: &Line) -> Option<String> {
    if !line.file {
        return Utf8Path::new(&line.path).file_name().map(ToOwned::to_owned);
    }
    let number = root.join(&line.path).metadata().ok()?.dev();
    let (major, minor) = (rustix::fs::major(number), rustix::fs::minor(number));
    root.link_name(format!("/sys/dev/block/{major}:{minor}"))
}

/// Whether a device is dm-crypt's, or all that it lies on is.
fn on_crypt(root: &Root, name: &str, deepest: u32) -> bool {
    let device = format!("/sys/class/block/{name}");
    if root.word(format!("{device}/dm/uuid")).is_some_and(|uuid| uuid.starts_with("CRYPT-")) {
        return true;
    }
    let beneath = root.names(format!("{device}/slaves")).unwrap_or_default();
    deepest > 0 && !beneath.is_empty() && beneath.iter().all(|name| on_crypt(root, name, deepest - 1))
}
