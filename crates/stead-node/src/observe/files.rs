//! What is at a path, and which files are marked as stead's.

use std::collections::BTreeMap;
use std::fs::File;
use std::io::{self, ErrorKind, Read};
use std::os::unix::fs::MetadataExt;

use camino::{Utf8Path, Utf8PathBuf};
use rustix::fs::OFlags;
use sha2::{Digest, Sha256};
use stead_plan::MARK;
use stead_plan::inventory::{File as Found, FileState, Known, Mode, Questions, sha256 as sum};
use stead_plan::secret::masked;

use crate::host::accounts::Accounts;
use crate::place::Place;
use crate::read::why;

/// The longest text that is told.
const TEXT: u64 = 64 << 10;

/// How much of a file is read to find the mark: three lines are never longer where stead wrote them.
const HEAD: u64 = 1024;

/// The files that were asked for, and those with the mark in the folders that were asked for. A folder that can't be read
/// is in it too, with the reason.
pub(super) fn look(
    place: &Place,
    questions: &Questions,
    accounts: &Accounts,
) -> BTreeMap<Utf8PathBuf, Known<FileState>> {
    let mut files = BTreeMap::new();
    for folder in &questions.folders {
        match marked(place, folder) {
            Ok(marked) => files.extend(marked.into_iter().map(|path| (path.clone(), at(place, &path, None, accounts)))),
            Err(reason) => _ = files.insert(folder.clone(), Known::Unknown(reason)),
        }
    }
    let asked = questions.files.iter();
    files.extend(
        asked.map(|path| (path.clone(), at(place, path, questions.secrets.get(path).map(String::as_str), accounts))),
    );
    files
}

/// What is at a path. A symbolic link at its end is not followed. What comes after `secret` is not told.
fn at(place: &Place, path: &Utf8Path, secret: Option<&str>, accounts: &Accounts) -> Known<FileState> {
    let result = state(place, path, secret, accounts);
    result.map_err(|error| format!("could not look at {path}: {error}")).into()
}

fn state(place: &Place, path: &Utf8Path, secret: Option<&str>, accounts: &Accounts) -> io::Result<FileState> {
    let here = place.at(path);
    let metadata = match here.symlink_metadata() {
        Ok(metadata) => metadata,
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::NotADirectory) => {
            return Ok(FileState::Absent);
        }
        Err(error) => return Err(error),
    };
    if metadata.is_symlink() {
        return Ok(FileState::Link(here.read_link_utf8()?));
    }
    if metadata.is_dir() {
        let (mode, owner) = (mode(metadata.mode()), accounts.owner(metadata.uid(), metadata.gid()));
        return Ok(FileState::Folder { mode, owner });
    }
    if !metadata.is_file() {
        return Ok(FileState::Other);
    }
    let mut file = open(&here)?;
    // Of the file that is read, which may have replaced the one above.
    let metadata = file.metadata()?;
    let (mode, owner) = (mode(metadata.mode()), accounts.owner(metadata.uid(), metadata.gid()));
    let (sha256, text) = read(&mut file)?;
    // What somebody else wrote may have other secrets.
    if let (Some(after), Some(text)) = (secret, text.as_ref().filter(|text| is_marked(text))) {
        let masked = masked(text, after);
        return Ok(FileState::File(Found { mode, owner, sha256: sum(&masked), text: Some(masked) }));
    }
    let text = text.filter(|_| mode.0 & 0o004 != 0 && reachable(place, path));
    Ok(FileState::File(Found { mode, owner, sha256, text }))
}

fn mode(bits: u32) -> Mode {
    Mode(u16::try_from(bits & 0o7777).unwrap_or(0))
}

/// Opens a file, and nothing that took its place: a link would lead elsewhere, a pipe would wait for a writer.
fn open(path: &Utf8Path) -> io::Result<File> {
    let flags = OFlags::RDONLY | OFlags::NOFOLLOW | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = File::from(rustix::fs::open(path.as_std_path(), flags, rustix::fs::Mode::empty())?);
    if file.metadata()?.is_file() { Ok(file) } else { Err(ErrorKind::InvalidInput.into()) }
}

