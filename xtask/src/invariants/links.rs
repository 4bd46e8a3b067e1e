//! Links between the checkout's own documents lead somewhere.

use super::{Source, Violation};

/// Every relative link of a Markdown file at the checkout's top for which `exists` says no.
pub(super) fn check(source: &Source, exists: impl Fn(&str) -> bool) -> Vec<Violation> {
    if source.path.contains('/') || source.kind() != Some("md") {
        return Vec::new();
    }
    let broken = links(&source.text).into_iter().filter(|(_, target)| {
        let path = target.split('#').next().unwrap_or_default();
        !path.is_empty() && !exists(path)
    });
    let told = |(line, target)| Violation { path: source.path.clone(), line, what: format!("leads nowhere: {target}") };
    broken.map(told).collect()
}

/// The targets of the relative links in a Markdown text, `[…](target)` and `[…]: target`, with their lines.
fn links(text: &str) -> Vec<(usize, &str)> {
    let mut links = Vec::new();
    let mut in_code = false;
    for (at, line) in text.lines().enumerate() {
        if line.trim_start().starts_with("```") {
            in_code = !in_code;
        } else if !in_code {
            links.extend(targets(line).into_iter().map(|target| (at + 1, target)));
        }
    }
    links.retain(|(_, target)| !target.contains("://") && !target.starts_with("mailto:"));
    links
}

fn targets(line: &str) -> Vec<&str> {
    let first_word = |text: &'_ str| text.split_whitespace().next().map(str::len);
    if let Some((name, after)) = line.split_once("]:")
        && name.starts_with('[')
    {
        let after = after.trim_start();
        return first_word(after).map(|end| &after[..end]).into_iter().collect();
    }
    // Between an odd and an even backtick is code.
    let outside = line.split('`').step_by(2);
    let starts = outside.flat_map(|part| part.split("](").skip(1).filter_map(|rest| rest.split_once(')')));
    // A title may follow the target.
    starts.filter_map(|(target, _)| target.split_whitespace().next()).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn broken(path: &str, text: &str) -> Vec<String> {
        let source = Source { path: path.to_owned(), text: text.to_owned() };
        check(&source, |path| path == "LICENSE" || path == "crates/stead").iter().map(ToString::to_string).collect()
    }

    #[test]
    fn a_link_to_nothing_is_found() {
        assert_eq!(
            broken("README.md", "x\nsee [a](LICENSE) and [b](NOT.md#c \"d\")"),
            ["README.md:2: leads nowhere: NOT.md#c"]
        );
        assert_eq!(broken("README.md", "[b]: gone/there.md"), ["README.md:1: leads nowhere: gone/there.md"]);
        assert_eq!(broken("README.md", "[`code`](gone.md)").len(), 1);
    }

    #[test]
    fn links_that_lead_somewhere_or_out_are_well() {
        let text =
            "[a](crates/stead) [b](#there) [c](https://example.org/x) ![d](LICENSE)\n`[e](gone)`\n```\n[f](gone)\n```";
        assert_eq!(broken("README.md", text), Vec::<String>::new());
        assert_eq!(broken("crates/stead/notes.md", "[a](gone)"), Vec::<String>::new());
    }
}
