//! What the daemon was asked to do and has not begun yet.
//!
//! Owns the coalescing: any number of requests make one run. Must not run anything.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use tokio::sync::Notify;

use crate::directory::Mode;
use crate::reconcile::report::Trigger;

/// One wish for a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Request {
    /// What to read.
    pub mode: Mode,
    /// Who asks. Recorded, never acted upon.
    pub trigger: Trigger,
}

impl Request {
    /// The one run that answers both: full beats delta, and what is recorded is the
    /// cause that most deserves to be told of its result.
    pub(super) fn merged(self, other: Self) -> Self {
        let mode = if self.mode == Mode::Full { self.mode } else { other.mode };
        let trigger = if weight(self.trigger) >= weight(other.trigger) {
            self.trigger
        } else {
            other.trigger
        };
        Self { mode, trigger }
    }

    /// Whether somebody waits for it: nothing else brings such a run about.
    pub(super) const fn is_of_people(self) -> bool {
        matches!(self.trigger, Trigger::Signal | Trigger::Command)
    }
}

/// People before machines, rare before frequent.
const fn weight(trigger: Trigger) -> u8 {
    match trigger {
        Trigger::Signal => 3,
        Trigger::Command => 2,
        Trigger::Startup => 1,
        Trigger::Schedule => 0,
    }
}

/// The next thing to do.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Work {
    /// Take a new configuration; before a run, so that the run has it.
    Reload,
    /// Run once.
    Run(Request),
}

/// The handle that signals, schedule and start-up share. Clones ask the same daemon.
#[derive(Clone, Debug, Default)]
pub struct Requests(Arc<Shared>);

#[derive(Debug, Default)]
struct Shared {
    pending: Mutex<Pending>,
    wake: Notify,
}

#[derive(Debug, Default)]
struct Pending {
    reload: bool,
    run: Option<Request>,
}

impl Requests {
    /// Asks for a run. While one is going on, any number of these make exactly one more.
    pub fn ask(&self, request: Request) {
        let mut pending = self.pending();
        pending.run = Some(pending.run.map_or(request, |earlier| earlier.merged(request)));
        drop(pending);
        self.0.wake.notify_one();
    }

    /// Asks for the configuration to be loaded again.
    pub fn ask_reload(&self) {
        self.pending().reload = true;
        self.0.wake.notify_one();
    }

    /// Takes the next thing to do. Nothing is lost when the wait is given up.
    pub(super) async fn next(&self) -> Work {
        loop {
            if let Some(work) = self.take() {
                return work;
            }
            self.0.wake.notified().await;
        }
    }

    /// The same, if there is anything.
    pub(super) fn take(&self) -> Option<Work> {
        let mut pending = self.pending();
        if std::mem::take(&mut pending.reload) {
            return Some(Work::Reload);
        }
        pending.run.take().map(Work::Run)
    }

    fn pending(&self) -> MutexGuard<'_, Pending> {
        // Nothing can panic while it is held, and the state is whole at any time.
        self.0.pending.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
