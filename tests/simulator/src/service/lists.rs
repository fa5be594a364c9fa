//! Plain lists and single objects: paging, counting, the deleted container. Memberships are in `members`.
//!
//! Lists show live objects only. A page token remembers the last object shown, so objects created or deleted
//! between two pages make no page shift.

use std::time::SystemTime;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

use super::problem::Problem;
use super::query::{Query, without_page_token};
use super::reply::{Body, Call, Reply};
use super::view::{Manner, Projection, Row};
use super::{Service, unix_seconds};
use crate::tenant::{Group, ObjectType, Tenant, User};

/// Where a list goes on.
#[derive(Debug, Serialize, Deserialize)]
struct PageToken {
    path: String,
    after: Uuid,
    issued: u64,
}

#[derive(Serialize)]
struct Page<'a> {
    #[serde(rename = "@odata.context")]
    context: String,
    #[serde(rename = "@odata.count", skip_serializing_if = "Option::is_none")]
    count: Option<usize>,
    #[serde(rename = "@odata.nextLink", skip_serializing_if = "Option::is_none")]
    next: Option<String>,
    value: Vec<Row<'a>>,
}

/// One list request: its options checked, its page token opened.
pub(super) struct Listing<'c> {
    call: &'c Call,
    query: Query,
    pub(super) after: Option<Uuid>,
}

impl<'c> Listing<'c> {
    pub(super) fn open(service: &Service, call: &'c Call, query: &Query) -> Result<Self, Problem> {
        if let Some(filter) = &query.filter {
            filter.check_list()?;
        }
        let max = service.options.pages.list_max;
        if query.top.is_some_and(|top| top > max) {
            return Err(Problem::bad_request(format!(
                "Invalid page size specified. Must be between 1 and {max} inclusive."
            )));
        }
        let after = match &query.skip_token {
            Some(token) => Some(service.open_page_token(call, token)?),
            None => None,
        };
        Ok(Self { call, query: query.clone(), after })
    }

    pub(super) fn select(&self) -> Option<&[String]> {
        self.query.select.as_deref()
    }

    /// The count belongs on the first page and takes an advanced query.
    pub(super) fn wants_count(&self) -> bool {
        self.query.count && self.call.is_eventual() && self.after.is_none()
    }

    /// Renders one page of rows that come in order of id.
    pub(super) fn page<'a>(
        &self,
        service: &Service,
        context: &str,
        count: Option<usize>,
        rows: impl Iterator<Item = (Uuid, Row<'a>)>,
    ) -> Reply {
        let size = self.query.top.unwrap_or(service.options.pages.list_default);
        let mut rows = rows.peekable();
        let mut value = Vec::new();
        let mut last = None;
        while value.len() < size
            && let Some((id, row)) = rows.next()
        {
            value.push(row);
            last = Some(id);
        }
        let next =
            last.filter(|_| rows.peek().is_some()).map(|after| service.next_link(self.call, after));
        let context = format!("{}/v1.0/$metadata#{context}", self.call.root());
        Reply::ok(&Page { context, count, next, value })
    }
}

impl Service {
    pub(super) fn list(
        &self,
        call: &Call,
        query: &Query,
        of: ObjectType,
        deleted: bool,
    ) -> Result<Reply, Problem> {
        let listing = Listing::open(self, call, query)?;
        let shown = Projection::strict(of, listing.select())?;
        let tenant = self.tenant();
        let filter = query.filter.as_ref();
        let render = |id| Some((id, row(&tenant, id, of, &shown, Manner::List, deleted)?));
        if of == ObjectType::User {
            let accepts = |user: &&User| {
                user.is_deleted() == deleted
                    && filter.is_none_or(|filter| filter.accepts_user(user))
            };
            let count = || tenant.users().filter(|user| accepts(user)).count();
            let count = listing.wants_count().then(count);
            let rows = tenant.users_after(listing.after).filter(accepts);
            let rows = rows.filter_map(|user| render(user.id()));
            return Ok(listing.page(self, "users", count, rows));
        }
        let accepts = |group: &&Group| {
            group.is_deleted() == deleted && filter.is_none_or(|filter| filter.accepts_group(group))
        };
        let count = || tenant.groups().filter(|group| accepts(group)).count();
        let count = listing.wants_count().then(count);
        let rows = tenant.groups_after(listing.after).filter(accepts);
        let rows = rows.filter_map(|group| render(group.id()));
        Ok(listing.page(self, "groups", count, rows))
    }

