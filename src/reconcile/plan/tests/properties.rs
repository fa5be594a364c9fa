//! What holds of every plan, whatever the tenant.

use std::collections::{BTreeMap, BTreeSet};

use proptest::prelude::*;

use super::furnished::furnished;
use super::model::{Platform, Reach, Withhold, planned};
use super::script::id;
use super::tenants::{Addresses, Event, Tenant, events, settled};
use crate::directory::{MemberKind, ObjectId};
use crate::reconcile::fold::{Admission, Part, Scope, fold};
use crate::reconcile::guard::{Held, NewItem, Verdict};
use crate::reconcile::plan::{Consent, Item, Plan, lines, plan};
use crate::reconcile::world::{GroupRow, MemberRead, Purge, Role, State, UserRow};

/// As many cases as `PROPTEST_CASES` asks for. A failure becomes a row of a table, not a
/// seed in a file.
fn config() -> ProptestConfig {
    ProptestConfig { failure_persistence: None, ..ProptestConfig::default() }
}

fn tell(platform: &mut Platform, part: Part) {
    let everything = Scope { users: Admission::All, groups: Admission::All };
    fold(&mut platform.observed, part, &mut platform.moved, &everything);
}

fn run(platform: &mut Platform, reach: Reach, withhold: Withhold) -> Plan {
    let plan = planned(&platform.world(reach), &platform.policy, withhold);
    let before = platform.access();
    platform.apply(&plan);
    assert_tells_access(&plan, &before, &platform.access());
    plan
}

/// What a plan tells of access is how the view changes by it, pair by pair, and nothing
/// is lost for no reason that could be withheld.
#[track_caller]
fn assert_tells_access(
    plan: &Plan,
    before: &BTreeSet<(ObjectId, String)>,
    after: &BTreeSet<(ObjectId, String)>,
) {
    let told = |pairs: &dyn Fn(&crate::reconcile::plan::AccessChange) -> Vec<String>| {
        let changes = plan.access.iter();
        let pairs = changes
            .flat_map(|change| pairs(change).into_iter().map(|product| (change.user, product)));
        pairs.collect::<BTreeSet<_>>()
    };
    let gained = told(&|change| change.gained.iter().cloned().collect());
    let lost = told(&|change| change.lost.keys().cloned().collect());
    assert_eq!(gained, after - before, "gained");
    assert_eq!(lost, before - after, "lost");
    let causes = plan.access.iter().flat_map(|change| change.lost.values());
    assert!(causes.into_iter().all(|causes| !causes.is_empty()), "{:?}", plan.access);
}

/// Lets `history` happen in one go and tells all of it.
fn in_one_go(platform: &mut Platform, tenant: &mut Tenant, history: &[Event]) {
    for event in history {
        tenant.happen(event);
    }
    let part = tenant.everything(&platform.observed);
    tell(platform, part);
}

/// A platform that has seen a settled tenant.
fn begun(mut platform: Platform, base: &[Event]) -> (Platform, Tenant) {
    platform.policy.members_only = false;
    platform.policy.include_guests = true;
    platform.policy.include_disabled = true;
    platform.local.clear();
    let mut tenant = Tenant::default();
    in_one_go(&mut platform, &mut tenant, base);
    run(&mut platform, Reach::Full, Withhold::Nothing);
    (platform, tenant)
}

#[track_caller]
fn assert_rests(platform: &Platform, withhold: Withhold) {
    let world = platform.world(Reach::Full);
    let again = planned(&world, &platform.policy, withhold);
    let rest = Plan {
        withheld: again.withheld.clone(),
        undecided: again.undecided.clone(),
        ..Plan::default()
    };
    assert_eq!(again, rest, "does not rest:\n{}", lines(&again, &world).join("\n"));
}

/// Effective members, found downwards and without memory: a second opinion.
fn members_below(platform: &Platform, top: ObjectId) -> BTreeSet<ObjectId> {
    let gives = |group: &ObjectId| {
        let live = platform.groups.get(group).is_some_and(|row| row.state == Some(State::Live));
        *group == top || live
    };
    let is_read = |group: &ObjectId| {
        platform.observed.groups.get(group).is_some_and(|g| g.members != MemberRead::Never)
    };
    let mut reached = BTreeSet::from([top]);
    loop {
        let open: Vec<ObjectId> =
            reached.iter().filter(|id| gives(id) && is_read(id)).copied().collect();
        let edges = open.iter().filter_map(|group| platform.observed.edges.get(group)).flatten();
        let next: BTreeSet<ObjectId> = reached.iter().copied().chain(edges.map(|m| m.id)).collect();
        if next == reached {
            return reached.into_iter().filter(|id| platform.identities.contains_key(id)).collect();
        }
        reached = next;
    }
}

