use std::collections::{BTreeMap, BTreeSet};

use yaml_rust2::{Yaml, YamlLoader};

use super::disk_name;
use super::table::{Card, CardTable, ImageTable, MachineTable};
use crate::check::{Claim, Findings, claimed_once, key, listed_once, one_of, refer, renames, useless};
use crate::diagnostic::{Code, Diagnostic};
use crate::file::File;
use crate::network::{CORE, Segments, network_mtu};
use crate::read::{At, Field};
use crate::units::{Bytes, ImageName, MachineName, NetworkName, NodeName, VolumeName};
use crate::volumes::Kind;

/// How settings begin, which are YAML.
const SETTINGS: &str = "#cloud-config";

/// How user data begins that cloud-init knows (its documentation, "User-data formats").
const CLOUD_INIT: [&str; 8] =
    [SETTINGS, "#!", "#include", "#cloud-boothook", "#part-handler", "Content-Type:", "MIME-Version:", "## template:"];

/// The least memory with which a machine starts anything.
const LEAST_MEMORY: Bytes = Bytes::mib(16);

pub(crate) fn check(file: &File, out: &mut Findings) {
    for (name, table) in file.image.entries() {
        image(file, name, &table.value, out);
    }
    for (name, table) in file.machine.entries() {
        let table = &table.value;
        references(file, name, table, out);
        disks(file, name, table, out);
        for card in table.networks.items() {
            self::card(file, name, card, out);
        }
        place(file, name, table, out);
        if let Some(memory) = table.memory.get().filter(|memory| memory.value < LEAST_MEMORY) {
            let message = format!("machine `{}` has {} of memory", name.value, memory.value);
            let remedy = "write `memory = \"2GiB\"`, or what it needs";
            out.push(Diagnostic::new(Code::BadValue, &memory.span, message, "nothing starts in that", remedy));
        }
    }
    together(file, out);
    cycles(file, out);
    renames("machine", &file.machine, |table| &table.was, out);
    renames("image", &file.image, |table| &table.was, out);
}

fn image(file: &File, name: &At<ImageName>, table: &ImageTable, out: &mut Findings) {
    let whose = format!("image `{}`", name.value);
    one_of(&name.span, &whose, &[key("build", &table.build), key("url", &table.url), key("path", &table.path)], out);
    listed_once(&table.packages, out);
    if let (Some(url), true) = (table.url.get(), table.sha256.is_missing()) {
        let message = format!("image `{}` is fetched and not checked", name.value);
        let reason = "whoever answers there could send anything";
        let remedy = "add `sha256 = \"…\"`, as the maker of the image publishes it";
        out.push(Diagnostic::new(Code::MissingKey, &url.span, message, reason, remedy));
    }
    if table.build.is_missing() {
        useless(&table.packages, "packages", "only what stead builds gets packages", "take it out", out);
    } else {
        useless(&table.sha256, "sha256", "what stead builds is made new each time", "take it out", out);
    }
    if let Some(volume) = table.volume.get() {
        refer(volume, "volume", &file.volume, out);
    }
    if table.path.get().is_some() {
        useless(&table.volume, "volume", "the file is on a volume already", "take it out", out);
    }
    if let Some(path) = table.path.get() {
        refer(&At { value: path.value.volume().clone(), span: path.span.clone() }, "volume", &file.volume, out);
    }
}

fn references(file: &File, name: &At<MachineName>, table: &MachineTable, out: &mut Findings) {
    for image in [&table.image, &table.cdrom].into_iter().filter_map(Field::get) {
        refer(image, "image", &file.image, out);
    }
    for node in table.node.get().into_iter().chain(table.prefer.items()) {
        refer(node, "node", &file.node, out);
    }
    for list in [&table.apart_from, &table.after] {
        listed_once(list, out);
        for other in list.items() {
            if other.value == name.value {
                let message = format!("machine `{}` names itself", name.value);
                out.push(Diagnostic::new(Code::ListedTwice, &other.span, message, "this is itself", "take it out"));
            } else {
                refer(other, "machine", &file.machine, out);
            }
        }
    }
    listed_once(&table.prefer, out);
    let disc = table
        .cdrom
        .get()
        .filter(|cdrom| file.image.find(&cdrom.value).is_some_and(|(_, image)| image.value.build.get().is_some()));
    if let Some(cdrom) = disc {
        let message = format!("image `{}` in the drive of machine `{}` is no CD", cdrom.value, name.value);
        let remedy = "write it as `image`, or name an image that is a CD";
        out.push(Diagnostic::new(Code::BadValue, &cdrom.span, message, "stead builds disks, not CDs", remedy));
    }
    if table.image.is_missing() {
        useless(&table.cloud_init, "cloud_init", "the machine starts empty", "give it an `image`, or take it out", out);
    }
    if let Some(data) = table.cloud_init.value().and_then(|table| table.user_data.get()) {
        user_data(name, data, out);
    }
}

