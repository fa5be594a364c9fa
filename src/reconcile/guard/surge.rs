//! Products that are given to many people at once.
//!
//! Owns what is told of that and, where it is wished, held: one group nested into another
//! by mistake gives as much as one emptied by mistake takes. Holding a gift must never
//! take anything away: what it would have replaced is held with it.

use std::collections::{BTreeMap, BTreeSet};

use super::demand::{Demand, evidence};
use super::{Context, Cost, Fate, NewItem, Trip, Verdict, limits, taken};
use crate::reconcile::plan::{Item, Plan};
use crate::reconcile::world::World;

impl Demand {
    /// Products that grow by more than they may: people before, gained.
    pub(super) fn surges(&self, context: &Context<'_>) -> BTreeMap<String, (u64, u64)> {
        let limits = context.limits;
        let grown = self.products.iter().filter_map(|(product, loss)| {
            let people = context.people.get(product).copied().unwrap_or(0);
            let much =
                limits::is_large_share(loss.unseen, people, limits.gain_percent, limits.floor);
            (people > 0 && much).then(|| (product.clone(), (people, loss.unseen)))
        });
        grown.collect()
    }

    /// Holds what makes products grow so, as far as it can be refused: people who come
    /// back, and links that people make, give access whatever is held.
    pub(super) fn hold_surges(&mut self, plan: &Plan, context: &Context<'_>) {
        for (product, (people, gained)) in self.surges(context) {
            let percent = context.limits.gain_percent;
            let gifts = self.products.get(&product).map(|loss| loss.gifts.clone());
            for item in gifts.unwrap_or_default() {
                let product = product.clone();
                self.forced.insert(item, Trip::Surge { product, gained, people, percent });
            }
        }
        self.weigh_products(plan);
    }
}

impl Verdict {
    /// Gifts that are held: planning is done again without them.
    pub fn refused(&self) -> BTreeSet<Item> {
        let held = self.held.keys().chain(&self.standing);
        held.filter(|item| item.is_gift()).cloned().collect()
    }

    /// Holds what takes a product from somebody in `part`, the plan without what is held,
    /// and took nothing in `whole`: what would have taken its place is held. Returns
    /// whether there was any; planning must then be done once more.
    pub fn hold_unreplaced(&mut self, whole: &Plan, part: &Plan, world: &World) -> bool {
        let mut costs: BTreeMap<Item, Cost> = BTreeMap::new();
        let lost: BTreeMap<_, _> =
            whole.access.iter().map(|change| (change.user, &change.lost)).collect();
        for change in &part.access {
            for (product, causes) in &change.lost {
                if lost.get(&change.user).is_some_and(|lost| lost.contains_key(product)) {
                    continue;
                }
                for item in causes {
                    let people = costs.entry(item.clone()).or_default().entry(product.clone());
                    people.or_default().insert(change.user);
                }
            }
        }
        if costs.is_empty() {
            return false;
        }
        let items: BTreeSet<Item> = costs.keys().cloned().collect();
        let evidence = evidence(whole, &items);
        for (item, cost) in costs {
            self.allowed.remove(&item);
            let mut known = evidence.get(&item).copied();
            if let Some(release) = self.approved.remove(&item) {
                known = release.evidence;
                self.dropped.insert(item.clone(), Fate::Changed);
            }
            self.held.insert(item, NewItem { cost, evidence: known });
        }
        if !self.trips.contains(&Trip::Unreplaced) {
            self.trips.push(Trip::Unreplaced);
        }
        let unasked = self.allowed.iter().filter(|item| !self.approved.contains_key(*item));
        self.taken = taken(whole, &unasked.cloned().collect(), world);
        true
    }
}
