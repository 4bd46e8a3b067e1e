use super::table::{Kind, Layout, NodeDisks, VolumeTable};
use super::{copies, given};
use crate::check::{Findings, renames, useless};
use crate::diagnostic::{Code, Diagnostic, Span};
use crate::disks::VAULT;
use crate::file::File;
use crate::read::At;
use crate::units::VolumeName;
use crate::words::count;

/// More than this, and a disk is for snapshots rather than for files.
const MOST_FOR_SNAPSHOTS: u8 = 90;

pub(crate) fn check(file: &File, out: &mut Findings) {
    for (name, table) in file.volume.entries() {
        if let Some(share) = table.value.snapshots.get().filter(|share| share.value.get() > MOST_FOR_SNAPSHOTS) {
            let message = format!("{} of volume `{}` for snapshots", share.value, name.value);
            let reason = "nothing is left for its files";
            let remedy = format!("write at most {MOST_FOR_SNAPSHOTS}%");
            out.push(Diagnostic::new(Code::BadValue, &share.span, message, reason, remedy));
        }
        let taken = [
            (VAULT, "disks of that name are for no volume"),
            ("bricks", "its files would lie where the parts of all volumes do"),
            ("all", "the storage engine takes it for every volume"),
        ];
        if let Some((_, reason)) = taken.into_iter().find(|(taken, _)| name.value.as_ref() == *taken) {
            let message = format!("a volume named `{}`", name.value);
            out.push(Diagnostic::new(Code::BadValue, &name.span, message, reason, "give it another name"));
        }
        let lost = !file.node.is_whole() || file.node.entries().any(|(_, node)| !node.value.disks.is_whole());
        let Some((nodes, arbiters)) = given(file, &name.value).filter(|_| !lost) else { continue };
        if nodes.iter().chain(&arbiters).any(|given| !given.disks.value.whole) {
            continue;
        }
        if nodes.iter().all(|given| given.disks.value.items.is_empty()) {
            let message = format!("no node gives a disk to volume `{}`", name.value);
            let remedy = format!("name its disks in the nodes: `disks = {{ {} = [\"ata-…\"] }}`", name.value);
            out.push(Diagnostic::new(Code::NoDisks, &name.span, message, "it would lie nowhere", remedy));
            continue;
        }
        match table.value.kind.value() {
            Some(Kind::Local) => local(name, &table.value, &nodes, &arbiters, out),
            Some(Kind::Replicated) => replicated(name, &table.value, &nodes, &arbiters, out),
            None => {}
        }
    }
    renames("volume", &file.volume, |table| &table.was, out);
}

fn local(
    name: &At<VolumeName>,
    table: &VolumeTable,
    nodes: &[NodeDisks<'_>],
    arbiters: &[NodeDisks<'_>],
    out: &mut Findings,
) {
    let why = "a local volume has one copy of each file";
    useless(&table.replicas, "replicas", why, "take it out, or write `kind = \"replicated\"`", out);
    useless(&table.layout, "layout", why, "take it out, or write `kind = \"replicated\"`", out);
    for given in nodes.iter().filter(|given| given.disks.value.items.len() > 1) {
        let disks = count(given.disks.value.items.len(), "disk");
        let message = format!("`{}` gives {disks} to the local volume `{}`", given.name.value, name.value);
        let reason = "all of it would be lost with either of them";
        let remedy = "give the others to a local volume of another name";
        out.push(Diagnostic::new(Code::BadValue, &given.disks.span, message, reason, remedy));
    }
    for arbiter in arbiters {
        let message = format!("arbiter `{}` gives a disk to the local volume `{}`", arbiter.name.value, name.value);
        let remedy = "give that disk to a replicated volume: an arbiter keeps no files";
        out.push(Diagnostic::new(Code::UselessKey, &arbiter.disks.span, message, "it runs no machines", remedy));
    }
}

fn replicated(
    name: &At<VolumeName>,
    table: &VolumeTable,
    nodes: &[NodeDisks<'_>],
    arbiters: &[NodeDisks<'_>],
    out: &mut Findings,
) {
    let Some(copies) = copies(table) else { return };
    let copies = usize::from(copies.get());
    let span = table.replicas.get().map_or(&name.span, |replicas| &replicas.span);
    if copies.is_multiple_of(2) && arbiters.is_empty() && copies <= nodes.len() {
        let message = format!("volume `{}` has {copies} copies and no arbiter", name.value);
        let reason = "when half of them differ from the others, nobody knows which are right";
        let remedy = "write `replicas = 3`, or `replicas = 2` and let an arbiter (`arbiter = true`) give it a disk";
        out.push(Diagnostic::new(Code::TwoCopies, span, message, reason, remedy));
    }
    if copies > 2 && !arbiters.is_empty() {
        let message = format!("volume `{}` has {copies} copies and an arbiter", name.value);
        let remedy = "write `replicas = 2`, or give the arbiter's disk another use: `vault`, if it has none";
        let reason = "an arbiter is for two copies, of which neither outvotes the other";
        out.push(
            Diagnostic::new(Code::UselessKey, span, message, reason, remedy)
                .and(&arbiters[0].disks.span, "the arbiter's"),
        );
    }
    if copies > nodes.len() && (copies == 2 || arbiters.is_empty()) {
        let message =
            format!("volume `{}` wants {copies} copies, and {} give it disks", name.value, count(nodes.len(), "node"));
        let remedy = if nodes.len() == 2 {
            "let another node give it a disk; or write `replicas = 2`, and let an arbiter give it one"
        } else {
            "let more nodes give it disks, or ask for fewer copies"
        };
        out.push(Diagnostic::new(Code::TooManyReplicas, span, message, "two copies on one node are one", remedy));
        return;
    }
    if copies > nodes.len() || unequal(name, nodes, span, out) {
        return;
    }
    let disks: usize = nodes.iter().map(|given| given.disks.value.items.len()).sum();
    if table.layout.or(Layout::Plain) == Some(Layout::Plain) && !disks.is_multiple_of(copies) {
        let message = format!("{} of volume `{}` don't make sets of {copies} copies", count(disks, "disk"), name.value);
        let reason = format!("{disks} is no multiple of {copies}");
        let remedy = "`layout = \"chained\"` cuts each disk into parts that do; or give it more or fewer disks";
        out.push(Diagnostic::new(Code::BricksDontDivide, span, message, reason, remedy));
    }
}

/// As many disks of each node, or some of them would stay empty.
fn unequal(name: &At<VolumeName>, nodes: &[NodeDisks<'_>], span: &Span, out: &mut Findings) -> bool {
    let number = |given: &NodeDisks<'_>| given.disks.value.items.len();
    let Some(most) = nodes.iter().max_by_key(|given| number(given)) else { return false };
    let Some(least) = nodes.iter().find(|given| number(given) < number(most)) else { return false };
    let (few, many) = (count(number(least), "disk"), count(number(most), "disk"));
    let message =
        format!("`{}` gives volume `{}` {few}, and `{}` {many}", least.name.value, name.value, most.name.value);
    let remedy = format!("let each node give `{}` as many disks; the others are of use in another volume", name.value);
    let unequal = Diagnostic::new(Code::BricksUnequal, &least.disks.span, message, "fewer than the others", remedy);
    out.push(unequal.and(&most.disks.span, "more").and(span, "the volume"));
    true
}
