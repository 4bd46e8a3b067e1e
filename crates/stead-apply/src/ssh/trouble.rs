//! What goes wrong with ssh, in words for the person who reads them.

use stead_node::protocol::{Answer, VERSION};

use stead_spec::units::{NodeName, SshTarget};

use super::Machine;
use super::bootstrap::{Failure, Obstacle};
use super::process::Ending;
use super::wire::End;
use crate::reach::Lost;

/// Where ssh was to go, for errors.
#[derive(Clone, Debug)]
pub(super) struct Place {
    /// `node1 (root@192.0.2.11)`.
    node: String,
    target: SshTarget,
    /// What logs in there as stead did.
    command: String,
    /// What a person logs in with, and is asked.
    by_hand: String,
}

impl Place {
    pub(super) fn new(name: Option<&NodeName>, target: &SshTarget, command: String, by_hand: String) -> Self {
        let node = name.map_or_else(|| target.to_string(), |name| format!("{name} ({target})"));
        Self { node, target: target.clone(), command, by_hand }
    }

    /// There is no agent.
    pub(super) fn not_up(&self, failure: Failure, ending: &Ending) -> Lost {
        match failure {
            Failure::No(obstacle) => self.obstacle(&obstacle, ending),
            Failure::Slow(seconds) => {
                let why = self.why(&format!("took too long to log in ({seconds} s)"), &ending.stderr);
                Lost { why, hint: Some(format!("see what it waits for: `{}`", self.by_hand)) }
            }
            Failure::Ended(_) if let Some((what, hint)) = self.known(&ending.stderr) => {
                Lost { why: self.why(what, &ending.stderr), hint: Some(hint) }
            }
            Failure::Ended(said) if ending.status == Some(127) => {
                let why = self.why("has no `sh`, so it can't be a Debian", &join(&said, &ending.stderr));
                Lost { why, hint: Some("stead wants Debian 12 or 13 on its nodes".to_owned()) }
            }
            Failure::Ended(said) => {
                let why = self.why("hung up before the agent was there", &join(&said, &ending.stderr));
                Lost { why, hint: Some(format!("does it run commands? `{}`", self.by_hand)) }
            }
            Failure::Chatter(said) => {
                let why = self.why("says other things than a shell does", &said);
                let hint = "ssh must lead to a login shell there, not to a program of its own".to_owned();
                Lost { why, hint: Some(hint) }
            }
        }
    }

    fn obstacle(&self, obstacle: &Obstacle, ending: &Ending) -> Lost {
        let enroll = format!("let stead set that up: `stead node enroll {}`", self.target);
        let (what, hint) = match obstacle {
            Obstacle::Root => ("is reached as a user who isn't root, and has no sudo".to_owned(), enroll),
            Obstacle::Sudo => ("wants a password for sudo, or forbids it to this user".to_owned(), enroll),
            Obstacle::Tool(tool) => (
                format!("has no `{tool}`, which is on every Debian"),
                "stead wants Debian 12 or 13 on its nodes".to_owned(),
            ),
            Obstacle::Machine(uname) => (format!("is a computer ({uname}) that this stead has no agent for"), {
                let file = Machine::ALL.into_iter().find(|machine| machine.uname() == uname).map(Machine::file);
                match file {
                    Some(file) => format!(
                        "put `{file}` of the same version beside `stead`, or into the folder that STEAD_AGENTS names"
                    ),
                    None => "stead is built for x86_64 and aarch64".to_owned(),
                }
            }),
            Obstacle::Folder => (
                "lets nobody make /var/lib/stead/agent".to_owned(),
                "is its file system read-only? On the node: `findmnt -T /var/lib`, `dmesg | tail`".to_owned(),
            ),
            Obstacle::Space(free) => {
                let free = free.parse::<u64>().map_or_else(|_| free.clone(), |free| format!("{} MiB", free >> 20));
                let what = format!("has too little space for the agent: {free} are free in /var/lib/stead");
                (what, "make some: on the node, `apt-get clean`, `journalctl --vacuum-size=100M`".to_owned())
            }
            Obstacle::Write => (
                "could not write the agent to /var/lib/stead/agent".to_owned(),
                "is its OS disk full, or broken? On the node: `df -h /var/lib/stead`, `dmesg | tail`".to_owned(),
            ),
            Obstacle::Sum => ("got a damaged agent".to_owned(), "run the same command again".to_owned()),
            Obstacle::Exec => (
                "doesn't start programs from /var/lib/stead".to_owned(),
                "that file system is mounted `noexec`; on the node: `findmnt -T /var/lib/stead`".to_owned(),
            ),
        };
        Lost { why: self.why(&what, &ending.stderr), hint: Some(hint) }
    }

