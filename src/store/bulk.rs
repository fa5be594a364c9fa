//! Writes many rows at once, in the way that is fastest for each database.
//!
//! New rows: binary COPY into PostgreSQL; in `SQLite` one cached statement, row by
//! row, which beats its multi-row inserts. Changed and deleted rows: one statement
//! for thousands, which takes them as one JSON parameter and so needs no type names
//! and no staging table. Never a statement per row on a server.

use diesel::prelude::*;
use serde::Serialize;

use super::connection::Conn;
use super::types::{Json, JsonSql};
use super::{Doing, Error};

/// Inserts rows that are known to be new; returns how many.
macro_rules! insert_rows {
    ($conn:expr, $table:expr, $rows:expr, $doing:literal) => {{
        let rows = &$rows[..];
        let result: diesel::QueryResult<usize> = match &mut *$conn {
            _ if rows.is_empty() => Ok(0),
            $crate::store::connection::Conn::Postgres(conn) => {
                $crate::store::silence::expect_statement(|| {
                    diesel::copy_from($table).from_insertable(rows).execute(conn)
                })
            }
            $crate::store::connection::Conn::Sqlite(conn) => rows.iter().try_fold(0, |n, row| {
                Ok(n + diesel::insert_into($table).values(row).execute(conn)?)
            }),
        };
        $crate::store::Doing::doing(result, $doing)
    }};
}
pub(super) use insert_rows;

/// How many ids go into one `IN` list: below every bind limit.
pub(super) const IDS_MAX: usize = 1_000;

/// How many rows go into one JSON parameter or one COPY.
pub(super) const ROWS_MAX: usize = 5_000;

/// A table as set-based statements see it. Rows serialise to its column names.
pub(super) struct Target {
    /// The table.
    pub(super) name: &'static str,
    /// The columns of its key.
    pub(super) key: &'static [&'static str],
    /// The columns that an update may set.
    pub(super) set: &'static [&'static str],
}

impl Target {
    fn columns(&self) -> impl Iterator<Item = &'static str> {
        self.key.iter().chain(self.set).copied()
    }

    /// The rows of the JSON parameter, as a relation `s`.
    fn source(&self, conn: &Conn) -> String {
        match conn {
            Conn::Postgres(_) => format!("jsonb_populate_recordset(NULL::{}, $1) s", self.name),
            Conn::Sqlite(_) => {
                let columns: Vec<String> =
                    self.columns().map(|c| format!("value ->> '$.{c}' AS {c}")).collect();
                format!("(SELECT {} FROM json_each($1)) s", columns.join(", "))
            }
        }
    }

    fn same_key(&self) -> String {
        let name = self.name;
        let pairs: Vec<String> = self.key.iter().map(|c| format!("{name}.{c} = s.{c}")).collect();
        pairs.join(" AND ")
    }
}

/// Updates rows by their key; returns how many were found.
pub(super) fn update<R: Serialize>(
    conn: &mut Conn,
    target: &Target,
    rows: &[R],
    doing: &'static str,
) -> Result<usize, Error> {
    let set: Vec<String> = target.set.iter().map(|c| format!("{c} = s.{c}")).collect();
    let sql = format!(
        "UPDATE {} SET {} FROM {} WHERE {}",
        target.name,
        set.join(", "),
        target.source(conn),
        target.same_key()
    );
    execute(conn, &sql, rows, doing)
}

/// Inserts rows, or replaces what stands under their key.
pub(super) fn upsert<R: Serialize>(
    conn: &mut Conn,
    target: &Target,
    rows: &[R],
    doing: &'static str,
) -> Result<usize, Error> {
    let columns: Vec<&str> = target.columns().collect();
    let set: Vec<String> = target.set.iter().map(|c| format!("{c} = excluded.{c}")).collect();
    let action = if set.is_empty() {
        "NOTHING".to_owned()
    } else {
        format!("UPDATE SET {}", set.join(", "))
    };
    let sql = format!(
        "INSERT INTO {name} ({columns}) SELECT {columns} FROM {source} WHERE true ON CONFLICT ({key}) DO {action}",
        name = target.name,
        columns = columns.join(", "),
        source = target.source(conn),
        key = target.key.join(", "),
    );
    execute(conn, &sql, rows, doing)
}

/// Deletes rows by their key; returns how many were found.
pub(super) fn delete<R: Serialize>(
    conn: &mut Conn,
    target: &Target,
    rows: &[R],
    doing: &'static str,
) -> Result<usize, Error> {
    let sql = match conn {
        Conn::Postgres(_) => {
            format!(
                "DELETE FROM {} USING {} WHERE {}",
                target.name,
                target.source(conn),
                target.same_key()
            )
        }
        Conn::Sqlite(_) => {
            let key = target.key.join(", ");
            format!(
                "DELETE FROM {} WHERE ({key}) IN (SELECT {key} FROM {})",
                target.name,
                target.source(conn)
            )
        }
    };
    execute(conn, &sql, rows, doing)
}

fn execute<R: Serialize>(
    conn: &mut Conn,
    sql: &str,
    rows: &[R],
    doing: &'static str,
) -> Result<usize, Error> {
    let mut found = 0;
    for rows in rows.chunks(ROWS_MAX) {
        let json =
            serde_json::to_string(rows).map_err(|error| Error::Corrupt(error.to_string()))?;
        found +=
            diesel::sql_query(sql).bind::<JsonSql, _>(Json(json)).execute(conn).doing(doing)?;
    }
    Ok(found)
}
