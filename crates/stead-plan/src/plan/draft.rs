//! A step while it is made.

use std::collections::BTreeSet;

use camino::Utf8PathBuf;
use stead_spec::units::{NodeName, Sha256};

use super::diff;
use super::planner::{Hidden, PACKAGES, look, state};
use crate::MARK;
use crate::inventory::{Activity, Enablement, File, FileState, Mode, NodeInventory, sha256};
use crate::op::{Command, Op, Program, Write};
use crate::secret::SecretRef;
use crate::step::{About, Destruction, Fact, Guard, Layer, Step, StepId};

/// A step while it is made.
pub(crate) struct Draft<'a> {
    seen: &'a NodeInventory,
    step: Step,
    units: Units,
    /// The files of units that it writes.
    unit_files: BTreeSet<String>,
}

/// What systemd is still to be told. It takes seconds to read its units anew, so it is told all at once, before the next
/// thing that the step does.
#[derive(Default)]
struct Units {
    /// Whether files of units were written.
    changed: bool,
    mask: Vec<String>,
    unmask: Vec<String>,
    enable: Vec<String>,
    reenable: Vec<String>,
    start: Vec<Command>,
}

/// A file that is all stead's.
#[derive(Clone, Debug)]
pub(crate) struct Managed {
    pub(crate) path: String,
    pub(crate) mode: Mode,
    /// See [`Write::group`].
    pub(crate) group: Option<&'static str>,
    pub(crate) text: String,
    /// See [`Write::secrets`].
    pub(crate) secrets: Vec<SecretRef>,
    pub(crate) checked_by: Option<Command>,
    /// See [`Write::made_from`].
    pub(crate) made_from: Option<Sha256>,
    /// The step of this plan that writes the file before, and what it then holds.
    pub(crate) written_by: Option<(StepId, String)>,
}

/// How a unit's package comes onto a node.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Comes {
    /// It is there, or its installation starts it.
    Running,
    /// A step before this one masks the unit and installs the package.
    Masked,
}

/// Where the file of a unit leads that is masked.
const MASKED: &str = "/dev/null";

/// Where files of units lie that take the place of Debian's.
const UNITS: &str = "/etc/systemd/system";

/// What a daemon may take to stop and start, in seconds.
const RESTART: u32 = 120;

impl<'a> Draft<'a> {
    /// One that does nothing yet.
    pub(super) fn new(seen: &'a NodeInventory, id: StepId, title: String) -> Self {
        let step = Step {
            id,
            title,
            why: Vec::new(),
            ops: Vec::new(),
            after: BTreeSet::new(),
            basis: Vec::new(),
            destroys: Vec::new(),
            guard: None,
            beside: None,
        };
        Self { seen, step, units: Units::default(), unit_files: BTreeSet::new() }
    }

    /// The step, which may do nothing.
    pub(super) fn done(mut self) -> Step {
        self.tell_systemd();
        self.step
    }

    /// Says why, in a sentence.
    pub(crate) fn why(&mut self, why: impl Into<String>) {
        self.step.why.push(why.into());
    }

    /// The files and links that it writes.
    pub(crate) fn writes(&self) -> BTreeSet<Utf8PathBuf> {
        let path = |op: &Op| match op {
            Op::Write(write) => Some(write.path.clone()),
            Op::Link { path, .. } => Some(path.clone()),
            Op::Run(_)
            | Op::Folder { .. }
            | Op::MountPoint { .. }
            | Op::Vacant(_)
            | Op::Take { .. }
            | Op::Place { .. } => None,
        };
        self.step.ops.iter().filter_map(path).collect()
    }

    /// Is undone unless it is confirmed.
    pub(crate) fn guard(&mut self, guard: Guard) {
        self.step.guard = Some(guard);
    }

    /// May be done beside others of its node, and takes so many MiB of memory then.
    pub(crate) fn beside(&mut self, memory: u32) {
        self.step.beside = Some(memory);
    }

    /// Has a unit start at boot and run now. It is restarted if `restart` says that it has something to read anew, and if
    /// it should run and doesn't. Where its package is still to be installed, it starts masked: see the layer `host`.
    pub(crate) fn service(&mut self, unit: &str, comes: Comes, mut restart: bool) -> Result<(), Hidden> {
        if self.wanted(unit, comes)? {
            restart = true;
        } else if look(self.seen, unit)?.activity != Activity::Active {
            self.why(format!("{unit} doesn't run"));
            restart = true;
        }
        if restart {
            self.rests_on(About::Unit(unit.to_owned()))?;
            self.start(Program::Systemctl.command().args(["restart", unit]).timeout(RESTART));
        }
        Ok(())
    }

