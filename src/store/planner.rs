//! What the database's planner is told. SQLite needs no telling: it looks for keys by index.

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

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
    /// A role that owns none of the tables may not, and has to leave it to autovacuum.
    pub fn gather_statistics(&mut self) -> Result<(), Error> {
        const DOING: &str = "gathering statistics";
        if !is_postgres(self.conn) {
            return Ok(());
        }
        let owned = format!(
            "SELECT string_agg(oid::regclass::text, ', ') AS tables FROM pg_class
              WHERE oid = ANY (string_to_array('{READ_BY_KEY}', ', ')::regclass[])
                AND pg_has_role(relowner, 'USAGE')"
        );
        let Owned { tables } = diesel::sql_query(owned).get_result(self.conn).doing(DOING)?;
        let Some(tables) = tables else { return Ok(()) };
        self.conn.batch_execute(&format!("ANALYZE {tables}")).doing(DOING)
    }
}

#[derive(QueryableByName)]
struct Owned {
    #[diesel(sql_type = Nullable<Text>)]
    tables: Option<String>,
}
