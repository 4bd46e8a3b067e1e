//! What the cases share: a lab of three nodes built once in this run, and ways to ask its nodes.

use std::fs::File;
use std::ops::Deref;
use std::path::{Path, PathBuf};
use std::thread;
use std::time::{Duration, Instant};

use stead_lab::exec::RunError;
use stead_lab::image::{Cache, Kind, Release};
use stead_lab::protocol::{DiskAction, PowerAction, Request};
use stead_lab::state::{LabConfig, Plugged};
use stead_lab::{Lab, LabError};
use stead_spec::Bytes;

/// The program under test.
pub(crate) const STEAD: &str = env!("CARGO_BIN_EXE_stead");

/// The picture that every case of the shared lab starts from.
const FRESH: &str = "fresh";

/// How long a condition may take to come about on a node: a multiple of what a busy, translated node needs.
pub(crate) const PATIENCE: Duration = Duration::from_mins(2);

/// How long nodes may take to their ssh: three take three minutes of two slow cores, five take five.
pub(crate) const BOOT_PATIENCE: Duration = Duration::from_mins(10);

/// What ssh ends with when it could not do its own work.
const SSH_FAILED: i32 = 255;

/// The folder of this run, which its runner empties and takes down.
pub(crate) fn run_dir() -> PathBuf {
    let dir = std::env::var_os("STEAD_LAB_RUN_DIR");
    dir.expect("lab cases share a lab that their runner takes down: use `./x test --case NAME`").into()
}

/// A lab that shows its consoles when its case fails.
pub(crate) struct TestLab {
    lab: Lab,
    /// Whether it is this case's own, to be taken down with it.
    own: bool,
    /// The shared lab is one case's at a time.
    _lock: Option<File>,
}

impl Deref for TestLab {
    type Target = Lab;

    fn deref(&self) -> &Lab {
        &self.lab
    }
}

impl TestLab {
    /// A lab that is whoever asks' own, and that they take down.
    pub(crate) fn of(lab: Lab) -> Self {
        Self { lab, own: false, _lock: None }
    }
}

impl Drop for TestLab {
    fn drop(&mut self) {
        if thread::panicking() {
            eprintln!("status: {:#?}", self.lab.status());
            for node in self.lab.nodes().unwrap_or_default() {
                eprintln!("console of {node}:\n{}", self.lab.console_tail(&node));
            }
        } else if self.own {
            Lab::destroy(self.lab.path()).expect("down");
        }
    }
}

/// The shared lab, three nodes of Debian 13, as it was when it was fresh.
pub(crate) fn fresh() -> TestLab {
    let lab = shared("shared", &small(), FRESH, |_| ());
    lab.load(FRESH);
    lab
}

/// A lab that cases share, with this picture of it; the first case that wants it has it made and prepared. The other
/// shared labs are switched off: there are cores for one.
pub(crate) fn shared(name: &str, config: &LabConfig, picture: &str, prepare: impl FnOnce(&TestLab)) -> TestLab {
    let lock = File::create(run_dir().join("shared.lock")).expect("lock");
    lock.lock().expect("lock");
    for other in ["shared", "cluster", "plain", "trixie", "bookworm"].into_iter().filter(|other| *other != name) {
        if let Ok(lab) = Lab::open(&run_dir().join(other), Path::new(STEAD)) {
            lab.power(&lab.nodes().expect("nodes"), PowerAction::Off).expect("power off");
        }
    }
    let dir = run_dir().join(name);
    let there = |lab: &Lab| lab.status().expect("status").snapshots.iter().any(|name| name == picture);
    match Lab::open(&dir, Path::new(STEAD)) {
        Ok(lab) if there(&lab) => return TestLab { lab, own: false, _lock: Some(lock) },
        Ok(_) => drop(Lab::destroy(&dir).expect("what an interrupted case left")),
        Err(_) => {}
    }
    let lab = TestLab { lab: boot(&dir, config), own: false, _lock: Some(lock) };
    // Every case goes on from this picture: what a boot does after its ssh is there should not be done in each of them.
    for node in lab.nodes().expect("nodes") {
        lab.run(&node, "systemctl is-system-running --wait || true; udevadm settle").expect("booted");
    }
    prepare(&lab);
    lab.request(&Request::Save { name: picture.into() }).expect("save");
    lab
}

/// A lab of the case's own, up and answering.
pub(crate) fn own(name: &str, config: &LabConfig) -> TestLab {
    TestLab { lab: boot(&run_dir().join(name), config), own: true, _lock: None }
}

/// Three small nodes of Debian 13.
pub(crate) fn small() -> LabConfig {
    LabConfig { memory: Bytes::gib(1), disks: vec![Bytes::gib(2); 3], ..LabConfig::default() }
}

/// One small node.
pub(crate) fn single(release: Release, image: Kind) -> LabConfig {
    LabConfig { nodes: 1, releases: vec![release], image, ..small() }
}

