//! Open vSwitch's database: bridges, their ports, and the interfaces of those.
//!
//! OVSDB's JSON is RFC 7047's: a column's value is an atom, `["uuid", …]`, `["set", […]]` or `["map", […]]`.

use std::collections::BTreeMap;

use serde::Deserialize;
use serde_json::Value;
use stead_plan::network::facts::{Bridge, Interface, Ovs, Port};
use stead_plan::op::{Command, Program};

/// What tells of all three in one go, each as a table of its own.
pub(crate) fn command() -> Command {
    let bridge = "--columns=name,ports,fail_mode,rstp_enable,other_config,external_ids";
    let port = "--columns=_uuid,name,tag,trunks,bond_mode,protected,other_config,external_ids,interfaces";
    let interface = "--columns=_uuid,name,type,mac,mtu_request,options,error,link_state";
    let options = ["--format=json", bridge, "list", "Bridge"];
    let rest = ["--", port, "list", "Port", "--", interface, "list", "Interface"];
    Program::OvsVsctl.command().args(options).args(rest)
}

/// What its standard error says where the database's server doesn't run.
pub(crate) const NOT_RUNNING: &str = "database connection failed";

/// What [`command`] printed.
pub(crate) fn parse(text: &str) -> Result<Ovs, String> {
    let tables: Result<Vec<Table>, _> = serde_json::Deserializer::from_str(text).into_iter().collect();
    let tables = tables.map_err(|error| format!("ovs-vsctl printed something else: {error}"))?;
    let [bridges, ports, interfaces] = tables.as_slice() else {
        return Err(format!("ovs-vsctl printed {} tables instead of 3", tables.len()));
    };
    let interfaces: BTreeMap<String, (String, Interface)> = interfaces.rows().map(|row| interface(&row)).collect();
    let ports: BTreeMap<String, (String, Port)> = ports.rows().map(|row| port(&row, &interfaces)).collect();
    let bridges = bridges.rows().map(|row| {
        let bridge = Bridge {
            fail_mode: row.text("fail_mode"),
            rstp: row.truth("rstp_enable"),
            other_config: row.map("other_config"),
            external_ids: row.map("external_ids"),
            ports: row.uuids("ports").filter_map(|id| ports.get(&id).cloned()).collect(),
        };
        (row.text("name").unwrap_or_default(), bridge)
    });
    Ok(Ovs { bridges: bridges.collect() })
}

fn port(row: &Row<'_>, interfaces: &BTreeMap<String, (String, Interface)>) -> (String, (String, Port)) {
    let port = Port {
        tag: row.number("tag"),
        trunks: row.all("trunks").iter().filter_map(number).collect(),
        bond_mode: row.text("bond_mode"),
        protected: row.truth("protected"),
        other_config: row.map("other_config"),
        external_ids: row.map("external_ids"),
        interfaces: row.uuids("interfaces").filter_map(|id| interfaces.get(&id).cloned()).collect(),
    };
    (row.id(), (row.text("name").unwrap_or_default(), port))
}

fn interface(row: &Row<'_>) -> (String, (String, Interface)) {
    let interface = Interface {
        kind: row.text("type").unwrap_or_default(),
        mac: row.text("mac"),
        mtu_request: row.number("mtu_request"),
        options: row.map("options"),
        error: row.text("error"),
        link_state: row.text("link_state"),
    };
    (row.id(), (row.text("name").unwrap_or_default(), interface))
}

/// A table, as `--format=json` prints it.
#[derive(Deserialize)]
struct Table {
    headings: Vec<String>,
    data: Vec<Vec<Value>>,
}

struct Row<'t>(BTreeMap<&'t str, &'t Value>);

impl Table {
    fn rows(&self) -> impl Iterator<Item = Row<'_>> {
        self.data.iter().map(|row| Row(self.headings.iter().map(String::as_str).zip(row).collect()))
    }
}

