//! The blank test: everything that could show that a disk is not blank. It writes nothing.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::time::{Duration, Instant};

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::{Mode, OFlags};
use rustix::io::Errno;
use serde::Deserialize;
use sha2::{Digest as _, Sha256};
use stead_plan::disks::{Disk, Ends, Signature};
use stead_plan::inventory::Known;
use stead_plan::op::Program;

use crate::exec::Runner;
use crate::place::Place;
use crate::read::why;

/// How much of each end is read: partition tables, LUKS, LVM, RAID and file systems all have something in the first MiB,
/// and GPT and RAID in the last one; the rest is for what nobody thought of.
const END: u64 = 16 << 20;

/// How much is read at a time: of all disks at once, so little.
const PIECE: usize = 256 << 10;

/// Seconds in which a disk must give its ends: ten to start turning, and thirty times what the slowest needs to read.
const TIMEOUT: u64 = 60;

/// Has a disk looked at, and writes into it what was found.
pub(crate) async fn test(disk: &mut Disk, place: &Place, runner: &Runner) {
    let path = place.at(format!("/dev/{}", disk.name));
    let exclusive = exclusive(&path);
    let (signatures, blkid, ends) =
        tokio::join!(signatures(&path, runner), blkid(&path, runner), ends(path.clone(), runner));
    // Of a disk that can't be read, wipefs says that there is nothing, and blkid too: no error, not even a word.
    let unread = ends.as_ref().err().cloned();
    disk.signatures = Some(known(signatures, unread.clone()));
    disk.blkid = Some(known(blkid, unread));
    disk.exclusive = Some(exclusive.into());
    disk.ends = Some(ends.into());
}

fn known<T>(found: Result<T, String>, unread: Option<String>) -> Known<T> {
    match unread {
        Some(reason) => Known::Unknown(reason),
        None => found.into(),
    }
}

async fn signatures(path: &Utf8Path, runner: &Runner) -> Result<Vec<Signature>, String> {
    let command = Program::Wipefs.command().args(["-J", "-n", path.as_str()]);
    let text = runner.read(&command).await.map_err(|error| why(&error))?;
    parse_signatures(&text)
}

async fn blkid(path: &Utf8Path, runner: &Runner) -> Result<i32, String> {
    let command = Program::Blkid.command().args(["-p", path.as_str()]);
    let output = runner.run(&command).await.map_err(|error| why(&error))?;
    output.status.ok_or_else(|| why(&Runner::failed(&command, &output)))
}

/// Whether nothing has it open for itself, as mounts, dm and RAID do. The look is over at once: while it lasts, nobody
/// else could mount it.
fn exclusive(path: &Utf8Path) -> Result<bool, String> {
    match rustix::fs::open(path.as_std_path(), OFlags::RDONLY | OFlags::EXCL | OFlags::CLOEXEC, Mode::empty()) {
        Ok(_) => Ok(true),
        Err(Errno::BUSY) => Ok(false),
        Err(error) => Err(format!("could not open {path}: {error}")),
    }
}

/// What a disk's ends hold, read on a thread of its own: a dying disk keeps its reader waiting.
async fn ends(path: Utf8PathBuf, runner: &Runner) -> Result<Ends, String> {
    let limit = Duration::from_secs(TIMEOUT * u64::from(runner.patience()));
    let slow = format!("{path} did not give its first and last 16 MiB within {} s", limit.as_secs());
    let end = Instant::now() + limit;
    let could_not = format!("could not read {path}");
    let reader = tokio::task::spawn_blocking(move || read_ends(&mut File::open(path)?, end));
    match tokio::time::timeout(limit, reader).await {
        Ok(Ok(Ok(Some(ends)))) => Ok(ends),
        Ok(Ok(Ok(None))) | Err(_) => Err(slow),
        Ok(Ok(Err(error))) => Err(format!("{could_not}: {error}")),
        Ok(Err(error)) => Err(format!("{could_not}: {error}")),
    }
}

/// What the ends hold; `None` if it took longer than until `limit`.
fn read_ends(disk: &mut (impl Read + Seek), limit: Instant) -> io::Result<Option<Ends>> {
    let size = disk.seek(SeekFrom::End(0))?;
    let mut piece = vec![0; PIECE];
    let (mut sum, mut zeros) = (Sha256::new(), [true, true]);
    for (zero, start) in zeros.iter_mut().zip([0, size.saturating_sub(END)]) {
        let mut at = disk.seek(SeekFrom::Start(start))?;
        let end = size.min(start + END);
        while at < end {
            if Instant::now() > limit {
                return Ok(None);
            }
            let length = usize::try_from(end - at).unwrap_or(PIECE).min(PIECE);
            disk.read_exact(&mut piece[..length])?;
            *zero &= piece[..length].iter().all(|byte| *byte == 0);
            sum.update(&piece[..length]);
            at += length as u64;
        }
    }
    let sum = <[u8; 32]>::from(sum.finalize()).into();
    Ok(Some(match zeros {
        [true, true] => Ends::Zero,
        [false, true] => Ends::Head(sum),
        [_, false] => Ends::Data(sum),
    }))
}

