//! Brings an agent up on a node: the script that the node's shell runs, and the talk with it until the agent is there.

use std::time::Duration;

use stead_spec::words::quote;
use tokio::io::{AsyncBufRead, AsyncBufReadExt, AsyncReadExt, AsyncWrite, AsyncWriteExt};
use tokio::time::timeout;

use super::agents::{AgentBinaries, Binary};

/// What the node's login shell is to run.
///
/// A constant, but for what tells the builds apart: names of [`Machine`](super::Machine)s, sums in hexadecimal digits,
/// and sizes in decimal ones, none of which means anything to any shell. Nothing of a cluster file is in it.
///
/// The login shell may be any: it only has to know `exec`, words, and what single quotes do. So [`AS_ROOT`] and
/// [`START`] have no newline, backslash, `!` or single quote, where shells differ.
pub(super) fn command(agents: &AgentBinaries) -> String {
    let builds = agents.iter().map(|(machine, Binary { sha256, bytes })| {
        format!(" {machine} {sha256} {size}", machine = machine.uname(), size = bytes.len())
    });
    format!("exec sh -c {} stead {}{}", quote(AS_ROOT), quote(START), builds.collect::<String>())
}

/// Runs the script that is its first argument as root, with the other arguments.
///
/// `sudo` is asked first whether it would, since its own words differ by version and its status is that of what it runs.
const AS_ROOT: &str = concat!(
    r#"no() { echo; echo "stead:no $*"; exit 1; }; "#,
    r#"start=$1; shift; "#,
    r#"[ "$(id -u)" = 0 ] && exec sh -c "$start" stead "$@"; "#,
    r#"command -v sudo >/dev/null || no root; "#,
    r#"sudo -n true || no sudo; "#,
    r#"exec sudo -n sh -c "$start" stead "$@""#,
);

/// Finds the agent, or takes it from its input, and becomes it. Its arguments: `MACHINE SHA256 SIZE`, any number of
/// times. What it says to stead begins with `stead:`, on a line of its own whatever the shell said before.
///
/// An agent comes to its name only when it is whole, by its sum, and on the disk; later its size is enough. Uploads
/// have names of their own, so two admins don't meet; those that were cut are removed when they are old.
const START: &str = concat!(
    r#"say() { echo; echo "stead:$*"; }; no() { say no "$*"; exit 1; }; "#,
    r#"cd /; umask 022; LC_ALL=C; export LC_ALL; "#,
    r#"for tool in uname mkdir wc df tail head sha256sum chmod sync mv rm find; do "#,
    r#"command -v $tool >/dev/null || no tool $tool; done; "#,
    r#"machine=$(uname -m); hash=; size=; "#,
    r#"while [ $# -ge 3 ]; do [ "$1" = "$machine" ] && hash=$2 && size=$3; shift 3; done; "#,
    r#"[ "$hash" ] || no machine "$machine"; "#,
    r#"dir=/var/lib/stead/agent; file=$dir/stead-$hash; "#,
    r#"mkdir -p $dir || no folder; "#,
    r#"if [ -f $file ] && [ "$(wc -c <$file)" -eq $size ]; then :; else "#,
    r#"free=$(df --output=avail -B1 $dir | tail -n 1); [ "$free" -gt $size ] || no space $free; "#,
    r#"part=$dir/upload-$$; trap "rm -f $part" EXIT; "#,
    r#"say upload $machine; "#,
    r#"head -c $size >$part || no write; "#,
    r#"sum=$(sha256sum $part); [ "${sum%% *}" = $hash ] || no sum; "#,
    r#"chmod 755 $part && sync $part && mv -f $part $file || no write; trap - EXIT; "#,
    r#"find $dir -type f "(" -name "stead-*" -not -name stead-$hash -o -name "upload-*" -mmin +60 ")" -delete; "#,
    r#"fi; "#,
    r#"[ -x $file ] || no exec; "#,
    r#"say ready; exec $file agent"#,
);

/// Why no agent came up.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Failure {
    /// The script says why.
    No(Obstacle),
    /// The connection ended before it said anything. What came instead.
    Ended(String),
    /// Something talks and talks that isn't the script. What it said last.
    Chatter(String),
    /// Nothing for this many seconds.
    Slow(u64),
}

