//! Words in lines.

use stead_spec::words::quote;

use crate::op::{Argument, Command};

/// How many columns a line has at most, where its words let it.
const WIDTH: usize = 110;

/// A text in lines that fit behind an indent.
pub(super) fn wrap(text: &str, indent: usize) -> Vec<String> {
    wrap_at(text, WIDTH.saturating_sub(indent))
}

/// A text in lines of at most so many columns; what stands `between` such signs is pasted by people, and so in one line.
pub(crate) fn wrap_at(text: &str, width: usize) -> Vec<String> {
    let quoted = text.matches('`').count().is_multiple_of(2);
    let mut inside = false;
    let ends = |c: char| {
        inside ^= c == '`';
        c == ' ' && !(inside && quoted)
    };
    fill(text.split(ends).map(str::to_owned), width)
}

/// What a program reads is told if it is a line of so many bytes at most: of more, the step's reasons tell what matters, and
/// `--json` has all.
const SHORT: usize = 400;

/// A command as one could paste it, in lines that fit.
pub(super) fn command(command: &Command) -> Vec<String> {
    // The indent, the verb before it, and the backslash.
    const TAKEN: usize = 6 + 8 + 2;
    let words = command.arguments.iter().map(word);
    let stdin = command.stdin.iter().map(|stdin| match stdin.text.trim_end() {
        short if short.len() <= SHORT && !short.contains('\n') => format!("<<< {}", quote(short)),
        _ => "<<< …".to_owned(),
    });
    let words = std::iter::once(command.program.name().to_owned()).chain(words).chain(stdin);
    let mut lines = fill(words, WIDTH - TAKEN - 4);
    let last = lines.len().saturating_sub(1);
    for (number, line) in lines.iter_mut().enumerate() {
        if number > 0 {
            line.insert_str(0, "    ");
        }
        if number < last {
            line.push_str(" \\");
        }
    }
    lines
}

/// A word as one could paste it.
pub(super) fn word(argument: &Argument) -> String {
    match argument {
        Argument::Text(text) => quote(text),
        Argument::Output(output) => output.to_string(),
        Argument::Filled(filled) => quote(&filled.text),
    }
}

fn fill(words: impl Iterator<Item = String>, width: usize) -> Vec<String> {
    let mut lines: Vec<String> = Vec::new();
    let mut room = 0;
    for word in words {
        let length = word.chars().count();
        match lines.last_mut() {
            Some(line) if length < room => {
                line.push(' ');
                line.push_str(&word);
                room -= length + 1;
            }
            _ => {
                lines.push(word);
                room = width.saturating_sub(length);
            }
        }
    }
    lines
}

/// `a`, `a and b`, `a, b and c`.
pub(crate) fn list(words: &[&str]) -> String {
    match words {
        [] => String::new(),
        [one] => (*one).to_owned(),
        [first @ .., last] => format!("{} and {last}", first.join(", ")),
    }
}
