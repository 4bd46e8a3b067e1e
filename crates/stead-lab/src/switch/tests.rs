use super::*;

const A: [u8; 6] = [2, 0, 0, 0, 0, 0xa];
const B: [u8; 6] = [2, 0, 0, 0, 0, 0xb];
const ALL: [u8; 6] = [0xff; 6];

fn frame(to: [u8; 6], from: [u8; 6], rest: &[u8]) -> Frame {
    [&to, &from, rest].concat()
}

fn tagged(to: [u8; 6], from: [u8; 6], vlan: u16) -> Frame {
    frame(to, from, &[&TAGGED[..], &vlan.to_be_bytes(), &[8, 0], b"payload"].concat())
}

/// The next frame at a plug, within a second of the runtime's own, paused clock.
async fn next(plug: &mut Plug) -> Option<Frame> {
    tokio::time::timeout(Duration::from_secs(1), plug.rx.recv()).await.ok().flatten()
}

async fn send(plug: &Plug, frame: Frame) {
    plug.tx.send(frame).await.expect("the switch is there");
}

fn three() -> (Switch, Plug, Plug, Plug) {
    let switch = Switch::default();
    let (a, b, c) = (switch.connect("a"), switch.connect("b"), switch.connect("c"));
    (switch, a, b, c)
}

#[tokio::test(start_paused = true)]
async fn floods_what_it_does_not_know_and_learns() {
    let (_switch, mut a, mut b, mut c) = three();
    let hello = frame(ALL, A, b"\x08\x00hello");
    send(&a, hello.clone()).await;
    assert_eq!(next(&mut b).await.as_ref(), Some(&hello));
    assert_eq!(next(&mut c).await.as_ref(), Some(&hello));
    assert_eq!(next(&mut a).await, None, "never back to where it came from");

    let answer = frame(A, B, b"\x08\x00answer");
    send(&b, answer.clone()).await;
    assert_eq!(next(&mut a).await.as_ref(), Some(&answer));
    assert_eq!(next(&mut c).await, None, "the way to A is known");
}

#[tokio::test(start_paused = true)]
async fn passes_tags_and_long_frames_and_learns_per_vlan() {
    let (_switch, mut a, mut b, mut c) = three();
    send(&a, tagged(ALL, A, 10)).await;
    assert_eq!(next(&mut b).await, Some(tagged(ALL, A, 10)));
    next(&mut c).await;
    send(&b, tagged(A, B, 20)).await;
    assert!(next(&mut c).await.is_some(), "A was seen on VLAN 10 only");
    next(&mut a).await;
    let jumbo = frame(A, B, &vec![7; 65_000]);
    send(&b, jumbo.clone()).await;
    assert_eq!(next(&mut a).await, Some(jumbo));
}

#[tokio::test(start_paused = true)]
async fn an_address_is_forgotten_after_a_while() {
    let (_switch, a, mut b, mut c) = three();
    send(&a, frame(ALL, A, b"\x08\x00")).await;
    next(&mut b).await;
    next(&mut c).await;
    tokio::time::advance(AGE).await;
    send(&b, frame(A, B, b"\x08\x00")).await;
    assert!(next(&mut c).await.is_some());
}

