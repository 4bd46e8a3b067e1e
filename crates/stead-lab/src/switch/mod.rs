//! The lab's layer 2 switches.
//!
//! A [`Switch`] learns addresses, floods what it doesn't know, counts, and can be told to lose, delay or drop. VLAN tags
//! pass untouched, and so does every length: what a real switch must be configured for, this one just does, and
//! whether the nodes agree is their business.

pub mod link;
mod pcap;

use std::collections::{BTreeMap, HashMap};
use std::fs::File;
use std::io;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use tokio::sync::{mpsc, watch};
use tokio::time::{Instant, sleep_until};

use pcap::Pcap;

/// An Ethernet frame as a NIC sees it: from the destination address to the end of the payload, without FCS.
pub type Frame = Vec<u8>;

/// One end of a cable: what is plugged into a switch, or a point-to-point link, from the plug's side.
#[derive(Debug)]
pub struct Plug {
    /// Frames that come out of the cable.
    pub rx: mpsc::Receiver<Frame>,
    /// Frames that go into it; a full queue drops frames, as a NIC does.
    pub tx: mpsc::Sender<Frame>,
}

/// How many frames a queue holds: a few milliseconds of a gigabit, so that a node that doesn't listen costs little.
const QUEUE: usize = 1024;

/// How long an address is remembered: the default of IEEE 802.1D.
const AGE: Duration = Duration::from_mins(5);

/// A cable with two free ends.
pub fn cable() -> (Plug, Plug) {
    let (left_tx, right_rx) = mpsc::channel(QUEUE);
    let (right_tx, left_rx) = mpsc::channel(QUEUE);
    (Plug { rx: left_rx, tx: left_tx }, Plug { rx: right_rx, tx: right_tx })
}

/// What a switch does with frames. The carrier stays in any case: that is the treacherous thing about a sick switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Condition {
    /// It forwards.
    #[default]
    On,
    /// It forwards nothing.
    Off,
    /// It loses so many of a hundred frames.
    Lossy(u8),
    /// It holds each frame for so many milliseconds.
    Slow(u32),
    /// It loses frames whose packets are longer than so many bytes: headers and tags of Ethernet don't count.
    Small(u16),
}

/// What passed a port, seen from the switch.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counters {
    /// Frames that came from the port.
    pub frames_in: u64,
    /// Their bytes.
    pub bytes_in: u64,
    /// Frames that were sent to the port.
    pub frames_out: u64,
    /// Their bytes.
    pub bytes_out: u64,
    /// Frames from or to the port that were dropped: switched off, lost, or the queue was full.
    pub dropped: u64,
}

/// A learning switch. Clones are handles of the same one.
#[derive(Clone, Debug, Default)]
pub struct Switch(Arc<Mutex<Core>>);

#[derive(Debug, Default)]
struct Core {
    condition: Condition,
    ports: BTreeMap<String, Port>,
    /// Where an address was seen last, per VLAN.
    seen: HashMap<(u16, [u8; 6]), (String, Instant)>,
    capture: Option<Pcap>,
    /// How often it was changed: frames from before a change are not delivered after it.
    age: watch::Sender<u64>,
}

#[derive(Debug)]
struct Port {
    up: bool,
    counters: Counters,
    queue: mpsc::Sender<Waiting>,
}

/// A frame on its way out of a port.
#[derive(Debug)]
struct Waiting {
    frame: Frame,
    due: Instant,
    /// The switch's age when the frame came in.
    age: u64,
}

impl Switch {
    /// Connects a new port; the cable's free end is the caller's.
    ///
    /// Must be called within a tokio runtime.
    pub fn connect(&self, name: &str) -> Plug {
        let (mut ours, theirs) = cable();
        let (queue, mut waiting) = mpsc::channel::<Waiting>(QUEUE);
        let mut age = self.core().age.subscribe();
        self.core().ports.insert(name.to_owned(), Port { up: true, counters: Counters::default(), queue });
        let (switch, name) = (self.clone(), name.to_owned());
        tokio::spawn(async move {
            while let Some(frame) = ours.rx.recv().await {
                switch.core().forward(&name, frame);
            }
        });
        tokio::spawn(async move {
            while let Some(Waiting { frame, due, age: then }) = waiting.recv().await {
                let aged = age.wait_for(|now| *now != then);
                // What a slow switch still holds is gone when it is mended, or when the lab goes back to a picture.
                tokio::select! {
                    biased;
                    _ = aged => continue,
                    () = sleep_until(due) => {}
                }
                // A full queue behind the plug holds this one up, which then drops: nothing waits for ever.
                if ours.tx.send(frame).await.is_err() {
                    break;
                }
            }
        });
        theirs
    }

