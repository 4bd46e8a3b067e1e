//! A folder that tests take for a node, with tools that are scripts.

use std::os::unix::net::UnixDatagram;

use camino::{Utf8Path, Utf8PathBuf};
use stead_plan::op::Program;

use crate::exec::Runner;
use crate::place::Place;

/// The node; gone with its files when it is dropped.
pub(crate) struct Node {
    pub(crate) place: Place,
    dir: tempfile::TempDir,
}

impl Node {
    pub(crate) fn new() -> Self {
        let dir = tempfile::tempdir().unwrap();
        Self { place: Place::rooted(Utf8Path::from_path(dir.path()).unwrap()), dir }
    }

    /// Runs this node's tools.
    pub(crate) fn runner(&self) -> Runner {
        Runner::new(1, false).rooted(Utf8Path::from_path(self.dir.path()).unwrap())
    }

    /// Gives the node a tool: `script` is what a shell runs for it, in the node's folder.
    ///
    /// The tool itself is a link to a file that nobody writes, which reads the script: a file that was written just now
    /// can't be run while some other thread starts a program, since that inherits it as open.
    pub(crate) fn tool(&self, program: Program, script: &str) {
        let path = self.place.at(program.path());
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let _ = std::fs::remove_file(&path);
        std::os::unix::fs::symlink(concat!(env!("CARGO_MANIFEST_DIR"), "/tests/tool"), &path).unwrap();
        std::fs::write(format!("{path}.script"), format!("cd '{}'\n{script}\n", self.place.at("/"))).unwrap();
    }

    /// Where a path of the node's lies.
    pub(crate) fn at(&self, path: &str) -> Utf8PathBuf {
        self.place.at(path)
    }

    pub(crate) fn write(&self, path: &str, text: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }

    /// Makes a symbolic link.
    pub(crate) fn link(&self, path: &str, target: &str) {
        let path = self.at(path);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::os::unix::fs::symlink(target, path).unwrap();
    }

    pub(crate) fn mode(&self, path: &str, mode: u32) {
        let mode = std::os::unix::fs::PermissionsExt::from_mode(mode);
        std::fs::set_permissions(self.at(path), mode).unwrap();
    }

    pub(crate) fn read(&self, path: &str) -> String {
        std::fs::read_to_string(self.at(path)).unwrap()
    }

    /// The names in a folder, sorted.
    pub(crate) fn list(&self, path: &str) -> Vec<String> {
        let Ok(entries) = std::fs::read_dir(self.at(path)) else { return Vec::new() };
        let mut names: Vec<_> = entries.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    /// A pipe with a name. A tool that reads from it waits until somebody writes, and the other way round.
    pub(crate) fn pipe(&self, path: &str) {
        let mode = rustix::fs::Mode::from_raw_mode(0o600);
        rustix::fs::mknodat(rustix::fs::CWD, self.at(path).as_std_path(), rustix::fs::FileType::Fifo, mode, 0).unwrap();
    }

    /// Waits until a tool writes to that pipe; what it wrote.
    pub(crate) async fn wait(&self, path: &str) -> String {
        let path = self.at(path);
        tokio::task::spawn_blocking(move || std::fs::read_to_string(path).unwrap()).await.unwrap()
    }

    /// Waits until a tool reads from that pipe, and lets it go on.
    pub(crate) async fn go(&self, path: &str) {
        let path = self.at(path);
        tokio::task::spawn_blocking(move || std::fs::write(path, "go\n").unwrap()).await.unwrap();
    }

    /// A journal that listens.
    pub(crate) fn journal(&self) -> Listening {
        let path = self.at("/run/systemd/journal/socket");
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        let socket = UnixDatagram::bind(path).unwrap();
        socket.set_nonblocking(true).unwrap();
        Listening(socket)
    }
}

/// A journal.
pub(crate) struct Listening(UnixDatagram);

impl Listening {
    /// The entries that came since the last time.
    pub(crate) fn heard(&self) -> Vec<String> {
        let mut heard = Vec::new();
        let mut bytes = [0; 4096];
        while let Ok(length) = self.0.recv(&mut bytes) {
            heard.push(String::from_utf8_lossy(&bytes[..length]).into_owned());
        }
        heard
    }
}

/// A captured file of each release, with the release's name. `tests/fixtures/README.md` says how they were made.
pub(crate) fn each(file: &str) -> impl Iterator<Item = (&'static str, String)> {
    ["bookworm", "trixie"].into_iter().map(move |release| {
        let path = format!("{}/tests/fixtures/{release}/{file}", env!("CARGO_MANIFEST_DIR"));
        (release, std::fs::read_to_string(&path).unwrap_or_else(|error| panic!("{path}: {error}")))
    })
}
