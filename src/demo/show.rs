//! The course of the demonstration: the first full run, then change after change, then
//! the proof.
//!
//! Owns what is shown in which order. Asks for runs with the signal that an
//! administrator would send, and learns of them from the daemon's own report.

use std::future::pending;
use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use chrono::{DateTime, SubsecRound, Utc};
use rustix::process::{Signal, getpid, kill_process};
use tokio::net::TcpStream;
use tokio::sync::mpsc::{UnboundedReceiver, unbounded_channel};
use tokio::time::{interval, sleep, timeout, timeout_at};

use super::company;
use super::editor::Editor;
use super::proof::Proof;
use super::screen::{INDENT, Progress, Screen};
use super::stage::Stage;
use super::wording::{
    Counts, access_moves, access_table, amount, audit_line, digest, held_lines, most_telling,
    number,
};
use crate::directory::Mode;
use crate::reconcile::plan::lines;
use crate::reconcile::report::{Action, Entity, Outcome, Report};
use crate::service::OnDone;
use crate::store::{self, Decider, Decision, PlanDetail, Store, Verdict};
use crate::sync::Done;

/// The pause between two changes: long enough to read one.
const PAUSE: Duration = Duration::from_secs(4);
/// Longer than any run of the demo takes, on any machine.
const PATIENCE: Duration = Duration::from_secs(180);
/// How many lines of a plan one change may fill.
const PLAN_LINES_MAX: usize = 4;
/// Among how many audit rows of a run the one to show is chosen.
const AUDIT_ROWS_MAX: i64 = 50;
/// How many differences are named where there should be none.
const DIFFERENCES_MAX: usize = 10;

