//! `sync` in its forms, and the commands that talk to a daemon.

use crate::process::run_ids;
use crate::stage::{Stage, small};
use crate::support::world::{BOTH, On};

#[tokio::test]
async fn sync_mirrors_and_a_dry_run_writes_nothing() {
    for on in BOTH {
        let stage = Stage::new(on, small(60)).await;
        let empty = stage.sql().dump();
        let dry = stage.ask(&["sync", "--dry-run"]).await;
        assert_eq!(stage.sql().dump(), empty, "{on:?}");
        let told = stage.ask(&["sync"]).await;
        let summary = |text: &str| {
            let line = text.lines().last().unwrap();
            line.split(';').next().unwrap().to_owned()
        };
        assert_eq!(summary(&dry), summary(&told), "what would be done is what is done");
        assert!(dry.lines().count() > 100, "a line for each change: {dry}");
        stage.assert_converged().await;

        stage.edit(60, 10);
        let before = stage.sql().dump();
        for args in [&["sync", "--dry-run"][..], &["sync", "--full", "--dry-run"]] {
            stage.ask(args).await;
            assert_eq!(stage.sql().dump(), before, "{on:?} {args:?}");
        }
        stage.ask(&["sync"]).await;
        stage.assert_converged().await;
        assert!(stage.ask(&["sync", "--dry-run"]).await.contains("nothing would change"));
        let full = stage.ask(&["sync", "--full"]).await;
        assert!(full.contains("full run unchanged: no change"), "{full}");
    }
}

#[tokio::test]
async fn resync_and_status_talk_to_the_running_daemon() {
    let stage = Stage::new(On::Sqlite, small(61)).await;
    let told = stage.tell(&["status"]).await;
    assert_eq!(told.code, 1, "{told:?}");
    assert!(told.err.contains("no daemon answers"), "{told:?}");
    let daemon = stage.start().await;
    daemon.first_run().await;
    for (args, mode) in [(&["resync"][..], "delta"), (&["resync", "--full"], "full")] {
        let known = run_ids(&daemon.status().await);
        let told = stage.ask(args).await;
        assert!(
            told.contains(&format!("process {} was asked for a {mode} run", daemon.pid())),
            "{told}"
        );
        let run = daemon.run_unlike(&known).await;
        assert_eq!(run.trigger, "signal");
        assert_eq!(daemon.status().await.last[mode], run);
    }
    let json = stage.ask(&["status", "--json"]).await;
    let told: nexus_dirsync::daemon::Status = serde_json::from_str(&json).unwrap();
    assert_eq!(told, daemon.status().await);
    let text = stage.ask(&["status"]).await;
    for part in ["leads", "last delta", "last full", "unchanged", "keeps"] {
        assert!(text.contains(part), "{part} in {text}");
    }
    daemon.stop().await;
}

#[tokio::test]
async fn completions_are_for_this_program() {
    let stage = Stage::new(On::Sqlite, small(62)).await;
    let script = stage.ask(&["completions", "bash"]).await;
    for word in ["nexus-dirsync", "resync", "--dry-run", "complete -F"] {
        assert!(script.contains(word), "{word}");
    }
}

/// As another version may have left it.
#[tokio::test]
async fn a_recorded_run_that_cannot_be_read_hides_itself_and_nothing_else() {
    let stage = Stage::new(On::Sqlite, small(57)).await;
    let daemon = stage.start().await;
    daemon.first_run().await;
    let told = daemon.status().await;
    daemon.stop().await;
    stage.sql().execute("UPDATE dirsync_runs SET report = '{}'");
    stage.set_raw("schedule.startup", "false");
    let daemon = stage.start().await;
    let of = daemon.until_status("the past", |status| status.totals.is_some()).await;
    assert_eq!((of.last.len(), &of.last_success), (0, &told.last_success));
    assert_eq!(of.totals, told.totals);
    assert_eq!(daemon.code("/readyz").await, 200);
    daemon.stop().await;
}
