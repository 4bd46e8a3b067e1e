//! Builds images: mmdebstrap unpacks Debian, a script adds the guest files and makes a file system. No root needed.

use std::fs::{self, File, Permissions};
use std::io;
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use super::recipe::{FINISH, GUEST, ImageRecipe, Mirror, Recipe as _, TangRecipe, packages, standard};
use super::store::failed;
use super::{ImageError, Release};
use crate::exec::{RunError, Tool};

/// Run by mmdebstrap before the kernel is installed, with the new root as `$1`.
///
/// The initial RAM disk takes fsck along only when it knows at that time which kind of file system the root is; a
/// node after a power cut wants it.
pub(super) const FSTAB_HOOK: &str = "echo 'LABEL=stead-os / ext4 errors=remount-ro 0 1' >\"$1/etc/fstab\" && \
     mkdir -p \"$1/etc/initramfs-tools/conf.d\" && echo FSTYPE=ext4 >\"$1/etc/initramfs-tools/conf.d/root-file-system\"";

/// Where a build works.
pub(super) struct Place {
    /// All of it.
    pub(super) folder: PathBuf,
    /// The folder that becomes the entry.
    pub(super) entry: PathBuf,
    /// The lock that says that somebody builds here.
    pub(super) lock: File,
}

impl Place {
    /// A command of `tool`, run for this build.
    ///
    /// The lock is its standard input (an empty file), so that when this process is killed the place counts as taken
    /// until the programs it started have ended too.
    fn command(&self, tool: Tool) -> Result<Command, ImageError> {
        let mut command = tool.command();
        let lock = self.lock.try_clone().map_err(failed("share the lock of", &self.folder))?;
        command.stdin(Stdio::from(lock)).env("TMPDIR", &self.folder);
        Ok(command)
    }

    /// The places that a build fills.
    pub(super) fn filled(&self) -> Vec<PathBuf> {
        let mut places = vec![self.folder.clone()];
        if needs_scratch(&self.folder) {
            places.push(PathBuf::from(SCRATCH));
        }
        places
    }
}

/// The `Date:` of a release as the mirror has it: changes with each point release.
///
/// Security updates don't count: they come daily, and a node gets them as any Debian does.
pub(super) fn release_date(mirror: &Mirror, release: Release, place: &Place) -> Result<String, String> {
    let file = place.folder.join("InRelease");
    let mut command = place.command(Tool::AptHelper).map_err(|error| error.to_string())?;
    // A mirror that does not answer shall not hold up those who have an image already.
    for option in ["Acquire::http::Timeout=10", "Acquire::https::Timeout=10", "Acquire::Retries=1"] {
        command.args(["-o", option]);
    }
    command.args(["-qq", "download-file", &format!("{}/dists/{release}/InRelease", mirror.uri())]).arg(&file);
    Tool::AptHelper.run(command).map_err(|error| first_error(&error))?;
    let text = fs::read(&file).map_err(|error| error.to_string())?;
    date_of(&String::from_utf8_lossy(&text), release)
}

/// What apt says went wrong, without its warnings.
fn first_error(error: &RunError) -> String {
    let all = error.to_string();
    all.lines().find_map(|line| line.strip_prefix("E: ")).unwrap_or(&all).to_owned()
}

/// The date in a release file, when it is one: a portal before the network answers anything with a page of its own.
fn date_of(text: &str, release: Release) -> Result<String, String> {
    let field = |name: &str| text.lines().find_map(|line| line.strip_prefix(name)).map(str::trim);
    match (field("Codename:"), field("Date:")) {
        (Some(codename), Some(date)) if codename == release.to_string() => Ok(date.to_owned()),
        _ => Err(format!("what it sent is not the release file of {release}")),
    }
}

/// Builds a node's image into `place.entry`.
pub(super) fn image(recipe: &ImageRecipe, place: &Place) -> Result<(), ImageError> {
    let tar = place.folder.join("os.tar");
    let guest = place.folder.join("guest");
    fs::create_dir(&guest).map_err(failed("make the folder", &guest))?;
    for (name, text) in GUEST {
        let path = guest.join(name);
        fs::write(&path, text).map_err(failed("write", &path))?;
    }
    let (release, kind) = (recipe.release, recipe.kind);
    let options = [
        // Debian's base system; what the installer adds to it is listed, because the patterns below leave updates out.
        "--variant=important".to_owned(),
        format!("--essential-hook={FSTAB_HOOK}"),
        format!("--include={}", standard(kind)),
        format!("--include={}", packages(release, kind).join(",")),
    ];
    bootstrap(&recipe.label(), place, &options, (&recipe.mirror, release), &tar)?;
    let mut command = place.command(Tool::Fakeroot)?;
    command.arg("sh").arg(guest.join(FINISH)).arg(&place.folder).args([release.to_string(), kind.to_string()]);
    run(&recipe.label(), Tool::Fakeroot, command)
}

