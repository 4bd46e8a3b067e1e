//! How long the planner takes, by the number of nodes: `./x bench` runs this and reads the JSON that it prints.
#![allow(clippy::print_stdout, reason = "that is what it is for")]

use std::fmt::Write as _;
use std::time::Instant;

use stead_plan::inventory::{Inventory, Package, PackageState, Release};
use stead_plan::plan::{Asked, plan};

use support::{converged, fresh, node, packages, spec};

#[path = "../tests/support/mod.rs"]
#[allow(dead_code, clippy::unwrap_used, reason = "the tests' clusters, of which this needs a part")]
mod support;

/// How many nodes. The last is the most that a cluster file holds, since a node's number is a part of its addresses and
/// ends at 254; and an odd one, since an even one has no majority when it is cut in halves.
const NODES: [u32; 4] = [3, 11, 101, 253];

/// How many packages a node has with all of the engines.
const PACKAGES: u32 = 900;

const ROUNDS: usize = 5;

fn main() {
    let mut measured = Vec::new();
    for nodes in NODES {
        let toml = cluster_file(nodes);
        let (spec, _) = spec(toml.as_bytes());
        measured.push(measure(nodes, &toml, fresh(&spec, &Release::Trixie), false));
        measured.push(measure(nodes, &toml, converged(&toml, &Release::Trixie), true));
    }
    println!("{}", serde_json::Value::from(measured));
}

/// Times the planner alone: the file is parsed and the nodes have been looked at.
fn measure(nodes: u32, toml: &str, mut inventory: Inventory, converged: bool) -> serde_json::Value {
    let (spec, digest) = spec(toml.as_bytes());
    for name in spec.nodes().keys() {
        let state = PackageState::Installed;
        let more = (0..PACKAGES).map(|n| (format!("library{n}"), Package { version: "1.0-1".to_owned(), state }));
        packages(node(&mut inventory, name.as_ref())).extend(more);
    }
    let mut steps = 0;
    let mut seconds = Vec::new();
    for _ in 0..ROUNDS {
        let start = Instant::now();
        let plan = plan(
            &Asked {
                spec: &spec,
                digest: &digest,
                ancestors: &[],
                sums: &support::sums(),
                trusted: &support::trusted(),
            },
            &inventory,
        );
        seconds.push(start.elapsed().as_secs_f64());
        assert!(plan.refusals.is_empty(), "{:?}", plan.refusals);
        assert_eq!(plan.is_empty(), converged, "{nodes} nodes: {:?}", plan.steps.first());
        steps = plan.steps.len();
    }
    serde_json::json!({ "nodes": nodes, "converged": converged, "steps": steps, "seconds": seconds })
}

/// A cluster of so many nodes; three of them have the volume.
fn cluster_file(nodes: u32) -> String {
    let mut file = String::from(CLUSTER);
    let mut addresses = Vec::new();
    for n in 1..=nodes {
        let of = if n <= 3 { "gv0" } else { "vault" };
        let _ = write!(
            file,
            "\n[node.node{n}]\nssh = \"root@192.168.0.{n}\"\nnics = {{ sw1 = \"52:54:00:00:{n:02x}:01\" }}\n\
             disks = {{ {of} = [\"ata-EXAMPLE_SSD_1TB_S{n}\"] }}\n"
        );
        addresses.push(format!("node{n} = \"192.168.0.{n}\""));
    }
    file.replace("ADDRESSES", &addresses.join(", "))
}

const CLUSTER: &str = r#"
schema = 1

[cluster]
id = "6b0b7e8e-52a7-4a36-9f0c-6b3b2f2f9c11"
name = "scale"
timezone = "Europe/Paris"

[admin.me]
keys = ["ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHMIPjSN8qVDNO1yCJ5iTKWMcpYprJ09ANAGk2WGOrH me@laptop"]

[switch.sw1]

[network.core]
switches = ["sw1"]
vlan = 10
pool = "10.10.0.0/23"

[network.lan]
switches = ["sw1"]
subnet = "192.168.0.0/24"
gateway = "192.168.0.254"
addresses = { ADDRESSES }

[volume.gv0]
kind = "replicated"
"#;
