//! A cluster file with machines, and what libvirt makes of its plan.

use stead_plan::inventory::{Activity, Enablement, Known, NodeInventory};
use stead_plan::machines::Membership;
use stead_plan::op::{Argument, Command, Op, Program};
use stead_plan::plan::{Plan, questions};
use stead_spec::Spec;
use stead_spec::units::NodeName;

use super::{Outputs, TOML, libvirt, unit, units};

/// The cluster file that cases start from, with a machine, and two more networks for it.
pub(crate) fn with_machines() -> String {
    let more = r#"
[network.lab]
switches = ["sw1"]
vlan = 20

[network.island]
over = "core"
vlan = 30

[machine.web1]
memory = "512MiB"
disks = [{ size = "2GiB", volume = "gv0" }]
networks = ["lan", "lab"]
"#;
    TOML.to_owned() + more
}

/// What is installed on a node of Debian 13 for them.
pub(crate) const PACKAGES: [&str; 12] = [
    "corosync",
    "kmod",
    "libvirt-clients",
    "libvirt-daemon-lock",
    "libvirt-daemon-plugin-lockd",
    "libvirt-daemon-system",
    "pacemaker",
    "pacemaker-cli-utils",
    "qemu-system-x86",
    "qemu-utils",
    "resource-agents",
    "sbd",
];

/// What libvirt and pacemaker make of the plan.
pub(super) fn hypervisor(spec: &Spec, plan: &Plan, name: &NodeName, node: &mut NodeInventory) {
    for op in plan.steps.iter().filter(|step| step.id.node == *name).flat_map(|step| &step.ops) {
        let Op::Run(command) = op else { continue };
        if command.program == Program::Virsh {
            let words: Vec<String> = command.arguments.iter().map(|word| super::word(word, &Outputs::new())).collect();
            let words: Vec<&str> = words.iter().map(String::as_str).collect();
            let stdin = command.stdin.as_ref().map(|stdin| stdin.text.as_str());
            libvirt::virsh(&mut node.hypervisor, &words, stdin).unwrap().unwrap();
        }
    }
    // Properties are the same on all nodes, whichever sets them.
    for op in plan.steps.iter().flat_map(|step| &step.ops) {
        let Op::Run(Command { program: Program::CrmAttribute, arguments, .. }) = op else { continue };
        let [.., Argument::Text(property), _, Argument::Text(value)] = arguments.as_slice() else { continue };
        let Known::Is(membership) = &mut node.hypervisor.membership else { continue };
        let members = spec.nodes().keys().map(|name| (name.to_string(), true)).collect();
        let new = || Membership { quorate: true, members, ..Membership::default() };
        membership.get_or_insert_with(new).properties.insert(property.clone(), value.clone());
    }
    let others = ["corosync.service", "etc-pki-qemu.mount", "pacemaker.service", "sbd.service"];
    let is_its = |name: &&String| name.contains("virt") || others.contains(&name.as_str());
    for name in questions(spec, name).units.iter().filter(is_its) {
        let is = match name.as_str() {
            "libvirtd.service" | "virtlogd.socket" | "virtlockd.socket" => unit(Enablement::Enabled, Activity::Active),
            name if others.contains(&name) => unit(Enablement::Enabled, Activity::Active),
            _ => unit(Enablement::Masked, Activity::Inactive),
        };
        units(node).insert(name.clone(), is);
    }
}
