//! Two admins, two cluster files: what the one has and the other hasn't.

use similar::TextDiff;
use stead_plan::plan::Plan;

use crate::cluster::Cluster;
use crate::print::{Printer, Tone};

/// How many lines around a difference say where it is.
const CONTEXT: usize = 2;

impl Cluster {
    /// Shows how the file that was applied differs from this one, where a plan is refused for that.
    ///
    /// # Errors
    /// The other file can't be fetched.
    pub(crate) async fn explain_refusals(&self, plan: &Plan, printer: &mut Printer) -> anyhow::Result<()> {
        let Some(newer) = plan.refusals.iter().find_map(|refusal| refusal.overtaken_by.as_ref()) else {
            return Ok(());
        };
        for node in self.spec.nodes().keys() {
            let Some(kept) = self.fetch(node).await else { continue };
            if kept.generation.digest != newer.digest {
                continue;
            }
            let theirs = format!("generation {} on {node}", newer.number);
            if kept.file == self.text {
                printer.line(format_args!("The cluster files are the same; the sealed secrets differ ({theirs})."));
                return Ok(());
            }
            show_difference(&kept.file, &self.text, &theirs, self.path.as_str(), printer);
            return Ok(());
        }
        Ok(())
    }
}

/// What two cluster files differ by, with what each is called.
pub(crate) fn show_difference(one: &str, other: &str, called: &str, other_called: &str, printer: &mut Printer) {
    let difference = TextDiff::from_lines(one, other);
    let shown = difference.unified_diff().context_radius(CONTEXT).header(called, other_called).to_string();
    printer.line("");
    for line in shown.lines() {
        let line = match line.as_bytes().first() {
            Some(b'+') => printer.tone(Tone::Good, line),
            Some(b'-') => printer.tone(Tone::Bad, line),
            _ => line.to_owned(),
        };
        printer.line(line);
    }
}
