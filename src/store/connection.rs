//! Opens connections to either database and keeps a few of them.
//!
//! Owns URLs, session settings and the pool; knows no table.

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::connection::{InstrumentationEvent, SimpleConnection};
use diesel::prelude::*;
use diesel::r2d2::{ManageConnection, Pool, PooledConnection};
use secrecy::{ExposeSecret, SecretString};

use super::{Error, silence};

/// A connection to either database.
#[derive(diesel::MultiConnection)]
pub(super) enum Conn {
    Postgres(PgConnection),
    Sqlite(SqliteConnection),
}

/// How to reach and use the database.
#[derive(Clone, Debug)]
pub struct Settings {
    /// `postgres://…` or `sqlite://PATH`.
    pub url: SecretString,
    /// Connections kept at most.
    pub pool_size: u32,
    /// How long to wait for a connection.
    pub connect_timeout: Duration,
    /// PostgreSQL's `statement_timeout`.
    pub statement_timeout: Duration,
    /// PostgreSQL's `lock_timeout`; how long SQLite waits for another writer.
    pub lock_timeout: Duration,
}

/// What the connections of a pool are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct PoolUse {
    /// Open, and waiting for work.
    pub idle: u64,
    /// At work, or being opened.
    pub in_use: u64,
}

/// Which database a URL names.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Backend {
    /// A PostgreSQL server.
    Postgres,
    /// A file.
    Sqlite,
}

impl Settings {
    /// Which database the URL names.
    ///
    /// # Errors
    /// [`Error::Url`] if it names neither.
    pub fn backend(&self) -> Result<Backend, Error> {
        let url = self.url.expose_secret();
        if url.starts_with("postgres://") || url.starts_with("postgresql://") {
            Ok(Backend::Postgres)
        } else if url.starts_with("sqlite://") && url.len() > "sqlite://".len() {
            Ok(Backend::Sqlite)
        } else {
            Err(Error::Url)
        }
    }
}

impl Settings {
    /// The file of an embedded database.
    pub(super) fn sqlite_path(&self) -> Option<&str> {
        self.url.expose_secret().strip_prefix("sqlite://")
    }
}

type Connections = Pool<Manager>;
pub(super) type Pooled = PooledConnection<Manager>;

/// The pool in use. Clones share it.
#[derive(Clone)]
pub(super) struct Pools(Arc<Mutex<Numbered>>);

struct Numbered {
    number: u64,
    pool: Connections,
}

impl Pools {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        let pool = pool(settings)?;
        Ok(Self(Arc::new(Mutex::new(Numbered { number: 0, pool }))))
    }

    /// Which one it is.
    pub(super) fn number(&self) -> u64 {
        self.current().number
    }

    pub(super) fn get(&self) -> Connections {
        self.current().pool.clone()
    }

    /// Leaves the pool of that number to whoever waits for one of its connections: what
    /// befell one is likely to have befallen all, and a new one has all its places.
    pub(super) fn renew(&self, number: u64, settings: &Settings) -> Result<(), Error> {
        let new = pool(settings)?;
        let mut current = self.current();
        if current.number == number {
            current.number += 1;
            let old = std::mem::replace(&mut current.pool, new);
            drop(current);
            // Its idle connections end here, without the lock.
            drop(old);
        }
        Ok(())
    }

    fn current(&self) -> MutexGuard<'_, Numbered> {
        // The state is whole at any time.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Opens connections for the pool.
#[derive(Debug)]
pub(super) struct Manager {
    settings: Settings,
    backend: Backend,
}

/// A pool that connects when first asked, so that a database which is away delays
/// nothing but its own use.
fn pool(settings: &Settings) -> Result<Connections, Error> {
    let manager = Manager::new(settings)?;
    Ok(Pool::builder()
        .max_size(settings.pool_size)
        .min_idle(Some(0))
        .connection_timeout(settings.connect_timeout)
        .error_handler(Box::new(diesel::r2d2::NopErrorHandler))
        .build_unchecked(manager))
}

/// How soon a peer that is gone without a word is noticed, here and by the server.
#[derive(Clone, Copy, Debug)]
struct Keepalives {
    idle_seconds: u32,
    interval_seconds: u32,
    count: u32,
}

/// Of the pool's connections: half a minute.
const UNHURRIED: Keepalives = Keepalives { idle_seconds: 10, interval_seconds: 5, count: 4 };
/// Of the lead's: a standby waits for it.
const PROMPT: Keepalives = Keepalives { idle_seconds: 2, interval_seconds: 1, count: 3 };

