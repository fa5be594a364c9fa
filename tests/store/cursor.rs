//! Where a run starts: one tenant a database, a cursor for one query, and what happens
//! when Graph has forgotten it.

use crate::prelude::*;
use graph_simulator::{Effect, Expiry, Fault};
use nexus_dirsync::reconcile::report::CursorReset;
use nexus_dirsync::store;
use nexus_dirsync::sync::Error;

const TEAM: Groups<'_> = &[("readers", &["ada", "bob", "cem"]), ("writers", &["ada"])];

async fn team(on: On) -> World {
    let world = World::new(on, company(TEAM)).await;
    world.run(Full).await;
    world
}

#[tokio::test]
async fn another_tenant_is_refused_and_nothing_is_written() {
    for on in BOTH {
        let mut world = team(on).await;
        let before = world.database.dump();
        world.settings.tenant_id = "99999999-2222-4333-8444-555555555555".to_owned();
        for mode in [Delta, Full] {
            let refused = world.try_run(mode).await.unwrap_err();
            assert!(
                matches!(refused, Error::Store(store::Error::Tenant { .. })),
                "{on:?} {refused}"
            );
        }
        assert!(world.database.dump() == before, "{on:?}");
    }
}

#[tokio::test]
async fn another_endpoint_or_scope_makes_the_next_run_a_full_one() {
    for on in BOTH {
        let mut world = team(on).await;
        assert_eq!(world.run(Delta).await.mode, Delta);
        world.settings.all_users = false;
        let report = world.run(Delta).await;
        assert_eq!((report.mode, report.reset), (Full, Some(CursorReset::ScopeChanged)), "{on:?}");
        assert_eq!(world.run(Delta).await.mode, Delta);
        for (change, reason) in [
            ("endpoint = 'https://elsewhere.example'", CursorReset::EndpointChanged),
            ("fingerprint = 'another query'", CursorReset::QueryChanged),
        ] {
            world.sql(&format!("UPDATE dirsync_cursors SET {change}"));
            let report = world.run(Delta).await;
            assert_eq!((report.mode, report.reset), (Full, Some(reason)), "{on:?}");
        }
        assert_eq!(world.run(Full).await.reset, None, "{on:?}: what was asked for is no reset");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

#[tokio::test]
async fn a_lost_token_becomes_a_full_read_that_finds_who_left_meanwhile() {
    let ways = [
        (Expiry::GoneWithLocation, CursorReset::Expired),
        (Expiry::GoneSyncStateNotFound, CursorReset::Expired),
        (Expiry::BadRequestSyncStateNotFound, CursorReset::Refused),
        (Expiry::NotFoundResyncRequired, CursorReset::Unknown),
        (Expiry::BadRequestResyncRequired, CursorReset::Refused),
        (Expiry::OlderThan30Days, CursorReset::Refused),
    ];
    for on in BOTH {
        for (how, reason) in ways {
            let world = team(on).await;
            world.link("app", id("readers"));
            world.edit(|tenant| {
                tenant.soft_delete_user(id("ada"));
                tenant.purge_user(id("ada"));
                tenant.soft_delete_user(id("bob"));
                tenant.soft_delete_group(id("writers"));
            });
            world.simulator.expire_delta_tokens(how);
            let report = world.run(Delta).await;
            assert_eq!((report.mode, report.outcome), (Full, Outcome::Applied), "{on:?} {how:?}");
            assert_eq!(report.reset, Some(reason), "{on:?} {how:?}");
            assert_eq!(world.who("app"), ["cem"], "{on:?} {how:?}");
            world.assert_rests().await;
            world.assert_equals_tenant().await;
        }
    }
}

#[tokio::test]
async fn what_delta_rounds_swallowed_is_drift_that_a_full_run_mends() {
    for on in BOTH {
        let world = team(on).await;
        world.link("app", id("readers"));
        let swallow = world.simulator.inject(Fault::on("/delta", Effect::EmptyOk));
        let blind = world
            .follow(|tenant| {
                hire(tenant, "dora", "readers");
                tenant.remove_member(id("readers"), id("ada"));
            })
            .await;
        assert_eq!(blind.outcome, Outcome::Unchanged, "{on:?}");
        world.simulator.clear_fault(swallow);
        let full = world.run(Full).await;
        assert_eq!((full.outcome, full.drift), (Outcome::Applied, 3), "{on:?}");
        assert_eq!(world.who("app"), ["bob", "cem", "dora"], "{on:?}");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

#[tokio::test]
async fn resting_writes_a_run_and_a_cursor_and_nothing_else() {
    for on in BOTH {
        let world = team(on).await;
        world.run(Full).await;
        for mode in [Delta, Full] {
            let mut before = world.database.dump();
            assert_eq!(world.run(mode).await.outcome, Outcome::Unchanged);
            let mut after = world.database.dump();
            for own in ["dirsync_runs", "dirsync_cursors"] {
                assert!(before.remove(own) != after.remove(own), "{on:?} {mode}: {own} moves");
            }
            assert!(before == after, "{on:?} {mode}");
        }
    }
}

#[tokio::test]
async fn a_dry_run_answers_and_writes_nothing() {
    for on in BOTH {
        let world = team(on).await;
        world.edit(|tenant| hire(tenant, "dora", "readers"));
        let before = world.database.dump();
        let sync = world.sync();
        let run = nexus_dirsync::sync::Sync::begin(
            Delta,
            nexus_dirsync::reconcile::report::Trigger::Command,
        );
        let observation = sync.observe(run).await.unwrap();
        let done = sync.commit(run, observation, true).await.unwrap();
        assert_eq!(done.report.changes_total(), 2, "{on:?}");
        assert!(world.database.dump() == before, "{on:?}");
        assert_eq!(world.run(Delta).await.changes_total(), 2, "{on:?}: still to be done");
    }
}
