//! Asking for runs, and waiting for what becomes of them.

use std::collections::BTreeSet;
use std::sync::Mutex;
use std::time::{Duration, Instant};

use nexus_dirsync::daemon::Status;
use nexus_dirsync::reconcile::report::LastRun;
use uuid::Uuid;

use super::Life;
use crate::process::run_ids;
use crate::proxy::{Act, Place};
use crate::schedule::Asked;
use crate::stage::until;

/// A signal that found nobody who leads is given again.
const ASKED_AGAIN: Duration = Duration::from_secs(3);

impl Life<'_> {
    /// Asks the daemon for a run and waits for its end.
    pub(super) async fn turn(&mut self, asked: Asked) {
        let before = self.known().await;
        self.daemon.signal(asked.signal());
        self.until_turned(asked, &before).await;
    }

    /// The runs that have ended so far, of every daemon.
    pub(super) async fn known(&self) -> BTreeSet<Uuid> {
        let mut known = BTreeSet::new();
        for daemon in self.daemons() {
            known.extend(run_ids(&daemon.status().await));
        }
        known
    }

    /// Waits until a run ended that is none of `before`, and none goes on. Whoever does not
    /// lead drops what it is asked; so the daemon is asked again until somebody does it.
    pub(super) async fn until_turned(&mut self, asked: Asked, before: &BTreeSet<Uuid>) {
        let asked_at = Mutex::new(Instant::now());
        let runs = until("a run ends", async || {
            let runs = self.idle().await?;
            let new: Vec<LastRun> =
                runs.into_iter().filter(|run| !before.contains(&run.run_id)).collect();
            let mut asked_at = asked_at.lock().unwrap();
            if new.is_empty() && asked_at.elapsed() > ASKED_AGAIN {
                self.daemons().for_each(|daemon| daemon.signal(asked.signal()));
                *asked_at = Instant::now();
            }
            (!new.is_empty()).then_some(new)
        });
        for run in runs.await {
            let failure = run.failure.clone().unwrap_or_default();
            self.tell(&format!("  {} {failure} {:?}", run.outcome, run.changes));
            let ended = format!("run {} {failure}", run.outcome);
            *self.figures.entry(ended.trim_end().to_owned()).or_default() += 1;
        }
    }

    /// The last runs of every daemon, once none of them runs.
    pub(super) async fn idle(&self) -> Option<Vec<LastRun>> {
        let mut runs = Vec::new();
        for daemon in self.daemons() {
            let Status { running, last, .. } = daemon.status().await;
            if running.is_some() {
                return None;
            }
            runs.extend(last.into_values());
        }
        Some(runs)
    }

    /// Asks for a run and waits until it stands at a place of its transaction, or is over.
    pub(super) async fn hold(&self, place: Place, asked: Asked) {
        let before = self.known().await;
        self.proxy.arm(place, Act::Hold);
        self.daemon.signal(asked.signal());
        until("a transaction is held", async || {
            let turned = || async {
                let runs = self.idle().await?;
                runs.iter().any(|run| !before.contains(&run.run_id)).then_some(())
            };
            if self.proxy.is_holding() { Some(()) } else { turned().await }
        })
        .await;
        self.tell(&format!("  held: {}", self.proxy.is_holding()));
    }
}