impl Keepalives {
    fn as_settings(self) -> String {
        let Self { idle_seconds, interval_seconds, count } = self;
        format!(
            "SET tcp_keepalives_idle = {idle_seconds}; SET tcp_keepalives_interval = {interval_seconds}; SET tcp_keepalives_count = {count};"
        )
    }
}

/// No transaction of ours rests for so long while it plans; one that does has lost its
/// process, and would keep all others out.
const IDLE_TRANSACTION_MIN: Duration = Duration::from_mins(1);

impl Manager {
    pub(super) fn new(settings: &Settings) -> Result<Self, Error> {
        Ok(Self { settings: settings.clone(), backend: settings.backend()? })
    }

    pub(super) fn open(&self) -> ConnectionResult<Conn> {
        let url = self.settings.url.expose_secret();
        match self.backend {
            Backend::Postgres => {
                let Settings { statement_timeout, lock_timeout, .. } = &self.settings;
                let mut conn = self.dial_within(*statement_timeout, UNHURRIED)?;
                let set = format!(
                    "SET statement_timeout = {}; SET lock_timeout = {}; SET idle_in_transaction_session_timeout = {}; SET application_name = 'nexus-dirsync'; SET timezone = 'UTC'; SET client_min_messages = warning; {}",
                    statement_timeout.as_millis(),
                    lock_timeout.as_millis(),
                    IDLE_TRANSACTION_MIN.max(*statement_timeout).as_millis(),
                    UNHURRIED.as_settings(),
                );
                conn.batch_execute(&set).map_err(ConnectionError::CouldntSetupConfiguration)?;
                conn.set_instrumentation(|event: InstrumentationEvent<'_>| silence::listen(&event));
                Ok(conn)
            }
            Backend::Sqlite => {
                let path = url.strip_prefix("sqlite://").unwrap_or(url);
                let mut conn = SqliteConnection::establish(path)?;
                let set = format!(
                    "PRAGMA busy_timeout = {}; PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA foreign_keys = ON;",
                    self.settings.lock_timeout.as_millis(),
                );
                conn.batch_execute(&set).map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(Conn::Sqlite(conn))
            }
        }
    }
}

impl Manager {
    /// A connection for the lead: whoever is at its other end must answer soon.
    pub(super) fn dial(&self, patience: Duration) -> ConnectionResult<Conn> {
        let mut conn = self.dial_within(patience, PROMPT)?;
        conn.batch_execute(&PROMPT.as_settings())
            .map_err(ConnectionError::CouldntSetupConfiguration)?;
        Ok(conn)
    }

    /// A connection in which nothing was set.
    pub(super) fn dial_plainly(&self) -> ConnectionResult<Conn> {
        self.dial_within(self.settings.statement_timeout, UNHURRIED)
    }

    fn dial_within(&self, unheard: Duration, keepalives: Keepalives) -> ConnectionResult<Conn> {
        let url = self.bounded(unheard, keepalives);
        PgConnection::establish(&url).map(Conn::Postgres).map_err(without_the_url)
    }

    /// The URL with bounds on waiting for a server that does not answer: libpq has
    /// none of its own. What the URL says itself is left as it is.
    fn bounded(&self, unheard: Duration, keepalives: Keepalives) -> String {
        let bounds = [
            // libpq takes whole seconds, and reads 1 as 2.
            ("connect_timeout", self.settings.connect_timeout.as_secs().max(2).to_string()),
            ("tcp_user_timeout", unheard.as_millis().to_string()),
            ("keepalives_idle", keepalives.idle_seconds.to_string()),
            ("keepalives_interval", keepalives.interval_seconds.to_string()),
            ("keepalives_count", keepalives.count.to_string()),
        ];
        let mut bounded = self.settings.url.expose_secret().to_owned();
        for (name, value) in bounds {
            if !bounded.contains(name) {
                let separator = if bounded.contains('?') { '&' } else { '?' };
                bounded = format!("{bounded}{separator}{name}={value}");
            }
        }
        bounded
    }
}

impl ManageConnection for Manager {
    type Connection = Conn;
    type Error = diesel::r2d2::Error;

    fn connect(&self) -> Result<Conn, Self::Error> {
        self.open().map_err(diesel::r2d2::Error::ConnectionError)
    }

    fn is_valid(&self, conn: &mut Conn) -> Result<(), Self::Error> {
        conn.batch_execute("SELECT 1").map_err(diesel::r2d2::Error::QueryError)
    }

