//! The Graph service itself: calls in, replies out, without a network.
//!
//! This module owns the order of things (faults, authorisation, quota, answer, books) and the state shared by all
//! requests. It must not do I/O or wait; delays and broken connections are only marked on the reply.

mod auth;
mod batch;
mod delta;
mod directory;
mod effects;
mod filter;
mod lists;
mod members;
mod plan;
mod problem;
mod query;
mod reply;
mod route;
mod view;

use std::collections::BTreeSet;
use std::sync::{Mutex, MutexGuard, RwLock, RwLockReadGuard, RwLockWriteGuard};
use std::time::{Instant, SystemTime, UNIX_EPOCH};

use uuid::Uuid;

use crate::fault::{Expiry, FaultBook};
use crate::options::{Options, Quota};
use crate::quota::{Bucket, Verdict, price};
use crate::record::{Recorder, RequestRecord};
use crate::tenant::{ObjectType, Tenant};
use crate::token::Sealer;
use delta::Rounds;
use problem::Problem;
use query::Query;
pub(crate) use reply::{Body, Call, Reply, Wire};
use route::Route;

/// What a lock that a panicking thread held would mean: a bug in the simulator, not a state to go on from.
const POISONED: &str = "no thread panics while it holds this lock";

/// Says how close to its limit an app is; only sent above 0.8.
const PERCENTAGE: &str = "x-ms-throttle-limit-percentage";

/// The service and everything its requests share.
#[derive(Debug)]
pub(crate) struct Service {
    pub(crate) options: Options,
    sealer: Sealer,
    tenant: RwLock<Tenant>,
    access: Mutex<Access>,
    lost_tokens: Mutex<LostTokens>,
    rounds: Mutex<Rounds>,
    bucket: Mutex<Bucket>,
    faults: Mutex<FaultBook>,
    recorder: Mutex<Recorder>,
}

/// What callers may do.
#[derive(Debug, Clone)]
pub(crate) struct Access {
    roles: BTreeSet<String>,
    /// Tokens of older generations are revoked.
    generation: u64,
}

impl Access {
    fn has_any(&self, roles: &[&str]) -> bool {
        roles.is_empty() || roles.iter().any(|role| self.roles.contains(*role))
    }

    fn sees_hidden_members(&self) -> bool {
        self.has_any(&["Member.Read.Hidden"])
    }

    /// Whether the properties of members of a type may be read.
    fn sees(&self, of_type: ObjectType) -> bool {
        match of_type {
            ObjectType::User => {
                self.has_any(&["User.Read.All", "User.ReadWrite.All", "Directory.Read.All"])
            }
            _ => true,
        }
    }
}

/// Which delta tokens were expired by hand, and how that shows.
#[derive(Debug, Default)]
struct LostTokens {
    /// Tokens of older epochs are lost.
    epoch: u64,
    how: Option<Expiry>,
}

