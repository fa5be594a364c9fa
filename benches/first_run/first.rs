//! First runs: what the daemon's own code costs, and what a real one takes.

use std::path::Path;
use std::time::Duration;

use graph_simulator::Shape;

use crate::Outcome;
use crate::database::Database;
use crate::goals::Goals;
use crate::postgres::Cluster;
use crate::service::{Counters, Service, Serving};
use crate::table::{Table, mib, none, per_second, seconds};
use crate::{daemon, raw};

/// Requests that the raw client keeps under way: as many as the daemon by default.
const CONCURRENCY: usize = 8;
/// What Graph takes for an answer.
const LATENCY: Duration = Duration::from_millis(50);
/// The memory that the daemon may use.
const PEAK_KIB_MAX: u64 = 300 * 1024;
/// Statements that do not grow with the tenant.
const STATEMENTS_FIXED: u64 = 150;

const HEAD_AGAIN: [&str; 8] = [
    "full run without change",
    "time",
    "reading",
    "loading",
    "planning",
    "applying",
    "changes",
    "peak",
];

/// One measurement of the daemon and of the raw client.
struct Pair {
    daemon: daemon::Took,
    raw: raw::Took,
    copy: Duration,
    rows: u64,
}

/// Without latency: what is not the raw client's time is our own.
pub(crate) async fn cost(
    cluster: &Cluster,
    shape: &Shape,
    repeats: u32,
    goals: &mut Goals,
) -> Outcome<()> {
    let service =
        Service::start(&Serving { shape: shape.clone(), latency: Duration::ZERO, quota: false })?;
    let mut pairs = Vec::new();
    let mut last = None;
    for turn in 0..repeats.max(1) {
        let filled = Database::migrated(cluster, &format!("cost_{turn}")).await?;
        let empty = Database::migrated(cluster, &format!("copy_{turn}")).await?;
        pairs.push(pair(&service, &filled, &empty).await?);
        last = Some(filled);
    }
    report_cost(&pairs, &service.counters().await?, goals);
    match last {
        Some(database) => again(&service, &database, goals),
        None => Ok(()),
    }
}

/// The nightly run that finds nothing new: it holds both sides in memory.
fn again(service: &Service, database: &Database, goals: &mut Goals) -> Outcome<()> {
    let task =
        daemon::Task { endpoint: service.url.clone(), database: database.url.clone(), full: true };
    let took = task.run()?;
    let mut table = Table::new(HEAD_AGAIN);
    table.row([
        "daemon".into(),
        seconds(took.total),
        seconds(took.observe),
        seconds(took.load),
        seconds(took.plan),
        seconds(took.apply),
        took.changes.to_string(),
        mib(took.peak_kib << 10),
    ]);
    table.print();
    goals.count("peak memory of a full run without change, KiB", took.peak_kib, PEAK_KIB_MAX);
    Ok(())
}

async fn pair(service: &Service, filled: &Database, empty: &Database) -> Outcome<Pair> {
    let endpoint = service.url.clone();
    service.reset().await?;
    let task =
        daemon::Task { endpoint: endpoint.clone(), database: filled.url.clone(), full: true };
    let daemon = task.run()?;
    let requests = service.requests().await?;
    service.reset().await?;
    let raw = raw::Task::Replay { endpoint, requests, concurrency: CONCURRENCY }.run()?;
    let folder = tempfile::tempdir()?;
    let copy = copy(filled, empty, folder.path())?;
    let rows = filled.rows()?.unsigned_abs();
    Ok(Pair { daemon, raw, copy, rows })
}

fn copy(filled: &Database, empty: &Database, folder: &Path) -> Outcome<Duration> {
    filled.copy_out(folder)?;
    empty.copy_in(folder)
}

fn report_cost(pairs: &[Pair], counters: &Counters, goals: &mut Goals) {
    let mut table = Table::new([
        "first run without latency",
        "time",
        "requests",
        "bytes",
        "units",
        "rows",
        "rows/s",
        "peak",
    ]);
    for Pair { daemon, raw, copy, rows } in pairs {
        table.row([
            "daemon".into(),
            seconds(daemon.total),
            daemon.requests.to_string(),
            mib(daemon.bytes),
            daemon.units.to_string(),
            rows.to_string(),
            per_second(*rows, daemon.total),
            mib(daemon.peak_kib << 10),
        ]);
        for (name, time) in [
            ("  reading", daemon.observe),
            ("  loading", daemon.load),
            ("  planning", daemon.plan),
            ("  applying", daemon.apply),
        ] {
            table.row([name.into(), seconds(time), none(), none(), none(), none(), none(), none()]);
        }
        table.row([
            "raw download".into(),
            seconds(raw.total),
            raw.requests.to_string(),
            mib(raw.bytes),
            counters.units.to_string(),
            none(),
            none(),
            none(),
        ]);
        table.row([
            "raw COPY".into(),
            seconds(*copy),
            none(),
            none(),
            none(),
            rows.to_string(),
            per_second(*rows, *copy),
            none(),
        ]);
    }
    table.print();
    let best = |time: &dyn Fn(&Pair) -> Duration| {
        pairs.iter().map(|pair| time(pair).as_secs_f64()).fold(f64::INFINITY, f64::min)
    };
    let ratio = best(&|pair| pair.daemon.total) / best(&|pair| pair.raw.total + pair.copy);
    goals.ratio("first run without latency, to raw download and COPY", ratio, 2.0);
    let most = |count: &dyn Fn(&Pair) -> u64| pairs.iter().map(count).max().unwrap_or(0);
    goals.count("peak memory of the daemon, KiB", most(&|pair| pair.daemon.peak_kib), PEAK_KIB_MAX);
    let rows = most(&|pair| pair.rows);
    let statements = most(&|pair| pair.daemon.statements);
    goals.count("statements of a first run", statements, STATEMENTS_FIXED + rows / 1_000);
}

/// With latency and quota: what is not the walk's time is won.
pub(crate) async fn latency(cluster: &Cluster, shape: &Shape, goals: &mut Goals) -> Outcome<()> {
    let serving = Serving { shape: shape.clone(), latency: LATENCY, quota: true };
    let service = Service::start(&serving)?;
    let database = Database::migrated(cluster, "latency").await?;
    let endpoint = service.url.clone();
    let task = daemon::Task { endpoint: endpoint.clone(), database: database.url, full: true };
    let daemon = task.run()?;
    let throttled = service.counters().await?.throttled;
    service.reset().await?;
    let walk = raw::Task::Walk { endpoint }.run()?;
    let walked = service.counters().await?;
    let mut table = Table::new([
        "first run, 50 ms and quota",
        "time",
        "reading",
        "requests",
        "bytes",
        "units",
        "throttled",
    ]);
    table.row([
        "daemon".into(),
        seconds(daemon.total),
        seconds(daemon.observe),
        daemon.requests.to_string(),
        mib(daemon.bytes),
        daemon.units.to_string(),
        throttled.to_string(),
    ]);
    table.row([
        "raw walk over both deltas".into(),
        seconds(walk.total),
        seconds(walk.total),
        walked.graph_requests().to_string(),
        mib(walked.bytes),
        walked.units.to_string(),
        walked.throttled.to_string(),
    ]);
    table.print();
    let to_walk = |time: Duration| time.as_secs_f64() / walk.total.as_secs_f64();
    goals.ratio("reading with 50 ms and quota, to the raw walk", to_walk(daemon.observe), 0.25);
    goals.ratio("first run with 50 ms and quota, to the raw walk", to_walk(daemon.total), 0.5);
    Ok(())
}