/// What a person of the platform could tell: everything but row ids and times. Of what is
/// removed, that it is: a list does not show what happened to it before it went.
#[derive(Debug, PartialEq)]
struct Sight {
    states: BTreeMap<ObjectId, State>,
    users: BTreeMap<ObjectId, (String, String, Role, bool)>,
    groups: BTreeMap<ObjectId, (Option<State>, Option<String>)>,
    memberships: BTreeSet<(ObjectId, ObjectId)>,
    links: BTreeMap<ObjectId, BTreeSet<String>>,
    members: BTreeSet<(String, ObjectId)>,
}

fn sight(platform: &Platform) -> Sight {
    let user = |row: &UserRow| {
        let guest = row.identity.as_ref().is_some_and(|identity| identity.guest);
        (row.email.clone(), row.name.clone(), row.role, guest)
    };
    let people = platform.identities.iter();
    let group = |row: &GroupRow| {
        (row.state, (row.state == Some(State::Live)).then(|| row.display_name.clone()))
    };
    let live = |id: &ObjectId| platform.groups[id].state == Some(State::Live);
    let there = platform
        .memberships
        .iter()
        .filter(|(id, _)| platform.identities[*id].state() != State::Removed);
    let mut links = platform.links.clone();
    links.retain(|_, products| !products.is_empty());
    Sight {
        states: people.clone().map(|(id, row)| (*id, row.state())).collect(),
        users: people
            .filter(|(_, row)| row.state() != State::Removed)
            .map(|(id, row)| (*id, user(row)))
            .collect(),
        groups: platform.groups.iter().map(|(id, row)| (*id, group(row))).collect(),
        memberships: there
            .flat_map(|(user, groups)| groups.iter().map(|group| (*user, *group)))
            .filter(|(_, group)| live(group))
            .collect(),
        links,
        members: platform.registry.members.keys().cloned().collect(),
    }
}

/// Whether `after` took anything from `before`.
fn assert_nothing_taken(before: &Platform, after: &Platform, users_apart: bool) {
    for (id, row) in &before.identities {
        let now = &after.identities[id];
        let was_live = row.state() == State::Live;
        assert!(users_apart || !was_live || now.state() == State::Live, "{} ended", row.email);
        assert!(row.role != Role::Admin || now.role == Role::Admin, "{} lost a role", row.email);
    }
    for (id, row) in &before.groups {
        let now = after.groups.get(id).and_then(|row| row.state);
        assert!(row.state != Some(State::Live) || now == Some(State::Live), "a group ended");
    }
    for (user, groups) in &before.memberships {
        assert!(after.memberships.get(user).is_some_and(|now| groups.is_subset(now)));
    }
    for (group, products) in &before.links {
        assert!(after.links.get(group).is_some_and(|now| products.is_subset(now)));
    }
    assert!(before.registry.members.keys().all(|key| after.registry.members.contains_key(key)));
}