/// What `wipefs -J -n` printed.
fn parse_signatures(text: &str) -> Result<Vec<Signature>, String> {
    // Of some releases, wipefs prints nothing where there is nothing.
    let text = if text.trim().is_empty() { r#"{"signatures": []}"# } else { text };
    let wrong = |error: &dyn std::fmt::Display| format!("wipefs printed something else: {error}");
    let printed: Printed = serde_json::from_str(text).map_err(|error| wrong(&error))?;
    let signature = |line: Line| {
        let digits = line.offset.strip_prefix("0x").unwrap_or(&line.offset);
        let offset = u64::from_str_radix(digits, 16).map_err(|error| wrong(&error))?;
        Ok(Signature { offset, kind: line.kind, uuid: line.uuid, label: line.label })
    };
    printed.signatures.into_iter().map(signature).collect()
}

#[derive(Deserialize)]
struct Printed {
    signatures: Vec<Line>,
}

/// A signature, as wipefs prints it.
#[derive(Deserialize)]
struct Line {
    offset: String,
    #[serde(rename = "type")]
    kind: String,
    uuid: Option<String>,
    label: Option<String>,
}

#[cfg(test)]
mod tests {
    use std::io::Cursor;

    use super::*;
    use crate::testing::each;

    const MIB: usize = 1 << 20;

    fn ends_of(bytes: Vec<u8>) -> Option<Ends> {
        read_ends(&mut Cursor::new(bytes), Instant::now() + Duration::from_secs(TIMEOUT)).unwrap()
    }

    #[test]
    fn every_byte_of_both_ends_counts() {
        let size = 40 * MIB + 512;
        assert_eq!(ends_of(vec![0; size]), Some(Ends::Zero));
        for at in [0, 16 * MIB - 1, size - 16 * MIB, size - 1] {
            let mut bytes = vec![0; size];
            bytes[at] = 1;
            assert!(matches!(ends_of(bytes), Some(Ends::Head(_) | Ends::Data(_))), "{at}");
        }
        let mut between = vec![0; size];
        between[20 * MIB] = 1;
        assert_eq!(ends_of(between), Some(Ends::Zero));
    }

    #[test]
    fn a_small_disk_is_read_whole() {
        assert_eq!(ends_of(Vec::new()), Some(Ends::Zero));
        for at in [0, 10 * MIB, 20 * MIB - 1] {
            let mut bytes = vec![0; 20 * MIB];
            bytes[at] = 1;
            assert!(matches!(ends_of(bytes), Some(Ends::Head(_) | Ends::Data(_))), "{at}");
        }
    }

    #[test]
    fn a_slow_disk_is_not_waited_for() {
        let past = Instant::now().checked_sub(Duration::from_secs(1)).unwrap();
        assert_eq!(read_ends(&mut Cursor::new(vec![0; MIB]), past).unwrap(), None);
    }

    #[test]
    fn what_could_not_be_read_has_no_signatures_known() {
        let unread = known(Ok(Vec::<Signature>::new()), Some("could not read /dev/sdx".to_owned()));
        assert_eq!(unread, Known::Unknown("could not read /dev/sdx".to_owned()));
        assert_eq!(known(Ok(2), None), Known::Is(2));
    }

    #[test]
    fn signatures_on_both_releases() {
        for (file, expected) in [
            ("wipefs-blank.json", vec![]),
            ("wipefs-ext4.json", vec![(0x438, "ext4")]),
            ("wipefs-gpt.json", vec![(0x200, "gpt"), ((1 << 30) - 512, "gpt"), (0x1fe, "PMBR")]),
            ("wipefs-luks.json", vec![(0, "crypto_LUKS"), (0x4000, "crypto_LUKS")]),
            ("wipefs-lvm.json", vec![(0x218, "LVM2_member")]),
        ] {
            for (release, text) in each(file) {
                let signatures = parse_signatures(&text).unwrap();
                let found: Vec<_> = signatures.iter().map(|found| (found.offset, found.kind.as_str())).collect();
                assert_eq!(found, expected, "{file} on {release}");
                let labelled = signatures.iter().all(|found| found.label.as_deref() == Some("stead-example"));
                assert_eq!(labelled, file == "wipefs-luks.json" || found.is_empty(), "{file} on {release}");
            }
        }
    }

    #[test]
    fn anything_else_is_an_error() {
        assert!(parse_signatures("wipefs: error").is_err());
        assert!(parse_signatures(r#"{"signatures":[{"offset":"here","type":"x"}]}"#).is_err());
        assert_eq!(parse_signatures(""), Ok(Vec::new()));
    }
}
