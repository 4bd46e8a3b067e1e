//! Who decides on which node a machine runs.
//!
//! ```text
//! pacemaker   what runs where
//! sbd         a node that isn't among most of them any more is reset by its watchdog
//! corosync    who is there, and whether they are most: over each switch of the core that all are on
//! ```
//!
//! A node that falls silent has been reset after a while, whether or not anybody reaches it ([`fenced`]): only then do its
//! machines start elsewhere. So there have to be three.

use std::collections::BTreeMap;
use std::fmt::Write as _;

use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::units::NodeName;

use super::facts::Membership;
use super::{hypervisor, resources, watchdog};
use crate::disks;
use crate::host::installs;
use crate::inventory::{Activity, File, FileState, NodeInventory, Questions};
use crate::op::Program;
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, Planned, header, look, state};
use crate::step::About;
use crate::volumes;

pub(crate) const COROSYNC: &str = "corosync.service";
/// Whether pacemaker is asked what it knows is told by whether its unit is asked for.
pub const PACEMAKER: &str = "pacemaker.service";
pub(crate) const SBD: &str = "sbd.service";

const COROSYNC_FILE: &str = "/etc/systemd/system/corosync.service";
const PACEMAKER_FILE: &str = "/etc/systemd/system/pacemaker.service";
const SBD_FILE: &str = "/etc/default/sbd";
const DROP_IN_FOLDER: &str = "/etc/systemd/system/sbd.service.d";
const DROP_IN: &str = "/etc/systemd/system/sbd.service.d/stead.conf";
const CONFIG: &str = "/etc/corosync/corosync.conf";

/// What they encrypt by what they tell each other. It is secret, so it lies in the vault.
const KEY: &str = "/var/lib/stead/vault/members.key";

/// The secret that it is.
pub(super) const SECRET: &str = "machines/members";

pub(super) const STEP: &str = "members";
pub(super) const FENCING: &str = "fencing";

/// What pacemaker calls that it relies on watchdogs, and how long they take.
const RELIES: &str = "stonith-watchdog-timeout";

/// What pacemaker calls that nothing is to run. It is so while all nodes are being switched off.
pub(super) const STOPS_ALL: &str = "stop-all-resources";

/// What a node has in pacemaker whose watchdog was seen to fire: which one that was.
pub(super) const TESTED: &str = "stead-watchdog";

/// With fewer, one that has lost the others can't tell whether it is the one to stop.
const FEWEST: usize = 3;

/// How long nobody may hear of a node until it counts as gone, in milliseconds; times the patience.
const TOKEN: u32 = 3_000;

/// How long a watchdog isn't fed until it resets its node, in seconds; times the patience.
const WATCHDOG: u32 = 10;

/// What sbd takes to see that it is alone, and more, in seconds. Measured: about four.
const NOTICES: u32 = 10;

/// How long nodes may take until they have found each other, and pacemaker can be told something, in seconds.
const AGREES: u32 = 120;

/// How long corosync and sbd may take to start, in seconds; times the patience.
const STARTS: u32 = 90;

/// The nodes that decide: all that have a vault, for what they know each other by. None, where they are too few, or the file
/// has no machines.
pub(super) fn members(spec: &Spec) -> Vec<&Node> {
    let all: Vec<&Node> = spec.trusted_nodes().filter(|node| !node.disks.is_empty()).collect();
    if spec.machines().is_empty() || all.len() < FEWEST { Vec::new() } else { all }
}

pub(crate) fn is_member(spec: &Spec, node: &Node) -> bool {
    members(spec).iter().any(|member| member.name == node.name)
}

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([COROSYNC_FILE, PACEMAKER_FILE, SBD_FILE, DROP_IN_FOLDER, DROP_IN, CONFIG, KEY].map(Into::into));
    out.folders.insert(DROP_IN_FOLDER.into());
    out.units.extend([COROSYNC, PACEMAKER, SBD].map(Into::into));
    watchdog::questions(out);
}

