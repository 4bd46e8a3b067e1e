//! What holds for any edit of any text.
use std::collections::BTreeMap;

use proptest::prelude::*;
use proptest::sample::{Index, select};

use super::*;

proptest! {
    #[test]
    fn an_edit_changes_what_it_says_and_can_be_taken_back(document in document(), plan in plan()) {
        let edit = plan.on(&document.text);
        match apply(&document.text, &edit) {
            Ok(_) => check(&document, &edit),
            Err(EditError::NotToml(_) | EditError::Changed | EditError::Spoiled { .. }) => {
                panic!("{edit:?} in\n{}", document.text)
            }
            Err(_) => {}
        }
    }

    #[test]
    fn any_text_is_read_without_panic(text in "\\PC*|[a.\\[\\]{}=\"'#,1 \t\r\n\\\\é]*", plan in plan()) {
        let _ = text.parse::<KeyPath>();
        if let Ok(applied) = apply(&text, &plan.on(&text)) {
            prop_assert_eq!(apply(&applied.text, &applied.opposite).expect("an opposite").text, text.clone());
        }
        if Tree::parse(&text).is_ok() {
            prop_assert!(Layout::new(&text).is_some());
        }
    }
}

fn check(document: &Text, edit: &Edit) {
    let text = &document.text;
    let applied = edited(text, edit);
    let layout = Layout::new(text).expect("a layout");
    let path = edit.path();

    // What is said elsewhere is the same.
    let same = |text: &str| {
        let mut leaves = BTreeMap::new();
        leaves_of(&Tree::parse(text).expect("TOML"), &KeyPath::default(), &mut leaves);
        let (above, last) = path.split_last().expect("a path");
        let skip = match (edit, last) {
            (Edit::Insert { .. } | Edit::Remove { .. }, Segment::Index(_)) | (Edit::Rename { .. }, _) => above,
            _ => path.clone(),
        };
        leaves.retain(|at, _| !at.starts_with(&skip));
        leaves
    };
    assert_eq!(same(text), same(&applied.text), "{edit:?} in\n{text}");

    // A comment goes only with what it is about.
    for (comment, owner) in &document.comments {
        let replaced = matches!(edit, Edit::Set { .. }) && layout.at(path).is_some() && *owner != *path;
        let may_go = matches!(edit, Edit::Remove { .. }) || replaced;
        let is_there = applied.text.contains(comment);
        assert!(is_there || may_go && owner.starts_with(path), "{edit:?} lost {comment}:\n{text}\n{}", applied.text);
    }

    // The opposite says what it does, where something does.
    let is_restored = matches!(applied.opposite, Edit::Restore(_));
    let inside = (1..=path.segments().len()).rev().find_map(|n| layout.at(&path.first(n)));
    let is_odd_gap = inside.is_some_and(|(n, node)| layout.children(Some(n)).next().is_none() && node.span.len() > 2);
    let head = path.segments().len() == 1 && layout.children(None).next().is_none();
    // A table without a header gets one for its first key, and would keep it.
    let gets_header = path.split_last().is_some_and(|(above, _)| {
        layout.has(&above) && layout.at(&above).is_none() && !layout.items.iter().any(|item| item.path == above)
    });
    let excused = match edit {
        Edit::Remove { .. } | Edit::Restore(_) => true,
        // A text of one line doesn't show how its lines end.
        Edit::Set { .. } if layout.at(path).is_some() => text.contains('\n') && !applied.text.contains('\n'),
        Edit::Set { .. } => is_odd_gap || head || gets_header,
        Edit::Push { .. } | Edit::Insert { .. } => is_odd_gap,
        Edit::AddTable { .. } => layout.items.is_empty() || is_odd_gap,
        // Quotes that a name needs stay with the next one, which may not.
        Edit::Rename { to, .. } => to.contains(' '),
    };
    assert!(!is_restored || excused, "{edit:?} has no opposite in\n{text}\n{}", applied.text);
}

fn leaves_of(tree: &Tree, at: &KeyPath, leaves: &mut BTreeMap<KeyPath, String>) {
    match tree {
        Tree::Scalar(value) => drop(leaves.insert(at.clone(), value.clone())),
        Tree::List(list) => {
            list.iter().enumerate().for_each(|(n, tree)| leaves_of(tree, &at.clone().index(n), leaves));
        }
        Tree::Table(table) => table.iter().for_each(|(key, tree)| leaves_of(tree, &at.clone().key(key), leaves)),
    }
}

