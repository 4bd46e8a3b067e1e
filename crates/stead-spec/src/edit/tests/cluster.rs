//! Edits of a cluster file as people write it.
use super::*;

const CLUSTER: &str = include_str!("cluster.toml");

/// The lines that differ.
fn diff(before: &str, after: &str) -> String {
    let (a, b): (Vec<_>, Vec<_>) = (before.lines().collect(), after.lines().collect());
    let mut common = vec![vec![0; b.len() + 1]; a.len() + 1];
    for i in (0..a.len()).rev() {
        for j in (0..b.len()).rev() {
            common[i][j] = if a[i] == b[j] { common[i + 1][j + 1] + 1 } else { common[i + 1][j].max(common[i][j + 1]) };
        }
    }
    let (mut i, mut j, mut out) = (0, 0, String::new());
    while i < a.len() || j < b.len() {
        if i < a.len() && j < b.len() && a[i] == b[j] {
            (i, j) = (i + 1, j + 1);
        } else if j == b.len() || i < a.len() && common[i + 1][j] >= common[i][j + 1] {
            out.extend(["-", a[i], "\n"]);
            i += 1;
        } else {
            out.extend(["+", b[j], "\n"]);
            j += 1;
        }
    }
    out
}

/// What an edit changes; the same with other line ends, and without the last one.
fn change(edit: &Edit) -> String {
    let lines = diff(CLUSTER, &edited(CLUSTER, edit).text);
    let crlf = CLUSTER.replace('\n', "\r\n");
    let after = edited(&crlf, edit).text;
    assert_eq!(diff(&crlf, &after), lines);
    assert_eq!(after.matches('\n').count(), after.matches("\r\n").count());
    edited(CLUSTER.trim_end(), edit);
    lines
}

