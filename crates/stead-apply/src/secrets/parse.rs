//! Reading `stead.secrets`: all of it makes sense, or an error says which line doesn't.

use std::collections::BTreeSet;
use std::fmt;
use std::io::Read;

use age::armor::ArmoredReader;
use stead_plan::generation::Ancestor;
use stead_plan::inventory::Timestamp;
use stead_spec::units::ClusterId;

use super::dates;
use super::file::{ANCESTOR, END, FIRST, Record, Sealed, Stated};
use super::name::{Kind, SecretName};
use super::recipients::Fingerprint;

/// A line of `stead.secrets` that makes no sense.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ParseError {
    /// Counted from 1.
    pub line: usize,
    /// What is wrong with it.
    pub why: String,
    /// What to do.
    pub remedy: String,
}

const CERTIFICATE: [&str; 2] = ["-----BEGIN CERTIFICATE-----", "-----END CERTIFICATE-----"];
const AGE: [&str; 2] = ["-----BEGIN AGE ENCRYPTED FILE-----", "-----END AGE ENCRYPTED FILE-----"];
/// What git writes around what it could not merge.
const CONFLICT: [&str; 4] = ["<<<<<<<", "|||||||", "=======", ">>>>>>>"];
const AGAIN: &str = "take the file from your git once more, or fetch it back from a node: `stead adopt ADDRESS`";

impl ParseError {
    pub(super) fn new(line: usize, why: impl Into<String>) -> Self {
        Self { line, why: why.into(), remedy: AGAIN.to_owned() }
    }

    fn remedy(self, remedy: impl Into<String>) -> Self {
        Self { remedy: remedy.into(), ..self }
    }
}

impl fmt::Display for ParseError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "line {}: {}", self.line, self.why)
    }
}

impl std::error::Error for ParseError {}

impl Sealed {
    /// Reads the text of `stead.secrets`. What comes out prints as the same text.
    ///
    /// # Errors
    /// It is another cluster's, cut off, in conflict or damaged: which line, and why.
    pub fn parse(text: &str, cluster: &ClusterId) -> Result<Self, ParseError> {
        let mut lines = Lines::new(text);
        first(&mut lines, cluster)?;
        conflict(text)?;
        let mut sealed = Self::new(*cluster);
        sealed.header = String::from(lines.taken());
        header(&mut lines, &mut sealed)?;
        let mut seen: Vec<(SecretName, usize)> = Vec::new();
        while let Some((number, line)) = lines.peek() {
            if line == END {
                sealed.end = end(&mut lines)?;
                return Ok(sealed);
            }
            let record = record(&mut lines)?;
            if let Some((_, first)) = seen.iter().find(|(name, _)| name == record.name()) {
                let why = format!("`{}` is there twice, first in line {first}", record.name());
                return Err(ParseError::new(number, why).remedy("a merge kept both: take one of them out"));
            }
            seen.push((record.name().clone(), number));
            sealed.records.push(record);
        }
        Err(ParseError::new(lines.number.max(1), "the file ends before its last line: it is cut off"))
    }
}

/// A text by lines, and how much of it is read.
struct Lines<'a> {
    text: &'a str,
    /// Where the next line begins.
    at: usize,
    /// Where what [`Self::taken`] gives begins.
    from: usize,
    /// How many lines are read.
    number: usize,
}

impl<'a> Lines<'a> {
    fn new(text: &'a str) -> Self {
        Self { text, at: 0, from: 0, number: 0 }
    }

    /// The next line with its number, without what ends it.
    fn peek(&self) -> Option<(usize, &'a str)> {
        let line = self.text[self.at..].split_inclusive('\n').next()?;
        let line = line.strip_suffix('\n').unwrap_or(line);
        Some((self.number + 1, line.strip_suffix('\r').unwrap_or(line)))
    }

    fn next(&mut self) -> Option<(usize, &'a str)> {
        let line = self.peek()?;
        self.at += self.text[self.at..].split_inclusive('\n').next().map_or(0, str::len);
        self.number += 1;
        Some(line)
    }

