//! Whether an object that nobody showed is gone.
//!
//! Owns the questions about the absent. Only here is it concluded that an object is gone,
//! and only from two answers about its very id: its own address, and the deleted container.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::{join_all, try_join_all};
use serde::Serialize;

use crate::directory::proof::{Answer, Grave, ListEnd, Receipt, Trail};
use crate::directory::{GroupFacts, ObjectId, UserFacts};

use super::Directory;
use super::batch::Item;
use super::chain::{Chain, Leaf, Taken};
use super::client::parse;
use super::error::{Error, Rejection};
use super::lookup::{Kind, ObjectKind};
use super::observe::Endpoint;
use super::transport::Call;
use super::wire::{Object, Page};

/// The most ids that `getByIds` takes (2.6 of the facts).
const IDS_MAX: usize = 1000;

/// Whether and since when an object is gone, by its id and at the time of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneSince {
    /// Graph has it.
    Alive,
    /// It is in the deleted container since then. Where Graph does not say since when, the
    /// time of asking stands in, so that nothing is purged for want of a date.
    SoftSince(DateTime<Utc>, Grave),
    /// Graph has it neither among the living nor in the deleted container.
    Gone(Grave),
}

/// What came of asking for one object that a list did not show.
#[derive(Clone, Debug)]
pub enum Verdict<T> {
    /// It exists after all, and these are its properties.
    Here(T),
    /// It is gone.
    Gone(Grave),
    /// Graph could not be asked, or gave no answer that proves anything.
    Unknown(Error),
}

#[derive(Serialize)]
struct Ids<'a> {
    ids: Vec<String>,
    types: [&'a str; 1],
}

impl Directory {
    /// Whether these users, whom a list did not show, are really gone: asked among the living
    /// ("directoryobject-getbyids" page, 1,000 ids a request), under their own address, and in
    /// the deleted container. What could not be asked is unknown and fails nothing else; so is
    /// everybody where more than `most` of them are not among the living.
    pub async fn confirm_users(
        &self,
        ids: &[ObjectId],
        most: usize,
    ) -> Result<BTreeMap<ObjectId, Verdict<UserFacts>>, Error> {
        self.confirm(Kind::USERS, ids, most, Object::user).await
    }

    /// The same for groups, with what [`Self::groups_by_id`] says of the deleted container.
    pub async fn confirm_groups(
        &self,
        ids: &[ObjectId],
        most: usize,
    ) -> Result<BTreeMap<ObjectId, Verdict<GroupFacts>>, Error> {
        self.confirm(Kind::GROUPS, ids, most, Object::group).await
    }

    async fn confirm<T: Send>(
        &self,
        kind: Kind,
        ids: &[ObjectId],
        most: usize,
        read: impl Fn(Object) -> T + Copy + Send + Sync,
    ) -> Result<BTreeMap<ObjectId, Verdict<T>>, Error> {
        let ids: Vec<_> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let asked = join_all(ids.chunks(IDS_MAX).map(|ids| self.alive(ids, kind.of))).await;
        let mut all = BTreeMap::new();
        let mut alive = BTreeSet::new();
        for (ids, shown) in ids.chunks(IDS_MAX).zip(asked) {
            match shown {
                Ok(shown) => alive.extend(shown),
                Err(error) if error.is_fatal() => return Err(error),
                Err(error) => doubt(&mut all, ids, &error),
            }
        }
        self.by_filter(kind, &alive, read, &mut all).await?;
        let lost: Vec<_> = ids.into_iter().filter(|id| !all.contains_key(id)).collect();
        if lost.len() > most {
            let error = Error::TooMany { endpoint: kind.endpoint, asked: lost.len(), limit: most };
            doubt(&mut all, &lost, &error);
        } else {
            all.extend(self.by_address(kind, &lost, read).await?);
        }
        Ok(all)
    }

