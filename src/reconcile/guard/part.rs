//! What becomes of a plan once a part of it is held.
//!
//! The guard judges the whole plan, with every consent. What is held may change what the
//! rest amounts to: who would have come in somebody's place does not come. Owns the second
//! look at the part that is carried out; holds more, never less.

use std::collections::{BTreeMap, BTreeSet};

use super::demand::{costs, evidence};
use super::{Cost, Fate, Limits, NewItem, Outlook, Trip, Verdict, taken};
use crate::directory::ObjectId;
use crate::reconcile::plan::{Item, Plan};
use crate::reconcile::world::World;

impl Verdict {
    /// Holds what takes products from their last people in `part`, though in the whole plan
    /// others would have come. `people` counts who reaches each product before. Returns
    /// whether anything is held by it; planning must then be done once more.
    pub fn hold_emptied(
        &mut self,
        part: &Plan,
        people: &BTreeMap<String, u64>,
        limits: &Limits,
    ) -> bool {
        if !limits.keep_reachable {
            return false;
        }
        let mut moves: BTreeMap<&String, (u64, u64)> = BTreeMap::new();
        for change in &part.access {
            for product in change.lost.keys() {
                moves.entry(product).or_default().0 += 1;
            }
            for product in &change.gained {
                moves.entry(product).or_default().1 += 1;
            }
        }
        let empties = |product: &String, lost: u64, gained: u64| {
            people.get(product).is_some_and(|people| lost > 0 && people + gained <= lost)
        };
        let emptied: BTreeMap<String, u64> = moves
            .into_iter()
            .filter(|(product, (lost, gained))| empties(product, *lost, *gained))
            .map(|(product, (lost, _))| (product.clone(), lost))
            .collect();
        let mut costs = costs_of(part, |_, product| emptied.contains_key(product));
        let told = |outlook: &Outlook, cost: &Cost| {
            cost.keys().all(|product| outlook.emptied.contains(product))
        };
        costs.retain(|item, cost| {
            let release = self.approved.get(item);
            !matches!(item, Item::User(_))
                && !release.is_some_and(|release| told(&release.outlook, cost))
        });
        let products: BTreeSet<&String> = costs.values().flat_map(BTreeMap::keys).collect();
        let trips: Vec<Trip> = products
            .into_iter()
            .map(|product| Trip::ProductEmptied {
                product: product.clone(),
                lost: emptied[product],
            })
            .collect();
        self.hold_back(part, costs, &trips)
    }

    /// Clears what waits, or was to wait, and is over by `part` all the same: a purge takes
    /// along what hung on it.
    fn clear_taken_along(&mut self, part: &Plan) {
        let groups = part.groups.iter().filter(|change| change.after.is_none());
        let groups: BTreeSet<ObjectId> = groups.map(|change| change.key).collect();
        let users = part.users.iter().filter(|change| change.after.is_none());
        let users: BTreeSet<ObjectId> = users.map(|change| change.key).collect();
        if groups.is_empty() && users.is_empty() {
            return;
        }
        let taken_along = |item: &Item| match item {
            Item::Membership(group, user) => groups.contains(group) || users.contains(user),
            Item::Link(_, group) => groups.contains(group),
            Item::ProductMember(_, user) | Item::Role(user) => users.contains(user),
            _ => false,
        };
        self.held.retain(|item, _| !taken_along(item));
        let over = self.standing.iter().filter(|item| taken_along(item)).cloned();
        self.gone.extend(over);
        self.standing.retain(|item| !taken_along(item));
    }

    /// Holds what was to be carried out, as `plan` tells of it, with what it turned out to
    /// cost.
    pub(super) fn hold_back(
        &mut self,
        plan: &Plan,
        costs: BTreeMap<Item, Cost>,
        trips: &[Trip],
    ) -> bool {
        if costs.is_empty() {
            return false;
        }
        let items: BTreeSet<Item> = costs.keys().cloned().collect();
        let evidence = evidence(plan, &items);
        for (item, cost) in costs {
            self.allowed.remove(&item);
            let mut known = evidence.get(&item).copied();
            if let Some(release) = self.approved.remove(&item) {
                known = release.evidence;
                self.dropped.insert(item.clone(), Fate::Changed);
            }
            self.held.insert(item, NewItem { cost, evidence: known });
        }
        let new: Vec<Trip> =
            trips.iter().filter(|trip| !self.trips.contains(trip)).cloned().collect();
        self.trips.extend(new);
        true
    }

