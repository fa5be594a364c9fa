//! Puts the parts of the daemon together and runs them until one of them ends.

use std::io;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use futures::future::BoxFuture;
use tokio::net::TcpListener;
use tokio::sync::watch;
use tokio::time::sleep;
use tokio_cron_scheduler::JobSchedulerError;
use tokio_util::sync::CancellationToken;

use super::audit::{Auditor, Verify};
use super::board::Board;
use super::clock::Clock;
use super::heartbeat::Heartbeat;
use super::lead::{Elect, Lead};
use super::orphans;
use super::requests::Requests;
use super::schedule::{Follower, Ticker};
use super::shutdown::Shutdown;
use super::signals::Signals;
use super::supervise::{Ended, Supervisor};
use super::turns::{Apply, Load, Recall, Refusal, Runner, Turns};
use crate::config::{Config, Credential};
use crate::http::{self, Readiness, Site};
use crate::metrics::Metrics;
use crate::reconcile::report::Past;

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
    /// Looks at it again: whenever this replica begins to lead, and while another one does.
    pub recall: Recall,
    /// Verifies the audit now and then.
    pub verify: Verify,
    /// How this replica calls itself.
    pub instance: String,
    /// Who leads.
    pub lead: watch::Receiver<Lead>,
    /// Finds that out.
    pub elect: Elect,
}

/// Tells how runs went before this process, or nothing where the database is away:
/// it may come yet. Whatever a restart cannot mend is a [`Refusal`]. May take as long as
/// the timeouts of the database; HTTP is served meanwhile.
pub type Opening = BoxFuture<'static, Result<Past, Refusal>>;

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
        let Self { signals, config, load, apply, runner, metrics, readiness, .. } = self;
        let Self { opening, recall, verify, instance, lead, elect, .. } = self;
        let address = config.http.listen;
        let listener = TcpListener::bind(address)
            .await
            .map_err(|source| DaemonError::Listen { address, source })?;
        let ticker = Ticker::start().await.map_err(DaemonError::Ticker)?;

        let starts_children = matches!(config.identity.credential, Credential::AzureCli);
        let (limits, grace) = (config.http.clone(), config.schedule.stop_grace);
        let (config, configs) = watch::channel(Arc::new(config));
        let clock = Clock::system();
        let board = Arc::new(Board::new(Arc::clone(&metrics), clock.clone()));
        board.introduce(&instance);
        let (heartbeat, requests) = (Heartbeat::default(), Requests::default());
        let (stopper, shutdown) = Shutdown::channel();

        let site = Site { heartbeat: heartbeat.clone(), readiness, metrics, status: board.watch() };
        let mut parts = Supervisor::new(stopper.clone(), shutdown.clone());
        let passing = signals.pass_on(requests.clone(), stopper.clone(), shutdown.clone());
        parts.start("signal handler", passing);
        parts.start("HTTP server", http::serve(listener, site, limits, shutdown.clone()));
        let past = match heartbeat
            .during(OPENING_BOUND, shutdown.unless_stopped(opening))
            .await
            .unwrap_or_else(|_| Ok(Past::default()))
        {
            Ok(past) => past,
            Err(refusal) => {
                stopper.stop();
                parts.run(grace).await?;
                return Err(DaemonError::Refused(refusal));
            }
        };
        board.recall(&past);
        let (last_success, last_successes) = watch::channel(past.last_success);
        let auditor = Auditor {
            verify,
            config: configs.clone(),
            lead: lead.clone(),
            board: Arc::clone(&board),
            clock: clock.clone(),
            shutdown: shutdown.clone(),
        };
        let follower = Follower {
            config: configs,
            last: last_successes,
            requests: requests.clone(),
            board: Arc::clone(&board),
            clock,
        };
        let turns = Turns {
            runner,
            requests: requests.clone(),
            shutdown: shutdown.clone(),
            config,
            load,
            apply,
            board: Arc::clone(&board),
            heartbeat,
            lead: lead.clone(),
            recall: Arc::clone(&recall),
            last_success,
        };
        // The lead is given up after the last commit, and not a moment before.
        let turns_over = CancellationToken::new();
        let election = elect(requests, turns_over.clone());
        let turns = async move {
            let _over = turns_over.drop_guard();
            turns.run().await;
        };
        parts.start("schedule", ticker.drive(follower, shutdown.clone()));
        // `az` is a child of its own: who waits for it must not find it buried.
        if !starts_children {
            parts.start("orphans", orphans::bury(shutdown.clone()));
        }
        parts.start("audit verification", auditor.watch());
        parts.start("board", show(board, lead, recall, shutdown));
        parts.start("election", election);
        parts.start("run loop", turns);
        tracing::info!(version = crate::VERSION, revision = crate::REVISION, %address, "started");
        parts.run(grace).await?;
        tracing::info!("stopped");
        Ok(())
    }
}

/// How often a standby looks at what the leader did.
const LOOK_EVERY: Duration = Duration::from_secs(5);

/// Shows who leads, during a run as well, and what another leader does.
async fn show(
    board: Arc<Board>,
    mut lead: watch::Receiver<Lead>,
    recall: Recall,
    shutdown: Shutdown,
) {
    loop {
        let leads = {
            let lead = lead.borrow_and_update();
            board.lead(&lead);
            lead.leading
        };
        let changed = tokio::select! {
            biased;
            _ = shutdown.stopped() => return,
            changed = lead.changed() => changed,
            past = look(&recall), if !leads => {
                if let Some(past) = past {
                    board.recall(&past);
                }
                Ok(())
            }
        };
        if changed.is_err() {
            shutdown.stopped().await;
            return;
        }
    }
}

async fn look(recall: &Recall) -> Option<Past> {
    sleep(LOOK_EVERY).await;
    recall().await
}
