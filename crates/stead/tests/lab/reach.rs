//! The ways to the nodes: how stead is let in, connections that break in the middle, and what stands in the way.

use std::fs;
use std::io::{Read as _, Write as _};
use std::process::{Command, Stdio};

use stead_lab::protocol::Request;

use crate::cluster::{AGENT_GONE, Home, INSTALLS, REMOVE, applied, assert_code, err, out};
use crate::support::{STEAD, TestLab, fresh};

/// Takes all room of the OS disk, almost all of it without writing.
const FILL: &str = "fallocate -l $(($(stat -f -c '%f * %S' /) - (64 << 20))) /filler; \
                    dd if=/dev/zero of=/filler2 bs=1M 2>/dev/null; dd if=/dev/zero of=/filler3 bs=1k 2>/dev/null; true";

/// A user's password, and root's.
const PASSWORDS: [&str; 2] = ["a-first-Password", "a-second-Password"];

#[test]
fn a_fresh_debian_is_enrolled_with_passwords_typed_at_a_terminal() {
    let lab = fresh();
    let home = Home::new(&lab, "enroll");
    home.make_key();
    // As Debian's installer leaves it: with a password for root there is no sudo for the user, without one there is.
    let [user, root] = PASSWORDS;
    for (node, groups) in [("node1", "sudo"), ("node2", "users")] {
        let script = format!(
            "useradd -m -s /bin/bash -G {groups} debian && printf 'debian:{user}\\nroot:{root}\\n' | chpasswd && \
             echo 'PasswordAuthentication yes' >/etc/ssh/sshd_config.d/01-passwords.conf && systemctl reload ssh"
        );
        lab.on(node, &script);
    }
    for (node, asked) in [("node1", [user, user]), ("node2", [user, root])] {
        let config = plain_ssh(&lab, &home, node);
        let said = enroll(&home, &config, &asked);
        assert!(said.contains("is ready"), "{said}");
        // The key opens, and makes root, without anything typed.
        let script = "sudo -n id -u; sort ~/.ssh/authorized_keys | uniq -d";
        assert_eq!(by_key(&home, &config, script), "0", "{said}");
        // Nobody is asked for anything the second time, and nothing is done twice.
        let again =
            home.stead(&["node", "enroll", "fresh", "--key", "id_ed25519.pub", "--yes", "--ssh-config", &config]);
        assert_code(&again, 0);
        assert_eq!(by_key(&home, &config, script), "0");
    }
}

#[test]
fn what_stands_in_the_way_is_told_and_nothing_is_half_done() {
    let cluster = applied();
    let refused = |code: i32, words: &[&str]| {
        let output = cluster.home.stead(&["apply", "--yes"]);
        assert_code(&output, code);
        let said = out(&output) + &err(&output);
        assert!(words.iter().all(|word| said.contains(word)), "{words:?} in\n{said}");
    };
    // A disk without room: the others' steps are done, its own file stays as it is.
    cluster.on("node1", "sed -i /node2.core/d /etc/hosts && sha256sum /etc/hosts >/var/lib/sum");
    cluster.on("node3", "sed -i /node2.core/d /etc/hosts");
    cluster.on("node1", FILL);
    assert!(!cluster.works("node1", "dd if=/dev/zero of=/var/lib/stead/x bs=4k count=1 2>/dev/null"), "it is full");
    refused(1, &["node1", "No space left on device"]);
    cluster.on("node1", "sha256sum --status -c /var/lib/sum");
    cluster.on("node3", "grep -q node2.core /etc/hosts");
    cluster.on("node1", "rm -f /filler* /var/lib/stead/x");
    cluster.home.applies();
    // An agent that a bad disk has bitten is not run; a good one comes in its place.
    cluster.on("node2", "for agent in /var/lib/stead/agent/stead-*; do truncate -s 100000 $agent; done");
    cluster.home.settled();
    // What isn't Debian, and what a newer stead has applied, is left alone.
    cluster.on("node2", "cp --remove-destination $(readlink -f /etc/os-release) /etc/os-release");
    cluster.on("node2", "sed -i 's/^ID=.*/ID=fedora/; s/^PRETTY_NAME=.*/PRETTY_NAME=\"Fedora 43\"/' /etc/os-release");
    cluster.on("node3", "sed -i /node2.core/d /etc/hosts");
    refused(1, &["node2", "Fedora 43", "install Debian 13 or 12"]);
    cluster.on("node2", "ln -sf ../usr/lib/os-release /etc/os-release");
    let kept = "/var/lib/stead/generations/current/generation.json";
    cluster.on("node2", &format!("sed -i 's/\"format\": 1/\"format\": 2/' {kept}"));
    refused(1, &["node2", "a newer stead was here", "update stead on this computer"]);
    assert!(!cluster.works("node3", "grep -q node2.core /etc/hosts"), "and nothing was done on the others");
}

