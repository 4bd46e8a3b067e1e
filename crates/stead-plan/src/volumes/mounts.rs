//! Replicated volumes mounted on every node, and bricks that come back when their disks do.

use std::fmt::Write as _;

use stead_spec::volumes::Volume;

use super::layout::{Share, bricks_on, host, members, mount_unit, place};
use super::{daemon, options, replicated};
use crate::inventory::{Activity, Enablement, Questions};
use crate::op::Program;
use crate::plan::Block;
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, Planned, header, look};
use crate::step::About;

const FSTAB: &str = "/etc/fstab";

/// What a volume for machines has: their disks, and images to install from.
const FOLDERS: [&str; 2] = ["iso", "vm"];

/// What ends when the processes end whose numbers are in these files.
const WATCH: &str = "/var/lib/stead/while-alive";

/// Its text. Processes write their numbers down some time after they were started.
const WATCH_TEXT: &str = r#"
# while-alive FILE...: ends well when one of the processes ends whose numbers are in these files; else, if they aren't all
# there within two minutes.
alive() {
    for file; do
        kill -0 "$(cat "$file" 2> /dev/null)" 2> /dev/null || return 1
    done
}
seconds=0
until alive "$@"; do
    seconds=$((seconds + 1))
    [ "$seconds" -le 120 ] || exit 1
    sleep 1
done
while alive "$@"; do sleep 1; done
"#;

/// How long a mount may take.
const TIMEOUT: u32 = 180;

