//! What a running daemon shows to Prometheus: the declared set, in a form that the real
//! promtool accepts, with numbers that tell the truth.

use std::collections::BTreeSet;
use std::io::Write;
use std::process::{Command, Stdio};

use graph_simulator::{Effect, Expiry, Fault};
use rustix::process::Signal;

use crate::process::Daemon;
use crate::stage::{Stage, guarded, small, until};
use crate::support::postgres::Cluster;
use crate::support::world::{Database, On};

const GOLDEN: &str = include_str!("../golden/metrics.txt");

/// Each series with its labels, without values; the buckets of histograms but the last,
/// and what every process has, left out.
fn series(text: &str) -> BTreeSet<String> {
    let lines = text.lines().filter(|line| !line.starts_with('#') && !line.contains("process_"));
    let lines = lines.filter(|line| !line.contains("_bucket{") || line.contains("le=\"+Inf\""));
    lines
        .map(|line| line.rsplit_once(' ').map_or(line, |(series, _)| series))
        .map(|series| series.split("{revision=").next().unwrap_or(series).to_owned())
        .collect()
}

/// The golden file keeps series without values.
fn declared() -> BTreeSet<String> {
    let lines = GOLDEN.lines().filter(|line| !line.starts_with('#'));
    lines.map(|line| line.split("{revision").next().unwrap_or(line).to_owned()).collect()
}

/// Asks the real promtool; skipped, and said so, where there is none.
fn assert_accepted_by_promtool(text: &str) {
    let spawned = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let Ok(mut promtool) = spawned else {
        println!("SKIPPED: promtool is not installed (Debian: apt-get install prometheus)");
        return;
    };
    promtool.stdin.take().unwrap().write_all(text.as_bytes()).unwrap();
    let told = promtool.wait_with_output().unwrap();
    let said = [told.stdout, told.stderr].concat();
    assert!(told.status.success(), "{}\n{text}", String::from_utf8_lossy(&said));
    assert_eq!(String::from_utf8_lossy(&said), "", "promtool has nothing to say");
}

