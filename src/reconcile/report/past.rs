//! What is known of runs that a process did not do itself.
//!
//! Owns what a replica shows while another leads, and starts from when it begins to lead.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use serde::Deserialize;
use uuid::Uuid;

use super::{FindingKind, LinkedGroup, PendingPlans, Removals, States, Totals};
use crate::directory::Mode;

/// How runs went, whichever replica did them, and what they left behind.
#[derive(Clone, Debug, Default)]
pub struct Past {
    /// The last run of each mode, however it ended.
    pub last: BTreeMap<Mode, Recorded>,
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
    /// The same by state, where somebody counted.
    pub states: Option<States>,
    /// Open findings by kind.
    pub findings: BTreeMap<FindingKind, u64>,
    /// Groups that links or the registry name, by how they are.
    pub linked_groups: BTreeMap<LinkedGroup, u64>,
    /// When the run began whose delta links are stored.
    pub read_at: Option<DateTime<Utc>>,
}

/// A run as its recorded report tells it: the part that is shown again. Labels are words,
/// because another version may have written them.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct Recorded {
    /// Its id.
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
    /// What it withheld.
    pub withheld: Removals,
    /// Why it failed, if it did.
    pub failure: Option<RecordedFailure>,
}

/// Why a recorded run failed; the message is for the log alone.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize)]
pub struct RecordedFailure {
    /// A label of a closed set.
    pub kind: String,
}
