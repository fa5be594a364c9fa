//! What trips the guard, what it counts, and what it lets go on.

use std::sync::{Arc, LazyLock};

use chrono::DateTime;
use proptest::prelude::*;

use super::*;
use crate::directory::{Evidence, ObjectId};
use crate::reconcile::plan::AccessChange;
use crate::reconcile::report::PendingPlans;

/// Limits of 10 or 20 % a run, 15 or 30 % a window, a floor of 3.
fn limits() -> Limits {
    let limit = Limit {
        run: Allowance { max: 10, percent: 20.0 },
        window: Allowance { max: 15, percent: 30.0 },
    };
    Limits {
        users: limit,
        groups: limit,
        memberships: limit,
        access: limit,
        product_percent: 50.0,
        product_window_percent: 60.0,
        floor: 3,
        window: std::time::Duration::from_hours(24),
        gain_percent: 100.0,
        hold_gains: false,
        plans_max: 10,
        keep_reachable: true,
        rehearse: true,
    }
}

/// So many of each unit.
const fn all(n: u64) -> Totals {
    Totals { users: n, groups: n, memberships: n, access: n }
}

const fn one(unit: Unit, n: u64) -> Removals {
    let none = Removals { users: 0, groups: 0, memberships: 0, access: 0 };
    match unit {
        Unit::Users => Removals { users: n, ..none },
        Unit::Groups => Removals { groups: n, ..none },
        Unit::Memberships => Removals { memberships: n, ..none },
        Unit::Access => Removals { access: n, ..none },
    }
}

#[test]
fn limits_are_a_number_and_a_share_above_a_floor() {
    let check = |removals, before, total, expected: &[&str]| {
        for unit in Unit::ALL {
            let verdict = judge(one(*unit, removals), one(*unit, before), all(total), &limits());
            let told: Vec<&str> = verdict
                .iter()
                .map(|trip| match trip {
                    Trip::Run { unit: told, .. } if told == unit => "run",
                    Trip::Window { unit: told, .. } if told == unit => "window",
                    other => panic!("{other:?}"),
                })
                .collect();
            assert_eq!(told, expected, "{removals} after {before} of {total} {unit}");
        }
    };
    check(0, 0, 0, &[]);
    check(0, 0, 1000, &[]);
    check(10, 0, 1000, &[]);
    check(11, 0, 1000, &["run"]);
    // In a small tenant the share says little: up to the floor it is not asked.
    check(3, 0, 3, &[]);
    check(4, 0, 4, &["run", "window"]);
    check(4, 0, 20, &[]);
    check(5, 0, 20, &["run"]);
    // Taking away what nobody counted is a lot.
    check(4, 0, 0, &["run", "window"]);
    check(3, 0, 0, &[]);
    // A slow leak: each run is small, together they are not.
    check(3, 12, 1000, &[]);
    check(4, 12, 1000, &["window"]);
    check(3, 9, 30, &["window"]);
    check(3, 9, 31, &[]);
    // What is gone is gone: a run that takes nothing is never held.
    check(0, 500, 10, &[]);
}

#[test]
fn every_limit_that_is_passed_is_told() {
    let removals = Removals { users: 11, groups: 1, memberships: 7, access: 0 };
    let trips = judge(removals, Removals { groups: 15, ..Removals::default() }, all(30), &limits());
    let told: Vec<String> = trips.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "11 of 30 users would be taken away; guard.users_max is 10, guard.users_percent is 20",
            "11 of 30 users would be taken away within guard.window; guard.users_window_max is 15, guard.users_window_percent is 30",
            "16 of 45 groups would be taken away within guard.window; guard.groups_window_max is 15, guard.groups_window_percent is 30",
            "7 of 30 memberships would be taken away; guard.memberships_max is 10, guard.memberships_percent is 20",
        ]
    );
}

/// A user, or a group, by number.
fn id(n: u128) -> ObjectId {
    ObjectId::new(uuid::Uuid::from_u128(n))
}

fn membership(user: u128) -> Item {
    Item::Membership(id(1000), id(user))
}