/// `before` is another node: of two that run, the second is restarted after the first, for one that has lost most of the
/// others is reset. `leader` is the one that sets what is set for all.
pub(super) fn member(
    plan: &mut NodePlan<'_, '_>,
    before: Option<&NodeName>,
    leader: &Planned<'_>,
) -> Result<(), Hidden> {
    if !disks::vault_is_open(plan) {
        return Err(Hidden::new("whom it decides with", "the vault, which has the key, isn't mounted"));
    }
    let runs = look(plan.seen, COROSYNC)?.activity == Activity::Active;
    let mut step = plan.draft(STEP, "be one of those that decide where machines run");
    let mut restart = step.file(&Managed::secret(KEY, plan.secret(SECRET)))?;
    restart |= step.file(&Managed::new(SBD_FILE, header("#") + &sbd(plan)?))?;
    restart |= step.unit_file(&Managed::new(COROSYNC_FILE, header("#") + &corosync_unit(plan.spec)))?;
    step.folder(DROP_IN_FOLDER)?;
    restart |= step.unit_file(&Managed::new(DROP_IN, header("#") + &sbd_drop_in(plan.spec)))?;
    let manager = step.unit_file(&Managed::new(PACEMAKER_FILE, header("#") + &pacemaker_unit(plan)))?;
    let config = header("#") + &config(plan.spec);
    let moved = runs && moves(state(plan.seen, CONFIG)?, &config);
    let told = step.file(&Managed::new(CONFIG, config))?;
    let comes = |package| Ok(if installs(plan.seen, package)? { Comes::Masked } else { Comes::Running });
    // It starts and stops with corosync, and nobody may do so by hand.
    restart |= step.wanted(SBD, comes("sbd")?)?;
    if runs && look(plan.seen, SBD)?.activity != Activity::Active {
        step.why(format!("{SBD} doesn't run"));
        step.rests_on(About::Unit(SBD.to_owned()))?;
        restart = true;
    }
    restart |= told && (moved || !runs);
    step.service(COROSYNC, comes("corosync")?, restart)?;
    // It is restarted along with corosync.
    step.service(PACEMAKER, comes("pacemaker")?, manager)?;
    if told && !restart {
        step.run(Program::CorosyncCfgtool.command().args(["-R"]));
    }
    if runs && restart && membership(plan.seen)?.is_some_and(|now| now.quorate) {
        // The next one's is restarted after this one is back: without both, the third one's machines would stop.
        step.run(Program::CorosyncQuorumtool.command().args(["-s"]).again(AGREES));
    }
    if runs && let Some(before) = before {
        step.after_on(before.clone(), STEP);
    }
    if rises(leader.seen, plan.spec) {
        step.after_on(leader.node.name.clone(), FENCING);
    }
    step.after(watchdog::STEP);
    // Machines are placed on it as soon as it is there.
    step.after(hypervisor::STEP);
    plan.spec.networks().keys().for_each(|network| step.after(&format!("network.{network}")));
    let there = membership(leader.seen).ok().flatten();
    let there = there.into_iter().flat_map(|there| there.resources.keys());
    let placed = there.filter_map(|name| plan.spec.machines().values().find(|machine| machine.name.as_ref() == name));
    placed.for_each(|machine| step.after(&resources::definition_step(machine)));
    disks::network_steps(plan.node).for_each(|before| step.after_step(before));
    step.after_packages();
    step.after_step(disks::vault_step(plan.node));
    plan.add(step);
    Ok(())
}

