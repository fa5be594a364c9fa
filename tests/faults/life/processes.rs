//! The daemons of a history: they come, go, reload, and live by a clock of ours.

use std::path::Path;

use nexus_dirsync::daemon::Status;
use rustix::process::Signal;

use super::Life;
use crate::process::Daemon;
use crate::schedule::Course;
use crate::stage::{Stage, free_port};

impl Life<'_> {
    pub(super) async fn toggle_second(&mut self, killed: bool) {
        match self.second.take() {
            Some(mut second) if killed => second.kill(),
            Some(mut second) => {
                second.signal(Signal::TERM);
                assert_eq!(second.exit_code().await, 0, "a stop that was asked for");
            }
            None => {
                let listen = format!("127.0.0.1:{}", free_port());
                let second = spawn(self.course, &self.stage, &listen);
                second.until_serving().await;
                self.second = Some(second);
            }
        }
    }

    /// A new process, up to the end of its first run, or until it stands by.
    pub(super) async fn start(&mut self) {
        self.daemon = spawn(self.course, &self.stage, &self.stage.listen());
        self.daemon.until_serving().await;
        let stands_by = self.second.is_some();
        let begun = |status: &Status| {
            let ran = status.running.is_none() && !status.last.is_empty();
            ran || (stands_by && !status.leader)
        };
        let status = self.daemon.until_status("its first run ends", begun).await;
        for run in status.last.values() {
            self.tell(&format!("  at start: {} {:?}", run.outcome, run.failure));
        }
    }

    pub(super) async fn reload(&self) {
        for daemon in self.daemons() {
            let before = daemon.status().await.config.loaded_at;
            daemon.signal(Signal::HUP);
            daemon.until_status("the reload", |status| status.config.loaded_at != before).await;
        }
    }
}

pub(super) fn spawn(course: &Course, stage: &Stage, listen: &str) -> Daemon {
    let clock = stage.path("clock").display().to_string();
    match faketime() {
        Some(library) if course.clock => stage.spawn_at(
            listen,
            &[
                ("LD_PRELOAD", library),
                ("FAKETIME_TIMESTAMP_FILE", &clock),
                ("FAKETIME_NO_CACHE", "1"),
                // Only what the clock on the wall says, not how fast time goes by.
                ("FAKETIME_DONT_FAKE_MONOTONIC", "1"),
                ("DONT_FAKE_MONOTONIC", "1"),
            ],
        ),
        _ => stage.spawn_at(listen, &[]),
    }
}

/// Debian's library that lies to a process about the time, if it is installed.
pub fn faketime() -> Option<&'static str> {
    const PLACES: [&str; 3] = [
        "/usr/lib/x86_64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/aarch64-linux-gnu/faketime/libfaketimeMT.so.1",
        "/usr/lib/faketime/libfaketimeMT.so.1",
    ];
    PLACES.into_iter().find(|place| Path::new(place).exists())
}

pub(super) fn offset(seconds: i64) -> String {
    format!("{seconds:+}s")
}
