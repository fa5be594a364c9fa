//! Products that are given to many at once: told, or held where that is wished. What is
//! held is never released by time, and holding it takes nothing from anybody.

use crate::prelude::*;
use nexus_dirsync::reconcile::guard::Limits;
use nexus_dirsync::store::Decision;

const STAFF: Groups<'_> = &[
    ("readers", &["ada", "bob"]),
    ("crowd", &["cem", "dora", "eve", "fay"]),
    ("writers", &["ada", "bob"]),
];
const SURGE: &str = "product app would be given to 4 people, where 2 had it; \
    guard.gain_percent is 100 and guard.hold_gains is set";

fn holding() -> Limits {
    Limits { hold_gains: true, floor: 2, ..unlimited() }
}

/// Both groups open the wiki, and `readers` opens app as well.
async fn two_ways(on: On) -> World {
    let mut world = World::new(on, company(STAFF)).await;
    world.run(Full).await;
    world.link("app", id("readers"));
    world.link("wiki", id("crowd"));
    world.link("wiki", id("readers"));
    world.settings.limits = holding();
    world
}

/// Two people reach `app`; four more come by a group that is nested into theirs.
async fn nested(on: On) -> World {
    let mut world = World::new(on, company(STAFF)).await;
    world.run(Full).await;
    world.link("app", id("readers"));
    world.settings.limits = holding();
    let done = world.follow(|tenant| tenant.add_member(id("readers"), id("crowd"))).await;
    assert_eq!(done.outcome, Outcome::Held, "{on:?}");
    assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
    world
}

