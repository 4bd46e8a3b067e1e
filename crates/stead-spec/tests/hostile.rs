//! Files that nobody meant to write: each gives a clear report, and none a panic.

use proptest::prelude::*;
use stead_spec::diagnostic::{Code, Style};
use stead_spec::{Report, parse};

const EXAMPLES: [&str; 4] = [
    include_str!("../../../examples/minimal.toml"),
    include_str!("../../../examples/pi.toml"),
    include_str!("../../../examples/five.toml"),
    include_str!("../../../examples/reference.toml"),
];

/// Reads and shows it, as `stead check` does.
fn check(bytes: &[u8]) -> Report {
    let report = match parse("stead.toml", bytes) {
        Ok((_, report)) => {
            assert_eq!(report.errors(), 0, "a spec in spite of {report:?}");
            report
        }
        Err(report) => {
            assert_ne!(report.errors(), 0, "no spec, and no reason");
            report
        }
    };
    for diagnostic in report.diagnostics() {
        assert_ne!(diagnostic.code, Code::Internal, "{}", String::from_utf8_lossy(bytes));
        let shown = [Style::Plain, Style::Colored].map(|style| report.render(diagnostic, style));
        assert!(shown.iter().all(|shown| shown.contains(diagnostic.code.name())), "{shown:?}");
        report.position(diagnostic.span.start);
    }
    report
}

fn codes(report: &Report) -> Vec<&'static str> {
    report.diagnostics().iter().map(|diagnostic| diagnostic.code.name()).collect()
}

#[test]
fn ten_megabytes() {
    let report = check(&vec![b'a'; 10 << 20]);
    assert_eq!(codes(&report), ["too-large"]);
    // The largest that is read, all of it wrong.
    let report = check("x = 1\n".repeat((1 << 20) / 6).as_bytes());
    assert!(report.errors() > 0);
    let report = check("[a]\n".repeat((1 << 20) / 4).as_bytes());
    assert!(report.errors() > 0);
    // As many mistakes as fit: showing each takes its own time, and no more.
    let many = (0..20_000).map(|number| format!("key-number-{number} = 1")).collect::<Vec<_>>().join("\n");
    assert!(check(many.as_bytes()).errors() >= 20_000);
    let report = check(format!("schema = 1\nname = \"{}\"", "ä".repeat(500_000)).as_bytes());
    assert!(codes(&report).contains(&"unknown-key"));
}

#[test]
fn deep_nesting() {
    for text in
        ["[".repeat(100_000), format!("a = {}", "[".repeat(100_000)), format!("a = {}", "{ b = ".repeat(50_000))]
    {
        assert!(codes(&check(text.as_bytes())).contains(&"syntax"), "{}", &text[..20]);
    }
    let dotted = format!("{} = 1", vec!["a"; 100_000].join("."));
    assert!(check(dotted.as_bytes()).errors() > 0);
    // Policies hold policies: as deep as TOML lets them.
    let deep = format!("[unlock]\nall = {}\"nodes\"{}", "[{ any = ".repeat(30), " }]".repeat(30));
    assert!(check(deep.as_bytes()).errors() > 0);
}

#[test]
fn nul_bytes_and_other_controls() {
    let escaped = EXAMPLES[0].replace("name = \"home\"", "name = \"home\"\ndomain = \"\\u001b[31mx y.arpa\"");
    let report = check(escaped.as_bytes());
    let words: String = report.diagnostics().iter().map(|one| report.render(one, Style::Plain)).collect();
    assert!(words.contains("bad-value") && !words.contains('\u{1b}'), "{words:?}");
    for control in ['\0', '\u{1b}', '\u{7f}', '\u{8}'] {
        let text = EXAMPLES[0].replace("home", &format!("ho{control}me"));
        let report = check(text.as_bytes());
        assert!(report.errors() > 0, "{control:?}");
        for diagnostic in report.diagnostics() {
            let shown = report.render(diagnostic, Style::Plain);
            assert!(!shown.contains(control), "a terminal would act on {control:?}: {shown:?}");
        }
    }
}

#[test]
fn line_ends_and_byte_order_marks_change_nothing() {
    for example in EXAMPLES {
        let plain = codes(&check(example.as_bytes()));
        let dos = example.replace('\n', "\r\n");
        assert_eq!(codes(&check(dos.as_bytes())), plain);
        assert_eq!(codes(&check(format!("\u{feff}{example}").as_bytes())), plain);
        assert_eq!(codes(&check(example.trim_end().as_bytes())), plain);
    }
    let report = check("\u{feff}schema = 2".as_bytes());
    let position = report.position(report.diagnostics()[0].span.start);
    assert_eq!((position.line, position.column), (1, 10), "the mark is no column");
}

