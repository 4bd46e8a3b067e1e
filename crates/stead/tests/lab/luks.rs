//! The layer `disks`: encrypted drives that open by themselves, what people do to them behind stead's back, what must not
//! be formatted, and starts at which those who open them come late.

use std::io::Write as _;
use std::process::{Output, Stdio};

use stead_lab::protocol::{PowerAction, Request};
use stead_lab::state::{Clock, Plugged};

use crate::cluster::{TestCluster, applied, assert_code, comes_up, cut_power, err, out};
use crate::support::eventually;

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// A node's data disk.
fn data(cluster: &TestCluster, node: &str) -> String {
    cluster.device(node, "disk1")
}

/// What stead calls the disk on its node.
fn name(cluster: &TestCluster, node: &str) -> String {
    let uuid = cluster.on(node, &format!("cryptsetup luksUUID {}", data(cluster, node)));
    format!("stead_{}", &uuid.replace('-', "")[..12])
}

/// The disk is open, with the vault on it.
fn is_open(cluster: &TestCluster, node: &str) -> bool {
    cluster.works(node, "findmnt -n /var/lib/stead/vault && lsblk -rno TYPE | grep -q crypt")
}

/// What is said, however it stands in lines.
fn words(said: &str) -> String {
    said.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// `stead` with something typed.
fn typing(cluster: &TestCluster, arguments: &[&str], typed: &str) -> Output {
    let mut command = cluster.home.command(arguments);
    command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped());
    let mut child = command.spawn().expect("stead starts");
    child.stdin.take().expect("an input").write_all(typed.as_bytes()).expect("typing");
    child.wait_with_output().expect("an end")
}

#[test]
fn disks_are_encrypted_and_what_people_do_to_them_is_righted() {
    let cluster = applied();
    for node in NODES {
        assert!(is_open(&cluster, node), "{node}");
        // Nothing can come to lie on the OS disk in the vault's place, and no other network has the tang.
        assert_eq!(cluster.on(node, "stat -c %a /var/lib/stead/vault"), "700");
        assert_eq!(cluster.on(node, "ss -Hltn 'sport = :7500 or sport = :80' | wc -l"), "1");
        // Nothing waits any more, so clevis does nothing.
        cluster.until(node, "! systemctl is-active clevis-luks-askpass.service");
        // The headers of both others.
        let kept = "for file in /var/lib/stead/vault/headers/*.luks; do cryptsetup luksUUID $file; done | wc -l";
        assert_eq!(cluster.on(node, kept), "2");
    }
    assert_code(&cluster.home.stead(&["keys", "test", "--yes"]), 0);
    let [first, second, third] = NODES.map(|node| name(&cluster, node));
    cluster.on("node1", &format!("clevis luks unbind -f -d {} -s 1", data(&cluster, "node1")));
    cluster.on("node2", "sed -i '/^stead_/d' /etc/crypttab");
    let token = format!(
        "cryptsetup token export --token-id 0 {0} | sed s/recovery/recoverx/ > /run/token && \
         cryptsetup token import --token-replace --token-id 0 {0} < /run/token",
        data(&cluster, "node3")
    );
    cluster.on("node3", &token);
    let (mut steps, code) = cluster.home.planned();
    steps.retain(|step| !step.contains("/header"));
    steps.sort();
    let expected =
        [format!("disks/node1/bind.{first}"), "disks/node2/opening".to_owned(), format!("disks/node3/bind.{third}")];
    assert_eq!((steps.as_slice(), code), (expected.as_slice(), 2), "and nothing else; {second} is well");
    cluster.home.applies();
    cluster.on("node1", &format!("clevis luks unlock -d {} -t 1", data(&cluster, "node1")));
}

