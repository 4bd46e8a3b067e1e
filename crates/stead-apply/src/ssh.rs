//! The one place in this crate that starts programs: nodes over the system's own ssh, so that the user's configuration,
//! keys, jump hosts and known hosts apply.
#![allow(clippy::disallowed_methods, reason = "this is that place")]

mod agents;
mod bootstrap;
mod process;
mod trouble;
mod wire;

use std::collections::BTreeMap;
use std::io;
use std::process::Stdio;

use camino::Utf8PathBuf;
use stead_node::protocol::{Answer, Hello, Request, Role, VERSION};
use stead_plan::generation::Stamp;
use stead_plan::inventory::Timestamp;

use stead_spec::units::{ClusterId, NodeName, SshTarget};
use stead_spec::words::quote;
use tokio::io::BufReader;
use tokio::process::Command;
use tokio::time::Instant;

use crate::reach::{ClockReading, Link, Lost, Reach};
use process::Process;
use trouble::Place;
use wire::{End, Wire};

pub use agents::{AgentBinaries, Machine};

/// Where a node is.
#[derive(Clone, Debug)]
pub struct Target {
    /// Its address.
    pub ssh: SshTarget,
    /// What it was called before, if it is to be renamed.
    pub was: Option<NodeName>,
}

/// What is to be known to reach the nodes of a cluster.
#[derive(Clone, Debug)]
pub struct SshConfig {
    /// Where they are.
    pub nodes: BTreeMap<NodeName, Target>,
    /// Whose nodes they should be. `None`: they may be anybody's, and nothing will be changed.
    pub cluster: Option<ClusterId>,
    /// Who asks: `me@laptop`.
    pub who: String,
    /// The spec's patience: multiplies time-outs.
    pub patience: u8,
    /// Whether what tools said on the nodes is to be sent along.
    pub record: bool,
    /// A configuration of ssh's to be read instead of the user's.
    pub config_file: Option<Utf8PathBuf>,
    /// What is copied to nodes.
    pub agents: AgentBinaries,
    /// The program. `None`: `ssh`, as it is found in `PATH`.
    pub program: Option<Utf8PathBuf>,
}

/// Reaches nodes over ssh.
#[derive(Clone, Debug)]
pub struct Ssh(SshConfig);

/// A connection to a node's agent, over one process of ssh.
#[derive(Debug)]
pub struct SshLink {
    // Dropped before the process: ssh sees its input end, and goes.
    wire: Wire,
    process: Process,
    place: Place,
    greeted: Greeted,
}

/// The node's time, and the round trip in which it was told.
#[derive(Clone, Copy, Debug)]
struct Greeted {
    node: Timestamp,
    asked: Instant,
    answered: Instant,
}

/// How long ssh may take to connect, in seconds, times the patience. A PC on the same network answers in a millisecond;
/// a name server that is down costs five seconds.
const CONNECT: u64 = 10;

/// After how many of ssh's own signs of life without an answer it gives up, times the patience, and how many seconds
/// lie between two. It is earlier than the agent's own silence is noticed, and ssh says why.
const ALIVE_COUNT: u64 = 3;
const ALIVE_EVERY: u64 = 5;

impl Ssh {
    /// With this configuration.
    pub fn new(config: SshConfig) -> Self {
        Self(config)
    }

    /// Connects to something that is in no cluster file, to look at it or to fetch what it keeps.
    ///
    /// # Errors
    /// As [`Reach::link`].
    pub async fn link_to(&self, target: &SshTarget, role: Role) -> Result<SshLink, Lost> {
        self.open(None, &Target { ssh: target.clone(), was: None }, role).await
    }

    async fn open(&self, name: Option<&NodeName>, at: &Target, role: Role) -> Result<SshLink, Lost> {
        let Self(config) = self;
        let Target { ssh: target, was } = at;
        let place = Place::new(name, target, self.shown(target, &["-o", "BatchMode=yes"]), self.shown(target, &[]));
        let mut command = self.command(target);
        let mut child = command.spawn().map_err(|error| not_started(&error))?;
        let (Some(stdout), Some(mut stdin), Some(stderr)) =
            (child.stdout.take(), child.stdin.take(), child.stderr.take())
        else {
            return Err(Lost { why: "ssh was started without its pipes".to_owned(), hint: None });
        };
        let mut process = Process::new(child, stderr);
        let mut stdout = BufReader::new(stdout);
        let within = CONNECT * u64::from(config.patience);
        let up = bootstrap::start(&mut stdout, &mut stdin, &config.agents, within, config.patience).await;
        if let Err(failure) = up {
            drop((stdin, stdout));
            return Err(place.not_up(failure, &process.end().await));
        }
        let mut wire = Wire::start(stdout, stdin, config.patience);
        let hello = Hello {
            version: VERSION,
            role,
            who: config.who.clone(),
            stamp: name.zip(config.cluster).map(|(name, cluster)| Stamp { cluster, node: name.clone() }),
            was: was.clone(),
            patience: config.patience,
            record: config.record,
        };
        let asked = Instant::now();
        match wire.ask(Request::Hello(hello), &mut |_| ()).await {
            Ok(Answer::Hello { version: VERSION, now }) => {
                let greeted = Greeted { node: now, asked, answered: Instant::now() };
                Ok(SshLink { wire, process, place, greeted })
            }
            Ok(Answer::Hello { version, .. }) => Err(place.other_version(version)),
            Ok(answer) => Err(place.unexpected(answer)),
            Err(end) => {
                drop(wire);
                Err(place.not_greeted(&end, &process.end().await))
            }
        }
    }

