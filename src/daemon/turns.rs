//! The run loop: one run at a time, and between runs the configuration and the lead.
//!
//! Owns the order of things. Must not know what a run does, and never drops a run:
//! what may be abandoned is the runner's to say, through the [`Shutdown`] it is given.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use chrono::{DateTime, Utc};
use futures::future::BoxFuture;
use tokio::sync::watch;
use tokio::time::{Instant, MissedTickBehavior, interval, timeout};

use super::board::Board;
use super::heartbeat::{BEAT, Heartbeat};
use super::lead::Lead;
use super::requests::{Request, Requests, Work};
use super::shutdown::{Shutdown, Stopped};
use crate::chain::Chain;
use crate::config::{Config, Problems};
use crate::directory::Mode;
use crate::reconcile::report::{Outcome, Past, Report, Trigger};

/// How long a question to the database may take before the loop goes on without an answer.
const ASK_BOUND: Duration = Duration::from_mins(1);
/// How often a standby tries again to pass on what it was asked for.
const PASS_ON_EVERY: Duration = Duration::from_secs(3);
/// How long a stop waits for that: the process shall end, whatever the database does.
const LEAVE_BOUND: Duration = Duration::from_secs(5);

/// Does the runs. One implementation for the daemon, one for each test.
pub trait Runner: Send + 'static {
    /// Runs once, to the end. Reading belongs inside [`Shutdown::unless_stopped`];
    /// a commit that has begun does not.
    fn run(&mut self, request: Request, stop: &Shutdown) -> impl Future<Output = Report> + Send;

    /// Takes another configuration, for all runs from now on. Whoever cannot use it says
    /// why, and keeps the old one whole.
    fn reload(&mut self, config: Arc<Config>) -> Result<(), Refusal>;

    /// Passes a request on to the replica that leads; for a standby.
    fn pass_on(&mut self, request: Request) -> impl Future<Output = Result<(), Refusal>> + Send;
}

/// Tells how runs went by now, whichever replica did them; `None` where the database cannot
/// be asked.
pub type Recall = Arc<dyn Fn() -> BoxFuture<'static, Option<Past>> + Send + Sync>;

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
    /// Who leads.
    pub lead: watch::Receiver<Lead>,
    /// Asked by a replica that begins to lead, so that what nobody did meanwhile is due.
    pub recall: Recall,
    /// When each mode last succeeded, for the schedule of a replica that begins to lead.
    pub last_success: watch::Sender<BTreeMap<Mode, DateTime<Utc>>>,
}

impl<R: Runner> Turns<R> {
    /// Turns until a stop is asked for. A run that is going on ends first, and what people
    /// asked for and did not get is left to whoever leads next.
    pub async fn run(mut self) {
        let mut stranded = Stranded::default();
        self.turn_until_stopped(&mut stranded).await;
        self.leave(stranded).await;
    }

    async fn turn_until_stopped(&mut self, stranded: &mut Stranded) {
        let mut beats = interval(BEAT);
        beats.set_missed_tick_behavior(MissedTickBehavior::Delay);
        let mut lead = self.lead.clone();
        lead.mark_changed();
        let mut led = false;
        loop {
            self.heartbeat.beat();
            let work = tokio::select! {
                biased;
                _ = self.shutdown.stopped() => return,
                Ok(()) = lead.changed() => {
                    let leads = lead.borrow_and_update().leading;
                    if leads != led && self.lead_changed(leads).await.is_err() {
                        return;
                    }
                    led = leads;
                    continue;
                }
                work = self.requests.next() => work,
                _ = beats.tick() => match stranded.due() {
                    Some(request) => Work::Run(request),
                    None => continue,
                },
            };
            match work {
                Work::Reload => self.reload().await,
                Work::Run(request) if self.leads() => {
                    let request = stranded.join(request);
                    let outcome = self.turn(request).await;
                    // Whoever asked is answered by the next leader, which may be this one.
                    let given_up = outcome == Outcome::Interrupted && self.shutdown.is_requested();
                    if given_up || outcome == Outcome::Superseded {
                        stranded.keep(request);
                    }
                }
                Work::Run(request) => {
                    let request = stranded.join(request);
                    match self.stand_by(request).await {
                        Ok(true) => {}
                        Ok(false) => stranded.keep(request),
                        Err(Stopped::Requested | Stopped::TimedOut { .. }) => {
                            stranded.keep(request);
                            return;
                        }
                    }
                }
            }
        }
    }

    fn leads(&self) -> bool {
        self.lead.borrow().leading
    }

