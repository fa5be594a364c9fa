//! Plain SQL beside the store: what people and other services write, and what they see.

use std::collections::BTreeMap;

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::world::Database;

#[derive(diesel::MultiConnection)]
enum Conn {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Every table of a database with its rows as text, in no order that matters.
pub type Dump = BTreeMap<String, Vec<String>>;

impl Database {
    fn connect(&self) -> Conn {
        match self.url.strip_prefix("sqlite://") {
            None => Conn::Postgres(PgConnection::establish(&self.url).unwrap()),
            Some(path) => {
                let mut conn = SqliteConnection::establish(path).unwrap();
                let set = "PRAGMA busy_timeout = 30000; PRAGMA foreign_keys = ON;";
                conn.batch_execute(set).unwrap();
                Conn::Sqlite(conn)
            }
        }
    }

    /// Runs statements, as another service of the platform would.
    pub fn sql(&self, sql: &str) {
        self.try_sql(sql).unwrap_or_else(|why| panic!("{why}: {sql}"));
    }

    /// The same, where the database may refuse.
    pub fn try_sql(&self, sql: &str) -> Result<(), String> {
        self.connect().batch_execute(sql).map_err(|error| error.to_string())
    }

    /// One line a row: `columns` joined by `|` without nulls, `from` the rest of the query; sorted.
    pub fn lines(&self, columns: &str, from: &str) -> Vec<String> {
        let sql = format!("SELECT concat_ws('|', {columns}) AS line FROM {from}");
        let mut lines = query(&mut self.connect(), &sql);
        lines.sort();
        lines
    }

    /// How many rows there are.
    pub fn count(&self, from: &str) -> u64 {
        self.lines("count(*)", from)[0].parse().unwrap()
    }

    /// Everything there is.
    pub fn dump(&self) -> Dump {
        let mut conn = self.connect();
        let tables = match &conn {
            Conn::Postgres(_) => {
                "SELECT relname::text AS line FROM pg_class WHERE relkind = 'r' AND relnamespace = 'public'::regnamespace"
            }
            Conn::Sqlite(_) => {
                "SELECT name AS line FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'"
            }
        };
        let tables = query(&mut conn, tables);
        tables.into_iter().map(|table| (table.clone(), rows(&mut conn, &table))).collect()
    }
}

fn query(conn: &mut Conn, sql: &str) -> Vec<String> {
    let lines: Vec<Line> =
        diesel::sql_query(sql).load(conn).unwrap_or_else(|error| panic!("{error}: {sql}"));
    lines.into_iter().map(|row| row.line).collect()
}

fn rows(conn: &mut Conn, table: &str) -> Vec<String> {
    let row = match conn {
        Conn::Postgres(_) => "t::text".to_owned(),
        Conn::Sqlite(_) => {
            let columns = format!("SELECT quote(name) AS line FROM pragma_table_info('{table}')");
            let columns = query(conn, &columns).join(", ").replace('\'', "\"");
            format!("json_array({columns})")
        }
    };
    let mut rows = query(conn, &format!("SELECT {row} AS line FROM \"{table}\" t"));
    rows.sort();
    rows
}
