//! What the policy for opening disks means: for who takes computers away, and for a node that starts.
//!
//! It is one question. A node's disks open when enough tangs answer: a thief has those of the nodes that he took, and a
//! node that starts has those of the nodes that run.

use std::collections::BTreeSet;

use serde::Serialize;
use stead_spec::Spec;
use stead_spec::disks::{OutsideTang, Unlock};
use stead_spec::units::ClusterName;
use stead_spec::words::count;

use crate::plan::Tone;
use crate::status::render::{Page, Paint};

/// What opens a node's disks, and no less than that. Which nodes they are makes no difference.
#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct Way {
    /// How many other nodes answer.
    pub others: usize,
    /// And each of these tangs outside.
    pub tangs: BTreeSet<OutsideTang>,
}

/// What the cluster file's policy means.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Explained {
    /// In one sentence.
    pub sentence: String,
    /// What who takes these has.
    pub thefts: Vec<Case>,
    /// What becomes of a node's disks that starts.
    pub starts: Vec<Case>,
}

/// What may happen.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Case {
    /// What is taken, or what starts.
    pub what: String,
    /// Whether disks are open then.
    pub opens: bool,
}

impl Way {
    /// Each of two ways: nodes that answer for the one answer for the other too.
    fn and(&self, other: &Self) -> Self {
        Self { others: self.others.max(other.others), tangs: self.tangs.union(&other.tangs).cloned().collect() }
    }

    /// Whether these are enough.
    fn is_met_by(&self, others: usize, tangs: &BTreeSet<&OutsideTang>) -> bool {
        self.others <= others && self.tangs.iter().all(|tang| tangs.contains(tang))
    }

    /// `another node and the tang http://192.168.0.2:7500`.
    fn who(&self, nodes: usize) -> String {
        let others = match self.others {
            0 => None,
            1 => Some("another node".to_owned()),
            all if all + 1 == nodes => Some("all other nodes".to_owned()),
            some => Some(format!("{some} other nodes")),
        };
        joined(others.into_iter().chain(self.tangs.iter().map(named)))
    }

    /// `2 nodes and the tang http://192.168.0.2:7500`.
    fn taken(&self, nodes: usize) -> String {
        joined(std::iter::once(some(self.others + 1, nodes)).chain(self.tangs.iter().map(named)))
    }
}

/// The ways to open the disks of one of so many nodes, none of which is more than another one asks for.
pub fn ways(policy: &Unlock, nodes: usize) -> Vec<Way> {
    let found = match policy {
        Unlock::All(policies) => policies.iter().fold(vec![Way::default()], |found, policy| {
            let ways = ways(policy, nodes);
            least(found.iter().flat_map(|one| ways.iter().map(|other| one.and(other))).collect())
        }),
        Unlock::Any(policies) => policies.iter().flat_map(|policy| ways(policy, nodes)).collect(),
        Unlock::AllNodes => vec![Way { others: nodes - 1, ..Way::default() }],
        Unlock::AnyNode => vec![Way { others: 1, ..Way::default() }],
        Unlock::Tang(tang) => vec![Way { others: 0, tangs: [tang.clone()].into() }],
    };
    least(found)
}

fn least(mut ways: Vec<Way>) -> Vec<Way> {
    ways.sort();
    ways.dedup();
    let is_least = |way: &Way| {
        !ways.iter().any(|less| less != way && less.others <= way.others && less.tangs.is_subset(&way.tangs))
    };
    ways.iter().filter(|way| is_least(way)).cloned().collect()
}

