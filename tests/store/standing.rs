//! What was refused, or waits for an answer, is not done: it takes nothing from anybody,
//! and nothing else is judged as if it had.

use nexus_dirsync::reconcile::guard::Limits;
use nexus_dirsync::store::Decision;

use crate::prelude::*;

const PEOPLE: &[&str] = &["ada", "bob", "cem", "dora"];

/// Four people reach one product by either of two groups; three have left the first, which
/// is held.
async fn twofold(on: On) -> World {
    let mut world = World::new(on, company(&[("first", PEOPLE), ("second", PEOPLE)])).await;
    world.run(Full).await;
    world.link("app", id("first"));
    world.link("app", id("second"));
    world.settings.limits = Limits { keep_reachable: true, product_percent: 30.0, ..at_most(2) };
    leave(&world, "first", &PEOPLE[..3]);
    assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{on:?}");
    world
}

fn leave(world: &World, group: &str, people: &[&str]) {
    world.edit(|tenant| {
        for name in people {
            assert!(tenant.remove_member(id(group), id(name)));
        }
    });
}

async fn refuse(world: &World, hash: &str) {
    world.answer(hash, Decision::Reject("a mistake".into())).await;
    world.run(Delta).await;
}

#[tokio::test]
async fn who_stays_by_it_loses_nothing_by_leaving_elsewhere() {
    for (on, refused) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        let at = format!("{on:?}, refused: {refused}");
        let world = twofold(on).await;
        let plan = world.pending().await.remove(0);
        if refused {
            refuse(&world, &plan.hash).await;
        }
        leave(&world, "second", &["ada", "bob"]);
        let done = world.done(Delta).await;
        assert_eq!(done.verdict.trips, [], "{at}");
        assert_eq!(world.who("app"), PEOPLE, "{at}");
        if !refused {
            // The plan said that nobody would lose anything by it; now somebody would.
            world.approve_all().await;
            assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{at}");
            assert_eq!(world.who("app"), PEOPLE, "{at}");
            let cost = world.pending().await.remove(0).header.cost;
            assert_eq!(cost, [("app".to_owned(), 2)].into(), "{at}");
            world.run_agreed(Delta).await;
            world.assert_equals_tenant().await;
        }
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn an_approval_is_as_good_as_when_it_was_given() {
    for (on, refused) in BOTH.into_iter().flat_map(|on| [(on, true), (on, false)]) {
        let at = format!("{on:?}, refused: {refused}");
        let world = twofold(on).await;
        let first = world.pending().await.remove(0);
        leave(&world, "second", &PEOPLE[..3]);
        assert_eq!(world.run(Delta).await.outcome, Outcome::Held, "{at}");
        let second = world.pending().await.into_iter().find(|plan| plan.hash != first.hash);
        if refused {
            refuse(&world, &second.expect("a plan of its own").hash).await;
        }
        world.answer(&first.hash, Decision::Approve([1, 2, 3].into())).await;
        let done = world.done(Delta).await;
        assert_eq!(done.report.changes.values().sum::<u64>(), 3, "{at}");
        assert_eq!(world.who("app"), PEOPLE, "{at}: by the second group");
        world.assert_audit_whole().await;
    }
}