/// What the script finds in its way.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Obstacle {
    /// Not root, and no sudo.
    Root,
    /// sudo wants a password, or doesn't let this user.
    Sudo,
    /// A program isn't there.
    Tool(String),
    /// No agent is built for what `uname -m` calls this.
    Machine(String),
    /// The folder can't be made.
    Folder,
    /// So many bytes are free, which are too few.
    Space(String),
    /// The agent could not be written.
    Write,
    /// It arrived as something else.
    Sum,
    /// Programs may not be started from that file system.
    Exec,
}

/// How long ssh may take to log in and the shell to start, beyond ssh's own time-out, in seconds: PAM and sudo may look
/// somebody up over a network.
const LOGIN: u64 = 30;

/// How long it may take that another piece of the agent is taken, or that all of it is on the disk, in seconds.
const STALLED: u64 = 60;

/// How much a login shell may say first: lines, and bytes in a line.
const LINES: usize = 200;
const LINE: u64 = 4096;

/// How much of what it said an error shows.
const SHOWN: usize = 5;

/// How much of an agent is sent at once, so that a slow network shows that it moves.
const PIECE: usize = 64 << 10;

/// Talks with the script until the agent has taken over. `within` is what ssh itself may take to connect, in seconds.
pub(super) async fn start(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    agents: &AgentBinaries,
    within: u64,
    patience: u8,
) -> Result<(), Failure> {
    let stalled = STALLED * u64::from(patience);
    let mut said = Vec::new();
    let machine = match in_time(within + LOGIN * u64::from(patience), mark(from, &mut said)).await?? {
        Mark::Ready => return Ok(()),
        Mark::No(obstacle) => return Err(Failure::No(obstacle)),
        Mark::Upload(machine) => machine,
    };
    let Some(agent) = agents.of_uname(&machine) else {
        return Err(Failure::No(Obstacle::Machine(machine)));
    };
    let answer = mark(from, &mut said);
    tokio::pin!(answer);
    let early = tokio::select! {
        // The script says why it takes no more; a broken pipe doesn't.
        biased;
        early = &mut answer => Some(early),
        sent = send(to, &agent.bytes, stalled) => { sent?; None }
    };
    let answer = match early {
        Some(answer) => answer,
        None => in_time(stalled, answer).await?,
    };
    match answer? {
        Mark::Ready => Ok(()),
        Mark::No(obstacle) => Err(Failure::No(obstacle)),
        Mark::Upload(_) => Err(Failure::Chatter("stead:upload, twice".to_owned())),
    }
}

async fn in_time<T>(seconds: u64, work: impl Future<Output = T>) -> Result<T, Failure> {
    timeout(Duration::from_secs(seconds), work).await.map_err(|_| Failure::Slow(seconds))
}

async fn send(to: &mut (impl AsyncWrite + Unpin), bytes: &[u8], stalled: u64) -> Result<(), Failure> {
    for piece in bytes.chunks(PIECE) {
        if in_time(stalled, to.write_all(piece)).await?.is_err() {
            // The script ended, and what it said is on its way.
            return Ok(());
        }
    }
    let _ = in_time(stalled, to.flush()).await?;
    Ok(())
}

/// What the script says.
#[derive(Debug, PartialEq, Eq)]
enum Mark {
    Upload(String),
    Ready,
    No(Obstacle),
}

/// Reads on until the script says something; all else is kept for an error.
async fn mark(from: &mut (impl AsyncBufRead + Unpin), said: &mut Vec<String>) -> Result<Mark, Failure> {
    while said.len() < LINES {
        let mut line = Vec::new();
        match from.take(LINE).read_until(b'\n', &mut line).await {
            Ok(0) | Err(_) => return Err(Failure::Ended(end_of(said))),
            Ok(_) => {}
        }
        let line = String::from_utf8_lossy(&line);
        match parse(line.trim()) {
            Some(mark) => return Ok(mark),
            None if line.trim().is_empty() => {}
            None => said.push(line.trim().chars().filter(|c| !c.is_control()).collect()),
        }
    }
    Err(Failure::Chatter(end_of(said)))
}

fn end_of(said: &[String]) -> String {
    said[said.len().saturating_sub(SHOWN)..].join("\n")
}

