//! One transaction: all of a run or nothing, whoever else writes at the same time.

use crate::prelude::*;
use nexus_dirsync::chain::Chain;
use nexus_dirsync::reconcile::report::Trigger;
use nexus_dirsync::store;
use nexus_dirsync::sync::{Error, Run, Sync};
use rand::SeedableRng;

const TEAM: Groups<'_> =
    &[("readers", &["ada", "bob"]), ("writers", &["ada"]), ("old", &["bob"]), ("lost", &["cem"])];

/// Every table that a run may write.
const WRITTEN: [&str; 19] = [
    "users",
    "aad_groups",
    "products",
    "product_aad_groups",
    "product_members",
    "audit_logs",
    "dirsync_observed_users",
    "dirsync_observed_groups",
    "dirsync_observed_edges",
    "dirsync_user_identities",
    "dirsync_aad_groups",
    "dirsync_group_members",
    "dirsync_cursors",
    "dirsync_runs",
    "dirsync_findings",
    "dirsync_registry_products",
    "dirsync_registry_links",
    "dirsync_registry_members",
    "dirsync_registry_bindings",
];

/// Counts every row that is written, and lets the one fail whose number is asked for. The
/// count is undone with the transaction, so each run begins at one.
fn poison(on: On) -> String {
    let count = "CREATE TABLE poison (row_number integer NOT NULL, fatal integer NOT NULL);
                 INSERT INTO poison VALUES (0, 0);";
    let triggers = WRITTEN.map(|table| match on {
        On::Postgres => format!(
            "CREATE TRIGGER poison BEFORE INSERT OR UPDATE OR DELETE ON {table}
               FOR EACH ROW EXECUTE FUNCTION poisoned();"
        ),
        On::Sqlite => ["INSERT", "UPDATE", "DELETE"]
            .map(|act| {
                format!(
                    "CREATE TRIGGER poison_{table}_{act} BEFORE {act} ON {table} BEGIN
                       UPDATE poison SET row_number = row_number + 1;
                       SELECT RAISE(ABORT, 'poisoned {table}') FROM poison WHERE row_number = fatal;
                     END;"
                )
            })
            .concat(),
    });
    let function = "CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN
          UPDATE poison SET row_number = row_number + 1;
          IF (SELECT row_number = fatal FROM poison) THEN RAISE EXCEPTION 'poisoned %', TG_TABLE_NAME; END IF;
          RETURN CASE TG_OP WHEN 'DELETE' THEN OLD ELSE NEW END;
        END $$;";
    let function = if on == On::Postgres { function } else { "" };
    [count, function, &triggers.concat()].concat()
}

/// What a run may meet at once: people and groups that come, change and go, links and
/// owners that the registry makes, moves and takes away.
async fn busy(on: On) -> World {
    let mut world = World::new(on, company(TEAM)).await;
    world.registry(vec![entry("first", &["readers"], Some("ada"))]);
    world.run(Full).await;
    world.registry(vec![
        entry("first", &["writers"], Some("bob")),
        entry("second", &["readers", "nobody's"], Some("bob")),
    ]);
    world.edit(|tenant| {
        hire(tenant, "dora", "readers");
        found(tenant, "new");
        tenant.update_user(id("bob"), |user| user.display_name = Some("Bob".into()));
        tenant.remove_member(id("writers"), id("ada"));
        tenant.soft_delete_group(id("lost"));
    });
    world
}

