//! Asks for runs when their cron expressions are due.
//!
//! Owns what "due" means: missed times coalesce into one run, full beats delta, and
//! daylight saving neither skips nor repeats a run. The scheduler crate only ticks: it
//! keeps a fixed offset instead of a time zone, lets runs overlap, and forgets.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use chrono_tz::Tz;
use sha2::{Digest, Sha256};
use tokio::sync::{mpsc, watch};
use tokio_cron_scheduler::{Job, JobScheduler, JobSchedulerError};
use uuid::Uuid;

use super::board::Board;
use super::clock::Clock;
use super::requests::{Request, Requests};
use super::shutdown::Shutdown;
use crate::config::{Config, Cron, Schedule};
use crate::directory::Mode;
use crate::reconcile::report::Trigger;

/// Without a tick for this long the ticker is broken, and nothing would ever run.
const TICKER_SILENCE_MAX: Duration = Duration::from_mins(1);

/// When runs are due. Knows no clock: it is told the time.
#[derive(Debug)]
pub struct Timetable {
    entries: Vec<Entry>,
    zone: Tz,
    last_seen: DateTime<Utc>,
}

#[derive(Debug)]
struct Entry {
    mode: Mode,
    cron: Cron,
    delay: TimeDelta,
    next: Option<DateTime<Utc>>,
}

impl Timetable {
    /// The times after `now`, or, for modes that last ran at a known time, after that:
    /// what was missed while nobody was running is due at once, and once only.
    pub fn new(
        schedule: &Schedule,
        tenant: Uuid,
        last: &BTreeMap<Mode, DateTime<Utc>>,
        now: DateTime<Utc>,
    ) -> Self {
        let delay = delay(tenant, schedule.full_jitter);
        let modes = [
            (Mode::Full, &schedule.full, delay),
            (Mode::Delta, &schedule.delta, TimeDelta::zero()),
        ];
        let entries = modes.into_iter().filter_map(|(mode, cron, delay)| {
            let mut entry = Entry { mode, cron: cron.clone()?, delay, next: None };
            entry.advance(last.get(&mode).copied().unwrap_or(now).min(now), schedule.time_zone);
            Some(entry)
        });
        Self { entries: entries.collect(), zone: schedule.time_zone, last_seen: now }
    }

    /// What is due at `now`, which moves everything that was due to its next time.
    pub fn due(&mut self, now: DateTime<Utc>) -> Option<Mode> {
        // A clock that was set back would otherwise leave the daemon waiting.
        let set_back = now < self.last_seen;
        self.last_seen = now;
        let zone = self.zone;
        let mut due = Vec::new();
        for entry in &mut self.entries {
            let is_due = entry.next.is_some_and(|next| next <= now);
            if is_due {
                due.push(entry.mode);
            }
            if is_due || set_back {
                entry.advance(now, zone);
            }
        }
        // Entries stand in order of strength.
        due.first().copied()
    }

    /// When each mode is due next.
    pub fn next(&self) -> BTreeMap<Mode, DateTime<Utc>> {
        self.entries.iter().filter_map(|entry| Some((entry.mode, entry.next?))).collect()
    }

    /// The longest time between two runs of each mode, looking ahead from `now`.
    pub fn longest_gaps(&self, now: DateTime<Utc>) -> BTreeMap<Mode, TimeDelta> {
        let gap = |entry: &Entry| Some((entry.mode, entry.cron.longest_gap(now, self.zone)?));
        self.entries.iter().filter_map(gap).collect()
    }
}

impl Entry {
    fn advance(&mut self, after: DateTime<Utc>, zone: Tz) {
        self.next = self.cron.next_after(after - self.delay, zone).map(|time| time + self.delay);
    }
}

/// A delay up to `most` that is the same each night but differs between tenants.
fn delay(tenant: Uuid, most: Duration) -> TimeDelta {
    let digest = Sha256::digest(tenant.as_bytes());
    let number = u32::from_be_bytes([digest[0], digest[1], digest[2], digest[3]]);
    let seconds = u64::from(number) % (most.as_secs() + 1);
    TimeDelta::seconds(i64::try_from(seconds).expect("the configuration allows hours at most"))
}

/// Sends something about once a second until it is dropped.
pub struct Ticker {
    scheduler: JobScheduler,
    ticks: mpsc::Receiver<()>,
}

impl Ticker {
    /// Starts the ticker.
    pub async fn start() -> Result<Self, JobSchedulerError> {
        // Room for one: ticks nobody took are not worth keeping.
        let (tick, ticks) = mpsc::channel(1);
        let mut scheduler = JobScheduler::new().await?;
        let job = Job::new("* * * * * *", move |_, _| {
            let _ = tick.try_send(());
        })?;
        scheduler.add(job).await?;
        if let Err(error) = scheduler.start().await {
            scheduler.shutdown().await?;
            return Err(error);
        }
        Ok(Self { scheduler, ticks })
    }

    /// Follows the schedule of the configuration in use, until a stop or until the
    /// ticks fail to come.
    pub(super) async fn drive(mut self, follower: Follower, shutdown: Shutdown) {
        let followed = shutdown.unless_stopped(follower.follow(&mut self.ticks)).await;
        if followed.is_ok() {
            tracing::error!(
                seconds = TICKER_SILENCE_MAX.as_secs(),
                "the scheduler stopped ticking"
            );
        }
        if let Err(error) = self.scheduler.shutdown().await {
            tracing::debug!(%error, "the scheduler did not shut down");
        }
    }
}

/// Turns ticks into requests.
pub struct Follower {
    /// The configuration in use.
    pub config: watch::Receiver<Arc<Config>>,
    /// When each mode last ran, from before this process or before it began to lead.
    pub last: watch::Receiver<BTreeMap<Mode, DateTime<Utc>>>,
    /// Whom to ask.
    pub requests: Requests,
    /// Where the next times are shown.
    pub board: Arc<Board>,
    /// What time it is.
    pub clock: Clock,
}

impl Follower {
    /// Asks for runs as they become due. Ends only when no tick comes any more.
    pub async fn follow(mut self, ticks: &mut mpsc::Receiver<()>) {
        let mut timetable = self.timetable(true);
        while let Ok(Some(())) = tokio::time::timeout(TICKER_SILENCE_MAX, ticks.recv()).await {
            let begins_to_lead = self.last.has_changed().unwrap_or(false);
            if begins_to_lead || self.config.has_changed().unwrap_or(false) {
                // What is due right now must not fall between two timetables.
                self.ask(timetable.due(self.clock.now()));
                timetable = self.timetable(begins_to_lead);
            }
            let due = timetable.due(self.clock.now());
            if due.is_some() {
                self.board.next_runs(&timetable.next());
            }
            self.ask(due);
        }
    }

    /// The times from now on; with `catch_up` also what was missed before.
    fn timetable(&mut self, catch_up: bool) -> Timetable {
        let config = Arc::clone(&self.config.borrow_and_update());
        let last = self.last.borrow_and_update().clone();
        let last = if catch_up { last } else { BTreeMap::new() };
        let (tenant, now) = (config.identity.tenant_id, self.clock.now());
        let timetable = Timetable::new(&config.schedule, tenant, &last, now);
        self.board.next_runs(&timetable.next());
        self.board.longest_gaps(&timetable.longest_gaps(now));
        timetable
    }

    fn ask(&self, due: Option<Mode>) {
        if let Some(mode) = due {
            self.requests.ask(Request { mode, trigger: Trigger::Schedule });
        }
    }
}