fn parse(line: &str) -> Option<Mark> {
    let mut words = line.strip_prefix("stead:")?.split_ascii_whitespace();
    let mark = match (words.next()?, words.next(), words.next()) {
        ("ready", None, None) => Mark::Ready,
        ("upload", Some(machine), None) => Mark::Upload(machine.to_owned()),
        ("no", Some(what), about) => Mark::No(match (what, about.map(str::to_owned)) {
            ("root", None) => Obstacle::Root,
            ("sudo", None) => Obstacle::Sudo,
            ("tool", Some(tool)) => Obstacle::Tool(tool),
            ("machine", Some(machine)) => Obstacle::Machine(machine),
            ("folder", None) => Obstacle::Folder,
            ("space", Some(free)) => Obstacle::Space(free),
            ("write", None) => Obstacle::Write,
            ("sum", None) => Obstacle::Sum,
            ("exec", None) => Obstacle::Exec,
            _ => return None,
        }),
        _ => return None,
    };
    Some(mark)
}

#[cfg(test)]
mod tests {
    use tokio::io::{BufReader, duplex};

    use super::super::Machine;
    use super::*;

    #[test]
    fn the_script_means_the_same_to_every_login_shell() {
        for script in [AS_ROOT, START] {
            // A newline ends a word in csh even in quotes; `!` is its history; fish knows backslashes in single quotes.
            assert!(!script.contains(['\n', '\\', '!', '\'']), "{script}");
        }
        let mut agents = AgentBinaries::default();
        agents.add(Machine::X86_64, b"one".to_vec());
        agents.add(Machine::Aarch64, b"other".to_vec());
        let command = command(&agents);
        let (_, builds) = command.rsplit_once("' ").expect("the builds come last");
        let words: Vec<&str> = builds.split(' ').collect();
        assert_eq!((words[0], words[2], words[3], words[5]), ("x86_64", "3", "aarch64", "5"));
        assert!(builds.chars().all(|c| c.is_ascii_alphanumeric() || " _".contains(c)), "{builds}");
    }

    async fn after(text: &str) -> Result<(), Failure> {
        start(&mut text.as_bytes(), &mut tokio::io::sink(), &AgentBinaries::default(), 10, 1).await
    }

    #[tokio::test]
    async fn what_a_login_shell_says_is_shown_when_nothing_else_comes() {
        assert_eq!(after("Welcome!\n\nstead:ready\n").await, Ok(()));
        let five = "2\n3\n4\n5\nbye";
        assert_eq!(after(&format!("1\n{five}")).await, Err(Failure::Ended(five.to_owned())));
        assert_eq!(after("stead:no tool head\n").await, Err(Failure::No(Obstacle::Tool("head".to_owned()))));
        let yes = "y\n".repeat(LINES);
        assert_eq!(after(&yes).await, Err(Failure::Chatter("y\ny\ny\ny\ny".to_owned())));
        let machine = Err(Failure::No(Obstacle::Machine("riscv64".to_owned())));
        assert_eq!(after("stead:upload riscv64\n").await, machine);
    }

    #[tokio::test(start_paused = true)]
    async fn a_node_that_says_nothing_is_given_up() {
        let (near, _far) = duplex(64);
        let mut near = BufReader::new(near);
        let before = tokio::time::Instant::now();
        let silence = start(&mut near, &mut tokio::io::sink(), &AgentBinaries::default(), 20, 2).await;
        assert_eq!(silence, Err(Failure::Slow(80)));
        assert_eq!(before.elapsed().as_secs(), 80);
    }

    #[tokio::test(start_paused = true)]
    async fn an_upload_that_stalls_is_given_up_and_a_refusal_in_the_middle_is_heard() {
        let mut agents = AgentBinaries::default();
        agents.add(Machine::X86_64, vec![0; 3 * PIECE]);
        let (near, mut far) = duplex(PIECE);
        far.write_all(b"stead:upload x86_64\n").await.expect("there is room");
        let (near, mut to) = tokio::io::split(near);
        let mut from = BufReader::new(near);
        assert_eq!(start(&mut from, &mut to, &agents, 10, 1).await, Err(Failure::Slow(STALLED)));

        far.write_all(b"stead:upload x86_64\nstead:no write\n").await.expect("there is room");
        assert_eq!(start(&mut from, &mut to, &agents, 10, 1).await, Err(Failure::No(Obstacle::Write)));
    }
}
