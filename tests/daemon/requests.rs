//! A run is asked for where no leader is: it reaches the leader, and is never lost.

use graph_simulator::{Effect, Fault};
use nexus_dirsync::daemon::Status;
use rustix::process::Signal;

use crate::killed::Latch;
use crate::process::run_ids;
use crate::replicas::{pair, stage};
use crate::stage::{Stage, small, until};
use crate::support::world::On;

const PENDING: &str = "SELECT mode AS cell FROM dirsync_requests WHERE taken_at IS NULL";

#[tokio::test]
async fn a_signal_to_a_standby_is_answered_by_the_leader() {
    let stage = stage(120).await;
    // Only the call can be so quick.
    stage.set("leader.ask_every", "50s");
    stage.set("leader.lease", "60s");
    let (one, two) = pair(&stage).await;
    for (signal, mode) in [(Signal::USR1, "delta"), (Signal::USR2, "full")] {
        let known = run_ids(&one.status().await);
        two.signal(signal);
        let run = one.run_unlike(&known).await;
        assert_eq!((run.trigger.as_str(), run.outcome.as_str()), ("signal", "unchanged"));
        assert_eq!(one.status().await.last[mode], run);
        let taken = "SELECT mode || ' ' || requested_by AS cell FROM dirsync_requests \
                     WHERE run_id::text = ";
        let taken = stage.sql().cells(&format!("{taken}'{}'", run.run_id));
        assert_eq!(taken, [format!("{mode} two")]);
    }
    let ended = "dirsync_runs_total{mode=\"delta\",outcome=\"unchanged\",trigger=\"signal\"}";
    assert_eq!((one.metric(ended).await, two.metric(ended).await), (1, 0));
    assert!(stage.sql().cells(PENDING).is_empty());
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn resync_reaches_the_leader_from_anywhere() {
    let stage = stage(121).await;
    let (one, two) = pair(&stage).await;
    // Nobody serves where this configuration says: a laptop with the database's address.
    let known = run_ids(&one.status().await);
    let told = stage.ask(&["resync", "--full"]).await;
    assert!(told.contains("one was asked for a full run"), "{told}");
    let run = one.run_unlike(&known).await;
    assert_eq!((run.trigger.as_str(), run.outcome.as_str()), ("command", "unchanged"));

    one.stop().await;
    two.until_leading().await;
    two.first_run().await;
    two.stop().await;
    let told = stage.ask(&["resync"]).await;
    assert!(told.contains("nobody leads right now"), "{told}");
    assert_eq!(stage.sql().cells(PENDING), ["delta"]);
    stage.set_raw("schedule.startup", "false");
    let three = stage.replica("three", &[]).await;
    assert_eq!(three.first_run().await.trigger, "command");
    assert!(stage.sql().cells(PENDING).is_empty());
    three.stop().await;
}

#[tokio::test]
async fn a_request_outlives_the_leader_that_was_about_to_answer_it() {
    // From anywhere, and from the leader's own container.
    for beside in [false, true] {
        let stage = stage(122).await;
        let (mut one, two) = pair(&stage).await;
        if beside {
            stage.set("http.listen", &one.address().to_string());
        }
        stage.edit(122, 10);
        let mut latch = Latch::close(&stage);
        stage.ask(&["resync", "--full"]).await;
        latch.is_reached().await;
        one.kill();
        latch.open();
        let answered =
            |status: &Status| status.last.get("full").is_some_and(|r| r.trigger == "command");
        two.until_status("the next leader answers", answered).await;
        assert!(stage.sql().cells(PENDING).is_empty());
        stage.assert_told_once();
        stage.assert_converged().await;
        two.stop().await;
    }
}

/// A leader whose database is away is asked itself, and remembers.
#[tokio::test]
async fn resync_signals_a_leader_that_the_database_cannot_pass_it_on_to() {
    let stage = stage(126).await;
    let one = stage.replica("one", &[]).await;
    one.first_run().await;
    stage.set("http.listen", &one.address().to_string());
    let elsewhere = stage.world.database.url.replace("/t", "/away");
    let known = run_ids(&one.status().await);
    let told = stage.tell_with(&["resync"], &[("DIRSYNC__DATABASE__URL", &elsewhere)]).await;
    assert_eq!(told.code, 0, "{told:?}");
    assert!(told.err.contains("asking the process"), "{told:?}");
    assert!(told.out.contains("was asked for a delta run"), "{told:?}");
    assert_eq!(one.run_unlike(&known).await.trigger, "signal");
    one.stop().await;
}

/// The same of what the leader itself was asked for, which until then it alone knows of.
#[tokio::test]
async fn a_signal_outlives_the_leader_that_is_stopped_before_it_answers() {
    let stage = stage(125).await;
    let one = stage.replica("one", &[]).await;
    one.first_run().await;
    // Nothing else makes the successor run.
    stage.set_raw("schedule.startup", "false");
    let two = stage.replica("two", &[]).await;
    two.until_led_by("one").await;
    stage.edit(125, 10);
    stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Hang).once());
    let requests = || stage.world.simulator.counters().requests;
    let before = requests();
    one.signal(Signal::USR2);
    until("it reads", async || (requests() > before).then_some(())).await;
    one.stop().await;
    two.until_leading().await;
    let run = two.first_run().await;
    assert_eq!((run.trigger.as_str(), run.outcome.as_str()), ("signal", "applied"));
    let runs = "SELECT mode || ' ' || outcome AS cell FROM dirsync_runs \
                WHERE trigger = 'signal' ORDER BY started_at";
    assert_eq!(stage.sql().cells(runs), ["full interrupted", "full applied"]);
    assert!(stage.sql().cells(PENDING).is_empty());
    two.stop().await;
}

