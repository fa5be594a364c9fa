//! One run of the daemon's own code in a process of its own, and what it took.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use diesel::connection::{Instrumentation, InstrumentationEvent, set_default_instrumentation};
use nexus_dirsync::chain::Chain;
use nexus_dirsync::directory::Mode;
use nexus_dirsync::graph::{self, Directory, IdentityKind, IdentitySettings, SecretSource};
use nexus_dirsync::reconcile::guard::{Allowance, Limit, Limits};
use nexus_dirsync::reconcile::report::{Phase, Report, Trigger};
use nexus_dirsync::store::{self, Store};
use nexus_dirsync::sync::{Error, Settings, Sync};
use serde::{Deserialize, Serialize};
use url::Url;
use uuid::Uuid;

use crate::{Outcome, child};

const TENANT: &str = "11111111-2222-4333-8444-555555555555";

/// What to run.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Task {
    /// The simulator.
    pub(crate) endpoint: String,
    /// A migrated database.
    pub(crate) database: String,
    /// A full run; a delta run otherwise.
    pub(crate) full: bool,
}

impl Task {
    /// Runs it in a process of its own.
    pub(crate) fn run(&self) -> Outcome<Took> {
        child::run("daemon", self)
    }
}

/// What a run took.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub(crate) struct Took {
    /// From the first request to the end of the commit.
    pub(crate) total: Duration,
    pub(crate) observe: Duration,
    pub(crate) load: Duration,
    pub(crate) plan: Duration,
    pub(crate) apply: Duration,
    pub(crate) requests: u64,
    pub(crate) pages: u64,
    pub(crate) bytes: u64,
    pub(crate) units: u64,
    pub(crate) retries: u64,
    /// Audit rows.
    pub(crate) changes: u64,
    pub(crate) statements: u64,
    /// Peak memory of the process.
    pub(crate) peak_kib: u64,
}

static STATEMENTS: AtomicU64 = AtomicU64::new(0);

/// Counts what is sent to the database.
struct Counter;

impl Instrumentation for Counter {
    fn on_connection_event(&mut self, event: InstrumentationEvent<'_>) {
        if matches!(event, InstrumentationEvent::StartQuery { .. }) {
            STATEMENTS.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// The role.
pub(crate) fn run(task: &Task) -> Outcome<Took> {
    set_default_instrumentation(|| Some(Box::new(Counter)))?;
    let runtime = tokio::runtime::Builder::new_multi_thread().enable_all().build()?;
    let started = Instant::now();
    let report = runtime.block_on(turn(task))?;
    let total = started.elapsed();
    let phase = |phase| report.phases.get(&phase).copied().unwrap_or_default();
    Ok(Took {
        total,
        observe: phase(Phase::Observe),
        load: phase(Phase::Load),
        plan: phase(Phase::Plan),
        apply: phase(Phase::Apply),
        requests: report.reading.requests,
        pages: report.reading.pages,
        bytes: report.reading.bytes,
        units: report.reading.resource_units,
        retries: report.reading.retries,
        changes: report.changes_total(),
        statements: STATEMENTS.load(Ordering::Relaxed),
        peak_kib: peak_kib()?,
    })
}

async fn turn(task: &Task) -> Outcome<Report> {
    let sync = Sync::new(store(&task.database)?, directory(&task.endpoint)?, settings(task));
    let mode = if task.full { Mode::Full } else { Mode::Delta };
    let told = |error: Error| Chain(&error).to_string();
    let run = Sync::begin(mode, Trigger::Command);
    let observation = sync.observe(run).await.map_err(told)?;
    let done = sync.commit(run, observation, false).await.map_err(told)?;
    Ok(done.report)
}

/// The daemon's handle to a database of the cluster.
pub(crate) fn store(url: &str) -> Outcome<Store> {
    let settings = store::Settings {
        url: url.to_owned().into(),
        pool_size: 4,
        connect_timeout: Duration::from_secs(10),
        statement_timeout: Duration::from_mins(10),
        lock_timeout: Duration::from_secs(30),
    };
    Ok(Store::open(&settings)?)
}

fn directory(endpoint: &str) -> Outcome<Directory> {
    let endpoint: Url = endpoint.parse()?;
    let client = Uuid::from_u128(7).to_string();
    let mut identity =
        IdentitySettings::new(IdentityKind::ClientSecret, endpoint.clone(), TENANT, client);
    identity.client_secret = Some(SecretSource::Inline("secret".to_owned().into()));
    Ok(Directory::connect(graph::Settings::new(endpoint), identity, Arc::new(()))?)
}

fn settings(task: &Task) -> Settings {
    const DAY: Duration = Duration::from_hours(24);
    let allowance = Allowance { max: 1_000, percent: 5.0 };
    let limit = Limit { run: allowance, window: allowance };
    Settings {
        tenant_id: TENANT.to_owned(),
        endpoint: task.endpoint.clone(),
        all_groups: true,
        all_users: true,
        include_guests: true,
        include_disabled: true,
        admin_groups: BTreeSet::new(),
        registry: None,
        limits: Limits {
            users: limit,
            groups: limit,
            memberships: limit,
            access: limit,
            product_percent: 30.0,
            product_window_percent: 50.0,
            floor: 100,
            window: Duration::from_hours(24),
            gain_percent: 100.0,
            hold_gains: false,
            plans_max: 50,
            keep_reachable: true,
            rehearse: true,
        },
        retention: 30 * DAY,
        clock_skew_max: Duration::from_hours(1),
        findings_retention: 90 * DAY,
        confirmations_max: 5000,
    }
}

/// The most memory this process ever had in use.
fn peak_kib() -> Outcome<u64> {
    let status = std::fs::read_to_string("/proc/self/status")?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
    let kib = line.and_then(|line| line.split_whitespace().next()).ok_or("no VmHWM")?;
    Ok(kib.parse()?)
}
