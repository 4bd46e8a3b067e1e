//! One folder a mistake: `cases/CODE…/stead.toml` has exactly one, and `report.txt` is what a person hears of it.
//!
//! `STEAD_BLESS=1 cargo test -p stead-spec --test cases` writes the reports anew, to be read in the diff.

use std::error::Error;
use std::path::Path;

use stead_spec::diagnostic::Style;
use stead_spec::{Report, parse};

fn case(file: &Path) -> Result<(), Box<dyn Error>> {
    let folder = file.parent().ok_or("a case lies in a folder")?;
    let name = folder.file_name().and_then(|name| name.to_str()).ok_or("a folder has a name")?;
    let report = match parse("stead.toml", &std::fs::read(file)?) {
        Ok((_, warnings)) => warnings,
        Err(report) => report,
    };
    let codes: Vec<&str> = report.diagnostics().iter().map(|diagnostic| diagnostic.code.name()).collect();
    // A mistake is told once, and not followed by others that are no mistakes.
    let twice = if name == "syntax-twice" { 2 } else { 1 };
    let is_of_code = |code: &&&str| name.starts_with(**code);
    let said = said(&report);
    if codes.len() != twice || codes.iter().filter(is_of_code).count() != twice {
        return Err(format!("{name} has one mistake, and the report is of {codes:?}:\n\n{said}").into());
    }
    let expected = folder.join("report.txt");
    if std::env::var_os("STEAD_BLESS").is_some() {
        std::fs::write(&expected, &said)?;
    }
    let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
    if said == wanted {
        Ok(())
    } else {
        Err(format!("the report is\n\n{said}\nand {} has\n\n{wanted}", expected.display()).into())
    }
}

fn said(report: &Report) -> String {
    let one = |diagnostic| report.render(diagnostic, Style::Plain).trim_end().to_owned() + "\n";
    report.diagnostics().iter().map(one).collect::<Vec<_>>().join("\n")
}

datatest_stable::harness! {
    { test = case, root = "tests/cases", pattern = r"/stead\.toml$" },
}
