//! Notices that the database says nothing any more.
//!
//! Owns how long an answer is awaited: a little longer than the server itself would let the
//! question live. Must not end the question, which libpq cannot: whoever waits is told, and
//! the thread that asked is left to its connection.

use std::cell::RefCell;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use diesel::connection::InstrumentationEvent;
use tokio::time::sleep;

use super::Settings;

/// What an answer may take beyond the server's own limit: the way there and back.
const MARGIN: Duration = Duration::from_secs(5);
/// How often is looked whether a question began, or ended.
const LOOK_EVERY: Duration = Duration::from_millis(500);

thread_local! {
    /// On whose behalf this thread asks.
    static ASKING: RefCell<Option<Call>> = const { RefCell::new(None) };
}

/// Questions that one thread asks, one after the other.
#[derive(Clone)]
pub(super) struct Call {
    due: Arc<Mutex<Due>>,
    statement: Duration,
}

#[derive(Default)]
struct Due {
    at: Option<Instant>,
    /// It is of several statements together.
    together: bool,
}

/// How long getting a connection may take: to wait for the pool's, then to ask the server
/// directly why there is none.
pub(super) fn connecting(settings: &Settings) -> Duration {
    // libpq takes no less.
    settings.connect_timeout.max(Duration::from_secs(2)) * 2 + MARGIN
}

impl Call {
    pub(super) fn new(settings: &Settings) -> Self {
        Self { due: Arc::default(), statement: settings.statement_timeout + MARGIN }
    }

    /// Does `work` on this thread, watched.
    pub(super) fn watch<T>(&self, work: impl FnOnce() -> T) -> T {
        ASKING.set(Some(self.clone()));
        let done = work();
        ASKING.take();
        done
    }

    /// Waits until an answer should have been there.
    pub(super) async fn overdue(&self) {
        loop {
            let wait = match self.due().at {
                None => LOOK_EVERY,
                Some(at) => at.saturating_duration_since(Instant::now()),
            };
            if wait.is_zero() {
                return;
            }
            sleep(wait.min(LOOK_EVERY)).await;
        }
    }

    fn due(&self) -> MutexGuard<'_, Due> {
        // Nothing can panic while it is held.
        self.due.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Does what must be done `within` that time, however many statements it takes.
pub(super) fn expect<T>(within: Duration, work: impl FnOnce() -> T) -> T {
    await_until(Due { at: Some(Instant::now() + within), together: true });
    let done = work();
    await_until(Due::default());
    done
}

/// The same for what is as long as one statement may be, and no connection tells of.
pub(super) fn expect_statement<T>(work: impl FnOnce() -> T) -> T {
    let within = ASKING.with_borrow(|call| call.as_ref().map(|call| call.statement));
    match within {
        Some(within) => expect(within, work),
        None => work(),
    }
}

fn await_until(due: Due) {
    ASKING.with_borrow(|call| {
        if let Some(call) = call {
            *call.due() = due;
        }
    });
}

/// What a connection tells of its statements.
pub(super) fn listen(event: &InstrumentationEvent<'_>) {
    ASKING.with_borrow(|call| {
        let Some(call) = call else { return };
        let at = match event {
            InstrumentationEvent::StartQuery { .. } => Some(Instant::now() + call.statement),
            InstrumentationEvent::FinishQuery { .. } => None,
            _ => return,
        };
        let mut due = call.due();
        if !due.together {
            due.at = at;
        }
    });
}
