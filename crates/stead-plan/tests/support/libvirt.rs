//! libvirt's networks as a model: what virsh makes of commands on one node. It knows nothing of steps.

use stead_plan::inventory::Known;
use stead_plan::machines::{Hypervisor, VirtualNetwork};

/// Runs `virsh …`; `None` if it doesn't know that.
pub(crate) fn virsh(hypervisor: &mut Hypervisor, words: &[&str], stdin: Option<&str>) -> Option<Result<(), String>> {
    let Known::Is(networks) = &mut hypervisor.networks else { return None };
    if let ["net-define", "/dev/stdin"] = words {
        let text = stdin.unwrap_or_default();
        let between = |from: &str, to: &str| text.split_once(from)?.1.split_once(to).map(|(word, _)| word.to_owned());
        let Some(name) = between("<name>", "</name>") else { return Some(Err("missing domain state".to_owned())) };
        let before = networks.get(&name).cloned().unwrap_or_default();
        let network = VirtualNetwork {
            uuid: between("<uuid>", "</uuid>").unwrap_or_default(),
            bridge: between("<bridge name=\"", "\""),
            openvswitch: text.contains("<virtualport type=\"openvswitch\"/>"),
            vlan: between("<tag id=\"", "\"").and_then(|id| id.parse().ok()),
            ..VirtualNetwork { others: std::collections::BTreeSet::new(), ..before }
        };
        networks.insert(name, network);
        return Some(Ok(()));
    }
    let [verb, name] = words else { return None };
    let Some(network) = networks.get_mut(*name) else { return Some(Err("Network not found".to_owned())) };
    match *verb {
        "net-autostart" => network.autostart = true,
        "net-start" if network.active => return Some(Err("network is already active".to_owned())),
        "net-start" => network.active = true,
        "net-destroy" if !network.active => return Some(Err("network is not active".to_owned())),
        "net-destroy" => network.active = false,
        _ => return None,
    }
    Some(Ok(()))
}
