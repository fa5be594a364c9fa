//! What the reading tells others about itself while it goes on.
//!
//! Owns the observer that metrics plug into, the closed set of endpoint labels,
//! and the running tally. Must not know any metrics library, nor decide anything.

use std::fmt;
use std::sync::Arc;
use std::sync::Mutex;
use std::sync::PoisonError;
use std::sync::atomic::{AtomicI64, AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};

/// What is being asked of Graph: a closed set, fit for a metric label.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Endpoint {
    /// `users/delta`.
    UsersDelta,
    /// `groups/delta`.
    GroupsDelta,
    /// `users`, as a list or by filter.
    Users,
    /// `groups`, as a list or by filter.
    Groups,
    /// `groups/{id}/members`.
    Members,
    /// `users/{id}/memberOf`.
    MemberOf,
    /// `directoryObjects/getByIds`.
    GetByIds,
    /// `directory/deletedItems`.
    DeletedItems,
    /// `$batch` as a whole; its items go under their own endpoint.
    Batch,
    /// `$count`.
    Count,
    /// The token endpoint of the authority.
    Token,
}

impl Endpoint {
    /// The label in metrics and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::UsersDelta => "users_delta",
            Self::GroupsDelta => "groups_delta",
            Self::Users => "users",
            Self::Groups => "groups",
            Self::Members => "members",
            Self::MemberOf => "member_of",
            Self::GetByIds => "get_by_ids",
            Self::DeletedItems => "deleted_items",
            Self::Batch => "batch",
            Self::Count => "count",
            Self::Token => "token",
        }
    }
}

impl fmt::Display for Endpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

/// One answer, whatever its status.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Answer {
    /// What was asked.
    pub endpoint: Endpoint,
    /// HTTP status.
    pub status: u16,
    /// From sending to the last byte; `None` for an item of a batch, whose time is the batch's.
    pub seconds: Option<f64>,
    /// Bytes of the body after decompression; 0 for an item of a batch.
    pub bytes: u64,
    /// Quota used, by `x-ms-resource-unit` ("throttling-limits" page); 0 when not said.
    pub resource_units: u64,
}

/// Somebody who watches the reading, as metrics do. Called from within requests:
/// must return at once.
pub trait Observer: Send + Sync {
    /// An answer has come.
    fn answered(&self, answer: &Answer);
    /// The same request is about to be sent again; `reason` is one of a closed set.
    fn retried(&self, endpoint: Endpoint, reason: &'static str);
    /// A request has waited so long for a back-off or a throttle to end.
    fn waited(&self, seconds: f64);
    /// Graph says how close to its limit this application is; 1.0 is the limit
    /// (`x-ms-throttle-limit-percentage`, sent above 0.8 only; 0 where an answer has none).
    fn throttle_ratio(&self, ratio: f64);
}

/// For callers that do not watch.
impl Observer for () {
    fn answered(&self, _: &Answer) {}
    fn retried(&self, _: Endpoint, _: &'static str) {}
    fn waited(&self, _: f64) {}
    fn throttle_ratio(&self, _: f64) {}
}

/// What this client has done since it was made; only ever grows, so that a caller
/// gets the share of one run by subtracting.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Tally {
    /// HTTP requests answered by Graph, retries included, items of batches not.
    pub requests: u64,
    /// Pages read to the end, first pages inside batches included.
    pub pages: u64,
    /// Bytes of all bodies after decompression.
    pub bytes: u64,
    /// Quota used.
    pub resource_units: u64,
    /// Repeated requests and repeated items.
    pub retries: u64,
    /// Waiting, summed over the requests that waited (they may have waited together).
    pub waited_seconds: f64,
}

/// Counts, and passes on to the observer.
pub(super) struct Meter {
    observer: Arc<dyn Observer>,
    requests: AtomicU64,
    pages: AtomicU64,
    bytes: AtomicU64,
    resource_units: AtomicU64,
    retries: AtomicU64,
    waited_millis: AtomicU64,
    server_seconds: AtomicI64,
    request_id: Mutex<Option<String>>,
}

impl Meter {
    pub(super) fn new(observer: Arc<dyn Observer>) -> Self {
        Self {
            observer,
            requests: AtomicU64::new(0),
            pages: AtomicU64::new(0),
            bytes: AtomicU64::new(0),
            resource_units: AtomicU64::new(0),
            retries: AtomicU64::new(0),
            waited_millis: AtomicU64::new(0),
            server_seconds: AtomicI64::new(i64::MIN),
            request_id: Mutex::new(None),
        }
    }

    pub(super) fn answered(&self, answer: &Answer) {
        if answer.seconds.is_some() && answer.endpoint != Endpoint::Token {
            self.requests.fetch_add(1, Ordering::Relaxed);
        }
        self.bytes.fetch_add(answer.bytes, Ordering::Relaxed);
        self.resource_units.fetch_add(answer.resource_units, Ordering::Relaxed);
        self.observer.answered(answer);
    }

    pub(super) fn page(&self) {
        self.pages.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn retried(&self, endpoint: Endpoint, reason: &'static str) {
        self.retries.fetch_add(1, Ordering::Relaxed);
        self.observer.retried(endpoint, reason);
    }

    pub(super) fn waited(&self, wait: Duration) {
        if wait.is_zero() {
            return;
        }
        let millis = u64::try_from(wait.as_millis()).unwrap_or(u64::MAX);
        self.waited_millis.fetch_add(millis, Ordering::Relaxed);
        self.observer.waited(wait.as_secs_f64());
    }

    pub(super) fn throttle_ratio(&self, ratio: f64) {
        self.observer.throttle_ratio(ratio);
    }

    pub(super) fn server_time_seen(&self, time: DateTime<Utc>) {
        self.server_seconds.fetch_max(time.timestamp(), Ordering::Relaxed);
    }

    pub(super) fn request_id_seen(&self, id: &str) {
        *self.request_id.lock().unwrap_or_else(PoisonError::into_inner) = Some(id.to_owned());
    }

    pub(super) fn server_time(&self) -> Option<DateTime<Utc>> {
        DateTime::from_timestamp(self.server_seconds.load(Ordering::Relaxed), 0)
    }

    pub(super) fn request_id(&self) -> Option<String> {
        self.request_id.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    pub(super) fn tally(&self) -> Tally {
        Tally {
            requests: self.requests.load(Ordering::Relaxed),
            pages: self.pages.load(Ordering::Relaxed),
            bytes: self.bytes.load(Ordering::Relaxed),
            resource_units: self.resource_units.load(Ordering::Relaxed),
            retries: self.retries.load(Ordering::Relaxed),
            waited_seconds: Duration::from_millis(self.waited_millis.load(Ordering::Relaxed))
                .as_secs_f64(),
        }
    }
}