/// A file's sum, and its content where that is a text of at most [`TEXT`] bytes.
fn read(file: &mut File) -> io::Result<(stead_spec::units::Sha256, Option<String>)> {
    let mut head = Vec::new();
    file.take(TEXT + 1).read_to_end(&mut head)?;
    let mut digest = Sha256::new();
    digest.update(&head);
    let mut piece = [0; 8192];
    loop {
        match file.read(&mut piece)? {
            0 => break,
            length => digest.update(&piece[..length]),
        }
    }
    let sum = <[u8; 32]>::from(digest.finalize()).into();
    let text = if head.len() as u64 > TEXT { None } else { String::from_utf8(head).ok() };
    Ok((sum, text))
}

/// Whether everybody may go through all folders above: a readable file in a closed folder is closed.
fn reachable(place: &Place, path: &Utf8Path) -> bool {
    let mut above = path.ancestors().skip(1);
    above.all(|folder| place.at(folder).metadata().is_ok_and(|metadata| metadata.mode() & 0o001 != 0))
}

/// The files in a folder that have the mark. None where the folder isn't there.
fn marked(place: &Place, folder: &Utf8Path) -> Result<Vec<Utf8PathBuf>, String> {
    let paths = place.names(folder).map_err(|error| why(&error))?.into_iter().map(|name| folder.join(name));
    let mut marked = Vec::new();
    for path in paths {
        let is_file = |path: &Utf8Path| path.symlink_metadata().is_ok_and(|metadata| metadata.is_file());
        if is_file(&place.at(&path))
            && has_mark(&place.at(&path)).map_err(|error| format!("could not read {path}: {error}"))?
        {
            marked.push(path);
        }
    }
    Ok(marked)
}

fn has_mark(path: &Utf8Path) -> io::Result<bool> {
    let mut head = Vec::new();
    match open(path) {
        Ok(file) => _ = file.take(HEAD).read_to_end(&mut head)?,
        // It went away, or something else took its place.
        Err(error) if matches!(error.kind(), ErrorKind::NotFound | ErrorKind::InvalidInput) => return Ok(false),
        Err(error) => return Err(error),
    }
    Ok(is_marked(&String::from_utf8_lossy(&head)))
}

