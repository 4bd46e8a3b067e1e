use super::table::{
    DhcpTable, Engine, ForwardTable, Protocol, RoutedTable, RouterTable, RuleTable, WanAddress, WanTable,
};
use super::{End, fixed_address, fixed_network};
use crate::check::{Claim, Findings, claimed_once, listed_once, refer, useless};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::file::File;
use crate::network::CORE;
use crate::read::{At, Field, List, nearest};
use crate::units::{Address, HostName, Interface, NetworkName, RuleName};
use crate::volumes::Kind;

/// A pair has two members.
const PAIR: usize = 2;

pub(crate) fn check(file: &File, out: &mut Findings) {
    let Some(router) = file.router.get() else { return };
    let table = &router.value;
    engine(file, router, out);
    wan(file, table, out);
    for (name, routed) in table.networks.entries() {
        network(file, table, name, routed, out);
    }
    if let Some(none) =
        table.networks.get().filter(|networks| networks.value.entries.is_empty() && networks.value.whole)
    {
        let remedy = "name the networks behind it: `networks = { lan = {} }`";
        out.push(Diagnostic::new(Code::MissingKey, &none.span, "a router for no network", "an empty table", remedy));
    }
    if let Some(dns) = table.dns.value() {
        listed_once(&dns.upstream, out);
    }
    for (_, host) in table.host.entries() {
        if let Some(network) = host.value.network.get()
            && refer(network, "network", &file.network, out)
        {
            routed(table, network, "a host", out);
        }
    }
    names(file, table, out);
    for (_, rule) in table.rule.entries() {
        self::rule(file, &rule.value, out);
    }
    forwards(file, table, out);
}

fn engine(file: &File, router: &At<RouterTable>, out: &mut Findings) {
    let table = &router.value;
    match table.engine.value() {
        Some(Engine::BuiltIn) => {
            let (why, remedy) = ("only OPNsense runs in machines", "take it out, or write `engine = \"opnsense\"`");
            useless(&table.image, "image", why, remedy, out);
            useless(&table.volume, "volume", why, remedy, out);
            useless(&table.memory, "memory", why, remedy, out);
            useless(&table.cpus, "cpus", why, remedy, out);
            useless(&table.sync, "sync", "the built-in router uses the core", remedy, out);
        }
        Some(Engine::Opnsense) => opnsense(file, router, out),
        None => {}
    }
}

fn opnsense(file: &File, router: &At<RouterTable>, out: &mut Findings) {
    let table = &router.value;
    let missing = |key: &str, reason: &str, remedy: &str| {
        Diagnostic::new(Code::MissingKey, &router.span, format!("`router` has no `{key}`"), reason, remedy)
    };
    match table.image.get() {
        Some(image) => drop(refer(image, "image", &file.image, out)),
        None if table.image.is_missing() => {
            let remedy = "add an `[image.opnsense]` with OPNsense's nano image, and `image = \"opnsense\"` here";
            out.push(missing("image", "OPNsense's machines start from one", remedy));
        }
        None => {}
    }
    match table.volume.get() {
        Some(volume) => {
            refer(volume, "volume", &file.volume, out);
            let local = file
                .volume
                .find(&volume.value)
                .is_some_and(|(_, table)| table.value.kind.value() == Some(&Kind::Local));
            if local {
                let message = format!("the router's disks on the local volume `{}`", volume.value);
                let reason = "it couldn't be started on another node";
                let remedy = "name a replicated volume";
                out.push(Diagnostic::new(Code::HaOnLocalDisk, &volume.span, message, reason, remedy));
            }
        }
        None if table.volume.is_missing() => {
            out.push(missing("volume", "OPNsense's machines have disks", "add `volume = \"gv0\"`, or another"));
        }
        None => {}
    }
    let pair = table.pair.or(true);
    match table.sync.get() {
        Some(sync) if pair == Some(false) => {
            let message = "`sync` means nothing for a single router";
            out.push(Diagnostic::new(Code::UselessKey, &sync.span, message, "there is no second one", "take it out"));
        }
        Some(sync) => {
            refer(sync, "network", &file.network, out);
            let also = table.networks.find(&sync.value).map(|(name, _)| name);
            let wan = table.wan.value().and_then(|wan| wan.network.get()).filter(|wan| wan.value == sync.value);
            if let Some(also) = also.or(wan) {
                let message = format!("the router's `sync` goes over `{}`, where others are", sync.value);
                let remedy = "give it a network of its own: `[network.sync]` with `over = \"core\"` and a `vlan`";
                let reason = "whoever is there could make up connections";
                out.push(
                    Diagnostic::new(Code::SyncShared, &sync.span, message, reason, remedy).and(&also.span, "the same"),
                );
            }
        }
        None if pair == Some(true) && table.sync.is_missing() => {
            let remedy = "add `[network.sync]` with `over = \"core\"` and a `vlan`, and `sync = \"sync\"` here";
            out.push(missing("sync", "a pair tells each other of connections", remedy));
        }
        None => {}
    }
    if let Some(memory) = table.memory.get().filter(|memory| memory.value < crate::Bytes::gib(3)) {
        let message = format!("OPNsense with {} of memory", memory.value);
        let reason = "it wants 3GiB at least";
        out.push(Diagnostic::new(Code::BadValue, &memory.span, message, reason, "write `memory = \"4GiB\"`"));
    }
}

