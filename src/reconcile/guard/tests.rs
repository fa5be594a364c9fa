//! What trips the guard, what it counts, and what it lets go on.

use proptest::prelude::*;

use super::*;
use crate::directory::Evidence;
use crate::reconcile::plan::{LinkChange, MembershipChange};

/// Limits of 10 or 20 %, a floor of 3.
const LIMITS: Limits = {
    let limit = Limit { max: 10, percent: 20.0 };
    Limits { users: limit, groups: limit, memberships: limit, floor: 3 }
};

/// So many of each unit.
const fn all(n: u64) -> Totals {
    Totals { users: n, groups: n, memberships: n }
}

#[test]
fn limits_are_a_number_and_a_share_above_a_floor() {
    let check = |removals, total, trips: bool| {
        for unit in Unit::ALL {
            let removals = match unit {
                Unit::Users => Removals { users: removals, ..Removals::default() },
                Unit::Groups => Removals { groups: removals, ..Removals::default() },
                Unit::Memberships => Removals { memberships: removals, ..Removals::default() },
            };
            let verdict = judge(removals, all(total), &LIMITS);
            let units: Vec<Unit> = verdict.iter().map(|trip| trip.unit).collect();
            let expected = if trips { vec![*unit] } else { vec![] };
            assert_eq!(units, expected, "{removals:?} of {total}");
        }
    };
    check(0, 0, false);
    check(0, 1000, false);
    check(10, 1000, false);
    check(11, 1000, true);
    // In a small tenant the share says little: up to the floor it is not asked.
    check(3, 3, false);
    check(4, 4, true);
    check(4, 20, false);
    check(5, 20, true);
    // Taking away what nobody counted is a lot.
    check(4, 0, true);
    check(3, 0, false);
}

#[test]
fn every_limit_that_is_passed_is_told() {
    let removals = Removals { users: 11, groups: 1, memberships: 7 };
    let trips = judge(removals, all(30), &LIMITS);
    let told: Vec<String> = trips.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "11 of 30 users would be taken away; guard.users_max is 10, guard.users_percent is 20",
            "7 of 30 memberships would be taken away; guard.memberships_max is 10, guard.memberships_percent is 20",
        ]
    );
}

#[test]
fn what_is_held_is_counted_like_what_is_planned() {
    let id = ObjectId::new(uuid::Uuid::nil());
    let plan = Plan {
        withheld: [
            Removal::User(id),
            Removal::Group(id),
            Removal::Membership(id, id),
            Removal::Role(id),
            Removal::Link("p".to_owned(), id),
            Removal::ProductMember("p".to_owned(), id),
        ]
        .into(),
        ..Plan::default()
    };
    assert_eq!(count_withheld(&plan), Removals { users: 1, groups: 1, memberships: 4 });
    assert_eq!(held_objects(&plan), (vec![id], vec![id]));
    assert_eq!(count(&plan), Removals::default());
}

#[test]
fn giving_is_never_counted() {
    let id = ObjectId::new(uuid::Uuid::nil());
    let step = |made: bool| MembershipChange {
        group: id,
        user: id,
        made,
        evidence: (!made).then_some(Evidence::Derived),
        products: Vec::new(),
    };
    let link = |made| LinkChange { product: "p".to_owned(), group: id, made };
    let plan = Plan {
        memberships: vec![step(true), step(false)],
        links: vec![link(true), link(false), link(true)],
        ..Plan::default()
    };
    assert_eq!(count(&plan), Removals { memberships: 2, ..Removals::default() });
    assert_eq!(totals_after(all(5), &plan), all(5));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(2048))]

    /// A plan that takes away less is never refused where a larger one passed.
    #[test]
    fn the_guard_is_monotone(
        more in (0..40_u64, 0..40_u64, 0..40_u64),
        less in (0..40_u64, 0..40_u64, 0..40_u64),
        total in 0..200_u64,
        max in 0..30_u64,
        percent in 0.0..100.0_f64,
        floor in 0..10_u64,
    ) {
        let limit = Limit { max, percent };
        let limits = Limits { users: limit, groups: limit, memberships: limit, floor };
        let units = |(users, groups, memberships)| Removals { users, groups, memberships };
        let less = units((less.0.min(more.0), less.1.min(more.1), less.2.min(more.2)));
        let tripped = |removals| -> Vec<Unit> {
            judge(removals, all(total), &limits).iter().map(|trip| trip.unit).collect()
        };
        let (trips, of_more) = (tripped(less), tripped(units(more)));
        prop_assert!(trips.iter().all(|unit| of_more.contains(unit)), "{:?} {:?}", trips, of_more);
    }
}
