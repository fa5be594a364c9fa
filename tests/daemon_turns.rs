//! The run loop under paused time: coalescing, stopping, leading, reloading.

use std::collections::{BTreeMap, VecDeque};
use std::ffi::OsString;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use chrono::{DateTime, TimeDelta, Utc};
use nexus_dirsync::config::{Config, Problems, Sources};
use nexus_dirsync::daemon::{
    Board, Clock, Heartbeat, Lead, Recall, Refusal, Request, Requests, Runner, Shutdown, Status,
    Stopper, Turns,
};
use nexus_dirsync::directory::Mode::{self, Delta, Full};
use nexus_dirsync::metrics::Metrics;
use nexus_dirsync::reconcile::report::{
    AccessMoves, Failure, Outcome, Past, PendingPlans, Reading, Removals, Report, Trigger,
};
use tokio::sync::watch;
use tokio::task::JoinHandle;
use tokio::time::{Instant, sleep};
use uuid::Uuid;

const READ: Duration = Duration::from_mins(1);
const COMMIT: Duration = Duration::from_secs(5);

type Log<T> = Arc<Mutex<Vec<T>>>;

/// Reads for a minute, commits for five seconds, and writes down what happened.
struct Slow {
    began: Log<Request>,
    page_sizes: Log<u32>,
    commits: Log<()>,
    passed_on: Log<Request>,
    /// Whether passing on succeeds, one by one; then it does.
    passes: VecDeque<bool>,
    config: Arc<Config>,
    outcome: Outcome,
}

impl Runner for Slow {
    async fn run(&mut self, request: Request, stop: &Shutdown) -> Report {
        self.began.lock().expect("a log").push(request);
        self.page_sizes.lock().expect("a log").push(self.config.graph.page_size);
        match stop.unless_stopped(sleep(READ)).await {
            Ok(()) => {
                sleep(COMMIT).await;
                self.commits.lock().expect("a log").push(());
                report(request, self.outcome, None)
            }
            Err(why) => report(request, Outcome::Interrupted, Some(why.to_string())),
        }
    }

    fn reload(&mut self, config: Arc<Config>) -> Result<(), Refusal> {
        self.config = config;
        Ok(())
    }

    async fn pass_on(&mut self, request: Request) -> Result<(), Refusal> {
        if !self.passes.pop_front().unwrap_or(true) {
            return Err("the database is away".into());
        }
        self.passed_on.lock().expect("a log").push(request);
        Ok(())
    }
}

fn report(request: Request, outcome: Outcome, failure: Option<String>) -> Report {
    let now = DateTime::UNIX_EPOCH;
    Report {
        run_id: Uuid::nil(),
        mode: request.mode,
        trigger: request.trigger,
        started_at: now,
        finished_at: now + TimeDelta::seconds(65),
        outcome,
        changes: BTreeMap::new(),
        drift: 0,
        refuted: 0,
        withheld: Removals::default(),
        access: AccessMoves::default(),
        pending: PendingPlans::default(),
        totals: None,
        states: None,
        reading: Reading::default(),
        reset: None,
        linked_groups: BTreeMap::new(),
        lag_max: None,
        phases: BTreeMap::new(),
        findings: BTreeMap::new(),
        failure: failure.map(|message| Failure { kind: "stopped", message }),
    }
}

fn config(pairs: &[(&str, &str)]) -> Result<Config, Problems> {
    let base = [
        ("IDENTITY__KIND", "azure_cli"),
        ("IDENTITY__TENANT_ID", "11111111-2222-3333-4444-555555555555"),
        ("SCHEDULE__STARTUP", "false"),
    ];
    let environment = base
        .iter()
        .chain(pairs)
        .map(|(key, value)| (format!("DIRSYNC__{key}"), OsString::from(value)))
        .collect();
    Config::load(&Sources { file: None, environment })
}

