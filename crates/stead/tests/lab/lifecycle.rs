//! Labs that come and go, and what they leave: nothing.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use stead_lab::image::{Cache, Kind, Release};
use stead_lab::processes;
use stead_lab::protocol::{PowerAction, Request};
use stead_lab::state::LabConfig;
use stead_lab::{Lab, LabError};
use stead_spec::Bytes;

use crate::support::{STEAD, fresh, own, run_dir, single, small};

/// The command as a user types it.
fn stead(dir: &Path, arguments: &[&str]) -> Output {
    Command::new(STEAD).args(["lab", "--dir"]).arg(dir).args(arguments).output().expect("stead")
}

fn said(output: &Output) -> String {
    String::from_utf8_lossy(&output.stderr).into_owned()
}

#[test]
fn ten_rounds_leave_no_process_and_no_file() {
    let dir = run_dir().join("rounds");
    let before = fs::read_dir(run_dir()).expect("folder").count();
    let cache = Cache::open_default().expect("cache");
    for round in 0..10 {
        let lab = Lab::create(&dir, Path::new(STEAD), small(), &cache, &mut |_| {}).expect("up");
        let running = processes::find(lab.path()).expect("processes").len();
        assert!(running >= 4, "three nodes and the process that holds them, in round {round}: {running}");
        let path = lab.path().to_owned();
        let output = stead(&dir, &["down"]);
        assert!(output.status.success(), "{}", said(&output));
        assert_eq!(processes::find(&path).expect("processes"), []);
        assert_eq!(fs::read_dir(run_dir()).expect("folder").count(), before, "no file beside it either");
    }
}

