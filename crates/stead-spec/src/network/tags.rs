//! Which networks a frame could be of: VLAN tags, and networks without one.

use std::collections::{BTreeMap, BTreeSet};

use super::table::NetworkTable;
use super::{CORE, Segments, core_table};
use crate::check::Findings;
use crate::diagnostic::{Code, Diagnostic};
use crate::file::File;
use crate::read::At;
use crate::units::{NetworkName, SwitchName, Vlan};

/// What carries frames: switches that are linked, or, if nothing, the core.
type Segment<'f> = Option<&'f SwitchName>;

/// A network with its keys.
type Network<'f> = (&'f At<NetworkName>, &'f NetworkTable);

/// Each tag once on what a frame reaches, at most one network without a tag, and nothing beside a core without one.
pub(crate) fn check(file: &File, out: &mut Findings) {
    let segments = Segments::of(file);
    let mut owners: BTreeMap<(Segment<'_>, Option<Vlan>), Network<'_>> = BTreeMap::new();
    for (name, table) in file.network.entries() {
        let Some(vlan) = table.value.vlan.maybe() else { continue };
        // Over the core, a tag is always asked for.
        let over = table.value.over.value().filter(|_| vlan.is_some()).map(|_| None);
        let on = table.value.switches.items().map(|at| Some(segments.segment(&at.value)));
        for segment in on.chain(over).collect::<BTreeSet<_>>() {
            let own = (name, &table.value);
            let owner = *owners.entry((segment, vlan)).or_insert(own);
            if owner.0.value != name.value {
                out.push(twice(owner, own, &place(&segments, segment, owner, own)));
            }
        }
    }
    core_alone(file, out);
}

/// Where both are.
fn place(segments: &Segments, segment: Segment<'_>, first: Network<'_>, second: Network<'_>) -> String {
    let here = second.1.switches.items().find(|switch| Some(segments.segment(&switch.value)) == segment);
    match here {
        Some(switch) if first.1.switches.items().any(|other| other.value == switch.value) => {
            format!("on `{}`", switch.value)
        }
        Some(switch) => format!("on `{}` and switches linked with it", switch.value),
        None => "over the core".to_owned(),
    }
}

fn twice((first, _): Network<'_>, (second, table): Network<'_>, place: &str) -> Diagnostic {
    let reason = "they would be one network";
    let diagnostic = if let Some(vlan) = table.vlan.get() {
        let message = format!("`{}` and `{}` both have VLAN {} {place}", first.value, second.value, vlan.value);
        Diagnostic::new(Code::VlanTwice, &vlan.span, message, reason, "give one of them another VLAN")
    } else {
        let message = format!("`{}` and `{}` are both without a tag {place}", first.value, second.value);
        let core = [first, second].into_iter().find(|name| name.value.as_ref() == CORE);
        let whom = core.map_or("one of them", |_| "the core");
        let remedy = format!("give {whom} a `vlan`, and the switch the same");
        Diagnostic::new(Code::UntaggedTwice, &second.span, message, reason, remedy)
    };
    diagnostic.and(&first.span, "the other")
}

fn core_alone(file: &File, out: &mut Findings) {
    let core = core_table(file);
    let Some((core_name, core)) = core.filter(|(_, core)| core.value.vlan.is_missing()) else { return };
    let shared =
        file.network.entries().filter(|(_, table)| table.value.vlan.get().is_some()).find_map(|(name, table)| {
            let is_shared = |at: &&At<SwitchName>| core.value.switches.items().any(|own| own.value == at.value);
            table.value.switches.items().find(is_shared).map(|switch| (name, switch))
        });
    if let Some((name, switch)) = shared {
        let message = format!("the core has no tag on `{}`, and `{}` is there too", switch.value, name.value);
        let reason = "a NIC with the core on it untagged carries nothing else";
        let remedy = "give `[network.core]` a `vlan`, and the switches the same";
        let shared = Diagnostic::new(Code::CoreShared, &core_name.span, message, reason, remedy);
        out.push(shared.and(&switch.span, "here"));
    }
}
