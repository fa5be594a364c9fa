//! What comes of binding a name of the registry to another group.
//!
//! Owns who gains which product by it: whoever agrees must see the people, and agrees to
//! these. Must not say whether anything is bound; that is a person's word.

use std::collections::{BTreeMap, BTreeSet};

use super::Cost;
use super::held::{Answer, Held, still_stands};
use crate::directory::{ObjectId, fold_case};
use crate::reconcile::plan::{Item, Plan};
use crate::reconcile::world::World;

/// Who gains what by each rebinding of `told`, a plan with consent to all of them; `bare` is
/// the same with consent to none.
pub(super) fn gains_by_binding(told: &Plan, bare: &Plan, world: &World) -> BTreeMap<Item, Cost> {
    let before: BTreeMap<ObjectId, &BTreeSet<String>> =
        bare.access.iter().map(|change| (change.user, &change.gained)).collect();
    let rebindings = told.taken.iter().filter_map(|item| match item {
        Item::Rebinding(name, _) => Some((item.clone(), products_of(name, world))),
        _ => None,
    });
    let gains = rebindings.map(|(item, products)| {
        let mut cost = Cost::new();
        for change in &told.access {
            let had = before.get(&change.user);
            let gained = change.gained.iter().filter(|product| {
                products.contains(product.as_str())
                    && !had.is_some_and(|had| had.contains(*product))
            });
            for product in gained {
                cost.entry(product.clone()).or_default().insert(change.user);
            }
        }
        (item, cost)
    });
    gains.collect()
}

/// Products that the registry gives to the group of this folded name.
fn products_of<'w>(name: &str, world: &'w World) -> BTreeSet<&'w str> {
    let entries = world.registry.wanted.iter().flatten();
    let named = entries.filter(|entry| entry.groups.iter().any(|of| fold_case(of) == name));
    named.map(|entry| entry.product.as_str()).collect()
}

/// Approved rebindings by which others would gain than those whom the plan named.
pub(super) fn outgrown(held: &Held, gains: &BTreeMap<Item, Cost>) -> BTreeSet<Item> {
    let outgrown = gains.iter().filter(|(item, gain)| {
        let known = held.get(item).filter(|known| matches!(known.answer, Answer::Approved(_)));
        known.is_some_and(|known| !still_stands(gain, &known.cost))
    });
    outgrown.map(|(item, _)| item.clone()).collect()
}
