//! What nodes tell of volumes, by the model of their daemons.

use std::collections::BTreeMap;

use stead_plan::disks::{BlockDevice, Disk};
use stead_plan::inventory::{Known, Release};
use stead_plan::op::{Argument, Op, Program};
use stead_plan::plan::{Plan, questions};
use stead_plan::volumes::{Daemon, Storage};
use stead_spec::units::NodeName;
use stead_spec::{Bytes, Spec};

use super::drives::{self, Drives};
use super::volumes::Gluster;

/// What the storage daemons make of a plan.
pub(super) fn gluster(plan: &Plan, release: &Release) -> Gluster {
    let mut gluster = Gluster::default();
    if *release == Release::Bookworm {
        gluster.old = plan.steps.iter().map(|step| format!("{}.core", step.id.node)).collect();
    }
    for step in &plan.steps {
        let host = format!("{}.core", step.id.node);
        for command in step.ops.iter().filter_map(|op| if let Op::Run(command) = op { Some(command) } else { None }) {
            let words = command.arguments.iter().filter_map(|word| match word {
                Argument::Text(word) => Some(word.as_str()),
                Argument::Output(_) | Argument::Filled(_) => None,
            });
            let words: Vec<&str> = words.collect();
            match command.program {
                Program::Gluster => gluster.run(&host, &words, &|_| true, false).unwrap().unwrap(),
                Program::Install => gluster.install(&words),
                _ => {}
            }
        }
    }
    gluster
}

/// What a node tells of its volumes.
pub(super) fn tell_storage(spec: &Spec, name: &NodeName, drives: &Drives, gluster: &Gluster) -> Storage {
    let host = format!("{name}.core");
    let brick = |folder: &camino::Utf8PathBuf| {
        let place = folder.parent().unwrap().as_str();
        let there = drives.has_mounted(place).then(|| gluster.brick(&host, folder.as_str(), Bytes::gib(700)));
        (folder.clone(), Known::Is(there))
    };
    let questions = questions(spec, name);
    let bricks: BTreeMap<_, _> = questions.bricks.iter().map(brick).collect();
    let daemon = if questions.units.contains("glusterd.service") { gluster.tell(&host) } else { Daemon::New };
    Storage { daemon: Known::Is(daemon), written: gluster.written(&host), bricks }
}

/// The disk that Debian is on.
pub(super) fn os_disk(number: u8) -> Disk {
    let root = BlockDevice {
        name: "sda1".to_owned(),
        kind: "part".to_owned(),
        size: Bytes::gib(232),
        content: Some("ext4".to_owned()),
        label: None,
        uuid: Some("4a0e7f9e-58c4-4b2d-8c3f-3f1d5c1a7b42".to_owned()),
        mounts: vec!["/".to_owned()],
        space: None,
        children: Vec::new(),
    };
    let id = format!("ata-EXAMPLE_SSD_250GB_OS{number}");
    Disk {
        model: Some("EXAMPLE SSD 250GB".to_owned()),
        size: Bytes::new(250_059_350_016),
        children: vec![root],
        ..drives::blank(&id, "sda").facts
    }
}
