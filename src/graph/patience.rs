//! How long to wait before asking again.
//!
//! Owns the reading of `Retry-After`, the exponential back-off and the gate that
//! holds every request of the client while Graph throttles it. Must not send
//! anything. Every wait ends at once when its future is dropped.

use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rand::Rng;
use tokio::time::{Instant, sleep_until};

/// The wait that a `Retry-After` asks for: whole or fractional seconds (trap 20), or an HTTP
/// date. `None` when it is absent, negative or nonsense.
pub(super) fn retry_after(header: &str, now: DateTime<Utc>) -> Option<Duration> {
    let header = header.trim();
    if let Ok(seconds) = header.parse::<f64>() {
        // An absurd number is still an order to wait; the caller caps it.
        return match seconds {
            s if s.is_nan() || s < 0.0 => None,
            s => Some(Duration::try_from_secs_f64(s).unwrap_or(Duration::MAX)),
        };
    }
    let date = DateTime::parse_from_rfc2822(header).ok()?;
    Some((date.with_timezone(&Utc) - now).to_std().unwrap_or(Duration::ZERO))
}

/// The bounds of a wait.
#[derive(Clone, Copy, Debug)]
pub(super) struct Backoff {
    /// Upper end of the first random wait.
    pub(super) base: Duration,
    /// The longest wait.
    pub(super) max: Duration,
}

impl Backoff {
    /// The wait before attempt number `attempt` (the first repetition is 1).
    ///
    /// Full jitter over a doubling range keeps clients from returning in step. What the
    /// server asks for is a floor: a `Retry-After` stuck at `1` (trap 20) must not keep us
    /// hammering for ever. A tenth of the base is the least, so that no wait is none.
    pub(super) fn wait(self, attempt: u32, asked: Option<Duration>) -> Duration {
        let floor = (self.base / 10).min(self.max);
        let doubled = 2_u32.saturating_pow(attempt.saturating_sub(1));
        let ceiling = self.base.saturating_mul(doubled).min(self.max);
        let own = rand::rng().random_range(floor..=ceiling.max(floor));
        own.max(asked.unwrap_or(Duration::ZERO)).min(self.max)
    }
}

/// Closed while Graph throttles the application: asking on would only burn quota,
/// because refused requests count too (3.4 of the facts).
#[derive(Debug, Default)]
pub(super) struct Gate {
    opens: Mutex<Option<Instant>>,
}

impl Gate {
    /// Keeps everybody out for `wait` from now, or longer if the gate is closed for longer already.
    pub(super) fn close(&self, wait: Duration) {
        let until = Instant::now() + wait;
        let mut opens = self.opens.lock().unwrap_or_else(PoisonError::into_inner);
        *opens = Some(opens.map_or(until, |other| other.max(until)));
    }

    /// Waits until the gate is open; says how long that took.
    pub(super) async fn pass(&self) -> Duration {
        let arrived = Instant::now();
        while let Some(until) = self.closed_until() {
            sleep_until(until).await;
        }
        arrived.elapsed()
    }

    fn closed_until(&self) -> Option<Instant> {
        let opens = self.opens.lock().unwrap_or_else(PoisonError::into_inner);
        opens.filter(|until| *until > Instant::now())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn trap_20_every_form_of_retry_after_is_read() {
        let now = DateTime::parse_from_rfc3339("2026-11-22T08:00:00Z")
            .expect("a date")
            .with_timezone(&Utc);
        let table = [
            ("5", Some(Duration::from_secs(5))),
            (" 0 ", Some(Duration::ZERO)),
            ("2.128", Some(Duration::from_secs_f64(2.128))),
            ("0.249", Some(Duration::from_secs_f64(0.249))),
            ("1e30", Some(Duration::MAX)),
            ("inf", Some(Duration::MAX)),
            ("-1", None),
            ("NaN", None),
            ("", None),
            ("soon", None),
            ("Sun, 22 Nov 2026 08:00:07 GMT", Some(Duration::from_secs(7))),
            ("Sun, 22 Nov 2026 07:00:00 GMT", Some(Duration::ZERO)),
        ];
        for (header, wait) in table {
            assert_eq!(retry_after(header, now), wait, "{header:?}");
        }
    }

    #[test]
    fn a_wait_keeps_its_bounds() {
        let backoff = Backoff { base: Duration::from_millis(500), max: Duration::from_secs(20) };
        for attempt in 1..200 {
            let own = backoff.wait(attempt, None);
            assert!(own >= Duration::from_millis(50) && own <= Duration::from_secs(20), "{own:?}");
            assert!(attempt > 1 || own <= Duration::from_millis(500));
        }
        assert!(backoff.wait(1, Some(Duration::from_secs(3))) == Duration::from_secs(3));
        assert_eq!(backoff.wait(1, Some(Duration::MAX)), Duration::from_secs(20));
        assert!(backoff.wait(1, Some(Duration::ZERO)) >= Duration::from_millis(50));
    }

    #[tokio::test(start_paused = true)]
    async fn a_closed_gate_holds_everybody_until_its_longest_wait_is_over() {
        let gate = Gate::default();
        assert_eq!(gate.pass().await, Duration::ZERO);
        gate.close(Duration::from_secs(5));
        gate.close(Duration::from_secs(2));
        let (a, b) = tokio::join!(gate.pass(), gate.pass());
        assert_eq!((a.as_secs(), b.as_secs()), (5, 5));
    }

    #[tokio::test(start_paused = true)]
    async fn a_wait_ends_at_once_when_dropped() {
        let gate = Gate::default();
        gate.close(Duration::from_hours(1));
        let before = Instant::now();
        assert!(tokio::time::timeout(Duration::from_secs(1), gate.pass()).await.is_err());
        assert!(before.elapsed() < Duration::from_secs(2));
    }
}
