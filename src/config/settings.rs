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
    duration, listen, object_ids, path, percent, service, time_zone, truth, whole, word,
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

/// What trips the guard.
#[derive(Clone, Debug, PartialEq)]
pub struct Guard {
    /// Users that end as disabled or removed.
    pub users: Allowance,
    /// Groups that end as removed.
    pub groups: Allowance,
    /// Memberships, links and roles.
    pub memberships: Allowance,
    /// Shares count only above this many.
    pub floor: u32,
}

impl Guard {
    pub(super) fn read(from: &mut Reader) -> Self {
        let mut allowance = |max, share| Allowance {
            max: from.get(max, whole(0..=u32::MAX)),
            percent: from.get(share, percent(100.0)),
        };
        Self {
            users: allowance("guard.users_max", "guard.users_percent"),
            groups: allowance("guard.groups_max", "guard.groups_percent"),
            memberships: allowance("guard.memberships_max", "guard.memberships_percent"),
            floor: from.get("guard.floor", whole(0..=u32::MAX)),
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
    pub(super) fn read(from: &mut Reader) -> Self {
        Self {
            listen: from.get("http.listen", listen),
            connections_max: from.get("http.connections_max", whole(1..=10_000)),
            // Less than 8192 is not possible: the HTTP parser wants that much room.
            header_bytes_max: from.get("http.header_bytes_max", whole(8192..=1_048_576)),
            body_bytes_max: from.get("http.body_bytes_max", whole(0..=1_048_576)),
            header_timeout: from.get("http.header_timeout", duration(MILLISECOND..=HOUR)),
            request_timeout: from.get("http.request_timeout", duration(MILLISECOND..=HOUR)),
        }
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