/// A daemon's loop with everything a test looks at.
struct World {
    requests: Requests,
    stopper: Stopper,
    status: watch::Receiver<Status>,
    heartbeat: Heartbeat,
    metrics: Arc<Metrics>,
    began: Log<Request>,
    page_sizes: Log<u32>,
    commits: Log<()>,
    passed_on: Log<Request>,
    lead: watch::Sender<Lead>,
    next_config: Arc<Mutex<Vec<(&'static str, &'static str)>>>,
    started: Instant,
    turns: JoinHandle<()>,
}

struct Setup {
    pairs: &'static [(&'static str, &'static str)],
    leads: bool,
    passes: &'static [bool],
    /// Failures of the past, as the database tells them to one new leader after the other;
    /// then, and where there is nothing, it cannot be asked.
    failures: &'static [Option<u64>],
    /// Whether the database answers at all when it is asked for them.
    recalls: bool,
    outcome: Outcome,
}

const PLAIN: Setup = Setup {
    pairs: &[],
    leads: true,
    passes: &[],
    failures: &[],
    recalls: true,
    outcome: Outcome::Unchanged,
};

fn lead(leading: bool) -> Lead {
    Lead { leading, ..Lead::default() }
}

fn recall(failures: &'static [Option<u64>]) -> Recall {
    let told = Mutex::new(failures.iter());
    Arc::new(move || {
        let failures = told.lock().expect("a list").next().copied().flatten();
        let past = failures.map(|n| Past { consecutive_failures: n, ..Past::default() });
        Box::pin(std::future::ready(past))
    })
}

fn never() -> Recall {
    Arc::new(|| Box::pin(std::future::pending()))
}

impl World {
    fn start(setup: &Setup) -> Self {
        let first = Arc::new(config(setup.pairs).expect("a good configuration"));
        let (stopper, shutdown) = Shutdown::channel();
        let metrics = Arc::new(Metrics::new());
        let began_at = Instant::now();
        let clock = Clock::new(move || {
            DateTime::<Utc>::UNIX_EPOCH + TimeDelta::from_std(began_at.elapsed()).expect("short")
        });
        let board = Arc::new(Board::new(Arc::clone(&metrics), clock));
        let next_config = Arc::<Mutex<Vec<(&str, &str)>>>::default();
        let source = Arc::clone(&next_config);
        let (began, page_sizes, commits) = (Log::default(), Log::default(), Log::default());
        let passed_on = Log::default();
        let (lead, watched) = watch::channel(lead(setup.leads));
        let runner = Slow {
            began: Arc::clone(&began),
            page_sizes: Arc::clone(&page_sizes),
            commits: Arc::clone(&commits),
            passed_on: Arc::clone(&passed_on),
            passes: setup.passes.iter().copied().collect(),
            config: Arc::clone(&first),
            outcome: setup.outcome,
        };
        let requests = Requests::default();
        let heartbeat = Heartbeat::default();
        let status = board.watch();
        let turns = Turns {
            runner,
            requests: requests.clone(),
            shutdown,
            config: watch::Sender::new(first),
            load: Arc::new(move || config(&source.lock().expect("pairs"))),
            apply: Box::new(|_| {}),
            board,
            heartbeat: heartbeat.clone(),
            lead: watched,
            recall: if setup.recalls { recall(setup.failures) } else { never() },
            last_success: watch::Sender::default(),
        };
        let turns = tokio::spawn(turns.run());
        let started = Instant::now();
        Self {
            requests,
            stopper,
            status,
            heartbeat,
            metrics,
            began,
            page_sizes,
            commits,
            passed_on,
            lead,
            next_config,
            started,
            turns,
        }
    }

    fn ask(&self, mode: Mode, trigger: Trigger) {
        self.requests.ask(Request { mode, trigger });
    }

    fn began(&self) -> Vec<(Mode, Trigger)> {
        let began = self.began.lock().expect("a log");
        began.iter().map(|request| (request.mode, request.trigger)).collect()
    }

    fn passed_on(&self) -> Vec<(Mode, Trigger)> {
        let passed = self.passed_on.lock().expect("a log");
        passed.iter().map(|request| (request.mode, request.trigger)).collect()
    }

