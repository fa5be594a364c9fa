//! TERM and INT stop gracefully; USR1 and USR2 ask for runs, and many make one.

use std::time::{Duration, Instant};

use graph_simulator::{Effect, Fault};
use rustix::process::Signal;
use tokio::net::TcpListener;

use crate::killed::Latch;
use crate::process::{Daemon, run_ids};
use crate::stage::{Stage, small, until};
use crate::support::world::{BOTH, On};

#[tokio::test]
async fn a_stop_abandons_reading() {
    for on in BOTH {
        for signal in [Signal::TERM, Signal::INT] {
            let stage = Stage::new(on, small(20)).await;
            let mut daemon = stage.start().await;
            daemon.first_run().await;
            let before = stage.world.audit_rows().await;
            stage.edit(20, 10);
            stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Hang));
            daemon.signal(Signal::USR2);
            daemon.until_running().await;
            let asked = Instant::now();
            daemon.signal(signal);
            assert_eq!(daemon.exit_code().await, 0, "{signal:?}");
            assert!(asked.elapsed() < Duration::from_secs(10), "{:?}", asked.elapsed());
            assert_eq!(stage.world.audit_rows().await, before, "nothing was written");
            let given_up = daemon.said("INFO", "given up for a stop");
            assert_eq!(given_up.len(), 1, "{on:?} {signal:?}");
            let last = "SELECT outcome AS cell FROM dirsync_runs ORDER BY started_at DESC LIMIT 1";
            assert_eq!(stage.sql().cells(last), ["interrupted"]);
        }
    }
}

#[tokio::test]
async fn a_commit_that_has_begun_ends_before_the_daemon_does() {
    let stage = Stage::new(On::Postgres, small(21)).await;
    let mut daemon = stage.start().await;
    daemon.first_run().await;
    stage.edit(21, 10);
    let mut latch = Latch::close(&stage);
    daemon.signal(Signal::USR1);
    latch.is_reached().await;
    daemon.signal(Signal::TERM);
    until_said(&daemon, "caught a signal", 2).await;
    assert!(daemon.is_running(), "it waits for the commit");
    latch.open();
    assert_eq!(daemon.exit_code().await, 0);
    stage.assert_converged().await;
}

/// The same for the command: what it says of itself must be true.
#[tokio::test]
async fn an_interrupted_sync_tells_the_truth_about_its_commit() {
    let stage = Stage::new(On::Postgres, small(22)).await;
    let mut latch = Latch::close(&stage);
    let mut sync = stage.begin(&["sync"]);
    latch.is_reached().await;
    sync.signal(Signal::INT);
    until("the signal is noticed, or waits for the commit", async || {
        (!sync.is_running() || sync.has_handled(Signal::INT)).then_some(())
    })
    .await;
    latch.open();
    let code = sync.exit_code().await;
    let wrote = stage.world.audit_rows().await > 0;
    let denied = sync.printed().contains("nothing was written");
    assert_eq!((wrote, denied, code), (true, false, 0), "{}", sync.printed());
    stage.assert_converged().await;
}

#[tokio::test]
async fn an_interrupted_sync_that_still_reads_writes_nothing() {
    for signal in [Signal::INT, Signal::TERM] {
        let stage = Stage::new(On::Sqlite, small(23)).await;
        stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Hang));
        let mut sync = stage.begin(&["sync"]);
        let simulator = &stage.world.simulator;
        let asked = async || (simulator.counters().token_requests > 0).then_some(());
        until("it reads", asked).await;
        sync.signal(signal);
        assert_eq!(sync.exit_code().await, 1, "{signal:?}");
        assert!(sync.printed().contains("nothing was written"), "{}", sync.printed());
        assert_eq!(stage.world.audit_rows().await, 0);
    }
}

