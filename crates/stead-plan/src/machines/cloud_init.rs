//! What cloud-init in a machine is told on its first boot: a small disk beside its own, by cloud-init's own convention (datasource
//! `NoCloud`: a file system named `cidata`).
//!
//! stead's part is vendor data, what the file says is user data: where both say something, cloud-init takes the user's. Its name
//! has in it what it hashes to, so that another one is another file.

use camino::Utf8PathBuf;
use serde_json::{Map, Value, json};
use stead_spec::Spec;
use stead_spec::host::Node;
use stead_spec::machines::{Card, CardNetworks, Disk, Machine};
use stead_spec::units::PublicKey;

use super::once::{self, Once};
use super::{disks, domain};
use crate::inventory::{Questions, sha256};
use crate::op::{Filled, Program};
use crate::plan::planner::{Planned, Planner};

/// Where it is put together.
const BENCH: &str = "/run/stead/cloud-init";

/// The first line of what cloud-init takes as settings.
const SETTINGS: &str = "#cloud-config\n";

/// Its files: their names are cloud-init's.
fn files(spec: &Spec, machine: &Machine) -> [(&'static str, String); 4] {
    let name = &machine.name;
    let id = domain::uuid(spec, name);
    let about = json!({ "instance-id": id.to_string(), "local-hostname": name.to_string() });
    let user = machine.user_data.clone().unwrap_or_else(|| SETTINGS.to_owned() + "{}\n");
    [
        ("meta-data", pretty(&about)),
        ("network-config", pretty(&networks(spec, machine))),
        ("user-data", user),
        ("vendor-data", SETTINGS.to_owned() + &pretty(&settings(spec, machine))),
    ]
}

/// JSON is YAML.
fn pretty(value: &Value) -> String {
    format!("{value:#}\n")
}

fn settings(spec: &Spec, machine: &Machine) -> Value {
    let users = spec.admins().values().map(|admin| {
        let keys: Vec<&str> = admin.keys.iter().filter(|key| key.logs_in()).map(PublicKey::as_str).collect();
        json!({
            "name": admin.name.to_string(),
            "groups": "sudo",
            "shell": "/bin/bash",
            "sudo": "ALL=(ALL) NOPASSWD:ALL",
            "lock_passwd": true,
            "ssh_authorized_keys": keys,
        })
    });
    let mut settings = json!({
        "hostname": machine.name.to_string(),
        "fqdn": format!("{}.{}", machine.name, spec.cluster().domain),
        "timezone": spec.cluster().timezone.to_string(),
        "users": users.collect::<Vec<_>>(),
    });
    if !machine.packages.is_empty() {
        settings["package_update"] = true.into();
        settings["packages"] = machine.packages.iter().map(ToString::to_string).collect();
    }
    settings
}

/// Its cards by their addresses, as netplan's format has them (version 2).
fn networks(spec: &Spec, machine: &Machine) -> Value {
    let cards = machine
        .cards
        .iter()
        .enumerate()
        .map(|(place, card)| (format!("card{}", place + 1), network(spec, machine, place, card)));
    json!({ "version": 2, "ethernets": cards.collect::<Map<_, _>>() })
}

fn network(spec: &Spec, machine: &Machine, place: usize, card: &Card) -> Value {
    let mut to = json!({
        "match": { "macaddress": domain::mac(spec, machine, place, card) },
        // It boots though nobody answers there.
        "optional": true,
    });
    let CardNetworks::One(name) = &card.on else { return to };
    let Some(network) = spec.networks().get(name) else { return to };
    to["mtu"] = card.mtu.unwrap_or(network.mtu).get().into();
    match (card.address, network.subnet) {
        (Some(address), Some(subnet)) => {
            to["addresses"] = json!([format!("{address}/{}", subnet.prefix_len())]);
            if let Some(gateway) = network.gateway {
                to["routes"] = json!([{ "to": "0.0.0.0/0", "via": gateway.to_string() }]);
            }
            if !network.dns.is_empty() {
                let servers: Vec<String> = network.dns.iter().map(ToString::to_string).collect();
                to["nameservers"] = json!({ "addresses": servers, "search": [spec.cluster().domain.to_string()] });
            }
        }
        _ => to["dhcp4"] = true.into(),
    }
    to
}

/// The disk that it lies beside, if the machine starts from something that may have cloud-init in it.
fn beside(machine: &Machine) -> Option<&Disk> {
    machine.disks.first().filter(|_| machine.image.is_some())
}

/// Where it lies, of a machine that has one.
pub(super) fn file(spec: &Spec, machine: &Machine) -> Option<String> {
    let folder = disks::folder(spec, &machine.name, beside(machine)?)?;
    let all: String =
        files(spec, machine).iter().fold(String::new(), |all, (name, text)| all + name + "\n" + text + "\0");
    Some(format!("{folder}/cloud-init-{}.iso", once::short(&sha256(&all))))
}

pub(super) fn questions(spec: &Spec, node: &Node, machine: &Machine, out: &mut Questions) {
    if beside(machine).is_some_and(|disk| disks::is_on(spec, node, machine, disk)) {
        out.disk_files.extend(file(spec, machine).map(Utf8PathBuf::from));
    }
}

/// The name of the step that makes it.
pub(super) fn step(machine: &Machine) -> String {
    format!("cloud-init.{}", machine.name)
}

/// It, made by one node.
pub(super) fn disk<'a>(planner: &mut Planner<'a>, hosts: &[Planned<'a>], machine: &Machine) {
    let spec = planner.spec;
    let (Some(disk), Some(path)) = (beside(machine), file(spec, machine)) else { return };
    let Some(volume) = spec.volumes().get(&disk.volume) else { return };
    let own = disks::own(spec, hosts, machine, disk);
    let what = format!("what {}'s cloud-init is told", machine.name);
    once::unless_there(planner, &own, (volume, &path), &what, |plan| {
        let bench = format!("{BENCH}/{}", machine.name);
        let title = format!("tell {} who it is on its first boot", machine.name);
        let once = Once { step: step(machine), title, path: &path, volume };
        once::make(plan, once, |step, new| {
            let mut parts = Vec::new();
            for (file, text) in files(spec, machine) {
                let part = format!("{bench}/{file}");
                let words = ["-D", "--mode=600", "--no-target-directory", "/dev/stdin", &part];
                step.run(Program::Install.command().args(words).reads(Filled { text, ..Filled::default() }));
                parts.push(part);
            }
            let words = ["-quiet", "-output", new, "-volid", "cidata", "-joliet", "-rational-rock"];
            step.run(Program::Xorrisofs.command().args(words).args(parts.clone()));
            step.run(Program::Rm.command().args(["-f", "--"]).args(parts));
            Ok(())
        })
    });
}
