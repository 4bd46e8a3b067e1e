//! Which Debian, on what; its names, its clock, its watchdogs.

use camino::Utf8Path;
use stead_plan::inventory::{Architecture, Known, Release, System, Watchdog};
use stead_plan::op::{Command, Program};
use stead_spec::Bytes;

use crate::place::Place;
use crate::read::why;

/// Where stead keeps its own, below it.
const STATE: &str = "/var/lib";

/// What every Linux tells of itself. What can't be read even so is empty, or 0.
pub(crate) fn look(place: &Place) -> System {
    let file = |path: &str| place.word(path).unwrap_or_default();
    System {
        release: place.text("/etc/os-release").map_or_else(|error| Release::Other(why(&error)), |text| release(&text)),
        architecture: architecture(),
        kernel: file("/proc/sys/kernel/osrelease"),
        boot_id: file("/proc/sys/kernel/random/boot_id"),
        cpus: cpus(&file("/sys/devices/system/cpu/online")),
        memory: memory(&file("/proc/meminfo"), "MemTotal:"),
        free: free(&place.at(STATE)),
    }
}

/// What this program was built for, and so runs on.
pub(crate) fn architecture() -> Architecture {
    match std::env::consts::ARCH {
        "x86_64" => Architecture::Amd64,
        "aarch64" => Architecture::Arm64,
        other => Architecture::Other(other.to_owned()),
    }
}

/// `/etc/os-release`: lines of `NAME=VALUE`, the value as a shell quotes it.
fn release(text: &str) -> Release {
    let value = |name: &str| {
        let line = text.lines().find_map(|line| line.strip_prefix(name)?.strip_prefix('='));
        line.map(|value| value.trim().trim_matches(['"', '\'']))
    };
    match (value("ID"), value("VERSION_ID")) {
        (Some("debian"), Some("12")) => Release::Bookworm,
        (Some("debian"), Some("13")) => Release::Trixie,
        (id, _) => Release::Other(value("PRETTY_NAME").or(id).unwrap_or("an unnamed system").to_owned()),
    }
}

/// How many processors a text such as `0-3,6` names.
fn cpus(ranges: &str) -> u32 {
    let count = |part: &str| {
        let (first, last) = part.split_once('-').unwrap_or((part, part));
        let (first, last) = (first.parse::<u32>().ok()?, last.parse::<u32>().ok()?);
        last.checked_sub(first)?.checked_add(1)
    };
    ranges.split(',').filter_map(count).sum()
}

/// What memory steps may take that are done beside each other, in MiB: half of what is free now, and 1 at least.
pub(crate) fn available(place: &Place) -> u32 {
    let text = place.text("/proc/meminfo").unwrap_or_default();
    u32::try_from(memory(&text, "MemAvailable:").get() >> 21).unwrap_or(u32::MAX >> 4).max(1)
}

/// A line of `/proc/meminfo`: `NAME: NUMBER kB`.
fn memory(text: &str, name: &str) -> Bytes {
    let line = text.lines().find_map(|line| line.strip_prefix(name));
    let kib = line.and_then(|total| total.split_whitespace().next()?.parse::<u64>().ok());
    Bytes::new(kib.unwrap_or(0).saturating_mul(1024))
}

/// Bytes that root's programs may still write there.
fn free(folder: &Utf8Path) -> Known<Bytes> {
    match rustix::fs::statvfs(folder.as_std_path()) {
        Ok(stat) => Known::Is(Bytes::new(stat.f_bavail.saturating_mul(stat.f_frsize))),
        Err(error) => Known::Unknown(format!("could not ask for the free space of {STATE}: {error}")),
    }
}

/// The hostname that is set for the next boot.
pub(crate) fn hostname(place: &Place) -> Result<String, String> {
    let text = place.text_if_there("/etc/hostname").map_err(|error| why(&error))?.unwrap_or_default();
    let mut lines = text.lines().map(str::trim).filter(|line| !line.is_empty() && !line.starts_with('#'));
    // So hostname(5) calls a node without a name.
    Ok(lines.next().unwrap_or("localhost").to_owned())
}

/// The time zone's name.
pub(crate) fn timezone(place: &Place) -> Result<String, String> {
    let path = "/etc/localtime";
    let Some(target) = place.link(path).map_err(|error| format!("{} (it should be a symbolic link)", why(&error)))?
    else {
        // So localtime(5) has it.
        return Ok("UTC".to_owned());
    };
    match target.as_str().split_once("/zoneinfo/") {
        Some((_, name)) if !name.is_empty() => Ok(name.to_owned()),
        _ => Err(format!("{path} leads to {target}, which is no time zone's file")),
    }
}

/// What tells whether the kernel believes its clock to be synchronised, whoever does that.
///
/// Only the system call `adjtimex` tells, and there is no safe Rust for it.
pub(crate) fn clock_command() -> Command {
    Program::Timedatectl.command().args(["show", "--property=NTPSynchronized", "--value"])
}

