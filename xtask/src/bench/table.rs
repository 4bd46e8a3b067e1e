//! What was measured, as a table for a person.

use std::fmt;
use std::time::Duration;

/// Rows in the order in which they were first measured.
#[derive(Debug, Default)]
pub(super) struct Table(Vec<Row>);

#[derive(Debug)]
struct Row {
    what: String,
    unit: &'static str,
    aim: &'static str,
    values: Vec<f64>,
}

impl Table {
    /// Adds a time to the row of this name.
    pub(super) fn time(&mut self, what: &str, time: Duration) {
        self.add(what, "s", time.as_secs_f64());
    }

    /// Adds a value to the row of this name; all values of one row have one unit.
    pub(super) fn add(&mut self, what: &str, unit: &'static str, value: f64) {
        if let Some(row) = self.0.iter_mut().find(|row| row.what == what) {
            row.values.push(value);
            row.values.sort_by(f64::total_cmp);
        } else {
            self.0.push(Row { what: what.to_owned(), unit, aim: "", values: vec![value] });
        }
    }

    /// Says what the row of this name should be; nothing if it wasn't measured.
    pub(super) fn aim(&mut self, what: &str, aim: &'static str) {
        if let Some(row) = self.0.iter_mut().find(|row| row.what == what) {
            row.aim = aim;
        }
    }

    /// The middle of what was measured under this name.
    pub(super) fn median(&self, what: &str) -> Option<f64> {
        self.0.iter().find(|row| row.what == what).map(Row::median)
    }
}

impl Row {
    fn median(&self) -> f64 {
        self.values[self.values.len() / 2]
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let wide = self.0.iter().map(|row| row.what.chars().count()).max().unwrap_or(0);
        writeln!(f, "{:<wide$} {:>5} {:>9} {:>9} {:>9}  aim", "", "unit", "least", "median", "most")?;
        for row in &self.0 {
            let [least, median, most] = [row.values[0], row.median(), row.values[row.values.len() - 1]].map(shown);
            let line = format!("{:<wide$} {:>5} {least:>9} {median:>9} {most:>9}  {}", row.what, row.unit, row.aim);
            writeln!(f, "{}", line.trim_end())?;
        }
        Ok(())
    }
}

/// With three digits that mean something, at least: a planner's milliseconds stand beside a node's boot.
fn shown(value: f64) -> String {
    let decimals = [100.0, 10.0, 1.0, 0.1].iter().position(|least| value >= *least).unwrap_or(4);
    format!("{value:.decimals$}")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_sorted_by_what_was_measured() {
        let mut table = Table::default();
        for (what, seconds) in [("boot", 3), ("down", 1), ("boot", 2), ("boot", 200)] {
            table.time(what, Duration::from_secs(seconds));
        }
        table.add("ratio", "×", 0.0213);
        table.aim("ratio", "≥ 20");
        table.aim("never measured", "none");
        let expected = "       unit     least    median      most  aim\n\
                        boot      s      2.00      3.00       200\n\
                        down      s      1.00      1.00      1.00\n\
                        ratio     ×    0.0213    0.0213    0.0213  ≥ 20\n";
        assert_eq!(table.to_string(), expected);
        assert_eq!(table.median("boot"), Some(3.0));
        assert_eq!(table.median("never measured"), None);
    }
}
