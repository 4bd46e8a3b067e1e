mod cluster;
mod errors;
mod examples;
mod properties;

use super::*;

fn path(text: &str) -> KeyPath {
    text.parse().expect("a path")
}

fn value(text: &str) -> Value {
    text.parse().expect("a value")
}

fn set(at: &str, to: &str) -> Edit {
    Edit::Set { path: path(at), value: value(to) }
}

fn remove(at: &str) -> Edit {
    Edit::Remove { path: path(at) }
}

fn push(at: &str, new: &str) -> Edit {
    Edit::Push { path: path(at), value: value(new) }
}

fn insert(at: &str, new: &str) -> Edit {
    Edit::Insert { path: path(at), value: value(new) }
}

fn table(at: &str, entries: &[(&str, &str)]) -> Edit {
    let entries = entries.iter().map(|(key, text)| ((*key).to_owned(), value(text))).collect();
    Edit::AddTable { path: path(at), entries }
}

fn rename(at: &str, to: &str) -> Edit {
    Edit::Rename { path: path(at), to: to.to_owned() }
}

/// Makes an edit, and has it taken back.
fn edited(text: &str, edit: &Edit) -> Applied {
    let applied = apply(text, edit).unwrap_or_else(|error| panic!("{edit:?}: {error} in\n{text}"));
    let back = apply(&applied.text, &applied.opposite).expect("an edit can be taken back");
    assert_eq!(back.text, text, "{edit:?} taken back by {:?}", applied.opposite);
    let again = apply(&back.text, &back.opposite).expect("and made again");
    assert_eq!(again.text, applied.text, "{edit:?} made again");
    applied
}
