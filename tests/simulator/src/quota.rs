//! The token bucket of resource units and the price of every call. It must not know the answers it charges for.

use std::time::{Duration, Instant};

use crate::options::{Quota, RetryAfter};

/// The bucket of one app in one tenant.
#[derive(Debug)]
pub(crate) struct Bucket {
    quota: Quota,
    used: f64,
    since: Instant,
}

/// What charging a call led to.
#[derive(Debug, Clone, PartialEq)]
pub(crate) enum Verdict {
    /// Go ahead; the share of the limit in use if it is worth a warning.
    Granted { warning: Option<f64> },
    /// Too much; the `Retry-After` header to send.
    Throttled { retry_after: Option<String>, share: f64 },
}

impl Bucket {
    pub(crate) fn new(quota: Quota) -> Self {
        Self { quota, used: 0.0, since: Instant::now() }
    }

    pub(crate) fn set(&mut self, quota: Quota) {
        *self = Self::new(quota);
    }

    /// Charges a call at a moment. Throttled calls still count a little: hammering does not pay.
    pub(crate) fn charge(&mut self, units: u32, now: Instant) -> Verdict {
        let Some(limit) = self.quota.units_per_ten_seconds.map(f64::from) else {
            return Verdict::Granted { warning: None };
        };
        let per_second = limit / 10.0;
        let elapsed = now.saturating_duration_since(self.since).as_secs_f64();
        self.used = (self.used - elapsed * per_second).max(0.0);
        self.since = now;
        let wanted = self.used + f64::from(units);
        if wanted > limit {
            let wait = Duration::from_secs_f64((wanted - limit) / per_second);
            self.used = (self.used + 0.2).min(limit * 1.8);
            return Verdict::Throttled { retry_after: self.advice(wait), share: wanted / limit };
        }
        self.used = wanted;
        let share = wanted / limit;
        Verdict::Granted { warning: (share > 0.8).then_some(share) }
    }

    fn advice(&self, wait: Duration) -> Option<String> {
        match self.quota.retry_after {
            RetryAfter::Exact => Some(format!("{:.3}", wait.as_secs_f64().max(0.001))),
            RetryAfter::Seconds(seconds) => Some(seconds.to_string()),
            RetryAfter::Absent => None,
        }
    }
}

/// The price of a read: the base price, less one for `$select`, less one for `$top` below 20, never below one.
pub(crate) fn price(base: u32, has_select: bool, top: Option<usize>) -> u32 {
    let rebate = u32::from(has_select) + u32::from(top.is_some_and(|top| top < 20));
    base.saturating_sub(rebate).max(1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn prices_follow_the_published_table() {
        for (base, select, top, expected) in [
            (3, false, None, 3),
            (3, true, Some(999), 2),
            (5, true, Some(5), 3),
            (2, true, Some(5), 1),
            (1, true, None, 1),
        ] {
            assert_eq!(price(base, select, top), expected);
        }
    }

    #[test]
    fn the_bucket_warns_then_throttles_then_refills() {
        let start = Instant::now();
        let mut bucket = Bucket::new(Quota::of(10));
        bucket.since = start;
        assert_eq!(bucket.charge(8, start), Verdict::Granted { warning: None });
        assert!(
            matches!(bucket.charge(1, start), Verdict::Granted { warning: Some(share) } if share > 0.8)
        );
        let Verdict::Throttled { retry_after, .. } = bucket.charge(3, start) else {
            panic!("over the limit")
        };
        assert_eq!(retry_after.as_deref(), Some("2.000"));
        let later = start + Duration::from_secs(10);
        assert_eq!(bucket.charge(3, later), Verdict::Granted { warning: None });
    }
}
