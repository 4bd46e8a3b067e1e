//! Tests of hosts that are connected back to back.

use std::io;
use std::net::{Ipv4Addr, SocketAddrV4};
use std::time::Duration;

use smoltcp::phy::ChecksumCapabilities;
use smoltcp::wire::{
    ArpOperation, ArpPacket, ArpRepr, EthernetAddress, EthernetFrame, EthernetProtocol, EthernetRepr, IpAddress,
    IpProtocol, Ipv4Packet, Ipv4Repr, TcpControl, TcpPacket, TcpRepr, TcpSeqNumber,
};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::sync::mpsc;

use super::host::{Host, HostConfig, TcpListener, TcpStream};
use crate::switch::{Frame, Plug};

const HERE: Ipv4Addr = Ipv4Addr::new(169, 254, 77, 1);
const THERE: Ipv4Addr = Ipv4Addr::new(169, 254, 77, 2);
const PORT: u16 = 22;

/// Waits for what should not take long.
pub(super) async fn within<T>(wait: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(30), wait).await.expect("it should not take so long")
}

/// Both ends of a cable that holds `frames` in each direction.
pub(super) fn cable(frames: usize) -> (Plug, Plug) {
    let ((tx1, rx2), (tx2, rx1)) = (mpsc::channel(frames), mpsc::channel(frames));
    (Plug { rx: rx1, tx: tx1 }, Plug { rx: rx2, tx: tx2 })
}

/// A host with an address.
pub(super) fn host(plug: Plug, address: Ipv4Addr) -> Host {
    let mac = [2, 0, 0, 0, 0, address.octets()[3]];
    Host::attach(plug, HostConfig { mac, address, prefix: 24, mtu: 1500 })
}

fn pair() -> (Host, Host) {
    let (here, there) = cable(256);
    (host(here, HERE), host(there, THERE))
}

/// A connection from the first host to the second.
async fn connected(here: &Host, listener: &mut TcpListener) -> (TcpStream, TcpStream) {
    let (from, to) = tokio::join!(here.connect(SocketAddrV4::new(THERE, PORT)), listener.accept());
    (from.expect("it listens"), to.expect("it is plugged in"))
}

/// Sends each frame on, but not every so-and-so-many-th.
async fn lossy(mut rx: mpsc::Receiver<Frame>, tx: mpsc::Sender<Frame>, lost: usize) {
    let mut count = 0;
    while let Some(frame) = rx.recv().await {
        count += 1;
        if count % lost != 0 && tx.send(frame).await.is_err() {
            return;
        }
    }
}

fn pattern(len: usize) -> Vec<u8> {
    (0..len).map(|i| u8::try_from((i * 31 + i / 251) % 256).expect("it is a remainder")).collect()
}

/// Sends `data` there, which then sends it back, with an end after it each way.
async fn round_trip(here: &Host, there: &Host, data: &[u8]) {
    let mut listener = there.listen(PORT).expect("the port is free");
    let (mut from, mut to) = connected(here, &mut listener).await;
    let answering = async {
        let mut got = Vec::new();
        to.read_to_end(&mut got).await?;
        to.write_all(&got).await?;
        to.shutdown().await
    };
    let asking = async {
        from.write_all(data).await?;
        from.shutdown().await?;
        let mut got = Vec::new();
        from.read_to_end(&mut got).await.map(|_| got)
    };
    let (answered, got) = within(async { tokio::join!(answering, asking) }).await;
    answered.expect("the answering end works");
    assert!(got.expect("the asking end works") == data, "what comes back is what was sent");
}

#[tokio::test]
async fn much_data_arrives_both_ways_after_a_half_close() {
    let (here, there) = pair();
    let data = pattern(4 << 20);
    let start = std::time::Instant::now();
    round_trip(&here, &there, &data).await;
    println!("{:.0} MB/s", 2.0 * 4.194_304 / start.elapsed().as_secs_f64());
}

#[tokio::test]
async fn a_short_cable_slows_down_and_loses_nothing() {
    let (here, there) = cable(4);
    round_trip(&host(here, HERE), &host(there, THERE), &pattern(1 << 20)).await;
}

#[tokio::test(start_paused = true)]
async fn lost_frames_are_repeated() {
    let ((here, left), (there, right)) = (cable(256), cable(256));
    tokio::spawn(lossy(left.rx, right.tx, 50));
    tokio::spawn(lossy(right.rx, left.tx, 31));
    let (here, there) = (host(here, HERE), host(there, THERE));
    // On the paused clock waiting costs nothing, so the bound of `within` does not fit.
    round_trip(&here, &there, &pattern(100_000)).await;
}

