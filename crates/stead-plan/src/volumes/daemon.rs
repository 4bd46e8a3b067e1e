//! The storage daemon of a node: its certificate, how it is started, and what it listens at.

use std::collections::{BTreeMap, BTreeSet};

use stead_spec::units::{NodeName, Suite};
use uuid::Uuid;

use super::STATE;
use super::facts::{Peer, Standing};
use super::layout::{host, members};
use crate::disks;
use crate::inventory::{Mode, Questions};
use crate::op::{Op, Write};
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, Planned, header};
use crate::release;
use crate::secret::certificate;
use crate::step::{About, Layer, StepId};

pub(super) const UNIT: &str = "glusterd.service";
const UNIT_FILE: &str = "/etc/systemd/system/glusterd.service";
const CONFIG: &str = "/etc/glusterfs/glusterd.vol";
const SECURE: &str = "/var/lib/glusterd/secure-access";

/// Certificate and key in one file, which both of gluster's paths lead to. It is secret, so it lies in the vault; without
/// the vault there are no bricks either.
const KEY: &str = "/var/lib/stead/vault/storage.pem";

/// How long it may take until it answers, in seconds; times the patience.
const START: u32 = 60;

pub(super) const TLS: &str = "tls";
pub(super) const STEP: &str = "daemon";

/// What certificates for it are called among those of all engines.
pub(crate) const PURPOSE: &str = "storage";

/// Bricks get ports from here on, and not Debian's 49152, where libvirt sends machines from node to node.
const PORTS: (u16, u16) = (24_100, 24_999);

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([UNIT_FILE, CONFIG, SECURE, KEY].map(Into::into));
    for suite in Suite::ALL {
        out.files.extend(["key", "pem", "ca"].map(|what| path(suite, what).into()));
    }
    out.units.insert(UNIT.to_owned());
}

/// Where gluster looks for its key (`key`), its certificate (`pem`) and those whom it trusts (`ca`).
fn path(suite: Suite, what: &str) -> String {
    format!("{}/glusterfs.{what}", release::openssl_folder(suite))
}

/// Before the daemon starts for the first time: with and without TLS it doesn't talk to itself.
pub(super) fn tls(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let mut step = plan.draft(TLS, "have a certificate for the storage of the other nodes");
    if !disks::vault_is_open(plan) {
        return Err(Hidden::new("its certificate", "the vault, which has it, isn't mounted"));
    }
    step.file(&Managed::secret(KEY, plan.secret(&certificate(PURPOSE, &plan.node.name))))?;
    for what in ["key", "pem"] {
        step.link(&path(plan.suite, what), KEY)?;
    }
    let trusted = plan.trusted(PURPOSE);
    step.file(&Managed::new(path(plan.suite, "ca"), header("#") + &trusted))?;
    step.file(&Managed::new(SECURE, header("#") + "# That this file is there has nodes talk by TLS alone.\n"))?;
    step.after_packages();
    step.after_step(disks::vault_step(plan.node));
    plan.add(step);
    Ok(())
}