    async fn turn(&mut self, request: Request) -> Outcome {
        let config = Arc::clone(&self.config.borrow());
        let allowed = config.schedule.run_timeout;
        // Reading, then a commit: neither takes longer, unless something hangs.
        let bound = allowed * 2 + config.database.statement_timeout;
        let stop = self.shutdown.within(allowed);
        self.board.run_begins(request);
        let report = self.heartbeat.during(bound, self.runner.run(request, &stop)).await;
        self.board.run_ended(&report);
        log(&report);
        report.outcome
    }

    /// Whoever begins to lead, at start too, has something to catch up on.
    async fn lead_changed(&mut self, leads: bool) -> Result<(), Stopped> {
        tracing::info!(leader = leads, "{}", if leads { "leading" } else { "standing by" });
        if !leads {
            return Ok(());
        }
        let question = self.shutdown.unless_stopped(timeout(ASK_BOUND, (self.recall)()));
        // What cannot be asked is not forgotten for that.
        if let Ok(Some(past)) = self.heartbeat.during(ASK_BOUND, question).await? {
            self.board.recall(&past);
            self.last_success.send_replace(past.last_success);
        }
        if self.config.borrow().schedule.startup {
            self.requests.ask(Request { mode: Mode::Delta, trigger: Trigger::Startup });
        }
        Ok(())
    }

    /// A standby passes on what people ask it for, and drops the rest: the leader has a
    /// schedule of its own. Whether that is settled.
    async fn stand_by(&mut self, request: Request) -> Result<bool, Stopped> {
        let Request { mode, trigger } = request;
        if !request.is_of_people() {
            tracing::debug!(%mode, %trigger, "standing by, so no run");
            return Ok(true);
        }
        let passing = pass_on(&mut self.runner, request, ASK_BOUND);
        let passing = self.shutdown.unless_stopped(passing);
        let passed = self.heartbeat.during(ASK_BOUND, passing).await?;
        match &passed {
            Ok(()) => tracing::info!(%mode, %trigger, "standing by; the leader was asked"),
            Err(why) => {
                tracing::warn!(%mode, %trigger, "the leader could not be asked yet: {why}");
            }
        }
        Ok(passed.is_ok())
    }

    /// The lead is given up after this, so that whoever takes it finds the row.
    async fn leave(&mut self, mut stranded: Stranded) {
        while let Some(work) = self.requests.take() {
            if let Work::Run(request) = work {
                let request = stranded.join(request);
                stranded.keep(request);
            }
        }
        let Some(request) = stranded.any().filter(|request| request.is_of_people()) else { return };
        let Request { mode, trigger } = request;
        let passing = pass_on(&mut self.runner, request, LEAVE_BOUND);
        match self.heartbeat.during(LEAVE_BOUND, passing).await {
            Ok(()) => tracing::info!(%mode, %trigger, "stopping; whoever leads next was asked"),
            Err(why) => {
                tracing::warn!(%mode, %trigger, "stopping; nobody could be asked for this run: {why}");
            }
        }
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

/// Asks whoever leads for a run; why not, in words.
async fn pass_on(
    runner: &mut impl Runner,
    request: Request,
    within: Duration,
) -> Result<(), String> {
    match timeout(within, runner.pass_on(request)).await {
        Ok(Ok(())) => Ok(()),
        Ok(Err(refusal)) => Err(Chain(&*refusal).to_string()),
        Err(_) => Err(format!("no answer within {} s", within.as_secs())),
    }
}

/// What could not be done or passed on yet: tried again, done here if this replica leads
/// by then, and passed on at the end.
#[derive(Default)]
struct Stranded(Option<(Request, Instant)>);

impl Stranded {
    fn keep(&mut self, request: Request) {
        self.0 = Some((request, Instant::now() + PASS_ON_EVERY));
    }

    fn due(&mut self) -> Option<Request> {
        self.0.take_if(|(_, due)| *due <= Instant::now()).map(|(request, _)| request)
    }

    /// Due or not.
    fn any(self) -> Option<Request> {
        self.0.map(|(request, _)| request)
    }

    /// The one request that stands for both.
    fn join(&mut self, request: Request) -> Request {
        self.0.take().map_or(request, |(stranded, _)| stranded.merged(request))
    }
}

/// The one line about a run: ids and counts.
fn log(report: &Report) {
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
        (_, Outcome::Held) => line!(warn, "the run holds changes until a person answers"),
        (Some(failure), Outcome::Superseded) => {
            line!(warn, failure = failure.kind, "the run was superseded: {}", failure.message);
        }
        (_, Outcome::Superseded) => line!(warn, "another daemon was first, nothing was written"),
        (_, Outcome::Interrupted) => line!(info, "the run was given up for a stop"),
        _ => line!(info, "the run is complete"),
    }
}
