use std::os::unix::fs::PermissionsExt;

use camino::Utf8PathBuf;
use proptest::prelude::*;

use super::*;

fn parse(text: &str) -> Result<Sealed, ParseError> {
    Sealed::parse(text, &cluster())
}

fn error(text: &str) -> (usize, String) {
    let error = parse(text).expect_err("no good file");
    (error.line, error.why)
}

fn sample() -> Sealed {
    some(&recipients(&[], &Sheet::make()))
}

#[test]
fn printing_and_reading() {
    let sealed = sample();
    let text = sealed.text();
    assert_eq!(parse(&text), Ok(sealed.clone()));
    assert_eq!(sealed.names().map(SecretName::as_str).collect::<Vec<_>>(), ["disk/node1/a", "disk/node2/b"]);
    let empty = Sealed::new(cluster());
    assert_eq!(parse(&empty.text()), Ok(empty));
    // Git on another system.
    let other = text.replace('\n', "\r\n");
    let read = parse(&other).expect("the same with other ends of lines");
    assert_eq!((read.text().replace('\r', ""), read.records_text()), (text, sealed.records_text()));
}

#[test]
fn a_change_leaves_all_else() {
    let sheet = Sheet::make();
    let text = some(&recipients(&[], &sheet)).text().replace("\n\n[disk/node2", "\n\n\n\n[disk/node2");
    let mut sealed = parse(&text).expect("with more empty lines");
    let before = sealed.record(&name("disk/node2/b")).expect("there").raw.clone();
    let digest = sealed.records_text();
    sealed.put(stated("disk/node1/a"), &Secret::from("another"), &recipients(&[], &sheet)).expect("sealed");
    sealed.put(stated("disk/node1/c"), &Secret::from("new"), &recipients(&[], &sheet)).expect("sealed");
    assert_ne!(sealed.records_text(), digest);
    let names: Vec<_> = sealed.names().map(SecretName::as_str).collect();
    assert_eq!(names, ["disk/node1/a", "disk/node1/c", "disk/node2/b"]);
    assert!(sealed.text().contains(&before));
    assert!(sealed.remove(&name("disk/node1/c")) && !sealed.remove(&name("disk/node1/c")));
}

#[test]
fn ancestors() {
    let mut sealed = sample();
    let (records, digest) = (sealed.records_text(), sealed.ancestors()[0].digest.clone());
    for number in [9, 8, 10, 11, 12, 12] {
        sealed.derive_from(stead_plan::generation::Ancestor { number, digest: digest.clone() });
    }
    assert_eq!(sealed.ancestors().iter().map(|a| a.number).collect::<Vec<_>>(), [12, 11, 10, 9, 8]);
    assert_eq!(sealed.records_text(), records);
    assert_eq!(parse(&sealed.text()), Ok(sealed));
}