impl Row<'_> {
    /// All values of a column: an atom is a set of one.
    fn all(&self, column: &str) -> Vec<Value> {
        match self.0.get(column) {
            Some(Value::Array(tagged)) => match tagged.as_slice() {
                [Value::String(kind), Value::Array(values)] if kind == "set" => values.clone(),
                _ => vec![Value::Array(tagged.clone())],
            },
            Some(value) => vec![(*value).clone()],
            None => Vec::new(),
        }
    }

    fn text(&self, column: &str) -> Option<String> {
        self.all(column).first()?.as_str().map(str::to_owned)
    }

    fn number<N: TryFrom<u64>>(&self, column: &str) -> Option<N> {
        number(self.all(column).first()?)
    }

    fn truth(&self, column: &str) -> bool {
        self.all(column).first() == Some(&Value::Bool(true))
    }

    fn map(&self, column: &str) -> BTreeMap<String, String> {
        let Some([Value::String(kind), Value::Array(pairs)]) =
            self.0.get(column).and_then(|value| value.as_array()).map(Vec::as_slice)
        else {
            return BTreeMap::new();
        };
        let pairs = pairs.iter().filter(|_| kind == "map").filter_map(Value::as_array);
        pairs.filter_map(|pair| Some((pair.first()?.as_str()?.to_owned(), pair.get(1)?.as_str()?.to_owned()))).collect()
    }

    fn uuids(&self, column: &str) -> impl Iterator<Item = String> {
        self.all(column).into_iter().filter_map(|value| uuid(&value))
    }

    fn id(&self) -> String {
        self.uuids("_uuid").next().unwrap_or_default()
    }
}

fn uuid(value: &Value) -> Option<String> {
    match value.as_array()?.as_slice() {
        [Value::String(kind), Value::String(id)] if kind == "uuid" => Some(id.clone()),
        _ => None,
    }
}

fn number<N: TryFrom<u64>>(value: &Value) -> Option<N> {
    N::try_from(value.as_u64()?).ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::each;

    #[test]
    fn both_releases() {
        for (release, text) in each("ovs.json") {
            let ovs = parse(&text).unwrap();
            let names: Vec<_> = ovs.bridges.keys().collect();
            assert_eq!(names, ["br1"], "{release}");
            let bridge = &ovs.bridges["br1"];
            assert_eq!((bridge.fail_mode.as_deref(), bridge.rstp), (Some("standalone"), false), "{release}");
            assert_eq!(bridge.external_ids["stead"], "7a2f0c86-29a5-44cb-9a43-5a4b6f1f8f11", "{release}");
            let ports: Vec<_> = bridge.ports.keys().collect();
            assert_eq!(ports, ["br1", "enp0s1", "lan"], "{release}");
            let lan = &bridge.ports["lan"].interfaces["lan"];
            assert_eq!((lan.kind.as_str(), lan.mtu_request, lan.error.as_deref()), ("internal", Some(1500), None));
            assert_eq!(lan.mac.as_ref(), bridge.other_config.get("hwaddr"), "{release}");
            assert_eq!(bridge.ports["enp0s1"].interfaces["enp0s1"].link_state.as_deref(), Some("up"), "{release}");
        }
    }

    #[test]
    fn a_bond_with_a_tag() {
        let text = r#"{"data":[["br1",["uuid","p"],["set",[]],true,["map",[]],["map",[]]]],"headings":["name","ports","fail_mode",
            "rstp_enable","other_config","external_ids"]}
            {"data":[[["uuid","p"],"bond1",20,["set",[20,30]],"active-backup",true,["map",[["bond-primary","a"]]],
            ["map",[]],["set",[["uuid","a"],["uuid","b"]]]]],"headings":["_uuid","name","tag","trunks","bond_mode",
            "protected","other_config","external_ids","interfaces"]}
            {"data":[[["uuid","a"],"eth0","",["set",[]],["set",[]],["map",[]],"could not open network device","down"],
            [["uuid","b"],"eth1","",["set",[]],["set",[]],["map",[]],["set",[]],"up"]],"headings":["_uuid","name","type",
            "mac","mtu_request","options","error","link_state"]}"#;
        let bridge = parse(text).unwrap().bridges.remove("br1").unwrap();
        let bond = &bridge.ports["bond1"];
        assert_eq!((bond.tag, bond.trunks.len(), bond.protected, bridge.rstp), (Some(20), 2, true, true));
        assert_eq!(bond.bond_mode.as_deref(), Some("active-backup"));
        assert_eq!(bond.other_config["bond-primary"], "a");
        assert_eq!(bond.interfaces["eth0"].error.as_deref(), Some("could not open network device"));
        assert!(parse("nothing").is_err() && parse("{}").is_err() && parse("").is_err());
    }
}
