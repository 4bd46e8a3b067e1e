//! What a machine's memory is encrypted by on its way to another node.
//!
//! ```text
//! vault ── qemu/node.pem ◄── /etc/pki/qemu, a bind mount ◄── QEMU
//! ```
//!
//! QEMU runs as nobody in particular, and whoever breaks out of a machine has what it has. So its certificate is of a CA of
//! its own: it opens no hypervisor. `AppArmor` lets QEMU read in `/etc/pki/qemu` alone (`abstractions/libvirt-qemu`), and goes
//! by where a file is mounted.

use stead_spec::Spec;

use super::hosts;
use crate::disks;
use crate::inventory::{Mode, Questions};
use crate::plan::planner::{Comes, Hidden, Managed, NodePlan, header};
use crate::secret::certificate;

/// Where QEMU reads it.
pub(super) const FOLDER: &str = "/etc/pki/qemu";
pub(super) const UNIT: &str = "etc-pki-qemu.mount";
const UNIT_FILE: &str = "/etc/systemd/system/etc-pki-qemu.mount";

/// Where it lies.
const IN_VAULT: &str = "/var/lib/stead/vault/qemu";
const KEY: &str = "/var/lib/stead/vault/qemu/node.pem";
const CA: &str = "/var/lib/stead/vault/qemu/ca-cert.pem";

/// What QEMU looks for, as the node that a machine comes to and as the one that it leaves: each is certificate and key.
const LINKS: [&str; 4] = ["server-cert.pem", "server-key.pem", "client-cert.pem", "client-key.pem"];

/// Those that QEMU runs as (Debian's `libvirt-daemon-system` makes it).
const GROUP: &str = "libvirt-qemu";

/// What certificates for it are called among those of all engines.
const PURPOSE: &str = "migration";

pub(super) const STEP: &str = "migration";

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([UNIT_FILE, IN_VAULT, KEY, CA].map(Into::into));
    out.files.extend(LINKS.map(|name| format!("{IN_VAULT}/{name}").into()));
    out.units.insert(UNIT.to_owned());
}

pub(super) fn migration(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    if !disks::vault_is_open(plan) {
        return Err(Hidden::new("its certificate for moving machines", "the vault, which has it, isn't mounted"));
    }
    let mut step = plan.draft(STEP, "encrypt the memory of machines that move");
    step.own_folder(IN_VAULT, Mode(0o755))?;
    let key = Managed::secret(KEY, plan.secret(&certificate(PURPOSE, &plan.node.name)));
    step.file(&Managed { mode: Mode(0o640), group: Some(GROUP), ..key })?;
    for name in LINKS {
        step.link(&format!("{IN_VAULT}/{name}"), "node.pem")?;
    }
    step.file(&Managed::new(CA, header("#") + &plan.trusted(PURPOSE)))?;
    let written = step.unit_file(&Managed::new(UNIT_FILE, header("#") + &unit()))?;
    step.service(UNIT, Comes::Running, written)?;
    step.after_packages();
    step.after_step(disks::vault_step(plan.node));
    plan.add(step);
    Ok(())
}

fn unit() -> String {
    let vault = disks::VAULT_UNIT;
    format!(
        "
[Unit]
Description=QEMU's key, by which machines move from node to node
BindsTo={vault}
After={vault}

[Mount]
What={IN_VAULT}
Where={FOLDER}
Type=none
Options=bind

[Install]
WantedBy={vault}
"
    )
}

/// The nodes' certificates for it.
pub(super) fn certificates(spec: &Spec) -> Vec<String> {
    hosts(spec).map(|node| certificate(PURPOSE, &node.name)).collect()
}
