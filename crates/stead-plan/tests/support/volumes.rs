//! Replicated volumes as a model: what gluster makes of commands, for all nodes of a pool at once. The cases of plans and
//! the simulator have it in common. It knows nothing of steps.

use std::collections::{BTreeMap, BTreeSet};

use stead_plan::volumes::{Brick, Daemon, Knows, Peer, Replicated, Standing, Written};
use stead_spec::Bytes;

/// The daemons of all nodes, which know the same.
#[derive(Clone, Debug, Default, PartialEq)]
pub(crate) struct Gluster {
    /// Who is in the pool, as `node1.core`.
    pub(crate) members: BTreeSet<String>,
    /// Whose gluster is of release 10.
    pub(crate) old: BTreeSet<String>,
    /// Which of these have written down an option of a volume that later releases don't know, as `(node1.core, gv0)`.
    pub(crate) records: BTreeSet<(String, String)>,
    pub(crate) volumes: BTreeMap<String, Replicated>,
    /// What is in each volume.
    pub(crate) folders: BTreeMap<String, BTreeSet<String>>,
}

/// That of a node in the pool, made from its name.
fn uuid(host: &str) -> String {
    let number = host.bytes().fold(0, |sum: u32, byte| sum.wrapping_mul(31).wrapping_add(byte.into()));
    format!("{number:08x}-0000-4000-8000-000000000000")
}

type Ran = Result<(), String>;

impl Gluster {
    /// Runs `gluster --mode=script …` on a node; `None` if it doesn't know that. `answers` says whether a node's daemon does.
    pub(crate) fn run(
        &mut self,
        host: &str,
        words: &[&str],
        answers: &dyn Fn(&str) -> bool,
        half: bool,
    ) -> Option<Ran> {
        if !answers(host) {
            return Some(Err("Connection failed. Please check if gluster daemon is operational.".to_owned()));
        }
        Some(match words {
            ["--mode=script", "peer", "probe", other] => {
                if !answers(other) {
                    return Some(Err(
                        "peer probe: failed: Probe returned with Transport endpoint is not connected".into()
                    ));
                }
                if self.members.is_empty() && !self.old.contains(host) && self.old.contains(*other) {
                    return Some(Err(format!("peer probe: failed: Peer {other} does not support required op-version")));
                }
                if !half {
                    self.members.extend([host.to_owned(), (*other).to_owned()]);
                }
                Ok(())
            }
            ["--mode=script", "volume", "create", name, "replica", replicas, rest @ ..] => {
                self.create(name, replicas, rest, half)
            }
            ["--mode=script", "volume", "set", name, pairs @ ..] => {
                let Some(volume) = self.volumes.get_mut(*name) else { return Some(Err("no such volume".to_owned())) };
                let pairs: Vec<_> = pairs.chunks_exact(2).collect();
                // Each option is set for itself.
                let done = if half { pairs.len() / 2 } else { pairs.len() };
                volume.options.extend(pairs[..done].iter().map(|pair| (pair[0].to_owned(), pair[1].to_owned())));
                Ok(())
            }
            ["--mode=script", "volume", "reset", name, option @ "nfs.disable"] => {
                if self.members.iter().any(|member| !self.old.contains(member)) {
                    return Some(Err(format!("volume reset: failed: Option {option} does not exist")));
                }
                if !half {
                    self.records.retain(|(_, volume)| volume != name);
                }
                Ok(())
            }
            ["--mode=script", "volume", "start", name, force @ ..] => {
                let Some(volume) = self.volumes.get_mut(*name) else { return Some(Err("no such volume".to_owned())) };
                if volume.started && force.is_empty() {
                    return Some(Err(format!("volume start: {name}: failed: Volume {name} already started")));
                }
                volume.started |= !half;
                Ok(())
            }
            _ => return None,
        })
    }

    fn create(&mut self, name: &str, replicas: &str, rest: &[&str], half: bool) -> Ran {
        if self.volumes.contains_key(name) {
            return Err(format!("volume create: {name}: failed: Volume {name} already exists"));
        }
        let bricks: Vec<String> =
            rest.iter().filter(|word| word.contains(".core:/")).map(|word| (*word).to_owned()).collect();
        let stranger =
            bricks.iter().filter_map(|brick| brick.split(':').next()).find(|host| !self.members.contains(*host));
        if let Some(stranger) = stranger {
            return Err(format!("volume create: {name}: failed: Host {stranger} is not in 'Peer in Cluster' state"));
        }
        if half {
            return Ok(());
        }
        let arbiters = rest.first() == Some(&"arbiter");
        let volume = Replicated {
            id: format!("id of {name}"),
            started: false,
            replicas: replicas.parse().map_err(|_| "no number".to_owned())?,
            arbiters: u32::from(arbiters),
            bricks,
            options: [("transport.address-family".to_owned(), "inet".to_owned())].into(),
        };
        self.volumes.insert(name.to_owned(), volume);
        let old = self.members.iter().filter(|member| self.old.contains(*member));
        self.records.extend(old.map(|member| (member.clone(), name.to_owned())));
        Ok(())
    }

    /// Makes folders in a volume that is mounted: `install --directory … /srv/gv0/vm`.
    pub(crate) fn install(&mut self, words: &[&str]) {
        for path in words.iter().filter_map(|word| word.strip_prefix("/srv/")) {
            if let Some((volume, folder)) = path.split_once('/') {
                self.folders.entry(volume.to_owned()).or_default().insert(folder.to_owned());
            }
        }
    }

    /// What a node's daemon tells that runs.
    pub(crate) fn tell(&self, host: &str) -> Daemon {
        if !self.members.contains(host) {
            return Daemon::Runs(Knows::default());
        }
        let others = self.members.iter().filter(|member| *member != host);
        let peer = |member: &String| (member.clone(), Peer { id: uuid(member), standing: Standing::Connected });
        let mut volumes = self.volumes.clone();
        for (_, name) in self.records.iter().filter(|(member, _)| member == host) {
            if let Some(volume) = volumes.get_mut(name) {
                volume.options.insert("nfs.disable".to_owned(), "on".to_owned());
            }
        }
        Daemon::Runs(Knows { peers: others.map(peer).collect(), volumes })
    }

    /// What a node's daemon has written down.
    pub(crate) fn written(&self, host: &str) -> Written {
        let is_in = self.members.contains(host);
        let others = self.members.iter().filter(|member| is_in && *member != host);
        Written {
            id: is_in.then(|| uuid(host)),
            version: is_in.then(|| "100000".to_owned()),
            peers: others.map(|member| (member.clone(), uuid(member))).collect(),
        }
    }

    /// What a node tells of a brick whose file system is mounted.
    pub(crate) fn brick(&self, host: &str, folder: &str, size: Bytes) -> Brick {
        let address = format!("{host}:{folder}");
        let of = self.volumes.iter().find(|(_, volume)| volume.bricks.contains(&address));
        Brick {
            folders: of.and_then(|(name, _)| self.folders.get(name)).cloned().unwrap_or_default(),
            empty: of.is_none(),
            volume: of.map(|(_, volume)| volume.id.clone()),
            bare: of.is_none_or(|(name, _)| self.folders.get(name).is_none_or(BTreeSet::is_empty)),
            served: of.is_some_and(|(_, volume)| volume.started),
            pending: 0,
            accuses: BTreeMap::new(),
            size,
            free: size,
        }
    }
}
