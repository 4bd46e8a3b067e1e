use std::collections::{BTreeMap, BTreeSet};
use std::net::Ipv4Addr;

use super::table::{Group, UnlockTable};
use super::{Lock, Unlock, Unlocker, VAULT, build};
use crate::check::{Claim, Findings, claimed_once, key, one_of, refer, useless};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::file::File;
use crate::host::LEAST_NODES;
use crate::host::table::NodeTable;
use crate::read::{At, List};
use crate::router::table::Engine;
use crate::units::{DiskId, NodeName, TangHost, TangUrl};

pub(crate) fn check(file: &File, out: &mut Findings) {
    disks(file, out);
    if let Some(unlock) = file.unlock.get() {
        shape(&unlock.value, &unlock.span, out);
        tangs(file, &unlock.value, out);
    }
    thefts(file, out);
}

/// Each disk for one volume of one node, and at least one a node: secrets lie on no OS disk.
fn disks(file: &File, out: &mut Findings) {
    let (mut all_numbered, mut all_alike) = (Vec::new(), Vec::new());
    for (name, node) in file.node.entries() {
        let (mut own, mut empty, mut claims) = (Vec::new(), false, Vec::new());
        for (volume, list) in node.value.disks.entries() {
            if volume.value.as_ref() != VAULT {
                refer(volume, "volume", &file.volume, out);
            }
            let who = format!("`{}` of node `{}`", volume.value, name.value);
            if list.value.items.is_empty() && list.value.whole {
                let message = format!("node `{}` gives `{}` no disk", name.value, volume.value);
                let remedy = "name one, or take the key out";
                out.push(Diagnostic::new(Code::NoDisks, &list.span, message, "an empty list", remedy));
                empty = true;
            }
            own.extend(list.value.items.iter().map(|disk| &disk.value));
            let claim = |disk: &'_ At<DiskId>| Claim::new(disk.value.clone(), &disk.span, who.clone());
            claims.extend(list.value.items.iter().map(claim));
        }
        // On one node, each is in one place, whatever its number is worth.
        claimed_once(claims.iter().cloned().map(serial), Code::DiskTwice, "the disk", "name each disk once", out);
        let mut own_serials = BTreeSet::new();
        claims.retain(|claim| own_serials.insert(claim.value.serial().to_owned()));
        let (numbered, alike): (Vec<_>, Vec<_>) = claims.into_iter().partition(|claim| has_own_number(&claim.value));
        all_numbered.extend(numbered.into_iter().map(serial));
        all_alike.extend(alike.into_iter().map(serial));
        for (disk, _) in node.value.wipe.entries() {
            if node.value.disks.is_whole() && !own.contains(&&disk.value) {
                let message = format!("`{}` may be wiped, and is no disk of node `{}`", disk.value, name.value);
                let remedy = "add it to the node's `disks`, or take it out here";
                let reason = "not among the node's `disks`";
                out.push(Diagnostic::new(Code::UnknownName, &disk.span, message, reason, remedy));
            }
        }
        let lost = node.value.disks.entries().any(|(_, list)| !list.value.whole);
        if own.is_empty() && !lost && !empty && node.value.disks.is_whole() {
            let message = format!("node `{}` has no data disk", name.value);
            let reason = "its secrets must not lie on the OS disk, which isn't encrypted";
            let remedy = "add at least one: `disks = { gv0 = [\"ata-…\"] }`, or `vault` for no volume; `ls -l /dev/disk/by-id` on the node \
                          shows them";
            let place = node.value.disks.get().map_or(&name.span, |disks| &disks.span);
            out.push(Diagnostic::new(Code::NoDataDisk, place, message, reason, remedy));
        }
    }
    let remedy = "name each disk once: a serial number is one disk's";
    claimed_once(all_numbered, Code::DiskTwice, "the disk", remedy, out);
    let remedy =
        "if it is one disk, name it at the node that it is in; some makers of enclosures give all of theirs one number";
    claimed_once(all_alike, Code::DiskAlike, "the disk", remedy, out);
}

/// Whether the number in a disk's name is the disk's own. Behind USB it is the enclosure's, of which some makers have
/// one for all; and a virtual one is what somebody wrote.
fn has_own_number(disk: &DiskId) -> bool {
    !["usb-", "virtio-", "scsi-0QEMU"].iter().any(|kind| disk.as_ref().starts_with(kind))
}

