//! What holds of every plan, whatever nodes say.
#![allow(clippy::unwrap_used, reason = "a test ends there")]

use proptest::prelude::*;
use proptest::sample::select;
use stead_plan::inventory::{
    Activity, Enablement, FileState, Inventory, Known, NodeInventory, Observation, PackageState, Release,
};
use stead_plan::plan::{Asked, Detail, Plan, lint, plan};
use stead_plan::step::{StepId, overtaken};

use support::{TOML, converged, file, fresh, node, packages, spec, unit, units, users};

#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it, and ends where that goes wrong")]
mod support;

const EVERYTHING: &str = "[host]\nswap = \"4GiB\"\npackages = [\"htop\"]\nsysctl = { \"vm.swappiness\" = \"10\" }\n\n";

/// Something that happens to a node: what, and a number to choose by.
type Event = (u8, usize);

fn toml(everything: bool) -> String {
    let host = if everything { EVERYTHING } else { "" };
    TOML.replacen("[switch.sw1]", &format!("{host}[switch.sw1]"), 1)
}

fn asked_plan(toml: &str, inventory: &Inventory) -> Plan {
    let (spec, digest) = spec(toml.as_bytes());
    plan(
        &Asked { spec: &spec, digest: &digest, ancestors: &[], sums: &support::sums(), trusted: &support::trusted() },
        inventory,
    )
}

fn happen(inventory: &mut Inventory, name: &str, (what, which): Event) {
    fn pick<K: Clone>(mut keys: impl ExactSizeIterator<Item = K>, which: usize) -> Option<K> {
        let count = keys.len();
        if count == 0 { None } else { keys.nth(which % count) }
    }
    if matches!(inventory.nodes[&support::name(name)], Observation::Silent(_)) {
        return;
    }
    let hidden = || "it could not be read".to_owned();
    let seen: &mut NodeInventory = node(inventory, name);
    match what % 14 {
        0 => {
            inventory.nodes.insert(support::name(name), Observation::Silent("no route".to_owned()));
        }
        1 => {
            if let Some(path) = pick(seen.files.keys().cloned().collect::<Vec<_>>().into_iter(), which) {
                let lost = [Known::Is(FileState::Absent), Known::Unknown(hidden()), file("something else\n")];
                seen.files.insert(path, lost[which % 3].clone());
            }
        }
        2 => {
            if matches!(seen.packages, Known::Is(_)) {
                let packages = packages(seen);
                if let Some(name) = pick(packages.keys().cloned().collect::<Vec<_>>().into_iter(), which) {
                    let state = [PackageState::Broken, PackageState::Removed][which % 2];
                    packages.get_mut(&name).unwrap().state = state;
                }
            }
        }
        3 => seen.packages = Known::Unknown(hidden()),
        4 => {
            if matches!(seen.units, Known::Is(_)) {
                let units = units(seen);
                let states = [
                    unit(Enablement::Masked, Activity::Inactive),
                    unit(Enablement::Disabled, Activity::Failed),
                    unit(Enablement::Enabled, Activity::Changing),
                ];
                if let Some(name) = pick(units.keys().cloned().collect::<Vec<_>>().into_iter(), which) {
                    units.insert(name, states[which % 3].clone());
                }
            }
        }
        5 => seen.units = Known::Unknown(hidden()),
        6 => seen.clock.ahead = [i64::MIN, -3_000, 0, 3_000, i64::MAX][which % 5],
        7 => seen.stamp = [Known::Is(None), Known::Unknown(hidden())][which % 2].clone(),
        8 => seen.generation = [Known::Is(None), Known::Unknown(hidden())][which % 2].clone(),
        9 => seen.hostname = [Known::Is("other".to_owned()), Known::Unknown(hidden())][which % 2].clone(),
        10 => seen.timezone = [Known::Is("UTC".to_owned()), Known::Unknown(hidden())][which % 2].clone(),
        11 => {
            if matches!(seen.users, Known::Is(_)) {
                users(seen).clear();
            }
        }
        12 => seen.users = Known::Unknown(hidden()),
        _ => {
            for value in seen.sysctl.values_mut() {
                *value =
                    [Known::Is(Some("1".to_owned())), Known::Is(None), Known::Unknown(hidden())][which % 3].clone();
            }
        }
    }
}

