//! `stead machine`: virtual machines.

use std::process::ExitCode;

use anyhow::{Context, bail};
use clap::{Args, Subcommand};
use stead_node::protocol::Role;
use stead_plan::inventory::Inventory;
use stead_plan::machines::errands;
use stead_plan::plan::{Asked, Plan};
use stead_plan::status::{MachineState, MachineStatus, Status, status};
use stead_spec::edit::{Edit, InlineTable, KeyPath, Value};
use stead_spec::units::{Bytes, DiskName, ImageName, MachineName, NetworkName, NodeName, VolumeName};

use crate::cluster::{Access, Cluster};
use crate::errand::Errand;
use crate::print::Printer;
use crate::run;

/// What is done with machines.
#[derive(Debug, Args)]
pub(crate) struct Arguments {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// All machines, what they do and where.
    List(List),
    /// Write a new one into the cluster file, and apply it.
    Create(Create),
    /// Change how many CPUs, how much memory, or how large a disk one has; in the cluster file, and applied.
    Resize(Resize),
    /// Destroy one with its disks, and take it out of the cluster file. Its name has to be typed.
    Remove(One),
    /// Start one that is off.
    Start(One),
    /// Shut one down. It stays off until it is started.
    Stop(One),
    /// Move one to another node while it runs.
    Migrate(Migrate),
    /// What one is, where it lies and where it is.
    Show(Look),
    /// One's console: its serial port, on this terminal. Ctrl-] ends it.
    Console(Look),
    /// One's screen, for a viewer on this computer.
    Vnc(Vnc),
}

/// Which machine.
#[derive(Debug, Args)]
#[command(after_help = "Example: stead machine show web1")]
struct Look {
    /// Its name in the file.
    machine: MachineName,
    #[command(flatten)]
    access: Access,
}

/// Whose screen, and where to.
#[derive(Debug, Args)]
#[command(after_help = "Example: stead machine vnc web1, and in another terminal: vncviewer 127.0.0.1:5999")]
struct Vnc {
    #[command(flatten)]
    look: Look,
    /// The port of this computer that a viewer is to open.
    #[arg(long, default_value_t = 5999)]
    port: u16,
}

/// How they are listed.
#[derive(Debug, Args)]
#[command(after_help = "Codes: 0 all do what they should; 2 one doesn't; 3 nobody can tell of one.\n\n\
                        Example: stead machine list")]
struct List {
    #[command(flatten)]
    access: Access,
    /// As JSON, for programs.
    #[arg(long)]
    json: bool,
}

/// Which machine.
#[derive(Debug, Args)]
#[command(after_help = "Codes: 0 done; 1 refused, or it failed; 3 the nodes didn't answer.\n\n\
                        Example: stead machine start web1")]
struct One {
    /// Its name in the file.
    machine: MachineName,
    #[command(flatten)]
    errand: Errand,
}

/// Which machine, and where to.
#[derive(Debug, Args)]
#[command(after_help = "Codes: 0 done; 1 refused, or it failed; 3 the nodes didn't answer.\n\n\
                        Example: stead machine migrate web1 node2")]
struct Migrate {
    /// Its name in the file.
    machine: MachineName,
    /// The node that it is to run on.
    node: NodeName,
    #[command(flatten)]
    errand: Errand,
}

/// What the new one is.
#[derive(Debug, Args)]
#[command(after_help = "What it has no option for, write into the file: `stead schema` has every key.\n\n\
                        Example: stead machine create web1 --image debian-13 --memory 2GiB --disk 20GiB --network lan")]
struct Create {
    /// Its name: its hostname too.
    machine: MachineName,
    /// What its first disk starts as [default: empty]
    #[arg(long)]
    image: Option<ImageName>,
    /// How many virtual CPUs.
    #[arg(long, default_value_t = 1)]
    cpus: u16,
    /// How much memory.
    #[arg(long)]
    memory: Bytes,
    /// How large its disk is.
    #[arg(long)]
    disk: Bytes,
    /// The volume that the disk lies on.
    #[arg(long, default_value = "gv0")]
    volume: VolumeName,
    /// A network that it has a card on; can be given more than once.
    #[arg(long = "network", value_name = "NETWORK")]
    networks: Vec<NetworkName>,
    #[command(flatten)]
    errand: Errand,
}

/// What changes.
#[derive(Debug, Args)]
#[command(
    after_help = "It has other CPUs and memory once it was off; a disk is larger at once, and never smaller.\n\n\
                        Example: stead machine resize web1 --memory 4GiB --disk root=40GiB"
)]
struct Resize {
    /// Its name in the file.
    machine: MachineName,
    /// How many virtual CPUs.
    #[arg(long)]
    cpus: Option<u16>,
    /// How much memory.
    #[arg(long)]
    memory: Option<Bytes>,
    /// How large a disk is: NAME=SIZE.
    #[arg(long = "disk", value_name = "NAME=SIZE", value_parser = disk_size)]
    disks: Vec<(DiskName, Bytes)>,
    #[command(flatten)]
    errand: Errand,
}

