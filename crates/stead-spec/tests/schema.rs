//! The JSON Schema says of good files that they are good, and of those that are of the wrong shape that they are not.

use jsonschema::Validator;
use serde_json::Value;

fn validator() -> Validator {
    let schema = stead_spec::schema::json_schema();
    jsonschema::meta::validate(&schema).expect("a schema by draft 7's own");
    jsonschema::draft7::new(&schema).expect("a schema")
}

fn folder(name: &str) -> String {
    format!("{}/{name}", env!("CARGO_MANIFEST_DIR"))
}

/// A TOML file as the language servers see it.
fn read(path: &str) -> Option<Value> {
    let text = std::fs::read_to_string(path).ok()?;
    let document: toml_edit::DocumentMut = text.parse().ok()?;
    Some(table(document.as_table()))
}

fn table(like: &dyn toml_edit::TableLike) -> Value {
    like.iter().map(|(key, item)| (key.to_owned(), of(item))).collect::<serde_json::Map<_, _>>().into()
}

fn of(item: &toml_edit::Item) -> Value {
    if let Some(like) = item.as_table_like() {
        return table(like);
    }
    item.as_value().map_or(Value::Null, value)
}

fn value(value: &toml_edit::Value) -> Value {
    match value {
        toml_edit::Value::String(text) => text.value().clone().into(),
        toml_edit::Value::Integer(number) => (*number.value()).into(),
        toml_edit::Value::Boolean(is) => (*is.value()).into(),
        toml_edit::Value::Array(array) => array.iter().map(self::value).collect::<Vec<_>>().into(),
        toml_edit::Value::InlineTable(like) => table(like),
        toml_edit::Value::Float(_) | toml_edit::Value::Datetime(_) => Value::Null,
    }
}

#[test]
fn the_examples_fit() {
    let validator = validator();
    for name in ["minimal", "pi", "five", "reference"] {
        let file = read(&folder(&format!("../../examples/{name}.toml"))).expect(name);
        let errors: Vec<_> =
            validator.iter_errors(&file).map(|error| format!("{}: {error}", error.instance_path())).collect();
        assert!(errors.is_empty(), "{name}: {errors:#?}");
    }
}

/// What one sees in a single table, an editor sees too.
#[test]
fn what_is_of_the_wrong_shape_does_not() {
    let validator = validator();
    let mut seen = 0;
    for entry in std::fs::read_dir(folder("tests/cases")).expect("cases") {
        let name = entry.expect("a case").file_name().to_string_lossy().into_owned();
        // The rest of the values takes more than a pattern.
        let of_shape =
            ["unknown-key", "wrong-type", "bad-value-vlan", "bad-value-word", "bad-value-size", "bad-value-mac"]
                .iter()
                .any(|shape| name.starts_with(shape))
                || ["missing-key", "missing-key-schema", "bad-value-hostname"].contains(&name.as_str());
        if of_shape {
            let file = read(&folder(&format!("tests/cases/{name}/stead.toml"))).expect(&name);
            assert!(!validator.is_valid(&file), "{name}");
            seen += 1;
        }
    }
    assert!(seen >= 10, "{seen} cases of the wrong shape");
}

/// Mistakes between tables are beyond a schema: it lets them pass, so patterns aren't narrower than the parser.
#[test]
fn other_mistakes_do() {
    let validator = validator();
    for name in ["even-nodes", "vlan-twice", "unlock-never", "dhcp-collides", "start-cycle", "was-collides"] {
        let file = read(&folder(&format!("tests/cases/{name}/stead.toml"))).expect(name);
        assert!(validator.is_valid(&file), "{name}");
    }
}