/// Every path that says something.
fn paths_of(tree: &Tree, at: &KeyPath, paths: &mut Vec<KeyPath>) {
    paths.push(at.clone());
    match tree {
        Tree::Scalar(_) => {}
        Tree::List(list) => {
            list.iter().enumerate().for_each(|(n, tree)| paths_of(tree, &at.clone().index(n), paths));
        }
        Tree::Table(table) => table.iter().for_each(|(key, tree)| paths_of(tree, &at.clone().key(key), paths)),
    }
}

/// An edit of a text that isn't known yet.
#[derive(Debug, Clone)]
struct Plan {
    kind: usize,
    place: Index,
    new: Vec<&'static str>,
    index: usize,
    value: &'static str,
}

fn plan() -> impl Strategy<Value = Plan> {
    let value = select(&["1", "\"20GiB\"", "[]", "{ x = 1 }", "[\n  1, # one\n]", "nan"][..]);
    let new = prop::collection::vec(select(&["a", "b", "new", "o d"][..]), 1..3);
    (0..9_usize, any::<Index>(), new, 0..3_usize, value).prop_map(|(kind, place, new, index, value)| Plan {
        kind,
        place,
        new,
        index,
        value,
    })
}

impl Plan {
    fn on(&self, text: &str) -> Edit {
        let mut paths = Vec::new();
        paths_of(
            &Tree::parse(text).unwrap_or_else(|_| Tree::parse("").expect("TOML")),
            &KeyPath::default(),
            &mut paths,
        );
        let ends = paths.iter().filter_map(KeyPath::split_last);
        let arrays: Vec<_> = ends.filter(|(_, last)| **last == Segment::Index(0)).map(|(array, _)| array).collect();
        let path = self.place.get(&paths).clone();
        let array = if arrays.is_empty() { path.clone() } else { self.place.get(&arrays).clone() };
        let below = self.new.iter().fold(path.clone(), |path, key| path.key(*key));
        let value = value(self.value);
        match self.kind {
            0 | 1 => Edit::Set { path, value },
            2 => Edit::Set { path: below, value },
            3 | 4 => Edit::Remove { path },
            5 => Edit::Push { path: array, value },
            6 => Edit::Insert { path: array.index(self.index), value },
            7 => {
                let entries = vec![("x".to_owned(), value), ("o d".to_owned(), 2.into())];
                Edit::AddTable { path: below, entries }
            }
            _ => Edit::Rename { path, to: self.new[0].to_owned() },
        }
    }
}

/// A text, and what each of its comments is about.
#[derive(Debug, Clone)]
struct Text {
    text: String,
    comments: Vec<(String, KeyPath)>,
}

/// A part of a text.
#[derive(Debug, Clone)]
struct Piece {
    kind: Kind,
    keys: Vec<&'static str>,
    value: Sketch,
    indent: &'static str,
    above: usize,
    is_commented: bool,
    gap: usize,
}

#[derive(Debug, Clone, Copy, PartialEq)]
enum Kind {
    Header,
    Element,
    Pair,
    Comment,
}

