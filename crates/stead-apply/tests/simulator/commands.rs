//! What programs do to a node, by their names and arguments alone.

use camino::{Utf8Path, Utf8PathBuf};
use stead_plan::MARK;
use stead_plan::inventory::{Activity, Enablement, Mode, PackageState};
use stead_plan::op::{Argument, Command, Op, Program, Write};

use crate::members;
use crate::model::{CRYPT, Entry, Node, SWAP, SYSCTL, units_of, user};
use crate::observe::digest;

/// How much of an operation was done when it was cut.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cut {
    None,
    /// As far as such a thing can be done in halves.
    Half,
}

/// How a program ended.
pub(crate) type Ended = Result<(), Failure>;

/// Why an operation was not done.
#[derive(Debug)]
pub(crate) enum Failure {
    /// The program said so.
    Failed(String),
    /// The model doesn't know this command: it must learn it, or the plan is wrong.
    Unheard(String),
}

pub(crate) fn failed<T>(why: impl Into<String>) -> Result<T, Failure> {
    Err(Failure::Failed(why.into()))
}

impl Node {
    /// Does one operation.
    pub(crate) fn perform(&mut self, op: &Op, cut: Cut) -> Ended {
        match op {
            Op::Run(command) => self.run(command, cut),
            Op::Write(write) => self.write(write, cut),
            // These are one system call each.
            Op::Link { path, target } => {
                self.disk.files.insert(path.clone(), Entry::Link(target.clone()));
                Ok(())
            }
            Op::Folder { path, mode } => {
                self.disk.files.insert(path.clone(), Entry::Folder { mode: *mode });
                Ok(())
            }
            Op::MountPoint { path } => {
                self.disk.files.entry(path.clone()).or_insert(Entry::Folder { mode: Mode(0o755) });
                Ok(())
            }
            op => self.drive_op(op, cut).unwrap_or_else(|| Err(Failure::Unheard(format!("{op:?}")))),
        }
    }

    fn write(&mut self, write: &Write, cut: Cut) -> Ended {
        if let Some(command) = &write.checked_by {
            self.run(command, Cut::None)?;
        }
        let now = match self.disk.files.get(&write.path) {
            None => Some(""),
            Some(Entry::File { text, .. }) => Some(text.as_str()),
            Some(_) => None,
        };
        if let Some(sum) = &write.made_from
            && now.is_none_or(|now| digest(now) != *sum && now != write.text)
        {
            return failed(format!("{} was changed after it was looked at", write.path));
        }
        if cut == Cut::Half || self.drops_writes {
            return Ok(());
        }
        if let Some(Entry::File { text, mode }) = self.disk.files.get(&write.path).cloned()
            && !text.contains(MARK)
            && !text.contains("\"cluster\"")
        {
            let before = Utf8PathBuf::from(format!("/var/lib/stead/before{}", write.path));
            self.put(before, Entry::File { mode, text });
        }
        match &write.group {
            Some(group) => drop(self.disk.groups.insert(write.path.clone(), group.clone())),
            None => drop(self.disk.groups.remove(&write.path)),
        }
        self.put(write.path.clone(), Entry::File { mode: write.mode, text: write.text.clone() });
        Ok(())
    }

    /// On the disk too.
    fn put(&mut self, path: Utf8PathBuf, entry: Entry) {
        self.flushed.files.insert(path.clone(), entry.clone());
        self.disk.files.insert(path, entry);
    }

