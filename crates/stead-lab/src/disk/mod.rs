//! The lab's disks: what a drive is to a node, down to what it forgets when its power goes.
//!
//! A [`Disk`] has a write cache that lives in memory only. What a node writes goes there; a flush moves it to the
//! disk's layer, a file; a power cut drops what is left. Killing QEMU alone would lose nothing, since the host's page
//! cache keeps what the guest handed over, and every test about power would pass for no reason.
//!
//! Below the cache is a chain of [`Layer`]s, of which only the top one is written. Taking a picture seals the top layer
//! and puts an empty one above it: that costs the same for a full disk as for an empty one.

mod cache;
mod layer;
pub mod nbd;

use std::io;
use std::path::Path;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use cache::Cache;
pub use layer::{Layer, LayerId};
use stead_spec::Bytes;

/// What is cached and layered as one piece, in bytes: what file systems write in, and no less than what drives promise
/// to write as a whole.
pub const BLOCK: u64 = BLOCK_LEN as u64;

/// The same as a length in memory.
const BLOCK_LEN: usize = 4096;

/// How much a disk holds back before it writes of its own accord, in blocks: 64 MiB, as a common drive.
const CACHE_BLOCKS: usize = 64 << 20 >> 12;

/// A disk, as its node sees it.
#[derive(Debug)]
pub struct Disk {
    size: Bytes,
    failing: AtomicBool,
    state: Mutex<State>,
}

#[derive(Debug)]
struct State {
    cache: Cache,
    top: Layer,
    /// Sealed layers, the newest first.
    below: Vec<Arc<Layer>>,
}

/// Where a block's content is.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Source {
    Cache,
    Top,
    Below(usize),
    Nowhere,
}

impl Disk {
    /// A disk of `size` bytes on `top`, above the sealed layers `below` (the newest first).
    pub fn new(size: Bytes, top: Layer, below: Vec<Arc<Layer>>) -> Self {
        let state = State { cache: Cache::default(), top, below };
        Self { size, failing: AtomicBool::new(false), state: Mutex::new(state) }
    }

    /// The disk's size in bytes.
    pub fn size(&self) -> Bytes {
        self.size
    }

    /// Makes every further request fail, or stops that: a drive whose electronics are gone.
    pub fn set_failing(&self, failing: bool) {
        self.failing.store(failing, Ordering::Relaxed);
    }

    /// Reads `buf.len()` bytes at `offset`.
    pub fn read(&self, offset: u64, buf: &mut [u8]) -> io::Result<()> {
        let state = self.checked(offset, buf.len() as u64)?;
        let mut at = offset;
        let mut rest = buf;
        while !rest.is_empty() {
            let source = state.source(at / BLOCK);
            let limit = at + rest.len() as u64;
            let mut end = (at / BLOCK + 1) * BLOCK;
            // One read of the file for a run of blocks; the cache has its blocks one by one.
            while source != Source::Cache && end < limit && state.source(end / BLOCK) == source {
                end += BLOCK;
            }
            let (now, later) = rest.split_at_mut(to_usize(end.min(limit) - at));
            state.read_from(source, at, now)?;
            at += now.len() as u64;
            rest = later;
        }
        Ok(())
    }