#[test]
fn mistakes_have_lines() {
    let text = sample().text();
    assert_eq!(error(""), (1, "the file is empty".into()));
    assert_eq!(error("[a]\n").0, 1);
    let (line, why) = error(&text.replace("035b8a5a", "135b8a5a"));
    assert!(line == 1 && why.contains("the secrets of cluster 135b8a5a"), "{why}");
    assert!(error(&text.replace("secrets 1:", "secrets 2:")).1.contains("format"));
    let line_of = |what: &str| text.lines().position(|line| line.starts_with(what)).expect("there") + 1;
    let (line, why) = error(&text.replace("[disk/node2/b]", "<<<<<<< HEAD\n[disk/node2/b]"));
    assert_eq!((line, why.contains("a conflict of git's is there: `<<<<<<< HEAD`")), (line_of("[disk/node2"), true));
    assert_eq!(error(&format!("<<<<<<< HEAD\n{text}")).0, 1);
    let (line, why) = error(&text.replace("node2/b", "node1/a"));
    assert_eq!((line, why.contains("there twice")), (line_of("[disk/node2"), true), "{why}");
    assert_eq!(error(&text.replacen("kind = disk-key", "kind = door-key", 1)).0, line_of("kind"));
    assert_eq!(error(&text.replacen("made = 2026-", "made = 2026", 1)).0, line_of("made"));
    assert_eq!(error(&text.replacen("for = age1", "for = age", 1)).0, line_of("for"));
    assert_eq!(error(&text.replacen("derived from: 7", "derived from: +7", 1)).0, line_of("# derived"));
    assert_eq!(error(&text.replacen("-----END AGE", "-----END", 1)).0, line_of("-----END AGE"));
    assert!(error(&format!("{text}{text}")).1.contains("something follows"));
    let armor = line_of("-----BEGIN AGE");
    let first = text.lines().nth(armor).expect("base64");
    let (line, why) = error(&text.replacen(first, &format!("AAAA{}", &first[4..]), 1));
    assert_eq!((line, why.contains("the sealed part of `disk/node1/a` is damaged")), (armor, true), "{why}");
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 64, failure_persistence: None, ..ProptestConfig::default() })]

    /// However much of the file is there, only the whole file is one.
    #[test]
    fn cut_off(part in 0.0..1.0f64) {
        let text = sample().text();
        #[allow(clippy::cast_possible_truncation, clippy::cast_sign_loss, clippy::cast_precision_loss)]
        let at = (text.len() as f64 * part) as usize;
        prop_assume!(at + 1 < text.len());
        let lines = text[..at].lines().count().max(1);
        let line = error(&text[..at]).0;
        prop_assert!(line <= lines, "line {line} of {lines}");
    }

    /// What is read is printed as it was; nothing panics.
    #[test]
    fn garbled(edits in prop::collection::vec((any::<prop::sample::Index>(), "[\\PC\n\r]{0,6}", 0..200usize), 1..4)) {
        let mut text = sample().text();
        for (at, with, length) in &edits {
            let at = at.index(text.len());
            if let (true, end) = (text.is_char_boundary(at), (at + length).min(text.len())) && text.is_char_boundary(end) {
                text.replace_range(at..end, with);
            }
        }
        if let Ok(sealed) = parse(&text) {
            let plain = |text: &str| text.lines().filter(|line| !line.is_empty()).map(str::to_owned).collect::<Vec<_>>();
            prop_assert_eq!(plain(&sealed.text()).len(), plain(&text).len());
            prop_assert_eq!(Sealed::parse(&sealed.text(), &cluster()), Ok(sealed));
        }
    }

    #[test]
    fn any_records(names in prop::collection::btree_set("[a-z][a-z0-9._-]{0,8}(/[A-Za-z0-9][A-Za-z0-9:_.-]{0,8}){0,2}", 0..5)) {
        let recipients = recipients(&[], &Sheet::make());
        let mut sealed = Sealed::new(cluster());
        for name in names.iter().rev() {
            sealed.put(stated(name), &Secret::from("x"), &recipients).expect("sealed");
        }
        prop_assert!(sealed.names().map(SecretName::as_str).eq(names.iter().map(String::as_str)));
        prop_assert_eq!(parse(&sealed.text()), Ok(sealed));
    }
}

#[test]
fn on_the_disk() {
    let folder = tempfile::tempdir().expect("a folder");
    let path = Utf8PathBuf::from_path_buf(folder.path().join("stead.secrets")).expect("a path");
    assert_eq!(Sealed::load(&path, &cluster()).expect("nothing there is no error"), None);
    let sealed = sample();
    sealed.save(&path).expect("saved");
    assert_eq!(Sealed::load(&path, &cluster()).expect("read"), Some(sealed.clone()));
    let mode = |path| std::fs::metadata(path).expect("a file").permissions().mode() & 0o777;
    assert_eq!(mode(&path), 0o600);
    let names = || std::fs::read_dir(folder.path()).expect("a folder").count();
    assert_eq!(names(), 1);
    std::fs::write(&path, "").expect("emptied");
    assert!(matches!(Sealed::load(&path, &cluster()), Err(SecretsError::Bad { .. })));
    std::fs::write(&path, b"# \xff").expect("spoiled");
    assert!(matches!(Sealed::load(&path, &cluster()), Err(SecretsError::Bad { .. })));
    let nowhere = path.with_file_name("none").join("stead.secrets");
    assert!(matches!(sealed.save(&nowhere), Err(SecretsError::Write { .. })));
    assert!(may_create(false).is_ok() && matches!(may_create(true), Err(SecretsError::Lost)));
}