/// A value.
#[derive(Debug, Clone)]
enum Sketch {
    Plain(&'static str),
    Sequence { is_table: bool, items: Vec<(Sketch, bool)>, layout: usize, has_last_comma: bool },
}

fn document() -> impl Strategy<Value = Text> {
    (prop::collection::vec(piece(), 0..14), any::<bool>(), any::<bool>(), any::<bool>()).prop_map(
        |(pieces, is_crlf, is_marked, is_ended)| {
            let mut writer = Writer::default();
            for piece in &pieces {
                writer.piece(piece);
            }
            let mut text = writer.text;
            if !is_ended && let Some(open) = text.strip_suffix('\n') {
                text = open.to_owned();
            }
            if is_crlf {
                text = text.replace('\n', "\r\n");
            }
            if is_marked {
                text.insert(0, '\u{feff}');
            }
            Text { text, comments: writer.comments }
        },
    )
}

fn piece() -> impl Strategy<Value = Piece> {
    let kind =
        select(&[Kind::Header, Kind::Header, Kind::Element, Kind::Pair, Kind::Pair, Kind::Pair, Kind::Comment][..]);
    let keys = prop::collection::vec(select(&["a", "b", "c", "'a'", "\"b\"", "'o d'"][..]), 1..4);
    let indent = select(&["", "", "  ", "\t"][..]);
    (kind, keys, sketch(), indent, 0..3_usize, any::<bool>(), 0..3_usize).prop_map(
        |(kind, keys, value, indent, above, is_commented, gap)| Piece {
            kind,
            keys,
            value,
            indent,
            above: above.saturating_sub(1),
            is_commented,
            gap: gap.saturating_sub(1),
        },
    )
}

fn sketch() -> impl Strategy<Value = Sketch> {
    let plain = [
        "1",
        "0x1F",
        "'li#t'",
        "\"q\\\"]\"",
        "2020-01-01 10:00:00",
        "\"\"\"l\"]\n# no\"\"\"",
        "'''\n'x'''",
        "{}",
        "[ ]",
    ];
    select(plain.to_vec()).prop_map(Sketch::Plain).prop_recursive(2, 8, 4, |inner| {
        let items = prop::collection::vec((inner, any::<bool>()), 0..4);
        (any::<bool>(), items, 0..4_usize, any::<bool>()).prop_map(|(is_table, items, layout, has_last_comma)| {
            Sketch::Sequence { is_table, items, layout, has_last_comma }
        })
    })
}

/// Writes pieces, and leaves out those that can't stand where they are.
#[derive(Debug, Clone, Default)]
struct Writer {
    text: String,
    comments: Vec<(String, KeyPath)>,
    section: KeyPath,
    elements: usize,
}

impl Writer {
    fn piece(&mut self, piece: &Piece) {
        let mut next = self.clone();
        let names = piece.keys.iter().map(|key| key.trim_matches(['"', '\'']));
        let written = piece.keys.join(if piece.gap == 1 { " . " } else { "." });
        let owner = match piece.kind {
            Kind::Header => names.fold(KeyPath::default(), KeyPath::key),
            Kind::Element => KeyPath::new(["t"]).index(self.elements),
            Kind::Pair => names.fold(self.section.clone(), KeyPath::key),
            Kind::Comment => self.section.clone(),
        };
        for _ in 0..piece.above {
            next.text += piece.indent;
            next.comment(&owner);
        }
        next.text += piece.indent;
        match piece.kind {
            Kind::Header => next.text.extend(["[", &written, "]"]),
            Kind::Element => {
                next.text += "[[t]]";
                next.elements += 1;
            }
            Kind::Pair => {
                next.text.extend([&written, " = "]);
                next.sketch(&piece.value, &owner);
            }
            Kind::Comment => {}
        }
        if piece.kind == Kind::Comment || piece.is_commented {
            next.comment(&owner);
        } else {
            next.text += "\n";
        }
        let gap = if piece.kind == Kind::Comment { 1 } else { piece.gap };
        next.text += &"\n".repeat(gap);
        if matches!(piece.kind, Kind::Header | Kind::Element) {
            next.section = owner;
        }
        if Tree::parse(&next.text).is_ok() {
            *self = next;
        }
    }

    fn comment(&mut self, owner: &KeyPath) {
        let comment = format!("# [c{}]", self.comments.len());
        self.text.extend([&comment, "\n"]);
        self.comments.push((comment, owner.clone()));
    }

    fn sketch(&mut self, sketch: &Sketch, at: &KeyPath) {
        let (is_table, items, layout, has_last_comma) = match sketch {
            Sketch::Plain(text) => {
                self.text += text;
                return;
            }
            Sketch::Sequence { is_table, items, layout, has_last_comma } => {
                (*is_table, items, *layout, *has_last_comma)
            }
        };
        let is_tall = layout > 1;
        self.text += if is_table { "{" } else { "[" };
        self.text += ["", " ", "\n", "\n"][layout];
        for (n, (item, is_commented)) in items.iter().enumerate() {
            let name = ["a", "'b'", "c.a", "c.b"][n];
            let below = if is_table {
                name.split('.').fold(at.clone(), |at, key| at.key(key.trim_matches('\'')))
            } else {
                at.clone().index(n)
            };
            if layout == 3 && *is_commented {
                self.text += "  ";
                self.comment(&below);
            }
            self.text += if is_tall { "  " } else { "" };
            self.text.extend(if is_table { [name, " = "] } else { [""; 2] });
            self.sketch(item, &below);
            self.text += if n + 1 < items.len() || has_last_comma { "," } else { "" };
            match (is_tall, is_commented) {
                (true, true) => {
                    self.text += " ";
                    self.comment(&below);
                }
                (true, false) => self.text += "\n",
                (false, _) => self.text += if n + 1 < items.len() { " " } else { "" },
            }
        }
        self.text += ["", " ", "", " "][layout];
        self.text += if is_table { "}" } else { "]" };
    }
}
