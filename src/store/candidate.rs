//! A replica that leads or would: a session of its own, with the lock that one can hold.
//!
//! Owns how the lead is taken, shown to be still there, given up, and taken away from
//! whoever says nothing more. Must not decide when. The lock is the session's, so this
//! connection is never one of the pool.

use std::time::{Duration, Instant};

use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Double, Integer};

use super::connection::{Backend, Conn, Manager};
use super::leader::Leader;
use super::requests::{CHANNEL, RunRequest};
use super::types::is_postgres;
use super::{Access, Doing, Error, Store, Tx, begin, commit, rollback};

/// The lock's number of an installation in the schema `public`: the first bytes of "dirsync"
/// and a purpose.
const LEADER_LOCK: i64 = 0x6469_7273_796e_6302;

/// Of `pg_locks`, which shows those of all databases: a copy of ours has tables with the
/// same numbers, and its leader is none of our business.
const IN_THIS_DATABASE: &str =
    "database = (SELECT oid FROM pg_database WHERE datname = current_database())";

/// How a replica stands for the lead.
#[derive(Clone, Debug)]
pub struct Candidacy {
    /// How it calls itself.
    pub holder: String,
    /// How long it waits for an answer, and for a former leader's commit.
    pub patience: Duration,
    /// For how long PostgreSQL keeps the lead for a leader that says nothing.
    pub lease: Duration,
}

/// What a candidate learnt.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Standing {
    /// It leads, and these runs are asked for.
    Leads(Leader, Vec<RunRequest>),
    /// Somebody else does: the one named, or one that has not said so yet.
    StandsBy(Option<Leader>),
}

/// The connection with the lock, or without it yet. Dropped, it gives the lead up.
pub struct Candidate {
    conn: Conn,
    backend: Backend,
    candidacy: Candidacy,
    session: i32,
    lock: i64,
    mine: Option<Leader>,
    /// The epoch that this process led with before it lost its connection.
    before: Option<i64>,
    eviction: Option<Eviction>,
}

/// Transactions of former leaders that began before `raised_seconds` end at `due`.
struct Eviction {
    due: Instant,
    raised_seconds: f64,
}

#[derive(QueryableByName)]
struct Seat {
    #[diesel(sql_type = Integer)]
    session: i32,
    #[diesel(sql_type = Bool)]
    held: bool,
}

#[derive(QueryableByName)]
struct Now {
    #[diesel(sql_type = Double)]
    seconds: f64,
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = BigInt)]
    count: i64,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Session {
    #[diesel(sql_type = Integer)]
    session: i32,
}

impl Candidate {
    /// Connects. `before` is the epoch that this process led with last, if it did: where
    /// nobody led since, it goes on with that. An embedded database has one daemon at
    /// most, kept alone by [`Store::lock_daemon`]: there the candidate always leads.
    ///
    /// # Errors
    /// [`Error::Pooled`] if the connection is no session of the server's.
    pub fn stand(store: &Store, candidacy: Candidacy, before: Option<i64>) -> Result<Self, Error> {
        let manager = Manager::new(&store.settings)?;
        let (conn, session, lock) = match store.backend {
            Backend::Sqlite => (manager.open().map_err(unreachable)?, 0, LEADER_LOCK),
            Backend::Postgres => {
                store.require_sessions()?;
                let mut conn = manager.dial(candidacy.patience).map_err(unreachable)?;
                conn.batch_execute(&settings(&candidacy)).doing("preparing the lead")?;
                let (session, lock) = (session(&mut conn)?, lock_of(&mut conn)?);
                (conn, session, lock)
            }
        };
        let backend = store.backend;
        let (mine, eviction) = (None, None);
        Ok(Self { conn, backend, candidacy, session, lock, mine, before, eviction })
    }

    /// Takes the lead if nobody has it, and tells who does. Whoever leads is shown to hold
    /// the lock still. After an error this candidate is of no use any more.
    pub fn ask(&mut self) -> Result<Standing, Error> {
        if self.mine.is_none() && !self.try_lock()? {
            return Ok(Standing::StandsBy(self.look(|tx| tx.leader())?));
        }
        let leader = match self.mine.clone() {
            Some(leader) => {
                self.require_lock()?;
                leader
            }
            None => self.begin_to_lead()?,
        };
        self.evict_if_due()?;
        Ok(Standing::Leads(leader, self.look(|tx| tx.pending_requests())?))
    }

