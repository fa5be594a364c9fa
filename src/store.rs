//! The database: PostgreSQL in production, SQLite embedded. The only module that names diesel.
//!
//! Owns tables, transactions and encodings; decides nothing. Every call runs whole on
//! a blocking thread: dropping the caller's future never tears a transaction apart.

mod access;
mod apply;
mod audit;
mod bulk;
mod candidate;
mod connection;
mod findings;
mod leader;
mod linked;
mod load;
mod lookup;
mod migrate;
mod planner;
mod plans;
mod registry;
mod requests;
mod rows;
mod runs;
mod schema;
mod types;
mod world;

use diesel::connection::{AnsiTransactionManager, TransactionManager};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use connection::{Conn, Connections, Pooled};

pub use access::{AccessPath, AccessRow, Decided};
pub use apply::{Applied, RunInfo};
pub use audit::{AuditEntry, Divergence, Replay, Verification};
pub use candidate::{Candidacy, Candidate, Standing};
pub use connection::{Backend, PoolUse, Settings};
pub use leader::Leader;
pub use load::{CursorRow, Start, Which};
use migrate::Memory;
pub use migrate::{Belongings, SchemaState};
pub use plans::{Counts, Decider, Decision, Holding, PlanDetail, PlanHeader, PlanItem, StoredPlan};
pub use requests::RunRequest;
pub use runs::RunRow;
pub use world::Question;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names neither database.
    #[error("database.url must start with postgres:// or sqlite://")]
    Url,
    /// No connection could be had.
    #[error("the database cannot be reached; check database.url, the server and the network")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// TLS was wanted, and could not be had as wanted.
    #[error(
        "no trusted connection to the database; check sslmode, sslrootcert and the host name in database.url, and the server's certificate"
    )]
    Untrusted(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// Somebody else changed the same rows; the whole transaction may be tried again.
    #[error("other writers kept changing the same rows")]
    Conflict(#[source] DieselError),
    /// It took longer than the configuration allows.
    #[error(
        "the database failed while {doing}: {setting} was reached; find out who keeps it busy, or raise the limit"
    )]
    Limit {
        /// What was being done.
        doing: &'static str,
        /// The key of the configuration.
        setting: &'static str,
        /// The database's words.
        #[source]
        source: DieselError,
    },
    /// Another run committed since this one started.
    #[error("another run committed first")]
    Superseded,
    /// Another daemon leads since; this one's commit was refused.
    #[error("epoch {epoch} of the lead is over, {stored} is going on; nothing was written")]
    Deposed {
        /// The epoch in which this daemon led.
        epoch: i64,
        /// The epoch that is stored.
        stored: i64,
    },
    /// The lock of the lead is gone although its session lives.
    #[error("the database says that this session does not hold the lead any more")]
    LeadLost,
    /// The database is reached through a pooler in which no session lasts.
    #[error(
        "the database is reached through a pooler that deals sessions out by the transaction (PgBouncer's pool_mode = transaction), where neither locks nor settings last; put the server's own address into database.url, or a pool with pool_mode = session"
    )]
    Pooled,
    /// Another daemon works on the embedded database.
    #[error(
        "another daemon works on this database (it holds {path}); stop it, or use PostgreSQL for several"
    )]
    Locked {
        /// The lock's file.
        path: String,
        /// What the system says.
        #[source]
        source: std::io::Error,
    },
    /// The database belongs to another tenant.
    #[error(
        "this database holds tenant {stored}, but identity.tenant_id is {configured}; use another database"
    )]
    Tenant {
        /// The tenant in the database.
        stored: String,
        /// The tenant in the configuration.
        configured: String,
    },
    /// The schema is older, newer or not ours.
    #[error("the database schema is not the one this version knows: {0}")]
    Schema(String),
    /// Taking a migration back would lose what nothing else knows.
    #[error(
        "taking this migration back would forget what is the daemon's: {0}; nothing was changed. Afterwards all of it would count as people's: never corrected, never taken away, and whoever is an admin or a product member waits for a decision. Make a backup that can be restored; then `migrate --revert --forget` does it"
    )]
    Forgetting(Belongings),
    /// A migration failed.
    #[error("migrating the schema failed; nothing was changed")]
    Migration(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A statement failed.
    #[error("the database failed while {doing}")]
    Query {
        /// What was being done.
        doing: &'static str,
        /// The database's words.
        #[source]
        source: DieselError,
    },
    /// Several plans begin so.
    #[error("several held plans begin with {0}; give more of the hash")]
    Ambiguous(String),
    /// The plan was answered before, or is over.
    #[error(
        "plan {0} does not wait for an answer: a hash is answered once; see `nexus-dirsync plans list`"
    )]
    Decided(String),
    /// More plans wait for a person than may.
    #[error(
        "{0} held plans wait for a person already; answer some with `nexus-dirsync plans`, or raise guard.plans_max"
    )]
    PlansLimit(u64),
    /// A stored value makes no sense.
    #[error("a stored value is not understood: {0}")]
    Corrupt(String),
    /// The blocking thread ended early.
    #[error("a database task ended without an answer")]
    Task(#[source] tokio::task::JoinError),
}