/// What cloud-init would not understand, it leaves out without a word to anybody who could do something about it.
fn user_data(name: &At<MachineName>, data: &At<String>, out: &mut Findings) {
    let first = data.value.lines().next().unwrap_or_default();
    if !CLOUD_INIT.iter().any(|start| first.starts_with(start)) {
        let message = format!("cloud-init of machine `{}` wouldn't know what this is", name.value);
        let reason = "it goes by the first line";
        let remedy = "begin it with a line `#cloud-config`, or `#!/bin/sh` for a script";
        out.push(Diagnostic::new(Code::BadValue, &data.span, message, reason, remedy));
    } else if first.starts_with(SETTINGS) {
        let reason = match YamlLoader::load_from_str(&data.value).as_deref() {
            Ok([] | [Yaml::Hash(_) | Yaml::Null]) => return,
            Ok([_]) => "settings have names: `packages: [nginx]`".to_owned(),
            Ok(_) => "it is more than one document".to_owned(),
            Err(error) => format!("in its line {}, {}", error.marker().line(), error.info()),
        };
        let message = format!("cloud-init of machine `{}` couldn't read this", name.value);
        let remedy = "write it as YAML, whose lines belong together by their indent";
        out.push(Diagnostic::new(Code::BadValue, &data.span, message, reason, remedy));
    }
}

fn disks(file: &File, name: &At<MachineName>, table: &MachineTable, out: &mut Findings) {
    let Some(list) = table.disks.get() else { return };
    if list.value.items.is_empty() && list.value.whole {
        let message = format!("machine `{}` has no disk", name.value);
        let remedy = "add one: `disks = [{ size = \"20GiB\", volume = \"gv0\" }]`";
        out.push(Diagnostic::new(Code::MissingKey, &list.span, message, "it would boot from nothing", remedy));
    }
    let mut claims = Vec::new();
    for (index, disk) in list.value.items.iter().enumerate() {
        if let Some(volume) = disk.value.volume.get() {
            refer(volume, "volume", &file.volume, out);
        }
        if let Some(size) = disk.value.size.get().filter(|size| size.value < Bytes::mib(1)) {
            let message = format!("a disk of {}", size.value);
            out.push(Diagnostic::new(
                Code::BadValue,
                &size.span,
                message,
                "nothing fits on it",
                "write a size such as 20GiB",
            ));
        }
        match disk_name(index, &disk.value) {
            Some(own) => {
                let span = disk.value.name.get().map_or(&disk.span, |name| &name.span);
                claims.push(Claim::new(own, span, format!("machine `{}`", name.value)));
            }
            None if disk.value.name.is_missing() && list.value.whole => {
                let message = format!("disk {} of machine `{}` has no name", index + 1, name.value);
                let reason = "only its place in the list would tell it from the others, and places change";
                let remedy = "give it one: `name = \"data\"`";
                out.push(Diagnostic::new(Code::MissingKey, &disk.span, message, reason, remedy));
            }
            None => {}
        }
    }
    for disk in &list.value.items {
        let Some(was) = disk.value.was.get() else { continue };
        if claims.iter().any(|claim| claim.value == was.value) {
            let message = format!("a disk of machine `{}` was `{}`, which another one is now", name.value, was.value);
            let remedy = "if it was renamed, take the other one out; else take `was` out";
            out.push(Diagnostic::new(Code::WasCollides, &was.span, message, "the name is in use", remedy));
        }
    }
    claimed_once(claims, Code::NameTwice, "a disk", "give one of them another `name`", out);
}

