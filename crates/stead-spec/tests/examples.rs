//! The examples are what they say they are.

use stead_spec::diagnostic::{Code, Style};
use stead_spec::network::Carrier;
use stead_spec::volumes::{Content, Layout};
use stead_spec::{Spec, parse};

/// Reads an example, which has these warnings and nothing worse.
fn example(name: &str, warnings: &[Code]) -> Spec {
    let path = format!("{}/../../examples/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"));
    let said = |report: &stead_spec::Report| {
        let all = report.diagnostics().iter().map(|diagnostic| report.render(diagnostic, Style::Plain));
        all.collect::<Vec<_>>().join("\n\n")
    };
    let (spec, report) = parse(name, &bytes).unwrap_or_else(|report| panic!("{}", said(&report)));
    let codes: Vec<_> = report.diagnostics().iter().map(|diagnostic| diagnostic.code).collect();
    assert_eq!(codes, warnings, "{}", said(&report));
    spec
}

fn text(value: &impl ToString) -> String {
    value.to_string()
}

#[test]
fn minimal() {
    let spec = example("minimal.toml", &[Code::UnlockByNodes]);
    let nodes: Vec<_> =
        spec.nodes().values().map(|node| (text(&node.name), text(&node.core), node.disks.len())).collect();
    assert_eq!(
        nodes,
        [
            ("node1".to_owned(), "10.10.0.1".to_owned(), 1),
            ("node2".to_owned(), "10.10.0.2".to_owned(), 1),
            ("node3".to_owned(), "10.10.0.3".to_owned(), 1),
        ]
    );
    let links: Vec<_> = spec.nodes().values().flat_map(|node| node.links.values().map(text)).collect();
    assert_eq!(links, ["10.10.1.1/24", "10.10.1.2/24", "10.10.1.3/24"]);
    assert_eq!(spec.host().ssh_from.iter().map(text).collect::<Vec<_>>(), ["lan"]);
    assert!(spec.router().is_none() && spec.telemetry().is_none());
}

#[test]
fn pi() {
    let spec = example("pi.toml", &[]);
    let Content::Replicated { copies, nodes, arbiters, .. } =
        &spec.volumes().values().next().expect("a volume").content
    else {
        panic!("gv0 is replicated");
    };
    assert_eq!(copies.get(), 2);
    assert_eq!(nodes.keys().map(text).collect::<Vec<_>>(), ["pi1", "pi2"]);
    assert_eq!(arbiters.keys().map(text).collect::<Vec<_>>(), ["pi3"]);
    assert_eq!(spec.core().links.len(), 1);
}

#[test]
fn five() {
    let spec = example("five.toml", &[]);
    let of = |name: &str| {
        let volume = spec.volumes().values().find(|volume| volume.name.as_ref() == name).expect(name);
        let Content::Replicated { copies, layout, nodes, .. } = &volume.content else { panic!("{name} is replicated") };
        (copies.get(), *layout, nodes.len())
    };
    assert_eq!(of("large"), (3, Layout::Plain, 3));
    assert_eq!(of("fast"), (3, Layout::Chained, 5));
    let inside = spec.networks().values().find(|network| network.name.as_ref() == "inside").expect("inside");
    assert!(matches!(inside.carrier, Carrier::Core { .. }));
    assert_eq!(inside.mtu.get(), 1500, "the core has room for whole packets");
}

#[test]
fn reference() {
    let spec = example("reference.toml", &[]);
    assert_eq!(spec.core().mtu.get(), 9000);
    assert_eq!(spec.core().links.len(), 3);
    let links: Vec<_> = spec.nodes().values().flat_map(|node| node.links.values().map(text)).collect();
    assert_eq!(links[..3], ["10.10.1.1/24", "10.10.2.1/24", "10.10.3.1/24"]);
    let router = spec.router().expect("a router");
    assert!(router.pair);
    let forwards: Vec<_> = router.forwards.values().map(|forward| (text(&forward.to), forward.to_port.get())).collect();
    assert_eq!(forwards, [("192.168.40.10".to_owned(), 443), ("192.168.40.10".to_owned(), 80)]);
    let backup = spec.backups().values().next().expect("a backup");
    assert_eq!(backup.machines.iter().map(text).collect::<Vec<_>>(), ["db1", "desk", "web1"]);
    assert_eq!(backup.to.len(), 2);
    let k8s = spec.machines().values().find(|machine| machine.name.as_ref() == "k8s1").expect("k8s1");
    assert_eq!(k8s.disks.iter().map(|disk| text(&disk.name)).collect::<Vec<_>>(), ["root", "osd"]);
}
