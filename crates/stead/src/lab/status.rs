//! `stead lab status`: the lab at one look.

use stead_lab::protocol::{NodeStatus, Status};
use stead_lab::state::{BayCondition, OS_BAY, Plugged, Power};
use stead_lab::switch::Condition;

use crate::print::{Printer, Tone};

/// Prints a lab for a person: a line a node, a switch and a box outside; what is broken stands out.
pub(super) fn print(status: &Status, printer: &mut Printer) {
    let config = &status.config;
    printer.line(format!(
        "lab in {}: {} node{}, {} on {} ({} image), {} each",
        status.folder.display(),
        config.nodes,
        if config.nodes == 1 { "" } else { "s" },
        config.releases.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        status.accelerator,
        config.image,
        config.memory
    ));
    printer.line("");
    for (name, node) in &status.nodes {
        let line = format!("  {name:<8} {}  {}  {}", power(node, printer), disks(node, printer), cables(node, printer));
        printer.line(line.trim_end());
    }
    printer.line("");
    for (number, switch) in &status.switches {
        let word = match switch.condition {
            Condition::On => printer.tone(Tone::Good, "on"),
            Condition::Off => printer.tone(Tone::Bad, "off"),
            Condition::Lossy(percent) => printer.tone(Tone::Bad, &format!("loses {percent} %")),
            Condition::Slow(ms) => printer.tone(Tone::Bad, &format!("holds frames for {ms} ms")),
            Condition::Small(mtu) => printer.tone(Tone::Bad, &format!("loses packets of more than {mtu} bytes")),
        };
        let frames: u64 = switch.ports.values().map(|port| port.frames_in).sum();
        let dropped: u64 = switch.ports.values().map(|port| port.dropped).sum();
        let counts = printer.tone(Tone::Quiet, &format!("{frames} frames, {dropped} dropped"));
        printer.line(format!("  switch {number} {word}  {counts}"));
    }
    let reach = if status.wan.open { "reaches the package mirror only" } else { "reaches nothing" };
    let wan = format!("  WAN      {}  on switch 2, {reach}", plugged(status.wan.plugged, printer));
    printer.line(wan);
    let tang = format!("  tang     {}  on switch 1, {}", plugged(status.tang.plugged, printer), status.tang.url);
    printer.line(tang);
    if !status.snapshots.is_empty() {
        printer.line(format!("  pictures {}", status.snapshots.join(", ")));
    }
}

fn power(node: &NodeStatus, printer: &Printer) -> String {
    match (node.state.power, node.ssh) {
        (Power::On, true) => printer.tone(Tone::Good, "on        "),
        (Power::On, false) => printer.tone(Tone::Quiet, "on, no ssh"),
        (Power::Off, _) => printer.tone(Tone::Bad, "off       "),
        (Power::Frozen, _) => printer.tone(Tone::Bad, "frozen    "),
    }
}

fn disks(node: &NodeStatus, printer: &Printer) -> String {
    let one = |(bay, content): (&String, &stead_lab::state::Bay)| match content.condition {
        BayCondition::Well => format!("{bay} {}", content.disk.serial),
        BayCondition::Pulled => printer.tone(Tone::Bad, &format!("{bay} {} pulled", content.disk.serial)),
        BayCondition::Failing => printer.tone(Tone::Bad, &format!("{bay} {} failing", content.disk.serial)),
    };
    // The OS disk first, as a person counts.
    let (os, data): (Vec<_>, Vec<_>) = node.state.bays.iter().partition(|(bay, _)| *bay == OS_BAY);
    os.into_iter().chain(data).map(one).collect::<Vec<_>>().join(" · ")
}

fn cables(node: &NodeStatus, printer: &Printer) -> String {
    let out: Vec<String> =
        node.state.cables.iter().filter(|(_, to)| !to.is_in()).map(|(switch, _)| switch.to_string()).collect();
    if out.is_empty() { String::new() } else { printer.tone(Tone::Bad, &format!("cable out: {}", out.join(", "))) }
}

fn plugged(to: Plugged, printer: &Printer) -> String {
    match to {
        Plugged::In => printer.tone(Tone::Good, "on"),
        Plugged::Out => printer.tone(Tone::Bad, "off"),
    }
}