/// A plan that takes `items` away, and ends access of `lost` users to `app` by them.
fn plan_of(items: &[Item], lost: &[(u128, Item)]) -> Plan {
    let access = lost.iter().map(|(user, item)| AccessChange {
        user: id(*user),
        gained: BTreeSet::new(),
        gifts: BTreeMap::new(),
        lost: [("app".to_owned(), [item.clone()].into())].into(),
    });
    Plan { taken: items.iter().cloned().collect(), access: access.collect(), ..Plan::default() }
}

static NOTHING: LazyLock<Taken> = LazyLock::new(Taken::default);

/// Judges a plan in a platform of 1000 of each, with so many people on `app`.
fn judged(plan: &Plan, held: &Held, people: u64) -> Verdict {
    let limits = limits();
    let counted = [("app".to_owned(), people), ("other".to_owned(), people)].into();
    let context = Context {
        limits: &limits,
        totals: all(1000),
        before: &NOTHING,
        rehearsal: None,
        people: &counted,
        admins: &BTreeMap::new(),
    };
    let world = World::default();
    let whole = whole(plan);
    Demand::of(&whole, &world, held, &limits).judge(&whole, &world, &context)
}

/// Nothing waits, and nothing is rebound.
fn whole(plan: &Plan) -> Whole {
    Whole { plan: plan.clone(), ..Whole::default() }
}

fn holding(items: impl IntoIterator<Item = Item>, answer: &Answer, cost: &Cost) -> Held {
    let known = |number, item| {
        let known = HeldItem {
            plan: "aa".to_owned(),
            number,
            answer: answer.clone(),
            cost: cost.clone(),
            evidence: None,
            seen: None,
            outlook: Arc::default(),
        };
        (item, known)
    };
    (1..).zip(items).map(|(number, item)| known(number, item)).collect()
}

fn approved() -> Answer {
    Answer::Approved(Arc::new(Approval {
        plan: "aa".to_owned(),
        by: "ada@contoso.example".to_owned(),
        user_id: Some(1),
        break_glass: None,
    }))
}

#[test]
fn a_hold_does_not_trap_what_comes_later() {
    let many: Vec<Item> = (0..11).map(membership).collect();
    let first = judged(&plan_of(&many, &[]), &Held::new(), 100);
    assert_eq!(first.held.len(), 11);
    assert!(first.allowed.is_empty());
    // The same difference again, and one more: only that one is new, and it is no surprise.
    let held = holding(many.clone(), &Answer::Pending, &Cost::new());
    let mut more = many.clone();
    more.push(membership(99));
    let second = judged(&plan_of(&more, &[]), &held, 100);
    assert_eq!(second.trips, []);
    assert!(second.held.is_empty(), "no new plan for the same set");
    assert_eq!(second.standing, many.iter().cloned().collect());
    assert_eq!(second.allowed, [membership(99)].into());
    assert_eq!(second.taken.removals, Removals { memberships: 1, ..Removals::default() });
    // The directory came back: nothing is held any more.
    let third = judged(&plan_of(&[], &[]), &held, 100);
    assert_eq!(third.gone, many.into_iter().collect());
    assert!(third.standing.is_empty());
}

#[test]
fn an_approval_lets_through_what_still_stands_and_no_more() {
    let answer = approved();
    let cost: Cost = [("app".to_owned(), (0..12).map(id).collect())].into();
    let held = holding((0..12).map(membership), &answer, &cost);
    // Twelve were approved; one came back, one would cost another product now.
    let items: Vec<Item> = (0..11).map(membership).collect();
    let mut plan = plan_of(&items, &[(0, membership(0))]);
    plan.access[0].lost.insert("other".to_owned(), [membership(0)].into());
    let verdict = judged(&plan, &held, 100);
    assert_eq!(
        verdict.dropped,
        [(membership(0), Fate::Changed), (membership(11), Fate::Gone)].into()
    );
    assert_eq!(verdict.approved.keys().cloned().collect::<Vec<_>>(), items[1..]);
    // What changed is held anew, whatever the limits: it was a surprise once.
    assert_eq!(verdict.trips, [Trip::Changed { plan: "aa".to_owned() }]);
    assert_eq!(verdict.held.keys().collect::<Vec<_>>(), [&membership(0)]);
    assert_eq!(verdict.allowed.len(), 10);
    // What a person approved is not counted against later runs.
    assert_eq!(verdict.taken, Taken::default());
}