impl Error {
    /// Why no connection could be had: nobody there, or nobody to be trusted.
    fn of_connection(cause: Box<dyn std::error::Error + Send + Sync>) -> Self {
        if is_about_tls(&cause.to_string()) {
            Self::Untrusted(cause)
        } else {
            Self::Unreachable(cause)
        }
    }

    /// A label of a closed set, for metrics and status.
    pub const fn kind(&self) -> &'static str {
        match self {
            Self::Url => "database_url",
            Self::Locked { .. } => "database_locked",
            Self::Unreachable(_) => "database_unreachable",
            Self::Untrusted(_) => "database_untrusted",
            Self::Conflict(_) => "database_conflict",
            Self::Limit { .. } => "database_limit",
            Self::Superseded => "superseded",
            Self::Deposed { .. } => "deposed",
            Self::LeadLost => "lead_lost",
            Self::Pooled => "database_pooled",
            Self::Tenant { .. } => "tenant_mismatch",
            Self::Schema(_) => "schema",
            Self::Forgetting(_) => "forgetting",
            Self::Migration(_) => "migration",
            Self::Query { .. } => "database_query",
            Self::Ambiguous(_) => "plan_ambiguous",
            Self::Decided(_) => "plan_decided",
            Self::PlansLimit(_) => "plans_limit",
            Self::Corrupt(_) => "database_value",
            Self::Task(_) => "database_task",
        }
    }

    /// Whether trying again is in vain until a person changes database or configuration.
    pub const fn is_lasting(&self) -> bool {
        matches!(
            self,
            Self::Url | Self::Locked { .. } | Self::Tenant { .. } | Self::Schema(_) | Self::Pooled
        )
    }

    /// Whether the same run, done again from its start, may succeed.
    pub const fn is_conflict(&self) -> bool {
        matches!(self, Self::Conflict(_) | Self::Superseded)
    }
}

impl From<DieselError> for Error {
    fn from(source: DieselError) -> Self {
        let doing = "running a statement";
        if is_conflict(&source) {
            return Self::Conflict(source);
        }
        match limit_of(&source) {
            Some(setting) => Self::Limit { doing, setting, source },
            None => Self::Query { doing, source },
        }
    }
}

/// Told apart by the database's words where diesel has no kind for it.
fn is_conflict(error: &DieselError) -> bool {
    use DatabaseErrorKind::{SerializationFailure, UniqueViolation};
    let DieselError::DatabaseError(kind, info) = error else { return false };
    matches!(kind, SerializationFailure | UniqueViolation)
        || info.message().contains("deadlock detected")
}

/// The setting that ended a statement, by the database's words. `SQLite` has waited for
/// as long as it may when it says that it is locked: our writes begin with the lock.
fn limit_of(error: &DieselError) -> Option<&'static str> {
    const LIMITS: [(&str, &str); 3] = [
        ("lock timeout", "database.lock_timeout"),
        ("database is locked", "database.lock_timeout"),
        ("statement timeout", "database.statement_timeout"),
    ];
    let DieselError::DatabaseError(_, info) = error else { return None };
    LIMITS.iter().find(|(words, _)| info.message().contains(words)).map(|(_, setting)| *setting)
}

/// Told apart by libpq's words: it has no codes for what happens before the first query.
fn is_about_tls(words: &str) -> bool {
    const TELLING: [&str; 5] =
        ["certificate", "SSL error", "does not support SSL", "no encryption", "sslmode"];
    TELLING.iter().any(|word| words.contains(word))
}

