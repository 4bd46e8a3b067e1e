//! Lines of stead's in a file that is the user's: between two comments that say whose they are.

use crate::MARK;

/// A place for lines of stead's, by the name of what they are about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Block<'a>(pub(crate) &'a str);

impl Block<'_> {
    fn begin(self) -> String {
        format!("# {MARK}: {}, from here", self.0)
    }

    fn end(self) -> String {
        format!("# {MARK}: {}, to here", self.0)
    }

    /// Whether the block is in a file, or a part of it.
    pub(crate) fn is_in(self, text: &str) -> bool {
        let (begin, end) = (self.begin(), self.end());
        text.lines().any(|line| line.trim_end() == begin || line.trim_end() == end)
    }

    /// The text with these lines in the block, and every other byte as it was. A block that isn't there yet is put
    /// behind everything.
    ///
    /// # Errors
    /// One of its comments is missing or there twice: what belongs to it can't be told.
    pub(crate) fn put(self, text: &str, lines: &str) -> Result<String, String> {
        let (begin, end) = (self.begin(), self.end());
        let block = format!("{begin}\n{lines}{end}\n");
        let (mut before, mut after, mut begins, mut ends) = (String::new(), String::new(), 0, 0);
        for line in text.split_inclusive('\n') {
            if line.trim_end() == begin {
                begins += 1;
            } else if line.trim_end() == end {
                ends += 1;
            } else if begins == 0 {
                before.push_str(line);
            } else if ends > 0 {
                after.push_str(line);
            }
            if ends > begins || begins > 1 {
                break;
            }
        }
        if begins != ends || begins > 1 {
            return Err(format!("`{begin}` and `{end}` should both stand in it once, in this order"));
        }
        if !before.is_empty() && !before.ends_with('\n') {
            before.push('\n');
        }
        Ok(before + &block + &after)
    }

    /// Whether a text has any block of stead's, whole.
    pub(crate) fn any_in(text: &str) -> bool {
        let has = |line: &str, what: &str| line.starts_with(&format!("# {MARK}: ")) && line.ends_with(what);
        let mut lines = text.lines();
        lines.any(|line| has(line, ", from here")) && lines.any(|line| has(line, ", to here"))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NODES: Block = Block("nodes");

    #[test]
    fn a_block_is_put_in_its_place_and_the_rest_stays() {
        let first = NODES.put("127.0.0.1 localhost", "a\n").unwrap();
        assert_eq!(
            first,
            "127.0.0.1 localhost\n# Managed by stead: nodes, from here\na\n# Managed by stead: nodes, to here\n"
        );
        let more = first.clone() + "192.0.2.9\tprinter  \r\n\n";
        let second = NODES.put(&more, "a\nb\n").unwrap();
        assert_eq!(second, more.replace("a\n# M", "a\nb\n# M"));
        assert_eq!(NODES.put(&second, "a\nb\n").unwrap(), second);
        assert!(Block::any_in(&second) && NODES.is_in(&second) && !Block("swap").is_in(&second));
        assert!(!Block::any_in("# Managed by stead: nodes, from here\n"));
    }

    #[test]
    fn another_block_is_the_same_as_the_users_lines() {
        let both = Block("swap").put(&NODES.put("x\n", "a\n").unwrap(), "s\n").unwrap();
        let changed = NODES.put(&both, "b\n").unwrap();
        assert_eq!(changed, both.replace("\na\n", "\nb\n"));
    }

    #[test]
    fn a_torn_block_is_left_alone() {
        let whole = NODES.put("", "a\n").unwrap();
        let (begin, end) = (NODES.begin(), NODES.end());
        for torn in [whole.replace(&end, ""), whole.replace(&begin, ""), whole.repeat(2), format!("{end}\n{begin}\n")] {
            assert!(NODES.put(&torn, "a\n").is_err(), "{torn}");
        }
    }
}
