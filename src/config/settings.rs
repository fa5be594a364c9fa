//! The settings that need no more than one key each, as plain structs per concern.
//!
//! Owns ranges and their reasons. Must not read secrets or relate distant keys.

use std::net::SocketAddr;
use std::path::PathBuf;
use std::time::Duration;

use chrono_tz::Tz;
use url::Url;

use super::cron::{Cron, cron};
use super::problem::Fault;
use super::reader::Reader;
use super::values::{
    duration, interval, listen, name, object_ids, path, percent, service, time_zone, truth, whole,
    word,
};
use crate::directory::ObjectId;
use crate::reconcile::report::labels;

const SECOND: Duration = Duration::from_secs(1);
const MINUTE: Duration = Duration::from_mins(1);
const HOUR: Duration = Duration::from_hours(1);
const DAY: Duration = Duration::from_hours(24);
const MILLISECOND: Duration = Duration::from_millis(1);

labels! {
    /// Which groups are kept.
    GroupScope {
        /// Named by a link or the registry, and groups nested in them.
        Linked = "linked",
        /// Every group of the tenant.
        All = "all",
    }
}

labels! {
    /// Which users are kept.
    UserScope {
        /// Members of groups in scope, and whoever has a row already.
        Members = "members",
        /// Every user of the tenant.
        All = "all",
    }
}

labels! {
    /// How log lines look.
    LogFormat {
        /// One JSON object a line.
        Json = "json",
        /// For people.
        Text = "text",
    }
}

labels! {
    /// From which severity on the daemon's own lines are logged.
    LogLevel {
        /// Somebody should act.
        Error = "error",
        /// Something was refused or looks wrong.
        Warn = "warn",
        /// One line a run.
        Info = "info",
        /// One line a change; may name people.
        Debug = "debug",
        /// Everything.
        Trace = "trace",
    }
}

/// Reading Microsoft Graph.
#[derive(Clone, Debug, PartialEq)]
pub struct Graph {
    /// Its root, without the version.
    pub endpoint: Url,
    /// Objects in one page of a list.
    pub page_size: u32,
    /// Requests in flight.
    pub concurrency: u32,
    /// Requests in one batch.
    pub batch_size: u32,
    /// Pages of one round or list.
    pub pages_max: u32,
    /// Bytes of one answer.
    pub body_bytes_max: u32,
    /// How often one request is sent again.
    pub retries_max: u32,
    /// The first wait before that.
    pub backoff_base: Duration,
    /// The longest wait.
    pub backoff_max: Duration,
    /// For connecting.
    pub connect_timeout: Duration,
    /// For one request with its body.
    pub request_timeout: Duration,
}

impl Graph {
    pub(super) fn read(from: &mut Reader) -> Self {
        let graph = Self {
            endpoint: from.get("graph.endpoint", service),
            page_size: from.get("graph.page_size", whole(1..=999)),
            concurrency: from.get("graph.concurrency", whole(1..=64)),
            batch_size: from.get("graph.batch_size", whole(1..=20)),
            pages_max: from.get("graph.pages_max", whole(1..=10_000_000)),
            body_bytes_max: from.get("graph.body_bytes_max", whole(65_536..=1_073_741_824)),
            retries_max: from.get("graph.retries_max", whole(0..=100)),
            backoff_base: from.get("graph.backoff_base", duration(MILLISECOND..=MINUTE)),
            backoff_max: from.get("graph.backoff_max", duration(MILLISECOND..=HOUR)),
            connect_timeout: from.get("graph.connect_timeout", duration(MILLISECOND..=5 * MINUTE)),
            request_timeout: from.get("graph.request_timeout", duration(MILLISECOND..=HOUR)),
        };
        if graph.backoff_base > graph.backoff_max {
            let fault = Fault::new("is longer than graph.backoff_max", "make it shorter");
            from.complain("graph.backoff_base", fault);
        }
        graph
    }
}

/// When runs happen, and how long they and a stop may take.
#[derive(Clone, Debug, PartialEq)]
pub struct Schedule {
    /// When to read what changed; `None` for never.
    pub delta: Option<Cron>,
    /// When to read everything; `None` for never.
    pub full: Option<Cron>,
    /// By how much full reads may start later.
    pub full_jitter: Duration,
    /// The clocks that both go by.
    pub time_zone: Tz,
    /// Whether to run at start.
    pub startup: bool,
    /// How long a run may read.
    pub run_timeout: Duration,
    /// How long a stop waits for what has begun.
    pub stop_grace: Duration,
}