#[test]
fn what_was_not_approved_is_held_anew_and_what_was_rejected_stays() {
    let left = judged(
        &plan_of(&[membership(1)], &[]),
        &holding([membership(1)], &Answer::LeftOver, &Cost::new()),
        100,
    );
    assert_eq!(left.trips, [Trip::LeftOver { plan: "aa".to_owned() }]);
    assert!(left.held.contains_key(&membership(1)));
    let rejected = judged(
        &plan_of(&[membership(1)], &[]),
        &holding([membership(1)], &Answer::Rejected, &Cost::new()),
        100,
    );
    assert_eq!((rejected.trips.len(), rejected.held.len()), (0, 0));
    assert_eq!(rejected.standing, [membership(1)].into());
    assert!(rejected.allowed.is_empty());
}

#[test]
fn people_leave_at_once_unless_it_is_their_number_that_surprises() {
    let users = |n: u128| (100..100 + n).map(|user| Item::User(id(user)));
    let mut items: Vec<Item> = (0..11).map(membership).collect();
    items.extend(users(10));
    let verdict = judged(&plan_of(&items, &[]), &Held::new(), 100);
    assert_eq!(verdict.allowed, users(10).collect());
    assert_eq!(verdict.held.len(), 11);
    let verdict = judged(&plan_of(&users(11).collect::<Vec<_>>(), &[]), &Held::new(), 100);
    assert_eq!(verdict.held.len(), 11);
}

#[test]
fn access_is_counted_in_pairs_and_not_by_peoples_own_end() {
    let lost: Vec<(u128, Item)> = (0..4).map(|user| (user, membership(user))).collect();
    let items: Vec<Item> = lost.iter().map(|(_, item)| item.clone()).collect();
    let held = |verdict: &Verdict| verdict.held.keys().cloned().collect::<Vec<_>>();
    // 4 of 8 are no more than half, 4 of 7 are; 4 of 4 leave nobody.
    for (people, expected) in [(8, vec![]), (7, items.clone()), (4, items.clone())] {
        let verdict = judged(&plan_of(&items, &lost), &Held::new(), people);
        assert_eq!(held(&verdict), expected, "of {people}");
    }
    // Below the floor a share is not asked for, but nobody left is always a surprise.
    let verdict = judged(&plan_of(&items[..1], &lost[..1]), &Held::new(), 1);
    assert_eq!(verdict.trips, [Trip::ProductEmptied { product: "app".to_owned(), lost: 1 }]);
    // Only what takes the product away is held.
    let mut more = items.clone();
    more.push(membership(50));
    let verdict = judged(&plan_of(&more, &lost), &Held::new(), 7);
    assert_eq!(verdict.allowed, [membership(50)].into());
    // Whoever is disabled loses it at once, be it the last one.
    let user = Item::User(id(7));
    let verdict =
        judged(&plan_of(std::slice::from_ref(&user), &[(7, user.clone())]), &Held::new(), 1);
    assert_eq!(verdict.allowed, [user].into());
    assert_eq!(verdict.taken.removals.access, 0);
}

#[test]
fn what_a_person_must_be_asked_is_held_whatever_the_limits() {
    let link = Item::Link("app".to_owned(), id(5));
    let owner = Item::ProductMember("app".to_owned(), id(6));
    let mut plan = plan_of(&[link.clone(), owner.clone()], &[]);
    plan.withheld = [Item::Adoption(id(9))].into();
    let verdict = judged(&plan, &Held::new(), 100);
    assert_eq!(
        verdict.trips,
        [Trip::Registry, Trip::Decision, Trip::LastAdmin { product: "app".to_owned() }]
    );
    assert_eq!(verdict.held.len(), 3);
    assert!(verdict.needs_another_plan());
}

