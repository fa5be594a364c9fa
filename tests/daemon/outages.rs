//! Graph or the database away: the process stays, says so, and recovers by itself.

use graph_simulator::{Effect, Expiry, Fault, random_edit};
use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;
use rustix::process::Signal;

use crate::stage::{Stage, guarded, small};
use crate::support::postgres::Cluster;
use crate::support::world::{Database, On};

fn edit(stage: &Stage, seed: u64) {
    let mut rng = ChaCha8Rng::seed_from_u64(seed);
    stage.world.simulator.edit(|tenant| (0..10).for_each(|_| drop(random_edit(tenant, &mut rng))));
}

#[tokio::test]
async fn a_broken_graph_fails_runs_and_nothing_else() {
    let stage = Stage::new(On::Sqlite, small(40)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    edit(&stage, 40);
    let effects = [
        (Effect::Html502, Signal::USR1),
        (Effect::CutBody, Signal::USR2),
        (Effect::TruncatedJson, Signal::USR2),
        (Effect::RedirectLink("http://127.0.0.1:9".to_owned()), Signal::USR1),
        (Effect::Unauthorized, Signal::USR1),
    ];
    let failing = u64::try_from(effects.len()).unwrap();
    for (failures, (effect, signal)) in (1..).zip(effects) {
        stage.world.simulator.clear_faults();
        stage.world.simulator.inject(Fault::on("/v1.0/", effect.clone()));
        let run = daemon.turn(signal).await;
        assert_eq!(run.outcome, "failed", "{effect:?}");
        assert!(run.failure.is_some(), "{effect:?}");
        assert_eq!(daemon.status().await.consecutive_failures, failures);
        assert_eq!((daemon.code("/livez").await, daemon.code("/readyz").await), (200, 200));
    }
    assert_eq!(daemon.metric("dirsync_consecutive_failures").await, failing as f64);
    assert_eq!(daemon.said("ERROR", "the run failed").len(), usize::try_from(failing).unwrap());
    assert_eq!(stage.tell(&["status"]).await.code, 1);

    stage.world.simulator.clear_faults();
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "applied");
    assert_eq!(daemon.status().await.consecutive_failures, 0);
    assert_eq!(stage.tell(&["status"]).await.code, 0);
    stage.assert_converged().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_lost_delta_token_is_made_good_in_the_same_run() {
    let stage = Stage::new(On::Sqlite, small(41)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    edit(&stage, 41);
    stage.world.simulator.expire_delta_tokens(Expiry::OlderThan30Days);
    stage.world.simulator.revoke_tokens();
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "applied");
    stage.assert_converged().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_database_that_goes_away_is_waited_for() {
    let mut cluster = Cluster::start();
    cluster.psql("postgres", "CREATE DATABASE outage");
    let database = Database::at(cluster.url("outage"));
    let stage = Stage::with(database, small(42), guarded()).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    daemon.until_code("/readyz", 200).await;
    edit(&stage, 42);

    cluster.stop();
    daemon.until_code("/readyz", 503).await;
    assert_eq!(daemon.code("/livez").await, 200);
    let run = daemon.turn(Signal::USR1).await;
    assert_eq!(
        (run.outcome.as_str(), run.failure.as_deref()),
        ("failed", Some("database_unreachable"))
    );
    let told = stage.tell(&["check"]).await;
    assert_eq!(told.code, 1);
    assert!(told.out.contains("WRONG database: the database cannot be reached"), "{told:?}");

    assert_eq!(stage.tell(&["sync"]).await.code, 1, "a single run does not wait");

    cluster.restart();
    daemon.until_code("/readyz", 200).await;
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "applied");
    stage.assert_converged().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_daemon_that_starts_without_its_database_comes_up_with_it() {
    let mut cluster = Cluster::start();
    cluster.psql("postgres", "CREATE DATABASE late");
    let stage = Stage::with(Database::at(cluster.url("late")), small(43), guarded()).await;
    cluster.stop();
    let daemon = stage.start().await;
    assert_eq!(daemon.first_run().await.outcome, "failed");
    assert_eq!((daemon.code("/livez").await, daemon.code("/readyz").await), (200, 503));
    cluster.restart();
    daemon.until_code("/readyz", 200).await;
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "applied");
    stage.assert_converged().await;
    daemon.stop().await;
}