    /// All lines since the last time.
    fn taken(&mut self) -> &'a str {
        let taken = &self.text[self.from..self.at];
        self.from = self.at;
        taken
    }
}

fn first(lines: &mut Lines<'_>, cluster: &ClusterId) -> Result<(), ParseError> {
    let Some((number, line)) = lines.next() else {
        return Err(ParseError::new(1, "the file is empty"));
    };
    let Some(id) = line.strip_prefix(FIRST) else {
        if CONFLICT.iter().any(|mark| line.starts_with(mark)) {
            return conflict(line);
        }
        if line.starts_with("# stead.secrets ") {
            let why = "the file has a format that this stead doesn't know";
            return Err(ParseError::new(number, why).remedy("use the stead that wrote it, or a newer one"));
        }
        return Err(ParseError::new(number, format!("the file doesn't begin with `{}…`", FIRST.trim_end())));
    };
    match id.parse::<ClusterId>() {
        Ok(id) if id == *cluster => Ok(()),
        Ok(id) => Err(ParseError::new(number, format!("these are the secrets of cluster {id}, not of {cluster}"))
            .remedy("put each cluster's file beside its own cluster file")),
        Err(_) => Err(ParseError::new(number, "that is no cluster's UUID")),
    }
}

/// What git could not merge is told before all that follows from it.
fn conflict(text: &str) -> Result<(), ParseError> {
    let marked = |line: &str| {
        let word = line.split([' ', '\r', '\n']).next().unwrap_or_default();
        CONFLICT.contains(&word)
    };
    let Some(at) = text.lines().position(marked) else { return Ok(()) };
    let line = text.lines().nth(at).unwrap_or_default();
    let short: String = line.chars().take(60).collect();
    let remedy = "git could not merge this place: keep the records of both sides, of two with one name keep one, and take \
                  the marks out";
    Err(ParseError::new(at + 1, format!("a conflict of git's is there: `{short}`")).remedy(remedy))
}

/// Up to the first record: comments, ancestors and one empty line.
fn header(lines: &mut Lines<'_>, sealed: &mut Sealed) -> Result<(), ParseError> {
    while let Some((number, line)) = lines.peek() {
        if line == END || line.starts_with('[') {
            let gap = lines.taken();
            return if gap.trim_matches(['\r', '\n']).is_empty() {
                Ok(())
            } else {
                Err(ParseError::new(number, "an empty line is missing before this one"))
            };
        }
        lines.next();
        if let Some(ancestor) = line.strip_prefix(ANCESTOR) {
            sealed.ancestors.push(parse_ancestor(ancestor).ok_or_else(|| {
                ParseError::new(
                    number,
                    format!("after `{ANCESTOR}` stand a number and a SHA-256 in hexadecimal digits"),
                )
            })?);
            lines.taken();
        } else if line.starts_with('#') {
            sealed.header.push_str(lines.taken());
        } else if !line.is_empty() {
            return Err(ParseError::new(number, "this line belongs to no record"));
        }
    }
    Err(ParseError::new(lines.number, "the file ends before its last line: it is cut off"))
}

fn parse_ancestor(text: &str) -> Option<Ancestor> {
    let (number, digest) = text.split_once(' ')?;
    let plain = !number.is_empty() && number.bytes().all(|byte| byte.is_ascii_digit());
    Some(Ancestor { number: number.parse().ok().filter(|_| plain)?, digest: digest.parse().ok()? })
}

fn end(lines: &mut Lines<'_>) -> Result<String, ParseError> {
    lines.next();
    while let Some((number, line)) = lines.next() {
        if !line.is_empty() {
            return Err(ParseError::new(number, format!("something follows after `{END}`")));
        }
    }
    Ok(lines.taken().to_owned())
}

