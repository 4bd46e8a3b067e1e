//! Looks at this computer as stead's agent does, and prints the inventory: `cargo run -p stead-node --example observe`.
//!
//! Its argument, if any, is a file with the questions as JSON. Wants root. Says on standard error what memory it took.
#![allow(clippy::print_stdout, clippy::print_stderr, reason = "that is what it is for")]

use std::error::Error;

use stead_node::exec::Runner;
use stead_node::observe::observe;
use stead_plan::inventory::Questions;

fn main() -> Result<(), Box<dyn Error>> {
    let questions = match std::env::args().nth(1) {
        Some(path) => serde_json::from_str(&std::fs::read_to_string(path)?)?,
        None => Questions::default(),
    };
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build()?;
    let inventory = runtime.block_on(observe(&questions, &Runner::new(10, false)));
    println!("{}", serde_json::to_string_pretty(&inventory)?);
    let status = std::fs::read_to_string("/proc/self/status")?;
    eprintln!("{}", status.lines().find(|line| line.starts_with("VmHWM")).unwrap_or_default());
    Ok(())
}
