//! libvirt on a node: how it is started, what it listens at, and whom it believes.

use stead_spec::Spec;

use super::{hosts, migration};
use crate::disks;
use crate::inventory::{Activity, Enablement, Questions};
use crate::op::Program;
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, header, look};
use crate::secret::certificate;
use crate::step::About;

const UNIT: &str = "libvirtd.service";
const UNIT_FILE: &str = "/etc/systemd/system/libvirtd.service";
const CONFIG: &str = "/etc/libvirt/libvirtd.conf";
const QEMU: &str = "/etc/libvirt/qemu.conf";

/// What must not run beside it. With systemd's sockets, it takes no connection by TLS but from one of them, and can't be
/// started before its key is there; without any, it listens by itself (libvirtd(8)). And a node's machines aren't for a
/// unit to stop that knows of no other node.
const NEVER: [&str; 6] = [
    "libvirt-guests.service",
    "libvirtd-admin.socket",
    "libvirtd-ro.socket",
    "libvirtd-tcp.socket",
    "libvirtd-tls.socket",
    "libvirtd.socket",
];

/// What keeps machines' logs, and what keeps their disks from being opened twice.
const HELPERS: [&str; 2] = ["virtlogd.socket", "virtlockd.socket"];

/// Certificate and key in one file, which all of libvirt's paths lead to. It is secret, so it lies in the vault.
const KEY: &str = "/var/lib/stead/vault/machines.pem";

/// Where libvirt looks for them, as it was built: as a server, and as a client of another node's.
const LINKS: [&str; 4] = [
    "/etc/pki/libvirt/servercert.pem",
    "/etc/pki/libvirt/clientcert.pem",
    "/etc/pki/libvirt/private/serverkey.pem",
    "/etc/pki/libvirt/private/clientkey.pem",
];
const CA: &str = "/etc/pki/CA/cacert.pem";
const FOLDERS: [&str; 4] = ["/etc/pki", "/etc/pki/CA", "/etc/pki/libvirt", "/etc/pki/libvirt/private"];

/// Who is in it talks with libvirt without a password: by virt-manager, from a desktop, over ssh.
const GROUP: &str = "libvirt";

const TLS: &str = "tls";
pub(super) const STEP: &str = "hypervisor";

/// What certificates for it are called among those of all engines.
const PURPOSE: &str = "machines";

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([UNIT_FILE, CONFIG, QEMU, KEY, CA].map(Into::into));
    out.files.extend(LINKS.iter().chain(&FOLDERS).map(Into::into));
    out.units.extend(NEVER.iter().chain(&HELPERS).chain([&UNIT]).map(ToString::to_string));
}

/// Before the daemon starts: it doesn't without its certificate.
pub(super) fn tls(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let mut step = plan.draft(TLS, "have a certificate for the machines of the other nodes");
    if !disks::vault_is_open(plan) {
        return Err(Hidden::new("its certificate", "the vault, which has it, isn't mounted"));
    }
    step.file(&Managed::secret(KEY, plan.secret(&certificate(PURPOSE, &plan.node.name))))?;
    for folder in FOLDERS {
        step.folder(folder)?;
    }
    for path in LINKS {
        step.link(path, KEY)?;
    }
    step.file(&Managed::new(CA, header("#") + &plan.trusted(PURPOSE)))?;
    step.after_packages();
    step.after_step(disks::vault_step(plan.node));
    plan.add(step);
    Ok(())
}

