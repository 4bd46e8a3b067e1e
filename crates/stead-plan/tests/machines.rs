//! What people ask of machines and of the nodes that they run on: as plans, and what is refused.
#![allow(clippy::unwrap_used, clippy::panic, reason = "a test ends there")]

use stead_plan::inventory::{Inventory, Known, Release};
use stead_plan::machines::{Membership, errands};
use stead_plan::plan::{Asked, Detail, Plan, lint};
use stead_spec::units::{MachineName, NodeName};

use support::machines::with_machines;
use support::{converged, node};

#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it, and ends where that goes wrong")]
mod support;

const NODES: [&str; 3] = ["node1", "node2", "node3"];

/// A cluster on which all is as asked, with this more.
fn after(change: impl FnOnce(&mut Inventory)) -> Inventory {
    let mut inventory = converged(&with_machines(), &Release::Trixie);
    change(&mut inventory);
    inventory
}

/// What pacemaker knows, the same on all nodes.
fn known(inventory: &mut Inventory, change: impl Fn(&mut Membership)) {
    for name in NODES {
        let Known::Is(Some(membership)) = &mut node(inventory, name).hypervisor.membership else { panic!("{name}") };
        change(membership);
    }
}

/// A plan about the cluster, which breaks no promise.
fn planned(inventory: &Inventory, plan: impl FnOnce(&Asked<'_>, &Inventory) -> Plan) -> Plan {
    let (spec, digest) = support::spec(with_machines().as_bytes());
    let (sums, trusted) = (support::sums(), support::trusted());
    let asked = Asked { spec: &spec, digest: &digest, ancestors: &[], sums: &sums, trusted: &trusted };
    let plan = plan(&asked, inventory);
    assert_eq!(lint(&plan), []);
    plan
}

fn told(plan: &Plan) -> String {
    plan.render(Detail::Steps, &|_, text| text.to_owned())
}

fn machine(name: &str) -> MachineName {
    name.parse().unwrap()
}

fn of(name: &str) -> NodeName {
    name.parse().unwrap()
}

#[test]
fn a_machine_is_stopped_started_and_moved() {
    let runs = after(|_| {});
    let stop = planned(&runs, |asked, inventory| errands::stop(asked, inventory, &machine("web1")));
    let migrate = planned(&runs, |asked, inventory| errands::migrate(asked, inventory, &machine("web1"), &of("node2")));
    let start = planned(&runs, |asked, inventory| errands::start(asked, inventory, &machine("web1")));
    assert!(start.is_empty(), "it runs already");
    let off = after(|inventory| {
        known(inventory, |now| {
            let web1 = now.resources.get_mut("web1").unwrap();
            web1.insert("meta.target-role".to_owned(), "Stopped".to_owned());
        });
        node(inventory, "node1").hypervisor.running = Known::Is([].into());
    });
    let start = planned(&off, |asked, inventory| errands::start(asked, inventory, &machine("web1")));
    let again = planned(&off, |asked, inventory| errands::stop(asked, inventory, &machine("web1")));
    assert!(again.is_empty(), "it is off already");
    insta::assert_snapshot!([&stop, &start, &migrate].map(told).join("\n"));
}

#[test]
fn a_node_is_drained_let_back_and_booted() {
    let runs = after(|_| {});
    let drain = planned(&runs, |asked, inventory| errands::drain(asked, inventory, &of("node1")));
    let drained = after(|inventory| {
        known(inventory, |now| {
            now.drained.insert("node1".to_owned());
        });
        node(inventory, "node1").hypervisor.running = Known::Is([].into());
    });
    let undrain = planned(&drained, |asked, inventory| errands::undrain(asked, inventory, &of("node1")));
    let reboot = planned(&drained, |asked, inventory| errands::reboot(asked, inventory, &of("node1")));
    let off = planned(&runs, errands::off);
    insta::assert_snapshot!([&drain, &undrain, &reboot, &off].map(told).join("\n"));
}

#[test]
fn a_machine_is_destroyed_by_its_name() {
    let remove = planned(&after(|_| {}), |asked, inventory| errands::remove(asked, inventory, &machine("web2")));
    assert_eq!(remove.steps[0].destroys[0].typed, "web2");
    insta::assert_snapshot!(told(&remove));
}

#[test]
fn what_can_not_be_is_refused() {
    let why = |inventory: &Inventory, plan: &dyn Fn(&Asked<'_>, &Inventory) -> Plan| {
        let plan = planned(inventory, plan);
        assert!(plan.steps.is_empty());
        plan.refusals.iter().map(|refusal| format!("{} → {}", refusal.why, refusal.way)).collect::<Vec<_>>().join("\n")
    };
    let runs = after(|_| {});
    let to = |name: &'static str, to: &'static str| {
        move |asked: &Asked<'_>, inventory: &Inventory| errands::migrate(asked, inventory, &machine(name), &of(to))
    };
    let away = after(|inventory| {
        known(inventory, |now| {
            now.members.insert("node2".to_owned(), false);
        });
    });
    let drained = after(|inventory| {
        known(inventory, |now| {
            now.drained.insert("node2".to_owned());
        });
    });
    let alone = after(|inventory| known(inventory, |now| now.quorate = false));
    let behind = after(|inventory| {
        for brick in node(inventory, "node2").storage.bricks.values_mut() {
            let Known::Is(Some(brick)) = brick else { panic!("a brick") };
            brick.pending = 3;
        }
    });
    let boot = |asked: &Asked<'_>, inventory: &Inventory| errands::reboot(asked, inventory, &of("node1"));
    let off = after(|inventory| node(inventory, "node1").hypervisor.running = Known::Is([].into()));
    let said = [
        why(&runs, &to("web9", "node2")),
        why(&runs, &to("web1", "node9")),
        why(&away, &to("web1", "node2")),
        why(&drained, &to("web1", "node2")),
        why(&off, &to("web1", "node2")),
        why(&alone, &to("web1", "node2")),
        why(&runs, &boot),
        why(&behind, &boot),
    ];
    insta::assert_snapshot!(said.join("\n"));
}
