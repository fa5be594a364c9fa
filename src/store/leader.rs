//! The epoch of the lead, and the fence that each commit of a leader passes.
//!
//! Owns that a former leader cannot write, however late it wakes up. Who may raise the
//! epoch is the candidate's: only the holder of the lock.

use chrono::{DateTime, Utc};
use diesel::connection::SimpleConnection;
use diesel::prelude::*;

use super::schema::dirsync_leader::dsl;
use super::types::{Time, is_postgres};
use super::{Doing, Error, Tx};

/// Who leads, or led last.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// Raised with each change of the lead.
    pub epoch: i64,
    /// How the replica calls itself.
    pub holder: String,
    /// When it took the lead.
    pub since: DateTime<Utc>,
}

impl Tx<'_> {
    /// Who leads, or led last; `None` before the first.
    pub fn leader(&mut self) -> Result<Option<Leader>, Error> {
        let row: Option<(i64, String, Time)> = dsl::dirsync_leader
            .select((dsl::epoch, dsl::holder, dsl::since))
            .first(self.conn)
            .optional()
            .doing("reading who leads")?;
        Ok(row.map(|(epoch, holder, Time(since))| Leader { epoch, holder, since }))
    }

    /// Begins a new epoch. Waits for commits of the old one, which are still good; those
    /// that come later are refused.
    pub(super) fn raise_epoch(&mut self, holder: &str) -> Result<Leader, Error> {
        let values = (dsl::holder.eq(holder), dsl::since.eq(Time(Utc::now())));
        let raised = diesel::update(dsl::dirsync_leader.find(1))
            .set((dsl::epoch.eq(dsl::epoch + 1), values))
            .execute(self.conn)
            .doing("raising the epoch of the lead")?;
        if raised == 0 {
            diesel::insert_into(dsl::dirsync_leader)
                .values((dsl::id.eq(1), dsl::epoch.eq(1), values))
                .execute(self.conn)
                .doing("beginning the first epoch of the lead")?;
        }
        self.leader()?.ok_or_else(|| Error::Corrupt("nobody leads".to_owned()))
    }

    /// Shows that this transaction is of a leader, so that a new one finds it in
    /// `pg_locks` should it never end. Takes no snapshot.
    pub(super) fn enter_fence(&mut self) -> Result<(), Error> {
        if is_postgres(self.conn) {
            self.conn
                .batch_execute("LOCK TABLE dirsync_leader IN ROW SHARE MODE")
                .doing("waiting for a new leader")?;
        }
        Ok(())
    }

    /// Makes sure that the epoch is still the leader's own, and stays so until the end of
    /// this transaction.
    pub(super) fn pass_fence(&mut self, epoch: i64) -> Result<(), Error> {
        let row = dsl::dirsync_leader.select(dsl::epoch);
        let stored: Option<i64> = match self.conn {
            super::Conn::Postgres(conn) => row.for_share().first(conn),
            super::Conn::Sqlite(conn) => row.first(conn),
        }
        .optional()
        .doing("passing the leader's fence")?;
        match stored {
            Some(stored) if stored == epoch => Ok(()),
            stored => Err(Error::Deposed { epoch, stored: stored.unwrap_or(0) }),
        }
    }
}