fn wan(file: &File, router: &RouterTable, out: &mut Findings) {
    let Some(at) = router.wan.get() else { return };
    let table = &at.value;
    if let Some(network) = table.network.get()
        && refer(network, "network", &file.network, out)
    {
        internet_side(file, router, network, out);
    }
    let pair = router.pair.or(true);
    match table.address.or(WanAddress::Dhcp) {
        Some(WanAddress::Dhcp) => {
            let (why, remedy) = ("the provider gives all of that by DHCP", "take it out, or write your `address`");
            useless(&table.gateway, "gateway", why, remedy, out);
            useless(&table.members, "members", why, remedy, out);
        }
        Some(WanAddress::Is(address)) => fixed(file, at, address, pair, out),
        None => {}
    }
}

/// An address that the provider gave for good: with its router, and for a pair with one for each.
fn fixed(file: &File, at: &At<WanTable>, address: Interface, pair: Option<bool>, out: &mut Findings) {
    let table = &at.value;
    if table.gateway.is_missing() {
        let message = "`router.wan` has an address and no `gateway`";
        let reason = "nothing says who leads on to the internet";
        let remedy = "add `gateway = \"…\"`, the provider's router";
        out.push(Diagnostic::new(Code::MissingKey, &at.span, message, reason, remedy));
    }
    for inside in table.gateway.get().into_iter().chain(table.members.items()) {
        if !address.subnet().is_host(inside.value.get()) {
            let message = format!("{} is not in {}", inside.value, address.subnet());
            let remedy = "write the address and the prefix that the provider told you";
            let reason = "the router wouldn't reach it";
            out.push(Diagnostic::new(Code::AddressOutside, &inside.span, message, reason, remedy));
        }
    }
    outside_is_not_inside(file, table, address, out);
    let own = table.members.items().map(|at| Claim::new(at.value, &at.span, "a member of the router"));
    let shared = table.address.get().map(|at| Claim::new(address.address(), &at.span, "the router"));
    let gateway = table.gateway.get().map(|at| Claim::new(at.value, &at.span, "the provider's router"));
    let claims = own.chain(shared).chain(gateway);
    claimed_once(claims, Code::AddressTwice, "the address", "give one of them another address", out);
    members("router.wan", &at.span, pair, &table.members, out);
}

/// The provider's addresses are none of the networks' own: the router couldn't tell where packets go.
fn outside_is_not_inside(file: &File, wan: &WanTable, address: Interface, out: &mut Findings) {
    let Some(place) = wan.address.get() else { return };
    for (name, network) in file.network.entries() {
        let own = network.value.subnet.get().or(network.value.pool.get());
        let Some(own) = own.filter(|own| own.value.overlaps(&address.subnet())) else { continue };
        if wan.network.value() == Some(&name.value) {
            continue;
        }
        let message =
            format!("{} on the internet side and {} of `{}` overlap", address.subnet(), own.value, name.value);
        let remedy = format!("give `{}` other addresses", name.value);
        let overlap =
            Diagnostic::new(Code::SubnetsOverlap, &place.span, message, "on both sides of the router", remedy);
        out.push(overlap.and(&own.span, "the other"));
    }
}