/// Why the demonstration broke off.
#[derive(Debug, thiserror::Error)]
pub enum ShowError {
    /// Nobody reads any more.
    #[error("the demo cannot be shown")]
    Screen(#[from] io::Error),
    /// The database could not be asked.
    #[error("the demo's database cannot be read")]
    Store(#[from] store::Error),
    /// The daemon does not listen, or did not do a run.
    #[error("{what} within {} s; the log above may say why", PATIENCE.as_secs())]
    Late {
        /// What did not happen.
        what: &'static str,
    },
    /// The process may not signal itself.
    #[error("the daemon could not be signalled")]
    Signal(#[from] rustix::io::Errno),
}

/// A run as the daemon told of it.
#[derive(Debug)]
pub struct Watched {
    report: Report,
    /// The plan; left out for full runs, which have thousands of lines.
    lines: Vec<String>,
    /// What is held since this run.
    held: Option<PlanDetail>,
    at: Instant,
}

/// What the daemon calls after each run, and the end at which the demo hears of it.
pub fn watch() -> (OnDone, UnboundedReceiver<Watched>) {
    let (tell, hear) = unbounded_channel();
    let on_done = move |done: &Done| {
        let Done { report, plan, world, held_plan, .. } = done;
        let lines = if report.mode == Mode::Full { Vec::new() } else { lines(plan, world) };
        // An error means that the demo is over, while the daemon still ends a run.
        let held = held_plan.clone();
        let _ = tell.send(Watched { report: report.clone(), lines, held, at: Instant::now() });
    };
    (Arc::new(on_done), hear)
}

/// The demonstration with what it has shown so far.
pub struct Show<'s> {
    stage: &'s Stage,
    store: Store,
    runs: UnboundedReceiver<Watched>,
    editor: Editor,
    screen: Screen,
    shown: Shown,
    /// People with access as last shown.
    access: Counts,
}

#[derive(Debug, Default)]
struct Shown {
    runs: u64,
    changes: u64,
    audit_rows: u64,
    /// A change was made that no run has followed yet.
    open: bool,
    /// A run did not end as it should.
    wrong: bool,
}

impl<'s> Show<'s> {
    /// Nothing shown yet.
    pub fn new(stage: &'s Stage, store: Store, runs: UnboundedReceiver<Watched>) -> Self {
        let names = company::group_names(&stage.registry.entries);
        let editor = stage.simulator.read(|tenant| Editor::new(tenant, &names));
        let (screen, shown, access) = (Screen::new(), Shown::default(), Counts::new());
        Self { stage, store, runs, editor, screen, shown, access }
    }

    /// Shows everything; without `once` it never ends by itself.
    pub async fn play(&mut self, once: bool) -> Result<(), ShowError> {
        self.introduce()?;
        self.listening().await?;
        self.first_run().await?;
        self.screen.say("")?;
        self.screen.say(if once {
            "One change in the tenant, and what the daemon does about it"
        } else {
            "Changes in the tenant, and what the daemon does about each; Ctrl-C ends"
        })?;
        loop {
            let rows = self.change().await?;
            if once {
                self.shown.wrong |= rows == 0;
                return Ok(());
            }
            self.pause().await?;
        }
    }

    fn introduce(&mut self) -> io::Result<()> {
        let Stage { simulator, registry, address, .. } = self.stage;
        let named = company::group_names(&registry.entries).len();
        let tenant = simulator.read(|tenant| {
            format!(
                "{}, {} ({named} of them in the registry), {}",
                amount(tenant.users().count() as u64, "user"),
                amount(tenant.groups().count() as u64, "group"),
                amount(tenant.edge_count() as u64, "direct membership"),
            )
        });
        let config = self.stage.config_file();
        let screen = &mut self.screen;
        screen.say(&format!("nexus-dirsync {}: demo", crate::VERSION))?;
        screen.say("")?;
        screen.say(&format!("tenant     {tenant}"))?;
        screen.say(&format!("graph      {}/v1.0, a simulator", simulator.url()))?;
        screen.say_whole(&format!("folder     {}", self.stage.folder().display()))?;
        for page in ["metrics", "status", "readyz"] {
            let label = if page == "metrics" { "daemon" } else { "" };
            screen.say(&format!("{label:<10} http://{address}/{page}"))?;
        }
        screen.say_whole(&format!(
            "try also   nexus-dirsync --config {} access who aca-dev",
            config.display()
        ))?;
        screen.say("")
    }

    /// Waits until the daemon answers.
    async fn listening(&self) -> Result<(), ShowError> {
        let answers = async {
            while TcpStream::connect(self.stage.address).await.is_err() {
                sleep(Duration::from_millis(20)).await;
            }
        };
        timeout(PATIENCE, answers)
            .await
            .map_err(|_| ShowError::Late { what: "the daemon did not listen" })
    }

    async fn first_run(&mut self) -> Result<(), ShowError> {
        self.screen.say("First full run")?;
        let Watched { report, .. } = self.first_report().await?;
        self.note(&report, Mode::Full);
        let counts = self.store.read(|tx| tx.access_counts()).await?;
        let totals = report.totals.unwrap_or_default();
        let links = report.changes.get(&(Entity::ProductAadGroup, Action::Link));
        let facts = [
            ("requests", number(report.reading.requests)),
            ("pages read", number(report.reading.pages)),
            ("users", number(totals.users)),
            ("groups", number(totals.groups)),
            ("links", number(links.copied().unwrap_or_default())),
            ("memberships", number(totals.memberships)),
            ("products", number(counts.len() as u64)),
            ("audit rows", number(report.changes_total())),
            ("seconds", format!("{:.1}", seconds(&report))),
        ];
        let screen = &mut self.screen;
        screen.say(&format!("  {} run {}", report.mode, report.outcome))?;
        for row in facts.chunks(3) {
            let cells: Vec<String> =
                row.iter().map(|(what, count)| format!("{what:<12}{count:>8}")).collect();
            screen.say(&format!("  {}", cells.join("     ")))?;
        }
        screen.say("")?;
        screen.say("People with access per product")?;
        for line in access_table(&counts) {
            screen.say(&format!("  {line}"))?;
        }
        self.access = counts;
        Ok(())
    }

    /// Waits for the run that the daemon begins by itself, while something moves.
    async fn first_report(&mut self) -> Result<Watched, ShowError> {
        let progress = Progress::start();
        let mut beats = interval(progress.beat());
        let until = Instant::now() + PATIENCE;
        while Instant::now() < until {
            tokio::select! {
                biased;
                run = next(&mut self.runs) => return Ok(run),
                _ = beats.tick() => {
                    let counters = self.stage.simulator.counters();
                    let answered = amount(counters.requests, "request");
                    let read = number(counters.bytes / 1024);
                    progress.show(&mut self.screen, format!("{answered} answered, {read} KiB"))?;
                }
            }
        }
        Err(ShowError::Late { what: "the daemon did not end its first run" })
    }

    /// Makes one change, asks for a run and shows both; returns how many rows followed.
    async fn change(&mut self) -> Result<u64, ShowError> {
        let (began, edited) = (Utc::now().trunc_subsecs(6), Instant::now());
        let editor = &mut self.editor;
        let Some(told) = self.stage.simulator.edit(|tenant| editor.next(tenant)) else {
            return Ok(0);
        };
        self.shown.open = true;
        self.shown.changes += 1;
        self.screen.say("")?;
        self.screen.say(&format!("{:>3}  {told}", self.shown.changes))?;
        kill_process(getpid(), Signal::USR1)?;
        let run = self.run_since(began).await?;
        self.shown.open = false;
        self.note(&run.report, Mode::Delta);
        self.tell(&run, Some(run.at - edited)).await?;
        if let Some(held) = &run.held {
            self.approve(held).await?;
        }
        Ok(run.report.changes_total())
    }

    /// Shows what is held, lets somebody read it, and lets it through.
    async fn approve(&mut self, held: &PlanDetail) -> Result<(), ShowError> {
        for line in held_lines(held) {
            self.screen.say_ends(&line)?;
        }
        sleep(PAUSE).await;
        let (hash, items) = (held.plan.hash.clone(), held.items.len());
        let decider = Decider {
            by: "whoever watches the demo".to_owned(),
            user_id: None,
            break_glass: Some("the simulated company has no admin".to_owned()),
        };
        let all = (1..=i32::try_from(items).unwrap_or(i32::MAX)).collect();
        let began = Utc::now().trunc_subsecs(6);
        self.store
            .write(move |tx| {
                tx.decide_plan(&hash, &decider, &Decision::Approve(all), Utc::now())
                    .map(Verdict::Commit)
            })
            .await?;
        self.screen.say(&format!(
            "{INDENT}Somebody approves it: the daemon reads again and does what still stands."
        ))?;
        kill_process(getpid(), Signal::USR1)?;
        let run = self.run_since(began).await?;
        self.note(&run.report, Mode::Delta);
        self.shown.wrong |= run.report.outcome == Outcome::Held;
        self.tell(&run, None).await
    }

    /// The first run that began after a change, and so has seen it.
    async fn run_since(&mut self, began: DateTime<Utc>) -> Result<Watched, ShowError> {
        let wait = async {
            loop {
                let run = next(&mut self.runs).await;
                if run.report.started_at >= began {
                    return run;
                }
            }
        };
        let late = |_| ShowError::Late { what: "the daemon did not follow a change" };
        timeout(PATIENCE, wait).await.map_err(late)
    }

    /// Waits a little, and shows runs that somebody else asked for meanwhile.
    async fn pause(&mut self) -> Result<(), ShowError> {
        let until = tokio::time::Instant::now() + PAUSE;
        while let Ok(run) = timeout_at(until, next(&mut self.runs)).await {
            self.screen.say("")?;
            self.screen.say(&format!("{INDENT}Somebody else asked for a run."))?;
            let mode = run.report.mode;
            self.note(&run.report, mode);
            self.tell(&run, None).await?;
        }
        Ok(())
    }

    fn note(&mut self, report: &Report, expected: Mode) {
        self.shown.runs += 1;
        self.shown.audit_rows += report.changes_total();
        self.shown.wrong |= report.mode != expected || !report.outcome.is_success();
    }

    /// What a run did: its plan, one audit row of it, and the time it took.
    async fn tell(&mut self, run: &Watched, after: Option<Duration>) -> Result<(), ShowError> {
        let report = &run.report;
        let began = report.started_at;
        let (audit, access) = self
            .store
            .read(move |tx| Ok((tx.audit_of_run(began, AUDIT_ROWS_MAX)?, tx.access_counts()?)))
            .await?;
        for line in digest(&run.lines, PLAN_LINES_MAX) {
            self.screen.say_ends(&line)?;
        }
        if let Some(moves) = access_moves(&self.access, &access) {
            self.screen.say(&format!("{INDENT}{moves}"))?;
        }
        self.access = access;
        if let Some(entry) = most_telling(&audit) {
            self.screen.say(&format!("{INDENT}{}", audit_line(entry)))?;
        }
        let took = after.map_or_else(
            || format!("{:.1} s", seconds(report)),
            |after| format!("{:.2} s from change to commit", after.as_secs_f64()),
        );
        self.screen.say(&format!(
            "{INDENT}{} run {}: {took}, {}, {}",
            report.mode,
            report.outcome,
            amount(report.reading.requests, "request"),
            amount(report.changes_total(), "audit row"),
        ))?;
        Ok(())
    }

    /// Checks everything once more and says what was shown; whether all was well.
    pub async fn close(mut self) -> Result<bool, ShowError> {
        let proof = Proof::take(&self.store, &self.stage.simulator, !self.shown.open).await?;
        let screen = &mut self.screen;
        screen.say("")?;
        let told = proof.audit.divergences.iter().chain(&proof.audit.foreign);
        let told = told.map(|found| format!("{} {}: {}", found.entity, found.id, found.what));
        for difference in told.chain(proof.differences.iter().cloned()).take(DIFFERENCES_MAX) {
            screen.say(&format!("WRONG {difference}"))?;
        }
        let compared = if self.shown.open {
            "not compared, the last change came too late".to_owned()
        } else {
            let (compared, differences) = (proof.compared as u64, proof.differences.len() as u64);
            format!(
                "{} users and groups compared, {}",
                number(compared),
                amount(differences, "difference")
            )
        };
        screen.say(&format!("Database and tenant: {compared}."))?;
        let Shown { runs, changes, audit_rows, wrong, .. } = &self.shown;
        screen.say_whole(&format!(
            "Shown: {}, {}, {}; audit verify: {} replayed, {}.",
            amount(*runs, "run"),
            amount(*changes, "change"),
            amount(*audit_rows, "audit row"),
            number(proof.audit.rows),
            amount(proof.audit.divergences.len() as u64, "difference"),
        ))?;
        Ok(proof.holds() && !wrong)
    }
}

/// The next run. There is none once the daemon has ended, and then nothing is left to
/// show: whoever waits for both sees the daemon's end.
async fn next(runs: &mut UnboundedReceiver<Watched>) -> Watched {
    match runs.recv().await {
        Some(run) => run,
        None => pending().await,
    }
}

fn seconds(report: &Report) -> f64 {
    (report.finished_at - report.started_at).as_seconds_f64()
}