fn card(file: &File, machine: &At<MachineName>, card: &At<Card>, out: &mut Findings) {
    for network in card.networks() {
        if !refer(&network, "network", &file.network, out) {
            continue;
        }
        if network.value.as_ref() == CORE {
            let message = format!("machine `{}` is on the core", machine.value);
            let reason = "storage and heartbeats are there, for nodes only";
            let remedy = "put it on another network; one with `over = \"core\"` goes wherever the core does";
            out.push(Diagnostic::new(Code::MachineOnCore, &network.span, message, reason, remedy));
        }
    }
    let sync = file.router.value().and_then(|router| router.sync.get());
    let on_sync = |network: &At<NetworkName>| sync.filter(|sync| sync.value == network.value);
    for (network, sync) in card.networks().iter().filter_map(|network| Some((network.clone(), on_sync(network)?))) {
        let message =
            format!("machine `{}` is on `{}`, where routers talk to each other", machine.value, network.value);
        let reason = "whoever is there could make up connections";
        let shared = Diagnostic::new(Code::SyncShared, &network.span, message, reason, "put it on another network");
        out.push(shared.and(&sync.span, "the router's `sync`"));
    }
    let Some(table) = card.table() else { return };
    let keys = [key("network", &table.network), key("trunk", &table.trunk)];
    one_of(&card.span, &format!("a card of machine `{}`", machine.value), &keys, out);
    listed_once(&table.trunk, out);
    if table.network.is_missing() {
        let why = "a card on several networks has no address of its own";
        useless(&table.address, "address", why, "take it out: the machine itself knows its addresses", out);
    }
    if let (Some(address), Some(network)) = (table.address.get(), table.network.value()) {
        let subnet = file.network.find(network).map(|(_, network)| &network.value.subnet);
        if subnet.is_some_and(Field::is_missing) {
            let message = format!("machine `{}` has an address on `{network}`, which has none", machine.value);
            let remedy = format!("add a `subnet` to `[network.{network}]`, or take the address out");
            out.push(Diagnostic::new(Code::AddressOutside, &address.span, message, "no `subnet` to be in", remedy));
        }
    }
    if let Some(mtu) = table.mtu.get() {
        for network in card.networks() {
            let Some((name, entry)) = file.network.find(&network.value) else { continue };
            let Some(most) = network_mtu(file, &name.value, &entry.value).filter(|most| mtu.value > *most) else {
                continue;
            };
            let message = format!("packets of {} bytes don't fit network `{}`", mtu.value, name.value);
            let remedy = format!("write {most} or less, or give the network a larger `mtu`");
            let long =
                Diagnostic::new(Code::MtuTooLarge, &mtu.span, message, format!("it passes at most {most}"), remedy);
            out.push(long.and(&name.span, "the network"));
        }
    }
    trunk(file, machine, table, out);
}

/// The networks of a trunk come from one place, and differ by their tags.
fn trunk(file: &File, machine: &At<MachineName>, table: &CardTable, out: &mut Findings) {
    let Some(list) = table.trunk.get().filter(|list| list.value.whole) else { return };
    let segments = Segments::of(file);
    let mut first: Option<(&At<NetworkName>, Option<_>)> = None;
    let mut untagged: Option<&At<NetworkName>> = None;
    if list.value.items.is_empty() {
        let message = format!("a trunk of machine `{}` carries nothing", machine.value);
        out.push(Diagnostic::new(Code::MissingKey, &list.span, message, "an empty list", "name its networks"));
    }
    for name in &list.value.items {
        let Some((_, network)) = file.network.find(&name.value) else { continue };
        let on = network.value.switches.items().next().map(|switch| segments.segment(&switch.value));
        match &first {
            Some((other, place)) if *place != on => {
                let message = format!("`{}` and `{}` are not on the same switch", other.value, name.value);
                let remedy = "give the machine a card for each of them";
                let mixed =
                    Diagnostic::new(Code::SwitchesNotLinked, &name.span, message, "one card is in one place", remedy);
                out.push(mixed.and(&other.span, "the other"));
            }
            Some(_) => {}
            None => first = Some((name, on)),
        }
        if network.value.vlan.is_missing() && network.value.over.is_missing() {
            if let Some(other) = untagged {
                let message = format!("`{}` and `{}` both have no tag", other.value, name.value);
                let remedy = "give the machine a card for one of them";
                let reason = "the machine couldn't tell them apart";
                out.push(
                    Diagnostic::new(Code::UntaggedTwice, &name.span, message, reason, remedy)
                        .and(&other.span, "the other"),
                );
            }
            untagged = Some(name);
        }
    }
}