/// On the internet side are no nodes and no networks behind the router.
fn internet_side(file: &File, router: &RouterTable, network: &At<NetworkName>, out: &mut Findings) {
    let message = format!("`{}` is the internet side of the router", network.value);
    let inside = router.networks.find(&network.value).is_some();
    if let Some((_, own)) = file.network.find(&network.value).filter(|_| !inside) {
        let (why, remedy) = ("it is the internet side of the router", "take it out: `[router.wan]` says it");
        useless(&own.value.subnet, "subnet", why, remedy, out);
        useless(&own.value.gateway, "gateway", why, remedy, out);
    }
    if let Some((name, _)) = router.networks.find(&network.value) {
        let remedy = "take it out of `networks`";
        let reason = "a network is on one side of the router";
        out.push(
            Diagnostic::new(Code::OneOf, &name.span, message, reason, remedy).and(&network.span, "the internet side"),
        );
    } else if network.value.as_ref() == CORE {
        let remedy = "name a network on the switch that the provider's box is plugged into";
        out.push(Diagnostic::new(Code::MachineOnCore, &network.span, message, "the core is for nodes only", remedy));
    } else if let Some(addresses) = file.network.find(&network.value).and_then(|(_, table)| table.value.addresses.get())
    {
        let message = format!("nodes have addresses in `{}`, the internet side of the router", network.value);
        let remedy = "take them out: nodes reach the internet through the router";
        let reason = "nodes would be open to the internet";
        out.push(
            Diagnostic::new(Code::OneOf, &addresses.span, message, reason, remedy)
                .and(&network.span, "the internet side"),
        );
    }
}

/// Each of a pair has an address of its own, and a single router has the gateway's.
fn members(table: &str, span: &Span, pair: Option<bool>, list: &Field<List<Address>>, out: &mut Findings) {
    if list.is_missing() && pair == Some(true) {
        let message = format!("`{table}` has no `members`");
        let reason = "each of a pair needs an address of its own";
        let remedy = "add `members = [\"…\", \"…\"]`: two more addresses there, or write `pair = false`";
        out.push(Diagnostic::new(Code::MissingKey, span, message, reason, remedy));
    }
    let (Some(pair), Some(at)) = (pair, list.get().filter(|list| list.value.whole)) else { return };
    let (has, wants) = (at.value.items.len(), if pair { PAIR } else { 0 });
    if has != wants {
        let (message, reason, remedy) = if pair {
            let message = format!("`{table}` has {has} of the two `members` of a pair");
            (message, "each of the two needs its own", "write two addresses")
        } else {
            let message = format!("`{table}` has `members`, and the router is a single one");
            (message, "it has the gateway's address", "take `members` out, or write `pair = true`")
        };
        out.push(Diagnostic::new(Code::RouterMembers, &at.span, message, reason, remedy));
    }
}

fn network(file: &File, router: &RouterTable, name: &At<NetworkName>, behind: &At<RoutedTable>, out: &mut Findings) {
    if !refer(name, "network", &file.network, out) {
        return;
    }
    let Some((key, table)) = file.network.find(&name.value) else { return };
    if name.value.as_ref() == CORE {
        let message = "the core behind the router";
        let remedy = "take it out: nothing but nodes is on the core";
        out.push(Diagnostic::new(Code::MachineOnCore, &name.span, message, "the core is for nodes only", remedy));
        return;
    }
    for (missing, what, example) in [
        (table.value.subnet.is_missing(), "subnet", "192.168.0.0/24"),
        (table.value.gateway.is_missing(), "gateway", "192.168.0.1"),
    ] {
        if missing {
            let message = format!("`network.{}` has no `{what}`", name.value);
            let remedy = format!("add `{what} = \"{example}\"` to `[network.{}]`", name.value);
            let needs = Diagnostic::new(Code::MissingKey, &key.span, message, "the router routes for it", remedy);
            out.push(needs.and(&name.span, "here"));
        }
    }
    let pair = router.pair.or(true);
    members(&format!("router.networks.{}", name.value), &name.span, pair, &behind.value.members, out);
    if let Some(dhcp) = behind.value.dhcp.get() {
        self::dhcp(file, name, dhcp, out);
    }
}

fn dhcp(file: &File, name: &At<NetworkName>, at: &At<DhcpTable>, out: &mut Findings) {
    let (Some(first), Some(last)) = (at.value.first.get(), at.value.last.get()) else { return };
    if last.value < first.value {
        let message = format!("the range from {} to {} is empty", first.value, last.value);
        let reason = "the last one comes before the first";
        out.push(Diagnostic::new(Code::BadRange, &last.span, message, reason, "write them the other way round"));
        return;
    }
    let subnet = file.network.find(&name.value).and_then(|(_, table)| table.value.subnet.value());
    for end in [first, last] {
        if let Some(subnet) = subnet.filter(|subnet| !subnet.is_host(end.value.get())) {
            let message = format!("DHCP in `{}` would hand out {}", name.value, end.value);
            let reason = format!("no address for computers in {subnet}");
            out.push(Diagnostic::new(Code::BadRange, &end.span, message, reason, "stay inside of the network"));
        }
    }
    let here = crate::network::all_claims(file).filter(|on| on.network == name.value).map(|on| on.claim);
    for claim in here.chain(crate::disks::tang_claims(file)) {
        if (first.value..=last.value).contains(&claim.value) {
            let message = format!("DHCP in `{}` would hand out {}, which {} has", name.value, claim.value, claim.who);
            let remedy = "make the range smaller, or give that one an address outside of it";
            let taken = Diagnostic::new(Code::DhcpCollides, &claim.span, message, "within what DHCP hands out", remedy);
            out.push(taken.and(&first.span, "from here").and(&last.span, "to here"));
        }
    }
}

