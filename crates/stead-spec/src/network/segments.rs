use std::collections::{BTreeMap, BTreeSet};

use crate::file::File;
use crate::units::SwitchName;

/// Which switches a frame gets to from which: those that cables link, however far.
#[derive(Debug)]
pub(crate) struct Segments {
    /// Each switch, with the first of those that it is connected with.
    first: BTreeMap<SwitchName, SwitchName>,
}

impl Segments {
    pub(crate) fn of(file: &File) -> Self {
        let mut neighbours: BTreeMap<&SwitchName, BTreeSet<&SwitchName>> = BTreeMap::new();
        for (name, table) in file.switch.entries() {
            neighbours.entry(&name.value).or_default();
            for other in table.value.linked_to.items() {
                neighbours.entry(&name.value).or_default().insert(&other.value);
                neighbours.entry(&other.value).or_default().insert(&name.value);
            }
        }
        let mut first = BTreeMap::new();
        for start in neighbours.keys() {
            let mut reached = vec![*start];
            while let Some(switch) = reached.pop() {
                if !first.contains_key(switch) {
                    first.insert(switch.clone(), (*start).clone());
                    reached.extend(neighbours.get(switch).into_iter().flatten());
                }
            }
        }
        Self { first }
    }

    /// What all switches of one segment have in common, and no others.
    pub(crate) fn segment<'a>(&'a self, switch: &'a SwitchName) -> &'a SwitchName {
        self.first.get(switch).unwrap_or(switch)
    }
}
