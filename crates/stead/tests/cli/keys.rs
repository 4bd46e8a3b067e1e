use std::path::PathBuf;
use std::process::Command;

use serde_json::Value;
use ssh_key::rand_core::OsRng;
use ssh_key::{Algorithm, LineEnding, PrivateKey};

use super::{checkout, run_with_input};

/// A folder with a cluster file whose one admin has a key that was made just now.
struct Folder {
    folder: tempfile::TempDir,
}

impl Folder {
    fn new() -> Self {
        let made = Self { folder: tempfile::tempdir().expect("a folder") };
        let public = made.key("me");
        let text = std::fs::read_to_string(checkout("examples/minimal.toml")).expect("an example");
        let start = text.find("\"ssh-ed25519").expect("a key");
        let end = start + text[start..].find(']').expect("the end of the list");
        std::fs::write(made.path("stead.toml"), format!("{}\"{public}\"{}", &text[..start], &text[end..]))
            .expect("written");
        made
    }

    fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// Makes a private key of this name, and gives the public one.
    fn key(&self, name: &str) -> String {
        let mut key = PrivateKey::random(&mut OsRng, Algorithm::Ed25519).expect("a key");
        key.set_comment(format!("{name}@laptop"));
        std::fs::write(self.path(name), key.to_openssh(LineEnding::LF).expect("text").as_bytes()).expect("written");
        key.public_key().to_openssh().expect("text")
    }

    /// What `stead keys …` says here, with its code, and without what differs from run to run.
    fn keys(&self, arguments: &[&str], input: &str) -> String {
        steady(&super::said(&self.output(arguments, input)))
    }

    fn output(&self, arguments: &[&str], input: &str) -> std::process::Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        command.arg("keys").args(arguments).current_dir(self.folder.path());
        command.env_clear().env("HOME", self.folder.path());
        run_with_input(command, input.as_bytes())
    }

    fn text(&self, name: &str) -> String {
        std::fs::read_to_string(self.path(name)).unwrap_or_default()
    }

    /// Makes the sheet; the folder keeps it as `sheet`.
    fn sheet(&self) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_stead"));
        command.args(["keys", "sheet", "--out", "sheet"]).current_dir(self.folder.path()).env_clear();
        command.stdin(std::process::Stdio::piped()).stderr(std::process::Stdio::piped());
        let mut child = command.spawn().expect("stead starts");
        // What it asks for is on the sheet, which is whole once the question stands there.
        let mut err = std::io::BufReader::new(child.stderr.take().expect("an error output"));
        let mut said = Vec::new();
        std::io::BufRead::read_until(&mut err, b'\n', &mut said).expect("where the sheet is");
        let text = self.text("sheet");
        let key = text.lines().map(str::trim).find(|line| line.starts_with("AGE-SECRET-KEY-1")).expect("a key");
        let mut input = child.stdin.take().expect("an input");
        std::io::Write::write_all(&mut input, format!("wrong\n{}\n", &key[key.len() - 8..]).as_bytes()).expect("typed");
        drop(input);
        std::io::Read::read_to_end(&mut err, &mut said).expect("the rest");
        assert!(child.wait().expect("it ends").success(), "{}", String::from_utf8_lossy(&said));
        std::fs::write(self.path("sheet.key"), format!("{key}\n")).expect("written");
    }

    /// Seals the CAs, as the first apply does.
    fn seal(&self) {
        use stead_apply::secrets::{Recipients, Sealed, ensure_cas};
        let (spec, _) = stead_spec::parse("stead.toml", self.text("stead.toml").as_bytes()).expect("a good file");
        let mut sealed = Sealed::new(spec.cluster().id);
        let recipients = Recipients::of(&spec).expect("recipients");
        let made = stead_plan::inventory::Timestamp(1_795_360_070_000);
        ensure_cas(&mut sealed, &spec.cluster().name, &recipients, made).expect("made");
        let path = camino::Utf8PathBuf::from_path_buf(self.path("stead.secrets")).expect("a path");
        sealed.save(&path).expect("saved");
    }
}

/// Keys, fingerprints and the names of CAs are other ones each time.
fn steady(text: &str) -> String {
    let steady = |word: &str| {
        let start = |prefix: &str| word.find(prefix);
        if let Some(at) = start("SHA256:") {
            return format!("{}SHA256:…{}", &word[..at], &word[(at + 50).min(word.len())..]);
        }
        if let Some(at) = start("age1") {
            return format!("{}age1…{}", &word[..at], &word[(at + 62).min(word.len())..]);
        }
        if word.starts_with("AAAA") {
            return "AAAA…".to_owned();
        }
        word.to_owned()
    };
    let line = |line: &str| {
        let words: Vec<_> = line.split(' ').map(steady).collect();
        match words.iter().position(|word| word == "CA").filter(|at| at + 1 < words.len() && line.contains("CN=")) {
            Some(at) => format!("{} CA …", words[..at].join(" ")),
            None => words.join(" "),
        }
    };
    text.lines().map(|text| line(text).trim_end().to_owned() + "\n").collect()
}

