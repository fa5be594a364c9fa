//! SQL by hand, beside the daemon: to look, to lock, to tamper.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{Nullable, Text};

use super::world::Database;

/// Every table of a database with its rows as text.
pub type Dump = BTreeMap<String, Vec<String>>;

/// A connection of our own to the database that a daemon works on.
#[derive(diesel::MultiConnection)]
pub enum Sql {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

#[derive(QueryableByName)]
struct Cell {
    #[diesel(sql_type = Nullable<Text>)]
    cell: Option<String>,
}

impl Sql {
    pub fn connect(url: &str) -> Self {
        match url.strip_prefix("sqlite://") {
            Some(path) => {
                let mut conn = SqliteConnection::establish(path).unwrap();
                conn.batch_execute("PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = ON")
                    .unwrap();
                Self::Sqlite(conn)
            }
            None => Self::Postgres(PgConnection::establish(url).unwrap()),
        }
    }

    pub fn execute(&mut self, sql: &str) {
        self.batch_execute(sql).unwrap_or_else(|error| panic!("{sql}: {error}"));
    }

    /// From here on everything is read from one moment's view of the database.
    pub fn hold_still(&mut self) {
        self.execute(match self {
            Self::Postgres(_) => "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
            Self::Sqlite(_) => "BEGIN",
        });
    }

    /// The column `cell` of every row.
    pub fn cells(&mut self, sql: &str) -> Vec<String> {
        let rows: Vec<Cell> =
            diesel::sql_query(sql).load(self).unwrap_or_else(|error| panic!("{sql}: {error}"));
        rows.into_iter().map(|row| row.cell.unwrap_or_default()).collect()
    }

    /// Whether `sql` finds anything as column `cell`.
    pub fn finds(&mut self, sql: &str) -> bool {
        !self.cells(sql).is_empty()
    }

    /// Every row of every table, as text.
    pub fn dump(&mut self) -> Dump {
        let tables = match self {
            Self::Postgres(_) => {
                "SELECT tablename::text AS cell FROM pg_tables WHERE schemaname = 'public'"
            }
            Self::Sqlite(_) => {
                "SELECT name AS cell FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            }
        };
        let tables = self.cells(tables);
        tables.into_iter().map(|table| (table.clone(), self.rows(&table))).collect()
    }

    fn rows(&mut self, table: &str) -> Vec<String> {
        let row = match self {
            Self::Postgres(_) => format!("{table}::text"),
            Self::Sqlite(_) => {
                let columns = format!("SELECT name AS cell FROM pragma_table_info('{table}')");
                let columns = self.cells(&columns);
                columns
                    .iter()
                    .map(|name| format!("quote({name})"))
                    .collect::<Vec<_>>()
                    .join("||','||")
            }
        };
        self.cells(&format!("SELECT {row} AS cell FROM {table} ORDER BY 1"))
    }
}

impl Database {
    fn connect(&self) -> Sql {
        Sql::connect(&self.url)
    }

    /// Runs statements, as another service of the platform would.
    pub fn sql(&self, sql: &str) {
        self.connect().execute(sql);
    }

    /// The same, where the database may refuse.
    pub fn try_sql(&self, sql: &str) -> Result<(), String> {
        self.connect().batch_execute(sql).map_err(|error| error.to_string())
    }

    /// One line a row: `columns` joined by `|` without nulls, `from` the rest of the query; sorted.
    pub fn lines(&self, columns: &str, from: &str) -> Vec<String> {
        let sql = format!("SELECT concat_ws('|', {columns}) AS cell FROM {from}");
        let mut lines = self.connect().cells(&sql);
        lines.sort();
        lines
    }

    /// How many rows there are.
    pub fn count(&self, from: &str) -> u64 {
        self.lines("count(*)", from)[0].parse().unwrap()
    }

    /// Everything there is.
    pub fn dump(&self) -> Dump {
        self.connect().dump()
    }
}
