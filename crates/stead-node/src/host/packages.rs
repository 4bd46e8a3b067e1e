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

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each;

    fn package(version: &str, state: PackageState) -> Package {
        Package { version: version.to_owned(), state }
    }

    #[test]
    fn both_releases() {
        for (release, text) in each("dpkg-query.txt") {
            let packages = parse(&text, &Architecture::Amd64).unwrap();
            assert_eq!(packages.len(), text.lines().count(), "{release}");
            assert_eq!(packages["libc6"].state, PackageState::Installed, "{release}");
            assert!(packages["libc6"].version.starts_with("2."), "{release}");
            assert_eq!(packages["prometheus-node-exporter"], package("", PackageState::Removed), "{release}");
            assert_eq!(packages["stead-example"], package("1.0-1", PackageState::Broken), "{release}");
        }
    }

    #[test]
    fn another_architecture_stays_in_the_name() {
        let text = "libc6:amd64\tinstalled\t2.41-12\nlibc6:i386\tinstalled\t2.41-12\n";
        let names = |native| parse(text, &native).unwrap().into_keys().collect::<Vec<_>>();
        assert_eq!(names(Architecture::Amd64), ["libc6", "libc6:i386"]);
        assert_eq!(names(Architecture::Arm64), ["libc6:amd64", "libc6:i386"]);
        assert_eq!(names(Architecture::Other("i386".to_owned())), ["libc6", "libc6:amd64"]);
    }

    #[test]
    fn a_line_without_fields_is_no_package() {
        assert_eq!(parse("bash\n", &Architecture::Amd64).unwrap_err(), "dpkg-query printed `bash`");
        assert_eq!(parse("", &Architecture::Amd64), Ok(BTreeMap::new()));
    }
}
