//! Devices that stead made once and the file doesn't ask for any more.

use stead_spec::words::quote;

use super::layout::Layout;
use super::{networkd, ovs};
use crate::inventory::FileState;
use crate::plan::planner::NodePlan;

/// Files of networkd's with stead's mark, and ports and bridges with it, that nobody asks for. They stay.
pub(super) fn leftovers(plan: &mut NodePlan<'_, '_>, layout: &Layout<'_>) {
    let (files, _) = networkd::files(plan.spec, layout);
    for (path, state) in &plan.seen.files {
        let here = path.parent().is_some_and(|folder| folder == networkd::FOLDER);
        let asked = files.iter().any(|file| file.path == *path);
        // Of a NIC that is gone, they are for when it is back.
        let kept = !layout.missing.is_empty();
        if here && !asked && !kept && matches!(state.as_result(), Ok(FileState::File(_))) {
            let remove = format!("rm {} && networkctl reload", quote(path.as_str()));
            plan.leftover(path.to_string(), remove);
        }
    }
    let Some(Some(now)) = plan.seen.ovs.get() else { return };
    let want = ovs::wanted(plan.spec, plan.node, layout);
    let id = plan.spec.cluster().id.to_string();
    for (name, bridge) in now.bridges.iter().filter(|(_, bridge)| bridge.external_ids.get(ovs::MARK) == Some(&id)) {
        let Some(asked) = want.bridges.get(name) else {
            plan.leftover(format!("the bridge {name}"), format!("ovs-vsctl del-br {name}"));
            continue;
        };
        let own = bridge.ports.iter().filter(|(_, port)| port.external_ids.get(ovs::MARK) == Some(&id));
        for (port, _) in own.filter(|(port, _)| !asked.ports.contains_key(*port)) {
            plan.leftover(format!("the port {port} of {name}"), format!("ovs-vsctl del-port {name} {port}"));
        }
    }
}