pub(super) fn questions(volume: &Volume, shares: &[Share<'_>], out: &mut Questions) {
    out.files.extend([FSTAB.to_owned(), WATCH.to_owned(), unit_file(&unit(volume))].map(Into::into));
    out.units.insert(unit(volume));
    for share in shares.iter().filter(|share| share.volume.name == volume.name) {
        out.files.insert(unit_file(&brick_unit(share)).into());
        out.units.insert(brick_unit(share));
    }
}

pub(super) fn step(volume: &Volume) -> String {
    format!("mount.{}", volume.name)
}

pub(super) fn folders_step(volume: &Volume) -> String {
    format!("folders.{}", volume.name)
}

/// The unit that has a volume mounted.
pub(crate) fn unit(volume: &Volume) -> String {
    format!("stead-volume-{}.service", volume.name)
}

fn brick_unit(share: &Share<'_>) -> String {
    format!("stead-brick-{}.service", share.data.name)
}

fn unit_file(unit: &str) -> String {
    format!("/etc/systemd/system/{unit}")
}

/// On one node; `leader` is the one that has made the volume.
pub(super) fn mount(
    plan: &mut NodePlan<'_, '_>,
    volume: &Volume,
    shares: &[Share<'_>],
    leader: &Planned<'_>,
) -> Result<(), Hidden> {
    let place = place(volume);
    let mut step = plan.draft(&step(volume), format!("mount {} at {place}", volume.name));
    let mut start = Vec::new();
    step.file(&Managed::new(WATCH, header("#") + WATCH_TEXT))?;
    for share in shares.iter().filter(|share| share.volume.name == volume.name) {
        let unit = brick_unit(share);
        let text = header("#") + &brick_text(plan, share);
        step.unit_file(&Managed::new(unit_file(&unit), text))?;
        let seen = look(plan.seen, &unit)?;
        if seen.enablement != Enablement::Enabled {
            step.why(format!("{unit} doesn't start with its disk"));
            step.rests_on(About::Unit(unit.clone()))?;
            step.enable(&unit);
        }
        // One whose disk isn't there waits for it.
        let there =
            bricks_on(plan.spec, share).iter().any(|brick| super::brick(plan.seen, brick).is_ok_and(|it| it.is_some()));
        if matches!(seen.activity, Activity::Inactive | Activity::Failed)
            && (there || seen.enablement != Enablement::Enabled)
        {
            start.push(unit);
        }
    }
    let unit = unit(volume);
    let others: Vec<String> = members(plan.spec)
        .into_iter()
        .filter(|node| node.name != plan.node.name)
        .map(|node| host(&node.name))
        .collect();
    let servers =
        if others.is_empty() { String::new() } else { format!(",backup-volfile-servers={}", others.join(":")) };
    let line = format!("{}:/{} {place} glusterfs noauto,_netdev{servers} 0 0\n", host(&plan.node.name), volume.name);
    let title = format!("volume {}", volume.name);
    step.unit_file(&plan.users_file(FSTAB)?.with_block(Block(&title), &line)?)?;
    step.unit_file(&Managed::new(unit_file(&unit), header("#") + &text_of(volume)))?;
    if !start.is_empty() {
        step.why("what ends bricks with their disks doesn't run");
        step.start(Program::Systemctl.command().args(["start", "--no-block"]).args(start));
    }
    step.service(&unit, Comes::Running, false)?;
    for made in replicated::made(volume, &leader.node.name, plan.spec) {
        step.after_step(made);
    }
    step.after(daemon::STEP);
    plan.add(step);
    Ok(())
}

/// The folders of a volume, made through its mount on one node. They are looked for in a brick, for whoever looks at a
/// mount may wait for ever.
pub(super) fn folders(plan: &mut NodePlan<'_, '_>, volume: &Volume, shares: &[Share<'_>]) -> Result<(), Hidden> {
    let own = shares.iter().find(|share| share.volume.name == volume.name);
    let own = own.map(|share| bricks_on(plan.spec, share)).unwrap_or_default();
    let Some(brick) = own.first() else { return Ok(()) };
    let there = super::brick(plan.seen, brick)?.map(|brick| brick.folders.clone()).unwrap_or_default();
    let missing: Vec<String> =
        FOLDERS.iter().filter(|name| !there.contains(**name)).map(|name| format!("{}/{name}", place(volume))).collect();
    if missing.is_empty() {
        return Ok(());
    }
    let mut step = plan.draft(&folders_step(volume), format!("folders of {}", volume.name));
    step.why(format!("not there: {}", missing.join(", ")));
    step.rests_on(About::Brick(brick.folder().into()))?;
    let own = ["--directory", "--mode=0711", "--owner", options::OWNER, "--group", options::OWNER];
    step.run(Program::Install.command().args(own).args(missing).timeout(TIMEOUT));
    step.after(&self::step(volume));
    plan.add(step);
    Ok(())
}

/// A brick's process has it started whenever its disk is there, and looked after: glusterd starts it, and knows nothing of
/// its end. One that was never a brick isn't made one: by force, it would count as a good copy.
///
/// When it ends, glusterd is started anew, for two reasons: it starts the brick again if that can be; and it forgets where it
/// was. One that was restarted while the brick ran tells clients the port of a brick that has ended, and a client of gluster
/// 11.1 that was told a port where nobody listens never asks again: it would leave the brick out until it is mounted anew.
/// Clients ask 3 seconds after they lost a brick.
fn brick_text(plan: &NodePlan<'_, '_>, share: &Share<'_>) -> String {
    let mount = mount_unit(&share.place());
    let bricks = bricks_on(plan.spec, share);
    let volume = &share.volume.name;
    let (mut checks, mut stops, mut pids) = (String::new(), String::new(), String::new());
    for brick in &bricks {
        let folder = brick.folder();
        let _ = writeln!(checks, "ConditionPathExists={folder}/.glusterfs");
        // They hold what is mounted, which goes with its disk.
        let _ = writeln!(stops, "ExecStop=-/usr/bin/pkill --full \"brick-name {folder} \"");
        let file = format!("{}{}", host(&brick.node.name), folder.replace('/', "-"));
        let _ = write!(pids, " /run/gluster/vols/{volume}/{file}.pid");
    }
    format!(
        "
[Unit]
Description=The brick of {volume} on {id}, whenever that is there
BindsTo={mount}
After={mount} {daemon}
Before={client}
{checks}StartLimitIntervalSec=0

[Service]
Type=exec
# A volume that somebody has stopped stays so.
ExecStartPre=/bin/sh -c 'gluster volume info {volume} | grep -q \"^Status: Started\" && gluster --mode=script volume start {volume} force'
ExecStart=/bin/sh {WATCH}{pids}
{stops}# It ran, and has ended: who asks for its port must not be told the one that it had. Whoever is stopping the daemon has
# the last word.
ExecStopPost=-/bin/sh -c '[ \"$$SERVICE_RESULT\" != success ] || systemctl --job-mode=fail try-restart --no-block {daemon}'
Restart=always
RestartSec=15

[Install]
WantedBy={mount}
",
        id = share.data.id,
        daemon = daemon::UNIT,
        client = unit(share.volume),
    )
}

fn text_of(volume: &Volume) -> String {
    let (name, place, daemon) = (&volume.name, place(volume), daemon::UNIT);
    format!(
        "
[Unit]
Description=The volume {name} at {place}
After=network.target frr.service {daemon}
StartLimitIntervalSec=0

[Service]
Type=forking
# What a client that died left.
ExecStartPre=-/usr/bin/umount --lazy --quiet {place}
# Nothing can be written there while it isn't mounted.
ExecStartPre=/usr/bin/mkdir --parents {place}
ExecStartPre=/usr/bin/chattr +i {place}
ExecStart=/usr/bin/mount {place}
ExecStop=/usr/bin/umount {place}
Restart=always
RestartSec=10
TimeoutStartSec=180

[Install]
WantedBy={daemon}
"
    )
}