fn events() -> impl Strategy<Value = Vec<(&'static str, Event)>> {
    let event = (any::<u8>(), 0..1_000_usize);
    prop::collection::vec((select(vec!["node1", "node2", "node3"]), event), 0..6)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 128, ..ProptestConfig::default() })]

    #[test]
    fn every_plan_is_sound(
        everything: bool,
        new: bool,
        bookworm: bool,
        events in events(),
    ) {
        let toml = toml(everything);
        let release = if bookworm { Release::Bookworm } else { Release::Trixie };
        let mut inventory = if new { fresh(&spec(toml.as_bytes()).0, &release) } else { converged(&toml, &release) };
        for (name, event) in events {
            happen(&mut inventory, name, event);
        }
        let plan = asked_plan(&toml, &inventory);
        prop_assert_eq!(&plan, &asked_plan(&toml, &inventory));
        prop_assert_eq!(lint(&plan), vec![]);
        prop_assert_eq!(&plan.refusals, &vec![]);
        prop_assert_eq!(overtaken(&plan, &inventory), vec![]);
        prop_assert!(plan.render(Detail::Texts, &|_, text| text.to_owned()).ends_with(&(plan.summary() + "\n")));
        // No step on a node comes before its stamp.
        for (at, step) in plan.steps.iter().enumerate() {
            let stamp = StepId { what: "stamp".to_owned(), layer: stead_plan::step::Layer::Host, ..step.id.clone() };
            if let Some(stamped) = plan.steps.iter().position(|step| step.id == stamp) {
                prop_assert!(stamped <= at);
                prop_assert!(stamped == at || step.after.contains(&stamp), "{}", step.id);
            }
        }
        // Nothing is done where whose node it is isn't known.
        for (name, observation) in &inventory.nodes {
            let known = match observation {
                Observation::Seen(node) => node.stamp.get().is_some() && node.generation.get().is_some(),
                Observation::Silent(_) => false,
            };
            prop_assert!(known || plan.steps.iter().all(|step| step.id.node != *name));
            prop_assert!(known || plan.unknown.iter().any(|unknown| unknown.node == *name));
        }
    }
}

#[test]
fn what_is_as_asked_gets_no_plan() {
    for everything in [false, true] {
        for release in [Release::Trixie, Release::Bookworm] {
            let toml = toml(everything);
            let plan = asked_plan(&toml, &converged(&toml, &release));
            assert!(plan.is_empty(), "{}", plan.render(Detail::Steps, &|_, text| text.to_owned()));
            assert_eq!((plan.leftovers.as_slice(), plan.unknown.as_slice()), (&[][..], &[][..]));
        }
    }
}

#[test]
fn one_change_gives_one_step() {
    let mut inventory = converged(TOML, &Release::Trixie);
    packages(node(&mut inventory, "node3")).remove("nftables");
    let plan = asked_plan(TOML, &inventory);
    let steps: Vec<String> = plan.steps.iter().map(|step| step.id.to_string()).collect();
    assert_eq!(steps, ["host/node3/packages"]);
    // And what it rests on is seen to change.
    assert_eq!(overtaken(&plan, &inventory), []);
    packages(node(&mut inventory, "node3")).insert(
        "nftables".to_owned(),
        stead_plan::inventory::Package { version: "1".to_owned(), state: PackageState::Installed },
    );
    let gone: Vec<_> = overtaken(&plan, &inventory).into_iter().map(|(_, fact, now)| (fact.was, now)).collect();
    assert_eq!(gone, [("absent".to_owned(), "installed".to_owned())]);
    inventory.nodes.insert(support::name("node3"), Observation::Silent("no route".to_owned()));
    assert_eq!(overtaken(&plan, &inventory).len(), 1);
}
