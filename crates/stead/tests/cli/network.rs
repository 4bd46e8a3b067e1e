use serde_json::Value;

use super::{said, stead};

#[test]
fn what_switches_must_be_set_to() {
    insta::assert_snapshot!(said(&stead(&["network", "explain", "-f", "examples/reference.toml"], b"")));
}

#[test]
fn linked_switches() {
    let mut text = std::fs::read_to_string(super::checkout("examples/minimal.toml")).expect("an example");
    for (from, to) in [
        ("[switch.sw1]", "[switch.sw1]\nlinked_to = [\"sw2\"]\n\n[switch.sw2]\nmtu = 9000"),
        ("[\"sw1\"]\nvlan", "[\"sw2\"]\nvlan"),
        ("[\"sw1\"]\nsubnet", "[\"sw1\", \"sw2\"]\nsubnet"),
        ("10.10.0.0/23", "10.10.0.0/22"),
    ] {
        assert!(text.contains(from), "{from}");
        text = text.replace(from, to);
    }
    for node in 1..=3 {
        let nic = format!("sw1 = \"52:54:00:00:0{node}:01\"");
        text = text.replace(&nic, &format!("{nic}, sw2 = \"52:54:00:00:0{node}:02\""));
    }
    insta::assert_snapshot!(said(&stead(&["network", "explain", "-f", "-"], text.as_bytes())));
}

#[test]
fn as_data() {
    let output = stead(&["network", "explain", "--json", "-f", "examples/minimal.toml"], b"");
    assert_eq!(output.status.code(), Some(0));
    let json: Value = serde_json::from_slice(&output.stdout).expect("JSON and nothing else");
    assert_eq!(json["schema_version"], 1);
    let port = &json["switches"][0]["ports"][0];
    assert_eq!((&port["to"]["node"]["name"], &port["untagged"]), (&"node1".into(), &"lan".into()));
    assert_eq!(port["tagged"]["10"], "core");
}
