//! libvirt's networks and machines' disks as a model: what virsh and qemu-img make of commands. It knows nothing of steps.

use std::collections::BTreeMap;

use camino::{Utf8Path, Utf8PathBuf};
use stead_plan::inventory::Known;
use stead_plan::machines::{DiskFile, Hypervisor, VirtualNetwork};
use stead_plan::op::Program;
use stead_spec::units::Bytes;

/// Runs `virsh …`; `None` if it doesn't know that.
pub(crate) fn virsh(hypervisor: &mut Hypervisor, words: &[&str], stdin: Option<&str>) -> Option<Result<(), String>> {
    let Known::Is(networks) = &mut hypervisor.networks else { return None };
    if let ["net-define", "/dev/stdin"] = words {
        let text = stdin.unwrap_or_default();
        let between = |from: &str, to: &str| text.split_once(from)?.1.split_once(to).map(|(word, _)| word.to_owned());
        let Some(name) = between("<name>", "</name>") else { return Some(Err("missing domain state".to_owned())) };
        let before = networks.get(&name).cloned().unwrap_or_default();
        let network = VirtualNetwork {
            uuid: between("<uuid>", "</uuid>").unwrap_or_default(),
            bridge: between("<bridge name=\"", "\""),
            openvswitch: text.contains("<virtualport type=\"openvswitch\"/>"),
            vlan: between("<tag id=\"", "\"").and_then(|id| id.parse().ok()),
            ..VirtualNetwork { others: std::collections::BTreeSet::new(), ..before }
        };
        networks.insert(name, network);
        return Some(Ok(()));
    }
    let [verb, name] = words else { return None };
    let Some(network) = networks.get_mut(*name) else { return Some(Err("Network not found".to_owned())) };
    match *verb {
        "net-autostart" => network.autostart = true,
        "net-start" if network.active => return Some(Err("network is already active".to_owned())),
        "net-start" => network.active = true,
        "net-destroy" if !network.active => return Some(Err("network is not active".to_owned())),
        "net-destroy" => network.active = false,
        _ => return None,
    }
    Some(Ok(()))
}

/// What builds images: a release, where to, and packages come after it.
const BUILDER: &str = "/var/lib/stead/build-image";

/// Files with machines' disks.
pub(crate) type DiskFiles = BTreeMap<Utf8PathBuf, DiskFile>;

/// Runs a program that makes or reads such files; `None` if it doesn't know that. One that is cut has made a file that isn't
/// whole.
pub(crate) fn disk_files(
    files: &mut DiskFiles,
    program: Program,
    words: &[&str],
    stdin: Option<&str>,
    half: bool,
) -> Option<Result<(), String>> {
    let size = |text: &str| text.parse().ok().map(|size| Bytes::new(if half { 0 } else { size }));
    let none = |path: &str| Some(Err(format!("{path}: No such file or directory")));
    match (program, words) {
        (Program::QemuImg, ["create", "-f", format, path, wanted]) => {
            files.insert((*path).into(), DiskFile { format: (*format).to_owned(), size: size(wanted)?, needs: None });
        }
        (Program::QemuImg, ["check", "-q", .., path]) => {
            if !files.contains_key(Utf8Path::new(path)) {
                return none(path);
            }
        }
        (Program::QemuImg, ["convert", .., "-O", format, from, to]) => {
            let Some(from) = files.get(Utf8Path::new(from)) else { return none(from) };
            let size = if half { Bytes::new(0) } else { from.size };
            files.insert((*to).into(), DiskFile { format: (*format).to_owned(), size, needs: None });
        }
        (Program::QemuImg, ["resize", "-f", _, path, wanted]) => {
            let Some(file) = files.get_mut(Utf8Path::new(path)) else { return none(path) };
            file.size = if half { file.size } else { size(wanted)? };
        }
        (Program::Curl, [.., "--output", path, _]) => {
            let size = Bytes::mib(if half { 0 } else { 300 });
            files.insert((*path).into(), DiskFile { format: "qcow2".to_owned(), size, needs: None });
        }
        (Program::Sha256sum, ["--check", "--strict"]) => {
            let (_, path) = stdin?.trim().split_once("  ")?;
            if !files.contains_key(Utf8Path::new(path)) {
                return none(path);
            }
        }
        (Program::Xorrisofs, [_, "-output", path, ..]) => {
            let size = Bytes::mib(u64::from(!half));
            files.insert((*path).into(), DiskFile { format: "raw".to_owned(), size, needs: None });
        }
        (Program::SystemdRun, words) => {
            let [_, _, path, ..] = words.get(words.iter().position(|word| *word == BUILDER)?..)? else { return None };
            let size = Bytes::mib(if half { 0 } else { 3_072 });
            files.insert((*path).into(), DiskFile { format: "qcow2".to_owned(), size, needs: None });
        }
        (Program::Virsh, ["blockresize", _, path, wanted]) => {
            let Some(file) = files.get_mut(Utf8Path::new(path)) else { return none(path) };
            file.size = if half { file.size } else { size(wanted.trim_end_matches('B'))? };
        }
        (Program::Mv, words) => return mv(files, words, half),
        _ => return None,
    }
    Some(Ok(()))
}

/// Runs `mv …` of such files; `None` if it doesn't know that, or there is no such file.
fn mv(files: &mut DiskFiles, words: &[&str], half: bool) -> Option<Result<(), String>> {
    let ["--no-clobber", "--no-target-directory", from, to] = words else { return None };
    let (from, to) = (Utf8Path::new(from), Utf8Path::new(to));
    let file = files.get(from)?.clone();
    if !half && !files.contains_key(to) {
        files.remove(from);
        files.insert(to.to_owned(), file);
    }
    Some(Ok(()))
}
