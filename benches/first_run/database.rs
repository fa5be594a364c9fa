//! Databases of the throw-away cluster: made, copied, and asked what was touched in them.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::postgres::{Cluster, programs};
use crate::{Outcome, daemon};

/// The tables that a first run fills, in an order that foreign keys allow.
const FILLED: [&str; 12] = [
    "users",
    "dirsync_user_identities",
    "aad_groups",
    "dirsync_aad_groups",
    "dirsync_group_members",
    "audit_logs",
    "dirsync_observed_users",
    "dirsync_observed_groups",
    "dirsync_observed_edges",
    "dirsync_cursors",
    "dirsync_runs",
    "dirsync_findings",
];

/// One database.
#[derive(Debug)]
pub(crate) struct Database {
    pub(crate) url: String,
}

/// What was done to the rows of one table.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) struct Touched {
    /// Rows read, by scan and by index; entries of indexes alone included.
    pub(crate) read: i64,
    /// Rows inserted, updated or deleted.
    pub(crate) written: i64,
}

/// By table.
pub(crate) type Touches = BTreeMap<String, Touched>;

impl Database {
    /// A new one with the daemon's schema.
    pub(crate) async fn migrated(cluster: &Cluster, name: &str) -> Outcome<Self> {
        cluster.psql("postgres", &format!("CREATE DATABASE {name}"));
        let database = Self { url: cluster.url(name) };
        daemon::store(&database.url)?.migrate().await?;
        Ok(database)
    }

    /// How many rows there are in what a first run fills.
    pub(crate) fn rows(&self) -> Outcome<i64> {
        let counts: Vec<String> =
            FILLED.iter().map(|table| format!("(SELECT count(*) FROM {table})")).collect();
        let sql = format!(
            "SELECT ''::text AS name, {} AS read, 0::bigint AS written",
            counts.join(" + ")
        );
        Ok(self.query(&sql)?.values().map(|counted| counted.read).sum())
    }

    /// Writes the rows to files, in the order in which they lie.
    pub(crate) fn copy_out(&self, folder: &Path) -> Outcome<()> {
        let mut script = String::new();
        for table in FILLED {
            let file = folder.join(table);
            writeln!(script, r"\copy {table} TO '{}' (FORMAT binary)", file.display())?;
        }
        self.psql(&script)
    }

    /// Reads them into this database: one connection, one transaction, COPY and nothing else.
    pub(crate) fn copy_in(&self, folder: &Path) -> Outcome<Duration> {
        let mut script = String::from("BEGIN;\n");
        for table in FILLED {
            let file = folder.join(table);
            writeln!(script, r"\copy {table} FROM '{}' (FORMAT binary)", file.display())?;
        }
        script.push_str("COMMIT;\n");
        let started = Instant::now();
        self.psql(&script)?;
        Ok(started.elapsed())
    }

    /// What was done to every table so far, by connections that have ended.
    pub(crate) fn touches(&self) -> Outcome<Touches> {
        self.alone()?;
        self.query(
            "SELECT relname::text AS name, \
                (seq_tup_read + coalesce((SELECT sum(idx_tup_read) FROM pg_stat_user_indexes i WHERE i.relid = t.relid), 0))::bigint AS read, \
                (n_tup_ins + n_tup_upd + n_tup_del)::bigint AS written \
             FROM pg_stat_user_tables t",
        )
    }

    /// Waits until nobody else is connected: a connection tells what it did when it ends.
    fn alone(&self) -> Outcome<()> {
        let others = "SELECT ''::text AS name, count(*) AS read, 0::bigint AS written FROM pg_stat_activity \
             WHERE datname = current_database() AND pid <> pg_backend_pid()";
        let started = Instant::now();
        while self.query(others)?.values().any(|others| others.read > 0) {
            if started.elapsed() > Duration::from_secs(30) {
                return Err("somebody stays connected to the database".into());
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        Ok(())
    }

    fn query(&self, sql: &str) -> Outcome<Touches> {
        #[derive(QueryableByName)]
        struct Row {
            #[diesel(sql_type = Text)]
            name: String,
            #[diesel(sql_type = BigInt)]
            read: i64,
            #[diesel(sql_type = BigInt)]
            written: i64,
        }
        let mut conn = PgConnection::establish(&self.url)?;
        let rows: Vec<Row> = diesel::sql_query(sql).load(&mut conn)?;
        let touched = |row: Row| (row.name, Touched { read: row.read, written: row.written });
        Ok(rows.into_iter().map(touched).collect())
    }

    fn psql(&self, script: &str) -> Outcome<()> {
        let program = programs().join("psql");
        let program = if program.is_file() { program } else { "psql".into() };
        let mut child = Command::new(program)
            .args(["-X", "-q", "-v", "ON_ERROR_STOP=1", "-d", &self.url])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .spawn()?;
        std::io::Write::write_all(
            &mut child.stdin.take().ok_or("psql without standard input")?,
            script.as_bytes(),
        )?;
        let status = child.wait()?;
        if status.success() { Ok(()) } else { Err(format!("psql: {status}").into()) }
    }
}

/// What was done between two looks.
pub(crate) fn between(before: &Touches, after: &Touches) -> Touches {
    let none = Touched::default();
    let since = |(table, now): (&String, &Touched)| {
        let then = before.get(table).unwrap_or(&none);
        let touched = Touched { read: now.read - then.read, written: now.written - then.written };
        (touched != none).then(|| (table.clone(), touched))
    };
    after.iter().filter_map(since).collect()
}

/// Over all tables.
pub(crate) fn sum(touches: &Touches) -> Touched {
    touches.values().fold(Touched::default(), |sum, touched| Touched {
        read: sum.read + touched.read,
        written: sum.written + touched.written,
    })
}
