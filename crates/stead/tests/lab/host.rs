//! The layer `host`, and what every layer goes through: look, plan, act, and being cut in the middle of it.

use std::fs;

use stead_lab::protocol::Request;

use crate::cluster::{
    AGENT_GONE, Home, INSTALLS, REMOVE, TestCluster, applied, applied_on_plain, assert_code, comes_up, cut_power, err,
    kill_agent, out,
};
use crate::support::{eventually, fresh};

const NODES: [&str; 3] = ["node1", "node2", "node3"];

#[test]
fn debian_13_and_12_become_nodes_and_the_second_plan_is_empty() {
    become_nodes(&applied());
}

#[test]
fn plain_debian_13_and_12_become_nodes_and_the_second_plan_is_empty() {
    become_nodes(&applied_on_plain());
}

fn become_nodes(cluster: &TestCluster) {
    cluster.home.settled();
    assert!(!out(&cluster.home.stead(&["plan"])).contains("this computer is"), "the nodes' clocks are right");
    for (node, updates_itself_at) in NODES.into_iter().zip(["04:30:00", "04:50:00", "05:10:00"]) {
        assert_eq!(cluster.on(node, "hostname; timedatectl show -p Timezone --value"), format!("{node}\nEurope/Paris"));
        assert_eq!(cluster.on(node, "getent hosts node2.core").split_whitespace().next(), Some("10.10.0.2"));
        assert!(!cluster.on(node, "getent ahostsv4 $(hostname)").contains("127.0"), "its own name is no loopback");
        cluster.on(node, "systemctl is-active chrony && sudo -n -u me sudo -n true && id -nG me | grep -qw sudo");
        cluster.on(node, "sshd -T | grep -q 'authorizedkeysfile.*/etc/ssh/authorized_keys.d/%u'");
        assert_eq!(cluster.on(node, "systemctl is-enabled smartmontools || true"), "masked");
        cluster.on(node, "apt-config dump Unattended-Upgrade::Package-Blacklist | grep -q glusterfs-server");
        cluster.on(node, "swapon --show=NAME --noheadings | grep -q dm- || swapon --show | grep -q stead");
        cluster.on(node, "grep -q '^10$' /proc/sys/vm/swappiness");
        cluster.on(node, "journalctl -t stead -o cat | grep -q '^done: have disks open'");
        // The lab's image has the timer masked; where it isn't, each node updates itself at a time of its own.
        let at = "systemctl unmask apt-daily-upgrade.timer; systemctl start apt-daily-upgrade.timer; \
                  systemctl show --property=TimersCalendar apt-daily-upgrade.timer | grep -o '..:[0-9][0-9]:00'";
        assert_eq!(cluster.on(node, at).lines().last(), Some(updates_itself_at), "{node}");
        // The cluster file and the sealed secrets lie there, and no secret does.
        assert_eq!(cluster.on(node, "cat /var/lib/stead/generations/current/stead.toml"), cluster.home.text().trim());
        // The agent's program has the words in it, as has its copy for the way back; sshd's own keys lie on every OS disk, and
        // the vault on none.
        let secrets = "grep -rqs --exclude-dir=agent --exclude-dir=vault --exclude-dir=ssh --exclude=stead 'PRIVATE KEY\\|AGE-SECRET-KEY' /var/lib/stead /etc";
        assert!(!cluster.works(node, secrets));
    }
    // Time comes from each other where there is no internet: as after a boot without it, for what is asked every
    // minute or less would be heard late.
    cluster.ask(Request::WanOpen(false));
    for node in NODES {
        cluster.on(node, "systemctl restart chrony");
    }
    eventually("a node that takes the time from another", || {
        NODES
            .iter()
            .any(|node| cluster.works(node, r"chronyc -n sources | grep -qE '^\^[*] (192\.168\.0\.5|10\.10\.0\.)'"))
    });
    // The admin's key lets in, as the admin.
    let key = cluster.home.dir.join("id_ed25519");
    let config = cluster.path().join("ssh_config");
    let login = std::process::Command::new("ssh")
        .args(["-F".as_ref(), config.as_os_str(), "-i".as_ref(), key.as_os_str()])
        .args(["-o", "ControlPath=none", "-o", "User=me", "me@node2", "sudo -n id -u"])
        .output()
        .expect("ssh");
    assert_eq!(out(&login).trim(), "0", "{}", err(&login));
}

