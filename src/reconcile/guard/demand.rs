//! What a plan asks for, sorted by what earlier runs and people said about it.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::held::{Answer, Cost, Fate, Held, HeldItem, Release, still_stands};
use super::limits::{Limits, Trip};
use super::whole::Whole;
use crate::directory::{Evidence, ObjectId, fold_case};
use crate::reconcile::plan::{Item, Plan};
use crate::reconcile::report::Removals;
use crate::reconcile::world::{ProductRole, State, World};

/// How one product fares in a plan.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ProductLoss {
    /// People who lose it by something that nobody has looked at yet, other than their
    /// own end.
    pub surprising: u64,
    /// People who lose it by anything that may be let through.
    pub lost: u64,
    /// People who lose it by what was approved, or by their own end.
    pub settled: u64,
    /// People who lose it by anything that is not held already.
    pub asked: u64,
    /// People who gain it by anything that is not held.
    pub gained: u64,
    /// Those of them who gain it by something that nobody has looked at yet.
    pub unseen: u64,
    /// What is not held already and takes it away from somebody who stays.
    pub(super) items: BTreeSet<Item>,
    /// What gives it to somebody, could be refused, and nobody has looked at yet.
    pub(super) gifts: BTreeSet<Item>,
}

/// How the admins of one product fare in a plan.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct AdminMoves {
    /// Admins who end, held or not.
    pub(super) ends: u64,
    /// Admins who end by what was approved, or by their own end.
    pub(super) settled: u64,
    /// Admins who begin.
    pub(super) begins: u64,
}

/// What a plan asks for.
#[derive(Clone, Debug, Default)]
pub struct Demand {
    /// Removals that no earlier run met: to be judged.
    pub(super) fresh: BTreeSet<Item>,
    /// Items that are held whatever the limits say, and why.
    pub(super) forced: BTreeMap<Item, Trip>,
    /// Items that are held already, and still differ.
    pub(super) standing: BTreeSet<Item>,
    /// Items that people let through.
    pub(super) approved: BTreeMap<Item, Release>,
    /// What became of approved items that are not let through.
    pub(super) dropped: BTreeMap<Item, Fate>,
    /// Items that were held and are no difference any more.
    pub(super) gone: BTreeSet<Item>,
    /// How we knew of items that are held anew: this run meets them as a difference only.
    pub(super) known: BTreeMap<Item, Evidence>,
    /// What each item costs.
    pub(super) costs: BTreeMap<Item, Cost>,
    /// How each product fares that anybody gains or loses.
    pub(super) products: BTreeMap<String, ProductLoss>,
    /// Products that lose an owner whom the registry made.
    pub(super) admins: BTreeMap<String, AdminMoves>,
}

/// The decisions among what is held that people let through, and that are about the same as
/// then: planning needs them before anything can be judged.
pub(super) fn approved_decisions(held: &Held, world: &World) -> BTreeSet<Item> {
    let approved = held.iter().filter(|(item, held)| {
        let approved = matches!(held.answer, Answer::Approved(_));
        item.is_decision() && approved && !held.has_changed(item, world)
    });
    approved.map(|(item, _)| item.clone()).collect()
}

/// What people refused, and is about the same as then: nothing is to be planned, or
/// counted, as if it were done.
pub fn rejected(held: &Held, world: &World) -> BTreeSet<Item> {
    let rejected = held
        .iter()
        .filter(|(item, held)| held.answer == Answer::Rejected && !held.has_changed(item, world));
    rejected.map(|(item, _)| item.clone()).collect()
}

/// What waits for an answer and takes something away: until somebody says yes, it does not.
pub(super) fn waiting(held: &Held) -> BTreeSet<Item> {
    let waiting =
        held.iter().filter(|(item, held)| !item.is_gift() && held.answer == Answer::Pending);
    waiting.map(|(item, _)| item.clone()).collect()
}

