//! What a node boots from: Debian images, built once and kept outside the checkout by what they are made of.
//!
//! An image is never older than its inputs (packages, guest files, builder: see [`recipe`]) and follows Debian's point
//! releases while the mirror answers. [`store`] keeps what was built, [`build`] makes it.

mod build;
mod recipe;
mod store;

use std::env;
use std::fs::File;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde::{Deserialize, Serialize};
use stead_spec::Bytes;

use crate::exec::RunError;
use recipe::{ImageRecipe, Mirror, TangRecipe};
use store::{Entry, Store};

/// A Debian release that nodes may run.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Release {
    /// Debian 13.
    Trixie,
    /// Debian 12.
    Bookworm,
}

/// How much is installed on a node before stead comes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Kind {
    /// A fresh Debian: the SSH server and the standard system utilities.
    Plain,
    /// The same with the engines' packages, their services masked: installing them in a node takes minutes.
    Ready,
}

/// A word that is none of the known ones.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("`{word}` is not {what}: write {choices}")]
pub struct UnknownWord {
    word: String,
    what: &'static str,
    choices: &'static str,
}

/// The text form of an enum of plain words, both ways.
macro_rules! words {
    ($type:ident, $what:literal, $choices:literal, $($variant:ident = $word:literal),+) => {
        impl std::fmt::Display for $type {
            fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
                f.pad(match self { $(Self::$variant => $word),+ })
            }
        }

        impl std::str::FromStr for $type {
            type Err = UnknownWord;

            fn from_str(word: &str) -> Result<Self, UnknownWord> {
                match word {
                    $($word => Ok(Self::$variant),)+
                    _ => Err(UnknownWord { word: word.to_owned(), what: $what, choices: $choices }),
                }
            }
        }
    };
}
words!(Release, "a Debian release", "trixie or bookworm", Trixie = "trixie", Bookworm = "bookworm");
words!(Kind, "a kind of image", "plain or ready", Plain = "plain", Ready = "ready");

/// What a node boots from: read-only files in the cache.
///
/// Kept as long as it is used: its lease is what spares the files from being deleted to make room.
#[derive(Debug)]
pub struct Image {
    /// The root file system, raw and sparse, labelled `stead-os`; nodes write to an overlay of it.
    pub rootfs: PathBuf,
    /// The kernel out of it.
    pub kernel: PathBuf,
    /// The initial RAM disk out of it.
    pub initrd: PathBuf,
    /// Names what is in it: equal keys, equal packages' source and guest files.
    pub key: String,
    /// Kept open by whoever uses the files.
    pub lease: Lease,
}

/// An unpacked Debian with tang in it, whose programs run on any host through its own dynamic loader.
#[derive(Debug)]
pub struct TangTree {
    /// Its root.
    pub tree: PathBuf,
    /// Kept open by whoever uses the files.
    pub lease: Lease,
}

/// A shared lock on an entry of the cache: while it is open, the entry is not deleted.
#[derive(Debug)]
pub struct Lease {
    _lock: File,
}

impl Lease {
    /// Leases the entry that `file` is part of: for a process that knows the file from another one.
    pub fn of(file: &Path) -> Result<Self, ImageError> {
        store::lease_of(file)
    }
}

/// The place where images are kept.
#[derive(Clone, Debug)]
pub struct Cache {
    store: Store,
}

/// How long an image is used before the mirror is asked whether the release has moved on.
const CHECKED_FOR: Duration = Duration::from_hours(24);

/// How large the cache may grow unless the user says otherwise.
const CAP: Bytes = Bytes::gib(20);

impl Cache {
    /// The user's cache: `STEAD_LAB_CACHE`, else `stead/lab` in `XDG_CACHE_HOME`, else in `~/.cache`.
    pub fn open_default() -> Result<Self, ImageError> {
        let set = |name: &str| env::var_os(name).filter(|value| !value.is_empty()).map(PathBuf::from);
        // A relative XDG_CACHE_HOME is to be ignored, says its specification.
        let base = set("XDG_CACHE_HOME").filter(|path| path.is_absolute());
        let base = base.or_else(|| set("HOME").map(|home| home.join(".cache")));
        set("STEAD_LAB_CACHE")
            .or_else(|| base.map(|base| base.join("stead/lab")))
            .ok_or(ImageError::NoHome)
            .and_then(|path| Self::at(&path))
    }

