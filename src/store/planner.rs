//! What the database's planner is told. SQLite needs no telling: it looks for keys by index.

use diesel::connection::SimpleConnection;

use super::types::is_postgres;
use super::{Doing, Error, Tx};

/// The tables that delta runs read by key. The audit is only written to.
const READ_BY_KEY: &str = "users, aad_groups, dirsync_user_identities, dirsync_aad_groups, \
    dirsync_group_members, dirsync_observed_users, dirsync_observed_groups, dirsync_observed_edges";

impl Tx<'_> {
    /// Says that everything from here on is about few rows, given by key. Told that rows
    /// are dear and pages cheap, the planner looks for each key, where it would otherwise
    /// read a table whole now and then: the cost would follow the tenant.
    pub fn few_rows(&mut self) -> Result<(), Error> {
        if is_postgres(self.conn) {
            self.conn
                .batch_execute("SET LOCAL cpu_tuple_cost = 10; SET LOCAL jit = off")
                .doing("preparing the transaction")?;
        }
        Ok(())
    }

    /// Gathers statistics on what a first run filled. Without any the planner takes every
    /// key for a common one, and the next runs need not wait for autovacuum to come by.
    pub fn gather_statistics(&mut self) -> Result<(), Error> {
        if is_postgres(self.conn) {
            self.conn
                .batch_execute(&format!("ANALYZE {READ_BY_KEY}"))
                .doing("gathering statistics")?;
        }
        Ok(())
    }
}