/// `before` is another node: of two that run, the second is restarted after the first, for without most of the others a
/// daemon stops its bricks.
pub(super) fn daemon(
    plan: &mut NodePlan<'_, '_>,
    nodes: &[Planned<'_>],
    before: Option<&NodeName>,
) -> Result<(), Hidden> {
    if !disks::vault_is_open(plan) {
        return Err(Hidden::new("its storage daemon", "the vault, which has its certificate, isn't mounted"));
    }
    let mut step = plan.draft(STEP, "have the storage daemon run");
    let mut restart = step.file(&Managed::new(CONFIG, header("#") + &config()))?;
    let unit = step.unit_file(&Managed::new(UNIT_FILE, header("#") + &unit(plan)))?;
    for (path, (who, text)) in forgotten(plan, nodes) {
        step.why(format!("{path} should say who {who} is"));
        step.rests_on(About::PeersWritten)?;
        step.op(Op::Write(Write::new(path, Mode(0o600), text)));
        restart = true;
    }
    // Bricks go on meanwhile.
    restart |= unit || plan.has(&plan.id(TLS));
    step.service(UNIT, Comes::Running, restart)?;
    // It has to know its own address as one.
    disks::network_steps(plan.node).for_each(|before| step.after_step(before));
    step.after_step(StepId { layer: Layer::Host, node: plan.node.name.clone(), what: "hosts".to_owned() });
    if let Some(before) = before.filter(|_| plan.seen.storage.knows().is_some()) {
        step.after_step(step_of(before));
    }
    step.after_packages();
    step.after(TLS);
    plan.add(step);
    Ok(())
}

/// gluster's number for a peer that both sides have agreed on (`GD_FRIEND_STATE_BEFRIENDED`).
const IN_POOL: u8 = 3;

/// What a daemon has to have written down to be, after its next start, the one that the others know, and to know them, and
/// hasn't: files, who is meant in each, and their texts. One that has lost who it is would make itself another UUID, which
/// the others reject; one that knows volumes and not all nodes of their bricks doesn't start.
fn forgotten(plan: &NodePlan<'_, '_>, nodes: &[Planned<'_>]) -> BTreeMap<String, (String, String)> {
    let (me, own) = (host(&plan.node.name), &plan.seen.storage);
    let mut files = BTreeMap::new();
    let others: Vec<_> = nodes.iter().filter(|other| other.node.name != plan.node.name).collect();
    let knowing = others.iter().filter_map(|other| Some((&other.seen.storage.written, other.seen.storage.knows()?)));
    let knowing: Vec<_> = knowing.filter(|(_, knows)| !knows.peers.is_empty()).collect();
    let ids: BTreeSet<_> = knowing.iter().filter_map(|(_, knows)| Some(&knows.peers.get(&me)?.id)).collect();
    // All that know it agree on who it is. A probe that was cut has some know it and others not, or both know half.
    let Some(id) = ids.first().filter(|_| ids.len() == 1) else { return files };
    let version = knowing.iter().find_map(|(written, _)| written.version.as_ref());
    // One that runs is who it says it is.
    let is_lost = own.written.id.as_ref().is_none_or(|written| own.knows().is_none() && written != *id);
    if let (true, Some(version)) = (is_lost, version) {
        let text = format!("UUID={id}\noperating-version={version}\n");
        files.insert(format!("{STATE}/glusterd.info"), (me.clone(), text));
    }
    for member in members(plan.spec).into_iter().filter(|member| member.name != plan.node.name) {
        let name = host(&member.name);
        let told = knowing.iter().find_map(|(_, knows)| Some(&knows.peers.get(&name)?.id));
        let own_word = others.iter().find(|other| other.node.name == member.name);
        let Some(id) = told.or_else(|| own_word?.seen.storage.written.id.as_ref()) else { continue };
        if Uuid::parse_str(id).is_ok() && !own.written.peers.values().any(|known| known == id) {
            let text = format!("uuid={id}\nstate={IN_POOL}\nhostname1={name}\n");
            files.insert(format!("{STATE}/peers/{id}"), (name, text));
        }
    }
    files
}

/// Debian's own, but for the ports (10.3 and 11.1).
fn config() -> String {
    let (from, to) = PORTS;
    format!(
        "volume management
    type mgmt/glusterd
    option working-directory {STATE}
    option transport-type socket
    option transport.socket.keepalive-time 10
    option transport.socket.keepalive-interval 2
    option transport.socket.read-fail-log off
    option transport.socket.listen-port 24007
    option ping-timeout 0
    option event-threads 1
    option base-port {from}
    option max-port {to}
end-volume
"
    )
}

/// In place of Debian's, which on Debian 12 has to be there before the network is, and on both takes the bricks along when
/// it stops. It waits for no brick, of which each comes when its disk does.
///
/// In the foreground: of a daemon that goes to the background, systemd ends what it started and not what that became, when
/// it is slow to start (it asks geo-replication's Python a dozen things), and that one keeps the port from all others.
fn unit(plan: &NodePlan<'_, '_>) -> String {
    let (vault, key) = (disks::VAULT_UNIT, path(plan.suite, "key"));
    let seconds = START * u32::from(plan.spec.host().patience.get());
    format!(
        "
[Unit]
Description=Storage that nodes have in common (GlusterFS)
Documentation=man:glusterd(8)
After=network-online.target frr.service {vault}
# Its certificate is in the vault, which starts it.
ConditionPathExists={key}
ConditionPathExists={SECURE}
StartLimitIntervalSec=0

[Service]
Type=exec
LimitNOFILE=65536
ExecStart=/usr/sbin/glusterd --no-daemon -p /run/glusterd.pid --log-level INFO
# It has started once it answers.
ExecStartPost=/bin/sh -c 'until gluster pool list; do kill -0 $$MAINPID || exit 1; sleep 1; done > /dev/null 2>&1'
# And, while bricks run, once it knows of the others again, unless one is away: who restarts the next one's before that
# leaves a third alone, which then stops its bricks.
ExecStartPost=/bin/sh -c 'pgrep -x glusterfsd > /dev/null || exit 0; for i in 1 2 3 4 5 6 7 8 9 10; do gluster pool list | grep -q Disconnected || exit 0; sleep 1; done'
KillMode=process
TimeoutStartSec={seconds}
TimeoutStopSec=60
SuccessExitStatus=15
Restart=on-failure
RestartSec=5

[Install]
WantedBy={vault}
"
    )
}

/// The step of a node that has its daemon run.
pub(super) fn step_of(node: &NodeName) -> StepId {
    StepId { layer: Layer::Volumes, node: node.clone(), what: STEP.to_owned() }
}

/// One pool of all nodes that have disks.
pub(super) fn pool(plan: &mut NodePlan<'_, '_>, nodes: &[Planned<'_>]) -> Result<(), Hidden> {
    let mut step = plan.draft(super::POOL, "have the nodes' storage daemons know each other");
    let own = super::knows(plan.seen)?.unwrap_or_default();
    for member in members(plan.spec) {
        let name = host(&member.name);
        if member.name == plan.node.name || own.peers.contains_key(&name) {
            continue;
        }
        let other = nodes.iter().find(|other| other.node.name == member.name);
        let other = other.ok_or_else(|| Hidden::new(format!("{}'s storage", member.name), "the node didn't answer"))?;
        let is_one = |peer: &Peer| peer.standing != Standing::Joining;
        if super::knows(other.seen)?.is_some_and(|knows| knows.peers.values().any(is_one)) {
            let why = format!("{} is in a pool of storage daemons already, without {}", member.name, plan.node.name);
            let way = "`gluster pool list` there shows whom it knows; `gluster peer detach` takes it out of that pool";
            plan.refuse(why, way);
            return Ok(());
        }
        step.why(format!("{} doesn't know {name}", plan.node.name));
        step.run(super::gluster(["peer", "probe", &name]));
        step.after_step(step_of(&member.name));
    }
    step.rests_on(About::Peers)?;
    step.after(STEP);
    plan.add(step);
    Ok(())
}