#[test]
fn a_rehearsal_takes_nothing_away() {
    let items = [membership(1), Item::User(id(2))];
    let plan = plan_of(&items, &[]);
    let (limits, none) = (limits(), BTreeMap::new());
    let context = Context {
        limits: &limits,
        totals: all(1000),
        before: &NOTHING,
        rehearsal: Some(&Rehearsal { trip: Trip::ScopeChanged, groups: None }),
        people: &none,
        admins: &none,
    };
    let world = World::default();
    let whole = whole(&plan);
    let verdict = Demand::of(&whole, &world, &Held::new(), &limits).judge(&whole, &world, &context);
    assert_eq!(verdict.trips, [Trip::ScopeChanged]);
    assert_eq!(verdict.held.keys().cloned().collect::<BTreeSet<_>>(), items.into());
}

#[test]
fn a_product_that_doubles_is_told_and_not_held() {
    let mut plan = plan_of(&[], &[]);
    plan.access = (0..5)
        .map(|user| AccessChange {
            user: id(user),
            gained: ["app".to_owned()].into(),
            gifts: BTreeMap::new(),
            lost: BTreeMap::new(),
        })
        .collect();
    for (people, surges) in [(0, false), (4, true), (5, false)] {
        let verdict = judged(&plan, &Held::new(), people);
        assert_eq!(verdict.surges.contains_key("app"), surges, "{people}");
        assert!(verdict.held.is_empty());
    }
}

/// A plan by which `people` gain `app`, each by a membership of their own.
fn giving(people: std::ops::Range<u128>) -> Plan {
    let joining = |user| Item::Joining(id(1000), id(user));
    let access = people.clone().map(|user| AccessChange {
        user: id(user),
        gained: ["app".to_owned()].into(),
        gifts: [("app".to_owned(), [joining(user)].into())].into(),
        lost: BTreeMap::new(),
    });
    Plan { access: access.collect(), taken: people.map(joining).collect(), ..Plan::default() }
}

#[test]
fn a_product_that_doubles_is_held_if_so_configured() {
    let holds = Limits { hold_gains: true, ..limits() };
    let judged = |plan: &Plan, held: &Held, limits: &Limits| {
        let people = [("app".to_owned(), 6)].into();
        let context = Context {
            limits,
            totals: all(1000),
            before: &NOTHING,
            rehearsal: None,
            people: &people,
            admins: &BTreeMap::new(),
        };
        let (whole, world) = (whole(plan), World::default());
        Demand::of(&whole, &world, held, limits).judge(&whole, &world, &context)
    };
    let surge = |gained| {
        let product = "app".to_owned();
        vec![Trip::Surge { product, gained, people: 6, percent: 100.0 }]
    };
    let told = judged(&giving(0..7), &Held::new(), &limits());
    assert_eq!((told.held.len(), told.surges.len()), (0, 1));

    let held = judged(&giving(0..7), &Held::new(), &holds);
    assert_eq!((held.trips.clone(), held.surges.len()), (surge(7), 0));
    assert_eq!(held.refused(), giving(0..7).taken);
    assert!(judged(&giving(0..6), &Held::new(), &holds).held.is_empty());

    // What is held traps nothing later, and counts no more; neither does what is approved.
    let cost = |user| Cost::from([("app".to_owned(), [id(user)].into())]);
    let known = |users: std::ops::Range<u128>, answer: &Answer| -> Held {
        let one = |user| holding([Item::Joining(id(1000), id(user))], answer, &cost(user));
        users.flat_map(one).collect()
    };
    for answer in [Answer::Pending, Answer::Rejected] {
        let later = judged(&giving(0..10), &known(0..7, &answer), &holds);
        assert_eq!((later.standing.len(), later.held.len()), (7, 0), "{answer:?}");
        assert_eq!(later.refused(), giving(0..7).taken);
        let more = judged(&giving(0..14), &known(0..7, &answer), &holds);
        assert_eq!((more.trips, more.held.len()), (surge(7), 7), "{answer:?}");
    }
    let released = judged(&giving(0..10), &known(0..7, &approved()), &limits());
    assert_eq!((released.approved.len(), released.held.len()), (7, 0));
    assert!(released.refused().is_empty());
    // Switched off meanwhile, it waits all the same.
    assert_eq!(judged(&giving(0..7), &known(0..7, &Answer::Pending), &limits()).standing.len(), 7);
}

