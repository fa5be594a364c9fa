//! Memberships by list: who is in these groups, which groups these users are in.
//!
//! Owns reading many lists at once: their first pages in batches, the rest of each
//! by itself. One list that fails does not fail the others. Must not resolve
//! nesting.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use futures::stream::{self, StreamExt};

use crate::directory::{GroupFacts, Member, MemberKind, ObjectId, UserFacts};

use super::Directory;
use super::chain::{Chain, Leaf};
use super::client::{Client, Flaw, parse};
use super::delta::USERS_SELECT;
use super::error::Error;
use super::observe::Endpoint;
use super::wire::{Object, Page};

/// How much of each member is read.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Detail {
    /// Type and id.
    Ids,
    /// The properties of users and groups as well, in the same requests.
    Facts,
}

/// What came of one lookup among many.
#[derive(Clone, Debug)]
pub enum Lookup<T> {
    /// Read to its end.
    Complete(T),
    /// Graph does not have the object whose list it is (404): normal, when it was deleted meanwhile.
    Gone,
    /// Not read; nothing may be concluded.
    Failed(Error),
}

/// The direct members of one group, or why they are not known.
pub type MemberList = Lookup<BTreeSet<Member>>;

/// The direct members of many groups.
#[derive(Clone, Debug, Default)]
pub struct MemberLists {
    /// One entry for each group asked for.
    pub lists: BTreeMap<ObjectId, MemberList>,
    /// With [`Detail::Facts`], the users met, except those whose properties may not be read.
    pub users: BTreeMap<ObjectId, UserFacts>,
    /// With [`Detail::Facts`], the nested groups met, except those whose properties may not be read.
    pub groups: BTreeMap<ObjectId, GroupFacts>,
}

#[derive(Default)]
struct Listed {
    members: BTreeSet<Member>,
    users: Vec<(ObjectId, UserFacts)>,
    groups: Vec<(ObjectId, GroupFacts)>,
}

impl Listed {
    fn take(&mut self, object: Object) -> Result<(), Error> {
        let Some(member) = object.member(Endpoint::Members)? else {
            return Ok(());
        };
        self.members.insert(member);
        if object.is_readable() {
            match member.kind {
                MemberKind::User => self.users.push((member.id, object.user())),
                MemberKind::Group => self.groups.push((member.id, object.group())),
            }
        }
        Ok(())
    }
}

impl Directory {
    /// The direct members of these groups ("group-list-members" page), users and groups only.
    ///
    /// Lists leave out soft-deleted users (1.8 of the facts), and the members of hidden
    /// memberships without `Member.Read.Hidden` (trap 29). Fails as a whole only for what
    /// would fail every list, as a refused token does.
    pub async fn members(&self, groups: &[ObjectId], detail: Detail) -> Result<MemberLists, Error> {
        let select = match detail {
            Detail::Ids => "id".to_owned(),
            Detail::Facts => format!("{USERS_SELECT},visibility"),
        };
        let groups = unique(groups);
        let top = self.client.settings.page_size;
        let paths: Vec<_> = groups
            .iter()
            .map(|id| format!("groups/{id}/members?$select={select}&$top={top}"))
            .collect();
        let mut all = MemberLists::default();
        let each = |at: usize, list: Result<Listed, Error>| {
            let list = list.map(|listed| {
                all.users.extend(listed.users);
                all.groups.extend(listed.groups);
                listed.members
            });
            all.lists.insert(groups[at], lookup(list));
        };
        self.client.lists(Endpoint::Members, &paths, Listed::take, each).await?;
        Ok(all)
    }

    /// The groups that these users are direct members of ("user-list-memberof" page).
    pub async fn groups_of(
        &self,
        users: &[ObjectId],
    ) -> Result<BTreeMap<ObjectId, Lookup<BTreeSet<ObjectId>>>, Error> {
        let endpoint = Endpoint::MemberOf;
        let users = unique(users);
        let top = self.client.settings.page_size;
        let paths: Vec<_> =
            users.iter().map(|id| format!("users/{id}/memberOf?$select=id&$top={top}")).collect();
        let fold = |groups: &mut BTreeSet<ObjectId>, object: Object| {
            groups.extend(
                object
                    .member(endpoint)?
                    .filter(|member| member.kind == MemberKind::Group)
                    .map(|member| member.id),
            );
            Ok(())
        };
        let mut all = BTreeMap::new();
        let each = |at: usize, groups| {
            all.insert(users[at], lookup(groups));
        };
        self.client.lists(endpoint, &paths, fold, each).await?;
        Ok(all)
    }
}

