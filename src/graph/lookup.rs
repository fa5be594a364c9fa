//! Objects by name and by id, and the proof that one is gone.
//!
//! Owns the questions about single objects. Only here is absence concluded from not
//! being answered, and only after a second question: the deleted container.

use std::collections::{BTreeMap, BTreeSet};

use bytes::Bytes;
use chrono::{DateTime, Utc};
use futures::future::try_join_all;
use serde::Serialize;
use url::form_urlencoded::byte_serialize;

use crate::directory::{Evidence, GroupFacts, ObjectId, Seen, Tombstone, UserFacts, fold_case};

use super::Directory;
use super::chain::{Chain, Leaf};
use super::client::parse;
use super::delta::{GROUPS_SELECT, USERS_SELECT};
use super::error::Error;
use super::observe::Endpoint;
use super::transport::Call;
use super::wire::{Object, Page};

/// The most values that `in (…)` takes (trap 19).
const IN_MAX: usize = 15;
/// The most ids that `getByIds` takes (2.6 of the facts).
const IDS_MAX: usize = 1000;

/// The kinds of object that are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// Users.
    User,
    /// Groups.
    Group,
}

/// Whether and since when an object is gone, by its id and at the time of asking.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum GoneSince {
    /// Graph has it.
    Alive,
    /// It is in the deleted container since then. Where Graph does not say since when, the
    /// time of asking stands in, so that nothing is purged for want of a date.
    SoftSince(DateTime<Utc>),
    /// Graph has it neither among the living nor in the deleted container.
    Gone,
}

#[derive(Serialize)]
struct Ids<'a> {
    ids: Vec<String>,
    types: [&'a str; 1],
}

impl Directory {
    /// These users as they are now; those that Graph does not list, by what the deleted
    /// container says of them. Every id gets an entry, or the call fails.
    pub async fn users_by_id(
        &self,
        ids: &[ObjectId],
    ) -> Result<BTreeMap<ObjectId, Seen<UserFacts>>, Error> {
        let ids: BTreeSet<_> = ids.iter().copied().collect();
        let found = self
            .by_values(Endpoint::Users, "users", "id", USERS_SELECT, &quoted(&ids), Object::user)
            .await?;
        let lost: Vec<_> = ids.iter().copied().filter(|id| !found.contains_key(id)).collect();
        let mut all: BTreeMap<_, _> =
            found.into_iter().map(|(id, facts)| (id, Seen::Present(facts))).collect();
        let (met, lost) = self.by_path(Endpoint::Users, "users", USERS_SELECT, &lost).await?;
        all.extend(met.into_iter().map(|(id, object)| (id, Seen::Present(object.user()))));
        for (id, deleted) in lost.iter().zip(self.in_deleted(&lost).await?) {
            all.insert(*id, Seen::Gone(tombstone(deleted)?, Evidence::ConfirmedById));
        }
        Ok(all)
    }

    /// These groups as they are now, as for users. Without the right to look into the deleted
    /// container a missing group counts as soft-deleted: the reading that loses nothing.
    pub async fn groups_by_id(
        &self,
        ids: &[ObjectId],
    ) -> Result<BTreeMap<ObjectId, Seen<GroupFacts>>, Error> {
        let ids: BTreeSet<_> = ids.iter().copied().collect();
        let found = self
            .by_values(
                Endpoint::Groups,
                "groups",
                "id",
                GROUPS_SELECT,
                &quoted(&ids),
                Object::group,
            )
            .await?;
        let lost: Vec<_> = ids.iter().copied().filter(|id| !found.contains_key(id)).collect();
        let mut all: BTreeMap<_, _> =
            found.into_iter().map(|(id, facts)| (id, Seen::Present(facts))).collect();
        let (met, lost) = self.by_path(Endpoint::Groups, "groups", GROUPS_SELECT, &lost).await?;
        all.extend(met.into_iter().map(|(id, object)| (id, Seen::Present(object.group()))));
        for (id, deleted) in lost.iter().zip(self.in_deleted(&lost).await?) {
            let tombstone = match deleted {
                Err(Error::Forbidden(_)) => Tombstone::Soft,
                deleted => tombstone(deleted)?,
            };
            all.insert(*id, Seen::Gone(tombstone, Evidence::ConfirmedById));
        }
        Ok(all)
    }