    fn run(&mut self, command: &Command, cut: Cut) -> Ended {
        let unheard = || Failure::Unheard(command.to_string());
        let words: Vec<&str> = command
            .arguments
            .iter()
            .map(|argument| match argument {
                Argument::Text(text) => Ok(text.as_str()),
                Argument::Output(_) | Argument::Filled(_) => Err(unheard()),
            })
            .collect::<Result<_, _>>()?;
        if !self.has(command.program) {
            return failed(format!("`{}` is not there", command.program.path()));
        }
        match (command.program, words.as_slice()) {
            (Program::AptGet, words) => self.apt_get(words, cut).unwrap_or_else(|| Err(unheard())),
            (Program::Dpkg, ["--configure", "-a", ..] | ["--force-confold", "--configure", "-a"]) => {
                self.configure_packages(cut);
                Ok(())
            }
            (Program::Virsh, words) => {
                let stdin = command.stdin.as_ref().map(|stdin| stdin.text.as_str());
                self.virsh(words, stdin, cut).unwrap_or_else(|| Err(unheard()))
            }
            (Program::Systemctl, words) => self.systemctl(words, cut).unwrap_or_else(|| Err(unheard())),
            (Program::Hostnamectl, ["hostname" | "set-hostname", .., name]) => {
                self.whole(cut, "/etc/hostname", Entry::File { mode: Mode(0o644), text: format!("{name}\n") });
                Ok(())
            }
            (Program::Timedatectl, ["set-timezone", zone]) => {
                self.whole(cut, "/etc/localtime", Entry::Link(format!("/usr/share/zoneinfo/{zone}").into()));
                Ok(())
            }
            (Program::Useradd, words) => match self.useradd(words, cut).unwrap_or_else(|| Err(unheard())) {
                // What useradd ends with where there is such an account.
                Err(Failure::Failed(_)) if command.already.contains(&9) => Ok(()),
                ended => ended,
            },
            (Program::Usermod, words) => self.usermod(words, cut).unwrap_or_else(|| Err(unheard())),
            (Program::Sysctl, words) => self.sysctl(words, cut).unwrap_or_else(|| Err(unheard())),
            (Program::Chronyd, words) if words.contains(&"-q") => {
                if self.boot.activity.get("chrony.service") == Some(&Activity::Active) {
                    return failed("Fatal error : Another chronyd may already be running (pid=1)");
                }
                self.ahead = if cut == Cut::None { 0 } else { self.ahead };
                Ok(())
            }
            (Program::Fallocate, words) => self.fallocate(words, cut).unwrap_or_else(|| Err(unheard())),
            (Program::Truncate, ["--size=0", path]) => {
                self.disk.files.insert((*path).into(), Entry::Space(0));
                Ok(())
            }
            // What they check is of the text, which is the planner's own business.
            (Program::Visudo, words) if words.iter().any(|word| word.starts_with("-c")) => Ok(()),
            (Program::Sshd, words) if words.contains(&"-t") => Ok(()),
            (program, words) => {
                let stdin = command.stdin.as_ref().map(|stdin| stdin.text.as_str());
                let ended = self.network_command(program, words, cut);
                let ended = ended.or_else(|| self.volume_command(program, words, cut));
                let ended = ended.or_else(|| self.member_command(program, words, stdin, cut));
                ended.or_else(|| self.drive_command(program, words, stdin, cut)).unwrap_or_else(|| Err(unheard()))
            }
        }
    }

    fn has(&self, program: Program) -> bool {
        // What comes along with a package that is asked for by name.
        let package = match program.package() {
            "tang-common" => "tang",
            "glusterfs-cli" => "glusterfs-client",
            "cryptsetup-bin" => "cryptsetup",
            package => package,
        };
        let essential = [
            "ifupdown",
            "nftables",
            "apt",
            "dpkg",
            "systemd",
            "util-linux",
            "procps",
            "passwd",
            "iproute2",
            "kmod",
            "coreutils",
            "e2fsprogs",
            "udev",
        ]
        .contains(&package);
        essential || matches!(self.disk.packages.get(package), Some(PackageState::Installed | PackageState::Broken))
    }

    fn whole(&mut self, cut: Cut, path: &str, entry: Entry) {
        if cut == Cut::None {
            self.disk.files.insert(path.into(), entry);
        }
    }

    fn apt_get(&mut self, words: &[&str], cut: Cut) -> Option<Ended> {
        let (mut plain, mut any_date) = (Vec::new(), false);
        let mut words = words.iter();
        while let Some(word) = words.next() {
            match *word {
                "-o" => any_date |= *words.next()? == "Acquire::Check-Date=false",
                word if word.starts_with('-') => {}
                word => plain.push(word),
            }
        }
        match plain.split_first()? {
            (&"update", []) if self.ahead < -60_000 && !any_date => {
                Some(failed("E: Release file for http://deb.debian.org/debian/dists/trixie/InRelease is not valid yet"))
            }
            (&"update", []) => {
                self.disk.lists |= cut == Cut::None;
                Some(Ok(()))
            }
            (&"install", packages) => Some(self.install(packages, cut)),
            _ => None,
        }
    }