/// What is set for all of them. Only once every node has its watchdog may they rely on it: pacemaker ends where it should and
/// sbd doesn't run.
pub(super) fn fencing(plan: &mut NodePlan<'_, '_>, seen: &[Planned<'_>]) -> Result<(), Hidden> {
    let now = membership(plan.seen)?;
    let mut step = plan.draft(FENCING, "have machines of a silent node start elsewhere once it has been reset");
    for (name, want) in properties(plan.spec) {
        let is = now.and_then(|now| now.properties.get(name));
        if is == Some(&want) {
            continue;
        }
        if now.is_some() {
            step.why(format!("{name} is {}, and should be {want}", is.map_or("not set", String::as_str)));
        }
        let words = ["--type", "crm_config", "--name", name, "--update", &want];
        step.run(Program::CrmAttribute.command().args(words).again(AGREES));
    }
    for member in members(plan.spec) {
        if !seen.iter().any(|of| of.node.name == member.name) {
            return Err(Hidden::new(format!("{}'s watchdog", member.name), "the node didn't answer"));
        }
        if !rises(plan.seen, plan.spec) {
            step.after_on(member.name.clone(), STEP);
        }
    }
    step.rests_on(About::Membership)?;
    plan.add(step);
    Ok(())
}

/// Of the nodes that answered, the one that speaks for all.
pub(super) fn leader<'a>(seen: &[Planned<'a>]) -> Option<Planned<'a>> {
    seen.iter().min_by_key(|of| (!matches!(membership(of.seen), Ok(Some(_))), of.place)).copied()
}

pub(super) fn membership(seen: &NodeInventory) -> Result<Option<&Membership>, Hidden> {
    let known = seen.hypervisor.membership.as_result();
    known.map(Option::as_ref).map_err(|why| Hidden::new("what pacemaker knows", why))
}

fn properties(spec: &Spec) -> BTreeMap<&'static str, String> {
    let fenced = fenced(spec);
    BTreeMap::from([
        // One that was taken for dead and comes back starts anew, instead of staying without pacemaker.
        ("fence-reaction", "panic".to_owned()),
        ("stonith-enabled", "true".to_owned()),
        // On Debian 12, pacemaker gives up waiting for a watchdog after this and a fifth.
        ("stonith-timeout", format!("{}s", 2 * fenced)),
        (RELIES, format!("{fenced}s")),
        (STOPS_ALL, "false".to_owned()),
    ])
}

/// How long until a node that fell silent has been reset for sure, in seconds. Less than twice the watchdog's time pacemaker
/// doesn't take.
fn fenced(spec: &Spec) -> u32 {
    2 * WATCHDOG * patience(spec) + NOTICES
}

/// Whether nodes rely on watchdogs that are quicker than those that they are to get: pacemaker doesn't start beside one that
/// is slower than what it relies on, so that is set first.
fn rises(seen: &NodeInventory, spec: &Spec) -> bool {
    let now = seen.hypervisor.membership.get().and_then(Option::as_ref).and_then(|now| now.properties.get(RELIES));
    let now = now.and_then(|now| now.trim_end_matches('s').parse::<u32>().ok());
    now.is_some_and(|now| now < fenced(spec))
}

/// Whether a node that was there has other addresses now, which corosync takes only when it starts.
fn moves(now: &FileState, config: &str) -> bool {
    let FileState::File(File { text: Some(text), .. }) = now else { return true };
    let blocks = |text: &str| -> BTreeMap<String, String> {
        let blocks = text.split("node {").skip(1).filter_map(|block| block.split_once('}'));
        let blocks = blocks.filter_map(|(block, _)| {
            let id = block.lines().find_map(|line| line.trim().strip_prefix("nodeid:"))?;
            Some((id.trim().to_owned(), block.split_whitespace().collect::<Vec<_>>().join(" ")))
        });
        blocks.collect()
    };
    let (before, after) = (blocks(text), blocks(config));
    before.iter().any(|(id, block)| after.get(id).is_some_and(|after| after != block))
}

fn patience(spec: &Spec) -> u32 {
    spec.host().patience.get().into()
}

/// corosync wants each node on each link: a switch that some aren't on is none. Where there is no such switch, the core finds
/// the ways.
fn config(spec: &Spec) -> String {
    let members = members(spec);
    let switches = spec.core().links.keys();
    let switches: Vec<_> = switches.filter(|of| members.iter().all(|node| node.links.contains_key(*of))).collect();
    let mut text = format!(
        "totem {{
    version: 2
    cluster_name: {}
    transport: knet
    ip_version: ipv4
    keyfile: {KEY}
    crypto_cipher: aes256
    crypto_hash: sha256
    token: {}
}}

quorum {{
    provider: corosync_votequorum
}}

logging {{
    to_syslog: yes
    to_stderr: no
}}

