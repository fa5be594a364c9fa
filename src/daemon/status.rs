//! What `/status` tells, and `nexus-dirsync status` reads.
//!
//! Owns the JSON form. Holds ids and counts only: no names, no addresses, no links,
//! and of a failure only its kind.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::requests::Request;
use crate::reconcile::report::{Outcome, Removals, Report, Totals};

/// What the daemon is doing and how it went lately.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Status {
    /// The version of the daemon.
    pub version: String,
    /// The revision it was built from.
    pub revision: String,
    /// The process, for `nexus-dirsync resync`.
    pub pid: u32,
    /// When it started.
    pub started_at: DateTime<Utc>,
    /// Whether it leads, or stands by for another replica.
    pub leader: bool,
    /// The run that is going on.
    pub running: Option<Running>,
    /// The last run of each mode, however it ended.
    pub last: BTreeMap<String, LastRun>,
    /// When a run of each mode last succeeded.
    pub last_success: BTreeMap<String, DateTime<Utc>>,
    /// When the next run of each mode is due.
    pub next: BTreeMap<String, DateTime<Utc>>,
    /// Failed runs since the last one that succeeded.
    pub consecutive_failures: u64,
    /// What the platform sees.
    pub totals: Option<Counts>,
    /// What the guard withholds.
    pub withheld: Counts,
    /// Open findings by kind.
    pub findings: BTreeMap<String, u64>,
    /// How reloading the configuration went.
    pub config: ConfigStatus,
}

/// A run that is going on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Running {
    /// What it was asked to read.
    pub mode: String,
    /// What woke it.
    pub trigger: String,
    /// When it began.
    pub since: DateTime<Utc>,
}

/// A run that has ended.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct LastRun {
    /// Its id, in every audit row and log line of it.
    pub run_id: Uuid,
    /// What woke it.
    pub trigger: String,
    /// How it ended.
    pub outcome: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// Rows written, by `entity.action`.
    pub changes: BTreeMap<String, u64>,
    /// Differences that delta runs had missed.
    pub drift: u64,
    /// Removals that lists suggested and a second look refuted.
    pub refuted: u64,
    /// The kind of failure, if it failed.
    pub failure: Option<String>,
}

/// Counts of users, groups and memberships.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships.
    pub memberships: u64,
}

/// How reloading the configuration went.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct ConfigStatus {
    /// When the configuration in use was loaded.
    pub loaded_at: DateTime<Utc>,
    /// Whether a later one was refused.
    pub reload_failed: bool,
    /// Keys that were changed but take a restart.
    pub restart_needed: Vec<String>,
}

impl Status {
    /// A daemon that has not done anything yet.
    pub fn new(now: DateTime<Utc>) -> Self {
        Self {
            version: crate::VERSION.to_owned(),
            revision: crate::REVISION.to_owned(),
            pid: std::process::id(),
            started_at: now,
            leader: false,
            running: None,
            last: BTreeMap::new(),
            last_success: BTreeMap::new(),
            next: BTreeMap::new(),
            consecutive_failures: 0,
            totals: None,
            withheld: Counts::default(),
            findings: BTreeMap::new(),
            config: ConfigStatus { loaded_at: now, ..ConfigStatus::default() },
        }
    }

    pub(super) fn begin(&mut self, request: Request, now: DateTime<Utc>) {
        self.running = Some(Running {
            mode: request.mode.label().to_owned(),
            trigger: request.trigger.label().to_owned(),
            since: now,
        });
    }

    pub(super) fn end(&mut self, report: &Report) {
        let mode = report.mode.label().to_owned();
        self.running = None;
        if report.outcome.is_success() {
            self.consecutive_failures = 0;
            self.last_success.insert(mode.clone(), report.finished_at);
            self.withheld = report.withheld.into();
            let findings = report.findings.iter().filter(|(_, count)| **count > 0);
            self.findings = findings.map(|(kind, n)| (kind.label().to_owned(), *n)).collect();
        } else if report.outcome == Outcome::Failed {
            self.consecutive_failures += 1;
        }
        // A run that read nothing knows no totals; the last known ones still hold.
        self.totals = report.totals.map(Counts::from).or(self.totals);
        self.last.insert(mode, LastRun::from(report));
    }
}

impl From<&Report> for LastRun {
    fn from(report: &Report) -> Self {
        let change =
            |((entity, action), count): (&(_, _), &u64)| (format!("{entity}.{action}"), *count);
        Self {
            run_id: report.run_id,
            trigger: report.trigger.label().to_owned(),
            outcome: report.outcome.label().to_owned(),
            started_at: report.started_at,
            finished_at: report.finished_at,
            changes: report.changes.iter().map(change).collect(),
            drift: report.drift,
            refuted: report.refuted,
            failure: report.failure.as_ref().map(|failure| failure.kind.to_owned()),
        }
    }
}

impl From<Removals> for Counts {
    fn from(Removals { users, groups, memberships }: Removals) -> Self {
        Self { users, groups, memberships }
    }
}

impl From<Totals> for Counts {
    fn from(Totals { users, groups, memberships }: Totals) -> Self {
        Self { users, groups, memberships }
    }
}