impl Demand {
    /// Sorts what `whole` asks for.
    pub fn of(whole: &Whole, world: &World, held: &Held, limits: &Limits) -> Self {
        let (plan, apart) = (&whole.plan, whole.apart());
        let mut demand = Self { costs: costs(plan), ..Self::default() };
        let mut now = costs(apart);
        for costs in [&mut demand.costs, &mut now] {
            costs.extend(whole.gains.iter().map(|(item, gain)| (item.clone(), gain.clone())));
        }
        let waits = |item: &Item| {
            let met = apart.taken.contains(item) || apart.withheld.contains(item);
            !met && !item.is_gift() && !item.is_decision()
        };
        for item in plan.taken.union(&plan.withheld) {
            match held.get(item) {
                // It does not come to pass in this run, whatever the limits say.
                None if waits(item) => drop(demand.forced.insert(item.clone(), Trip::Behind)),
                known => demand.sort(item, (known, now.get(item)), limits, world),
            }
        }
        let met = |item: &Item| plan.taken.contains(item) || plan.withheld.contains(item);
        for (item, known) in held.iter().filter(|(item, _)| !met(item)) {
            demand.miss(item, known, plan, world);
        }
        demand.weigh_products(apart);
        demand.count_admins(plan, world);
        demand
    }

    /// `cost` is what the item takes in this run.
    fn sort(
        &mut self,
        item: &Item,
        (known, cost): (Option<&HeldItem>, Option<&Cost>),
        limits: &Limits,
        world: &World,
    ) {
        match known.map(|known| (&known.answer, known)) {
            // An answer is good until what it was said about changes.
            Some((Answer::Rejected | Answer::Approved(_), known))
                if known.has_changed(item, world) =>
            {
                self.ask_anew(item, known.plan.clone(), None);
                return;
            }
            Some((Answer::Pending | Answer::Rejected, _)) => {
                self.standing.insert(item.clone());
                return;
            }
            Some((Answer::Approved(approval), known)) => {
                if cost.is_none_or(|cost| still_stands(&self.without_leavers(cost), &known.cost)) {
                    let release = Release {
                        approval: Arc::clone(approval),
                        evidence: known.evidence,
                        outlook: Arc::clone(&known.outlook),
                    };
                    self.approved.insert(item.clone(), release);
                    return;
                }
                self.ask_anew(item, known.plan.clone(), known.evidence);
                return;
            }
            Some((Answer::LeftOver, known)) => {
                self.known.extend(known.evidence.map(|evidence| (item.clone(), evidence)));
                self.forced.insert(item.clone(), Trip::LeftOver { plan: known.plan.clone() });
                return;
            }
            None => {}
        }
        let always = match item {
            Item::Link(..) | Item::ProductMember(..) if limits.rehearse => Some(Trip::Registry),
            item if item.is_decision() => Some(Trip::Decision),
            _ => None,
        };
        match always {
            Some(trip) => {
                self.forced.insert(item.clone(), trip);
            }
            // What gives goes on, unless a product is given to many by it.
            None if item.is_gift() => {}
            None => {
                self.fresh.insert(item.clone());
            }
        }
    }

    /// The cost to people who do not end in this run: those lose everything by that. Ends
    /// are sorted before anything else.
    fn without_leavers(&self, cost: &Cost) -> Cost {
        let ends = |user: &ObjectId| {
            let end = Item::User(*user);
            self.fresh.contains(&end) || self.approved.contains_key(&end)
        };
        let stays = |people: &BTreeSet<ObjectId>| {
            people.iter().filter(|user| !ends(user)).copied().collect::<BTreeSet<_>>()
        };
        let cost = cost.iter().map(|(product, people)| (product.clone(), stays(people)));
        cost.filter(|(_, people)| !people.is_empty()).collect()
    }

    /// Holds what people answered as something else than it is now.
    pub(super) fn ask_anew(&mut self, item: &Item, plan: String, evidence: Option<Evidence>) {
        self.dropped.insert(item.clone(), Fate::Changed);
        self.known.extend(evidence.map(|evidence| (item.clone(), evidence)));
        self.forced.insert(item.clone(), Trip::Changed { plan });
    }

    /// A held item that the plan does not ask for. It is over if this run could tell that
    /// it is no difference any more; what could not be asked proves nothing.
    fn miss(&mut self, item: &Item, known: &HeldItem, plan: &Plan, world: &World) {
        if plan.undecided.contains(item) || is_untold(item, world) {
            self.standing.insert(item.clone());
        } else if matches!(known.answer, Answer::Approved(_)) {
            self.dropped.insert(item.clone(), Fate::Gone);
        } else {
            self.gone.insert(item.clone());
        }
    }