#[test]
fn an_ssh_that_is_cut_in_an_apply_is_told_and_the_next_one_goes_on() {
    let cluster = applied();
    cluster.on("node2", REMOVE);
    let apply = cluster.home.apply_until(INSTALLS);
    apply.cut_ssh("node2");
    let (code, said) = apply.ends();
    assert!(matches!(code, Some(1 | 3)) && said.contains("node2") && said.contains("nobody knows"), "{code:?}: {said}");
    // The agent ends its command; an apply while it does so is told who holds the node.
    cluster.until("node2", &format!("ethtool --version && {AGENT_GONE}"));
    let (steps, _) = cluster.home.planned();
    assert!(!steps.iter().any(|step| step == "host/node2/packages"), "it was done, unreported: {steps:?}");
    cluster.home.applies();
}

#[test]
fn a_connection_that_is_half_open_is_given_up_and_the_next_apply_goes_on() {
    let cluster = applied();
    cluster.on("node2", REMOVE);
    cluster.on("node1", "sed -i /node2.core/d /etc/hosts");
    let apply = cluster.home.apply_until(INSTALLS);
    // Nothing answers any more, and nobody says so: neither ssh nor TCP hears an end.
    cluster.ask(Request::Freeze { node: "node2".into() });
    let (code, said) = apply.ends();
    assert_eq!(code, Some(3), "{said}");
    assert!(said.contains("node2"), "{said}");
    cluster.on("node1", "grep -q node2.core /etc/hosts");
    cluster.ask(Request::Thaw { node: "node2".into() });
    cluster.up(&["node2"]);
    // Its agent finds that nobody is there, ends its command, and lets the node go.
    cluster.until("node2", AGENT_GONE);
    cluster.home.applies();
}

#[test]
fn ctrl_c_ends_an_apply_after_the_step_that_runs() {
    let cluster = applied();
    cluster.on("node1", REMOVE);
    // It comes after the packages.
    cluster.on("node1", "timedatectl set-timezone Asia/Tokyo");
    let apply = cluster.home.apply_until(INSTALLS);
    apply.interrupt();
    let (code, said) = apply.ends();
    assert_eq!(code, Some(1), "{said}");
    cluster.on("node1", "ethtool --version");
    assert_eq!(cluster.home.planned().0, ["host/node1/timezone"], "what had begun was ended, and nothing else: {said}");
    cluster.home.applies();
}

/// A configuration of ssh for a node as somebody finds it who has no key there yet: as `fresh`, by the user that the
/// installer made.
fn plain_ssh(lab: &TestLab, home: &Home, node: &str) -> String {
    let lab = fs::read_to_string(lab.path().join("ssh_config")).expect("the lab's configuration");
    let dial = lab.lines().find(|line| line.contains("ProxyCommand")).expect("a way").replace("%n", node);
    let text = format!(
        "Host fresh\n  User debian\n  StrictHostKeyChecking no\n  UserKnownHostsFile /dev/null\n  IdentitiesOnly yes\n  \
         IdentityFile {}\n{dial}\n",
        home.dir.join("id_ed25519").display()
    );
    let path = home.dir.join(format!("{node}.ssh"));
    fs::write(&path, text).expect("a configuration");
    path.to_str().expect("text").to_owned()
}

/// Runs `stead node enroll` at a terminal, agrees, and types these passwords as they are asked for.
fn enroll(home: &Home, config: &str, passwords: &[&str]) -> String {
    let command = format!("{STEAD} node enroll fresh --key id_ed25519.pub --ssh-config {config}");
    let mut terminal = Command::new("script");
    terminal.args(["--quiet", "--return", "--command", &command, "/dev/null"]).current_dir(&home.dir);
    let mut child = terminal.stdin(Stdio::piped()).stdout(Stdio::piped()).spawn().expect("script starts");
    let (mut keyboard, mut screen) = (child.stdin.take().expect("a keyboard"), child.stdout.take().expect("a screen"));
    let mut answers = [("do this? [y/N]", "y")].into_iter().chain(passwords.iter().map(|word| ("assword", *word)));
    let mut answer = answers.next();
    let (mut said, mut seen, mut piece) = (String::new(), 0, [0; 1024]);
    loop {
        let length = screen.read(&mut piece).expect("the screen");
        if length == 0 {
            break;
        }
        said.push_str(&String::from_utf8_lossy(&piece[..length]));
        // A question ends where the cursor waits.
        if let Some((question, typed)) = answer
            && said[seen..].contains(question)
            && said.ends_with(": ") | said.ends_with("] ")
        {
            keyboard.write_all(format!("{typed}\n").as_bytes()).expect("typing");
            seen = said.len();
            answer = answers.next();
        }
    }
    let status = child.wait().expect("an end");
    assert!(status.success() && answer.is_none(), "{status}: {said}");
    assert!(!passwords.iter().any(|word| said.contains(word)), "no password is shown: {said}");
    said
}

/// What a script says that is run over ssh with the key alone.
fn by_key(home: &Home, config: &str, script: &str) -> String {
    let mut ssh = Command::new("ssh");
    ssh.args(["-F", config, "-o", "BatchMode=yes", "fresh", script]).current_dir(&home.dir);
    let output = ssh.output().expect("ssh");
    assert_code(&output, 0);
    out(&output).trim().to_owned()
}