    /// Has a unit start at boot, or with those that it says want it. Whether it didn't.
    pub(crate) fn wanted(&mut self, unit: &str, comes: Comes) -> Result<bool, Hidden> {
        let is = look(self.seen, unit)?;
        let masked = is.enablement == Enablement::Masked || comes == Comes::Masked;
        if masked {
            self.units.unmask.push(unit.to_owned());
        }
        let lacks = masked || is.enablement != Enablement::Enabled;
        if lacks {
            self.why(format!("{unit} doesn't start at boot"));
            self.rests_on(About::Unit(unit.to_owned()))?;
            self.enable(unit);
        } else if self.unit_files.contains(&format!("{UNITS}/{unit}")) {
            // By whom it is wanted may be another one now.
            self.units.reenable.push(unit.to_owned());
        }
        Ok(lacks)
    }

    /// Has a unit never run.
    pub(crate) fn mask(&mut self, unit: &str) {
        self.units.mask.push(unit.to_owned());
    }

    /// Has a unit start at boot.
    pub(crate) fn enable(&mut self, unit: &str) {
        self.units.enable.push(unit.to_owned());
    }

    /// Starts units, once systemd knows them as they are now.
    pub(crate) fn start(&mut self, command: Command) {
        self.units.start.push(command);
    }

    /// Writes a file that systemd reads, or makes units from, as [`file`](Self::file) does, and has it read that.
    pub(crate) fn unit_file(&mut self, want: &Managed) -> Result<bool, Hidden> {
        let written = self.file(want)?;
        self.units.changed |= written;
        if written {
            self.unit_files.insert(want.path.clone());
        }
        Ok(written)
    }

    fn tell_systemd(&mut self) {
        let Units { changed, mask, unmask, enable, reenable, start } = std::mem::take(&mut self.units);
        let jobs: [(&[&str], _); 4] =
            [(&["mask", "--now"], mask), (&["unmask"], unmask), (&["enable"], enable), (&["reenable"], reenable)];
        let jobs: Vec<_> = jobs.into_iter().filter(|(_, units)| !units.is_empty()).collect();
        let systemctl = |words: &[&str]| Program::Systemctl.command().args(words.iter().copied());
        if jobs.is_empty() && changed {
            self.step.ops.push(Op::Run(systemctl(&["daemon-reload"])));
        }
        let last = jobs.len().saturating_sub(1);
        for (number, (verb, units)) in jobs.into_iter().enumerate() {
            // Each reads all units anew by itself; once is enough.
            let words = if number < last { &["--no-reload"][..] } else { &[] };
            self.step.ops.push(Op::Run(systemctl(words).args(verb.iter().copied()).args(units)));
        }
        self.step.ops.extend(start.into_iter().map(Op::Run));
    }

    /// Runs a command.
    pub(crate) fn run(&mut self, command: Command) {
        self.op(Op::Run(command));
    }

    /// Does this.
    pub(crate) fn op(&mut self, op: Op) {
        self.tell_systemd();
        self.step.ops.push(op);
    }

    /// Destroys this.
    pub(crate) fn destroys(&mut self, what: Destruction) {
        self.step.destroys.push(what);
    }

    /// Comes after what all layers' packages are installed by.
    pub(crate) fn after_packages(&mut self) {
        let node = self.step.id.node.clone();
        self.step.after.insert(StepId { layer: Layer::Host, node, what: PACKAGES.to_owned() });
    }

    /// Comes after a step of the same layer on the same node.
    pub(crate) fn after(&mut self, what: &str) {
        self.after_on(self.step.id.node.clone(), what);
    }

    /// Comes after a step of the same layer on another node.
    pub(crate) fn after_on(&mut self, node: NodeName, what: &str) {
        self.step.after.insert(StepId { layer: self.step.id.layer, node, what: what.to_owned() });
    }

    /// Comes after any step.
    pub(crate) fn after_step(&mut self, id: StepId) {
        if id != self.step.id {
            self.step.after.insert(id);
        }
    }

    /// Is right only as long as this is so.
    pub(crate) fn rests_on(&mut self, about: About) -> Result<(), Hidden> {
        let was = about.of(self.seen);
        let was = was.as_result().map_err(|why| Hidden::new(about.to_string(), why))?.clone();
        if self.step.basis.iter().all(|fact| fact.about != about) {
            self.step.basis.push(Fact { about, was });
        }
        Ok(())
    }

    /// Makes a folder that isn't there.
    pub(crate) fn folder(&mut self, path: &str) -> Result<(), Hidden> {
        if matches!(state(self.seen, path)?, FileState::Absent) {
            self.rests_on(About::File(path.into()))?;
            self.step.ops.push(Op::Folder { path: path.into(), mode: Mode(0o755) });
        }
        Ok(())
    }

