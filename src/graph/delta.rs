//! Delta rounds: what changed since a link.
//!
//! Owns the queries that the rounds track, and the merging of a whole round. Must
//! not store links or decide what a lost one leads to.

use std::collections::BTreeMap;

use crate::directory::proof::{Changes, Grave, Proof, RoundEnd};
use crate::directory::{Cursor, DeltaLink, GroupFacts, Member, ObjectId, Seen, UserFacts};

use super::Directory;
use super::chain::{Chain, End, NO_DELTA_LINK};
use super::error::Error;
use super::observe::Endpoint;
use super::wire::{Edge, Met, Object};

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
    /// That the round ended as it must.
    pub proof: Proof<RoundEnd>,
}

/// A whole round of the groups stream.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct GroupsRound {
    /// The groups themselves.
    pub groups: Round<GroupFacts>,
    /// Direct members that joined (`true`) or left (`false`), over all slices of a group in
    /// order of arrival. A group without an entry has nothing said about its members.
    pub members: BTreeMap<ObjectId, Changes>,
}

#[derive(Default)]
struct Groups {
    met: BTreeMap<ObjectId, Met<GroupFacts>>,
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
        self.met.insert(id, object.met_group());
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
        let trail = self.client.trail(&url);
        let nothing = |_: Object| Ok(());
        let end = self.client.walk(endpoint, Chain::FirstRound, trail, url, nothing).await?;
        link(endpoint, &end)
    }

    /// What changed among users since `from`.
    ///
    /// Nothing is returned unless the round was read to its end. [`Error::CursorLost`] for a
    /// link that is no longer good, in every form in which Graph says so.
    pub async fn users_round(&self, from: &DeltaLink) -> Result<Round<UserFacts>, Error> {
        let endpoint = Endpoint::UsersDelta;
        let first = self.client.root.follow(endpoint, from.as_str())?;
        let fold = |met: &mut BTreeMap<_, _>, object: Object| {
            met.insert(object.id.get(endpoint)?, object.met_user());
            Ok(())
        };
        let (met, end) = self.client.gather(endpoint, Chain::StoredRound, &first, fold).await?;
        round(endpoint, met, &end)
    }

    /// What changed among groups and their direct members since `from`; errors as for users.
    pub async fn groups_round(&self, from: &DeltaLink) -> Result<GroupsRound, Error> {
        let endpoint = Endpoint::GroupsDelta;
        let first = self.client.root.follow(endpoint, from.as_str())?;
        let (gathered, end) =
            self.client.gather(endpoint, Chain::StoredRound, &first, Groups::take).await?;
        let Groups { met, members } = gathered;
        let members = members.into_iter();
        let members = members.map(|(group, moves)| (group, end.proof.changes(moves))).collect();
        Ok(GroupsRound { groups: round(endpoint, met, &end)?, members })
    }
}

/// A round that ended: only now what it buried is buried.
fn round<T>(
    endpoint: Endpoint,
    met: BTreeMap<ObjectId, Met<T>>,
    end: &End<RoundEnd>,
) -> Result<Round<T>, Error> {
    let seen = met.into_iter().map(|(id, met)| {
        let seen = match met {
            Met::Present(facts) => Seen::Present(facts),
            Met::Removed(tombstone) => Seen::Gone(Grave::told(tombstone, &end.proof)),
        };
        (id, seen)
    });
    Ok(Round { seen: seen.collect(), next: link(endpoint, end)?, proof: end.proof })
}

fn link(endpoint: Endpoint, end: &End<RoundEnd>) -> Result<DeltaLink, Error> {
    let missing = Error::Incomplete { endpoint, what: NO_DELTA_LINK };
    end.delta.as_deref().filter(|link| !link.is_empty()).map(DeltaLink::new).ok_or(missing)
}
