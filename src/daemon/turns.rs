//! The run loop: one run at a time, and between runs the configuration and the lead.
//!
//! Owns the order of things. Must not know what a run does, and never drops a run:
//! what may be abandoned is the runner's to say, through the [`Shutdown`] it is given.

use std::sync::Arc;
use std::time::Duration;

use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval};

use super::board::Board;
use super::heartbeat::{BEAT, Heartbeat};
use super::requests::{Request, Requests, Work};
use super::shutdown::{Shutdown, Stopped};
use crate::chain::Chain;
use crate::config::{Config, Problems};
use crate::directory::Mode;
use crate::reconcile::report::{Report, Trigger};

/// How often it is asked who leads: another replica takes over within seconds.
const LEAD_EVERY: Duration = Duration::from_secs(3);
/// How long that question may take before the loop counts as stuck.
const LEAD_BOUND: Duration = Duration::from_mins(1);

/// Does the runs. One implementation for the daemon, one for each test.
pub trait Runner: Send + 'static {
    /// Runs once, to the end. Reading belongs inside [`Shutdown::unless_stopped`];
    /// a commit that has begun does not.
    fn run(&mut self, request: Request, stop: &Shutdown) -> impl Future<Output = Report> + Send;

    /// Takes another configuration, for all runs from now on. Whoever cannot use it says
    /// why, and keeps the old one whole.
    fn reload(&mut self, config: Arc<Config>) -> Result<(), Refusal>;

    /// Whether this process leads, trying to take the lead if nobody has it. Asked every
    /// few seconds and before each run; may be given up at any await point.
    fn lead(&mut self) -> impl Future<Output = bool> + Send {
        async { true }
    }
}

/// Why a configuration that was valid in itself cannot be used.
pub type Refusal = Box<dyn std::error::Error + Send + Sync>;

/// Loads the configuration from the same sources as at the start.
pub type Load = Arc<dyn Fn() -> Result<Config, Problems> + Send + Sync>;

/// What else takes a new configuration at once, such as the log level.
pub type Apply = Box<dyn Fn(&Config) + Send>;

/// The loop with everything it touches.
pub struct Turns<R> {
    /// Does the runs.
    pub runner: R,
    /// What to do next.
    pub requests: Requests,
    /// When to end.
    pub shutdown: Shutdown,
    /// The configuration in use, for everybody who follows it.
    pub config: watch::Sender<Arc<Config>>,
    /// Where another one comes from.
    pub load: Load,
    /// Who takes it besides.
    pub apply: Apply,
    /// Where everybody can see how it goes.
    pub board: Arc<Board>,
    /// Shows that the loop turns.
    pub heartbeat: Heartbeat,
    /// Whether this process leads.
    pub leader: bool,
}

impl<R: Runner> Turns<R> {
    /// Turns until a stop is asked for. A run that is going on ends first.
    pub async fn run(mut self) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut asked: Option<Instant> = None;
        loop {
            self.heartbeat.beat();
            if asked.is_none_or(|asked| asked.elapsed() >= LEAD_EVERY) {
                if self.lead().await.is_err() {
                    return;
                }
                asked = Some(Instant::now());
            }
            let work = tokio::select! {
                biased;
                _ = self.shutdown.stopped() => return,
                work = self.requests.next() => work,
                _ = beats.tick() => continue,
            };
            match work {
                Work::Reload => self.reload().await,
                Work::Run(request) => self.turn(request).await,
            }
        }
    }

    async fn turn(&mut self, request: Request) {
        // A lead that was lost a second ago must not write any more.
        if self.lead().await.is_err() {
            return;
        }
        if !self.leader {
            stand_by(request);
            return;
        }
        let config = Arc::clone(&self.config.borrow());
        let allowed = config.schedule.run_timeout;
        // Reading, then a commit: neither takes longer, unless something hangs.
        let bound = allowed * 2 + config.database.statement_timeout;
        let stop = self.shutdown.within(allowed);
        self.board.run_begins(request);
        let report = self.heartbeat.during(bound, self.runner.run(request, &stop)).await;
        self.board.run_ended(&report);
        log(&report);
    }

    /// Asks who leads. Whoever becomes leader, at start too, has something to catch up on.
    async fn lead(&mut self) -> Result<(), Stopped> {
        let question = self.shutdown.unless_stopped(self.runner.lead());
        let leader = self.heartbeat.during(LEAD_BOUND, question).await?;
        if leader != self.leader {
            tracing::info!(leader, "{}", if leader { "leading" } else { "standing by" });
            let startup = self.config.borrow().schedule.startup;
            if leader && startup {
                self.requests.ask(Request { mode: Mode::Delta, trigger: Trigger::Startup });
            }
        }
        self.leader = leader;
        self.board.leading(leader);
        Ok(())
    }

    /// Loads, validates and swaps the configuration as a whole, or keeps the old one.
    async fn reload(&mut self) {
        let load = Arc::clone(&self.load);
        let loaded = tokio::task::spawn_blocking(move || load()).await;
        match loaded.expect("loading a configuration does not panic") {
            Ok(new) => self.swap(new),
            Err(problems) => self.refuse(&problems),
        }
    }

    fn refuse(&self, problems: &(dyn std::error::Error + 'static)) {
        let problems = Chain(problems);
        tracing::error!(%problems, "the new configuration is refused, the old one stays");
        self.board.reload_failed();
    }

    fn swap(&mut self, new: Config) {
        let (config, restart_needed) = self.config.borrow().succeeded_by(new);
        let config = Arc::new(config);
        if let Err(refusal) = self.runner.reload(Arc::clone(&config)) {
            self.refuse(&*refusal);
            return;
        }
        if !restart_needed.is_empty() {
            tracing::warn!(
                keys = restart_needed.join(", "),
                "these keys take a restart, and stay as they were"
            );
        }
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        (self.apply)(&config);
        self.config.send_replace(config);
        self.board.reloaded(&restart_needed);
        tracing::info!("the configuration was reloaded");
    }
}

/// A standby drops what it is asked: the leader has a schedule of its own. A person who
/// signalled the wrong replica is told.
fn stand_by(request: Request) {
    let Request { mode, trigger } = request;
    if trigger == Trigger::Schedule {
        tracing::debug!(%mode, "standing by, so no run");
    } else {
        tracing::warn!(%mode, %trigger, "standing by, so no run; ask the replica that leads");
    }
}

/// The one line about a run: ids and counts.
fn log(report: &Report) {
    use crate::reconcile::report::Outcome;
    let Report { run_id, mode, trigger, outcome, drift, refuted, withheld, reading, .. } = report;
    let seconds = (report.finished_at - report.started_at).as_seconds_f64();
    macro_rules! line {
        ($level:ident, $($failure:tt)*) => {
            tracing::$level!(
                run.id = %run_id, %mode, %trigger, %outcome, seconds,
                changes = report.changes_total(), drift, refuted, withheld = withheld.total(),
                findings = report.findings.values().sum::<u64>(),
                requests = reading.requests, retries = reading.retries,
                $($failure)*
            )
        };
    }
    match (&report.failure, outcome) {
        (Some(failure), Outcome::Failed) => {
            line!(error, failure = failure.kind, "the run failed: {}", failure.message);
        }
        (_, Outcome::Held) => line!(warn, "the run withheld removals until they are approved"),
        (_, Outcome::Superseded) => line!(warn, "another daemon was first, nothing was written"),
        (_, Outcome::Interrupted) => line!(info, "the run was given up for a stop"),
        _ => line!(info, "the run is complete"),
    }
}
