//! How long two nodes don't hear each other on the core when a switch dies, or when FRR restarts: the longest silence in
//! a stream of packets.

use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, bail, ensure};

use super::cluster::{Cluster, NODES};
use super::table::Table;

/// How often each is measured.
const ROUNDS: usize = 3;

/// Ten packets in a second, for half a minute.
const PACKETS: u32 = 300;
const INTERVAL: &str = "0.1";

/// Of the stream's last packets one has been answered, or the silence was longer than it shows.
const LAST: u32 = 10;

/// The second node's own address in the core.
const OTHER: &str = "10.10.0.2";

/// How long neighbours may take to hear each other anew.
const PATIENCE: Duration = Duration::from_mins(3);

/// Measures the cluster's outages; each switch dies once.
pub(super) fn measure(cluster: &Cluster, table: &mut Table) -> Result<()> {
    for switch in ["1", "2", "3"] {
        wait_until(cluster, "test $(vtysh -c 'show ip ospf neighbor' | grep -c Full) = 6")?;
        let silence = longest_silence(cluster, || cluster.lab(&["switch", switch, "off"]).run())?;
        table.time(SWITCH, silence);
        cluster.lab(&["switch", switch, "on"]).run()?;
    }
    for _ in 0..ROUNDS {
        wait_until(cluster, "test $(vtysh -c 'show ip ospf neighbor' | grep -c Full) = 6")?;
        let silence = longest_silence(cluster, || cluster.on(NODES[0], &["systemctl", "restart", "frr"]).run())?;
        table.time(RESTART, silence);
    }
    table.aim(SWITCH, "< 15: 1.5 times `patience`");
    table.aim(RESTART, "< 0.5");
    Ok(())
}

const SWITCH: &str = "core: silence when a switch dies, patience 10";
const RESTART: &str = "core: silence when FRR restarts";

/// Under a stream of packets from the first node to the second.
fn longest_silence(cluster: &Cluster, cut: impl FnOnce() -> Result<()>) -> Result<Duration> {
    let count = PACKETS.to_string();
    thread::scope(|scope| {
        let ping = ["ping", "-D", "-i", INTERVAL, "-c", &count, OTHER];
        let stream = scope.spawn(move || cluster.on(NODES[0], &ping).output());
        let cut = wait_until(cluster, "pgrep -x ping").and_then(|()| cut());
        let said = stream.join().map_err(|_| anyhow!("the stream of packets was not read"))??;
        cut?;
        silence_in(&said)
    })
}

/// The longest time between two answers that `ping -D` tells of.
fn silence_in(said: &str) -> Result<Duration> {
    let answers = said.lines().filter_map(answer).collect::<Vec<_>>();
    let last = answers.last().context("no packet was answered")?.1;
    ensure!(last + LAST > PACKETS, "after the packet {last} of {PACKETS} none was answered any more");
    let silences = answers.windows(2).map(|pair| pair[1].0 - pair[0].0);
    Ok(Duration::from_secs_f64(silences.fold(0.0, f64::max)))
}

/// When, in seconds, and to which packet, of `[1795418567.885903] 64 bytes from 10.10.0.2: icmp_seq=1 ttl=64 time=10.2 ms`.
fn answer(line: &str) -> Option<(f64, u32)> {
    let (at, rest) = line.strip_prefix('[')?.split_once("] 64 bytes from ")?;
    let (_, number) = rest.split_once("icmp_seq=")?;
    Some((at.parse().ok()?, number.split(' ').next()?.parse().ok()?))
}

/// Asks the first node until it is so.
fn wait_until(cluster: &Cluster, condition: &str) -> Result<()> {
    let start = Instant::now();
    while start.elapsed() < PATIENCE {
        if cluster.on(NODES[0], &[condition]).probe().is_some() {
            return Ok(());
        }
        thread::sleep(Duration::from_millis(200));
    }
    bail!("it did not become so within {} seconds on {}: {condition}", PATIENCE.as_secs(), NODES[0])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn said(answers: &[(f64, u32)]) -> String {
        let line = |(at, number): &(f64, u32)| {
            format!("[{at:.6}] 64 bytes from 10.10.0.2: icmp_seq={number} ttl=64 time=5.1 ms\n")
        };
        let head = "PING 10.10.0.2 (10.10.0.2) 56(84) bytes of data.\n";
        format!("{head}{}\n--- 10.10.0.2 ping statistics ---\n", answers.iter().map(line).collect::<String>())
    }

    #[test]
    fn the_longest_silence_of_a_stream() {
        let answers = [(1_795_418_567.5, 1), (1_795_418_567.75, 2), (1_795_418_577.25, 97), (1_795_418_597.5, 300)];
        assert_eq!(silence_in(&said(&answers)).unwrap(), Duration::from_millis(20_250));
        assert_eq!(
            silence_in(&said(&answers[..3])).unwrap_err().to_string(),
            "after the packet 97 of 300 none was answered any more"
        );
        assert!(silence_in(&said(&[])).is_err());
    }
}