    async fn stop(self) -> u64 {
        self.stopper.stop();
        self.turns.await.expect("no panic");
        self.started.elapsed().as_secs()
    }
}

fn seconds(seconds: u64) -> impl Future<Output = ()> {
    sleep(Duration::from_secs(seconds))
}

#[tokio::test(start_paused = true)]
async fn any_number_of_requests_during_a_run_make_exactly_one_more() {
    let world = World::start(&PLAIN);
    world.ask(Delta, Trigger::Schedule);
    seconds(10).await;
    for _ in 0..100 {
        world.ask(Delta, Trigger::Schedule);
    }
    seconds(600).await;
    assert_eq!(world.began(), [(Delta, Trigger::Schedule); 2]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn full_beats_delta_and_the_strongest_cause_is_remembered() {
    use Trigger::{Command, Schedule, Signal, Startup};
    for (asked, expected) in [
        (&[(Delta, Schedule), (Full, Schedule)][..], (Full, Schedule)),
        (&[(Full, Schedule), (Delta, Signal)], (Full, Signal)),
        (&[(Delta, Signal), (Full, Startup), (Delta, Schedule)], (Full, Signal)),
        (&[(Delta, Startup), (Delta, Command)], (Delta, Command)),
        (&[(Delta, Startup), (Delta, Schedule)], (Delta, Startup)),
    ] {
        let world = World::start(&PLAIN);
        for (mode, trigger) in asked {
            world.ask(*mode, *trigger);
        }
        seconds(300).await;
        assert_eq!(world.began(), [expected], "{asked:?}");
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_stop_abandons_reading_but_never_a_commit() {
    for (stop_after, commits, ends_after) in [(0, 0, 0), (30, 0, 30), (62, 1, 65), (100, 1, 100)] {
        let world = World::start(&PLAIN);
        world.ask(Delta, Trigger::Schedule);
        seconds(stop_after).await;
        let done = Arc::clone(&world.commits);
        let ended = world.stop().await;
        assert_eq!(done.lock().expect("a log").len(), commits, "stopped after {stop_after} s");
        assert_eq!(ended, ends_after, "stopped after {stop_after} s");
    }
}

#[tokio::test(start_paused = true)]
async fn a_run_that_reads_too_long_is_given_up_and_names_its_setting() {
    let setup = Setup { pairs: &[("SCHEDULE__RUN_TIMEOUT", "20s")], ..PLAIN };
    let world = World::start(&setup);
    world.ask(Full, Trigger::Schedule);
    seconds(25).await;
    let status = world.status.borrow().clone();
    assert_eq!(status.last["full"].outcome, "interrupted");
    assert_eq!(status.running, None);
    assert_eq!(
        nexus_dirsync::daemon::Stopped::TimedOut { allowed: Duration::from_secs(20) }.to_string(),
        "reading took longer than schedule.run_timeout (20s)"
    );
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn status_and_metrics_tell_the_same() {
    let world = World::start(&Setup { outcome: Outcome::Failed, ..PLAIN });
    world.ask(Full, Trigger::Signal);
    seconds(30).await;
    assert_eq!(
        world.status.borrow().running.as_ref().map(|run| run.mode.clone()).as_deref(),
        Some("full")
    );
    assert!(world.metrics.render().contains("dirsync_run_in_progress 1\n"));
    seconds(60).await;
    world.ask(Full, Trigger::Signal);
    seconds(90).await;
    let text = world.metrics.render();
    assert_eq!(world.status.borrow().consecutive_failures, 2);
    for line in [
        "dirsync_consecutive_failures 2\n",
        "dirsync_runs_total{mode=\"full\",outcome=\"failed\",trigger=\"signal\"} 2\n",
        "dirsync_run_in_progress 0\n",
        "dirsync_last_success_timestamp_seconds{mode=\"full\"} 0\n",
        "dirsync_last_attempt_timestamp_seconds{mode=\"full\"} 90\n",
    ] {
        assert!(text.contains(line), "{line}{text}");
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_standby_runs_nothing_and_catches_up_when_it_takes_over() {
    let setup = Setup { pairs: &[("SCHEDULE__STARTUP", "true")], leads: false, ..PLAIN };
    let world = World::start(&setup);
    seconds(1).await;
    world.ask(Full, Trigger::Schedule);
    seconds(60).await;
    assert_eq!(world.began(), []);
    assert_eq!(world.passed_on(), [], "the leader has a schedule of its own");
    world.lead.send_replace(lead(true));
    seconds(60).await;
    assert_eq!(world.began(), [(Delta, Trigger::Startup)]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_standby_passes_on_what_people_ask_and_tries_until_it_can() {
    for (passes, expected) in [(&[][..], 1), (&[false, false, true], 1)] {
        let world = World::start(&Setup { leads: false, passes, ..PLAIN });
        world.ask(Full, Trigger::Signal);
        seconds(60).await;
        assert_eq!(world.passed_on().len(), expected, "{passes:?}");
        assert_eq!(world.passed_on()[0], (Full, Trigger::Signal));
        assert_eq!(world.began(), []);
        world.stop().await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_new_leader_knows_the_past_and_forgets_nothing_for_not_being_told() {
    let world = World::start(&Setup { failures: &[Some(3), None, Some(0)], ..PLAIN });
    for failures in [3, 3, 0] {
        seconds(1).await;
        assert_eq!(world.status.borrow().consecutive_failures, failures);
        let shown = format!("dirsync_consecutive_failures {failures}\n");
        assert!(world.metrics.render().contains(&shown), "{shown}");
        world.lead.send_replace(lead(false));
        seconds(1).await;
        world.lead.send_replace(lead(true));
    }
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn a_past_that_nobody_tells_keeps_no_leader_from_its_runs() {
    let world = World::start(&Setup { recalls: false, ..PLAIN });
    world.ask(Delta, Trigger::Schedule);
    seconds(300).await;
    assert_eq!(world.began(), [(Delta, Trigger::Schedule)]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_passed_on_is_done_by_whoever_leads_by_then() {
    let world = World::start(&Setup { leads: false, passes: &[false; 9], ..PLAIN });
    world.ask(Full, Trigger::Signal);
    seconds(10).await;
    world.lead.send_replace(lead(true));
    seconds(100).await;
    assert_eq!(world.began(), [(Full, Trigger::Signal)]);
    assert_eq!(world.passed_on(), []);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn whoever_asked_for_a_run_that_was_superseded_is_answered_by_the_next_leader() {
    let world = World::start(&Setup { outcome: Outcome::Superseded, ..PLAIN });
    world.ask(Full, Trigger::Signal);
    seconds(30).await;
    world.lead.send_replace(lead(false));
    seconds(60).await;
    assert_eq!(world.began(), [(Full, Trigger::Signal)]);
    assert_eq!(world.passed_on(), [(Full, Trigger::Signal)]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn what_people_asked_for_is_left_to_the_next_leader_at_a_stop() {
    use Trigger::{Schedule, Signal};
    // Stopped while it reads and before it begins; while it commits, after which one more waits.
    for (asked, stop_after, expected) in [
        (&[(Full, Signal)][..], 30, &[(Full, Signal)][..]),
        (&[(Full, Signal)], 0, &[(Full, Signal)]),
        (&[(Full, Signal)], 62, &[]),
        (&[(Full, Schedule)], 30, &[]),
    ] {
        let world = World::start(&PLAIN);
        for (mode, trigger) in asked {
            world.ask(*mode, *trigger);
        }
        seconds(stop_after).await;
        let passed_on = Arc::clone(&world.passed_on);
        world.stop().await;
        let passed: Vec<_> =
            passed_on.lock().expect("a log").iter().map(|r| (r.mode, r.trigger)).collect();
        assert_eq!(passed, expected, "{asked:?} stopped after {stop_after} s");
    }
    let world = World::start(&PLAIN);
    world.ask(Delta, Schedule);
    seconds(62).await;
    world.ask(Full, Signal);
    let passed_on = Arc::clone(&world.passed_on);
    assert_eq!(world.stop().await, 65);
    assert_eq!(passed_on.lock().expect("a log").len(), 1, "what came during the commit");
    // A database that refuses keeps nobody from stopping.
    let world = World::start(&Setup { passes: &[false; 9], ..PLAIN });
    world.ask(Full, Signal);
    seconds(30).await;
    assert_eq!(world.stop().await, 30);
}

#[tokio::test(start_paused = true)]
async fn a_reload_is_swapped_whole_between_runs_or_not_at_all() {
    let world = World::start(&PLAIN);
    world.ask(Delta, Trigger::Schedule);
    seconds(10).await;
    *world.next_config.lock().expect("pairs") = vec![
        ("GRAPH__PAGE_SIZE", "7"),
        ("HTTP__LISTEN", "127.0.0.1:1"),
        ("IDENTITY__TENANT_ID", "99999999-2222-3333-4444-555555555555"),
    ];
    world.requests.ask_reload();
    world.ask(Delta, Trigger::Schedule);
    seconds(70).await;
    assert_eq!(world.status.borrow().config.restart_needed, ["identity.tenant_id", "http"]);

    *world.next_config.lock().expect("pairs") = vec![("GRAPH__PAGE_SIZE", "many")];
    world.requests.ask_reload();
    seconds(60).await;
    assert!(world.status.borrow().config.reload_failed);
    assert!(world.metrics.render().contains("dirsync_config_last_reload_successful 0\n"));
    world.ask(Delta, Trigger::Schedule);
    seconds(100).await;
    assert_eq!(*world.page_sizes.lock().expect("a log"), [999, 7, 7]);
    world.stop().await;
}

#[tokio::test(start_paused = true)]
async fn the_loop_is_alive_idle_and_during_a_run() {
    let setup = Setup { pairs: &[("DATABASE__STATEMENT_TIMEOUT", "1s")], ..PLAIN };
    let world = World::start(&setup);
    seconds(300).await;
    assert!(world.heartbeat.is_alive());
    world.ask(Full, Trigger::Schedule);
    seconds(50).await;
    assert!(world.heartbeat.is_alive());
    world.stop().await;
}

/// A runner that does not hear when it is told to stop.
struct Deaf;

impl Runner for Deaf {
    async fn run(&mut self, request: Request, _: &Shutdown) -> Report {
        sleep(READ * 60).await;
        report(request, Outcome::Unchanged, None)
    }

    fn reload(&mut self, _: Arc<Config>) -> Result<(), Refusal> {
        Ok(())
    }

    async fn pass_on(&mut self, _: Request) -> Result<(), Refusal> {
        Ok(())
    }
}

#[tokio::test(start_paused = true)]
async fn the_loop_is_not_alive_when_a_run_never_ends() {
    let (_stopper, shutdown) = Shutdown::channel();
    let heartbeat = Heartbeat::default();
    let requests = Requests::default();
    let config = config(&[("SCHEDULE__RUN_TIMEOUT", "10s")]).expect("good");
    let clock = Clock::new(|| DateTime::UNIX_EPOCH);
    let turns = Turns {
        runner: Deaf,
        requests: requests.clone(),
        shutdown,
        config: watch::Sender::new(Arc::new(config)),
        load: Arc::new(|| Err(Problems(Vec::new()))),
        apply: Box::new(|_| {}),
        board: Arc::new(Board::new(Arc::new(Metrics::new()), clock)),
        heartbeat: heartbeat.clone(),
        lead: watch::channel(lead(true)).1,
        recall: recall(&[]),
        last_success: watch::Sender::default(),
    };
    tokio::spawn(turns.run());
    requests.ask(Request { mode: Full, trigger: Trigger::Signal });
    seconds(60).await;
    assert!(heartbeat.is_alive());
    seconds(120).await;
    assert!(!heartbeat.is_alive());
}
