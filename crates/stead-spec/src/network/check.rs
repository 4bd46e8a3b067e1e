use super::table::NetworkTable;
use super::{
    CORE, Segments, all_claims, carried_mtu, core_table, network_mtu, pool_part, switch_mtu, switch_number, tags,
};
use crate::check::{Claim, Findings, claimed_once, key, listed_once, one_of, refer, renames, useless};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::file::File;
use crate::host::{no_number, renumbered};
use crate::read::{At, List};
use crate::units::{Mac, NetworkName, Number, Subnet, SwitchName};

pub(crate) fn check(file: &File, out: &mut Findings) {
    switches(file, out);
    nics(file, out);
    for (name, table) in file.network.entries() {
        if name.value.as_ref() == CORE {
            core(file, name, &table.value, out);
        } else {
            other(file, name, &table.value, out);
        }
        carried(file, name, &table.value, out);
    }
    same_switches(file, out);
    if file.network.get().is_some() && core_table(file).is_none() {
        no_core(file, out);
    }
    tags::check(file, out);
    subnets(file, out);
    ways_in(file, out);
    renames("network", &file.network, |table| &table.was, out);
    renames("switch", &file.switch, |table| &table.was, out);
}

fn no_core(file: &File, out: &mut Findings) {
    let Some(networks) = file.network.get().filter(|networks| networks.value.whole) else { return };
    let remedy = "add `[network.core]` with `switches`, a `vlan` that is free on them, and `pool = \"10.10.0.0/22\"`";
    let reason = "storage and heartbeats have no network of their own";
    out.push(Diagnostic::new(Code::MissingKey, &networks.span, "the file has no network `core`", reason, remedy));
}

fn switches(file: &File, out: &mut Findings) {
    let mut claims = Vec::new();
    for (name, table) in file.switch.entries() {
        let said = table.value.number.get().map_or(&name.span, |number| &number.span);
        if let Some(changes) = renumbered("switch", name, &table.value.number, &table.value.was) {
            out.push(changes);
        } else if let Some(number) = switch_number(&name.value, &table.value) {
            claims.push(Claim::new(number, said, format!("switch `{}`", name.value)));
        } else if table.value.number.is_missing() {
            out.push(no_number("switch", name));
        }
        listed_once(&table.value.linked_to, out);
        for other in table.value.linked_to.items() {
            if other.value == name.value {
                let message = format!("switch `{}` is linked to itself", name.value);
                let reason = "a cable from a switch to itself is a loop";
                out.push(Diagnostic::new(Code::ListedTwice, &other.span, message, reason, "take it out"));
            } else {
                refer(other, "switch", &file.switch, out);
            }
        }
    }
    claimed_once(claims, Code::NumberTwice, "the number", "write another one as `number = …`", out);
}

fn nics(file: &File, out: &mut Findings) {
    for (_, node) in file.node.entries() {
        for (switch, _) in node.value.nics.entries() {
            refer(switch, "switch", &file.switch, out);
        }
    }
    let of_nodes = file.node.entries().flat_map(|(name, node)| {
        let claim = move |(switch, mac): (&At<SwitchName>, &At<Mac>)| {
            Claim::new(mac.value, &mac.span, format!("the NIC of `{}` on `{}`", name.value, switch.value))
        };
        node.value.nics.entries().map(claim)
    });
    let claims: Vec<_> = of_nodes.chain(crate::machines::macs(file)).chain(crate::router::macs(file)).collect();
    let remedy = "no two cards have the same: `ip -brief link` on a node shows its own";
    claimed_once(claims, Code::MacTwice, "the MAC address", remedy, out);
}

/// What only the core has, and what it doesn't.
fn core(file: &File, name: &At<NetworkName>, table: &NetworkTable, out: &mut Findings) {
    let why = "the core's addresses come from its `pool`";
    useless(&table.subnet, "subnet", why, "take it out", out);
    useless(&table.addresses, "addresses", why, "take it out: a node's address there follows from its number", out);
    useless(&table.gateway, "gateway", "nothing leads out of the core", "take it out", out);
    useless(&table.dns, "dns", "nobody answers names in the core", "take it out", out);
    useless(&table.over, "over", "the core goes over switches", "name its `switches`", out);
    useless(&table.was, "was", "the core has had no other name", "take it out", out);
    let missing = |key: &str, remedy: &str| {
        let message = format!("`network.core` has no `{key}`");
        Diagnostic::new(Code::MissingKey, &name.span, message, format!("`{key}` has to be in here"), remedy)
    };
    if table.switches.is_missing() {
        out.push(missing("switches", "name each switch that it may go over: all of them, best"));
    }
    if table.pool.is_missing() {
        out.push(missing("pool", "add `pool = \"10.10.0.0/22\"`, or other addresses that nothing else uses"));
    }
    let Some(pool) = table.pool.get() else { return };
    for switch in table.switches.items() {
        let Some((_, switch_table)) = file.switch.find(&switch.value) else { continue };
        let Some(number) = switch_number(&switch.value, &switch_table.value) else { continue };
        if pool_part(pool.value, number).is_none() {
            let message = format!("the pool {} has no room for switch `{}`", pool.value, switch.value);
            let reason = "256 addresses are the nodes' own, and 256 each switch's";
            // From 0 to the switch's number, rounded up to what a prefix can say.
            let parts = (u32::from(number.get()) + 1).next_power_of_two();
            let remedy = room(pool.value, 24 - parts.trailing_zeros(), number);
            let small = Diagnostic::new(Code::PoolTooSmall, &pool.span, message, reason, remedy);
            out.push(small.and(&switch.span, format!("number {number}")));
        }
    }
}

