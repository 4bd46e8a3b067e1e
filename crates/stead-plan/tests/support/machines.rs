//! A cluster file with machines, and what libvirt makes of its plan.

use stead_plan::inventory::{Activity, Enablement, Known, NodeInventory, Questions};
use stead_plan::machines::{Hypervisor, Membership};
use stead_plan::machines::{Processor, Running};
use stead_plan::op::{Argument, Op, Program};
use stead_plan::plan::{Plan, questions};
use stead_plan::step::Step;
use stead_spec::Spec;
use stead_spec::units::NodeName;

use super::{TOML, libvirt, pacemaker, unit, units};

/// The cluster file that cases start from, with a machine, and two more networks for it.
pub(crate) fn with_machines() -> String {
    let more = r##"
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

[image.cloud]
url = "https://images.example/cloud.qcow2"
sha256 = "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08"

[machine.web2]
image = "cloud"
memory = "512MiB"
disks = [{ size = "2GiB", volume = "gv0" }]
networks = [{ network = "lan", address = "192.168.0.70" }, "lab"]
cloud_init = { user_data = "#cloud-config\npackages: [htop]\n" }
after = ["web1"]
"##;
    TOML.to_owned() + more
}

/// What is installed on a node of Debian 13 for them.
pub(crate) const PACKAGES: [&str; 14] = [
    "corosync",
    "curl",
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
    "xorriso",
];

/// What a node without machines tells of what it could run them with.
pub(super) fn bare(questions: &Questions) -> Hypervisor {
    let flags = ["aes", "cx16", "lahf_lm", "pclmulqdq", "pni", "popcnt", "sse4_1", "sse4_2", "ssse3"];
    let model = "GenuineIntel 6 95 1, EXAMPLE Processor 4000".to_owned();
    let processor = Processor { accelerates: true, model, flags: flags.map(str::to_owned).into() };
    Hypervisor {
        processor: (!questions.disk_files.is_empty()).then_some(Known::Is(processor)),
        disks: questions.disk_files.iter().map(|path| (path.clone(), Known::Is(None))).collect(),
        ..Hypervisor::default()
    }
}

/// A plan's commands of some programs, in some steps: each with its words, none of which an output fills, and what it reads.
fn commands<'a>(
    plan: &'a Plan,
    programs: &'a [Program],
    of: impl Fn(&Step) -> bool + 'a,
) -> impl Iterator<Item = (Program, Vec<&'a str>, Option<&'a str>)> {
    let ops = plan.steps.iter().filter(move |step| of(step)).flat_map(|step| &step.ops);
    ops.filter_map(|op| {
        let Op::Run(command) = op else { return None };
        let text = |word: &'a Argument| match word {
            Argument::Text(text) => text.as_str(),
            other => panic!("{other:?}"),
        };
        let of_these = programs.contains(&command.program);
        of_these.then(|| {
            let stdin = command.stdin.as_ref().map(|stdin| stdin.text.as_str());
            (command.program, command.arguments.iter().map(text).collect(), stdin)
        })
    })
}

/// A machine that runs, by the file that the plan has for it.
fn running(plan: &Plan, machine: &str) -> Option<Running> {
    let path = format!("/etc/stead/machines/{machine}.xml");
    let text = plan.steps.iter().flat_map(|step| &step.ops).find_map(|op| match op {
        Op::Write(write) if write.path == path => Some(&write.text),
        _ => None,
    });
    let (_, after) = text?.split_once("<uuid>")?;
    let uuid = after.split_once('<')?.0.to_owned();
    Some(Running { uuid, state: "running".to_owned(), reason: "booted".to_owned(), screen: Some(5900) })
}

/// What libvirt and pacemaker make of the plan.
pub(super) fn hypervisor(spec: &Spec, plan: &Plan, name: &NodeName, node: &mut NodeInventory) {
    for (_, words, stdin) in commands(plan, &[Program::Virsh], |step| step.id.node == *name) {
        libvirt::virsh(&mut node.hypervisor, &words, stdin).unwrap().unwrap();
    }
    // What is set is the same on all nodes, whichever sets it; and their disks lie on a volume of all.
    let members = spec.nodes().keys().map(|name| (name.to_string(), true)).collect();
    let identity = node.watchdogs.get().and_then(|all| all.first()).map(|watchdog| watchdog.identity.clone());
    let tested = spec.nodes().keys().filter_map(|name| Some((name.to_string(), identity.clone()?))).collect();
    let mut cib = Membership { quorate: true, members, tested, ..Membership::default() };
    let mut files = libvirt::DiskFiles::new();
    let of_files = [Program::Curl, Program::Mv, Program::QemuImg, Program::SystemdRun, Program::Xorrisofs];
    let programs = [&of_files[..], &[Program::Cibadmin, Program::CrmAttribute]].concat();
    for (program, words, stdin) in commands(plan, &programs, |_| true) {
        match (program, words.as_slice()) {
            (Program::CrmAttribute, [.., property, _, value]) => {
                cib.properties.insert((*property).to_owned(), (*value).to_owned());
            }
            (Program::Cibadmin, words) => pacemaker::cibadmin(&mut cib, words, stdin).unwrap().unwrap(),
            (program, words) if of_files.contains(&program) => {
                // Other files are others' matter.
                if let Some(ran) = libvirt::disk_files(&mut files, program, words, stdin, false) {
                    ran.unwrap();
                }
            }
            _ => {}
        }
    }
    // All of them run on the first node.
    if spec.nodes().keys().next() == Some(name) {
        let on = cib.resources.keys().filter_map(|machine| Some((machine.clone(), running(plan, machine)?)));
        node.hypervisor.running = Known::Is(on.collect());
    }
    if !spec.machines().is_empty() {
        node.hypervisor.membership = Known::Is(Some(cib));
    }
    for (path, file) in &mut node.hypervisor.disks {
        *file = Known::Is(files.get(path).cloned());
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
