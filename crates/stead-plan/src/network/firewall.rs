//! The node's own firewall: what each network may reach on it. Frames between machines aren't its business.
//!
//! It is one table of nftables beside whatever others there are. Its text is what `nft -s list table inet stead` prints,
//! so that each change of it is seen. docs/reference/ports.md says what it lets through, in words.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use stead_spec::network::Origin;
use stead_spec::units::{NetworkName, Source};

use super::layout::{Layout, OWN};
use crate::inventory::{Enablement, Questions};
use crate::op::Program;
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, header, look};
use crate::step::{About, Guard};

const FOLDER: &str = "/etc/stead";
const FILE: &str = "/etc/stead/firewall.nft";
const UNIT: &str = "stead-firewall.service";
const UNIT_FILE: &str = "/etc/systemd/system/stead-firewall.service";
const ENABLED: &str = "/etc/systemd/system/sysinit.target.wants/stead-firewall.service";

/// Before any address is there, and again whenever Debian's own firewall has emptied all tables.
const UNIT_TEXT: &str = "[Unit]
Description=What may reach this node
DefaultDependencies=no
Before=network-pre.target shutdown.target
Wants=network-pre.target
After=nftables.service
PartOf=nftables.service
Conflicts=shutdown.target

[Service]
Type=oneshot
RemainAfterExit=yes
ExecStart=/usr/sbin/nft -f /etc/stead/firewall.nft
ExecReload=/usr/sbin/nft -f /etc/stead/firewall.nft
ExecStop=/usr/sbin/nft delete table inet stead

[Install]
WantedBy=sysinit.target
";

/// How long the node waits for a new connection, in seconds.
const WITHIN: u32 = 60;

/// sshd's, unless a node is reached at another one.
const SSH: u16 = 22;

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([FOLDER, FILE, UNIT_FILE].map(Into::into));
    out.folders.insert(FOLDER.into());
    out.units.insert(UNIT.to_owned());
}

pub(super) fn firewall(plan: &mut NodePlan<'_, '_>, layout: &Layout<'_>) -> Result<(), Hidden> {
    let now = plan.seen.firewall.as_result().map_err(|why| Hidden::new("its firewall", why))?.clone();
    let table = table(plan, layout);
    // In one transaction: the table is made if it isn't there, emptied, and filled.
    let text = format!("{}table inet stead\ndelete table inet stead\n\n{table}", header("#"));
    let mut step = plan.draft("firewall", "let each network reach what is for it, and nothing else");
    step.folder(FOLDER)?;
    let checked_by = Some(Program::Nft.command().args(["-c", "-f"]));
    let mut restart = step.file(&Managed { checked_by, ..Managed::new(FILE, text) })?;
    let unit = step.unit_file(&Managed::new(UNIT_FILE, header("#") + UNIT_TEXT))?;
    if !restart && now.as_deref().map(str::trim) != Some(table.trim()) {
        step.rests_on(About::Firewall)?;
        step.why(match now {
            Some(_) => "the table that is in force differs from its file",
            None => "no table `inet stead` is in force",
        });
        restart = true;
    }
    step.service(UNIT, Comes::Running, restart || unit)?;
    let enabled = look(plan.seen, UNIT)?.enablement == Enablement::Enabled;
    let undo = if enabled { ["restart", UNIT].to_vec() } else { ["disable", "--now", UNIT].to_vec() };
    let mut keeps = step.writes();
    keeps.insert(ENABLED.into());
    step.guard(Guard {
        keeps,
        keeps_for_boot: BTreeSet::new(),
        undo: vec![Program::Systemctl.command().args(undo), Program::Systemctl.command().args(["daemon-reload"])],
        within: WITHIN,
        watches: Vec::new(),
    });
    step.after_packages();
    step.after(super::way_back::STEP);
    step.after(super::devices::STEP);
    plan.add(step);
    Ok(())
}

/// As `nft` prints it.
fn table(plan: &NodePlan<'_, '_>, layout: &Layout<'_>) -> String {
    let pool = plan.spec.core().pool;
    let tagged = layout.links().any(|(_, link)| link.vlan.is_some());
    // core0, core1, …; and the NICs, where the core has no tag.
    let mut core: BTreeSet<String> = BTreeSet::from([if tagged { "core*".to_owned() } else { OWN.to_owned() }]);
    core.extend(layout.links().filter(|(_, link)| link.vlan.is_none()).map(|(_, link)| link.device.clone()));
    let mut text = "table inet stead {\n\tchain input {\n".to_owned();
    text.push_str("\t\ttype filter hook input priority filter; policy accept;\n\t\tiifname \"lo\" accept\n");
    for device in &core {
        let _ = writeln!(text, "\t\tiifname \"{device}\" goto core");
    }
    let _ = writeln!(text, "\t\tip saddr {pool} drop\n\t\tip daddr {pool} drop");
    for end in &layout.ends {
        let _ = writeln!(text, "\t\tiifname \"{}\" goto {}", end.device(), chain(&end.network.name));
    }
    let _ = writeln!(text, "\t}}\n\n\tchain core {{\n\t\tip saddr {pool} accept\n\t\tdrop\n\t}}");
    for end in &layout.ends {
        let _ = writeln!(text, "\n\tchain {} {{\n\t\tct state established,related accept", chain(&end.network.name));
        text.push_str("\t\tmeta l4proto icmp accept\n\t\tmeta l4proto ipv6-icmp accept\n");
        let _ = writeln!(text, "\t\tip saddr {} udp dport 123 accept", end.address.subnet());
        for rule in ssh(plan, &end.network.name) {
            let _ = writeln!(text, "\t\t{rule}");
        }
        text.push_str("\t\tdrop\n\t}\n");
    }
    text.push_str("\n\tchain forward {\n\t\ttype filter hook forward priority filter; policy accept;\n");
    for into in &core {
        for out in &core {
            let _ = writeln!(text, "\t\tiifname \"{into}\" oifname \"{out}\" ip saddr {pool} ip daddr {pool} accept");
        }
    }
    for device in &core {
        let _ = writeln!(text, "\t\tiifname \"{device}\" drop\n\t\toifname \"{device}\" drop");
    }
    text.push_str("\t}\n}\n");
    text
}

/// A network's chain: names of chains and words of nft's own don't meet.
fn chain(network: &NetworkName) -> String {
    format!("from_{}", network.as_ref().replace('-', "_"))
}

/// Who may log in from this network.
fn ssh(plan: &NodePlan<'_, '_>, network: &NetworkName) -> Vec<String> {
    let ports: BTreeSet<u16> = [SSH, plan.node.ssh.port().unwrap_or(SSH)].into();
    let mut rules = Vec::new();
    for port in ports {
        for origin in &plan.spec.host().ssh_from {
            let from = match origin {
                Origin::Network(name) if name == network => String::new(),
                // Somebody may route from there to here.
                Origin::Network(name) => match plan.spec.networks().get(name).and_then(|network| network.subnet) {
                    Some(subnet) => format!("ip saddr {subnet} "),
                    None => continue,
                },
                Origin::Source(source) => saddr(*source),
            };
            rules.push(format!("{from}tcp dport {port} accept"));
        }
    }
    rules
}

fn saddr(source: Source) -> String {
    if source.net().prefix_len() == 0 { String::new() } else { format!("ip saddr {source} ") }
}
