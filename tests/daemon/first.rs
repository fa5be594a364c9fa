//! As process 1 of a container: signals, orphans, exit codes.

use std::fs;
use std::process::Command;

use rustix::process::{Pid, Signal, kill_process};

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

#[tokio::test]
async fn process_1_stops_on_a_signal_and_buries_orphans() {
    let namespace = ["--pid", "--fork", "--kill-child"];
    let allowed = Command::new("unshare").args(namespace).arg("true").status();
    if !allowed.is_ok_and(|status| status.success()) {
        println!("SKIPPED: process namespaces need unshare and the right to use it");
        return;
    }
    let stage = Stage::new(On::Sqlite, small(140)).await;
    let mut outside = stage.spawn_under(&[&["unshare"], &namespace[..]].concat());
    outside.until_serving().await;
    outside.first_run().await;
    assert_eq!(outside.status().await.pid, 1);
    let [(first, _)] = children(outside.pid())[..] else { panic!("one process is process 1") };

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

    kill_process(Pid::from_raw(i32::try_from(first).unwrap()).unwrap(), Signal::TERM).unwrap();
    assert_eq!(outside.exit_code().await, 0);
}
