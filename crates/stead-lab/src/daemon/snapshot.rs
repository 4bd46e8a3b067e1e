//! Pictures of the whole lab: every node's memory, every disk, every plug, all of one instant.
//!
//! Disks cost nothing: their layers are sealed, and a picture is a list of layers. What takes the seconds is memory.

use std::collections::BTreeSet;
use std::fs;
use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::io::{AsyncBufReadExt, AsyncWriteExt, BufReader};
use tokio::net::UnixStream;
use tokio::task::JoinSet;

use super::{Failure, Lab, Outcome, Shared};
use crate::disk::{Layer, LayerId, layer_files};
use crate::qemu::NodeFiles;
use crate::state::{LabState, Power};

/// The lab's state at the time of a picture.
const PICTURE: &str = "picture.json";

/// How long a node may take to set its clock after a load.
const CLOCK_PATIENCE: Duration = Duration::from_secs(20);

impl Lab {
    pub(super) async fn save(&mut self, name: &str) -> Outcome {
        check_name(name)?;
        if self.snapshot_dir(name).exists() {
            let hint = format!("stead lab snapshot delete {name}");
            return Err(Failure::new(format!("there is a picture `{name}` already")).hint(hint));
        }
        let unfinished = self.snapshot_dir(&format!(".{name}"));
        remove_dir_if_there(&unfinished)?;
        fs::create_dir(&unfinished)?;
        let picture = self.state.clone();
        let frozen: Vec<String> = with_power(&picture, Power::Frozen);

        // All stop first, so that the pictures belong together.
        for name in &frozen {
            self.machine(name)?.thaw()?;
        }
        let mut failed = None;
        for (name, machine) in &mut self.machines {
            if let Err(error) = machine.pause().await {
                failed = Some(Failure::new(format!("{name}: {error}")));
            }
        }
        if failed.is_none() {
            failed = self.save_paused(&picture, &unfinished).await.err();
        }
        for (name, machine) in &mut self.machines {
            if let Err(error) = machine.resume().await {
                failed = Some(Failure::new(format!("{name}: {error}")));
            }
        }
        for name in &frozen {
            self.machine(name)?.freeze()?;
        }
        match failed {
            None => {
                fs::rename(&unfinished, self.snapshot_dir(name))?;
                Ok(vec![format!("picture `{name}` taken of {}", count(self.machines.len(), "running node"))])
            }
            Some(failure) => {
                remove_dir_if_there(&unfinished)?;
                Err(failure)
            }
        }
    }

    async fn save_paused(&mut self, picture: &LabState, dir: &Path) -> Result<(), Failure> {
        let folder = self.folder.path().to_owned();
        let mut saving = JoinSet::new();
        for (name, mut machine) in std::mem::take(&mut self.machines) {
            let (folder, to) = (folder.clone(), dir.join(memory_file(&name)));
            saving.spawn(async move {
                let saved = machine.save_memory(&folder, &to).await;
                (name, machine, saved)
            });
        }
        let mut failed = None;
        for (name, machine, saved) in saving.join_all().await {
            if let Err(error) = saved {
                failed =
                    Some(Failure::new(format!("{name}: {error}")).hint("is the disk of this machine full? `df -h`"));
            }
            self.machines.insert(name, machine);
        }
        if let Some(failure) = failed {
            return Err(failure);
        }
        self.seal_disks()?;
        copy_dir(&self.folder.join("tang"), &dir.join("tang"))?;
        // Last: a picture without it is none.
        fs::write(dir.join(PICTURE), serde_json::to_vec_pretty(picture).map_err(io::Error::from)?)?;
        Ok(())
    }