/// How a pool of this prefix is written, and what it means for the addresses that are in use.
fn room(pool: Subnet, prefix: u32, number: Number) -> String {
    let wide = u8::try_from(prefix).ok().and_then(|prefix| ipnet::Ipv4Net::new(pool.net().network(), prefix).ok());
    match wide.map(|wide| wide.trunc()) {
        Some(wide) if wide.network() == pool.net().network() => {
            format!(
                "write `pool = \"{wide}\"`: the addresses in use stay; or give the switch a smaller `number` than {number}"
            )
        }
        _ => format!(
            "a pool that begins at a multiple of its size, such as 10.10.0.0/{prefix}, has room; or give the switch a \
             smaller `number` than {number}"
        ),
    }
}

fn other(file: &File, name: &At<NetworkName>, table: &NetworkTable, out: &mut Findings) {
    let whose = format!("network `{}`", name.value);
    one_of(&name.span, &whose, &[key("switches", &table.switches), key("over", &table.over)], out);
    useless(&table.pool, "pool", "only the core has a pool", "write `subnet`", out);
    if table.over.value().is_some() && table.vlan.is_missing() {
        let message = format!("`network.{}` has no `vlan`", name.value);
        let remedy = "add `vlan = 20`, or another that no other network over the core has";
        let reason = "it tells it from the other networks over the core";
        out.push(Diagnostic::new(Code::MissingKey, &name.span, message, reason, remedy));
    }
    listed_once(&table.dns, out);
    for (node, _) in table.addresses.entries() {
        refer(node, "node", &file.node, out);
    }
    let needs_subnet = table.addresses.get().map(|at| (&at.span, "addresses"));
    let needs_subnet = needs_subnet.or_else(|| table.gateway.get().map(|at| (&at.span, "gateway")));
    if let (Some((span, what)), true) = (needs_subnet, table.subnet.is_missing()) {
        let message = format!("`network.{}` has no `subnet`", name.value);
        let reason = format!("`{what}` needs a `subnet` to be in");
        out.push(Diagnostic::new(Code::MissingKey, span, message, reason, "add `subnet = \"192.168.0.0/24\"`"));
    }
}

/// Switches that are there, where each node has a NIC, that pass its packets, and that are one network.
fn carried(file: &File, name: &At<NetworkName>, table: &NetworkTable, out: &mut Findings) {
    listed_once(&table.switches, out);
    let is_core = name.value.as_ref() == CORE;
    if let Some(list) = table.switches.get().filter(|list| list.value.items.is_empty() && list.value.whole) {
        let message = format!("network `{}` is on no switch", name.value);
        out.push(Diagnostic::new(Code::NoNic, &list.span, message, "an empty list", "name a switch"));
    }
    let known: Vec<_> =
        table.switches.items().filter(|switch| refer(switch, "switch", &file.switch, out)).cloned().collect();
    reached(file, name, table, &known, out);
    if let (false, [first, rest @ ..]) = (is_core, known.as_slice()) {
        let segments = Segments::of(file);
        let apart = |switch: &&At<SwitchName>| segments.segment(&switch.value) != segments.segment(&first.value);
        if let Some(switch) = rest.iter().find(apart) {
            let message = format!("nothing links `{}` with `{}`", first.value, switch.value);
            let reason = "a machine here and one there would not meet";
            let remedy = format!(
                "`over = \"core\"` instead of `switches` reaches every node whatever switch dies; if a cable links the \
                 two, say so: `linked_to = [\"{}\"]` in `[switch.{}]`",
                first.value, switch.value
            );
            let unlinked = Diagnostic::new(Code::SwitchesNotLinked, &switch.span, message, reason, remedy);
            out.push(unlinked.and(&first.span, "not linked with this one"));
        }
    }
    let said = table.mtu.get();
    if let (Some(said), Some(most)) = (said, carried_mtu(file, table)) {
        if said.value > most {
            too_long(file, name, table, said.value.get(), most.get(), &said.span, out);
        }
    } else if let (None, Some(over), None) = (said, table.over.get(), carried_mtu(file, table)) {
        // Even IPv6's least doesn't fit: said at the core, unless that is broken.
        let core = core_table(file);
        if core.is_some_and(|(name, core)| network_mtu(file, &name.value, &core.value).is_some()) {
            let message = format!("the core's packets are too small to carry `{}`", name.value);
            let remedy = "give `[network.core]` an `mtu` of 1500 or more";
            out.push(Diagnostic::new(Code::MtuTooLarge, &over.span, message, "50 bytes go in front of each", remedy));
        }
    }
}