#[test]
fn a_killed_lab_takes_its_nodes_with_it_and_down_finds_the_rest() {
    let lab = own("killed", &single(Release::Trixie, Kind::Ready));
    // A connection that stays, as `stead lab ssh` leaves behind.
    lab.on("node1", "true");
    let dir = lab.path().to_owned();
    let node = lab.status().expect("status").nodes["node1"].pid.expect("it runs");
    let holder = processes::find(&dir).expect("processes").into_iter().find(|pid| {
        let command = fs::read(format!("/proc/{}/cmdline", pid.as_raw_nonzero())).unwrap_or_default();
        command.split(|byte| *byte == 0).any(|word| word == b"serve")
    });
    let holder = holder.expect("the process that holds the lab").as_raw_nonzero().to_string();
    assert!(Command::new("kill").args(["-9", &holder]).status().expect("kill").success());
    crate::support::eventually("the node is gone with it", || !Path::new(&format!("/proc/{node}")).exists());

    let output = stead(&dir, &["down"]);
    assert!(output.status.success(), "{}", said(&output));
    assert_eq!(processes::find(&dir).expect("processes"), []);
    assert!(!dir.exists());
    // Once more is the error that it is for any folder without a lab.
    let output = stead(&dir, &["down"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(said(&output).contains("no lab in"), "{}", said(&output));
    std::mem::forget(lab);
}

#[test]
fn two_labs_in_two_folders_do_not_meet() {
    let first = fresh();
    let second = own("second", &single(Release::Trixie, Kind::Plain));
    // The same address, the same network card, the same name: alone each.
    for lab in [&first, &second] {
        assert_eq!(lab.on("node1", "ip -4 -o addr show dev enp0s1 | grep -c 192.168.0.50/24"), "1");
        assert_eq!(lab.on("node1", "cat /sys/class/net/enp0s1/address"), "52:54:00:00:01:01");
    }
    assert!(!second.works("node1", "ping -q -c 3 -W 2 192.168.0.51"), "there is a node2 in the first lab only");
    first.until("node1", "ping -q -c 1 -W 2 192.168.0.51");
    assert_ne!(first.boot_id("node1"), second.boot_id("node1"));

    // A plain node is what a fresh Debian is: an engine's package is not there, and a fresh Debian's tools are.
    for package in ["glusterfs-server", "libvirt-daemon-system", "openvswitch-switch", "clevis"] {
        assert!(!second.works("node1", &format!("dpkg -s {package}")), "{package}");
    }
    second.on("node1", "command -v apt-get ip sshd systemctl ifup less");
    second.power_of(&["node1"], PowerAction::Off);
    assert_eq!(first.status().expect("status").nodes.values().filter(|node| node.ssh).count(), 3);
}

#[test]
fn a_ready_node_has_the_engines_and_none_of_them_runs() {
    let lab = fresh();
    lab.on("node1", "command -v glusterd virsh ovs-vsctl clevis borg prometheus corosync pacemakerd vtysh");
    let running =
        lab.on("node1", "systemctl list-units --type=service --state=running --no-legend --plain | awk '{print $1}'");
    let engines =
        ["gluster", "libvirt", "virt", "openvswitch", "ovs", "tang", "prometheus", "corosync", "pacemaker", "frr"];
    for unit in running.lines() {
        assert!(!engines.iter().any(|engine| unit.starts_with(engine)), "{unit} runs");
    }
    assert_eq!(lab.on("node1", "systemctl --failed --no-legend"), "");
}

#[test]
fn mistakes_are_told_before_anything_is_made() {
    let lab = fresh();
    let output = stead(lab.path(), &["up"]);
    assert_eq!(output.status.code(), Some(1));
    assert!(
        said(&output).contains("there is a lab in") && said(&output).contains("stead lab down"),
        "{}",
        said(&output)
    );

    let foreign = run_dir().join("foreign");
    fs::create_dir(&foreign).expect("folder");
    fs::write(foreign.join("thesis.tex"), "years of work").expect("file");
    let output = stead(&foreign, &["up"]);
    assert!(said(&output).contains("neither empty nor the folder of a lab"), "{}", said(&output));
    assert_eq!(fs::read_dir(&foreign).expect("folder").count(), 1);

    let none = run_dir().join("none");
    let output = stead(&none, &["status"]);
    assert!(said(&output).contains("no lab in") && said(&output).contains("stead lab up"), "{}", said(&output));
    let output = stead(&none, &["up", "--memory", "900TiB"]);
    assert!(said(&output).contains("are free"), "{}", said(&output));
    assert!(!none.exists());
    assert_eq!(stead(&none, &["up", "--disks", "3x8GB"]).status.code(), Some(64));
    assert_eq!(stead(&none, &["power", "node1", "sideways"]).status.code(), Some(64));

    // A program that is not there: named, with its package.
    let mut up = Command::new(STEAD);
    up.args(["lab", "--dir"]).arg(&none).arg("up").env("PATH", "/nonexistent");
    let output = up.output().expect("stead");
    assert!(
        said(&output).contains("qemu-system-x86") && said(&output).contains("apt-get install"),
        "{}",
        said(&output)
    );
    assert!(!none.exists());
}

#[test]
fn a_full_disk_is_told_and_leaves_nothing() {
    let lab = fresh();
    // A file system of 64 MiB, which a picture of three nodes doesn't fit in: the folder of pictures, elsewhere.
    let small = run_dir().join("small");
    fs::create_dir(&small).expect("folder");
    let mounted = Command::new("mount").args(["-t", "tmpfs", "-o", "size=64M", "lab"]).arg(&small).status();
    assert!(mounted.is_ok_and(|status| status.success()), "this case needs root, to mount a small file system");
    let _small = SmallPictures::put_in(lab.path(), &small);
    let error = lab.request(&Request::Save { name: "large".into() }).expect_err("no room");
    assert!(
        matches!(error, LabError::Refused { .. }) && error.hint().is_some_and(|hint| hint.contains("df -h")),
        "{error}"
    );
    assert_eq!(fs::read_dir(&small).expect("small").count(), 0, "half of a picture is none");
    assert_eq!(lab.on("node1", "echo alive"), "alive", "the nodes go on");
}

/// A small file system in the place of a lab's pictures, for as long as this lives.
struct SmallPictures {
    small: PathBuf,
    pictures: PathBuf,
    aside: PathBuf,
}

impl SmallPictures {
    fn put_in(lab: &Path, small: &Path) -> Self {
        let (pictures, aside) = (lab.join("snapshots"), lab.join("nodes/snapshots.aside"));
        fs::rename(&pictures, &aside).expect("aside");
        std::os::unix::fs::symlink(small, &pictures).expect("link");
        Self { small: small.to_owned(), pictures, aside }
    }
}

impl Drop for SmallPictures {
    fn drop(&mut self) {
        fs::remove_file(&self.pictures).expect("link");
        fs::rename(&self.aside, &self.pictures).expect("back");
        assert!(Command::new("umount").arg(&self.small).status().expect("umount").success());
    }
}

#[test]
fn the_commands_do_what_the_library_does() {
    let lab = fresh();
    let dir = lab.path();
    let output = stead(dir, &["cable", "node1", "2", "out"]);
    assert!(output.status.success(), "{}", said(&output));
    let status = stead(dir, &["status", "--json"]);
    let json: serde_json::Value = serde_json::from_slice(&status.stdout).expect("JSON");
    assert_eq!(json["schema_version"], 1);
    assert_eq!(json["nodes"]["node1"]["state"]["cables"]["2"], "out");
    let text = String::from_utf8(stead(dir, &["status"]).stdout).expect("text");
    assert!(text.contains("cable out: 2") && text.contains("switch 3 on"), "{text}");
    assert!(!text.contains('\x1b'), "no colour without a terminal");

    let output = stead(dir, &["ssh", "node2", "hostname"]);
    assert_eq!(String::from_utf8_lossy(&output.stdout).trim(), "node2");
    assert_eq!(stead(dir, &["ssh", "node2", "exit 7"]).status.code(), Some(7));

    let mut console = lab.console("node3").expect("console");
    std::io::Write::write_all(&mut console, b"\necho on the con''sole of $(hostname)\n").expect("type");
    crate::support::eventually("the console answers", || lab.console_tail("node3").contains("on the console of node3"));
}

#[test]
fn five_nodes_come_up_and_talk() {
    let config = LabConfig {
        nodes: 5,
        image: Kind::Plain,
        memory: Bytes::mib(640),
        disks: vec![Bytes::gib(1)],
        ..LabConfig::default()
    };
    let shared = fresh();
    // Two cores for five nodes are few enough.
    shared.power_of(&["node1", "node2", "node3"], PowerAction::Off);
    let lab = own("five", &config);
    for number in 2..=5 {
        lab.until("node1", &format!("ping -q -c 1 -W 2 192.168.0.{}", 49 + number));
    }
    lab.save("five");
    lab.power_of(&["node5"], PowerAction::Off);
    lab.load("five");
    lab.until("node1", "ping -q -c 1 -W 2 192.168.0.54");
}
