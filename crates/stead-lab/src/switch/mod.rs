//! The lab's layer 2 switches.

/// An Ethernet frame as a NIC sees it: from the destination address to the end of the payload, without FCS.
pub type Frame = Vec<u8>;

/// One end of a cable: what is plugged into a switch, or a point-to-point link, from the plug's side.
#[derive(Debug)]
pub struct Plug {
    /// Frames that come out of the cable.
    pub rx: tokio::sync::mpsc::Receiver<Frame>,
    /// Frames that go into it; a full queue drops frames, as a NIC does.
    pub tx: tokio::sync::mpsc::Sender<Frame>,
}
