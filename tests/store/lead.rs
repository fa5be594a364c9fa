//! One lead at a time, an epoch for each, and no commit out of an epoch that is over.

use crate::prelude::*;
use nexus_dirsync::directory::Mode;
use nexus_dirsync::reconcile::report::Trigger;
use nexus_dirsync::store::{Candidacy, Candidate, Error, RunRequest, Standing, Verdict};
use nexus_dirsync::sync::{self, Mandate, Sync};

use crate::support::postgres;
use crate::support::sql::Sql;

fn stand(world: &World, holder: &str, before: Option<i64>) -> Candidate {
    Candidate::stand(&world.store, candidacy(holder), before).unwrap()
}

fn candidacy(holder: &str) -> Candidacy {
    Candidacy {
        holder: holder.to_owned(),
        patience: Duration::from_secs(5),
        lease: Duration::from_secs(60),
    }
}

/// The epoch in which it leads.
fn leads(candidate: &mut Candidate) -> i64 {
    match candidate.ask().unwrap() {
        Standing::Leads(leader, _) => leader.epoch,
        Standing::StandsBy(leader) => panic!("stands by for {leader:?}"),
    }
}

/// Whom it stands by for.
fn stands_by(candidate: &mut Candidate) -> String {
    match candidate.ask().unwrap() {
        Standing::Leads(leader, _) => panic!("leads in {leader:?}"),
        Standing::StandsBy(leader) => leader.unwrap().holder,
    }
}

/// A run begun now and committed in an epoch.
async fn commit(world: &World, mandate: Mandate) -> Result<sync::Done, sync::Error> {
    let sync = world.sync();
    let run = Sync::begin(Delta, Trigger::Schedule);
    let observation = sync.observe(run).await?;
    sync.commit(run, observation.under(mandate), false).await
}

fn in_epoch(epoch: i64) -> Mandate {
    Mandate { epoch: Some(epoch), ..Mandate::default() }
}

async fn world(on: On) -> World {
    World::new(on, company(&[("readers", &["ada", "bob"])])).await
}

#[tokio::test]
async fn each_change_of_the_lead_is_a_new_epoch() {
    let world = world(On::Postgres).await;
    let mut one = stand(&world, "one", None);
    let mut two = stand(&world, "two", None);
    assert_eq!(leads(&mut one), 1);
    assert_eq!(stands_by(&mut two), "one");
    assert_eq!(leads(&mut one), 1, "asking again changes nothing");

    // Nobody led in between: the same epoch goes on.
    one.release().unwrap();
    let mut one = stand(&world, "one", Some(1));
    assert_eq!(leads(&mut one), 1);
    one.release().unwrap();
    assert_eq!(leads(&mut two), 2);
    // Somebody did.
    let mut one = stand(&world, "one", Some(1));
    assert_eq!(stands_by(&mut one), "two");
    // A connection that ends gives the lead up as well, as soon as the server sees it.
    drop(two);
    while matches!(one.ask().unwrap(), Standing::StandsBy(_)) {
        tokio::task::yield_now().await;
    }
    assert_eq!(leads(&mut one), 3);
    assert_eq!(world.lines("epoch, holder", "dirsync_leader"), ["3|one"]);
}

/// Each schema is an installation of its own: one lead each, and no more than one.
#[tokio::test]
async fn two_schemas_of_a_database_have_a_lead_each() {
    let database = Database::new(On::Postgres);
    database.sql("CREATE SCHEMA one; CREATE SCHEMA two");
    let mut leaders = Vec::new();
    for schema in ["public", "one", "two"] {
        let url = format!("{}?options=-csearch_path%3D{schema}", database.url);
        let store = Database::at(url).store();
        store.migrate().await.unwrap();
        let stand = |holder| Candidate::stand(&store, candidacy(holder), None).unwrap();
        let mut leader = stand(schema);
        assert_eq!(leads(&mut leader), 1, "{schema}");
        assert_eq!(leads(&mut leader), 1, "{schema}");
        assert_eq!(stands_by(&mut stand("another")), schema);
        let known = store.read(|tx| tx.leader_now()).await.unwrap();
        assert_eq!(known.unwrap().holder, schema);
        leaders.push((leader, store));
    }
    let locks = "pg_locks WHERE locktype = 'advisory' AND granted \
                 AND database = (SELECT oid FROM pg_database WHERE datname = current_database())";
    assert_eq!(database.count(locks), 3);
    // What versions take that know of no other schema: they must not lead beside this one.
    let known = format!("{locks} AND classid = 1684632179 AND objid = 2037277442 AND objsubid = 1");
    assert_eq!(database.count(&known), 1);
    for (leader, store) in leaders {
        leader.release().unwrap();
        assert_eq!(store.read(|tx| tx.leader_now()).await.unwrap(), None);
    }
}

