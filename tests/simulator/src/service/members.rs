//! Membership lists in both directions: direct and transitive, of mixed types, with what a caller may not see left out.

use std::borrow::Cow;
use std::collections::BTreeSet;
use std::ops::Bound::{Excluded, Unbounded};

use uuid::Uuid;

use super::lists::{Listing, advanced, require_eventual, row};
use super::problem::Problem;
use super::query::Query;
use super::reply::{Body, Call, Reply};
use super::view::{Manner, Projection};
use super::{Access, Service};
use crate::tenant::{ObjectType, OtherKind, Tenant};

impl Service {
    pub(super) fn members(
        &self,
        call: &Call,
        query: &Query,
        group: Uuid,
        transitive: bool,
        only: Option<ObjectType>,
    ) -> Result<Reply, Problem> {
        let counts = query.count || query.skip_token.is_some();
        if only.is_some() && !(counts && call.is_eventual()) {
            return Err(advanced());
        }
        let listing = Listing::open(self, call, query)?;
        let shown = Projection::lenient(listing.select());
        let access = self.access();
        let tenant = self.tenant();
        let found = MemberSet::find(&tenant, &access, group, transitive)?;
        let count = listing.wants_count().then(|| found.listed(&tenant, None, only).count());
        let rows = found.listed(&tenant, listing.after, only).filter_map(|(id, of_type)| {
            let manner = if access.sees(of_type) { Manner::List } else { Manner::Blind };
            Some((id, row(&tenant, id, of_type, &shown, manner, true)?))
        });
        Ok(listing.page(self, "directoryObjects", count, rows))
    }

    pub(super) fn member_count(
        &self,
        call: &Call,
        group: Uuid,
        transitive: bool,
        only: Option<ObjectType>,
    ) -> Result<Reply, Problem> {
        require_eventual(call)?;
        let access = self.access();
        let tenant = self.tenant();
        let count = MemberSet::find(&tenant, &access, group, transitive)?
            .listed(&tenant, None, only)
            .count();
        Ok(Reply::new(200, Body::Text(count.to_string())))
    }

    pub(super) fn member_of(
        &self,
        call: &Call,
        query: &Query,
        (member, of_type): (Uuid, ObjectType),
        transitive: bool,
    ) -> Result<Reply, Problem> {
        let listing = Listing::open(self, call, query)?;
        let shown = Projection::lenient(listing.select());
        let access = self.access();
        let tenant = self.tenant();
        let groups = groups_of(&tenant, &access, (member, of_type), transitive)?;
        let count = listing.wants_count().then_some(groups.len());
        let rows = groups.iter().filter(|id| listing.after.is_none_or(|after| **id > after));
        let rows = rows.filter_map(|id| {
            Some((*id, row(&tenant, *id, ObjectType::Group, &shown, Manner::List, true)?))
        });
        Ok(listing.page(self, "directoryObjects", count, rows))
    }

    pub(super) fn member_of_count(
        &self,
        call: &Call,
        member: (Uuid, ObjectType),
        transitive: bool,
    ) -> Result<Reply, Problem> {
        require_eventual(call)?;
        let groups = groups_of(&self.tenant(), &self.access(), member, transitive)?;
        Ok(Reply::new(200, Body::Text(groups.len().to_string())))
    }
}

/// The groups that a caller may see somebody to be in.
fn groups_of(
    tenant: &Tenant,
    access: &Access,
    (member, of_type): (Uuid, ObjectType),
    transitive: bool,
) -> Result<BTreeSet<Uuid>, Problem> {
    if !tenant.is_live(member) || tenant.object_type(member) != Some(of_type) {
        return Err(Problem::not_found(&member.to_string()));
    }
    let mut groups = if transitive {
        reach(member, |id| tenant.group_set(id), |id| tenant.is_live(id))
    } else {
        tenant.direct_groups(member).filter(|id| tenant.is_live(*id)).collect()
    };
    // A membership that is hidden is hidden from both sides.
    let is_open = |id: &Uuid| tenant.group(*id).is_none_or(|group| !group.hides_members());
    groups.retain(|id| access.sees_hidden_members() || is_open(id));
    Ok(groups)
}

/// The members a list may show.
struct MemberSet<'t>(Cow<'t, BTreeSet<Uuid>>);

impl<'t> MemberSet<'t> {
    fn find(
        tenant: &'t Tenant,
        access: &Access,
        group: Uuid,
        transitive: bool,
    ) -> Result<Self, Problem> {
        let found = tenant.group(group).filter(|group| !group.is_deleted());
        let found = found.ok_or_else(|| Problem::not_found(&group.to_string()))?;
        // Hidden membership without the permission looks like an empty group, not like an error.
        let direct = tenant
            .member_set(group)
            .filter(|_| !found.hides_members() || access.sees_hidden_members());
        Ok(Self(match direct {
            None => Cow::Owned(BTreeSet::new()),
            Some(_) if transitive => {
                Cow::Owned(reach(group, |id| tenant.member_set(id), |id| tenant.is_live(id)))
            }
            Some(direct) => Cow::Borrowed(direct),
        }))
    }

    /// Live members in order of id. Service principals are left out, as they are in v1.0.
    fn listed(
        &self,
        tenant: &Tenant,
        after: Option<Uuid>,
        only: Option<ObjectType>,
    ) -> impl Iterator<Item = (Uuid, ObjectType)> {
        self.0
            .range((after.map_or(Unbounded, Excluded), Unbounded))
            .filter(|id| tenant.is_live(**id))
            .filter_map(|id| Some((*id, tenant.object_type(*id)?)))
            .filter(move |(_, of_type)| {
                *of_type != ObjectType::Other(OtherKind::ServicePrincipal)
                    && only.is_none_or(|only| only == *of_type)
            })
    }
}

/// Everything reached over live objects, the start excluded unless a cycle leads back to it.
fn reach<'t>(
    start: Uuid,
    next: impl Fn(Uuid) -> Option<&'t BTreeSet<Uuid>>,
    is_live: impl Fn(Uuid) -> bool,
) -> BTreeSet<Uuid> {
    let mut reached = BTreeSet::new();
    let mut open = vec![start];
    while let Some(current) = open.pop() {
        for id in next(current).into_iter().flatten() {
            if is_live(*id) && reached.insert(*id) {
                open.push(*id);
            }
        }
    }
    reached
}
