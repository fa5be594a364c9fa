//! Brings the schema to the version this binary knows, and refuses any other.

mod belongings;
mod model;

use std::fmt;

use diesel::connection::SimpleConnection;
use diesel::migration::{Migration, MigrationSource, MigrationVersion};
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness, embed_migrations};

use super::connection::Conn;
use super::{Access, Doing, Error, Tx, begin, commit, rollback};
pub use belongings::Belongings;

const POSTGRES: EmbeddedMigrations = embed_migrations!("migrations/postgres");
const SQLITE: EmbeddedMigrations = embed_migrations!("migrations/sqlite");

/// Migrations of ours start with this; other services may keep theirs in the same table.
const PREFIX: &str = "dirsync";

/// The schema, compared with what this version knows.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum SchemaState {
    /// Exactly that.
    Current,
    /// Older: these migrations are pending.
    Behind(Vec<String>),
    /// Newer: these migrations are not known here.
    Ahead(Vec<String>),
    /// A table of the model's name is not the model's table.
    Foreign(String),
}

impl fmt::Display for SchemaState {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Current => f.write_str("current"),
            Self::Behind(pending) => {
                write!(f, "{} pending; run `nexus-dirsync migrate`", pending.join(", "))
            }
            Self::Ahead(unknown) => write!(
                f,
                "{} applied by a newer version; run that version or restore a backup",
                unknown.join(", ")
            ),
            Self::Foreign(what) => f.write_str(what),
        }
    }
}

/// Compares.
pub(super) fn state(conn: &mut Conn) -> Result<SchemaState, Error> {
    let known = known(conn)?;
    let applied: Vec<String> =
        applied(conn)?.into_iter().filter(|v| v.starts_with(PREFIX)).collect();
    let unknown: Vec<String> = applied.iter().filter(|v| !known.contains(v)).cloned().collect();
    let pending: Vec<String> = known.into_iter().filter(|v| !applied.contains(v)).collect();
    Ok(match (unknown.is_empty(), pending.is_empty()) {
        (false, _) => SchemaState::Ahead(unknown),
        (true, false) => SchemaState::Behind(pending),
        (true, true) => SchemaState::Current,
    })
}

/// Applies what is pending, in one transaction that only one process holds at a time.
pub(super) fn apply(conn: &mut Conn) -> Result<Vec<String>, Error> {
    alone(conn, |conn| {
        match state(conn)? {
            // Nothing to do needs no right to do it: the daemon's role may ask as well.
            SchemaState::Current => return Ok(Vec::new()),
            SchemaState::Ahead(unknown) => {
                return Err(Error::Schema(SchemaState::Ahead(unknown).to_string()));
            }
            SchemaState::Behind(_) | SchemaState::Foreign(_) => {}
        }
        model::check(conn)?;
        Ok(match conn {
            Conn::Postgres(conn) => {
                names(&conn.run_pending_migrations(POSTGRES).map_err(Error::Migration)?)
            }
            Conn::Sqlite(conn) => {
                names(&conn.run_pending_migrations(SQLITE).map_err(Error::Migration)?)
            }
        })
    })
}

/// What becomes of what only the daemon's tables know.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Memory {
    /// It is kept: a migration is not taken back where that would lose it.
    Keep,
    /// It is given up, and the audit says so.
    GiveUp,
}

/// The migration that made the tables in which it stands.
const OWN_TABLES: &str = "dirsync0002";

/// Takes the newest of our migrations back.
pub(super) fn revert(conn: &mut Conn, memory: Memory) -> Result<String, Error> {
    alone(conn, |conn| {
        let newest = applied(conn)?.into_iter().rfind(|v| v.starts_with(PREFIX));
        let newest = newest.ok_or(Error::NothingApplied)?;
        if newest == OWN_TABLES {
            let belongings = Belongings::count(conn)?;
            match memory {
                _ if belongings == Belongings::default() => {}
                Memory::Keep => return Err(Error::Forgetting(belongings)),
                Memory::GiveUp => Tx { conn }.note_forgetting(&belongings)?,
            }
        }
        let version = match conn {
            Conn::Postgres(conn) => {
                conn.revert_last_migration(POSTGRES).map_err(Error::Migration)?
            }
            Conn::Sqlite(conn) => conn.revert_last_migration(SQLITE).map_err(Error::Migration)?,
        };
        Ok(version.to_string())
    })
}

/// The lock's number: the first bytes of "dirsync" and a purpose.
const MIGRATION_LOCK: i64 = 0x6469_7273_796e_6301;

fn alone<T>(conn: &mut Conn, work: impl FnOnce(&mut Conn) -> Result<T, Error>) -> Result<T, Error> {
    begin_alone(conn)?;
    match work(conn).and_then(|value| commit(conn).map(|()| value)) {
        Ok(value) => Ok(value),
        Err(error) => {
            rollback(conn);
            Err(error)
        }
    }
}

/// `SQLite`'s write lock serves by itself. PostgreSQL needs one of its own, taken in a
/// transaction that reads what the one before it committed.
fn begin_alone(conn: &mut Conn) -> Result<(), Error> {
    use diesel::connection::{AnsiTransactionManager, TransactionManager};
    match conn {
        Conn::Postgres(pg) => {
            AnsiTransactionManager::begin_transaction(pg).doing("beginning a transaction")?;
            pg.batch_execute(&format!(
                "SET LOCAL lock_timeout = 0; SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})"
            ))
            .doing("waiting for another migration")
        }
        Conn::Sqlite(_) => begin(conn, Access::Write),
    }
}

fn names(versions: &[MigrationVersion<'_>]) -> Vec<String> {
    versions.iter().map(ToString::to_string).collect()
}

fn known(conn: &Conn) -> Result<Vec<String>, Error> {
    fn versions<DB: diesel::backend::Backend>(
        migrations: &[Box<dyn Migration<DB>>],
    ) -> Vec<String> {
        let mut versions: Vec<String> =
            migrations.iter().map(|migration| migration.name().version().to_string()).collect();
        versions.sort();
        versions
    }
    match conn {
        Conn::Postgres(_) => {
            MigrationSource::<diesel::pg::Pg>::migrations(&POSTGRES).map(|all| versions(&all))
        }
        Conn::Sqlite(_) => {
            MigrationSource::<diesel::sqlite::Sqlite>::migrations(&SQLITE).map(|all| versions(&all))
        }
    }
    .map_err(Error::Migration)
}

diesel::table! {
    __diesel_schema_migrations (version) { version -> Text, run_on -> Timestamp, }
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    found: i64,
}

/// The applied versions; none where nothing was ever migrated. Reads only: a health
/// check must not create tables.
fn applied(conn: &mut Conn) -> Result<Vec<String>, Error> {
    let look = match conn {
        Conn::Postgres(_) => {
            "SELECT count(*) AS found FROM pg_class WHERE oid = to_regclass('__diesel_schema_migrations')"
        }
        Conn::Sqlite(_) => {
            "SELECT count(*) AS found FROM sqlite_master WHERE name = '__diesel_schema_migrations'"
        }
    };
    let found: Found = diesel::sql_query(look).get_result(conn).doing("looking for the schema")?;
    if found.found == 0 {
        return Ok(Vec::new());
    }
    __diesel_schema_migrations::table
        .select(__diesel_schema_migrations::version)
        .order(__diesel_schema_migrations::version)
        .load(conn)
        .doing("reading the schema's version")
}
