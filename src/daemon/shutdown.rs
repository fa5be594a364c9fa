//! "Please stop": who says it, and how work that may be abandoned hears it.
//!
//! Owns the difference between being told to stop and having taken too long. Must
//! not decide what may be abandoned; that is the caller's choice of what it wraps.

use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, sleep_until};

/// The end that says stop. When it is dropped, that means stop, too.
#[derive(Clone, Debug)]
pub struct Stopper(watch::Sender<bool>);

impl Stopper {
    /// Asks everything that listens to stop. Cannot be taken back.
    pub fn stop(&self) {
        self.0.send_replace(true);
    }
}

/// The end that hears it.
#[derive(Clone, Debug)]
pub struct Shutdown {
    stopped: watch::Receiver<bool>,
    limit: Option<Limit>,
}

#[derive(Clone, Copy, Debug)]
struct Limit {
    until: Instant,
    allowed: Duration,
}

/// Why work was given up.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Stopped {
    /// The process shall end.
    #[error("a stop was asked for")]
    Requested,
    /// The time for it is over.
    #[error(
        "reading took longer than schedule.run_timeout ({})",
        humantime::format_duration(*allowed)
    )]
    TimedOut {
        /// What the setting allows.
        allowed: Duration,
    },
}

impl Shutdown {
    /// Both ends.
    pub fn channel() -> (Stopper, Self) {
        let (stopper, stopped) = watch::channel(false);
        (Stopper(stopper), Self { stopped, limit: None })
    }

    /// The same, but giving up by itself once `allowed` is over.
    #[must_use]
    pub fn within(&self, allowed: Duration) -> Self {
        let limit = Limit { until: Instant::now() + allowed, allowed };
        Self { stopped: self.stopped.clone(), limit: Some(limit) }
    }

    /// Whether a stop was asked for by now.
    pub fn is_requested(&self) -> bool {
        *self.stopped.borrow() || self.stopped.has_changed().is_err()
    }

    /// Waits until it is time to give up, and says why.
    pub async fn stopped(&self) -> Stopped {
        let mut receiver = self.stopped.clone();
        // An error means that nobody is left to say it: stop as well.
        let asked = async { drop(receiver.wait_for(|stop| *stop).await) };
        let Some(Limit { until, allowed }) = self.limit else {
            asked.await;
            return Stopped::Requested;
        };
        tokio::select! {
            biased;
            () = asked => Stopped::Requested,
            () = sleep_until(until) => Stopped::TimedOut { allowed },
        }
    }

    /// Does `work`, dropping it at its next await point when it is time to give up.
    pub async fn unless_stopped<F: Future>(&self, work: F) -> Result<F::Output, Stopped> {
        tokio::select! {
            biased;
            why = self.stopped() => Err(why),
            output = work => Ok(output),
        }
    }
}