#[test]
fn a_renamed_node_stays_the_same_node() {
    let cluster = applied();
    cluster.home.edit("[node.node3]", "[node.attic]\nwas = \"node3\"\nnumber = 3");
    cluster.home.edit("node3 = \"192.168.0.52\"", "attic = \"192.168.0.52\"");
    cluster.home.applies();
    assert_eq!(cluster.on("node3", "hostname; sudo -n hostname -s"), "attic\nattic");
    assert_eq!(cluster.on("node1", "getent hosts attic.core").split_whitespace().next(), Some("10.10.0.3"));
    assert!(
        !cluster.works("node1", "grep node3 /etc/hosts /etc/chrony/chrony.conf"),
        "nothing calls it by its old name"
    );
    // Once it is done, the file may forget it.
    cluster.home.edit("was = \"node3\"\n", "");
    assert_eq!(cluster.home.planned().0, Vec::<String>::new());
}

#[test]
fn drift_gives_exactly_the_steps_that_right_it() {
    let cluster = applied();
    cluster.on("node1", "echo '# mine' >> /etc/sysctl.d/90-stead.conf");
    cluster.on("node1", "sed -i /node2.core/d /etc/hosts");
    cluster.on("node2", "DEBIAN_FRONTEND=noninteractive apt-get remove -y ethtool");
    cluster.on("node3", "systemctl unmask smartmontools && systemctl start --no-block smartmontools");
    let (steps, code) = cluster.home.planned();
    assert_eq!(
        steps,
        ["host/node1/hosts", "host/node1/sysctl", "host/node2/packages", "host/node3/smartd"],
        "and nothing else"
    );
    assert_eq!(code, 2);
    cluster.home.applies();
    assert!(!cluster.works("node1", "grep -q mine /etc/sysctl.d/90-stead.conf"));
    cluster.on("node2", "ethtool --version");
    assert_eq!(cluster.on("node3", "systemctl is-enabled smartmontools || true"), "masked");
    assert!(!cluster.works("node3", "systemctl is-active smartmontools"));
}

#[test]
fn a_clock_in_2015_is_set_from_the_other_nodes() {
    let cluster = applied();
    cluster.on("node2", "date -s 2015-01-01T00:00:00Z");
    assert_eq!(cluster.on("node2", "date -u +%Y"), "2015", "the clock is wrong");
    assert_eq!(cluster.home.planned(), (vec!["host/node2/clock".to_owned()], 2));
    cluster.home.applies();
    assert_ne!(cluster.on("node2", "date -u +%Y"), "2015");
}

#[test]
fn a_killed_stead_leaves_its_command_to_end_and_the_next_apply_finds_it_done() {
    let cluster = applied();
    cluster.on("node1", REMOVE);
    // Killed as the installation begins: the agent ends it, and nobody hears how.
    cluster.home.apply_until(INSTALLS).kill();
    cluster.within(400, "node1", &format!("ethtool --version && {AGENT_GONE}"));
    let (steps, _) = cluster.home.planned();
    assert!(!steps.iter().any(|step| step == "host/node1/packages"), "it was done, unreported: {steps:?}");
    cluster.home.applies();
}

#[test]
fn a_killed_agent_is_told_of_and_the_next_apply_finishes_its_job() {
    let cluster = applied();
    cluster.on("node2", REMOVE);
    let apply = cluster.home.apply_until(INSTALLS);
    kill_agent(&cluster, "node2");
    let (code, said) = apply.ends();
    assert_eq!(code, Some(1), "{said}");
    assert!(said.contains("node2") && said.contains("may or may not"), "{said}");
    eventually("an apply that converges", || cluster.home.stead(&["apply", "--yes"]).status.code() == Some(0));
    cluster.home.settled();
}

#[test]
fn a_power_cut_in_the_middle_is_finished_by_the_next_apply() {
    let cluster = applied();
    cluster.on("node3", REMOVE);
    let apply = cluster.home.apply_until(INSTALLS);
    cut_power(&cluster, "node3");
    let (code, said) = apply.ends();
    // It depends on whether the node is up again when it is looked at.
    assert!(matches!(code, Some(1 | 3)) && said.contains("not all of the 1 step on 1 node"), "{code:?}: {said}");
    cluster.home.applies();
}

#[test]
fn a_node_that_does_not_answer_neither_blocks_nor_hides_the_others() {
    let cluster = applied();
    cluster.on("node1", "sed -i /node2.core/d /etc/hosts");
    cluster.ask(Request::Freeze { node: "node2".into() });
    let output = cluster.home.stead(&["plan"]);
    assert_code(&output, 3);
    assert!(out(&output).contains("/etc/hosts") && out(&output).contains("node2"), "{}", out(&output));
    // Two of three are a majority: what can be done is done.
    assert_code(&cluster.home.stead(&["apply", "--yes"]), 3);
    cluster.on("node1", "grep -q node2.core /etc/hosts");
    cluster.ask(Request::Thaw { node: "node2".into() });
    cluster.up(&["node2"]);
    // systemd's watchdog takes a daemon that was frozen for a hanging one, and starts it again.
    eventually("a node as it was", || cluster.home.planned() == (Vec::new(), 0));
}

