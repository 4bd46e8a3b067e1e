//! Edits of real cluster files: each place of each example, in three line endings, there and back again.

use stead_spec::edit::{Edit, KeyPath, Value, apply};
use stead_spec::parse;
use toml_edit::{DocumentMut, Item};

const EXAMPLES: [&str; 4] = [
    include_str!("../../../examples/minimal.toml"),
    include_str!("../../../examples/pi.toml"),
    include_str!("../../../examples/five.toml"),
    include_str!("../../../examples/reference.toml"),
];

/// As written, as Windows writes it, and without an end to its last line.
fn variants() -> impl Iterator<Item = String> {
    EXAMPLES.iter().flat_map(|text| [(*text).to_owned(), text.replace('\n', "\r\n"), text.trim_end().to_owned()])
}

/// Every key, element and table below `item`.
fn paths(item: &Item, path: &KeyPath, all: &mut Vec<KeyPath>) {
    let below: Vec<(KeyPath, Item)> = match item {
        Item::Value(Value::Array(array)) => {
            array.iter().enumerate().map(|(at, value)| (path.clone().index(at), value.clone().into())).collect()
        }
        item => {
            let table = item.as_table_like().into_iter().flat_map(|table| table.iter());
            table.map(|(key, item)| (path.clone().key(key), item.clone())).collect()
        }
    };
    for (path, item) in below {
        all.push(path.clone());
        paths(&item, &path, all);
    }
}

fn there_and_back(text: &str, edit: &Edit) -> String {
    let there = apply(text, edit).unwrap_or_else(|error| panic!("{edit:?}: {error}"));
    let back = apply(&there.text, &there.opposite).unwrap_or_else(|error| panic!("back from {edit:?}: {error}"));
    assert_eq!(back.text, text, "{edit:?}");
    there.text
}

#[test]
fn everything_can_be_taken_out_and_put_back() {
    for text in variants() {
        let document: DocumentMut = text.parse().expect("an example");
        let mut all = Vec::new();
        paths(document.as_item(), &KeyPath::default(), &mut all);
        assert!(all.len() > 50, "{} places", all.len());
        for path in all {
            there_and_back(&text, &Edit::Remove { path });
        }
    }
}

#[test]
fn every_name_can_be_another_and_itself_again() {
    for text in variants() {
        let document: DocumentMut = text.parse().expect("an example");
        for kind in ["node", "switch", "network", "volume", "machine", "image"] {
            let names = document.get(kind).and_then(Item::as_table_like).expect(kind);
            for (name, _) in names.iter() {
                let path = KeyPath::new([kind, name]);
                let renamed = there_and_back(&text, &Edit::Rename { path, to: "another".to_owned() });
                assert!(renamed.contains(&format!("[{kind}.another")), "{kind}.{name}");
            }
        }
    }
}

/// What `stead machine create`, `resize` and `remove` will do.
#[test]
fn a_machine_comes_and_grows_and_goes() {
    for text in variants() {
        let disks = "[{ size = \"20GiB\", volume = \"gv0\" }]"
            .replace("gv0", if text.contains("gv0") { "gv0" } else { "fast" });
        let [image, memory, disks] = ["\"debian-13\"", "\"2GiB\"", &disks].map(|value| value.parse().expect("a value"));
        let entries = [("image", image), ("memory", memory), ("disks", disks)];
        let entries = entries.map(|(key, value): (_, Value)| (key.to_owned(), value)).to_vec();
        let path = KeyPath::new(["machine", "new1"]);
        let made = there_and_back(&text, &Edit::AddTable { path: path.clone(), entries });
        let (spec, _) = parse("stead.toml", made.as_bytes()).expect("a good file with a machine more");
        assert!(spec.machines().keys().any(|name| name.as_ref() == "new1"));
        let size = path.clone().key("disks").index(0).key("size");
        let grown = there_and_back(&made, &Edit::Set { path: size, value: "40GiB".into() });
        let grown = there_and_back(&grown, &Edit::Set { path: path.clone().key("cpus"), value: 4.into() });
        let (spec, _) = parse("stead.toml", grown.as_bytes()).expect("a good file with a larger machine");
        let machine = spec.machines().values().find(|machine| machine.name.as_ref() == "new1").expect("new1");
        assert_eq!((machine.cpus.get(), machine.disks[0].size.to_string().as_str()), (4, "40GiB"));
        assert_eq!(apply(&grown, &Edit::Remove { path }).expect("gone").text, text);
    }
}
