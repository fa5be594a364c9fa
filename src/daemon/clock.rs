//! The one place where the daemon learns what time it is.
//!
//! Owns nothing but the seam: tests bind it to tokio's paused time.

use std::fmt;
use std::sync::Arc;

use chrono::{DateTime, Utc};

/// Tells the time of day.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> DateTime<Utc> + Send + Sync>);

impl Clock {
    /// A clock that tells what `now` returns.
    pub fn new(now: impl Fn() -> DateTime<Utc> + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The clock of this machine.
    pub fn system() -> Self {
        Self::new(Utc::now)
    }

    /// What time it is.
    pub fn now(&self) -> DateTime<Utc> {
        self.0()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Clock({})", self.now())
    }
}
