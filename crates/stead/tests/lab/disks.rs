//! Disks that are pulled, fail, and are replaced.

use stead_lab::protocol::{DiskAction, PowerAction, Request};

use crate::support::{TestLab, fresh};

fn write(lab: &TestLab, node: &str, disk: &str, word: &str) {
    lab.on(
        node,
        &format!("printf '%-4096s' {word} | dd of={disk} bs=4096 iflag=fullblock oflag=direct conv=fsync status=none"),
    );
}

fn read(lab: &TestLab, node: &str, disk: &str) -> String {
    lab.on(node, &format!("dd if={disk} bs=4096 count=1 iflag=direct status=none | tr -d '\\0'"))
}

#[test]
fn a_pulled_disk_is_gone_at_once_and_comes_back_with_its_data() {
    let lab = fresh();
    let disk = lab.device("node1", "disk2");
    write(&lab, "node1", &disk, "precious");
    lab.disk("node1", "disk2", DiskAction::Pull);
    lab.until("node1", &format!("! test -e {disk}"));
    let refused = lab.request(&Request::Disk { node: "node1".into(), bay: "disk2".into(), action: DiskAction::Fail });
    assert!(refused.is_err(), "a disk that is out can't fail");
    assert!(lab.works("node1", &format!("test -e {}", lab.device("node1", "disk1"))), "the others are there");
    lab.disk("node1", "disk2", DiskAction::Insert);
    lab.until("node1", &format!("test -e {disk}"));
    assert_eq!(read(&lab, "node1", &disk), "precious");
}

#[test]
fn a_disk_pulled_while_the_node_is_off_is_missing_at_its_start() {
    let lab = fresh();
    let disk = lab.device("node1", "disk3");
    lab.disk("node1", "disk3", DiskAction::Pull);
    lab.power_cycle("node1");
    assert!(!lab.works("node1", &format!("test -e {disk}")));
    lab.power_of(&["node1"], PowerAction::Off);
    lab.disk("node1", "disk3", DiskAction::Insert);
    lab.power_of(&["node1"], PowerAction::On);
    lab.up(&["node1"]);
    lab.until("node1", &format!("test -e {disk}"));
}

#[test]
fn a_failing_disk_fails_every_request_until_it_is_put_in_again() {
    let lab = fresh();
    let disk = lab.device("node1", "disk1");
    write(&lab, "node1", &disk, "precious");
    lab.disk("node1", "disk1", DiskAction::Fail);
    assert!(!lab.works("node1", &format!("dd if={disk} of=/dev/null bs=4096 count=1 iflag=direct")));
    assert!(!lab.works("node1", &format!("dd if=/dev/zero of={disk} bs=4096 count=1 oflag=direct")));
    assert!(lab.works("node1", "dmesg | grep -q 'I/O error'"), "the kernel has seen it");
    lab.disk("node1", "disk1", DiskAction::Insert);
    assert_eq!(read(&lab, "node1", &disk), "precious");
}

#[test]
fn a_replaced_disk_is_blank_and_the_old_one_lies_on_the_shelf() {
    let lab = fresh();
    let old = lab.device("node2", "disk1");
    write(&lab, "node2", &old, "precious");
    lab.disk("node2", "disk1", DiskAction::Replace(None));
    let new = lab.device("node2", "disk1");
    assert_ne!(new, old);
    lab.until("node2", &format!("test -e {new} && ! test -e {old}"));
    assert_eq!(read(&lab, "node2", &new), "");
    write(&lab, "node2", &new, "newer");

    // Pictures come and go over a disk on the shelf.
    lab.save("shelf1");
    lab.save("shelf2");
    lab.load("shelf2");
    let serial = old.rsplit('_').next().expect("serial").to_owned();
    lab.disk("node2", "disk1", DiskAction::Replace(Some(serial)));
    lab.until("node2", &format!("test -e {old} && ! test -e {new}"));
    assert_eq!(read(&lab, "node2", &old), "precious");
    write(&lab, "node2", &old, "written");
    lab.load("shelf1");
    assert_eq!(read(&lab, "node2", &new), "newer");
    lab.disk("node2", "disk1", DiskAction::Replace(Some(old.rsplit('_').next().expect("serial").to_owned())));
    lab.until("node2", &format!("test -e {old}"));
    assert_eq!(read(&lab, "node2", &old), "precious", "as it was in the picture");
    for name in ["shelf1", "shelf2"] {
        lab.ask(Request::Delete { name: name.into() });
    }
    assert_eq!(read(&lab, "node2", &old), "precious", "a deleted picture takes nothing along");
}

#[test]
fn an_os_disk_may_fail_too_and_the_node_boots_when_it_is_well() {
    let lab = fresh();
    lab.disk("node3", "os", DiskAction::Fail);
    // Its ssh may be among what can't be read any more.
    assert!(lab.run("node3", "echo 3 > /proc/sys/vm/drop_caches; cat /usr/bin/* > /dev/null").is_err());
    lab.disk("node3", "os", DiskAction::Insert);
    lab.power_cycle("node3");
    assert!(lab.works("node3", "cat /usr/bin/* > /dev/null"));
}

#[test]
fn what_cannot_be_is_refused_with_a_reason() {
    let lab = fresh();
    let refused = |request: Request| {
        let error = lab.request(&request).expect_err("refused");
        format!("{error} / {}", error.hint().unwrap_or_default())
    };
    let disk = |node: &str, bay: &str, action| Request::Disk { node: node.into(), bay: bay.into(), action };
    assert_eq!(
        refused(disk("node9", "disk1", DiskAction::Pull)),
        "there is no node `node9` / the nodes are node1, node2, node3"
    );
    assert_eq!(
        refused(disk("node1", "sda", DiskAction::Pull)),
        "node1 has no bay `sda` / its bays are disk1, disk2, disk3, os"
    );
    assert!(refused(disk("node1", "os", DiskAction::Replace(None))).contains("boots from nothing else"));
    assert!(refused(disk("node1", "disk1", DiskAction::Replace(Some("X".into())))).contains("shelf"));
}
