//! FRR: OSPF finds the ways of the core over all switches, and BFD notices within a second when one is gone.

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::layout::{Layout, OWN};
use crate::inventory::{Mode, Questions};
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, header};
use crate::secret::SecretRef;
use crate::step::About;

const UNIT: &str = "frr.service";
const DAEMONS: &str = "/etc/frr/daemons";
const CONFIG: &str = "/etc/frr/frr.conf";
const DROP_IN_FOLDER: &str = "/etc/systemd/system/frr.service.d";
const DROP_IN: &str = "/etc/systemd/system/frr.service.d/stead.conf";

/// The secret that routers of the core know each other by: a word of at most 16 characters, which is what OSPF's MD5 takes
/// (RFC 2328, D.4.3).
pub(super) const KEY: &str = "core/ospf";

/// What the key comes after in FRR's configuration.
pub const BEFORE_KEY: &str = " ip ospf message-digest-key 1 md5 ";

/// BFD's signs of life, in milliseconds, times the patience; three that don't come mean that the way is gone. Measured
/// on three nodes: below 300, busy ones lose ways that work.
const SIGN_OF_LIFE: u32 = 300;

/// OSPF's own signs, in seconds, for what BFD doesn't see; times the patience.
const HELLO: u32 = 2;

/// How long the node's own address may take to be there at boot, and FRR to have started, in seconds, times the patience.
const OWN_COMES: u32 = 30;
const STARTS: u32 = 120;

/// How long one of FRR's daemons may take to start, in seconds, times the patience.
const DAEMON_STARTS: u32 = 30;

/// What is between FRR's own signs where nothing is said, in seconds and in milliseconds. It never tells what is usual.
const USUAL_HELLO: u32 = 10;
const USUAL_SIGN: u32 = 300;

/// Largest hello interval that FRR knows; four of them are its dead interval.
const MOST_HELLO: u32 = 60;

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([DAEMONS, CONFIG, DROP_IN_FOLDER, DROP_IN].map(Into::into));
    out.secrets.insert(CONFIG.into(), BEFORE_KEY.to_owned());
    out.folders.insert(DROP_IN_FOLDER.into());
    out.units.insert(UNIT.to_owned());
}

pub(super) fn routing(plan: &mut NodePlan<'_, '_>, layout: &Layout<'_>) -> Result<(), Hidden> {
    let running = plan.seen.routing.as_result().map_err(|why| Hidden::new("FRR's configuration", why))?;
    let mut step = plan.draft("routing", "find the core's ways by OSPF and BFD");
    step.folder(DROP_IN_FOLDER)?;
    step.unit_file(&Managed::new(DROP_IN, drop_in(plan.spec.host().patience.get().into())))?;
    let key = plan.secret(KEY);
    let config = config(plan, layout, &key);
    let mut restart = step.file(&Managed::new(DAEMONS, daemons(plan.spec.host().patience.get().into())))?;
    let file = Managed::new(CONFIG, config.clone());
    restart |= step.file(&Managed { mode: Mode(0o600), secrets: vec![key], ..file })?;
    // A daemon that is to be restarted anyway says what it did before.
    if let Some(running) = running.as_ref().filter(|_| !restart) {
        let differs = differences(&config, &running.running);
        if !differs.is_empty() {
            step.rests_on(About::Routing)?;
            step.why("what FRR runs with differs from its file");
            for line in differs {
                step.why(line);
            }
            restart = true;
        }
    }
    step.service(UNIT, Comes::Running, restart)?;
    step.after_packages();
    step.after(super::devices::STEP);
    plan.add(step);
    Ok(())
}

/// FRR starts the daemons that this says.
fn daemons(patience: u32) -> String {
    let mut text = header("#");
    for daemon in ["ospfd", "bfdd"] {
        let _ = writeln!(text, "{daemon}=yes");
    }
    text.push_str("\nvtysh_enable=yes\n");
    // What takes longer to start is killed, with its configuration unread.
    let _ = writeln!(text, "watchfrr_options=\"-T {}\"", DAEMON_STARTS * patience);
    // -r: what zebra put into the kernel stays there while it restarts.
    text.push_str("zebra_options=\"  -A 127.0.0.1 -s 90000000 -r\"\n");
    text.push_str(
        "ospfd_options=\"  -A 127.0.0.1\"\nstaticd_options=\"-A 127.0.0.1\"\nbfdd_options=\"   -A 127.0.0.1\"\n",
    );
    text
}

/// Routes with a source address need that address to be there.
fn drop_in(patience: u32) -> String {
    let (comes, starts) = (OWN_COMES * patience, STARTS * patience);
    format!(
        "{}[Unit]\nAfter=systemd-networkd.service\n\
         # The fourth start within minutes is as good as the first.\nStartLimitIntervalSec=0\n\n[Service]\n\
         TimeoutStartSec={starts}\n\
         # Without its own address, the core's routes would have no source.\n\
         ExecStartPre=-/usr/lib/systemd/systemd-networkd-wait-online --interface={OWN} --timeout={comes}\n\
         # It has started when its daemons have their configuration, whatever became of the first try.\n\
         ExecStartPost=/usr/bin/vtysh -b\n",
        header("#")
    )
}

