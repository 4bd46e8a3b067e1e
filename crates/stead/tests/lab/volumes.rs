//! The layer `volumes`: what people do to volumes behind stead's back is righted, and there is a way out. What volumes
//! endure is in [`outages`](crate::outages).

use std::fs;

use stead_lab::protocol::PowerAction;

use crate::cluster::{applied, out};
use crate::outages::heals;
use crate::support::eventually;

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// What has a node of a lab's image start this layer's daemon as any Debian would; but for geo-replication, whose Python the
/// daemon asks 15 things whenever it starts: 2 seconds on a PC, minutes on a translated node.
pub(crate) const PREPARE: &str = "systemctl unmask glusterd && \
    dpkg-divert --local --rename --divert /usr/lib/x86_64-linux-gnu/glusterfs/gsyncd.unused \
                --add /usr/lib/x86_64-linux-gnu/glusterfs/gsyncd";

/// Where a node's brick of gv0 is.
const IN_BRICK: &str = "/srv/bricks/stead_*/brick";

#[test]
fn what_people_do_to_volumes_is_righted() {
    let cluster = applied();
    cluster.home.settled();
    // Owned by those who run machines, with folders for them; nothing comes to lie where nothing is mounted.
    assert_eq!(cluster.on("node2", "stat -c '%u %a' /srv/gv0/vm /srv/gv0/iso"), "64055 711\n64055 711");
    assert!(!cluster.works("node1", "systemctl stop stead-volume-gv0 && touch /srv/gv0/file"));
    cluster.on("node1", "systemctl start stead-volume-gv0");
    cluster.on("node1", "echo precious > /srv/gv0/vm/file && sync /srv/gv0/vm/file");
    assert_eq!(cluster.on("node3", "cat /srv/gv0/vm/file"), "precious");
    // Without a certificate nobody is talked to.
    assert!(cluster.hangs_up("node1", "node2.core:24007"));
    let brick =
        |node: &str| cluster.on(node, "echo /srv/bricks/stead_*").rsplit('/').next().expect("a name").to_owned();
    // A brick that ends is started again, and the others see it, though its daemon was restarted meanwhile.
    cluster.on("node3", "systemctl restart glusterd && pkill -x glusterfsd");
    cluster.on("node1", "echo more >> /srv/gv0/vm/file && sync /srv/gv0/vm/file");
    heals(&cluster, &NODES);
    assert_eq!(cluster.on("node3", &format!("cat {IN_BRICK}/vm/file | wc -l")), "2");
    // An option, the daemon of a third with all that it knew of the others, a line of fstab, a mount, a unit, and an option
    // that nobody asked for.
    cluster.on("node1", "gluster --mode=script volume set gv0 network.ping-timeout 42 user.note mine");
    cluster.on("node3", "systemctl stop glusterd && rm /var/lib/glusterd/peers/*");
    cluster.on("node3", "sed -i 's/noatime,inode64/noatime/' /etc/fstab && sync");
    cluster.on("node1", "systemctl stop stead-volume-gv0");
    cluster.on("node2", "sed -i s/RestartSec=10/RestartSec=11/ /etc/systemd/system/stead-volume-gv0.service");
    let (mut steps, code) = cluster.home.planned();
    steps.sort();
    let expected = [
        "volumes/node1/mount.gv0".to_owned(),
        "volumes/node2/mount.gv0".to_owned(),
        "volumes/node2/volume.gv0".to_owned(),
        format!("volumes/node3/brick.{}", brick("node3")),
        "volumes/node3/daemon".to_owned(),
    ];
    assert_eq!((steps.as_slice(), code), (expected.as_slice(), 2));
    let plan = cluster.home.stead(&["plan"]);
    assert!(out(&plan).contains("user.note = mine"), "{}", out(&plan));
    cluster.home.applies();
    assert_eq!(cluster.on("node1", "gluster volume get gv0 network.ping-timeout | grep -c ' 42'; true"), "0");
    heals(&cluster, &NODES);
    // Daemons that were started a moment ago find each other first.
    let mut said = String::new();
    eventually("all is well", || {
        let status = cluster.home.stead(&["status"]);
        said = out(&status);
        status.status.code() == Some(0)
    });
    assert!(said.contains("gv0"), "{said}");
}

