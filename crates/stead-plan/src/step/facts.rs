//! What steps rest on: short canonical texts about a node, and whether they still hold.

use std::fmt;

use super::{About, Fact, StepId};
use crate::disks::Disk;
use crate::inventory::{
    Activity, Clock, Enablement, FileState, Inventory, Known, NodeInventory, Observation, Package, PackageState, Unit,
    sha256,
};
use crate::network::facts::{Bridge, Nic};
use crate::plan::Plan;
use crate::volumes;

/// From how many milliseconds on a clock is called wrong, beside what the measurement may be off: TLS and corosync bear
/// seconds, and a round trip over a bad line is known to about one.
pub(crate) const CLOCK_TOLERANCE: i64 = 2_000;

impl About {
    /// What this is on a node: a short text that is the same whenever the thing is the same. Unknown where it couldn't
    /// be observed or wasn't asked for.
    pub fn of(&self, node: &NodeInventory) -> Known<String> {
        match self {
            Self::Stamp => text(&node.stamp, |stamp| match stamp {
                Some(stamp) => format!("{} of {}", stamp.node, stamp.cluster),
                None => "none".to_owned(),
            }),
            Self::Hostname => node.hostname.clone(),
            Self::Timezone => node.timezone.clone(),
            Self::Clock => Known::Is(clock(&node.clock)),
            Self::File(path) => node.files.get(path).map_or_else(not_asked, |state| text(state, file)),
            Self::Package(name) => text(&node.packages, |packages| package(packages.get(name)).to_owned()),
            Self::Unit(name) => match node.units.as_result() {
                Ok(units) => units.get(name).map_or_else(not_asked, |of| Known::Is(unit(of))),
                Err(why) => Known::Unknown(why.to_owned()),
            },
            Self::User(name) => text(&node.users, |users| match users.get(name) {
                Some(user) => {
                    let groups: Vec<_> = user.groups.iter().map(String::as_str).collect();
                    format!("uid {}, groups {}", user.uid, groups.join(" "))
                }
                None => "absent".to_owned(),
            }),
            Self::Sysctl(key) => node.sysctl.get(key).map_or_else(not_asked, |value| {
                text(value, |value| value.as_deref().map_or_else(|| "no such setting".to_owned(), words))
            }),
            Self::Swap(path) => text(&node.swaps, |swaps| match swaps.iter().find(|swap| swap.path == *path) {
                Some(swap) => format!("{}, {}", swap.size, if swap.encrypted { "encrypted" } else { "in clear" }),
                None => "none".to_owned(),
            }),
            Self::Device(name) => {
                text(&node.nics, |nics| nics.iter().find(|nic| nic.name == *name).map_or("absent".to_owned(), device))
            }
            Self::Bridge(name) => text(&node.ovs, |ovs| {
                let bridge = ovs.as_ref().and_then(|ovs| ovs.bridges.get(name));
                bridge.map_or_else(|| "absent".to_owned(), |bridge| summed(bridge, settings))
            }),
            Self::Routing => text(&node.routing, |routing| match routing {
                Some(routing) => summed(&routing.running, |lines| lines.join("\n")),
                None => "none".to_owned(),
            }),
            Self::Firewall => text(&node.firewall, |table| match table {
                Some(table) => summed(table, Clone::clone),
                None => "none".to_owned(),
            }),
            Self::Disk(id) => text(&node.disks, |disks| {
                disks.iter().find(|disk| disk.is(id)).map_or_else(|| "absent".to_owned(), disk)
            }),
            Self::Tang => text(&node.tang, |tang| {
                let tang = tang.clone().unwrap_or_default();
                let names = tang.advertised.keys().chain(&tang.hidden).map(String::as_str);
                names.collect::<Vec<_>>().join(" ")
            }),
            Self::Pool(name) => text(&node.pools, |pools| match pools.get(name) {
                Some(pool) => {
                    let volumes: Vec<_> = pool.volumes.keys().map(String::as_str).collect();
                    format!("{}, volumes {}", pool.size, volumes.join(" "))
                }
                None => "absent".to_owned(),
            }),
            Self::Header(name) => text(&node.headers, |headers| match headers.get(name) {
                Some(state) => format!("state {} of {}", state.epoch, state.uuid),
                None => "absent".to_owned(),
            }),
            Self::Peers => node.storage.peers(),
            Self::PeersWritten => Known::Is(summed(&node.storage.written, |written| format!("{written:?}"))),
            Self::Volume(name) => node.storage.volume(name),
            Self::Brick(path) => node.storage.brick(path).map_or_else(
                |why| Known::Unknown(why.to_owned()),
                |brick| Known::Is(brick.map_or_else(|| "absent".to_owned(), volumes::Brick::told)),
            ),
            Self::VirtualNetwork(name) => text(&node.hypervisor.networks, |networks| {
                let network = networks.get(name);
                network.map_or_else(|| "absent".to_owned(), |network| summed(network, |network| format!("{network:?}")))
            }),
            Self::Watchdogs => text(&node.watchdogs, |watchdogs| {
                watchdogs.iter().map(|watchdog| watchdog.identity.as_str()).collect::<Vec<_>>().join(", ")
            }),
            Self::Membership => text(&node.hypervisor.membership, |now| match now {
                Some(now) => summed(&now.properties, |properties| format!("{properties:?}")),
                None => "none".to_owned(),
            }),
            Self::Machine(name) => text(&node.hypervisor.membership, |now| {
                now.as_ref().map_or_else(|| "none".to_owned(), |now| summed(&now.of(name), |of| format!("{of:?}")))
            }),
            Self::MachineOrder => text(&node.hypervisor.membership, |now| {
                now.as_ref().map_or_else(|| "none".to_owned(), |now| summed(&now.order(), |of| format!("{of:?}")))
            }),
            Self::DiskFile(path) => node.hypervisor.disks.get(path).map_or_else(not_asked, |disk| {
                text(disk, |disk| match disk {
                    Some(disk) => format!("{}, {}", disk.size, disk.format),
                    None => "absent".to_owned(),
                })
            }),
        }
    }
}

