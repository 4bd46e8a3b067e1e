//! The packages that dpkg knows of.

use std::collections::BTreeMap;

use stead_plan::inventory::{Architecture, Package, PackageState};
use stead_plan::op::{Command, Program};

/// What lists them.
pub(crate) fn command() -> Command {
    let format = r"${binary:Package}\t${db:Status-Status}\t${Version}\n";
    Program::DpkgQuery.command().args(["-W", "-f", format])
}

/// What [`command`] printed, by name; those of another architecture than `native` keep it: `libc6:i386`.
pub(crate) fn parse(text: &str, native: &Architecture) -> Result<BTreeMap<String, Package>, String> {
    text.lines().map(|line| package(line, native).ok_or_else(|| format!("dpkg-query printed `{line}`"))).collect()
}

fn package(line: &str, native: &Architecture) -> Option<(String, Package)> {
    let mut fields = line.split('\t');
    let (name, status, version) = (fields.next()?, fields.next()?, fields.next()?);
    let state = match status {
        "installed" => PackageState::Installed,
        "not-installed" | "config-files" => PackageState::Removed,
        _ => PackageState::Broken,
    };
    // What is left of a removed package remembers its version, but is none.
    let version = if state == PackageState::Removed { "" } else { version };
    Some((name_here(name, native).to_owned(), Package { version: version.to_owned(), state }))
}

/// A package's name without the node's own architecture, which dpkg adds where several may be installed at once.
pub(super) fn name_here<'a>(name: &'a str, native: &Architecture) -> &'a str {
    let native = match native {
        Architecture::Amd64 => "amd64",
        Architecture::Arm64 => "arm64",
        Architecture::Other(other) => other,
    };
    match name.split_once(':') {
        Some((bare, architecture)) if architecture == native => bare,
        _ => name,
    }
}
