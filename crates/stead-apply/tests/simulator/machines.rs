//! A node's hypervisor: what libvirt has written down, and what its daemon has running.

use stead_plan::inventory::{Activity, Known, Questions};
use stead_plan::machines::{Hypervisor, Processor};

use crate::commands::{Cut, Ended, Failure, failed};
use crate::libvirt;
use crate::model::Node;

pub(crate) const DAEMON: &str = "libvirtd.service";

impl Node {
    /// What an agent would tell of it.
    pub(crate) fn hypervisor(&self, questions: &Questions) -> Hypervisor {
        let mut networks = self.disk.virtual_networks.clone();
        for (name, network) in &mut networks {
            network.active = self.boot.plugged.contains(name);
        }
        let together = self.together.borrow();
        let disks = questions.disk_files.iter();
        let disks = disks.map(|path| (path.clone(), Known::Is(together.files.get(path).cloned()))).collect();
        let processor = (!questions.disk_files.is_empty()).then(|| Known::Is(Processor::default()));
        let membership = Known::Is(self.membership());
        Hypervisor { networks: Known::Is(networks), membership, processor, disks, ..Hypervisor::default() }
    }

    /// Its daemon starts what is to be there after a boot.
    pub(crate) fn hypervisor_unit(&mut self, unit: &str) {
        if unit == DAEMON {
            let networks = self.disk.virtual_networks.iter().filter(|(_, network)| network.autostart);
            self.boot.plugged.extend(networks.map(|(name, _)| name.clone()));
        }
    }

    /// Runs `virsh …`; `None` if the model doesn't know that.
    pub(crate) fn virsh(&mut self, words: &[&str], stdin: Option<&str>, cut: Cut) -> Option<Ended> {
        if self.boot.activity.get(DAEMON) != Some(&Activity::Active) {
            return Some(failed("failed to connect to the hypervisor"));
        }
        // Each is one file that takes another's place, or one call.
        if cut == Cut::Half {
            return Some(Ok(()));
        }
        let mut hypervisor = self.hypervisor(&Questions::default());
        let ended = libvirt::virsh(&mut hypervisor, words, stdin)?;
        let Known::Is(networks) = hypervisor.networks else { return None };
        self.boot.plugged =
            networks.iter().filter(|(_, network)| network.active).map(|(name, _)| name.clone()).collect();
        self.disk.virtual_networks = networks;
        Some(ended.map_err(Failure::Failed))
    }
}