fn rule(file: &File, table: &RuleTable, out: &mut Findings) {
    for (list, key) in [(&table.from, "from"), (&table.to, "to")] {
        listed_once(list, out);
        if let Some(at) = list.get().filter(|list| list.value.items.is_empty() && list.value.whole) {
            let message = format!("a rule with nothing in `{key}`");
            out.push(Diagnostic::new(
                Code::MissingKey,
                &at.span,
                message,
                "it allows nothing",
                "name an end, or take the rule out",
            ));
        }
        for end in list.items() {
            if let End::Named(name) = &end.value {
                named(file, &At { value: name.clone(), span: end.span.clone() }, out);
            }
        }
    }
    let has_ports = !matches!(table.protocol.maybe(), Some(None | Some(Protocol::Icmp)));
    if !has_ports {
        let remedy = "add `protocol = \"tcp\"` or `\"udp\"`, or take it out";
        useless(&table.ports, "ports", "only TCP and UDP have ports", remedy, out);
    }
}

/// What is the router's is on a network that it routes for.
fn routed(router: &RouterTable, network: &At<NetworkName>, what: &str, out: &mut Findings) {
    if router.networks.find(&network.value).is_none() && router.networks.is_whole() && !router.networks.is_missing() {
        let message = format!("{what} on `{}`, which the router doesn't route for", network.value);
        let wan = router.wan.value().and_then(|wan| wan.network.value());
        let remedy = if wan == Some(&network.value) {
            "write \"internet\" for what is beyond it".to_owned()
        } else {
            format!("add `[router.networks.{}]`, or name another network", network.value)
        };
        out.push(Diagnostic::new(Code::NotRouted, &network.span, message, "not among its `networks`", remedy));
    }
}

/// Names of the user's own are none of those that nodes, machines and hosts have anyway.
fn names(file: &File, router: &RouterTable, out: &mut Findings) {
    let domain = file.cluster.value().and_then(|cluster| cluster.domain.or("home.arpa".parse().ok()?));
    let Some(domain) = domain else { return };
    for (name, _) in router.dns.value().into_iter().flat_map(|dns| dns.names.entries()) {
        let Some(own) = name.value.as_ref().strip_suffix(&format!(".{domain}")) else { continue };
        let nodes = file.node.entries().map(|(key, _)| (key.value.as_ref(), &key.span));
        let machines = file.machine.entries().map(|(key, _)| (key.value.as_ref(), &key.span));
        let hosts = router.host.entries().map(|(key, _)| (key.value.as_ref(), &key.span));
        if let Some((_, span)) = nodes.chain(machines).chain(hosts).find(|(key, _)| *key == own) {
            let message = format!("`{}` has its name already", name.value);
            let remedy = "take it out here, or write another name";
            let twice = Diagnostic::new(Code::NameTwice, &name.span, message, "a name leads to one thing", remedy);
            out.push(twice.and(span, "here"));
        }
    }
}

/// A network, a machine, a node or a host of that name.
fn named(file: &File, name: &At<HostName>, out: &mut Findings) {
    let hosts_whole = file.router.value().is_none_or(|router| router.host.is_whole());
    let wholes = [file.network.is_whole(), file.machine.is_whole(), file.node.is_whole(), hosts_whole];
    let networks = file.network.entries().map(|(key, _)| key.value.as_ref());
    let machines = file.machine.entries().map(|(key, _)| key.value.as_ref());
    let nodes = file.node.entries().map(|(key, _)| key.value.as_ref());
    let hosts =
        file.router.value().into_iter().flat_map(|router| router.host.entries()).map(|(key, _)| key.value.as_ref());
    let all: Vec<&str> = networks.chain(machines).chain(nodes).chain(hosts).collect();
    if !all.contains(&name.value.as_ref()) && wholes.iter().all(|whole| *whole) {
        out.push(unknown_computer(name, "network, machine, node or host", &all));
    }
    let network = file.network.entries().find(|(key, _)| key.value.as_ref() == name.value.as_ref());
    if let (Some((network, _)), Some(router)) = (network, file.router.value()) {
        routed(router, &At { value: network.value.clone(), span: name.span.clone() }, "a rule's end", out);
        return;
    }
    let machine = file.machine.entries().find(|(key, _)| key.value.as_ref() == name.value.as_ref());
    if machine.is_some() && fixed_address(file, &name.value).is_none() {
        out.push(no_address(name, "a rule"));
    }
}