#[test]
fn machine_create() {
    let web2 = [("cpus", "2"), ("memory", "\"2GiB\""), ("disks", "[{ size = \"20GiB\", volume = \"gv0\" }]")];
    insta::assert_snapshot!(change(&table("machine.web2", &web2)), @r#"
    +[machine.web2]
    +cpus = 2
    +memory = "2GiB"
    +disks = [{ size = "20GiB", volume = "gv0" }]
    +
    "#);
    let applied = edited(CLUSTER, &table("machine.web2", &web2));
    assert!(matches!(&applied.opposite, Edit::Remove { .. }));
}

#[test]
fn machine_remove() {
    insta::assert_snapshot!(change(&remove("machine.web1")), @r#"
    -# The web server.
    -# Needs the public address.
    -[machine.web1]
    -cpus = 2 # plenty
    -memory = "4GiB"
    -# System, then data.
    -disks = [{ size = "20GiB", volume = "gv0" }, { size = "100GiB", volume = "gv0" }]
    -# on = false
    -
    -[machine.web1.cloud_init]
    -packages = [
    -    "nginx", "certbot",
    -    "rsync"
    -]
    -
    -# The web server's certificates.
    -[machine.web1.volumes]
    -certs = "certs"
    -
    "#);
    insta::assert_snapshot!(change(&remove("machine.db")), @r#"
    -[machine.db]
    -cpus = 4
    -memory = "8GiB"
    -disks = [
    -    {
    -        size = "40GiB",
    -        volume = "gv0" # fast
    -    },
    -]
    -user_data = """
    -#cloud-config
    -[machine.web1]
    -"""
    -
    "#);
    insta::assert_snapshot!(change(&remove("machine")), @r#"
    -# The web server.
    -# Needs the public address.
    -[machine.web1]
    -cpus = 2 # plenty
    -memory = "4GiB"
    -# System, then data.
    -disks = [{ size = "20GiB", volume = "gv0" }, { size = "100GiB", volume = "gv0" }]
    -# on = false
    -
    -[machine.web1.cloud_init]
    -packages = [
    -    "nginx", "certbot",
    -    "rsync"
    -]
    -
    -[machine.db]
    -cpus = 4
    -memory = "8GiB"
    -disks = [
    -    {
    -        size = "40GiB",
    -        volume = "gv0" # fast
    -    },
    -]
    -user_data = """
    -#cloud-config
    -[machine.web1]
    -"""
    -
    -# The web server's certificates.
    -[machine.web1.volumes]
    -certs = "certs"
    -
    "#);
}

#[test]
fn machine_resize() {
    insta::assert_snapshot!(change(&set("machine.web1.cpus", "4")), @"
    -cpus = 2 # plenty
    +cpus = 4 # plenty
    ");
    insta::assert_snapshot!(change(&set("machine.web1.disks[1].size", "\"200GiB\"")), @r#"
    -disks = [{ size = "20GiB", volume = "gv0" }, { size = "100GiB", volume = "gv0" }]
    +disks = [{ size = "20GiB", volume = "gv0" }, { size = "200GiB", volume = "gv0" }]
    "#);
    insta::assert_snapshot!(change(&set("machine.db.disks[0].size", "\"80GiB\"")), @r#"
    -        size = "40GiB",
    +        size = "80GiB",
    "#);
    insta::assert_snapshot!(change(&set("machine.db.disks[0].cache", "true")), @r#"
    -        volume = "gv0" # fast
    +        volume = "gv0", # fast
    +        cache = true
    "#);
    insta::assert_snapshot!(change(&push("machine.db.disks", "{ size = \"1GiB\" }")), @r#"+    { size = "1GiB" },"#);
}

#[test]
fn machine_rename() {
    insta::assert_snapshot!(change(&rename("machine.web1", "www")), @"
    -[machine.web1]
    +[machine.www]
    -[machine.web1.cloud_init]
    +[machine.www.cloud_init]
    -[machine.web1.volumes]
    +[machine.www.volumes]
    ");
    insta::assert_snapshot!(change(&set("machine.web1.was", "\"web0\"")), @r#"+was = "web0""#);
}

#[test]
fn disks() {
    insta::assert_snapshot!(change(&set("node.node1.wipe.ata-X", "\"2026-01-01\"")), @r#"+ata-X = "2026-01-01""#);
    insta::assert_snapshot!(change(&set("node.node2.wipe.ata-X", "\"2026-01-01\"")), @r#"
    -wipe = { "ata-OLD_2" = "2025-01-02" }
    +wipe = { "ata-OLD_2" = "2025-01-02", ata-X = "2026-01-01" }
    "#);
    insta::assert_snapshot!(change(&set("node.node3.wipe.ata-X", "\"2026-01-01\"")), @r#"+  wipe.ata-X = "2026-01-01""#);
    insta::assert_snapshot!(change(&remove("node.node1.wipe.ata-OLD_1")), @r#"-"ata-OLD_1" = "2025-01-02""#);
    insta::assert_snapshot!(change(&remove("node.node2.wipe.ata-OLD_2")), @r#"
    -wipe = { "ata-OLD_2" = "2025-01-02" }
    +wipe = {}
    "#);
    insta::assert_snapshot!(change(&set("node.node1.disks.gv0[1]", "\"ata-NEW\"")), @r#"
    -    "ata-CT500MX500_2", # bay 2
    +    "ata-NEW", # bay 2
    "#);
    insta::assert_snapshot!(change(&push("node.node1.disks.gv0", "\"ata-NEW\"")), @r#"+    "ata-NEW","#);
    insta::assert_snapshot!(change(&push("node.node3.disks.gv0", "\"nvme-2\"")), @r#"
    -  disks = { gv0 = [ "nvme-1" ] }
    +  disks = { gv0 = [ "nvme-1", "nvme-2" ] }
    "#);
    insta::assert_snapshot!(change(&remove("node.node1.disks.gv0[1]")), @r#"
    -    # Bought in 2024.
    -    "ata-CT500MX500_2", # bay 2
    "#);
    insta::assert_snapshot!(change(&remove("node.node2.disks.gv0[0]")), @r#"
    -disks.gv0 = ["ata-WDC_1", "ata-WDC_2"]
    +disks.gv0 = ["ata-WDC_2"]
    "#);
    insta::assert_snapshot!(change(&set("node.node1.disks.gv1", "[\"ata-NEW\"]")), @r#"+disks.gv1 = ["ata-NEW"]"#);
}

#[test]
fn the_rest() {
    insta::assert_snapshot!(change(&set("cluster.recovery", "\"age1xyz\"")), @r#"
    -recovery = 'age1qqqq'
    +recovery = "age1xyz"
    "#);
    insta::assert_snapshot!(change(&table("node.node4", &[("ssh", "\"ana@192.168.10.14\"")])), @r#"
    +[node.node4]
    +  ssh = "ana@192.168.10.14"
    +
    "#);
    insta::assert_snapshot!(change(&set("network.lan.dns", "\"9.9.9.9\"")), @r#"+lan.dns = "9.9.9.9""#);
    insta::assert_snapshot!(change(&remove("network.storage.mtu")), @r#"
    -storage = { subnet = "10.9.0.0/24", mtu = 9000 }
    +storage = { subnet = "10.9.0.0/24" }
    "#);
    insta::assert_snapshot!(change(&remove("alert[0]")), @r#"
    -mail = "ana@example.org"
    -
    -[[alert]]
    "#);
    insta::assert_snapshot!(change(&set("telemetry.on", "true")), @"
    +
    +[telemetry]
    +on = true
    ");
}