    fn install(&mut self, packages: &[&str], cut: Cut) -> Ended {
        if self.disk.packages.values().any(|state| *state == PackageState::Broken) {
            return failed(
                "E: dpkg was interrupted, you must manually run 'dpkg --configure -a' to correct the problem.",
            );
        }
        let state = |node: &Self, package: &str| node.disk.packages.get(package).copied();
        let missing: Vec<&&str> =
            packages.iter().filter(|package| state(self, package) != Some(PackageState::Installed)).collect();
        if !self.disk.lists
            && let Some(package) = missing.first()
        {
            return failed(format!("E: Unable to locate package {package}"));
        }
        let done = if cut == Cut::None { missing.len() } else { missing.len() / 2 };
        for package in &missing[..done] {
            self.unpack(package);
            self.configure(package);
        }
        if let Some(package) = missing.get(done) {
            self.unpack(package);
            self.disk.packages.insert((**package).to_owned(), PackageState::Broken);
        }
        Ok(())
    }

    fn unpack(&mut self, package: &str) {
        if package == "chrony" {
            // Both are a `time-daemon`, of which there may be one.
            if self.disk.packages.contains_key("systemd-timesyncd") {
                self.disk.packages.insert("systemd-timesyncd".to_owned(), PackageState::Removed);
            }
            self.stop("systemd-timesyncd.service");
            self.disk.units.remove("systemd-timesyncd.service");
            for path in ["/etc/chrony/chrony.conf", "/etc/default/chrony"] {
                // A configuration file that is there already is left as it is.
                let text = format!("# Debian's {path}\n");
                self.disk.files.entry(path.into()).or_insert(Entry::File { mode: Mode(0o644), text });
            }
        }
        if package == "sudo" {
            self.disk.files.entry("/etc/sudoers.d".into()).or_insert(Entry::Folder { mode: Mode(0o755) });
        }
        self.disk.packages.insert(package.to_owned(), PackageState::Broken);
    }

    fn configure(&mut self, package: &str) {
        self.disk.packages.insert(package.to_owned(), PackageState::Installed);
        if package == "cryptsetup" {
            let text = "# <target name>\t<source device>\t\t<key file>\t<options>\n".to_owned();
            self.disk.files.entry("/etc/crypttab".into()).or_insert(Entry::File { mode: Mode(0o644), text });
        }
        for unit in units_of(package) {
            let enablement = self.disk.units.entry((*unit).to_owned()).or_insert(Enablement::Enabled);
            if *enablement == Enablement::Absent {
                *enablement = Enablement::Enabled;
            }
            if *enablement == Enablement::Enabled {
                self.start(unit);
            }
        }
    }

    fn configure_packages(&mut self, cut: Cut) {
        let packages = self.disk.packages.iter();
        let broken = packages.filter(|(_, state)| **state == PackageState::Broken).map(|(package, _)| package.clone());
        let broken: Vec<_> = broken.collect();
        let done = if cut == Cut::None { broken.len() } else { broken.len() / 2 };
        for package in &broken[..done] {
            self.configure(package);
        }
    }

    fn systemctl(&mut self, words: &[&str], cut: Cut) -> Option<Ended> {
        let (options, plain): (Vec<&str>, Vec<&str>) = words.iter().partition(|word| word.starts_with('-'));
        if options.iter().any(|option| !["--now", "--no-block", "--no-reload", "--quiet", "-q"].contains(option)) {
            return None;
        }
        let (verb, units) = plain.split_first()?;
        let now = options.contains(&"--now");
        if *verb == "daemon-reload" && units.is_empty() {
            if cut == Cut::None {
                self.reload_systemd();
            }
            return Some(Ok(()));
        }
        let done = if cut == Cut::None { units.len() } else { units.len() / 2 };
        for unit in &units[..done] {
            let unit = if unit.contains('.') { (*unit).to_owned() } else { format!("{unit}.service") };
            if let Err(failure) = self.unit(verb, &unit, now)? {
                return Some(Err(failure));
            }
        }
        if cut == Cut::Half && now && units.len() == 1 {
            // The half of `enable --now` is `enable`.
            let unit = if units[0].contains('.') { units[0].to_owned() } else { format!("{}.service", units[0]) };
            return self.unit(verb, &unit, false);
        }
        // These read all units anew at their end.
        let reloads =
            ["enable", "reenable", "disable", "mask", "unmask"].contains(verb) && !options.contains(&"--no-reload");
        if reloads && cut == Cut::None {
            self.reload_systemd();
        }
        Some(Ok(()))
    }

