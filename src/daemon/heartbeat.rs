//! Whether the run loop still turns: all that liveness asks.
//!
//! Owns the bound. Must not ask the database or Graph: a restart mends neither.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use tokio::time::{Instant, MissedTickBehavior, interval};

/// How often the loop shows that it turns.
pub(super) const BEAT: Duration = Duration::from_secs(1);
/// Silence for longer than this means that it does not.
const BOUND_SECONDS: u64 = 30;

/// The pulse of the run loop. Clones share it.
#[derive(Clone, Debug)]
pub struct Heartbeat(Arc<Pulse>);

#[derive(Debug)]
struct Pulse {
    started: Instant,
    last_seconds: AtomicU64,
}

impl Default for Heartbeat {
    fn default() -> Self {
        Self(Arc::new(Pulse { started: Instant::now(), last_seconds: AtomicU64::new(0) }))
    }
}

impl Heartbeat {
    /// Whether the loop turned lately.
    pub fn is_alive(&self) -> bool {
        let silence = self.now().saturating_sub(self.0.last_seconds.load(Ordering::Relaxed));
        silence <= BOUND_SECONDS
    }

    pub(super) fn beat(&self) {
        self.0.last_seconds.store(self.now(), Ordering::Relaxed);
    }

    /// Waits for `work` while showing that the loop turns; after `bound` no more, so
    /// that work which never ends is noticed.
    pub(super) async fn during<F: Future>(&self, bound: Duration, work: F) -> F::Output {
        let mut work = std::pin::pin!(work);
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let since = Instant::now();
        loop {
            tokio::select! {
                biased;
                output = &mut work => return output,
                _ = beats.tick() => if since.elapsed() <= bound { self.beat() },
            }
        }
    }

    fn now(&self) -> u64 {
        self.0.started.elapsed().as_secs()
    }
}