#[test]
fn what_is_no_utf8() {
    for bytes in [&b"schema = 1\nname = \"h\xf6me\""[..], b"\xff\xfes\0c\0", b"\x80", b"a = \"\xf0\x9f\x92"] {
        assert_eq!(codes(&check(bytes)), ["not-utf8"]);
    }
    assert!(codes(&check(b"")).contains(&"missing-key"));
}

#[test]
fn a_private_key_is_not_shown() {
    let public = "\"ssh-ed25519 AAAAC3NzaC1lZDI1NTE5AAAAICHMIPjSN8qVDNO1yCJ5iTKWMcpYprJ09ANAGk2WGOrH me@laptop\"";
    assert!(EXAMPLES[0].contains(public));
    for key in [
        "AGE-SECRET-KEY-1SECRET",
        "age-secret-key-1secretsecretsecretsecretsecret",
        "AGE-SECRET-KEY-PQ-1SECRET",
        "AGE-PLUGIN-YUBIKEY-1SECRET",
        "b3BlbnNzaC1rZXktdjEAAAASECRET",
        "-----BEGIN OPENSSH PRIVATE KEY-----SECRET",
        "-----BEGIN OPENSSH PRIVATE KEY-----\nSECRET\n-----END OPENSSH PRIVATE KEY-----",
        "-----BEGIN PUBLIC KEY-----\n-----BEGIN PRIVATE KEY-----\nSECRET\n-----END PRIVATE KEY-----",
        "---- BEGIN SSH2 ENCRYPTED PRIVATE KEY ----\nSECRET",
        "PuTTY-User-Key-File-3: ssh-ed25519\nSECRET",
    ] {
        let text = EXAMPLES[0];
        for text in [
            text.replace(public, &format!("\"{key}\"")),
            text.replace(public, &format!("\"\"\"{key}\"\"\"")),
            text.replace(&format!("[{public}]"), &format!("\"{key}\"")),
            text.replace("keys = ", "key = ").replace(public, &format!("\"{key}\"")),
            text.replace("[admin.me]", &format!("[admin.\"{key}\"]")),
            text.replace("[cluster]", &format!("[cluster]\n\"{key}\" = 1")),
        ] {
            let report = check(text.as_bytes());
            assert!(report.errors() > 0, "{text}");
            let shown: String = report.diagnostics().iter().map(|one| report.render(one, Style::Plain)).collect();
            // And as data, which has the words alone.
            let words = format!("{:?}", report.diagnostics()).to_uppercase();
            assert!(!words.contains("SECRET") && !shown.to_uppercase().contains("SECRET"), "{key}: {shown}");
        }
    }
}

/// A line or a value of a good file, gone wrong.
fn broken() -> impl Strategy<Value = String> {
    let change = (any::<prop::sample::Index>(), any::<prop::sample::Index>(), 0..7_u8);
    (0..EXAMPLES.len(), prop::collection::vec(change, 1..6)).prop_map(|(example, changes)| {
        let mut lines: Vec<String> = EXAMPLES[example].lines().map(str::to_owned).collect();
        for (at, other, what) in changes {
            if lines.is_empty() {
                break;
            }
            let (at, other) = (at.index(lines.len()), other.index(lines.len()));
            match what {
                0 => drop(lines.remove(at)),
                1 => lines.insert(at, lines[other].clone()),
                2 => lines.swap(at, other),
                3 => lines[at] = lines[at].replace('"', ""),
                4 => lines[at] = lines[at].replace(|c: char| c.is_ascii_digit(), "9"),
                5 => {
                    // The value of another line.
                    let value = lines[other].split_once('=').map_or(String::new(), |(_, value)| value.to_owned());
                    let key = lines[at].split_once('=').map_or(String::new(), |(key, _)| key.to_owned());
                    lines[at] = format!("{key}={value}");
                }
                _ => lines[at] = lines[at].chars().rev().collect(),
            }
        }
        lines.join("\n")
    })
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 512, ..ProptestConfig::default() })]

    #[test]
    fn any_bytes(bytes in prop::collection::vec(any::<u8>(), 0..200)) {
        check(&bytes);
    }

    #[test]
    fn any_text(text in "\\PC{0,100}") {
        check(text.as_bytes());
    }

    #[test]
    fn a_good_file_gone_wrong(text in broken()) {
        check(text.as_bytes());
    }
}