/// What the cluster file's policy means for its nodes.
pub fn explain(spec: &Spec) -> Explained {
    let nodes = spec.trusted_nodes().count();
    let ways = ways(spec.unlock(), nodes);
    let tangs: BTreeSet<&OutsideTang> = ways.iter().flat_map(|way| &way.tangs).collect();
    let opens = |others: usize, tangs: &BTreeSet<&OutsideTang>| ways.iter().any(|way| way.is_met_by(others, tangs));
    let none = BTreeSet::new();

    // A disk alone opens where it needs no node at all; with its own PC it is no nearer to being open.
    let mut thefts = vec![Case { what: "disks, without their nodes".to_owned(), opens: opens(0, &none) }];
    let numbers: BTreeSet<usize> = [1, 2, nodes].into();
    thefts.extend(numbers.iter().map(|taken| Case { what: some(*taken, nodes), opens: opens(taken - 1, &none) }));
    for way in ways.iter().filter(|way| !way.tangs.is_empty()) {
        thefts.push(Case { what: way.taken(nodes), opens: true });
    }

    let mut starts = vec![
        Case { what: "a node, while the others run".to_owned(), opens: opens(nodes - 1, &tangs) },
        Case { what: "all nodes at once, after a blackout".to_owned(), opens: opens(nodes - 1, &tangs) },
        Case { what: "all but one, which stays off".to_owned(), opens: opens(nodes - 2, &tangs) },
        Case { what: "a node alone".to_owned(), opens: opens(0, &tangs) },
    ];
    for silent in &tangs {
        let others = tangs.iter().filter(|tang| *tang != silent).copied().collect();
        let what = format!("all nodes, while {} is silent", named(silent));
        starts.push(Case { what, opens: opens(nodes - 1, &others) });
    }
    if tangs.len() > 1 {
        let what = "all nodes, while no tang outside answers".to_owned();
        starts.push(Case { what, opens: opens(nodes - 1, &none) });
    }
    let or = |each: &dyn Fn(&Way) -> String| ways.iter().map(each).collect::<Vec<_>>().join(", or ");
    let sentence = format!(
        "a node's disks open by themselves when {} answer{}; who takes {} has them",
        or(&|way| way.who(nodes)),
        if matches!(&ways[..], [way] if way.others.min(2) + way.tangs.len() < 2) { "s" } else { "" },
        or(&|way| way.taken(nodes))
    );
    Explained { sentence, thefts, starts }
}

fn named(tang: &OutsideTang) -> String {
    format!("the tang {}", tang.url)
}

fn some(number: usize, nodes: usize) -> String {
    if number == nodes { format!("all {number} nodes") } else { count(number, "node") }
}

/// `a, b and c`.
fn joined(parts: impl Iterator<Item = String>) -> String {
    let mut parts: Vec<_> = parts.collect();
    match (parts.pop(), parts.is_empty()) {
        (Some(last), true) => last,
        (Some(last), false) => format!("{} and {last}", parts.join(", ")),
        (None, _) => "nobody".to_owned(),
    }
}

impl Explained {
    /// As `stead keys explain` prints it. `paint` may add colours.
    pub fn render(&self, cluster: &ClusterName, paint: Paint<'_>) -> String {
        let mut page = Page::new(paint);
        page.wrapped("", Tone::Heading, &format!("{cluster}: {}", self.sentence));
        let theft = |opens| if opens { (Tone::Danger, "their disks") } else { (Tone::Reason, "nothing") };
        let start = |opens| if opens { (Tone::Reason, "open by themselves") } else { (Tone::Caution, "stay closed") };
        table(&mut page, ["who takes", "has"], &self.thefts, &theft);
        table(&mut page, ["what starts", "its disks"], &self.starts, &start);
        page.text.push('\n');
        page.wrapped("", Tone::Calm, REACH);
        page.text
    }
}

/// What no policy changes.
const REACH: &str = "A tang answers whoever reaches it: the nodes' only who is in the core, one outside whoever is on its \
                     network.";

fn table(page: &mut Page<'_>, heads: [&str; 2], cases: &[Case], said: &dyn Fn(bool) -> (Tone, &'static str)) {
    let width = cases.iter().map(|case| case.what.chars().count()).chain([heads[0].len()]).max().unwrap_or(0);
    page.text.push('\n');
    page.line("", Tone::Heading, &format!("{:width$}  {}", heads[0], heads[1]));
    for case in cases {
        let (tone, words) = said(case.opens);
        page.line(&format!("{:width$}  ", case.what), tone, words);
    }
}
