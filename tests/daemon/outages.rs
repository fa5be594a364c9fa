//! Graph or the database away: the process stays, says so, and recovers by itself.

use graph_simulator::{Effect, Expiry, Fault, FaultBody};
use nexus_dirsync::daemon::Status;
use rustix::process::Signal;

use crate::killed::Latch;
use crate::process::run_ids;
use crate::stage::{Stage, guarded, small, until};
use crate::support::postgres::{self, Cluster};
use crate::support::proxy::{Proxy, Upstream};
use crate::support::world::{Database, On};

#[tokio::test]
async fn a_broken_graph_fails_runs_and_nothing_else() {
    let stage = Stage::new(On::Sqlite, small(40)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    stage.edit(40, 10);
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
    assert_eq!(daemon.metric("dirsync_consecutive_failures").await, failing);
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
    stage.edit(41, 10);
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
    stage.edit(42, 10);

    let known = run_ids(&daemon.status().await);
    cluster.stop();
    daemon.until_code("/readyz", 503).await;
    assert_eq!(daemon.code("/livez").await, 200);
    daemon.until_status("it stops leading", |status| !status.leader).await;
    daemon.signal(Signal::USR2);
    let kept = async || {
        let told = daemon.said("WARN", "the leader could not be asked yet");
        (!told.is_empty()).then_some(())
    };
    until("the signal is kept for later", kept).await;
    let told = stage.tell(&["check"]).await;
    assert_eq!(told.code, 1);
    assert!(told.out.contains("WRONG database: the database cannot be reached"), "{told:?}");

    assert_eq!(stage.tell(&["sync"]).await.code, 1, "a single run does not wait");

    // Each new try is one more of these; what is known already is not told again.
    let told = daemon.said("WARN", "cannot be told who leads");
    let told: Vec<&str> = told.iter().filter_map(|line| line["message"].as_str()).collect();
    assert!(told.iter().any(|message| message.contains("cannot be reached")), "{told:?}");
    assert!(told.windows(2).all(|two| two[0] != two[1]), "{told:?}");

    cluster.restart();
    daemon.until_code("/readyz", 200).await;
    let run = daemon.run_unlike(&known).await;
    assert_eq!(run.outcome, "applied", "nobody had to ask again");
    let full = |status: &Status| status.last.get("full").is_some_and(|run| run.trigger == "signal");
    daemon.until_status("what was asked meanwhile is done", full).await;
    assert_eq!(daemon.metric("dirsync_leader_epoch").await, 1, "nobody led in between");
    stage.assert_converged().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_daemon_that_starts_without_its_database_comes_up_with_it() {
    let mut cluster = Cluster::start();
    cluster.psql("postgres", "CREATE DATABASE late");
    let stage = Stage::with(Database::at(cluster.url("late")), small(43), guarded()).await;
    cluster.stop();
    // So long that nothing waits for it: HTTP is there before the database was given up.
    stage.set("database.connect_timeout", "1h");
    let mut daemon = stage.start().await;
    assert_eq!((daemon.code("/livez").await, daemon.code("/readyz").await), (200, 503));
    assert_eq!((daemon.code("/metrics").await, daemon.code("/status").await), (200, 200));
    daemon.kill();

    stage.set("database.connect_timeout", "2s");
    let daemon = stage.start().await;
    assert_eq!((daemon.code("/livez").await, daemon.code("/readyz").await), (200, 503));
    cluster.restart();
    daemon.until_code("/readyz", 200).await;
    assert_eq!(daemon.first_run().await.outcome, "applied");
    stage.assert_converged().await;
    daemon.stop().await;
}

/// Questions that are never answered keep neither the loop nor the end of the process.
#[tokio::test]
async fn a_database_that_falls_silent_keeps_no_daemon_from_stopping() {
    let stage = Stage::new(On::Postgres, small(48)).await;
    let proxy = Proxy::start(Upstream::Unix(postgres::socket()));
    let database = stage.world.database.url.rsplit('/').next().unwrap();
    stage.set("database.url", &format!("postgres://postgres@{}/{database}", proxy.address()));
    let daemon = stage.start().await;
    daemon.first_run().await;
    daemon.until_code("/readyz", 200).await;
    proxy.stall();
    daemon.until_code("/readyz", 503).await;
    daemon.until_status("it stops leading", |status| !status.leader).await;
    assert_eq!(daemon.code("/livez").await, 200);
    daemon.stop().await;
}

/// Something in between, such as a proxy, keeps connections open whose other end is gone.
#[tokio::test]
async fn connections_that_fall_silent_are_given_up_for_new_ones() {
    let stage = Stage::new(On::Postgres, small(49)).await;
    let proxy = Proxy::start(Upstream::Unix(postgres::socket()));
    let database = stage.world.database.url.rsplit('/').next().unwrap();
    stage.set("database.url", &format!("postgres://postgres@{}/{database}", proxy.address()));
    let daemon = stage.start().await;
    daemon.first_run().await;
    daemon.until_code("/readyz", 200).await;
    stage.edit(49, 10);
    proxy.hush();
    daemon.until_status("it stops leading", |status| !status.leader).await;
    daemon.until_status("it leads again", |status| status.leader).await;
    daemon.signal(Signal::USR2);
    let full = |status: &Status| {
        status.last.get("full").is_some_and(|r| r.trigger == "signal" && r.outcome != "failed")
    };
    daemon.until_status("what was asked for is done", full).await;
    daemon.until_code("/readyz", 200).await;
    assert_eq!(daemon.code("/livez").await, 200);
    assert_eq!(daemon.metric("dirsync_leader_epoch").await, 1, "nobody led in between");
    stage.assert_converged().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_connection_that_falls_silent_in_a_commit_costs_one_run() {
    let stage = Stage::new(On::Postgres, small(51)).await;
    let proxy = Proxy::start(Upstream::Unix(postgres::socket()));
    let database = stage.world.database.url.rsplit('/').next().unwrap();
    stage.set("database.url", &format!("postgres://postgres@{}/{database}", proxy.address()));
    stage.set("database.statement_timeout", "5s");
    stage.set("database.lock_timeout", "5s");
    let daemon = stage.start().await;
    daemon.first_run().await;
    stage.edit(51, 10);
    let before = stage.sql().dump()["audit_logs"].clone();
    let mut latch = Latch::close(&stage);
    daemon.signal(Signal::USR1);
    latch.is_reached().await;
    proxy.hush();
    let failed = |status: &Status| {
        status.last.get("delta").and_then(|run| run.failure.as_deref())
            == Some("database_unreachable")
    };
    daemon.until_status("the run ends", failed).await;
    assert_eq!(daemon.code("/livez").await, 200);
    latch.open();
    assert_eq!(stage.sql().dump()["audit_logs"], before);
    daemon.until_status("it leads", |status| status.leader).await;
    daemon.signal(Signal::USR2);
    let full = |status: &Status| {
        status.last.get("full").is_some_and(|r| r.trigger == "signal" && r.outcome != "failed")
    };
    daemon.until_status("the next one is done", full).await;
    stage.assert_converged().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_connection_that_breaks_in_a_commit_costs_one_run() {
    let stage = Stage::new(On::Postgres, small(44)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    stage.edit(44, 10);
    let before = stage.sql().dump()["audit_logs"].clone();
    let mut latch = Latch::close(&stage);
    let known = run_ids(&daemon.status().await);
    daemon.signal(Signal::USR1);
    latch.is_reached().await;
    stage.sql().execute(
        "SELECT pg_terminate_backend(pid) FROM pg_stat_activity \
         WHERE application_name = 'nexus-dirsync' AND datname = current_database()",
    );
    let run = daemon.run_unlike(&known).await;
    assert_eq!(run.outcome, "failed", "{run:?}");
    latch.open();
    assert_eq!(stage.sql().dump()["audit_logs"], before);
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "applied");
    stage.assert_converged().await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_limit_that_is_reached_fails_the_run_and_is_named() {
    for (key, value) in [("lock_timeout", "300ms"), ("statement_timeout", "500ms")] {
        let stage = Stage::new(On::Postgres, small(45)).await;
        let key = format!("database.{key}");
        let daemon = stage.start().await;
        daemon.first_run().await;
        daemon.stop().await;
        stage.edit(45, 10);
        stage.set(&key, value);
        let latch = Latch::close(&stage);
        let daemon = stage.start().await;
        assert_eq!(daemon.first_run().await.outcome, "failed", "{key}");
        let told = &daemon.said("ERROR", "the run failed")[0]["message"];
        assert!(told.as_str().unwrap().contains(&key), "{key} in {told}");
        latch.open();
        assert_eq!(daemon.turn(Signal::USR1).await.outcome, "applied");
        stage.assert_converged().await;
        daemon.stop().await;
    }
}

#[tokio::test]
async fn reading_for_too_long_fails_the_run_and_names_the_setting() {
    let stage = Stage::new(On::Sqlite, small(46)).await;
    stage.set("schedule.run_timeout", "1s");
    let daemon = stage.start().await;
    daemon.first_run().await;
    stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Hang));
    let run = daemon.turn(Signal::USR1).await;
    assert_eq!((run.outcome.as_str(), run.failure.as_deref()), ("failed", Some("run_timeout")));
    let told = &daemon.said("ERROR", "the run failed")[0]["message"];
    assert!(told.as_str().unwrap().contains("schedule.run_timeout (1s)"), "{told}");
    stage.world.simulator.clear_faults();
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "unchanged");
    daemon.stop().await;
}

#[tokio::test]
async fn another_writer_of_the_embedded_database_is_waited_for_and_then_named() {
    let stage = Stage::new(On::Sqlite, small(47)).await;
    stage.set("database.lock_timeout", "200ms");
    let daemon = stage.start().await;
    daemon.first_run().await;
    stage.edit(47, 10);
    let mut writer = stage.sql();
    writer.execute("BEGIN IMMEDIATE");
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "failed");
    let told = &daemon.said("ERROR", "the run failed")[0]["message"];
    assert!(told.as_str().unwrap().contains("database.lock_timeout"), "{told}");
    assert_eq!((daemon.code("/livez").await, daemon.code("/readyz").await), (200, 200));
    writer.execute("COMMIT");
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "applied");
    stage.assert_converged().await;
    daemon.stop().await;
}

/// The old token serves while it can; what Graph has just refused does not.
#[tokio::test]
async fn a_token_that_is_refused_while_no_other_is_given_is_not_said_to_serve() {
    let stage = Stage::new(On::Sqlite, small(48)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    stage.world.simulator.revoke_tokens();
    let body = serde_json::json!({"error_description": "AADSTS7000215: Invalid client secret"});
    let body = FaultBody::Json(body);
    let effect = Effect::Status { status: 401, headers: Vec::new(), body };
    stage.world.simulator.inject(Fault::on("oauth2/v2.0/token", effect));
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "failed");
    assert_eq!(daemon.said("WARN", "the old one serves").len(), 0);
    assert_eq!(daemon.said("WARN", "and Graph refuses the old one").len(), 1);
    stage.world.simulator.clear_faults();
    assert_eq!(daemon.turn(Signal::USR1).await.outcome, "unchanged");
    daemon.stop().await;
}