/// Makes a lab and waits for its nodes; that is the lab's infrastructure, and has a second try.
fn boot(dir: &Path, config: &LabConfig) -> Lab {
    let attempt = || {
        let cache = Cache::open_default().expect("cache");
        let mut say = |line: &str| eprintln!("{line}");
        let lab = Lab::create(dir, Path::new(STEAD), config.clone(), &cache, &mut say)?;
        lab.wait_for_ssh(&lab.nodes()?, BOOT_PATIENCE, &mut say)?;
        Ok::<_, LabError>(lab)
    };
    attempt().unwrap_or_else(|first| {
        eprintln!("lab infrastructure, second try after: {first}");
        let _ = Lab::destroy(dir);
        attempt().expect("the second try")
    })
}

impl TestLab {
    /// Does what must work.
    #[allow(clippy::needless_pass_by_value, reason = "so that a case reads as what is asked")]
    pub(crate) fn ask(&self, request: Request) -> Vec<String> {
        self.request(&request).unwrap_or_else(|error| panic!("{request:?}: {error}"))
    }

    pub(crate) fn power_of(&self, nodes: &[&str], action: PowerAction) -> Vec<String> {
        self.ask(Request::Power { nodes: nodes.iter().map(ToString::to_string).collect(), action })
    }

    /// Takes the power from a node and gives it back, until its ssh answers.
    pub(crate) fn power_cycle(&self, node: &str) {
        self.power_of(&[node], PowerAction::Cycle);
        self.up(&[node]);
    }

    pub(crate) fn up(&self, nodes: &[&str]) {
        let nodes: Vec<String> = nodes.iter().map(ToString::to_string).collect();
        self.wait_for_ssh(&nodes, BOOT_PATIENCE, &mut |_| {}).expect("ssh");
    }

    pub(crate) fn cable(&self, node: &str, switch: u8, to: Plugged) {
        self.ask(Request::Cable { node: node.into(), switch, to });
    }

    pub(crate) fn disk(&self, node: &str, bay: &str, action: DiskAction) {
        self.ask(Request::Disk { node: node.into(), bay: bay.into(), action });
    }

    pub(crate) fn save(&self, name: &str) {
        self.ask(Request::Save { name: name.into() });
    }

    pub(crate) fn load(&self, name: &str) {
        let said = self.ask(Request::Load { name: name.into() });
        assert_eq!(said.len(), 1, "every clock was set: {said:?}");
    }

    /// What a command that must work printed on a node.
    pub(crate) fn on(&self, node: &str, script: &str) -> String {
        self.run(node, script).unwrap_or_else(|error| panic!("on {node}: {error}")).trim().to_owned()
    }

    /// Whether a command works on a node; a node that can't be asked is a failure, not a no.
    pub(crate) fn works(&self, node: &str, script: &str) -> bool {
        match self.run(node, script) {
            Ok(_) => true,
            Err(LabError::Run(RunError::Failed { status, .. })) if status.code() != Some(SSH_FAILED) => false,
            Err(error) => panic!("{node} can't be asked: {error}"),
        }
    }

    /// Whether what listens there (`HOST:PORT`) ends a TLS connection of one who shows no certificate. In TLS 1.3 that one has
    /// shaken hands before it hears so, and has to stay to be told.
    pub(crate) fn hangs_up(&self, node: &str, address: &str) -> bool {
        let stay = format!(
            "said=$(timeout 100 openssl s_client -connect {address} < <(exec sleep 100 2> /dev/null) 2>&1); echo $? \"$said\""
        );
        let said = self.on(node, &stay);
        assert!(said.contains("CONNECTED"), "{said}");
        !said.starts_with("124 ")
    }

    /// Waits until a command works on a node.
    pub(crate) fn until(&self, node: &str, script: &str) {
        eventually(script, || self.run(node, script).is_ok());
    }

    /// Waits on a node itself until a condition holds there, for so many seconds: for what takes translated nodes longer
    /// than other things are waited for. The condition has no single quotes.
    pub(crate) fn within(&self, seconds: u32, node: &str, condition: &str) {
        self.on(node, &format!("timeout {seconds} sh -c 'until {condition}; do sleep 1; done'"));
    }

    /// The path of a bay's disk on its node, whether it is there or not.
    pub(crate) fn device(&self, node: &str, bay: &str) -> String {
        let status = self.status().expect("status");
        format!("/dev/disk/by-id/scsi-0QEMU_QEMU_HARDDISK_{}", status.nodes[node].state.bays[bay].disk.serial)
    }

    pub(crate) fn boot_id(&self, node: &str) -> String {
        self.on(node, "cat /proc/sys/kernel/random/boot_id")
    }
}

/// Waits for a condition, for as long as a busy lab may take.
pub(crate) fn eventually(what: &str, condition: impl FnMut() -> bool) {
    within(PATIENCE.as_secs(), what, condition);
}

/// Waits so many seconds for a condition.
pub(crate) fn within(seconds: u64, what: &str, mut condition: impl FnMut() -> bool) {
    let start = Instant::now();
    while !condition() {
        assert!(start.elapsed().as_secs() < seconds, "not within {seconds} s: {what}");
        thread::sleep(Duration::from_millis(200));
    }
}
