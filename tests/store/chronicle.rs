//! Audit rows that cannot have been written as they stand.

use crate::prelude::*;

const TEAM: Groups<'_> = &[("readers", &["ada", "bob"])];

/// A platform after three runs, of which two changed something.
async fn with_history(on: On) -> World {
    let world = World::new(on, company(TEAM)).await;
    world.run(Full).await;
    world.follow(|tenant| hire(tenant, "cem", "readers")).await;
    world.run(Delta).await;
    world
}

/// What a verification finds wrong, by entity.
async fn found(world: &World) -> Vec<String> {
    let verification = world.store.read(|tx| tx.verify_audit()).await.unwrap();
    let told = |found: &nexus_dirsync::store::Divergence| {
        assert_eq!(found.entity, "audit_logs", "{found:?}");
        found.what.clone()
    };
    verification.divergences.iter().map(told).collect()
}

#[tokio::test]
async fn what_the_daemon_wrote_is_in_order() {
    for on in BOTH {
        let world = with_history(on).await;
        world.assert_audit_whole().await;
    }
}

#[tokio::test]
async fn a_row_that_was_dated_anew_is_found() {
    for (date, expected) in [("2001-02-03T04:05:06.000000Z", 2), ("2101-02-03T04:05:06.000000Z", 1)]
    {
        for on in BOTH {
            let world = with_history(on).await;
            let last = world.audit_mark();
            world.sql(&format!("UPDATE audit_logs SET created_at = '{date}' WHERE id = {last}"));
            let told = found(&world).await;
            assert_eq!(told.len(), expected, "{on:?}: {told:?}");
            assert!(told.iter().any(|what| what.contains("began at")), "{on:?}: {told:?}");
        }
    }
}

#[tokio::test]
async fn a_run_that_was_taken_out_of_the_history_is_found_once() {
    for on in BOTH {
        let world = with_history(on).await;
        let run = "(SELECT id FROM dirsync_runs WHERE mode = 'delta' AND outcome = 'applied')";
        world.sql(&format!("DELETE FROM dirsync_runs WHERE id = {run}"));
        let told = found(&world).await;
        assert_eq!(told.len(), 1, "{on:?}: {told:?}");
        assert!(told[0].contains("is not in dirsync_runs"), "{on:?}: {told:?}");
    }
}

#[tokio::test]
async fn a_row_under_the_daemons_name_without_a_run_is_found() {
    for on in BOTH {
        let world = with_history(on).await;
        world.sql(
            "INSERT INTO audit_logs (actor_type, entity_type, entity_id, action, metadata)
               VALUES ('system', 'product', 77, 'delete', '{\"writer\":\"nexus-dirsync\"}')",
        );
        assert_eq!(found(&world).await, ["names no run"], "{on:?}");
    }
}

#[tokio::test]
async fn runs_that_were_pruned_are_not_missed() {
    for on in BOTH {
        let mut world = with_history(on).await;
        world.settings.findings_retention = Duration::ZERO;
        world.run(Full).await;
        assert_eq!(world.database.count("dirsync_runs"), 1, "{on:?}: the others were pruned");
        world.assert_audit_whole().await;
    }
}