impl Schedule {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            delta: from.get("schedule.delta", cron),
            full: from.get("schedule.full", cron),
            full_jitter: from.get("schedule.full_jitter", duration(Duration::ZERO..=12 * HOUR)),
            time_zone: from.get("schedule.time_zone", time_zone),
            startup: from.get("schedule.startup", truth),
            run_timeout: from.get("schedule.run_timeout", duration(SECOND..=DAY)),
            stop_grace: from.get("schedule.stop_grace", duration(SECOND..=HOUR)),
        }
    }
}

/// Who leads where several replicas run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Leader {
    /// How this replica calls itself; `None` for host name and process.
    pub name: Option<String>,
    /// How often it asks who leads.
    pub ask_every: Duration,
    /// How long a leader waits for the answer.
    pub patience: Duration,
    /// For how long the lead is kept for a leader that says nothing.
    pub lease: Duration,
}

impl Leader {
    pub(super) fn read(from: &mut Reader) -> Self {
        let leader = Self {
            name: from.get("leader.instance", name),
            ask_every: from.get("leader.ask_every", duration(100 * MILLISECOND..=MINUTE)),
            patience: from.get("leader.patience", duration(100 * MILLISECOND..=MINUTE)),
            lease: from.get("leader.lease", duration(SECOND..=HOUR)),
        };
        if leader.lease <= leader.ask_every + leader.patience {
            let fault = Fault::new(
                "is not longer than leader.ask_every and leader.patience together, so two \
                 replicas could both believe that they lead",
                "make it longer",
            );
            from.complain("leader.lease", fault);
        }
        leader
    }

    /// How this replica calls itself.
    pub fn instance(&self) -> String {
        self.name.clone().unwrap_or_else(|| {
            let host = rustix::system::uname();
            format!("{}:{}", host.nodename().to_string_lossy(), std::process::id())
        })
    }
}

/// Which part of the tenant is kept.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Scope {
    /// Which groups.
    pub groups: GroupScope,
    /// Which users.
    pub users: UserScope,
    /// Whether new rows are made for guests.
    pub include_guests: bool,
    /// Whether new rows are made for disabled accounts.
    pub include_disabled: bool,
}

impl Scope {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            groups: from.get("scope.groups", word(GroupScope::ALL, GroupScope::label)),
            users: from.get("scope.users", word(UserScope::ALL, UserScope::label)),
            include_guests: from.get("scope.include_guests", truth),
            include_disabled: from.get("scope.include_disabled", truth),
        }
    }
}

/// Who is an admin.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Roles {
    /// Groups whose members get the role; none: roles are not touched.
    pub admin_groups: Vec<ObjectId>,
}

impl Roles {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self { admin_groups: from.get("roles.admin_groups", object_ids) }
    }
}

/// How much may be taken away: a number, or a share in percent.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Allowance {
    /// At most this many.
    pub max: u32,
    /// At most this share of what there is.
    pub percent: f64,
}

/// The limits of one unit.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct UnitLimits {
    /// In one run.
    pub run: Allowance,
    /// In all runs of the window together.
    pub window: Allowance,
}

/// What trips the guard.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// Users that end as disabled or removed.
    pub users: UnitLimits,
    /// Groups that end as removed.
    pub groups: UnitLimits,
    /// Memberships, links and roles.
    pub memberships: UnitLimits,
    /// (user, product) pairs.
    pub access: UnitLimits,
    /// The share of its people that one product may lose in one run, in percent.
    pub product_percent: f64,
    /// The same in all runs of the window together.
    pub product_window_percent: f64,
    /// Shares count only above this many.
    pub floor: u32,
    /// How far back the window reaches.
    pub window: Duration,
    /// The share by which a product may grow in one run without a finding, in percent.
    pub gain_percent: f64,
    /// Whether what makes a product grow by more is held, too.
    pub hold_gains: bool,
    /// How many held plans may wait at once.
    pub plans_max: u32,
    /// Whether a product that would lose everybody, or its last admin, is always held.
    pub keep_reachable: bool,
    /// Whether what nobody has seen yet is always held.
    pub rehearse: bool,
}

