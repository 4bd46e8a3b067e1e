use std::collections::BTreeMap;
use std::io;
use std::sync::Arc;

use camino::{Utf8Path, Utf8PathBuf};
use stead_spec::units::Sha256;

/// A kind of computer that stead is built for, by the name that `uname -m` gives it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
#[allow(missing_docs, reason = "names of architectures")]
pub enum Machine {
    X86_64,
    Aarch64,
}

/// The builds of stead that are copied to nodes, one for each kind of computer that there is one for.
///
/// They are held in memory: what is sent is what the hash was taken of, whatever happens to the file.
#[derive(Clone, Debug, Default)]
pub struct AgentBinaries(BTreeMap<Machine, Binary>);

/// A build of stead.
#[derive(Clone, Debug)]
pub(super) struct Binary {
    pub(super) sha256: Sha256,
    pub(super) bytes: Arc<[u8]>,
}

impl Machine {
    /// All that stead is built for.
    pub const ALL: [Self; 2] = [Self::X86_64, Self::Aarch64];

    /// The one that this program runs on, if it is one of them.
    pub fn own() -> Option<Self> {
        Self::ALL.into_iter().find(|machine| machine.uname() == std::env::consts::ARCH)
    }

    /// What `uname -m` says there.
    pub const fn uname(self) -> &'static str {
        match self {
            Self::X86_64 => "x86_64",
            Self::Aarch64 => "aarch64",
        }
    }

    /// The file that holds stead for it, beside stead itself or in the folder of agents; Debian's names.
    pub const fn file(self) -> &'static str {
        match self {
            Self::X86_64 => "stead-amd64",
            Self::Aarch64 => "stead-arm64",
        }
    }
}

impl AgentBinaries {
    /// This very program for computers of its own kind, and for the others what lies beside it.
    ///
    /// A file in `folder` (the environment's `STEAD_AGENTS`) goes before both: `stead-amd64`, `stead-arm64`.
    ///
    /// # Errors
    /// A file is there and can't be read.
    pub fn find(folder: Option<&Utf8Path>) -> io::Result<Self> {
        let program = std::env::current_exe()?;
        let beside = program.parent().and_then(Utf8Path::from_path);
        let mut found = Self::default();
        for machine in Machine::ALL {
            let mut places: Vec<Utf8PathBuf> = folder.map(|folder| folder.join(machine.file())).into_iter().collect();
            if Machine::own() == Some(machine) {
                // Not by its name: an update may have put another one there since this one was started.
                places.push("/proc/self/exe".into());
            } else {
                places.extend(beside.map(|beside| beside.join(machine.file())));
            }
            if let Some(bytes) = places.iter().find_map(|place| read(place).transpose()) {
                found.add(machine, bytes?);
            }
        }
        Ok(found)
    }

    /// With this build for this kind of computer.
    pub fn add(&mut self, machine: Machine, bytes: Vec<u8>) {
        let sha256 = stead_plan::inventory::sha256(&bytes);
        self.0.insert(machine, Binary { sha256, bytes: bytes.into() });
    }

    /// The builds, and for what.
    pub(super) fn iter(&self) -> impl Iterator<Item = (Machine, &Binary)> {
        self.0.iter().map(|(&machine, binary)| (machine, binary))
    }

    /// The build for what `uname -m` calls this.
    pub(super) fn of_uname(&self, uname: &str) -> Option<&Binary> {
        self.iter().find(|(machine, _)| machine.uname() == uname).map(|(_, binary)| binary)
    }
}

fn read(path: &Utf8Path) -> io::Result<Option<Vec<u8>>> {
    match std::fs::read(path) {
        Ok(bytes) => Ok(Some(bytes)),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(io::Error::new(error.kind(), format!("{path}: {error}"))),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn this_program_is_the_agent_of_its_own_kind_unless_the_folder_has_another() {
        let own = Machine::own().expect("tests run where stead does");
        let itself = AgentBinaries::find(None).expect("this program can be read");
        assert!(itself.of_uname(own.uname()).is_some_and(|binary| binary.bytes.starts_with(b"\x7fELF")));

        let folder = tempfile::tempdir().expect("a folder");
        let path = Utf8Path::from_path(folder.path()).expect("UTF-8");
        for machine in Machine::ALL {
            std::fs::write(path.join(machine.file()), machine.uname()).expect("a file");
        }
        let both = AgentBinaries::find(Some(path)).expect("files can be read");
        for machine in Machine::ALL {
            let binary = both.of_uname(machine.uname()).expect("one for each");
            assert_eq!(&*binary.bytes, machine.uname().as_bytes());
        }
        assert!(both.of_uname("riscv64").is_none());
    }
}
