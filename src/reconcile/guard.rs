//! Whether a plan takes away more than a person should find unsurprising.
//!
//! Owns the counting, the limits, and what is held: an item that was held stays held,
//! and is not counted again, until a person answers or the directory comes back. So a
//! hold never traps what comes later. Takes nothing back itself: planning is done again
//! with consent to what may go on. Pure: what is stored, counted in tables or asked of
//! people is given to it.

mod binding;
mod demand;
mod held;
mod limits;
mod overtaken;
mod part;
mod rehearsal;
mod surge;
mod whole;

use std::collections::{BTreeMap, BTreeSet};

pub use demand::{AdminMoves, Demand, ProductLoss, count, rejected};
pub use held::{
    Answer, Approval, Cost, End, Fate, Held, HeldItem, Losses, NewItem, Outlook, Release, Seen,
};
pub use limits::{Allowance, Limit, Limits, Trip, Unit, judge};
pub use rehearsal::Rehearsal;
pub use whole::Whole;

use self::overtaken::leaves_nobody;
use super::plan::{Item, Plan};
use super::report::{Removals, Totals};
use super::world::{State, World};
use crate::directory::ObjectId;

/// What runs took away without a person's word.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Taken {
    /// In units.
    pub removals: Removals,
    /// People who lost each product.
    pub products: Losses,
}

/// What the guard judges by.
#[derive(Clone, Copy, Debug)]
pub struct Context<'a> {
    /// The limits.
    pub limits: &'a Limits,
    /// What the platform sees; of access no more than [`Demand::access_wanted`] asks for.
    pub totals: Totals,
    /// What the other runs of the window took away.
    pub before: &'a Taken,
    /// What this run may not take away unasked, if so.
    pub rehearsal: Option<&'a Rehearsal>,
    /// How many people reach each product that [`Demand::people_wanted`] names.
    pub people: &'a BTreeMap<String, u64>,
    /// How many live admins each product has that [`Demand::admins_wanted`] names.
    pub admins: &'a BTreeMap<String, u64>,
}

/// The guard's word on a plan.
#[derive(Clone, Debug, Default)]
pub struct Verdict {
    /// Why something is held from now on; empty if nothing new is.
    pub trips: Vec<Trip>,
    /// What is held from now on.
    pub held: BTreeMap<Item, NewItem>,
    /// What was held before, and still is.
    pub standing: BTreeSet<Item>,
    /// What may be done: planning needs to be done again with consent to this alone where
    /// anything is held.
    pub allowed: BTreeSet<Item>,
    /// Who let items through.
    pub approved: BTreeMap<Item, Release>,
    /// What became of approved items that are not let through.
    pub dropped: BTreeMap<Item, Fate>,
    /// What was held, and is no difference any more.
    pub gone: BTreeSet<Item>,
    /// What is taken away without a person's word; later runs count it.
    pub taken: Taken,
    /// Products that grow by more than [`Limits::gain_percent`] all the same: people
    /// before, gained.
    pub surges: BTreeMap<String, (u64, u64)>,
}

impl Verdict {
    /// Whether planning must be done again: it had consent to something that is held.
    pub fn needs_another_plan(&self) -> bool {
        self.held.keys().chain(&self.standing).any(|item| !item.is_decision())
    }
}

impl Demand {
    /// Products whose people have to be counted, and how far: more than so many make no
    /// difference. The cost of asking follows what is taken away.
    pub fn people_wanted(&self, limits: &Limits, before: &Taken) -> BTreeMap<String, u64> {
        let wanted = |(product, loss): (&String, &ProductLoss)| {
            let sum = loss.surprising + before.products.get(product).copied().unwrap_or(0);
            // Whether anybody is left is asked wherever somebody who stays loses it.
            let mut enough = if loss.items.is_empty() { 0 } else { loss.asked + 1 };
            if loss.surprising > 0 {
                if loss.surprising > limits.floor {
                    enough = enough.max(whole_of(loss.surprising, limits.product_percent));
                }
                if sum > limits.floor {
                    enough = enough.max(whole_of(sum, limits.product_window_percent));
                }
            }
            if loss.unseen > limits.floor {
                enough = enough.max(whole_of(loss.unseen, limits.gain_percent));
            }
            (enough > 0).then(|| (product.clone(), enough))
        };
        self.products.iter().filter_map(wanted).collect()
    }

    /// How many pairs of access have to be counted, likewise; 0 if it makes no difference.
    /// People make and end links at any time, so a count that is carried along would lie.
    pub fn access_wanted(&self, limits: &Limits, before: &Taken) -> u64 {
        let now: u64 = self.products.values().map(|loss| loss.surprising).sum();
        let sum = now + before.removals.access;
        if now == 0 || sum <= limits.floor {
            return 0;
        }
        let Limit { run, window } = limits.access;
        whole_of(now, run.percent).max(whole_of(sum, window.percent))
    }

    /// Products whose admins have to be counted.
    pub fn admins_wanted(&self) -> BTreeSet<String> {
        self.admins.keys().cloned().collect()
    }