#[test]
fn what_is_on_a_disk_stays_unless_the_file_permits_just_that() {
    let cluster = applied();
    let disk = cluster.device("node2", "disk2");
    cluster.on("node2", &format!("mkfs.ext4 -q -L precious {disk} && sync"));
    let id = cluster.disk_name("node2", "disk2");
    let with = cluster.give_vault("node2", &["disk2"]);
    let refused = cluster.home.stead(&["apply", "--yes"]);
    assert_code(&refused, 1);
    let said = out(&refused) + &err(&refused);
    assert!(said.contains("there is ext4 precious on it"), "{said}");
    let token = said.split(&format!("\"{id}\" = \"")).nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    let permit = format!("{with}\nwipe = {{ \"{id}\" = \"{token}\" }}");
    cluster.home.edit(&with, &permit);
    // Something else is on it by now.
    cluster.on("node2", &format!("mkfs.ext4 -q -F -L newer {disk} && sync"));
    let refused = cluster.home.stead(&["plan"]);
    assert_code(&refused, 1);
    let said = words(&out(&refused));
    assert!(said.contains("of something else"), "{said}");
    let newer = said.split(&format!("\"{id}\" = \"")).nth(1).and_then(|rest| rest.split('"').next()).expect("a token");
    cluster.home.edit(token, newer);
    // `--yes` is not enough, nor is something else typed.
    assert_code(&typing(&cluster, &["apply", "--yes"], "yes\n"), 1);
    assert!(cluster.works("node2", &format!("blkid {disk} | grep -q newer")), "untouched");
    let serial = id.split_once('-').expect("a serial").1.to_owned();
    assert_code(&typing(&cluster, &["apply", "--yes"], &format!("{serial}\n")), 0);
    assert!(cluster.works("node2", &format!("cryptsetup isLuks --type luks2 {disk}")));
    // The same file again, and a disk that was filled since: its permission is spent.
    cluster.on(
        "node2",
        &format!(
            "name=$(lsblk -rno NAME,TYPE {disk} | awk '$2==\"crypt\"{{print $1}}') && vgchange -qan $name && cryptsetup close \
             $name && wipefs -qa {disk} && mkfs.ext4 -q -F -L again {disk} && sync"
        ),
    );
    let refused = cluster.home.stead(&["plan"]);
    assert_code(&refused, 1);
    assert!(words(&out(&refused)).contains("of something else"), "{}", out(&refused));
}

/// What people have on disks: how it is made on a disk that is blank, and what the plan calls it. Of ZFS and of md, which no
/// node has the tools of, what blkid of Debian 12 goes by.
const CONTENTS: [(&str, &str); 8] = [
    ("echo ,,L | sfdisk -q $disk", "dos"),
    ("echo ,,L | sfdisk -q -X gpt $disk", "gpt"),
    ("pvcreate -qqy $disk", "LVM2_member"),
    ("echo word | cryptsetup luksFormat -q --pbkdf pbkdf2 --pbkdf-force-iterations 1000 $disk -", "crypto_LUKS"),
    (
        r"for n in 0 1 2 3 4 5 6 7; do printf '\014\261\272\000\000\000\000\000' | dd of=$disk bs=1024 seek=$((128 + n)) conv=notrunc status=none; done",
        "zfs_member",
    ),
    (
        r"printf '\374\116\053\251\001\000\000\000' | dd of=$disk bs=1 seek=4096 conv=notrunc status=none && printf '\010' | dd of=$disk bs=1 seek=$((4096 + 144)) conv=notrunc status=none",
        "linux_raid_member",
    ),
    ("printf x | dd of=$disk bs=1 seek=9000000 conv=notrunc status=none", "data"),
    ("printf x | dd of=$disk bs=1 seek=$(($(blockdev --getsize64 $disk) - 9000000)) conv=notrunc status=none", "data"),
];