    /// Whether these objects are gone and since when: asked by id among the living
    /// ("directoryobject-getbyids" page), under their own address, and in the deleted container,
    /// for a purge.
    ///
    /// Fails as a whole, [`Error::Forbidden`] included, rather than leave a doubt.
    pub async fn gone_since(
        &self,
        ids: &[ObjectId],
        kind: ObjectKind,
    ) -> Result<BTreeMap<ObjectId, GoneSince>, Error> {
        let ids: Vec<_> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let asked = try_join_all(ids.chunks(IDS_MAX).map(|ids| self.alive(ids, kind))).await?;
        let mut all: BTreeMap<_, _> =
            asked.into_iter().flatten().map(|id| (id, GoneSince::Alive)).collect();
        let lost: Vec<_> = ids.into_iter().filter(|id| !all.contains_key(id)).collect();
        let mut missing = Vec::new();
        for (id, living) in lost.iter().zip(self.living(Kind::of(kind), &lost).await?) {
            match living? {
                Reply::Here(..) => {
                    all.insert(*id, GoneSince::Alive);
                }
                Reply::Missing(answer) => missing.push((*id, answer)),
            }
        }
        let ids: Vec<_> = missing.iter().map(|(id, _)| *id).collect();
        for ((id, living), deleted) in missing.into_iter().zip(self.in_deleted(&ids).await?) {
            let since = match deleted? {
                Reply::Here(object, answer) => {
                    is_about(&object, id, Endpoint::DeletedItems)?;
                    GoneSince::SoftSince(deleted_at(&object), agreed(living, answer)?)
                }
                Reply::Missing(answer) => GoneSince::Gone(agreed(living, answer)?),
            };
            all.insert(id, since);
        }
        Ok(all)
    }

    /// What is known of objects that no filter showed: a filter that answered with nothing
    /// proves nothing by itself, since that is what a lost permission looks like, too. So each
    /// is asked for under its own address, and then in the deleted container.
    pub(super) async fn by_address<T: Send>(
        &self,
        kind: Kind,
        ids: &[ObjectId],
        read: impl Fn(Object) -> T + Send + Sync,
    ) -> Result<BTreeMap<ObjectId, Verdict<T>>, Error> {
        let mut all = BTreeMap::new();
        let mut missing = Vec::new();
        for (id, living) in ids.iter().zip(self.living(kind, ids).await?) {
            match living {
                Ok(Reply::Here(object, _)) => {
                    let told = is_about(&object, *id, kind.endpoint);
                    let here = |()| Verdict::Here(read(*object));
                    all.insert(*id, told.map_or_else(Verdict::Unknown, here));
                }
                Ok(Reply::Missing(answer)) => missing.push((*id, answer)),
                Err(error) => {
                    all.insert(*id, Verdict::Unknown(error));
                }
            }
        }
        let ids: Vec<_> = missing.iter().map(|(id, _)| *id).collect();
        for ((id, living), deleted) in missing.into_iter().zip(self.in_deleted(&ids).await?) {
            let grave = match deleted {
                Ok(Reply::Here(object, answer)) => is_about(&object, id, Endpoint::DeletedItems)
                    .and_then(|()| agreed(living, answer)),
                Ok(Reply::Missing(answer)) => agreed(living, answer),
                Err(Error::Forbidden(_)) if kind.of == ObjectKind::Group => {
                    Grave::unseen(living).ok_or_else(disagreement)
                }
                Err(error) => Err(error),
            };
            all.insert(id, grave.map_or_else(Verdict::Unknown, Verdict::Gone));
        }
        Ok(all)
    }

    /// What Graph has under the own addresses of these objects, in their order.
    async fn living(
        &self,
        kind: Kind,
        ids: &[ObjectId],
    ) -> Result<Vec<Result<Reply, Error>>, Error> {
        let Kind { endpoint, path, select, .. } = kind;
        let paths: Vec<_> = ids.iter().map(|id| format!("{path}/{id}?$select={select}")).collect();
        self.ask(endpoint, &paths).await
    }

    /// What the deleted container has under these ids, in their order ("directory-deleteditems-get" page).
    async fn in_deleted(&self, ids: &[ObjectId]) -> Result<Vec<Result<Reply, Error>>, Error> {
        // Unless it is asked for, a deleted user does not tell since when it is.
        let path = |id| format!("directory/deletedItems/{id}?$select=id,deletedDateTime");
        let paths: Vec<_> = ids.iter().map(path).collect();
        self.ask(Endpoint::DeletedItems, &paths).await
    }