    /// Judges. `whole` is what the demand was made of.
    pub fn judge(mut self, whole: &Whole, world: &World, context: &Context<'_>) -> Verdict {
        let plan = &whole.plan;
        if context.limits.hold_gains {
            self.hold_surges(whole.apart(), context);
        }
        self.recall_overtaken(context);
        let mut trips: Vec<Trip> = Vec::new();
        let mut hold: BTreeSet<Item> = self.forced.keys().cloned().collect();
        for trip in self.forced.values() {
            if !trips.contains(trip) {
                trips.push(trip.clone());
            }
        }
        for product in self.admins_lost(context) {
            let owners = self
                .fresh
                .iter()
                .filter(|item| matches!(item, Item::ProductMember(of, _) if *of == product));
            hold.extend(owners.cloned());
            trips.push(Trip::LastAdmin { product });
        }
        self.judge_fresh(world, context, &mut trips, &mut hold);
        self.tell_emptied(context, &mut trips);
        let passed: BTreeSet<Item> = self.fresh.difference(&hold).cloned().collect();
        let taken = taken(plan, &passed, &self.approved, world);
        let evidence = demand::evidence(plan, &hold);
        let held = hold.into_iter().map(|item| {
            let new = NewItem {
                cost: self.cost(&item).clone(),
                evidence: self.known.get(&item).or_else(|| evidence.get(&item)).copied(),
            };
            (item, new)
        });
        let mut allowed = passed;
        allowed.extend(self.approved.keys().cloned());
        Verdict {
            trips,
            held: held.collect(),
            allowed,
            taken,
            surges: self.surges(context),
            standing: self.standing,
            approved: self.approved,
            dropped: self.dropped,
            gone: self.gone,
        }
    }

    fn judge_fresh(
        &self,
        world: &World,
        context: &Context<'_>,
        trips: &mut Vec<Trip>,
        hold: &mut BTreeSet<Item>,
    ) {
        if self.fresh.is_empty() {
            return;
        }
        self.rehearse(world, context, trips, hold);
        let (purges, ends): (BTreeSet<Item>, BTreeSet<Item>) =
            self.fresh.iter().cloned().partition(Item::is_purge);
        let judge =
            |removals| judge(removals, context.before.removals, context.totals, context.limits);
        let mut removals = demand::weigh(&ends, world);
        removals.access = self.products.values().map(|loss| loss.surprising).sum();
        let general = judge(removals);
        // What is purged gave nothing any more: that must not keep anybody in.
        let told = judge(removals + demand::weigh(&purges, world));
        if general.is_empty() && !told.is_empty() {
            hold.extend(purges);
            trips.extend(told);
        }
        // Whoever is disabled or gone loses access at once, unless it is the number of
        // leavers that is surprising.
        let many_users = general.iter().any(|trip| match trip {
            Trip::Run { unit, .. } | Trip::Window { unit, .. } => *unit == Unit::Users,
            _ => true,
        });
        if !general.is_empty() {
            let spared = |item: &&Item| many_users || !matches!(item, Item::User(_));
            hold.extend(self.fresh.iter().filter(spared).cloned());
        }
        trips.extend(general);
        for (product, loss) in &self.products {
            let told = product_trips(product, loss, context);
            if !told.is_empty() {
                hold.extend(loss.items.intersection(&self.fresh).cloned());
                trips.extend(told);
            }
        }
    }

    /// Holds what nobody has seen yet.
    fn rehearse(
        &self,
        world: &World,
        context: &Context<'_>,
        trips: &mut Vec<Trip>,
        hold: &mut BTreeSet<Item>,
    ) {
        let Some(rehearsal) = context.rehearsal.filter(|_| context.limits.rehearse) else { return };
        let unseen = rehearsal.among(&self.fresh, world);
        if !unseen.is_empty() {
            trips.push(rehearsal.trip.clone());
            hold.extend(unseen);
        }
    }

    /// What is held whatever the limits say must say as well what would come of it: a yes
    /// is good for that alone.
    fn tell_emptied(&self, context: &Context<'_>, trips: &mut Vec<Trip>) {
        for (product, loss) in &self.products {
            let forced = loss.items.iter().any(|item| self.forced.contains_key(item));
            let told = trips.iter().any(
                |trip| matches!(trip, Trip::ProductEmptied { product: of, .. } if of == product),
            );
            if context.limits.keep_reachable
                && forced
                && !told
                && leaves_nobody(product, loss, loss.asked, context)
            {
                trips.push(Trip::ProductEmptied { product: product.clone(), lost: loss.asked });
            }
        }
    }

    /// Products that would be left without admin, by something that nobody approved.
    fn admins_lost(&self, context: &Context<'_>) -> Vec<String> {
        let lost = self.admins.iter().filter(|(product, moves)| {
            let admins = context.admins.get(*product).copied().unwrap_or(0);
            let owned = |item: &&Item| matches!(item, Item::ProductMember(of, _) if of == *product);
            let asked = self.forced.keys().chain(&self.fresh).any(|item| owned(&item));
            asked && (admins + moves.begins).saturating_sub(moves.ends) == 0
        });
        let lost = lost.filter(|_| context.limits.keep_reachable);
        lost.map(|(product, _)| product.clone()).collect()
    }
}