#[tokio::test]
async fn a_failure_at_any_row_changes_nothing_and_the_next_run_converges() {
    for on in BOTH {
        let world = busy(on).await;
        world.sql(&poison(on));
        let sync = world.sync();
        let mut struck = BTreeSet::new();
        for fatal in 1.. {
            assert!(fatal < 1_000, "{on:?}: no run ever passes");
            world.sql(&format!("UPDATE poison SET fatal = {fatal}"));
            let before = world.database.dump();
            let (run, seen) = observed(&sync).await;
            let Err(error) = sync.commit(run, seen, false).await else { break };
            assert!(
                world.database.dump() == before,
                "{on:?}: row {fatal} failed, all is as it was"
            );
            let told = Chain(&error).to_string();
            let table = told.split("poisoned ").nth(1).unwrap_or_else(|| panic!("{on:?}: {told}"));
            struck.insert(table.split_whitespace().next().unwrap().to_owned());
        }
        assert_eq!(struck, WRITTEN.map(str::to_owned).into(), "{on:?}: a run writes all of them");
        world.sql("UPDATE poison SET fatal = 0");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

async fn observed(sync: &Sync) -> (Run, nexus_dirsync::sync::Observation) {
    let run = Sync::begin(Delta, Trigger::Command);
    (run, sync.observe(run).await.unwrap())
}

#[tokio::test]
async fn the_second_of_two_runs_from_one_cursor_writes_nothing() {
    for on in BOTH {
        let world = World::new(on, company(TEAM)).await;
        for first in [true, false] {
            world.edit(|tenant| hire(tenant, if first { "dora" } else { "emil" }, "readers"));
            let (one, other) = (world.sync(), world.sync());
            let (one_run, one_seen) = observed(&one).await;
            let (other_run, other_seen) = observed(&other).await;
            one.commit(one_run, one_seen, false).await.unwrap();
            let before = world.database.dump();
            let late = other.commit(other_run, other_seen, false).await.unwrap_err();
            assert!(matches!(late, Error::Store(store::Error::Superseded)), "{on:?} {late:?}");
            assert!(world.database.dump() == before, "{on:?}");
        }
        world.assert_rests().await;
    }
}

#[tokio::test]
async fn of_two_commits_at_once_one_is_superseded() {
    for on in BOTH {
        let world = World::new(on, company(TEAM)).await;
        for round in 0..6 {
            world.edit(|tenant| hire(tenant, &format!("new{round}"), "readers"));
            let (one, other) = (world.sync(), world.sync());
            let (one_run, one_seen) = observed(&one).await;
            let (other_run, other_seen) = observed(&other).await;
            let ends = tokio::join!(
                one.commit(one_run, one_seen, false),
                other.commit(other_run, other_seen, false)
            );
            let late = match ends {
                (Ok(_), Err(late)) | (Err(late), Ok(_)) => late,
                other => panic!("{on:?} round {round}: {other:?}"),
            };
            assert!(matches!(late, Error::Store(store::Error::Superseded)), "{on:?} {late:?}");
        }
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

#[tokio::test]
async fn two_daemons_on_one_database_double_nothing() {
    for on in BOTH {
        let world = World::new(on, company(TEAM)).await;
        world.run(Full).await;
        let mut rng = rand_chacha::ChaCha8Rng::seed_from_u64(9);
        for _ in 0..12 {
            world.edit(|tenant| graph_simulator::random_edit(tenant, &mut rng));
            let (one, other) = tokio::join!(world.try_run(Delta), world.try_run(Delta));
            for end in [one, other] {
                if let Err(error) = end {
                    assert!(
                        matches!(&error, Error::Store(store) if store.is_conflict()),
                        "{on:?}: {error:?}"
                    );
                }
            }
        }
        world.run(Delta).await;
        let links =
            world.database.count("audit_logs WHERE action = 'link' AND entity_type = 'aad_group'");
        let unlinks = world
            .database
            .count("audit_logs WHERE action = 'unlink' AND entity_type = 'aad_group'");
        assert_eq!(links - unlinks, world.database.count("dirsync_group_members"), "{on:?}");
        world.assert_rests().await;
        world.assert_equals_tenant().await;
    }
}

/// What somebody else changed since the run looked is met, not run over.
#[tokio::test]
async fn a_row_that_people_change_meanwhile_is_not_overwritten_blindly() {
    for on in BOTH {
        let world = World::new(on, company(TEAM)).await;
        world.run(Full).await;
        world.edit(|tenant| {
            tenant.update_user(id("ada"), |user| user.display_name = Some("Ada L".into()));
        });
        let sync = world.sync();
        let (run, seen) = observed(&sync).await;
        world.sql("UPDATE users SET role = 'admin' WHERE name = 'ada'");
        sync.commit(run, seen, false).await.unwrap();
        assert_eq!(world.user("ada"), "Ada L|ada@contoso.example|admin|live", "{on:?}");
        let told = world.lines("before, after", "audit_logs WHERE action = 'update' ORDER BY 1");
        assert_eq!(told.len(), 1, "{on:?} {told:?}");
        assert_eq!(told[0].matches("\"admin\"").count(), 2, "{on:?}: the audit saw it: {told:?}");
        let verified = world.store.read(|tx| tx.verify_audit()).await.unwrap();
        assert_eq!(verified.divergences, [], "{on:?}");
        assert_eq!(verified.foreign.len(), 1, "{on:?}: the change by people is told");
    }
}

/// A row locked by an open transaction of another service: the run waits, then meets it.
#[tokio::test]
async fn a_row_changed_in_an_open_transaction_fails_the_run_and_the_next_one_meets_it() {
    let world = World::new(On::Postgres, company(TEAM)).await;
    world.run(Full).await;
    world.edit(|tenant| {
        tenant.update_user(id("ada"), |user| user.display_name = Some("Ada L".into()));
    });
    let before = world.database.count("audit_logs");
    let url = world.database.url.clone();
    let (held, release) = (tokio::sync::oneshot::channel(), std::sync::mpsc::channel::<()>());
    let other = tokio::task::spawn_blocking(move || {
        use diesel::connection::SimpleConnection;
        use diesel::prelude::*;
        let mut conn = PgConnection::establish(&url).unwrap();
        conn.batch_execute("BEGIN; UPDATE users SET role = 'admin' WHERE name = 'ada'").unwrap();
        held.0.send(()).unwrap();
        release.1.recv().unwrap();
        conn.batch_execute("COMMIT").unwrap();
    });
    held.1.await.unwrap();
    let waiting = world.try_run(Delta);
    let freeing = async {
        let blocked =
            "pg_stat_activity WHERE wait_event_type = 'Lock' AND datname = current_database()";
        while world.database.count(blocked) == 0 {
            tokio::task::yield_now().await;
        }
        release.0.send(()).unwrap();
    };
    let (failed, ()) = tokio::join!(waiting, freeing);
    other.await.unwrap();
    let error = failed.unwrap_err();
    assert!(matches!(&error, Error::Store(store::Error::Conflict(_))), "{error:?}");
    assert_eq!(world.database.count("audit_logs"), before, "nothing was written");
    world.run(Delta).await;
    assert_eq!(world.user("ada"), "Ada L|ada@contoso.example|admin|live");
}