#[tokio::test]
async fn a_surge_is_held_until_a_person_answers() {
    for on in BOTH {
        let mut world = nested(on).await;
        let plans = world.pending().await;
        let [plan] = &plans[..] else { panic!("{on:?}: {plans:?}") };
        assert_eq!(plan.header.reasons, [SURGE], "{on:?}");
        assert_eq!(plan.header.gain, [("app".to_owned(), 4)].into(), "{on:?}");
        assert_eq!(plan.header.counts.access, 0, "{on:?}: nothing is taken away");

        // Time releases nothing, whatever is read, and not even when it is switched off.
        world.settings.limits.hold_gains = false;
        for mode in [Delta, Full] {
            let done = world.run(mode).await;
            assert_eq!((done.outcome, done.pending.plans), (Outcome::Held, 1), "{on:?} {mode:?}");
        }
        // One more is no surprise.
        world.follow(|tenant| hire(tenant, "gil", "readers")).await;
        assert_eq!(world.who("app"), ["ada", "bob", "gil"], "{on:?}");

        let mark = world.audit_mark();
        assert_eq!(world.approve_all().await, 1);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}");
        assert_eq!(world.who("app").len(), 7, "{on:?}");
        let told = "cast(metadata as text) like '%\"approval\"%' and action = 'link'";
        assert_eq!(world.database.count(&format!("audit_logs where id > {mark} and {told}")), 4);
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn it_is_over_when_the_directory_comes_back() {
    for on in BOTH {
        let world = nested(on).await;
        let done = world.follow(|tenant| tenant.remove_member(id("readers"), id("crowd"))).await;
        assert_eq!((done.outcome, done.pending.plans), (Outcome::Unchanged, 0), "{on:?}");
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn a_part_may_be_approved_and_the_rest_rejected() {
    for on in BOTH {
        let world = nested(on).await;
        let hash = world.pending().await.remove(0).hash;
        world.answer(&hash, Decision::Approve([1].into())).await;
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.who("app").len(), 3, "{on:?}");
        let rest = world.pending().await.remove(0).hash;
        world.answer(&rest, Decision::Reject("a mistake".to_owned())).await;
        world.run(Full).await;
        assert_eq!(world.who("app").len(), 3, "{on:?}");
        assert!(world.pending().await.is_empty(), "{on:?}");
        assert!(world.findings().iter().any(|kind| kind.contains("removals_rejected")), "{on:?}");
    }
}

#[tokio::test]
async fn holding_it_takes_nothing_from_anybody() {
    for on in BOTH {
        let world = two_ways(on).await;
        // They move from one group of the wiki to another, which opens app to them as well.
        let done = world
            .follow(|tenant| {
                for name in ["cem", "dora", "eve", "fay"] {
                    tenant.remove_member(id("crowd"), id(name));
                    tenant.add_member(id("readers"), id(name));
                }
            })
            .await;
        assert_eq!(done.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}");
        assert_eq!(world.who("wiki").len(), 6, "{on:?}: the old way stays open");
        world.approve_all().await;
        world.run(Delta).await;
        assert_eq!((world.who("app").len(), world.who("wiki").len()), (6, 6), "{on:?}");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
        world.assert_audit_whole().await;
    }
}

/// In a delta run as in a full one, though nobody in the group has moved.
#[tokio::test]
async fn a_link_of_the_registry_is_a_surge_as_well() {
    for (on, mode) in BOTH.into_iter().flat_map(|on| [(on, Full), (on, Delta)]) {
        let mut world = World::new(on, company(STAFF)).await;
        world.settings.limits = holding();
        world.registry(vec![entry("app", &["readers"], None)]);
        world.run_agreed(Full).await;
        world.run_agreed(Full).await;
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?}: a first run is no surge");
        world.registry(vec![entry("app", &["readers", "crowd"], None)]);
        assert_eq!(world.run(mode).await.outcome, Outcome::Held, "{on:?} {mode:?}");
        assert_eq!(world.who("app"), ["ada", "bob"], "{on:?} {mode:?}");
        world.approve_all().await;
        let report = world.run(Delta).await;
        assert_eq!(
            (report.outcome, report.access.gained),
            (Outcome::Applied, 4),
            "{on:?} {mode:?}"
        );
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

/// Four people are to come into `readers`, which opens app and wiki; they have wiki already.
async fn refused(on: On) -> World {
    let world = two_ways(on).await;
    let done = world
        .follow(|tenant| {
            for name in ["cem", "dora", "eve", "fay"] {
                tenant.add_member(id("readers"), id(name));
            }
        })
        .await;
    assert_eq!(done.outcome, Outcome::Held, "{on:?}");
    world
}

#[tokio::test]
async fn what_was_rejected_replaces_nothing_and_traps_nobody() {
    for on in BOTH {
        let world = refused(on).await;
        let hash = world.pending().await.remove(0).hash;
        world.answer(&hash, Decision::Reject("a mistake".to_owned())).await;
        world.follow(|tenant| tenant.remove_member(id("crowd"), id("cem"))).await;
        assert!(world.pending().await.is_empty(), "{on:?}: one leaver is no surprise");
        assert_eq!(world.who("wiki"), ["ada", "bob", "dora", "eve", "fay"], "{on:?}");
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn the_old_way_ends_by_one_yes_while_the_new_one_waits() {
    for on in BOTH {
        let world = refused(on).await;
        world.follow(|tenant| tenant.remove_member(id("crowd"), id("cem"))).await;
        assert_eq!(world.who("wiki").len(), 6, "{on:?}: the new way is not open yet");
        let plans = world.pending().await;
        let [_, plan] = &plans[..] else { panic!("{on:?}: {plans:?}") };
        assert_eq!(plan.header.cost, [("wiki".to_owned(), 1)].into(), "{on:?}");
        world.answer(&plan.hash, Decision::Approve([1].into())).await;
        world.run(Delta).await;
        assert_eq!(world.who("wiki"), ["ada", "bob", "dora", "eve", "fay"], "{on:?}");
        assert_eq!(world.pending().await.len(), 1, "{on:?}");
    }
}

#[tokio::test]
async fn an_end_that_is_held_as_well_makes_no_difference() {
    for on in BOTH {
        let mut world = refused(on).await;
        world.settings.limits.users.run.max = 0;
        let enabled =
            |now| move |user: &mut graph_simulator::User| user.account_enabled = Some(now);
        world.follow(|tenant| tenant.update_user(id("cem"), enabled(false))).await;
        world.follow(|tenant| tenant.remove_member(id("crowd"), id("cem"))).await;
        world.follow(|tenant| tenant.update_user(id("cem"), enabled(true))).await;
        assert!(world.who("wiki").contains(&"cem".to_owned()), "{on:?}: readers gives it");
    }
}

#[tokio::test]
async fn a_link_that_people_make_gives_access_at_once() {
    for on in BOTH {
        let mut world = World::new(on, company(STAFF)).await;
        world.settings.all_groups = false;
        world.settings.all_users = false;
        world.link("app", id("readers"));
        world.run(Full).await;
        world.run(Full).await;
        world.settings.limits = holding();
        world.run(Delta).await;
        world.link("app", id("crowd"));
        world.run(Delta).await;
        assert_eq!(world.who("app").len(), 6, "{on:?}");
    }
}