impl Service {
    pub(crate) fn new(tenant: Tenant, options: Options) -> Self {
        let started =
            SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |time| time.as_nanos());
        let first_round = u64::try_from(started & u128::from(u64::MAX >> 1)).unwrap_or_default();
        Self {
            sealer: Sealer::new(options.seed, options.token_length),
            tenant: RwLock::new(tenant),
            access: Mutex::new(Access { roles: options.roles.clone(), generation: 0 }),
            lost_tokens: Mutex::default(),
            rounds: Mutex::new(Rounds::new(options.open_rounds, first_round)),
            bucket: Mutex::new(Bucket::new(options.quota)),
            faults: Mutex::default(),
            recorder: Mutex::new(Recorder::new(options.keep_requests)),
            options,
        }
    }

    /// Answers a call and enters it into the books.
    pub(crate) fn answer(&self, call: &Call) -> Reply {
        let request_id = Uuid::new_v4();
        let client_request_id = call.header("client-request-id");
        let effect = self.faults().strike(&call.method, &call.target());
        let outcome = match effect.as_ref().and_then(|effect| effects::instead(call, effect)) {
            Some(outcome) => outcome,
            None => self.execute(call),
        };
        let mut reply =
            outcome.unwrap_or_else(|problem| problem.into_reply(request_id, client_request_id));
        if let Some(effect) = &effect {
            effects::afterwards(call, effect, &mut reply);
        }
        let echo = client_request_id.map_or_else(|| request_id.to_string(), str::to_owned);
        reply.add_header("request-id", request_id.to_string());
        reply.add_header("client-request-id", echo);
        self.enter(call, &reply);
        reply
    }

    fn execute(&self, call: &Call) -> Result<Reply, Problem> {
        if let Some(outcome) = self.issue_token(call) {
            return outcome;
        }
        self.check_token(call)?;
        let route = Route::of(&call.method, &call.path)?;
        let query = Query::parse(&call.query)?;
        if !self.access().has_any(route.permissions()) {
            return Err(Problem::forbidden());
        }
        if route == Route::Batch {
            return self.batch(call);
        }
        let units = price(route.base_price(), query.select.is_some(), query.top);
        let warning = self.charge(units)?;
        let mut reply =
            self.respond(call, &query, &route).map_err(|problem| problem.charged(units))?;
        reply.units = units;
        reply.add_header("x-ms-resource-unit", units.to_string());
        reply.add_header("Cache-Control", "no-cache");
        if let Some(share) = warning {
            reply.add_header(PERCENTAGE, format!("{share:.2}"));
        }
        Ok(reply)
    }

    /// Takes units from the bucket; the share of the limit in use if it is worth a warning.
    fn charge(&self, units: u32) -> Result<Option<f64>, Problem> {
        let verdict = self.bucket().charge(units, Instant::now());
        let (retry_after, share) = match verdict {
            Verdict::Granted { warning } => return Ok(warning),
            Verdict::Throttled { retry_after, share } => (retry_after, share),
        };
        let scope = format!("Tenant_Application/Read/{}/{}", Uuid::nil(), self.options.tenant_id);
        Err(Problem::throttled(retry_after)
            .header("x-ms-throttle-scope", &scope)
            .header("x-ms-throttle-information", "ResourceUnitLimitExceeded")
            .header(PERCENTAGE, &format!("{:.2}", share.min(1.8))))
    }

    fn respond(&self, call: &Call, query: &Query, route: &Route) -> Result<Reply, Problem> {
        match *route {
            Route::List(of) => self.list(call, query, of, false),
            Route::DeletedItems(of) => self.list(call, query, of, true),
            Route::Count(of) => self.count(call, query, of),
            Route::Delta(of) => self.delta(call, query, of),
            Route::One(of, id) => self.one(query, id, Some(of)),
            Route::DeletedItem(id) => self.one(query, id, None),
            Route::Members { group, transitive, only } => {
                self.members(call, query, group, transitive, only)
            }
            Route::MemberCount { group, transitive, only } => {
                self.member_count(call, group, transitive, only)
            }
            Route::MemberOf { member, of_type, transitive } => {
                self.member_of(call, query, (member, of_type), transitive)
            }
            Route::MemberOfCount { member, of_type, transitive } => {
                self.member_of_count(call, (member, of_type), transitive)
            }
            Route::GetByIds => self.get_by_ids(call),
            Route::Organization => Ok(self.organization()),
            Route::Batch => self.batch(call),
        }
    }

    fn enter(&self, call: &Call, reply: &Reply) {
        let is_complete = reply.wire < Wire::Cut;
        self.recorder().add(RequestRecord {
            method: call.method.clone(),
            target: call.target(),
            status: if is_complete { reply.status } else { 0 },
            units: reply.units,
            bytes: reply.body.bytes().len() as u64,
            in_batch: call.in_batch,
            client_request_id: call.header("client-request-id").map(str::to_owned),
            prefer: call.header("prefer").map(str::to_owned),
        });
    }

    /// Makes all delta tokens issued so far fail in this way.
    pub(crate) fn expire_delta_tokens(&self, how: Expiry) {
        let mut lost = self.lost_tokens.lock().expect(POISONED);
        lost.epoch += 1;
        lost.how = Some(how);
    }

    /// Makes all access tokens issued so far invalid.
    pub(crate) fn revoke_tokens(&self) {
        self.access.lock().expect(POISONED).generation += 1;
    }

    pub(crate) fn set_roles(&self, roles: BTreeSet<String>) {
        self.access.lock().expect(POISONED).roles = roles;
    }

    pub(crate) fn set_quota(&self, quota: Quota) {
        self.bucket().set(quota);
    }

    fn epoch(&self) -> u64 {
        self.lost_tokens.lock().expect(POISONED).epoch
    }

    fn expiry_of(&self, epoch: u64) -> Option<Expiry> {
        let lost = self.lost_tokens.lock().expect(POISONED);
        lost.how.filter(|_| epoch < lost.epoch)
    }

    fn access(&self) -> Access {
        self.access.lock().expect(POISONED).clone()
    }

    pub(crate) fn tenant(&self) -> RwLockReadGuard<'_, Tenant> {
        self.tenant.read().expect(POISONED)
    }

    pub(crate) fn tenant_mut(&self) -> RwLockWriteGuard<'_, Tenant> {
        self.tenant.write().expect(POISONED)
    }

    pub(crate) fn faults(&self) -> MutexGuard<'_, FaultBook> {
        self.faults.lock().expect(POISONED)
    }

    pub(crate) fn recorder(&self) -> MutexGuard<'_, Recorder> {
        self.recorder.lock().expect(POISONED)
    }

    fn rounds(&self) -> MutexGuard<'_, Rounds> {
        self.rounds.lock().expect(POISONED)
    }

    fn bucket(&self) -> MutexGuard<'_, Bucket> {
        self.bucket.lock().expect(POISONED)
    }
}

pub(crate) fn unix_seconds(time: SystemTime) -> u64 {
    time.duration_since(UNIX_EPOCH).map_or(0, |elapsed| elapsed.as_secs())
}