/// Nothing has that name.
fn unknown_computer(name: &At<HostName>, kinds: &str, all: &[&str]) -> Diagnostic {
    let message = format!("there is no {kinds} `{}`", name.value);
    let tables = format!("`[machine.{0}]` or `[router.host.{0}]`", name.value);
    let remedy = match nearest(name.value.as_ref(), all.iter().copied()) {
        Some(near) => format!("did you mean `{near}`? Otherwise add {tables}"),
        None => format!("add {tables}"),
    };
    Diagnostic::new(Code::UnknownName, &name.span, message, "nothing of that name in this file", remedy)
}

fn no_address(name: &At<HostName>, what: &str) -> Diagnostic {
    let message = format!("`{}` has no fixed address", name.value);
    let reason = format!("{what} needs to know where it is");
    let remedy =
        format!("give it one: `networks = [{{ network = \"lan\", address = \"…\" }}]` in `[machine.{}]`", name.value);
    Diagnostic::new(Code::NoFixedAddress, &name.span, message, reason, remedy)
}

fn forwards(file: &File, router: &RouterTable, out: &mut Findings) {
    let mut seen: Vec<(&At<RuleName>, &ForwardTable, Protocol)> = Vec::new();
    for (name, at) in router.forward.entries() {
        let table = &at.value;
        if let Some(to) = table.to.get() {
            forward_to(file, to, out);
        }
        let Some(protocol) = table.protocol.or(Protocol::Tcp) else { continue };
        if let Some(icmp) = table.protocol.get().filter(|_| protocol == Protocol::Icmp) {
            let message = format!("forward `{}` of a protocol without ports", name.value);
            out.push(Diagnostic::new(
                Code::BadValue,
                &icmp.span,
                message,
                "it has no ports",
                "write \"tcp\" or \"udp\"",
            ));
        }
        let Some(port) = table.port.get() else { continue };
        let ports = port.value.0;
        if let Some(to) = table.to_port.get().filter(|to| u32::from(to.value.get()) + ports.count() > 1 << 16) {
            let message = format!("forward `{}` goes beyond the last port", name.value);
            let reason = format!("{} ports from {} on", ports.count(), to.value);
            out.push(Diagnostic::new(Code::BadRange, &to.span, message, reason, "begin at a lower port"));
        }
        let overlaps = |other: &ForwardTable| other.port.value().is_some_and(|other| other.0.overlaps(ports));
        if let Some((first, ..)) = seen.iter().find(|(_, other, of)| *of == protocol && overlaps(other)) {
            let message = format!("`{}` and `{}` both forward port {ports}", first.value, name.value);
            let remedy = "give one of them another port";
            let twice = Diagnostic::new(Code::ForwardTwice, &port.span, message, "a port leads to one place", remedy);
            out.push(twice.and(&first.span, "the other"));
        }
        seen.push((name, table, protocol));
    }
}

fn forward_to(file: &File, to: &At<HostName>, out: &mut Findings) {
    let machine = file.machine.entries().any(|(key, _)| key.value.as_ref() == to.value.as_ref());
    let host = file.router.value().is_some_and(|router| router.host.find(&to.value).is_some());
    if !machine && !host {
        let whole = file.machine.is_whole() && file.router.value().is_none_or(|router| router.host.is_whole());
        if whole {
            let hosts = file.router.value().into_iter().flat_map(|router| router.host.entries());
            let hosts = hosts.map(|(key, _)| key.value.as_ref());
            let all: Vec<&str> = file.machine.entries().map(|(key, _)| key.value.as_ref()).chain(hosts).collect();
            if file.node.entries().any(|(key, _)| key.value.as_ref() == to.value.as_ref()) {
                let message = format!("a forward to the node `{}`", to.value);
                let remedy = "let a machine do that, and forward to it";
                let reason = "nodes are not for the internet";
                out.push(Diagnostic::new(Code::UnknownName, &to.span, message, reason, remedy));
            } else {
                out.push(unknown_computer(to, "machine or host", &all));
            }
        }
    } else if fixed_address(file, &to.value).is_none() {
        out.push(no_address(to, "a forward"));
    } else if let (Some(network), Some(router)) = (fixed_network(file, &to.value), file.router.value()) {
        routed(router, &At { value: network, span: to.span.clone() }, "a forward's end", out);
    }
}