#[tokio::test]
async fn connections_at_once_are_all_accepted() {
    let (here, there) = pair();
    let listener = there.listen(PORT).expect("the port is free");
    let serving = tokio::spawn(listener.for_each(8, |mut stream| async move {
        let mut byte = [0];
        if stream.read_exact(&mut byte).await.is_ok() {
            let _ = stream.write_all(&byte).await;
        }
    }));
    let here = std::sync::Arc::new(here);
    let asking: Vec<_> = (0..8)
        .map(|_| {
            tokio::spawn({
                let here = std::sync::Arc::clone(&here);
                async move { here.connect(SocketAddrV4::new(THERE, PORT)).await }
            })
        })
        .collect();
    let mut streams = Vec::new();
    for asking in asking {
        streams.push(within(asking).await.expect("no panic").expect("it listens"));
    }
    for (i, stream) in (0..).zip(&mut streams) {
        stream.write_all(&[i]).await.expect("it is connected");
    }
    for (i, stream) in (0..).zip(&mut streams) {
        assert_eq!(within(stream.read_u8()).await.expect("an answer"), i);
    }
    drop(there);
    within(serving).await.expect("serving ends with its host");
}

#[tokio::test]
async fn a_connection_that_is_closed_at_once_is_accepted() {
    let (here, there) = pair();
    let mut listener = there.listen(PORT).expect("the port is free");
    let mut from = here.connect(SocketAddrV4::new(THERE, PORT)).await.expect("it listens");
    from.write_all(b"all").await.expect("it is connected");
    drop(from);
    let mut to = within(listener.accept()).await.expect("a connection");
    let mut got = String::new();
    within(to.read_to_string(&mut got)).await.expect("a clean end");
    assert_eq!(got, "all");
}

#[tokio::test]
async fn a_closed_port_refuses() {
    let (here, _there) = pair();
    let refused = within(here.connect(SocketAddrV4::new(THERE, PORT))).await.map(drop);
    assert_eq!(refused.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionRefused));
    let outside = here.connect(SocketAddrV4::new(Ipv4Addr::new(198, 51, 100, 1), PORT)).await.map(drop);
    assert_eq!(outside.map_err(|error| error.kind()), Err(io::ErrorKind::NetworkUnreachable));
}

#[tokio::test]
async fn a_reset_is_seen_on_the_other_end() {
    let (here, there) = pair();
    let mut listener = there.listen(PORT).expect("the port is free");
    let (from, mut to) = connected(&here, &mut listener).await;
    from.reset();
    let seen = within(to.read_u8()).await;
    assert_eq!(seen.map_err(|error| error.kind()), Err(io::ErrorKind::ConnectionReset));
}

#[tokio::test]
async fn without_its_cable_everything_fails_at_once() {
    let (here, there) = pair();
    let mut listener = there.listen(PORT).expect("the port is free");
    let (mut from, mut to) = connected(&here, &mut listener).await;
    let mut udp = there.udp(53).expect("the port is free");
    let waiting = tokio::spawn(async move { (to.read_u8().await.is_err(), to.write_u8(1).await.is_err()) });
    let accepting = tokio::spawn(async move { listener.accept().await.is_err() });
    let receiving = tokio::spawn(async move { udp.recv_from().await.is_err() });
    tokio::task::yield_now().await;
    drop(here);
    // The host that was dropped ...
    assert!(from.read_u8().await.is_err() && from.write_u8(1).await.is_err());
    // ... and the one that lost its cable by that.
    assert_eq!(within(waiting).await.expect("no panic"), (true, true));
    assert!(within(accepting).await.expect("no panic"));
    assert!(within(receiving).await.expect("no panic"));
    assert!(within(there.connect(SocketAddrV4::new(HERE, PORT))).await.is_err());
}

#[tokio::test]
async fn datagrams_pass_and_broadcasts_too() {
    let (here, there) = pair();
    let (mut one, mut two) = (here.udp(1000).expect("free"), there.udp(2000).expect("free"));
    for to in [THERE, Ipv4Addr::BROADCAST] {
        one.send_to(b"hello", SocketAddrV4::new(to, 2000)).expect("it is plugged in");
        let (data, from) = within(two.recv_from()).await.expect("a datagram");
        assert_eq!((&data[..], from), (&b"hello"[..], SocketAddrV4::new(HERE, 1000)));
    }
}