/// Rows that come while a run reads are one more run, and a delta run answers none for a
/// full one.
#[tokio::test]
async fn any_number_of_rows_during_a_run_make_exactly_one_more() {
    let stage = stage(123).await;
    let (one, two) = pair(&stage).await;
    stage.edit(123, 10);
    let known = run_ids(&one.status().await);
    let mut latch = Latch::close(&stage);
    one.signal(Signal::USR1);
    latch.is_reached().await;
    for args in [&["resync"][..], &["resync", "--full"], &["resync"]] {
        stage.ask(args).await;
    }
    let heard = async || (one.said("INFO", "asked for from another").len() == 3).then_some(());
    until("the leader hears", heard).await;
    latch.open();
    let both = |status: &Status| {
        status.running.is_none() && run_ids(status).difference(&known).count() == 2
    };
    one.until_status("a delta run and a full one", both).await;
    let runs = "SELECT mode || ' ' || trigger AS cell FROM dirsync_runs ORDER BY started_at";
    assert_eq!(stage.sql().cells(runs), ["full startup", "delta signal", "full command"]);
    assert!(stage.sql().cells(PENDING).is_empty());
    one.stop().await;
    two.stop().await;
}

#[tokio::test]
async fn the_embedded_database_passes_requests_on_as_well() {
    let stage = Stage::new(On::Sqlite, small(124)).await;
    // Nothing but what is asked for wakes it.
    stage.set_raw("schedule.startup", "false");
    let told = stage.ask(&["resync", "--full"]).await;
    assert!(told.contains("as soon as it runs"), "{told}");
    assert_eq!(stage.sql().cells(PENDING), ["full"]);
    let daemon = stage.replica("one", &[]).await;
    let run = daemon.first_run().await;
    assert_eq!((run.trigger.as_str(), run.outcome.as_str()), ("command", "applied"));
    let known = run_ids(&daemon.status().await);
    stage.ask(&["resync"]).await;
    assert_eq!(daemon.run_unlike(&known).await.trigger, "command");
    assert!(stage.sql().cells(PENDING).is_empty());
    assert_eq!(daemon.metric("dirsync_leader_epoch").await, 1);
    daemon.stop().await;
    let daemon = stage.replica("two", &[]).await;
    assert_eq!(daemon.until_leading().await.leads.unwrap().epoch, 2);
    daemon.stop().await;
}