    pub(super) fn weigh_products(&mut self, apart: &Plan) {
        self.products.clear();
        for change in &apart.access {
            for product in &change.gained {
                self.weigh_gain(product, change.gifts.get(product));
            }
            for (product, causes) in &change.lost {
                let end = Item::User(change.user);
                let fresh = |item: &Item| self.fresh.contains(item);
                let approved = |item: &Item| self.approved.contains_key(item);
                // An end that is held ends nobody: what else takes it away counts.
                let by_end = causes.contains(&end) && (fresh(&end) || approved(&end));
                let open = causes.iter().filter(|item| !self.standing.contains(*item));
                let asked = || open.clone().filter(|item| !matches!(item, Item::User(_)));
                if open.clone().next().is_none() {
                    continue;
                }
                let loss = self.products.entry(product.clone()).or_default();
                loss.asked += 1;
                loss.lost += u64::from(causes.iter().any(|item| fresh(item) || approved(item)));
                loss.settled += u64::from(fresh(&end) || causes.iter().any(approved));
                loss.surprising += u64::from(!by_end && asked().any(fresh));
                loss.items.extend(asked().cloned());
            }
        }
    }

    /// Counts somebody who gains `product`, by `gifts` alone if there are any.
    fn weigh_gain(&mut self, product: &str, gifts: Option<&BTreeSet<Item>>) {
        let held = |item: &&Item| self.standing.contains(*item) || self.forced.contains_key(*item);
        let open: Vec<&Item> = gifts.into_iter().flatten().filter(|item| !held(item)).collect();
        if gifts.is_some() && open.is_empty() {
            return;
        }
        let approved = open.iter().any(|item| self.approved.contains_key(*item));
        let loss = self.products.entry(product.to_owned()).or_default();
        loss.gained += 1;
        if !approved {
            loss.unseen += 1;
            loss.gifts.extend(open.into_iter().cloned());
        }
    }

    fn count_admins(&mut self, plan: &Plan, world: &World) {
        let owned = self.forced.keys().chain(&self.fresh).chain(self.approved.keys());
        let products: BTreeSet<String> = owned
            .filter_map(|item| match item {
                Item::ProductMember(product, _) => Some(product.clone()),
                _ => None,
            })
            .collect();
        for product in products {
            let admin = |user: &ObjectId| {
                let roles = world.product_members.get(user);
                let live = world.identities.get(user).is_some_and(|r| r.state() == State::Live);
                live && roles.and_then(|roles| roles.get(&product)) == Some(&ProductRole::Admin)
            };
            // People, not items: somebody may lose the product and end at the same time.
            let ends = plan.taken.iter().filter_map(|item| match item {
                Item::ProductMember(of, user) if *of == product => Some((*user, item)),
                Item::User(user) => Some((*user, item)),
                _ => None,
            });
            let ends = ends.filter(|(user, _)| admin(user));
            let settled = ends.clone().filter(|(_, item)| {
                self.approved.contains_key(*item)
                    || (matches!(item, Item::User(_)) && self.fresh.contains(*item))
            });
            let people = |ends: &mut dyn Iterator<Item = (ObjectId, &Item)>| {
                ends.map(|(user, _)| user).collect::<BTreeSet<_>>().len() as u64
            };
            let begins = plan.members.iter().filter(|change| {
                change.key.0 == product && change.after == Some(ProductRole::Admin)
            });
            let moves = AdminMoves {
                ends: people(&mut ends.clone()),
                settled: people(&mut settled.clone()),
                begins: begins.count() as u64,
            };
            self.admins.insert(product, moves);
        }
    }

    /// What an item costs.
    pub(super) fn cost(&self, item: &Item) -> &Cost {
        static NOTHING: Cost = Cost::new();
        self.costs.get(item).unwrap_or(&NOTHING)
    }

    /// Whether the plan may go on as it is: nothing is asked for that could be held.
    pub fn is_plain(&self) -> bool {
        let Self { fresh, forced, standing, approved, dropped, gone, .. } = self;
        fresh.is_empty()
            && forced.is_empty()
            && standing.is_empty()
            && approved.is_empty()
            && dropped.is_empty()
            && gone.is_empty()
    }
}

