//! Whether the audit's rows stand in the order of time, each in a run that there was.
//!
//! Catches what a replay cannot see: rows that were dated back, or written by hand under
//! the daemon's name, and runs that were taken out of the history.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde_json::Value;
use uuid::Uuid;

use super::Divergence;
use crate::store::schema::dirsync_runs;
use crate::store::types::{Id, Time};
use crate::store::{Doing, Error, Tx};

/// How far a row may be dated before the one above it. A run that starts over keeps the
/// time at which it began, and the clocks of hosts differ; both stay far below this.
const STEP_BACK_MAX: TimeDelta = TimeDelta::days(1);

/// What is known of runs, and of the rows met so far.
pub(super) struct Chronicle {
    /// When each recorded run began.
    runs: BTreeMap<Uuid, DateTime<Utc>>,
    /// When the earliest of them ended: runs are pruned by their end, so that one which is
    /// missing began before this.
    kept_since: Option<DateTime<Utc>>,
    latest: Option<DateTime<Utc>>,
    /// Runs that something was already said about.
    told: BTreeSet<Uuid>,
    found: Vec<Divergence>,
}

impl Tx<'_> {
    /// What is recorded of runs.
    pub(super) fn chronicle(&mut self) -> Result<Chronicle, Error> {
        let rows: Vec<(Id, Time, Time)> = dirsync_runs::table
            .select((dirsync_runs::id, dirsync_runs::started_at, dirsync_runs::finished_at))
            .load(self.conn)
            .doing("reading runs")?;
        Ok(Chronicle {
            kept_since: rows.iter().map(|(_, _, finished)| finished.0).min(),
            runs: rows.into_iter().map(|(id, started, _)| (id.0, started.0)).collect(),
            latest: None,
            told: BTreeSet::new(),
            found: Vec::new(),
        })
    }
}

impl Chronicle {
    /// Looks at the next row of the daemon, in the order of ids.
    pub(super) fn take(&mut self, audit_id: i64, created_at: DateTime<Utc>, metadata: &Value) {
        let run = metadata["run_id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
        let began = run.and_then(|run| self.runs.get(&run).copied());
        // A run that is recorded with the very same date had a clock that was wrong: that
        // is no row which somebody dated back.
        if let Some(latest) = self.latest
            && began != Some(created_at)
            && created_at + STEP_BACK_MAX < latest
        {
            self.say(audit_id, format!("dated {created_at}, but a row before it {latest}"));
        }
        self.latest = self.latest.max(Some(created_at));
        let Some(run) = run else {
            self.say(audit_id, "names no run".to_owned());
            return;
        };
        let what = match began {
            Some(began) if began == created_at => return,
            Some(began) => format!("dated {created_at}, but run {run} began at {began}"),
            None if self.kept_since.is_some_and(|since| created_at < since) => return,
            None => format!("run {run} is not in dirsync_runs, though it is not that old"),
        };
        if self.told.insert(run) {
            self.say(audit_id, what);
        }
    }

    /// What was given up is not looked into any more: its runs went with it.
    pub(super) fn forget(&mut self, created_at: DateTime<Utc>) {
        self.found.clear();
        self.latest = Some(created_at);
    }

    pub(super) fn into_divergences(self) -> Vec<Divergence> {
        self.found
    }

    fn say(&mut self, audit_id: i64, what: String) {
        let (entity, id) = ("audit_logs".to_owned(), audit_id.to_string());
        self.found.push(Divergence { entity, id, what });
    }
}
