//! A packet capture, in the classic pcap format that tcpdump and Wireshark read.

use std::fs::File;
use std::io::{self, Write};
use std::time::{SystemTime, UNIX_EPOCH};

/// A capture that is being written.
#[derive(Debug)]
pub(super) struct Pcap(File);

/// The longest frame that is kept whole, in bytes: the most that a virtual NIC sends at once.
const SNAP_LEN: u32 = 256 << 10;

impl Pcap {
    pub(super) fn start(mut file: File) -> io::Result<Self> {
        let mut head = Vec::new();
        // Magic for microseconds, version 2.4, time zone, accuracy, longest frame, link type Ethernet.
        head.extend(0xa1b2_c3d4_u32.to_le_bytes());
        head.extend(2_u16.to_le_bytes());
        head.extend(4_u16.to_le_bytes());
        for field in [0, 0, SNAP_LEN, 1] {
            head.extend(field.to_le_bytes());
        }
        file.write_all(&head)?;
        Ok(Self(file))
    }

    /// In one write, so that a reader never sees half of a record.
    pub(super) fn record(&mut self, frame: &[u8]) -> io::Result<()> {
        let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
        let len = u32::try_from(frame.len()).unwrap_or(u32::MAX);
        let kept = len.min(SNAP_LEN);
        let mut record = Vec::with_capacity(frame.len() + 16);
        // The format has 32 bits for the seconds, until 2106.
        let seconds = u32::try_from(now.as_secs()).unwrap_or(u32::MAX);
        for field in [seconds, now.subsec_micros(), kept, len] {
            record.extend(field.to_le_bytes());
        }
        record.extend(&frame[..kept as usize]);
        self.0.write_all(&record)
    }
}