/// Whether what this run was told leaves open if `item` is a difference.
fn is_untold(item: &Item, world: &World) -> bool {
    let registry = &world.registry;
    match item {
        Item::User(id) => world
            .users
            .get(id)
            .is_some_and(|seen| seen.presence.is_present() && seen.facts.enabled.is_none()),
        // Whoever may be purged is asked for in full runs, and after the retention.
        Item::UserPurge(id) => {
            let row = world.identities.get(id);
            let is_back = world.users.get(id).is_some_and(|seen| seen.presence.is_present());
            row.is_some_and(|row| row.state() == State::Removed) && !is_back
        }
        Item::GroupPurge(id) => {
            let state = world.group_rows.get(id).and_then(|row| row.state);
            let is_back = world.groups.get(id).is_some_and(|seen| seen.presence.is_present());
            state == Some(State::Removed) && !is_back
        }
        Item::Rebinding(name, _) => {
            let mut named = registry.wanted.iter().flatten().flat_map(|entry| &entry.groups);
            let asked = registry.candidates.contains_key(name);
            !asked && (registry.wanted.is_none() || named.any(|of| fold_case(of) == *name))
        }
        // Without a registry nothing of it is touched.
        Item::Link(product, group) => {
            let stands = world.links.get(group).is_some_and(|links| links.contains(product));
            registry.wanted.is_none() && stands
        }
        Item::ProductMember(product, user) => {
            let roles = world.product_members.get(user);
            registry.wanted.is_none() && roles.is_some_and(|roles| roles.contains_key(product))
        }
        _ => false,
    }
}

/// Counts items by the unit they belong to; access is not told by items alone.
pub fn count<'i>(items: impl IntoIterator<Item = &'i Item>) -> Removals {
    let mut removals = Removals::default();
    for item in items {
        match item {
            Item::User(_) | Item::UserPurge(_) => removals.users += 1,
            Item::Group(_) | Item::GroupPurge(_) => removals.groups += 1,
            Item::Membership(..) | Item::Role(_) | Item::Link(..) | Item::ProductMember(..) => {
                removals.memberships += 1;
            }
            Item::Adoption(_) | Item::Rebinding(..) | Item::Joining(..) | Item::Linking(..) => {}
        }
    }
    removals
}

/// The same, with every group that stops giving access weighing as many memberships as it
/// has members; otherwise one deleted group would pass below every limit.
pub(super) fn weigh(items: &BTreeSet<Item>, world: &World) -> Removals {
    let mut removals = count(items);
    for item in items {
        if let Item::Group(id) = item {
            removals.memberships += world.group_sizes.get(id).copied().unwrap_or(0);
        }
    }
    removals
}

/// What each item of a plan costs, or gives.
pub(super) fn costs(plan: &Plan) -> BTreeMap<Item, Cost> {
    let mut costs: BTreeMap<Item, Cost> = BTreeMap::new();
    for change in &plan.access {
        for (product, causes) in change.lost.iter().chain(&change.gifts) {
            for item in causes {
                let people = costs.entry(item.clone()).or_default().entry(product.clone());
                people.or_default().insert(change.user);
            }
        }
    }
    costs
}

/// How we know of each of `items`, as the plan tells it.
pub(super) fn evidence(plan: &Plan, items: &BTreeSet<Item>) -> BTreeMap<Item, Evidence> {
    let users = plan.users.iter().flat_map(|change| {
        let evidence = change.evidence;
        [Item::User(change.key), Item::UserPurge(change.key)].map(move |item| (item, evidence))
    });
    let groups = plan.groups.iter().flat_map(|change| {
        let evidence = change.evidence;
        [Item::Group(change.key), Item::GroupPurge(change.key)].map(move |item| (item, evidence))
    });
    let memberships = plan.memberships.iter().filter(|change| !change.made);
    let memberships =
        memberships.map(|change| (Item::Membership(change.group, change.user), change.evidence));
    let told = users.chain(groups).chain(memberships);
    told.filter(|(item, _)| items.contains(item))
        .filter_map(|(item, evidence)| Some((item, evidence?)))
        .collect()
}