#[test]
fn of_two_admins_with_different_files_the_second_is_refused_with_the_difference() {
    let cluster = applied();
    let other = Home::new(&cluster, "other");
    other.copy_of(&cluster.home);
    cluster.home.edit("\"vm.swappiness\" = \"10\"", "\"vm.swappiness\" = \"20\"");
    other.edit("updates = \"04:30\"", "updates = \"05:30\"");
    cluster.home.applies();
    for arguments in [&["plan"][..], &["apply", "--yes"]] {
        let output = other.stead(arguments);
        assert_code(&output, 1);
        let said = out(&output) + &err(&output);
        assert!(said.contains("swappiness\" = \"20\"") && said.contains("05:30") && said.contains("adopt"), "{said}");
    }
    assert_eq!(cluster.on("node1", "cat /proc/sys/vm/swappiness"), "20", "nothing was undone");
    // The second takes what the first applied, and puts its own change on top; then the first one is the second.
    fs::rename(other.file(), other.dir.join("mine.toml")).expect("aside");
    fs::remove_file(other.dir.join("stead.secrets")).expect("aside");
    assert_code(&other.stead(&["adopt", "node1"]), 0);
    other.edit("updates = \"04:30\"", "updates = \"05:30\"");
    other.applies();
    let output = cluster.home.stead(&["plan"]);
    assert_code(&output, 1);
    other.settled();
}

#[test]
fn a_burned_laptop_costs_nothing_with_the_sheet_and_one_node_left() {
    let cluster = applied();
    let sheet = fs::read_to_string(cluster.home.dir.join("sheet.txt")).expect("the sheet");
    let laptop = Home::new(&cluster, "laptop");
    let key = sheet.split_whitespace().find(|word| word.starts_with("AGE-SECRET-KEY-")).expect("its key");
    fs::write(laptop.dir.join("sheet.key"), key).expect("the key, typed in from paper");
    // The new laptop's key is let in by hand, at the node.
    laptop.make_key();
    cluster.power_of(&["node1", "node3"], stead_lab::protocol::PowerAction::Off);
    assert_code(&laptop.stead(&["adopt", "node2"]), 0);
    assert_eq!(laptop.text(), cluster.home.text());
    let opened = laptop.stead(&["keys", "add", "me", &laptop.public_key(), "--identity", "sheet.key", "--yes"]);
    assert_code(&opened, 0);
    cluster.power_of(&["node1", "node3"], stead_lab::protocol::PowerAction::On);
    comes_up(&cluster, &NODES);
    laptop.applies();
    let key = laptop.public_key();
    let key = key.split(' ').nth(1).expect("a key");
    cluster.on("node3", &format!("grep -q {key} /etc/ssh/authorized_keys.d/me"));
}

#[test]
fn init_finds_the_switches_and_writes_a_file_that_is_good() {
    let lab = fresh();
    let home = Home::new(&lab, "init");
    home.make_key();
    let output = home.stead(&["init", "node1", "node2", "node3", "--admin-key", "id_ed25519.pub"]);
    assert_code(&output, 0);
    assert_code(&home.stead(&["check"]), 0);
    let text = home.text();
    for n in 1..=3 {
        for switch in 1..=3 {
            let nic = format!("52:54:00:00:0{n}:0{switch}");
            assert!(text.contains(&nic), "{nic} is in\n{text}");
        }
    }
    let spec = stead_spec::parse("stead.toml", text.as_bytes()).expect("a good file").0;
    for node in spec.nodes().values() {
        assert_eq!(node.nics.len(), 3);
        let ends: Vec<_> = node.nics.values().map(|mac| mac.to_string()[15..].to_owned()).collect();
        let first: Vec<_> = spec
            .nodes()
            .values()
            .next()
            .expect("a node")
            .nics
            .values()
            .map(|mac| mac.to_string()[15..].to_owned())
            .collect();
        assert_eq!(ends, first, "each switch has the same NIC of each node");
        assert_eq!(node.disks.len(), 3, "the OS disk is not among them");
    }
    // Nothing was changed.
    assert!(!lab.works("node1", "ip -4 route show | grep -q fe80; test -e /var/lib/stead/stamp.json"));
}

#[test]
fn a_stranger_s_node_is_refused() {
    let cluster = applied();
    let stamp = "/var/lib/stead/stamp.json";
    cluster.on("node2", &format!("sed -i 's/7a2f0c86/00000000/' {stamp}"));
    let output = cluster.home.stead(&["apply", "--yes"]);
    assert_code(&output, 1);
    let said = out(&output) + &err(&output);
    assert!(said.contains("00000000-29a5-44cb-9a43-5a4b6f1f8f11") && said.contains("node2"), "{said}");
    assert!(cluster.works("node2", &format!("grep -q 00000000 {stamp}")), "and left alone");
}