    /// Lets frames pass a port, or not: a cable that is in or out.
    pub fn set_port(&self, name: &str, up: bool) {
        if let Some(port) = self.core().ports.get_mut(name) {
            port.up = up;
        }
    }

    /// Changes what the switch does with frames.
    pub fn set_condition(&self, condition: Condition) {
        let mut core = self.core();
        core.condition = condition;
        core.age.send_modify(|age| *age += 1);
    }

    /// Forgets all addresses and frames, as after a power cycle.
    pub fn forget(&self) {
        let mut core = self.core();
        core.seen.clear();
        core.age.send_modify(|age| *age += 1);
    }

    /// What passed each port so far.
    pub fn counters(&self) -> BTreeMap<String, Counters> {
        self.core().ports.iter().map(|(name, port)| (name.clone(), port.counters)).collect()
    }

    /// Writes every frame that the switch forwards to `file` from now on, as pcap; `None` ends that.
    pub fn capture(&self, file: Option<File>) -> io::Result<()> {
        let capture = file.map(Pcap::start).transpose()?;
        self.core().capture = capture;
        Ok(())
    }

    /// Counters and addresses are whole between any two statements: a panic elsewhere spoils nothing.
    fn core(&self) -> MutexGuard<'_, Core> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Core {
    fn forward(&mut self, from: &str, frame: Frame) {
        let Some(head) = Head::of(&frame) else { return };
        let condition = self.condition;
        let Some(port) = self.ports.get_mut(from) else { return };
        port.counters.frames_in += 1;
        port.counters.bytes_in += frame.len() as u64;
        let lost = match condition {
            Condition::Off => true,
            Condition::Lossy(percent) => fastrand::u8(0..100) < percent,
            Condition::Small(mtu) => frame.len() > head.length() + usize::from(mtu),
            Condition::On | Condition::Slow(_) => false,
        };
        if lost || !port.up {
            port.counters.dropped += 1;
            return;
        }
        if let Some(capture) = &mut self.capture
            && capture.record(&frame).is_err()
        {
            // A full disk under a capture must not stop the network.
            self.capture = None;
        }
        let now = Instant::now();
        if !is_group(head.source) {
            self.seen.insert((head.vlan, head.source), (from.to_owned(), now));
        }
        let due = match condition {
            Condition::Slow(milliseconds) => now + Duration::from_millis(milliseconds.into()),
            _ => now,
        };
        let age = *self.age.borrow();
        let known = self.seen.get(&(head.vlan, head.destination)).filter(|(_, at)| now - *at < AGE);
        match known {
            Some((to, _)) if to == from => {}
            Some((to, _)) => {
                if let Some(port) = self.ports.get_mut(to) {
                    port.send(Waiting { frame, due, age });
                }
            }
            None => {
                for (_, port) in self.ports.iter_mut().filter(|(name, _)| *name != from) {
                    port.send(Waiting { frame: frame.clone(), due, age });
                }
            }
        }
    }
}

impl Port {
    fn send(&mut self, waiting: Waiting) {
        let len = waiting.frame.len() as u64;
        if self.up && self.queue.try_send(waiting).is_ok() {
            self.counters.frames_out += 1;
            self.counters.bytes_out += len;
        } else {
            self.counters.dropped += 1;
        }
    }
}

/// What a switch reads of a frame.
struct Head {
    destination: [u8; 6],
    source: [u8; 6],
    /// 0 for a frame without a tag.
    vlan: u16,
    tagged: bool,
}

/// The `EtherType` of an IEEE 802.1Q tag.
const TAGGED: [u8; 2] = [0x81, 0x00];

impl Head {
    /// `None` for what is too short to be a frame.
    fn of(frame: &[u8]) -> Option<Self> {
        let destination = *frame.first_chunk()?;
        let source = *frame.get(6..)?.first_chunk()?;
        let kind: [u8; 2] = *frame.get(12..)?.first_chunk()?;
        let tag = if kind == TAGGED { u16::from_be_bytes(*frame.get(14..)?.first_chunk()?) } else { 0 };
        Some(Self { destination, source, vlan: tag & 0x0fff, tagged: kind == TAGGED })
    }

    /// In bytes.
    fn length(&self) -> usize {
        if self.tagged { 18 } else { 14 }
    }
}

/// Broadcast and multicast addresses have the lowest bit of the first byte set.
fn is_group(address: [u8; 6]) -> bool {
    address[0] & 1 != 0
}

#[cfg(test)]
mod tests;