/// In words that FRR tells again as they are, so that what it runs with can be compared.
fn config(plan: &NodePlan<'_, '_>, layout: &Layout<'_>, key: &SecretRef) -> String {
    let patience = u32::from(plan.spec.host().patience.get());
    let sign = SIGN_OF_LIFE * patience;
    let hello = (HELLO * patience).min(MOST_HELLO);
    let own = layout.own;
    let core = plan.spec.core();
    let mut text = header("!");
    let _ = writeln!(text, "frr defaults traditional\nhostname {}\nlog syslog informational", plan.node.name);
    text.push_str("service integrated-vtysh-config\n!\n");
    // Only nodes' own addresses, each with this node's own as its source.
    let _ = writeln!(text, "ip prefix-list core seq 5 permit {} ge 32\n!", core.own());
    let _ = writeln!(text, "route-map core permit 10\n match ip address prefix-list core\n set src {own}\nexit\n!");
    text.push_str("route-map core deny 20\nexit\n!\nip protocol ospf route-map core\n!\n");
    let _ = writeln!(text, "interface {OWN}\n ip ospf area 0\n ip ospf passive\nexit\n!");
    let mut links: Vec<&str> = layout.links().map(|(_, link)| link.device.as_str()).collect();
    links.sort_unstable();
    for device in links {
        let _ = writeln!(
            text,
            "interface {device}\n ip ospf area 0\n ip ospf authentication message-digest\n ip ospf bfd\n ip ospf bfd profile core"
        );
        let _ = writeln!(text, " ip ospf dead-interval {}", hello * 4);
        if hello != USUAL_HELLO {
            let _ = writeln!(text, " ip ospf hello-interval {hello}");
        }
        let _ = writeln!(text, "{BEFORE_KEY}{key}");
        text.push_str(" ip ospf network point-to-multipoint\nexit\n!\n");
    }
    // The faster a link, the lower its cost, by itself: 100 Gbit/s costs 1.
    let _ = writeln!(text, "router ospf\n ospf router-id {own}\n log-adjacency-changes");
    // A node that goes loses its links one after the other, and each of the others tells of each. OSPF's usual 5 s
    // between two tellings would let them believe that long that the way to it is through each other; as long as that,
    // a telling is on its way that came too soon after another and is not taken.
    text.push_str(" timers throttle spf 0 50 500\n timers throttle lsa all 50\n timers lsa min-arrival 0\nexit\n!\n");
    text.push_str("bfd\n profile core\n");
    if sign != USUAL_SIGN {
        let _ = writeln!(text, "  transmit-interval {sign}\n  receive-interval {sign}");
    }
    text.push_str(" exit\n !\nexit\n!\n");
    text
}

/// Lines of one that the other doesn't have, either way, as in a difference of texts. The order of sections is each
/// release's own, and in front of the first FRR says more of itself than its file does.
fn differences(config: &str, running: &[String]) -> Vec<String> {
    let asked = by_section(config.lines());
    let runs = by_section(running.iter().map(String::as_str));
    let said = |sign: char| {
        move |(section, line): &(String, String)| {
            if section == line { format!("{sign} {line}") } else { format!("{sign} {section}: {line}") }
        }
    };
    asked.difference(&runs).map(said('-')).chain(runs.difference(&asked).map(said('+'))).collect()
}

/// Lines that are about something, each with the line that its section begins with.
fn by_section<'l>(lines: impl Iterator<Item = &'l str>) -> BTreeSet<(String, String)> {
    let general = ["frr ", "hostname ", "log ", "service ", "no ipv6 forwarding", "no ip forwarding", "domainname "];
    let (mut found, mut section) = (BTreeSet::new(), String::new());
    for line in lines {
        let words = line.trim();
        if ["exit", "end", ""].contains(&words) || words.starts_with('!') {
            continue;
        }
        if !line.starts_with(' ') {
            words.clone_into(&mut section);
            if general.iter().any(|word| words.starts_with(word)) {
                continue;
            }
        }
        found.insert((section.clone(), words.to_owned()));
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_one_of_several_interfaces_lost_is_seen() {
        let config =
            "hostname node1\n!\ninterface core1\n ip ospf area 0\nexit\n!\ninterface core2\n ip ospf area 0\nexit\n";
        let running =
            ["frr version 10.3", "interface core2", "exit", "interface core1", " ip ospf area 0", "exit", "end"];
        let running = running.map(str::to_owned);
        assert_eq!(differences(config, &running), ["- interface core2: ip ospf area 0"]);
        let more = [running.as_slice(), &[" ip ospf area 0".to_owned()]].concat();
        assert_eq!(differences(config, &more), ["- interface core2: ip ospf area 0"]);
    }
}