    /// Whether somebody called since the last time. Never waits.
    pub fn woken(&mut self) -> Result<bool, Error> {
        let Conn::Postgres(conn) = &mut self.conn else { return Ok(false) };
        let mut woken = false;
        for notification in conn.notifications_iter() {
            notification.doing("listening for requests")?;
            woken = true;
        }
        Ok(woken)
    }

    /// Gives the lead up, and tells the others.
    pub fn release(mut self) -> Result<(), Error> {
        if self.backend == Backend::Postgres && self.mine.is_some() {
            let release = format!("SELECT pg_advisory_unlock({}); NOTIFY {CHANNEL}", self.lock);
            self.conn.batch_execute(&release).doing("giving up the lead")?;
        }
        Ok(())
    }

    fn try_lock(&mut self) -> Result<bool, Error> {
        if self.backend == Backend::Sqlite {
            return Ok(true);
        }
        let sql = format!(
            "SELECT pg_backend_pid() AS session, pg_try_advisory_lock({}) AS held",
            self.lock
        );
        self.seat(&sql)
    }

    fn require_lock(&mut self) -> Result<(), Error> {
        if self.backend == Backend::Sqlite {
            return Ok(());
        }
        let held = held(self.lock);
        let held = self.seat(&format!(
            "SELECT pg_backend_pid() AS session, \
             EXISTS ({held} AND pid = pg_backend_pid()) AS held"
        ))?;
        if held { Ok(()) } else { Err(Error::LeadLost) }
    }

    fn seat(&mut self, sql: &str) -> Result<bool, Error> {
        let seat: Seat =
            diesel::sql_query(sql).get_result(&mut self.conn).doing("asking who leads")?;
        if seat.session == self.session { Ok(seat.held) } else { Err(Error::Pooled) }
    }

    /// With the lock in hand: a new epoch, unless nobody led since ours.
    fn begin_to_lead(&mut self) -> Result<Leader, Error> {
        let stored = self.look(|tx| tx.leader())?;
        let leader = match stored.filter(|leader| Some(leader.epoch) == self.before) {
            Some(leader) => leader,
            None => match self.raise() {
                // A former leader stopped in the middle of its commit.
                Err(Error::Limit { .. }) => {
                    self.evict(None)?;
                    self.raise()?
                }
                raised => raised?,
            },
        };
        self.mine = Some(leader.clone());
        Ok(leader)
    }

    fn raise(&mut self) -> Result<Leader, Error> {
        let holder = self.candidacy.holder.clone();
        let conn = &mut self.conn;
        begin(conn, Access::Write)?;
        let raised = (|| {
            let leader = Tx { conn }.raise_epoch(&holder)?;
            Tx { conn }.notify()?;
            commit(conn)?;
            Ok(leader)
        })();
        if raised.is_err() {
            rollback(conn);
            return raised;
        }
        if self.backend == Backend::Postgres {
            let sql = "SELECT extract(epoch FROM clock_timestamp())::float8 AS seconds";
            let now: Now =
                diesel::sql_query(sql).get_result(&mut self.conn).doing("reading the clock")?;
            let due = Instant::now() + self.candidacy.patience;
            self.eviction = Some(Eviction { due, raised_seconds: now.seconds });
        }
        raised
    }

    fn evict_if_due(&mut self) -> Result<(), Error> {
        match self.eviction.take_if(|eviction| eviction.due <= Instant::now()) {
            Some(eviction) => self.evict(Some(eviction.raised_seconds)),
            None => Ok(()),
        }
    }

    /// Ends transactions in which a former leader writes. They would be refused anyway,
    /// but one that is paused keeps every other run out until it ends.
    fn evict(&mut self, began_before_seconds: Option<f64>) -> Result<(), Error> {
        let before = began_before_seconds
            .map_or(String::new(), |seconds| format!(" AND xact_start < to_timestamp({seconds})"));
        let sql = format!(
            "SELECT count(pg_terminate_backend(pid)) AS count \
             FROM pg_locks JOIN pg_stat_activity USING (pid) \
             WHERE locktype = 'relation' AND relation = 'dirsync_leader'::regclass \
             AND mode = 'RowShareLock' AND granted \
             AND {IN_THIS_DATABASE} AND pid <> pg_backend_pid(){before}"
        );
        let ended: Count = diesel::sql_query(sql)
            .get_result(&mut self.conn)
            .doing("ending a former leader's transaction")?;
        if ended.count > 0 {
            tracing::warn!(count = ended.count, "a former leader's transaction was ended");
        }
        Ok(())
    }

