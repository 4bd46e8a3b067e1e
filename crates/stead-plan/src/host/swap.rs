//! Swap: a file on the OS disk, encrypted with a key that is new at each boot and that nobody knows.

use stead_spec::Bytes;

use crate::inventory::{Activity, NodeInventory, Questions};
use crate::op::Program;
use crate::plan::Block;
use crate::plan::planner::{Hidden, NodePlan, look};
use crate::step::About;

const IMAGE: &str = "/var/lib/stead/swap.img";
const CRYPTTAB: &str = "/etc/crypttab";
const FSTAB: &str = "/etc/fstab";
const BLOCK: Block = Block("swap");

/// The units that systemd makes of the two lines.
const SWAP: &str = r"dev-mapper-stead\x2dswap.swap";
const CRYPT: &str = r"systemd-cryptsetup@stead\x2dswap.service";

const CRYPTTAB_LINE: &str =
    "stead-swap /var/lib/stead/swap.img /dev/urandom plain,swap,cipher=aes-xts-plain64,size=512\n";
const FSTAB_LINE: &str = "/dev/mapper/stead-swap none swap nofail 0 0\n";

/// What swap's own header takes.
const PAGE: u64 = 4_096;

pub(super) fn questions(out: &mut Questions) {
    out.files.extend([CRYPTTAB, FSTAB].map(Into::into));
    out.units.insert(SWAP.to_owned());
}

pub(super) fn swap(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    in_clear(plan)?;
    let Some(size) = plan.spec.host().swap else { return leftover(plan) };
    let unit = look(plan.seen, SWAP)?;
    let runs = unit.activity == Activity::Active;
    let fits = runs && sized(plan.seen, size)?;
    let mut step = plan.draft("swap", format!("swap of {size}, encrypted with a key that nobody knows"));
    if runs && !fits {
        step.why("the swap in use has another size");
        for unit in [SWAP, CRYPT] {
            step.run(Program::Systemctl.command().args(["stop", unit]).timeout(600));
        }
    } else if !runs {
        step.why("it isn't in use");
    }
    if !fits {
        if runs {
            step.run(Program::Truncate.command().args(["--size=0", IMAGE]));
        }
        step.run(Program::Fallocate.command().args(["-l", &size.get().to_string(), IMAGE]).timeout(120));
    }
    let mut written = false;
    for (path, line) in [(CRYPTTAB, CRYPTTAB_LINE), (FSTAB, FSTAB_LINE)] {
        written |= step.unit_file(&plan.users_file(path)?.with_block(BLOCK, line)?)?;
    }
    if fits && !written {
        return Ok(());
    }
    step.rests_on(About::Unit(SWAP.to_owned()))?;
    step.start(Program::Systemctl.command().args(["start", SWAP]).timeout(120));
    step.after("packages");
    plan.add(step);
    Ok(())
}

/// Whether encrypted swap of this size is in use.
fn sized(seen: &NodeInventory, size: Bytes) -> Result<bool, Hidden> {
    let swaps = seen.swaps.as_result().map_err(|why| Hidden::new("swap in use", why))?;
    Ok(swaps.iter().any(|swap| swap.encrypted && swap.size.get().saturating_add(PAGE) == size.get()))
}

/// What is in memory may be secret, and swap in clear may write it to the OS disk.
fn in_clear(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let swaps = plan.seen.swaps.as_result().map_err(|why| Hidden::new("swap in use", why))?;
    for swap in swaps.iter().filter(|swap| !swap.encrypted) {
        plan.note(format!(
            "swap in {} is not encrypted, so secrets in memory may come to lie on that disk: `swapoff {}`, and take \
             its line out of {FSTAB}",
            swap.path, swap.path
        ));
    }
    Ok(())
}

fn leftover(plan: &mut NodePlan<'_, '_>) -> Result<(), Hidden> {
    let is_in = |path| plan.users_file(path).map(|file| BLOCK.is_in(&file.text));
    if is_in(FSTAB)? || is_in(CRYPTTAB)? {
        let remove = format!(
            "systemctl stop '{SWAP}' '{CRYPT}'; rm {IMAGE}; sed -i '/^# Managed by stead: swap, from here/,/^# Managed by \
             stead: swap, to here/d' {FSTAB} {CRYPTTAB}"
        );
        plan.leftover(format!("swap in {IMAGE}"), remove);
    }
    Ok(())
}
