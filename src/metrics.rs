//! Every metric of the daemon, in one struct.
//!
//! Owns names, help texts and label sets. Labels come from closed sets only, and each
//! series exists from the start, so that a rate is right from the first event on. The
//! only module that names `prometheus`.

mod families;
mod observe;

use std::fmt;
use std::sync::OnceLock;

use chrono::{DateTime, Utc};
use prometheus::process_collector::ProcessCollector;
use prometheus::{Registry, TextEncoder};

use families::{Audit, Database, Graph, Process, Runs};

/// The endpoints of Graph as labels: what is not among them counts as `other`.
pub const ENDPOINTS: &[&str] = &[
    "token",
    "users",
    "users_delta",
    "groups",
    "groups_delta",
    "members",
    "member_of",
    "get_by_ids",
    "deleted_items",
    "batch",
    "count",
    "other",
];

/// Why a request is sent again, as labels: what is not among them counts as `other`.
pub const RETRY_REASONS: &[&str] = &[
    "throttled",
    "server_error",
    "timeout",
    "connect",
    "broken",
    "cut",
    "token",
    "page_expired",
    "other",
];

/// How many connections wait, and how many work.
type PoolUse = dyn Fn() -> (u64, u64) + Send + Sync;

/// All metrics, and the means to render them.
pub struct Metrics {
    runs: Runs,
    graph: Graph,
    audit: Audit,
    database: Database,
    pool: OnceLock<Box<PoolUse>>,
    process: Process,
    prefixed: Registry,
    /// The metrics of any process carry no prefix, by convention.
    plain: Registry,
}

impl Metrics {
    /// Registers everything and sets what is known from the start.
    pub fn new() -> Self {
        const VALID: &str = "names are valid and unique; a test holds it";
        let prefixed = Registry::new_custom(Some("dirsync".to_owned()), None).expect(VALID);
        let plain = Registry::new();
        plain.register(Box::new(ProcessCollector::for_self())).expect(VALID);
        let runs = Runs::register(&prefixed).expect(VALID);
        let graph = Graph::register(&prefixed).expect(VALID);
        let audit = Audit::register(&prefixed).expect(VALID);
        let database = Database::register(&prefixed).expect(VALID);
        let process = Process::register(&prefixed).expect(VALID);
        runs.initialise();
        graph.initialise();
        database.initialise();
        process.initialise();
        Self { runs, graph, audit, database, pool: OnceLock::new(), process, prefixed, plain }
    }

    /// Asks `pool_use`, at each scrape, how many connections to the database are idle and
    /// how many in use. It must not block. The first to be told is asked.
    pub fn watch_pool(&self, pool_use: impl Fn() -> (u64, u64) + Send + Sync + 'static) {
        let _ = self.pool.set(Box::new(pool_use));
    }

    /// The text that Prometheus scrapes.
    pub fn render(&self) -> String {
        if let Some(pool_use) = self.pool.get() {
            let (idle, in_use) = pool_use();
            self.pool_connections(idle, in_use);
        }
        let mut families = self.prefixed.gather();
        families.extend(self.plain.gather());
        let text = TextEncoder::new().encode_to_string(&families);
        text.expect("what was gathered can be written as text")
    }
}

impl Default for Metrics {
    fn default() -> Self {
        Self::new()
    }
}

impl fmt::Debug for Metrics {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Metrics")
    }
}

/// Seconds since the epoch, as gauges want them.
fn seconds(time: DateTime<Utc>) -> f64 {
    time.signed_duration_since(DateTime::UNIX_EPOCH).as_seconds_f64()
}

/// The member of a closed set of labels; everything else is its last, `other`.
fn closed(set: &'static [&'static str], label: &str) -> &'static str {
    set.iter().copied().find(|known| *known == label).unwrap_or("other")
}