fn unique(ids: &[ObjectId]) -> Vec<ObjectId> {
    ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

fn lookup<T>(outcome: Result<T, Error>) -> Lookup<T> {
    match outcome {
        Ok(found) => Lookup::Complete(found),
        Err(Error::NotFound(_)) => Lookup::Gone,
        Err(error) => Lookup::Failed(error),
    }
}

impl Client {
    /// Reads the lists at these paths to their ends, folding each into a fresh `A`, and hands
    /// them to `each` with the place of their path, in the order in which they are complete:
    /// a caller that merges them never holds them all.
    pub(super) async fn lists<A: Default + Send>(
        &self,
        endpoint: Endpoint,
        paths: &[String],
        fold: impl Fn(&mut A, Object) -> Result<(), Error> + Send + Sync,
        mut each: impl FnMut(usize, Result<A, Error>) + Send,
    ) -> Result<(), Error> {
        let fold = &fold;
        let size = self.settings.batch_size;
        let starts = (0..paths.len()).step_by(size);
        let reads = starts.map(|start| {
            let paths = &paths[start..paths.len().min(start + size)];
            self.lists_of_batch(endpoint, start, paths, fold)
        });
        let mut reads = stream::iter(reads).buffer_unordered(self.breadth());
        while let Some(read) = reads.next().await {
            let (offset, lists) = read?;
            for (at, list) in lists.into_iter().enumerate() {
                match list {
                    Err(error) if error.is_fatal() => return Err(error),
                    list => each(offset + at, list),
                }
            }
        }
        Ok(())
    }

    async fn lists_of_batch<A: Default + Send>(
        &self,
        endpoint: Endpoint,
        offset: usize,
        paths: &[String],
        fold: &(impl Fn(&mut A, Object) -> Result<(), Error> + Send + Sync),
    ) -> Result<(usize, Vec<Result<A, Error>>), Error> {
        let firsts =
            self.batch(endpoint, paths, &|body| self.first_page(endpoint, body, fold)).await?;
        let rests = firsts.into_iter().zip(paths).map(|(first, path)| async move {
            match first? {
                (into, None) => Ok(into),
                (into, Some(next)) => self.rest(endpoint, path, into, &next, fold).await,
            }
        });
        Ok((offset, join_all(rests).await))
    }

    fn first_page<A: Default>(
        &self,
        endpoint: Endpoint,
        body: &[u8],
        fold: impl Fn(&mut A, Object) -> Result<(), Error>,
    ) -> Result<(A, Option<String>), Flaw> {
        let page: Page = parse(endpoint, body)?;
        let leaf = Leaf::new(endpoint, page, None)?;
        self.meter.page();
        let mut into = A::default();
        leaf.items
            .into_iter()
            .try_for_each(|object| fold(&mut into, object))
            .map_err(Flaw::Final)?;
        Ok((into, leaf.next))
    }

    /// The pages after the first; all of them again when the links expired.
    async fn rest<A: Default + Send>(
        &self,
        endpoint: Endpoint,
        path: &str,
        mut into: A,
        next: &str,
        fold: &(impl Fn(&mut A, Object) -> Result<(), Error> + Send + Sync),
    ) -> Result<A, Error> {
        let second = self.root.follow(endpoint, next)?;
        match self.walk(endpoint, Chain::Rest, second, |object| fold(&mut into, object)).await {
            Err(Error::PageExpired(_)) => {
                let first = self.root.url(endpoint, path)?;
                Ok(self.gather(endpoint, Chain::List, &first, fold).await?.0)
            }
            outcome => outcome.map(|_| into),
        }
    }
}