    /// Puts an empty layer on every disk, so that what is below stays as it is.
    fn seal_disks(&mut self) -> io::Result<()> {
        let layers = self.folder.join("layers");
        let new: Vec<LayerId> = (0..self.state.disks().count()).map(|_| self.state.new_layer()).collect();
        for (disk, id) in self.state.disks_mut().zip(new) {
            disk.layers.insert(0, id);
        }
        for (name, node) in &self.state.nodes {
            let files = NodeFiles::of(name);
            for (bay, content) in &node.bays {
                let top = Layer::create(&layers, content.disk.layers[0], content.disk.size)?;
                if let Some(disk) = self.bays.get(&files.bay(bay)) {
                    disk.seal(top)?;
                }
            }
        }
        // Layers of disks on the shelf are made when the disk is put in.
        Ok(())
    }

    pub(super) async fn load(&mut self, shared: &Shared, name: &str) -> Outcome {
        let dir = self.snapshot_dir(name);
        let text = fs::read(dir.join(PICTURE)).map_err(|_| self.no_picture(name))?;
        let mut picture: LabState = serde_json::from_slice(&text)
            .map_err(|error| Failure::new(format!("the picture `{name}` is damaged: {error}")))?;
        let running: Vec<String> = self.machines.keys().cloned().collect();
        self.cut(&running).await;

        picture.next_layer = self.state.next_layer;
        picture.next_serial = self.state.next_serial;
        // A permission, not a plug: a picture must not open the lab to the world.
        picture.config.wan_open = self.state.config.wan_open;
        let tops: Vec<LayerId> = (0..picture.disks().count()).map(|_| picture.new_layer()).collect();
        for (disk, top) in picture.disks_mut().zip(tops) {
            disk.layers.insert(0, top);
        }
        let on: Vec<String> = with_power(&picture, Power::On);
        let frozen: Vec<String> = with_power(&picture, Power::Frozen);
        for node in picture.nodes.values_mut() {
            node.power = Power::Off;
        }
        self.state = picture;
        self.folder.write_state(&self.state)?;
        self.open_disks()?;
        self.collect_layers()?;
        remove_dir_if_there(&self.folder.join("tang"))?;
        copy_dir(&dir.join("tang"), &self.folder.join("tang"))?;
        self.wiring.apply(&self.state);

        let nodes = on.iter().chain(&frozen).map(|node| (node.clone(), Some(dir.join(memory_file(node))))).collect();
        self.start(shared, nodes).await?;
        for name in &frozen {
            self.freeze(name)?;
        }
        let mut done = vec![format!("picture `{name}` loaded, {} running", count(on.len() + frozen.len(), "node"))];
        done.extend(self.set_clocks(&on).await);
        Ok(done)
    }

    /// Tells the nodes what time it is: theirs stood still since the picture. Says which did not hear.
    async fn set_clocks(&self, nodes: &[String]) -> Vec<String> {
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
    pub(super) fn snapshots(&self) -> Vec<String> {
        let entries = fs::read_dir(self.folder.join("snapshots")).into_iter().flatten().flatten();
        let mut names: Vec<String> = entries.filter_map(|entry| entry.file_name().into_string().ok()).collect();
        names.retain(|name| !name.starts_with('.'));
        names.sort();
        names
    }

    /// Removes layers that neither the lab nor a picture needs.
    fn collect_layers(&self) -> io::Result<()> {
        let mut needed: BTreeSet<LayerId> = layers_of(&self.state);
        for name in self.snapshots() {
            let text = fs::read(self.snapshot_dir(&name).join(PICTURE))?;
            needed.extend(layers_of(&serde_json::from_slice(&text)?));
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
        let names = self.snapshots();
        let hint = if names.is_empty() {
            "there is none yet: stead lab snapshot save NAME".into()
        } else {
            format!("there are: {}", names.join(", "))
        };
        Failure::new(format!("there is no picture `{name}`")).hint(hint)
    }
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

fn count(n: usize, what: &str) -> String {
    format!("{n} {what}{}", if n == 1 { "" } else { "s" })
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

fn remove_dir_if_there(dir: &Path) -> io::Result<()> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(()),
        other => other,
    }
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
