//! Delta requests: tokens in, pages out. What a round contains is planned in `plan`; this file renders pages from
//! the state objects have when the page is asked for, as the real service does.

use std::collections::VecDeque;
use std::sync::Arc;
use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::plan::{Item, Plan, Scope};
use super::problem::Problem;
use super::query::Query;
use super::reply::{Call, Reply};
use super::view::{EdgeView, Manner, Projection, Row};
use super::{Service, unix_seconds};
use crate::fault::Expiry;
use crate::tenant::{ObjectType, Position, Tenant};

/// The state in a delta link.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct DeltaToken {
    users: bool,
    select: Option<Vec<String>>,
    ids: Vec<Uuid>,
    since: Position,
    /// Where the round before began; source of replays.
    previous: Option<Position>,
    epoch: u64,
    issued: u64,
}

/// The state in a next link of a delta round.
#[derive(Debug, Serialize, Deserialize)]
struct RoundToken {
    users: bool,
    round: u64,
    page: usize,
}

/// The rounds whose pages are at hand.
#[derive(Debug)]
pub(crate) struct Rounds {
    keep: usize,
    next: u64,
    open: VecDeque<(u64, Arc<Plan>)>,
}

impl Rounds {
    /// `first` should differ from server to server, so that page links of another one are not mistaken for ours.
    pub(crate) fn new(keep: usize, first: u64) -> Self {
        Self { keep: keep.max(1), next: first, open: VecDeque::new() }
    }

    fn add(&mut self, plan: Arc<Plan>) -> u64 {
        let round = self.next;
        self.next += 1;
        if self.open.len() == self.keep {
            self.open.pop_front();
        }
        self.open.push_back((round, plan));
        round
    }

    fn get(&self, round: u64) -> Option<Arc<Plan>> {
        self.open.iter().find(|(known, _)| *known == round).map(|(_, plan)| Arc::clone(plan))
    }
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(rename = "@odata.context")]
    context: String,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    #[serde(rename = "@odata.deltaLink", skip_serializing_if = "Option::is_none")]
    delta: Option<String>,
    value: Vec<Row<'a>>,
}

impl Service {
    pub(super) fn delta(
        &self,
        call: &Call,
        query: &Query,
        of: ObjectType,
    ) -> Result<Reply, Problem> {
        if let Some(token) = &query.skip_token {
            let token: RoundToken =
                self.sealer.open(token).ok_or_else(|| lost(call, Expiry::OlderThan30Days))?;
            if token.users != (of == ObjectType::User) {
                return Err(lost(call, Expiry::OlderThan30Days));
            }
            let plan = self.rounds().get(token.round).ok_or_else(Problem::expired_page)?;
            return self.page(call, &plan, token.round, token.page);
        }
        let minimal = call.wants_minimal();
        let plan = match query.delta_token.as_deref() {
            None | Some("") => self.first_round(query, of, false)?,
            Some(latest) if latest.eq_ignore_ascii_case("latest") => {
                self.first_round(query, of, true)?
            }
            Some(token) => self.next_round(call, token, of, minimal)?,
        };
        let plan = Arc::new(plan);
        let round = self.rounds().add(Arc::clone(&plan));
        self.page(call, &plan, round, 0)
    }

    fn first_round(
        &self,
        query: &Query,
        of: ObjectType,
        skip_everything: bool,
    ) -> Result<Plan, Problem> {
        Projection::strict(of, query.select.as_deref())?;
        let ids = query.filter.as_ref().map_or(Ok(Vec::new()), super::filter::Filter::delta_ids)?;
        let tenant = self.tenant();
        let scope = Scope::new(of, query.select.clone(), ids, self.access().sees_hidden_members());
        Ok(if skip_everything {
            Plan::empty(&tenant, scope)
        } else {
            Plan::first(&tenant, scope, &self.options)
        })
    }

    fn next_round(
        &self,
        call: &Call,
        token: &str,
        of: ObjectType,
        minimal: bool,
    ) -> Result<Plan, Problem> {
        let token: DeltaToken = self
            .sealer
            .open(token)
            .filter(|token: &DeltaToken| token.users == (of == ObjectType::User))
            .ok_or_else(|| lost(call, Expiry::OlderThan30Days))?;
        if let Some(how) = self.expiry_of(token.epoch) {
            return Err(lost(call, how));
        }
        let age = unix_seconds(SystemTime::now()).saturating_sub(token.issued);
        if self.options.delta_token_life.is_some_and(|life| age > life.as_secs()) {
            return Err(lost(call, Expiry::OlderThan30Days));
        }
        let scope = Scope::new(of, token.select, token.ids, self.access().sees_hidden_members());
        let plan =
            Plan::next(&self.tenant(), scope, token.since, token.previous, minimal, &self.options);
        plan.ok_or_else(|| lost(call, Expiry::OlderThan30Days))
    }

    fn page(&self, call: &Call, plan: &Plan, round: u64, page: usize) -> Result<Reply, Problem> {
        let items = plan.pages.get(page).ok_or_else(Problem::expired_page)?;
        let scope = &plan.scope;
        let base = format!("{}{}", call.root(), call.path);
        let users = scope.of == ObjectType::User;
        let (next, delta) = if page + 1 < plan.pages.len() {
            let token = self.sealer.seal(&RoundToken { users, round, page: page + 1 });
            (Some(format!("{base}?$skiptoken={token}")), None)
        } else {
            let token = self.sealer.seal(&DeltaToken {
                users,
                select: scope.select.clone(),
                ids: scope.ids.clone(),
                since: plan.until,
                previous: plan.since,
                epoch: self.epoch(),
                issued: unix_seconds(SystemTime::now()),
            });
            (None, Some(format!("{base}?$deltatoken={token}")))
        };
        let tenant = self.tenant();
        let value = items.iter().map(|item| render(&tenant, plan, item)).collect();
        let context =
            format!("{}/v1.0/$metadata#{}", call.root(), if users { "users" } else { "groups" });
        Ok(Reply::ok(&Page { context, next, delta, value }))
    }
}

/// The problem of a lost token; its location is the first call with an empty token.
pub(super) fn lost(call: &Call, how: Expiry) -> Problem {
    Problem::token_lost(how, &format!("{}{}?$deltatoken=", call.root(), call.path))
}

fn render<'a>(tenant: &'a Tenant, plan: &'a Plan, item: &'a Item) -> Row<'a> {
    let id = item.id;
    if !tenant.is_live(id) {
        return Row::Removed { id, forever: tenant.object_type(id).is_none() };
    }
    let manner = if plan.minimal { Manner::Minimal(item.changed) } else { Manner::Delta };
    let shown = &plan.scope.shown;
    match (tenant.user(id), tenant.group(id)) {
        (Some(user), _) => Row::User { user, shown, manner, typed: false },
        (_, Some(group)) => {
            let members = item.edges.iter().filter_map(|edge| {
                // A member that was there when the round was planned may be gone by now.
                let of_type =
                    if edge.removed { edge.of_type } else { tenant.object_type(edge.member) }?;
                Some(EdgeView { member: edge.member, of_type, removed: edge.removed })
            });
            Row::Group { group, shown, manner, typed: false, members: members.collect() }
        }
        _ => Row::Removed { id, forever: true },
    }
}
