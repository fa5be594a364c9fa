//! `sync`: one run, now, in this process.

use std::io::IsTerminal;
use std::sync::Arc;
use std::time::Duration;

use indicatif::{ProgressBar, ProgressStyle};

use super::once::{Setback, once};
use super::plans::{Line, Page, plain};
use super::{Context, Exit, SyncArgs, failed, unusable};
use crate::daemon::{Requests, Shutdown, Signals, Stopped};
use crate::directory::Mode;
use crate::graph::Tally;
use crate::reconcile::plan::lines;
use crate::reconcile::report::{Failure, Outcome, Report, Trigger};
use crate::service;
use crate::sync::{Done, Run, Sync, changes_by_word};
use crate::telemetry::Telemetry;

/// Runs once. A dry run executes the whole transaction, so that constraints are really
/// met, and rolls it back.
pub async fn run(context: &Context, args: &SyncArgs) -> Exit {
    // Before anything else, so that no signal ends the process in the middle of a commit.
    let signals = match Signals::catch() {
        Ok(signals) => signals,
        Err(error) => return failed(&error),
    };
    let config = match context.config() {
        Ok(config) => config,
        Err(exit) => return exit,
    };
    if let Err(error) = Telemetry::start(&config.log) {
        return failed(&error);
    }
    let sync = match service::sync(&config, Arc::new(())) {
        Ok(sync) => sync,
        Err(error) => return unusable(&error),
    };
    let tenant_id = config.identity.tenant_id.to_string();
    if let Err(error) = sync.store().ready_for(&tenant_id).await {
        return if error.is_lasting() { unusable(&error) } else { failed(&error) };
    }
    let (stopper, stop) = Shutdown::channel();
    tokio::spawn(signals.pass_on(Requests::default(), stopper, stop.clone()));
    let mode = if args.full { Mode::Full } else { Mode::Delta };
    let (run, before) = (Sync::begin(mode, Trigger::Command), sync.tally());
    let stop = stop.within(config.schedule.run_timeout);
    match once(&sync, run, args.dry_run, &stop).await {
        Ok(done) => tell(&sync, &done, args.dry_run).await,
        Err(setback) => {
            if !args.dry_run {
                record(&sync, run, &setback, &before).await;
            }
            eprintln!("{}", setback.reason());
            if setback.is_lasting() { Exit::Usage } else { Exit::Failed }
        }
    }
}

/// Writes down that a run failed or was given up, if the database allows.
async fn record(sync: &Sync, run: Run, setback: &Setback, before: &Tally) {
    let (outcome, failure) = match setback {
        Setback::Failed(error) => {
            sync.failed(run, error, before).await;
            return;
        }
        Setback::Stopped(Stopped::Requested) => (Outcome::Interrupted, None),
        Setback::Stopped(stopped @ Stopped::TimedOut { .. }) => {
            (Outcome::Failed, Some(Failure { kind: "run_timeout", message: stopped.to_string() }))
        }
    };
    sync.ended(run, outcome, failure, before).await;
}

async fn tell(sync: &Sync, done: &Done, dry: bool) -> Exit {
    if dry {
        let lines = lines(&done.plan, &done.world);
        if lines.is_empty() {
            println!("nothing would change");
        }
        for line in lines {
            println!("{}", plain(&line));
        }
    }
    if let Some(held) = &done.held_plan {
        print!("{}", Page(held));
        if dry {
            println!("         (a dry run: the plan is not stored, and will have another hash)");
        }
    }
    if done.report.pending.plans > 0 {
        // The run is done, whatever comes of asking for what waits.
        let plans = sync.store().read(|tx| tx.plans(false)).await.unwrap_or_default();
        for plan in plans.iter().filter(|plan| plan.status == "pending") {
            println!("held: {}", Line(plan));
        }
    }
    println!("{}", summary(&done.report));
    if done.report.outcome == Outcome::Held { Exit::Held } else { Exit::Done }
}

/// The run in one line.
pub fn summary(report: &Report) -> String {
    let changes: Vec<String> = changes_by_word(report)
        .into_iter()
        .map(|(word, count)| format!("{word} {count}"))
        .collect();
    let changes = if changes.is_empty() { "no change".to_owned() } else { changes.join(", ") };
    let seconds = (report.finished_at - report.started_at).as_seconds_f64();
    format!(
        "{} run {}: {changes}; {} requests for {} pages, {seconds:.1} s",
        report.mode, report.outcome, report.reading.requests, report.reading.pages
    )
}

/// A line that moves, where somebody looks at it.
pub(super) struct Progress {
    bar: ProgressBar,
    watcher: Option<tokio::task::JoinHandle<()>>,
}

impl Progress {
    /// Follows the reading of `sync`.
    pub(super) fn start(sync: &Sync) -> Self {
        if !std::io::stderr().is_terminal() {
            return Self { bar: ProgressBar::hidden(), watcher: None };
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed_precise} {msg}") {
            bar.set_style(style);
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        let (shown, sync) = (bar.clone(), sync.clone());
        let start = sync.tally();
        let watcher = tokio::spawn(async move {
            let mut tick = tokio::time::interval(Duration::from_millis(100));
            loop {
                tick.tick().await;
                let now = sync.tally();
                shown.set_message(format!(
                    "reading: {} requests for {} pages, {} KiB",
                    now.requests - start.requests,
                    now.pages - start.pages,
                    (now.bytes - start.bytes) / 1024,
                ));
            }
        });
        Self { bar, watcher: Some(watcher) }
    }

    pub(super) fn say(&self, what: &'static str) {
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
        self.bar.set_message(what);
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        if let Some(watcher) = &self.watcher {
            watcher.abort();
        }
        self.bar.finish_and_clear();
    }
}