#[test]
fn later_runs_are_told_whom_to_look_at() {
    let items = [
        Item::User(id(1)),
        Item::Membership(id(2), id(3)),
        Item::Group(id(4)),
        Item::Link("p".to_owned(), id(5)),
        Item::ProductMember("p".to_owned(), id(6)),
        Item::Rebinding("n".to_owned(), id(7)),
    ];
    let (users, groups) = held_objects(&items);
    assert_eq!(users, [id(1), id(3), id(6)].into());
    assert_eq!(groups, [id(4), id(5)].into());
    assert_eq!(count(&items), Removals { users: 1, groups: 1, memberships: 3, access: 0 });
    assert_eq!(PendingPlans::default().oldest, None::<DateTime<chrono::Utc>>);
}

#[test]
fn evidence_goes_with_what_is_held() {
    let mut plan = plan_of(&(0..11).map(membership).collect::<Vec<_>>(), &[]);
    plan.memberships.push(crate::reconcile::plan::MembershipChange {
        group: id(1000),
        user: id(3),
        made: false,
        evidence: Some(Evidence::DeltaTombstone),
        products: Vec::new(),
    });
    let verdict = judged(&plan, &Held::new(), 100);
    assert_eq!(verdict.held[&membership(3)].evidence, Some(Evidence::DeltaTombstone));
    assert_eq!(verdict.held[&membership(4)].evidence, None);
}

fn some_items() -> impl Strategy<Value = BTreeSet<Item>> {
    let item = prop_oneof![
        (0..30_u128).prop_map(membership),
        (0..30_u128).prop_map(|n| Item::User(id(n))),
        (0..30_u128).prop_map(|n| Item::Group(id(n))),
        (0..30_u128).prop_map(|n| Item::GroupPurge(id(n))),
    ];
    prop::collection::btree_set(item, 0..30)
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// A plan that takes away less is never refused where a larger one passed; and of a
    /// smaller one nothing is held that passed in the larger.
    #[test]
    fn the_guard_is_monotone(
        more in some_items(),
        keep in prop::collection::vec(any::<bool>(), 30),
        people in 0..40_u64,
    ) {
        let less: BTreeSet<Item> =
            more.iter().zip(&keep).filter(|(_, keep)| **keep).map(|(item, _)| item.clone()).collect();
        let plan = |items: &BTreeSet<Item>| {
            let lost: Vec<(u128, Item)> = items
                .iter()
                .filter_map(|item| match item {
                    Item::Membership(_, user) => Some((user.uuid().as_u128(), item.clone())),
                    _ => None,
                })
                .collect();
            plan_of(&items.iter().cloned().collect::<Vec<_>>(), &lost)
        };
        let of_more = judged(&plan(&more), &Held::new(), people);
        let of_less = judged(&plan(&less), &Held::new(), people);
        prop_assert!(of_less.held.keys().all(|item| of_more.held.contains_key(item)));
    }

    /// Nothing is lost sight of: what a plan takes away is let through or held, once.
    #[test]
    fn every_item_is_let_through_or_held(
        items in some_items(),
        before in some_items(),
        answer in prop_oneof![
            Just(Answer::Pending), Just(Answer::Rejected), Just(Answer::LeftOver),
        ],
    ) {
        let held = holding(before.iter().cloned(), &answer, &Cost::new());
        let plan = plan_of(&items.iter().cloned().collect::<Vec<_>>(), &[]);
        let verdict = judged(&plan, &held, 1000);
        for item in &items {
            let places = [
                verdict.allowed.contains(item),
                verdict.held.contains_key(item),
                verdict.standing.contains(item),
            ];
            prop_assert_eq!(places.iter().filter(|place| **place).count(), 1, "{:?}", item);
        }
        prop_assert_eq!(verdict.gone, &before - &items);
    }
}
