//! A cluster file with machines, and what libvirt makes of its plan.

use stead_plan::inventory::{Activity, Enablement, NodeInventory};
use stead_plan::op::{Op, Program};
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
pub(crate) const PACKAGES: [&str; 6] = [
    "libvirt-clients",
    "libvirt-daemon-lock",
    "libvirt-daemon-plugin-lockd",
    "libvirt-daemon-system",
    "qemu-system-x86",
    "qemu-utils",
];

/// What libvirt makes of the plan.
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
    for name in questions(spec, name).units.iter().filter(|name| name.contains("virt")) {
        let is = match name.as_str() {
            "libvirtd.service" | "virtlogd.socket" | "virtlockd.socket" => unit(Enablement::Enabled, Activity::Active),
            _ => unit(Enablement::Masked, Activity::Inactive),
        };
        units(node).insert(name.clone(), is);
    }
}
