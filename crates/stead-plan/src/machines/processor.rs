//! The processor that machines see: one that every node has, so that they can move while they run.
//!
//! Nodes alike give them their own, with all that mitigates its bugs. Others give them the level of x86-64 that all of them have
//! (the levels are those of the x86-64 psABI, "Micro-Architecture Levels").

use std::collections::BTreeSet;
use std::fmt::Write as _;

use super::facts::Processor;

/// What each level has more than the one before, as Linux calls it in `/proc/cpuinfo`, and as QEMU does.
const LEVELS: [&[(&str, &str)]; 3] = [
    &[
        ("cx16", "cx16"),
        ("lahf_lm", "lahf_lm"),
        ("pni", "pni"),
        ("popcnt", "popcnt"),
        ("sse4_1", "sse4.1"),
        ("sse4_2", "sse4.2"),
        ("ssse3", "ssse3"),
    ],
    &[
        ("abm", "abm"),
        ("avx", "avx"),
        ("avx2", "avx2"),
        ("bmi1", "bmi1"),
        ("bmi2", "bmi2"),
        ("f16c", "f16c"),
        ("fma", "fma"),
        ("movbe", "movbe"),
        ("xsave", "xsave"),
    ],
    &[
        ("avx512bw", "avx512bw"),
        ("avx512cd", "avx512cd"),
        ("avx512dq", "avx512dq"),
        ("avx512f", "avx512f"),
        ("avx512vl", "avx512vl"),
    ],
];

/// What quickens encryption, and belongs to no level.
const CIPHERS: &[(&str, &str)] = &[("aes", "aes"), ("pclmulqdq", "pclmuldq")];

/// What machines get where QEMU translates for them: it has that on any computer.
const TRANSLATED: &str = "  <cpu mode=\"custom\" match=\"exact\" check=\"none\">
    <model fallback=\"forbid\">qemu64</model>
  </cpu>
";

/// What machines on any of these nodes get, as libvirt takes it. `alike` are nodes whose QEMU is of one release, too: a newer
/// one knows more of the same processor.
pub(super) fn common(nodes: &[&Processor], alike: bool) -> String {
    let Some(first) = nodes.first() else { return TRANSLATED.to_owned() };
    if nodes.iter().any(|node| !node.accelerates) {
        return TRANSLATED.to_owned();
    }
    if alike && nodes.iter().all(|node| node == first) {
        return "  <cpu mode=\"host-model\" check=\"partial\">\n  </cpu>\n".to_owned();
    }
    let all_have =
        |part: &&[(&str, &str)]| part.iter().all(|(flag, _)| nodes.iter().all(|node| node.flags.contains(*flag)));
    let levels = LEVELS.into_iter().take_while(all_have);
    let parts = levels.chain(Some(CIPHERS).filter(all_have));
    let features: BTreeSet<&str> = parts.flatten().map(|(_, feature)| *feature).collect();
    let mut text = "  <cpu mode=\"custom\" match=\"exact\" check=\"partial\">
    <model fallback=\"forbid\">qemu64</model>
    <feature policy=\"disable\" name=\"svm\"/>
"
    .to_owned();
    for feature in features {
        let _ = writeln!(text, "    <feature policy=\"require\" name=\"{feature}\"/>");
    }
    text + "  </cpu>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn processor(model: &str, levels: usize) -> Processor {
        let flags = LEVELS[..levels].iter().copied().chain([CIPHERS]).flatten().map(|(flag, _)| (*flag).to_owned());
        Processor { accelerates: true, model: model.to_owned(), flags: flags.collect() }
    }

    #[test]
    fn nodes_alike_give_their_own() {
        let node = processor("EXAMPLE 9000", 3);
        assert!(common(&[&node, &node.clone()], true).contains("host-model"));
    }

    #[test]
    fn others_give_the_level_that_all_have() {
        let text = common(&[&processor("EXAMPLE 9000", 3), &processor("EXAMPLE 4000", 1)], true);
        assert!(text.contains("sse4.2") && text.contains("aes") && !text.contains("avx2"), "{text}");
        let text = common(&[&processor("EXAMPLE 9000", 3), &processor("EXAMPLE 5000", 2)], true);
        assert!(text.contains("avx2") && !text.contains("avx512f"), "{text}");
        // A level with a gap is none.
        let mut gap = processor("EXAMPLE 5001", 2);
        gap.flags.remove("fma");
        assert!(!common(&[&processor("EXAMPLE 9000", 3), &gap], true).contains("avx2"));
    }

    #[test]
    fn one_that_has_to_translate_makes_all_alike() {
        let slow = Processor { accelerates: false, ..processor("EXAMPLE 9000", 3) };
        assert_eq!(common(&[&processor("EXAMPLE 9000", 3), &slow], true), TRANSLATED);
    }
}
