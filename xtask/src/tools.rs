//! Cargo's subcommands that the gate uses, installed when they are missing.

use anyhow::{Result, bail};

use crate::exec::Program;

/// A cargo subcommand that doesn't come with Rust.
pub(crate) struct Tool {
    /// As in `cargo NAME`.
    name: &'static str,
    /// The oldest that does, and the one that is installed: what is in use is the same for all.
    version: [u32; 3],
    why: &'static str,
    /// How long the build takes on two slow cores.
    takes: &'static str,
    /// Features other than the default ones.
    features: &'static [&'static str],
}

/// Runs the tests.
pub(crate) const NEXTEST: Tool = Tool {
    name: "nextest",
    version: [0, 9, 143],
    why: "it runs each test in a process of its own, with a time limit, and writes down what ran",
    takes: "about five minutes",
    // Without the code by which it would update itself.
    features: &["--no-default-features", "--features", "default-no-update"],
};

/// Checks what other people's code is used.
pub(crate) const DENY: Tool = Tool {
    name: "deny",
    version: [0, 20, 2],
    why: "it checks the licences and sources of the crates that stead is built from",
    takes: "about ten minutes",
    features: &[],
};

/// Makes up files, and learns from what they reach.
pub(crate) const FUZZ: Tool = Tool {
    name: "fuzz",
    version: [0, 13, 2],
    why: "it drives the compiler's own fuzzer",
    takes: "a minute",
    features: &[],
};

impl Tool {
    /// Installs it unless it is there and new enough.
    pub(crate) fn ensure(&self) -> Result<()> {
        if self.installed() {
            return Ok(());
        }
        let Self { name, why, takes, .. } = self;
        let version = self.version.map(|part| part.to_string()).join(".");
        eprintln!("cargo-{name} {version} or newer is not here; installing it, since {why}. This takes {takes}, once.");
        let package = format!("cargo-{name}@{version}");
        Program::cargo().args(["install", "--locked", &package]).args(self.features).run()?;
        if !self.installed() {
            bail!("`cargo {name} --version` is still older than {version}: is another one in PATH before cargo's?");
        }
        Ok(())
    }

    fn installed(&self) -> bool {
        let text = Program::cargo().args([self.name, "--version"]).probe();
        text.as_deref().and_then(version_in).is_some_and(|version| version >= self.version)
    }
}

/// The version in what `--version` prints: its second word, up to anything behind the numbers.
fn version_in(text: &str) -> Option<[u32; 3]> {
    let word = text.split_whitespace().nth(1)?;
    let numbers = word.split(['-', '+']).next()?;
    let parts: Vec<u32> = numbers.split('.').map(|part| part.parse().ok()).collect::<Option<_>>()?;
    parts.try_into().ok()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_numbers() {
        assert_eq!(version_in("cargo-nextest 0.9.143 (60fa45f63 2026-08-04)\nrelease: 0.9.143"), Some([0, 9, 143]));
        assert_eq!(version_in("cargo-deny 0.21.0-rc.1"), Some([0, 21, 0]));
        assert!(version_in("cargo-nextest 0.10.0").unwrap() > [0, 9, 143]);
        assert_eq!(version_in("error: no such command"), None);
    }
}
