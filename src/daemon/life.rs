//! Puts the parts of the daemon together and runs them until one of them ends.

use std::collections::BTreeMap;
use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio_cron_scheduler::JobSchedulerError;

use super::board::Board;
use super::clock::Clock;
use super::heartbeat::Heartbeat;
use super::requests::Requests;
use super::schedule::{Follower, Ticker};
use super::shutdown::Shutdown;
use super::signals::Signals;
use super::supervise::{Ended, Supervisor};
use super::turns::{Apply, Load, Refusal, Runner, Turns};
use crate::config::Config;
use crate::directory::Mode;
use crate::http::{self, Readiness, Site};
use crate::metrics::Metrics;

/// Everything a daemon is made of.
pub struct Daemon<R> {
    /// The signals, caught before anything else was done.
    pub signals: Signals,
    /// The configuration to begin with.
    pub config: Config,
    /// Where another one comes from when HUP is caught.
    pub load: Load,
    /// Who takes another one besides the parts of the daemon, such as the log level.
    pub apply: Apply,
    /// Does the runs.
    pub runner: R,
    /// What `/metrics` shows; the runner counts there, too.
    pub metrics: Arc<Metrics>,
    /// What `/readyz` asks.
    pub readiness: Readiness,
    /// Looks at the database before the first run.
    pub opening: Opening,
}

/// Tells when a run of each mode last succeeded, or nothing where the database is away:
/// it may come yet. Whatever a restart cannot mend is a [`Refusal`]. May take as long as
/// the timeouts of the database; HTTP is served meanwhile.
pub type Opening = BoxFuture<'static, Result<BTreeMap<Mode, DateTime<Utc>>, Refusal>>;

/// How long opening may take before the loop counts as stuck: connecting, several times.
const OPENING_BOUND: Duration = Duration::from_mins(5);

/// Why a daemon did not start, or ended unasked.
#[derive(Debug, thiserror::Error)]
pub enum DaemonError {
    /// The address is taken or not of this machine.
    #[error("listening on {address} (http.listen)")]
    Listen {
        /// What was configured.
        address: SocketAddr,
        /// What the system says.
        #[source]
        source: io::Error,
    },
    /// The scheduler did not start.
    #[error("starting the scheduler")]
    Ticker(#[source] JobSchedulerError),
    /// The database is not one that this daemon may work with.
    #[error(transparent)]
    Refused(Refusal),
    /// A part ended, or did not.
    #[error(transparent)]
    Ended(#[from] Ended),
}

impl<R: Runner> Daemon<R> {
    /// Runs until a signal asks for a stop, or until something breaks.
    pub async fn run(self) -> Result<(), DaemonError> {
        let Self { signals, config, load, apply, runner, metrics, readiness, opening } = self;
        let address = config.http.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| DaemonError::Listen { address, source })?;
        let ticker = Ticker::start().await.map_err(DaemonError::Ticker)?;

        let (limits, grace) = (config.http.clone(), config.schedule.stop_grace);
        let (config, configs) = watch::channel(Arc::new(config));
        let clock = Clock::system();
        let board = Arc::new(Board::new(Arc::clone(&metrics), clock.clone()));
        let (heartbeat, requests) = (Heartbeat::default(), Requests::default());
        let (stopper, shutdown) = Shutdown::channel();

        let site = Site { heartbeat: heartbeat.clone(), readiness, metrics, status: board.watch() };
        let mut parts = Supervisor::new(stopper.clone(), shutdown.clone());
        let passing = signals.pass_on(requests.clone(), stopper.clone(), shutdown.clone());
        parts.start("signal handler", passing);
        parts.start("HTTP server", http::serve(listener, site, limits, shutdown.clone()));
        let last = match heartbeat
            .during(OPENING_BOUND, shutdown.unless_stopped(opening))
            .await
            .unwrap_or_else(|_| Ok(BTreeMap::new()))
        {
            Ok(last) => last,
            Err(refusal) => {
                stopper.stop();
                parts.run(grace).await?;
                return Err(DaemonError::Refused(refusal));
            }
        };
        board.succeeded_before(&last);
        let follower = Follower {
            config: configs,
            last,
            requests: requests.clone(),
            board: Arc::clone(&board),
            clock,
        };
        let turns = Turns {
            runner,
            requests,
            shutdown: shutdown.clone(),
            config,
            load,
            apply,
            board,
            heartbeat,
            leader: false,
        };
        parts.start("schedule", ticker.drive(follower, shutdown));
        parts.start("run loop", turns.run());
        tracing::info!(version = crate::VERSION, revision = crate::REVISION, %address, "started");
        parts.run(grace).await?;
        tracing::info!("stopped");
        Ok(())
    }
}