/// The claim of a disk as that of its number: a disk may have several names.
fn serial(claim: Claim<DiskId>) -> Claim<String> {
    Claim { value: claim.value.serial().to_owned(), span: claim.span, who: claim.who }
}

fn shape(table: &UnlockTable, span: &Span, out: &mut Findings) {
    let keys = [key("all", &table.all), key("any", &table.any), key("tang", &table.tang)];
    one_of(span, "this part of `unlock`", &keys, out);
    if table.tang.is_missing() {
        useless(&table.thumbprint, "thumbprint", "it belongs to a `tang`", "take it out", out);
    } else if table.thumbprint.is_missing() {
        let message = "a tang without its thumbprint";
        let reason = "whoever answers there would be taken for it";
        let remedy = "add `thumbprint = \"…\"`: `tang-show-keys` on that computer prints it";
        out.push(Diagnostic::new(Code::MissingKey, span, message, reason, remedy));
    }
    for group in [&table.all, &table.any].into_iter().filter_map(|group| group.value()) {
        if let Group::Of(list) = group {
            if list.items.is_empty() && list.whole {
                let message = "a part of `unlock` that names nobody";
                let reason = "an empty list";
                let remedy = "say who has to answer: `any = \"nodes\"`, or a list of tangs";
                out.push(Diagnostic::new(Code::UnlockNobody, span, message, reason, remedy));
            }
            listed_tangs(list, out);
            list.items.iter().for_each(|item| shape(&item.value, &item.span, out));
        }
    }
}

/// In one list, a tang is named once: it answers for both or for neither.
fn listed_tangs(list: &List<UnlockTable>, out: &mut Findings) {
    let mut seen: BTreeMap<&TangUrl, &Span> = BTreeMap::new();
    for tang in list.items.iter().filter_map(|item| item.value.tang.get()) {
        if let Some(first) = seen.insert(&tang.value, &tang.span) {
            let message = format!("the tang {} stands twice in one list", tang.value);
            let remedy = "take one out: it answers for both or for neither";
            let twice = Diagnostic::new(Code::ListedTwice, &tang.span, message, "a second time", remedy);
            out.push(twice.and(first, "first here"));
        }
    }
}

/// Each outside tang answers before any machine runs and any name is known, on a network of the nodes.
fn tangs(file: &File, unlock: &UnlockTable, out: &mut Findings) {
    for tang in unlock.tangs().into_iter().filter_map(|tang| tang.get()) {
        match tang.value.host() {
            TangHost::Name(name) => {
                let message = format!("the tang `{name}` is a name, and disks open before names are known");
                let reason = "nobody answers for names at power-on";
                let remedy = "write its address: `getent ahostsv4` with the name shows it";
                out.push(Diagnostic::new(Code::NameBeforeBoot, &tang.span, message, reason, remedy));
            }
            TangHost::Address(address) => place(file, tang, *address, out),
        }
    }
}

