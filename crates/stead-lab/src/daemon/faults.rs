//! Everything that can be broken, and its undoing.

use std::path::Path;
use std::sync::Arc;

use stead_spec::Bytes;
use tokio::task::JoinSet;

use super::machine::{Launch, Machine, MachineError};
use super::{Failure, Lab, Outcome, Shared};
use crate::disk::Disk;
use crate::protocol::{DiskAction, PowerAction};
use crate::qemu::{NodeFiles, Start, arguments};
use crate::state::{Bay, BayCondition, Clock, NodeState, OS_BAY, Plugged, Power};
use crate::switch::Condition;

impl Lab {
    pub(super) async fn power(&mut self, shared: &Shared, nodes: &[String], action: PowerAction) -> Outcome {
        for name in nodes {
            self.node(name)?;
        }
        self.bury();
        let mut done = Vec::new();
        if action != PowerAction::On {
            let lost = self.cut(nodes).await;
            for name in nodes {
                done.push(match lost.iter().find(|(node, _)| node == name) {
                    Some((_, 0)) => format!("{name}: power off; its disks had written everything"),
                    Some((_, bytes)) => {
                        format!("{name}: power off; {} KiB were in its disks' caches and are lost", bytes >> 10)
                    }
                    None => format!("{name}: was off"),
                });
            }
        }
        if action != PowerAction::Off {
            let off: Vec<String> = nodes.iter().filter(|name| !self.machines.contains_key(*name)).cloned().collect();
            self.start(shared, off.iter().map(|name| (name.clone(), None)).collect()).await?;
            for name in nodes {
                done.push(if off.contains(name) { format!("{name}: power on") } else { format!("{name}: was on") });
            }
        }
        Ok(done)
    }

    /// Takes the power from nodes, all at the same instant; says how many bytes each lost.
    pub(super) async fn cut(&mut self, names: &[String]) -> Vec<(String, u64)> {
        let machines: Vec<_> = names.iter().filter_map(|name| self.machines.remove_entry(name)).collect();
        let names: Vec<String> = machines.iter().map(|(name, _)| name.clone()).collect();
        let mut killing = JoinSet::new();
        for (_, machine) in machines {
            killing.spawn(machine.kill());
        }
        killing.join_all().await;
        names.into_iter().map(|name| (name.clone(), self.powerless(&name))).collect()
    }

    /// What having no power means to a node; says how many bytes its disks lost.
    fn powerless(&mut self, name: &str) -> u64 {
        let Some(node) = self.state.nodes.get_mut(name) else { return 0 };
        node.power = Power::Off;
        let files = NodeFiles::of(name);
        for bay in node.bays.keys() {
            self.bays.settle(&files.bay(bay));
        }
        node.bays.keys().filter_map(|bay| self.bays.get(&files.bay(bay))).map(|disk| disk.cut_power().get()).sum()
    }

    /// Takes note of nodes that have switched themselves off.
    fn bury(&mut self) {
        let ended = self.machines.iter().filter(|(_, machine)| machine.has_ended());
        for name in ended.map(|(name, _)| name.clone()).collect::<Vec<_>>() {
            self.machines.remove(&name);
            self.powerless(&name);
        }
    }

    /// Starts nodes that are off, from their disks or from pictures of their memory: all, or none.
    pub(super) async fn start(
        &mut self,
        shared: &Shared,
        nodes: Vec<(String, Option<std::path::PathBuf>)>,
    ) -> Result<(), Failure> {
        let mut paused = self.launch(nodes).await?;
        for (name, machine) in &mut paused {
            machine.resume().await.map_err(|error| Failure::new(format!("{name}: {error}")))?;
        }
        for (name, machine) in paused {
            self.adopt(shared, &name, machine);
        }
        Ok(())
    }

