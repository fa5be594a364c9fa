//! What is known of runs that a process did not do itself.
//!
//! Owns what a replica shows while another leads, and starts from when it begins to lead.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::{FindingKind, LinkedGroup, PendingPlans, Removals, Report, States, Totals};
use crate::directory::Mode;

/// How runs went, whichever replica did them, and what they left behind.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The last run of each mode, however it ended, if its report can be read.
    pub last: BTreeMap<Mode, LastRun>,
    /// When a run of each mode last succeeded.
    pub last_success: BTreeMap<Mode, DateTime<Utc>>,
    /// Failed runs since the last one that succeeded, as far as they could be recorded.
    pub consecutive_failures: u64,
    /// What the last run that succeeded withheld.
    pub withheld: Removals,
    /// What the last full run that succeeded found that delta runs should have applied.
    pub drift: u64,
    /// Held plans that wait for a person.
    pub pending: PendingPlans,
    /// What the platform sees; `None` before the first run.
    pub totals: Option<Totals>,
    /// The same by state, as the last full run counted, or else whoever asks.
    pub states: Option<States>,
    /// Open findings by kind.
    pub findings: BTreeMap<FindingKind, u64>,
    /// Groups that links or the registry name, by how they are.
    pub linked_groups: BTreeMap<LinkedGroup, u64>,
    /// When the run began whose delta links are stored.
    pub read_at: Option<DateTime<Utc>>,
}

/// A run that has ended, as it is shown. Labels are words: another version may have
/// recorded it.
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
