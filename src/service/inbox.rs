//! Which requests of other processes the run loop has heard of.
//!
//! Owns that each makes it run once: the election finds rows, runs answer them. Must not
//! lose any: what a run could not answer is heard of again.

use std::collections::BTreeSet;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use crate::chain::Chain;
use crate::daemon::{Request, Requests};
use crate::directory::Mode;
use crate::store::{RunRequest, Store, Verdict};
use crate::sync::Run;

/// The rows that the run loop knows of. Clones share them.
#[derive(Clone, Debug, Default)]
pub struct Inbox(Arc<Mutex<BTreeSet<i64>>>);

impl Inbox {
    /// Asks the run loop for what it has not heard of.
    pub(super) fn deliver(&self, pending: &[RunRequest], requests: &Requests) {
        for RunRequest { id, mode, trigger } in pending.iter().copied() {
            if self.known().insert(id) {
                tracing::info!(%mode, %trigger, "a run was asked for from another process");
                requests.ask(Request { mode, trigger });
            }
        }
    }

    /// What a run that begins now will answer: all that is pending, but a delta run
    /// answers no request for a full one.
    pub(super) async fn open(&self, store: &Store, mode: Mode) -> Vec<i64> {
        let pending = store.read(|tx| tx.pending_requests()).await.unwrap_or_else(|error| {
            // The run will meet the same error, and tell.
            tracing::debug!(error = %Chain(&error), "requests could not be read");
            Vec::new()
        });
        let answers = |request: &RunRequest| mode == Mode::Full || request.mode == Mode::Delta;
        let ids: Vec<i64> = pending.into_iter().filter(answers).map(|request| request.id).collect();
        self.known().extend(&ids);
        ids
    }

    /// A run answered these in its commit.
    pub(super) fn answered(&self, ids: &[i64]) {
        self.known().retain(|id| !ids.contains(id));
    }

    /// A run failed: that is an answer, too. Where it cannot be written, and where the run
    /// only gave up, the rows stay for the next one.
    pub(super) async fn failed(&self, store: &Store, run: Run, ids: Vec<i64>, answers: bool) {
        if answers && !ids.is_empty() {
            let ids = ids.clone();
            let marked = store.write(move |tx| {
                tx.take_requests(&ids, run.id, run.started_at).map(Verdict::Commit)
            });
            if let Err(error) = marked.await {
                tracing::debug!(error = %Chain(&error), "requests could not be marked");
            }
        }
        self.answered(&ids);
    }

    /// Whoever leads next hears of all of them.
    pub(super) fn forget(&self) {
        self.known().clear();
    }

    fn known(&self) -> MutexGuard<'_, BTreeSet<i64>> {
        // Nothing can panic while it is held.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::{Config, Sources};
    use crate::reconcile::report::Trigger;

    async fn store(folder: &tempfile::TempDir) -> Store {
        let url = format!("sqlite://{}", folder.path().join("dirsync.db").display());
        let environment = [
            ("DIRSYNC__IDENTITY__KIND", "azure_cli"),
            ("DIRSYNC__IDENTITY__TENANT_ID", "11111111-2222-3333-4444-555555555555"),
            ("DIRSYNC__DATABASE__URL", &url),
        ];
        let environment = environment.map(|(key, value)| (key.to_owned(), value.into())).into();
        let config = Config::load(&Sources { file: None, environment }).expect("good");
        let store = crate::service::store(&config.database).expect("a store");
        store.migrate().await.expect("a schema");
        store
    }

    #[tokio::test]
    async fn a_delta_run_answers_no_request_for_a_full_one() {
        let folder = tempfile::tempdir().expect("a folder");
        let store = store(&folder).await;
        for mode in [Mode::Full, Mode::Delta] {
            let ask = move |tx: &mut crate::store::Tx<'_>| {
                tx.request_run(mode, Trigger::Command, "a test").map(Verdict::Commit)
            };
            store.write(ask).await.expect("a row");
        }
        assert_eq!(Inbox::default().open(&store, Mode::Delta).await, [2]);
        assert_eq!(Inbox::default().open(&store, Mode::Full).await, [1, 2]);
    }

    #[tokio::test]
    async fn each_row_is_heard_of_once_until_it_could_not_be_answered() {
        let row = RunRequest { id: 7, mode: Mode::Full, trigger: Trigger::Command };
        let inbox = Inbox::default();
        let hears = || {
            let requests = Requests::default();
            inbox.deliver(&[row], &requests);
            format!("{requests:?}").contains("Full")
        };
        assert!(hears() && !hears());
        inbox.answered(&[7]);
        assert!(hears() && !hears());
        inbox.forget();
        assert!(hears());
    }
}