    fn look<T>(&mut self, look: impl FnOnce(&mut Tx<'_>) -> Result<T, Error>) -> Result<T, Error> {
        look(&mut Tx { conn: &mut self.conn })
    }
}

/// What the session of the lock needs: answers at once or not at all; the server notices
/// a peer that is gone, and ends a session that says nothing, as a paused leader's.
fn settings(candidacy: &Candidacy) -> String {
    let Candidacy { patience, lease, .. } = candidacy;
    let (patience, lease) = (patience.as_millis(), lease.as_millis());
    // Older servers than 14 do not know the last one; there the keepalives must do.
    format!(
        "SET application_name = 'nexus-dirsync leader'; \
         SET statement_timeout = {patience}; SET lock_timeout = {patience}; \
         SET client_min_messages = warning; \
         SELECT set_config(name, '{lease}', false) FROM pg_settings WHERE name = 'idle_session_timeout'; \
         LISTEN {CHANNEL};"
    )
}

/// The lock's number of this installation: one database may hold several, each in a schema
/// of its own. Where the tables are not there yet nobody can lead, whatever it is.
fn lock_of(conn: &mut Conn) -> Result<i64, Error> {
    let sql = format!(
        "SELECT coalesce((SELECT CASE nspname WHEN 'public' THEN {LEADER_LOCK} \
         ELSE ('x' || substr(md5('dirsync leader ' || nspname), 1, 16))::bit(64)::bigint END \
         FROM pg_class JOIN pg_namespace ON pg_namespace.oid = relnamespace \
         WHERE pg_class.oid = to_regclass('dirsync_leader')), {LEADER_LOCK}) AS number"
    );
    let lock: Number = diesel::sql_query(sql).get_result(conn).doing("looking for the lead")?;
    Ok(lock.number)
}

/// The lock as `pg_locks` shows it, a bigint in halves.
fn held(lock: i64) -> String {
    let (high, low) = ((lock >> 32) & 0xffff_ffff, lock & 0xffff_ffff);
    format!(
        "SELECT FROM pg_locks WHERE locktype = 'advisory' AND granted AND objsubid = 1 \
         AND classid = {high} AND objid = {low} AND {IN_THIS_DATABASE}"
    )
}

impl Tx<'_> {
    /// Who leads right now; `None` where nobody does. Only PostgreSQL can tell: in an
    /// embedded database it is whoever led last.
    pub fn leader_now(&mut self) -> Result<Option<Leader>, Error> {
        if is_postgres(self.conn) {
            let held = held(lock_of(self.conn)?);
            let sql = format!("SELECT pg_backend_pid() AS session, EXISTS ({held}) AS held");
            let seat: Seat =
                diesel::sql_query(sql).get_result(self.conn).doing("asking who leads")?;
            if !seat.held {
                return Ok(None);
            }
        }
        self.leader()
    }
}

fn session(conn: &mut Conn) -> Result<i32, Error> {
    let row: Session = diesel::sql_query("SELECT pg_backend_pid() AS session")
        .get_result(conn)
        .doing("asking for the session")?;
    Ok(row.session)
}

/// Makes sure that a connection is a session of the server's, and not a place in a pool
/// that deals sessions out by the transaction or statement: locks, settings and LISTEN are
/// lost there. While one connection rests, another one asks for its session, or begins a
/// transaction; a pool has every reason to give it the session that rests. (A pool by the
/// statement takes no transaction at all, and hangs up without a word.)
pub(super) fn require_session(manager: &Manager) -> Result<(), Error> {
    /// Somebody else's transactions may come in between.
    const TRIES: usize = 3;
    let ask = |conn: &mut Conn| {
        begin(conn, Access::Read)?;
        session(conn)
    };
    let mut one = manager.dial_plainly().map_err(unreachable)?;
    let mut other = manager.dial_plainly().map_err(unreachable)?;
    for _ in 0..TRIES {
        if session(&mut one)? == session(&mut other)? {
            return Err(Error::Pooled);
        }
    }
    for _ in 0..TRIES {
        let before = ask(&mut one)?;
        commit(&mut one)?;
        let others = ask(&mut other)?;
        if before == others {
            return Err(Error::Pooled);
        }
        let after = ask(&mut one)?;
        commit(&mut one)?;
        commit(&mut other)?;
        if before != after {
            return Err(Error::Pooled);
        }
    }
    Ok(())
}

fn unreachable(source: ConnectionError) -> Error {
    Error::of_connection(Box::new(source))
}