/// Whose a tang's address is, and what is on the way to it.
fn place(file: &File, tang: &At<TangUrl>, address: Ipv4Addr, out: &mut Findings) {
    let of_machines = crate::machines::claims(file).into_iter();
    let of_machines = of_machines.chain(crate::router::own_claims(file));
    if let Some(on) = of_machines.map(|on| on.claim).find(|claim| claim.value.get() == address) {
        let message = format!("the tang {} is {}, which is part of this cluster", tang.value, on.who);
        let reason = "it can't answer before the disks are open, or is stolen with them";
        let remedy = "put that tang on a computer that is no machine of this cluster";
        out.push(
            Diagnostic::new(Code::MachineBeforeBoot, &tang.span, message, reason, remedy).and(&on.span, "its address"),
        );
        return;
    }
    let over = file.network.entries().find(|(_, network)| {
        network.value.over.get().is_some()
            && network.value.subnet.value().is_some_and(|subnet| subnet.contains(address))
    });
    if let Some((network, _)) = over {
        let message = format!("the tang {} is on `{}`, where only machines are", tang.value, network.value);
        let reason = "a machine runs on the disks that this tang should open";
        let remedy = "put that tang on a network with a switch of its own";
        let inside = Diagnostic::new(Code::MachineBeforeBoot, &tang.span, message, reason, remedy);
        out.push(inside.and(&network.span, "goes over the core"));
        return;
    }
    for (node, _) in file.node.entries() {
        let at = file.network.entries().filter(|(_, network)| network.value.addresses.find(&node.value).is_some());
        let at: Vec<_> = at.collect();
        let broken = at.iter().any(|(_, network)| network.value.subnet.value().is_none());
        let beside =
            at.iter().any(|(_, network)| network.value.subnet.value().is_some_and(|subnet| subnet.contains(address)));
        if at.is_empty() || broken || beside {
            continue;
        }
        let gateway = at.iter().find_map(|(name, network)| network.value.gateway.get().map(|gateway| (name, gateway)));
        let Some((network, gateway)) = gateway else {
            let message = format!("node `{}` doesn't reach the tang {}", node.value, tang.value);
            let reason = "on none of its networks, and no gateway leads there";
            let remedy = "put that tang on a network where all nodes have addresses";
            out.push(Diagnostic::new(Code::UnlockNever, &tang.span, message, reason, remedy));
            return;
        };
        let router = file.router.value().filter(|router| router.networks.find(&network.value).is_some());
        let is_machine = router.is_some_and(|router| router.engine.value() == Some(&Engine::Opnsense));
        let remedy = "put that tang on a network where all nodes have addresses";
        let diagnostic = if is_machine {
            let message = format!("the way to the tang {} leads through the router, which is a machine", tang.value);
            let reason = "the router runs on the disks that this tang should open";
            Diagnostic::new(Code::MachineBeforeBoot, &tang.span, message, reason, remedy)
        } else {
            let message = format!("the way to the tang {} leads through a gateway", tang.value);
            let reason = format!("without {} no data disk opens", gateway.value);
            Diagnostic::new(Code::UnlockBehindGateway, &tang.span, message, reason, remedy)
        };
        out.push(diagnostic.and(&gateway.span, "the gateway"));
        return;
    }
}

/// What the policy means for a boot, and for a thief.
fn thefts(file: &File, out: &mut Findings) {
    let Some(unlock) = build(file).filter(Unlock::names_somebody) else { return };
    if file.node.get().is_none() || !file.node.is_whole() {
        return;
    }
    if !(LEAST_NODES..=usize::from(u8::MAX)).contains(&file.node.entries().count()) {
        // That there are too few says it all, and that there are more than numbers for them.
        return;
    }
    // Where the file says nothing, it is said to be the cluster's.
    let span = file.unlock.get().map(|at| &at.span).or(file.cluster.get().map(|at| &at.span));
    let Some(span) = span else { return };
    let revoked = |(_, table): &(_, &At<NodeTable>)| table.value.revoked.value() == Some(&true);
    let (revoked, trusted): (Vec<_>, Vec<_>) = file.node.entries().partition(revoked);
    let nodes: Vec<&NodeName> = trusted.iter().map(|(name, _)| &name.value).collect();
    if let ([.., (_, last)], 0 | 1) = (revoked.as_slice(), nodes.len()) {
        let message = match nodes.first() {
            Some(left) => format!("all nodes but `{left}` are revoked"),
            None => "all nodes are revoked".to_owned(),
        };
        let place = last.value.revoked.get().map_or(&last.span, |revoked| &revoked.span);
        let reason = "nobody is left to open the others' disks";
        let remedy = "put other PCs in their places, and take `revoked` out there";
        out.push(Diagnostic::new(Code::TooFewNodes, place, message, reason, remedy));
        return;
    }
    let locks: Vec<(&NodeName, Lock)> = nodes.iter().map(|node| (*node, unlock.for_node(node, &nodes))).collect();
    let holder = |unlocker: &Unlocker| whose(file, unlocker);

    let stolen = fewest_stolen(&nodes, &locks, &holder);
    if let Some((1, node)) = stolen {
        let message = format!("who steals node `{node}` has all that opens its disks");
        let reason = "what is on that node itself is enough";
        let remedy = "ask for another node too, or for a tang outside: `any = \"nodes\"`";
        out.push(Diagnostic::new(Code::UnlockByOneNode, span, message, reason, remedy));
        return;
    }
    if let Some((number, _)) = stolen {
        let how_many = if number == nodes.len() {
            "all nodes".to_owned()
        } else {
            format!("{number} of the {} nodes", nodes.len())
        };
        let message = format!("who takes {how_many} has all that opens their disks");
        let reason = match file.unlock.get() {
            None => "the file has no `[unlock]`",
            Some(at) if at.value.tangs().iter().any(|tang| tang.get().is_some()) => {
                "the nodes do without the tang outside"
            }
            Some(_) => "no tang outside is asked for",
        };
        let remedy = "put a tang elsewhere in the house, and ask for it: `all = [{ any = \"nodes\" }, { tang = \
                      \"http://192.168.0.2:7500\", thumbprint = \"…\" }]` in `[unlock]`";
        out.push(Diagnostic::new(Code::UnlockByNodes, span, message, reason, remedy));
    }
    let without = |dead: &NodeName, lock: &Lock| lock.opens(&|by| holder(by).as_ref() != Some(dead));
    let stuck = nodes.iter().find_map(|dead| {
        let stuck = locks.iter().find(|(node, lock)| node != dead && !without(dead, lock));
        stuck.map(|(node, _)| (dead, node))
    });
    if let Some((dead, node)) = stuck {
        let message = format!("while node `{dead}` is off, the disks of node `{node}` stay closed");
        let remedy = match revoked.first() {
            Some((gone, _)) if nodes.len() == 2 => format!("put another PC in the place of `{}`", gone.value),
            _ => "ask for any of the nodes, not for all: `any = \"nodes\"`".to_owned(),
        };
        let reason = "one dead PC stops the cluster at its next boot";
        out.push(Diagnostic::new(Code::UnlockNeedsAllNodes, span, message, reason, remedy));
    }
}

