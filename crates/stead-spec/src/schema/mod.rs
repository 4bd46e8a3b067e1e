//! The file's shape for others: a JSON Schema for editors, and the reference for people. Both come from the tables as
//! they are read.

mod reference;

use serde_json::{Map, Value, json};

use crate::file::File;
use crate::read::{FromToml, Key, Presence, Shape};

pub use reference::reference;

/// The JSON Schema of the cluster file: draft 7, which TOML language servers know best.
pub fn json_schema() -> Value {
    let mut definitions = Map::new();
    let Value::Object(mut root) = schema(&File::shape(), &mut definitions) else { return Value::Null };
    // The file itself isn't worth a name.
    if let Some(Value::Object(file)) = definitions.remove("File") {
        root = file;
    }
    let mut all = Map::new();
    all.insert("$schema".to_owned(), json!("http://json-schema.org/draft-07/schema#"));
    all.insert("title".to_owned(), json!("stead's cluster file"));
    all.append(&mut root);
    all.insert("definitions".to_owned(), Value::Object(definitions));
    Value::Object(all)
}

fn schema(shape: &Shape, definitions: &mut Map<String, Value>) -> Value {
    match shape {
        Shape::Text { syntax, example, pattern, .. } => {
            json!({ "type": "string", "pattern": pattern, "description": syntax, "examples": [example] })
        }
        Shape::Free => json!({ "type": "string" }),
        Shape::Whole { least, most, .. } => json!({ "type": "integer", "minimum": least, "maximum": most }),
        Shape::Bool => json!({ "type": "boolean" }),
        Shape::Words(words) => {
            // taplo shows what each word means by a key of its own; others show the description.
            let (names, docs): (Vec<&str>, Vec<&str>) = words.iter().map(|(word, doc)| (*word, doc.trim())).unzip();
            let each: String =
                words.iter().fold(String::new(), |text, (word, doc)| text + "\n- `\"" + word + "\"`:" + doc);
            json!({ "type": "string", "enum": names, "x-taplo": { "docs": { "enumValues": docs } }, "description": each })
        }
        Shape::List(of) => json!({ "type": "array", "items": schema(of, definitions) }),
        Shape::Map { key, of } => {
            let mut map = json!({ "type": "object", "additionalProperties": schema(of, definitions) });
            if let (Shape::Text { pattern, .. }, Some(map)) = (key.as_ref(), map.as_object_mut()) {
                map.insert("propertyNames".to_owned(), json!({ "pattern": pattern }));
            }
            map
        }
        Shape::Table(name, _) => {
            table(shape, definitions);
            json!({ "$ref": format!("#/definitions/{}", short(name)) })
        }
        Shape::Either(shapes) => {
            json!({ "anyOf": shapes.iter().map(|shape| schema(shape, definitions)).collect::<Vec<_>>() })
        }
    }
}

/// Defines a table, once: tables may hold themselves.
fn table(shape: &Shape, definitions: &mut Map<String, Value>) {
    let Shape::Table(name, table) = shape else { return };
    let name = short(name);
    if definitions.contains_key(name) {
        return;
    }
    definitions.insert(name.to_owned(), Value::Null);
    let table = table();
    let required: Vec<_> =
        table.keys.iter().filter(|key| key.presence == Presence::Needed).map(|key| key.name).collect();
    let mut properties = Map::new();
    for key in &table.keys {
        properties.insert(key.name.to_owned(), described(key, definitions));
    }
    let defined = json!({
        "type": "object",
        "description": line(&table.doc),
        "properties": properties,
        "required": required,
        "additionalProperties": false,
    });
    definitions.insert(name.to_owned(), defined);
}

/// What a key takes, with what it says. Draft 7 hears nothing beside a `$ref`, and language servers do.
fn described(key: &Key, definitions: &mut Map<String, Value>) -> Value {
    let own = line(&key.doc);
    let mut taken = schema(&key.shape, definitions);
    if taken.get("$ref").is_some() {
        return json!({ "description": own, "$ref": taken["$ref"] });
    }
    if let Some(taken) = taken.as_object_mut() {
        let more = taken.get("description").and_then(Value::as_str).unwrap_or_default();
        let between = if more.starts_with('\n') { "\n" } else { " " };
        let all = format!("{own}{between}{more}").trim_end().to_owned();
        taken.insert("description".to_owned(), json!(all));
    }
    taken
}

/// The name of a table without the word that all of them end in.
fn short(name: &str) -> &str {
    name.strip_suffix("Table").unwrap_or(name)
}

/// Doc comments as one line.
fn line(doc: &str) -> String {
    doc.split_whitespace().collect::<Vec<_>>().join(" ")
}
