//! Each mistake that there is, is shown by a folder of `cases/`.

use stead_spec::diagnostic::Code;

/// The codes that no folder can have.
const WITHOUT_FOLDER: [Code; 2] = [
    // A file of a megabyte: `hostile.rs`.
    Code::TooLarge,
    // stead's own mistakes aren't in a file.
    Code::Internal,
];

#[test]
fn every_mistake_has_a_case() {
    let folder = format!("{}/tests/cases", env!("CARGO_MANIFEST_DIR"));
    let entries = std::fs::read_dir(folder).expect("cases");
    let names: Vec<_> =
        entries.map(|entry| entry.expect("a case").file_name().to_string_lossy().into_owned()).collect();
    // `disk-twice-nodes` shows `disk-twice`, and nothing of `disk`.
    let shows =
        |name: &str, code: &str| name.strip_prefix(code).is_some_and(|rest| rest.is_empty() || rest.starts_with('-'));
    let without: Vec<_> = Code::ALL
        .iter()
        .filter(|code| !WITHOUT_FOLDER.contains(code) && !names.iter().any(|name| shows(name, code.name())))
        .collect();
    assert!(without.is_empty(), "no folder shows {without:?}");
}
