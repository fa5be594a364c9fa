//! When the audit is verified: by whoever leads, at once if a run has ever succeeded, and then
//! again and again.
//!
//! Owns the times. Must not know what a verification does, and never holds up a run.

use std::future::pending;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

use super::board::Board;
use super::clock::Clock;
use super::lead::Lead;
use super::shutdown::Shutdown;
use super::status::AuditStatus;
use crate::config::Config;

/// How soon a verification that failed is tried again, where the next is not due earlier.
const RETRY_EVERY: Duration = Duration::from_mins(10);

/// What a verification found.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Verified {
    /// Audit rows of the daemon that were replayed.
    pub rows: u64,
    /// Places where audit and tables do not tell the same.
    pub differences: u64,
}

/// Verifies the audit and says aloud what it found. Nothing if it had to give up: because
/// of a stop, because the lead went, or because something failed, which it says, too.
pub type Verify = Arc<dyn Fn(Shutdown) -> BoxFuture<'static, Option<Verified>> + Send + Sync>;

/// Has the audit verified while this replica leads.
pub(super) struct Auditor {
    pub(super) verify: Verify,
    /// The configuration in use.
    pub(super) config: watch::Receiver<Arc<Config>>,
    pub(super) lead: watch::Receiver<Lead>,
    /// Where runs are seen, and what was found is shown.
    pub(super) board: Arc<Board>,
    pub(super) clock: Clock,
    pub(super) shutdown: Shutdown,
}

impl Auditor {
    /// Until a stop.
    pub(super) async fn watch(self) {
        let shutdown = self.shutdown.clone();
        let reigns = async {
            loop {
                self.reign().await;
            }
        };
        let _ = shutdown.unless_stopped(reigns).await;
    }

    /// From the moment this replica leads until it no longer does. What it found is not
    /// shown any longer then: the next leader may find something else.
    async fn reign(&self) {
        let mut lead = self.lead.clone();
        if lead.wait_for(|lead| lead.leading).await.is_err() {
            return pending().await;
        }
        let deposed = async {
            // An error means that nobody will lead any more.
            let _ = lead.wait_for(|lead| !lead.leading).await;
        };
        tokio::select! {
            biased;
            () = deposed => {}
            () = self.keep_verifying() => {}
        }
        self.board.audit(&AuditStatus::default());
    }

    async fn keep_verifying(&self) {
        let mut config = self.config.clone();
        let since = self.clock.now();
        let mut known = AuditStatus::default();
        let mut last: Option<Attempt> = None;
        loop {
            let every = config.borrow_and_update().audit.verify_every;
            if every.is_none() {
                // What was found is not looked at any more, and may be over. Switched on
                // again, it is due at once.
                (known, last) = (AuditStatus::default(), None);
            }
            known.due_at = every.map(|every| due(&known, every, since));
            self.board.audit(&known);
            let its_time = async {
                match (every, last) {
                    (None, _) => pending().await,
                    (Some(_), None) => self.run_succeeded().await,
                    (Some(every), Some(last)) => sleep_until(last.next(every)).await,
                }
            };
            tokio::select! {
                biased;
                changed = config.changed() => match changed {
                    Ok(()) => continue,
                    Err(_) => return pending().await,
                },
                () = its_time => {}
            }
            let found = (self.verify)(self.shutdown.clone()).await;
            last = Some(Attempt { at: Instant::now(), failed: found.is_none() });
            if let Some(Verified { rows, differences }) = found {
                let verified_at = Some(self.clock.now());
                known = AuditStatus { verified_at, rows, differences, ..known };
            }
        }
    }

    /// Before the first run of all the tables may be anything, an empty schema included.
    async fn run_succeeded(&self) {
        let mut status = self.board.watch();
        if status.wait_for(|status| !status.last_success.is_empty()).await.is_err() {
            pending::<()>().await;
        }
    }
}

#[derive(Clone, Copy)]
struct Attempt {
    at: Instant,
    failed: bool,
}

impl Attempt {
    fn next(self, every: Duration) -> Instant {
        self.at + if self.failed { every.min(RETRY_EVERY) } else { every }
    }
}

/// When the next verification should be over by: what failed is overdue.
fn due(known: &AuditStatus, every: Duration, since: DateTime<Utc>) -> DateTime<Utc> {
    let every = TimeDelta::from_std(every).unwrap_or(TimeDelta::MAX);
    known.verified_at.map_or(since, |at| at.checked_add_signed(every).unwrap_or(at))
}