    /// Has a path lead to a file.
    pub(crate) fn link(&mut self, path: &str, target: &str) -> Result<(), Hidden> {
        let now = state(self.seen, path)?;
        if !matches!(now, FileState::Link(leads) if leads == target) {
            self.rests_on(About::File(path.into()))?;
            self.why(format!("{path} doesn't lead to {target}"));
            self.step.ops.push(Op::Link { path: path.into(), target: target.into() });
        }
        Ok(())
    }

    /// Makes a folder of stead's own, with these permissions.
    pub(crate) fn own_folder(&mut self, path: &str, mode: Mode) -> Result<(), Hidden> {
        let state = state(self.seen, path)?;
        if !matches!(state, FileState::Folder { mode: is, .. } if *is == mode) {
            self.rests_on(About::File(path.into()))?;
            self.why(match state {
                FileState::Absent => format!("{path} is not there"),
                FileState::Folder { mode: is, .. } => format!("{path} has the permissions {is} and should have {mode}"),
                _ => return Err(Hidden::no_file(path)),
            });
            self.step.ops.push(Op::Folder { path: path.into(), mode });
        }
        Ok(())
    }

    /// Writes a file, if it isn't so already. Whether it wasn't, or whoever reads it may not have been told: the step was
    /// begun, and cut.
    pub(crate) fn file(&mut self, want: &Managed) -> Result<bool, Hidden> {
        let written = want.written_by.as_ref().map(|(step, text)| {
            self.after_step(step.clone());
            let (owner, sha256) = (want.owner(), sha256(text));
            FileState::File(File { mode: want.mode, owner, sha256, text: Some(text.clone()) })
        });
        let before = written.as_ref().map_or_else(|| state(self.seen, &want.path), Ok)?;
        let write = match before {
            FileState::Absent => {
                self.why(format!("{} is not there", want.path));
                true
            }
            FileState::File(file) if file.sha256 != want.sha256() => {
                let foreign = file.text.as_deref().is_some_and(|text| !text.contains(MARK));
                let kept = if foreign { "; what is there now is kept in /var/lib/stead/before" } else { "" };
                self.why(match &file.text {
                    Some(_) => format!("{} differs{kept}", want.path),
                    None => format!("{} differs; what is there now only root may read", want.path),
                });
                true
            }
            FileState::File(file) if file.mode != want.mode || file.owner != want.owner() => {
                let (mode, owner) = (file.mode, &file.owner);
                let should = want.group.map_or_else(|| "root".to_owned(), |group| format!("root:{group}"));
                self.why(format!("{} is {owner}'s with {mode} and should be {should}'s with {}", want.path, want.mode));
                true
            }
            FileState::File(_) => false,
            FileState::Link(target) if target == MASKED => {
                self.why(format!("{} is masked", want.path));
                true
            }
            _ => return Err(Hidden::no_file(&want.path)),
        };
        // A file that is right may be another one's reason: what is run then rests on both.
        self.rests_on(About::File(want.path.clone().into()))?;
        if write {
            match before {
                FileState::File(file) => {
                    if let Some(old) = &file.text {
                        self.step.why.extend(diff::lines(old, &want.text));
                    }
                }
                _ => self.step.why.extend(diff::lines("", &want.text)),
            }
            let Managed { path, mode, group, text, secrets, checked_by, made_from, written_by: _ } = want.clone();
            let (path, group) = (path.into(), group.map(str::to_owned));
            self.step.ops.push(Op::Write(Write { path, mode, group, text, secrets, checked_by, made_from }));
        }
        let cut = !write && self.seen.unfinished.get().is_some_and(|steps| steps.contains(&self.step.id));
        if cut {
            self.rests_on(About::File(want.path.clone().into()))?;
            self.why(format!("{} is as it should be, but this step was cut before its end", want.path));
        }
        Ok(write || cut)
    }
}

impl Managed {
    /// As a node tells it.
    fn owner(&self) -> String {
        format!("root:{}", self.group.unwrap_or("root"))
    }

    /// Its sum, also of one that is secret as a whole: then it is the secret's.
    fn sha256(&self) -> Sha256 {
        match self.secrets.as_slice() {
            [secret] if self.text == secret.to_string() => secret.sha256.clone(),
            _ => sha256(&self.text),
        }
    }

    /// A file that is a secret as a whole.
    pub(crate) fn secret(path: impl Into<String>, secret: SecretRef) -> Self {
        let text = secret.to_string();
        Self { mode: Mode(0o600), secrets: vec![secret], ..Self::new(path, text) }
    }

    /// A file that everybody may read.
    pub(crate) fn new(path: impl Into<String>, text: String) -> Self {
        Self {
            path: path.into(),
            mode: Mode(0o644),
            group: None,
            text,
            secrets: Vec::new(),
            checked_by: None,
            made_from: None,
            written_by: None,
        }
    }
}
