//! One folder a case: of `stead.toml` and what `inventory.json` says of the nodes comes `plan.txt`.
//!
//! `STEAD_BLESS=1 cargo test -p stead-plan --test cases` writes the plans anew, to be read in the diff; the inventories
//! are made by the test `inventories`. Where the cluster file descends from something
//! that was applied, `ancestors.json` says from what.

use std::error::Error;
use std::path::Path;

use stead_plan::inventory::{Inventory, Known};
use stead_plan::plan::{Asked, Detail, Plan, lint, plan};
use stead_plan::step::overtaken;

#[allow(dead_code, clippy::unwrap_used, reason = "each test needs a part of it, and ends where that goes wrong")]
mod support;

fn case(file: &Path) -> Result<(), Box<dyn Error>> {
    let folder = file.parent().ok_or("a case lies in a folder")?;
    let (spec, digest) = support::spec(&std::fs::read(file)?);
    let inventory: Inventory = serde_json::from_slice(&std::fs::read(folder.join("inventory.json"))?)?;
    let ancestors = match std::fs::read(folder.join("ancestors.json")) {
        Ok(text) => serde_json::from_slice(&text)?,
        Err(_) => Vec::new(),
    };
    let asked = Asked {
        spec: &spec,
        digest: &digest,
        ancestors: &ancestors,
        sums: &support::sums(),
        trusted: &support::trusted(),
    };
    let plan = plan(&asked, &inventory);
    let said = plan.render(Detail::Steps, &|_, text| text.to_owned());
    is_sound(&plan, &inventory)?;
    let expected = folder.join("plan.txt");
    if std::env::var_os("STEAD_BLESS").is_some() {
        std::fs::write(&expected, &said)?;
    }
    let wanted = std::fs::read_to_string(&expected).unwrap_or_default();
    if said == wanted {
        Ok(())
    } else {
        Err(format!("the plan is\n\n{said}\nand {} has\n\n{wanted}", expected.display()).into())
    }
}

/// What holds of every plan.
fn is_sound(plan: &Plan, inventory: &Inventory) -> Result<(), Box<dyn Error>> {
    let breaches = lint(plan);
    if !breaches.is_empty() {
        return Err(format!("{breaches:?}").into());
    }
    let gone = overtaken(plan, inventory);
    if !gone.is_empty() {
        return Err(format!("a new plan is overtaken: {gone:?}").into());
    }
    for step in &plan.steps {
        let node = inventory.seen().find(|(name, _)| **name == step.id.node).ok_or("a step on a node not seen")?.1;
        if step.basis.iter().any(|fact| fact.holds(node) != Known::Is(true)) {
            return Err(format!("{} rests on what isn't so", step.id).into());
        }
    }
    let json = serde_json::to_string(plan)?;
    if serde_json::from_str::<Plan>(&json)? != *plan {
        return Err("a plan doesn't survive JSON".into());
    }
    Ok(())
}

datatest_stable::harness! {
    { test = case, root = "tests/cases", pattern = r"/stead\.toml$" },
}