/// Names what was being done when a statement fails.
trait Doing<T> {
    fn doing(self, what: &'static str) -> Result<T, Error>;
}

impl<T> Doing<T> for QueryResult<T> {
    fn doing(self, what: &'static str) -> Result<T, Error> {
        self.map_err(|source| match Error::from(source) {
            Error::Query { source, .. } => Error::Query { doing: what, source },
            Error::Limit { setting, source, .. } => Error::Limit { doing: what, setting, source },
            other => other,
        })
    }
}

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pool: Connections,
    backend: Backend,
    settings: Settings,
}

impl std::fmt::Debug for Store {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Store").field("backend", &self.backend).finish_non_exhaustive()
    }
}

/// An open transaction. Each file of this module adds what it can do.
pub struct Tx<'c> {
    conn: &'c mut Conn,
}

impl Store {
    /// Takes the settings; connects when first used.
    ///
    /// # Errors
    /// [`Error::Url`].
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let backend = settings.backend()?;
        Ok(Self { pool: connection::pool(settings)?, backend, settings: settings.clone() })
    }

    /// Which database it is.
    pub const fn backend(&self) -> Backend {
        self.backend
    }

    /// Where it is, for people: never with a password.
    pub fn place(&self) -> String {
        let file = self.settings.sqlite_path();
        file.map_or_else(|| "PostgreSQL".to_owned(), |path| format!("SQLite, {path}"))
    }

    /// How long getting a connection may take.
    pub const fn connect_timeout(&self) -> std::time::Duration {
        self.settings.connect_timeout
    }

    /// Keeps a second daemon out of an embedded database for as long as the lock lives.
    /// PostgreSQL needs none: there daemons stand by for each other ([`Candidate`]).
    ///
    /// # Errors
    /// [`Error::Locked`] if another daemon holds it.
    pub fn lock_daemon(&self) -> Result<Option<std::fs::File>, Error> {
        let Some(path) = self.settings.sqlite_path() else { return Ok(None) };
        let path = format!("{path}.lock");
        let locked = |source| Error::Locked { path: path.clone(), source };
        let file = std::fs::File::create(&path).map_err(locked)?;
        match file.try_lock() {
            Ok(()) => Ok(Some(file)),
            Err(std::fs::TryLockError::WouldBlock) => {
                Err(locked(std::io::ErrorKind::WouldBlock.into()))
            }
            Err(std::fs::TryLockError::Error(source)) => Err(locked(source)),
        }
    }

    /// Runs `work` on one consistent view of the database, writing nothing.
    pub async fn read<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.blocking(move |store| {
            let mut conn = store.connect()?;
            begin(&mut conn, Access::Read)?;
            let result = work(&mut Tx { conn: &mut conn });
            rollback(&mut conn);
            result
        })
        .await
    }

    /// Runs `work` in one transaction and commits it if `work` says so.
    ///
    /// # Errors
    /// [`Error::Conflict`] where another writer changed the same rows: the caller may
    /// do the whole again, from what it read.
    pub async fn write<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<Verdict<T>, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.blocking(move |store| {
            let mut conn = store.connect()?;
            begin(&mut conn, Access::Write)?;
            let done = work(&mut Tx { conn: &mut conn }).and_then(|verdict| match verdict {
                Verdict::Commit(value) => commit(&mut conn).map(|()| value),
                Verdict::RollBack(value) => {
                    rollback(&mut conn);
                    Ok(value)
                }
            });
            if done.is_err() {
                rollback(&mut conn);
            }
            done
        })
        .await
    }

    /// Whether the database answers and its schema is the one this version knows.
    pub async fn ready(&self) -> Result<(), Error> {
        match self.blocking(|store| migrate::state(&mut *store.connect()?)).await? {
            SchemaState::Current => Ok(()),
            other => Err(Error::Schema(other.to_string())),
        }
    }

    /// Whether it is ready for runs of this tenant.
    ///
    /// # Errors
    /// [`Error::Tenant`] if it is another's, [`Error::Pooled`] if sessions do not last;
    /// else as [`Store::ready`].
    pub async fn ready_for(&self, tenant_id: &str) -> Result<(), Error> {
        self.blocking(|store| match store.backend {
            Backend::Postgres => {
                candidate::require_session(&connection::Manager::new(&store.settings)?)
            }
            Backend::Sqlite => Ok(()),
        })
        .await?;
        self.ready().await?;
        let configured = tenant_id.to_owned();
        self.read(move |tx| tx.require_tenant(&configured)).await
    }

    /// What the schema is, compared with what this version knows.
    pub async fn schema(&self) -> Result<SchemaState, Error> {
        self.blocking(|store| migrate::state(&mut *store.connect()?)).await
    }

    /// Applies pending migrations, all or none; returns their names. Safe to call from
    /// several processes at once.
    pub async fn migrate(&self) -> Result<Vec<String>, Error> {
        self.blocking(|store| migrate::apply(&mut *store.connect()?)).await
    }

    /// Takes the newest migration back; refuses to drop the client's tables while they hold
    /// rows.
    ///
    /// # Errors
    /// [`Error::Forgetting`] if nothing but the tables to be dropped knows which rows of the
    /// platform are the daemon's.
    pub async fn revert(&self) -> Result<String, Error> {
        self.blocking(|store| migrate::revert(&mut *store.connect()?, Memory::Keep)).await
    }

    /// The same, giving that up: afterwards all rows are people's. The audit says so.
    pub async fn revert_and_forget(&self) -> Result<String, Error> {
        self.blocking(|store| migrate::revert(&mut *store.connect()?, Memory::GiveUp)).await
    }

    /// How many connections there are and how many of them are at work. Asks no server.
    pub fn pool_use(&self) -> PoolUse {
        let state = self.pool.state();
        let idle = u64::from(state.idle_connections);
        PoolUse { idle, in_use: u64::from(state.connections).saturating_sub(idle) }
    }

    fn connect(&self) -> Result<Pooled, Error> {
        // The pool's own message hides the cause; ask the server directly for it.
        self.pool.get().map_err(|pooled| {
            let cause = connection::explain(&self.settings).unwrap_or_else(|| Box::new(pooled));
            Error::of_connection(cause)
        })
    }

    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.clone();
        tokio::task::spawn_blocking(move || work(&store)).await.map_err(Error::Task)?
    }
}

