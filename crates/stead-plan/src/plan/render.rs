//! A plan as a person reads it.

mod groups;
mod lines;

use std::fmt::Write as _;

use super::Plan;
use crate::inventory::Mode;
use crate::op::{Op, Write};
use crate::step::Step;
use groups::{Group, groups, told_together};
pub(crate) use lines::list;
use lines::{command, count, wrap};

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
            self.step(&group);
        }
        if layer.is_some() {
            self.gap();
        }
    }

    fn step(&mut self, group: &Group<'_>) {
        let step = group.step;
        self.line(4, Tone::Title, &step.title);
        if self.detail > Detail::Titles {
            self.reasons(step);
            for op in &step.ops {
                self.op(op);
            }
        }
        for destruction in &step.destroys {
            let what = format!("DESTROYS {}: to be confirmed by typing {}", destruction.what, destruction.typed);
            self.line(6, Tone::Danger, &what);
        }
    }

    fn reasons(&mut self, step: &Step) {
        for why in &step.why {
            match why.as_bytes().first() {
                Some(b'+') => self.raw(8, Tone::Added, why),
                Some(b'-') => self.raw(8, Tone::Removed, why),
                // The rest of a difference.
                _ if why.starts_with('…') => self.raw(8, Tone::Reason, why),
                _ => self.line(6, Tone::Reason, why),
            }
        }
    }

    fn op(&mut self, op: &Op) {
        match op {
            Op::Run(of) => {
                for (number, line) in command(of).iter().enumerate() {
                    self.raw(6, Tone::Action, &format!("{}{line}", if number == 0 { "runs    " } else { "        " }));
                }
            }
            Op::Write(write) => self.write(write),
            Op::Link { path, target } => self.raw(6, Tone::Action, &format!("links   {path} to {target}")),
            Op::Folder { path, mode } => {
                self.raw(6, Tone::Action, &format!("makes   {path}{}", permissions(*mode, 0o755)));
            }
        }
    }

    fn write(&mut self, write: &Write) {
        let check = match &write.checked_by {
            Some(command) => format!(", if `{command}` finds it good"),
            None => String::new(),
        };
        self.raw(6, Tone::Action, &format!("writes  {}{}{check}", write.path, permissions(write.mode, 0o644)));
        if self.detail == Detail::Texts {
            for line in write.text.lines() {
                self.raw(8, Tone::Reason, &format!("| {line}"));
            }
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

/// Permissions, where they are not the usual ones.
fn permissions(mode: Mode, usual: u16) -> String {
    if mode.0 == usual { String::new() } else { format!(" ({mode})") }
}