#[tokio::test]
async fn a_running_daemon_shows_the_declared_set_and_promtool_accepts_it() {
    let stage = Stage::new(On::Postgres, small(80)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    for (seed, signal) in [(80, Signal::USR1), (81, Signal::USR2)] {
        stage.edit(seed, 20);
        daemon.turn(signal).await;
    }
    stage.world.simulator.inject(Fault::on("/v1.0/", Effect::Html502));
    daemon.turn(Signal::USR1).await;
    let (_, text) = daemon.get("/metrics").await.unwrap();
    assert_accepted_by_promtool(&text);
    let (shown, declared) = (series(&text), declared());
    let missing: Vec<_> = declared.difference(&shown).collect();
    assert_eq!(missing, [""; 0], "declared, but not shown");
    // Statuses of Graph are not known before; nothing else appears later.
    let late = |series: &&String| !series.starts_with("dirsync_graph_requests_total{");
    let undeclared: Vec<_> = shown.difference(&declared).filter(late).collect();
    assert_eq!(undeclared, [""; 0], "shown, but not declared");
    daemon.stop().await;
}

impl Stage {
    /// What was counted is what is in the tables.
    pub async fn assert_states_are_shown(&self, daemon: &Daemon) {
        let mut all = 0;
        for (kind, table, states) in [
            ("users", "dirsync_user_identities", &["live", "disabled", "removed"][..]),
            ("groups", "dirsync_aad_groups", &["live", "removed"]),
        ] {
            for state in states {
                let name = format!("dirsync_objects_by_state{{kind={kind:?},state={state:?}}}");
                let stored = self.world.database.count(&format!("{table} WHERE state = '{state}'"));
                assert_eq!(daemon.metric(&name).await, stored, "{name}");
                all += stored;
            }
        }
        assert!(all > 40, "there is something to count");
    }
}

#[tokio::test]
async fn delta_links_have_an_age_and_their_loss_a_reason() {
    let stage = Stage::new(On::Sqlite, small(82)).await;
    let daemon = stage.start().await;
    let first = daemon.first_run().await;
    let token = async |daemon: &Daemon| {
        let users = daemon.value("dirsync_delta_token_timestamp_seconds{stream=\"users\"}").await;
        let groups = daemon.value("dirsync_delta_token_timestamp_seconds{stream=\"groups\"}").await;
        assert!((users - groups).abs() < f64::EPSILON, "each run follows both");
        users
    };
    let seconds = |time: chrono::DateTime<chrono::Utc>| {
        time.signed_duration_since(chrono::DateTime::UNIX_EPOCH).as_seconds_f64()
    };
    assert!((token(&daemon).await - seconds(first.started_at)).abs() < 0.001);

    stage.world.simulator.expire_delta_tokens(Expiry::GoneWithLocation);
    stage.edit(82, 60);
    let run = daemon.turn(Signal::USR1).await;
    stage.assert_states_are_shown(&daemon).await;
    assert!((token(&daemon).await - seconds(run.started_at)).abs() < 0.001);
    for (reason, count) in [("expired", 1), ("refused", 0), ("scope_changed", 0)] {
        let name = format!("dirsync_cursor_resets_total{{reason={reason:?}}}");
        assert_eq!(daemon.metric(&name).await, count, "{reason}");
    }
    daemon.stop().await;

    // A restart must not make the link look new, nor as if there were none; nor as if
    // there were nobody.
    stage.set_raw("schedule.startup", "false");
    let daemon = stage.start().await;
    // HTTP is served before the database is asked.
    let last = "dirsync_delta_token_timestamp_seconds{stream=\"groups\"}";
    until("what was before is shown", async || (daemon.value(last).await > 0.0).then_some(()))
        .await;
    assert!((token(&daemon).await - seconds(run.started_at)).abs() < 0.001);
    stage.assert_states_are_shown(&daemon).await;
    daemon.stop().await;
}

#[tokio::test]
async fn the_database_shows_whether_it_is_there() {
    let mut cluster = Cluster::start();
    cluster.psql("postgres", "CREATE DATABASE shown");
    let database = Database::at(cluster.url("shown"));
    let stage = Stage::with(database, small(83), guarded()).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    assert_eq!(daemon.metric("dirsync_database_up").await, 1);
    let pool = async |state: &str| {
        daemon.metric(&format!("dirsync_database_pool_connections{{state={state:?}}}")).await
    };
    assert!(pool("idle").await + pool("in_use").await >= 1, "a run took place");

    cluster.stop();
    until("the scrape says so", async || {
        (daemon.metric("dirsync_database_up").await == 0).then_some(())
    })
    .await;
    cluster.restart();
    until("the scrape says so", async || {
        (daemon.metric("dirsync_database_up").await == 1).then_some(())
    })
    .await;
    daemon.stop().await;
}

#[tokio::test]
async fn a_certificate_shows_when_it_ends() {
    let stage =
        Stage::with(Database::new(On::Sqlite), small(84), graph_simulator::Options::default())
            .await;
    let daemon = stage.start().await;
    let name = "dirsync_credential_expiry_timestamp_seconds";
    daemon.first_run().await;
    assert_eq!(daemon.metric(name).await, 0, "nobody knows when a secret ends");
    daemon.stop().await;

    let pem = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/graph/fixtures/certificate.pem");
    stage.unset("identity.client_secret");
    for (key, value) in [
        ("identity.kind", "certificate"),
        ("identity.certificate_file", pem),
        ("identity.private_key_file", pem),
    ] {
        stage.set(key, value);
    }
    let daemon = stage.start().await;
    daemon.first_run().await;
    let year = daemon.value(name).await / (365.2425 * 24.0 * 3600.0) + 1970.0;
    assert!((2126.0..2127.0).contains(&year), "{year}");
    daemon.stop().await;
}
