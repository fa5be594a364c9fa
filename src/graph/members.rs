//! Memberships by list: who is in these groups, which groups these users are in.
//!
//! Owns reading many lists at once: their first pages in batches, the rest of each
//! by itself. One list that fails does not fail the others. Must not resolve
//! nesting.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use futures::stream::{self, StreamExt};

use crate::directory::proof::{ListEnd, Proof, Step, Trail, Whole};
use crate::directory::{GroupFacts, Member, MemberKind, ObjectId, UserFacts};

use super::Directory;
use super::batch::Item;
use super::chain::{Chain, Leaf, Taken};
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
pub type MemberList = Lookup<Whole<BTreeSet<Member>>>;

/// All direct groups of one member, or why they are not known.
pub type MemberOf = Lookup<Whole<BTreeSet<ObjectId>>>;

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
        let each = |at: usize, list: Result<(Listed, Proof<ListEnd>), Error>| {
            let list = list.map(|(listed, proof)| {
                all.users.extend(listed.users);
                all.groups.extend(listed.groups);
                proof.whole(listed.members)
            });
            all.lists.insert(groups[at], lookup(list));
        };
        self.client.lists(Endpoint::Members, &paths, Listed::take, each).await?;
        Ok(all)
    }

    /// The groups that these users and groups are direct members of ("user-list-memberof" and
    /// "group-list-memberof" pages).
    pub async fn groups_of(
        &self,
        members: &[Member],
    ) -> Result<BTreeMap<ObjectId, MemberOf>, Error> {
        let endpoint = Endpoint::MemberOf;
        let members = unique(members);
        let top = self.client.settings.page_size;
        let path = |member: &Member| {
            let path = match member.kind {
                MemberKind::User => "users",
                MemberKind::Group => "groups",
            };
            format!("{path}/{}/memberOf?$select=id&$top={top}", member.id)
        };
        let paths: Vec<_> = members.iter().map(path).collect();
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
        let each = |at: usize, groups: Result<(BTreeSet<_>, Proof<ListEnd>), Error>| {
            let groups = groups.map(|(groups, proof)| proof.whole(groups));
            all.insert(members[at].id, lookup(groups));
        };
        self.client.lists(endpoint, &paths, fold, each).await?;
        Ok(all)
    }
}

fn unique<T: Copy + Ord>(asked: &[T]) -> Vec<T> {
    asked.iter().copied().collect::<BTreeSet<_>>().into_iter().collect()
}

fn lookup<T>(outcome: Result<T, Error>) -> Lookup<T> {
    match outcome {
        Ok(found) => Lookup::Complete(found),
        Err(Error::NotFound(_)) => Lookup::Gone,
        Err(error) => Lookup::Failed(error),
    }
}

/// What a first page in a batch leads to.
enum First {
    /// It is the only one.
    Only(Proof<ListEnd>),
    /// The trail so far, and the link of the second page.
    More(Box<(Trail<ListEnd>, String)>),
}

/// What stands for the link of a page that came in a batch, which has none.
const FIRST: &str = "$batch";

impl Client {
    /// Reads the lists at these paths to their ends, folding each into a fresh `A`, and hands
    /// them to `each` with the place of their path, in the order in which they are complete:
    /// a caller that merges them never holds them all.
    pub(super) async fn lists<A: Default + Send>(
        &self,
        endpoint: Endpoint,
        paths: &[String],
        fold: impl Fn(&mut A, Object) -> Result<(), Error> + Send + Sync,
        mut each: impl FnMut(usize, Result<(A, Proof<ListEnd>), Error>) + Send,
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
    ) -> Result<(usize, Vec<Result<(A, Proof<ListEnd>), Error>>), Error> {
        let first = &|item: &Item<'_>| self.first_page(endpoint, item, fold);
        let firsts = self.batch(endpoint, paths, first).await?;
        let rests = firsts.into_iter().zip(paths).map(|(first, path)| async move {
            match first? {
                (into, First::Only(proof)) => Ok((into, proof)),
                (into, First::More(more)) => self.rest(endpoint, path, into, *more, fold).await,
            }
        });
        Ok((offset, join_all(rests).await))
    }

    fn first_page<A: Default>(
        &self,
        endpoint: Endpoint,
        item: &Item<'_>,
        fold: impl Fn(&mut A, Object) -> Result<(), Error>,
    ) -> Result<(A, First), Flaw> {
        let page: Page = parse(endpoint, item.body)?;
        self.meter.page();
        let leaf = Leaf::new(page, item.status, item.receipt);
        let mut trail = Trail::start(FIRST, self.settings.pages_max);
        let Taken { items, next, step, .. } =
            leaf.put(endpoint, &mut trail).map_err(Flaw::Final)?;
        let mut into = A::default();
        items.into_iter().try_for_each(|object| fold(&mut into, object)).map_err(Flaw::Final)?;
        let first = match step {
            Step::End(proof) => First::Only(proof),
            Step::More => First::More(Box::new((trail, next.unwrap_or_default()))),
        };
        Ok((into, first))
    }

    /// The pages after the first; all of them again when the links expired.
    async fn rest<A: Default + Send>(
        &self,
        endpoint: Endpoint,
        path: &str,
        mut into: A,
        (trail, next): (Trail<ListEnd>, String),
        fold: &(impl Fn(&mut A, Object) -> Result<(), Error> + Send + Sync),
    ) -> Result<(A, Proof<ListEnd>), Error> {
        let second = self.root.follow(endpoint, &next)?;
        let take = |object| fold(&mut into, object);
        match self.walk(endpoint, Chain::Rest, trail, second, take).await {
            Err(Error::PageExpired(_)) => {
                let first = self.root.url(endpoint, path)?;
                let (into, end) = self.gather(endpoint, Chain::List, &first, fold).await?;
                Ok((into, end.proof))
            }
            outcome => outcome.map(|end| (into, end.proof)),
        }
    }
}