    /// Single objects under their addresses, in that order.
    async fn ask(
        &self,
        endpoint: Endpoint,
        paths: &[String],
    ) -> Result<Vec<Result<Reply, Error>>, Error> {
        let read = |item: &Item<'_>| {
            let answer = Answer { status: item.status, receipt: item.receipt };
            Ok(Reply::Here(Box::new(parse(endpoint, item.body)?), answer))
        };
        let replies = self.client.batches(endpoint, paths, read).await?;
        let at = self.server_time();
        let missing = |rejection: &Rejection| {
            let request_id = rejection.request_id.as_deref().and_then(|id| id.parse().ok());
            Answer { status: rejection.status, receipt: Receipt { request_id, at } }
        };
        Ok(replies
            .into_iter()
            .map(|reply| match reply {
                Err(Error::NotFound(rejection)) => Ok(Reply::Missing(missing(&rejection))),
                reply => reply,
            })
            .collect())
    }

    /// Those of at most 1,000 ids that exist.
    async fn alive(&self, ids: &[ObjectId], kind: ObjectKind) -> Result<Vec<ObjectId>, Error> {
        let endpoint = Endpoint::GetByIds;
        let types = match kind {
            ObjectKind::User => ["user"],
            ObjectKind::Group => ["group"],
        };
        let body =
            serde_json::to_vec(&Ids { ids: ids.iter().map(ToString::to_string).collect(), types })
                .map_err(|error| Error::Malformed { endpoint, what: error.to_string() })?;
        let url = self.client.root.url(endpoint, "directoryObjects/getByIds")?;
        let leaf = self
            .client
            .exchange(&Call::post(endpoint, url.clone(), Bytes::from(body)), |reply| {
                let page: Page = parse(endpoint, &reply.body)?;
                self.client.meter.page();
                Ok(Leaf::new(page, reply.status, reply.receipt()))
            })
            .await?;
        let mut trail: Trail<ListEnd> = self.client.trail(&url);
        let Taken { items, next, .. } = leaf.put(endpoint, &mut trail)?;
        let mut alive = Vec::with_capacity(items.len());
        for object in items {
            alive.push(object.id.get(endpoint)?);
        }
        if let Some(next) = next {
            let next = self.client.root.follow(endpoint, &next)?;
            let take = |object: Object| object.id.get(endpoint).map(|id| alive.push(id));
            self.client.walk(endpoint, Chain::Rest, trail, next, take).await?;
        }
        Ok(alive)
    }
}

/// What stands under the address of one object.
enum Reply {
    Here(Box<Object>, Answer),
    /// 404.
    Missing(Answer),
}

pub(super) fn doubt<'a, T>(
    all: &mut BTreeMap<ObjectId, Verdict<T>>,
    ids: impl IntoIterator<Item = &'a ObjectId>,
    error: &Error,
) {
    all.extend(ids.into_iter().map(|id| (*id, Verdict::Unknown(error.clone()))));
}

/// Whether an answer is about the object that was asked for.
fn is_about(object: &Object, id: ObjectId, endpoint: Endpoint) -> Result<(), Error> {
    if object.id.get(endpoint)? == id {
        return Ok(());
    }
    let what = "it answered with another object than the one asked for".to_owned();
    Err(Error::Malformed { endpoint, what })
}

/// The grave that two answers prove.
fn agreed(living: Answer, deleted: Answer) -> Result<Grave, Error> {
    Grave::confirmed(living, deleted).ok_or_else(disagreement)
}

const fn disagreement() -> Error {
    Error::Incomplete {
        endpoint: Endpoint::DeletedItems,
        what: "the answers about a missing object prove nothing",
    }
}

fn deleted_at(object: &Object) -> DateTime<Utc> {
    let date = object
        .deleted_date_time
        .as_deref()
        .and_then(|date| DateTime::parse_from_rfc3339(date).ok());
    date.map_or_else(Utc::now, |date| date.with_timezone(&Utc))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_deletion_without_a_date_is_as_young_as_can_be() {
        let object = |date: &str| {
            serde_json::from_str::<Object>(&format!(r#"{{"deletedDateTime":{date}}}"#))
                .expect("JSON")
        };
        assert_eq!(
            deleted_at(&object(r#""2026-10-01T08:00:00.1234567Z""#)).timestamp(),
            1_790_841_600
        );
        for unknown in ["null", "\"\"", "\"soon\""] {
            assert!(Utc::now() - deleted_at(&object(unknown)) < chrono::TimeDelta::minutes(1));
        }
    }
}