pub(super) fn hypervisor(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    if !disks::vault_is_open(plan) {
        return Err(Hidden::new("its hypervisor", "the vault, which has its certificate, isn't mounted"));
    }
    let mut step = plan.draft(STEP, "have the hypervisor run");
    let mut restart = plan.has(&plan.id(TLS));
    restart |= step.file(&Managed::new(CONFIG, header("#") + &config(plan)))?;
    restart |= step.file(&Managed::new(QEMU, header("#") + &qemu()))?;
    restart |= step.unit_file(&Managed::new(UNIT_FILE, header("#") + &unit()))?;
    for unit in NEVER {
        let is = look(plan.seen, unit)?;
        if is.enablement != Enablement::Masked || is.activity == Activity::Active {
            step.why(format!("{unit} must not run beside it"));
            step.rests_on(About::Unit(unit.to_owned()))?;
            step.mask(unit);
            restart = true;
        }
    }
    for helper in HELPERS {
        step.service(helper, Comes::Running, false)?;
    }
    step.service(UNIT, Comes::Running, restart)?;
    disks::network_steps(plan.node).for_each(|before| step.after_step(before));
    step.after_packages();
    step.after(TLS);
    // It ends, some seconds after it was ready, where there is no folder for QEMU's certificate.
    step.after(migration::STEP);
    plan.add(step);
    Ok(())
}

/// Those who may use it from their desktops.
pub(super) fn users(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let users = plan.seen.users.as_result().map_err(|why| Hidden::new("which accounts there are", why))?;
    for name in plan.spec.admins().keys() {
        let name: &str = name.as_ref();
        if users.get(name).is_some_and(|user| user.groups.contains(GROUP)) {
            continue;
        }
        let mut step = plan.draft(&format!("user-{name}"), format!("let {name} use the hypervisor from a desktop"));
        step.why(format!("the account {name} is not in the group {GROUP}"));
        step.rests_on(About::User(name.to_owned()))?;
        step.run(Program::Usermod.command().args(["--append", "--groups", GROUP, name]));
        step.after_step(crate::host::account_step(plan.node, name));
        step.after_packages();
        plan.add(step);
    }
    Ok(())
}

/// For other nodes in the core, and for programs on this one.
fn config(plan: &NodePlan<'_, '_>) -> String {
    let names = hosts(plan.spec).map(|node| format!("\"CN={}\"", node.name)).collect::<Vec<_>>().join(", ");
    format!(
        "
# Other nodes, by their certificates, and in the core only: they move machines here.
listen_tls = 1
listen_tcp = 0
listen_addr = \"{}\"
tls_allowed_dn_list = [{names}]
# Programs on this node, and those that come by ssh.
unix_sock_group = \"{GROUP}\"
unix_sock_ro_perms = \"0777\"
unix_sock_rw_perms = \"0770\"
auth_unix_ro = \"none\"
auth_unix_rw = \"none\"
",
        plan.node.core
    )
}

fn qemu() -> String {
    let folder = migration::FOLDER;
    format!(
        "
# Who opens a machine's disk holds a lock on it, on whichever node. That is the second net: fencing decides.
lock_manager = \"lockd\"
# Machines move from node to node here, and never in clear.
migration_port_min = 49152
migration_port_max = 49215
migrate_tls_x509_cert_dir = \"{folder}\"
migrate_tls_x509_verify = 1
migrate_tls_force = 1
"
    )
}

/// In place of Debian's, which is started by its sockets, without the key, and ends after two minutes of nobody asking.
fn unit() -> String {
    let (vault, helpers, qemu) = (disks::VAULT_UNIT, HELPERS.join(" "), migration::UNIT);
    format!(
        "
[Unit]
Description=What runs machines (libvirt)
Documentation=man:libvirtd(8)
Requires={helpers}
Wants={qemu}
After=network-online.target frr.service openvswitch-switch.service dbus.service apparmor.service {helpers} {vault} {qemu}
# Its key is in the vault, which starts it.
ConditionPathExists={KEY}
StartLimitIntervalSec=0

[Service]
Type=notify
ExecStart=/usr/sbin/libvirtd --listen
ExecReload=/bin/kill -HUP $MAINPID
# Machines go on without it.
KillMode=process
# With what it can't start by, it ends as if all were well.
Restart=always
RestartSec=5
LimitNOFILE=1024:524288
TasksMax=32768
LimitMEMLOCK=64M

[Install]
WantedBy={vault}
"
    )
}

/// The nodes' certificates for it.
pub(super) fn certificates(spec: &Spec) -> Vec<String> {
    hosts(spec).map(|node| certificate(PURPOSE, &node.name)).collect()
}
