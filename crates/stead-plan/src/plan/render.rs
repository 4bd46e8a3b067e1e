//! A plan as a person reads it.

mod groups;
mod lines;

use std::fmt::Write as _;

use stead_spec::words::count;

use super::Plan;
use crate::inventory::Mode;
use crate::op::Op;
use crate::step::Step;
use groups::{Group, groups, told_together};
use lines::{command, wrap};
pub(crate) use lines::{list, wrap_at};

/// How much is shown.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Detail {
    /// What each step is.
    Titles,
    /// And why, and what it runs and writes.
    Steps,
    /// And every file that is written, whole.
    Texts,
}

/// What a part of the text is, for whoever has colours.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Tone {
    /// A layer, or another part of the plan.
    Heading,
    /// Which nodes.
    Nodes,
    /// What a step does.
    Title,
    /// Why.
    Reason,
    /// A line that comes.
    Added,
    /// A line that goes.
    Removed,
    /// What is run or written.
    Action,
    /// What destroys, and what is refused.
    Danger,
    /// What to think about.
    Caution,
    /// The last line, and what matters less.
    Calm,
}

/// How a part of the text is given its colour.
type Paint<'a> = &'a dyn Fn(Tone, &str) -> String;

impl Plan {
    /// The plan as `stead plan` prints it. `paint` may add colours; it gets no line breaks, and everything can be
    /// understood without them.
    pub fn render(&self, detail: Detail, paint: Paint<'_>) -> String {
        let mut page = Page { text: String::new(), detail, paint };
        page.refusals(self);
        page.keep(self);
        page.steps(self);
        page.leftovers(self);
        page.unknown(self);
        page.notes(self);
        page.line(0, Tone::Calm, &self.summary());
        page.text
    }

    /// The plan in one line.
    pub fn summary(&self) -> String {
        if !self.refusals.is_empty() {
            return format!("refused, for {}: nothing is done", count(self.refusals.len(), "reason"));
        }
        let unseen = match self.unknown.len() {
            0 => "",
            _ => "; not everything could be seen",
        };
        if self.is_empty() {
            return format!("nothing to do{unseen}");
        }
        let nodes: std::collections::BTreeSet<_> = self.steps.iter().map(|step| &step.id.node).collect();
        let steps = match self.steps.len() {
            0 => "no steps".to_owned(),
            steps => format!("{} on {}", count(steps, "step"), count(nodes.len(), "node")),
        };
        let destroyed: Vec<_> = self.steps.iter().flat_map(|step| &step.destroys).map(|it| it.what.as_str()).collect();
        let destroyed = match destroyed.as_slice() {
            [] => "nothing is destroyed".to_owned(),
            what => format!("DESTROYS {}", list(what)),
        };
        format!("{steps}; {destroyed}{unseen}")
    }
}

struct Page<'p> {
    text: String,
    detail: Detail,
    paint: Paint<'p>,
}

impl Page<'_> {
    /// A line, broken where it is too long.
    fn line(&mut self, indent: usize, tone: Tone, text: &str) {
        for line in wrap(text, indent) {
            self.raw(indent, tone, &line);
        }
    }

    /// A line as it is.
    fn raw(&mut self, indent: usize, tone: Tone, text: &str) {
        let _ = writeln!(self.text, "{:indent$}{}", "", (self.paint)(tone, text));
    }

    fn gap(&mut self) {
        self.text.push('\n');
    }

    fn refusals(&mut self, plan: &Plan) {
        if plan.refusals.is_empty() {
            return;
        }
        self.raw(0, Tone::Heading, "refused");
        for refusal in &plan.refusals {
            let node = refusal.node.as_ref().map(|node| format!("{node}: ")).unwrap_or_default();
            self.line(2, Tone::Danger, &format!("{node}{}", refusal.why));
            self.line(4, Tone::Reason, &refusal.way);
        }
        self.gap();
    }

    fn keep(&mut self, plan: &Plan) {
        let Some(keep) = &plan.keep else { return };
        self.raw(0, Tone::Heading, &format!("generation {}", keep.number));
        let nodes: Vec<_> = keep.on.iter().map(AsRef::as_ref).collect();
        self.line(2, Tone::Title, &format!("keep the cluster file and the sealed secrets on {}", list(&nodes)));
        self.gap();
    }

    fn steps(&mut self, plan: &Plan) {
        let mut layer = None;
        let mut nodes = Vec::new();
        let mut model: Option<(Group<'_>, Vec<Line>)> = None;
        for group in groups(&plan.steps) {
            if layer != Some(group.step.id.layer) {
                if layer.is_some() {
                    self.gap();
                }
                layer = Some(group.step.id.layer);
                nodes = Vec::new();
                self.raw(0, Tone::Heading, &group.step.id.layer.to_string());
            }
            if nodes != group.nodes {
                nodes.clone_from(&group.nodes);
                self.line(2, Tone::Nodes, &nodes.join(", "));
            }
            self.line(4, Tone::Title, &group.step.title);
            let lines = body(group.step, self.detail);
            let of_the_kind = model.as_ref().filter(|(other, _)| other.step.id.kind() == group.step.id.kind());
            let short = of_the_kind.and_then(|(other, model)| as_on(other.nodes[0], model, &lines));
            for (indent, tone, line) in short.as_ref().unwrap_or(&lines) {
                self.raw(*indent, *tone, line);
            }
            self.destroys(group.step);
            if of_the_kind.is_none() {
                model = Some((group, lines));
            }
        }
        if layer.is_some() {
            self.gap();
        }
    }

    /// What it destroys is said in full, whatever else is cut short.
    fn destroys(&mut self, step: &Step) {
        for destruction in &step.destroys {
            let what = format!("DESTROYS {}: to be confirmed by typing {}", destruction.what, destruction.typed);
            self.line(6, Tone::Danger, &what);
        }
    }

    fn leftovers(&mut self, plan: &Plan) {
        if plan.leftovers.is_empty() {
            return;
        }
        self.raw(0, Tone::Heading, "not in the file, and left as it is");
        let told = plan.leftovers.iter().map(|left| (Some(&left.node), (left.what.as_str(), left.remove.as_str())));
        for (nodes, (what, remove)) in told_together(told) {
            self.line(2, Tone::Title, &format!("{nodes}: {what}"));
            self.raw(4, Tone::Action, &format!("to remove it: {remove}"));
        }
        self.gap();
    }

    fn unknown(&mut self, plan: &Plan) {
        if plan.unknown.is_empty() {
            return;
        }
        self.raw(0, Tone::Heading, "not seen");
        let told = plan.unknown.iter().map(|unknown| (Some(&unknown.node), unknown.why.as_str()));
        for (nodes, why) in told_together(told) {
            self.line(2, Tone::Caution, &format!("{nodes}: {why}"));
        }
        self.gap();
    }

    fn notes(&mut self, plan: &Plan) {
        if plan.notes.is_empty() {
            return;
        }
        self.raw(0, Tone::Heading, "notes");
        for (nodes, what) in told_together(plan.notes.iter().map(|note| (note.node.as_ref(), note.what.as_str()))) {
            let nodes = if nodes.is_empty() { nodes } else { nodes + ": " };
            self.line(2, Tone::Caution, &format!("{nodes}{what}"));
        }
        self.gap();
    }
}

