//! Delta rounds: what changed since a link.
//!
//! Owns the queries that the rounds track, and the merging of a whole round. Must
//! not store links or decide what a lost one leads to.

use std::collections::BTreeMap;

use crate::directory::{Cursor, DeltaLink, GroupFacts, Member, ObjectId, Seen, UserFacts};

use super::Directory;
use super::chain::{Chain, End};
use super::error::Error;
use super::observe::Endpoint;
use super::wire::{Edge, Object};

macro_rules! users_select {
    () => {
        "id,displayName,userPrincipalName,mail,accountEnabled,userType"
    };
}
macro_rules! groups_select {
    () => {
        "id,displayName,visibility"
    };
}

/// What is selected of users, everywhere: `accountEnabled` does not come by itself (trap 32).
pub(super) const USERS_SELECT: &str = users_select!();
/// What is selected of groups in lists.
pub(super) const GROUPS_SELECT: &str = groups_select!();
const USERS_QUERY: &str = concat!("$select=", users_select!());
/// Without `members` in it no membership is reported at all (trap 2).
const GROUPS_QUERY: &str = concat!("$select=", groups_select!(), ",members");

/// What the delta links are bound to. A link made under another fingerprint leaves new
/// columns empty, so it must not be used (trap 41).
pub const QUERY_FINGERPRINT: &str =
    concat!("users:", users_select!(), ";groups:", groups_select!(), ",members");

/// A whole round of one stream, merged by id; of several states of an object the last one.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Round<T> {
    /// What changed.
    pub seen: BTreeMap<ObjectId, Seen<T>>,
    /// Where the next round starts.
    pub next: DeltaLink,
    /// Pages read.
    pub pages: u32,
    /// Graph's id of the last request, for the audit.
    pub request_id: Option<String>,
}

/// A whole round of the groups stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupsRound {
    /// The groups themselves.
    pub groups: Round<GroupFacts>,
    /// Direct members that joined (`true`) or left (`false`), over all slices of a group in
    /// order of arrival. A group without an entry has nothing said about its members.
    pub members: BTreeMap<ObjectId, BTreeMap<Member, bool>>,
}

#[derive(Default)]
struct Groups {
    seen: BTreeMap<ObjectId, Seen<GroupFacts>>,
    members: BTreeMap<ObjectId, BTreeMap<Member, bool>>,
}

impl Groups {
    /// Later slices add to earlier ones (trap 3); later facts replace earlier ones (trap 28).
    fn take(&mut self, mut object: Object) -> Result<(), Error> {
        let endpoint = Endpoint::GroupsDelta;
        let id = object.id.get(endpoint)?;
        if let Some(edges) = object.members.take() {
            let members = self.members.entry(id).or_default();
            for edge in &edges {
                members.extend(Edge::change(edge, endpoint)?);
            }
        }
        self.seen.insert(id, object.seen_group());
        Ok(())
    }
}

impl Directory {
    /// Links for "from now on" on both streams, without reading anything ("delta-query-overview"
    /// page: `$deltatoken=latest`).
    ///
    /// Take them first and read the lists after: what changes in between comes with the next rounds.
    pub async fn latest(&self) -> Result<Cursor, Error> {
        let users = self.latest_of(Endpoint::UsersDelta, "users", USERS_QUERY);
        let groups = self.latest_of(Endpoint::GroupsDelta, "groups", GROUPS_QUERY);
        let (users, groups) = futures::try_join!(users, groups)?;
        Ok(Cursor { users, groups })
    }

    async fn latest_of(
        &self,
        endpoint: Endpoint,
        path: &str,
        query: &str,
    ) -> Result<DeltaLink, Error> {
        let url =
            self.client.root.url(endpoint, &format!("{path}/delta?{query}&$deltatoken=latest"))?;
        let end = self.client.walk(endpoint, Chain::FirstRound, url, |_: Object| Ok(())).await?;
        link(endpoint, &end)
    }

    /// What changed among users since `from`.
    ///
    /// Nothing is returned unless the round was read to its end. [`Error::CursorLost`] for a
    /// link that is no longer good, in every form in which Graph says so.
    pub async fn users_round(&self, from: &DeltaLink) -> Result<Round<UserFacts>, Error> {
        let endpoint = Endpoint::UsersDelta;
        let first = self.client.root.follow(endpoint, from.as_str())?;
        let fold = |seen: &mut BTreeMap<_, _>, object: Object| {
            seen.insert(object.id.get(endpoint)?, object.seen_user());
            Ok(())
        };
        let (seen, end) = self.client.gather(endpoint, Chain::StoredRound, &first, fold).await?;
        Ok(Round {
            seen,
            next: link(endpoint, &end)?,
            pages: end.pages,
            request_id: end.request_id,
        })
    }

    /// What changed among groups and their direct members since `from`; errors as for users.
    pub async fn groups_round(&self, from: &DeltaLink) -> Result<GroupsRound, Error> {
        let endpoint = Endpoint::GroupsDelta;
        let first = self.client.root.follow(endpoint, from.as_str())?;
        let (round, end) =
            self.client.gather(endpoint, Chain::StoredRound, &first, Groups::take).await?;
        let next = link(endpoint, &end)?;
        let groups = Round { seen: round.seen, next, pages: end.pages, request_id: end.request_id };
        Ok(GroupsRound { groups, members: round.members })
    }
}

fn link(endpoint: Endpoint, end: &End) -> Result<DeltaLink, Error> {
    let missing = Error::Incomplete { endpoint, what: "the last page has no delta link" };
    end.delta.as_deref().filter(|link| !link.is_empty()).map(DeltaLink::new).ok_or(missing)
}