/// What [`clock_command`] printed.
pub(crate) fn clock(text: &str) -> Result<bool, String> {
    match text.trim() {
        "yes" => Ok(true),
        "no" => Ok(false),
        other => Err(format!("timedatectl printed `{other}`")),
    }
}

/// Watchdogs, in the order of their devices.
pub(crate) fn watchdogs(place: &Place) -> Result<Vec<Watchdog>, String> {
    let class = Utf8Path::new("/sys/class/watchdog");
    let mut names = place.names(class).map_err(|error| why(&error))?;
    names.sort_by_key(|name| (name.len(), name.clone()));
    let watchdog = |name: String| {
        let read = |file: &str| place.text(class.join(&name).join(file)).map_err(|error| why(&error));
        let (identity, timeout) = (read("identity")?.trim().to_owned(), read("timeout")?);
        let timeout = timeout.trim().parse().map_err(|_| format!("{class}/{name}/timeout is `{}`", timeout.trim()))?;
        Ok(Watchdog { name, identity, timeout })
    };
    names.into_iter().map(watchdog).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Node, each};

    #[test]
    fn both_releases() {
        let releases: Vec<Release> = each("os-release").map(|(_, text)| release(&text)).collect();
        assert_eq!(releases, [Release::Bookworm, Release::Trixie]);
        for (release, text) in each("meminfo") {
            let [total, available] = ["MemTotal:", "MemAvailable:"].map(|name| memory(&text, name));
            assert!(total > Bytes::mib(2048) && total < Bytes::mib(3072), "{release}: {total}");
            assert!(available > Bytes::mib(1024) && available < total, "{release}: {available}");
        }
        for (release, text) in each("timedatectl.txt") {
            assert_eq!(clock(&text), Ok(false), "{release}");
        }
    }

    #[test]
    fn other_releases() {
        let other = |name: &str| Release::Other(name.to_owned());
        for (text, expected) in [
            ("ID=debian\nVERSION_ID=\"11\"\nPRETTY_NAME=\"Debian GNU/Linux 11\"\n", other("Debian GNU/Linux 11")),
            ("ID=ubuntu\nVERSION_ID=\"12\"\n", other("ubuntu")),
            // Debian's next release has no number before it is out.
            ("PRETTY_NAME='Debian GNU/Linux forky/sid'\nID=debian\n", other("Debian GNU/Linux forky/sid")),
            ("", other("an unnamed system")),
        ] {
            assert_eq!(release(text), expected);
        }
    }

    #[test]
    fn processors() {
        for (ranges, count) in [("0", 1), ("0-3", 4), ("0-3,6,8-9", 7), ("", 0), ("3-1", 0)] {
            assert_eq!(cpus(ranges), count, "{ranges}");
        }
    }

    #[test]
    fn names() {
        let tree = Node::new();
        assert_eq!(hostname(&tree.place).unwrap(), "localhost");
        assert_eq!(timezone(&tree.place).unwrap(), "UTC");
        tree.write("/etc/hostname", "# a comment\n\n node1 \n");
        tree.link("/etc/localtime", "/usr/share/zoneinfo/Europe/Paris");
        assert_eq!(hostname(&tree.place).unwrap(), "node1");
        assert_eq!(timezone(&tree.place).unwrap(), "Europe/Paris");
    }

    #[test]
    fn a_time_zone_that_has_no_name() {
        let tree = Node::new();
        tree.write("/etc/localtime", "TZif2");
        let error = timezone(&tree.place).unwrap_err();
        assert!(error.starts_with("could not read /etc/localtime: ") && error.contains("should be a symbolic link"));
    }

    #[test]
    fn watchdogs_in_order() {
        let tree = Node::new();
        assert_eq!(watchdogs(&tree.place), Ok(Vec::new()));
        for number in [10, 0, 2] {
            tree.write(&format!("/sys/class/watchdog/watchdog{number}/identity"), "i6300ESB timer\n");
            tree.write(&format!("/sys/class/watchdog/watchdog{number}/timeout"), "30\n");
        }
        let watchdogs = watchdogs(&tree.place).unwrap();
        let names: Vec<&str> = watchdogs.iter().map(|watchdog| watchdog.name.as_str()).collect();
        assert_eq!(names, ["watchdog0", "watchdog2", "watchdog10"]);
        assert_eq!((watchdogs[0].identity.as_str(), watchdogs[0].timeout), ("i6300ESB timer", 30));
    }

    #[test]
    fn a_strange_clock_is_an_error() {
        assert_eq!(clock("yes\n"), Ok(true));
        assert_eq!(clock("perhaps\n").unwrap_err(), "timedatectl printed `perhaps`");
    }
}
