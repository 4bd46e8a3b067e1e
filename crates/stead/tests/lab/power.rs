//! Power, hanging nodes, the watchdog, and clocks.

use std::time::{SystemTime, UNIX_EPOCH};

use stead_lab::protocol::{PowerAction, Request};
use stead_lab::state::{Clock, Power};

use crate::support::{TestLab, eventually, fresh};

/// The control of every test about power: without it, a cut that loses nothing would pass them all.
#[test]
fn a_cut_loses_what_was_not_flushed_and_keeps_what_was() {
    let lab = fresh();
    control(&lab, "node1");
}

/// Also used for other releases.
pub(crate) fn control(lab: &TestLab, node: &str) {
    let disk = lab.device(node, "disk1");
    let write = |word: &str, block: u32, how: &str| {
        lab.on(node, &format!("printf '%-4096s' {word} | dd of={disk} bs=4096 seek={block} iflag=fullblock oflag=direct {how} status=none"));
    };
    let read = |block: u32| {
        lab.on(node, &format!("dd if={disk} bs=4096 skip={block} count=1 iflag=direct status=none | tr -d '\\0'"))
    };
    write("flushed", 0, "conv=fsync");
    write("unflushed", 1, "");
    assert_eq!((read(0).as_str(), read(1).as_str()), ("flushed", "unflushed"), "before the cut both are there");
    lab.on(node, "mkdir -p /srv/t; echo synced > /srv/t/synced; sync /srv/t/synced /srv/t; echo loose > /srv/t/loose");

    lab.power_cycle(node);
    assert_eq!((read(0).as_str(), read(1).as_str()), ("flushed", ""), "after it only what was flushed");
    assert_eq!(lab.on(node, "cat /srv/t/synced"), "synced");
    assert!(!lab.works(node, "grep -q loose /srv/t/loose"), "a file that nobody synced");
}

#[test]
fn off_is_off_and_on_boots_again() {
    let lab = fresh();
    let boot = lab.boot_id("node2");
    lab.until("node1", "ping -q -c 1 -W 2 192.168.0.51");
    lab.power_of(&["node2"], PowerAction::Off);
    assert!(!lab.works("node1", "ping -q -c 3 -W 2 192.168.0.51"));
    let status = lab.status().expect("status");
    let node = &status.nodes["node2"];
    assert_eq!((node.state.power, node.ssh, node.pid), (Power::Off, false, None));
    assert_eq!(lab.power_of(&["node2"], PowerAction::Off), ["node2: was off"]);

    lab.power_of(&["node2"], PowerAction::On);
    lab.up(&["node2"]);
    lab.until("node1", "ping -q -c 1 -W 2 192.168.0.51");
    assert_ne!(lab.boot_id("node2"), boot);
}

#[test]
fn a_node_that_switches_itself_off_is_off() {
    let lab = fresh();
    lab.on("node3", "systemctl poweroff --no-block");
    eventually("node3 is off", || lab.status().expect("status").nodes["node3"].state.power == Power::Off);
}

#[test]
fn a_frozen_node_is_deaf_and_dumb_and_goes_on_where_it_was() {
    let lab = fresh();
    let boot = lab.boot_id("node2");
    lab.until("node1", "ping -q -c 1 -W 2 192.168.0.51");
    let uptime = || lab.on("node2", "cut -d. -f1 /proc/uptime").parse::<u64>().expect("seconds");
    let before = uptime();
    let frozen = std::time::Instant::now();
    lab.ask(Request::Freeze { node: "node2".into() });
    assert!(!lab.works("node1", "ping -q -c 3 -W 2 192.168.0.51"));
    assert!(!lab.status().expect("status").nodes["node2"].ssh);
    lab.ask(Request::Thaw { node: "node2".into() });
    lab.until("node1", "ping -q -c 1 -W 2 192.168.0.51");
    let frozen = frozen.elapsed().as_secs();
    assert_eq!(lab.boot_id("node2"), boot, "it did not restart");
    // Whole seconds on one side.
    assert!(uptime() - before + 1 >= frozen, "its clock went on for the {frozen} s");
}

#[test]
fn the_watchdog_resets_a_node_that_does_not_feed_it() {
    let lab = fresh();
    let boot = lab.boot_id("node1");
    let disk = lab.device("node1", "disk1");
    lab.on("node1", &format!("printf '%-4096s' kept | dd of={disk} bs=4096 iflag=fullblock oflag=direct status=none"));
    assert_eq!(lab.on("node1", "cat /sys/class/watchdog/watchdog0/identity"), "i6300ESB timer");
    lab.on("node1", "(wdctl -s 4 >/dev/null 2>&1; exec 3>/dev/watchdog; sleep 600) >/dev/null 2>&1 </dev/null &");
    eventually("the console shows another boot", || !lab.status().expect("status").nodes["node1"].ssh);
    lab.up(&["node1"]);
    assert_ne!(lab.boot_id("node1"), boot);
    let kept = lab.on("node1", &format!("head -c 4 {disk}"));
    assert_eq!(kept, "kept", "a reset is not a power cut: the disk's cache is still there");
}

#[test]
fn a_clock_can_be_wrong_at_boot_and_right_again() {
    let lab = fresh();
    let set = |time: Option<&str>| {
        let time = time.map(|text| Clock::try_from(text.to_owned()).expect("time"));
        lab.ask(Request::Clock { node: "node1".into(), time });
        lab.power_cycle("node1");
    };
    set(Some("2015-01-01T00:00:00"));
    assert_eq!(lab.on("node1", "cat /sys/class/rtc/rtc0/date"), "2015-01-01");
    // Debian sets a clock that is older than itself to its own age.
    assert!(!clock_is_right(&lab, "node1"));
    set(None);
    assert!(clock_is_right(&lab, "node1"));
}

/// Whether a node's clock is within ten seconds of ours, which is what a busy node takes to answer.
pub(crate) fn clock_is_right(lab: &TestLab, node: &str) -> bool {
    let theirs: u64 = lab.on(node, "date +%s").parse().expect("seconds");
    let ours = SystemTime::now().duration_since(UNIX_EPOCH).expect("now").as_secs();
    ours.abs_diff(theirs) <= 10
}