nodelist {{
",
        spec.cluster().name,
        TOKEN * patience(spec),
    );
    for node in members {
        let _ = writeln!(text, "    node {{\n        name: {}\n        nodeid: {}", node.name, node.number);
        let links = switches.iter().filter_map(|switch| node.links.get(*switch)).map(|link| link.address().to_string());
        let mut links: Vec<String> = links.collect();
        if links.is_empty() {
            links.push(node.core.to_string());
        }
        for (number, link) in links.iter().enumerate() {
            let _ = writeln!(text, "        ring{number}_addr: {link}");
        }
        text.push_str("    }\n");
    }
    text + "}\n"
}

fn sbd(plan: &NodePlan<'_, '_>) -> Result<String, Hidden> {
    let (device, timeout) = (watchdog::device(plan)?, WATCHDOG * patience(plan.spec));
    Ok(format!(
        "# No disk is shared: a node that isn't among most of them stops feeding its watchdog.
SBD_PACEMAKER=yes
SBD_STARTMODE=always
SBD_DELAY_START=no
SBD_WATCHDOG_DEV={device}
SBD_WATCHDOG_TIMEOUT={timeout}
SBD_TIMEOUT_ACTION=flush,reboot
SBD_MOVE_TO_ROOT_CGROUP=auto
SBD_SYNC_RESOURCE_STARTUP=yes
SBD_OPTS=
"
    ))
}

/// It feeds no watchdog before there is anybody to lose: without the key, nobody is.
fn sbd_drop_in(spec: &Spec) -> String {
    let seconds = STARTS * patience(spec);
    format!(
        "
[Unit]
After={COROSYNC}
ConditionPathExists={KEY}

[Service]
TimeoutStartSec={seconds}
"
    )
}

/// In place of Debian's, which wants its key when the node boots. Nobody starts it again when it ends: sbd, which would be
/// stopped along with it, is to reset the node then.
fn corosync_unit(spec: &Spec) -> String {
    let (vault, seconds) = (disks::VAULT_UNIT, STARTS * patience(spec));
    format!(
        "
[Unit]
Description=Which nodes are there, and whether they are most (Corosync)
Documentation=man:corosync man:corosync.conf
Wants=network-online.target
After=network-online.target time-sync.target chrony.service frr.service {vault}
# Its key is in the vault, which starts it.
ConditionPathExists={KEY}
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=/usr/sbin/corosync -f
ExecStop=/usr/sbin/corosync-cfgtool -H --force
TimeoutStartSec={seconds}
PrivateTmp=yes

[Install]
WantedBy={vault}
"
    )
}

/// In place of Debian's, which is there before what machines need.
fn pacemaker_unit(plan: &NodePlan<'_, '_>) -> String {
    let vault = disks::VAULT_UNIT;
    let mounts = volumes::shared_mounts(plan.spec).collect::<Vec<_>>().join(" ");
    // Without an answer of libvirt's, it would take a machine for one that runs here too, and stop it everywhere.
    let first = "ExecStartPre=/usr/bin/virsh --connect qemu:///system version\n";
    let first = if super::is_host(plan.spec, plan.node) { first } else { "" };
    format!(
        "
[Unit]
Description=Which machine runs on which node (Pacemaker)
Documentation=man:pacemakerd
Requires={COROSYNC}
Wants=dbus.service resource-agents-deps.target
After={COROSYNC} dbus.service resource-agents-deps.target libvirtd.service {mounts}
ConditionPathExists={KEY}
StartLimitIntervalSec=0

[Service]
Type=simple
KillMode=process
NotifyAccess=main
EnvironmentFile=-/etc/default/pacemaker
# How long the watchdog's time is.
EnvironmentFile=-{SBD_FILE}
SuccessExitStatus=100
{first}ExecStart=/usr/sbin/pacemakerd
TasksMax=infinity
# What it is to stop may take as long as a machine takes to shut down.
SendSIGKILL=no
TimeoutStopSec=30min
Restart=on-failure
RestartSec=1

[Install]
WantedBy={vault}
"
    )
}
