//! Approvals that what happened since has overtaken: nobody said yes to a product that
//! nobody reaches, or that has no admin, unless the plan said that this would come of it.

use crate::prelude::*;
use nexus_dirsync::reconcile::guard::Limits;
use nexus_dirsync::store::Decision;

const CROWD: Groups<'_> = &[("readers", &["ada", "bob", "cem", "dora"])];
const EMPTIED: &str = "product app would lose everybody who reaches it";
const UNLED: &str = "product app would lose its last admin";

/// Four people reach `app` by one group; three leave it, and are held.
async fn held(on: On) -> World {
    let mut world = World::new(on, company(CROWD)).await;
    world.run(Full).await;
    world.link("app", id("readers"));
    world.settings.limits = Limits { keep_reachable: true, ..at_most(2) };
    world.edit(|tenant| {
        for name in ["ada", "bob", "cem"] {
            tenant.remove_member(id("readers"), id(name));
        }
    });
    assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
    assert!(!reasons(&world).await.contains(EMPTIED), "{on:?}: one stays");
    world
}

/// Why the only plan that waits is held.
async fn reasons(world: &World) -> String {
    let mut plans = world.pending().await;
    assert_eq!(plans.len(), 1);
    plans.remove(0).header.reasons.join("; ")
}

fn disable(world: &World, name: &str) {
    world.edit(|tenant| tenant.update_user(id(name), |user| user.account_enabled = Some(false)));
}

#[tokio::test]
async fn whoever_stayed_is_gone_by_now() {
    for (on, between) in BOTH.into_iter().flat_map(|on| [(on, false), (on, true)]) {
        let world = held(on).await;
        disable(&world, "dora");
        if between {
            world.run(Delta).await;
        }
        world.approve_all().await;
        let done = world.run(Delta).await;
        assert_eq!(done.outcome, Outcome::Held, "{on:?} {between}");
        assert_eq!(world.who("app"), ["ada", "bob", "cem"], "{on:?} {between}");
        let why = reasons(&world).await;
        assert!(why.contains(EMPTIED), "{on:?} {between}: {why}");
        // Now the plan says it: the second yes is meant.
        world.approve_all().await;
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?} {between}");
        assert_eq!(world.who("app"), [""; 0], "{on:?} {between}");
        world.assert_rests().await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn what_is_held_itself_overtakes_nothing() {
    for on in BOTH {
        let world = held(on).await;
        world.approve_all().await;
        // Without her nobody would be left: that is held, and what was approved is not.
        let done = world.follow(|tenant| tenant.remove_member(id("readers"), id("dora"))).await;
        assert_eq!(done.outcome, Outcome::Held, "{on:?}");
        assert_eq!(world.who("app"), ["dora"], "{on:?}");
        assert!(reasons(&world).await.contains(EMPTIED), "{on:?}");
    }
}

#[tokio::test]
async fn where_it_may_be_empty_nobody_is_asked_twice() {
    for on in BOTH {
        let mut world = held(on).await;
        world.settings.limits.keep_reachable = false;
        disable(&world, "dora");
        world.approve_all().await;
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}");
        assert_eq!(world.who("app"), [""; 0], "{on:?}");
    }
}

#[tokio::test]
async fn a_registry_that_gives_up_the_only_way_in_says_so() {
    for on in BOTH {
        let mut world = World::new(on, company(CROWD)).await;
        world.settings.limits = Limits { rehearse: true, keep_reachable: true, ..unlimited() };
        world.registry(vec![entry("app", &["readers"], None)]);
        world.run_agreed(Full).await;
        world.run_agreed(Full).await;
        assert_eq!(world.who("app").len(), 4, "{on:?}");
        world.registry(vec![entry("app", &[], None)]);
        assert_eq!(world.run(Full).await.outcome, Outcome::Held, "{on:?}");
        let why = reasons(&world).await;
        assert!(why.contains(EMPTIED), "{on:?}: {why}");
        world.approve_all().await;
        let done = world.run(Delta).await;
        assert_eq!(done.outcome, Outcome::Applied, "{on:?}: one yes is enough");
        assert_eq!(world.who("app"), [""; 0], "{on:?}");
    }
}

#[tokio::test]
async fn the_other_admin_is_gone_by_now() {
    for on in BOTH {
        let mut world = World::new(on, company(CROWD)).await;
        world.settings.limits = Limits { rehearse: true, keep_reachable: true, ..unlimited() };
        world.registry(vec![entry("app", &["readers"], Some("ada"))]);
        world.run_agreed(Full).await;
        world.run_agreed(Full).await;
        world.member("app", "bob", "admin");
        world.registry(vec![entry("app", &["readers"], None)]);
        assert_eq!(world.run(Full).await.outcome, Outcome::Held, "{on:?}");
        let why = reasons(&world).await;
        assert!(!why.contains(UNLED), "{on:?}: another one stays: {why}");
        disable(&world, "bob");
        world.approve_all().await;
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
        let why = reasons(&world).await;
        assert!(why.contains(UNLED), "{on:?}: {why}");
        world.approve_all().await;
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}");
        assert_eq!(world.database.count("dirsync_registry_members"), 0, "{on:?}");
    }
}

#[tokio::test]
async fn a_part_that_was_left_out_does_not_speak_for_the_rest() {
    for on in BOTH {
        let mut world = World::new(on, company(CROWD)).await;
        world.run(Full).await;
        world.link("app", id("readers"));
        world.settings.limits = Limits { keep_reachable: true, ..at_most(2) };
        world.edit(|tenant| {
            for name in ["ada", "bob", "cem", "dora"] {
                tenant.remove_member(id("readers"), id(name));
            }
        });
        world.run(Delta).await;
        let plan = world.pending().await.remove(0);
        assert!(plan.header.reasons.join("; ").contains(EMPTIED), "{on:?}");
        world.answer(&plan.hash, Decision::Approve([1, 2, 3].into())).await;
        world.run(Delta).await;
        assert_eq!(world.who("app").len(), 1, "{on:?}: three were approved, one was not");
    }
}