    fn unit(&mut self, verb: &str, unit: &str, now: bool) -> Option<Ended> {
        let state = self.disk.units.get(unit).copied().or(self.has_unit_file(unit).then_some(Enablement::Disabled));
        let not_found = || Some(failed(format!("Failed to {verb} unit: Unit file {unit} does not exist.")));
        match verb {
            "mask" => {
                self.disk.units.insert(unit.to_owned(), Enablement::Masked);
                if now {
                    self.stop(unit);
                }
            }
            "unmask" if state == Some(Enablement::Masked) => {
                // What it was before comes out again: a link among the wanted ones, if its package made one.
                let there = self
                    .disk
                    .packages
                    .iter()
                    .any(|(package, state)| units_of(package).contains(&unit) && *state != PackageState::Removed);
                if there {
                    self.disk.units.insert(unit.to_owned(), Enablement::Disabled);
                } else {
                    self.disk.units.remove(unit);
                }
            }
            "unmask" => {}
            "enable" | "reenable" | "disable" => {
                match state {
                    None | Some(Enablement::Absent) => return not_found(),
                    Some(Enablement::Masked) if verb != "disable" => {
                        return Some(failed(format!("Failed to enable unit: Unit {unit} is masked")));
                    }
                    _ => {}
                }
                let enablement = if verb == "disable" { Enablement::Disabled } else { Enablement::Enabled };
                if state != Some(Enablement::Masked) {
                    self.disk.units.insert(unit.to_owned(), enablement);
                }
                match (now, verb) {
                    (true, "enable") if !self.start(unit) => return Some(failed(format!("Job for {unit} failed."))),
                    (true, "disable") => self.stop(unit),
                    _ => {}
                }
            }
            "start" if unit == SWAP => {
                if !self.swap_on() {
                    return not_found();
                }
            }
            "start" | "restart" if self.drive_unit(unit).is_some() => return self.start_drive_unit(unit),
            "start" | "restart" if self.volume_unit(unit).is_some() => return self.start_volume_unit(unit),
            "stop" if unit == SWAP => self.boot.swaps.clear(),
            // What uses it stops with it.
            "stop" if unit == CRYPT => (self.boot.opened, self.boot.swaps) = (None, Vec::new()),
            "start" | "restart" | "try-restart" | "reload" | "reload-or-restart" | "try-reload-or-restart" => {
                let active = self.boot.activity.get(unit) == Some(&Activity::Active);
                match verb {
                    "try-restart" | "try-reload-or-restart" if !active => return Some(Ok(())),
                    "reload" if !active => return Some(failed(format!("{unit} is not active, cannot reload."))),
                    "reload" | "reload-or-restart" | "try-reload-or-restart" if active => self.read_configuration(unit),
                    "restart" | "try-restart" | "reload-or-restart" => {
                        self.stop(unit);
                        if self.stop_with(unit) && !self.start(members::PACEMAKER) {
                            return Some(failed(format!("Failed to {verb} {unit}")));
                        }
                    }
                    _ => {}
                }
                if !self.start(unit) {
                    return Some(failed(format!("Failed to {verb} {unit}")));
                }
            }
            "stop" if state.is_none() => return not_found(),
            "stop" => {
                self.stop(unit);
                self.stop_with(unit);
            }
            _ => return None,
        }
        Some(Ok(()))
    }

    fn useradd(&mut self, words: &[&str], cut: Cut) -> Option<Ended> {
        let Account { groups, shell, name } = account(words)?;
        if self.disk.users.contains_key(name) {
            return Some(failed(format!("useradd: user '{name}' already exists")));
        }
        let uid = self.disk.users.values().map(|user| user.uid).max().map_or(1000, |uid| uid + 1);
        let mut new = user(name, uid, &[]);
        if let Some(shell) = shell {
            shell.clone_into(&mut new.shell);
        }
        if cut == Cut::None {
            new.groups.extend(groups.into_iter().flatten());
        }
        self.disk.users.insert(name.to_owned(), new);
        Some(Ok(()))
    }