/// Which disk it is, and what is on it: a header by its number of changes, all else by the token of what is there.
fn disk(disk: &Disk) -> String {
    let holds = match &disk.luks {
        Some(Known::Is(luks)) => format!("LUKS header {} of {}", luks.state.epoch, luks.state.uuid),
        Some(Known::Unknown(why)) => why.clone(),
        None => disk.wipe_token().map_or_else(|why| why, |token| format!("content {token}")),
    };
    let opened = disk.opened().map_or_else(|| "closed".to_owned(), |opened| format!("open as {}", opened.name));
    format!("{}; {holds}; {opened}", disk.identity())
}

/// Something too long to be told, by its sum.
fn summed<T>(what: &T, of: impl Fn(&T) -> String) -> String {
    sha256(of(what)).to_string()
}

/// What was set, without how its ports do.
fn settings(bridge: &Bridge) -> String {
    let mut bridge = bridge.clone();
    for interface in bridge.ports.values_mut().flat_map(|port| port.interfaces.values_mut()) {
        (interface.error, interface.link_state) = (None, None);
    }
    format!("{bridge:?}")
}

/// Without its carrier, which comes and goes.
fn device(nic: &Nic) -> String {
    let vlan = nic.vlan.as_ref().map(|vlan| format!(", VLAN {} on {}", vlan.id, vlan.on)).unwrap_or_default();
    let addresses: Vec<String> = nic.addresses.iter().map(ToString::to_string).collect();
    format!("{}, MTU {}{vlan}, {}", if nic.up { "on" } else { "off" }, nic.mtu, addresses.join(" "))
}

fn text<T>(known: &Known<T>, of: impl FnOnce(&T) -> String) -> Known<String> {
    match known {
        Known::Is(value) => Known::Is(of(value)),
        Known::Unknown(why) => Known::Unknown(why.clone()),
    }
}

fn not_asked() -> Known<String> {
    Known::Unknown("the node was not asked".to_owned())
}

/// The value with single spaces: the kernel prints tabs where people write spaces.
pub(crate) fn words(value: &str) -> String {
    value.split_whitespace().collect::<Vec<_>>().join(" ")
}

/// By how much, to the unit: a clock that is off by eleven years is a second more or less at the next look.
fn clock(clock: &Clock) -> String {
    let off = clock.ahead.saturating_abs();
    if off <= CLOCK_TOLERANCE.saturating_add(clock.uncertainty) {
        return "right".to_owned();
    }
    let by = match off / 1_000 {
        86_400.. => "days",
        3_600.. => "hours",
        60.. => "minutes",
        _ => "seconds",
    };
    format!("{} by {by}", if clock.ahead > 0 { "ahead" } else { "behind" })
}

fn file(state: &FileState) -> String {
    match state {
        FileState::Absent => "absent".to_owned(),
        FileState::File(file) => format!("file {} {} {}", file.mode, file.owner, file.sha256),
        FileState::Link(target) => format!("link to {target}"),
        FileState::Folder { mode, owner } => format!("folder {mode} {owner}"),
        FileState::Other => "neither file nor folder".to_owned(),
    }
}

