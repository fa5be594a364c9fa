//! Questions that tell whether the daemon may and can read, before it does.
//!
//! Owns counts and the roles of our own token. Must not be used to conclude that
//! anything is gone: counts come from an index that lags (2.2 of the facts).

use std::collections::BTreeSet;

use futures::stream::{self, StreamExt};

use crate::directory::{Member, MemberKind, ObjectId};

use super::Directory;
use super::client::Flaw;
use super::error::Error;
use super::observe::Endpoint;
use super::transport::Call;

/// What can be counted.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Counted {
    /// Users of the tenant.
    Users,
    /// Groups of the tenant.
    Groups,
    /// People among the direct members of a group.
    PeopleOf(ObjectId),
    /// Groups of which somebody is a direct member.
    GroupsOf(Member),
}

impl Directory {
    /// How many there are, roughly ("aad-advanced-queries" page: `$count` with `ConsistencyLevel`).
    pub async fn count(&self, what: Counted) -> Result<u64, Error> {
        let endpoint = Endpoint::Count;
        let path = match what {
            Counted::Users => "users/$count".to_owned(),
            Counted::Groups => "groups/$count".to_owned(),
            Counted::PeopleOf(group) => {
                format!("groups/{group}/members/microsoft.graph.user/$count")
            }
            Counted::GroupsOf(Member { id, kind }) => {
                let path = match kind {
                    MemberKind::User => "users",
                    MemberKind::Group => "groups",
                };
                format!("{path}/{id}/memberOf/microsoft.graph.group/$count")
            }
        };
        let call =
            Call { eventual: true, ..Call::get(endpoint, self.client.root.url(endpoint, &path)?) };
        self.client
            .exchange(&call, |reply| {
                // A text/plain number, with a byte order mark before it at times.
                let text = String::from_utf8_lossy(&reply.body);
                let number = text.trim_start_matches('\u{feff}').trim().parse();
                number.map_err(|_| {
                    Flaw::Final(Error::Malformed {
                        endpoint,
                        what: "a count that is no number".to_owned(),
                    })
                })
            })
            .await
    }

    /// How many people these groups have, roughly; each answers for itself.
    pub async fn count_people(&self, groups: &[ObjectId]) -> Vec<(ObjectId, Result<u64, Error>)> {
        let asks = groups.iter().copied().map(|group| self.count_people_of(group));
        stream::iter(asks).buffered(self.client.breadth()).collect().await
    }

    /// How many groups each of these is a direct member of, roughly, in their order.
    pub async fn count_groups_of(&self, members: &[Member]) -> Vec<Result<u64, Error>> {
        let asks = members.iter().copied().map(|member| self.count(Counted::GroupsOf(member)));
        stream::iter(asks).buffered(self.client.breadth()).collect().await
    }

    async fn count_people_of(&self, group: ObjectId) -> (ObjectId, Result<u64, Error>) {
        (group, self.count(Counted::PeopleOf(group)).await)
    }

    /// The application permissions in our own access token; `None` when it cannot be read.
    ///
    /// An application without any permission gets a token all the same, and then empty lists
    /// or 403 (trap 30): an empty answer here says so before.
    pub async fn token_roles(&self) -> Result<Option<Vec<String>>, Error> {
        Ok(self.client.tokens.current().await?.roles())
    }

    /// Makes sure that the token still carries the permissions that a read began with: one
    /// that was renewed meanwhile may see less, and show that as empty lists (trap 29).
    ///
    /// # Errors
    /// [`Error::Incomplete`] if they changed.
    pub async fn require_roles(&self, before: Option<&[String]>) -> Result<(), Error> {
        let now = self.token_roles().await?;
        let set = |roles: Option<&[String]>| -> Option<BTreeSet<String>> {
            roles.map(|roles| roles.iter().cloned().collect())
        };
        if set(before) == set(now.as_deref()) {
            return Ok(());
        }
        let what = "the permissions of the application changed while it read";
        Err(Error::Incomplete { endpoint: Endpoint::Token, what })
    }
}
