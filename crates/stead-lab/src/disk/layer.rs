//! One layer of a disk: a sparse file, and beside it a map of the blocks that it holds.

use std::fs::{File, OpenOptions};
use std::io;
use std::ops::Range;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};

use rustix::fs::FallocateFlags;
use serde::{Deserialize, Serialize};
use stead_spec::Bytes;

use super::{BLOCK, to_usize};

/// The number of a layer, never used twice in a lab.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(transparent)]
pub struct LayerId(pub u64);

/// A layer of a disk.
///
/// The map is kept beside the data rather than found from the file's holes: file systems fill, round and compress
/// holes as they like, and a block of zeros is content too.
#[derive(Debug)]
pub struct Layer {
    data: File,
    /// Absent for what is never written: an image, a sealed layer.
    map: Option<File>,
    /// A bit a block, the lowest block first.
    present: Vec<u64>,
}

const WORD: u64 = u64::BITS as u64;

impl Layer {
    /// Makes an empty layer for a disk of `size` in the folder `dir`.
    pub fn create(dir: &Path, id: LayerId, size: Bytes) -> io::Result<Self> {
        let new = |path| OpenOptions::new().read(true).write(true).create_new(true).open(path);
        let data = new(data_path(dir, id))?;
        data.set_len(size.get())?;
        let map = new(map_path(dir, id))?;
        let words = size.get().div_ceil(BLOCK).div_ceil(WORD);
        map.set_len(words * 8)?;
        Ok(Self { data, map: Some(map), present: vec![0; to_usize(words)] })
    }

    /// Opens a layer made earlier, to be written on if `writable`.
    pub fn open(dir: &Path, id: LayerId, writable: bool) -> io::Result<Self> {
        let open = |path| OpenOptions::new().read(true).write(writable).open(path);
        let map = open(map_path(dir, id))?;
        let mut raw = vec![0; to_usize(map.metadata()?.len())];
        map.read_exact_at(&mut raw, 0)?;
        let present = raw.as_chunks().0.iter().map(|word| u64::from_le_bytes(*word)).collect();
        Ok(Self { data: open(data_path(dir, id))?, map: writable.then_some(map), present })
    }

    /// The same layer, never to be written again.
    pub(super) fn sealed(self) -> Self {
        Self { map: None, ..self }
    }

    /// Opens an image as the lowest layer.
    pub fn image(path: &Path) -> io::Result<Self> {
        let data = File::open(path)?;
        let blocks = data.metadata()?.len() / BLOCK;
        let mut present = vec![u64::MAX; to_usize(blocks / WORD)];
        if !blocks.is_multiple_of(WORD) {
            present.push((1 << (blocks % WORD)) - 1);
        }
        Ok(Self { data, map: None, present })
    }

    /// Whether this layer holds the block, content or zeros.
    pub fn has(&self, block: u64) -> bool {
        self.present.get(to_usize(block / WORD)).is_some_and(|word| word & (1 << (block % WORD)) != 0)
    }

    pub(super) fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        self.data.read_exact_at(buf, offset)
    }

    /// Writes whole blocks, from the block `first` on.
    pub(super) fn write(&mut self, first: u64, content: &[u8]) -> io::Result<()> {
        self.data.write_all_at(content, first * BLOCK)?;
        self.mark(first..first + content.len() as u64 / BLOCK)
    }

    /// Makes whole blocks read as zeros, whatever lies below, without taking room for them.
    pub(super) fn zero(&mut self, blocks: Range<u64>) -> io::Result<()> {
        let (offset, len) = (blocks.start * BLOCK, (blocks.end - blocks.start) * BLOCK);
        rustix::fs::fallocate(&self.data, FallocateFlags::PUNCH_HOLE | FallocateFlags::KEEP_SIZE, offset, len)?;
        self.mark(blocks)
    }

    /// Notes that the blocks are here, after they are: a lab killed in between sees the old content, never rubbish.
    ///
    /// First in the file, then in memory: a map that could not be written must be tried again at the next write.
    fn mark(&mut self, blocks: Range<u64>) -> io::Result<()> {
        let words = to_usize(blocks.start / WORD)..to_usize(blocks.end.div_ceil(WORD));
        let mut marked = self.present[words.clone()].to_vec();
        for (index, word) in words.clone().zip(&mut marked) {
            let base = index as u64 * WORD;
            let from = blocks.start.saturating_sub(base);
            let to = (blocks.end - base).min(WORD);
            *word |= (u64::MAX >> (WORD - (to - from))) << from;
        }
        if marked == self.present[words.clone()] {
            return Ok(());
        }
        if let Some(map) = &self.map {
            let raw: Vec<u8> = marked.iter().flat_map(|word| word.to_le_bytes()).collect();
            map.write_all_at(&raw, words.start as u64 * 8)?;
        }
        self.present[words].copy_from_slice(&marked);
        Ok(())
    }
}

pub(super) fn data_path(dir: &Path, id: LayerId) -> PathBuf {
    dir.join(format!("{:06}.data", id.0))
}

pub(super) fn map_path(dir: &Path, id: LayerId) -> PathBuf {
    dir.join(format!("{:06}.map", id.0))
}
