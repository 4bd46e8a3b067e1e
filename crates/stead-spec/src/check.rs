//! What mistakes across tables have in common.

use std::collections::BTreeMap;
use std::fmt::Display;
use std::hash::Hash;

use crate::diagnostic::{Code, Diagnostic, Span};
use crate::read::{At, Field, List, Map, nearest};

/// What was found so far.
pub(crate) type Findings = Vec<Diagnostic>;

/// Something that belongs to one thing only, and who says it.
#[derive(Clone, Debug)]
pub(crate) struct Claim<T> {
    pub(crate) value: T,
    pub(crate) span: Span,
    /// Whose it is: `node1`, `machine web1`.
    pub(crate) who: String,
}

impl<T> Claim<T> {
    pub(crate) fn new(value: T, span: &Span, who: impl Into<String>) -> Self {
        Self { value, span: span.clone(), who: who.into() }
    }
}

/// Reports each claim of what an earlier one has: `what` names the kind of thing, as in `the address 192.168.0.50`.
pub(crate) fn claimed_once<T: Ord + Display>(
    claims: impl IntoIterator<Item = Claim<T>>,
    code: Code,
    what: &str,
    remedy: &str,
    out: &mut Findings,
) {
    let mut owners: BTreeMap<T, (Span, String)> = BTreeMap::new();
    for Claim { value, span, who } in claims {
        if let Some((first, owner)) = owners.get(&value) {
            let message = if *owner == who {
                format!("{who} has {what} {value} twice")
            } else {
                format!("{owner} and {who} both have {what} {value}")
            };
            out.push(Diagnostic::new(code, &span, message, "taken", remedy).and(first, format!("{owner} has it")));
        } else {
            owners.insert(value, (span, who));
        }
    }
}

/// Reports elements of a list that stand in it before.
pub(crate) fn listed_once<T: Ord + Display + Clone>(list: &Field<List<T>>, out: &mut Findings) {
    let mut seen: BTreeMap<T, Span> = BTreeMap::new();
    for item in list.items() {
        if let Some(first) = seen.get(&item.value) {
            let message = format!("`{}` stands twice in one list", item.value);
            let twice =
                Diagnostic::new(Code::ListedTwice, &item.span, message, "a second time", "take one of them out");
            out.push(twice.and(first, "first here"));
        } else {
            seen.insert(item.value.clone(), item.span.clone());
        }
    }
}

/// Reports a name that `known` doesn't have. `kind` is the table's name: `node`.
pub(crate) fn refer<K: Eq + Hash + Display + AsRef<str>, T>(
    name: &At<K>,
    kind: &str,
    known: &Field<Map<K, T>>,
    out: &mut Findings,
) -> bool {
    if known.find(&name.value).is_some() {
        return true;
    }
    // What stands in the file and can't be read isn't unknown.
    if known.is_whole() {
        let names: Vec<&str> = known.entries().map(|(key, _)| key.value.as_ref()).collect();
        out.push(unknown(name, kind, &names));
    }
    false
}

/// Of more names than this, none is suggested: each unknown one would be compared with all of them.
const MANY: usize = 200;

/// There is nothing of that name.
pub(crate) fn unknown(name: &At<impl Display + AsRef<str>>, kind: &str, known: &[&str]) -> Diagnostic {
    let asked = &name.value;
    let near = if known.len() <= MANY { nearest(asked.as_ref(), known.iter().copied()) } else { None };
    let remedy = match near {
        Some(near) => format!("did you mean `{near}`? Otherwise add a table `[{kind}.{asked}]`"),
        None => format!("add a table `[{kind}.{asked}]`"),
    };
    let message = format!("there is no {kind} `{asked}`");
    Diagnostic::new(Code::UnknownName, &name.span, message, format!("no `[{kind}.{asked}]` in this file"), remedy)
}

/// Reports a key that means nothing where it stands.
pub(crate) fn useless<T>(field: &Field<T>, key: &str, why: &str, remedy: &str, out: &mut Findings) {
    if let Some(at) = field.get() {
        out.push(Diagnostic::new(Code::UselessKey, &at.span, format!("`{key}` means nothing here"), why, remedy));
    }
}

/// Reports a table that has not exactly one of these keys, each with its place if it is there.
pub(crate) fn one_of(table: &Span, whose: &str, keys: &[(&str, Option<Span>, bool)], out: &mut Findings) {
    let names: Vec<_> = keys.iter().map(|(name, ..)| format!("`{name}`")).collect();
    let names = names.join(" or ");
    let there: Vec<_> = keys.iter().filter(|(_, span, missing)| span.is_some() || !missing).collect();
    match there.as_slice() {
        [_] => {}
        [] => {
            let message = format!("{whose} has neither {}", names.replace(" or ", " nor "));
            let remedy = format!("add {names}");
            out.push(Diagnostic::new(Code::OneOf, table, message, format!("{names} has to be in here"), remedy));
        }
        [(first, first_span, _), (second, second_span, _), ..] => {
            let span = second_span.as_ref().unwrap_or(table);
            let message = format!("{whose} has `{first}` and `{second}`");
            let mut both =
                Diagnostic::new(Code::OneOf, span, message, "one excludes the other", "take one of them out");
            if let Some(first_span) = first_span {
                both = both.and(first_span, format!("`{first}` is here"));
            }
            out.push(both);
        }
    }
}

/// A key's name, place and absence, for [`one_of`].
pub(crate) fn key<'k, T>(name: &'k str, field: &Field<T>) -> (&'k str, Option<Span>, bool) {
    (name, field.get().map(|at| at.span.clone()), field.is_missing())
}

/// Reports a `was` that names what is there, or what another one was too.
pub(crate) fn renames<'t, K, T: 't>(
    kind: &str,
    tables: &'t Field<Map<K, T>>,
    was: fn(&T) -> &Field<K>,
    out: &mut Findings,
) where
    K: Ord + Hash + Display + Clone + 't,
{
    let mut before: BTreeMap<K, (Span, String)> = BTreeMap::new();
    for (name, table) in tables.entries() {
        let Some(old) = was(&table.value).get() else { continue };
        let now = &name.value;
        if old.value == *now {
            let message = format!("`{now}` was `{now}`");
            out.push(Diagnostic::new(Code::WasCollides, &old.span, message, "that is its name", "take `was` out"));
        } else if let Some((key, _)) = tables.find(&old.value) {
            let message = format!("`{now}` was `{}`, which is still in the file", old.value);
            let remedy = format!("if it was renamed, take `[{kind}.{}]` out; else take `was` out", old.value);
            let still = Diagnostic::new(Code::WasCollides, &old.span, message, "the name is in use", remedy);
            out.push(still.and(&key.span, "here"));
        } else if let Some((first, other)) = before.get(&old.value) {
            let message = format!("`{other}` and `{now}` both were `{}`", old.value);
            let both =
                Diagnostic::new(Code::WasCollides, &old.span, message, "it became one of them", "take one `was` out");
            out.push(both.and(first, "the other is here"));
        } else {
            before.insert(old.value.clone(), (old.span.clone(), now.to_string()));
        }
    }
}
