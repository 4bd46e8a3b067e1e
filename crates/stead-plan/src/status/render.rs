//! A status as a person reads it.

use std::fmt::Write as _;

use stead_spec::units::{NodeName, SwitchName};
use stead_spec::words::count;

use super::{
    Answer, DiskState, Finding, Healing, LinkStatus, MachineState, MachineStatus, NodeStatus, Path, Severity, Status,
    VolumeStatus,
};
use crate::plan::{Tone, wrap_at};

/// How many columns a line has at most.
const WIDTH: usize = 100;

/// How a part of the text is given its colour.
pub(crate) type Paint<'a> = &'a dyn Fn(Tone, &str) -> String;

impl Status {
    /// The status as `stead status` prints it. `paint` may add colours; it gets no line breaks, and everything can be
    /// understood without them.
    pub fn render(&self, paint: Paint<'_>) -> String {
        let mut page = Page::new(paint);
        page.findings(&self.summary(), &self.findings);
        page.table(self);
        page.disks(self);
        page.volumes(self);
        page.machines(&self.machines);
        page.text
    }

    /// The machines alone, as `stead machine list` prints them.
    pub fn render_machines(&self, paint: Paint<'_>) -> String {
        let mut page = Page::new(paint);
        page.machines(&self.machines);
        page.text.trim_start().to_owned()
    }

    /// The status in one line: `home: 3 nodes, 1 thing bad, 2 to look at`.
    pub fn summary(&self) -> String {
        summary(&format!("{}: {}", self.name, count(self.nodes.len(), "node")), &self.findings)
    }
}

impl Page<'_> {
    /// How many disks are open, and who opens them.
    fn disks(&mut self, status: &Status) {
        let all = status.nodes.iter().flat_map(|node| &node.disks);
        let number = |state| all.clone().filter(|disk| disk.state == state).count();
        let (open, total) = (number(DiskState::Open), all.clone().count());
        let mut said = vec![format!("{open} of {total} open")];
        let others = [
            (DiskState::Closed, "closed"),
            (DiskState::New, "not encrypted yet"),
            (DiskState::Missing, "missing"),
            (DiskState::Unknown, "unknown"),
        ];
        for (state, word) in others {
            match number(state) {
                0 => {}
                some => said.push(format!("{some} {word}")),
            }
        }
        self.text.push('\n');
        let tone = if open == total { Tone::Calm } else { Tone::Caution };
        self.line("disks: ", tone, &said.join(", "));
        self.wrapped("  ", Tone::Reason, &status.unlock);
    }
}

impl Page<'_> {
    /// How much fits into each volume, and how many of its bricks are there.
    fn volumes(&mut self, status: &Status) {
        if status.volumes.is_empty() {
            return;
        }
        self.text.push('\n');
        self.list(&status.volumes.iter().map(volume).collect::<Vec<_>>());
    }
}

impl Page<'_> {
    /// Where each machine runs.
    fn machines(&mut self, machines: &[MachineStatus]) {
        if machines.is_empty() {
            return;
        }
        self.text.push('\n');
        self.list(&machines.iter().map(machine).collect::<Vec<_>>());
    }
}

impl MachineStatus {
    /// It in one line: `web1 runs on node1 2 CPUs, 2 GiB`.
    pub fn line(&self) -> String {
        machine(self).map(|(_, text)| text).join(" ")
    }
}

impl Page<'_> {
    /// A line for each of these.
    fn list<const N: usize>(&mut self, rows: &[[Cell; N]]) {
        let columns: Vec<Vec<Cell>> = (0..N).map(|at| rows.iter().map(|row| row[at].clone()).collect()).collect();
        self.rows(&columns, rows.len());
    }
}

fn machine(machine: &MachineStatus) -> [Cell; 3] {
    let on = || machine.on.iter().map(NodeName::as_str).collect::<Vec<_>>().join(" and ");
    let (tone, does) = match &machine.state {
        MachineState::New => (Tone::Calm, "not there yet".to_owned()),
        MachineState::Off => (Tone::Calm, "off".to_owned()),
        MachineState::Starts => (Tone::Calm, format!("starts on {}", on())),
        MachineState::Runs => (Tone::Calm, format!("runs on {}", on())),
        MachineState::Moves => (Tone::Calm, format!("moves between {}", on())),
        MachineState::Paused(why) => (Tone::Danger, format!("stands still on {}: {why}", on())),
        MachineState::Down => (Tone::Danger, "down".to_owned()),
        MachineState::Twice => (Tone::Danger, format!("runs on {} at once", on())),
        MachineState::Unknown => (Tone::Caution, "nobody can tell".to_owned()),
    };
    let size = format!("{}, {}", count(machine.cpus.into(), "CPU"), about(machine.memory));
    [(Tone::Heading, machine.name.to_string()), (tone, does), (Tone::Calm, size)]
}

