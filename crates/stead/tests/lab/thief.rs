//! A thief: copies of disks, in a lab of their own. What opens there is what `stead keys explain` says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::Command;

use camino::Utf8PathBuf;
use stead_apply::secrets::{ExposeSecret as _, Identities, Sealed};
use stead_lab::Lab;
use stead_lab::protocol::{PowerAction, Request};
use stead_lab::state::Plugged;

use crate::cluster::{TestCluster, applied, assert_code, comes_up, out};
use crate::support::{STEAD, TestLab, run_dir};

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// A file in each vault, and the words that are in no other place.
const PHOTOS: &str = "/var/lib/stead/vault/photos";
const CANARY: &str = "a word that lies on an encrypted disk only";

/// A lab of what a thief has, gone with its files.
struct Stolen {
    lab: TestLab,
    folder: PathBuf,
}

impl Drop for Stolen {
    fn drop(&mut self) {
        if !std::thread::panicking() {
            Lab::destroy(&self.folder).expect("down");
        }
    }
}

impl Stolen {
    /// Copies the disks of a cluster whose nodes are off.
    fn copy(cluster: &TestCluster) -> Self {
        let folder = run_dir().join("thief");
        let run = |command: &mut Command| assert!(command.status().expect("it starts").success());
        run(Command::new("cp").args(["-a", "--sparse=always"]).arg(cluster.path()).arg(&folder));
        run(Command::new("find").arg(&folder).args(["-type", "s", "-delete"]));
        let config = folder.join("ssh_config");
        let text = std::fs::read_to_string(&config).expect("how nodes are reached");
        let [was, is] = [cluster.path(), &folder].map(|path: &Path| path.display().to_string());
        std::fs::write(&config, text.replace(&was, &is)).expect("how nodes are reached");
        let lab = TestLab::of(Lab::open(&folder, Path::new(STEAD)).expect("a lab"));
        lab.ask(Request::Tang(Plugged::Out));
        Self { lab, folder }
    }

    /// Switches nodes on, and waits until each disk of theirs has been tried in vain, or is open.
    fn start(&self, nodes: &[&str]) {
        self.lab.power_of(nodes, PowerAction::On);
        self.lab.up(nodes);
        for node in nodes {
            tried(&self.lab, node);
        }
    }

    /// Whether the disk of a node is open, with all that lay on it.
    fn has(&self, node: &str) -> bool {
        let open = self.lab.works(node, "findmnt -n /var/lib/stead/vault");
        if open {
            self.lab.on(node, &format!("cd {PHOTOS} && sha256sum -c --quiet sums && grep -q '{CANARY}' canary"));
        } else {
            // Nor by hand, and nothing of it is to be seen.
            let disk = self.lab.device(node, "disk1");
            self.lab.on(node, &format!("cryptsetup isLuks {disk}"));
            assert!(!self.lab.works(node, &format!("timeout 300 clevis luks unlock -d {disk} -n stolen")), "{node}");
            assert!(!self.lab.works(node, &format!("test -e {PHOTOS}")), "{node}");
        }
        open
    }

    /// Whether an OS disk has one of these words anywhere: all that was written to it since its image was made.
    fn os_disk_has(&self, node: &str, words: &[&str]) -> bool {
        let status = self.lab.status().expect("status");
        let layers = &status.nodes[node].state.bays["os"].disk.layers;
        assert!(!layers.is_empty());
        layers.iter().any(|layer| {
            let data = self.folder.join("layers").join(format!("{:06}.data", layer.0));
            assert!(data.is_file(), "{}", data.display());
            let mut search = Command::new("sh");
            // What was never written reads as zeros, which would be one long line.
            search.args(["-c", "tr '\\0' '\\n' < \"$0\" | LC_ALL=C grep -aqF \"$@\""]).arg(data);
            for word in words {
                search.args(["-e", word]);
            }
            search.status().expect("a search").success()
        })
    }
}

/// What `stead keys explain` says of who takes so much.
fn explained(cluster: &TestCluster) -> BTreeMap<String, bool> {
    let output = cluster.home.stead(&["keys", "explain", "--json"]);
    assert_code(&output, 0);
    let explained: serde_json::Value = serde_json::from_slice(&output.stdout).expect("JSON");
    let cases = explained["unlock"]["thefts"].as_array().expect("thefts").iter();
    cases.map(|case| (case["what"].as_str().expect("what").to_owned(), case["opens"] == true)).collect()
}

/// The recovery keys of all disks.
fn recovery_keys(cluster: &TestCluster) -> Vec<String> {
    let (spec, _) = stead_spec::parse("stead.toml", cluster.home.text().as_bytes()).expect("a good file");
    let path = |name: &str| Utf8PathBuf::from_path_buf(cluster.home.dir.join(name)).expect("UTF-8");
    let sealed = Sealed::load(&path("stead.secrets"), &spec.cluster().id).expect("sealed secrets").expect("some");
    let mut identities = Identities::new(Box::new(|_| panic!("no key of the lab has a passphrase")));
    identities.add(&path("id_ed25519")).expect("a key");
    let names =
        sealed.records().iter().map(|record| record.name().clone()).filter(|name| name.as_str().starts_with("disk/"));
    let keys: Vec<String> =
        names.map(|name| sealed.open(&name, &identities).expect("a key").expose_secret().to_string()).collect();
    assert_eq!(keys.len(), 3);
    keys
}