    pub(super) fn count(
        &self,
        call: &Call,
        query: &Query,
        of: ObjectType,
    ) -> Result<Reply, Problem> {
        require_eventual(call)?;
        let filter = query.filter.as_ref();
        let tenant = self.tenant();
        let count = if of == ObjectType::User {
            let live = tenant.users().filter(|user| !user.is_deleted());
            live.filter(|user| filter.is_none_or(|filter| filter.accepts_user(user))).count()
        } else {
            let live = tenant.groups().filter(|group| !group.is_deleted());
            live.filter(|group| filter.is_none_or(|filter| filter.accepts_group(group))).count()
        };
        Ok(Reply::new(200, Body::Text(count.to_string())))
    }

    /// A single object, live or, on request, from the deleted container.
    pub(super) fn one(
        &self,
        query: &Query,
        id: Uuid,
        of: Option<ObjectType>,
    ) -> Result<Reply, Problem> {
        let tenant = self.tenant();
        let missing = || Problem::not_found(&id.to_string());
        let found = tenant.object_type(id).ok_or_else(missing)?;
        // Without a wanted type the deleted container is meant.
        if of.is_some_and(|of| of != found) || tenant.is_live(id) != of.is_some() {
            return Err(missing());
        }
        let shown = Projection::strict(found, query.select.as_deref())?;
        let row =
            row(&tenant, id, found, &shown, Manner::List, of.is_none()).ok_or_else(missing)?;
        Ok(Reply::ok(&row))
    }

    fn open_page_token(&self, call: &Call, token: &str) -> Result<Uuid, Problem> {
        let token: PageToken = self
            .sealer
            .open(token)
            .filter(|token: &PageToken| token.path == call.path)
            .ok_or_else(|| {
                Problem::bad_request("The specified page token is not valid for this request.")
            })?;
        let age = unix_seconds(SystemTime::now()).saturating_sub(token.issued);
        match self.options.page_token_life {
            Some(life) if age > life.as_secs() => Err(Problem::expired_page()),
            _ => Ok(token.after),
        }
    }

    fn next_link(&self, call: &Call, after: Uuid) -> String {
        let issued = unix_seconds(SystemTime::now());
        let token = self.sealer.seal(&PageToken { path: call.path.clone(), after, issued });
        let kept = without_page_token(&call.query);
        let joint = if kept.is_empty() { "" } else { "&" };
        format!("{}{}?{kept}{joint}$skiptoken={token}", call.root(), call.path)
    }
}

/// An object as a row.
pub(super) fn row<'a>(
    tenant: &'a Tenant,
    id: Uuid,
    of_type: ObjectType,
    shown: &'a Projection,
    manner: Manner,
    typed: bool,
) -> Option<Row<'a>> {
    Some(match of_type {
        ObjectType::User => Row::User { user: tenant.user(id)?, shown, manner, typed },
        ObjectType::Group => {
            Row::Group { group: tenant.group(id)?, shown, manner, typed, members: Vec::new() }
        }
        ObjectType::Other(_) => Row::Bare { id, of_type },
    })
}

pub(super) fn require_eventual(call: &Call) -> Result<(), Problem> {
    if call.is_eventual() { Ok(()) } else { Err(advanced()) }
}

pub(super) fn advanced() -> Problem {
    Problem::unsupported(
        "This query takes '$count=true' and the header 'ConsistencyLevel: eventual'.",
    )
}
