//! Cuts in the middle of what is done to disks and volumes: whatever was cut, by whomever, the next applies go on from
//! there, and the sealed key opens the disk.

use crate::cluster::{AGENT_GONE, TestCluster, applied, assert_code, comes_up, kill_agent};
use crate::outages::heals;
use stead_lab::protocol::PowerAction;

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// How something is cut.
#[derive(Clone, Copy)]
enum Cut {
    /// Who drives it is killed.
    Stead,
    /// The agent is.
    Agent,
    /// The node's plug is pulled.
    Power,
}

impl Cut {
    /// Cuts a command once it has said this, on the node that does it.
    fn at(self, cluster: &TestCluster, arguments: &[&str], text: &str) {
        let running = cluster.home.until(arguments, text);
        let node = running.node();
        match self {
            Self::Stead => {
                running.kill();
                // Those that it left end what they do, and let their nodes go.
                for node in NODES {
                    cluster.within(400, node, AGENT_GONE);
                }
            }
            Self::Agent => {
                kill_agent(cluster, &node);
                let (code, said) = running.ends();
                assert_ne!(code, Some(0), "it was cut: {said}");
                // What it ran goes on without it, and is in the way of the same thing until it ends.
                let gone =
                    r#"! pgrep -f "[c]ryptsetup luks|[c]levis(-| )luks(-| )(un)?bind|^lvm|^lv|^mkfs|^gluster --mode""#;
                cluster.within(400, &node, gone);
            }
            Self::Power => {
                cluster.power_of(&[&node], PowerAction::Cycle);
                let (code, said) = running.ends();
                assert_ne!(code, Some(0), "it was cut: {said}");
                comes_up(cluster, &[&node]);
            }
        }
    }
}

/// A few applies make all as asked, and the keys of all disks open them.
fn converges(cluster: &TestCluster) {
    // What is on a disk that is closed is seen once it is open, and what a node that comes up says in a while.
    let apply = || cluster.home.stead(&["apply", "--yes"]);
    let last = (0..3).map(|_| apply()).find(|output| output.status.code() == Some(0)).unwrap_or_else(apply);
    assert_code(&last, 0);
    assert_code(&cluster.home.stead(&["keys", "test", "--yes"]), 0);
}

/// Each apply goes on from where the one before was cut, until the next point. Both releases open several disks at once.
fn formatting(cut: Cut) {
    const TWO: [&str; 2] = ["node2", "node3"];
    let cluster = applied();
    for node in TWO {
        cluster.give_vault(node, &["disk2", "disk3"]);
    }
    for point in ["cryptsetup luksFormat", "clevis luks bind", "cryptsetup luksHeaderBackup"] {
        cut.at(&cluster, &["apply", "--yes"], point);
    }
    converges(&cluster);
    for node in TWO {
        assert_eq!(cluster.on(node, "lsblk -rno TYPE | grep -c crypt"), "4", "three disks, and swap");
    }
    cluster.power_of(&TWO, PowerAction::Cycle);
    comes_up(&cluster, &TWO);
    for node in TWO {
        cluster.within(400, node, "test $(lsblk -rno TYPE | grep -c crypt) = 4");
    }
}

#[test]
fn disks_are_formatted_though_stead_is_killed() {
    formatting(Cut::Stead);
}

#[test]
fn disks_are_formatted_though_the_agent_is_killed() {
    formatting(Cut::Agent);
}

#[test]
fn disks_are_formatted_though_the_power_goes() {
    formatting(Cut::Power);
}

fn binding(cut: Cut) {
    let cluster = applied();
    cluster.home.edit("[network.core]", "[unlock]\nall = \"nodes\"\n\n[network.core]");
    for point in ["clevis luks bind", "clevis luks unbind"] {
        cut.at(&cluster, &["apply", "--yes"], point);
    }
    // No disk is bound before all new keys are made; then an apply finishes it.
    cut.at(&cluster, &["keys", "rotate", "--yes"], "clevis luks bind");
    cut.at(&cluster, &["apply", "--yes"], "rm -f -- /var/lib/tang");
    converges(&cluster);
    for node in NODES {
        assert_eq!(cluster.on(node, "ls -A /var/lib/tang"), "stead2-exc.jwk\nstead2-sig.jwk", "{node}");
    }
}

#[test]
fn disks_are_bound_anew_though_stead_is_killed() {
    binding(Cut::Stead);
}

#[test]
fn disks_are_bound_anew_though_the_agent_is_killed() {
    binding(Cut::Agent);
}

#[test]
fn disks_are_bound_anew_though_the_power_goes() {
    binding(Cut::Power);
}

/// Takes all of the layer `volumes` away, as if no node had ever had it: files, daemons, what they know, and the logical
/// volumes.
fn without_volumes(cluster: &TestCluster) {
    let stop = "systemctl disable --now stead-volume-gv0 $(ls /etc/systemd/system | grep ^stead-brick) glusterd; \
                pkill gluster; true";
    let take = "umount /srv/bricks/stead_*; lvremove -qqy $(vgs --noheadings -o vg_name | xargs)/pool; \
                rm -rf /var/lib/glusterd/* /run/gluster/* /var/lib/stead/vault/storage.pem /usr/lib/ssl/glusterfs.* \
                       /etc/ssl/glusterfs.* /etc/systemd/system/glusterd.service; systemctl daemon-reload; sync";
    for node in NODES {
        cluster.on(node, stop);
        cluster.until(node, "! pgrep gluster");
    }
    for node in NODES {
        cluster.on(node, take);
        // Nothing comes to lie where a brick is mounted and isn't.
        assert!(!cluster.works(node, "touch /srv/bricks/stead_*/file"), "{node}");
        assert!(!cluster.works(node, "lvs --noheadings -o lv_name | grep -qv vault"), "{node}");
    }
}

/// The points of each row are of steps that follow each other, on one node or for all: whoever wasn't cut goes on.
fn volumes(cut: Cut) {
    let cluster = applied();
    for points in
        [&["lvcreate", "for the storage of", "peer probe", "volume create"][..], &["mkfs.xfs", "volume start"]]
    {
        without_volumes(&cluster);
        for point in points {
            cut.at(&cluster, &["apply", "--yes"], point);
        }
        converges(&cluster);
        heals(&cluster, &NODES);
        cluster.on("node1", "echo precious > /srv/gv0/vm/file && sync /srv/gv0/vm/file");
        for node in NODES {
            assert_eq!(cluster.on(node, "cat /srv/gv0/vm/file"), "precious", "{node}");
        }
    }
}

#[test]
fn volumes_are_made_though_stead_is_killed() {
    volumes(Cut::Stead);
}

#[test]
fn volumes_are_made_though_the_agent_is_killed() {
    volumes(Cut::Agent);
}

#[test]
fn volumes_are_made_though_the_power_goes() {
    volumes(Cut::Power);
}