fn too_long(
    file: &File,
    name: &At<NetworkName>,
    table: &NetworkTable,
    said: u16,
    most: u16,
    span: &Span,
    out: &mut Findings,
) {
    let message = format!("packets of {said} bytes don't fit what carries network `{}`", name.value);
    if table.over.value().is_some() {
        let reason = format!("the core carries at most {most}: 50 bytes go in front of each");
        let remedy = format!("write {most} or less, or give the core more");
        out.push(Diagnostic::new(Code::MtuTooLarge, span, message, reason, remedy));
        return;
    }
    let small = table.switches.items().find_map(|switch| {
        let (key, table) = file.switch.find(&switch.value)?;
        (switch_mtu(&table.value)?.get() == most).then_some((key, table))
    });
    let Some((key, switch)) = small else { return };
    let reason = format!("switch `{}` passes at most {most}", key.value);
    let remedy =
        format!("write {most} or less; if the switch passes more, say so in `[switch.{}]`: `mtu = {said}`", key.value);
    let place = switch.value.mtu.get().map_or(&key.span, |mtu| &mtu.span);
    out.push(
        Diagnostic::new(Code::MtuTooLarge, span, message, reason, remedy).and(place, "the smallest of its switches"),
    );
}

/// Networks that share a switch are on the same ones, in the same order: a NIC is one network's way, or one of several
/// ways that are used as one.
fn same_switches(file: &File, out: &mut Findings) {
    let segments = Segments::of(file);
    let others = file.network.entries().filter(|(name, _)| name.value.as_ref() != CORE);
    let others: Vec<_> = others.filter_map(|(name, table)| Some((name, table.value.switches.get()?))).collect();
    let names = |list: &At<List<SwitchName>>| list.value.items.iter().map(|at| at.value.clone()).collect::<Vec<_>>();
    for (index, (name, list)) in others.iter().enumerate() {
        let own = names(list);
        // Switches that aren't linked have been told.
        if list.value.items.windows(2).any(|pair| segments.segment(&pair[0].value) != segments.segment(&pair[1].value))
        {
            continue;
        }
        let differs = |other: &Vec<SwitchName>| *other != own && other.iter().any(|switch| own.contains(switch));
        let Some((first, first_list)) = others[..index].iter().find(|(_, other)| differs(&names(other))) else {
            continue;
        };
        let message = format!("`{}` and `{}` share a switch, and not all of them", first.value, name.value);
        let reason = "a NIC belongs to one group of switches";
        let remedy = "name the same switches, in the same order, for both; or other ones";
        let differ = Diagnostic::new(Code::SwitchesDiffer, &list.span, message, reason, remedy);
        out.push(differ.and(&first_list.span, "the other"));
    }
}

/// Each node has a NIC on each of the network's switches: a machine may come to run on any of them. An arbiter runs
/// none, and has to be where it has an address, and on one of the core's switches.
fn reached(file: &File, name: &At<NetworkName>, table: &NetworkTable, switches: &[At<SwitchName>], out: &mut Findings) {
    let (is_core, addresses) = (name.value.as_ref() == CORE, &table.addresses);
    for (node_name, node) in file.node.entries() {
        let nics = &node.value.nics;
        let Some(arbiter) = node.value.arbiter.or(false) else { continue };
        if !nics.is_whole() || nics.is_missing() {
            continue;
        }
        let lacking = switches.iter().filter(|switch| nics.find(&switch.value).is_none());
        let mut lacking: Vec<_> = lacking.collect();
        if arbiter && is_core {
            // One of them is enough.
            lacking.truncate(usize::from(lacking.len() == switches.len()));
        } else if arbiter && addresses.find(&node_name.value).is_none() {
            continue;
        }
        for switch in lacking {
            let message = format!("node `{}` has no NIC on `{}`", node_name.value, switch.value);
            let reason = format!("`{}` wouldn't reach `{}`", name.value, node_name.value);
            let remedy = format!("add `{}` to the `nics` of `{}`, or take it out here", switch.value, node_name.value);
            let lacks = Diagnostic::new(Code::NoNic, &switch.span, message, reason, remedy);
            out.push(lacks.and(&nics.get().map_or(node_name.span.clone(), |at| at.span.clone()), "its NICs"));
        }
    }
}