proptest! {
    #![proptest_config(config())]

    /// Whatever the tenant and whoever wishes for which address: one run decides, and
    /// a second one has nothing to do and nothing to say. Addresses stay unique and keys
    /// whole (the model insists), members are who can be reached.
    #[test]
    fn a_run_converges_and_then_rests(
        mut platform in furnished(),
        history in prop::collection::vec((events(Addresses::Contested, 6), 0..4_u8), 1..6),
    ) {
        let mut tenant = Tenant::default();
        for (step, withhold) in history {
            in_one_go(&mut platform, &mut tenant, &step);
            let withhold = match withhold {
                0 => Withhold::Removals,
                1 => Withhold::AllButUsers,
                _ => Withhold::Nothing,
            };
            let before = platform.clone();
            run(&mut platform, Reach::Full, withhold);
            assert_rests(&platform, withhold);
            match withhold {
                Withhold::Nothing => {
                    for group in platform.groups.keys() {
                        let stored = platform.memberships.iter().filter(|(_, of)| of.contains(group));
                        let stored: BTreeSet<ObjectId> = stored.map(|(user, _)| *user).collect();
                        prop_assert_eq!(stored, members_below(&platform, *group));
                    }
                }
                withhold => {
                    assert_nothing_taken(&before, &platform, withhold == Withhold::AllButUsers);
                }
            }
        }
    }

    /// One full run says what many delta runs say, and finds nothing left to do after
    /// them. Tenants without contested addresses: who came first keeps an address, so
    /// those do depend on history. For the same reason everybody is there at the start.
    #[test]
    fn full_equals_delta(
        platform in furnished(),
        base in settled(),
        history in events(Addresses::Apart, 12),
    ) {
        let (platform, tenant) = begun(platform, &base);
        let mut whole = (platform.clone(), tenant.clone());
        in_one_go(&mut whole.0, &mut whole.1, &history);
        run(&mut whole.0, Reach::Full, Withhold::Nothing);

        let mut steps = (platform, tenant);
        for event in &history {
            let Some(part) = steps.1.happen(event) else { continue };
            tell(&mut steps.0, part);
            run(&mut steps.0, Reach::Delta, Withhold::Nothing);
            assert_rests(&steps.0, Withhold::Nothing);
        }
        // Names are bound by what was met first: that is history, too.
        if whole.0.registry.group_bindings == steps.0.registry.group_bindings
            && whole.0.registry.owner_bindings == steps.0.registry.owner_bindings
        {
            prop_assert_eq!(sight(&whole.0), sight(&steps.0));
        }
    }

    /// One tombstone takes away one thing, and what follows from it.
    #[test]
    fn a_delta_removes_only_what_it_buries(
        platform in furnished(),
        base in settled(),
        history in events(Addresses::Apart, 12),
    ) {
        let (mut platform, mut tenant) = begun(platform, &base);
        for event in &history {
            let Some(part) = tenant.happen(event) else { continue };
            tell(&mut platform, part);
            let planned = run(&mut platform, Reach::Delta, Withhold::Nothing);
            let buried = match event {
                Event::Delete(name, _) => Some(id(name)),
                Event::Account(name, facts) if facts.enabled == Some(false) => Some(id(name)),
                _ => None,
            };
            for change in planned.users.iter().filter(|change| change.is_removal()) {
                prop_assert_eq!(Some(change.key), buried);
            }
            for change in planned.groups.iter().filter(|change| change.is_removal()) {
                prop_assert_eq!(Some(change.key), buried);
            }
            let leaves = match event {
                Event::Edge(_, _, joins) => !joins,
                Event::Delete(name, _) => super::tenants::kind(name) == MemberKind::Group,
                _ => false,
            };
            prop_assert!(leaves || planned.memberships.iter().all(|change| change.made));
        }
    }

    /// Reads that failed or told half of it remove nobody from anything.
    #[test]
    fn a_failed_or_partial_read_removes_nothing(
        platform in furnished(),
        base in settled(),
        history in events(Addresses::Apart, 12),
        reach in prop::sample::select(vec![Reach::Full, Reach::Delta]),
    ) {
        let (mut platform, mut tenant) = begun(platform, &base);
        for event in &history {
            tenant.happen(event);
        }
        tell(&mut platform, tenant.glimpse());
        let before = platform.clone();
        run(&mut platform, reach, Withhold::Nothing);
        assert_nothing_taken(&before, &platform, true);
        prop_assert!(platform.identities.values().all(|row| row.state() != State::Removed));
    }

    /// A read of which only a part arrived has nothing to remove with, whatever it shows and
    /// whatever it leaves out.
    #[test]
    fn a_partial_read_removes_nothing_whatever_it_contains(
        platform in furnished(),
        base in settled(),
        history in events(Addresses::Apart, 12),
        shown in prop::collection::vec(prop::bool::ANY, 1..40),
        reach in prop::sample::select(vec![Reach::Full, Reach::Delta]),
    ) {
        let (mut platform, mut tenant) = begun(platform, &base);
        for event in &history {
            tenant.happen(event);
        }
        tell(&mut platform, tenant.fragment(&shown));
        let before = platform.clone();
        run(&mut platform, reach, Withhold::Nothing);
        assert_nothing_taken(&before, &platform, true);
        prop_assert!(platform.identities.values().all(|row| row.state() != State::Removed));
    }

    /// Whatever part of a plan people let through, purges included, the rest of the platform
    /// stays whole: keys, addresses, the audit's one row for each change (the model insists).
    /// And what is refused, of what would give access, takes none away.
    #[test]
    fn any_part_of_a_plan_can_be_carried_out(
        platform in furnished(),
        base in settled(),
        gifts in any::<bool>(),
        history in prop::collection::vec(events(Addresses::Contested, 8), 1..4),
        chosen in prop::collection::vec(any::<bool>(), 32),
    ) {
        let (mut platform, mut tenant) = begun(platform, &base);
        for step in &history {
            in_one_go(&mut platform, &mut tenant, step);
            let removed = platform.identities.iter().filter(|(_, row)| row.state() == State::Removed);
            platform.purge_users = removed.map(|(id, _)| (*id, Purge::Free)).collect();
            let removed =
                platform.groups.iter().filter(|(_, row)| row.state == Some(State::Removed));
            platform.purge_groups = removed.map(|(id, _)| (*id, Purge::Free)).collect();
            let world = platform.world(Reach::Full);
            platform.policy.tell_gifts = gifts;
            let whole = plan(&world, &platform.policy, Consent::REMOVALS);
            let items = whole.taken.iter().cloned().zip(chosen.iter().cycle());
            let (allowed, held): (Vec<_>, Vec<_>) = items.partition(|(_, may)| **may);
            let mut verdict = Verdict {
                allowed: allowed.into_iter().map(|(item, _)| item).collect(),
                held: held.into_iter().map(|(item, _)| (item, NewItem::default())).collect(),
                ..Verdict::default()
            };
            let (part, given) = loop {
                let refused = verdict.refused();
                let consent = Consent::only(&verdict.allowed);
                let part = plan(&world, &platform.policy, consent.refusing(&refused));
                let given = plan(&world, &platform.policy, consent);
                if !verdict.hold_unreplaced((&given, &part), &Held::new()) {
                    break (part, given);
                }
            };
            let Verdict { allowed, held, .. } = &verdict;
            let may = |item: &Item| if item.is_gift() { !held.contains_key(item) } else { allowed.contains(item) };
            prop_assert!(part.taken.iter().all(may));
            for change in &part.access {
                let told = given.access.iter().find(|other| other.user == change.user);
                for product in change.lost.keys() {
                    let meant = told.is_some_and(|told| told.lost.contains_key(product));
                    prop_assert!(meant, "{:?} loses {}", change.user, product);
                }
            }
            let before = platform.access();
            platform.apply(&part);
            assert_tells_access(&part, &before, &platform.access());
        }
    }

    /// A held plan still gives all that the whole plan gives, but by no group that ends; and time releases nothing:
    /// once let through, everything is as if it had never been held.
    #[test]
    fn holding_delays_and_changes_nothing_else(
        platform in furnished(),
        base in settled(),
        history in events(Addresses::Apart, 12),
        withhold in prop::sample::select(vec![Withhold::Removals, Withhold::AllButUsers]),
    ) {
        let (mut platform, mut tenant) = begun(platform, &base);
        // What a name is bound to while something is held is bound for good.
        platform.registry.wanted = None;
        in_one_go(&mut platform, &mut tenant, &history);
        let mut held = platform.clone();
        let whole = run(&mut platform, Reach::Full, Withhold::Nothing);
        let kept = run(&mut held, Reach::Full, withhold);
        for change in whole.memberships.iter().filter(|change| change.made) {
            let gives = kept.memberships.iter().any(|other| {
                (other.made, other.group, other.user) == (true, change.group, change.user)
            });
            let ends = kept.withheld.contains(&Item::Group(change.group));
            prop_assert!(gives != ends, "{:?} was held, or given by what ends", change);
        }
        run(&mut held, Reach::Delta, withhold);
        run(&mut held, Reach::Delta, Withhold::Nothing);
        assert_rests(&held, Withhold::Nothing);
        prop_assert_eq!(sight(&held), sight(&platform));
    }

    /// Same input, same plan; and the order in which rows were loaded is no input.
    #[test]
    fn a_plan_is_a_function_of_its_world(
        mut platform in furnished(),
        history in events(Addresses::Contested, 16),
    ) {
        let mut tenant = Tenant::default();
        in_one_go(&mut platform, &mut tenant, &history);
        let world = platform.world(Reach::Full);
        let first = planned(&world, &platform.policy, Withhold::Nothing);
        prop_assert_eq!(&first, &planned(&world, &platform.policy, Withhold::Nothing));
        let mut turned = world;
        turned.hand_made.reverse();
        turned.parents.values_mut().for_each(|groups| groups.reverse());
        prop_assert_eq!(&first, &planned(&turned, &platform.policy, Withhold::Nothing));
    }
}