    /// The agent was started and didn't answer the greeting.
    pub(super) fn not_greeted(&self, end: &End, ending: &Ending) -> Lost {
        let library = ["GLIBC_", "required file not found", "shared libraries"];
        let hint = library.iter().any(|sign| ending.stderr.contains(sign)).then(|| {
            let file = Machine::own().map_or("stead-amd64", Machine::file);
            format!("this stead was built for another Debian; put a static build into STEAD_AGENTS as `{file}`")
        });
        let what = match end {
            End::Ended | End::Torn => "started the agent, which ended at once".to_owned(),
            End::Silent(seconds) => format!("started the agent, which says nothing ({seconds} s)"),
            End::Garbage(what) => format!("started the agent, which doesn't speak stead's language ({what})"),
        };
        Lost { why: self.why(&what, &ending.stderr), hint }
    }

    /// The connection is lost.
    pub(super) fn cut(&self, end: &End, ending: &Ending) -> Lost {
        let unsure = "whether what was asked is done, nobody knows";
        let what = match end {
            End::Ended => format!("is cut off in the middle; {unsure}"),
            End::Silent(seconds) => format!("has said nothing for {seconds} s; {unsure}"),
            End::Garbage(what) => format!("says what makes no sense ({what}); {unsure}"),
            End::Torn => format!("was not waited for; {unsure}"),
        };
        let hint = "run the same command again: it looks anew, and what is done stays done".to_owned();
        Lost { why: self.why(&what, &ending.stderr), hint: Some(hint) }
    }

    /// The agent is of another stead.
    pub(super) fn other_version(&self, version: u32) -> Lost {
        let what = format!("has an agent of another version of stead: it speaks {version}, this stead {VERSION}");
        let hint = "what is in STEAD_AGENTS must be of the same version as `stead`".to_owned();
        Lost { why: self.why(&what, ""), hint: Some(hint) }
    }

    /// The agent refuses, or answers something else.
    pub(super) fn unexpected(&self, answer: Answer) -> Lost {
        let Lost { why, hint } = Lost::unexpected(answer);
        Lost { why: format!("{}: {why}", self.node), hint }
    }

    fn why(&self, what: &str, said: &str) -> String {
        let head = format!("{} {what}: `{}`", self.node, self.command);
        [head.as_str()].into_iter().chain(said.lines()).collect::<Vec<_>>().join("\n  ")
    }

