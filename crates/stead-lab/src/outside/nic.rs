//! The NIC of an outside host: what smoltcp sends and receives frames through.

use smoltcp::phy::{self, ChecksumCapabilities, Device, DeviceCapabilities, Medium};
use smoltcp::time::Instant;
use tokio::sync::mpsc;

use crate::switch::Frame;

/// The length of an Ethernet header, which smoltcp counts as part of the MTU.
const ETHERNET_HEADER: usize = 14;

/// A NIC: the frame that came in last, and the cable's other direction.
pub(super) struct Nic {
    /// The next frame for the stack.
    pub(super) incoming: Option<Frame>,
    /// Whether the stack had more to send than the cable took.
    pub(super) blocked: bool,
    tx: mpsc::Sender<Frame>,
    mtu: usize,
}

impl Nic {
    /// A NIC that sends into `tx` IP packets of at most `mtu` bytes.
    pub(super) fn new(tx: mpsc::Sender<Frame>, mtu: usize) -> Self {
        Self { incoming: None, blocked: false, tx, mtu }
    }
}

impl Device for Nic {
    type RxToken<'a> = Received;
    type TxToken<'a> = Sending<'a>;

    fn receive(&mut self, _: Instant) -> Option<(Received, Sending<'_>)> {
        self.incoming.take().map(|frame| (Received(frame), Sending(&self.tx)))
    }

    /// Refuses while the cable is full: the stack keeps its data then, instead of losing and repeating it.
    fn transmit(&mut self, _: Instant) -> Option<Sending<'_>> {
        self.blocked = self.tx.capacity() == 0;
        (!self.blocked).then_some(Sending(&self.tx))
    }

    fn capabilities(&self) -> DeviceCapabilities {
        let mut capabilities = DeviceCapabilities::default();
        capabilities.medium = Medium::Ethernet;
        capabilities.max_transmission_unit = self.mtu + ETHERNET_HEADER;
        capabilities.checksum = ChecksumCapabilities::default();
        capabilities
    }
}

/// A frame that came in.
pub(super) struct Received(Frame);

impl phy::RxToken for Received {
    fn consume<R, F: FnOnce(&[u8]) -> R>(self, read: F) -> R {
        read(&self.0)
    }
}

/// Room for one frame, which is dropped if the cable is full after all (answers to a frame that came in).
pub(super) struct Sending<'a>(&'a mpsc::Sender<Frame>);

impl phy::TxToken for Sending<'_> {
    fn consume<R, F: FnOnce(&mut [u8]) -> R>(self, len: usize, write: F) -> R {
        let mut frame = vec![0; len];
        let result = write(&mut frame);
        let _ = self.0.try_send(frame);
        result
    }
}