fn record(lines: &mut Lines<'_>) -> Result<Record, ParseError> {
    let cut = |lines: &Lines<'_>| ParseError::new(lines.number, "the file ends within a record: it is cut off");
    let Some((start, line)) = lines.next() else { return Err(cut(lines)) };
    let name = line.strip_prefix('[').and_then(|line| line.strip_suffix(']'));
    let name = name.ok_or_else(|| ParseError::new(start, "this line belongs to no record"))?;
    let name: SecretName = name.parse().map_err(|bad: super::BadName| ParseError::new(start, bad.to_string()))?;
    let (mut kind, mut made, mut sealed_for, mut certificate, mut sum) = (None, None, BTreeSet::new(), None, None);
    loop {
        let Some((number, line)) = lines.next() else { return Err(cut(lines)) };
        match line.split_once(" = ") {
            _ if line == CERTIFICATE[0] && certificate.is_none() => certificate = Some(block(lines, CERTIFICATE)?),
            _ if line == AGE[0] => break,
            Some(("kind", word)) => set(&mut kind, parse_kind(number, word)?, number)?,
            Some(("made", at)) => set(&mut made, parse_time(number, at)?, number)?,
            Some(("sum", text)) => {
                let why = || ParseError::new(number, "that is no SHA-256 in hexadecimal digits");
                set(&mut sum, text.parse().map_err(|_| why())?, number)?;
            }
            Some(("for", key)) => {
                let key: Fingerprint = key.parse().map_err(|why: &str| ParseError::new(number, why))?;
                sealed_for.insert(key);
            }
            _ => return Err(ParseError::new(number, format!("nothing like that stands in a record such as `{name}`"))),
        }
    }
    let begin = lines.number;
    let armor = block(lines, AGE)?;
    well_formed(&armor)
        .map_err(|why| ParseError::new(begin, format!("the sealed part of `{name}` is damaged: {why}")))?;
    while lines.peek().is_some_and(|(_, line)| line.is_empty()) {
        lines.next();
    }
    let missing = |what: &str| ParseError::new(start, format!("`{name}` has no `{what} = …`"));
    let (kind, made) = (kind.ok_or_else(|| missing("kind"))?, made.ok_or_else(|| missing("made"))?);
    if sealed_for.is_empty() {
        return Err(missing("for"));
    }
    let stated = Stated { name, kind, made, certificate, sum };
    Ok(Record { stated, sealed_for, armor, raw: lines.taken().to_owned() })
}

fn set<T>(place: &mut Option<T>, value: T, line: usize) -> Result<(), ParseError> {
    match place.replace(value) {
        None => Ok(()),
        Some(_) => Err(ParseError::new(line, "the record says that twice")),
    }
}

fn parse_kind(line: usize, word: &str) -> Result<Kind, ParseError> {
    let unknown = |()| {
        let why = format!("this stead knows no kind of secret called `{word}`");
        ParseError::new(line, why).remedy("use the stead that wrote it, or a newer one")
    };
    word.parse().map_err(unknown)
}

fn parse_time(line: usize, text: &str) -> Result<Timestamp, ParseError> {
    dates::parse(text).ok_or_else(|| ParseError::new(line, "that is no time in UTC such as 2026-11-22T15:07:50Z"))
}

/// The lines of a block of base64 whose first line is read, all of it in its plainest form.
fn block(lines: &mut Lines<'_>, [begin, end]: [&str; 2]) -> Result<String, ParseError> {
    let mut text = format!("{begin}\n");
    while let Some((number, line)) = lines.next() {
        let base64 = |c: char| c.is_ascii_alphanumeric() || "+/=".contains(c);
        if line != end && (line.is_empty() || line.len() > 64 || !line.chars().all(base64)) {
            return Err(ParseError::new(number, format!("here should be base64, or `{end}`")));
        }
        text.push_str(line);
        text.push('\n');
        if line == end {
            return Ok(text);
        }
    }
    Err(ParseError::new(lines.number, format!("`{end}` is missing: the file is cut off")))
}

/// Whether an armoured record is one that age reads, as far as that shows without a key.
fn well_formed(armor: &str) -> Result<(), String> {
    let mut bytes = Vec::new();
    ArmoredReader::new(armor.as_bytes()).read_to_end(&mut bytes).map_err(|error| error.to_string())?;
    age::Decryptor::new(bytes.as_slice()).map(|_| ()).map_err(|error| error.to_string())
}