    fn usermod(&mut self, words: &[&str], cut: Cut) -> Option<Ended> {
        let Account { groups, shell, name } = account(words)?;
        let append =
            words.iter().any(|word| *word == "--append" || (word.starts_with("-a") && !word.starts_with("--")));
        let Some(user) = self.disk.users.get_mut(name) else {
            return Some(failed(format!("usermod: user '{name}' does not exist")));
        };
        if cut == Cut::Half {
            return Some(Ok(()));
        }
        if let Some(groups) = groups {
            if !append {
                user.groups.clear();
                user.groups.insert(name.to_owned());
            }
            user.groups.extend(groups);
        }
        if let Some(shell) = shell {
            shell.clone_into(&mut user.shell);
        }
        Some(Ok(()))
    }

    fn sysctl(&mut self, words: &[&str], cut: Cut) -> Option<Ended> {
        let paths: Vec<Utf8PathBuf> = match words {
            ["--load" | "-p", path] => vec![(*path).into()],
            [one] if one.starts_with("--load=") => vec![one["--load=".len()..].into()],
            ["--system"] => {
                let folder = |path: &&Utf8PathBuf| path.parent() == Some(Utf8Path::new("/etc/sysctl.d"));
                self.disk.files.keys().filter(folder).cloned().collect()
            }
            _ => return None,
        };
        for path in paths {
            let Some(Entry::File { text, .. }) = self.disk.files.get(&path).cloned() else {
                return Some(failed(format!("sysctl: cannot open \"{path}\": No such file or directory")));
            };
            let lines: Vec<&str> = text.lines().collect();
            let done = if cut == Cut::None { lines.len() } else { lines.len() / 2 };
            self.load_sysctl(&lines[..done].join("\n"));
            let strange = |line: &&str| {
                let key = line.split('=').next().unwrap_or_default().trim();
                !line.starts_with(['#', ';', '-']) && !key.is_empty() && !SYSCTL.iter().any(|(known, _)| *known == key)
            };
            if let Some(line) = lines.iter().find(|line| strange(line)) {
                return Some(failed(format!("sysctl: cannot stat /proc/sys for {line:?}: No such file or directory")));
            }
        }
        Some(Ok(()))
    }

    fn fallocate(&mut self, words: &[&str], cut: Cut) -> Option<Ended> {
        let (size, path) = match words {
            ["--length" | "-l", size, path] => (*size, *path),
            [length, path] => (length.strip_prefix("--length=")?, *path),
            _ => return None,
        };
        let size: u64 = size.parse().ok()?;
        let size = if cut == Cut::None { size } else { size / 2 };
        // It never makes a file smaller.
        let old = match self.disk.files.get(Utf8Path::new(path)) {
            Some(Entry::Space(old)) => *old,
            _ => 0,
        };
        self.disk.files.insert(path.into(), Entry::Space(size.max(old)));
        Some(Ok(()))
    }
}

/// What useradd and usermod are told.
struct Account<'a> {
    groups: Option<Vec<String>>,
    shell: Option<&'a str>,
    name: &'a str,
}

fn account<'a>(words: &[&'a str]) -> Option<Account<'a>> {
    let (mut groups, mut shell, mut name) = (None, None, None);
    let list = |text: &str| text.split(',').map(str::to_owned).collect::<Vec<_>>();
    let mut words = words.iter();
    while let Some(word) = words.next() {
        match *word {
            "--groups" | "-G" | "-aG" => groups = Some(list(words.next()?)),
            "--shell" | "-s" => shell = Some(*words.next()?),
            "--comment" | "-c" | "--gid" | "-g" | "--home-dir" | "-d" => drop(words.next()?),
            word if word.starts_with("--groups=") => groups = Some(list(&word["--groups=".len()..])),
            word if word.starts_with("--shell=") => shell = Some(&word["--shell=".len()..]),
            word if word.starts_with('-') => {}
            word => name = Some(word),
        }
    }
    Some(Account { groups, shell, name: name? })
}