    /// The groups that bear these display names, letter case aside. Names are not unique and
    /// may match nothing: each asked name gets its entry, possibly empty (trap 25).
    pub async fn groups_by_name(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, Vec<(ObjectId, GroupFacts)>>, Error> {
        let unique: BTreeSet<_> = names.iter().collect();
        let values: Vec<_> = unique.iter().map(|name| literal(name)).collect();
        let found = self
            .by_values(
                Endpoint::Groups,
                "groups",
                "displayName",
                GROUPS_SELECT,
                &values,
                Object::group,
            )
            .await?;
        let mut by_name: BTreeMap<String, Vec<(ObjectId, GroupFacts)>> = BTreeMap::new();
        for (id, facts) in found {
            let name = facts.display_name.as_deref().map(fold_case).unwrap_or_default();
            by_name.entry(name).or_default().push((id, facts));
        }
        let answer = |name: &String| by_name.get(&fold_case(name)).cloned().unwrap_or_default();
        Ok(unique.into_iter().map(|name| (name.clone(), answer(name))).collect())
    }

    /// The users who bear one of these addresses as `mail` or as `userPrincipalName`, letter
    /// case aside. An address may be several people's or nobody's (trap 22).
    pub async fn users_by_address(
        &self,
        addresses: &BTreeSet<String>,
    ) -> Result<BTreeMap<ObjectId, UserFacts>, Error> {
        let values: Vec<_> = addresses.iter().map(|address| literal(address)).collect();
        let ask = |property| {
            self.by_values(Endpoint::Users, "users", property, USERS_SELECT, &values, Object::user)
        };
        let (mut found, by_upn) = tokio::try_join!(ask("mail"), ask("userPrincipalName"))?;
        found.extend(by_upn);
        Ok(found)
    }

    /// Whether these objects are gone and since when: asked by id among the living
    /// ("directoryobject-getbyids" page) and then in the deleted container, for a purge.
    ///
    /// Fails as a whole, [`Error::Forbidden`] included, rather than leave a doubt.
    pub async fn gone_since(
        &self,
        ids: &[ObjectId],
        kind: ObjectKind,
    ) -> Result<BTreeMap<ObjectId, GoneSince>, Error> {
        let ids: Vec<_> = ids.iter().copied().collect::<BTreeSet<_>>().into_iter().collect();
        let asked = try_join_all(ids.chunks(IDS_MAX).map(|ids| self.alive(ids, kind))).await?;
        let alive: BTreeSet<_> = asked.into_iter().flatten().collect();
        let lost: Vec<_> = ids.into_iter().filter(|id| !alive.contains(id)).collect();
        let mut all: BTreeMap<_, _> = alive.into_iter().map(|id| (id, GoneSince::Alive)).collect();
        for (id, deleted) in lost.iter().zip(self.in_deleted(&lost).await?) {
            let since = match deleted {
                Ok(object) => GoneSince::SoftSince(deleted_at(&object)),
                Err(Error::NotFound(_)) => GoneSince::Gone,
                Err(error) => return Err(error),
            };
            all.insert(*id, since);
        }
        Ok(all)
    }

    /// The objects whose `property` is one of these quoted values: 15 a filter, filters batched.
    async fn by_values<T: Send>(
        &self,
        endpoint: Endpoint,
        path: &str,
        property: &str,
        select: &str,
        values: &[String],
        read: impl Fn(Object) -> T + Send + Sync,
    ) -> Result<BTreeMap<ObjectId, T>, Error> {
        let top = self.client.settings.page_size;
        let asks: Vec<_> = values
            .chunks(IN_MAX)
            .map(|values| {
                let filter = encode(&format!("{property} in ({})", values.join(",")));
                format!("{path}?$filter={filter}&$select={select}&$top={top}")
            })
            .collect();
        let fold = |found: &mut BTreeMap<_, _>, object: Object| {
            found.insert(object.id.get(endpoint)?, read(object));
            Ok(())
        };
        let mut all = Ok(BTreeMap::new());
        let each = |_, found: Result<BTreeMap<_, _>, Error>| match (&mut all, found) {
            (Ok(all), Ok(found)) => all.extend(found),
            (Ok(_), Err(error)) => all = Err(error),
            (Err(_), _) => {}
        };
        self.client.lists(endpoint, &asks, fold, each).await?;
        all
    }

    /// Those of these objects that Graph has under their own address, and those it says it
    /// has not (404). A filter that answered with nothing proves nothing by itself: that is
    /// what a lost permission looks like, too.
    async fn by_path(
        &self,
        endpoint: Endpoint,
        path: &str,
        select: &str,
        ids: &[ObjectId],
    ) -> Result<(Vec<(ObjectId, Object)>, Vec<ObjectId>), Error> {
        let paths: Vec<_> = ids.iter().map(|id| format!("{path}/{id}?$select={select}")).collect();
        let answers =
            self.client.batches(endpoint, &paths, |body| parse::<Object>(endpoint, body)).await?;
        let (mut met, mut missing) = (Vec::new(), Vec::new());
        for (id, answer) in ids.iter().zip(answers) {
            match answer {
                Ok(object) if object.id.get(endpoint)? == *id => met.push((*id, object)),
                Ok(_) => {
                    let what = "it answered with another object than the one asked for".to_owned();
                    return Err(Error::Malformed { endpoint, what });
                }
                Err(Error::NotFound(_)) => missing.push(*id),
                Err(error) => return Err(error),
            }
        }
        Ok((met, missing))
    }

    /// What the deleted container has under these ids, in their order ("directory-deleteditems-get" page).
    async fn in_deleted(&self, ids: &[ObjectId]) -> Result<Vec<Result<Object, Error>>, Error> {
        // Unless it is asked for, a deleted user does not tell since when it is.
        let path = |id| format!("directory/deletedItems/{id}?$select=id,deletedDateTime");
        let paths: Vec<_> = ids.iter().map(path).collect();
        self.client
            .batches(Endpoint::DeletedItems, &paths, |body| parse(Endpoint::DeletedItems, body))
            .await
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
            .exchange(&Call::post(endpoint, url, Bytes::from(body)), |reply| {
                let page: Page = parse(endpoint, &reply.body)?;
                self.client.meter.page();
                Leaf::new(endpoint, page, None)
            })
            .await?;
        let mut alive = Vec::with_capacity(leaf.items.len());
        for object in leaf.items {
            alive.push(object.id.get(endpoint)?);
        }
        if let Some(next) = leaf.next {
            let next = self.client.root.follow(endpoint, &next)?;
            let take = |object: Object| object.id.get(endpoint).map(|id| alive.push(id));
            self.client.walk(endpoint, Chain::Rest, next, take).await?;
        }
        Ok(alive)
    }
}

fn quoted(ids: &BTreeSet<ObjectId>) -> Vec<String> {
    ids.iter().map(|id| format!("'{id}'")).collect()
}

/// A text as filters quote it: an apostrophe is doubled (2.3 of the facts).
fn literal(text: &str) -> String {
    format!("'{}'", text.replace('\'', "''"))
}

/// A query value, with `%20` for blanks: `+` is a blank in forms only.
fn encode(value: &str) -> String {
    byte_serialize(value.as_bytes()).collect::<String>().replace('+', "%20")
}

/// In the container: restorable. Not there either: gone. Anything else proves nothing.
fn tombstone(deleted: Result<Object, Error>) -> Result<Tombstone, Error> {
    match deleted {
        Ok(_) => Ok(Tombstone::Soft),
        Err(Error::NotFound(_)) => Ok(Tombstone::Hard),
        Err(error) => Err(error),
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
    fn a_filter_survives_any_name() {
        assert_eq!(
            encode("displayName in ('O''Neil & Söhne #1+2')"),
            "displayName%20in%20%28%27O%27%27Neil%20%26%20S%C3%B6hne%20%231%2B2%27%29"
        );
    }

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
