//! Whether the audit's rows stand in the order of time, each in a run that there was.
//!
//! Catches what a replay cannot see: rows that were dated back, or written by hand under
//! the daemon's name, runs that were taken out of the history, and rows that were taken
//! out of a run or rewritten.

use std::collections::{BTreeMap, BTreeSet};

use chrono::{DateTime, TimeDelta, Utc};
use diesel::prelude::*;
use serde::Deserialize;
use serde_json::Value;
use uuid::Uuid;

use super::Divergence;
use crate::reconcile::report::Outcome;
use crate::store::schema::dirsync_runs;
use crate::store::types::{Id, Json, Time};
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
    /// Rows that each recorded run counted while it wrote them, by `entity.action`.
    counted: BTreeMap<Uuid, Counts>,
    /// The same, as met.
    met: BTreeMap<Uuid, Counts>,
    /// Runs that something was already said about.
    told: BTreeSet<Uuid>,
    found: Vec<Divergence>,
}

type Counts = BTreeMap<String, u64>;

/// The part of a run's report that the audit can be held against.
#[derive(Deserialize)]
struct Recorded {
    changes: Counts,
}

impl Tx<'_> {
    /// What is recorded of runs.
    pub(super) fn chronicle(&mut self) -> Result<Chronicle, Error> {
        let rows: Vec<(Id, Time, Time)> = dirsync_runs::table
            .select((dirsync_runs::id, dirsync_runs::started_at, dirsync_runs::finished_at))
            .load(self.conn)
            .doing("reading runs")?;
        let counted = self.counted(rows.iter().map(|(id, ..)| id.0))?;
        Ok(Chronicle {
            counted,
            met: BTreeMap::new(),
            kept_since: rows.iter().map(|(_, _, finished)| finished.0).min(),
            runs: rows.into_iter().map(|(id, started, _)| (id.0, started.0)).collect(),
            latest: None,
            told: BTreeSet::new(),
            found: Vec::new(),
        })
    }

    /// What each of these runs says that it wrote. Only runs with such outcomes wrote
    /// anything, and nearly all others are too many to read their reports.
    fn counted(
        &mut self,
        runs: impl Iterator<Item = Uuid>,
    ) -> Result<BTreeMap<Uuid, Counts>, Error> {
        let wrote = [Outcome::Applied, Outcome::Held].map(Outcome::label);
        let reports: Vec<(Id, Json)> = dirsync_runs::table
            .filter(dirsync_runs::outcome.eq_any(wrote))
            .select((dirsync_runs::id, dirsync_runs::report))
            .load(self.conn)
            .doing("reading what runs wrote")?;
        let mut counted: BTreeMap<Uuid, Counts> = runs.map(|id| (id, Counts::new())).collect();
        for (id, Json(report)) in reports {
            let recorded: Recorded = serde_json::from_str(&report)
                .map_err(|error| Error::Corrupt(format!("the report of run {}: {error}", id.0)))?;
            counted.insert(id.0, recorded.changes);
        }
        Ok(counted)
    }
}

impl Chronicle {
    /// Looks at the next row of the daemon, in the order of ids.
    pub(super) fn take(
        &mut self,
        audit_id: i64,
        created_at: DateTime<Utc>,
        metadata: &Value,
        (entity, action): (&str, &str),
    ) {
        let run = metadata["run_id"].as_str().and_then(|id| Uuid::parse_str(id).ok());
        let began = run.and_then(|run| self.runs.get(&run).copied());
        // A run that is recorded with the very same date had a clock that was wrong: that
        // is no row which somebody dated back.
        if let Some(latest) = self.latest
            && began != Some(created_at)
            && latest - created_at > STEP_BACK_MAX
        {
            self.say(audit_id, format!("dated {created_at}, but a row before it {latest}"));
        }
        self.latest = self.latest.max(Some(created_at));
        let Some(run) = run else {
            self.say(audit_id, "names no run".to_owned());
            return;
        };
        if began.is_some() {
            let met = self.met.entry(run).or_default();
            *met.entry(format!("{entity}.{action}")).or_default() += 1;
        }
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

    /// What was given up is not looked into any more: its runs went with it. Returns whether
    /// that can be true. Runs on record that are older, or wrote rows above this one, were
    /// not given up: then somebody else wrote it to make the rest be forgotten.
    pub(super) fn forget(&mut self, audit_id: i64, created_at: DateTime<Utc>) -> bool {
        let is_older = |began: &DateTime<Utc>| created_at - *began > STEP_BACK_MAX;
        if !self.met.is_empty() || self.runs.values().any(is_older) {
            let what = "gives up what the daemon had, though its runs are on record";
            self.say(audit_id, what.to_owned());
            return false;
        }
        self.found.clear();
        self.latest = Some(created_at);
        true
    }

    pub(super) fn into_divergences(mut self) -> Vec<Divergence> {
        let (counted, met) = (std::mem::take(&mut self.counted), std::mem::take(&mut self.met));
        for (run, counted) in counted {
            let none = Counts::new();
            let met = met.get(&run).unwrap_or(&none);
            let words: BTreeSet<&String> = counted.keys().chain(met.keys()).collect();
            for word in words {
                let count = |counts: &Counts| counts.get(word).copied().unwrap_or_default();
                let (wrote, found) = (count(&counted), count(met));
                if wrote != found {
                    self.found.push(Divergence {
                        entity: "audit_logs".to_owned(),
                        id: run.to_string(),
                        what: format!("the run wrote {wrote} rows {word}, the audit has {found}"),
                    });
                }
            }
        }
        self.found
    }

    fn say(&mut self, audit_id: i64, what: String) {
        let (entity, id) = ("audit_logs".to_owned(), audit_id.to_string());
        self.found.push(Divergence { entity, id, what });
    }
}
