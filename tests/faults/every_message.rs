//! The connection to PostgreSQL breaks at each message of a transaction in turn, reads and
//! the commit included: all of a run, or nothing of it.

use nexus_dirsync::directory::Mode;
use nexus_dirsync::reconcile::report::{Outcome, Trigger};
use nexus_dirsync::sync::Sync;

use crate::proxy::{Act, Place, Proxy};
use crate::support::company::{Groups, company, found, hire, id};
use crate::support::platform::entry;
use crate::support::postgres::Cluster;
use crate::support::world::{Database, World};

const TEAM: Groups<'_> =
    &[("readers", &["ada", "bob"]), ("writers", &["ada"]), ("old", &["bob"]), ("lost", &["cem"])];

async fn busy(cluster: &Cluster, proxy: &Proxy) -> World {
    cluster.psql("postgres", "CREATE DATABASE messages");
    let database = Database::at(proxy.url("messages"));
    let mut world = World::of(database, company(TEAM), graph_simulator::Options::default()).await;
    world.registry(vec![entry("first", &["readers"], Some("ada"))]);
    world.run(Mode::Full).await;
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
async fn a_connection_that_breaks_at_any_message_changes_nothing() {
    let cluster = Cluster::start();
    let proxy = Proxy::before(cluster.socket());
    let world = busy(&cluster, &proxy).await;
    let direct = Database::at(cluster.url("messages"));
    let sync = world.sync();
    for number in 0.. {
        assert!(number < 1_000, "no run ever passes");
        let before = direct.dump();
        let run = Sync::begin(Mode::Delta, Trigger::Command);
        let seen = sync.observe(run).await.unwrap();
        proxy.arm(Place::Message(number), Act::Cut);
        let done = sync.commit(run, seen, false).await;
        if proxy.is_armed() {
            assert_eq!(done.unwrap().report.outcome, Outcome::Applied);
            assert!(number > 10, "a run sends more than {number} messages");
            break;
        }
        assert!(done.is_err(), "message {number} never came");
        assert!(direct.dump() == before, "message {number} failed, all is as it was");
    }
    proxy.release();
    world.assert_rests().await;
    world.assert_equals_tenant().await;
}

/// The run is told that it failed, and did not: whoever does it again finds it done.
#[tokio::test]
async fn a_commit_whose_answer_is_lost_is_not_repeated() {
    let cluster = Cluster::start();
    let proxy = Proxy::before(cluster.socket());
    let world = busy(&cluster, &proxy).await;
    let sync = world.sync();
    let run = Sync::begin(Mode::Delta, Trigger::Command);
    let seen = sync.observe(run).await.unwrap();
    proxy.arm(Place::AfterCommit, Act::Cut);
    assert!(sync.commit(run, seen, false).await.is_err());
    world.assert_rests().await;
    world.assert_equals_tenant().await;
}