fn volume(volume: &VolumeStatus) -> [Cell; 4] {
    let calm = |text: String| (Tone::Calm, text);
    let name = (Tone::Heading, volume.name.to_string());
    if !volume.exists {
        return [name, calm("not there yet".to_owned()), calm(String::new()), calm(String::new())];
    }
    let bricks = format!("{} of {} served", volume.served, volume.bricks);
    let tone = if volume.served == volume.bricks { Tone::Calm } else { Tone::Caution };
    let size = if volume.size.get() == 0 {
        String::new()
    } else {
        format!("{} of {} free", about(volume.free), about(volume.size))
    };
    let mut behind =
        if volume.pending == 0 { String::new() } else { format!("{} behind", count(volume.pending, "file")) };
    if let Some(Healing { per_minute, minutes_left }) = volume.healing {
        let _ = write!(behind, ", {per_minute} a minute, about {minutes_left} min left");
    }
    [name, (tone, bricks), calm(size), (Tone::Caution, behind)]
}

/// `1.8 TiB`: as people think of space.
fn about(bytes: stead_spec::Bytes) -> String {
    let units = ["B", "KiB", "MiB", "GiB", "TiB", "PiB"];
    let mut tenths = u128::from(bytes.get()) * 10;
    let mut unit = 0;
    while tenths >= 10_240 && unit + 1 < units.len() {
        tenths /= 1_024;
        unit += 1;
    }
    let (whole, tenth) = (tenths / 10, tenths % 10);
    if whole >= 100 || tenth == 0 {
        format!("{whole} {}", units[unit])
    } else {
        format!("{whole}.{tenth} {}", units[unit])
    }
}

/// What was looked at, and how many of each kind of finding there are.
pub(crate) fn summary(what: &str, findings: &[Finding]) -> String {
    let number = |severity| findings.iter().filter(|finding| finding.severity == severity).count();
    let mut parts = vec![what.to_owned()];
    match number(Severity::Bad) {
        0 => {}
        bad => parts.push(format!("{} bad", count(bad, "thing"))),
    }
    match number(Severity::Unknown) {
        0 => {}
        unknown => parts.push(format!("{unknown} unknown")),
    }
    match number(Severity::Warn) {
        0 => {}
        warn => parts.push(format!("{warn} to look at")),
    }
    if parts.len() == 1 {
        parts.push("well".to_owned());
    }
    parts.join(", ")
}

/// `10 Gbit/s`, of Mbit/s.
pub(super) fn speed(megabits: u32) -> String {
    match (megabits / 1_000, megabits % 1_000 / 100) {
        (0, _) => format!("{megabits} Mbit/s"),
        (whole, 0) => format!("{whole} Gbit/s"),
        (whole, tenths) => format!("{whole}.{tenths} Gbit/s"),
    }
}

pub(crate) fn tone(severity: Severity) -> Tone {
    match severity {
        Severity::Bad => Tone::Danger,
        Severity::Unknown | Severity::Warn => Tone::Caution,
    }
}

pub(crate) fn icon(severity: Option<Severity>) -> char {
    match severity {
        None => '✓',
        Some(Severity::Bad) => '✗',
        Some(Severity::Unknown) => '?',
        Some(Severity::Warn) => '!',
    }
}

/// A text for people, while it is written.
pub(crate) struct Page<'p> {
    pub(crate) text: String,
    paint: Paint<'p>,
}

/// A part of the table, and what it is.
type Cell = (Tone, String);

impl<'p> Page<'p> {
    pub(crate) fn new(paint: Paint<'p>) -> Self {
        Self { text: String::new(), paint }
    }

    pub(crate) fn line(&mut self, before: &str, tone: Tone, text: &str) {
        let _ = writeln!(self.text, "{before}{}", (self.paint)(tone, text));
    }

    /// What was found, below a line that says how much it is; the worst, which comes first, is its colour.
    pub(crate) fn findings(&mut self, summary: &str, findings: &[Finding]) {
        let worst = findings.first().map_or(Tone::Heading, |worst| tone(worst.severity));
        self.line("", worst, summary);
        for severity in [Severity::Bad, Severity::Unknown, Severity::Warn] {
            self.of(severity, findings.iter().filter(|finding| finding.severity == severity));
        }
    }

