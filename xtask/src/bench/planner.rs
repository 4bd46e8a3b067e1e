//! How long the planner takes, by the number of nodes.

use anyhow::{Context, Result};
use serde::Deserialize;

use super::Bench;
use super::table::Table;

/// What the example `scale` of stead-plan prints for each size of cluster.
#[derive(Deserialize)]
struct Planned {
    nodes: u32,
    /// Whether the nodes were all that is asked, or fresh.
    converged: bool,
    /// Seconds, one for each round.
    seconds: Vec<f64>,
}

/// Measures the pure function alone: the file is parsed and the nodes are looked at already.
pub(super) fn measure(bench: &Bench<'_>, table: &mut Table) -> Result<()> {
    let scale = ["run", "--quiet", "--release", "--package", "stead-plan", "--example", "scale"];
    let all = parse(&bench.workspace.cargo().args(scale).output()?)?;
    let most = all.iter().map(|planned| planned.nodes).max();
    for planned in all {
        let what = planned.what();
        for seconds in &planned.seconds {
            table.add(&what, "s", *seconds);
        }
        // A cluster file holds no thousand nodes, at which the aim is; it holds this many.
        if Some(planned.nodes) == most {
            table.aim(&what, "< 1, also at 1000 nodes");
        }
    }
    Ok(())
}

fn parse(json: &str) -> Result<Vec<Planned>> {
    serde_json::from_str(json).context("the example `scale` of stead-plan prints something unexpected")
}

impl Planned {
    fn what(&self) -> String {
        let Self { nodes, converged, .. } = self;
        format!("planner: {nodes} nodes, {}", if *converged { "nothing to do" } else { "all to do" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_size_is_a_row_of_its_own() {
        let planned = parse(
            r#"[{"nodes": 3, "converged": false, "steps": 9, "seconds": [0.1]},
                {"nodes": 3, "converged": true, "steps": 0, "seconds": [0.1]}]"#,
        )
        .unwrap();
        let rows: Vec<_> = planned.iter().map(Planned::what).collect();
        assert_eq!(rows, ["planner: 3 nodes, all to do", "planner: 3 nodes, nothing to do"]);
    }
}
