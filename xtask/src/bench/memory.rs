//! How much memory the agent needs on a node.

use std::fs;

use anyhow::{Context, Result};

use super::cluster::{Cluster, NODES};
use super::mebibytes;
use super::table::Table;

/// What runs on the node: it starts the agent as stead does, and reads the kernel's own account of it.
const SCRIPT: &str = include_str!("../../bench/peak.py");

/// What the agent is asked: to look at everything that it can look at.
const REQUESTS: &str = include_str!("../../bench/requests.json");

const ROUNDS: usize = 3;

/// Measures the agent's largest resident set while it looks at its node once.
pub(super) fn measure(cluster: &Cluster, table: &mut Table) -> Result<()> {
    // `apply` has left the agent's file on each node.
    let path = cluster.ssh_config.with_file_name("peak.py");
    fs::write(&path, script()).with_context(|| format!("could not write {}", path.display()))?;
    for _ in 0..ROUNDS {
        let kibibytes = cluster.on(NODES[0], &["python3", "-"]).stdin_from(&path)?.output()?;
        let kibibytes = kibibytes.trim().parse().with_context(|| format!("not a size: {kibibytes:?}"))?;
        table.add("agent's peak memory, one look", "MiB", mebibytes(kibibytes));
    }
    table.aim("agent's peak memory, one look", "< 20");
    Ok(())
}

/// The script and its call, for the standard input of `python3 -`. A text of JSON's is one of Python's too.
fn script() -> String {
    format!("{SCRIPT}\n\nmeasure({})\n", serde_json::Value::from(REQUESTS))
}

#[cfg(test)]
mod tests {
    use stead_node::protocol::{Hello, Request, Role, VERSION};

    use super::*;

    #[test]
    fn the_agent_understands_what_it_is_asked() {
        let requests: Vec<Request> = serde_json::from_str(REQUESTS).unwrap();
        let [Request::Hello(hello), Request::Look(questions)] = &requests[..] else { panic!("{requests:?}") };
        assert!(matches!(hello, Hello { version: VERSION, role: Role::Observe, stamp: None, .. }), "{hello:?}");
        assert!(questions.updates && questions.blank_test, "the most that it can be asked");
    }

    #[test]
    fn the_call_stands_behind_the_script() {
        let script = script();
        assert!(script.contains("def measure(requests)") && script.contains("\n\nmeasure(\"["), "{script}");
    }
}
