//! The layer `machines`: what the hypervisor has.

mod networks;

use stead_plan::machines::Hypervisor;

use crate::place::Place;

/// What a node tells of its hypervisor: by its files, for to ask its daemon starts it.
pub(crate) fn look(place: &Place) -> Hypervisor {
    Hypervisor { networks: networks::look(place).into() }
}