/// What later runs count: what passes without a person's word. `approved` passes with one.
fn taken(
    plan: &Plan,
    passed: &BTreeSet<Item>,
    approved: &BTreeMap<Item, Release>,
    world: &World,
) -> Taken {
    if passed.is_empty() {
        return Taken::default();
    }
    // A purge took nothing that somebody had; what is purged was counted when it ended.
    let ends = passed.iter().filter(|item| !item.is_purge()).cloned().collect();
    let mut taken = Taken { removals: demand::weigh(&ends, world), products: Losses::new() };
    for change in &plan.access {
        for (product, causes) in &change.lost {
            let end = Item::User(change.user);
            let ends = passed.contains(&end) || approved.contains_key(&end);
            if !ends && causes.iter().any(|item| passed.contains(item)) {
                taken.removals.access += 1;
                *taken.products.entry(product.clone()).or_insert(0) += 1;
            }
        }
    }
    taken
}

/// Which limits of one product are passed.
fn product_trips(product: &str, loss: &ProductLoss, context: &Context<'_>) -> Vec<Trip> {
    let limits = context.limits;
    if loss.surprising == 0 {
        return Vec::new();
    }
    let mut trips = Vec::new();
    let people = context.people.get(product).copied().unwrap_or(0);
    let before = context.before.products.get(product).copied().unwrap_or(0);
    let product = || product.to_owned();
    if limits.keep_reachable && leaves_nobody(&product(), loss, loss.lost, context) {
        trips.push(Trip::ProductEmptied { product: product(), lost: loss.lost });
    }
    let shares = [
        (loss.surprising, people, limits.product_percent, "guard.product_percent"),
        (
            loss.surprising + before,
            people + before,
            limits.product_window_percent,
            "guard.product_window_percent",
        ),
    ];
    for (lost, people, percent, setting) in shares {
        if limits::is_large_share(lost, people, percent, limits.floor) {
            trips.push(Trip::Product { product: product(), lost, people, setting, percent });
        }
    }
    trips
}

/// The smallest whole of which `part` is no more than `percent`.
#[expect(
    clippy::cast_precision_loss,
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "counts stay far below 2^52, and a cast saturates"
)]
fn whole_of(part: u64, percent: f64) -> u64 {
    (part as f64 * 100.0 / percent.max(0.01)).ceil() as u64 + 1
}

/// How the totals move by a plan.
pub fn totals_after(totals: Totals, plan: &Plan) -> Totals {
    let mut after = totals;
    for change in &plan.users {
        let live = |row: Option<&super::world::UserRow>| {
            row.is_some_and(|row| row.identity.is_some() && row.state() == State::Live)
        };
        shift(&mut after.users, live(change.before.as_ref()), live(change.after.as_ref()));
    }
    for change in &plan.groups {
        let live = |row: Option<&super::world::GroupRow>| {
            row.is_some_and(|r| r.state == Some(State::Live))
        };
        shift(&mut after.groups, live(change.before.as_ref()), live(change.after.as_ref()));
    }
    for change in &plan.memberships {
        shift(&mut after.memberships, !change.made, change.made);
    }
    for change in &plan.access {
        after.access += change.gained.len() as u64;
        after.access = after.access.saturating_sub(change.lost.len() as u64);
    }
    after
}

fn shift(total: &mut u64, before: bool, after: bool) {
    match (before, after) {
        (false, true) => *total += 1,
        (true, false) => *total = total.saturating_sub(1),
        _ => {}
    }
}

/// Users and groups that held items concern: later runs must look at them again.
pub fn held_objects<'i>(
    items: impl IntoIterator<Item = &'i Item>,
) -> (BTreeSet<ObjectId>, BTreeSet<ObjectId>) {
    let (mut users, mut groups) = (BTreeSet::new(), BTreeSet::new());
    for item in items {
        match item {
            Item::User(id)
            | Item::UserPurge(id)
            | Item::Role(id)
            | Item::Membership(_, id)
            | Item::Joining(_, id)
            | Item::Adoption(id)
            | Item::ProductMember(_, id) => {
                users.insert(*id);
            }
            Item::Group(id) | Item::GroupPurge(id) | Item::Link(_, id) | Item::Linking(_, id) => {
                groups.insert(*id);
            }
            // The registry's names are compared whole in every run that asks for them.
            Item::Rebinding(..) => {}
        }
    }
    (users, groups)
}

/// How much of a plan made with every consent is held once `part` of it is carried out.
pub fn weigh_held(plan: &Plan, part: &Plan, world: &World, pending: &BTreeSet<Item>) -> Removals {
    let mut removals = demand::weigh(pending, world);
    let ends = |group| pending.contains(&Item::Group(group));
    for change in part.memberships.iter().filter(|change| ends(change.group)) {
        shift(&mut removals.memberships, !change.made, change.made);
    }
    let lost = plan.access.iter().flat_map(|change| change.lost.values());
    removals.access = lost.filter(|causes| !causes.is_disjoint(pending)).count() as u64;
    removals
}

#[cfg(test)]
mod tests;