    /// Writes `data` at `offset`, into the cache.
    pub fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        let mut state = self.checked(offset, data.len() as u64)?;
        let mut at = offset;
        let mut rest = data;
        while !rest.is_empty() {
            let block = at / BLOCK;
            let within = to_usize(at % BLOCK);
            let (now, later) = rest.split_at(rest.len().min(to_usize(BLOCK) - within));
            let mut content = Box::new([0; BLOCK_LEN]);
            if now.len() < content.len() {
                state.read_from(state.source(block), block * BLOCK, &mut content[..])?;
            }
            content[within..within + now.len()].copy_from_slice(now);
            state.cache.insert(block, content);
            at += now.len() as u64;
            rest = later;
        }
        state.write_out(CACHE_BLOCKS)
    }

    /// Makes `len` bytes at `offset` read as zeros.
    ///
    /// Whole blocks take effect at once, as a drive may: a discard of a whole disk would not fit into the cache.
    pub fn zero(&self, offset: u64, len: u64) -> io::Result<()> {
        let first = offset.div_ceil(BLOCK);
        let last = ((offset + len) / BLOCK).max(first);
        if last == first {
            return self.write(offset, &vec![0; to_usize(len)]);
        }
        let (head, tail) = (first * BLOCK - offset, offset + len - last * BLOCK);
        self.write(offset, &vec![0; to_usize(head)])?;
        self.write(last * BLOCK, &vec![0; to_usize(tail)])?;
        let mut state = self.checked(offset, len)?;
        state.cache.forget(first..last);
        state.top.zero(first..last)
    }

    /// Moves the cache to the layer: what was written before is there after a power cut.
    pub fn flush(&self) -> io::Result<()> {
        self.checked(0, 0)?.write_out(0)
    }

    /// Takes the power away: forgets what was not flushed, and says how many bytes that was.
    pub fn cut_power(&self) -> Bytes {
        Bytes::new(self.lock().cache.drop_all() as u64 * BLOCK)
    }

    /// Seals the top layer, with the cache in it, and goes on above it on `top`.
    pub fn seal(&self, top: Layer) -> io::Result<()> {
        let mut state = self.lock();
        state.write_out(0)?;
        let sealed = std::mem::replace(&mut state.top, top);
        state.below.insert(0, Arc::new(sealed.sealed()));
        Ok(())
    }

    /// The state, once it is sure that the request lies on the disk and that the disk answers.
    fn checked(&self, offset: u64, len: u64) -> io::Result<MutexGuard<'_, State>> {
        if self.failing.load(Ordering::Relaxed) {
            return Err(io::Error::from_raw_os_error(rustix::io::Errno::IO.raw_os_error()));
        }
        match offset.checked_add(len) {
            Some(end) if end <= self.size.get() => Ok(self.lock()),
            _ => Err(io::Error::from(io::ErrorKind::InvalidInput)),
        }
    }

    /// A panic while the lock was held left whole blocks, old or new: no reason to take the disk away.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl State {
    fn source(&self, block: u64) -> Source {
        if self.cache.get(block).is_some() {
            Source::Cache
        } else if self.top.has(block) {
            Source::Top
        } else {
            self.below.iter().position(|layer| layer.has(block)).map_or(Source::Nowhere, Source::Below)
        }
    }

    fn read_from(&self, source: Source, at: u64, buf: &mut [u8]) -> io::Result<()> {
        match source {
            Source::Top => self.top.read(at, buf),
            Source::Below(index) => self.below[index].read(at, buf),
            Source::Cache | Source::Nowhere => {
                match self.cache.get(at / BLOCK) {
                    Some(content) => {
                        let within = to_usize(at % BLOCK);
                        buf.copy_from_slice(&content[within..within + buf.len()]);
                    }
                    None => buf.fill(0),
                }
                Ok(())
            }
        }
    }

    /// Writes cached blocks to the layer until no more than `keep` are left.
    fn write_out(&mut self, keep: usize) -> io::Result<()> {
        if self.cache.len() <= keep {
            return Ok(());
        }
        // Half of a full cache at once, so that a long writer doesn't pay for each block by itself.
        while self.cache.len() > keep / 2 {
            let Some((first, run)) = self.cache.first_run() else { break };
            self.top.write(first, &run)?;
            self.cache.forget(first..first + run.len() as u64 / BLOCK);
        }
        Ok(())
    }
}

/// Where the files of a layer are, for those who keep house.
pub fn layer_files(dir: &Path, id: LayerId) -> [std::path::PathBuf; 2] {
    [layer::data_path(dir, id), layer::map_path(dir, id)]
}

/// A length within one request, which protocol and blocks keep far below what an address can hold.
fn to_usize(n: u64) -> usize {
    usize::try_from(n).expect("a request fits into memory")
}

#[cfg(test)]
mod tests;
