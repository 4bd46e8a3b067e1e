#![allow(clippy::cast_possible_truncation, reason = "the disk has a mebibyte")]

use std::fs;
use std::sync::Arc;

use proptest::prelude::*;
use stead_spec::Bytes;

use super::*;

const SIZE: Bytes = Bytes::mib(1);

fn blank(dir: &Path) -> Disk {
    Disk::new(SIZE, Layer::create(dir, LayerId(1), SIZE).expect("layer"), Vec::new())
}

fn read(disk: &Disk, offset: u64, len: usize) -> Vec<u8> {
    let mut buf = vec![0xAA; len];
    disk.read(offset, &mut buf).expect("read");
    buf
}

#[test]
fn a_power_cut_loses_what_was_not_flushed_and_nothing_else() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = blank(dir.path());
    disk.write(0, b"safe").expect("write");
    disk.flush().expect("flush");
    disk.write(0, b"lost").expect("write");
    disk.write(8192, b"lost").expect("write");
    assert_eq!(read(&disk, 0, 4), b"lost");

    assert_eq!(disk.cut_power(), Bytes::new(2 * BLOCK));
    assert_eq!(read(&disk, 0, 4), b"safe");
    assert_eq!(read(&disk, 8192, 4), [0; 4]);
}

#[test]
fn a_full_cache_writes_by_itself() {
    let dir = tempfile::tempdir().expect("dir");
    let size = Bytes::mib(80);
    let disk = Disk::new(size, Layer::create(dir.path(), LayerId(1), size).expect("layer"), Vec::new());
    for mib in 0..80 {
        disk.write(mib << 20, &vec![7; 1 << 20]).expect("write");
    }
    assert!(disk.cut_power() <= Bytes::mib(64));
    assert_eq!(read(&disk, 0, 1), [7], "the oldest blocks were written out");
}

#[test]
fn a_failing_disk_fails_and_then_has_its_data() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = blank(dir.path());
    disk.write(0, b"data").expect("write");
    disk.set_failing(true);
    assert!(disk.read(0, &mut [0; 4]).is_err());
    assert!(disk.write(0, b"x").is_err());
    assert!(disk.flush().is_err());
    disk.set_failing(false);
    assert_eq!(read(&disk, 0, 4), b"data");
}

#[test]
fn nothing_is_read_or_written_past_the_end() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = blank(dir.path());
    assert!(disk.write(SIZE.get() - 2, b"abc").is_err());
    assert!(disk.read(u64::MAX, &mut [0; 2]).is_err());
    disk.write(SIZE.get() - 3, b"abc").expect("the last bytes");
}

#[test]
fn a_layer_opened_again_has_what_was_flushed() {
    let dir = tempfile::tempdir().expect("dir");
    let disk = blank(dir.path());
    disk.write(5000, b"kept").expect("write");
    disk.zero(65536, 8192).expect("zero");
    disk.flush().expect("flush");
    disk.write(0, b"lost").expect("write");
    drop(disk);

    let image = dir.path().join("image");
    fs::write(&image, vec![9; 1 << 20]).expect("image");
    let below = vec![Arc::new(Layer::image(&image).expect("image"))];
    let disk = Disk::new(SIZE, Layer::open(dir.path(), LayerId(1), true).expect("layer"), below);
    assert_eq!(read(&disk, 5000, 4), b"kept");
    assert_eq!(read(&disk, 65536, 8192), [0; 8192], "zeros hide what is below");
    assert_eq!(read(&disk, 65536 + 8192, 1), [9]);
}

/// What can happen to a disk.
#[derive(Clone, Debug)]
enum Event {
    Write { offset: u64, len: usize, byte: u8 },
    Zero { offset: u64, len: u64 },
    Flush,
    PowerCut,
    Seal,
}

fn event() -> impl Strategy<Value = Event> {
    let offset = 0..SIZE.get() - 40_000;
    prop_oneof![
        4 => (offset.clone(), 1..20_000_usize, any::<u8>()).prop_map(|(offset, len, byte)| Event::Write { offset, len, byte }),
        1 => (offset, 1..40_000_u64).prop_map(|(offset, len)| Event::Zero { offset, len }),
        1 => Just(Event::Flush),
        1 => Just(Event::Seal),
        1 => Just(Event::PowerCut),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Against plain memory: after each power cut every byte is the one that was flushed last, or one that was
    /// written since; without a power cut it is the one that was written last.
    #[test]
    fn behaves_like_memory_with_a_flushed_copy(events in proptest::collection::vec(event(), 1..40)) {
        let dir = tempfile::tempdir().expect("dir");
        let disk = blank(dir.path());
        let mut written = vec![0_u8; SIZE.get() as usize];
        let mut next_layer = 2;
        // For each byte, what a power cut may leave behind: everything since it was flushed.
        let mut flushed = written.clone();
        for event in events {
            match event {
                Event::Write { offset, len, byte } => {
                    disk.write(offset, &vec![byte; len]).expect("write");
                    written[offset as usize..offset as usize + len].fill(byte);
                }
                Event::Zero { offset, len } => {
                    disk.zero(offset, len).expect("zero");
                    written[offset as usize..(offset + len) as usize].fill(0);
                    let whole = (offset.div_ceil(BLOCK) * BLOCK) as usize..((offset + len) / BLOCK * BLOCK) as usize;
                    if whole.start < whole.end {
                        flushed[whole].fill(0);
                    }
                }
                Event::Flush => {
                    disk.flush().expect("flush");
                    flushed.clone_from(&written);
                }
                Event::Seal => {
                    disk.seal(Layer::create(dir.path(), LayerId(next_layer), SIZE).expect("layer")).expect("seal");
                    next_layer += 1;
                    flushed.clone_from(&written);
                }
                Event::PowerCut => {
                    disk.cut_power();
                    written.clone_from(&flushed);
                }
            }
            prop_assert!(read(&disk, 0, written.len()) == written);
        }
    }
}
