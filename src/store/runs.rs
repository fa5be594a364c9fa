//! The history of runs: counts and outcomes, no names.

use std::collections::BTreeMap;

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::bulk::insert_rows;
use super::schema::{
    dirsync_aad_groups, dirsync_group_members, dirsync_runs, dirsync_user_identities,
};
use super::types::{Id, Json, Time};
use super::{Doing, Error, Tx};
use crate::directory::Mode;
use crate::reconcile::report::{Outcome, States, Totals};

#[derive(Queryable, Insertable)]
#[diesel(table_name = dirsync_runs, treat_none_as_default_value = false)]
struct StoredRun {
    id: Id,
    mode: String,
    trigger: String,
    outcome: String,
    started_at: Time,
    finished_at: Time,
    report: Json,
}

/// A run as it was recorded.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunRow {
    /// The run's id.
    pub id: Uuid,
    /// Label of the mode.
    pub mode: String,
    /// Label of the trigger.
    pub trigger: String,
    /// Label of the outcome.
    pub outcome: String,
    /// When it began.
    pub started_at: DateTime<Utc>,
    /// When it ended.
    pub finished_at: DateTime<Utc>,
    /// The report as JSON.
    pub report: String,
}

impl From<StoredRun> for RunRow {
    fn from(row: StoredRun) -> Self {
        let StoredRun { id, mode, trigger, outcome, started_at, finished_at, report } = row;
        Self {
            id: id.0,
            mode,
            trigger,
            outcome,
            started_at: started_at.0,
            finished_at: finished_at.0,
            report: report.0,
        }
    }
}

#[derive(QueryableByName)]
struct Pairs {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    pairs: i64,
}