/// Without its version, which an update may change between a look and an apply.
fn package(package: Option<&Package>) -> &'static str {
    match package.map(|package| package.state) {
        Some(PackageState::Installed) => "installed",
        Some(PackageState::Broken) => "half installed",
        Some(PackageState::Removed) | None => "absent",
    }
}

pub(crate) fn unit(unit: &Unit) -> String {
    let enablement = match unit.enablement {
        Enablement::Absent => return "absent".to_owned(),
        Enablement::Enabled => "enabled",
        Enablement::Disabled => "disabled",
        Enablement::Masked => "masked",
        Enablement::Other => "started by others",
    };
    let activity = match unit.activity {
        Activity::Active => "running",
        Activity::Inactive => "not running",
        Activity::Failed => "failed",
        Activity::Changing => "starting or stopping",
    };
    format!("{enablement}, {activity}")
}

impl fmt::Display for About {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Stamp => f.write_str("whose node it is"),
            Self::Hostname => f.write_str("the hostname"),
            Self::Timezone => f.write_str("the time zone"),
            Self::Clock => f.write_str("the clock"),
            Self::File(path) => write!(f, "{path}"),
            Self::Package(name) => write!(f, "the package {name}"),
            Self::Unit(name) => write!(f, "the unit {name}"),
            Self::User(name) => write!(f, "the account {name}"),
            Self::Sysctl(key) => write!(f, "the kernel's {key}"),
            Self::Swap(path) => write!(f, "swap in {path}"),
            Self::Device(name) => write!(f, "the device {name}"),
            Self::Bridge(name) => write!(f, "the bridge {name}"),
            Self::Routing => f.write_str("FRR's configuration"),
            Self::Firewall => f.write_str("stead's table of nftables"),
            Self::Disk(id) => write!(f, "the disk {id}"),
            Self::Tang => f.write_str("the keys of its tang"),
            Self::Pool(name) => write!(f, "the volume group {name}"),
            Self::Header(name) => write!(f, "the header {name}"),
            Self::Peers => f.write_str("whom its storage daemon knows"),
            Self::PeersWritten => f.write_str("whom its storage daemon has written down"),
            Self::Volume(name) => write!(f, "the volume {name}"),
            Self::Brick(path) => write!(f, "the brick {path}"),
            Self::VirtualNetwork(name) => write!(f, "the network {name} of libvirt's"),
            Self::Watchdogs => f.write_str("its watchdogs"),
            Self::Membership => f.write_str("what pacemaker has set"),
            Self::Machine(name) => write!(f, "the machine {name}"),
            Self::MachineOrder => f.write_str("the order of machines"),
            Self::DiskFile(path) => path.fmt(f),
        }
    }
}

impl Fact {
    /// Whether it is still so.
    pub fn holds(&self, node: &NodeInventory) -> Known<bool> {
        self.about.of(node).map(|now| now == self.was)
    }
}

/// The facts of a plan's steps that don't hold any more, each with its step and what is there now: if there is one, the
/// plan has been overtaken. What can't be told any more doesn't hold.
pub fn overtaken(plan: &Plan, inventory: &Inventory) -> Vec<(StepId, Fact, String)> {
    let mut gone = Vec::new();
    for step in &plan.steps {
        let node = inventory.nodes.get(&step.id.node);
        for fact in &step.basis {
            let now = match node {
                Some(Observation::Seen(node)) => fact.about.of(node),
                Some(Observation::Silent(why)) => Known::Unknown(why.clone()),
                None => not_asked(),
            };
            match now {
                Known::Is(now) if now == fact.was => {}
                Known::Is(now) => gone.push((step.id.clone(), fact.clone(), now)),
                Known::Unknown(why) => {
                    gone.push((step.id.clone(), fact.clone(), format!("can't be told any more: {why}")));
                }
            }
        }
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_clock_that_is_as_wrong_as_before_reads_the_same() {
        let at = |ahead| clock(&Clock { ahead, uncertainty: 100, synchronised: Known::Is(false) });
        for (ahead, text) in [
            (0, "right"),
            (-2_100, "right"),
            (2_101, "ahead by seconds"),
            (-61_000, "behind by minutes"),
            (7_200_000, "ahead by hours"),
            (-375_285_780_000, "behind by days"),
            (i64::MIN, "behind by days"),
        ] {
            assert_eq!(at(ahead), text);
        }
        assert_eq!(at(-375_285_780_000), at(-375_285_790_123));
    }

    #[test]
    fn settings_are_compared_word_by_word() {
        assert_eq!(words(" 4096\t87380  6291456\n"), "4096 87380 6291456");
    }
}
