//! What a drive was told and has not yet written.

use std::collections::BTreeMap;
use std::ops::Range;

use super::BLOCK_LEN;

/// The content of a block that waits to be written.
pub(super) type Cached = Box<[u8; BLOCK_LEN]>;

/// The blocks that a power cut would lose.
#[derive(Debug, Default)]
pub(super) struct Cache(BTreeMap<u64, Cached>);

/// The longest run that is written at once, in blocks: 4 MiB.
const RUN: u64 = 1024;

impl Cache {
    pub(super) fn get(&self, block: u64) -> Option<&Cached> {
        self.0.get(&block)
    }

    pub(super) fn insert(&mut self, block: u64, content: Cached) {
        self.0.insert(block, content);
    }

    pub(super) fn len(&self) -> usize {
        self.0.len()
    }

    /// The lowest block and the content of it and of those that follow it without a gap.
    pub(super) fn first_run(&self) -> Option<(u64, Vec<u8>)> {
        let (&first, _) = self.0.first_key_value()?;
        let mut content = Vec::new();
        for (expected, (&block, data)) in (first..first + RUN).zip(&self.0) {
            if block != expected {
                break;
            }
            content.extend_from_slice(&data[..]);
        }
        Some((first, content))
    }

    pub(super) fn forget(&mut self, blocks: Range<u64>) {
        // A discard may name more blocks than the cache has.
        if blocks.end - blocks.start > self.0.len() as u64 {
            self.0.retain(|block, _| !blocks.contains(block));
        } else {
            for block in blocks {
                self.0.remove(&block);
            }
        }
    }

    /// Forgets everything, and says how many blocks that was.
    pub(super) fn drop_all(&mut self) -> usize {
        std::mem::take(&mut self.0).len()
    }
}
