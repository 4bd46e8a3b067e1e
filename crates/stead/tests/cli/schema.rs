use super::{checkout, stead};

/// What is committed is what this code makes.
fn current(file: &str, arguments: &[&str]) {
    let made = stead(arguments, b"");
    assert_eq!(made.status.code(), Some(0));
    let committed = std::fs::read(checkout(file)).unwrap_or_else(|error| panic!("{file}: {error}"));
    assert!(committed == made.stdout, "{file} is not what `stead {}` prints: run `./x generate`", arguments.join(" "));
}

#[test]
fn the_schema_is_current() {
    current("docs/stead.schema.json", &["schema"]);
}

#[test]
fn the_reference_is_current() {
    current("docs/reference/cluster-file.md", &["schema", "--reference"]);
}
