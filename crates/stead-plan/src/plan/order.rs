//! Steps in an order in which they can be done one by one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::step::{Step, StepId};

/// Each step behind those that it comes after, and else in the order given. Steps that wait for each other come last, as
/// they were: the lint finds them.
pub(crate) fn order(steps: Vec<Step>) -> Vec<Step> {
    by(steps, |_| ())
}

/// As [`order`], but of those that could be next, the one first that the longest chain of others waits for: a node does one
/// at a time, and what waits elsewhere shouldn't wait for what nobody needs. How long a step takes nobody knows; it is
/// taken by what it does.
pub(crate) fn quickest(steps: Vec<Step>) -> Vec<Step> {
    let mut chains: BTreeMap<StepId, usize> = BTreeMap::new();
    for step in steps.iter().rev() {
        let chain = chains.get(&step.id).copied().unwrap_or_default() + step.ops.len();
        chains.insert(step.id.clone(), chain);
        for before in &step.after {
            let longest = chains.entry(before.clone()).or_default();
            *longest = chain.max(*longest);
        }
    }
    by(steps, |step| Reverse(chains.get(&step.id).copied()))
}

/// Of those that could be next, the first by a key, and else in the order given.
fn by<K: Ord>(steps: Vec<Step>, key: impl Fn(&Step) -> K) -> Vec<Step> {
    let at: BTreeMap<StepId, usize> = steps.iter().enumerate().map(|(at, step)| (step.id.clone(), at)).collect();
    let mut waits: Vec<usize> = vec![0; steps.len()];
    let mut frees: Vec<Vec<usize>> = vec![Vec::new(); steps.len()];
    for (number, step) in steps.iter().enumerate() {
        for before in step.after.iter().filter_map(|id| at.get(id)) {
            waits[number] += 1;
            frees[*before].push(number);
        }
    }
    let free = waits.iter().enumerate().filter(|(_, waits)| **waits == 0);
    let keys: Vec<K> = steps.iter().map(key).collect();
    let mut ready: BinaryHeap<Reverse<(&K, usize)>> =
        free.map(|(number, _)| Reverse((&keys[number], number))).collect();
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(steps.len());
    while let Some(Reverse((_, number))) = ready.pop() {
        ordered.extend(steps[number].take());
        for &freed in &frees[number] {
            waits[freed] -= 1;
            if waits[freed] == 0 {
                ready.push(Reverse((&keys[freed], freed)));
            }
        }
    }
    ordered.extend(steps.into_iter().flatten());
    ordered
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test ends there")]

    use super::*;
    use crate::inventory::Mode;
    use crate::op::{Op, Write};

    fn step(id: &str, ops: usize, after: &[&str]) -> Step {
        Step {
            id: id.parse().unwrap(),
            title: id.to_owned(),
            why: Vec::new(),
            ops: vec![Op::Write(Write::new("/etc/x", Mode(0o644), "")); ops],
            after: after.iter().map(|id| id.parse().unwrap()).collect(),
            basis: Vec::new(),
            destroys: Vec::new(),
            guard: None,
            beside: None,
        }
    }

    fn ids(steps: &[Step]) -> Vec<&str> {
        steps.iter().map(|step| step.id.what.as_str()).collect()
    }

    #[test]
    fn what_the_longest_chain_waits_for_comes_first() {
        let steps = vec![
            step("host/node1/last", 1, &["host/node1/late"]),
            step("host/node1/alone", 3, &[]),
            step("host/node1/begin", 1, &[]),
            step("host/node1/late", 2, &["host/node1/begin"]),
            step("host/node1/also", 1, &[]),
        ];
        let steps = order(steps);
        assert_eq!(ids(&steps), ["alone", "begin", "late", "last", "also"]);
        assert_eq!(ids(&quickest(steps)), ["begin", "alone", "late", "last", "also"]);
    }
}
