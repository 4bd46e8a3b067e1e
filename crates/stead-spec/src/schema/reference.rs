use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write;

use super::line;
use crate::file::File;
use crate::read::{FromToml, Presence, Shape};

/// Every key of the cluster file, as Markdown.
pub fn reference() -> String {
    let mut reference = Reference::default();
    let mut text = String::from(
        "# The cluster file: every key\n\n\
         <!-- Made by `stead schema --reference`: change the doc comments in crates/stead-spec instead. -->\n\n\
         A key in **bold** has to be there. What a table's `NAME` is, is yours to choose.\n",
    );
    reference.section("", &File::shape(), &mut text);
    while let Some((path, shape)) = reference.next.pop() {
        reference.section(&path, &shape, &mut text);
    }
    reference.values(&mut text);
    text
}

#[derive(Default)]
struct Reference {
    /// Tables that have their section.
    told: BTreeSet<&'static str>,
    /// Tables to come: the last is next.
    next: Vec<(String, Shape)>,
    /// Kinds of texts that were met: how they are written, and an example.
    texts: BTreeMap<&'static str, (&'static str, &'static str)>,
}

impl Reference {
    fn section(&mut self, path: &str, shape: &Shape, out: &mut String) {
        let Shape::Table(name, table) = shape else { return };
        if !self.told.insert(name) {
            return;
        }
        let table = table();
        let title = if path.is_empty() { "The file".to_owned() } else { format!("`{path}`") };
        // Writing to a String doesn't fail.
        let _ = writeln!(out, "\n## {title}\n\n{}\n\n| Key | Takes | |\n|---|---|---|", cell(&table.doc));
        let mut below = Vec::new();
        for key in &table.keys {
            let name = if key.presence == Presence::Needed {
                format!("**`{}`**", key.name)
            } else {
                format!("`{}`", key.name)
            };
            let _ = writeln!(out, "| {name} | {} | {} |", self.takes(&key.shape), cell(&key.doc));
            let path = if path.is_empty() { key.name.to_owned() } else { format!("{path}.{}", key.name) };
            tables(&path, &key.shape, &mut below);
        }
        self.next.extend(below.into_iter().rev());
    }

    /// What a key takes, in a few words.
    fn takes(&mut self, shape: &Shape) -> String {
        match shape {
            Shape::Text { what, syntax, example, .. } => {
                self.texts.insert(what, (syntax, example));
                format!("[{what}](#values)")
            }
            Shape::Free => "a text".to_owned(),
            Shape::Whole { what, least, most } if least == most => format!("{what}: `{least}`"),
            Shape::Whole { what, least, most } => format!("{what}: {least} to {most}"),
            Shape::Bool => "`true` or `false`".to_owned(),
            Shape::Words(words) => {
                let one = |(word, doc): &(&str, &str)| format!("`\"{word}\"`: {}", cell(doc).trim_end_matches('.'));
                words.iter().map(one).collect::<Vec<_>>().join("; or<br>")
            }
            Shape::List(of) => format!("a list, each {}", self.takes(of)),
            Shape::Map { key, of } => format!("a table: {} = {}", self.takes(key), self.takes(of)),
            Shape::Table(..) => "a table, see below".to_owned(),
            Shape::Either(shapes) => shapes.iter().map(|shape| self.takes(shape)).collect::<Vec<_>>().join(" or "),
        }
    }

    fn values(&self, out: &mut String) {
        out.push_str("\n## Values\n\n| | How it is written | Such as |\n|---|---|---|\n");
        for (what, (syntax, example)) in &self.texts {
            let _ = writeln!(out, "| {what} | {} | `\"{example}\"` |", cell(syntax));
        }
    }
}

/// The tables within what a key takes, each with its path.
fn tables(path: &str, shape: &Shape, out: &mut Vec<(String, Shape)>) {
    match shape {
        Shape::Table(..) => out.push((path.to_owned(), shape.clone())),
        Shape::Map { of, .. } => tables(&format!("{path}.NAME"), of, out),
        Shape::List(of) => tables(&format!("{path}[]"), of, out),
        Shape::Either(shapes) => shapes.iter().for_each(|shape| tables(path, shape, out)),
        Shape::Text { .. } | Shape::Free | Shape::Whole { .. } | Shape::Bool | Shape::Words(_) => {}
    }
}

/// A text that fits in a cell of a table.
fn cell(text: &str) -> String {
    line(text).replace('|', "\\|")
}
