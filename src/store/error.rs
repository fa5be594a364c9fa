//! Why the database did not do what it was asked, told apart by what can be done about it.
//!
//! Owns the wording, and the words of the databases by which they are recognised.

use diesel::QueryResult;
use diesel::result::{DatabaseErrorKind, Error as DieselError};

use super::Belongings;

/// Why the database did not do what it was asked.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The URL names neither database.
    #[error("database.url must start with postgres:// or sqlite://")]
    Url,
    /// No connection could be had.
    #[error("the database cannot be reached; check database.url, the server and the network")]
    Unreachable(#[source] Box<dyn std::error::Error + Send + Sync>),
    /// A connection says nothing any more.
    #[error(
        "the database fell silent: it would have ended the statement itself by now; look at what stands between, such as a proxy, and at the server's storage"
    )]
    Silent,
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
        "the database is reached through a pooler that deals sessions out by the transaction or statement (PgBouncer's pool_mode), where neither locks nor settings last; put the server's own address into database.url, or a pool with pool_mode = session"
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
    /// The file of an embedded database has several names.
    #[error(
        "the database {path} has {names} names (hard links), and SQLite keeps a journal for each, so that writers destroy each other's work; leave it one, and use a symbolic link for another"
    )]
    Linked {
        /// The name in the configuration.
        path: String,
        /// How many there are.
        names: u64,
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
    /// No file is where an embedded database should be.
    #[error(
        "there is no database at {0}; correct database.url, or make one there with `nexus-dirsync migrate`"
    )]
    Absent(String),
    /// The schema is older, newer or not ours.
    #[error("the database schema is not the one this version knows: {0}")]
    Schema(String),
    /// Taking a migration back would lose what nothing else knows.
    #[error(
        "taking this migration back would forget what is the daemon's: {0}; nothing was changed. Afterwards all of it would count as people's: never corrected, never taken away, and whoever is an admin or a product member waits for a decision. Make a backup that can be restored; then `migrate --revert --forget` does it"
    )]
    Forgetting(Belongings),
    /// There is no migration that could be taken back.
    #[error(
        "there is nothing to take back: no migration of this program is applied to the database; see that database.url names the one that is meant"
    )]
    NothingApplied,
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
    pub(super) fn of_connection(cause: Box<dyn std::error::Error + Send + Sync>) -> Self {
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
            Self::Linked { .. } => "database_linked",
            Self::Unreachable(_) | Self::Silent => "database_unreachable",
            Self::Untrusted(_) => "database_untrusted",
            Self::Conflict(_) => "database_conflict",
            Self::Limit { .. } => "database_limit",
            Self::Superseded => "superseded",
            Self::Deposed { .. } => "deposed",
            Self::LeadLost => "lead_lost",
            Self::Pooled => "database_pooled",
            Self::Tenant { .. } => "tenant_mismatch",
            Self::Absent(_) => "database_absent",
            Self::Schema(_) => "schema",
            Self::Forgetting(_) => "forgetting",
            Self::NothingApplied | Self::Migration(_) => "migration",
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
            Self::Url
                | Self::Locked { .. }
                | Self::Linked { .. }
                | Self::Tenant { .. }
                | Self::Absent(_)
                | Self::Schema(_)
                | Self::Pooled
        )
    }

    /// Whether something stored is not what any version of this wrote, so that reading it
    /// again will not help.
    pub const fn is_unreadable(&self) -> bool {
        matches!(
            self,
            Self::Corrupt(_) | Self::Query { source: DieselError::DeserializationError(_), .. }
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
pub(super) trait Doing<T> {
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
