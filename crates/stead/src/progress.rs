//! What happens on the nodes while something is applied: a line a step on a terminal, plain lines elsewhere.

use std::collections::BTreeMap;
use std::io::IsTerminal;
use std::time::{Duration, Instant};

use indicatif::{MultiProgress, ProgressBar, ProgressStyle};
use stead_apply::drive::{Ended, Event};
use stead_plan::plan::Plan;
use stead_plan::step::{Outcome, StepId};
use stead_spec::units::NodeName;

use crate::print::Printer;

/// How often a spinner turns.
const TURN: Duration = Duration::from_millis(120);

/// Shows events.
pub(crate) struct Progress<'a> {
    printer: &'a mut Printer,
    titles: BTreeMap<StepId, String>,
    begun: BTreeMap<StepId, Instant>,
    live: Option<(MultiProgress, BTreeMap<StepId, ProgressBar>)>,
    width: usize,
}

impl<'a> Progress<'a> {
    /// For this plan.
    pub(crate) fn new(plan: &Plan, printer: &'a mut Printer) -> Self {
        let titles = plan.steps.iter().map(|step| (step.id.clone(), step.title.clone())).collect();
        let width = plan.steps.iter().map(|step| step.id.node.as_str().len()).max().unwrap_or_default();
        let live = std::io::stderr().is_terminal().then(|| (MultiProgress::new(), BTreeMap::new()));
        Self { printer, titles, begun: BTreeMap::new(), live, width }
    }

    /// Shows one.
    pub(crate) fn on(&mut self, event: &Event) {
        match event {
            Event::Held(_) | Event::Recorded(..) => {}
            Event::Kept(node, Ok(())) => self.line(node, "keeps the cluster file and the sealed secrets"),
            Event::Kept(node, Err(why)) => self.line(node, &format!("FAILED to keep the cluster file: {why}")),
            Event::Started(step) => {
                self.begun.insert(step.clone(), Instant::now());
                if self.live.is_some() {
                    self.turn(step, "");
                } else {
                    self.line(&step.node, &format!("… {}", self.title(step)));
                }
            }
            Event::Progress(step, what) => {
                if self.live.is_some() {
                    self.turn(step, what);
                } else {
                    self.line(&step.node, &format!("    {what}"));
                }
            }
            Event::Ended(step, ended) => self.ended(step, ended),
        }
    }

    fn ended(&mut self, step: &StepId, ended: &Ended) {
        if let Some((_, bars)) = &mut self.live
            && let Some(bar) = bars.remove(step)
        {
            bar.finish_and_clear();
        }
        let title = self.title(step);
        let took = self.begun.get(step).map(Instant::elapsed).unwrap_or_default();
        // A time is worth reading where one had to wait.
        let took = if took >= Duration::from_secs(2) { format!(" ({} s)", took.as_secs()) } else { String::new() };
        let line = match ended {
            Ended::Outcome(Outcome::Done) => format!("done: {title}{took}"),
            Ended::Outcome(Outcome::Unchanged) => format!("so already: {title}{took}"),
            Ended::Outcome(Outcome::Waiting(what)) => format!("waits: {title}: {what}"),
            Ended::Outcome(Outcome::Failed(why)) => format!("FAILED: {title}{took}\n{}", indented(why)),
            Ended::NotReached { because } => format!("not begun: {title}: {because}"),
            Ended::Lost(why) => format!("LOST: {title}: it may or may not be done\n{}", indented(why)),
        };
        self.line(&step.node, &line);
    }

    fn title(&self, step: &StepId) -> String {
        self.titles.get(step).cloned().unwrap_or_else(|| step.to_string())
    }

    fn turn(&mut self, step: &StepId, what: &str) {
        let title = self.title(step);
        let width = self.width;
        let Some((all, bars)) = &mut self.live else { return };
        let bar = bars.entry(step.clone()).or_insert_with(|| {
            let bar = all.add(ProgressBar::new_spinner());
            // A template that can't be parsed would be ours.
            if let Ok(style) = ProgressStyle::with_template("{prefix} {spinner} {wide_msg} {elapsed}") {
                bar.set_style(style);
            }
            bar.set_prefix(format!("{:<width$}", step.node.as_str()));
            bar.enable_steady_tick(TURN);
            bar
        });
        bar.set_message(if what.is_empty() { title } else { format!("{title}: {what}") });
    }

    fn line(&mut self, node: &NodeName, text: &str) {
        let line = format!("{:<width$}  {text}", node.as_str(), width = self.width);
        match &self.live {
            // Above the lines that turn. Nothing can be said when the terminal is gone.
            Some((all, _)) => drop(all.println(line)),
            None => self.printer.progress(line),
        }
    }
}

fn indented(text: &str) -> String {
    text.lines().map(|line| format!("    {line}")).collect::<Vec<_>>().join("\n")
}
