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
mod embedded;
mod error;
mod findings;
mod leader;
mod linked;
mod load;
mod lookup;
mod migrate;
mod planner;
mod plans;
mod purges;
mod registry;
mod requests;
mod rows;
mod runs;
mod schema;
mod silence;
mod types;
mod world;

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use diesel::connection::{AnsiTransactionManager, TransactionManager};

use connection::{Conn, Pooled, Pools};
use error::Doing;
use migrate::Memory;

pub use access::{AccessPath, AccessRow, Decided, WAYS_MAX};
pub use apply::{Applied, RunInfo};
pub use audit::{AuditEntry, Divergence, Verification};
pub use candidate::{Candidacy, Candidate, Standing};
pub use connection::{Backend, PoolUse, Settings};
pub use error::Error;
pub use leader::Leader;
pub use load::{CursorRow, Start, Stray, Strays, Which};
pub use migrate::{Belongings, SchemaState};
pub use plans::{Counts, Decider, Decision, Holding, PlanDetail, PlanHeader, PlanItem, StoredPlan};
pub use requests::RunRequest;
pub use runs::RunRow;
pub use world::Question;

/// A handle to the database; cheap to clone.
#[derive(Clone)]
pub struct Store {
    pools: Pools,
    backend: Backend,
    settings: Settings,
    /// Whether a connection is known to be a session of the server's.
    has_sessions: Arc<AtomicBool>,
    /// Whether the last connection fell silent, and no other one could be had since.
    is_mute: Arc<AtomicBool>,
}

