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
        let told = found(&world).await;
        let expected = ["says delete, but before and after tell no change at all", "names no run"];
        assert_eq!(told, expected, "{on:?}");
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

/// What somebody could do to the audit without touching a table besides.
const TAMPERED: &[(&str, &str)] = &[
    ("UPDATE audit_logs SET action = 'delete'", "says delete, but before and after tell"),
    (
        "DELETE FROM audit_logs WHERE action = 'link' AND id IN (SELECT l.id FROM audit_logs l
           JOIN audit_logs u ON u.action = 'unlink' AND CAST(u.before AS text) = CAST(l.after AS text))",
        "unlinks what the audit has never linked",
    ),
    (
        "DELETE FROM audit_logs WHERE action = 'create' AND entity_type = 'user' AND entity_id IN
           (SELECT entity_id FROM audit_logs WHERE entity_type = 'user' AND action = 'status_change')",
        "ends or changes a row that no audit row above it tells of",
    ),
    (
        "UPDATE audit_logs SET after = NULL WHERE action = 'create' AND entity_type = 'user' AND entity_id IN
           (SELECT entity_id FROM audit_logs WHERE entity_type = 'user' AND action = 'status_change')",
        "says create, but before and after tell no change at all",
    ),
    (
        "UPDATE audit_logs SET action = 'update' WHERE action = 'status_change'",
        "says update, but before and after tell status_change",
    ),
    (
        "UPDATE audit_logs SET entity_id = entity_id + 1 WHERE action = 'status_change'",
        "is about user ",
    ),
    (
        "DELETE FROM audit_logs WHERE action IN ('link', 'unlink') AND entity_id IN
           (SELECT entity_id FROM audit_logs WHERE action = 'unlink')",
        "the audit has 0",
    ),
    (
        "INSERT INTO audit_logs (actor_type, entity_type, entity_id, action, after, metadata, created_at)
           SELECT actor_type, entity_type, entity_id, action, after, metadata, created_at
             FROM audit_logs WHERE id = (SELECT min(id) FROM audit_logs WHERE action = 'link')",
        "links what the audit has linked already",
    ),
    (
        "INSERT INTO audit_logs (id, actor_type, entity_type, entity_id, action, after, metadata, created_at)
           SELECT -7, actor_type, entity_type, entity_id, action, after, metadata, created_at
             FROM audit_logs WHERE id = (SELECT min(id) FROM audit_logs WHERE action = 'link')",
        "links what the audit has linked already",
    ),
];

#[tokio::test]
async fn rows_that_were_deleted_or_rewritten_are_found() {
    for on in BOTH {
        for (tamper, expected) in TAMPERED {
            let world = with_history(on).await;
            world.edit(|tenant| {
                tenant.update_user(id("ada"), |user| user.account_enabled = Some(false));
                assert!(tenant.remove_member(id("readers"), id("bob")));
            });
            world.run(Delta).await;
            world.assert_audit_whole().await;
            world.sql(tamper);
            let verification = world.store.read(|tx| tx.verify_audit()).await.unwrap();
            let told = verification.divergences;
            assert!(told.iter().any(|found| found.what.contains(expected)), "{on:?}: {told:?}");
        }
    }
}

/// A row that says that all was given up, written by whoever may only add to the audit.
#[tokio::test]
async fn what_was_not_given_up_is_not_forgotten() {
    for on in BOTH {
        let world = with_history(on).await;
        world.sql("UPDATE users SET role = 'admin' WHERE id = (SELECT min(user_id) FROM dirsync_user_identities)");
        let told = || async {
            let verification = world.store.read(|tx| tx.verify_audit()).await.unwrap();
            verification.divergences.into_iter().map(|found| found.what).collect::<Vec<_>>()
        };
        let before = told().await;
        assert!(!before.is_empty(), "{on:?}");
        world.sql(
            "INSERT INTO audit_logs (actor_type, entity_type, entity_id, action, metadata)
               VALUES ('system', 'user', 0, 'delete', '{\"writer\":\"nexus-dirsync\",\"forgot\":{}}')",
        );
        let after = told().await;
        assert!(before.iter().all(|what| after.contains(what)), "{on:?}: {after:?}");
        assert!(after.iter().any(|what| what.contains("gives up")), "{on:?}: {after:?}");
    }
}

#[tokio::test]
async fn a_date_beyond_all_time_is_found() {
    let world = with_history(On::Postgres).await;
    world.sql(
        "INSERT INTO audit_logs (actor_type, entity_type, entity_id, action, created_at, metadata)
           VALUES ('system', 'user', 1, 'update', '262142-12-31 12:00', '{\"writer\":\"nexus-dirsync\"}')",
    );
    let told = found(&world).await;
    assert!(told.iter().any(|what| what.contains("names no run")), "{told:?}");
    world.sql(
        "INSERT INTO audit_logs (actor_type, entity_type, entity_id, action, created_at)
           VALUES ('system', 'user', 1, 'update', 'infinity')",
    );
    let error = world.store.read(|tx| tx.verify_audit()).await.unwrap_err();
    assert!(error.is_unreadable(), "{error:?}");
}
