//! What `/status` tells, and `nexus-dirsync status` reads.
//!
//! Owns the JSON form. What became of runs is told of the whole installation: a standby
//! shows what the leader did, some seconds later. Holds ids and counts only: no names, no
//! addresses, no links, and of a failure only its kind.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};

use super::lead::Leader;
use super::requests::Request;
use crate::directory::Mode;
use crate::reconcile::report::{
    FindingKind, LastRun, Outcome, Past, PendingPlans, Removals, Report, Totals,
};

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
    /// How this replica calls itself (`leader.instance`).
    pub instance: String,
    /// Whether it leads, or stands by for another replica.
    pub leader: bool,
    /// Who leads, if that is known.
    pub leads: Option<Leader>,
    /// The run that is going on in this process.
    pub running: Option<Running>,
    /// The last run of each mode, however it ended and whichever replica did it.
    pub last: BTreeMap<String, LastRun>,
    /// When a run of each mode last succeeded.
    pub last_success: BTreeMap<String, DateTime<Utc>>,
    /// When the next run of each mode is due.
    pub next: BTreeMap<String, DateTime<Utc>>,
    /// Failed runs since the last one that succeeded; of other replicas and of earlier
    /// processes as far as the database could record them.
    pub consecutive_failures: u64,
    /// What the platform sees.
    pub totals: Option<Counts>,
    /// What the guard withholds.
    pub withheld: Counts,
    /// Held plans that wait for a person.
    pub pending: Pending,
    /// Open findings by kind.
    pub findings: BTreeMap<String, u64>,
    /// How verifying the audit went.
    pub audit: AuditStatus,
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

/// Counts by the guard's units.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    /// Users.
    pub users: u64,
    /// Groups.
    pub groups: u64,
    /// Memberships.
    pub memberships: u64,
    /// (user, product) pairs.
    pub access: u64,
}

/// Held plans that wait for a person; see `nexus-dirsync plans list`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Pending {
    /// How many.
    pub plans: u64,
    /// Since when the oldest of them waits.
    pub since: Option<DateTime<Utc>>,
}

/// How verifying the audit went, while this replica leads.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct AuditStatus {
    /// When that was last over.
    pub verified_at: Option<DateTime<Utc>>,
    /// Audit rows of the daemon that were replayed then.
    pub rows: u64,
    /// Places where audit and tables did not tell the same.
    pub differences: u64,
    /// When the next is due; nothing for never (`audit.verify_every`).
    pub due_at: Option<DateTime<Utc>>,
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
            instance: String::new(),
            leader: false,
            leads: None,
            running: None,
            last: BTreeMap::new(),
            last_success: BTreeMap::new(),
            next: BTreeMap::new(),
            consecutive_failures: 0,
            totals: None,
            withheld: Counts::default(),
            pending: Pending::default(),
            findings: BTreeMap::new(),
            audit: AuditStatus::default(),
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

    /// What is known of runs that this process did not do.
    pub(super) fn recall(&mut self, past: &Past) {
        let Past { last, last_success, consecutive_failures, withheld, pending, totals, .. } = past;
        let word = |mode: &Mode| mode.label().to_owned();
        self.last = last.iter().map(|(mode, run)| (word(mode), run.clone())).collect();
        self.last_success = last_success.iter().map(|(mode, time)| (word(mode), *time)).collect();
        self.consecutive_failures = *consecutive_failures;
        self.left(*withheld, *pending, &past.findings);
        self.totals = totals.map(Counts::from);
    }

    fn left(
        &mut self,
        withheld: Removals,
        PendingPlans { plans, oldest }: PendingPlans,
        findings: &BTreeMap<FindingKind, u64>,
    ) {
        self.withheld = withheld.into();
        self.pending = Pending { plans, since: oldest };
        let open = findings.iter().filter(|(_, count)| **count > 0);
        self.findings = open.map(|(kind, n)| (kind.label().to_owned(), *n)).collect();
    }

    pub(super) fn end(&mut self, report: &Report) {
        let mode = report.mode.label().to_owned();
        self.running = None;
        if report.outcome.is_success() {
            self.consecutive_failures = 0;
            self.last_success.insert(mode.clone(), report.finished_at);
            self.left(report.withheld, report.pending, &report.findings);
        } else if report.outcome == Outcome::Failed {
            self.consecutive_failures += 1;
        }
        // A run that read nothing knows no totals; the last known ones still hold.
        self.totals = report.totals.map(Counts::from).or(self.totals);
        self.last.insert(mode, LastRun::from(report));
    }
}

impl From<Removals> for Counts {
    fn from(Removals { users, groups, memberships, access }: Removals) -> Self {
        Self { users, groups, memberships, access }
    }
}

impl From<Totals> for Counts {
    fn from(Totals { users, groups, memberships, access }: Totals) -> Self {
        Self { users, groups, memberships, access }
    }
}