    /// Makes the word fit `part`, the plan that is carried out.
    pub fn settle(&mut self, whole: &Plan, part: &Plan, world: &World) {
        self.clear_taken_along(part);
        self.hold_behind(whole, part);
        self.settle_costs(whole, part);
        let unasked = self.allowed.iter().filter(|item| !self.approved.contains_key(*item));
        self.taken = taken(part, &unasked.cloned().collect(), &self.approved, world);
    }

    /// Holds what was let through and does not happen in `part` all the same, because what
    /// it follows from is held: a nested group that stays keeps its people in the groups
    /// above it. Whoever answers sees both; no run counts it as done.
    fn hold_behind(&mut self, whole: &Plan, part: &Plan) {
        let happens = |item: &Item| part.taken.contains(item) || !whole.taken.contains(item);
        let behind: Vec<Item> =
            self.allowed.iter().filter(|item| !happens(item)).cloned().collect();
        if behind.is_empty() {
            return;
        }
        let mut told = costs(whole);
        let behind = behind.into_iter().map(|item| {
            let cost = told.remove(&item).unwrap_or_default();
            (item, cost)
        });
        let behind = behind.collect();
        self.hold_back(whole, behind, &[Trip::Behind]);
    }

    /// Makes what is held from now on cost what it would after `part` is carried out: not
    /// what that does as well, but what only that gives.
    fn settle_costs(&mut self, whole: &Plan, part: &Plan) {
        let done: BTreeMap<ObjectId, _> =
            part.access.iter().map(|change| (change.user, change)).collect();
        for (item, new) in &mut self.held {
            for (product, people) in &mut new.cost {
                let is_done = |user: &ObjectId| {
                    done.get(user).is_some_and(|change| {
                        let gains = change.gained.contains(product);
                        if item.gives() { gains } else { change.lost.contains_key(product) }
                    })
                };
                people.retain(|user| !is_done(user));
            }
            new.cost.retain(|_, people| !people.is_empty());
        }
        let before: BTreeMap<ObjectId, _> =
            whole.access.iter().map(|change| (change.user, &change.gained)).collect();
        for change in &part.access {
            let gained = before.get(&change.user);
            for product in change.gained.iter().filter(|p| !gained.is_some_and(|g| g.contains(*p)))
            {
                self.charge(change.user, product);
            }
        }
    }

    /// Tells that `user`, who gains `product` now, would lose it by what is held: by the end
    /// of the person alone if that is held, else by whatever may be in the way.
    fn charge(&mut self, user: ObjectId, product: &str) {
        let own = |item: &Item| *item == Item::User(user);
        let personal = |item: &Item| match item {
            Item::Membership(_, id) | Item::ProductMember(_, id) => *id == user,
            _ => false,
        };
        let shared = |item: &Item| match item {
            Item::Group(_) => true,
            Item::Link(of, _) => of == product,
            _ => false,
        };
        let kinds: [&dyn Fn(&Item) -> bool; 3] = [&own, &personal, &shared];
        let waits =
            |kind: &&&dyn Fn(&Item) -> bool| self.held.keys().chain(&self.standing).any(kind);
        let Some(kind) = kinds.iter().find(waits) else { return };
        for (_, new) in self.held.iter_mut().filter(|(item, _)| kind(item)) {
            new.cost.entry(product.to_owned()).or_default().insert(user);
        }
    }
}

/// What each item of a plan costs, of the pairs that count.
pub(super) fn costs_of(
    plan: &Plan,
    counts: impl Fn(ObjectId, &String) -> bool,
) -> BTreeMap<Item, Cost> {
    let mut costs: BTreeMap<Item, Cost> = BTreeMap::new();
    for change in &plan.access {
        for (product, causes) in &change.lost {
            if counts(change.user, product) {
                for item in causes {
                    let people = costs.entry(item.clone()).or_default().entry(product.clone());
                    people.or_default().insert(change.user);
                }
            }
        }
    }
    costs
}