/// What becomes of a transaction.
#[derive(Debug)]
pub enum Verdict<T> {
    /// Keep it.
    Commit(T),
    /// Undo it, and still answer: a dry run.
    RollBack(T),
}

#[derive(Clone, Copy)]
enum Access {
    Read,
    Write,
}

/// PostgreSQL: one snapshot for the whole transaction, so a row that somebody changes
/// meanwhile makes our write fail instead of overwriting theirs. `SQLite`: one writer.
fn begin(conn: &mut Conn, access: Access) -> Result<(), Error> {
    match (conn, access) {
        (Conn::Postgres(conn), Access::Read) => AnsiTransactionManager::begin_transaction_sql(
            conn,
            "BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY",
        ),
        (Conn::Postgres(conn), Access::Write) => AnsiTransactionManager::begin_transaction_sql(
            conn,
            "BEGIN ISOLATION LEVEL REPEATABLE READ",
        ),
        (Conn::Sqlite(conn), Access::Read) => {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN")
        }
        (Conn::Sqlite(conn), Access::Write) => {
            AnsiTransactionManager::begin_transaction_sql(conn, "BEGIN IMMEDIATE")
        }
    }
    .doing("beginning a transaction")
}

fn commit(conn: &mut Conn) -> Result<(), Error> {
    match conn {
        Conn::Postgres(conn) => AnsiTransactionManager::commit_transaction(conn),
        Conn::Sqlite(conn) => AnsiTransactionManager::commit_transaction(conn),
    }
    .doing("committing")
}

/// A transaction that cannot be rolled back is over with its connection, which the
/// pool then throws away.
fn rollback(conn: &mut Conn) {
    let result = match conn {
        Conn::Postgres(conn) => AnsiTransactionManager::rollback_transaction(conn),
        Conn::Sqlite(conn) => AnsiTransactionManager::rollback_transaction(conn),
    };
    if let Err(error) = result {
        tracing::debug!(%error, "rolling back failed; the connection is given up");
    }
}
