//! Whether a plan takes away more than a person should find unsurprising.
//!
//! Owns the counting and the limits; holds nothing back itself: its verdict is given
//! to planning, which plans again without the removals. Pure.

use super::plan::{Plan, Removal};
use super::report::{Removals, Totals, labels};
use super::world::{Policy, Role, State, World};
use crate::directory::ObjectId;

labels! {
    /// A unit in which removals are counted and limited.
    Unit {
        /// Users that stop being live, or are purged.
        Users = "users",
        /// Groups that stop being live, or are purged.
        Groups = "groups",
        /// Memberships, links, product memberships and roles taken away.
        Memberships = "memberships",
    }
}

/// The limit of one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limit {
    /// At most so many in one run.
    pub max: u64,
    /// At most so many percent of what there is, once the floor is passed.
    pub percent: f64,
}

/// All limits.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Limits {
    /// For users.
    pub users: Limit,
    /// For groups.
    pub groups: Limit,
    /// For memberships.
    pub memberships: Limit,
    /// Up to so many removals of a unit the percentage is not asked: in a small
    /// tenant one leaver is many percent.
    pub floor: u64,
}

/// Why a plan was held: the unit, what it would take away and what was allowed.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trip {
    /// The unit whose limit was passed.
    pub unit: Unit,
    /// What the plan takes away.
    pub removals: u64,
    /// What there is.
    pub total: u64,
    /// The limit.
    pub limit: Limit,
}

impl std::fmt::Display for Trip {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let Self { unit, removals, total, limit: Limit { max, percent } } = self;
        write!(
            f,
            "{removals} of {total} {unit} would be taken away; guard.{unit}_max is {max}, guard.{unit}_percent is {percent}"
        )
    }
}

/// Counts what a plan takes away.
pub fn count(plan: &Plan) -> Removals {
    let roles = plan
        .users
        .iter()
        .filter(|change| takes_role(change.before.as_ref(), change.after.as_ref()));
    let memberships = plan.memberships.iter().filter(|change| !change.made).count()
        + plan.links.iter().filter(|change| !change.made).count()
        + plan.members.iter().filter(|change| change.after.is_none()).count()
        + roles.count();
    Removals {
        users: plan.users.iter().filter(|change| change.is_removal()).count() as u64,
        groups: plan.groups.iter().filter(|change| change.is_removal()).count() as u64,
        memberships: memberships as u64,
    }
}

/// The same, with everybody counted who loses a path: a group that stops giving access and
/// a link that ends weigh as many memberships as the group has members. Otherwise one
/// deleted group, or one cut registry, would pass below every limit.
pub fn weigh(plan: &Plan, world: &World) -> Removals {
    let mut removals = count(plan);
    let size = |group: &ObjectId| world.group_sizes.get(group).copied().unwrap_or(0);
    let closing = plan.groups.iter().filter(|change| change.is_removal());
    removals.memberships += closing.map(|change| size(&change.key)).sum::<u64>();
    let ending = plan.links.iter().filter(|link| !link.made);
    removals.memberships += ending.map(|link| size(&link.group).saturating_sub(1)).sum::<u64>();
    removals
}

fn takes_role(
    before: Option<&super::world::UserRow>,
    after: Option<&super::world::UserRow>,
) -> bool {
    matches!((before, after), (Some(b), Some(a)) if b.role == Role::Admin && a.role == Role::User)
}

/// Counts what a plan left out.
pub fn count_withheld(plan: &Plan) -> Removals {
    let mut removals = Removals::default();
    for removal in &plan.withheld {
        match removal {
            Removal::User(_) => removals.users += 1,
            Removal::Group(_) => removals.groups += 1,
            Removal::Membership(..)
            | Removal::Role(_)
            | Removal::Link(..)
            | Removal::ProductMember(..) => removals.memberships += 1,
        }
    }
    removals
}

/// Judges: empty if the plan may go on whole, otherwise every limit that it passes.
///
/// Monotone: a plan that takes away less than an accepted one is accepted.
pub fn judge(removals: Removals, totals: Totals, limits: &Limits) -> Vec<Trip> {
    let Limits { users, groups, memberships, floor } = *limits;
    [
        (Unit::Users, removals.users, totals.users, users),
        (Unit::Groups, removals.groups, totals.groups, groups),
        (Unit::Memberships, removals.memberships, totals.memberships, memberships),
    ]
    .into_iter()
    .filter(|(_, removals, total, limit)| trips(*removals, *total, *limit, floor))
    .map(|(unit, removals, total, limit)| Trip { unit, removals, total, limit })
    .collect()
}

#[expect(clippy::cast_precision_loss, reason = "counts stay far below 2^52")]
fn trips(removals: u64, total: u64, limit: Limit, floor: u64) -> bool {
    removals > limit.max
        || (removals > floor && removals as f64 * 100.0 > limit.percent * total.max(1) as f64)
}

/// Users and groups that a withheld removal concerns: later runs must look at them again.
pub fn held_objects(plan: &Plan) -> (Vec<ObjectId>, Vec<ObjectId>) {
    let mut users = Vec::new();
    let mut groups = Vec::new();
    for removal in &plan.withheld {
        match removal {
            Removal::User(id) | Removal::Role(id) | Removal::Membership(_, id) => users.push(*id),
            Removal::Group(id) => groups.push(*id),
            // The registry is compared whole in every run.
            Removal::Link(..) | Removal::ProductMember(..) => {}
        }
    }
    users.sort_unstable();
    users.dedup();
    (users, groups)
}

/// Plans, judges, and plans again without the removals where a limit is passed.
///
/// People who are disabled or gone lose access all the same, unless it is the limit on
/// users that was passed.
pub fn decide(
    world: &World,
    policy: &Policy,
    limits: &Limits,
    totals: Totals,
) -> (Plan, Vec<Trip>) {
    use super::plan::{Withhold, plan};
    let whole = plan(world, policy, Withhold::Nothing);
    let trips = judge(weigh(&whole, world), totals, limits);
    if trips.is_empty() {
        return (whole, trips);
    }
    let many_users = trips.iter().any(|trip| trip.unit == Unit::Users);
    let withhold = if many_users { Withhold::Removals } else { Withhold::AllButUsers };
    (plan(world, policy, withhold), trips)
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
    after
}

fn shift(total: &mut u64, before: bool, after: bool) {
    match (before, after) {
        (false, true) => *total += 1,
        (true, false) => *total = total.saturating_sub(1),
        _ => {}
    }
}

#[cfg(test)]
mod tests;
