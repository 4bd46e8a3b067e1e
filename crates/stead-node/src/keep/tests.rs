use std::os::unix::fs::PermissionsExt;

use stead_plan::inventory::Timestamp;

use super::*;
use crate::testing::Node;

const GENERATIONS_OF: &str = "/var/lib/stead/generations";

fn kept(number: u64) -> Kept {
    let digest = format!("{number:064x}").parse().unwrap();
    let (by, stead) = ("me@laptop".to_owned(), "0.1.0".to_owned());
    let generation = Generation { number, digest, at: Timestamp(1), by, stead, format: FORMAT };
    Kept { generation, file: format!("# {number}\n"), secrets: format!("sealed {number}\n") }
}

fn newest_of(node: &Node) -> (u64, Vec<String>) {
    let newest = newest(&node.place).unwrap();
    (newest.kept.unwrap().generation.number, newest.torn)
}

#[test]
fn what_is_kept_is_fetched() {
    let node = Node::new();
    assert_eq!(newest(&node.place).unwrap(), Newest::default());
    assert_eq!(current(&node.place).unwrap(), None);
    for number in [1, 2, 2] {
        keep(&node.place, &kept(number)).unwrap();
        assert_eq!(newest(&node.place).unwrap(), Newest { kept: Some(kept(number)), torn: vec![] });
    }
    assert_eq!(current(&node.place).unwrap(), Some(kept(2).generation));
    assert_eq!(node.list(GENERATIONS_OF), ["1", "2", "current"]);
    assert_eq!(fs::read_link(node.at("/var/lib/stead/generations/current")).unwrap().to_str(), Some("2"));
    let mode = |path: &str| fs::metadata(node.at(GENERATIONS_OF).join(path)).unwrap().permissions().mode() & 0o7777;
    assert_eq!(["", "2", "2/stead.toml", "2/stead.secrets"].map(mode), [0o700, 0o700, 0o600, 0o600]);
}

#[test]
fn the_newest_ten_are_kept() {
    let node = Node::new();
    for number in 1..=12 {
        keep(&node.place, &kept(number)).unwrap();
    }
    let mut expected: Vec<String> = (3..=12).map(|number| number.to_string()).collect();
    expected.push("current".to_owned());
    expected.sort();
    assert_eq!(node.list(GENERATIONS_OF), expected);
}

#[test]
fn an_older_one_does_not_take_the_place_of_a_newer_one() {
    let node = Node::new();
    keep(&node.place, &kept(5)).unwrap();
    let refused = |kept: &Kept| keep(&node.place, kept).unwrap_err().to_string();
    assert!(refused(&kept(4)).contains("generation 5 by me@laptop already, which is newer than 4"));
    let mut other = kept(6);
    other.generation.number = 5;
    assert!(refused(&other).contains("another generation 5"));
    // The same texts under a lower number: whoever asked missed an apply that changed nothing.
    let mut same = kept(5);
    same.generation.number = 4;
    keep(&node.place, &same).unwrap();
    assert_eq!(newest(&node.place).unwrap().kept, Some(kept(5)));
    let mut future = kept(6);
    future.generation.format = FORMAT + 1;
    keep(&node.place, &future).unwrap();
    assert!(refused(&kept(7)).contains("a newer stead (0.1.0)"));
}

#[test]
fn a_torn_one_is_passed_over_and_told_of() {
    let node = Node::new();
    for number in 1..=4 {
        keep(&node.place, &kept(number)).unwrap();
    }
    node.write("/var/lib/stead/generations/4/generation.json", "{");
    fs::remove_file(node.at("/var/lib/stead/generations/3/stead.secrets")).unwrap();
    let (number, torn) = newest_of(&node);
    assert_eq!(number, 2);
    assert!(torn[0].starts_with("generation 4 is torn: ") && torn[0].contains("generation.json makes no sense: EOF"));
    assert!(
        torn[1].starts_with("generation 3 is torn: could not read ") && torn[1].contains("No such file"),
        "{torn:?}"
    );
    // The next apply mends it.
    keep(&node.place, &kept(4)).unwrap();
    assert_eq!(newest_of(&node), (4, vec![]));
}

#[test]
fn a_power_cut_while_one_is_kept_leaves_the_one_before() {
    let node = Node::new();
    keep(&node.place, &kept(1)).unwrap();
    // Half written; whole, but not yet linked; the link to one that a disk lost.
    node.write("/var/lib/stead/generations/.2/stead.toml", "# 2");
    assert_eq!(newest_of(&node), (1, vec![]));
    keep(&node.place, &kept(2)).unwrap();
    assert_eq!(node.list(GENERATIONS_OF), ["1", "2", "current"]);
    fs::remove_dir_all(node.at("/var/lib/stead/generations/2")).unwrap();
    let (number, torn) = newest_of(&node);
    assert_eq!((number, torn.len()), (1, 1));
}

#[test]
fn torn_ones_alone_are_not_nothing() {
    let node = Node::new();
    keep(&node.place, &kept(1)).unwrap();
    node.write("/var/lib/stead/generations/1/generation.json", "");
    assert!(current(&node.place).unwrap_err().to_string().contains("none of the generations"));
    keep(&node.place, &kept(2)).unwrap();
    assert_eq!(newest_of(&node), (2, vec![]));
}

#[test]
fn a_stamp_that_cannot_be_read_is_not_nobody() {
    let node = Node::new();
    assert_eq!(stamp(&node.place).unwrap(), None);
    node.write("/var/lib/stead/stamp.json", "{}");
    assert!(stamp(&node.place).unwrap_err().to_string().contains("stamp.json makes no sense: missing field"));
    let stamped = r#"{"cluster": "2f1cbd5e-6c0f-4a53-9d0a-4d6c6f0e7b11", "node": "node1"}"#;
    node.write("/var/lib/stead/stamp.json", stamped);
    assert_eq!(stamp(&node.place).unwrap().unwrap().node.to_string(), "node1");
}
