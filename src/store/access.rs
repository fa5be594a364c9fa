//! Who has access to what, and why: questions to the view `product_access`.

use std::collections::{BTreeMap, BTreeSet};

use diesel::prelude::*;

use super::lookup::lower;
use super::schema::{aad_groups, product_access, products, users};
use super::types::Id;
use super::{Doing, Error, Tx};
use crate::directory::{ObjectId, fold_case};
use crate::reconcile::world::State;

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
}

/// A path with the groups that lead from the person to the linked group.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct AccessPath {
    /// The path as the view has it.
    pub row: AccessRow,
    /// Nested groups on the way, from the one the person is directly in to the linked
    /// one; empty for a product membership. One shortest way per linked group.
    pub via: Vec<String>,
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
        let rows: Vec<AccessRow> = paths()
            .filter(product_access::product_id.eq(id))
            .filter(lower(users::email).eq(fold_case(email)))
            .load(self.conn)
            .doing("reading access")?;
        let mut explained = Vec::new();
        for row in rows {
            let via = match &row.group {
                Some(group) => self.way(email, group)?,
                None => Vec::new(),
            };
            explained.push(AccessPath { row, via });
        }
        Ok(Some(explained))
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

    /// A shortest chain of groups from the person to `group`, found upwards.
    fn way(&mut self, email: &str, group: &str) -> Result<Vec<String>, Error> {
        #[derive(QueryableByName)]
        struct Way {
            #[diesel(sql_type = diesel::sql_types::Text)]
            via: String,
        }
        let folded = fold_case(email);
        let sql = r"
            WITH RECURSIVE way (group_id, via, depth) AS (
              SELECT e.group_id, g.display_name, 1
                FROM users u
                JOIN dirsync_user_identities i ON i.user_id = u.id
                JOIN dirsync_observed_edges e ON e.member_id = i.object_id
                JOIN dirsync_observed_groups g ON g.object_id = e.group_id
               WHERE lower(u.email) = $1
              UNION
              SELECT e.group_id, way.via || chr31 || g.display_name, way.depth + 1
                FROM way
                JOIN dirsync_observed_edges e ON e.member_id = way.group_id
                JOIN dirsync_observed_groups g ON g.object_id = e.group_id
               WHERE way.depth < 32
            )
            SELECT way.via FROM way
              JOIN dirsync_aad_groups s ON s.object_id = way.group_id
              JOIN aad_groups a ON a.id = s.aad_group_id
             WHERE a.display_name = $2 ORDER BY way.depth, way.via LIMIT 1";
        let unit = if super::types::is_postgres(self.conn) { "chr(31)" } else { "char(31)" };
        let found: Option<Way> = diesel::sql_query(sql.replace("chr31", unit))
            .bind::<diesel::sql_types::Text, _>(folded)
            .bind::<diesel::sql_types::Text, _>(group)
            .get_result(self.conn)
            .optional()
            .doing("following nested groups")?;
        Ok(found
            .map(|way| way.via.split('\u{1f}').map(str::to_owned).collect())
            .unwrap_or_default())
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
