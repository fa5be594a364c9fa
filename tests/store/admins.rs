//! A product loses its last admin when a person goes who is one, and no other is left.

use nexus_dirsync::reconcile::guard::Limits;

use crate::prelude::*;

/// A product of the registry that ada owns.
async fn owned(on: On, rehearse: bool) -> World {
    let mut world = World::new(on, company(&[("readers", &["ada", "bob", "zoe"])])).await;
    world.settings.limits = Limits { rehearse, keep_reachable: true, ..unlimited() };
    world.registry(vec![entry("app", &["readers"], Some("ada"))]);
    for _ in 0..2 {
        world.run_agreed(Full).await;
    }
    world
}

fn disable(world: &World, name: &str) {
    world.edit(|tenant| tenant.update_user(id(name), |user| user.account_enabled = Some(false)));
}

#[tokio::test]
async fn an_owner_who_left_is_no_admin_any_more() {
    for (on, rehearse) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        let at = format!("{on:?}, rehearse: {rehearse}");
        let mut world = owned(on, rehearse).await;
        disable(&world, "ada");
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{at}");
        world.registry(vec![entry("app", &["readers"], Some("zoe"))]);
        let done = world.done(Full).await;
        let said: Vec<String> = done.verdict.trips.iter().map(ToString::to_string).collect();
        assert!(said.iter().all(|trip| !trip.contains("admin")), "{at}: {said:?}");
        assert_eq!(done.report.outcome == Outcome::Held, rehearse, "{at}");
    }
}

#[tokio::test]
async fn somebody_who_goes_twice_is_one_admin_less() {
    for (on, before) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        let at = format!("{on:?}, disabled in a run before: {before}");
        let mut world = owned(on, true).await;
        world.member("app", "bob", "admin");
        world.registry(vec![entry("app", &["readers"], None)]);
        assert_eq!(world.run(Full).await.outcome, Outcome::Held, "{at}");
        disable(&world, "ada");
        if before {
            world.run(Delta).await;
        }
        world.approve_all().await;
        let done = world.done(Delta).await;
        assert_eq!(done.report.outcome, Outcome::Applied, "{at}: {:?}", done.verdict.trips);
    }
}
