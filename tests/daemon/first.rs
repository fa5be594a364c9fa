//! As process 1 of a container: signals, orphans, exit codes.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

use crate::process::Daemon;
use crate::stage::{Stage, small, until};
use crate::support::world::On;

/// The children of a process, with their states.
fn children(pid: u32) -> Vec<(u32, char)> {
    let folders = fs::read_dir("/proc").unwrap().flatten();
    let stats = folders.filter_map(|folder| fs::read_to_string(folder.path().join("stat")).ok());
    let child = |stat: String| {
        // The name stands in parentheses and may hold anything.
        let (head, tail) = stat.rsplit_once(')')?;
        let mut fields = tail.split_whitespace();
        let state = fields.next()?.chars().next()?;
        let parent: u32 = fields.next()?.parse().ok()?;
        (parent == pid).then_some((head.split(' ').next()?.parse().ok()?, state))
    };
    stats.filter_map(child).collect()
}

/// Makes a child process 1 of a namespace of its own.
const UNSHARE: [&str; 4] = ["unshare", "--pid", "--fork", "--kill-child"];

fn may_unshare() -> bool {
    let allowed = Command::new(UNSHARE[0]).args(&UNSHARE[1..]).arg("true").status();
    let allowed = allowed.is_ok_and(|status| status.success());
    if !allowed {
        println!("SKIPPED: process namespaces need unshare and the right to use it");
    }
    allowed
}

/// The process that is process 1 under this `unshare`, as seen from here.
fn process_1(outside: &Daemon) -> u32 {
    let [(first, _)] = children(outside.pid())[..] else { panic!("one process is process 1") };
    first
}

fn signal(pid: u32, signal: Signal) {
    kill_process(Pid::from_raw(i32::try_from(pid).unwrap()).unwrap(), signal).unwrap();
}

/// An init container or a Job that waits is ended as quickly as any other.
#[tokio::test]
async fn a_migration_that_waits_as_process_1_ends_on_a_signal() {
    if !may_unshare() {
        return;
    }
    for (sent, code) in [(Signal::TERM, 143), (Signal::INT, 130)] {
        let stage = Stage::new(On::Postgres, small(141)).await;
        let mut other = stage.sql();
        // That of migrations: the first bytes of "dirsync" and a purpose.
        other.execute(&format!(
            "BEGIN; SELECT pg_advisory_xact_lock({})",
            0x6469_7273_796e_6301_i64
        ));
        let mut outside = stage.spawn_under(&UNSHARE, &["migrate"]);
        let waits = "SELECT CAST(pid AS text) AS cell FROM pg_locks \
                     WHERE NOT granted AND locktype = 'advisory' AND database = \
                       (SELECT oid FROM pg_database WHERE datname = current_database())";
        until("it waits", async || other.finds(waits).then_some(())).await;
        signal(process_1(&outside), sent);
        assert_eq!(outside.exit_code().await, code, "{sent:?}");
    }
}

#[tokio::test]
async fn process_1_stops_on_a_signal_and_buries_orphans() {
    if !may_unshare() {
        return;
    }
    let stage = Stage::new(On::Sqlite, small(140)).await;
    let mut outside = stage.spawn_under(&UNSHARE, &["run"]);
    outside.until_serving().await;
    outside.first_run().await;
    assert_eq!(outside.status().await.pid, 1);
    let first = process_1(&outside);

    // A process that ends after its parent did: process 1 inherits it.
    let orphan = Command::new("nsenter")
        .args(["--pid", "--target", &first.to_string(), "sh", "-c", "sleep 0.2 & exit 0"])
        .status();
    assert!(orphan.unwrap().success());
    let buried = async || {
        let told = outside.said("DEBUG", "an orphan ended");
        (!told.is_empty() && children(first).is_empty()).then_some(())
    };
    until("the orphan is buried", buried).await;

    signal(first, Signal::TERM);
    assert_eq!(outside.exit_code().await, 0);
}