/// The tables of a copy have the numbers of the original's.
#[tokio::test]
async fn a_takeover_ends_nothing_in_a_copy_of_the_database() {
    let original = Database::new(On::Postgres);
    original.store().migrate().await.unwrap();
    leads(&mut Candidate::stand(&original.store(), candidacy("one"), None).unwrap());
    let copy = Database::at(postgres::copy(&original.url));
    // A commit in each, as far as the fence.
    let commits = |database: &Database| {
        let mut sql = Sql::connect(&database.url);
        sql.execute("BEGIN; SELECT epoch FROM dirsync_leader FOR SHARE");
        sql
    };
    let (mut others, former) = (commits(&original), commits(&copy));
    let candidacy = Candidacy { patience: Duration::from_millis(500), ..candidacy("two") };
    assert_eq!(leads(&mut Candidate::stand(&copy.store(), candidacy, None).unwrap()), 2);
    let idle = "SELECT 'its session lives' AS cell";
    assert_eq!(others.cells(idle), ["its session lives"]);
    drop(former);
}

#[tokio::test]
async fn a_commit_out_of_an_epoch_that_is_over_writes_nothing() {
    for on in BOTH {
        let world = world(on).await;
        let first = leads(&mut stand(&world, "one", None));
        commit(&world, in_epoch(first)).await.unwrap();
        world.edit(|tenant| hire(tenant, "dora", "readers"));
        let second = leads(&mut stand(&world, "two", None));
        let before = world.database.dump();
        let refused = commit(&world, in_epoch(first)).await.unwrap_err();
        let sync::Error::Store(Error::Deposed { epoch, stored }) = refused else {
            panic!("{on:?}: {refused:?}")
        };
        assert_eq!((epoch, stored), (first, second), "{on:?}");
        assert!(world.database.dump() == before, "{on:?}");
        let done = commit(&world, in_epoch(second)).await.unwrap();
        assert_eq!(done.report.outcome, Outcome::Applied, "{on:?}");
        // A command needs no lead: the cursor's generation keeps it apart.
        world.edit(|tenant| hire(tenant, "emil", "readers"));
        assert_eq!(world.run(Delta).await.outcome, Outcome::Applied, "{on:?}");
        world.assert_equals_tenant().await;
    }
}

#[tokio::test]
async fn a_request_is_pending_until_the_commit_that_answers_it() {
    for on in BOTH {
        let world = world(on).await;
        let pending = async || world.store.read(|tx| tx.pending_requests()).await.unwrap();
        for mode in [Full, Delta] {
            let ask = world.store.write(move |tx| {
                tx.request_run(mode, Trigger::Command, "a test").map(Verdict::Commit)
            });
            ask.await.unwrap();
        }
        let asked = pending().await;
        let modes: Vec<Mode> = asked.iter().map(|request| request.mode).collect();
        assert_eq!(modes, [Full, Delta], "{on:?}");
        let Standing::Leads(leader, heard) = stand(&world, "one", None).ask().unwrap() else {
            panic!("{on:?}: nobody else is there")
        };
        assert_eq!(heard, asked, "{on:?}: the leader hears of them");

        // A commit that is refused answers nothing.
        let requests: Vec<i64> = asked.iter().map(|RunRequest { id, .. }| *id).collect();
        let mandate = |epoch, requests| Mandate { epoch: Some(epoch), requests };
        commit(&world, mandate(leader.epoch + 1, requests.clone())).await.unwrap_err();
        assert_eq!(pending().await, asked, "{on:?}");
        let done = commit(&world, mandate(leader.epoch, requests[..1].to_vec())).await.unwrap();
        assert_eq!(pending().await, asked[1..], "{on:?}");
        let by = world.lines("run_id", "dirsync_requests WHERE taken_at IS NOT NULL");
        assert_eq!(by, [done.report.run_id.to_string()], "{on:?}");

        // Answered ones go with the runs that answered them; open ones stay.
        world
            .store
            .write(|tx| {
                let later = chrono::Utc::now() + Duration::from_secs(60);
                tx.prune_requests(later).map(Verdict::Commit)
            })
            .await
            .unwrap();
        assert_eq!(world.database.count("dirsync_requests"), 1, "{on:?}");
        assert_eq!(pending().await, asked[1..], "{on:?}");
    }
}