/// Unpacks tang and the libraries it needs into `place.entry`.
pub(super) fn tang(recipe: &TangRecipe, place: &Place) -> Result<(), ImageError> {
    let (tar, tree) = (place.folder.join("tang.tar"), place.entry.join("tree"));
    let options = ["--variant=extract".to_owned(), "--include=tang".to_owned()];
    bootstrap(&recipe.label(), place, &options, (&recipe.mirror, TangRecipe::RELEASE), &tar)?;
    fs::create_dir(&tree).map_err(failed("make the folder", &tree))?;
    // Only to swallow what an ordinary user may not do; the owners don't matter here.
    let mut command = place.command(Tool::Fakeroot)?;
    command.args(["tar", "--no-same-permissions", "-C"]).arg(&tree).arg("-xf").arg(&tar);
    run(&recipe.label(), Tool::Fakeroot, command)
}

/// Runs mmdebstrap: as root when this is root, else in a user namespace.
fn bootstrap(
    label: &str,
    place: &Place,
    options: &[String],
    (mirror, release): (&Mirror, Release),
    tar: &Path,
) -> Result<(), ImageError> {
    // Its absence would be setpriv's to tell, and setpriv does not know the package.
    let mut version = Tool::Mmdebstrap.command();
    version.arg("--version");
    run(label, Tool::Mmdebstrap, version)?;
    let scratch = make_scratch(&place.folder)?;
    let mut command = place.command(Tool::Setpriv)?;
    // When this process dies, mmdebstrap cleans up and ends.
    command.env("TMPDIR", &scratch).args(["--pdeathsig", "TERM", Tool::Mmdebstrap.program()]);
    command.args(["--quiet", "--mode=auto", "--format=tar", "--architectures=amd64", "--skip=output/dev"]);
    command.args(options).arg(release.to_string()).arg(tar).args(mirror.sources(release));
    run(label, Tool::Setpriv, command)?;
    remove_tree(&scratch).map_err(failed("delete", &scratch))
}

fn run(label: &str, tool: Tool, command: Command) -> Result<(), ImageError> {
    tool.run(command).map(drop).map_err(|source| ImageError::Build { label: label.to_owned(), source })
}

/// Whether mmdebstrap must unpack elsewhere than in `folder`.
///
/// Without root it works as other users, who must be able to get there; a home folder is often closed to them.
fn needs_scratch(folder: &Path) -> bool {
    let open = |path: &Path| path.metadata().is_ok_and(|meta| meta.permissions().mode() & 0o001 != 0);
    !rustix::process::geteuid().is_root() && !folder.ancestors().all(open)
}

/// A folder that everybody can reach and that is not in memory.
const SCRATCH: &str = "/var/tmp";

/// Where mmdebstrap unpacks when it can't in `folder`: a name that is found again after a crash.
pub(super) fn scratch_of(folder: &Path) -> PathBuf {
    let user = rustix::process::geteuid().as_raw();
    let name = folder.file_name().unwrap_or_default();
    Path::new(SCRATCH).join(format!("stead-lab-{user}")).join(name)
}

/// Makes a folder that mmdebstrap can unpack in.
fn make_scratch(folder: &Path) -> Result<PathBuf, ImageError> {
    let scratch = if needs_scratch(folder) { scratch_of(folder) } else { folder.join("scratch") };
    fs::create_dir_all(&scratch).map_err(failed("make the folder", &scratch))?;
    // Its name can be guessed: it must not be a trap that another user of this machine has laid.
    let above = scratch.parent().unwrap_or(&scratch);
    let meta = above.symlink_metadata().map_err(failed("look at", above))?;
    if !meta.is_dir() || meta.uid() != rustix::process::geteuid().as_raw() {
        return Err(failed("trust, because it is another user's,", above)(io::ErrorKind::PermissionDenied.into()));
    }
    fs::set_permissions(&scratch, Permissions::from_mode(0o1777)).map_err(failed("open up", &scratch))?;
    Ok(scratch)
}

/// Deletes a folder, also what mmdebstrap left there as the users of its own that it works as without root.
pub(super) fn remove_tree(path: &Path) -> io::Result<()> {
    match fs::remove_dir_all(path) {
        Err(error) if error.kind() == io::ErrorKind::PermissionDenied => {
            let mut command = Tool::Mmdebstrap.command();
            command.args(["--unshare-helper", "rm", "-rf"]).arg(path);
            // It fails, because the folder itself and some of what is in it are this user's again: they are next.
            let _ = Tool::Mmdebstrap.run(command);
            fs::remove_dir_all(path)
        }
        other => other,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_release_file_of_the_release_tells_its_date() {
        let file = "Origin: Debian\nCodename: trixie\nDate: Sat, 12 Sep 2026 07:55:41 UTC\n";
        assert_eq!(date_of(file, Release::Trixie), Ok("Sat, 12 Sep 2026 07:55:41 UTC".to_owned()));
        assert!(date_of(file, Release::Bookworm).is_err());
        let error = date_of("<html>Log in to the Wi-Fi</html>", Release::Trixie).unwrap_err();
        assert_eq!(error, "what it sent is not the release file of trixie");
    }
}