impl Guard {
    pub(super) fn read(from: &mut Reader) -> Self {
        let mut allowance = |max, share| Allowance {
            max: from.get(max, whole(0..=u32::MAX)),
            percent: from.get(share, percent(100.0)),
        };
        let mut limits = |run: [&'static str; 2], window: [&'static str; 2]| UnitLimits {
            run: allowance(run[0], run[1]),
            window: allowance(window[0], window[1]),
        };
        Self {
            users: limits(
                ["guard.users_max", "guard.users_percent"],
                ["guard.users_window_max", "guard.users_window_percent"],
            ),
            groups: limits(
                ["guard.groups_max", "guard.groups_percent"],
                ["guard.groups_window_max", "guard.groups_window_percent"],
            ),
            memberships: limits(
                ["guard.memberships_max", "guard.memberships_percent"],
                ["guard.memberships_window_max", "guard.memberships_window_percent"],
            ),
            access: limits(
                ["guard.access_max", "guard.access_percent"],
                ["guard.access_window_max", "guard.access_window_percent"],
            ),
            product_percent: from.get("guard.product_percent", percent(100.0)),
            product_window_percent: from.get("guard.product_window_percent", percent(100.0)),
            floor: from.get("guard.floor", whole(0..=u32::MAX)),
            window: from.get("guard.window", duration(HOUR..=30 * DAY)),
            gain_percent: from.get("guard.gain_percent", percent(10_000.0)),
            hold_gains: from.get("guard.hold_gains", truth),
            plans_max: from.get("guard.plans_max", whole(1..=1_000)),
            keep_reachable: from.get("guard.keep_reachable", truth),
            rehearse: from.get("guard.rehearse", truth),
        }
    }
}

/// When rows are purged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Removal {
    /// How long something must be gone.
    pub retention: Duration,
    /// How far clocks may disagree.
    pub clock_skew_max: Duration,
    /// How many removals by absence one run may confirm.
    pub confirmations_max: u32,
}

impl Removal {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            retention: from.get("removal.retention", duration(SECOND..=3650 * DAY)),
            clock_skew_max: from.get("removal.clock_skew_max", duration(SECOND..=DAY)),
            confirmations_max: from.get("removal.confirmations_max", whole(0..=1_000_000)),
        }
    }
}

/// The product registry.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Registry {
    /// Where it is; `None`: products are left alone.
    pub file: Option<PathBuf>,
}

impl Registry {
    pub(super) fn read(from: &mut Reader) -> Self {
        let file: Option<PathBuf> = from.get("registry.file", path);
        if let Some(path) = file.as_deref().filter(|path| !path.is_file()) {
            let what = format!("{} is not a file", path.display());
            from.complain(
                "registry.file",
                Fault::new(what, "name the registry, or leave the key empty"),
            );
        }
        Self { file }
    }
}

/// Serving HTTP.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Http {
    /// Where.
    pub listen: SocketAddr,
    /// Connections at once.
    pub connections_max: u32,
    /// Bytes of a request's head.
    pub header_bytes_max: u32,
    /// Bytes of a request's body.
    pub body_bytes_max: u32,
    /// For the head to arrive.
    pub header_timeout: Duration,
    /// For the answer.
    pub request_timeout: Duration,
}

impl Http {
    /// How long `/readyz` and `/metrics` give the database to answer.
    pub const DATABASE_PATIENCE: Duration = Duration::from_secs(5);

    pub(super) fn read(from: &mut Reader) -> Self {
        let http = Self {
            listen: from.get("http.listen", listen),
            connections_max: from.get("http.connections_max", whole(1..=10_000)),
            // Less than 8192 is not possible: the HTTP parser wants that much room.
            header_bytes_max: from.get("http.header_bytes_max", whole(8192..=1_048_576)),
            body_bytes_max: from.get("http.body_bytes_max", whole(0..=1_048_576)),
            header_timeout: from.get("http.header_timeout", duration(MILLISECOND..=HOUR)),
            request_timeout: from.get("http.request_timeout", duration(MILLISECOND..=HOUR)),
        };
        if http.request_timeout <= Self::DATABASE_PATIENCE {
            // Cut short, they could not tell that the database is away.
            let patience = Self::DATABASE_PATIENCE.as_secs();
            let fault = Fault::new(
                format!(
                    "is not longer than the {patience} s that /metrics waits for the database, \
                     so nothing could be scraped while that does not answer"
                ),
                "make it longer, such as 10s",
            );
            from.complain("http.request_timeout", fault);
        }
        http
    }
}

/// Logging.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Log {
    /// How lines look.
    pub format: LogFormat,
    /// Which lines there are.
    pub level: LogLevel,
}

impl Log {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            format: from.get("log.format", word(LogFormat::ALL, LogFormat::label)),
            level: from.get("log.level", word(LogLevel::ALL, LogLevel::label)),
        }
    }
}

/// Findings.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Findings {
    /// How long settled ones stay.
    pub retention: Duration,
}

impl Findings {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self { retention: from.get("findings.retention", duration(DAY..=3650 * DAY)) }
    }
}

/// The audit trail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Audit {
    /// How often it is verified; `None` for never.
    pub verify_every: Option<Duration>,
}

impl Audit {
    pub(super) fn read(from: &mut Reader) -> Self {
        Self { verify_every: from.get("audit.verify_every", interval(SECOND..=90 * DAY)) }
    }
}