fn disk_size(text: &str) -> Result<(DiskName, Bytes), String> {
    let (name, size) = text.split_once('=').ok_or("write NAME=SIZE, as in root=40GiB")?;
    let name = name.parse().map_err(|error| format!("{error}"))?;
    Ok((name, size.parse().map_err(|error| format!("{error}"))?))
}

pub(crate) fn run(arguments: &Arguments, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let off = |state: &MachineState, _: &[NodeName]| *state == MachineState::Off;
    let runs = |state: &MachineState, _: &[NodeName]| *state == MachineState::Runs;
    match &arguments.command {
        Command::List(arguments) => list(arguments, printer),
        Command::Create(arguments) => create(arguments, printer),
        Command::Resize(arguments) => resize(arguments, printer),
        Command::Remove(One { machine, errand }) => remove(errand, machine, printer),
        Command::Start(One { machine, errand }) => {
            let plan = |asked: &Asked<'_>, inventory: &Inventory| errands::start(asked, inventory, machine);
            one(errand, machine, plan, runs, printer)
        }
        Command::Stop(One { machine, errand }) => {
            let plan = |asked: &Asked<'_>, inventory: &Inventory| errands::stop(asked, inventory, machine);
            one(errand, machine, plan, off, printer)
        }
        Command::Migrate(Migrate { machine, node, errand }) => {
            let plan = |asked: &Asked<'_>, inventory: &Inventory| errands::migrate(asked, inventory, machine, node);
            let there = |state: &MachineState, on: &[NodeName]| runs(state, on) && on == [node.clone()];
            one(errand, machine, plan, there, printer)
        }
        Command::Show(look) => show(look, printer),
        Command::Console(look) => {
            let Some((cluster, at)) = found(look, printer)? else { return Ok(ExitCode::FAILURE) };
            let console = format!("virsh --connect qemu:///system console {}", look.machine);
            let target = &cluster.spec.nodes()[&at.node].ssh;
            run::to_its_end(async { Ok(cluster.reach().interactive(target, &console).await?) })?;
            Ok(ExitCode::SUCCESS)
        }
        Command::Vnc(Vnc { look, port }) => {
            let Some((cluster, at)) = found(look, printer)? else { return Ok(ExitCode::FAILURE) };
            let screen = at.screen.with_context(|| format!("{} has no screen", look.machine))?;
            printer.line(format_args!("{}'s screen is at 127.0.0.1:{port}, until Ctrl-C", look.machine));
            let target = &cluster.spec.nodes()[&at.node].ssh;
            run::to_its_end(async {
                tokio::select! {
                    ended = cluster.reach().tunnel(target, *port, screen) => Ok(ended?),
                    stopped = tokio::signal::ctrl_c() => Ok(stopped?),
                }
            })?;
            Ok(ExitCode::SUCCESS)
        }
    }
}

/// Where a machine's table is in the file.
fn table(name: &MachineName) -> KeyPath {
    KeyPath::new(["machine", name.as_ref()])
}

fn create(arguments: &Create, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Create { machine, image, cpus, memory, disk, volume, networks, errand } = arguments;
    let mut first = InlineTable::new();
    first.insert("size", disk.to_string().into());
    first.insert("volume", volume.to_string().into());
    let mut entries: Vec<(String, Value)> = Vec::new();
    entries.extend(image.iter().map(|image| ("image".to_owned(), image.to_string().into())));
    entries.push(("cpus".to_owned(), i64::from(*cpus).into()));
    entries.push(("memory".to_owned(), memory.to_string().into()));
    entries.push(("disks".to_owned(), Value::from_iter([first])));
    entries.push(("networks".to_owned(), networks.iter().map(ToString::to_string).collect()));
    errand.apply_edited(&[Edit::AddTable { path: table(machine), entries }], printer)
}

fn resize(arguments: &Resize, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Resize { machine: name, cpus, memory, disks, errand } = arguments;
    let Some(cluster) = Cluster::open(errand.access(), printer)? else { return Ok(ExitCode::FAILURE) };
    known(&cluster, name)?;
    let machine = &cluster.spec.machines()[name];
    let set = |key: &str, value: Value| Edit::Set { path: table(name).key(key), value };
    let mut edits = Vec::new();
    edits.extend(cpus.map(|cpus| set("cpus", i64::from(cpus).into())));
    edits.extend(memory.map(|memory| set("memory", memory.to_string().into())));
    for (disk, size) in disks {
        let Some(place) = machine.disks.iter().position(|own| own.name == *disk) else {
            let all: Vec<String> = machine.disks.iter().map(|disk| disk.name.to_string()).collect();
            bail!("{name} has no disk {disk}: it has {}", all.join(", "));
        };
        let path = table(name).key("disks").index(place).key("size");
        edits.push(Edit::Set { path, value: size.to_string().into() });
    }
    if edits.is_empty() {
        bail!("nothing to change: name `--cpus`, `--memory` or `--disk`");
    }
    errand.apply_edited(&edits, printer)
}

