//! Who has access to what, and why: questions to the view `product_access`.

mod ways;

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::lookup::lower;
use super::schema::{aad_groups, product_access, products, users};
use super::types::Id;
use super::{Doing, Error, Tx};
use crate::directory::{ObjectId, fold_case};
use crate::reconcile::world::State;

pub use ways::WAYS_MAX;
use ways::Ways;

/// One path of one person to one product.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Queryable)]
pub struct AccessRow {
    /// The product's name.
    pub product: String,
    /// The person's address.
    pub email: String,
    /// The person's name.
    pub name: String,
    /// `admin` or `member`.
    pub role: String,
    /// `aad_group` or `product_member`.
    pub source: String,
    /// The group of the path, where it is one.
    pub group: Option<String>,
    /// The person's id.
    pub user_id: i32,
    /// The group's id: names are not unique.
    pub group_id: Option<i32>,
}

/// A path with the groups that lead from the person to the linked group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPath {
    /// The path as the view has it.
    pub row: AccessRow,
    /// Nested groups on the way, from the one the person is directly in to the linked
    /// one. Empty for a product membership, and where no way is observed any more: then a
    /// removal is held.
    pub via: Vec<String>,
    /// Whether there are more ways to this group than the [`WAYS_MAX`] that are told.
    pub more: bool,
}

impl Tx<'_> {
    /// Every path to a product; `None` if there is no such product.
    pub fn access_who(&mut self, product: &str) -> Result<Option<Vec<AccessRow>>, Error> {
        let Some(id) = self.product_id(product)? else { return Ok(None) };
        let mut rows: Vec<AccessRow> = paths()
            .filter(product_access::product_id.eq(id))
            .load(self.conn)
            .doing("reading access")?;
        rows.sort();
        Ok(Some(rows))
    }

    /// Every path of a person to a product, with the nested groups on the way; `None` if
    /// there is no such product.
    pub fn access_explain(
        &mut self,
        email: &str,
        product: &str,
    ) -> Result<Option<Vec<AccessPath>>, Error> {
        let Some(id) = self.product_id(product)? else { return Ok(None) };
        let mut rows: Vec<AccessRow> = paths()
            .filter(product_access::product_id.eq(id))
            .filter(lower(users::email).eq(fold_case(email)))
            .load(self.conn)
            .doing("reading access")?;
        rows.sort();
        let mut explained = Vec::new();
        for row in rows {
            let ways = match row.group_id {
                Some(group) => self.ways(row.user_id, group)?,
                None => Ways::default(),
            };
            let Ways { mut found, more } = ways;
            if found.is_empty() {
                found.push(Vec::new());
            }
            let path = |via| AccessPath { row: row.clone(), via, more };
            explained.extend(found.into_iter().map(path));
        }
        Ok(Some(explained))
    }

    /// Every observed way from a person to a group, by their ids.
    fn ways(&mut self, user: i32, group: i32) -> Result<Ways, Error> {
        use super::schema::{dirsync_aad_groups as g, dirsync_user_identities as u};
        let person: Option<Id> = u::table
            .find(user)
            .select(u::object_id)
            .first(self.conn)
            .optional()
            .doing("looking for a person")?;
        let target: Option<Id> = g::table
            .find(group)
            .select(g::object_id)
            .first(self.conn)
            .optional()
            .doing("looking for a group")?;
        let (Some(person), Some(target)) = (person, target) else { return Ok(Ways::default()) };
        Ok(self.above(person.into())?.ways(target.into()))
    }

    pub(super) fn product_id(&mut self, name: &str) -> Result<Option<i32>, Error> {
        products::table
            .filter(products::name.eq(name))
            .select(products::id)
            .first(self.conn)
            .optional()
            .doing("looking for the product")
    }

    /// People with access, by product name; products that nobody reaches are there with 0.
    pub fn access_counts(&mut self) -> Result<BTreeMap<String, i64>, Error> {
        let names: Vec<(i32, String)> = products::table
            .select((products::id, products::name))
            .load(self.conn)
            .doing("reading products")?;
        let counts: Vec<Count> = diesel::sql_query(
            "SELECT product_id, count(DISTINCT user_id) AS people FROM product_access GROUP BY product_id",
        )
        .load(self.conn)
        .doing("counting access")?;
        let counts: BTreeMap<i32, i64> =
            counts.into_iter().map(|c| (c.product_id, c.people)).collect();
        Ok(names
            .into_iter()
            .map(|(id, name)| (name, counts.get(&id).copied().unwrap_or(0)))
            .collect())
    }
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::Integer)]
    product_id: i32,
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    people: i64,
}

#[diesel::dsl::auto_type]
fn paths() -> _ {
    product_access::table
        .inner_join(products::table.on(products::id.eq(product_access::product_id)))
        .inner_join(users::table.on(users::id.eq(product_access::user_id)))
        .left_join(aad_groups::table.on(aad_groups::id.nullable().eq(product_access::aad_group_id)))
        .select((
            products::name,
            users::email,
            users::name,
            product_access::role,
            product_access::source,
            aad_groups::display_name.nullable(),
            product_access::user_id,
            product_access::aad_group_id,
        ))
}

/// The decided state in short: who is what, and who is where.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Decided {
    /// State of each user with an identity.
    pub users: BTreeMap<ObjectId, State>,
    /// State of each group that was taken over.
    pub groups: BTreeMap<ObjectId, State>,
    /// Effective members.
    pub members: BTreeMap<ObjectId, BTreeSet<ObjectId>>,
}

impl Tx<'_> {
    /// Everything decided, by object id.
    pub fn decided(&mut self) -> Result<Decided, Error> {
        use super::schema::{
            dirsync_aad_groups as g, dirsync_group_members as m, dirsync_user_identities as u,
        };
        let state = |word: String| {
            State::parse(&word).ok_or_else(|| Error::Corrupt(format!("state \"{word}\"")))
        };
        let mut decided = Decided::default();
        let users: Vec<(Id, String)> = u::table
            .select((u::object_id, u::state))
            .load(self.conn)
            .doing("reading identities")?;
        for (id, word) in users {
            decided.users.insert(id.into(), state(word)?);
        }
        let groups: Vec<(Id, String)> =
            g::table.select((g::object_id, g::state)).load(self.conn).doing("reading groups")?;
        for (id, word) in groups {
            decided.groups.insert(id.into(), state(word)?);
        }
        let members: Vec<(Id, Id)> = m::table
            .inner_join(g::table.on(g::aad_group_id.eq(m::aad_group_id)))
            .inner_join(u::table.on(u::user_id.eq(m::user_id)))
            .select((g::object_id, u::object_id))
            .load(self.conn)
            .doing("reading effective members")?;
        for (group, user) in members {
            decided.members.entry(group.into()).or_default().insert(user.into());
        }
        Ok(decided)
    }
}