    /// Runs a shell command there, on this terminal, with ssh's own prompts and those of what it runs.
    ///
    /// # Errors
    /// It did not end well. What went wrong, the terminal shows.
    pub async fn interactive(&self, target: &SshTarget, script: &str) -> Result<(), Lost> {
        let program = self.program();
        let mut command = Command::new(program);
        command.args(["-t", "-o", "RemoteCommand=none"]).args(self.whereto(target)).arg(script);
        match command.status().await {
            Ok(status) if status.success() => Ok(()),
            Ok(status) => Err(Lost {
                why: format!("it was not done ({status}): {}", self.shown(target, &["-t"])),
                hint: Some("what is above says why; it can be run again, and does nothing twice".to_owned()),
            }),
            Err(error) => Err(not_started(&error)),
        }
    }

    /// Has a port of this computer lead to one there, until somebody ends it.
    ///
    /// # Errors
    /// It ended by itself. What went wrong, the terminal shows.
    pub async fn tunnel(&self, target: &SshTarget, here: u16, there: u16) -> Result<(), Lost> {
        let program = self.program();
        let leads = format!("127.0.0.1:{here}:127.0.0.1:{there}");
        let mut command = Command::new(program);
        command.args(["-N", "-o", "RemoteCommand=none", "-o", "ExitOnForwardFailure=yes", "-L", &leads]);
        command.args(self.whereto(target)).kill_on_drop(true);
        match command.status().await {
            Ok(status) => Err(Lost { why: format!("ssh to {} ended ({status})", target.host()), hint: None }),
            Err(error) => Err(not_started(&error)),
        }
    }

    /// What is run.
    fn command(&self, target: &SshTarget) -> Command {
        let patience = u64::from(self.0.patience);
        let mut command = Command::new(self.program());
        // Nobody is there to be asked, and what the user's configuration makes of interactive sessions (a terminal, a
        // command of their own, forwarded ports, agents and displays) is none of a node's business.
        command.args(["-T", "-a", "-x", "-o", "BatchMode=yes", "-o", "ClearAllForwardings=yes"]);
        // What ssh says is what a person is told when it fails, so it isn't to be quiet.
        command.args(["-o", "RemoteCommand=none", "-o", "LogLevel=INFO"]);
        command.args(["-o", &format!("ConnectTimeout={}", CONNECT * patience)]);
        command.args(["-o", &format!("ServerAliveInterval={ALIVE_EVERY}")]);
        command.args(["-o", &format!("ServerAliveCountMax={}", ALIVE_COUNT * patience)]);
        command.args(self.whereto(target)).arg(bootstrap::command(&self.0.agents));
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).kill_on_drop(true);
        // Ctrl-C is for stead, which ends what it does in good order, and then ssh.
        command.process_group(0);
        command
    }

    /// ssh itself.
    fn program(&self) -> &str {
        self.0.program.as_deref().map_or("ssh", |program| program.as_str())
    }

    /// The words that say where to.
    fn whereto(&self, target: &SshTarget) -> Vec<String> {
        let mut words = Vec::new();
        let mut option = |name: &str, value: Option<String>| {
            words.extend(value.into_iter().flat_map(|value| [name.to_owned(), value]));
        };
        option("-F", self.0.config_file.as_ref().map(ToString::to_string));
        option("-p", target.port().map(|port| port.to_string()));
        option("-l", target.user().map(str::to_owned));
        words.extend(["--".to_owned(), target.host().to_owned()]);
        words
    }

    /// A command that logs in there and does nothing, as one could paste it.
    fn shown(&self, target: &SshTarget, options: &[&str]) -> String {
        let program = self.program();
        let whereto = self.whereto(target);
        let words = [program].into_iter().chain(options.iter().copied());
        let words = words.chain(whereto.iter().map(String::as_str)).chain(["true"]);
        words.map(quote).collect::<Vec<_>>().join(" ")
    }
}

fn not_started(error: &io::Error) -> Lost {
    if error.kind() == io::ErrorKind::NotFound {
        let hint = Some("install it: `sudo apt install openssh-client`".to_owned());
        Lost { why: "`ssh` is not installed on this computer".to_owned(), hint }
    } else {
        Lost { why: format!("could not start `ssh`: {error}"), hint: None }
    }
}

impl Reach for Ssh {
    type Link = SshLink;

    async fn link(&self, node: &NodeName, role: Role) -> Result<SshLink, Lost> {
        let unknown = || Lost {
            why: format!("the cluster file has no address for {node}"),
            hint: Some(format!("write `ssh = \"root@ADDRESS\"` in [node.{node}]")),
        };
        self.open(Some(node), self.0.nodes.get(node).ok_or_else(unknown)?, role).await
    }

    fn patience(&self) -> u8 {
        self.0.patience
    }
}

impl Link for SshLink {
    async fn ask(&mut self, request: Request, said: &mut dyn FnMut(Answer)) -> Result<Answer, Lost> {
        match self.wire.ask(request, said).await {
            Ok(answer) => Ok(answer),
            // ssh doesn't know yet that nobody is there, so it has nothing to say.
            Err(end @ (End::Silent(_) | End::Torn)) => Err(self.place.cut(&end, &self.process.so_far())),
            Err(end) => Err(self.place.cut(&end, &self.process.end().await)),
        }
    }

    fn clock(&self) -> Option<ClockReading> {
        let Greeted { node, asked, answered } = self.greeted;
        let uncertainty = (answered - asked) / 2;
        Some(ClockReading { node, ago: answered.elapsed() + uncertainty, uncertainty })
    }
}
