//! Runs that were asked for from another process: a row, and a word to whoever leads.
//!
//! Owns that none is lost: a row stays pending until the run that answers it says so in
//! its own transaction. Must not decide which run that is.

use chrono::{DateTime, Utc};
use diesel::prelude::*;
use uuid::Uuid;

use super::schema::dirsync_requests::dsl;
use super::types::{Id, Time, is_postgres};
use super::{Doing, Error, Tx};
use crate::directory::Mode;
use crate::reconcile::report::Trigger;

/// What the leader listens for.
pub(super) const CHANNEL: &str = "dirsync";

/// As many pending rows are looked at at once; the rest waits for the next run.
const PENDING_MAX: i64 = 1_000;

/// A run that somebody waits for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RunRequest {
    /// Names the row.
    pub id: i64,
    /// What shall be read.
    pub mode: Mode,
    /// Who asks.
    pub trigger: Trigger,
}

impl Tx<'_> {
    /// Asks the leader, whoever that is, for a run. It begins as soon as this is
    /// committed; `by` says who asked.
    pub fn request_run(&mut self, mode: Mode, trigger: Trigger, by: &str) -> Result<(), Error> {
        diesel::insert_into(dsl::dirsync_requests)
            .values((
                dsl::mode.eq(mode.label()),
                dsl::trigger.eq(trigger.label()),
                dsl::requested_by.eq(by),
                dsl::requested_at.eq(Time(Utc::now())),
            ))
            .execute(self.conn)
            .doing("asking for a run")?;
        self.notify()
    }

    /// Wakes every daemon of this database when the transaction commits. SQLite knows no
    /// such thing: there the only daemon looks every few seconds.
    pub(super) fn notify(&mut self) -> Result<(), Error> {
        if is_postgres(self.conn) {
            diesel::sql_query(format!("SELECT pg_notify('{CHANNEL}', '')"))
                .execute(self.conn)
                .doing("waking the leader")?;
        }
        Ok(())
    }

    /// What was asked for and not answered yet, oldest first.
    pub fn pending_requests(&mut self) -> Result<Vec<RunRequest>, Error> {
        let rows: Vec<(i64, String, String)> = dsl::dirsync_requests
            .filter(dsl::taken_at.is_null())
            .order(dsl::id)
            .limit(PENDING_MAX)
            .select((dsl::id, dsl::mode, dsl::trigger))
            .load(self.conn)
            .doing("reading requests")?;
        let request = |(id, mode, trigger): (i64, String, String)| RunRequest {
            id,
            mode: if mode == Mode::Full.label() { Mode::Full } else { Mode::Delta },
            // A newer version may know more reasons; the run is wanted all the same.
            trigger: Trigger::parse(&trigger).unwrap_or(Trigger::Command),
        };
        Ok(rows.into_iter().map(request).collect())
    }

    /// These are answered by this run. Those that another run answered stay its own.
    pub fn take_requests(
        &mut self,
        ids: &[i64],
        run: Uuid,
        now: DateTime<Utc>,
    ) -> Result<(), Error> {
        if ids.is_empty() {
            return Ok(());
        }
        let open =
            dsl::dirsync_requests.filter(dsl::id.eq_any(ids)).filter(dsl::taken_at.is_null());
        diesel::update(open)
            .set((dsl::taken_at.eq(Time(now)), dsl::run_id.eq(Id(run))))
            .execute(self.conn)
            .doing("marking requests")?;
        Ok(())
    }

    /// Deletes requests that were answered before `limit`; returns how many.
    pub fn prune_requests(&mut self, limit: DateTime<Utc>) -> Result<usize, Error> {
        diesel::delete(dsl::dirsync_requests.filter(dsl::taken_at.lt(Time(limit))))
            .execute(self.conn)
            .doing("pruning requests")
    }
}
