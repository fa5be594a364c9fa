//! Whether the daemon can do its work: the database is reachable, its schema known.
//!
//! Owns how often that is really asked. Must not know how.

use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::sync::Mutex;
use tokio::time::{Instant, timeout};

use crate::config::Http;

/// How long an answer holds: probes of several kubelets and people ask the database once.
const HOLDS: Duration = Duration::from_secs(2);
/// How long the question may take.
const PATIENCE: Duration = Http::DATABASE_PATIENCE;

/// What is missing, in plain words that anybody may read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Unready {
    /// The database does not answer.
    Database(String),
    /// It answers, but something else is missing.
    Other(String),
}

impl Unready {
    /// The words.
    pub fn why(&self) -> &str {
        let (Self::Database(why) | Self::Other(why)) = self;
        why
    }
}

/// What is missing, if anything.
type Answer = Result<(), Unready>;
type Check = dyn Fn() -> BoxFuture<'static, Answer> + Send + Sync;

/// A check with its last answer. Clones share it.
#[derive(Clone)]
pub struct Readiness {
    check: Arc<Check>,
    last: Arc<Mutex<Option<(Instant, Answer)>>>,
}

impl Readiness {
    /// Asks `check`.
    pub fn new<F>(check: impl Fn() -> F + Send + Sync + 'static) -> Self
    where
        F: Future<Output = Answer> + Send + 'static,
    {
        Self { check: Arc::new(move || Box::pin(check())), last: Arc::default() }
    }

    /// The answer, a little old perhaps. Whoever comes while it is being asked waits for it.
    pub async fn check(&self) -> Answer {
        let mut last = self.last.lock().await;
        if let Some((asked, answer)) = &*last
            && asked.elapsed() < HOLDS
        {
            return answer.clone();
        }
        let late = |_| {
            let why = format!("the check took longer than {} s", PATIENCE.as_secs());
            Err(Unready::Database(why))
        };
        let answer = timeout(PATIENCE, (self.check)()).await.unwrap_or_else(late);
        *last = Some((Instant::now(), answer.clone()));
        answer
    }
}
