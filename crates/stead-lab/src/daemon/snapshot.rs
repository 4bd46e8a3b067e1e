//! Pictures of the whole lab: every node's memory, every disk, every plug, all of one instant.
//!
//! Disks cost nothing: their layers are sealed, and a picture is a list of layers. What takes the seconds is memory.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use stead_spec::words::count;
use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::machine::{Machine, MachineError};
use super::{Failure, Lab, Outcome, Shared, bays_of};
use crate::disk::{Layer, LayerId, layer_files};
use crate::folder::remove_dir_if_there;
use crate::qemu::NodeFiles;
use crate::state::{LabState, Power};

/// The lab's state at the time of a picture.
const PICTURE: &str = "picture.json";

/// How long a node may take to set its clock after a load.
const CLOCK_PATIENCE: Duration = Duration::from_secs(20);

impl Lab {
    pub(super) async fn save(&mut self, name: &str) -> Outcome {
        check_name(name)?;
        let dir = self.snapshot_dir(name);
        if dir.exists() {
            let hint = format!("stead lab snapshot delete {name}");
            return Err(Failure::new(format!("there is a picture `{name}` already")).hint(hint));
        }
        let unfinished = self.snapshot_dir(&format!(".{name}"));
        remove_dir_if_there(&unfinished)?;
        fs::create_dir(&unfinished)?;

        let picture = self.state.clone();
        let power = |picture: &LabState, node: &str| picture.nodes.get(node).map(|node| node.power);
        let frozen: BTreeSet<String> = with_power(&picture, Power::Frozen).into_iter().collect();
        // All stop at once, and go on at once: the picture is of one instant, and no node sees the others missing.
        let is_frozen = frozen.clone();
        let mut saved = self
            .each(move |name, mut machine| {
                let frozen = is_frozen.contains(&name);
                async move {
                    let paused = machine.pause(frozen).await;
                    (machine, paused)
                }
            })
            .await;
        if saved.is_ok() {
            saved = self.save_paused(&picture, &unfinished).await;
        }
        let resumed = self
            .each(move |name, mut machine| {
                let frozen = frozen.contains(&name);
                async move {
                    let mut resumed = machine.resume().await;
                    if frozen && resumed.is_ok() {
                        resumed = machine.freeze();
                    }
                    (machine, resumed)
                }
            })
            .await;
        if let Err(failure) = saved {
            remove_dir_if_there(&unfinished)?;
            return Err(failure);
        }
        fs::rename(&unfinished, &dir)?;
        resumed?;
        let mut done = vec![format!("picture `{name}` taken of {}", count(self.machines.len(), "running node"))];
        // They stood still meanwhile.
        let on: Vec<String> =
            self.machines.keys().filter(|node| power(&picture, node) == Some(Power::On)).cloned().collect();
        done.extend(self.set_clocks(&on).await);
        Ok(done)
    }

    /// Does the same with every running node, with all at once.
    async fn each<F, T>(&mut self, work: F) -> Result<(), Failure>
    where
        F: Fn(String, Machine) -> T,
        T: Future<Output = (Machine, Result<(), MachineError>)> + Send + 'static,
    {
        let mut working = JoinSet::new();
        for (name, machine) in std::mem::take(&mut self.machines) {
            let done = work(name.clone(), machine);
            working.spawn(async move { (name, done.await) });
        }
        let mut failed = Ok(());
        for (name, (machine, result)) in working.join_all().await {
            if let Err(error) = result {
                failed =
                    Err(Failure::new(format!("{name}: {error}")).hint("is the disk of this machine full? `df -h`"));
            }
            self.machines.insert(name, machine);
        }
        failed
    }

