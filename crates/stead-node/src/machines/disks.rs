//! Machines' disks that are files: what QEMU reads in their headers.

use camino::Utf8Path;
use serde::Deserialize;
use stead_plan::machines::DiskFile;
use stead_plan::op::{Command, Program};
use stead_spec::units::Bytes;

/// What it says where there is none.
pub(super) const NOT_THERE: &str = "No such file or directory";

/// A machine may have it open. What a machine's disk is its name says, for what is in it the machine has written; an image
/// may be called anything. Its volume may hang.
pub(super) fn command(path: &Utf8Path) -> Command {
    let format = path.extension().filter(|format| ["qcow2", "raw"].contains(format));
    let format = format.map(|format| ["-f", format]).into_iter().flatten();
    let words = ["info", "--force-share", "--output=json"].into_iter().chain(format).chain([path.as_str()]);
    Program::QemuImg.command().args(words).timeout(LONGEST)
}

/// How long that may take, in seconds.
const LONGEST: u32 = 10;

#[derive(Deserialize)]
struct Info {
    format: String,
    #[serde(rename = "virtual-size")]
    size: u64,
    #[serde(rename = "backing-filename")]
    backing: Option<String>,
    #[serde(rename = "format-specific")]
    specific: Option<Specific>,
}

#[derive(Deserialize)]
struct Specific {
    data: Option<Data>,
}

#[derive(Deserialize)]
struct Data {
    #[serde(rename = "data-file")]
    file: Option<String>,
}

pub(super) fn parse(text: &str) -> Result<DiskFile, String> {
    let info: Info = serde_json::from_str(text).map_err(|error| format!("qemu-img printed something else: {error}"))?;
    let file = || info.specific?.data?.file;
    Ok(DiskFile { format: info.format, size: Bytes::new(info.size), needs: info.backing.or_else(file) })
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends there")]

    use super::*;
    use crate::testing::each;

    #[test]
    fn both_releases() {
        for (release, text) in each("qemu-img-info.json") {
            assert_eq!(
                parse(&text).unwrap(),
                DiskFile { format: "qcow2".to_owned(), size: Bytes::gib(1), needs: None },
                "{release}"
            );
        }
    }

    #[test]
    fn something_else_is_said() {
        assert!(parse("{}").is_err() && parse("").is_err());
    }
}