/// What a thread that wakes up late, as of a process that was paused, may take to answer.
const LATE: Duration = Duration::from_secs(1);

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
    /// [`Error::Url`], [`Error::Linked`].
    pub fn open(settings: &Settings) -> Result<Self, Error> {
        let backend = settings.backend()?;
        settings.sqlite_path().map_or(Ok(()), embedded::require_one_name)?;
        let (pools, settings) = (Pools::new(settings)?, settings.clone());
        let (has_sessions, is_mute) = (Arc::default(), Arc::default());
        Ok(Self { pools, backend, settings, has_sessions, is_mute })
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
    pub const fn connect_timeout(&self) -> Duration {
        self.settings.connect_timeout
    }

    /// Keeps a second daemon out of an embedded database for as long as the lock lives.
    /// PostgreSQL needs none: there daemons stand by for each other ([`Candidate`]).
    ///
    /// # Errors
    /// [`Error::Locked`] if another daemon holds it, [`Error::Absent`] if there is none.
    pub fn lock_daemon(&self) -> Result<Option<std::fs::File>, Error> {
        self.settings.sqlite_path().map(embedded::lock).transpose()
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

    /// The same on a connection of its own: long work must not keep one of the pool's from
    /// a run.
    pub async fn read_apart<T: Send + 'static>(
        &self,
        work: impl FnOnce(&mut Tx<'_>) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        self.blocking(move |store| {
            store.require_sessions()?;
            let manager = connection::Manager::new(&store.settings)?;
            let open = store.expect_connection(|| manager.open());
            let mut conn = open.map_err(|error| Error::of_connection(Box::new(error)))?;
            begin(&mut conn, Access::Read)?;
            // The transaction ends with the connection.
            work(&mut Tx { conn: &mut conn })
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
    ///
    /// # Errors
    /// [`Error::Pooled`], as any other question, if sessions do not last.
    pub async fn ready(&self) -> Result<(), Error> {
        match self.schema().await? {
            SchemaState::Current => Ok(()),
            other => Err(Error::Schema(other.to_string())),
        }
    }

    /// Whether it is ready for runs of this tenant.
    ///
    /// # Errors
    /// [`Error::Tenant`] if it is another's; else as [`Store::ready`].
    pub async fn ready_for(&self, tenant_id: &str) -> Result<(), Error> {
        self.ready().await?;
        let configured = tenant_id.to_owned();
        self.read(move |tx| tx.require_tenant(&configured)).await
    }

    /// What the schema is, compared with what this version knows.
    ///
    /// # Errors
    /// [`Error::Absent`] where an embedded database was never made: asking makes none.
    pub async fn schema(&self) -> Result<SchemaState, Error> {
        self.require_file()?;
        self.blocking(|store| migrate::state(&mut *store.connect()?)).await
    }

    /// Opening an embedded database makes one, even where somebody only asks.
    fn require_file(&self) -> Result<(), Error> {
        match self.settings.sqlite_path() {
            Some(path) if !Path::new(path).exists() => Err(Error::Absent(path.to_owned())),
            _ => Ok(()),
        }
    }

    /// Applies pending migrations, all or none; returns their names. Safe to call from
    /// several processes at once.
    pub async fn migrate(&self) -> Result<Vec<String>, Error> {
        self.unwatched(|store| migrate::apply(&mut *store.connect()?)).await
    }

    /// Takes the newest migration back; refuses to drop the client's tables while they hold
    /// rows.
    ///
    /// # Errors
    /// [`Error::Forgetting`] if nothing but the tables to be dropped knows which rows of the
    /// platform are the daemon's.
    pub async fn revert(&self) -> Result<String, Error> {
        self.require_file()?;
        self.unwatched(|store| migrate::revert(&mut *store.connect()?, Memory::Keep)).await
    }

    /// The same, giving that up: afterwards all rows are people's. The audit says so.
    pub async fn revert_and_forget(&self) -> Result<String, Error> {
        self.require_file()?;
        self.unwatched(|store| migrate::revert(&mut *store.connect()?, Memory::GiveUp)).await
    }

    /// How many connections there are and how many of them are at work. Asks no server.
    pub fn pool_use(&self) -> PoolUse {
        let state = self.pools.get().state();
        let idle = u64::from(state.idle_connections);
        PoolUse { idle, in_use: u64::from(state.connections).saturating_sub(idle) }
    }

    /// Asked before the first setting is made: what is set in a session that a pooler deals
    /// out stays there, for whoever gets it next. Once for a process; a replica that leads
    /// watches its own session besides.
    fn require_sessions(&self) -> Result<(), Error> {
        if self.backend == Backend::Postgres && !self.has_sessions.load(Ordering::Relaxed) {
            let manager = connection::Manager::new(&self.settings)?;
            self.expect_connection(|| candidate::require_session(&manager))?;
            self.has_sessions.store(true, Ordering::Relaxed);
        }
        Ok(())
    }

    fn connect(&self) -> Result<Pooled, Error> {
        self.require_sessions()?;
        let pooled = self.expect_connection(|| {
            // The pool's own message hides the cause; ask the server directly for it.
            self.pools.get().get().map_err(|pooled| {
                let cause = connection::explain(&self.settings).unwrap_or_else(|| Box::new(pooled));
                Error::of_connection(cause)
            })
        })?;
        self.is_mute.store(false, Ordering::Relaxed);
        Ok(pooled)
    }

    /// An embedded database falls silent for as long as others write, and says so itself.
    fn expect_connection<T>(&self, connect: impl FnOnce() -> T) -> T {
        match self.backend {
            Backend::Postgres => silence::expect(silence::connecting(&self.settings), connect),
            Backend::Sqlite => connect(),
        }
    }

    /// Whether questions are not answered any more, on new connections neither.
    pub fn is_mute(&self) -> bool {
        self.is_mute.load(Ordering::Relaxed)
    }

    /// On a task of its own: whoever asks may give up before it is plain that nobody answers.
    async fn blocking<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let store = self.clone();
        let asked = tokio::spawn(async move {
            let answer = store.watched(work).await;
            if matches!(answer, Err(Error::Silent)) {
                // Was it that connection alone?
                let other = store.watched(|store| store.connect().map(drop)).await;
                store.is_mute.store(other.is_err(), Ordering::Relaxed);
            }
            answer
        });
        asked.await.map_err(Error::Task)?
    }

    /// A question that is not answered keeps its thread and its connection, and nobody else.
    async fn watched<T: Send + 'static>(
        &self,
        work: impl FnOnce(&Self) -> Result<T, Error> + Send + 'static,
    ) -> Result<T, Error> {
        let (call, pool) = (silence::Call::new(&self.settings), self.pools.number());
        let (store, watch) = (self.clone(), call.clone());
        let mut asked = tokio::task::spawn_blocking(move || watch.watch(|| work(&store)));
        tokio::select! {
            biased;
            answer = &mut asked => return answer.map_err(Error::Task)?,
            () = call.overdue() => {}
        }
        if let Ok(answer) = tokio::time::timeout(LATE, asked).await {
            return answer.map_err(Error::Task)?;
        }
        self.pools.renew(pool, &self.settings)?;
        Err(Error::Silent)
    }

    /// A migration takes as long as it takes; the server is told so.
    async fn unwatched<T: Send + 'static>(
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