#[test]
fn from_nothing_to_the_sheet() {
    let folder = Folder::new();
    let before = folder.text("stead.toml");
    insta::assert_snapshot!(folder.keys(&["list"], ""), @r"
    stead.secrets: 0 secrets; no recovery sheet yet: `stead keys sheet`
    code: 0
    ");
    insta::assert_snapshot!(folder.keys(&["sheet"], "XXXXXXXX\n"), @r"
    stderr:
    error: here is no terminal to show the sheet in
      next: run it in a terminal, or write the sheet to a file: `--out FILE`
    code: 64
    ");
    insta::assert_snapshot!(folder.keys(&["sheet", "--out", "sheet"], "1\n2\n3\n"), @r"
    stderr:
    the recovery sheet is in `sheet`: print it twice
    type the last 8 characters of the key that begins with AGE-SECRET-KEY-1, from the paper:
    that is not how it ends
    type the last 8 characters of the key that begins with AGE-SECRET-KEY-1, from the paper:
    that is not how it ends
    type the last 8 characters of the key that begins with AGE-SECRET-KEY-1, from the paper:
    error: that is not how the key ends; nothing has changed
      next: begin again: `stead keys sheet`; throw away what you printed
    code: 1
    ");
    insta::assert_snapshot!(folder.keys(&["sheet", "--out", "sheet"], ""), @r"
    stderr:
    the recovery sheet is in `sheet`: print it twice
    type the last 8 characters of the key that begins with AGE-SECRET-KEY-1, from the paper:
    error: there is nobody to ask: type the last 8 characters of the key that begins with AGE-SECRET-KEY-1, from the paper
      next: run it in a terminal
    code: 64
    ");
    assert!(folder.text("stead.toml") == before && !folder.path("sheet").exists());
    folder.sheet();
    let after = folder.text("stead.toml");
    let added: Vec<_> = after.lines().filter(|line| !before.contains(*line)).collect();
    assert!(matches!(added[..], [line] if line.starts_with("recovery = \"age1")), "{added:?}");
    insta::assert_snapshot!(folder.keys(&["sheet"], ""), @r"
    stderr:
    error: the cluster has a recovery sheet already, with age1… on it
      next: if it is lost or was seen, make another one: `stead keys sheet --replace`
    code: 1
    ");
}

#[test]
fn adding_and_revoking() {
    let folder = Folder::new();
    folder.sheet();
    folder.seal();
    let bob = folder.key("bob");
    let words: Vec<_> = ["add", "bob"].into_iter().chain(bob.split(' ')).collect();
    let before = (folder.text("stead.toml"), folder.text("stead.secrets"));
    let with = |more: &[&'static str]| [&words[..], more].concat();
    insta::assert_snapshot!(folder.keys(&with(&[]), "n\n"), @r"
    stderr:
    write a key of a new admin, `bob` into `stead.toml`: ssh-ed25519 AAAA… bob@laptop
    seal 4 secrets of `stead.secrets` anew, for bob (bob@laptop), me (me@laptop), the recovery sheet
    do this? [y/N]
    nothing has changed
    code: 0
    ");
    insta::assert_snapshot!(folder.keys(&with(&["--identity", "bob"]), "y\n"), @r"
    stderr:
    write a key of a new admin, `bob` into `stead.toml`: ssh-ed25519 AAAA… bob@laptop
    seal 4 secrets of `stead.secrets` anew, for bob (bob@laptop), me (me@laptop), the recovery sheet
    do this? [y/N]
    error: none of your keys opens `ca/machines`: it is sealed for me (me@laptop), the recovery sheet, and you have bob (bob@laptop) in `bob`
      next: name the private key with `--identity FILE`; the recovery sheet's text in a file is one too
    code: 1
    ");
    assert_eq!((folder.text("stead.toml"), folder.text("stead.secrets")), before);
    insta::assert_snapshot!(folder.keys(&with(&["--yes", "--identity", "me"]), ""), @r"
    stderr:
    write a key of a new admin, `bob` into `stead.toml`: ssh-ed25519 AAAA… bob@laptop
    seal 4 secrets of `stead.secrets` anew, for bob (bob@laptop), me (me@laptop), the recovery sheet
    done; `stead apply` brings it to the nodes
    code: 0
    ");
    insta::assert_snapshot!(folder.keys(&["list"], ""));
    insta::assert_snapshot!(folder.keys(&["reseal"], ""), @r"
    stderr:
    nothing to do
    code: 0
    ");
    insta::assert_snapshot!(folder.keys(&["revoke", "me", "me@laptop", "--identity", "bob"], "y\n"), @r"
    stderr:
    error: `me` has no other key
      next: take the whole admin: `stead keys revoke me`, or `stead keys add` another key first
    code: 1
    ");
    insta::assert_snapshot!(folder.keys(&["revoke", "me", "--identity", "bob"], "yes\n"), @r"
    stderr:
    take out of `stead.toml` the admin `me`
    seal 4 secrets of `stead.secrets` anew, for bob (bob@laptop), the recovery sheet
    do this? [y/N]
    done; `stead apply` takes it from the nodes

    Whoever had that may have copied what it opened, and git keeps the old file. Make anew what they must not know:
      ca/machines: `stead keys revoke --ca machines`
      ca/migration: `stead keys revoke --ca migration`
      ca/storage: `stead keys revoke --ca storage`
      ca/telemetry: `stead keys revoke --ca telemetry`
    code: 0
    ");
    insta::assert_snapshot!(folder.keys(&["revoke", "--ca", "machines", "--yes"], ""), @r"
    stderr:
    make a new CA for machines in `stead.secrets`
    keep the one before as `ca/machines/previous`, trusted until all nodes have the new one
    done; `stead apply` brings it to the nodes
    code: 0
    ");
    insta::assert_snapshot!(folder.keys(&["revoke", "--ca", "machines", "--yes"], ""), @r"
    stderr:
    error: the CA for machines that was replaced before is still trusted
      next: `stead apply` brings the new one to every node and ends that; then do this again
    code: 1
    ");
    insta::assert_snapshot!(folder.keys(&["revoke", "node3"], "n\n"), @r"
    stderr:
    write `revoked = true` into `[node.node3]` of `stead.toml`: the cluster does without it, and all tangs get new keys
    do this? [y/N]
    nothing has changed
    code: 0
    ");
    insta::assert_snapshot!(folder.keys(&["revoke", "node3", "me@laptop"], ""), @r"
    stderr:
    error: `node3` is a node, and has no key `me@laptop`
      next: name the node alone
    code: 1
    ");
    insta::assert_snapshot!(folder.keys(&["revoke", "eve"], ""), @r"
    stderr:
    error: `stead.toml` has no admin and no node `eve`
      next: name one of bob, node1, node2, node3
    code: 1
    ");
    insta::assert_snapshot!(folder.keys(&["revoke", "bob", "--yes"], ""), @r"
    stderr:
    error: `bob` is the only admin
      next: add another one first: `stead keys add ADMIN PUBLICKEY`
    code: 1
    ");
}

#[test]
fn a_file_that_was_changed_by_hand() {
    let folder = Folder::new();
    folder.sheet();
    folder.seal();
    let new = folder.key("new");
    let text = folder.text("stead.toml").replace("keys = [\"", &format!("keys = [\"{new}\", \""));
    std::fs::write(folder.path("stead.toml"), text).expect("written");
    let listed = folder.output(&["list", "--json"], "");
    assert_eq!(listed.status.code(), Some(2));
    let json: Value = serde_json::from_slice(&listed.stdout).expect("JSON");
    let all = json["secrets"].as_array().expect("a list");
    assert_eq!((all.len(), &json["schema_version"]), (4, &1.into()));
    assert!(all.iter().all(|one| one["as_asked"] == false && one["certificate"]["until"] == "2076-01-01T00:00:00Z"));
    assert_eq!(all[0]["certificate"]["purpose"], "machines");
    insta::assert_snapshot!(folder.keys(&["reseal", "--yes", "--identity", "sheet.key"], ""), @r"
    stderr:
    seal 4 secrets of `stead.secrets` anew, for me (me@laptop), me (new@laptop), the recovery sheet
    done: 4 secrets sealed anew
    code: 0
    ");
    insta::assert_snapshot!(folder.keys(&["reseal"], ""), @r"
    stderr:
    nothing to do
    code: 0
    ");
    assert!(folder.keys(&["list", "--json"], "").ends_with("code: 0\n"));
    let secrets = folder.text("stead.secrets");
    std::fs::write(folder.path("stead.secrets"), secrets.lines().take(12).collect::<Vec<_>>().join("\n")).expect("cut");
    insta::assert_snapshot!(folder.keys(&["list"], ""), @r"
    stderr:
    error: the sealed secrets in `stead.secrets` can't be read
      because: line 12: `-----END CERTIFICATE-----` is missing: the file is cut off
      next: take the file from your git once more, or fetch it back from a node: `stead adopt ADDRESS`
    code: 1
    ");
    std::fs::write(folder.path("stead.secrets"), secrets.replacen("[ca/m", "=======\n[ca/m", 1)).expect("in conflict");
    insta::assert_snapshot!(folder.keys(&["list"], ""), @r"
    stderr:
    error: the sealed secrets in `stead.secrets` can't be read
      because: line 5: a conflict of git's is there: `=======`
      next: git could not merge this place: keep the records of both sides, of two with one name keep one, and take the marks out
    code: 1
    ");
}

#[test]
fn what_opens_disks() {
    let folder = Folder::new();
    let said = folder.keys(&["explain"], "");
    assert!(said.contains("who takes 2 nodes has them") && said.ends_with("code: 0\n"), "{said}");
    let json: Value = serde_json::from_slice(&folder.output(&["explain", "--json"], "").stdout).expect("JSON");
    assert_eq!(json["unlock"]["thefts"][1]["what"], "1 node");
    assert_eq!(json["unlock"]["thefts"][1]["opens"], false);
    assert_eq!(json["unlock"]["thefts"][2]["opens"], true);
}
