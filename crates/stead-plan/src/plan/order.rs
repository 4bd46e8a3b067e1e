//! Steps in an order in which they can be done one by one.

use std::cmp::Reverse;
use std::collections::{BTreeMap, BinaryHeap};

use crate::step::{Step, StepId};

/// Each step behind those that it comes after, and else in the order given. Steps that wait for each other come last, as
/// they were: the lint finds them.
pub(crate) fn order(steps: Vec<Step>) -> Vec<Step> {
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
    let mut ready: BinaryHeap<Reverse<usize>> = free.map(|(number, _)| Reverse(number)).collect();
    let mut steps: Vec<Option<Step>> = steps.into_iter().map(Some).collect();
    let mut ordered = Vec::with_capacity(steps.len());
    while let Some(Reverse(number)) = ready.pop() {
        ordered.extend(steps[number].take());
        for &freed in &frees[number] {
            waits[freed] -= 1;
            if waits[freed] == 0 {
                ready.push(Reverse(freed));
            }
        }
    }
    ordered.extend(steps.into_iter().flatten());
    ordered
}