/// Whether one of the first three lines begins with the mark, behind the file's sign for a comment: scripts and XML have
/// something else in their first line.
fn is_marked(text: &str) -> bool {
    let marks = |line: &str| {
        let words = line.trim_start_matches(|c: char| !c.is_alphanumeric());
        words.strip_prefix(MARK).is_some_and(|rest| !rest.starts_with(char::is_alphanumeric))
    };
    text.lines().take(3).any(marks)
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;

    use super::*;
    use crate::testing::Node;

    fn asked(files: &[&str], folders: &[&str]) -> Questions {
        let set = |paths: &[&str]| paths.iter().map(Utf8PathBuf::from).collect::<BTreeSet<_>>();
        Questions { files: set(files), folders: set(folders), ..Questions::default() }
    }

    fn look_at(tree: &Node, questions: &Questions) -> BTreeMap<Utf8PathBuf, Known<FileState>> {
        look(&tree.place, questions, &Accounts::default())
    }

    fn file(tree: &Node, path: &str) -> Found {
        match look_at(tree, &asked(&[path], &[])).remove(Utf8Path::new(path)) {
            Some(Known::Is(FileState::File(file))) => file,
            other => panic!("{path} is {other:?}"),
        }
    }

    #[test]
    fn what_is_there() {
        let tree = Node::new();
        tree.write("/etc/a", "abc");
        tree.mode("/etc/a", 0o644);
        tree.mode("/etc", 0o755);
        tree.mode("/", 0o755);
        tree.link("/etc/b", "/etc/a");
        let questions = asked(&["/etc/a", "/etc/b", "/etc", "/etc/c", "/etc/a/d"], &[]);
        let files = look_at(&tree, &questions);
        let state = |path: &str| files[Utf8Path::new(path)].get().unwrap();
        let FileState::File(a) = state("/etc/a") else { panic!("{:?}", state("/etc/a")) };
        assert_eq!((a.mode, a.text.as_deref()), (Mode(0o644), Some("abc")));
        let sum = "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad";
        assert_eq!(a.sha256.to_string(), sum);
        assert_eq!(state("/etc/b"), &FileState::Link("/etc/a".into()));
        assert!(matches!(state("/etc"), FileState::Folder { mode: Mode(0o755), .. }));
        assert_eq!(state("/etc/c"), &FileState::Absent);
        assert_eq!(state("/etc/a/d"), &FileState::Absent);
    }

    #[test]
    fn what_others_may_not_read_is_not_told() {
        let tree = Node::new();
        for (path, mode) in [("/open/a", 0o644), ("/open/b", 0o640), ("/closed/in/a", 0o644)] {
            tree.write(path, "a secret");
            tree.mode(path, mode);
        }
        tree.mode("/", 0o755);
        tree.mode("/closed", 0o700);
        assert_eq!(file(&tree, "/open/a").text.as_deref(), Some("a secret"));
        assert_eq!(file(&tree, "/open/b").text, None);
        assert_eq!(file(&tree, "/closed/in/a").text, None);
    }

    #[test]
    fn of_a_file_with_a_secret_all_else_is_told() {
        let tree = Node::new();
        tree.write("/etc/frr.conf", "! Managed by stead\n key 1 md5 abc\n");
        tree.write("/etc/other.conf", "! Mine\n key 1 md5 abc\n");
        tree.mode("/etc/frr.conf", 0o600);
        tree.mode("/etc/other.conf", 0o600);
        let path = Utf8PathBuf::from("/etc/frr.conf");
        let other = Utf8PathBuf::from("/etc/other.conf");
        let secrets = [&path, &other].map(|path| (path.clone(), "key 1 md5 ".to_owned())).into();
        let asked = Questions { secrets, ..asked(&[path.as_str(), other.as_str()], &[]) };
        let told = "! Managed by stead\n key 1 md5 ‹secret ba7816bf8f01›\n";
        let seen = look_at(&tree, &asked);
        let FileState::File(file) = seen[&path].get().unwrap() else { panic!("no file") };
        assert_eq!(file.text.as_deref(), Some(told));
        let FileState::File(other) = seen[&other].get().unwrap() else { panic!("no file") };
        assert_eq!(other.text, None, "what else is secret in it, nobody knows");
        assert_eq!(file.sha256, sum(told));
    }

    #[test]
    fn long_files_and_those_that_are_no_text_have_a_sum_only() {
        let tree = Node::new();
        let longest = "x".repeat(64 << 10);
        tree.write("/a", &longest);
        tree.write("/b", &format!("{longest}x"));
        std::fs::write(tree.at("/c"), [0xff, 0xfe]).unwrap();
        for (path, mode) in [("/", 0o755), ("/a", 0o644), ("/b", 0o644), ("/c", 0o644)] {
            tree.mode(path, mode);
        }
        assert_eq!(file(&tree, "/a").text, Some(longest));
        assert_eq!(file(&tree, "/b").text, None);
        assert_eq!(file(&tree, "/c").text, None);
        assert_ne!(file(&tree, "/a").sha256, file(&tree, "/b").sha256);
    }

    #[test]
    fn a_folder_shows_what_is_marked_in_it() {
        let tree = Node::new();
        tree.write("/etc/x.d/10-mine", "# Not managed by stead\n");
        tree.write("/etc/x.d/60-stead", "# Managed by stead\n");
        tree.write("/etc/x.d/below/60-stead", "# Managed by stead\n");
        tree.link("/etc/x.d/70-link", "60-stead");
        let files = look_at(&tree, &asked(&[], &["/etc/x.d", "/etc/none.d"]));
        assert_eq!(files.keys().collect::<Vec<_>>(), ["/etc/x.d/60-stead"]);
    }

    #[test]
    fn a_folder_that_cannot_be_read_is_told() {
        let tree = Node::new();
        tree.write("/etc/x.d", "");
        let files = look_at(&tree, &asked(&[], &["/etc/x.d"]));
        let reason = files[Utf8Path::new("/etc/x.d")].as_result().unwrap_err();
        assert!(reason.starts_with("could not read /etc/x.d: "), "{reason}");
    }

    #[test]
    fn marks() {
        for text in [
            "# Managed by stead",
            "#!/bin/sh\n# Managed by stead: see the cluster file.\n",
            "<?xml version=\"1.0\"?>\n<!-- Managed by stead -->\n",
            "! Managed by stead\n",
        ] {
            assert!(is_marked(text), "{text}");
        }
        for text in ["# Not Managed by stead\n", "# Managed by steadfast\n", "\n\n\n# Managed by stead\n", ""] {
            assert!(!is_marked(text), "{text}");
        }
    }
}
