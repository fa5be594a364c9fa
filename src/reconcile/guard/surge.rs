//! Products that are given to many people at once.
//!
//! Owns what is told of that and, where it is wished, held: one group nested into another
//! by mistake gives as much as one emptied by mistake takes. Holding a gift must never
//! take anything away: what it would have replaced is held with it.

use std::collections::{BTreeMap, BTreeSet};

use super::demand::Demand;
use super::held::still_stands;
use super::part::costs_of;
use super::{Context, Held, Trip, Verdict, limits};
use crate::directory::ObjectId;
use crate::reconcile::plan::{Item, Plan};

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
    pub(super) fn hold_surges(&mut self, apart: &Plan, context: &Context<'_>) {
        for (product, (people, gained)) in self.surges(context) {
            let percent = context.limits.gain_percent;
            let gifts = self.products.get(&product).map(|loss| loss.gifts.clone());
            for item in gifts.unwrap_or_default() {
                let product = product.clone();
                self.forced.insert(item, Trip::Surge { product, gained, people, percent });
            }
        }
        self.weigh_products(apart);
    }
}

impl Verdict {
    /// Gifts that are held: planning is done again without them.
    pub fn refused(&self) -> BTreeSet<Item> {
        let held = self.held.keys().chain(&self.standing);
        held.filter(|item| item.is_gift()).cloned().collect()
    }

    /// Holds what takes a product from somebody in `part`, the plan without what is held,
    /// and takes nothing in `given`, the same plan with the gifts that are held: they would
    /// have taken its place. What people said yes to at that cost goes on. Returns whether
    /// anything is held by it; planning must then be done once more.
    pub fn hold_unreplaced(&mut self, (given, part): (&Plan, &Plan), held: &Held) -> bool {
        let spared: BTreeMap<_, _> =
            given.access.iter().map(|change| (change.user, &change.lost)).collect();
        let unreplaced = |user: ObjectId, product: &String| {
            !spared.get(&user).is_some_and(|lost| lost.contains_key(product))
        };
        let mut costs = costs_of(part, unreplaced);
        costs.retain(|item, cost| {
            let told = held.get(item).filter(|_| self.approved.contains_key(item));
            !told.is_some_and(|known| still_stands(cost, &known.cost))
        });
        self.hold_back(part, costs, &[Trip::Unreplaced])
    }
}
