//! Objects by name and by id.
//!
//! Owns the questions about single objects and how they are bundled. What a missing answer
//! means is not concluded here.

use std::collections::{BTreeMap, BTreeSet};

use url::form_urlencoded::byte_serialize;

use crate::directory::{GroupFacts, ObjectId, UserFacts, fold_case};

use super::Directory;
use super::confirm::{Verdict, doubt};
use super::delta::{GROUPS_SELECT, USERS_SELECT};
use super::error::Error;
use super::observe::Endpoint;
use super::wire::Object;

/// The most values that `in (…)` takes (trap 19).
const IN_MAX: usize = 15;
/// The kinds of object that are mirrored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ObjectKind {
    /// Users.
    User,
    /// Groups.
    Group,
}

impl Directory {
    /// These users as they are now; those that no filter shows, by their own address and
    /// what the deleted container says of them. Every id gets an entry.
    pub async fn users_by_id(
        &self,
        ids: &[ObjectId],
    ) -> Result<BTreeMap<ObjectId, Verdict<UserFacts>>, Error> {
        self.by_id(Kind::USERS, ids, Object::user).await
    }

    /// These groups as they are now, as for users. Without the right to look into the deleted
    /// container a missing group counts as soft-deleted: the reading that loses nothing.
    pub async fn groups_by_id(
        &self,
        ids: &[ObjectId],
    ) -> Result<BTreeMap<ObjectId, Verdict<GroupFacts>>, Error> {
        self.by_id(Kind::GROUPS, ids, Object::group).await
    }

    async fn by_id<T: Send>(
        &self,
        kind: Kind,
        ids: &[ObjectId],
        read: impl Fn(Object) -> T + Copy + Send + Sync,
    ) -> Result<BTreeMap<ObjectId, Verdict<T>>, Error> {
        let ids: BTreeSet<_> = ids.iter().copied().collect();
        let mut all = BTreeMap::new();
        self.by_filter(kind, &ids, read, &mut all).await?;
        let lost: Vec<_> = ids.into_iter().filter(|id| !all.contains_key(id)).collect();
        all.extend(self.by_address(kind, &lost, read).await?);
        Ok(all)
    }

    /// Adds those of these objects that a filter shows; all of them, as unknown, if it fails.
    pub(super) async fn by_filter<T: Send>(
        &self,
        kind: Kind,
        ids: &BTreeSet<ObjectId>,
        read: impl Fn(Object) -> T + Send + Sync,
        all: &mut BTreeMap<ObjectId, Verdict<T>>,
    ) -> Result<(), Error> {
        match self.by_values(kind, "id", &quoted(ids), read).await {
            Ok(found) => {
                all.extend(found.into_iter().map(|(id, facts)| (id, Verdict::Here(facts))));
            }
            Err(error) if error.is_fatal() => return Err(error),
            Err(error) => doubt(all, ids, &error),
        }
        Ok(())
    }

    /// The groups that bear these display names, letter case aside. Names are not unique and
    /// may match nothing: each asked name gets its entry, possibly empty (trap 25).
    pub async fn groups_by_name(
        &self,
        names: &[String],
    ) -> Result<BTreeMap<String, Vec<(ObjectId, GroupFacts)>>, Error> {
        let unique: BTreeSet<_> = names.iter().collect();
        let values: Vec<_> = unique.iter().map(|name| literal(name)).collect();
        let found = self.by_values(Kind::GROUPS, "displayName", &values, Object::group).await?;
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
        let ask = |property| self.by_values(Kind::USERS, property, &values, Object::user);
        let (mut found, by_upn) = tokio::try_join!(ask("mail"), ask("userPrincipalName"))?;
        found.extend(by_upn);
        Ok(found)
    }

    /// The objects whose `property` is one of these quoted values: 15 a filter, filters batched.
    async fn by_values<T: Send>(
        &self,
        kind: Kind,
        property: &str,
        values: &[String],
        read: impl Fn(Object) -> T + Send + Sync,
    ) -> Result<BTreeMap<ObjectId, T>, Error> {
        let Kind { endpoint, path, select, .. } = kind;
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
        let each = |_, found: Result<(BTreeMap<_, _>, _), Error>| match (&mut all, found) {
            (Ok(all), Ok((found, _))) => all.extend(found),
            (Ok(_), Err(error)) => all = Err(error),
            (Err(_), _) => {}
        };
        self.client.lists(endpoint, &asks, fold, each).await?;
        all
    }
}

/// A kind of object, as its questions are spelled.
#[derive(Clone, Copy)]
pub(super) struct Kind {
    pub(super) of: ObjectKind,
    pub(super) endpoint: Endpoint,
    pub(super) path: &'static str,
    pub(super) select: &'static str,
}

impl Kind {
    pub(super) const USERS: Self = Self {
        of: ObjectKind::User,
        endpoint: Endpoint::Users,
        path: "users",
        select: USERS_SELECT,
    };
    pub(super) const GROUPS: Self = Self {
        of: ObjectKind::Group,
        endpoint: Endpoint::Groups,
        path: "groups",
        select: GROUPS_SELECT,
    };

    pub(super) const fn of(kind: ObjectKind) -> Self {
        match kind {
            ObjectKind::User => Self::USERS,
            ObjectKind::Group => Self::GROUPS,
        }
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
}
