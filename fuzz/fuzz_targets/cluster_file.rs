//! Whatever the bytes: a spec or a reason, and no panic in reading or in showing it.
#![no_main]

use libfuzzer_sys::fuzz_target;
use stead_spec::diagnostic::{Code, Style};
use stead_spec::parse;

fuzz_target!(|bytes: &[u8]| {
    let (good, report) = match parse("stead.toml", bytes) {
        Ok((_, report)) => (true, report),
        Err(report) => (false, report),
    };
    assert_eq!(good, report.errors() == 0);
    for diagnostic in report.diagnostics() {
        assert_ne!(diagnostic.code, Code::Internal);
        report.position(diagnostic.span.end);
    }
    // Each would be shown the same way, and showing takes longer than reading.
    for diagnostic in report.diagnostics().iter().take(5) {
        assert!(!report.render(diagnostic, Style::Plain).is_empty());
    }
});