/// The daemon's own way to end is tested above. As process 1, whom no signal ends by default,
/// a command must end itself; elsewhere that shows in its having a code.
#[tokio::test]
async fn a_command_that_waits_ends_on_a_signal() {
    let stage = Stage::new(On::Sqlite, small(26)).await;
    stage.set("database.connect_timeout", "10m");
    stage.write_registry(
        "[[product]]\nname = \"shop\"\ndescription = \"\"\nenvironment = \"production\"\ngroups = []\n",
    );
    for args in [
        &["migrate"][..],
        &["migrate", "--check"],
        &["migrate", "--revert"],
        &["check"],
        &["plans", "list"],
        &["plans", "show", "abcdef"],
        &["plans", "approve", "abcdef", "--by", "me@example.com"],
        &["plans", "reject", "abcdef", "--by", "me@example.com", "--reason", "no"],
        &["registry", "check"],
        &["access", "who", "shop"],
        &["access", "explain", "me@example.com", "shop"],
        &["audit", "verify"],
        &["resync"],
        &["status"],
    ] {
        for (signal, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
            // Whoever connects is never answered, whether it wants the database or the daemon.
            let silent = TcpListener::bind("127.0.0.1:0").await.unwrap();
            let address = silent.local_addr().unwrap();
            stage.set("database.url", &format!("postgres://me@{address}/nexus"));
            stage.set("http.listen", &address.to_string());
            let mut command = stage.begin(args);
            let caller = until("it asks", async || silent.accept().await.ok()).await;
            command.signal(signal);
            assert_eq!(command.exit_code().await, code, "{args:?} {signal:?}");
            drop(caller);
        }
    }
}

async fn until_said(daemon: &Daemon, what: &str, times: usize) {
    until(what, async || (daemon.said("INFO", what).len() >= times).then_some(())).await;
}

/// The lines about runs: one for each, whatever it did.
fn run_lines(daemon: &Daemon) -> Vec<serde_json::Value> {
    daemon.said("INFO", "the run is complete")
}

#[tokio::test]
async fn any_number_of_requests_during_a_run_make_exactly_one_more() {
    let stage = Stage::new(On::Postgres, small(24)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    assert_eq!(run_lines(&daemon).len(), 1);
    stage.edit(24, 10);
    let mut latch = Latch::close(&stage);
    daemon.signal(Signal::USR1);
    latch.is_reached().await;
    let known = run_ids(&daemon.status().await);
    for signal in [Signal::USR1, Signal::USR2].into_iter().cycle().take(20) {
        daemon.signal(signal);
    }
    let caught = |name: &str| {
        let lines = daemon.said("INFO", "caught a signal");
        lines.iter().filter(|line| line["signal"] == name).count()
    };
    let both = async || (caught("USR1") > 1 && caught("USR2") > 0).then_some(());
    until("the signals are caught", both).await;
    latch.open();
    let done = |status: &nexus_dirsync::daemon::Status| {
        let new = run_ids(status).difference(&known).count();
        status.running.is_none() && new == 2
    };
    daemon.until_status("a delta run and a full one", done).await;
    assert_eq!(run_lines(&daemon).len(), 3);
    daemon.turn(Signal::USR1).await;
    let lines = run_lines(&daemon);
    let modes: Vec<&str> = lines.iter().map(|line| line["mode"].as_str().unwrap()).collect();
    assert_eq!(
        modes,
        ["full", "delta", "full", "delta"],
        "full beats delta, and none is left over"
    );
    daemon.stop().await;
}

#[tokio::test]
async fn a_run_is_one_line_of_ids_and_counts() {
    let stage = Stage::new(On::Sqlite, small(25)).await;
    stage.set("log.level", "info");
    let daemon = stage.start().await;
    let run = daemon.first_run().await;
    let lines: Vec<_> =
        daemon.log().into_iter().filter(|line| line.get("run.id").is_some()).collect();
    let [line] = &lines[..] else { panic!("one line a run: {lines:?}") };
    assert_eq!((&line["level"], &line["target"].as_str().is_some()), (&"INFO".into(), &true));
    assert_eq!(line["run.id"], run.run_id.to_string());
    for (key, value) in [("mode", "full"), ("trigger", "startup"), ("outcome", "applied")] {
        assert_eq!(line[key], value, "{line}");
    }
    assert_eq!(line["changes"], run.changes.values().sum::<u64>());
    for count in ["seconds", "drift", "withheld", "findings", "requests", "retries"] {
        assert!(line[count].is_number(), "{count} in {line}");
    }
    let printed = daemon.printed();
    stage.world.simulator.read(|tenant| {
        for user in tenant.users() {
            assert!(!printed.contains(&user.user_principal_name), "no addresses at info");
        }
    });
    daemon.stop().await;
}