    fn of<'s>(&mut self, severity: Severity, findings: impl Iterator<Item = &'s Finding>) {
        let heading = match severity {
            Severity::Bad => "bad",
            Severity::Unknown => "unknown",
            Severity::Warn => "to look at",
        };
        for (number, finding) in findings.enumerate() {
            if number == 0 {
                self.text.push('\n');
                self.line("", Tone::Heading, heading);
            }
            self.wrapped(&format!("  {} ", icon(Some(severity))), tone(severity), &finding.what);
            self.wrapped("    → ", Tone::Reason, &finding.next);
        }
    }

    /// A text behind a sign, in lines that begin below its first word.
    pub(crate) fn wrapped(&mut self, sign: &str, tone: Tone, text: &str) {
        let indent = sign.chars().count();
        for (number, line) in wrap_at(text, WIDTH - indent).iter().enumerate() {
            if number == 0 {
                let sign = (self.paint)(tone, sign);
                self.line(&sign, tone, line);
            } else {
                self.line(&" ".repeat(indent), tone, line);
            }
        }
    }

    /// Nodes and switches, as many beside each other as fit.
    fn table(&mut self, status: &Status) {
        let mut switches: Vec<&SwitchName> = Vec::new();
        for link in status.nodes.iter().flat_map(|node| &node.links) {
            if !switches.contains(&&link.switch) {
                switches.push(&link.switch);
            }
        }
        let mut columns: Vec<Vec<Cell>> = switches.iter().map(|switch| column(status, switch)).collect();
        let head = |title: &str| (Tone::Heading, title.to_owned());
        let names = status.nodes.iter().map(|node| head(node.name.as_str()));
        let names: Vec<Cell> = std::iter::once(head("")).chain(names).collect();
        let releases: Vec<Cell> = std::iter::once(head("")).chain(status.nodes.iter().map(release)).collect();
        let mut row = vec![names.clone(), releases];
        while !columns.is_empty() {
            let mut width: usize = row.iter().map(|column| wide(column) + 2).sum();
            let fits = columns.iter().take_while(|column| {
                width += wide(column) + 2;
                width <= WIDTH
            });
            let fits = fits.count().max(1);
            row.extend(columns.drain(..fits));
            self.text.push('\n');
            self.rows(&row, status.nodes.len() + 1);
            row = vec![names.clone()];
        }
        if status.nodes.iter().flat_map(|node| &node.links).any(|link| link.core.is_some()) {
            self.text.push('\n');
            self.line("", Tone::Calm, "core: how many of the other nodes are reached over that switch");
        }
    }

    fn rows(&mut self, columns: &[Vec<Cell>], rows: usize) {
        for row in 0..rows {
            let mut line = String::new();
            for (number, column) in columns.iter().enumerate() {
                let Some((tone, text)) = column.get(row) else { continue };
                line.push_str(&(self.paint)(*tone, text));
                if number + 1 < columns.len() {
                    line.push_str(&" ".repeat(wide(column) - text.chars().count() + 2));
                }
            }
            let _ = writeln!(self.text, "{}", line.trim_end());
        }
    }
}

fn wide(column: &[Cell]) -> usize {
    column.iter().map(|(_, text)| text.chars().count()).max().unwrap_or_default()
}

fn release(node: &NodeStatus) -> Cell {
    match &node.answer {
        Answer::Seen { release, .. } => (Tone::Title, release.clone()),
        Answer::Silent(_) => (Tone::Caution, "? silent".to_owned()),
    }
}

/// What there is on one switch: its name, then each node.
fn column(status: &Status, switch: &SwitchName) -> Vec<Cell> {
    let of = |node: &NodeStatus| match node.links.iter().find(|link| link.switch == *switch) {
        Some(link) => cell(node, link),
        None => (Tone::Calm, "–".to_owned()),
    };
    std::iter::once((Tone::Heading, switch.to_string())).chain(status.nodes.iter().map(of)).collect()
}

fn cell(node: &NodeStatus, link: &LinkStatus) -> Cell {
    let silent = matches!(node.answer, Answer::Silent(_));
    let paths = link.core.as_ref().map(|core| {
        let works = core.paths.values().filter(|path| **path == Path::Works).count();
        (works, core.paths.len())
    });
    // What a silent node doesn't reach, others say of themselves.
    let paths = paths.filter(|(works, _)| !silent || *works > 0);
    let missing = paths.filter(|(works, all)| works < all).map(|_| Severity::Warn);
    let (worst, word) = match &link.nic {
        None if silent || link.worst.is_none() => (Some(Severity::Unknown), "unknown".to_owned()),
        None => (link.worst, "missing".to_owned()),
        Some(nic) if !nic.up => (link.worst.or(missing), "off".to_owned()),
        Some(nic) if nic.carrier == Some(false) => (link.worst.or(missing), "no carrier".to_owned()),
        Some(nic) => (link.worst.or(missing), nic.speed.map_or("carrier".to_owned(), speed)),
    };
    let paths = paths.map(|(works, all)| format!(", core {works}/{all}")).unwrap_or_default();
    (worst.map_or(Tone::Title, tone), format!("{} {word}{paths}", icon(worst)))
}