    fn has_broken(&self, conn: &mut Conn) -> bool {
        std::thread::panicking() || !conn.is_idle()
    }
}

impl Conn {
    /// Whether no transaction is open on it.
    fn is_idle(&mut self) -> bool {
        use diesel::connection::{AnsiTransactionManager, TransactionManager};
        let status = match self {
            Self::Postgres(conn) => {
                AnsiTransactionManager::transaction_manager_status_mut(conn).transaction_depth()
            }
            Self::Sqlite(conn) => {
                AnsiTransactionManager::transaction_manager_status_mut(conn).transaction_depth()
            }
        };
        matches!(status, Ok(None))
    }
}

/// How libpq begins what it says about a server that it tried to reach, and about an
/// `sslmode` that it knows.
const TRIED: [&str; 3] =
    ["connection to server ", "could not translate host name ", "weak sslmode "];
/// What it says of a number of the URL, at whatever time.
const QUOTING: &str = "invalid integer value ";

/// libpq quotes pieces of a URL that it does not understand, and so of the password.
/// What it says before it tried to connect is replaced.
fn without_the_url(error: ConnectionError) -> ConnectionError {
    let may_be_told = match &error {
        ConnectionError::BadConnection(words) => {
            // A host with an @ in it is the rest of a password.
            let is_rest = words.starts_with(TRIED[1]) && words.contains('@');
            TRIED.iter().any(|begin| words.starts_with(begin))
                && !is_rest
                && !words.contains(QUOTING)
        }
        ConnectionError::CouldntSetupConfiguration(_) => true,
        _ => false,
    };
    if may_be_told {
        return error;
    }
    ConnectionError::BadConnection(
        "libpq does not take database.url as it is: look at its parts and parameters, and encode / : % @ # ? and spaces in the password"
            .to_owned(),
    )
}

/// Why a connection cannot be had, in the database's own words.
pub(super) fn explain(settings: &Settings) -> Option<Box<dyn std::error::Error + Send + Sync>> {
    let manager = Manager::new(settings).ok()?;
    let error = manager.open().err()?;
    Some(Box::new(error))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn settings(url: &str) -> Settings {
        Settings {
            url: SecretString::from(url),
            pool_size: 1,
            connect_timeout: Duration::from_secs(2),
            statement_timeout: Duration::from_secs(2),
            lock_timeout: Duration::from_secs(2),
        }
    }

    #[test]
    fn what_libpq_quotes_of_a_url_is_never_told() {
        for url in [
            "postgres://u:hunter2%zz@127.0.0.1:1/db",
            "postgres://u:hunter2%00@127.0.0.1:1/db",
            "postgres://u:hunter@ter2@127.0.0.1:1/db",
            "postgres://u:hunter/2@127.0.0.1:1/db",
            "postgres://u:hunter 2@127.0.0.1:1/db",
            "postgres://u:hunter2\0@127.0.0.1:1/db",
            "postgres://u:hunter2@[::1/db",
            "postgres://u@127.0.0.1:1/db?passwordhunter2",
            "postgres://u@127.0.0.1:1/db?hunter2=1",
            "postgres://u@127.0.0.1:1/db?password=hunter=2",
            "postgres://u:hunter2@127.0.0.1:1/db?sslmode=hunter2",
            "postgres://u:hunter2@127.0.0.1:1/db?connect_timeout=hunter2",
            "postgres://u:hunter2@127.0.0.1:1/db?tcp_user_timeout=hunter2",
            "postgres://u:hunter2@127.0.0.1:1/db?channel_binding=hunter2",
        ] {
            let cause = explain(&settings(url)).expect("no connection");
            let bytes = format!("{:?}", "hunter".as_bytes());
            let error = Error::of_connection(cause);
            let source = std::error::Error::source(&error).expect("a cause");
            let text = format!("{error} {error:?} {source} {source:?}");
            assert!(!text.contains("hunter") && !text.contains("ter2"), "{url}: {text}");
            assert!(!text.contains(bytes.trim_matches(['[', ']'])), "{url}: {text}");
            assert!(text.contains("look at its parts"), "{url}: {text}");
        }
    }

    #[test]
    fn what_it_says_of_a_server_is_told() {
        for (url, words) in [
            ("postgres://u:hunter2@127.0.0.1:1/db", "Connection refused"),
            ("postgres://u:hunter2@nobody.invalid/db", "could not translate host name"),
            ("postgres://u:hunter2@h/db?sslmode=allow&sslrootcert=system", "weak sslmode"),
        ] {
            let cause = explain(&settings(url)).expect("no connection").to_string();
            assert!(cause.contains(words) && !cause.contains("hunter"), "{cause}");
        }
    }
}