/// Of more nodes than this, it isn't looked for two that open a disk: that takes the cube of their number.
const MANY: usize = 32;

/// How many nodes a thief takes to open the disks of one of them, and which one; nothing if all of them aren't enough.
/// One, two, or all: what a policy asks between two and all isn't worth the search, and with many nodes two aren't.
fn fewest_stolen<'n>(
    nodes: &[&'n NodeName],
    locks: &[(&'n NodeName, Lock)],
    holder: &impl Fn(&Unlocker) -> Option<NodeName>,
) -> Option<(usize, &'n NodeName)> {
    let opens =
        |lock: &Lock, stolen: &[&NodeName]| lock.opens(&|by| holder(by).is_some_and(|node| stolen.contains(&&node)));
    let by_one = locks.iter().find(|(node, lock)| opens(lock, &[node])).map(|(node, _)| (1, *node));
    let searched = if nodes.len() <= MANY { locks } else { &[] };
    let by_two = || searched.iter().find(|(node, lock)| nodes.iter().any(|other| opens(lock, &[node, other])));
    let by_all = || locks.iter().find(|(_, lock)| opens(lock, nodes));
    let by_two = || by_two().map(|(node, _)| (2, *node));
    by_one.or_else(by_two).or_else(|| by_all().map(|(node, _)| (nodes.len(), *node)))
}

/// The node that an answer comes from, if it comes from one: also of an "outside" tang that is at a node's address.
fn whose(file: &File, unlocker: &Unlocker) -> Option<NodeName> {
    let tang = match unlocker {
        Unlocker::Node(node) => return Some(node.clone()),
        Unlocker::Outside(tang) => tang,
    };
    let TangHost::Address(address) = tang.url.host() else { return None };
    let of_networks = file.network.entries().flat_map(|(_, network)| network.value.addresses.entries());
    let found = of_networks.into_iter().find(|(_, given)| given.value.get() == *address);
    if let Some((node, _)) = found {
        return Some(node.value.clone());
    }
    if file.network.entries().any(|(_, network)| network.value.subnet.value().is_some_and(|own| own.contains(*address)))
    {
        return None;
    }
    let core = file.network.entries().find_map(|(_, network)| network.value.pool.value())?;
    // The last byte of an address in the core is the node's number, in each part of the pool.
    let number = core.contains(*address).then(|| address.octets()[3])?;
    let of = |name: &NodeName, node| crate::host::node_number(name, node).is_some_and(|own| own.get() == number);
    let found = file.node.entries().find(|(name, node)| of(&name.value, &node.value));
    found.map(|(name, _)| name.value.clone())
}