    /// Starts the QEMUs of nodes, all at once and paused.
    async fn launch(
        &mut self,
        nodes: Vec<(String, Option<std::path::PathBuf>)>,
    ) -> Result<Vec<(String, Machine)>, Failure> {
        let mut launching = JoinSet::new();
        for (name, memory) in nodes {
            let node = self.state.nodes.get_mut(&name).ok_or_else(|| unknown_node(&name))?;
            if memory.is_none() {
                node.clock_at_start = node.clock.clone();
            }
            let start = if memory.is_some() { Start::FromPicture } else { Start::Cold };
            let launch = Launch {
                files: NodeFiles::of(&name),
                args: arguments(&self.state.config, &self.state.parts, &name, node, &self.key, start),
                folder: self.folder.path().to_owned(),
                qmp: self.wiring.qmp(&name),
                cables_out: node.cables.iter().filter(|(_, to)| !to.is_in()).map(|(switch, _)| *switch).collect(),
                memory,
            };
            // The runtime has one thread, the main one, so the task runs there as well.
            launching.spawn(async move { (name, Machine::launch(launch).await) });
        }
        let mut started = Vec::new();
        let mut failed = None;
        for (name, result) in launching.join_all().await {
            match result {
                Ok(machine) => started.push((name, machine)),
                Err(error) => failed = Some(start_failure(&name, &error)),
            }
        }
        match failed {
            None => Ok(started),
            Some(failure) => {
                for (_, machine) in started {
                    machine.kill().await;
                }
                Err(failure)
            }
        }
    }

    /// Takes a machine as the node's, and watches for its end: a node may well switch itself off.
    fn adopt(&mut self, shared: &Shared, name: &str, machine: Machine) {
        let mut exited = machine.exited();
        let shared = Arc::clone(shared);
        if let Some(node) = self.state.nodes.get_mut(name) {
            node.power = Power::On;
        }
        self.machines.insert(name.to_owned(), machine);
        tokio::spawn(async move {
            // An error means that the machine is gone too.
            let _ = exited.wait_for(|ended| *ended).await;
            let mut lab = shared.lock().await;
            lab.bury();
            // The next request writes it again if this fails.
            let _ = lab.folder.write_state(&lab.state);
        });
    }

    pub(super) fn freeze(&mut self, name: &str) -> Outcome {
        match self.node(name)?.power {
            Power::Off => Err(Failure::new(format!("{name} is off")).hint(format!("stead lab power {name} on"))),
            Power::Frozen => Ok(vec![format!("{name}: was frozen")]),
            Power::On => {
                self.machine(name)?.freeze()?;
                self.node_mut(name)?.power = Power::Frozen;
                Ok(vec![format!("{name}: frozen; its clock goes on")])
            }
        }
    }

    pub(super) async fn thaw(&mut self, name: &str) -> Outcome {
        if self.node(name)?.power != Power::Frozen {
            return Ok(vec![format!("{name}: was not frozen")]);
        }
        self.machine(name)?.thaw()?;
        self.node_mut(name)?.power = Power::On;
        // Cables moved while it could not be told.
        for (switch, to) in self.node(name)?.cables.clone() {
            self.machine(name)?.set_link(switch, to.is_in()).await?;
        }
        // It may have been frozen in a picture, with the time of then.
        let mut done = vec![format!("{name}: goes on")];
        done.extend(self.set_clocks(&[name.to_owned()]).await);
        Ok(done)
    }

    pub(super) async fn cable(&mut self, name: &str, switch: u8, to: Plugged) -> Outcome {
        self.node(name)?;
        self.known_switch(switch)?;
        self.wiring.set_cable(name, switch, to);
        let node = self.node_mut(name)?;
        node.cables.insert(switch, to);
        if node.power == Power::On {
            self.machine(name)?.set_link(switch, to.is_in()).await?;
        }
        Ok(vec![format!("{name}: cable to switch {switch} is {}", word(to))])
    }

    pub(super) fn switch(&mut self, switch: u8, condition: Condition) -> Outcome {
        self.known_switch(switch)?;
        self.state.switches.insert(switch, condition);
        self.wiring.set_switch(switch, condition);
        let now = match condition {
            Condition::On => "forwards".to_owned(),
            Condition::Off => "forwards nothing; carriers stay".to_owned(),
            Condition::Lossy(percent) => format!("loses {percent} of 100 frames"),
            Condition::Slow(milliseconds) => format!("holds each frame for {milliseconds} ms"),
            Condition::Small(mtu) => format!("loses packets of more than {mtu} bytes"),
        };
        Ok(vec![format!("switch {switch}: {now}")])
    }