#[test]
fn three_volumes_come_of_three_disks_a_node() {
    let cluster = applied();
    for node in NODES {
        let [first, second, third] = ["disk1", "disk2", "disk3"].map(|bay| cluster.disk_name(node, bay));
        let line = format!("disks = {{ gv0 = [\"{first}\"] }}");
        let more = format!("disks = {{ gv0 = [\"{first}\"], gv1 = [\"{second}\"], bmv0 = [\"{third}\"] }}");
        cluster.home.edit(&line, &more);
    }
    let last = "[volume.gv0]\nkind = \"replicated\"\n";
    let more = "\n[volume.gv1]\nkind = \"replicated\"\n\n[volume.bmv0]\nkind = \"local\"\n";
    cluster.home.edit(last, &format!("{last}{more}"));
    cluster.home.applies();
    cluster.home.settled();
    cluster.on("node2", "echo precious > /srv/gv1/vm/file && echo mine > /srv/bmv0/file && sync");
    assert_eq!(cluster.on("node3", "cat /srv/gv1/vm/file; ls /srv/bmv0"), "precious");
    // One out of the file is told of, and goes on.
    cluster.home.edit("[volume.bmv0]", "[volume.other]");
    let refused = cluster.home.stead(&["plan"]);
    assert_ne!(refused.status.code(), Some(0));
    assert_eq!(cluster.on("node2", "cat /srv/bmv0/file"), "mine");
}

/// The script of docs/leaving.md.
fn together() -> String {
    let doc = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/leaving.md");
    let text = fs::read_to_string(doc).expect("docs/leaving.md");
    let script = text.split("```sh\n").find(|part| part.starts_with("#!/bin/sh")).expect("a script");
    script.split("```").next().expect("its end").to_owned()
}

#[test]
fn files_are_put_together_from_one_nodes_disks_without_stead_and_gluster() {
    let cluster = applied();
    // Three pieces, a hole among them, and a small one.
    let fill = "cd /srv/gv0/vm && head -c 70M /dev/urandom > big && truncate -s 140M big && \
                head -c 3M /dev/urandom >> big && head -c 1000 /dev/urandom > small && sync big small && sha256sum big small";
    let sums = cluster.on("node1", fill);
    heals(&cluster, &NODES);
    cluster.power_of(&["node1", "node3"], PowerAction::Off);
    // What runs on the node that is left is stopped, and its disk closed: a disk and any Linux is all that there is.
    let disk = cluster.disk_name("node2", "disk1");
    cluster.on("node2", "systemctl stop stead-disks stead-volume-gv0 glusterd tangd.socket; pkill gluster; true");
    cluster.on(
        "node2",
        "systemctl stop $(systemctl list-units --plain --no-legend 'systemd-cryptsetup@stead_*' | cut -d ' ' -f 1)",
    );
    assert!(!cluster.works("node2", "ls /dev/mapper/stead_*"), "a disk whose unit is stopped is closed");
    cluster.on("node2", "command -v getfattr || apt-get install -y attr");
    // The record is cut out of the sealed secrets that any node has, and opened by the admin's key.
    let key = fs::read_to_string(cluster.home.dir.join("id_ed25519")).expect("the admin's key");
    cluster.on("node2", &format!("umask 077; mkdir -p /run/out && cat > /run/key <<'END'\n{key}END"));
    cluster.on(
        "node2",
        &format!(
            "cd /run && awk -v of='[disk/{disk}]' '$0 == of {{ on = 1 }} on && /^-+BEGIN AGE/ {{ in_it = 1 }} in_it; \
             in_it && /^-+END AGE/ {{ exit }}' /var/lib/stead/generations/current/stead.secrets > record && \
             age -d -i key record > recovery-key && \
             cryptsetup open --key-file recovery-key /dev/disk/by-id/{disk} opened && vgchange -ay && udevadm settle && \
             mkdir -p /mnt/brick && mount -o ro /dev/stead_*/brick /mnt/brick"
        ),
    );
    cluster.on("node2", &format!("cat > /run/together <<'END'\n{}END", together()));
    let all = "cd /run/out && for f in big small; do sh /run/together vm/$f $f /mnt/brick/brick; done";
    cluster.on("node2", all);
    assert_eq!(cluster.on("node2", "cd /run/out && sha256sum big small"), sums);
}