    async fn save_paused(&mut self, picture: &LabState, dir: &Path) -> Result<(), Failure> {
        let (folder, to) = (self.folder.path().to_owned(), dir.to_owned());
        self.each(move |name, mut machine| {
            let (folder, to) = (folder.clone(), to.join(memory_file(&name)));
            async move {
                let saved = machine.save_memory(&folder, &to).await;
                (machine, saved)
            }
        })
        .await?;
        self.seal_disks()?;
        // Before the picture is one: what it has in it must not be written to by the next start.
        self.folder.write_state(&self.state)?;
        copy_dir(&self.folder.join("tang"), &dir.join("tang"))?;
        // Last: a picture without it is none.
        fs::write(dir.join(PICTURE), serde_json::to_vec_pretty(picture).map_err(io::Error::from)?)?;
        Ok(())
    }

    /// Puts an empty layer on every disk, so that what is below stays as it is.
    fn seal_disks(&mut self) -> io::Result<()> {
        let layers = self.folder.join("layers");
        let mut covered = self.state.clone();
        covered.cover_disks();
        let mut tops = Vec::new();
        for (bay, disk) in bays_of(&covered) {
            tops.push((self.bays.get(&bay), Layer::create(&layers, disk.layers[0], disk.size)?));
        }
        for (disk, top) in tops {
            if let Some(disk) = disk {
                disk.seal(top)?;
            }
        }
        self.state = covered;
        Ok(())
    }

    pub(super) async fn load(&mut self, shared: &Shared, name: &str) -> Outcome {
        check_name(name)?;
        let dir = self.snapshot_dir(name);
        if !dir.exists() {
            return Err(self.no_picture(name));
        }
        let damaged = |why: String| Failure::new(format!("the picture `{name}` is damaged: {why}"));
        let mut picture = read_picture(&dir).map_err(|error| damaged(error.to_string()))?;
        let on: Vec<String> = with_power(&picture, Power::On);
        let frozen: Vec<String> = with_power(&picture, Power::Frozen);
        for node in picture.nodes.values_mut() {
            node.power = Power::Off;
        }
        picture.next_layer = self.state.next_layer;
        picture.next_serial = self.state.next_serial;
        // A permission, not a plug: a picture must not open the lab to the world.
        picture.config.wan_open = self.state.config.wan_open;
        picture.cover_disks();

        // Everything is looked at before anything is cut: a picture that can't be loaded costs nothing.
        let memory: Vec<(String, PathBuf)> =
            on.iter().chain(&frozen).map(|node| (node.clone(), dir.join(memory_file(node)))).collect();
        for (node, file) in &memory {
            fs::metadata(file).map_err(|error| damaged(format!("no memory of {node}: {error}")))?;
        }
        self.state.next_layer = picture.next_layer;
        let disks = self.open_disks(&picture).map_err(|error| damaged(error.to_string()))?;

        self.cut_all().await;
        self.state = picture;
        self.folder.write_state(&self.state)?;
        self.put_disks(disks);
        remove_dir_if_there(&self.folder.join("tang"))?;
        copy_dir(&dir.join("tang"), &self.folder.join("tang"))?;
        self.wiring.apply(&self.state);
        self.start(shared, memory.into_iter().map(|(node, file)| (node, Some(file))).collect()).await?;
        for name in &frozen {
            self.freeze(name)?;
        }
        let mut done = vec![format!("picture `{name}` loaded, {} running", count(on.len() + frozen.len(), "node"))];
        done.extend(self.set_clocks(&on).await);
        if let Err(error) = self.collect_layers() {
            done.push(format!("what nobody needs any more is still there: {error}"));
        }
        Ok(done)
    }

    /// Tells the nodes what time it is: theirs stood still since the picture. Says which did not hear.
    pub(super) async fn set_clocks(&self, nodes: &[String]) -> Vec<String> {
        let mut setting = JoinSet::new();
        for name in nodes {
            // A clock that is wrong on purpose stays so.
            if self.state.nodes[name].clock_at_start.is_none() {
                let (name, socket) = (name.clone(), NodeFiles::of(name).clock());
                setting.spawn(async move {
                    let heard = tokio::time::timeout(CLOCK_PATIENCE, set_clock(&socket)).await;
                    (name, matches!(heard, Ok(Ok(()))))
                });
            }
        }
        let deaf = setting.join_all().await.into_iter().filter(|(_, heard)| !heard);
        deaf.map(|(name, _)| format!("{name}: did not hear what time it is; its clock is that of the picture"))
            .collect()
    }

