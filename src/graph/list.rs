//! Plain lists: everything that exists, and everything that was deleted.
//!
//! Owns the reading of whole collections. Lists are no snapshots (2.1 of the facts):
//! an object may come twice, so they are merged by id, last one wins.

use std::collections::{BTreeMap, BTreeSet};

use crate::directory::proof::{Grave, ListEnd, Whole};
use crate::directory::{GroupFacts, ObjectId, UserFacts};

use super::Directory;
use super::chain::Chain;
use super::delta::{GROUPS_SELECT, USERS_SELECT};
use super::error::Error;
use super::observe::Endpoint;
use super::wire::Object;

impl Directory {
    /// Every user of the tenant ("user-list" page).
    pub async fn list_users(&self) -> Result<Whole<BTreeMap<ObjectId, UserFacts>>, Error> {
        self.list(Endpoint::Users, "users", USERS_SELECT, |all: &mut BTreeMap<_, _>, id, object| {
            all.insert(id, object.user());
        })
        .await
    }

    /// Every group of the tenant ("group-list" page); without members.
    pub async fn list_groups(&self) -> Result<Whole<BTreeMap<ObjectId, GroupFacts>>, Error> {
        self.list(
            Endpoint::Groups,
            "groups",
            GROUPS_SELECT,
            |all: &mut BTreeMap<_, _>, id, object| {
                all.insert(id, object.group());
            },
        )
        .await
    }

    /// Users in the deleted container, who can still be restored ("directory-deleteditems-list" page).
    pub async fn deleted_users(&self) -> Result<BTreeMap<ObjectId, Grave>, Error> {
        self.deleted("microsoft.graph.user").await
    }

    /// Groups in the deleted container. Needs `Group.Read.All`: [`Error::Forbidden`] without.
    pub async fn deleted_groups(&self) -> Result<BTreeMap<ObjectId, Grave>, Error> {
        self.deleted("microsoft.graph.group").await
    }

    async fn deleted(&self, cast: &str) -> Result<BTreeMap<ObjectId, Grave>, Error> {
        let path = format!("directory/deletedItems/{cast}");
        let keep = |all: &mut BTreeSet<_>, id, _| {
            all.insert(id);
        };
        let list = self.list(Endpoint::DeletedItems, &path, "id", keep).await?;
        let grave = Grave::listed(&list.proof());
        Ok(list.get().iter().map(|id| (*id, grave)).collect())
    }

    async fn list<A: Default + Send>(
        &self,
        endpoint: Endpoint,
        path: &str,
        select: &str,
        keep: impl Fn(&mut A, ObjectId, Object) + Send + Sync,
    ) -> Result<Whole<A>, Error> {
        let query = format!("{path}?$select={select}&$top={}", self.client.settings.page_size);
        let first = self.client.root.url(endpoint, &query)?;
        let fold = |all: &mut A, object: Object| {
            keep(all, object.id.get(endpoint)?, object);
            Ok(())
        };
        let (all, end) =
            self.client.gather::<A, ListEnd>(endpoint, Chain::List, &first, fold).await?;
        Ok(end.proof.whole(all))
    }
}
