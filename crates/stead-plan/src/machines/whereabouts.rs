//! Where machines are, as the nodes tell it: each of what it has in its own memory.

use stead_spec::Spec;
use stead_spec::machines::{CardNetworks, Placement};
use stead_spec::units::{MachineName, NodeName};

use super::facts::Running;
use super::{disks, domain};
use crate::inventory::{Inventory, NodeInventory};

/// What libvirt calls a machine that goes on by itself.
const RUNNING: &str = "running";

/// The machine that a node has in its memory, if it does.
pub(crate) fn held<'a>(spec: &Spec, seen: &'a NodeInventory, name: &MachineName) -> Option<&'a Running> {
    let held = seen.hypervisor.running.get()?.get(name.as_ref())?;
    (held.uuid == domain::uuid(spec, name).to_string()).then_some(held)
}

impl Running {
    /// Whether it goes on by itself: else it is paused, comes from another node, or ends.
    pub(crate) fn goes_on(&self) -> bool {
        self.state == RUNNING
    }
}

/// The first node that has a machine in its memory, and what it says of it.
pub fn running_on<'a>(
    spec: &Spec,
    inventory: &'a Inventory,
    name: &MachineName,
) -> Option<(&'a NodeName, &'a Running)> {
    inventory.seen().find_map(|(node, seen)| Some((node, held(spec, seen, name)?)))
}

/// What a machine of the file is, in words: what, and how.
pub fn about(spec: &Spec, name: &MachineName) -> Vec<(&'static str, String)> {
    let Some(machine) = spec.machines().get(name) else { return Vec::new() };
    let mut about = vec![("number", domain::uuid(spec, name).to_string())];
    for disk in &machine.disks {
        let file = disks::file(spec, name, disk).unwrap_or_default();
        about.push(("disk", format!("{}: {}, {file}", disk.name, disk.size)));
    }
    for (place, card) in machine.cards.iter().enumerate() {
        let on = match &card.on {
            CardNetworks::One(name) => name.to_string(),
            CardNetworks::Trunk(names) => names.iter().map(ToString::to_string).collect::<Vec<_>>().join(", "),
        };
        let address = card.address.map(|address| format!(", {address}")).unwrap_or_default();
        about.push(("card", format!("{on}: {}{address}", domain::mac(spec, machine, place, card))));
    }
    about.push((
        "runs on",
        match &machine.placement {
            Placement::On(node) => format!("{node} alone"),
            Placement::Anywhere { prefer, ha } => {
                let rather = prefer.iter().map(ToString::to_string).collect::<Vec<_>>().join(", ");
                let rather =
                    if prefer.is_empty() { "any node".to_owned() } else { format!("{rather} rather than others") };
                format!(
                    "{rather}; {}",
                    if *ha { "started elsewhere if that dies" } else { "never started elsewhere by itself" }
                )
            }
        },
    ));
    about
}

/// The nodes that a machine runs on.
pub(super) fn running(spec: &Spec, inventory: &Inventory, name: &MachineName) -> Vec<NodeName> {
    let goes_on = |seen| held(spec, seen, name).is_some_and(Running::goes_on);
    inventory.seen().filter(|(_, seen)| goes_on(seen)).map(|(node, _)| node.clone()).collect()
}