#[test]
fn thieves_have_what_keys_explain_says() {
    let cluster = applied();
    for node in NODES {
        let fill = format!(
            "mkdir {PHOTOS} && cd {PHOTOS} && dd if=/dev/urandom of=photo bs=1M count=8 status=none && echo '{CANARY}' > canary && \
             sha256sum photo canary > sums && sync"
        );
        cluster.on(node, &fill);
        cluster.on(node, "echo 'a word that lies on an OS disk' > /var/lib/stead-canary && sync");
    }
    let keys = recovery_keys(&cluster);
    let says = explained(&cluster);
    cluster.power_of(&NODES, PowerAction::Off);

    // One node.
    let stolen = Stolen::copy(&cluster);
    stolen.start(&["node1"]);
    assert_eq!(stolen.has("node1"), says["1 node"]);
    for node in NODES {
        assert!(stolen.os_disk_has(node, &["a word that lies on an OS disk"]), "the search finds what is there");
        let secrets: Vec<&str> = keys.iter().map(String::as_str).chain([CANARY]).collect();
        assert!(!stolen.os_disk_has(node, &secrets), "a secret is on {node}'s OS disk");
    }
    // Two, with their OS disks.
    stolen.start(&["node2"]);
    comes_up_or_not(&stolen, &["node1", "node2"], says["2 nodes"]);
    drop(stolen);

    // All of them, without the tang that their disks ask for too.
    cluster.power_of(&NODES, PowerAction::On);
    comes_up(&cluster, &NODES);
    let url = cluster.status().expect("status").tang.url;
    let thumbprint = cluster.on(
        "node1",
        &format!(
            "curl -sSf {url}/adv | jose fmt -j- -Og payload -SyOg keys -AUo- | jose jwk use -i- -r -u verify -o- | jose jwk thp -a S256 -i-"
        ),
    );
    let unlock = format!(
        "[unlock]\nall = [{{ any = \"nodes\" }}, {{ tang = \"{url}\", thumbprint = \"{thumbprint}\" }}]\n\n[network.core]"
    );
    cluster.home.edit("[network.core]", &unlock);
    cluster.home.applies();
    let says = explained(&cluster);
    assert!(out(&cluster.home.stead(&["status"])).contains(&url), "the sentence names it");
    cluster.power_of(&NODES, PowerAction::Off);
    let stolen = Stolen::copy(&cluster);
    stolen.start(&NODES);
    for node in NODES {
        assert_eq!(stolen.has(node), says["all 3 nodes"], "{node}");
    }
    // With it, they open: it was that tang that was missing.
    stolen.lab.ask(Request::Tang(Plugged::In));
    comes_up_or_not(&stolen, &NODES, says[&format!("2 nodes and the tang {url}")]);
    drop(stolen);
}

/// Waits for these disks if they should open, which takes its time.
fn comes_up_or_not(stolen: &Stolen, nodes: &[&str], opens: bool) {
    for node in nodes {
        if opens {
            stolen.lab.within(600, node, "findmnt -n /var/lib/stead/vault");
        }
        assert_eq!(stolen.has(node), opens, "{node}");
    }
}

#[test]
fn a_stolen_node_has_nothing_and_opens_nothing_once_it_is_revoked() {
    let cluster = applied();
    cluster.power_of(&["node3"], PowerAction::Off);
    assert_code(&cluster.home.stead(&["keys", "revoke", "node3", "--yes"]), 0);
    assert!(cluster.home.text().contains("revoked = true"), "{}", cluster.home.text());
    assert!(out(&cluster.home.stead(&["status"])).contains("node3 is revoked"));
    // The thief sits in the core, beside the others.
    cluster.power_of(&["node3"], PowerAction::On);
    cluster.up(&["node3"]);
    cluster.until("node3", "curl -sSf http://10.10.0.1:7500/adv && curl -sSf http://10.10.0.2:7500/adv");
    tried(&cluster, "node3");
    assert!(!cluster.works("node3", "findmnt -n /var/lib/stead/vault"), "the keys of its disk are gone");
    // Nor is its own tang, which answers, worth anything.
    cluster.power_of(&["node1"], PowerAction::Off);
    cluster.power_cycle("node2");
    cluster.until("node2", "curl -sSf http://10.10.0.3:7500/adv");
    tried(&cluster, "node2");
    assert!(!cluster.works("node2", "findmnt -n /var/lib/stead/vault"), "nobody answers but the stolen one");
    cluster.power_of(&["node1"], PowerAction::On);
    comes_up(&cluster, &["node1", "node2"]);
}

#[test]
fn a_node_opens_by_hand_when_no_tang_is_left() {
    let cluster = applied();
    cluster.power_of(&NODES, PowerAction::Off);
    cluster.power_of(&["node3"], PowerAction::On);
    cluster.up(&["node3"]);
    tried(&cluster, "node3");
    assert!(!cluster.works("node3", "findmnt -n /var/lib/stead/vault"), "alone, it stays closed");
    assert_code(&cluster.home.stead(&["keys", "recover", "node3", "--yes"]), 0);
    cluster.until("node3", "findmnt -n /var/lib/stead/vault");
    cluster.power_of(&["node1", "node2"], PowerAction::On);
    comes_up(&cluster, &["node1", "node2"]);
    cluster.home.settled();
}

/// Waits until clevis has tried each closed disk of a node more than once, or none is closed.
pub(crate) fn tried(lab: &TestLab, node: &str) {
    let tries = "journalctl -b -o cat -u clevis-luks-askpass.service | grep -c \"Deactivated successfully\"";
    lab.within(600, node, &format!("findmnt -n /var/lib/stead/vault || test $({tries}) -ge 2"));
}