impl Tx<'_> {
    /// Records a run.
    pub fn record_run(&mut self, run: &RunRow) -> Result<(), Error> {
        let RunRow { id, mode, trigger, outcome, started_at, finished_at, report } = run.clone();
        let row = StoredRun {
            id: Id(id),
            mode,
            trigger,
            outcome,
            started_at: Time(started_at),
            finished_at: Time(finished_at),
            report: Json(report),
        };
        insert_rows!(self.conn, dirsync_runs::table, [row], "recording the run")?;
        Ok(())
    }

    /// The newest runs, newest first.
    pub fn recent_runs(&mut self, rows_max: i64) -> Result<Vec<RunRow>, Error> {
        let rows: Vec<StoredRun> = dirsync_runs::table
            .order(dirsync_runs::finished_at.desc())
            .limit(rows_max)
            .load(self.conn)
            .doing("reading runs")?;
        Ok(rows.into_iter().map(RunRow::from).collect())
    }

    /// The newest run of each mode.
    pub fn last_runs(&mut self) -> Result<BTreeMap<Mode, RunRow>, Error> {
        self.newest(Outcome::ALL)
    }

    /// The newest run of each mode that ended well.
    pub fn last_good_runs(&mut self) -> Result<BTreeMap<Mode, RunRow>, Error> {
        let good: Vec<Outcome> =
            Outcome::ALL.iter().copied().filter(|outcome| outcome.is_success()).collect();
        self.newest(&good)
    }

    fn newest(&mut self, outcomes: &[Outcome]) -> Result<BTreeMap<Mode, RunRow>, Error> {
        let labels: Vec<&str> = outcomes.iter().map(|outcome| outcome.label()).collect();
        let mut newest = BTreeMap::new();
        for mode in [Mode::Full, Mode::Delta] {
            let row: Option<StoredRun> = dirsync_runs::table
                .filter(dirsync_runs::mode.eq(mode.label()))
                .filter(dirsync_runs::outcome.eq_any(&labels))
                .order(dirsync_runs::finished_at.desc())
                .first(self.conn)
                .optional()
                .doing("reading the last runs")?;
            newest.extend(row.map(|row| (mode, row.into())));
        }
        Ok(newest)
    }

    /// How many runs failed since then, or ever.
    pub fn failures_since(&mut self, time: Option<DateTime<Utc>>) -> Result<u64, Error> {
        let time = time.unwrap_or(DateTime::UNIX_EPOCH);
        let failed: i64 = dirsync_runs::table
            .filter(dirsync_runs::outcome.eq(Outcome::Failed.label()))
            .filter(dirsync_runs::finished_at.gt(Time(time)))
            .count()
            .get_result(self.conn)
            .doing("counting failed runs")?;
        Ok(failed.unsigned_abs())
    }

    /// Deletes runs that ended before `limit`; returns how many.
    pub fn prune_runs(&mut self, limit: DateTime<Utc>) -> Result<usize, Error> {
        diesel::delete(dirsync_runs::table.filter(dirsync_runs::finished_at.lt(Time(limit))))
            .execute(self.conn)
            .doing("pruning runs")
    }

    /// How much the platform sees, as the last run left it; `None` before the first.
    pub fn carried_totals(&mut self) -> Result<Option<Totals>, Error> {
        use super::schema::dirsync_cursors::dsl;
        let carried: Option<(i64, i64, i64, Option<i64>)> = dsl::dirsync_cursors
            .select((dsl::live_users, dsl::live_groups, dsl::memberships, dsl::access_pairs))
            .first(self.conn)
            .optional()
            .doing("reading the totals")?;
        Ok(carried.and_then(|(users, groups, memberships, access)| {
            Some(Totals {
                users: users.unsigned_abs(),
                groups: groups.unsigned_abs(),
                memberships: memberships.unsigned_abs(),
                access: access?.unsigned_abs(),
            })
        }))
    }

    /// How much the platform sees, counted: reads whole tables.
    pub fn totals(&mut self) -> Result<Totals, Error> {
        let users: i64 = dirsync_user_identities::table
            .filter(dirsync_user_identities::state.eq("live"))
            .count()
            .get_result(self.conn)
            .doing("counting users")?;
        let groups: i64 = dirsync_aad_groups::table
            .filter(dirsync_aad_groups::state.eq("live"))
            .count()
            .get_result(self.conn)
            .doing("counting groups")?;
        let memberships: i64 = dirsync_group_members::table
            .count()
            .get_result(self.conn)
            .doing("counting memberships")?;
        let access: Pairs = diesel::sql_query(
            "SELECT count(*) AS pairs FROM (SELECT DISTINCT product_id, user_id FROM product_access) pair",
        )
        .get_result(self.conn)
        .doing("counting access")?;
        Ok(Totals {
            access: access.pairs.unsigned_abs(),
            users: users.unsigned_abs(),
            groups: groups.unsigned_abs(),
            memberships: memberships.unsigned_abs(),
        })
    }

    /// How many objects are in which state: reads whole tables.
    pub fn states(&mut self) -> Result<States, Error> {
        use diesel::dsl::count_star;
        let users: Vec<(String, i64)> = dirsync_user_identities::table
            .group_by(dirsync_user_identities::state)
            .select((dirsync_user_identities::state, count_star()))
            .load(self.conn)
            .doing("counting users by state")?;
        let groups: Vec<(String, i64)> = dirsync_aad_groups::table
            .group_by(dirsync_aad_groups::state)
            .select((dirsync_aad_groups::state, count_star()))
            .load(self.conn)
            .doing("counting groups by state")?;
        let of = |rows: &[(String, i64)], state: &str| {
            rows.iter().find(|(found, _)| found == state).map_or(0, |(_, n)| n.unsigned_abs())
        };
        Ok(States {
            users: ["live", "disabled", "removed"].map(|state| of(&users, state)),
            groups: ["live", "removed"].map(|state| of(&groups, state)),
        })
    }

    /// The database's clock.
    pub fn now(&mut self) -> Result<DateTime<Utc>, Error> {
        #[derive(QueryableByName)]
        struct Now {
            #[diesel(sql_type = super::types::TimeSql)]
            now: Time,
        }
        let sql = if super::types::is_postgres(self.conn) {
            "SELECT now() AS now"
        } else {
            "SELECT strftime('%Y-%m-%dT%H:%M:%fZ', 'now') AS now"
        };
        let row: Now = diesel::sql_query(sql).get_result(self.conn).doing("reading the clock")?;
        Ok(row.now.0)
    }

    /// Users and groups that are removed since before `limit`: what a purge asks Graph about.
    pub fn purge_candidates(
        &mut self,
        limit: DateTime<Utc>,
    ) -> Result<(Vec<crate::directory::ObjectId>, Vec<crate::directory::ObjectId>), Error> {
        let users: Vec<Id> = dirsync_user_identities::table
            .filter(dirsync_user_identities::removed_at.lt(Time(limit)))
            .select(dirsync_user_identities::object_id)
            .order(dirsync_user_identities::object_id)
            .load(self.conn)
            .doing("reading who may be purged")?;
        let groups: Vec<Id> = dirsync_aad_groups::table
            .filter(dirsync_aad_groups::removed_at.lt(Time(limit)))
            .select(dirsync_aad_groups::object_id)
            .order(dirsync_aad_groups::object_id)
            .load(self.conn)
            .doing("reading what may be purged")?;
        Ok((
            users.into_iter().map(Into::into).collect(),
            groups.into_iter().map(Into::into).collect(),
        ))
    }
}