    /// What ssh's own words mean. Of the signs, the first that is there counts.
    fn known(&self, stderr: &str) -> Option<(&'static str, String)> {
        let Self { target, by_hand, .. } = self;
        let key = "ssh-keygen -lf /etc/ssh/ssh_host_ed25519_key.pub";
        let signs: [(&[&str], &'static str, String); 8] = [
            (
                &["REMOTE HOST IDENTIFICATION HAS CHANGED", "host key for"],
                "has another host key than before, so somebody else may be answering in its place",
                format!(
                    "if you reinstalled it, compare the key at its console (`{key}`) with ssh's words, then forget the \
                     old one: `ssh-keygen -R {}`. If not, find out who answers",
                    known_as(target)
                ),
            ),
            (
                &["Host key verification failed", "host key is known for"],
                "has a host key that you haven't accepted yet",
                format!("compare it with the node's own (at its console: `{key}`) and accept it: `{by_hand}`"),
            ),
            (
                &["Too many authentication failures"],
                "is offered too many keys",
                "name the right one in ~/.ssh/config: IdentityFile, with `IdentitiesOnly yes`".to_owned(),
            ),
            (
                &["Permission denied"],
                "doesn't let this user in",
                format!(
                    "if it has your key, give that to ssh: `ssh-add`, then try `{by_hand}`; if it is a fresh Debian: \
                     `stead node enroll {target}`"
                ),
            ),
            (
                &["Could not resolve hostname"],
                "has a name that nobody knows",
                "check `ssh` of that node in the cluster file, or write its address there".to_owned(),
            ),
            (
                &["Connection refused"],
                "is on, but no ssh answers there",
                format!("is it still booting? Try `{by_hand}`; at its console: `systemctl status ssh`"),
            ),
            (
                &["timed out", "No route to host", "is unreachable", "Host is down"],
                "doesn't answer",
                "is it on, its cable in, and its address right?".to_owned(),
            ),
            (
                &["Connection closed", "Connection reset", "Broken pipe", "not responding"],
                "hung up",
                format!("try `{by_hand}`; at its console: `journalctl -u ssh`"),
            ),
        ];
        let found = signs.into_iter().find(|(signs, ..)| signs.iter().any(|sign| stderr.contains(sign)));
        found.map(|(_, what, hint)| (what, hint))
    }
}

/// What `known_hosts` calls it.
fn known_as(target: &SshTarget) -> String {
    match target.port() {
        Some(port) if port != 22 => format!("'[{}]:{port}'", target.host()),
        _ => target.host().to_owned(),
    }
}

fn join(one: &str, other: &str) -> String {
    [one, other].into_iter().filter(|text| !text.is_empty()).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn lost(stderr: &str) -> Lost {
        let target: SshTarget = "admin@192.0.2.11:2222".parse().expect("a target");
        let name = "node1".parse().expect("a name");
        let place = Place::new(Some(&name), &target, "ssh -o BatchMode=yes".to_owned(), "ssh".to_owned());
        place.not_up(Failure::Ended(String::new()), &Ending { status: Some(255), stderr: stderr.to_owned() })
    }

    #[test]
    fn words_of_ssh_have_a_meaning_and_a_next_step() {
        // As OpenSSH 9.2 and 10.0 say them.
        for (stderr, what, next) in [
            ("admin@192.0.2.11: Permission denied (publickey).", "let this user in", "stead node enroll admin@192"),
            ("Host key verification failed.", "haven't accepted", "ssh_host_ed25519_key.pub"),
            (
                "@    WARNING: REMOTE HOST IDENTIFICATION HAS CHANGED!     @\nHost key verification failed.",
                "somebody else",
                "ssh-keygen -R '[192.0.2.11]:2222'",
            ),
            ("ssh: Could not resolve hostname node1: Name or service not known", "nobody knows", "cluster file"),
            ("ssh: connect to host 192.0.2.11 port 2222: Connection refused", "no ssh answers", "booting"),
            ("ssh: connect to host 192.0.2.11 port 2222: Connection timed out", "doesn't answer", "is it on"),
            ("ssh: connect to host 192.0.2.11 port 2222: No route to host", "doesn't answer", "is it on"),
            ("ssh: connect to host 192.0.2.11 port 2222: Network is unreachable", "doesn't answer", "is it on"),
            ("Connection closed by 192.0.2.11 port 2222", "hung up", "journalctl -u ssh"),
            ("Received disconnect: Too many authentication failures", "too many keys", "IdentitiesOnly"),
            ("something new", "hung up before", "does it run commands?"),
        ] {
            let Lost { why, hint } = lost(stderr);
            assert!(why.starts_with("node1 (admin@192.0.2.11:2222) ") && why.contains(what), "{why}");
            assert!(why.contains("`ssh -o BatchMode=yes`") && stderr.lines().all(|line| why.contains(line)), "{why}");
            assert!(hint.as_ref().is_some_and(|hint| hint.contains(next)), "{stderr}: {hint:?}");
        }
    }
}