    pub(super) fn capture(&mut self, switch: u8, file: Option<&Path>) -> Outcome {
        self.known_switch(switch)?;
        let failed = |error| Failure::new(format!("switch {switch}: cannot write the capture: {error}"));
        self.wiring.capture(switch, file).map_err(failed)?;
        Ok(vec![match file {
            Some(file) => format!("switch {switch}: what it forwards goes to {}", file.display()),
            None => format!("switch {switch}: no capture"),
        }])
    }

    pub(super) async fn disk(&mut self, name: &str, bay: &str, action: DiskAction) -> Outcome {
        let node = self.node(name)?;
        let content = node.bays.get(bay).ok_or_else(|| {
            let bays = node.bays.keys().cloned().collect::<Vec<_>>().join(", ");
            Failure::new(format!("{name} has no bay `{bay}`")).hint(format!("its bays are {bays}"))
        })?;
        if node.power == Power::Frozen && action != DiskAction::Fail {
            return Err(Failure::new(format!("{name} is frozen")).hint(format!("stead lab thaw {name}")));
        }
        if matches!(action, DiskAction::Replace(None)) && bay == OS_BAY {
            let why = format!("{name}'s OS disk would be blank, and a node boots from nothing else");
            return Err(Failure::new(why).hint("replace it by one from the shelf, with its serial number"));
        }
        if action == DiskAction::Fail && content.condition == BayCondition::Pulled {
            let hint = format!("stead lab disk {name} {bay} insert");
            return Err(Failure::new(format!("{name}: {bay} is out")).hint(hint));
        }
        let (condition, serial) = (content.condition, content.disk.serial.clone());
        let live = self.live_disk(name, bay)?;
        match action {
            DiskAction::Fail => {
                live.set_failing(true);
                self.bay_mut(name, bay)?.condition = BayCondition::Failing;
                Ok(vec![format!("{name}: {bay} ({serial}) fails every request")])
            }
            DiskAction::Pull => {
                if condition == BayCondition::Pulled {
                    return Ok(vec![format!("{name}: {bay} was out")]);
                }
                let lost = self.pull(name, bay).await?;
                Ok(vec![format!("{name}: {bay} ({serial}) is out; {lost} KiB were in its cache and are lost")])
            }
            DiskAction::Insert => {
                live.set_failing(false);
                if condition == BayCondition::Pulled {
                    self.insert(name, bay).await?;
                }
                self.bay_mut(name, bay)?.condition = BayCondition::Well;
                Ok(vec![format!("{name}: {bay} ({serial}) is in, and well")])
            }
            DiskAction::Replace(other) => self.replace(name, bay, other).await,
        }
    }

    async fn pull(&mut self, name: &str, bay: &str) -> Result<u64, Failure> {
        if let Some(machine) = self.machines.get_mut(name) {
            machine.unplug(bay).await?;
        }
        self.bay_mut(name, bay)?.condition = BayCondition::Pulled;
        Ok(self.live_disk(name, bay)?.cut_power().get() >> 10)
    }

    async fn insert(&mut self, name: &str, bay: &str) -> Result<(), Failure> {
        let serial = self.bay_mut(name, bay)?.disk.serial.clone();
        if let Some(machine) = self.machines.get_mut(name) {
            machine.plug(bay, &serial).await?;
        }
        Ok(())
    }

    async fn replace(&mut self, name: &str, bay: &str, serial: Option<String>) -> Outcome {
        let size = self.bay_mut(name, bay)?.disk.size;
        let from_shelf = match serial {
            None => None,
            Some(serial) => Some(self.find_on_shelf(&serial, size)?),
        };
        let mut new = match from_shelf {
            None => self.state.new_disk(size, None),
            Some(index) => self.state.shelf[index].clone(),
        };
        if from_shelf.is_some() {
            // A picture may have the layer on its top as it is.
            new.layers.insert(0, self.state.new_layer());
        }
        if self.bay_mut(name, bay)?.condition != BayCondition::Pulled {
            self.pull(name, bay).await?;
        }
        let live = self.open_disk(&new)?;
        // From here to the end of the exchange nothing can fail: a disk is in the bay or on the shelf at any time.
        let serial = new.serial.clone();
        let old = std::mem::replace(self.bay_mut(name, bay)?, Bay { disk: new, condition: BayCondition::Pulled });
        if let Some(index) = from_shelf {
            self.state.shelf.remove(index);
        }
        let said = format!("{name}: {serial} is in {bay}; {} is on the shelf", old.disk.serial);
        self.state.shelf.push(old.disk);
        self.bays.put(NodeFiles::of(name).bay(bay), Arc::new(live));
        self.insert(name, bay).await?;
        self.bay_mut(name, bay)?.condition = BayCondition::Well;
        Ok(vec![said])
    }