    pub(super) fn delete(&mut self, name: &str) -> Outcome {
        let dir = self.snapshot_dir(name);
        if check_name(name).is_err() || !dir.exists() {
            return Err(self.no_picture(name));
        }
        // First out of sight, so that half of a picture is never loaded.
        let going = self.snapshot_dir(&format!(".{name}"));
        remove_dir_if_there(&going)?;
        fs::rename(&dir, &going)?;
        remove_dir_if_there(&going)?;
        self.collect_layers()?;
        Ok(vec![format!("picture `{name}` deleted")])
    }

    /// The names of all pictures.
    pub(super) fn snapshots(&self) -> io::Result<Vec<String>> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.folder.join("snapshots"))? {
            names.extend(entry?.file_name().into_string().ok().filter(|name| !name.starts_with('.')));
        }
        names.sort();
        Ok(names)
    }

    /// Removes layers that neither the lab nor a picture needs; none, when it can't be sure.
    pub(super) fn collect_layers(&self) -> io::Result<()> {
        let mut needed: BTreeSet<LayerId> = layers_of(&self.state);
        for name in self.snapshots()? {
            needed.extend(layers_of(&read_picture(&self.snapshot_dir(&name))?));
        }
        let dir = self.folder.join("layers");
        let needed: BTreeSet<PathBuf> = needed.into_iter().flat_map(|id| layer_files(&dir, id)).collect();
        for entry in fs::read_dir(&dir)? {
            let path = entry?.path();
            if !needed.contains(&path) {
                fs::remove_file(path)?;
            }
        }
        Ok(())
    }

    fn snapshot_dir(&self, name: &str) -> PathBuf {
        self.folder.join("snapshots").join(name)
    }

    fn no_picture(&self, name: &str) -> Failure {
        let names = self.snapshots().unwrap_or_default();
        let hint = if names.is_empty() {
            "there is none yet: stead lab snapshot save NAME".into()
        } else {
            format!("there are: {}", names.join(", "))
        };
        Failure::new(format!("there is no picture `{name}`")).hint(hint)
    }
}

fn read_picture(dir: &Path) -> io::Result<LabState> {
    Ok(serde_json::from_slice(&fs::read(dir.join(PICTURE))?)?)
}

fn layers_of(state: &LabState) -> BTreeSet<LayerId> {
    state.disks().flat_map(|disk| disk.layers.iter().copied()).collect()
}

fn with_power(state: &LabState, power: Power) -> Vec<String> {
    state.nodes.iter().filter(|(_, node)| node.power == power).map(|(name, _)| name.clone()).collect()
}

fn memory_file(node: &str) -> String {
    format!("{node}.memory")
}

/// A picture's name is a folder's name.
fn check_name(name: &str) -> Result<(), Failure> {
    let plain = |c: char| c.is_ascii_alphanumeric() || c == '-' || c == '_';
    if !name.is_empty() && name.len() <= 64 && name.chars().all(plain) {
        return Ok(());
    }
    Err(Failure::new(format!("`{name}` is no name for a picture")).hint("letters, digits, - and _, at most 64"))
}

/// Sends the time down the node's line and waits for its answer.
async fn set_clock(socket: &str) -> io::Result<()> {
    let mut stream = BufReader::new(UnixStream::connect(socket).await?);
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_err(io::Error::other)?;
    stream.write_all(format!("{}.{:03}\n", now.as_secs(), now.subsec_millis()).as_bytes()).await?;
    let mut answer = String::new();
    stream.read_line(&mut answer).await?;
    if answer.trim() == "ok" { Ok(()) } else { Err(io::ErrorKind::InvalidData.into()) }
}

/// Copies a folder of files, keys of the tang box.
fn copy_dir(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        fs::copy(entry.path(), to.join(entry.file_name()))?;
    }
    Ok(())
}
