//! Images that machines start from: what isn't what it should be comes nowhere near a machine.

use stead_lab::image::Release;

use crate::cluster::{TestCluster, applied_with, err, out};
use crate::machines::{DEBIAN, MORE, NODES, is_well};

/// Serves one file to whoever asks, for a shell on a node.
const SERVER: &str = r#"systemd-run --quiet --unit=image-server perl -MIO::Socket::INET -e '
    my $server = IO::Socket::INET->new(LocalAddr => "127.0.0.1", LocalPort => 8080, Listen => 5, ReuseAddr => 1) or die;
    while (my $client = $server->accept) {
        while (<$client>) { last if /^\r?$/ }
        open my $file, "<", "/run/disk.qcow2" or die;
        local $/;
        print $client "HTTP/1.0 200 OK\r\n\r\n", <$file>;
        close $client;
    }'"#;

/// A machine that starts from an image of this name, and the image.
fn machine(name: &str, image: &str) -> String {
    format!(
        "[image.{name}]\n{image}\n\n[machine.{name}]\nimage = \"{name}\"\nmemory = \"32MiB\"\nstop_timeout = \"10s\"\n\
         disks = [{{ size = \"64MiB\", volume = \"gv0\" }}]\n\n"
    )
}

fn add(cluster: &TestCluster, text: &str) {
    cluster.home.edit("[machine.web1]\n", &format!("{text}[machine.web1]\n"));
}

/// An apply that doesn't do all of it says this.
fn fails(cluster: &TestCluster, why: &str) {
    let applied = cluster.home.stead(&["apply", "--yes"]);
    let said = out(&applied) + &err(&applied);
    assert_eq!((applied.status.code(), said.contains(why)), (Some(1), true), "{said}");
}

fn has_disk(cluster: &TestCluster, machine: &str) -> bool {
    cluster.works("node1", &format!("test -e /srv/gv0/vm/{machine}/root.qcow2"))
}

#[test]
fn images_are_what_they_should_be_or_nothing_is_made_of_them() {
    let cluster = applied_with(MORE, Release::Trixie);
    for node in NODES {
        cluster.on(node, "qemu-img create -f qcow2 /run/disk.qcow2 32M");
        cluster.on(node, SERVER);
    }
    // All nodes serve the same bytes.
    let disk = cluster.on("node1", "base64 -w 0 /run/disk.qcow2");
    let sum = cluster.on("node1", "sha256sum /run/disk.qcow2 | cut -d ' ' -f 1");
    for node in NODES {
        cluster.on(node, &format!("echo {disk} | base64 -d > /run/disk.qcow2"));
    }
    let wrong = sum.chars().rev().collect::<String>();
    let image = |sum: &str| format!("url = \"http://127.0.0.1:8080/disk.qcow2\"\nsha256 = \"{sum}\"");
    add(&cluster, &machine("fetched", &image(&wrong)));
    fails(&cluster, "did NOT match");
    assert!(!has_disk(&cluster, "fetched") && !cluster.works("node1", "ls /srv/gv0/iso/*.img"));
    cluster.home.edit(&wrong, &sum);
    cluster.home.applies();
    assert!(has_disk(&cluster, "fetched"));
    is_well(&cluster);

    // Files that people put there: cut short, and one that is nothing without another.
    cluster.on(
        "node1",
        "cd /srv/gv0/iso && qemu-img create -f qcow2 short.qcow2 32M && qemu-io -c 'write 0 8M' short.qcow2",
    );
    cluster.on("node1", "cd /srv/gv0/iso && truncate -s 1M short.qcow2");
    add(&cluster, &machine("short", "path = \"gv0:iso/short.qcow2\""));
    fails(&cluster, "qemu-img check");
    assert!(!has_disk(&cluster, "short"));
    cluster.home.edit(&machine("short", "path = \"gv0:iso/short.qcow2\""), "");
    cluster.on("node1", "cd /srv/gv0/iso && qemu-img create -f qcow2 -b /etc/shadow -F raw leans.qcow2");
    add(&cluster, &machine("leans", "path = \"gv0:iso/leans.qcow2\""));
    let plan = cluster.home.stead(&["plan"]);
    assert!(out(&plan).contains("it needs /etc/shadow"), "{}", out(&plan));
    cluster.home.edit(&machine("leans", "path = \"gv0:iso/leans.qcow2\""), "");
    // One that isn't there yet keeps nothing else from being done.
    add(&cluster, &machine("later", "path = \"gv0:iso/later.qcow2\""));
    let plan = cluster.home.stead(&["plan"]);
    assert!(out(&plan).contains("Put it on a node at /srv/gv0/iso/later.qcow2"), "{}", out(&plan));
    cluster.home.edit(&machine("later", "path = \"gv0:iso/later.qcow2\""), "");
    // And what cloud-init couldn't read.
    add(&cluster, &DEBIAN.replace("write_files: [", "write_files: [{"));
    let checked = cluster.home.stead(&["check"]);
    assert!((out(&checked) + &err(&checked)).contains("couldn't read this"), "{}", out(&checked));
}