#[tokio::test(start_paused = true)]
async fn off_lossy_and_slow_do_what_they_say_and_on_undoes_them() {
    let (switch, a, mut b, _c) = three();
    switch.set_condition(Condition::Off);
    send(&a, frame(ALL, A, b"\x08\x00off")).await;
    assert_eq!(next(&mut b).await, None);

    switch.set_condition(Condition::Lossy(50));
    for _ in 0..200 {
        send(&a, frame(ALL, A, b"\x08\x00lossy")).await;
    }
    let mut passed = 0;
    while next(&mut b).await.is_some() {
        passed += 1;
    }
    assert!((40..160).contains(&passed), "{passed} of 200 at a loss of 50 %");

    switch.set_condition(Condition::Slow(500));
    let start = Instant::now();
    send(&a, frame(ALL, A, b"\x08\x00slow")).await;
    assert!(next(&mut b).await.is_some());
    assert!(start.elapsed() >= Duration::from_millis(500));

    switch.set_condition(Condition::Small(4));
    for (kind, long) in [(b"\x08\x00".as_slice(), &b"fifth"[..]), (b"\x81\x00\x00\x0a\x08\x00", b"fifth")] {
        let frame = |words: &[u8]| frame(ALL, A, &[kind, words].concat());
        send(&a, frame(long)).await;
        assert_eq!(next(&mut b).await, None);
        send(&a, frame(&long[..4])).await;
        assert!(next(&mut b).await.is_some());
    }

    switch.set_condition(Condition::Slow(500));
    send(&a, frame(ALL, A, b"\x08\x00held")).await;
    tokio::task::yield_now().await;
    switch.set_condition(Condition::On);
    let start = Instant::now();
    send(&a, frame(ALL, A, b"\x08\x00on")).await;
    assert_eq!(next(&mut b).await, Some(frame(ALL, A, b"\x08\x00on")), "what was held is gone");
    assert!(start.elapsed() < Duration::from_millis(500));
    assert!(switch.counters()["a"].dropped > 0);
}

#[tokio::test(start_paused = true)]
async fn a_port_that_is_down_is_silent_both_ways() {
    let (switch, mut a, mut b, _c) = three();
    switch.set_port("b", false);
    send(&a, frame(ALL, A, b"\x08\x00")).await;
    assert_eq!(next(&mut b).await, None);
    send(&b, frame(ALL, B, b"\x08\x00")).await;
    assert_eq!(next(&mut a).await, None);
    switch.set_port("b", true);
    send(&b, frame(ALL, B, b"\x08\x00")).await;
    assert!(next(&mut a).await.is_some());
    let counters = switch.counters()["b"];
    assert_eq!((counters.frames_in, counters.bytes_in, counters.frames_out), (2, 28, 0));
}

#[tokio::test(start_paused = true)]
async fn a_node_that_does_not_listen_holds_nobody_up() {
    let (_switch, a, mut b, _c) = three();
    for _ in 0..10 * QUEUE {
        send(&a, frame(ALL, A, b"\x08\x00")).await;
        assert!(next(&mut b).await.is_some());
    }
}

#[tokio::test(start_paused = true)]
async fn a_capture_has_what_passed() {
    let (switch, a, mut b, _c) = three();
    let file = tempfile::NamedTempFile::new().expect("file");
    switch.capture(Some(file.reopen().expect("file"))).expect("capture");
    send(&a, frame(ALL, A, b"\x08\x00captured")).await;
    next(&mut b).await;
    switch.capture(None).expect("capture");
    send(&a, frame(ALL, A, b"\x08\x00not")).await;
    next(&mut b).await;
    let pcap = std::fs::read(file.path()).expect("pcap");
    assert_eq!(pcap[..4], [0xd4, 0xc3, 0xb2, 0xa1]);
    assert_eq!(pcap[24 + 16..], frame(ALL, A, b"\x08\x00captured"));
}

#[tokio::test]
async fn a_link_carries_frames_both_ways_and_again_after_a_restart() {
    let dir = tempfile::tempdir().expect("dir");
    let path = dir.path().join("nic");
    let switch = Switch::default();
    let mut other = switch.connect("other");
    let listener = tokio::net::UnixListener::bind(&path).expect("bind");
    tokio::spawn(link::serve(listener, switch.connect("node")));
    for _ in 0..2 {
        let stream = tokio::net::UnixStream::connect(&path).await.expect("connect");
        let (mut near, far) = cable();
        let carrier = tokio::spawn(async move {
            let mut far = far;
            link::carry(stream, &mut far).await
        });
        send(&near, tagged(ALL, A, 10)).await;
        assert_eq!(other.rx.recv().await, Some(tagged(ALL, A, 10)));
        send(&other, frame(A, B, &[1; 9014])).await;
        assert_eq!(near.rx.recv().await, Some(frame(A, B, &[1; 9014])));
        carrier.abort();
    }
}