    fn find_on_shelf(&self, serial: &str, size: Bytes) -> Result<usize, Failure> {
        let spares = &self.state.shelf;
        let Some(index) = spares.iter().position(|disk| disk.serial == serial) else {
            let there: Vec<_> = spares.iter().map(|disk| disk.serial.as_str()).collect();
            let hint = format!("on it: {}", if there.is_empty() { "nothing".into() } else { there.join(", ") });
            return Err(Failure::new(format!("no disk {serial} is on the shelf")).hint(hint));
        };
        if spares[index].size != size {
            return Err(Failure::new(format!("{serial} has another size than the disk in the bay")));
        }
        Ok(index)
    }

    pub(super) fn tang(&mut self, to: Plugged) -> Vec<String> {
        self.state.tang = to;
        self.wiring.set_tang(to);
        vec![format!("tang: {}", word(to))]
    }

    pub(super) fn wan(&mut self, to: Plugged) -> Vec<String> {
        self.state.wan = to;
        self.wiring.set_wan(to);
        vec![format!("WAN: {}", word(to))]
    }

    pub(super) fn wan_open(&mut self, open: bool) -> Vec<String> {
        self.state.config.wan_open = open;
        self.wiring.set_mirror(open);
        let now = if open { "reaches the package mirror, and nothing else" } else { "reaches nothing" };
        vec![format!("WAN: {now}")]
    }

    pub(super) fn clock(&mut self, name: &str, time: Option<Clock>) -> Outcome {
        let running = self.machines.contains_key(name);
        let node = self.node_mut(name)?;
        node.clock = time;
        let says = node.clock.as_ref().map_or("be right".to_owned(), |clock| format!("say {clock}"));
        let next = if running { format!(": stead lab power {name} cycle") } else { String::new() };
        Ok(vec![format!("{name}: its real-time clock will {says} at its next start{next}")])
    }

    pub(super) fn node(&self, name: &str) -> Result<&NodeState, Failure> {
        self.state.nodes.get(name).ok_or_else(|| {
            let names = self.state.nodes.keys().cloned().collect::<Vec<_>>().join(", ");
            unknown_node(name).hint(format!("the nodes are {names}"))
        })
    }

    fn node_mut(&mut self, name: &str) -> Result<&mut NodeState, Failure> {
        self.state.nodes.get_mut(name).ok_or_else(|| unknown_node(name))
    }

    fn bay_mut(&mut self, name: &str, bay: &str) -> Result<&mut Bay, Failure> {
        let missing = || Failure::new(format!("{name} has no bay `{bay}`"));
        self.node_mut(name)?.bays.get_mut(bay).ok_or_else(missing)
    }

    fn live_disk(&self, name: &str, bay: &str) -> Result<Arc<Disk>, Failure> {
        self.bays.get(&NodeFiles::of(name).bay(bay)).ok_or_else(|| Failure::new(format!("{name} has no bay `{bay}`")))
    }

    pub(super) fn machine(&mut self, name: &str) -> Result<&mut Machine, Failure> {
        self.machines.get_mut(name).ok_or_else(|| Failure::new(format!("{name} has just switched itself off")))
    }

    fn known_switch(&self, switch: u8) -> Result<(), Failure> {
        if self.state.switches.contains_key(&switch) {
            return Ok(());
        }
        Err(Failure::new(format!("there is no switch {switch}")).hint("the switches are 1, 2 and 3"))
    }
}

fn unknown_node(name: &str) -> Failure {
    Failure::new(format!("there is no node `{name}`"))
}

fn start_failure(name: &str, error: &MachineError) -> Failure {
    let failure = Failure::new(format!("{name} did not start: {error}"));
    match error {
        MachineError::Ended(said) if said.contains("annot allocate memory") => {
            failure.hint("this machine has too little free memory: fewer nodes (--nodes) or less for each (--memory)")
        }
        _ => failure.hint(format!("the log is nodes/{name}.qemu.log in the lab's folder")),
    }
}

fn word(to: Plugged) -> &'static str {
    if to.is_in() { "in" } else { "out" }
}
