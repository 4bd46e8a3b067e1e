use std::process::ExitCode;

use anyhow::Result;
use clap::Args;
use serde_json::json;
use stead_plan::disks::unlock;

use crate::cluster_file::{self, ClusterFile};
use crate::print::Printer;

#[derive(Debug, Args)]
pub(super) struct Explain {
    #[command(flatten)]
    file: ClusterFile,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

pub(super) fn run(arguments: &Explain, printer: &mut Printer) -> Result<ExitCode> {
    let spec = match arguments.file.read()? {
        Ok((spec, _)) => spec,
        Err(report) => {
            cluster_file::show(&report, printer);
            return Ok(ExitCode::FAILURE);
        }
    };
    let explained = unlock::explain(&spec);
    if arguments.json {
        printer.line(serde_json::to_string_pretty(&json!({ "schema_version": 1, "unlock": explained }))?);
    } else {
        let text = explained.render(&spec.cluster().name, &|tone, text| printer.paint(tone, text));
        printer.line(text.trim_end());
    }
    Ok(ExitCode::SUCCESS)
}
