//! Who decides where machines run: corosync, sbd and pacemaker on a node, and what pacemaker has set for all.

use std::cell::RefCell;
use std::collections::BTreeMap;
use std::rc::Rc;

use stead_plan::inventory::{Activity, Enablement, Watchdog};
use stead_plan::machines::Membership;
use stead_plan::op::Program;

use crate::commands::{Cut, Ended, Failure, failed};
use crate::libvirt::{self, DiskFiles};
use crate::model::Node;
use crate::pacemaker;

/// What nodes have together: pacemaker's configuration, and the files on their shared volume.
#[derive(Debug, Default)]
pub(crate) struct Shared {
    pub(crate) cib: Membership,
    pub(crate) files: DiskFiles,
}

pub(crate) type Together = Rc<RefCell<Shared>>;

pub(crate) const COROSYNC: &str = "corosync.service";
pub(crate) const PACEMAKER: &str = "pacemaker.service";
pub(crate) const SBD: &str = "sbd.service";

const RELIES: &str = "stonith-watchdog-timeout";

impl Node {
    /// Its watchdogs. One of the nodes has some of hardware.
    pub(crate) fn watchdogs(&self) -> Vec<Watchdog> {
        let is = |identity: &str| Watchdog { name: "watchdog0".to_owned(), identity: identity.to_owned(), timeout: 60 };
        if self.name.as_ref() == "node1" {
            return vec![is("iTCO_wdt")];
        }
        if self.boot.softdog { vec![is("Software Watchdog")] } else { Vec::new() }
    }

    /// Modules that files have loaded at boot.
    pub(crate) fn load_modules(&mut self) {
        let is_loaded = self.text("/etc/modules-load.d/stead-watchdog.conf").lines().any(|line| line == "softdog");
        self.boot.softdog = is_loaded;
    }

    /// Whether what a unit needs runs, or does once it is asked.
    pub(crate) fn has_what_it_needs(&mut self, unit: &str) -> bool {
        let runs = |node: &Self, unit: &str, is| node.boot.activity.get(unit) == Some(&is);
        match unit {
            // It is started by those that want it, and never by itself.
            SBD => runs(self, COROSYNC, Activity::Changing) && !self.watchdogs().is_empty(),
            COROSYNC => {
                self.boot.activity.insert(COROSYNC.to_owned(), Activity::Changing);
                let fits = self.disk.units.get(SBD) != Some(&Enablement::Enabled) || self.start(SBD);
                self.boot.activity.insert(COROSYNC.to_owned(), Activity::Inactive);
                fits
            }
            PACEMAKER => {
                // It ends where it should rely on a watchdog that nobody feeds.
                let relies = self.together.borrow().cib.properties.contains_key(RELIES);
                self.start(COROSYNC) && (!relies || runs(self, SBD, Activity::Active))
            }
            _ => true,
        }
    }

    /// What stops with a unit; whether pacemaker was among it.
    pub(crate) fn stop_with(&mut self, unit: &str) -> bool {
        let had = self.boot.activity.get(PACEMAKER) == Some(&Activity::Active);
        if unit == COROSYNC {
            self.stop(PACEMAKER);
            self.stop(SBD);
        }
        had && unit == COROSYNC
    }

    pub(crate) fn membership(&self) -> Option<Membership> {
        let runs = self.boot.activity.get(PACEMAKER) == Some(&Activity::Active);
        let members = BTreeMap::from([(self.name.to_string(), true)]);
        runs.then(|| Membership { quorate: true, members, ..self.together.borrow().cib.clone() })
    }

    /// Runs a program of theirs; `None` if the model doesn't know that.
    pub(crate) fn member_command(
        &mut self,
        program: Program,
        words: &[&str],
        stdin: Option<&str>,
        cut: Cut,
    ) -> Option<Ended> {
        let runs = |unit: &str| self.boot.activity.get(unit) == Some(&Activity::Active);
        match (program, words) {
            (Program::Modprobe, ["softdog"]) => self.boot.softdog = true,
            (Program::CorosyncCfgtool, ["-R"]) if !runs(COROSYNC) => return Some(failed("Could not initialize")),
            (Program::CorosyncCfgtool, ["-R"]) => self.read_configuration(COROSYNC),
            (Program::CorosyncQuorumtool, ["-s"]) if !runs(COROSYNC) => {
                return Some(failed("Cannot initialize QUORUM service"));
            }
            (Program::CorosyncQuorumtool, ["-s"]) => {}
            (Program::CrmAttribute, ["--type", "crm_config", "--name", name, "--update", value]) => {
                if !runs(PACEMAKER) {
                    return Some(failed("Could not connect to the CIB: Transport endpoint is not connected"));
                }
                if cut == Cut::None {
                    self.together.borrow_mut().cib.properties.insert((*name).to_owned(), (*value).to_owned());
                }
                // Each that relies on it now and may not, ends.
                if *name == RELIES && !runs(SBD) {
                    self.stop(PACEMAKER);
                }
            }
            (Program::Cibadmin, _) if !runs(PACEMAKER) => {
                return Some(failed("Could not connect to the CIB: Transport endpoint is not connected"));
            }
            // It is one transaction.
            (Program::Cibadmin, _) if cut == Cut::Half => {}
            (Program::Cibadmin, words) => {
                let ended = pacemaker::cibadmin(&mut self.together.borrow_mut().cib, words, stdin)?;
                return Some(ended.map_err(Failure::Failed));
            }
            (
                Program::Curl
                | Program::Mv
                | Program::QemuImg
                | Program::Sha256sum
                | Program::SystemdRun
                | Program::Xorrisofs,
                words,
            ) => {
                let files = &mut self.together.borrow_mut().files;
                let ended = libvirt::disk_files(files, program, words, stdin, cut == Cut::Half)?;
                return Some(ended.map_err(Failure::Failed));
            }
            _ => return None,
        }
        Some(Ok(()))
    }
}