#[test]
fn whatever_is_on_a_disk_is_told_and_refused() {
    let cluster = applied();
    let disk = cluster.device("node2", "disk2");
    let id = cluster.disk_name("node2", "disk2");
    cluster.give_vault("node2", &["disk2"]);
    let mut tokens = std::collections::BTreeSet::new();
    for (make, called) in CONTENTS {
        cluster.on("node2", &format!("disk={disk}; blkdiscard -fz $disk && {make}; sync; udevadm settle"));
        let sum =
            format!("for skip in 0 2032; do dd if={disk} bs=1M count=16 skip=$skip status=none; done | sha256sum");
        let before = cluster.on("node2", &sum);
        let refused = cluster.home.stead(&["apply", "--yes"]);
        assert_code(&refused, 1);
        let said = out(&refused);
        let (_, reason) = said.split_once("not blank: there is ").unwrap_or_else(|| panic!("{make}: {said}"));
        assert!(reason.lines().next().expect("a line").contains(called), "{make}: {said}");
        let token = said.split(&format!("\"{id}\" = \"")).nth(1).and_then(|rest| rest.split('"').next());
        assert!(tokens.insert(token.expect("a token").to_owned()), "a token fits one thing: {make}: {said}");
        assert_eq!(cluster.on("node2", &sum), before, "{make}");
    }
    // Blank again, it is taken.
    cluster.on("node2", &format!("blkdiscard -fz {disk}; sync; udevadm settle"));
    assert!(cluster.home.planned().0.iter().any(|step| step.starts_with("disks/node2/format")));
}

#[test]
fn after_a_blackout_and_whenever_the_policy_can_be_met_disks_open_by_themselves() {
    let cluster = applied();
    for node in NODES {
        let fill = "cd /var/lib/stead/vault && head -c 8M /dev/urandom > photo && sha256sum photo > sums && sync";
        cluster.on(node, fill);
    }
    cluster.ask(Request::Wan(Plugged::Out));
    // All at once, and one of them stays off; the battery of another one's clock is empty.
    cluster.power_of(&NODES, PowerAction::Off);
    let time = Clock::try_from("2015-01-01T00:00:00".to_owned()).expect("a time");
    cluster.ask(Request::Clock { node: "node2".into(), time: Some(time) });
    cluster.power_of(&["node1", "node2"], PowerAction::On);
    comes_up(&cluster, &["node1", "node2"]);
    cluster.on("node2", "journalctl -k -b -o cat | grep -q 'setting system clock to 2015'");
    cluster.power_of(&["node3"], PowerAction::On);
    comes_up(&cluster, &["node3"]);
    for node in NODES {
        cluster.on(node, "cd /var/lib/stead/vault && sha256sum -c --quiet sums");
    }
    // Nobody answers for longer than systemd waits for a device.
    for node in ["node1", "node2"] {
        cluster.on(node, "systemctl stop tangd.socket");
    }
    cluster.power_cycle("node3");
    cluster.within(400, "node3", "! test $(cut -d. -f1 /proc/uptime) -lt 200");
    assert!(!is_open(&cluster, "node3"), "nobody answers");
    let status = cluster.home.stead(&["status"]);
    assert_code(&status, 2);
    assert!(out(&status).contains("is closed") && out(&status).contains("tang doesn't run"), "{}", out(&status));
    cluster.on("node1", "systemctl start tangd.socket");
    eventually("it opens late", || is_open(&cluster, "node3"));
    assert_eq!(cluster.on("node3", "systemctl --failed --no-legend"), "");
    cluster.on("node2", "systemctl start tangd.socket");
    eventually("nothing is to be done", || cluster.home.planned() == (Vec::new(), 0));
}

#[test]
fn keys_of_tangs_are_changed_and_the_old_ones_open_nothing() {
    let cluster = applied();
    let old = cluster.on("node1", "jose jwk thp -a S256 -i /var/lib/tang/stead1-sig.jwk");
    assert_code(&cluster.home.stead(&["keys", "rotate", "--yes"]), 0);
    for node in NODES {
        assert_eq!(cluster.on(node, "ls -A /var/lib/tang"), "stead2-exc.jwk\nstead2-sig.jwk", "{node}");
    }
    assert_ne!(cluster.on("node1", "jose jwk thp -a S256 -i /var/lib/tang/stead2-sig.jwk"), old);
    assert_code(&cluster.home.stead(&["keys", "test", "--yes"]), 0);
    // It opens by the new ones.
    cut_power(&cluster, "node2");
}