/// What is destroyed is asked for by name, whatever was agreed to before.
fn remove(errand: &Errand, name: &MachineName, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let plan = |asked: &Asked<'_>, inventory: &Inventory| errands::remove(asked, inventory, name);
    let code = errand.run(None, plan, "it is gone, with its disks", printer)?;
    if code != ExitCode::SUCCESS {
        return Ok(code);
    }
    errand.sure().apply_edited(&[Edit::Remove { path: table(name) }], printer)
}

/// Where a machine is.
struct At {
    node: NodeName,
    screen: Option<u16>,
}

/// Finds the node that a machine runs on.
fn found(look: &Look, printer: &mut Printer) -> anyhow::Result<Option<(Cluster, At)>> {
    let Some(cluster) = Cluster::open(&look.access, printer)? else { return Ok(None) };
    let looked = run::to_its_end(async { cluster.look(Role::Observe, printer).await })?;
    let name = &look.machine;
    known(&cluster, name)?;
    let on = stead_plan::machines::running_on(&cluster.spec, &looked.inventory, name);
    let Some((node, running)) = on else {
        bail!("{name} doesn't run: `stead machine start {name}` starts it");
    };
    let at = At { node: node.clone(), screen: running.screen };
    drop(looked);
    Ok(Some((cluster, at)))
}

fn known(cluster: &Cluster, name: &MachineName) -> anyhow::Result<()> {
    let all = cluster.spec.machines();
    if !all.contains_key(name) {
        let all: Vec<String> = all.keys().map(ToString::to_string).collect();
        bail!(
            "the file has no machine {name}: it has {}",
            if all.is_empty() { "none".to_owned() } else { all.join(", ") }
        );
    }
    Ok(())
}

fn show(look: &Look, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Some(cluster) = Cluster::open(&look.access, printer)? else { return Ok(ExitCode::FAILURE) };
    known(&cluster, &look.machine)?;
    let looked = run::to_its_end(async { cluster.look(Role::Observe, printer).await })?;
    let status = status(&cluster.spec, &looked.inventory);
    printer.line(state_of(&status, &look.machine));
    for (what, value) in stead_plan::machines::about(&cluster.spec, &look.machine) {
        printer.line(format_args!("  {what:<9} {value}"));
    }
    Ok(ExitCode::SUCCESS)
}

/// A machine's line of the list.
fn state_of(status: &Status, name: &MachineName) -> String {
    let machine = status.machines.iter().find(|machine| machine.name == *name);
    machine.map(MachineStatus::line).unwrap_or_default()
}

/// Does something with one machine, and looks whether it is so.
fn one(
    errand: &Errand,
    name: &MachineName,
    plan: impl FnOnce(&Asked<'_>, &Inventory) -> Plan,
    is_so: impl FnOnce(&MachineState, &[NodeName]) -> bool,
    printer: &mut Printer,
) -> anyhow::Result<ExitCode> {
    errand.run_and_look(plan, printer, |cluster, inventory| {
        let status = status(&cluster.spec, inventory);
        let machine = status.machines.iter().find(|machine| machine.name == *name);
        let so = machine.is_some_and(|machine| is_so(&machine.state, &machine.on));
        let does = state_of(&status, name);
        if so { Ok(does) } else { Err(format!("it was asked, and is not so: {does}")) }
    })
}

fn list(arguments: &List, printer: &mut Printer) -> anyhow::Result<ExitCode> {
    let Some(cluster) = Cluster::open(&arguments.access, printer)? else { return Ok(ExitCode::FAILURE) };
    let looked = run::to_its_end(async { cluster.look(Role::Observe, printer).await })?;
    let status = status(&cluster.spec, &looked.inventory);
    if arguments.json {
        printer.line(serde_json::to_string_pretty(&status.machines)?);
    } else if status.machines.is_empty() {
        printer.line("the file has no machines: `[machine.NAME]` makes one");
    } else {
        let text = status.render_machines(&|tone, text| printer.paint(tone, text));
        printer.line(text.trim_end());
    }
    let all = || status.machines.iter().map(|machine| &machine.state);
    let wrong = |state: &MachineState| {
        matches!(state, MachineState::Twice | MachineState::Down | MachineState::Paused(_) | MachineState::New)
    };
    Ok(ExitCode::from(if all().any(|state| *state == MachineState::Unknown) {
        3
    } else if all().any(wrong) {
        2
    } else {
        0
    }))
}
