//! Where a run starts: one tenant a database, a cursor for one query, and what happens
//! when Graph has forgotten it.

use crate::prelude::*;
use graph_simulator::{Effect, Expiry, Fault, FaultBody};
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

fn status(status: u16, body: FaultBody) -> Effect {
    Effect::Status { status, headers: Vec::new(), body }
}

/// One bad link must not stop every later run. Whatever a full run meets on the stored links
/// that may be due to them, it gives them up and starts from nothing.
#[tokio::test]
async fn a_full_run_gives_up_stored_links_that_cannot_be_followed() {
    let code = |code: &str| FaultBody::Error(code.to_owned());
    let json = |text: &str| FaultBody::Json(serde_json::from_str(text).unwrap());
    let ways = [
        (status(409, code("resyncRequired")), CursorReset::Refused),
        (status(404, FaultBody::Html("<p>?</p>".to_owned())), CursorReset::Unknown),
        (status(400, FaultBody::Empty), CursorReset::Refused),
        (status(409, code("conflict")), CursorReset::Unusable),
        (status(414, FaultBody::Empty), CursorReset::Unusable),
        (status(501, FaultBody::Empty), CursorReset::Unusable),
        (status(200, json("[]")), CursorReset::Unusable),
        (Effect::MissingValue, CursorReset::Unusable),
        (Effect::TruncatedJson, CursorReset::Unusable),
        (Effect::RepeatPage, CursorReset::Unusable),
        (Effect::RedirectLink("http://127.0.0.1:9".to_owned()), CursorReset::Unusable),
    ];
    for on in BOTH {
        let world = team(on).await;
        for (nr, (effect, reason)) in ways.iter().enumerate() {
            let stored = stored_token(&world);
            world.edit(|tenant| hire(tenant, &format!("new{nr}"), "readers"));
            world.simulator.inject(Fault::on(&stored, effect.clone()));
            let report = world.run(Full).await;
            assert_eq!((report.mode, report.reset), (Full, Some(*reason)), "{on:?} {effect:?}");
            world.simulator.clear_faults();
            assert_ne!(stored_token(&world), stored, "{on:?} {effect:?}");
            assert_eq!(world.run(Delta).await.reset, None, "{on:?} {effect:?}");
        }
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

/// The stored link to the users, from the stream's name on.
fn stored_token(world: &World) -> String {
    let links = world.lines("users_link", "dirsync_cursors");
    let (_, token) = links[0].split_once("/users/").unwrap();
    token.to_owned()
}

/// What has nothing to do with the links keeps them for the next run.
#[tokio::test]
async fn stored_links_outlive_what_is_not_their_fault() {
    let code = |code: &str| FaultBody::Error(code.to_owned());
    for on in BOTH {
        let world = team(on).await;
        for (effect, modes) in [
            (status(403, code("Authorization_RequestDenied")), &[Delta, Full][..]),
            (Effect::Unauthorized, &[Delta, Full]),
            (status(409, code("conflict")), &[Delta]),
        ] {
            for mode in modes {
                let before = world.database.dump();
                world.simulator.inject(Fault::on("users/delta", effect.clone()));
                world.try_run(*mode).await.unwrap_err();
                world.simulator.clear_faults();
                assert!(world.database.dump() == before, "{on:?} {mode} {effect:?}");
            }
        }
        assert_eq!(world.run(Delta).await.reset, None, "{on:?}");
    }
}

/// Older versions stored what this one never follows.
#[tokio::test]
async fn a_stored_link_out_of_the_endpoint_becomes_a_full_read() {
    for on in BOTH {
        for mode in [Delta, Full] {
            let world = team(on).await;
            world.sql(
                "UPDATE dirsync_cursors SET users_link = replace(users_link, '/v1.0/', '/beta/')",
            );
            let report = world.run(mode).await;
            assert_eq!((report.mode, report.reset), (Full, Some(CursorReset::Unusable)), "{on:?}");
            assert_eq!(world.run(Delta).await.reset, None, "{on:?}");
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

/// Graph does not tell when something changed: no longer ago than the read before.
#[tokio::test]
async fn the_lag_of_a_change_is_at_most_the_time_since_the_read_before() {
    for on in BOTH {
        let world = team(on).await;
        assert_eq!(world.run(Delta).await.lag_max, None, "{on:?}: nothing changed");
        let before = world.run(Delta).await;
        let report = world.follow(|tenant| hire(tenant, "dora", "readers")).await;
        let lag_max = (report.finished_at - before.started_at).to_std().unwrap();
        assert_eq!(report.lag_max, Some(lag_max), "{on:?}");
        // What full reads find was changed at any time before.
        world.simulator.inject(Fault::on("/delta", Effect::EmptyOk));
        world.follow(|tenant| hire(tenant, "emil", "readers")).await;
        world.simulator.clear_faults();
        let full = world.run(Full).await;
        assert_eq!((full.drift > 0, full.lag_max), (true, None), "{on:?}");
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