    /// The cache in the folder `path`, which is made when it is missing.
    pub fn at(path: &Path) -> Result<Self, ImageError> {
        let cap = match env::var("STEAD_LAB_CACHE_CAP") {
            Ok(text) if !text.is_empty() => {
                text.parse().map_err(|source| ImageError::Cap { text: text.clone(), source })?
            }
            _ => CAP,
        };
        Ok(Self { store: Store::open(path, cap, CHECKED_FOR)? })
    }

    /// The image of `release` and `kind`; built when there is none or the release has moved on.
    ///
    /// `say` is told what takes time and what is not as it should be.
    pub fn image(&self, release: Release, kind: Kind, say: &mut dyn FnMut(&str)) -> Result<Image, ImageError> {
        let Entry { path, key, lease } =
            self.store.get(&ImageRecipe { release, kind, mirror: Mirror::from_environment() }, say)?;
        let file = |name: &str| path.join(name);
        Ok(Image { rootfs: file("rootfs.ext4"), kernel: file("vmlinuz"), initrd: file("initrd.img"), key, lease })
    }

    /// An unpacked tree with `usr/libexec/tangd`: installing tang on the host would open a port there.
    pub fn tang(&self, say: &mut dyn FnMut(&str)) -> Result<TangTree, ImageError> {
        let entry = self.store.get(&TangRecipe { mirror: Mirror::from_environment() }, say)?;
        Ok(TangTree { tree: entry.path.join("tree"), lease: entry.lease })
    }
}

/// Why there is no image.
#[derive(Debug, thiserror::Error)]
pub enum ImageError {
    /// Nothing says where the user's files are.
    #[error("no place for the lab's images: neither HOME nor XDG_CACHE_HOME is set; set STEAD_LAB_CACHE to a folder")]
    NoHome,
    /// The cap is not a size.
    #[error("STEAD_LAB_CACHE_CAP is `{text}`: {source}")]
    Cap {
        /// What it is set to.
        text: String,
        /// Why that is not a size.
        source: stead_spec::units::Invalid,
    },
    /// A file of the cache could not be read or written.
    #[error("could not {what} `{path}`: {source}; look at that place, or put the cache elsewhere with STEAD_LAB_CACHE")]
    Io {
        /// What was tried.
        what: &'static str,
        /// Where.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// An entry that somebody relies on was deleted.
    #[error("`{path}` is no longer in the cache, so its lab can't run: take that lab down and put up a new one")]
    Gone {
        /// The file that is missing.
        path: PathBuf,
    },
    /// The disk is too full to build.
    #[error(
        "building the {label} needs {} MiB, and `{at}` has {} MiB free: make room there, or put the cache elsewhere \
         with STEAD_LAB_CACHE",
        .need.get() >> 20, .free.get() >> 20
    )]
    Space {
        /// What was to be built.
        label: String,
        /// How much it needs.
        need: Bytes,
        /// How much there is.
        free: Bytes,
        /// The place that is too full.
        at: PathBuf,
    },
    /// The mirror does not answer, and there is nothing built to fall back on.
    #[error(
        "the {label} is not in the cache, and the mirror {mirror} does not answer: {why}\nTry again when it does, or \
         name another one with STEAD_LAB_MIRROR"
    )]
    Mirror {
        /// What was to be built.
        label: String,
        /// Which mirror was asked.
        mirror: String,
        /// What went wrong.
        why: String,
    },
    /// A program of the build failed.
    #[error("could not build the {label}: {source}")]
    Build {
        /// What was to be built.
        label: String,
        /// Which program, and what it said.
        source: RunError,
    },
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn words_are_read_as_they_are_written() {
        for release in [Release::Trixie, Release::Bookworm] {
            assert_eq!(release.to_string().parse(), Ok(release));
        }
        for kind in [Kind::Plain, Kind::Ready] {
            assert_eq!(kind.to_string().parse(), Ok(kind));
        }
        let error = "sid".parse::<Release>().unwrap_err();
        assert_eq!(error.to_string(), "`sid` is not a Debian release: write trixie or bookworm");
    }
}