/// A line of a step: its indent, what it is, and the text.
type Line = (usize, Tone, String);

/// What is told of a step below its title.
fn body(step: &Step, detail: Detail) -> Vec<Line> {
    let mut lines = Vec::new();
    if detail == Detail::Titles {
        return lines;
    }
    for why in &step.why {
        let (indent, tone) = match why.chars().next() {
            Some('+') => (8, Tone::Added),
            Some('-') => (8, Tone::Removed),
            // The rest of a difference.
            Some('…') => (8, Tone::Reason),
            _ => {
                lines.extend(wrap(why, 6).into_iter().map(|line| (6, Tone::Reason, line)));
                continue;
            }
        };
        lines.push((indent, tone, why.clone()));
    }
    for op in &step.ops {
        let action = |verb: &str, what: String| (6, Tone::Action, format!("{verb:<8}{what}"));
        match op {
            Op::Run(of) => {
                let verbs = std::iter::once("runs").chain(std::iter::repeat(""));
                lines.extend(command(of).into_iter().zip(verbs).map(|(line, verb)| action(verb, line)));
            }
            Op::Write(write) => {
                let check = write.checked_by.as_ref().map(|command| format!(", if `{command}` finds it good"));
                let mode = match &write.group {
                    Some(group) => format!(" ({}, for the group {group})", write.mode),
                    None => permissions(write.mode, 0o644),
                };
                lines.push(action("writes", format!("{}{mode}{}", write.path, check.unwrap_or_default())));
                if detail == Detail::Texts {
                    lines.extend(write.text.lines().map(|line| (8, Tone::Reason, format!("| {line}"))));
                }
            }
            Op::Link { path, target } => lines.push(action("links", format!("{path} to {target}"))),
            Op::Folder { path, mode } => lines.push(action("makes", format!("{path}{}", permissions(*mode, 0o755)))),
            Op::MountPoint { path } => {
                lines.push(action("makes", format!("{path}, immutable while nothing is mounted there")));
            }
            Op::Vacant(proof) => lines.push(action("proves", proof.to_string())),
            Op::Take { path, .. } => lines.push(action("takes", path.to_string())),
            Op::Place { path, content } => lines.push(action("places", format!("{} as {path}", lines::word(content)))),
        }
    }
    if let Some(guard) = &step.guard {
        let unless = format!("undone by itself after {} s, unless a new connection confirms it", guard.within);
        lines.push((6, Tone::Caution, unless));
        if detail == Detail::Texts {
            let shown = guard.undo.iter().flat_map(command);
            lines.extend(shown.map(|line| (8, Tone::Reason, format!("| {line}"))));
        }
    }
    lines
}

/// A step that was just told of another node, where only some of its lines are others: those.
fn as_on(node: &str, model: &[Line], lines: &[Line]) -> Option<Vec<Line>> {
    /// What is shorter is read as fast as the difference.
    const SHORT: usize = 5;
    let others: Vec<Line> =
        model.iter().zip(lines).filter(|(one, other)| one != other).map(|(_, other)| other.clone()).collect();
    if lines.len() != model.len() || lines.len() <= SHORT || others.len() * 2 > lines.len() {
        return None;
    }
    let told = if others.is_empty() { format!("as on {node}") } else { format!("as on {node}, but here:") };
    Some(std::iter::once((6, Tone::Reason, told)).chain(others).collect())
}

/// Permissions, where they are not the usual ones.
fn permissions(mode: Mode, usual: u16) -> String {
    if mode.0 == usual { String::new() } else { format!(" ({mode})") }
}