/// A disk on a local volume ties the machine to the disk's node.
fn place(file: &File, name: &At<MachineName>, table: &MachineTable, out: &mut Findings) {
    let is_local = |volume: &VolumeName| {
        file.volume.find(volume).is_some_and(|(_, table)| table.value.kind.value() == Some(&Kind::Local))
    };
    let local = table.disks.items().filter_map(|disk| disk.value.volume.get()).find(|volume| is_local(&volume.value));
    if let Some(volume) = local {
        let ha = table.ha.get().filter(|ha| ha.value);
        if let Some(ha) = ha {
            let message = format!("machine `{}` can't be started elsewhere", name.value);
            let reason = format!("its disk on `{}` lies on one node only", volume.value);
            let remedy = "put its disks on a replicated volume, or take `ha` out";
            out.push(
                Diagnostic::new(Code::HaOnLocalDisk, &ha.span, message, reason, remedy).and(&volume.span, "this disk"),
            );
        }
        let gives = |node: &NodeName| {
            file.node.find(node).is_none_or(|(_, node)| node.value.disks.find(&volume.value).is_some())
        };
        match table.node.get() {
            Some(node) if !gives(&node.value) => {
                let message = format!("node `{}` has no part of volume `{}`", node.value, volume.value);
                let remedy = format!("name a node that gives `{}` a disk", volume.value);
                let reason = "the machine's disk would lie nowhere";
                let nowhere = Diagnostic::new(Code::LocalDiskElsewhere, &node.span, message, reason, remedy);
                out.push(nowhere.and(&volume.span, "this disk"));
            }
            None if table.node.is_missing() => {
                let message = format!("machine `{}` doesn't say on which node it is", name.value);
                let reason = format!("`{}` lies on each node by itself", volume.value);
                let remedy = "add `node = \"…\"`: the machine stays there, since its disk does";
                out.push(Diagnostic::new(Code::LocalDiskElsewhere, &volume.span, message, reason, remedy));
            }
            _ => {}
        }
    } else if let (Some(node), Some(ha)) = (table.node.get(), table.ha.get().filter(|ha| ha.value)) {
        let message = format!("machine `{}` stays on `{}`, and is to be started elsewhere", name.value, node.value);
        let remedy = format!("write `prefer = [\"{}\"]` instead of `node`, or take `ha` out", node.value);
        out.push(
            Diagnostic::new(Code::OneOf, &ha.span, message, "one excludes the other", remedy)
                .and(&node.span, "it stays here"),
        );
    }
    if !table.node.is_missing() {
        useless(&table.prefer, "prefer", "the machine stays on its `node`", "take one of them out", out);
    }
    for node in table.node.get().into_iter().chain(table.prefer.items()) {
        let arbiter =
            file.node.find(&node.value).and_then(|(_, table)| table.value.arbiter.get()).filter(|is| is.value);
        if let Some(arbiter) = arbiter {
            let message = format!("machine `{}` on arbiter `{}`", name.value, node.value);
            let remedy = "name a node that is no arbiter";
            let on =
                Diagnostic::new(Code::MachineOnArbiter, &node.span, message, "an arbiter runs no machines", remedy);
            out.push(on.and(&arbiter.span, "an arbiter"));
        }
    }
}

/// Machines that keep away from each other don't both stay on one node.
fn together(file: &File, out: &mut Findings) {
    for (name, table) in file.machine.entries() {
        let Some(node) = table.value.node.get() else { continue };
        for other in table.value.apart_from.items() {
            let there = file.machine.find(&other.value).and_then(|(_, other)| other.value.node.get());
            if let Some(there) = there.filter(|there| there.value == node.value && other.value != name.value) {
                let message =
                    format!("`{}` keeps away from `{}`, and both stay on `{}`", name.value, other.value, node.value);
                let reason = "they can't keep apart there";
                let remedy = "let one of them stay on another node, or on none";
                let both = Diagnostic::new(Code::ApartTogether, &other.span, message, reason, remedy);
                out.push(both.and(&node.span, "one stays here").and(&there.span, "and the other too"));
            }
        }
    }
}

/// No machine waits for itself, however many others are in between. Told once a circle.
fn cycles(file: &File, out: &mut Findings) {
    let all: BTreeMap<&MachineName, &At<MachineTable>> =
        file.machine.entries().map(|(name, table)| (&name.value, table)).collect();
    // A machine is on the way, or done with.
    let mut done: BTreeSet<&MachineName> = BTreeSet::new();
    for (start, _) in file.machine.entries() {
        // Each machine of the way, with those that are still to be looked at behind it.
        let mut way: Vec<(&MachineName, Vec<&MachineName>)> = Vec::new();
        let mut next = Some(&start.value).filter(|name| !done.contains(name));
        while let Some(name) = next.take() {
            if let Some(at) = way.iter().position(|(on_the_way, _)| *on_the_way == name) {
                out.extend(circle(&all, &way[at..]));
            } else if !done.contains(name) {
                let after = all.get(name).into_iter().flat_map(|table| table.value.after.items());
                way.push((name, after.map(|other| &other.value).filter(|other| *other != name).collect()));
            }
            while let Some((name, behind)) = way.last_mut() {
                next = behind.pop();
                if next.is_some() {
                    break;
                }
                done.insert(name);
                way.pop();
            }
        }
    }
}

/// What is said of machines that wait for each other, in this order.
fn circle(
    all: &BTreeMap<&MachineName, &At<MachineTable>>,
    way: &[(&MachineName, Vec<&MachineName>)],
) -> Option<Diagnostic> {
    let names: Vec<&str> = way.iter().chain(way.first()).map(|(name, _)| name.as_ref()).collect();
    let at = all.get(way.first()?.0)?.value.after.get()?;
    let message = format!("machines wait for each other: {}", names.join(" after "));
    let reason = "none of them would start first";
    Some(Diagnostic::new(Code::StartCycle, &at.span, message, reason, "take one of them out of an `after`"))
}