/// The addresses of each network are its own.
fn subnets(file: &File, out: &mut Findings) {
    let mut seen: Vec<(&At<NetworkName>, &At<Subnet>)> = Vec::new();
    for (name, table) in file.network.entries() {
        let (subnet, pool) = (table.value.subnet.get(), table.value.pool.get());
        for subnet in subnet.into_iter().chain(pool) {
            if let Some((other, first)) = seen.iter().find(|(_, first)| first.value.overlaps(&subnet.value)) {
                let message =
                    format!("{} of `{}` and {} of `{}` overlap", subnet.value, name.value, first.value, other.value);
                let remedy = "give one of them addresses that nothing else has";
                let overlap = Diagnostic::new(Code::SubnetsOverlap, &subnet.span, message, "in both networks", remedy);
                out.push(overlap.and(&first.span, "the other"));
            }
            seen.push((name, subnet));
        }
    }
}

/// Each node with one default route at most, and with an address at which people reach it.
fn ways_in(file: &File, out: &mut Findings) {
    for (node, _) in file.node.entries() {
        let at = file.network.entries().filter_map(|(name, network)| {
            network.value.addresses.find(&node.value).map(|(_, address)| (name, network, address))
        });
        let at: Vec<_> = at.collect();
        let routes: Vec<_> = at
            .iter()
            .filter_map(|(name, network, _)| network.value.gateway.get().map(|gateway| (name, gateway)))
            .collect();
        if let [(first, first_gateway), (second, gateway), ..] = routes.as_slice() {
            let message = format!("`{}` and `{}` both give nodes a default route", first.value, second.value);
            let remedy = "take the nodes' addresses out of one of them";
            let two = Diagnostic::new(Code::TwoGateways, &gateway.span, message, "packets would go either way", remedy);
            out.push(two.and(&first_gateway.span, "the other"));
        }
        let broken = file.network.entries().any(|(_, network)| !network.value.addresses.is_whole());
        if at.is_empty() && file.network.get().is_some() && file.network.is_whole() && !broken {
            let message = format!("no network gives node `{}` an address", node.value);
            let reason = "only the other nodes would reach it";
            let remedy = format!(
                "add it to the `addresses` of a network: `addresses = {{ {} = \"192.168.0.50\" }}`",
                node.value
            );
            out.push(Diagnostic::new(Code::NoWayIn, &node.span, message, reason, remedy));
        } else if !at.is_empty() && at.iter().all(|(_, network, _)| network.value.over.get().is_some()) {
            let message = format!("node `{}` has addresses in networks over the core only", node.value);
            let reason = "only nodes and machines would reach it";
            let remedy = "give it an address in a network that is on a switch";
            out.push(Diagnostic::new(Code::NoWayIn, &node.span, message, reason, remedy));
        }
    }
}

/// An address that something has on a network.
pub(crate) struct OnNetwork {
    pub(crate) network: NetworkName,
    pub(crate) claim: Claim<crate::units::Address>,
}

/// The addresses that networks give: their gateways and their nodes.
pub(crate) fn claims(file: &File) -> Vec<OnNetwork> {
    let mut claims = Vec::new();
    for (name, table) in file.network.entries() {
        let network = || name.value.clone();
        if let Some(gateway) = table.value.gateway.get() {
            let who = format!("the gateway of `{}`", name.value);
            claims.push(OnNetwork { network: network(), claim: Claim::new(gateway.value, &gateway.span, who) });
        }
        for (node, address) in table.value.addresses.entries() {
            let who = format!("node `{}`", node.value);
            claims.push(OnNetwork { network: network(), claim: Claim::new(address.value, &address.span, who) });
        }
    }
    claims
}

/// Each address inside its network, and each once.
pub(crate) fn addresses(file: &File, out: &mut Findings) {
    let all: Vec<_> = all_claims(file).collect();
    for OnNetwork { network, claim } in &all {
        let Some((_, table)) = file.network.find(network) else { continue };
        let Some(subnet) = table.value.subnet.get() else { continue };
        if !subnet.value.is_host(claim.value.get()) {
            let message = format!("{} of {} is not in network `{network}`", claim.value, claim.who);
            let reason = if subnet.value.contains(claim.value.get()) {
                "the first and the last address of a network are nobody's".to_owned()
            } else {
                format!("outside of {}", subnet.value)
            };
            let remedy = format!("write an address between the first and the last of {}", subnet.value);
            let outside = Diagnostic::new(Code::AddressOutside, &claim.span, message, reason, remedy);
            out.push(outside.and(&subnet.span, format!("the addresses of `{network}`")));
        }
    }
    let remedy = "give one of them another address";
    claimed_once(all.into_iter().map(|on| on.claim), Code::AddressTwice, "the address", remedy, out);
}
