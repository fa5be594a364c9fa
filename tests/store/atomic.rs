//! One transaction: all of a run or nothing, whoever else writes at the same time.

use crate::prelude::*;
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

/// Lets every write to a table fail.
fn poison(on: On, table: &str) -> String {
    match on {
        On::Postgres => format!(
            "CREATE FUNCTION poisoned() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN RAISE EXCEPTION 'poisoned'; END $$;
             CREATE TRIGGER poison BEFORE INSERT OR UPDATE OR DELETE ON {table} FOR EACH ROW EXECUTE FUNCTION poisoned()"
        ),
        On::Sqlite => ["INSERT", "UPDATE", "DELETE"]
            .map(|act| format!("CREATE TRIGGER poison_{act} BEFORE {act} ON {table} BEGIN SELECT RAISE(ABORT, 'poisoned'); END;"))
            .join("\n"),
    }
}

fn heal(on: On, table: &str) -> String {
    match on {
        On::Postgres => format!("DROP TRIGGER poison ON {table}; DROP FUNCTION poisoned()"),
        On::Sqlite => {
            "DROP TRIGGER poison_INSERT; DROP TRIGGER poison_UPDATE; DROP TRIGGER poison_DELETE"
                .to_owned()
        }
    }
}

#[tokio::test]
async fn a_failure_at_any_table_changes_nothing_and_the_next_run_converges() {
    for on in BOTH {
        let mut world = World::new(on, company(TEAM)).await;
        world.registry(vec![entry("first", &["readers"], Some("ada"))]);
        world.run(Full).await;
        world.registry(vec![
            entry("first", &["writers"], Some("ada")),
            entry("second", &["readers", "nobody's"], Some("bob")),
        ]);
        world.edit(|tenant| {
            hire(tenant, "dora", "readers");
            found(tenant, "new");
            tenant.update_user(id("bob"), |user| user.display_name = Some("Bob".into()));
            tenant.remove_member(id("writers"), id("ada"));
            tenant.soft_delete_group(id("lost"));
        });
        let before = world.database.dump();
        for table in WRITTEN {
            world.sql(&poison(on, table));
            let failed = world.try_run(Delta).await;
            assert!(failed.is_err(), "{on:?}: a run writes {table}");
            assert!(world.database.dump() == before, "{on:?}: {table} failed, all is as it was");
            world.sql(&heal(on, table));
        }
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}");
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