/// A frame of a made-up TCP client.
fn segment(control: TcpControl, sequence: i32, ack: Option<i32>) -> Frame {
    let tcp = TcpRepr {
        src_port: 40000,
        dst_port: PORT,
        control,
        seq_number: TcpSeqNumber(sequence),
        ack_number: ack.map(TcpSeqNumber),
        window_len: 64000,
        window_scale: None,
        max_seg_size: None,
        sack_permitted: false,
        sack_ranges: [None, None, None],
        timestamp: None,
        payload: &[],
    };
    let len = tcp.buffer_len();
    let ip =
        Ipv4Repr { src_addr: HERE, dst_addr: THERE, next_header: IpProtocol::Tcp, payload_len: len, hop_limit: 64 };
    let mut frame = ethernet(EthernetProtocol::Ipv4, ip.buffer_len() + len);
    let mut packet = Ipv4Packet::new_unchecked(&mut frame[14..]);
    ip.emit(&mut packet, &ChecksumCapabilities::default());
    let (from, to) = (IpAddress::Ipv4(HERE), IpAddress::Ipv4(THERE));
    tcp.emit(&mut TcpPacket::new_unchecked(packet.payload_mut()), &from, &to, &ChecksumCapabilities::default());
    frame
}

fn ethernet(ethertype: EthernetProtocol, len: usize) -> Frame {
    let mut frame = vec![0; 14 + len];
    let (src_addr, dst_addr) = (EthernetAddress([2, 0, 0, 0, 0, 1]), EthernetAddress([2, 0, 0, 0, 0, 2]));
    EthernetRepr { src_addr, dst_addr, ethertype }.emit(&mut EthernetFrame::new_unchecked(&mut frame));
    frame
}

/// The next TCP segment: its sequence number and what it acknowledges, if it opens a connection.
async fn syn_ack(plug: &mut Plug) -> (i32, i32) {
    loop {
        let frame = within(plug.rx.recv()).await.expect("the host is there");
        let frame = EthernetFrame::new_checked(&frame[..]).expect("a frame");
        let Ok(ip) = Ipv4Packet::new_checked(frame.payload()) else { continue };
        let tcp = TcpPacket::new_checked(ip.payload()).expect("a segment");
        if tcp.syn() {
            return (tcp.seq_number().0, tcp.ack_number().0);
        }
    }
}

#[tokio::test]
async fn a_client_that_forgot_its_connection_can_open_it_anew() {
    let (mut here, there) = cable(64);
    let there = host(there, THERE);
    let mut listener = there.listen(PORT).expect("the port is free");
    let arp = ArpRepr::EthernetIpv4 {
        operation: ArpOperation::Request,
        source_hardware_addr: EthernetAddress([2, 0, 0, 0, 0, 1]),
        source_protocol_addr: HERE,
        target_hardware_addr: EthernetAddress::BROADCAST,
        target_protocol_addr: THERE,
    };
    let mut frame = ethernet(EthernetProtocol::Arp, arp.buffer_len());
    arp.emit(&mut ArpPacket::new_unchecked(&mut frame[14..]));
    here.tx.try_send(frame).expect("room");
    // A repeated question is the same connection.
    here.tx.try_send(segment(TcpControl::Syn, 1000, None)).expect("room");
    here.tx.try_send(segment(TcpControl::Syn, 1000, None)).expect("room");
    let (sequence, acknowledged) = syn_ack(&mut here).await;
    assert_eq!(acknowledged, 1001);
    here.tx.try_send(segment(TcpControl::None, 1001, Some(sequence.wrapping_add(1)))).expect("room");
    let mut old = within(listener.accept()).await.expect("a connection");
    // The node is set back to a picture, and asks again from the same port.
    here.tx.try_send(segment(TcpControl::Syn, 5000, None)).expect("room");
    let (sequence, acknowledged) = loop {
        let seen = syn_ack(&mut here).await;
        if seen.1 != 1001 {
            break seen;
        }
    };
    assert_eq!(acknowledged, 5001);
    assert!(within(old.read_u8()).await.is_err(), "the old connection is over");
    here.tx.try_send(segment(TcpControl::None, 5001, Some(sequence.wrapping_add(1)))).expect("room");
    let new = within(listener.accept()).await.expect("the new connection");
    assert_eq!(new.peer(), Some(SocketAddrV4::new(HERE, 40000).into()));
}
